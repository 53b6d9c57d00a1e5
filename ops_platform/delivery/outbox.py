"""The outbox table: putting a message in, reading it, and every change of its state.

Belongs here: the SQL on `ops.outbox`. Does not belong here: calling a vendor (`worker.py`,
`reconcile.py`), what a message says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import orjson

from ops_platform.delivery.states import DECISIONS, Event, IllegalTransitionError, State, after
from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    import psycopg

    from ops_platform.evidence.model import Period

Enqueued = Literal["created", "unchanged", "replaced", "superseded", "requeued"]

# A mention of everyone can only come from text we did not write: no message of ours rings every phone.
_MASS_MENTION = re.compile(r"<(?=!(?:channel|here|everyone|subteam)\b)")
_COLUMNS = (
    "id, dedupe_key, kind, period_start, period_end, channel_key, channel, payload, payload_hash, "
    "document_id, thread_of, state, attempts, not_before, lease_until, external_id, superseded_payloads, "
    "error, created_at, updated_at, sent_at, quiet_until"
)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One message. `external_id` is the vendor's id (for Slack the `ts`) once it is sent; `error` says why it
    is where it is. `enqueued` tells what the last `enqueue` did with it (None when merely read).

    `not_before` is when it may next be posted or looked up; `lease_until` is, while sending, when its worker
    must be done, and afterwards the moment from which "not found" counts as "not there". `quiet_until` is on
    the company's clock: nobody is disturbed before."""

    id: UUID
    dedupe_key: str
    kind: str
    period_start: date | None
    period_end: date | None
    channel_key: str
    channel: str
    payload: dict[str, Any]
    payload_hash: str
    document_id: int | None
    thread_of: UUID | None
    state: State
    attempts: int
    not_before: datetime | None
    lease_until: datetime | None
    external_id: str | None
    superseded_payloads: int
    error: str | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    quiet_until: datetime | None = None
    enqueued: Enqueued | None = None


def wall_clock() -> datetime:
    """The machine's clock. Leases, waits and pacing are about machines, so they never follow `OPS_NOW`."""
    return datetime.now(UTC)


def default_dedupe_key(kind: str, period: Period, channel_key: str) -> str:
    """One message per kind of document, period and channel."""
    return _bounded(f"{kind}:{period.start.isoformat()}:{period.end.isoformat()}:{channel_key}")


def enqueue(
    conn: psycopg.Connection[Any],
    *,
    kind: str,
    period: Period | None,
    channel_key: str,
    channel: str,
    payload: Mapping[str, Any],
    document_id: int | None = None,
    dedupe_key: str | None = None,
    thread_of: UUID | None = None,
    quiet_until: datetime | None = None,
) -> OutboxRow:
    """Put a message in the outbox, in the caller's transaction: it commits with the document or not at all.

    `channel_key` is the channel's role (executive, team, alerts; email), `channel` the vendor's id of it (an
    address); `payload` is {"text": fallback, "blocks": […]?, "files": […]?} (`files.py` keeps what is carried;
    `ops_platform.delivery.email` makes the payload of an e-mail). A second call with the same key never makes a
    second message: while it certainly is not at the vendor the newer payload replaces the older one; afterwards
    it is counted in `superseded_payloads` and not posted; a failed one is queued again, to the channel given now.
    `thread_of` is the outbox id of the message this one answers; it waits until that one is sent. It also waits
    for `quiet_until`, on the company's clock."""
    key = _bounded(dedupe_key) if dedupe_key else None
    if key is None:
        if period is None:
            raise DataFailure(f"A message of kind {kind!r} without a period needs a dedupe key of its own.")
        key = default_dedupe_key(kind, period, channel_key)
    body = _clean(dict(payload))
    text = body.get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataFailure(f"A message of kind {kind!r} has no text: phones and screen readers show only that.")
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    if thread_of is not None:
        _check_parent(conn, thread_of, channel_key)
    moment = wall_clock()
    # The id is of the key, too: of two at once the loser may meet either index first, so neither is named.
    created = _one(
        conn,
        f"""insert into ops.outbox (id, dedupe_key, kind, period_start, period_end, channel_key, channel,
                payload, payload_hash, document_id, thread_of, state, created_at, updated_at, quiet_until)
            values ((select md5(id::text || %(key)s)::uuid from ops.installation), %(key)s,
                %(kind)s, %(start)s, %(end)s, %(channel_key)s, %(channel)s, %(payload)s,
                %(digest)s, %(document)s, %(thread)s, 'pending', %(now)s, %(now)s, %(quiet)s)
            on conflict do nothing returning {_COLUMNS}""",
        {
            "key": key,
            "kind": kind,
            "start": period.start if period else None,
            "end": period.end if period else None,
            "channel_key": channel_key,
            "channel": channel,
            "payload": _json(body),
            "digest": digest,
            "document": document_id,
            "thread": thread_of,
            "now": moment,
            "quiet": quiet_until,
        },
    )
    if created is not None:
        failpoint("outbox.enqueued")
        return replace(_as_restored(conn, created), enqueued="created")
    # In this order the other transaction, if there was one, has committed: the row is there to be read.
    present = _one(conn, f"select {_COLUMNS} from ops.outbox where dedupe_key = %(key)s for update", {"key": key})
    if present is None:
        raise DataFailure(f"The message {key!r} is neither new nor present: enqueue needs READ COMMITTED.")
    renewed = {
        "payload": _json(body),
        "payload_hash": digest,
        "channel": channel,
        "document_id": document_id if document_id is not None else present.document_id,
    }
    if present.state is State.FAILED:
        row = advance(conn, present.id, Event.REQUEUED, **renewed, not_before=None, error=None, created_at=moment)
        return replace(row, enqueued="requeued")
    if present.payload_hash == digest and (present.state is not State.PENDING or present.channel == channel):
        return replace(present, enqueued="unchanged")
    if present.state is State.PENDING:
        return replace(advance(conn, present.id, Event.REPLACED, **renewed), enqueued="replaced")
    row = advance(conn, present.id, Event.SUPERSEDED, superseded_payloads=present.superseded_payloads + 1)
    return replace(row, enqueued="superseded")


def _as_restored(conn: psycopg.Connection[Any], row: OutboxRow) -> OutboxRow:
    """The row as it must stand after a restore: sent where its vendor shows it, held where nobody can know. A message's
    id follows from its key, so one that is made again is known again."""
    from ops_platform.delivery.restored import beyond_knowing, hold, known_again

    external_id = known_again(conn, row.id)
    if external_id is not None:
        return advance(
            conn, row.id, Event.ACCEPTED, external_id=external_id, sent_at=wall_clock(),
            error="sent before a restore; its text then is not known",
        )  # fmt: skip
    why = beyond_knowing(
        conn, email=row.channel_key == "email", files=bool(row.payload.get("files")), parent=row.thread_of,
        ends=row.period_end,
    )  # fmt: skip
    return row if why is None else hold(conn, row.id, why)


def advance(
    conn: psycopg.Connection[Any],
    outbox_id: UUID,
    event: Event,
    *,
    attempt: int | None = None,
    **changes: Any,
) -> OutboxRow:
    """Apply `event` to a message: the one place where a state changes.

    With `attempt`, only if the message is still at that attempt. Raises `IllegalTransitionError` when the table
    has no such way or another attempt has begun since; nothing is changed then."""
    with conn.transaction():
        row = _one(conn, f"select {_COLUMNS} from ops.outbox where id = %(id)s for update", {"id": outbox_id})
        if row is None:
            raise DataFailure(f"The outbox has no message {outbox_id}.")
        if attempt is not None and row.attempts != attempt:
            raise IllegalTransitionError(
                f"message {outbox_id} is at attempt {row.attempts}, not {attempt}: not {event}"
            )
        changes["state"] = after(row.state, event).value
        changes["updated_at"] = wall_clock()
        assignments = ", ".join(f"{column} = %({column})s" for column in changes)
        updated = _one(
            conn,
            f"update ops.outbox set {assignments} where id = %(id)s returning {_COLUMNS}",
            {"id": row.id, **changes},
        )
        assert updated is not None  # the row is locked by this transaction
        return updated


def decide(
    conn: psycopg.Connection[Any], outbox_id: UUID, event: Event, *, by: str, external_id: str | None = None
) -> OutboxRow:
    """A person's word on a message: `requeued` (failed), `resend`, `confirmed` or `dropped` (held).

    `confirmed` needs the vendor's id of the message the person saw."""
    if event not in DECISIONS:
        raise IllegalTransitionError(f"{event} is not for a person to decide; one of {', '.join(sorted(DECISIONS))} is")
    if event is Event.CONFIRMED:
        if not external_id:
            raise DataFailure("To confirm a message as sent, give the vendor's id (Slack: ts) of the one you saw.")
        return advance(
            conn, outbox_id, event, external_id=external_id, sent_at=wall_clock(), error=f"confirmed by {by}"
        )
    # The age that expires a message counts from the moment somebody last asked for it.
    renewed: dict[str, Any] = {} if event is Event.DROPPED else {"not_before": None, "created_at": wall_clock()}
    return advance(conn, outbox_id, event, error=f"{event} by {by}", **renewed)


def find_row(conn: psycopg.Connection[Any], outbox_id: UUID) -> OutboxRow | None:
    """The message, or None."""
    return _one(conn, f"select {_COLUMNS} from ops.outbox where id = %(id)s", {"id": outbox_id})


def undelivered(conn: psycopg.Connection[Any]) -> list[OutboxRow]:
    """Every message that is not at the vendor, oldest first: what `ops status` shows."""
    return _all(conn, f"select {_COLUMNS} from ops.outbox where state <> 'sent' order by created_at, id", {})


def state_counts(conn: psycopg.Connection[Any]) -> dict[State, int]:
    """How many messages are in each state; every state is present."""
    rows = conn.execute("select state, count(*) from ops.outbox group by state").fetchall()
    found = {State(state): int(count) for state, count in rows}
    return {state: found.get(state, 0) for state in State}


def rows_where(conn: psycopg.Connection[Any], condition: str, parameters: Mapping[str, Any]) -> list[OutboxRow]:
    """Messages by a condition of this package's own (never of a caller's), in posting order."""
    return _all(conn, f"select {_COLUMNS} from ops.outbox where {condition} order by created_at, id", parameters)


def _check_parent(conn: psycopg.Connection[Any], parent: UUID, channel_key: str) -> None:
    row = find_row(conn, parent)
    if row is None:
        raise DataFailure(f"The outbox has no message {parent} to answer.")
    if row.channel_key != channel_key:
        raise DataFailure(f"An answer in {channel_key!r} cannot belong to a message in {row.channel_key!r}.")


def _bounded(key: str) -> str:
    """Keys are at most 255 characters; a longer one keeps its head and gets a digest for its tail."""
    return key if len(key) <= 255 else f"{key[:190]}:{hashlib.sha256(key.encode()).hexdigest()}"


def _clean(value: Any) -> Any:
    """What jsonb can store and Slack will not shout: no NUL, no lone surrogate, no mention of everyone."""
    if isinstance(value, str):
        text = value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
        return _MASS_MENTION.sub("&lt;", text)
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def _json(value: Any) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value, dumps=lambda item: orjson.dumps(item).decode())


def _all(conn: psycopg.Connection[Any], sql: str, parameters: Mapping[str, Any]) -> list[OutboxRow]:
    from psycopg.rows import dict_row

    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(sql.encode(), parameters)
        return [OutboxRow(**{**row, "state": State(row["state"])}) for row in cursor.fetchall()]


def _one(conn: psycopg.Connection[Any], sql: str, parameters: Mapping[str, Any]) -> OutboxRow | None:
    rows = _all(conn, sql, parameters)
    return rows[0] if rows else None

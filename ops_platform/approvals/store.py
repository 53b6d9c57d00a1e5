"""Approvals in the database.

Belongs here: the SQL on `ops.approvals`, `ops.approval_versions` and `ops.approval_events`. Does not belong here: what
may be done when (`inbox.py`, `execution.py`), messages.

The two tables that grow are the record; the row in `ops.approvals` is where that record has led to, kept so that it can
be locked and found. Triggers hold the two together, whatever the code does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.approvals.model import Approval, Attachment, Entry, Event, State, Version, fingerprint
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import psycopg

    from ops_platform.approvals.model import Payload, Person


@dataclass(frozen=True, slots=True)
class UnshownMessage:
    """A request's message at the vendor. `shown_hash` is of the payload it was last changed to, `posted_hash` of the
    one it was posted with."""

    approval_id: int
    changes: int
    shown_hash: str | None
    outbox_id: UUID
    channel: str
    external_id: str
    posted_hash: str


_APPROVAL = """
select approvals.id, approvals.kind, approvals.subject, approvals.title, approvals.author, approvals.channel_key,
    approvals.state, approvals.version, versions.payload, versions.payload_hash, versions.made_by, approvals.due_at,
    approvals.created_at, approvals.updated_at, approvals.outbox_id, approvals.changes, approvals.assignee
from ops.approvals as approvals
join ops.approval_versions as versions
    on versions.approval_id = approvals.id and versions.version = approvals.version
where {condition}
order by approvals.id desc
limit %(most)s
"""


def insert(
    connection: psycopg.Connection[Any],
    *,
    kind: str,
    subject: str,
    title: str,
    author: str,
    channel_key: str | None,
    due_at: datetime,
    now: datetime,
    assignee: str | None = None,
) -> int | None:
    """A new request in draft, without a payload yet; None where one on this subject is open."""
    row = connection.execute(
        """insert into ops.approvals
               (kind, subject, title, author, channel_key, state, version, due_at, created_at, updated_at, assignee)
           values (%s, %s, %s, %s, %s, 'draft', 1, %s, %s, %s, %s)
           on conflict (kind, subject) where state in ('draft', 'approved', 'failed') do nothing returning id""",
        (kind, subject, title, author, channel_key, due_at, now, now, assignee),
    ).fetchone()
    return None if row is None else int(row[0])


def add_version(
    connection: psycopg.Connection[Any],
    approval_id: int,
    number: int,
    payload: Payload,
    *,
    made_by: str,
    note: str,
    now: datetime,
) -> str:
    """Keep the payload as version `number`; returns its fingerprint."""
    from psycopg.types.json import Jsonb

    digest = fingerprint(payload)
    connection.execute(
        """insert into ops.approval_versions (approval_id, version, payload, payload_hash, made_by, note, at)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        (approval_id, number, Jsonb(dict(payload)), digest, made_by, note, now),
    )
    connection.execute(
        "update ops.approvals set version = %s, updated_at = %s, changes = changes + 1 where id = %s",
        (number, now, approval_id),
    )
    return digest


def add_event(
    connection: psycopg.Connection[Any],
    approval: Approval,
    event: Event,
    person: Person,
    *,
    words: str,
    key: str,
    now: datetime,
) -> int:
    """Write down what was said or done about the version that counts now."""
    row = connection.execute(
        """insert into ops.approval_events
               (approval_id, version, payload_hash, event, actor, actor_name, via, words, idempotency_key, at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id""",
        (
            approval.id, approval.version, approval.payload_hash, event.value, person.id, person.name, person.via,
            words, key, now,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])


def set_state(connection: psycopg.Connection[Any], approval_id: int, state: State, now: datetime) -> None:
    connection.execute(
        "update ops.approvals set state = %s, updated_at = %s, changes = changes + 1 where id = %s",
        (state.value, now, approval_id),
    )


def set_message(connection: psycopg.Connection[Any], approval_id: int, outbox_id: UUID) -> None:
    connection.execute("update ops.approvals set outbox_id = %s where id = %s", (outbox_id, approval_id))


def touch(connection: psycopg.Connection[Any], approval_id: int, now: datetime) -> None:
    """Something was said: the message shows it at the next turn."""
    connection.execute(
        "update ops.approvals set updated_at = %s, changes = changes + 1 where id = %s", (now, approval_id)
    )


def set_assignee(connection: psycopg.Connection[Any], approval_id: int, assignee: str) -> None:
    connection.execute("update ops.approvals set assignee = %s where id = %s", (assignee, approval_id))


def set_due(connection: psycopg.Connection[Any], approval_id: int, due_at: datetime) -> None:
    connection.execute("update ops.approvals set due_at = %s where id = %s", (due_at, approval_id))


def attach(
    connection: psycopg.Connection[Any],
    approval_id: int,
    name: str,
    media_type: str,
    content: bytes,
    *,
    added_by: str,
    now: datetime,
) -> bool:
    """Keep a file beside the request; False where the same file is there already. Raises `DataFailure` where another
    one has its name."""
    digest = hashlib.sha256(content).hexdigest()
    row = connection.execute(
        """insert into ops.approval_attachments (approval_id, name, media_type, content, sha256, added_by, at)
           values (%s, %s, %s, %s, %s, %s, %s) on conflict (approval_id, name) do nothing returning id""",
        (approval_id, name, media_type, content, digest, added_by, now),
    ).fetchone()
    if row is not None:
        return True
    if any(one.name == name and one.sha256 == digest for one in attachments(connection, approval_id)):
        return False
    raise DataFailure(f"request #{approval_id} has another file called {name}: give this one a name of its own")


def attachments(connection: psycopg.Connection[Any], approval_id: int) -> list[Attachment]:
    """The files beside a request, the first first; without their content."""
    rows = connection.execute(
        """select name, media_type, octet_length(content), sha256, added_by, at from ops.approval_attachments
           where approval_id = %s order by id""",
        (approval_id,),
    )
    return [Attachment(*row) for row in rows]


def attachment(connection: psycopg.Connection[Any], approval_id: int, name: str) -> bytes:
    """The content of one. Raises `DataFailure` where there is none of that name."""
    row = connection.execute(
        "select content from ops.approval_attachments where approval_id = %s and name = %s", (approval_id, name)
    ).fetchone()
    if row is None:
        raise DataFailure(f"request #{approval_id} has no file called {name!r}")
    return bytes(row[0])


def unshown(connection: psycopg.Connection[Any], approval_id: int | None = None) -> list[UnshownMessage]:
    """Messages at the vendor that show where a request stood before; of one request, or of all."""
    rows = connection.execute(
        """select approvals.id, approvals.changes, approvals.shown_hash, outbox.id, outbox.channel, outbox.external_id,
               outbox.payload_hash
           from ops.approvals join ops.outbox on outbox.id = approvals.outbox_id
           where outbox.state = 'sent' and approvals.shown_changes < approvals.changes
               and (%(id)s::bigint is null or approvals.id = %(id)s)
           order by approvals.id limit 50""",
        {"id": approval_id},
    )
    return [UnshownMessage(*row) for row in rows]


def note_shown(
    connection: psycopg.Connection[Any], approval_id: int, changes: int, shown_hash: str, error: str | None
) -> None:
    """The message shows the request as it was after so many changes (or never will, which `error` says)."""
    connection.execute(
        "update ops.approvals set shown_changes = %s, shown_hash = %s, shown_error = %s where id = %s",
        (changes, shown_hash, error, approval_id),
    )


def load(connection: psycopg.Connection[Any], approval_id: int, *, lock: bool = False) -> Approval:
    """The request; with `lock` nobody else changes it until this transaction ends. Raises `DataFailure`."""
    if lock:
        connection.execute("select 1 from ops.approvals where id = %s for update", (approval_id,))
    found = _all(connection, "approvals.id = %(id)s", {"id": approval_id})
    if not found:
        raise DataFailure(f"there is no request #{approval_id}: `ops approval list --all` shows them")
    return found[0]


def newest_on(connection: psycopg.Connection[Any], kind: str, subject: str) -> Approval | None:
    """The newest request on this subject, open or over."""
    found = _all(
        connection, "approvals.kind = %(kind)s and approvals.subject = %(subject)s",
        {"kind": kind, "subject": subject}, most=1,
    )  # fmt: skip
    return found[0] if found else None


def waiting(connection: psycopg.Connection[Any], *, everything: bool = False, limit: int = 100) -> list[Approval]:
    """Requests that are open, the newest first; with `everything` also those that are over."""
    return _all(
        connection, "%(all)s or approvals.state in ('draft', 'approved', 'failed')", {"all": everything}, most=limit
    )


def overdue(connection: psycopg.Connection[Any], now: datetime) -> list[int]:
    rows = connection.execute(
        "select id from ops.approvals where state = 'draft' and due_at <= %s order by id limit 100", (now,)
    )
    return [number for (number,) in rows]


def approved(connection: psycopg.Connection[Any]) -> list[int]:
    rows = connection.execute("select id from ops.approvals where state = 'approved' order by id limit 100")
    return [number for (number,) in rows]


def take_approved(connection: psycopg.Connection[Any], approval_id: int) -> Approval | None:
    """An approved request, locked; None where it is not approved, or another worker has it."""
    row = connection.execute(
        "select 1 from ops.approvals where id = %s and state = 'approved' for update skip locked", (approval_id,)
    ).fetchone()
    return None if row is None else load(connection, approval_id)


def versions(connection: psycopg.Connection[Any], approval_id: int) -> list[Version]:
    """Every payload of the request, the first first."""
    rows = connection.execute(
        """select version, payload, payload_hash, made_by, note, at from ops.approval_versions
           where approval_id = %s order by version""",
        (approval_id,),
    )
    return [Version(*row) for row in rows]


def entries(connection: psycopg.Connection[Any], approval_id: int) -> list[Entry]:
    """Everything that was said and done, in order."""
    rows = connection.execute(
        """select id, event, version, payload_hash, actor, actor_name, via, words, at from ops.approval_events
           where approval_id = %s order by id""",
        (approval_id,),
    )
    return [Entry(row[0], Event(row[1]), *row[2:]) for row in rows]


def event_by_key(connection: psycopg.Connection[Any], key: str) -> tuple[int, Event, str, str] | None:
    """(request, event, actor, words) of what was said under this key."""
    row = connection.execute(
        "select approval_id, event, actor, words from ops.approval_events where idempotency_key = %s", (key,)
    ).fetchone()
    return None if row is None else (row[0], Event(row[1]), row[2], row[3])


def _all(
    connection: psycopg.Connection[Any], condition: str, parameters: dict[str, Any], most: int = 100
) -> list[Approval]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_APPROVAL.format(condition=condition).encode(), {**parameters, "most": most})
        return [Approval(**{**row, "state": State(row["state"])}) for row in cursor.fetchall()]

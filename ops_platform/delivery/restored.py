"""After a restore: what was delivered since the backup is known to the vendors only, so they are asked first.

Belongs here: marking a restored outbox, asking the vendors once, and what that means for a message put in since. Does
not belong here: making and restoring backups (`ops_platform.backup`), the vendor's protocol (`ShownSince`).

A message's id follows from its dedupe key. A run that is repeated after a restore makes the same message with the same
id, and the id is in what the vendor shows: it is taken for sent. Until every channel was read, nothing is posted. What
cannot be known again (files carry no id of ours, an e-mail cannot be looked up) is held for a person.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from uuid import UUID

from ops_platform.delivery.outbox import OutboxRow, advance, rows_where, wall_clock
from ops_platform.delivery.states import Event, State
from ops_platform.failpoints import failpoint
from ops_platform.failures import OpsError

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)
#: A message is shown a moment after it was asked for.
MARGIN = timedelta(hours=1)
#: Threads that began so long before the backup may have had answers since.
THREADS = timedelta(days=60)
#: Ids made between backup and restore are in channels and people's memory: new ones begin well after them.
LEAST_JUMP, JUMP_A_DAY = 1_000, 1_000
_LOCK = 4_172_018_018
_HELD = "held after a restore: it may have been sent between the backup and the restore, and cannot be looked up"


@runtime_checkable
class ShownSince(Protocol):
    """A poster that can tell which of our messages its vendor shows."""

    def shown_since(self, channel: str, after: str | None, threads: Iterable[str]) -> Mapping[UUID, str]:
        """Outbox ids and the vendor's ids of our messages in `channel` later than the vendor's id `after` (None: all),
        with the answers in `threads` (vendor's ids of messages that may be older). Raises `TransientFailure` or
        `PermanentFailure` when not everything could be read."""
        ...


def mark_restored(conn: psycopg.Connection[Any], *, backup: str, backup_at: datetime, now: datetime) -> int:
    """Note, in a database just made from a backup, that it is one, and let ids begin well after those of the lost time.
    Returns the number of the restore."""
    row = conn.execute(
        "insert into ops.restores (backup, backup_at, restored_at) values (%s, %s, %s) returning id",
        (backup, backup_at, now),
    ).fetchone()
    assert row is not None
    jump = max(LEAST_JUMP, (now - backup_at).days * JUMP_A_DAY)
    from psycopg import sql

    for (name,) in conn.execute(
        "select sequencename from pg_sequences where schemaname = 'ops' and last_value is not null order by 1"
    ).fetchall():
        sequence = sql.Identifier("ops", name)
        conn.execute(sql.SQL("select setval({}, last_value + {}) from {}").format(
            sql.Literal(f"ops.{name}"), sql.Literal(jump), sequence
        ))  # fmt: skip
    return int(row[0])


def unreconciled(conn: psycopg.Connection[Any]) -> tuple[int, datetime, datetime] | None:
    """The restore that vendors were not asked about yet: its number, the backup's moment and its own."""
    row = conn.execute(
        "select max(id), min(backup_at), max(restored_at) from ops.restores where reconciled_at is null"
    ).fetchone()
    return None if row is None or row[0] is None else (int(row[0]), row[1], row[2])


def reconcile(conn: psycopg.Connection[Any], poster: object) -> int:
    """Ask the vendor what it shows since the backup, and take that over; returns how many waiting messages were sent in
    the lost time. Does nothing when there is no restore to reconcile. Nothing is kept of a reading that broke off.

    `conn` commits by itself. Raises `TransientFailure` or `PermanentFailure` when a channel cannot be read."""
    if unreconciled(conn) is None:
        return 0
    conn.execute("select pg_advisory_lock(%s)", (_LOCK,))
    try:
        restore = unreconciled(conn)
        if restore is None:
            return 0
        number, backup_at, _ = restore
        after = _newest_known(conn)
        if not isinstance(poster, ShownSince):
            raise OpsError("this outbox was restored from a backup, and its messages cannot be looked up here")
        shown = {
            channel: poster.shown_since(channel, after, _threads(conn, channel, backup_at))
            for channel in _channels(conn)
        }
        failpoint("restore.read")
        adopted = 0
        with conn.transaction():
            for channel, messages in shown.items():
                for outbox_id, external_id in messages.items():
                    conn.execute(
                        "insert into ops.restored_messages (outbox_id, restore_id, channel, external_id)"
                        " values (%s, %s, %s, %s) on conflict (outbox_id) do nothing",
                        (outbox_id, number, channel, external_id),
                    )
            adopted = _settle_known(conn)
            conn.execute(
                "update ops.restores set reconciled_at = %s, adopted = %s where reconciled_at is null",
                (wall_clock(), sum(len(messages) for messages in shown.values())),
            )
            failpoint("restore.adopted")
        return adopted
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(%s)", (_LOCK,))


def hold(conn: psycopg.Connection[Any], outbox_id: UUID, why: str) -> OutboxRow:
    """Keep a message from being posted or looked up until a person decides."""
    never = wall_clock() + timedelta(days=36_500)
    return advance(conn, outbox_id, Event.BEYOND_KNOWING, error=why, not_before=never, lease_until=None)


def known_again(conn: psycopg.Connection[Any], outbox_id: UUID) -> str | None:
    """The vendor's id of a message that is put in the outbox now and was shown before a restore."""
    row = conn.execute("select external_id from ops.restored_messages where outbox_id = %s", (outbox_id,)).fetchone()
    return None if row is None else str(row[0])


def beyond_knowing(
    conn: psycopg.Connection[Any], *, email: bool, files: bool, parent: UUID | None, ends: object
) -> str | None:
    """Why a message that is put in now must wait for a person: it may have been sent in the time a restore lost, and
    nobody can look. None where it cannot have been."""
    if not email and not files:
        return None
    restore = conn.execute("select backup_at, restored_at from ops.restores order by id desc limit 1").fetchone()
    if restore is None:
        return None
    if parent is not None and known_again(conn, parent) is not None:
        return _HELD
    if email and ends is not None:
        lost = conn.execute(
            "select %s::date between (%s::timestamptz - interval '40 days')::date and %s::timestamptz::date",
            (ends, restore[0], restore[1]),
        ).fetchone()
        return _HELD if lost is not None and lost[0] else None
    return None


def _channels(conn: psycopg.Connection[Any]) -> list[str]:
    """Every channel that ever had a message of ours: also one whose first was in the lost time is found by its key."""
    from ops_platform.settings import get_settings

    settings = get_settings()
    known = {settings.slack_channel_executive, settings.slack_channel_team, settings.slack_channel_alerts} - {None}
    rows = conn.execute("select distinct channel from ops.outbox where channel_key <> 'email'").fetchall()
    return sorted({str(name) for name in known} | {str(channel) for (channel,) in rows})


def _newest_known(conn: psycopg.Connection[Any]) -> str | None:
    """The vendor's id of the newest message the backup knows of, less a margin: by the vendor's own clock, which ours
    need not agree with. What was sent in the lost time is later."""
    row = conn.execute(
        "select max(external_id::numeric) from ops.outbox where state = 'sent' and channel_key <> 'email'"
        " and external_id ~ '^[0-9]+[.][0-9]+$'"
    ).fetchone()
    return None if row is None or row[0] is None else f"{float(row[0]) - MARGIN.total_seconds():.6f}"


def _threads(conn: psycopg.Connection[Any], channel: str, backup_at: datetime) -> list[str]:
    rows = conn.execute(
        "select external_id from ops.outbox where channel = %s and state = 'sent' and thread_of is null"
        " and external_id ~ '^[0-9]+[.][0-9]+$' and sent_at > %s order by sent_at",
        (channel, backup_at - THREADS),
    ).fetchall()
    return [str(external_id) for (external_id,) in rows]


def _settle_known(conn: psycopg.Connection[Any]) -> int:
    """Rows of the backup that were not sent yet: those that vendors show are; those that nobody can know are held."""
    moved = 0
    for row in rows_where(conn, "state <> 'sent'", {}):
        external_id = known_again(conn, row.id)
        if external_id is not None:
            if row.state is State.FAILED:  # it was asked for again in the lost time
                advance(conn, row.id, Event.REQUEUED, error=row.error)
            advance(conn, row.id, Event.ACCEPTED, external_id=external_id, sent_at=wall_clock(), error=None)
            moved += 1
        elif row.state in (State.PENDING, State.SENDING, State.AMBIGUOUS) and (
            row.channel_key == "email" or row.payload.get("files")
        ):
            hold(conn, row.id, _HELD)
    return moved

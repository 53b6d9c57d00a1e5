"""Settling a post whose outcome is unknown: look for it at the vendor before anything else.

Belongs here: the look-up of one ambiguous or held message, how far back to look, and what its answer means.
Does not belong here: posting (`worker.py`), the vendor's paging (`Poster.find`).

Two clocks are never compared unless they proved to agree: ours says when a row was made, the vendor's ids
say when a message was shown. The bound of a look-up is therefore the vendor's id of a message we know to be
older, and our own clock only narrows it where that message shows both clocks running together.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.delivery.handover import noted
from ops_platform.delivery.outbox import OutboxRow, advance, find_row, rows_where
from ops_platform.delivery.states import Event, IllegalTransitionError, State
from ops_platform.failpoints import failpoint
from ops_platform.failures import PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from ops_platform.delivery.poster import Poster

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReconcilePolicy:
    """`margin`: how far before the bound to look all the same. `retry`: wait after a look-up that could not
    tell. `give_up`: after so long of not telling, the message is held. `recheck`: how often a held one is
    looked up again."""

    margin: timedelta = timedelta(hours=1)
    retry: timedelta = timedelta(seconds=15)
    give_up: timedelta = timedelta(minutes=10)
    recheck: timedelta = timedelta(minutes=15)


def settle(
    conn: psycopg.Connection[Any],
    poster: Poster,
    row: OutboxRow,
    *,
    now: Callable[[], datetime],
    policy: ReconcilePolicy,
) -> OutboxRow:
    """Look `row` (ambiguous or held) up and move it accordingly; returns the row as it is afterwards.

    "Not found" counts only when the look-up began after the row settled (`lease_until`): a request that was
    still under way may arrive until then. The caller holds the channel, so nobody else is posting it."""
    try:
        return _settle(conn, poster, row, now, policy)
    except IllegalTransitionError as error:
        # Its first worker was slow, not dead, and has written the outcome meanwhile.
        log.warning("outbox %s: %s", row.id, error)
        return find_row(conn, row.id) or row


def _settle(
    conn: psycopg.Connection[Any],
    poster: Poster,
    row: OutboxRow,
    now: Callable[[], datetime],
    policy: ReconcilePolicy,
) -> OutboxRow:
    began = now()
    settled = row.lease_until is None or began >= row.lease_until
    parent = _thread(conn, row)
    bound = _bound(conn, row, policy.margin)
    failpoint("outbox.lookup")
    try:
        seen = poster.find(row.channel, outbox_id=row.id, after=bound, thread_of=parent, handed_over=noted(conn, row))
    except PermanentFailure as error:
        return _unreadable(conn, row, f"its outcome is unknown and the channel cannot be read: {error}", began, policy)
    except TransientFailure as error:
        wait = max(policy.retry, timedelta(seconds=error.retry_after or 0))
        return _undecided(conn, row, f"the channel could not be read: {error}", began, wait, policy)
    except Exception as error:  # whatever went wrong, it did not say that the message is absent
        log.exception("outbox %s: unexpected failure while looking it up", row.id)
        return _undecided(conn, row, f"the look-up failed: {error!r}", began, policy.retry, policy)
    failpoint("outbox.looked_up")
    if seen.external_id is not None:
        return advance(
            conn,
            row.id,
            Event.FOUND,
            attempt=row.attempts,
            external_id=seen.external_id,
            sent_at=began,
            error=None,
        )
    if not seen.complete and not (bound is None and _reached(seen.reached, row.created_at - policy.margin)):
        return _undecided(conn, row, "the channel's history is too long to read back", began, policy.retry, policy)
    if not settled:
        return advance(conn, row.id, Event.UNSETTLED, attempt=row.attempts, not_before=row.lease_until, error=row.error)
    return advance(conn, row.id, Event.ABSENT, attempt=row.attempts, not_before=None, lease_until=None)


def _reached(oldest_read: str | None, moment: datetime) -> bool:
    """Whether a look-up without a bound went back far enough: newest first, past the row's own making."""
    return oldest_read is not None and float(oldest_read) <= moment.timestamp()


def _undecided(
    conn: psycopg.Connection[Any],
    row: OutboxRow,
    why: str,
    at: datetime,
    wait: timedelta,
    policy: ReconcilePolicy,
) -> OutboxRow:
    since = row.lease_until or at
    if row.state is State.HELD or at >= since + policy.give_up:
        return _unreadable(conn, row, f"its outcome is unknown and {why}", at, policy)
    return advance(conn, row.id, Event.UNSETTLED, attempt=row.attempts, not_before=at + wait, error=why)


def _unreadable(
    conn: psycopg.Connection[Any], row: OutboxRow, why: str, at: datetime, policy: ReconcilePolicy
) -> OutboxRow:
    return advance(
        conn,
        row.id,
        Event.UNREADABLE,
        attempt=row.attempts,
        not_before=at + policy.recheck,
        error=f"held: {why}; not repeated, since that might post it twice",
    )


def _thread(conn: psycopg.Connection[Any], row: OutboxRow) -> str | None:
    if row.thread_of is None:
        return None
    parent = find_row(conn, row.thread_of)
    return parent.external_id if parent else None


def _bound(conn: psycopg.Connection[Any], row: OutboxRow, margin: timedelta) -> str | None:
    """A vendor's id certainly older than any post of `row`, less the margin; None when we know of none."""
    older = rows_where(
        conn,
        """id = (select id from ops.outbox where channel = %(channel)s and state = 'sent'
                 and sent_at <= %(created)s and error is null
                 and external_id ~ '^[0-9]+([.][0-9]+)?$' order by sent_at desc limit 1)""",
        {"channel": row.channel, "created": row.created_at},
    )
    if not older:
        return None
    anchor, sent_at = older[0].external_id, older[0].sent_at
    assert anchor is not None  # the query asks for both
    assert sent_at is not None
    bound = float(anchor)
    if abs(bound - sent_at.timestamp()) < margin.total_seconds() / 2:
        bound = max(bound, row.created_at.timestamp())
    return f"{bound - margin.total_seconds():.6f}"

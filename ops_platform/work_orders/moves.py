"""What people and the manager do with an order: its clock, its approval, taking it up again, withdrawing it.

Belongs here: these moves. Does not belong here: the queue and leases (`store.py`), who may (`ops_platform.approvals`,
the command line), what an issue asks for (`receiving.py`). Every function works within the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.failures import DataFailure
from ops_platform.work_orders import decisions
from ops_platform.work_orders.changes import answered, end_attempt, locked, pause_clock, resume_clock
from ops_platform.work_orders.model import Phase, WorkOrder
from ops_platform.work_orders.policy import WorkPolicy, get_work_policy
from ops_platform.work_orders.rows import load, reclock

if TYPE_CHECKING:
    import psycopg

WITH_THE_MANAGER = "with the manager"

# The clock ------------------------------------------------------------------------------------------------------


def pause(
    connection: psycopg.Connection[Any],
    work_id: int,
    reason: str,
    by: str,
    *,
    policy: WorkPolicy | None = None,
    at: datetime | None = None,
) -> WorkOrder:
    """Stop the clock, and do not begin with the order meanwhile. Raises `DataFailure` without a reason, for a clock
    that stands still already, or an order whose clock is over."""
    now = at or clock.now()
    if not reason.strip():
        raise DataFailure("a clock is paused for a reason: say which")
    with connection.transaction():
        work = locked(connection, work_id)
        if work.answered_at is not None or work.phase in (Phase.WITHDRAWN, Phase.FAILED):
            raise DataFailure(f"{work.name} is {work.phase}: its clock is over")
        if work.paused_since is not None:
            raise DataFailure(f"the clock of {work.name} stands still since {work.paused_since:%Y-%m-%d %H:%M} UTC")
        pause_clock(connection, work_id, reason, by, now)
        reclock(connection, work_id, policy or get_work_policy())
        decisions.record(connection, "clock_paused", reason, work_id=work_id, actor=by, at=now)
    return load(connection, work_id)


def resume(
    connection: psycopg.Connection[Any],
    work_id: int,
    by: str,
    *,
    policy: WorkPolicy | None = None,
    at: datetime | None = None,
) -> WorkOrder:
    """Let the clock run on: what stood still is added to when it is due. Raises `DataFailure` where it runs."""
    now = at or clock.now()
    with connection.transaction():
        work = locked(connection, work_id)
        if not resume_clock(connection, work_id, by, now):
            raise DataFailure(f"the clock of {work.name} is running")
        due = reclock(connection, work_id, policy or get_work_policy())
        decisions.record(
            connection, "clock_resumed", f"due {due:%Y-%m-%d %H:%M} UTC" if due else "-", work_id=work_id, actor=by,
            at=now,
        )  # fmt: skip
    return load(connection, work_id)


# People ---------------------------------------------------------------------------------------------------------


def approve(
    connection: psycopg.Connection[Any], work_id: int, by: str, words: str = "", *, at: datetime | None = None
) -> WorkOrder:
    """The manager approves an answer: the order is done. Raises `DataFailure` where none waits. That `by` may approve,
    the caller has made sure of (`ops_platform.approvals`)."""
    now = at or clock.now()
    with connection.transaction():
        work = answered(connection, work_id)
        connection.execute(
            "update ops.work_orders set phase = 'done', manager = 'approved', ended_at = %s, updated_at = %s"
            " where id = %s",
            (now, now, work_id),
        )
        decisions.record(connection, "approved", words or "approved", work_id=work.id, actor=by, at=now)
    return load(connection, work_id)


def revise(
    connection: psycopg.Connection[Any],
    work_id: int,
    by: str,
    note: str,
    *,
    policy: WorkPolicy | None = None,
    at: datetime | None = None,
) -> WorkOrder:
    """The manager wants it otherwise: queued again with the note. The time it lay with the manager does not count
    against the agent. Raises `DataFailure` where no answer waits, or without a note."""
    now = at or clock.now()
    if not note.strip():
        raise DataFailure("say what should be otherwise")
    with connection.transaction():
        work = answered(connection, work_id)
        assert work.answered_at is not None
        connection.execute(
            "insert into ops.work_clock (work_id, paused_at, reason, by, resumed_at, resumed_by)"
            " values (%s, %s, %s, %s, %s, %s)",
            (work_id, work.answered_at, WITH_THE_MANAGER, decisions.PLATFORM, max(now, work.answered_at), by),
        )
        connection.execute(
            """update ops.work_orders set phase = 'queued', manager = 'needs_revision', revision_note = %s,
                   answered_at = null, queued_at = %s, updated_at = %s where id = %s""",
            (note[:4000], now, now, work_id),
        )
        reclock(connection, work_id, policy or get_work_policy())
        decisions.record(connection, "needs_revision", note, work_id=work_id, actor=by, at=now)
    return load(connection, work_id)


def escalate(
    connection: psycopg.Connection[Any], work_id: int, reason: str, *, at: datetime | None = None
) -> WorkOrder:
    """Mark an open order as escalated to the manager. An approved one stays so."""
    now = at or clock.now()
    row = connection.execute(
        "update ops.work_orders set manager = 'escalated', updated_at = %s where id = %s"
        " and manager <> 'approved' and phase not in ('done', 'withdrawn') returning id",
        (now, work_id),
    ).fetchone()
    if row is not None:
        decisions.record(connection, "escalated", reason, work_id=work_id, at=now)
    return load(connection, work_id)


def requeue(
    connection: psycopg.Connection[Any],
    work_id: int,
    by: str,
    reason: str,
    *,
    policy: WorkPolicy | None = None,
    at: datetime | None = None,
) -> WorkOrder:
    """A blocked or failed order is taken up again. Raises `DataFailure` for any other."""
    now = at or clock.now()
    with connection.transaction():
        work = locked(connection, work_id)
        if work.phase not in (Phase.BLOCKED, Phase.FAILED):
            raise DataFailure(f"{work.name} is {work.phase}: only a blocked or failed order is queued again")
        resume_clock(connection, work_id, by, now)
        connection.execute(
            """update ops.work_orders set phase = 'queued', queued_at = %(now)s, ended_at = null, not_before = null,
                   launched_until = null, failure_class = null, updated_at = %(now)s where id = %(id)s""",
            {"now": now, "id": work_id},
        )
        reclock(connection, work_id, policy or get_work_policy())
        decisions.record(connection, "queued_again", reason or "-", work_id=work_id, actor=by, at=now)
    return load(connection, work_id)


def withdraw(
    connection: psycopg.Connection[Any], work_id: int, reason: str, by: str, *, at: datetime | None = None
) -> WorkOrder:
    """The order is wanted no more. Whoever works on it loses the lease. Raises `DataFailure` where it has ended."""
    now = at or clock.now()
    with connection.transaction():
        work = locked(connection, work_id)
        if work.phase in (Phase.DONE, Phase.WITHDRAWN, Phase.FAILED):
            raise DataFailure(f"{work.name} is {work.phase} already")
        if work.phase is Phase.RUNNING:
            end_attempt(connection, work, "withdrawn", reason, now)
        resume_clock(connection, work_id, by, now)
        connection.execute(
            """update ops.work_orders set phase = 'withdrawn', reason = %(reason)s, ended_at = %(now)s,
                   held_reason = null, lease_holder = null, lease_until = null, updated_at = %(now)s
               where id = %(id)s""",
            {"reason": reason[:2000], "now": now, "id": work_id},
        )
        connection.execute(
            "update ops.work_orders set paused_since = null where id = %s and due_at is not null", (work_id,)
        )
        decisions.record(connection, "withdrawn", reason, work_id=work_id, actor=by, at=now)
    return load(connection, work_id)

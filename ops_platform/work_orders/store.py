"""The queue of work orders: taken up once, kept by a lease, never lost, never twice.

Belongs here: every move of an order that is worked on. Does not belong here: making orders of issues
(`receiving.py`), what people do with one (`moves.py`, also to be had here), effects on GitHub (`effects.py`), when the
queue is looked at (jobs and sensors).

Every function works within the caller's transaction, which commits. Moments of the business (`at`) are those of
`clock.now()`; leases are about machines, so they follow the machine's clock unless a moment is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ops_platform import clock
from ops_platform.failpoints import failpoint
from ops_platform.failures import (
    AmbiguousFailure,
    ConfigurationError,
    DataFailure,
    PermanentFailure,
    TransientFailure,
)
from ops_platform.work_orders import decisions
from ops_platform.work_orders.changes import after_failure, end_attempt, pause_clock
from ops_platform.work_orders.model import FailureClass, Manager, Phase, WorkOrder
from ops_platform.work_orders.moves import approve, escalate, pause, requeue, resume, revise, withdraw
from ops_platform.work_orders.policy import WorkPolicy, get_work_policy
from ops_platform.work_orders.rows import COLUMNS, load, of_issue, order_of, orders, reclock

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "LostLeaseError", "approve", "claim", "class_of", "escalate", "fail", "finish", "heartbeat", "launched", "load",
    "next_due", "of_issue", "pause", "release_dead", "requeue", "resume", "revise", "still_held_by", "unfinished",
    "withdraw",
]  # fmt: skip

RETRIED = (FailureClass.TRANSIENT, FailureClass.AMBIGUOUS, FailureClass.TIMEOUT)


class LostLeaseError(DataFailure):
    """The order is another's by now, or is held or withdrawn: what was done here is rolled back."""


def machine_clock() -> datetime:
    return datetime.now(UTC)


# Taking up ----------------------------------------------------------------------------------------------------


def next_due(connection: psycopg.Connection[Any], limit: int, *, at: datetime | None = None) -> list[WorkOrder]:
    """What is to be worked on next: P0 first, then by when it is due. One indexed query; takes nothing. Left out are
    orders that wait for another attempt, whose clock stands still, or whose run was launched and has not claimed."""
    return orders(
        connection,
        "phase = 'queued' and paused_since is null and (not_before is null or not_before <= %(at)s)"
        " and (launched_until is null or launched_until <= %(machine)s)",
        {"at": at or clock.now(), "machine": at or machine_clock(), "limit": limit},
        tail="order by priority, due_at, id limit %(limit)s",
    )


def launched(
    connection: psycopg.Connection[Any], work_id: int, seconds: float, *, at: datetime | None = None
) -> str | None:
    """Say that a run is being launched for a queued order: nobody else launches one for `seconds`. Its run key, None
    where somebody was quicker."""
    machine = at or machine_clock()
    row = connection.execute(
        f"""update ops.work_orders set launches = launches + 1, launched_until = %(until)s
            where id = %(id)s and phase = 'queued' and (launched_until is null or launched_until <= %(machine)s)
            returning {COLUMNS}""".encode(),
        {"id": work_id, "until": machine + timedelta(seconds=seconds), "machine": machine},
    ).fetchone()
    if row is None:
        return None
    work = order_of(row)
    return f"work:{work.id}:{work.attempt + 1}:{work.launches}"


def claim(
    connection: psycopg.Connection[Any],
    work_id: int,
    holder: str,
    lease_seconds: float,
    *,
    agent_limit: int | None = None,
    run_id: str | None = None,
    at: datetime | None = None,
) -> WorkOrder | None:
    """Take a queued order up, as `holder`, for `lease_seconds`; None where somebody else has it, where it is not to be
    worked on now, or where the agent works on `agent_limit` orders already."""
    now, machine = at or clock.now(), at or machine_clock()
    with connection.transaction():
        if agent_limit is not None:
            # Agents are counted one claim at a time; orders of other agents do not wait.
            connection.execute(
                "select pg_advisory_xact_lock(4172019, hashtext(agent)) from ops.work_orders where id = %s", (work_id,)
            )
        row = connection.execute(
            f"""update ops.work_orders as taken
                set phase = 'running', attempt = attempt + 1, lease_holder = %(holder)s, lease_until = %(until)s,
                    started_at = coalesce(started_at, %(now)s), launched_until = null, not_before = null,
                    outcome = null, reason = null, failure_class = null, updated_at = %(now)s
                where id = %(id)s and phase = 'queued' and paused_since is null
                    and (not_before is null or not_before <= %(now)s)
                    and (%(limit)s::int is null or %(limit)s > (
                        select count(*) from ops.work_orders as busy
                        where busy.agent = taken.agent and busy.phase = 'running'
                    ))
                returning {COLUMNS}""".encode(),
            {
                "id": work_id, "holder": holder, "until": machine + timedelta(seconds=lease_seconds), "now": now,
                "limit": agent_limit,
            },
        ).fetchone()  # fmt: skip
        if row is None:
            return None
        work = order_of(row)
        connection.execute(
            """insert into ops.work_attempts (work_id, attempt, holder, agent, priority, run_id, started_at)
               values (%s, %s, %s, %s, %s, %s, %s)""",
            (work.id, work.attempt, holder, work.agent, work.priority, run_id, now),
        )
        decisions.record(
            connection, "claimed", f"attempt {work.attempt} by {holder}", work_id=work.id, actor=f"agent:{work.agent}",
            facts={"attempt": work.attempt, "run_id": run_id}, at=now,
        )  # fmt: skip
    failpoint("work_orders.claimed")
    return work


def heartbeat(
    connection: psycopg.Connection[Any], work_id: int, holder: str, lease_seconds: float, *, at: datetime | None = None
) -> None:
    """Keep the lease. Raises `LostLeaseError` where it is gone: stop working."""
    until = (at or machine_clock()) + timedelta(seconds=lease_seconds)
    row = connection.execute(
        "update ops.work_orders set lease_until = %s where id = %s and phase = 'running' and lease_holder = %s"
        " returning id",
        (until, work_id, holder),
    ).fetchone()
    if row is None:
        raise LostLeaseError(f"work order {work_id} is not {holder}'s any more")


def still_held_by(connection: psycopg.Connection[Any], work_id: int, holder: str) -> WorkOrder:
    """The order, locked until the transaction ends, if `holder` still has it and its words are still those that an
    authorised person labelled. Raises `LostLeaseError`. Ask before each step that changes something outside."""
    found = orders(connection, "id = %(id)s", {"id": work_id}, tail="for update")
    if not found or found[0].phase is not Phase.RUNNING or found[0].lease_holder != holder:
        raise LostLeaseError(f"work order {work_id} is not {holder}'s any more")
    return found[0]


# Ends of an attempt ---------------------------------------------------------------------------------------------


def finish(
    connection: psycopg.Connection[Any],
    work_id: int,
    holder: str,
    outcome: Literal["answered", "done", "blocked"],
    reason: str,
    *,
    document_id: int | None = None,
    tokens: int = 0,
    cost: Decimal = Decimal(0),
    policy: WorkPolicy | None = None,
    at: datetime | None = None,
) -> WorkOrder:
    """The attempt is over and what it owed is posted. An order that needs the manager is never `done` here: it is
    `answered`, with the manager's word pending. `blocked` says what is missing. Raises `LostLeaseError`."""
    now = at or clock.now()
    with connection.transaction():
        work = still_held_by(connection, work_id, holder)
        if outcome == "done" and work.needs_manager:
            outcome = "answered"
        phase = Phase(outcome)
        answered = phase in (Phase.ANSWERED, Phase.DONE)
        manager = Manager.PENDING if phase is Phase.ANSWERED else work.manager
        if phase is Phase.DONE:
            manager = Manager.NONE
        connection.execute(
            """update ops.work_orders
               set phase = %(phase)s, manager = %(manager)s, lease_holder = null, lease_until = null,
                   outcome = %(outcome)s, reason = %(reason)s, revision_note = null,
                   document_id = coalesce(%(document)s, document_id), tokens = tokens + %(tokens)s,
                   cost = cost + %(cost)s, answered_at = case when %(answered)s then %(now)s else answered_at end,
                   ended_at = case when %(phase)s = 'done' then %(now)s end, updated_at = %(now)s
               where id = %(id)s""",
            {
                "phase": phase, "manager": manager, "outcome": outcome, "reason": reason[:2000], "id": work_id,
                "document": document_id, "tokens": tokens, "cost": cost, "answered": answered, "now": now,
            },
        )  # fmt: skip
        end_attempt(connection, work, outcome, reason, now, tokens=tokens, cost=cost)
        if phase is Phase.BLOCKED and "blocked" in (policy or get_work_policy()).pause_when:
            pause_clock(connection, work_id, f"blocked: {reason}", decisions.PLATFORM, now)
            reclock(connection, work_id, policy or get_work_policy())
        decisions.record(
            connection, outcome, reason or outcome, work_id=work_id, actor=f"agent:{work.agent}",
            facts={"attempt": work.attempt, "tokens": tokens, "cost": str(cost)}, at=now,
        )  # fmt: skip
    failpoint("work_orders.finished")
    return load(connection, work_id)


def class_of(error: BaseException) -> FailureClass:
    """What kind of failure an exception is. What nobody named is permanent: repeating a mistake helps nobody."""
    match error:
        case AmbiguousFailure():
            return FailureClass.AMBIGUOUS
        case TransientFailure():
            return FailureClass.TRANSIENT
        case ConfigurationError():
            return FailureClass.CONFIGURATION
        case DataFailure():
            return FailureClass.DATA
        case TimeoutError():
            return FailureClass.TIMEOUT
        case PermanentFailure():
            return FailureClass.PERMANENT
        case _:
            return FailureClass.PERMANENT


def fail(
    connection: psycopg.Connection[Any],
    work_id: int,
    holder: str,
    failure_class: FailureClass,
    reason: str,
    *,
    retry_after: float | None = None,
    tokens: int = 0,
    cost: Decimal = Decimal(0),
    policy: WorkPolicy | None = None,
    at: datetime | None = None,
) -> WorkOrder:
    """The attempt failed: queued again after a wait where another may help and there are attempts left, else failed for
    a person to see. Raises `LostLeaseError`."""
    now = at or clock.now()
    retries = (policy or get_work_policy()).retries
    with connection.transaction():
        work = still_held_by(connection, work_id, holder)
        again = failure_class in RETRIED and work.attempt < retries.attempts
        wait = min(retries.first * 2 ** min(work.attempt - 1, 20), retries.longest)
        if retry_after is not None:
            wait = max(wait, timedelta(seconds=retry_after))
        end_attempt(
            connection, work, "retried" if again else "failed", reason, now, failure_class, tokens=tokens, cost=cost
        )
        after_failure(connection, work, failure_class, reason, now + wait if again else None, now)
        connection.execute(
            "update ops.work_orders set tokens = tokens + %s, cost = cost + %s where id = %s", (tokens, cost, work_id)
        )
    return load(connection, work_id)


def release_dead(
    connection: psycopg.Connection[Any], *, policy: WorkPolicy | None = None, at: datetime | None = None
) -> list[WorkOrder]:
    """Orders whose holder's lease has run out: queued again at once, or failed after too many deaths (an order that
    kills whoever takes it up must not do so for ever)."""
    now, machine = at or clock.now(), at or machine_clock()
    most = (policy or get_work_policy()).retries.deaths
    released = []
    with connection.transaction():
        dead = orders(
            connection, "phase = 'running' and lease_until < %(machine)s", {"machine": machine},
            tail="order by priority, due_at, id for update skip locked",
        )  # fmt: skip
        for work in dead:
            reason = f"{work.lease_holder} gave no sign of life"
            end_attempt(connection, work, "died", reason, now, FailureClass.DIED)
            row = connection.execute(
                "select count(*) from ops.work_attempts where work_id = %s and outcome = 'died'", (work.id,)
            ).fetchone()
            deaths = int(row[0]) if row is not None else 0
            again = deaths < most
            words = reason if again else f"{reason}, for the {deaths}. time: a person must look"
            after_failure(connection, work, FailureClass.DIED, words, now if again else None, now)
            released.append(load(connection, work.id))
    failpoint("work_orders.released")
    return released


def unfinished(connection: psycopg.Connection[Any], work_ids: Iterable[int]) -> list[WorkOrder]:
    """Those of these orders that have not ended."""
    return orders(
        connection, "id = any(%(ids)s) and phase in ('received', 'queued', 'running', 'answered', 'blocked')",
        {"ids": list(work_ids)},
    )  # fmt: skip

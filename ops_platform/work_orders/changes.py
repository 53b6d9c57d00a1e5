"""The small changes of an order that several moves have in common.

Belongs here: SQL on one order, its attempt and its clock. Does not belong here: which move is allowed when (`store.py`,
`moves.py`, `receiving.py`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.failures import DataFailure
from ops_platform.work_orders import decisions
from ops_platform.work_orders.model import FailureClass, Phase, WorkOrder
from ops_platform.work_orders.rows import orders

if TYPE_CHECKING:
    import psycopg


def locked(connection: psycopg.Connection[Any], work_id: int) -> WorkOrder:
    found = orders(connection, "id = %(id)s", {"id": work_id}, tail="for update")
    if not found:
        raise DataFailure(f"there is no work order {work_id}: `ops work list` shows them")
    return found[0]


def answered(connection: psycopg.Connection[Any], work_id: int) -> WorkOrder:
    work = locked(connection, work_id)
    if work.phase is not Phase.ANSWERED:
        raise DataFailure(f"{work.name} is {work.phase}: no answer of it waits for a word")
    return work


def end_attempt(
    connection: psycopg.Connection[Any],
    work: WorkOrder,
    outcome: str,
    reason: str,
    at: datetime,
    failure_class: FailureClass | None = None,
    *,
    tokens: int = 0,
    cost: Decimal = Decimal(0),
) -> None:
    connection.execute(
        """update ops.work_attempts set ended_at = greatest(%s, started_at), outcome = %s, failure_class = %s,
               reason = %s, tokens = %s, cost = %s
           where work_id = %s and attempt = %s and outcome is null""",
        (at, outcome, failure_class, reason[:2000], tokens, cost, work.id, work.attempt),
    )


def after_failure(
    connection: psycopg.Connection[Any],
    work: WorkOrder,
    failure_class: FailureClass,
    reason: str,
    again_at: datetime | None,
    at: datetime,
) -> None:
    connection.execute(
        """update ops.work_orders
           set phase = case when %(again)s::timestamptz is null then 'failed' else 'queued' end,
               lease_holder = null, lease_until = null, not_before = %(again)s, reason = %(reason)s,
               failure_class = %(class)s, ended_at = case when %(again)s::timestamptz is null then %(now)s end,
               updated_at = %(now)s
           where id = %(id)s""",
        {"again": again_at, "reason": reason[:2000] or "-", "class": failure_class, "now": at, "id": work.id},
    )
    said = f"{failure_class}: {reason}"
    decisions.record(
        connection, "failed" if again_at is None else "retried", said, work_id=work.id, actor=f"agent:{work.agent}",
        facts={"attempt": work.attempt, "again_at": None if again_at is None else again_at.isoformat()}, at=at,
    )  # fmt: skip


def pause_clock(connection: psycopg.Connection[Any], work_id: int, reason: str, by: str, at: datetime) -> None:
    connection.execute(
        "insert into ops.work_clock (work_id, paused_at, reason, by) values (%s, %s, %s, %s)"
        " on conflict (work_id) where resumed_at is null do nothing",
        (work_id, at, reason[:2000], by),
    )


def resume_clock(connection: psycopg.Connection[Any], work_id: int, by: str, at: datetime) -> bool:
    """Whether it stood still."""
    row = connection.execute(
        "update ops.work_clock set resumed_at = greatest(paused_at, %s), resumed_by = %s"
        " where work_id = %s and resumed_at is null returning id",
        (at, by, work_id),
    ).fetchone()
    return row is not None

"""The audit of work orders: every decision with its reason, only ever added to.

Belongs here: writing a decision down and reading them. Does not belong here: deciding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform import clock

if TYPE_CHECKING:
    import psycopg

PLATFORM = "platform"
LONGEST_REASON = 4_000


@dataclass(frozen=True, slots=True)
class Decision:
    """`actor` is `platform`, `agent:ai-…`, or a person's login or name. `facts` is what it was decided by."""

    id: int
    work_id: int | None
    repository: str | None
    number: int | None
    decision: str
    reason: str
    actor: str
    facts: dict[str, Any]
    at: datetime


def record(
    connection: psycopg.Connection[Any],
    decision: str,
    reason: str,
    *,
    work_id: int | None = None,
    repository: str | None = None,
    number: int | None = None,
    actor: str = PLATFORM,
    facts: Mapping[str, Any] | None = None,
    key: str | None = None,
    at: datetime | None = None,
) -> bool:
    """Write it down, in the caller's transaction; with a `key`, once for ever. Whether it is new."""
    from psycopg.types.json import Jsonb

    from ops_platform.redaction import redact

    row = connection.execute(
        """insert into ops.work_decisions (work_id, repository, number, decision, reason, actor, facts, key, at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (key) do nothing returning id""",
        (
            work_id, repository, number, decision, redact(reason)[:LONGEST_REASON] or "-", actor[:200] or PLATFORM,
            Jsonb(dict(facts or {})), key, at or clock.now(),
        ),
    ).fetchone()  # fmt: skip
    return row is not None


def of_work(connection: psycopg.Connection[Any], work_id: int) -> list[Decision]:
    """What was decided about an order and, before there was one, about its issue; in order."""
    rows = connection.execute(
        """select id, work_id, repository, number, decision, reason, actor, facts, at from ops.work_decisions
           where work_id = %(id)s
           union
           select decided.id, decided.work_id, decided.repository, decided.number, decided.decision, decided.reason,
               decided.actor, decided.facts, decided.at
           from ops.work_decisions as decided
           join ops.work_orders as orders
               on orders.repository = decided.repository and orders.number = decided.number
           where orders.id = %(id)s and decided.work_id is null
           order by id""",
        {"id": work_id},
    )
    return [Decision(*row) for row in rows]

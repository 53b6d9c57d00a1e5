"""When the orders of the queue will be answered, as far as the past tells.

Belongs here: past durations, and playing the queue forward. Does not belong here: what is told when it will be late
(`ladder.py`), the queue itself (`store.py`).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.work_orders.model import Phase, Priority, WorkOrder
from ops_platform.work_orders.policy import WorkPolicy
from ops_platform.work_orders.rows import orders

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class Durations:
    """How long an answer took from its claim, at the policy's percentile. A group of too few orders is not in it."""

    by_agent_and_priority: Mapping[tuple[str, Priority], timedelta] = field(default_factory=dict)
    by_agent: Mapping[str, timedelta] = field(default_factory=dict)
    by_priority: Mapping[Priority, timedelta] = field(default_factory=dict)

    def of(self, agent: str, priority: Priority, policy: WorkPolicy) -> tuple[timedelta, str]:
        """The duration to expect, and what it stands on."""
        if (agent, priority) in self.by_agent_and_priority:
            return self.by_agent_and_priority[agent, priority], f"{agent}'s {priority}"
        if agent in self.by_agent:
            return self.by_agent[agent], f"{agent}'s orders"
        if priority in self.by_priority:
            return self.by_priority[priority], f"all {priority}"
        return policy.priorities[priority].expected, "the policy's expectation"


@dataclass(frozen=True, slots=True)
class Forecast:
    """When an order will be begun and answered. `ahead` orders of its agent come before it; `basis` says what its
    duration stands on."""

    work_id: int
    starts_at: datetime
    ends_at: datetime
    ahead: int
    basis: str

    def late(self, due_at: datetime | None) -> bool:
        return due_at is not None and self.ends_at > due_at


def durations(connection: psycopg.Connection[Any], policy: WorkPolicy, *, at: datetime | None = None) -> Durations:
    """The past, from the attempts that ended in an answer."""
    now = at or clock.now()
    rule = policy.forecast
    rows = connection.execute(
        """select agent, priority, count(*),
               percentile_cont(%(share)s) within group (order by extract(epoch from ended_at - started_at))
           from ops.work_attempts
           where ended_at is not null and ended_at > %(since)s and ended_at <= %(now)s
               and outcome in ('answered', 'done')
           group by grouping sets ((agent, priority), (agent), (priority))
           having count(*) >= %(fewest)s""",
        {
            "share": rule.percentile / 100, "since": now - timedelta(days=rule.days), "now": now,
            "fewest": rule.fewest,
        },
    )  # fmt: skip
    both: dict[tuple[str, Priority], timedelta] = {}
    by_agent: dict[str, timedelta] = {}
    by_priority: dict[Priority, timedelta] = {}
    for agent, priority, _, seconds in rows:
        span = timedelta(seconds=float(seconds))
        if agent is not None and priority is not None:
            both[agent, Priority(priority)] = span
        elif agent is not None:
            by_agent[agent] = span
        else:
            by_priority[Priority(priority)] = span
    return Durations(both, by_agent, by_priority)


def foresee(
    waiting: Sequence[WorkOrder],
    begun: Mapping[int, datetime],
    past: Durations,
    policy: WorkPolicy,
    now: datetime,
) -> dict[int, Forecast]:
    """Play the queue forward; pure. `waiting` are orders queued or running, `begun` when each running one's attempt
    began. An agent takes its orders in the queue's order, as many at once as its limit."""
    found: dict[int, Forecast] = {}
    margin = policy.forecast.margin
    by_agent: dict[str, list[WorkOrder]] = {}
    for work in waiting:
        by_agent.setdefault(work.agent, []).append(work)
    for agent, mine in by_agent.items():
        rule = policy.agents.get(agent)
        free = [now] * (rule.limit if rule is not None else 1)
        heapq.heapify(free)
        running = [work for work in mine if work.phase is Phase.RUNNING]
        for work in running:
            span, basis = past.of(agent, work.priority, policy)
            started = begun.get(work.id, now)
            # One that takes longer than usual is not over at once: a quarter of the usual is still to come.
            ends = max(started + span, now + span / 4)
            found[work.id] = Forecast(work.id, started, ends + margin, 0, basis)
            heapq.heapreplace(free, ends)
        queued = sorted((work for work in mine if work.phase is Phase.QUEUED), key=_in_queue)
        for place, work in enumerate(queued):
            span, basis = past.of(agent, work.priority, policy)
            starts = max(free[0], now, work.not_before or now)
            heapq.heapreplace(free, starts + span)
            found[work.id] = Forecast(work.id, starts, starts + span + margin, place + len(running), basis)
    return found


def _in_queue(work: WorkOrder) -> tuple[str, datetime, int]:
    return str(work.priority), work.due_at or work.clock_from, work.id


def forecasts(
    connection: psycopg.Connection[Any], policy: WorkPolicy, *, at: datetime | None = None
) -> dict[int, Forecast]:
    """The forecast of every order that is queued or running and whose clock runs."""
    now = at or clock.now()
    waiting = orders(connection, "phase in ('queued', 'running') and paused_since is null")
    begun = dict(
        connection.execute(
            """select attempts.work_id, attempts.started_at from ops.work_attempts as attempts
               join ops.work_orders as orders
                   on orders.id = attempts.work_id and orders.attempt = attempts.attempt
               where orders.phase = 'running'"""
        ).fetchall()
    )
    return foresee(waiting, begun, durations(connection, policy, at=now), policy, now)

"""The project manager's figures: a review of the last days, and who is loaded now.

Belongs here: reading both from the orders themselves. Does not belong here: metrics by day for documents and alerts
(`dbt_project/models/metrics/work_orders`), forecasts of single orders (`forecast.py`).

Every figure is counted over the rows of its sentence; what nothing is known of is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from ops_platform.work_orders.policy import WorkPolicy

DAYS = 30
_REVIEW = """
with orders as (
    select *,
        case
            when phase = 'withdrawn' then null
            when answered_at <= due_at then answered_at
            when due_at <= coalesce(answered_at, %(until)s) then due_at
        end as judged_at
    from ops.work_orders
),
ended as (select * from orders where ended_at > %(since)s and ended_at <= %(until)s),
answered as (select * from orders where answered_at > %(since)s and answered_at <= %(until)s)
select
    (select count(*) from orders where received_at > %(since)s and received_at <= %(until)s),
    (select count(*) from answered),
    (select count(*) from ended where phase = 'done'),
    (select count(*) from ended where phase = 'failed'),
    (select count(*) from ended where phase = 'withdrawn'),
    (select count(*) from orders where phase = 'blocked'),
    (select count(*) from orders where phase in ('received', 'queued', 'running', 'answered', 'blocked')),
    (select count(*) from orders where judged_at > %(since)s and judged_at <= %(until)s),
    (select count(*) from orders where judged_at > %(since)s and judged_at <= %(until)s and answered_at <= due_at),
    (select percentile_disc(0.5) within group (order by ended_at - received_at) from ended where phase = 'done'),
    (select percentile_disc(0.5) within group (order by answered_at - received_at) from answered),
    (select max(attempts.started_at - orders.received_at) from orders
        join ops.work_attempts as attempts on attempts.work_id = orders.id and attempts.attempt = 1
        where orders.priority = 'P0' and attempts.started_at > %(since)s and attempts.started_at <= %(until)s),
    (select count(*) from ops.work_decisions where decision = 'escalated' and at > %(since)s and at <= %(until)s),
    (select count(*) from ops.work_tickets where opened_at > %(since)s and opened_at <= %(until)s),
    (select count(*) from ops.work_tickets where resolved_at is null),
    (select count(distinct answered.id) from answered where not exists (
        select from ops.work_decisions as helped where helped.work_id = answered.id
            and helped.decision in ('clock_paused', 'needs_revision', 'queued_again', 'escalated'))),
    (select sum(cost) from answered)
"""
_BUSY = """
select attempts.agent, count(*),
    count(*) filter (where attempts.outcome in ('failed', 'died')),
    sum(extract(epoch from least(coalesce(attempts.ended_at, %(until)s), %(until)s)
        - greatest(attempts.started_at, %(since)s)))
from ops.work_attempts as attempts
where attempts.started_at <= %(until)s and coalesce(attempts.ended_at, %(until)s) > %(since)s
group by attempts.agent
"""
_LOAD = """
select agent,
    count(*) filter (where phase = 'queued'),
    count(*) filter (where phase = 'running'),
    count(*) filter (where phase = 'answered'),
    count(*) filter (where phase = 'blocked'),
    min(queued_at) filter (where phase = 'queued' and paused_since is null),
    min(due_at) filter (where phase in ('queued', 'running') and answered_at is null)
from ops.work_orders where phase in ('received', 'queued', 'running', 'answered', 'blocked') group by agent
"""


@dataclass(frozen=True, slots=True)
class Review:
    """What the days from `since` to `until` came to. Times are medians; `pickup_p0` is the longest. `velocity` is
    orders done a week, `compliance` those in time of those judged, `automation` those answered without a hand of those
    answered; each None where there is nothing to divide by. `utilisation` by agent: time at work of the time it could
    have been."""

    since: datetime
    until: datetime
    received: int
    answered: int
    done: int
    failed: int
    withdrawn: int
    blocked: int
    open: int
    judged: int
    in_time: int
    resolution: timedelta | None
    time_to_answer: timedelta | None
    pickup_p0: timedelta | None
    escalations: int
    tickets: int
    tickets_open: int
    automatic: int
    cost: Decimal | None
    utilisation: dict[str, Decimal]

    @property
    def velocity(self) -> Decimal:
        days = Decimal((self.until - self.since) / timedelta(days=1))
        return round(Decimal(self.done) * 7 / days, 2)

    @property
    def compliance(self) -> Decimal | None:
        return _share(self.in_time, self.judged)

    @property
    def automation(self) -> Decimal | None:
        return _share(self.automatic, self.answered)

    @property
    def success(self) -> Decimal | None:
        return _share(self.done, self.done + self.failed)

    @property
    def cost_per_order(self) -> Decimal | None:
        """US dollars at list price."""
        return None if self.cost is None or not self.answered else round(self.cost / self.answered, 6)


@dataclass(frozen=True, slots=True)
class Load:
    """An agent now: its places, what runs, waits, lies with the manager or is blocked; the oldest waiting since and the
    next due time."""

    agent: str
    places: int
    running: int
    waiting: int
    with_manager: int
    blocked: int
    oldest: datetime | None
    next_due: datetime | None

    @property
    def full(self) -> bool:
        return self.running >= self.places


def review(connection: psycopg.Connection[Any], policy: WorkPolicy, until: datetime, days: int = DAYS) -> Review:
    """The review of the `days` that end with `until`."""
    span = {"since": until - timedelta(days=days), "until": until}
    row = connection.execute(_REVIEW.encode(), span).fetchone()
    assert row is not None
    whole = Decimal(days * 86_400)
    used = {name: Decimal(0) for name in policy.agents}
    for agent, _, _, seconds in connection.execute(_BUSY.encode(), span):
        places = policy.agents[agent].limit if agent in policy.agents else 1
        used[str(agent)] = round(Decimal(seconds or 0) / (whole * places), 6)
    figures: dict[str, Any] = dict(zip((field.name for field in fields(Review)[2:-1]), row, strict=True))
    return Review(since=span["since"], until=until, utilisation=used, **figures)


def loads(connection: psycopg.Connection[Any], policy: WorkPolicy) -> list[Load]:
    """Every agent of the policy, the fullest first."""
    found = {str(row[0]): row[1:] for row in connection.execute(_LOAD.encode())}
    made = []
    for name in sorted({*policy.agents, *found}):
        waiting, running, answered, blocked, oldest, due = found.get(name, (0, 0, 0, 0, None, None))
        places = policy.agents[name].limit if name in policy.agents else 1
        made.append(Load(name, places, running, waiting, answered, blocked, oldest, due))
    return sorted(made, key=lambda one: (-(one.running + one.waiting) / one.places, one.agent))


def _share(part: int, whole: int) -> Decimal | None:
    return None if whole == 0 else round(Decimal(part) / whole, 6)

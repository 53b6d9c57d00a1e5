"""The project manager's weekly review: how the orders of the last week went, and what the policy's record suggests.

Belongs here: when it is due, its words, keeping and telling it once. Does not belong here: the figures (`kpi.py`), what
makes a suggestion (`policy_store.py`), the channel (`oversight.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.work_orders import kpi, oversight, policy_store
from ops_platform.work_orders.sla import in_words

if TYPE_CHECKING:
    from decimal import Decimal

    import psycopg

    from ops_platform.work_orders.kpi import Review
    from ops_platform.work_orders.office import Office

#: On Monday, in company time.
DUE = time(8)
DAYS = 7


def due_week(office: Office) -> date | None:
    """The Monday of the week that is to be reviewed now; None before the hour of this week's Monday."""
    local = office.now().astimezone(office.zone)
    monday = local.date() - timedelta(days=local.weekday())
    return monday - timedelta(days=DAYS) if local >= datetime.combine(monday, DUE, office.zone) else None


def review(connection: psycopg.Connection[Any], office: Office) -> bool:
    """Review the week that is over, in the caller's transaction; false where that was done or is not due yet. A week in
    which nothing happened is reviewed in silence."""
    from psycopg.types.json import Jsonb

    week = due_week(office)
    if week is None or connection.execute("select from ops.work_reviews where week = %s", (week,)).fetchone():
        return False
    until = datetime.combine(week + timedelta(days=DAYS), time(0), office.zone)
    found = kpi.review(connection, office.policy, until, DAYS)
    suggested = policy_store.suggest(connection, office.policy.policy_store, at=office.now())
    words = [*lines(found), *(f"The policy's record suggests: {one.words}" for one in suggested)]
    worth = bool(found.received or found.answered or found.tickets or suggested)
    told = worth and office.inbox.channel_of is not None
    row = connection.execute(
        """insert into ops.work_reviews (week, figures, words, told, at) values (%s, %s, %s, %s, %s)
           on conflict (week) do nothing returning week""",
        (week, Jsonb(asdict(found), dumps=_dumps), words, told, office.now()),
    ).fetchone()
    if row is None:
        return False  # another coordinator was quicker
    if worth:
        oversight.send_review(
            connection, office, key=f"review:{week}", title=f"Work orders, week of {week:%-d %b %Y}", lines=words,
            see="ops work suggestions" if suggested else "ops work kpi --days 7",
        )  # fmt: skip
    return True


def lines(found: Review) -> list[str]:
    """The review in sentences. What nothing is known of is said to be unknown."""
    cost = "cost unknown" if found.cost_per_order is None else f"USD {found.cost_per_order:.4f} an order"
    return [
        f"{found.received} received, {found.answered} answered, {found.done} done ({found.velocity} a week),"
        f" {found.failed} given up, {found.withdrawn} withdrawn; {found.open} open, {found.blocked} of them blocked",
        f"within SLA {_share(found.compliance)} of {found.judged}; without a hand {_share(found.automation)};"
        f" done of those that ended {_share(found.success)}",
        f"resolution {_span(found.resolution)} (median), answer {_span(found.time_to_answer)}, longest pick-up of a P0"
        f" {_span(found.pickup_p0)}",
        f"{found.escalations} escalations, {found.tickets} tickets ({found.tickets_open} open); {cost}",
    ]


def _share(value: Decimal | None) -> str:
    return "unknown" if value is None else f"{value * 100:.1f} %"


def _span(value: timedelta | None) -> str:
    if value is None:
        return "unknown"
    return in_words(value) if value.total_seconds() >= 60 else f"{value.total_seconds():.1f} s"


def _dumps(figures: Any) -> str:
    import json

    return json.dumps(figures, default=str)

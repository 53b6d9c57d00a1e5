"""A small company for the agents: every metric with sixty days behind it, marts with a few rows, alerts and documents.

Belongs here: what the agents' tests stand on. Does not belong here: expectations (each test has its own).

A metric's day is `base + 2 × day number` with a base of its own, so that any sum can be worked out by hand.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from ops_platform.work_orders.agents import GivenOrder, roster
from tests.conftest import Connect
from tests.fleet.job_scene import MORNING, build, metrics, put

TODAY, YESTERDAY = date(2026, 11, 20), date(2026, 11, 19)
FIRST = YESTERDAY - timedelta(days=59)
DAY = timedelta(days=1)
NAMES = (
    "analytics", "architect", "customer-success", "developer", "devops", "finance", "manager", "marketing",
    "operations", "project-manager", "qa", "sales", "security", "support",
)  # fmt: skip
ROWS: dict[str, list[dict[str, Any]]] = {
    "fct_receivables_open": [
        {"transaction_id": "1", "transaction_number": "INV-1", "days_overdue": 12, "open_amount_company": 4000,
         "due_day": date(2026, 11, 8)},
        {"transaction_id": "2", "transaction_number": "=cmd|'/c calc'!A0", "days_overdue": 3,
         "open_amount_company": 250.5, "due_day": date(2026, 11, 17)},
        {"transaction_id": "3", "transaction_number": "INV-3", "days_overdue": -5, "open_amount_company": 900,
         "due_day": date(2026, 11, 25)},
    ],
    "fct_late_orders": [
        {"order_id": "1", "order_name": "#1001", "age_days": 31, "bucket": "critical", "channel": "web", "value": 700,
         "high_value": True},
    ],
    "fct_deals_open": [
        {"deal_id": "1", "deal": "Lone Star <b>AV</b>", "amount": 25200, "risk": "no contact or move",
         "is_at_risk": True, "days_inactive": 15, "owner": "Aisha"},
    ],
    "fct_tickets_waiting": [
        {"ticket_id": "app:7", "ticket_number": "7", "system": "app", "category": "firmware", "hours_waiting": 30,
         "urgency": "urgent", "queue": "App Development", "priority": "high", "opened_day": YESTERDAY},
    ],
    "fct_projects_open": [
        {"project_id": "1", "project": "Arc firmware", "rag": "red", "reason": "long overdue", "days_overdue": 25,
         "due_on": date(2026, 10, 26), "owner": "Hannah", "is_unowned": False, "severity": 3},
    ],
}  # fmt: skip


def base(metric: str) -> int:
    """What a metric's days are counted from; another for each."""
    return 100 + 10 * sorted(metrics()).index(metric)


def value(metric: str, day: date) -> int:
    return base(metric) + 2 * (day - FIRST).days


def founded(connect: Connect) -> None:
    """The company in an empty migrated database."""
    agents = roster().values()
    views = sorted({view for agent in agents for view in agent.scope.marts})
    streams = sorted({
        stream for agent in agents for listing in agent.listings().values()
        for stream in (*listing.sources, *listing.any_source)
    })  # fmt: skip
    build(connect, views, streams, fresh_to=MORNING)
    put(connect, {name: rows for name, rows in ROWS.items() if f"marts.{name}" in views})
    with connect() as connection:
        connection.execute(
            "insert into metrics.fct_metric_daily (metric_id, date, dimension, dimension_value, value, numerator,"
            " denominator, fresh_to, tie_out)"
            " select m.metric_id, d::date, 'all', 'all', m.base + 2 * (d::date - %(first)s::date),"
            " m.base + 2 * (d::date - %(first)s::date), 1, %(fresh)s, 'matched'"
            " from unnest(%(ids)s::text[], %(bases)s::int[]) as m (metric_id, base),"
            " generate_series(%(first)s::date, %(last)s::date, '1 day') as d",
            {"ids": list(metrics()), "bases": [base(name) for name in metrics()], "first": FIRST, "last": YESTERDAY,
             "fresh": MORNING},
        )  # fmt: skip
        connection.execute(
            "insert into metrics.fct_metric_daily"
            " select metric_id, date, 'channel', channel, value * share, null, null, fresh_to, tie_out"
            " from metrics.fct_metric_daily, (values ('web', 0.75), ('amazon', 0.25)) as c (channel, share)"
            " where metric_id = 'net_sales'"
        )
        _alerts(connection)
        _documents(connection)
        connection.commit()


def _alerts(connection: psycopg.Connection[Any]) -> None:
    for number, (division, label) in enumerate(
        (("sales", "Deals stale"), ("supply_chain", "Late orders"), (None, "Health")), 1
    ):
        connection.execute(
            "insert into ops.alerts (id, head, label, state, severity, owner, division, since, opened_at, worsenings,"
            " flapping, messages, retold, updated_at) overriding system value"
            " values (%s, %s, %s, 'open', 'critical', 'sales', %s, %s, %s, 0, false, 0, 0, %s)",
            (number, f"threshold:{number}:all:all", label, division, YESTERDAY, MORNING, MORNING),
        )


def _documents(connection: psycopg.Connection[Any]) -> None:
    """One published document of each kind, by the hand that stores them."""
    from dataclasses import replace

    from ops_platform.documents.kinds import compose
    from ops_platform.evidence.store import save_bundle
    from ops_platform.writing.archive import store_written
    from ops_platform.writing.briefs import brief_for
    from ops_platform.writing.compose import write
    from ops_platform.writing.rules import RulesWriter
    from tests.evidence.bundles import morning

    bundle = morning()
    written = write(bundle, brief_for(bundle), rules=RulesWriter())
    save_bundle(connection, bundle)
    document = compose(bundle, written.draft)
    store_written(connection, "pulse", bundle, document, written)
    store_written(connection, "board_pack", bundle, replace(document, language="en-GB"), written)


def order(title: str, body: str = "", **more: Any) -> GivenOrder:
    return GivenOrder(**{"number": 7, "title": title, "body": body, **more})


def moment() -> datetime:
    return MORNING

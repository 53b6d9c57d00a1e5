"""A small published warehouse by hand: metrics with some months of days, as the watch reads them.

Net sales are 10,000 on a Monday, 1,000 more each day of the week, with a little noise; the morning is that of
Friday 20 November 2026 in New York, everything fresh to 05:40."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg

ZONE = "America/New_York"
NOW = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
FRESH = datetime(2026, 11, 20, 10, 40, tzinfo=UTC)
TODAY = date(2026, 11, 20)
YESTERDAY = date(2026, 11, 19)
DAYS = 300

_TABLES = """
create table metrics.dim_metric (
    metric_id text primary key, label text, unit text, direction text, aggregation text, currency text,
    minimum_effect numeric, owner text, division text, sources text[], required_sources text[], kind text,
    persistence text, is_watched boolean not null default true
);
create table metrics.fct_metric_daily (
    metric_id text, date date, dimension text, dimension_value text, value numeric, numerator numeric,
    denominator numeric, fresh_to timestamptz, tie_out text,
    primary key (metric_id, dimension, dimension_value, date)
);
create table marts.dim_date (
    date date, is_holiday boolean, holiday_name text, is_promotion boolean, promotion_name text
);
insert into ops.company (name, timezone, currency, as_of)
values ('Northlight Audio', 'America/New_York', 'USD', '2026-11-20 11:00+00');
insert into metrics.dim_metric
(metric_id, label, unit, direction, aggregation, currency, minimum_effect, division, sources, kind, persistence)
values
('net_sales', 'Net sales', 'money', 'up_is_good', 'sum', 'USD', 500, 'sales', '{shopify.orders}', 'flow', null),
('refund_rate', 'Refund rate', 'ratio', 'down_is_good', 'ratio', null, 0.01, 'sales', '{shopify.orders}', 'flow',
 '2 of 3'),
('late_orders', 'Late orders', 'count', 'down_is_good', 'last', null, 3, 'supply_chain', '{shopify.orders}',
 'snapshot', null);
"""


def fill(connection: psycopg.Connection[Any], days: int = DAYS) -> None:
    """The tables and every row; the caller may change rows afterwards."""
    connection.execute(_TABLES.encode())
    chance = np.random.default_rng(7)
    rows: list[tuple[Any, ...]] = []
    for age in range(days, 0, -1):
        day = TODAY - timedelta(days=age)
        sales = [
            round(float(share * (10_000 + 1_000 * day.weekday()) + chance.normal(0, 90)), 2) for share in (0.7, 0.3)
        ]
        rows.append(("net_sales", day, "all", "all", Decimal(str(round(sum(sales), 2))), None))
        rows.append(("net_sales", day, "channel", "online", Decimal(str(sales[0])), None))
        rows.append(("net_sales", day, "channel", "amazon", Decimal(str(sales[1])), None))
        refunded = int(chance.binomial(400, 0.05))
        rows.append(("refund_rate", day, "all", "all", Decimal(refunded) / 400, 400))
    for age in range(days, -1, -1):
        rows.append(("late_orders", TODAY - timedelta(days=age), "all", "all", Decimal(int(chance.poisson(20))), None))
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into metrics.fct_metric_daily (metric_id, date, dimension, dimension_value, value, denominator,"
            " fresh_to, tie_out) values (%s, %s, %s, %s, %s, %s, least(%s::timestamptz, (%s::date + 8)::timestamptz),"
            " 'matched')",
            [(*row, FRESH, row[1]) for row in rows],
        )
    connection.commit()


def put(connection: psycopg.Connection[Any], metric: str, day: date, value: object, **where: str) -> None:
    """Change one row's value: of the whole, or of `dimension="channel", dimension_value="amazon"`."""
    done = connection.execute(
        "update metrics.fct_metric_daily set value = %s where metric_id = %s and date = %s and dimension = %s"
        " and dimension_value = %s",
        (value, metric, day, where.get("dimension", "all"), where.get("dimension_value", "all")),
    )
    assert done.rowcount == 1

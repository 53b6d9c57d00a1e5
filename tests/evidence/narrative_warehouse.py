"""A small warehouse for narratives, by hand: two weeks and a year before, figures anybody can add up.

The morning is Friday 20 November 2026 in New York; every sync ended at 05:40. Weeks run from Monday the 9th and the
16th; October is whole.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from ops_platform.evidence.calendar import Calendar
from ops_platform.evidence.model import CompanyProfile, Division
from ops_platform.evidence.narrative_context import read_context
from ops_platform.evidence.period import Survey, survey
from ops_platform.evidence.spans import Span, Tier, span_of
from ops_platform.fleet.narratives import Narratives
from ops_platform.watch.tree import MetricTree

NEW_YORK = ZoneInfo("America/New_York")
FRIDAY = datetime(2026, 11, 20, 6, 30, tzinfo=NEW_YORK)
MONDAY = datetime(2026, 11, 16, 7, 0, tzinfo=NEW_YORK)
COMPANY = CompanyProfile(
    "Northlight Audio", "America/New_York", "USD",
    (Division("sales", "Sales"), Division("supply_chain", "Supply Chain"), Division("design", "Design")),
)  # fmt: skip
TREE = MetricTree.of(
    {
        "net_sales": [{"product": ["orders", "average_order_value"]}],
        "average_order_value": [{"ratio": ["net_sales_of_orders", "orders"]}],
    }
)
SQL = (Path(__file__).parent / "metrics.sql").read_text(encoding="utf-8")
# id, label, unit, direction, aggregation, target, minimum effect, division, in the pulse, kind
_METRICS = (
    ("net_sales", "Net sales", "money", "up_is_good", "sum", None, 100, "sales", True, "flow"),
    ("orders", "Orders", "count", "up_is_good", "sum", None, 2, "sales", True, "flow"),
    ("average_order_value", "Average order value", "money", "up_is_good", "ratio", None, 5, "sales", False, "flow"),
    ("late_orders", "Late orders", "count", "down_is_good", "last", 0, 3, "supply_chain", True, "level"),
    ("returns", "Returns", "count", "down_is_good", "sum", None, 1, "supply_chain", False, "flow"),
    ("win_rate", "Win rate", "ratio", "up_is_good", "ratio", None, "0.05", "sales", False, "flow"),
    ("mockups", "Mock-ups", "count", "neutral", "sum", None, 1, "design", True, "flow"),
)
_PUT_METRIC = (
    "insert into metrics.dim_metric (metric_id, label, unit, direction, aggregation, target, minimum_effect, division,"
    " in_pulse, kind, sources) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '{shopify.orders}')"
)


def put(
    connection: psycopg.Connection[Any],
    metric: str,
    days: dict[date, Any],
    *,
    dimension: str = "all",
    value: str = "all",
    fresh_to: datetime | None = FRIDAY - timedelta(minutes=50),
    tie_out: str = "matched",
) -> None:
    """Days of a metric; a number is its value, a pair numerator and denominator."""
    for day, number in days.items():
        upper, lower = number if isinstance(number, tuple) else (number, None)
        quotient = number if lower is None else None if not lower else Decimal(upper) / Decimal(lower)
        connection.execute(
            "insert into metrics.fct_metric_daily values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (metric, day, dimension, value, quotient, upper, lower, fresh_to, tie_out),
        )


def each(first: date, last: date, number: Any) -> dict[date, Any]:
    """The same number for every day from `first` to `last`."""
    return {first + timedelta(days=n): number for n in range((last - first).days + 1)}


def filled(connection: psycopg.Connection[Any]) -> None:
    """Sales of 1,000 a day from 10 orders; 1,500 from 12 orders in the week from the 9th; late orders 2, then 9."""
    connection.execute(SQL.encode())
    for metric in _METRICS:
        connection.execute(_PUT_METRIC, metric)
    start = date(2026, 9, 1)
    week = each(date(2026, 11, 9), date(2026, 11, 15), None)
    put(connection, "net_sales", each(start, date(2026, 11, 19), 1000) | dict.fromkeys(week, 1500))
    put(connection, "orders", each(start, date(2026, 11, 19), 10) | dict.fromkeys(week, 12))
    put(
        connection, "average_order_value", each(start, date(2026, 11, 19), (1000, 10)) | dict.fromkeys(week, (1500, 12))
    )
    put(connection, "late_orders", each(start, date(2026, 11, 14), 2) | each(date(2026, 11, 15), date(2026, 11, 19), 9))
    put(connection, "returns", each(start, date(2026, 11, 19), 1))
    put(connection, "win_rate", each(start, date(2026, 11, 19), (0, 0)))
    connection.commit()


def surveyed(
    connection: psycopg.Connection[Any], tier: Tier, day: date, as_of: datetime = FRIDAY, **more: Any
) -> Survey:
    """The survey of the period that `day` is in."""
    span: Span = span_of(tier, day)
    context = read_context(connection, span, Calendar(as_of, NEW_YORK), **more)
    return survey(connection, as_of, COMPANY, span, context, Narratives().tier(tier), TREE)

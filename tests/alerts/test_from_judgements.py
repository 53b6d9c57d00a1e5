"""Judgements as signals: the newest of each series, and the days the machine has missed."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.alerts.from_judgements import judgement_signals
from ops_platform.alerts.signal import Driver, Severity
from ops_platform.watch.judgement import Finding
from tests.alerts.scenes import DAY, MONDAY, MORNING, fleet, kinds, turn


@pytest.fixture
def judged(warehouse: Any) -> Any:
    """Puts judgements in by hand: (metric, day, found, …)."""
    with warehouse() as connection:
        connection.execute(
            """create table metrics.dim_metric as select * from (values
                ('net_sales', 'Net sales', 'money', 'sales', 'sales', '{shopify.orders}'::text[]),
                ('refund_rate', 'Refund rate', 'ratio', 'sales', 'sales', '{}'::text[])
               ) as metrics (metric_id, label, unit, division, owner, required_sources)"""
        )

    def put(metric: str, day: int, found: str, *, part: str = "all", reason: str | None = None, hours: int = 0) -> None:
        breached = found == "breached"
        with warehouse() as connection:
            connection.execute(
                """insert into ops.judgements (metric_id, dimension, dimension_value, date, found, reason, value,
                       closeness, effect, effect_money, since, explanation, judged_at, first_judged_at)
                   values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'by hand', %s, %s)
                   on conflict (metric_id, dimension, dimension_value, date) do update
                   set found = excluded.found, closeness = excluded.closeness, since = excluded.since,
                       judged_at = excluded.judged_at""",
                (
                    metric, "all" if part == "all" else "channel", part, MONDAY + day * DAY, found, reason,
                    Decimal("6000.10"), None if found == "unknown" else Decimal(2 if breached else "0.4"),
                    Decimal("-3999.90"), Decimal("-3999.90"), MONDAY + day * DAY if breached else None,
                    MORNING + day * DAY + timedelta(hours=hours), MORNING,
                ),
            )  # fmt: skip

    return put


def signals(connect: Any, at: int, **more: Any) -> list[Any]:
    with connect() as connection:
        return judgement_signals(connection, fleet(), MORNING + at * DAY, **more)


def test_before_the_first_publication_there_is_nothing_to_look_at(warehouse: Any) -> None:
    assert signals(warehouse, 0) == []


def test_a_judgement_is_a_look_with_everything_it_says(warehouse: Any, judged: Any) -> None:
    judged("net_sales", 0, "breached")
    judged("net_sales", 0, "breached", part="amazon")
    drivers = (Driver("sessions", Decimal("-3000"), Decimal("0.75")),)
    asked = []

    def explain(connection: Any, metric: str, day: date) -> tuple[Driver, ...]:
        asked.append((metric, day))
        return drivers

    whole, part = signals(warehouse, 0, explain=explain)
    assert (whole.subject.key, whole.label, whole.period) == ("metric:net_sales:all:all", "Net sales", MONDAY)
    assert (whole.found, whole.severity, whole.effect_money) == (Finding.BREACHED, Severity.ALERT, Decimal("-3999.90"))
    assert (whole.depends_on, whole.owner, whole.drivers) == (("shopify.orders",), "sales", drivers)
    assert (part.severity, part.label, part.drivers) == (Severity.WATCH, "Net sales (amazon)", ())
    assert asked == [("net_sales", MONDAY)]


def test_days_the_machine_missed_are_looked_at_and_history_is_not(warehouse: Any, judged: Any) -> None:
    for day in (-3, -2, -1):
        judged("net_sales", day, "breached")
    judged("net_sales", 0, "clear")
    first = signals(warehouse, 0)
    assert [(one.period, one.found) for one in first] == [
        (MONDAY, Finding.CLEAR)
    ]  # what was before it began is history
    turn(warehouse, *first)
    # Two days off; in between something happened and went away.
    judged("net_sales", 1, "breached")
    judged("net_sales", 2, "clear")
    missed = signals(warehouse, 2)
    assert [(one.period - MONDAY).days for one in missed] == [1, 2]
    assert kinds(turn(warehouse, *missed, at=2)) == ["opened"]
    assert len(signals(warehouse, 2)) == 1


def test_a_day_not_complete_hides_no_day_that_is(warehouse: Any, judged: Any) -> None:
    judged("net_sales", 0, "breached")
    judged("net_sales", 1, "unknown", reason="incomplete")
    assert [(one.period, one.found) for one in signals(warehouse, 1)] == [(MONDAY, Finding.BREACHED)]


def test_a_day_without_anything_to_divide_is_no_look(warehouse: Any, judged: Any) -> None:
    judged("refund_rate", 0, "clear")
    judged("refund_rate", 1, "unknown", reason="nothing_to_divide")
    judged("net_sales", 1, "unknown", reason="no_value")
    assert [(one.subject.name, one.found) for one in signals(warehouse, 1)] == [
        ("refund_rate", Finding.CLEAR), ("net_sales", Finding.UNKNOWN),
    ]  # fmt: skip


def test_judged_again_it_is_news(warehouse: Any, judged: Any) -> None:
    judged("net_sales", 0, "breached")
    assert kinds(turn(warehouse, *signals(warehouse, 0))) == ["opened"]
    assert kinds(turn(warehouse, *signals(warehouse, 0))) == []
    judged("net_sales", 0, "clear", hours=3)
    assert kinds(turn(warehouse, *signals(warehouse, 0), at=MORNING + timedelta(hours=4))) == ["recovering"]

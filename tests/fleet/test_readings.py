"""The five factors over rows as the platform writes them, each against numbers worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ops_platform.fleet import observations
from ops_platform.fleet.expected import answered, next_tick, publish_expected
from ops_platform.fleet.health_readings import (
    completion_reading,
    error_reading,
    freshness_reading,
    token_reading,
    uptime_reading,
)
from ops_platform.fleet.observations import Observation
from tests.conftest import Connect
from tests.fleet.scenes import fleet, output, receipt, source, spent, tick

D = Decimal
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FLEET = fleet()
PATIENCE = timedelta(minutes=FLEET.health.patience_minutes)


def test_uptime_of_a_day(warehouse: Connect) -> None:
    start = NOON - timedelta(days=1)
    looks = [Observation("watchdog", start + number * 15 * MINUTE) for number in range(96)]
    looks[40:44] = [Observation("watchdog", look.at, ("web", "daemon")) for look in looks[40:44]]
    with warehouse() as connection:
        observations.take_in(connection, looks, NOON)
        reading = uptime_reading(connection, FLEET, NOON)
    assert reading.value == D(23) / 24
    assert "60 min not everything stood: daemon, web" in reading.detail


def test_a_day_nobody_looked_at_is_unknown(warehouse: Connect) -> None:
    with warehouse() as connection:
        assert uptime_reading(connection, FLEET, NOON).value is None
        observations.take_in(connection, [Observation("watchdog", NOON - 5 * HOUR)], NOON)
        reading = uptime_reading(connection, FLEET, NOON)
    assert reading.value is None and "23.1 h nobody looked" in reading.detail


def test_completion_counts_what_was_due_and_had_its_time(warehouse: Connect) -> None:
    with warehouse() as connection:
        for hours in range(1, 7):
            tick(connection, "hourly", NOON - hours * HOUR, NOON - (hours - 1) * HOUR)
        tick(connection, "hourly", NOON - 10 * MINUTE, NOON + HOUR)  # may still be answered
        receipt(connection, "hourly", NOON - 6 * HOUR + MINUTE)
        receipt(connection, "hourly", NOON - 5 * HOUR + 59 * MINUTE)  # late, before the next
        receipt(connection, "hourly", NOON - 4 * HOUR + MINUTE, "failed")
        receipt(connection, "hourly", NOON - 3 * HOUR + MINUTE, "failed")
        receipt(connection, "hourly", NOON - 3 * HOUR + 5 * MINUTE)  # tried again, and well
        receipt(connection, "other", NOON - 2 * HOUR + MINUTE)  # another job's answers nothing
        receipt(connection, "hourly", NOON - HOUR + MINUTE)
        verdicts = [each.verdict for each in answered(connection, NOON - 7 * HOUR, NOON, NOON, PATIENCE)]
        reading = completion_reading(connection, FLEET, NOON)
    assert verdicts == ["succeeded", "succeeded", "failed", "succeeded", "missed", "succeeded", "open"]
    assert reading.value == D(4) / 6
    assert reading.detail == "4 of 6 due runs succeeded, 1 did not happen: hourly"


def test_a_run_under_way_is_open_until_its_time_is_over(warehouse: Connect) -> None:
    with warehouse() as connection:
        tick(connection, "hourly", NOON - 50 * MINUTE, NOON + 10 * MINUTE)
        receipt(connection, "hourly", NOON - 30 * MINUTE, "running")
        (late,) = answered(connection, NOON - HOUR, NOON, NOON, PATIENCE)
        (over,) = answered(connection, NOON - HOUR, NOON, NOON + 6 * MINUTE, PATIENCE)
    assert (late.verdict, over.verdict) == ("open", "failed")


def test_freshness_by_the_formula(warehouse: Connect) -> None:
    with warehouse() as connection:
        source(connection, "shopify", [NOON - 2 * HOUR, NOON - 4 * HOUR])  # 6 of 10 hours left
        source(connection, "slack", [NOON - 12 * HOUR])  # none left
        source(connection, "netsuite", [], connected=False)
        reading = freshness_reading(connection, FLEET, NOON)
    assert reading.value == reading.low == reading.high == D("0.3")
    assert "out of date: Slack" in reading.detail


def test_a_source_that_never_was_whole_widens_freshness(warehouse: Connect) -> None:
    with warehouse() as connection:
        source(connection, "shopify", [NOON - 5 * HOUR])
        source(connection, "slack", [None])
        reading = freshness_reading(connection, FLEET, NOON)
    assert (reading.value, reading.low, reading.high) == (D("0.5"), D("0.25"), D("0.75"))
    assert "never whole: Slack" in reading.detail


def test_no_connected_source_is_unknown(warehouse: Connect) -> None:
    with warehouse() as connection:
        source(connection, "shopify", [], connected=False)
        assert freshness_reading(connection, FLEET, NOON).value is None


def test_error_rate(warehouse: Connect) -> None:
    with warehouse() as connection:
        assert error_reading(connection, NOON).value is None
        for number in range(9):
            receipt(connection, "hourly", NOON - number * HOUR, "failed" if number == 3 else "succeeded")
        receipt(connection, "hourly", NOON - MINUTE, "running")
        receipt(connection, "hourly", NOON - 25 * HOUR, "failed")  # of the day before
        reading = error_reading(connection, NOON)
    assert reading.value is not None and abs(reading.value - D(8) / 9) < D("1e-20")
    assert reading.detail == "1 of 9 runs failed: hourly"


@pytest.mark.parametrize(
    ("costs", "expected"),
    [(["0.01"], "1"), (["0.02"], "1"), (["0.04"], "0.5"), (["0.03", "0.05"], "0.5"), ([None], "1")],
)
def test_token_efficiency(warehouse: Connect, costs: list[str | None], expected: str) -> None:
    """The baseline is 0.02 USD for an output."""
    with warehouse() as connection:
        for number, cost in enumerate(costs):
            output(connection, NOON - (number + 1) * 24 * HOUR, cost)
        spent(connection, NOON - 8 * 24 * HOUR, "9")  # of the week before
        assert token_reading(connection, FLEET, NOON).value == D(expected)


def test_cost_without_any_output_is_at_nothing_and_neither_is_unknown(warehouse: Connect) -> None:
    with warehouse() as connection:
        assert token_reading(connection, FLEET, NOON).value is None
        output(connection, NOON - HOUR, "0.01", sent=False)
        assert token_reading(connection, FLEET, NOON).value == 0


def test_ticks_are_told_ahead_and_the_past_is_not_rewritten(warehouse: Connect) -> None:
    with warehouse() as connection:
        first = publish_expected(connection, fleet({"hourly": "0 * * * *", "gone": "30 6 * * *"}), NOON - 2 * HOUR)
        assert first == 8 * 24 - 1 + 8  # the end of the eighth day is no part of it
        changed = fleet({"hourly": "0 */2 * * *"})
        publish_expected(connection, changed, NOON)
        rows = connection.execute(
            "select job, due_at <= %s, count(*) from ops.expected_ticks group by 1, 2 order by 1, 2", (NOON,)
        ).fetchall()
        assert publish_expected(connection, changed, NOON) == 8 * 12 - 1
    # 11:00 and 12:00 in New York had been told before the cron changed.
    assert rows == [("hourly", False, 95), ("hourly", True, 2)]


def test_the_next_tick_over_the_change_of_clocks_and_a_long_wait() -> None:
    before = datetime(2026, 10, 31, 12, 0, tzinfo=UTC)
    # Clocks are put back on 1 November: 06:00 in New York is 11:00 UTC from then on.
    assert next_tick("0 6 * * *", "America/New_York", before) == datetime(2026, 11, 1, 11, 0, tzinfo=UTC)
    assert next_tick("0 8 1 * *", "America/New_York", before) == datetime(2026, 11, 1, 13, 0, tzinfo=UTC)
    assert next_tick("0 8 1 1 *", "America/New_York", before) == datetime(2027, 1, 1, 13, 0, tzinfo=UTC)

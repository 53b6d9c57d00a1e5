"""A score against recorded incidents, worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from ops_platform.warehouse.backtest import Backtest, RecordedIncident, backtest

FIRST = date(2026, 3, 1)


def series(*values: int | None) -> dict[date, Decimal | None]:
    return {
        FIRST + timedelta(days=number): None if value is None else Decimal(value) for number, value in enumerate(values)
    }


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def incident(started: int, ended: int) -> RecordedIncident:
    return RecordedIncident("late_wave", day(started), day(ended), "business_health")


def test_a_fall_soon_after_the_start_is_a_detection() -> None:
    found = backtest(series(80, 80, 79, 75, 70, 80), [incident(2, 3)], days=2, minimum_fall=Decimal(5))
    (detection,) = found.detections
    assert (detection.detected_on, detection.days_to_detect, detection.fall) == (day(3), 1, Decimal(10))
    assert (found.judged, found.detected, found.detection_rate) == (1, 1, Decimal(1))


def test_a_fall_that_comes_too_late_is_none() -> None:
    found = backtest(series(80, 80, 80, 80, 70), [incident(1, 1)], days=2, minimum_fall=Decimal(5))
    assert (found.detections[0].detected_on, found.detections[0].fall) == (None, Decimal(0))
    assert found.detection_rate == 0


def test_an_incident_the_history_does_not_cover_is_not_judged() -> None:
    before_the_series, unknown_then = incident(0, 0), incident(3, 3)
    found = backtest(series(80, 80, None, 60, 60), [before_the_series, unknown_then], days=1)
    assert [each.fall for each in found.detections] == [None, None]
    assert (found.judged, found.detection_rate) == (0, None)


def test_a_fall_without_an_incident_is_false_and_counted_once() -> None:
    # Ten quiet days; the fall of days 3 and 4 is one, that of day 8 another.
    found = backtest(series(80, 80, 80, 77, 74, 74, 80, 80, 70, 70), [], days=1, minimum_fall=Decimal(3))
    assert found.false_falls == (day(3), day(8))
    assert (found.quiet_days, found.false_falls_per_year) == (10, 2 * Decimal("365.25") / 10)


def test_a_fall_within_or_soon_after_an_incident_is_not_false() -> None:
    found = backtest(series(80, 70, 60, 50, 50, 50), [incident(1, 2)], days=1, minimum_fall=Decimal(5))
    assert found.false_falls == ()
    assert found.quiet_days == 3


def test_nothing_known_says_nothing() -> None:
    assert backtest({}, []) == Backtest((), (), 0)
    assert backtest({}, []).false_falls_per_year is None


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        incident(3, 2)
    with pytest.raises(ValueError, match="at least one day"):
        backtest({}, [], days=0)

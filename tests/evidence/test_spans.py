"""Days, weeks and months, what they are called and what they are held against: worked out on a calendar."""

from __future__ import annotations

from datetime import date

import pytest

from ops_platform.evidence.narrative_context import expected_below
from ops_platform.evidence.spans import TIERS, comparison_names, last_complete, span_of, tier_of
from ops_platform.failures import DataFailure


def bounds(tier: str, day: date) -> tuple[str, str]:
    span = span_of(tier, day)  # type: ignore[arg-type]
    return span.start.isoformat(), span.end.isoformat()


def test_a_day_a_week_from_monday_and_a_month() -> None:
    assert bounds("daily", date(2026, 11, 19)) == ("2026-11-19", "2026-11-19")
    assert bounds("weekly", date(2026, 11, 16)) == bounds("weekly", date(2026, 11, 22)) == ("2026-11-16", "2026-11-22")
    assert bounds("monthly", date(2028, 2, 7)) == ("2028-02-01", "2028-02-29")
    with pytest.raises(DataFailure, match="daily, weekly or monthly"):
        span_of("yearly", date(2026, 1, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tier", "day", "label"),
    [
        ("daily", date(2026, 11, 19), "Thursday 19 November"),
        ("weekly", date(2026, 11, 18), "16–22 November"),
        ("weekly", date(2026, 12, 1), "30 November–6 December"),
        ("monthly", date(2026, 11, 18), "November 2026"),
    ],
)
def test_what_a_reader_calls_them(tier: str, day: date, label: str) -> None:
    assert span_of(tier, day).label == label  # type: ignore[arg-type]


def test_what_they_are_held_against() -> None:
    def told(tier: str, day: date) -> dict[str, tuple[str, str, str]]:
        found = comparison_names(span_of(tier, day))  # type: ignore[arg-type]
        return {role: (name, label, span.start.isoformat()) for role, (name, label, span) in found.items()}

    assert told("daily", date(2026, 11, 19)) == {
        "before": ("same_weekday", "Thursday last week", "2026-11-12"),
        "eve": ("day_before", "the day before", "2026-11-18"),
    }
    # 364 days: a Monday again. The week that begins on 16 November 2026 meets that of 17 November 2025.
    assert told("weekly", date(2026, 11, 18)) == {
        "before": ("week_before", "the week before", "2026-11-09"),
        "year": ("last_year", "the same week last year", "2025-11-17"),
    }
    assert told("monthly", date(2026, 1, 31)) == {
        "before": ("month_before", "December", "2025-12-01"),
        "year": ("last_year", "January last year", "2025-01-01"),
    }


def test_the_newest_that_is_over() -> None:
    monday = date(2026, 11, 23)
    assert [last_complete(tier, monday).label for tier in TIERS] == [
        "Sunday 22 November", "16–22 November", "October 2026",
    ]  # fmt: skip
    assert last_complete("weekly", date(2026, 11, 22)).label == "9–15 November"
    assert last_complete("monthly", date(2026, 12, 1)).label == "November 2026"


def test_a_job_is_of_a_tier_or_of_none() -> None:
    assert [tier_of(name) for name in ("narrative_weekly", "pulse", "narrative", "narrative_hourly")] == [
        "weekly", None, None, None,
    ]  # fmt: skip


def test_a_week_expects_its_days_and_a_month_the_weeks_that_ended_in_it() -> None:
    assert expected_below(span_of("daily", date(2026, 11, 19))) == ()
    assert len(expected_below(span_of("weekly", date(2026, 11, 19)))) == 7
    # November 2026 begins on a Sunday, which ends the week from 26 October; the last week to end is 23 to 29.
    assert [day.isoformat() for day in expected_below(span_of("monthly", date(2026, 11, 19)))] == [
        "2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16", "2026-11-23",
    ]  # fmt: skip

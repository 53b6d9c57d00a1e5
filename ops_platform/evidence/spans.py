"""The days a narrative is about, and the days they are held against: a day, a week, a month.

Belongs here: bounds, names and the spans before. Does not belong here: what happened in them (`evidence.combining`),
retail calendars (dbt).

A week is Monday to Sunday. A week is held against the same week of the year before 364 days back, so that weekdays
meet; a month against the month of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from ops_platform.evidence.calendar import DAY, MONTHS, WEEKDAYS
from ops_platform.evidence.model import Period
from ops_platform.failures import DataFailure

Tier = Literal["daily", "weekly", "monthly"]
TIERS: tuple[Tier, ...] = ("daily", "weekly", "monthly")
WEEK = timedelta(days=7)
SAME_WEEK_LAST_YEAR = timedelta(days=364)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole business days from `start` to `end`, both included."""

    tier: Tier
    start: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def label(self) -> str:
        """As a reader is told of it: "Thursday 19 November", "16–22 November", "November 2026"."""
        first, last = self.start, self.end
        if self.tier == "daily":
            return f"{WEEKDAYS[first.weekday()]} {first.day} {MONTHS[first.month - 1]}"
        if self.tier == "monthly":
            return f"{MONTHS[first.month - 1]} {first.year}"
        if first.month == last.month:
            return f"{first.day}–{last.day} {MONTHS[last.month - 1]}"
        return f"{first.day} {MONTHS[first.month - 1]}–{last.day} {MONTHS[last.month - 1]}"

    @property
    def period(self) -> Period:
        return Period(self.start, self.end, self.label)

    def each_day(self) -> list[date]:
        return [self.start + timedelta(days=n) for n in range(self.days)]

    def before(self) -> Span:
        """What it is first held against: for a day the same weekday a week before, else the span before it."""
        if self.tier == "daily":
            return Span("daily", self.start - WEEK, self.end - WEEK)
        if self.tier == "weekly":
            # Also of seven days that begin on another weekday.
            return Span("weekly", self.start - WEEK, self.end - WEEK)
        return span_of(self.tier, self.start - DAY)

    def year_before(self) -> Span:
        if self.tier == "monthly":
            return span_of("monthly", date(self.start.year - 1, self.start.month, 1))
        return Span(self.tier, self.start - SAME_WEEK_LAST_YEAR, self.end - SAME_WEEK_LAST_YEAR)


def span_of(tier: Tier, day: date) -> Span:
    """The day, week or month that `day` is in. An unknown tier raises `DataFailure`."""
    if tier == "daily":
        return Span(tier, day, day)
    if tier == "weekly":
        monday = day - timedelta(days=day.weekday())
        return Span(tier, monday, monday + timedelta(days=6))
    if tier == "monthly":
        first = day.replace(day=1)
        return Span(tier, first, (first + timedelta(days=31)).replace(day=1) - DAY)
    raise DataFailure(f"A narrative is daily, weekly or monthly, not {tier!r}.")


def tier_of(document: str) -> Tier | None:
    """The tier of a job's document (`narrative_weekly`), None for any other kind."""
    return next((tier for tier in TIERS if document == f"narrative_{tier}"), None)


def last_complete(tier: Tier, today: date) -> Span:
    """The newest day, week or month that ended before `today`."""
    span = span_of(tier, today)
    return span_of(tier, span.start - DAY)


def comparison_names(span: Span) -> dict[str, tuple[str, str, Span]]:
    """What a span is held against: by role its comparison's name, its label, and the span. Roles are `before` (the
    first comparison), `eve` (days only) and `year`."""
    before, year = span.before(), span.year_before()
    if span.tier == "daily":
        eve = Span("daily", span.start - DAY, span.end - DAY)
        return {
            "before": ("same_weekday", f"{WEEKDAYS[span.start.weekday()]} last week", before),
            "eve": ("day_before", "the day before", eve),
        }
    if span.tier == "weekly":
        return {
            "before": ("week_before", "the week before", before),
            "year": ("last_year", "the same week last year", year),
        }
    return {
        "before": ("month_before", MONTHS[before.start.month - 1], before),
        "year": ("last_year", f"{MONTHS[span.start.month - 1]} last year", year),
    }

"""The days a document speaks of, in the company's zone, and their names.

Belongs here: today, yesterday, the month to date, bounds of a day, English names whatever the machine's locale.
Does not belong here: the clock itself (`ops_platform.clock`), retail calendars (dbt).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from ops_platform.evidence.model import Period

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMES = "January February March April May June July August September October November December"
MONTHS = tuple(_NAMES.split())


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days a document speaks of, in the company's zone."""

    as_of: datetime
    zone: ZoneInfo

    @property
    def today(self) -> date:
        return self.as_of.astimezone(self.zone).date()

    @property
    def yesterday(self) -> date:
        return self.today - DAY

    @property
    def month_start(self) -> date:
        """The first of yesterday's month: on the first of a month, the month to date is the one that ended."""
        return self.yesterday.replace(day=1)

    def start_of(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)

    def end_of(self, day: date) -> datetime:
        return self.start_of(day + DAY)

    def day_period(self, day: date) -> Period:
        return Period(day, day, f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}")

    def month_period(self) -> Period:
        start, end = self.month_start, self.yesterday
        days = f"{start.day}" if start == end else f"{start.day}–{end.day}"
        return Period(start, end, f"{days} {MONTHS[end.month - 1]}")

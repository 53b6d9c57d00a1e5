"""The platform's clock: now, the company's zone, the company's business day.

Belongs here: reading time. Does not belong here: calendars and comparisons (dbt). Everything that asks
for the time asks here, so that demo, tests and replay can hold it still with `OPS_NOW`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def now() -> datetime:
    """The present moment, zone-aware, in UTC; `OPS_NOW` when that is set."""
    from ops_platform.settings import get_settings

    frozen = get_settings().ops_now
    return (frozen or datetime.now(UTC)).astimezone(UTC)


def business_day(at: datetime, zone: str) -> date:
    """The calendar day at `at` in the company's `zone`."""
    if at.tzinfo is None:
        raise ValueError("a moment without a zone has no business day")
    return at.astimezone(ZoneInfo(zone)).date()


def day_bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """First moment of `day` and of the day after, in `zone`: 23, 24 or 25 hours apart."""
    tz = ZoneInfo(zone)
    following = day + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=tz), datetime(
        following.year, following.month, following.day, tzinfo=tz
    )

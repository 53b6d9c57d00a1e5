"""How many orders a day brings, by channel: growth, year, week, Black Friday, promotions.

Belongs here: expected demand and the calendar of promotions. Does not belong here: incidents (they scale this),
single orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from sandbox.company.catalogue import ZONE
from sandbox.company.chance import cumulative

_MIDDLE = date(2025, 11, 15)
_BASE_A_DAY = 31.8
_GROWTH_A_YEAR = 1.18
_MONTH = (0.86, 0.88, 0.92, 0.93, 0.98, 0.97, 0.96, 0.94, 0.97, 1.03, 1.22, 1.42)
_WEEKDAY = (1.08, 1.05, 1.01, 0.98, 0.96, 0.90, 1.02)

CHANNEL_SHARE = {"web": 0.70, "amazon": 0.185, "retail": 0.10, "wholesale": 0.015}
_CHANNEL_WEEKDAY = {
    "web": (1.0,) * 7,
    "amazon": (1.0,) * 7,
    "retail": (0.8, 0.8, 0.85, 0.95, 1.15, 1.5, 0.95),
    "wholesale": (1.5, 1.4, 1.4, 1.3, 1.2, 0.1, 0.1),
}

_HOURS = (6, 4, 3, 2, 2, 3, 6, 12, 20, 27, 31, 33, 36, 35, 33, 32, 32, 33, 36, 41, 43, 38, 26, 13)
_OPEN = (0,) * 10 + (8, 12, 15, 14, 12, 12, 14, 16, 12, 8) + (0,) * 4
_OFFICE = (0,) * 8 + (6, 10, 12, 11, 6, 9, 11, 10, 7, 3) + (0,) * 6
HOURS = {
    "web": cumulative(_HOURS),
    "amazon": cumulative(_HOURS),
    "retail": cumulative(_OPEN),
    "wholesale": cumulative(_OFFICE),
}


@lru_cache(maxsize=64)
def black_friday(year: int) -> date:
    """The day after the fourth Thursday of November."""
    first = date(year, 11, 1)
    thursday = first + timedelta(days=(3 - first.weekday()) % 7 + 21)
    return thursday + timedelta(days=1)


def _peak(day: date) -> float:
    gap = (day - black_friday(day.year)).days
    if gap in {0, 3}:
        return 3.3 if gap == 0 else 2.9
    if gap in {1, 2}:
        return 1.9
    if -5 <= gap < 0:
        return 1.12
    if 4 <= gap <= 6:
        return 1.25
    if day.month == 12 and day.day >= 21:
        return 0.55 if day.day <= 26 else 0.75
    if day.month == 7 and day.day in {14, 15}:
        return 1.7
    return 1.0


def season(day: date) -> float:
    """Season without week and growth, about 1 on a plain day: what a planner expects to change."""
    days_in = day.day / 30.5
    here, there = _MONTH[day.month - 1], _MONTH[day.month % 12]
    before = _MONTH[day.month - 2]
    # Slide between months so that no first of the month is a step.
    blend = here + (there - here) * max(0.0, days_in - 0.5) + (before - here) * max(0.0, 0.5 - days_in)
    return blend * _peak(day)


def growth(day: date) -> float:
    return float(_GROWTH_A_YEAR ** ((day - _MIDDLE).days / 365.25))


def expected_orders(day: date, channel: str) -> float:
    """Orders expected on the day in the channel, before promotions, noise and incidents."""
    week = 1.0 if channel in {"retail", "wholesale"} else _WEEKDAY[day.weekday()]
    total = _BASE_A_DAY * growth(day) * season(day) * week
    return total * CHANNEL_SHARE[channel] * _CHANNEL_WEEKDAY[channel][day.weekday()]


@dataclass(frozen=True, slots=True)
class Promotion:
    """A discount and when it runs. `share` of the eligible web orders use it; `lift` is what it adds to demand."""

    id: int
    kind: str
    title: str
    code: str | None
    percent: int
    amount_cents: int
    start: date
    end: date | None
    share: float
    lift: float
    minimum_cents: int = 0


def _promotion_id(number: int) -> int:
    return 1_380_000_000_000 + number * 8192


def promotions_from(first: date, last: date) -> tuple[Promotion, ...]:
    """All promotions that start not later than `last`; numbering depends on the first day alone."""
    found = [
        Promotion(_promotion_id(1), "code_basic", "Welcome 10 %", "WELCOME10", 10, 0, first, None, 0.16, 1.0),
        Promotion(_promotion_id(2), "code_basic", "Partner 20 USD off 150", "PARTNER20", 0, 2000, first, None, 0.03,
                  1.0, 15000),
        Promotion(_promotion_id(3), "automatic_basic", "Bundle three, save 5 %", None, 5, 0, date(2025, 4, 1), None,
                  1.0, 1.0),
        Promotion(_promotion_id(4), "code_free_shipping", "Free shipping", "SHIPFREE", 0, 0, first, None, 0.02, 1.0),
        Promotion(_promotion_id(5), "code_bxgy", "Cable with a charger", "CABLEGIFT", 0, 0, date(2025, 2, 1),
                  date(2025, 2, 28), 0.0, 1.0),
        # Given to people who stay away, by hand; nobody in the story has used it.
        Promotion(_promotion_id(6), "code_basic", "We miss you: 15 %", "COMEBACK15", 15, 0, first, None, 0.0, 1.0),
    ]  # fmt: skip
    calendar = (
        (1, 12, 10, "NEWYEAR", 15, 0.20, 1.08),
        (3, 17, 7, "SPRING", 15, 0.22, 1.10),
        (5, 20, 8, "MEMORIAL", 20, 0.25, 1.14),
        (7, 12, 6, "SUMMER", 20, 0.26, 1.12),
        (9, 2, 9, "CAMPUS", 15, 0.22, 1.09),
        (10, 14, 5, "FALL", 10, 0.20, 1.06),
    )
    number = 10
    for year in range(first.year, last.year + 1):
        friday = black_friday(year)
        windows = [
            (date(year, month, day), date(year, month, day) + timedelta(days=length), f"{name}{year % 100}", percent,
             share, lift)
            for month, day, length, name, percent, share, lift in calendar
        ]  # fmt: skip
        windows += [
            (friday - timedelta(days=11), friday - timedelta(days=6), f"EARLY{year % 100}", 10, 0.24, 1.06),
            (friday - timedelta(days=1), friday + timedelta(days=4), f"BFCM{year % 100}", 25, 0.62, 1.0),
            (date(year, 12, 10), date(year, 12, 19), f"GIFT{year % 100}", 12, 0.25, 1.05),
        ]
        for start, end, code, percent, share, lift in windows:
            number += 1
            if start >= first and start <= last:
                title = f"{code[:-2].title()} {year}: {percent} %"
                found.append(
                    Promotion(_promotion_id(number), "code_basic", title, code, percent, 0, start, end, share, lift)
                )
    return tuple(found)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The first instant of the day and of the next one, in UTC; 23 or 25 hours apart when the clocks change."""
    start = datetime.combine(day, time(), ZONE).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), ZONE).astimezone(UTC)
    return start, end


def local(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A wall-clock time of the company's zone, in UTC."""
    return datetime.combine(day, time(hour, minute, second), ZONE).astimezone(UTC)

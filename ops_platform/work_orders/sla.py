"""The clock of an order: how much of its time is used, when it is due, whether it was in time.

Belongs here: pure arithmetic over a calendar and pauses. Does not belong here: hours (`calendars.py`), which calendar
and how long (`policy.py`), what is told when (`ladder.py`), SQL (`store.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ops_platform.work_orders.calendars import Calendar, after, worked


@dataclass(frozen=True, slots=True)
class Pause:
    """The clock stood still from `start` to `end` (None: still does)."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Clock:
    """`start` is the moment from which `allowed` of working time counts. Without a calendar it runs round the clock."""

    start: datetime
    allowed: timedelta
    calendar: Calendar | None = None
    pauses: tuple[Pause, ...] = ()

    def used(self, at: datetime) -> timedelta:
        """The working time that has passed until `at`, pauses apart."""
        total = worked(self.calendar, self.start, at)
        for start, end in merged(self.pauses, at):
            total -= worked(self.calendar, max(start, self.start), at if end is None else min(end, at))
        return total

    def left(self, at: datetime) -> timedelta:
        """Working time until it is breached; negative afterwards."""
        return self.allowed - self.used(at)

    def due(self) -> datetime | None:
        """When the time is used up; None while the clock stands still with time left."""
        reached = self.start
        left = self.allowed
        for start, end in merged(self.pauses, None):
            start = max(start, self.start)
            if start > reached:
                running = worked(self.calendar, reached, start)
                if running >= left:
                    break
                left -= running
            if end is None:
                return None
            reached = max(reached, end)
        return after(self.calendar, reached, left)

    def breached(self, at: datetime) -> bool:
        """Whether more than the allowed time has passed: exactly all of it is in time."""
        return self.used(at) > self.allowed


def merged(pauses: Sequence[Pause], at: datetime | None) -> list[tuple[datetime, datetime | None]]:
    """Pauses in order, none overlapping. An open one ends at `at`, or, where that is None, never."""
    found: list[tuple[datetime, datetime | None]] = []
    for pause in sorted(pauses, key=lambda one: one.start):
        end = pause.end if pause.end is not None else at
        if end is not None and end <= pause.start:
            continue
        if found and (found[-1][1] is None or pause.start <= found[-1][1]):
            start, before = found[-1]
            found[-1] = (start, None if end is None or before is None else max(before, end))
        else:
            found.append((pause.start, end))
    return found


def in_words(duration: timedelta) -> str:
    """`3 d 4 h`, `2 h 5 min`, `40 min`: the two largest units."""
    minutes = int(abs(duration).total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{value} {unit}" for value, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if value]
    return " ".join(parts[:2]) or "0 min"


def utc(moment: datetime) -> datetime:
    """In UTC. Raises `ValueError` for a moment without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a clock needs moments with a zone")
    return moment.astimezone(UTC)

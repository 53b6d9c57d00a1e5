"""Working hours: when a clock runs.

Belongs here: the shape of a calendar and its arithmetic, exact through holidays and changes of the clock. Does not
belong here: whose calendar counts and what an SLA is (`sla.py`).

Hours are written in local time and counted in real minutes: a shift over the hour that is skipped in spring is an hour
shorter, and one over the hour that comes twice in autumn is an hour longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from ops_platform.fleet.entries import Entry
from ops_platform.zones import zone_of

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALWAYS = "always"
# Beyond this nobody waits: a calendar whose next opening is further away is a mistake.
FURTHEST = timedelta(days=5 * 366)
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")


def _spans(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_SPAN_SCHEMA = {"type": "string", "pattern": r"^\d\d:\d\d-\d\d:\d\d$", "examples": ["09:00-17:00"]}
Spans = Annotated[
    list[str],
    BeforeValidator(_spans),
    WithJsonSchema({"anyOf": [_SPAN_SCHEMA, {"type": "array", "items": _SPAN_SCHEMA}]}),
]


class Calendar(Entry):
    """Hours by weekday in local time (`mon: "09:00-17:00"`, several as a list, `24:00` is midnight), with the days on
    which nobody works. A day that is not named is not worked."""

    timezone: str
    hours: dict[str, Spans]
    holidays: list[date] = Field(default_factory=list)

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        zone_of(value)
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Calendar:
        problems = [f"{day!r} is no day: {', '.join(DAYS)}" for day in self.hours if day not in DAYS]
        for day, spans in self.hours.items():
            before = -1
            for text in spans:
                if not _SPAN.fullmatch(text):
                    problems.append(f"{day}: {text!r} is no span like 09:00-17:00")
                    continue
                opens, closes = _minutes(text)
                if closes <= opens:
                    problems.append(f"{day}: {text} ends before it begins; split it at midnight")
                if opens < before:
                    problems.append(f"{day}: {text} begins before the span before it ends")
                before = closes
        if not any(self.hours.values()):
            problems.append("nobody ever works: name a day with its hours")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def open_spans(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The spans in UTC in which somebody works, from `start` on, in order, none empty. Ends after `FURTHEST`."""
        zone = ZoneInfo(self.timezone)
        begin = start.astimezone(UTC)
        last = begin + FURTHEST
        day = start.astimezone(zone).date() - timedelta(days=1)
        closed = frozenset(self.holidays)
        reached = begin
        while True:
            if day not in closed:
                for text in self.hours.get(DAYS[day.weekday()], ()):
                    opens_at, closes_at = _minutes(text)
                    opens = max(_moment(day, opens_at, zone), reached)
                    closes = _moment(day, closes_at, zone)
                    if opens > last:
                        return
                    if closes > opens:
                        yield opens, closes
                        reached = closes
            day += timedelta(days=1)
            if _moment(day, 0, zone) > last:
                return


def _minutes(span: str) -> tuple[int, int]:
    opens, closes = span.split("-")
    return tuple(int(text[:2]) * 60 + int(text[3:]) for text in (opens, closes))  # type: ignore[return-value]


def _moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """A local time in UTC. One that the clock skips is the moment of the skip; one that comes twice is its first."""
    if minute == 24 * 60:
        day, minute = day + timedelta(days=1), 0
    local = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # Skipped: fold=0 reads it with the offset before the change, fold=1 with the one after; the change lies between.
    early, late = sorted((moment, local.replace(fold=1).astimezone(UTC)))
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def worked(calendar: Calendar | None, start: datetime, end: datetime) -> timedelta:
    """The working time between two moments; of no calendar, all of it. Zero where `end` is not after `start`."""
    if end <= start:
        return timedelta(0)
    if calendar is None:
        return end - start
    total = timedelta(0)
    for opens, closes in calendar.open_spans(start):
        if opens >= end:
            break
        total += min(closes, end) - opens
    return total


def after(calendar: Calendar | None, start: datetime, duration: timedelta) -> datetime:
    """The moment at which `duration` of working time has passed since `start`, in UTC: a span's last moment, not the
    next one's first. Raises `OverflowError` where that is years away."""
    if calendar is None or duration <= timedelta(0):
        return start.astimezone(UTC) + max(duration, timedelta(0))
    left = duration
    for opens, closes in calendar.open_spans(start):
        if closes - opens >= left:
            return opens + left
        left -= closes - opens
    raise OverflowError(f"{duration} of working time takes more than {FURTHEST.days} days: look at the calendar")

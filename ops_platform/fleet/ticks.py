"""When a job is due: the moments its cron names, in the company's zone.

Belongs here: reading a five-field cron for a short window. Does not belong here: starting anything (Dagster's schedules
do), whether a run answered (`ops_platform.alerts.receipts`).

Where clocks are put forward, a time that does not exist is not due; where they are put back, the first of two is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ops_platform.failures import ConfigurationError

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MINUTE = timedelta(minutes=1)


def ticks_between(cron: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """The moments in [start, end) at which `cron` is due; both aware. Raises `ConfigurationError` for a cron that this
    cannot read (numbers, lists, ranges and steps are read)."""
    minutes, hours, days, months, weekdays = _sets(cron)
    any_day, any_weekday = _fields(cron)[2].startswith("*"), _fields(cron)[4].startswith("*")
    weekdays = {day % 7 for day in weekdays}
    local_zone = ZoneInfo(zone)
    found = []
    # In UTC, where a minute later is a minute later, whatever the clocks do.
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    moment = start.replace(second=0, microsecond=0)
    if moment < start:
        moment += MINUTE
    while moment < end:
        local = moment.astimezone(local_zone)
        on_day = local.day in days
        on_weekday = local.isoweekday() % 7 in weekdays
        # As cron has it: with both given, either is enough.
        due = (on_day and on_weekday) if any_day or any_weekday else (on_day or on_weekday)
        if due and local.month in months and local.hour in hours:
            if local.minute in minutes and local.fold == 0:
                found.append(moment)
            moment += MINUTE
        else:
            moment += MINUTE * (60 - local.minute)
    return found


def check_cron(cron: str) -> None:
    """Raises `ConfigurationError` for a cron that `ticks_between` cannot read."""
    _sets(cron)


def last_tick(cron: str, zone: str, at: datetime, *, within: timedelta = timedelta(days=40)) -> datetime | None:
    """The newest moment up to and with `at` at which `cron` was due; None where there is none `within` that time."""
    reach = min(timedelta(hours=26), within)
    while True:
        found = ticks_between(cron, zone, at - reach, at + MINUTE)
        found = [tick for tick in found if tick <= at]
        if found:
            return found[-1]
        if reach >= within:
            return None
        reach = min(reach * 8, within)


def _sets(cron: str) -> list[set[int]]:
    return [_field(text, low, high, cron) for text, (low, high) in zip(_fields(cron), _RANGES, strict=True)]


def _fields(cron: str) -> list[str]:
    fields = cron.split()
    if len(fields) != 5:
        raise ConfigurationError(f"{cron!r} is not a five-field cron expression")
    return fields


def _field(text: str, low: int, high: int, cron: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        try:
            begin = low if span == "*" else int(first)
            until = high if span == "*" or (step and not last) else int(last or first)
            found |= set(range(begin, until + 1, int(step or 1)))
        except ValueError:
            raise ConfigurationError(f"cannot read {part!r} in the cron {cron!r}") from None
        if not low <= begin <= until <= high:
            raise ConfigurationError(f"{part!r} in the cron {cron!r} is not between {low} and {high}")
    return found

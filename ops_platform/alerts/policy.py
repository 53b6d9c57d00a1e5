"""The policy as the machine asks for it: which persistence a subject has, where a severity is told, what a working
day is.

Belongs here: resolving `fleet.yaml`'s `alerts` section for one subject or day. Does not belong here: the section's
shape (`ops_platform.fleet.alert_policy`), the machine.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from ops_platform.alerts.signal import Severity
from ops_platform.failures import DataFailure
from ops_platform.fleet.alert_policy import AlertPolicy, Persistence
from ops_platform.settings import PROJECT_ROOT
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.alerts.signal import Signal, Subject
    from ops_platform.fleet import Fleet

HOLIDAYS = PROJECT_ROOT / "dbt_project" / "seeds" / "company" / "holidays.csv"
DAY = timedelta(days=1)


def persistence_of(policy: AlertPolicy, subject: Subject) -> Persistence:
    """The persistence of a subject: the longest exception that names it, else its kind's."""
    parts = subject.key.split(":")
    for length in range(len(parts), 1, -1):
        found = policy.exceptions.get(":".join(parts[:length]))
        if found is not None:
            return found
    return policy.persistence[subject.kind.value]


def as_alerted(policy: AlertPolicy, signal: Signal) -> Signal:
    """The signal as the machine takes it: a breach in the good direction is quieter, or none, as the policy says."""
    if signal.found is not Finding.BREACHED or signal.adverse or policy.favourable == "same":
        return signal
    if policy.favourable == "silent":
        # Out of its range it is not clear either: an adverse incident ends, and nothing else begins.
        return replace(signal, found=Finding.CLEAR, closeness=None)
    return replace(signal, severity=Severity.WATCH)


def channel_of(fleet: Fleet, severity: Severity, owner: str | None) -> str:
    """The role of the channel: alert and critical go to the alert channel, the rest to the owner's. The executive reads
    the pulse: what is only watched never goes there."""
    if severity.rank >= Severity.ALERT.rank:
        return "alerts"
    bot = fleet.bots.get(owner or "")
    return bot.channel if bot is not None and bot.channel != "executive" else "team"


@dataclass(frozen=True)
class BusinessCalendar:
    """The company's working days: the policy's week without the public holidays on file."""

    working_days: frozenset[int]
    holidays: frozenset[date]

    def is_business_day(self, day: date) -> bool:
        return day.isoweekday() in self.working_days and day not in self.holidays

    def next_business_day(self, after: date, count: int = 1) -> date:
        """The `count`-th business day after `after`."""
        day = after
        while count:
            day += DAY
            count -= self.is_business_day(day)
        return day

    def check_snooze(self, until: date, today: date, most_days: int) -> None:
        """Raises `DataFailure`, saying what would do, unless one may snooze until this day."""
        if until <= today:
            raise DataFailure(f"{until} is not ahead: snooze until {self.next_business_day(today)} or later.")
        if (until - today).days > most_days:
            raise DataFailure(f"{until} is more than {most_days} days ahead (fleet.yaml, alerts.snooze_days_most).")
        if not self.is_business_day(until):
            why = "a holiday" if until in self.holidays else "no working day"
            raise DataFailure(
                f"{until} ({until:%A}) is {why}: the next business day is {self.next_business_day(until)}."
            )


def business_calendar(policy: AlertPolicy) -> BusinessCalendar:
    """The calendar of the company: the policy's week, and the public holidays as offices keep them."""
    return BusinessCalendar(policy.working_days, _office_holidays())


@lru_cache(maxsize=1)
def _office_holidays() -> frozenset[date]:
    with HOLIDAYS.open(encoding="utf-8", newline="") as file:
        federal = [date.fromisoformat(row["date"]) for row in csv.DictReader(file) if row["kind"] == "federal"]
    return frozenset(kept_by_offices(federal))


def kept_by_offices(holidays: Iterable[date]) -> Iterable[date]:
    """Holidays on the day offices close: of a Saturday the Friday before, of a Sunday the Monday after, and the day
    itself."""
    for day in holidays:
        yield day
        if day.isoweekday() == 6:
            yield day - DAY
        elif day.isoweekday() == 7:
            yield day + DAY

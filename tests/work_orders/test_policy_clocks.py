"""Clocks against an oracle that looks at every single minute, holidays, pauses and changes of the clock included."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ops_platform.work_orders.calendars import DAYS, Calendar, after, worked
from ops_platform.work_orders.sla import Clock, Pause, in_words
from tests.sizes import examples

MINUTE = timedelta(minutes=1)
ZONES = ("America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
# Around both changes of the clock in New York and Berlin, Lord Howe's half hour, New Year's.
STARTS = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in ("2026-03-06T12:00", "2026-03-27T08:30", "2026-10-24T20:15", "2026-10-30T22:10", "2026-04-03T09:00",
                 "2026-12-30T16:45", "2026-07-01T00:00")
)  # fmt: skip


def open_at(calendar: Calendar | None, minute: datetime) -> bool:
    """Whether somebody works in the minute that begins now: by the clock on the wall, nothing else."""
    if calendar is None:
        return True
    local = minute.astimezone(ZoneInfo(calendar.timezone))
    if local.date() in calendar.holidays:
        return False
    wall = f"{local:%H:%M}"
    return any(
        span.split("-")[0] <= wall < span.split("-")[1] for span in calendar.hours.get(DAYS[local.weekday()], [])
    )


def minutes_worked(calendar: Calendar | None, start: datetime, end: datetime, pauses: tuple[Pause, ...] = ()) -> int:
    total, minute = 0, start
    while minute < end:
        paused = any(pause.start <= minute and (pause.end is None or minute < pause.end) for pause in pauses)
        total += open_at(calendar, minute) and not paused
        minute += MINUTE
    return total


def spans() -> st.SearchStrategy[list[str]]:
    ends = st.lists(st.integers(0, 96), min_size=2, max_size=4, unique=True).map(sorted)
    # An edge in the hour that comes twice has no one meaning on the wall: calendars of companies have none there.
    ends = ends.map(lambda quarters: [quarter for quarter in quarters if not 3 < quarter < 13])
    return ends.map(
        lambda quarters: [
            f"{first // 4:02}:{first % 4 * 15:02}-{second // 4:02}:{second % 4 * 15:02}"
            for first, second in zip(quarters[::2], quarters[1::2], strict=False)
        ]
    )


calendars = st.builds(
    lambda zone, days, holidays, monday: Calendar(
        timezone=zone, hours={**{day: hours for day, hours in days.items() if hours}, "mon": monday or ["09:00-17:00"]},
        holidays=holidays,
    ),
    st.sampled_from(ZONES), st.dictionaries(st.sampled_from(DAYS), spans(), max_size=7),
    st.lists(st.dates(date(2026, 3, 1), date(2027, 1, 5)), max_size=4), spans(),
)  # fmt: skip
starts = st.builds(lambda start, ahead: start + ahead * MINUTE, st.sampled_from(STARTS), st.integers(0, 3000))


@settings(max_examples=examples(60), deadline=None)
@given(st.one_of(st.none(), calendars), starts, st.integers(0, 4000))
def test_worked_time_is_that_of_the_wall(calendar: Calendar | None, start: datetime, length: int) -> None:
    end = start + length * MINUTE
    assert worked(calendar, start, end) == minutes_worked(calendar, start, end) * MINUTE


@settings(max_examples=examples(60), deadline=None)
@given(st.one_of(st.none(), calendars), starts, st.integers(1, 900))
def test_the_end_is_the_first_minute_at_which_it_is_used_up(
    calendar: Calendar | None, start: datetime, allowed: int
) -> None:
    due = after(calendar, start, allowed * MINUTE)
    minute, left = start, allowed
    while left:
        left -= open_at(calendar, minute)
        minute += MINUTE
    assert due == minute


pauses = st.lists(
    st.tuples(st.integers(-300, 2500), st.one_of(st.none(), st.integers(0, 900))), max_size=4
)  # fmt: skip


@settings(max_examples=examples(80), deadline=None)
@given(st.one_of(st.none(), calendars), starts, st.integers(1, 600), pauses, st.integers(0, 4000))
@example(None, STARTS[0], 60, [(10, 20), (15, 30), (60, None)], 90)
def test_pauses_are_not_counted(
    calendar: Calendar | None, start: datetime, allowed: int, told: list[tuple[int, int | None]], later: int
) -> None:
    stops = tuple(
        Pause(start + begin * MINUTE, None if length is None else start + (begin + length) * MINUTE)
        for begin, length in told
    )
    clock = Clock(start, allowed * MINUTE, calendar, stops)
    at = start + later * MINUTE
    used = minutes_worked(calendar, start, at, stops)
    assert clock.used(at) == used * MINUTE
    assert clock.left(at) == (allowed - used) * MINUTE
    assert clock.breached(at) == (used > allowed)
    due = clock.due()
    if due is None:
        # It stands still for ever, with time left.
        assert any(pause.end is None for pause in stops)
        assert minutes_worked(calendar, start, start + timedelta(days=4), stops) < allowed
    else:
        assert clock.used(due) == allowed * MINUTE
        assert clock.used(due - MINUTE) < allowed * MINUTE


def test_the_examples_of_the_policy() -> None:
    """Friday 16:00 in New York, an hour before the weekend; Thanksgiving; the Sunday on which a clock changes."""
    office = Calendar(
        timezone="America/New_York", hours={day: ["09:00-17:00"] for day in DAYS[:5]}, holidays=[date(2026, 11, 26)]
    )
    friday = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    assert after(office, friday, timedelta(hours=2)) == datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    wednesday = datetime(2026, 11, 25, 21, 0, tzinfo=UTC)
    assert after(office, wednesday, timedelta(hours=2)) == datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
    spring = datetime(2026, 3, 6, 21, 0, tzinfo=UTC)
    assert after(office, spring, timedelta(hours=2)) == datetime(2026, 3, 9, 14, 0, tzinfo=UTC)
    night = Calendar(timezone="America/New_York", hours={"sun": ["00:00-06:00"]})
    assert worked(night, datetime(2026, 3, 8, 0, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)) == timedelta(hours=5)
    assert worked(night, datetime(2026, 11, 1, 0, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)) == timedelta(hours=7)
    skipped = Calendar(timezone="America/New_York", hours={"sun": ["02:30-04:00"]})
    assert worked(skipped, datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)) == timedelta(hours=1)


def test_exactly_the_time_is_in_time() -> None:
    clock = Clock(STARTS[0], timedelta(hours=1))
    assert not clock.breached(STARTS[0] + timedelta(hours=1))
    assert clock.breached(STARTS[0] + timedelta(hours=1, microseconds=1))


@pytest.mark.parametrize(
    "hours",
    [{"monday": "09:00-17:00"}, {"mon": "9-17"}, {"mon": "17:00-09:00"}, {"mon": ["09:00-12:00", "11:00-13:00"]}, {},
     {"mon": "09:00-25:00"}, {"mon": []}],
)  # fmt: skip
def test_a_wrong_calendar_is_refused(hours: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Calendar(timezone="America/New_York", hours=hours)


def test_durations_in_words() -> None:
    assert [in_words(timedelta(minutes=each)) for each in (0, 40, 125, 1440, 4565, -61)] == [
        "0 min", "40 min", "2 h 5 min", "1 d", "3 d 4 h", "1 h 1 min",
    ]  # fmt: skip

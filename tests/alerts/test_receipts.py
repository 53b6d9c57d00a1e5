"""Receipts: a run that was silent, one that failed, one that was killed, and a week of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ops_platform.alerts import receipts
from ops_platform.alerts.receipts import Freshness, Looks, Receipt
from ops_platform.documents.model import plain
from ops_platform.documents.silence import silence_line
from ops_platform.evidence.model import Bundle, CompanyProfile, Period
from ops_platform.failures import ConfigurationError
from ops_platform.fleet.ticks import ticks_between
from tests.alerts.scenes import signal

NEW_YORK = "America/New_York"
NOON = datetime(2026, 11, 3, 17, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
D = Decimal
QUIET = Looks(210, 0, 2, "Refunds", D("0.83"))
FRESH = Freshness(NOON - HOUR)


def one(warehouse: Any) -> Receipt:
    with warehouse() as connection:
        (found,) = receipts.receipts(connection)
    return found


def settle(warehouse: Any, run: str = "r1", at: datetime = NOON, messages: int = 0, **more: Any) -> None:
    job = more.pop("job", "ops_pulse")
    with warehouse() as connection:
        receipts.settle(
            connection, run, job, bot="coordinator", at=at, as_of=at, looks=more.pop("looks", QUIET), freshness=FRESH,
            messages=messages, **more,
        )  # fmt: skip


def fail(warehouse: Any, run: str = "r1", at: datetime = NOON, **more: Any) -> bool:
    with warehouse() as connection:
        job = more.pop("job", "ops_pulse")
        return receipts.fail(connection, run, job, bot=None, at=at, as_of=at, **{"error": "step: no", **more})


def ended(warehouse: Any, run: str, succeeded: bool, at: datetime = NOON) -> bool:
    with warehouse() as connection:
        return receipts.note_ended(
            connection, run, "ops_pulse", bot=None, succeeded=succeeded, started_at=at, at=at, as_of=at
        )  # fmt: skip


def test_a_silent_run_proves_what_it_looked_at(warehouse: Any) -> None:
    with warehouse() as connection:
        receipts.begin(connection, "r1", "ops_pulse", bot="coordinator", at=NOON - HOUR, as_of=NOON - HOUR)
    assert one(warehouse).status == "running"
    settle(warehouse)
    found = one(warehouse)
    assert (found.started_at, found.finished_at, found.silent) == (NOON - HOUR, NOON, True)
    assert (found.checked, found.breached, found.unknown, found.closest) == (210, 0, 2, "Refunds")
    assert (found.closeness, found.fresh_to, found.error) == (D("0.83"), NOON - HOUR, None)


def test_a_failed_run_has_its_receipt_and_stays_failed(warehouse: Any) -> None:
    settle(warehouse)
    assert fail(warehouse)
    settle(warehouse)
    found = one(warehouse)
    assert (found.status, found.error, found.silent, found.checked) == ("failed", "step: no", False, 210)
    assert fail(warehouse, error="another: worse")
    assert one(warehouse).error == "step: no; another: worse"
    assert not fail(warehouse, error="killed", by_sensor=True)  # the run has told its own end


def test_a_run_that_said_something_or_could_not_is_not_silent(warehouse: Any) -> None:
    settle(warehouse, "said", messages=1)
    settle(warehouse, "held", NOON + HOUR, held={"muted": 2})
    settle(warehouse, "part", NOON + 2 * HOUR, held={"part": 4})
    with warehouse() as connection:
        receipts.said(connection, "said", 2)
        receipts.hold(connection, "held", "undelivered", 1)
        part, held, said = receipts.receipts(connection)
    assert (said.messages, said.silent, said.held) == (3, False, {})
    assert (held.messages, held.silent, held.held) == (0, False, {"muted": 2, "undelivered": 1})
    assert part.silent  # what is too small to be told is nothing that was due


def test_every_reason_that_holds_a_message_back_has_its_words() -> None:
    from pathlib import Path

    import ops_platform.alerts.owing as owing

    folder = Path(owing.__file__).parent
    source = "".join((folder / name).read_text() for name in ("owing.py", "telling.py"))
    reasons = {"muted", "part", "interval", "snoozed", "inhibited", "storm"}
    assert reasons < set(receipts.HELD)
    assert all(f'"{reason}"' in source for reason in reasons)


def test_a_killed_run_gets_its_receipt_from_outside_and_turns_the_job_once(warehouse: Any) -> None:
    assert not ended(warehouse, "r1", succeeded=True)  # the first word on a job that is well is no news
    assert ended(warehouse, "r2", succeeded=False, at=NOON + HOUR)
    assert not ended(warehouse, "r2", succeeded=False, at=NOON + HOUR)  # seen before
    assert not ended(warehouse, "r3", succeeded=False, at=NOON + 2 * HOUR)  # still failing
    assert ended(warehouse, "r4", succeeded=True, at=NOON + 3 * HOUR)  # recovered
    with warehouse() as connection:
        found = {each.run_id: each for each in receipts.receipts(connection)}
    assert (found["r2"].status, found["r2"].noted_by) == ("failed", "sensor")
    assert "killed" in str(found["r2"].error)
    assert (found["r4"].checked, found["r4"].silent) == (None, False)  # it ran; that it looked, nothing proves


def test_looks_count_what_was_found_and_the_closest_that_held() -> None:
    found = [
        signal("sales", closeness="3"), signal("orders", "clear", closeness="0.4"), signal("cash", "unknown"),
        replace(signal("refunds", "clear", closeness="0.9", dimension="channel", value="amazon"), label="Refunds"),
        replace(signal("tickets", "clear"), closeness=None),
    ]  # fmt: skip
    assert receipts.looks_of(found) == Looks(5, 1, 1, "Refunds, channel amazon", D("0.9"))
    assert receipts.looks_of([]) == Looks(0)


def test_data_are_as_fresh_as_the_oldest_connected_source(warehouse: Any) -> None:
    with warehouse() as connection:
        connection.execute(
            "insert into ops.connections (vendor, connected, checked_at) values"
            " ('shopify', true, now()), ('slack', true, now()), ('amazon', false, now())"
        )
        for vendor, stream, fresh in (
            ("shopify", "orders", NOON - HOUR), ("shopify", "products", NOON - 30 * HOUR),
            ("slack", "users", NOON - 2 * HOUR), ("amazon", "orders", NOON - 900 * HOUR),
        ):  # fmt: skip
            connection.execute("insert into ops.cursors values (%s, %s, null, %s, now())", (vendor, stream, fresh))
        assert receipts.freshness_of(connection, {"shopify": 26}, NOON) == Freshness(NOON - 30 * HOUR, ("shopify",))
        connection.execute("update ops.cursors set fresh_to = null where vendor = 'slack'")
        never = receipts.freshness_of(connection, {"shopify": 48}, NOON)
    assert never == Freshness(None, ("slack",))


# A week ----------------------------------------------------------------------------------------------------


def line(warehouse: Any, first: date, last: date) -> str:
    zone = ZoneInfo(NEW_YORK)
    start = datetime(first.year, first.month, first.day, tzinfo=zone)
    with warehouse() as connection:
        covered = receipts.covered(connection, start, start + timedelta(days=(last - first).days + 1), zone)
    period = Period(first, last, "the week")
    profile = CompanyProfile("Northbeam", NEW_YORK, "USD")
    return plain(silence_line(Bundle("silence", period, NOON, profile, receipts.facts_of(covered, period))))


def test_a_week_says_what_silence_covered(warehouse: Any) -> None:
    monday = date(2026, 11, 2)
    for day in range(7):
        at = datetime(2026, 11, 2, 11, 0, tzinfo=UTC) + timedelta(days=day)
        settle(warehouse, f"pulse{day}", at, messages=1, looks=Looks(200, 0, 0, "Orders", D("0.5")))
        settle(warehouse, f"watch{day}", at + HOUR, job="inventory_watchdog", looks=Looks(40, int(day == 3), 0))
    assert line(warehouse, monday, monday + timedelta(days=6)) == (
        "Silence covered 7 days: 7 of 14 runs had nothing to say; 1,680 looks, 1 out of order;"
        " closest: Orders at 50% of its limit"
    )
    settle(warehouse, "held", NOON, held={"snoozed": 1}, job="inventory_watchdog", looks=None)
    assert "; 1 held something back" in line(warehouse, monday, monday + timedelta(days=6))
    fail(warehouse, "pulse6", NOON)
    assert line(warehouse, monday, monday + timedelta(days=7)).endswith("; ⚠ 1 failed; ⚠ not every day has a receipt")


def test_no_receipt_is_no_silence(warehouse: Any) -> None:
    assert line(warehouse, date(2026, 11, 2), date(2026, 11, 8)).startswith("⚠ No receipts")


# How jobs stand ---------------------------------------------------------------------------------------------


def states(warehouse: Any, due: list[datetime], now: datetime = NOON + 24 * HOUR) -> Any:
    with warehouse() as connection:
        (state,) = receipts.job_states(connection, {"ops_pulse": due}, now)
    return state


def test_a_job_that_never_ran_is_unknown(warehouse: Any) -> None:
    assert states(warehouse, [NOON]).last is None
    assert states(warehouse, [NOON]).missed_ticks == 0


def test_a_tick_without_a_run_is_missed(warehouse: Any) -> None:
    settle(warehouse, "r1", NOON)
    settle(warehouse, "r2", NOON + 4 * HOUR)
    due = [NOON + hours * HOUR for hours in (-2, 0, 2, 4)]
    found = states(warehouse, due)
    assert (found.last, found.missed_ticks, found.failing_since) == ("succeeded", 1, None)
    just_now = NOON + 4 * HOUR + timedelta(minutes=5)
    assert states(warehouse, [*due, just_now], just_now + timedelta(minutes=5)).missed_ticks == 1


def test_failing_counts_from_the_first_failure_since_it_was_well(warehouse: Any) -> None:
    fail(warehouse, "r0", NOON - HOUR)
    settle(warehouse, "r1", NOON)
    fail(warehouse, "r2", NOON + HOUR)
    fail(warehouse, "r3", NOON + 2 * HOUR)
    found = states(warehouse, [])
    assert (found.last, found.failing_since, found.ended_at) == ("failed", NOON + HOUR, NOON + 2 * HOUR)


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 6 * * *", ["Fri 06:00", "Sat 06:00"]),
        ("30 6,18 * * 1-5", ["Fri 06:30", "Fri 18:30"]),
        ("0 7 1 * *", []),
        ("0 7 1 * 5", ["Fri 07:00"]),  # both given: either is enough
        ("15 */12 * * 0,6", ["Sat 00:15", "Sat 12:15"]),
    ],
)
def test_when_a_job_is_due(cron: str, expected: list[str]) -> None:
    start = datetime(2026, 11, 20, 0, 0, tzinfo=ZoneInfo(NEW_YORK))
    found = ticks_between(cron, NEW_YORK, start, start + timedelta(days=2))
    assert [f"{tick.astimezone(ZoneInfo(NEW_YORK)):%a %H:%M}" for tick in found] == expected


def test_changed_clocks_make_no_tick_twice_nor_one_that_is_not() -> None:
    zone = ZoneInfo(NEW_YORK)
    back = datetime(2026, 11, 1, 0, 0, tzinfo=zone)
    assert len(ticks_between("30 1 * * *", NEW_YORK, back, back + timedelta(days=1))) == 1
    forward = datetime(2026, 3, 8, 0, 0, tzinfo=zone)
    assert ticks_between("30 2 * * *", NEW_YORK, forward, datetime(2026, 3, 9, 0, 0, tzinfo=zone)) == []


@pytest.mark.parametrize("cron", ["0 6 * *", "x 6 * * *", "0 25 * * *", "5-1 6 * * *"])
def test_a_cron_nobody_can_read_is_refused(cron: str) -> None:
    with pytest.raises(ConfigurationError):
        ticks_between(cron, NEW_YORK, NOON, NOON + HOUR)

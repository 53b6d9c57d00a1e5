"""A day that does not tie out is read again before it is called unequal: once, bounded, on record.

Belongs here: the rule, with a vendor of the test's own. Does not belong here: each vendor's way of reading a day
(`tests/connectors/test_day_pages.py`), kills in the midst of it (`tests/faults/test_reread_kills.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ops_platform.database import ensure_raw_tables
from ops_platform.failures import TransientFailure
from ops_platform.ingestion.contract import ControlTotal, Page, Record, Rejected, Stream, SyncResult
from ops_platform.ingestion.sync import sync_stream
from tests.conftest import Connect
from tests.ingestion.test_sync import NOW, ORDERS, TODAY, Vendor, order, rows

OLD = date(2026, 10, 1)


class DayVendor(Vendor):
    """A vendor that holds `held` and can be asked for a day; what its pages bring is told apart. `said` overrides its
    totals; `days_refused` fails the reading of days, `unreadable` that of one."""

    def __init__(self, pages: Sequence[Page | Exception], held: Sequence[Record]) -> None:
        super().__init__(pages, {})
        self.held = list(held)
        self.said: dict[date, tuple[int, Decimal]] = {}
        self.silent = False
        self.days_refused = False
        self.unreadable: date | None = None
        self.refused: list[Rejected] = []
        self.days_read: list[list[date]] = []

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> Sequence[ControlTotal]:
        if self.silent:
            raise TransientFailure("the vendor does not answer")
        found: dict[date, tuple[int, Decimal]] = {}
        for record in self.held:
            # All of these tests' records are of an afternoon in UTC: the same day in New York.
            day = date.fromisoformat(record.payload["at"][:10])
            count, amount = found.get(day, (0, Decimal(0)))
            found[day] = (count + 1, amount + Decimal(record.payload["amount"]))
        found |= self.said
        return [ControlTotal("orders", day, *figures, "USD") for day, figures in found.items()]

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        self.days_read.append(sorted(days))
        if self.days_refused or self.unreadable in days:
            raise TransientFailure("days cannot be read")
        wanted = [each for each in self.held if date.fromisoformat(each.payload["at"][:10]) in set(days)]
        yield Page(wanted, self.refused)


class SweptVendor(DayVendor):
    """One that can also say every id it has."""

    swept = 0

    def living_ids(self, stream: Stream) -> Iterator[str]:
        self.swept += 1
        yield from [record.id for record in self.held]


def page(*records: Record, cursor: str = "2026-11-19T12:00:00+00:00") -> Page:
    return Page(list(records), cursor=cursor)


def run(connect: Connect, vendor: Vendor, *, now: datetime = NOW, **options: Any) -> SyncResult:
    with connect() as connection:
        connection.autocommit = True
        ensure_raw_tables(connection, [("acme", "orders", "o")])
        return sync_stream(connection, vendor, ORDERS, now=now, today=TODAY, **options)


def adds_up(result: SyncResult) -> bool:
    return result.received == (
        result.inserted + result.updated + result.unchanged + result.duplicates + result.quarantined
    )


def test_a_record_that_no_page_brought_comes_with_its_day(warehouse: Connect) -> None:
    vendor = DayVendor([page(order(1))], [order(1), order(2, "5.25")])
    result = run(warehouse, vendor)
    day = date(2026, 11, 18)
    assert (result.tie_out, result.error, result.reread_days, result.mended_days) == ("matched", None, [day], [day])
    assert (result.received, result.inserted, result.unchanged, adds_up(result)) == (3, 2, 1, True)
    assert rows(warehouse, "select id from raw_acme.orders order by id") == [("o1",), ("o2",)]
    receipt = "select status, tie_out, received, inserted, reread_days, mended_days from ops.sync_runs"
    assert rows(warehouse, receipt) == [("succeeded", "matched", 3, 2, [day], [day])]
    assert rows(warehouse, "select day, status, reread_at from ops.tie_outs") == [(day, "matched", None)]


def test_an_amount_that_changed_unseen_comes_with_its_day(warehouse: Connect) -> None:
    run(warehouse, DayVendor([page(order(1))], [order(1)]))
    vendor = DayVendor([], [order(1, "12.50")])
    result = run(warehouse, vendor)
    assert (result.tie_out, result.updated, vendor.days_read) == ("matched", 1, [[date(2026, 11, 18)]])
    assert rows(warehouse, "select payload->>'amount' from raw_acme.orders") == [("12.50",)]


def test_what_stays_unequal_is_told_and_not_read_again_for_the_same_difference(warehouse: Connect) -> None:
    day = date(2026, 11, 18)
    vendor = DayVendor([page(order(1))], [order(1)])
    vendor.said = {day: (2, Decimal("20.00"))}
    result = run(warehouse, vendor)
    assert (result.tie_out, result.reread_days, result.mended_days) == ("mismatched", [day], [])
    assert "1 of 1 days do not tie out" in str(result.error) and "read again: 2026-11-18" in str(result.error)
    assert run(warehouse, vendor, now=NOW + timedelta(hours=1)).tie_out == "mismatched"
    assert vendor.days_read == [[day]]
    # Another difference is another question; so is the same one on another day.
    vendor.said = {day: (3, Decimal("30.00"))}
    result = run(warehouse, vendor, now=NOW + timedelta(hours=2))
    assert vendor.days_read == [[day], [day]]
    assert f"next after {NOW + timedelta(hours=22):%Y-%m-%d %H:%M} UTC" in str(result.error)
    run(warehouse, vendor, now=NOW + timedelta(hours=23))
    assert vendor.days_read == [[day], [day], [day]]


def test_a_difference_that_reading_does_not_mend_is_read_ever_more_rarely(warehouse: Connect) -> None:
    day = date(2026, 11, 18)
    vendor = DayVendor([page(order(1))], [order(1)])
    vendor.said = {day: (2, Decimal("20.00"))}
    read_at = []
    for hour in range(0, 24 * 35, 4):
        before = len(vendor.days_read)
        result = run(warehouse, vendor, now=NOW + timedelta(hours=hour))
        assert result.tie_out == "mismatched" and f"{day}: source 2" in str(result.error), hour
        read_at += [hour] * (len(vendor.days_read) - before)
    # After 20 hours, then after twice as long each time, and at last once a week.
    assert read_at == [0, 20, 60, 140, 300, 468, 636, 804]
    vendor.said = {}
    assert run(warehouse, vendor, now=NOW + timedelta(days=35)).tie_out == "matched"
    assert rows(warehouse, "select reread_tries, reread_again_at, reread_at from ops.tie_outs") == [(0, None, None)]


def test_a_day_that_cannot_be_read_is_tried_ever_more_rarely_and_said_at_every_sync(warehouse: Connect) -> None:
    vendor = DayVendor([page(order(1))], [order(1), order(2)])
    vendor.days_refused = True
    tried_at = []
    for hour in range(130):
        before = len(vendor.days_read)
        result = run(warehouse, vendor, now=NOW + timedelta(hours=hour))
        assert result.tie_out == "mismatched" and "1 of 1 days do not tie out" in str(result.error), hour
        assert "next after 2026-" in str(result.error)
        tried_at += [hour] * (len(vendor.days_read) - before)
    assert tried_at == [0, 1, 3, 7, 15, 31, 63, 127]
    said = "select reread_tries, reread_at, reread_error from ops.tie_outs"
    assert rows(warehouse, said) == [(8, None, "days cannot be read")]
    # Another difference is tried at once, and from then on as a first one.
    vendor.held.append(order(3))
    run(warehouse, vendor, now=NOW + timedelta(hours=130))
    run(warehouse, vendor, now=NOW + timedelta(hours=130, minutes=30))
    assert len(vendor.days_read) == len(tried_at) + 1
    vendor.days_refused = False
    result = run(warehouse, vendor, now=NOW + timedelta(hours=131))
    assert (result.tie_out, result.mended_days) == ("matched", [date(2026, 11, 18)])


def test_a_day_that_cannot_be_read_keeps_no_other_from_being_mended(warehouse: Connect) -> None:
    held = [order(n, at=f"2026-11-{n:02}T15:00:00Z") for n in range(10, 15)]
    vendor = DayVendor([page(held[0])], held)
    vendor.unreadable = date(2026, 11, 12)
    for hour in range(5):
        result = run(warehouse, vendor, now=NOW + timedelta(hours=hour))
        assert result.tie_out == "mismatched"
    # All together first, then one at a time: three mended, the fourth left for later.
    alone = [days for days in vendor.days_read if len(days) == 1]
    assert vendor.days_read[0] == [date(2026, 11, n) for n in range(11, 15)] and vendor.days_read[1:] == alone
    assert sorted(day for (day,) in alone) == [date(2026, 11, n) for n in (11, 12, 13, 14)]
    assert rows(warehouse, "select day from ops.tie_outs where status = 'mismatched'") == [(vendor.unreadable,)]
    # A day that differs anew is read at once, and without it.
    vendor.held.append(order(20, at="2026-11-15T15:00:00Z"))
    assert date(2026, 11, 15) in run(warehouse, vendor, now=NOW + timedelta(hours=6)).mended_days
    assert vendor.days_read[-1] == [date(2026, 11, 15)]


def test_only_the_latest_days_are_read_again(warehouse: Connect) -> None:
    held = [order(n, at=f"2026-11-{n:02}T15:00:00Z") for n in range(1, 15)]
    vendor = DayVendor([page(held[0])], held)
    result = run(warehouse, vendor)
    assert result.reread_days == result.mended_days == [date(2026, 11, n) for n in range(8, 15)]
    assert (result.tie_out, "6 of 14 days do not tie out" in str(result.error)) == ("mismatched", True)
    # The others are still open, and come next.
    assert run(warehouse, vendor).tie_out == "matched"
    assert [len(days) for days in vendor.days_read] == [7, 6]
    assert rows(warehouse, "select count(*) from raw_acme.orders") == [(14,)]


def test_a_record_too_many_is_looked_for_among_all_ids(warehouse: Connect) -> None:
    run(warehouse, SweptVendor([page(order(1), order(2))], [order(1), order(2)]))
    vendor = SweptVendor([], [order(1)])
    result = run(warehouse, vendor)
    assert (result.tie_out, result.deleted, result.sweep, vendor.swept) == ("matched", 1, "done", 1)
    assert rows(warehouse, "select id from raw_acme.orders where deleted_at is null") == [("o1",)]


def test_a_record_that_is_on_another_day_is_not_taken_for_deleted(warehouse: Connect) -> None:
    run(warehouse, SweptVendor([page(order(1), order(2))], [order(1), order(2)]))
    moved = order(2, at="2026-11-17T15:00:00Z")
    vendor = SweptVendor([], [order(1), moved])
    result = run(warehouse, vendor)
    # Both days differ, both are read, and the record is where the vendor has it.
    assert (result.tie_out, result.deleted) == ("matched", 0)
    assert rows(warehouse, "select id, left(payload->>'at', 10) from raw_acme.orders order by id") == [
        ("o1", "2026-11-18"), ("o2", "2026-11-17")
    ]  # fmt: skip
    # Where only its old day is told to differ, it stays what it is.
    vendor.held = [order(1), order(2, at=f"{OLD}T15:00:00Z")]
    vendor.said = {OLD: (0, Decimal(0))}
    result = run(warehouse, vendor)
    assert (result.tie_out, result.deleted, vendor.swept) == ("mismatched", 0, 1)
    assert rows(warehouse, "select count(*) from raw_acme.orders where deleted_at is null") == [(2,)]


def test_days_that_cannot_be_read_again_leave_everything_as_it_is(warehouse: Connect) -> None:
    vendor = DayVendor([page(order(1))], [order(1), order(2)])
    vendor.days_refused = True
    result = run(warehouse, vendor)
    assert (result.status, result.tie_out, result.reread_days, result.inserted) == ("succeeded", "mismatched", [], 1)
    assert "reading them again was not possible: days cannot be read" in str(result.error)
    assert rows(warehouse, "select reread_days, received from ops.sync_runs") == [([], 1)]
    vendor.days_refused = False
    assert run(warehouse, vendor, now=NOW + timedelta(hours=1)).tie_out == "matched"


def test_a_bad_record_of_the_day_is_set_aside_and_counted(warehouse: Connect) -> None:
    vendor = DayVendor([page(order(1))], [order(1), order(2)])
    vendor.refused = [Rejected("unknown_currency", "XQX is no currency", '{"id":"o3"}', "o3")]
    result = run(warehouse, vendor)
    assert (result.tie_out, result.quarantined, adds_up(result)) == ("matched", 1, True)
    assert rows(warehouse, "select record_id from ops.quarantine where resolved_at is null") == [("o3",)]


def test_days_of_a_sync_without_a_verdict_are_tied_out_by_the_next(warehouse: Connect) -> None:
    run(warehouse, DayVendor([page(order(1))], [order(1)]))
    old = order(2, at=f"{OLD}T15:00:00Z")
    silent = DayVendor([page(old)], [order(1), old])
    silent.silent = True
    assert run(warehouse, silent).tie_out == "unknown"
    # Nothing of it changes any more, and it is older than what is always compared.
    lost = order(3, at=f"{OLD}T16:00:00Z")
    vendor = DayVendor([], [order(1), old, lost])
    result = run(warehouse, vendor)
    assert (result.tie_out, result.mended_days, result.inserted) == ("matched", [OLD], 1)


def test_an_open_day_is_compared_until_it_ties_out(warehouse: Connect) -> None:
    old = order(1, at=f"{OLD}T15:00:00Z")
    vendor = DayVendor([page(old)], [old])
    vendor.said = {OLD: (2, Decimal("20.00"))}
    assert run(warehouse, vendor).tie_out == "mismatched"
    quiet = DayVendor([], [old])
    assert run(warehouse, quiet).tie_out == "matched"
    assert rows(warehouse, f"select status from ops.tie_outs where day = '{OLD}'") == [("matched",)]

"""What the vendor no longer has goes, softly, never too much at once, and comes back when it was a mistake."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_platform.database import ensure_raw_tables
from ops_platform.failures import TransientFailure
from ops_platform.ingestion.contract import LandedQuery, Page, Record, Stream, SyncResult
from ops_platform.ingestion.sync import sync_stream
from tests.conftest import Connect
from tests.ingestion.test_sync import NOW, ORDERS, TODAY, Vendor, order, rows
from tests.sizes import examples

CARDS = Stream("acme", "cards", "Cards.", look_back=timedelta(minutes=15))
LIVE = "select id from raw_acme.cards where deleted_at is null order by id"


class Hiding(Vendor):
    """A vendor whose lists do not show deletes; `living` is what its listing of ids says."""

    def __init__(self, records: Sequence[Record], living: Sequence[str], breaks: bool = False) -> None:
        super().__init__([Page(records, cursor="2026-11-20T10:00:00Z")] if records else [], None)
        self.living = living
        self.breaks = breaks
        self.listings = 0

    def living_ids(self, stream: Stream) -> Iterator[str]:
        self.listings += 1
        yield from self.living
        if self.breaks:
            raise TransientFailure("the listing broke off")


def card(number: int, version: int = 0) -> Record:
    return Record(f"k{number:03}", {"id": f"k{number:03}", "v": version}, NOW + timedelta(minutes=version))


def run(connect: Connect, vendor: Vendor, stream: Stream = CARDS, **options: Any) -> SyncResult:
    with connect() as connection:
        connection.autocommit = True
        ensure_raw_tables(connection, [("acme", "cards", "c"), ("acme", "orders", "o")])
        return sync_stream(connection, vendor, stream, **{"now": NOW, "today": TODAY} | options)


def ids(count: int) -> list[str]:
    return [f"k{n:03}" for n in range(count)]


def test_a_sweep_finds_what_is_gone_and_takes_back_what_is_not(warehouse: Connect) -> None:
    run(warehouse, Hiding([card(n) for n in range(100)], []))
    result = run(warehouse, Hiding([], ids(97)), sweep=True)
    assert (result.sweep, result.deleted) == ("done", 3)
    result = run(warehouse, Hiding([], ids(99)), sweep=True)
    assert (result.sweep, result.deleted, result.revived) == ("done", 0, 2)
    assert [row[0] for row in rows(warehouse, LIVE)] == ids(99)
    assert rows(warehouse, "select deleted, revived from ops.sync_runs order by id desc limit 1") == [(0, 2)]


@pytest.mark.parametrize("living", [[], ids(50)])
def test_too_much_at_once_waits_for_a_person_and_what_landed_stays(warehouse: Connect, living: list[str]) -> None:
    run(warehouse, Hiding([card(n) for n in range(100)], []))
    result = run(warehouse, Hiding([card(7, 5)], living), sweep=True)
    assert (result.status, result.sweep, result.deleted, result.updated) == ("succeeded", "held", 0, 1)
    assert "ops sync acme.cards --sweep --allow-shrink" in str(result.held)
    landed = "select count(*), max((payload->>'v')::int) from raw_acme.cards where deleted_at is null"
    assert rows(warehouse, landed) == [(100, 5)]
    assert rows(warehouse, "select sweep, held is null from ops.sync_runs order by id desc limit 1") == [
        ("held", False)
    ]
    # Approved, once.
    result = run(warehouse, Hiding([], ids(50)), sweep=True, allow_shrink=True)
    assert (result.sweep, result.deleted) == ("done", 50)


def test_a_listing_that_breaks_off_deletes_nothing(warehouse: Connect) -> None:
    run(warehouse, Hiding([card(n) for n in range(100)], []))
    result = run(warehouse, Hiding([], ids(98), breaks=True), sweep=True)
    assert (result.status, result.sweep, result.deleted) == ("succeeded", "held", 0)
    assert "the listing broke off" in str(result.held)
    assert len(rows(warehouse, LIVE)) == 100


def test_what_this_sync_brought_is_spared_by_a_listing_that_lags(warehouse: Connect) -> None:
    run(warehouse, Hiding([card(n) for n in range(100)], []))
    result = run(warehouse, Hiding([card(100), card(3, 1)], [i for i in ids(100) if i != "k003"]), sweep=True)
    assert (result.sweep, result.deleted) == ("done", 0)


def test_a_sweep_falls_due_by_its_age_and_not_after_a_first_load(warehouse: Connect) -> None:
    daily = timedelta(hours=20)
    vendor = Hiding([card(n) for n in range(40)], ids(39))
    assert run(warehouse, vendor, sweep_every=daily).sweep == "not_due"
    assert run(warehouse, vendor, sweep_every=daily, now=NOW + timedelta(hours=19)).sweep == "not_due"
    assert vendor.listings == 0
    quiet = Hiding([], ids(39))
    assert run(warehouse, quiet, sweep_every=daily, now=NOW + timedelta(hours=20)).deleted == 1
    assert run(warehouse, quiet, sweep_every=daily, now=NOW + timedelta(hours=21)).sweep == "not_due"
    assert quiet.listings == 1


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 120),
    st.sets(st.integers(0, 130)),
    st.sets(st.integers(0, 119), max_size=5),
    st.booleans(),
)
def test_any_listing_ends_as_the_rules_say(
    warehouse: Connect, landed: int, living: set[int], touched: set[int], approved: bool
) -> None:
    """At most 5 % (two at least) go at once, nothing by an empty listing, nothing this sync brought."""
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", "cards", "c")])
        connection.execute("truncate raw_acme.cards, ops.cursors, ops.stream_shapes")
    run(warehouse, Hiding([card(n) for n in range(landed)], []))
    now = {n for n in touched if n < landed}
    result = run(
        warehouse, Hiding([card(n, 1) for n in now], [f"k{n:03}" for n in living]), sweep=True, allow_shrink=approved
    )
    missing = {n for n in range(landed) if n not in living and n not in now}
    may_go = approved or (bool(living) and len(missing) <= max(math.floor(landed * 0.05), 2))
    left = set(range(landed)) - missing if may_go else set(range(landed))
    assert [row[0] for row in rows(warehouse, LIVE)] == sorted(f"k{n:03}" for n in left)
    assert result.deleted == landed - len(left)
    assert result.sweep == ("done" if may_go or not missing else "held")
    assert result.status == "succeeded"


EVENTS = st.lists(
    st.tuples(st.sampled_from(["write", "late", "delete"]), st.integers(0, 4), st.integers(0, 30)),
    min_size=1, max_size=25,
)  # fmt: skip


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS)
def test_whatever_comes_late_or_out_of_order_the_end_is_the_vendors_state(
    warehouse: Connect, events: list[tuple[str, int, int]]
) -> None:
    """A model vendor writes, deletes and sends old versions again; each event is a sync. An older version never
    stands over a newer one, and a deleted record stays deleted until the vendor writes it anew."""

    class Telling(Vendor):
        gone: Sequence[str] = ()

        def deletions(self, since: datetime) -> Iterator[tuple[str, str]]:
            yield from (("cards", identity) for identity in self.gone)

    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", "cards", "c")])
        connection.execute("truncate raw_acme.cards, ops.cursors, ops.stream_shapes")
    held: dict[int, int] = {}
    dead: set[int] = set()
    for clock, (kind, number, back) in enumerate(events, start=1):
        vendor = Telling([], None)
        if kind == "write" or number not in held:
            held[number] = clock
            dead.discard(number)
            vendor = Telling([Page([card(number, clock)], cursor="2026-11-20T10:00:00Z")], None)
        elif kind == "late":
            old = max(held[number] - 1 - back, -1)
            vendor = Telling([Page([card(number, old)], cursor="2026-11-20T10:00:00Z")], None)
        else:
            dead.add(number)
            vendor.gone = [f"k{number:03}"]
        run(warehouse, vendor)
    found = rows(warehouse, "select id, (payload->>'v')::int, deleted_at is not null from raw_acme.cards order by id")
    assert found == [(f"k{n:03}", version, n in dead) for n, version in sorted(held.items())]


# -- days are the vendor's ------------------------------------------------------------------------------------


class Zoned(Vendor):
    """A vendor whose days begin in another zone than the company's."""

    zone = "America/Los_Angeles"

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        day = f"((payload->>'at')::timestamptz at time zone '{self.zone}')::date"
        amount = "sum((payload->>'amount')::numeric)"
        sql = f"select {day}, count(*), {amount} from raw_acme.orders where deleted_at is null group by 1"
        return LandedQuery("orders", sql, day, zone=self.zone)


def test_a_day_is_compared_when_it_is_over_at_the_vendors_place_too(warehouse: Connect) -> None:
    # 01:30 in New York on the 20th: in Los Angeles the 19th goes on for an hour and a half.
    early = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
    moving = {date(2026, 11, 18): (1, Decimal("10.00")), date(2026, 11, 19): (5, Decimal("50.00"))}
    vendor = Zoned([Page([order(1), order(2, at="2026-11-20T06:00:00Z")], cursor="c")], moving)
    result = run(warehouse, vendor, ORDERS, now=early, today=date(2026, 11, 20))
    assert (result.tie_out, result.touched_days) == ("matched", [date(2026, 11, 18)])


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-11-19T07:59:59Z", date(2026, 11, 18)),  # 23:59:59 in winter
        ("2026-11-19T08:00:00Z", date(2026, 11, 19)),
        ("2026-11-01T06:59:59Z", date(2026, 10, 31)),  # the last second before the day the clocks go back
        ("2026-11-01T08:30:00Z", date(2026, 11, 1)),  # the hour that comes twice
        ("2026-11-01T09:30:00Z", date(2026, 11, 1)),
        ("2026-11-02T07:59:59Z", date(2026, 11, 1)),  # a day of 25 hours
        ("2026-03-08T07:59:59Z", date(2026, 3, 7)),
        ("2026-03-09T06:59:59Z", date(2026, 3, 8)),  # a day of 23 hours
    ],
)  # fmt: skip
def test_the_seconds_around_midnight_fall_on_the_vendors_day(warehouse: Connect, at: str, day: date) -> None:
    vendor = Zoned([Page([order(1, at=at)], cursor="c")], {day: (1, Decimal("10.00"))})
    result = run(warehouse, vendor, ORDERS)
    assert (result.tie_out, result.touched_days) == ("matched", [day])

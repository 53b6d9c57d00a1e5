"""A sync lands everything once, keeps what it cannot land, and never shrinks a table by accident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_platform.database import ensure_raw_tables
from ops_platform.failures import TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Record, Rejected, Stream, SyncResult
from ops_platform.ingestion.sync import sync_stream
from tests.conftest import Connect
from tests.sizes import examples

NOW = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
ORDERS = Stream("acme", "orders", "Orders.", look_back=timedelta(minutes=15), ties_out=True)
PLACES = Stream("acme", "places", "Places.", full_refresh=True)


class Vendor:
    """The vendor's side: it holds records and answers as told, mistakes included."""

    vendor = "acme"

    def __init__(self, pages: Sequence[Page | Exception], held: dict[date, tuple[int, Decimal]] | None = None) -> None:
        self.streams = {"orders": ORDERS, "places": PLACES}
        self._pages = pages
        self._held = held
        self.asked_since: list[str | None] = []

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        self.asked_since.append(cursor)
        for page in self._pages:
            if isinstance(page, Exception):
                raise page
            yield page

    def probe(self) -> Iterator[Probe]:
        yield Probe("orders", True, "answers")

    def close(self) -> None:
        """Nothing is held open."""

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> Sequence[ControlTotal]:
        if self._held is None:
            raise TransientFailure("the vendor does not answer")
        return [ControlTotal("orders", day, count, amount, "USD") for day, (count, amount) in self._held.items()]

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        day = "((payload->>'at')::timestamptz at time zone 'America/New_York')::date"
        return LandedQuery(
            "orders",
            f"select {day}, count(*), sum((payload->>'amount')::numeric) from raw_acme.orders"
            f" where deleted_at is null and (%(days)s::date[] is null or {day} = any(%(days)s)) group by 1",
            day,
        )


def order(number: int, amount: str = "10.00", at: str = "2026-11-18T15:00:00Z", version: int = 0) -> Record:
    moment = datetime(2026, 11, 19, 12, 0, tzinfo=UTC) + timedelta(minutes=version)
    return Record(f"o{number}", {"id": f"o{number}", "amount": amount, "at": at, "v": version}, moment)


def run(connect: Connect, vendor: Vendor, stream: Stream = ORDERS, **options: Any) -> SyncResult:
    with connect() as connection:
        connection.autocommit = True
        ensure_raw_tables(connection, [("acme", "orders", "o"), ("acme", "places", "p")])
        return sync_stream(connection, vendor, stream, now=NOW, today=TODAY, **options)


def rows(connect: Connect, query: str) -> list[Any]:
    with connect() as connection:
        return connection.execute(query.encode()).fetchall()


def test_first_sync_lands_every_record_and_moves_the_cursor(warehouse: Connect) -> None:
    pages = [Page([order(n) for n in range(5000)], cursor="2026-11-19T12:00:00+00:00")]
    result = run(warehouse, Vendor(pages, {date(2026, 11, 18): (5000, Decimal("50000.00"))}))
    assert (result.status, result.inserted, result.updated, result.unchanged) == ("succeeded", 5000, 0, 0)
    assert result.tie_out == "matched"
    assert rows(warehouse, "select count(*), sum((payload->>'amount')::numeric) from raw_acme.orders") == [
        (5000, Decimal("50000.00"))
    ]
    assert rows(warehouse, "select cursor, fresh_to from ops.cursors") == [("2026-11-19T12:00:00+00:00", NOW)]


def test_unchanged_payload_writes_nothing(warehouse: Connect) -> None:
    held = {date(2026, 11, 18): (3, Decimal("30.00"))}
    pages = [Page([order(n) for n in range(3)], cursor="c1")]
    run(warehouse, Vendor(pages, held))
    before = rows(warehouse, "select id, xmin::text, sync_id from raw_acme.orders order by id")
    result = run(warehouse, Vendor(pages, held))
    assert (result.inserted, result.updated, result.unchanged) == (0, 0, 3)
    assert rows(warehouse, "select id, xmin::text, sync_id from raw_acme.orders order by id") == before


def test_late_older_version_never_replaces_a_newer_one(warehouse: Connect) -> None:
    run(warehouse, Vendor([Page([order(1, "20.00", version=5)], cursor="c1")], {}))
    run(warehouse, Vendor([Page([order(1, "10.00", version=2)], cursor="c1")], {}))
    assert rows(warehouse, "select payload->>'amount' from raw_acme.orders") == [("20.00",)]


def test_duplicates_keep_the_newest_and_are_counted(warehouse: Connect) -> None:
    page = Page([order(1, "1.00", version=1), order(1, "3.00", version=3), order(1, "2.00", version=2)], cursor="c")
    result = run(warehouse, Vendor([page], {date(2026, 11, 18): (1, Decimal("3.00"))}))
    assert (result.received, result.inserted, result.duplicates, result.tie_out) == (3, 1, 2, "matched")
    assert rows(warehouse, "select payload->>'amount' from raw_acme.orders") == [("3.00",)]


def test_bad_records_are_quarantined_whole_and_good_neighbours_land(warehouse: Connect) -> None:
    page = Page(
        [order(1), order(2)], [Rejected("unknown_currency", "XQX is no currency", '{"id":"o3"}', "o3")], cursor="c"
    )
    result = run(warehouse, Vendor([page, page], {date(2026, 11, 18): (2, Decimal("20.00"))}))
    assert (result.received, result.inserted, result.quarantined, result.duplicates) == (6, 2, 2, 2)
    assert rows(warehouse, "select record_id, reason, raw, resolved_at from ops.quarantine") == [
        ("o3", "unknown_currency", '{"id":"o3"}', None)
    ]
    run(warehouse, Vendor([Page([order(3)], cursor="c")], {date(2026, 11, 18): (3, Decimal("30.00"))}))
    assert rows(warehouse, "select resolved_at from ops.quarantine") == [(NOW,)]


@pytest.mark.slow
def test_a_row_postgres_refuses_is_found_alone(warehouse: Connect) -> None:
    # A string beyond jsonb's limit of 2^28 - 1 bytes is valid JSON and not storable.
    records = [order(n) for n in range(20)]
    poison = Record("bad", {"id": "bad", "amount": "1", "at": "2026-11-18T15:00:00Z", "text": "x" * 300_000_000}, None)
    result = run(warehouse, Vendor([Page([*records[:9], poison, *records[9:]], cursor="c")], {}))
    assert result.inserted == 20
    assert rows(warehouse, "select record_id, reason from ops.quarantine") == [("bad", "not_storable")]


def test_nul_characters_are_stripped_and_counted(warehouse: Connect) -> None:
    record = Record("o1", {"id": "o1", "note": "a\x00b\x00", "literal": "\\u0000", "at": "2026-11-18T15:00:00Z"}, None)
    result = run(warehouse, Vendor([Page([record], cursor="c")], {}))
    assert result.stripped_nul == 2
    assert rows(warehouse, "select payload->>'note', payload->>'literal' from raw_acme.orders") == [("ab", "\\u0000")]


def test_failure_midway_changes_nothing_and_does_not_move_the_cursor(warehouse: Connect) -> None:
    held = {date(2026, 11, 18): (2, Decimal("20.00"))}
    run(warehouse, Vendor([Page([order(1), order(2)], cursor="c1")], held))
    result = run(warehouse, Vendor([Page([order(3)], cursor="c2"), TransientFailure("connection reset")], held))
    assert (result.status, result.error) == ("failed", "connection reset")
    assert rows(warehouse, "select count(*) from raw_acme.orders") == [(2,)]
    assert rows(warehouse, "select cursor from ops.cursors") == [("c1",)]
    assert rows(warehouse, "select status, error from ops.sync_runs order by id") == [
        ("succeeded", None), ("failed", "connection reset"),
    ]  # fmt: skip


@pytest.mark.parametrize("listed", [0, 5])
def test_short_or_empty_listing_never_shrinks_a_table(warehouse: Connect, listed: int) -> None:
    places = [Record(f"p{n}", {"id": f"p{n}"}, None) for n in range(100)]
    run(warehouse, Vendor([Page(places)]), PLACES)
    result = run(warehouse, Vendor([Page(places[:listed])]), PLACES)
    assert result.status == "failed"
    assert "shrink guard" in str(result.error)
    assert rows(warehouse, "select count(*) from raw_acme.places where deleted_at is null") == [(100,)]


def test_a_few_missing_are_soft_deleted_and_come_back(warehouse: Connect) -> None:
    places = [Record(f"p{n}", {"id": f"p{n}"}, None) for n in range(100)]
    run(warehouse, Vendor([Page(places)]), PLACES)
    assert run(warehouse, Vendor([Page(places[:97])]), PLACES).deleted == 3
    assert rows(warehouse, "select count(*) from raw_acme.places where deleted_at is null") == [(97,)]
    result = run(warehouse, Vendor([Page(places)]), PLACES)
    assert (result.updated, result.unchanged) == (3, 97)
    assert rows(warehouse, "select count(*) from raw_acme.places where deleted_at is null") == [(100,)]


def test_lost_record_shows_as_a_mismatch_on_its_day(warehouse: Connect) -> None:
    vendor = Vendor([Page([order(1)], cursor="c")], {date(2026, 11, 18): (2, Decimal("20.00"))})
    result = run(warehouse, vendor)
    assert (result.status, result.tie_out) == ("succeeded", "mismatched")
    assert rows(warehouse, "select day, source_count, landed_count, status from ops.tie_outs") == [
        (date(2026, 11, 18), 2, 1, "mismatched")
    ]


def test_tie_out_is_unknown_when_the_vendor_cannot_be_asked(warehouse: Connect) -> None:
    result = run(warehouse, Vendor([Page([order(1)], cursor="c")], None))
    assert (result.status, result.tie_out) == ("succeeded", "unknown")


def test_two_syncs_of_one_stream_do_not_overlap(warehouse: Connect) -> None:
    class Reentrant(Vendor):
        inner: SyncResult | None = None

        def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
            self.inner = run(warehouse, Vendor([Page([order(9)], cursor="c")], {}))
            return super().pages(stream, cursor, now=now)

    vendor = Reentrant([Page([order(1)], cursor="c")], {})
    assert run(warehouse, vendor).status == "succeeded"
    assert vendor.inner is not None and vendor.inner.status == "skipped"
    assert rows(warehouse, "select id from raw_acme.orders") == [("o1",)]


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9), st.text(max_size=20)), max_size=8),
        min_size=1,
        max_size=4,
    )
)
def test_any_sequence_of_syncs_ends_with_the_newest_version_of_each(
    warehouse: Connect, syncs: list[list[tuple[int, int, str]]]
) -> None:
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", "orders", "o")])
        connection.execute("truncate raw_acme.orders")
    newest: dict[str, tuple[int, str]] = {}
    for batch in syncs:
        records = [
            Record(
                f"o{n}", {"id": f"o{n}", "text": text, "at": "2026-11-18T15:00:00Z"}, NOW + timedelta(seconds=version)
            )
            for n, version, text in batch
        ]
        for n, version, text in batch:
            if version >= newest.get(f"o{n}", (-1, ""))[0]:
                newest[f"o{n}"] = (version, text.replace("\x00", ""))
        result = run(warehouse, Vendor([Page(records[:3], cursor="c"), Page(records[3:], cursor="c")], {}))
        assert result.received == result.inserted + result.updated + result.unchanged + result.duplicates
    landed = rows(warehouse, "select id, payload->>'text' from raw_acme.orders")
    assert dict(landed) == {identity: text for identity, (_, text) in newest.items()}


KILL_POINTS = [
    "sync.page_read", "sync.page_staged", "sync.before_merge", "sync.mid_merge", "sync.before_cursor",
    "sync.before_commit", "sync.after_commit",
]  # fmt: skip
CHILD = textwrap.dedent(
    """
    import sys, psycopg
    from tests.ingestion.test_sync import NOW, ORDERS, TODAY, Vendor, order
    from ops_platform.ingestion.contract import Page
    from ops_platform.ingestion.sync import sync_stream
    connection = psycopg.connect(sys.argv[1], autocommit=True)
    pages = [Page([order(n) for n in range(start, start + 50)], cursor=f"c{start}") for start in (0, 50, 100)]
    sync_stream(connection, Vendor(pages, {}), ORDERS, now=NOW, today=TODAY)
    """
)


@pytest.mark.parametrize("point", KILL_POINTS)
def test_killed_at_any_point_the_next_sync_ends_whole(warehouse: Connect, point: str) -> None:
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", "orders", "o")])
        dsn = connection.info.dsn
    environment = {**os.environ, "OPS_FAILPOINT": point}
    child = subprocess.run([sys.executable, "-c", CHILD, dsn], env=environment, capture_output=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    landed, cursor = rows(warehouse, "select count(*), (select max(cursor) from ops.cursors) from raw_acme.orders")[0]
    assert (landed, cursor) == ((150, "c50") if point == "sync.after_commit" else (0, None))
    pages = [Page([order(n) for n in range(start, start + 50)], cursor=f"c{start}") for start in (0, 50, 100)]
    result = _retry_until_unlocked(warehouse, pages)
    assert result.status == "succeeded"
    assert rows(warehouse, "select count(*), count(distinct id) from raw_acme.orders") == [(150, 150)]
    assert rows(warehouse, "select count(*) from ops.sync_runs where status = 'running'") == [(0,)]


def _retry_until_unlocked(warehouse: Connect, pages: list[Page]) -> SyncResult:
    # The server notices a killed client when it next reads its socket; the lock goes with it.
    for _ in range(50):
        result = run(warehouse, Vendor(pages, {date(2026, 11, 18): (150, Decimal("1500.00"))}))
        if result.status != "skipped":
            return result
        import time

        time.sleep(0.1)
    raise AssertionError("the lock of a killed process was never freed")


def test_connection_is_a_real_postgres(warehouse: Connect) -> None:
    with warehouse() as connection:
        assert isinstance(connection, psycopg.Connection)
        assert connection.info.server_version >= 180000


class LinesVendor(Vendor):
    """A vendor of documents with lines, always re-read whole; it names deleted documents, never their lines."""

    parent_keys: ClassVar[dict[str, str]] = {"orders": "document"}

    def __init__(self, pages: Sequence[Page | Exception], gone: set[str]) -> None:
        super().__init__(pages, {})
        self.gone = gone

    def deleted_parents(self, stream: Stream, since: datetime) -> set[str]:
        return self.gone


def line(number: int, document: str) -> Record:
    return Record(f"l{number}", {"id": f"l{number}", "document": document, "at": "2026-11-18T15:00:00Z"}, None)


def test_lines_that_a_reread_or_deleted_document_no_longer_has_are_gone(warehouse: Connect) -> None:
    first = [line(1, "a"), line(2, "a"), line(3, "b"), line(4, "c")]
    run(warehouse, LinesVendor([Page(first, cursor="2026-11-19T12:00:00+00:00")], set()))
    # Document a comes again with one line less and one more; b was deleted; c was not read and stays.
    second = LinesVendor([Page([line(1, "a"), line(5, "a")], cursor="2026-11-19T13:00:00+00:00")], {"b"})
    assert run(warehouse, second).deleted == 2
    assert rows(warehouse, "select id from raw_acme.orders where deleted_at is null order by id") == [
        ("l1",),
        ("l4",),
        ("l5",),
    ]


def test_looking_for_lines_that_are_gone_costs_what_was_read(warehouse: Connect) -> None:
    """Four thousand documents read again of ten thousand: comparing each line there is with each that came would take
    many times what the statement is given here."""
    every = [line(number, f"d{number // 4}") for number in range(40_000)]
    run(warehouse, LinesVendor([Page(every, cursor="2026-11-19T12:00:00+00:00")], set()))
    kept = [each for number, each in enumerate(every[:16_000]) if number % 4]

    def in_time() -> psycopg.Connection[Any]:
        connection = warehouse()
        connection.autocommit = True
        connection.execute("set statement_timeout = '5s'")
        return connection

    assert run(in_time, LinesVendor([Page(kept, cursor="2026-11-19T13:00:00+00:00")], {"d9000"})).deleted == 4_004
    assert rows(warehouse, "select count(*) from raw_acme.orders where deleted_at is null") == [(35_996,)]


def test_a_vendor_that_does_not_answer_is_written_off_after_two_streams(warehouse: Connect) -> None:
    from ops_platform.ingestion.sync import sync_vendor

    class Silent(Vendor):
        asked: ClassVar[list[str]] = []

        def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
            self.asked.append(stream.name)
            raise TransientFailure("nobody answers")

    streams = [ORDERS, PLACES, *(Stream("acme", f"more{n}", "More.") for n in range(3))]
    with warehouse() as connection:
        ensure_raw_tables(connection, [(stream.vendor, stream.name, "x") for stream in streams])
    results = list(sync_vendor(warehouse, Silent([]), streams, now=NOW, today=TODAY))
    assert Silent.asked == ["orders", "places"]
    assert [result.status for result in results] == ["failed"] * 5
    assert "does not answer" in str(results[-1].error)
    assert rows(warehouse, "select count(*) from ops.sync_runs where status = 'failed'") == [(5,)]

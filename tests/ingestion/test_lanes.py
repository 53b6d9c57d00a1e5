"""Streams of one vendor side by side, where its source says that they may be; a first load is what a later one is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.failures import TransientFailure
from ops_platform.ingestion.contract import Page, Record, Stream
from ops_platform.ingestion.sync import sync_vendor
from tests.conftest import Connect
from tests.ingestion.test_sync import NOW, TODAY, Vendor, order, rows

NAMES = ("places", "orders", "refunds", "visits")
STREAMS = [Stream("acme", name, name) for name in NAMES]


class Apart(Vendor):
    """Three streams that each answer only when all three are asked: one after another they would wait for ever."""

    side_by_side = frozenset({"orders", "refunds", "visits"})

    def __init__(self) -> None:
        super().__init__([], None)
        self.vendor = "acme"
        self.together = threading.Barrier(3, timeout=20)
        self.read: list[str] = []

    def pages(self, stream: Stream, cursor: str | None, *, now: Any) -> Iterator[Page]:
        if stream.name in self.side_by_side:
            assert self.read == ["places"], "the one before was read to its end"
            self.together.wait()
            yield Page([order(1), order(2)], cursor="c")
            return
        assert threading.current_thread() is threading.main_thread()
        yield Page([order(1)], cursor="c")
        self.read.append(stream.name)


@pytest.fixture
def acme(warehouse: Connect) -> Connect:
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", name, name) for name in NAMES])
    return warehouse


def test_streams_that_may_be_read_at_once_are_and_are_told_in_order(acme: Connect) -> None:
    results = list(sync_vendor(acme, Apart(), STREAMS, now=NOW, today=TODAY))
    assert [(result.stream, result.status, result.inserted) for result in results] == [
        ("places", "succeeded", 1), ("orders", "succeeded", 2), ("refunds", "succeeded", 2), ("visits", "succeeded", 2),
    ]  # fmt: skip
    for name in NAMES:
        assert rows(acme, f"select count(*) from raw_acme.{name}") == [(1 if name == "places" else 2,)]


def test_one_of_them_that_fails_leaves_the_others(acme: Connect) -> None:
    class Broken(Apart):
        def pages(self, stream: Stream, cursor: str | None, *, now: Any) -> Iterator[Page]:
            pages = list(super().pages(stream, cursor, now=now))
            if stream.name == "refunds":
                raise TransientFailure("acme: gone")
            yield from pages

    results = {result.stream: result for result in sync_vendor(acme, Broken(), STREAMS, now=NOW, today=TODAY)}
    assert {name for name, result in results.items() if result.status == "succeeded"} == set(NAMES) - {"refunds"}
    assert (results["refunds"].status, results["refunds"].error) == ("failed", "acme: gone")
    assert rows(acme, "select count(*) from raw_acme.refunds") == [(0,)]


@pytest.mark.parametrize("twice", [False, True])
def test_a_first_load_is_what_a_later_one_is(acme: Connect, twice: bool) -> None:
    """An empty table is filled straight; one in which a record comes twice, or that holds something, is merged."""
    records = [Record(f"id {n}\\\t", {"n": n, "text": "a\\b\n\u0000☕", "at": None}, NOW) for n in range(50)]
    again = [Record("id 7\\\t", {"n": 7, "newest": True}, NOW)] if twice else []

    class Given(Vendor):
        def pages(self, stream: Stream, cursor: str | None, *, now: Any) -> Iterator[Page]:
            yield Page([*records, *again], cursor="c")

    source = Given([], None)
    source.vendor = "acme"
    results = [*sync_vendor(acme, source, STREAMS[:1], now=NOW, today=TODAY)]
    results += sync_vendor(acme, source, STREAMS[:1], now=NOW, today=TODAY)
    assert [(r.inserted, r.updated, r.unchanged, r.duplicates) for r in results] == [
        (50, 0, 0, len(again)), (0, 0, 50, len(again)),
    ]  # fmt: skip
    found: dict[str, dict[str, object]] = dict(rows(acme, "select id, payload from raw_acme.places"))
    assert found["id 3\\\t"] == {"n": 3, "text": "a\\b\n☕", "at": None}
    newest: dict[str, object] = {"n": 7, "newest": True} if twice else {"n": 7, "text": "a\\b\n☕", "at": None}
    assert found["id 7\\\t"] == newest

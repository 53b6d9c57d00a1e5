"""One vendor is read by one run at a time, on whatever machine; other vendors are not held up by it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion import sync as syncing
from ops_platform.ingestion.contract import Page, Stream, SyncResult
from ops_platform.ingestion.sync import sync_vendor
from tests.conftest import Connect
from tests.ingestion.test_sync import NOW, TODAY, Vendor, order, rows

STREAMS = [Stream("acme", "orders", "Orders."), Stream("acme", "places", "Places.")]


class Slow(Vendor):
    """Says when it is read, and how many read it at once."""

    def __init__(self, name: str, together: list[int], most: list[int], began: threading.Event | None = None) -> None:
        super().__init__([], None)
        self.vendor = name
        self.together, self.most, self.began = together, most, began

    def pages(self, stream: Stream, cursor: str | None, *, now: Any) -> Iterator[Page]:
        self.together[0] += 1
        self.most[0] = max(self.most[0], self.together[0])
        if self.began is not None:
            self.began.set()
        time.sleep(0.15)
        yield Page([order(1)], cursor="c")
        self.together[0] -= 1


def run(connect: Connect, source: Vendor, streams: list[Stream], **options: Any) -> list[SyncResult]:
    return list(sync_vendor(connect, source, streams, now=NOW, today=TODAY, **options))


def test_two_runs_take_turns(warehouse: Connect, monkeypatch: Any) -> None:
    monkeypatch.setattr(syncing, "LOOK_FOR_VENDOR", 0.02)
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", "orders", "o"), ("acme", "places", "p")])
    together, most, said = [0], [0], list[str]()
    results: list[list[SyncResult]] = []
    runs = [
        threading.Thread(
            target=lambda: results.append(run(warehouse, Slow("acme", together, most), STREAMS, progress=said.append))
        )
        for _ in range(3)
    ]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert most == [1]
    assert [result.status for each in results for result in each] == ["succeeded"] * 6
    assert "acme: waiting for another run that syncs it" in said
    assert any(line.startswith("acme orders: 1 rows, page 1, 0.") for line in said)


def test_a_run_does_not_wait_for_ever_nor_for_another_vendor(warehouse: Connect, monkeypatch: Any) -> None:
    monkeypatch.setattr(syncing, "LOOK_FOR_VENDOR", 0.02)
    other = [Stream("other", "orders", "Orders.")]
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", "orders", "o"), ("acme", "places", "p"), ("other", "orders", "o")])
    began = threading.Event()
    first = threading.Thread(target=lambda: run(warehouse, Slow("acme", [0], [0], began), STREAMS))
    first.start()
    began.wait(10)
    hurried = run(warehouse, Slow("acme", [0], [0]), STREAMS, wait_seconds=0.05)
    assert [result.status for result in hurried] == ["skipped", "skipped"]
    assert "another run has been syncing acme" in str(hurried[0].error)
    assert run(warehouse, Slow("other", [0], [0]), other, wait_seconds=0.05)[0].status == "succeeded"
    first.join()
    # Given back at the end, also when the caller stops listening half-way.
    started = sync_vendor(warehouse, Slow("acme", [0], [0]), STREAMS, now=NOW, today=TODAY)
    next(started)
    started.close()  # type: ignore[attr-defined]
    assert run(warehouse, Slow("acme", [0], [0]), STREAMS, wait_seconds=0.05)[0].status == "succeeded"
    assert rows(warehouse, "select count(*) from ops.sync_runs where status = 'running'") == [(0,)]

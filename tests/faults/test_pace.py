"""Vendors' limits are kept of our own accord: however fast a vendor answers, no window has more calls than it allows.

On a clock that moves only when the client sleeps, so that minutes of waiting take none; the limits are those the
vendors document, written down here once more and not taken from the clients.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ops_platform.failures import TransientFailure
from ops_platform.settings import Settings
from resources.http import HttpClient
from resources.vendors import source_of
from sandbox.server import Sandbox, running
from tests.connectors.conftest import NOW
from tests.connectors.fake import StillClock


@dataclass
class Calls:
    """What went out: (virtual seconds, path), in order, and the clock."""

    clock: StillClock
    sent: list[tuple[float, str]] = field(default_factory=list)

    def times(self, containing: str = "") -> list[float]:
        return [at for at, path in self.sent if containing in path]

    def times_of(self, path: str) -> list[float]:
        """Of this very path, whatever its query."""
        return [at for at, sent in self.sent if sent.split("?")[0].rstrip("/") == path]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(seed=7, clock=NOW, state=tmp_path_factory.mktemp("sandbox"), netsuite_key="ec") as running_sandbox:
        yield running_sandbox


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Every client made from here on lives by one clock that moves only when it sleeps."""
    clock = StillClock()
    noted = Calls(clock)
    made, exchange = HttpClient.__init__, HttpClient._exchange

    def init(self: HttpClient, *given: Any, **named: Any) -> None:
        made(self, *given, **{**named, "clock": clock, "sleep": clock.sleep})

    def noting(self: HttpClient, method: str, url: str, *rest: Any) -> Any:
        noted.sent.append((clock.now, url.removeprefix(self.base_url)))
        return exchange(self, method, url, *rest)

    monkeypatch.setattr(HttpClient, "__init__", init)
    monkeypatch.setattr(HttpClient, "_exchange", noting)
    return noted


def connected(sandbox: Sandbox, vendor: str) -> Any:
    names: dict[str, Any] = {key.lower(): value for key, value in sandbox.environment().items()}
    return source_of(vendor, Settings(**names))


def read(source: Any, *streams: str) -> None:
    for name in streams or source.streams:
        for _ in source.pages(source.streams[name], None, now=NOW):
            pass


def most_within(times: list[float], window: float) -> int:
    """The most calls in any window of so many seconds."""
    return max((sum(1 for at in times if start <= at < start + window - 1e-6) for start in times), default=0)


def test_airtable_five_a_second_and_base_fifty_a_second_in_all(sandbox: Sandbox, calls: Calls) -> None:
    source = connected(sandbox, "airtable")
    for _ in range(3):
        read(source)
    bases = {path.split("/")[2] for _, path in calls.sent if path.startswith("/v0/app")}
    assert len(bases) > 5
    assert max(most_within(calls.times(f"/v0/{base}"), 1.0) for base in bases) <= 5
    assert most_within(calls.times(), 1.0) <= 50
    assert calls.clock.slept, "never waited: nothing was proved"


def test_airtable_keeps_away_for_thirty_seconds_after_a_429(sandbox: Sandbox, calls: Calls) -> None:
    source = connected(sandbox, "airtable")
    sandbox.faults.arm({"vendor": "airtable", "fault": "http_429", "times": 2})
    read(source, "bases")
    times = calls.times()
    assert times[1] - times[0] >= 30 and times[2] - times[1] >= 30


# Documented for the endpoints we read: calls a second, calls a minute.
KLAVIYO = {
    "/api/campaigns": (10, 150), "/api/metrics": (10, 150), "/api/lists": (75, 750), "/api/segments": (75, 750),
    "/api/flows": (3, 60), "/api/accounts": (1, 15), "/api/metric-aggregates": (3, 60),
    "/api/campaign-values-reports": (1, 2), "/api/flow-values-reports": (1, 2), "/api/events": (350, 3500),
}  # fmt: skip


def test_klaviyo_keeps_both_windows_of_every_endpoint(sandbox: Sandbox, calls: Calls) -> None:
    source = connected(sandbox, "klaviyo")
    for _ in range(3):
        read(source)
    seen = 0
    for endpoint, (burst, steady) in KLAVIYO.items():
        times = calls.times_of(endpoint)
        seen += len(times)
        assert most_within(times, 1.0) <= burst, endpoint
        assert most_within(times, 60.0) <= steady, endpoint
    assert seen == len(calls.sent), {path.split("?")[0] for _, path in calls.sent} - set(KLAVIYO)
    assert calls.clock.slept, "never waited: nothing was proved"


# Documented defaults: calls a second once the burst is used up, and the burst.
AMAZON = {
    "/orders/2026-01-01/orders": (0.0056, 20),
    "/fba/inventory/v1/summaries": (2.0, 2),
    "/listings/2021-08-01/items/A2SANDBOXSELLER": (5.0, 5),
}


def test_amazon_never_draws_more_than_its_buckets_hold(sandbox: Sandbox, calls: Calls) -> None:
    source = connected(sandbox, "amazon")
    # The rate of a normal account, which its answers tell.
    sandbox.sides["amazon"].profile = "standard"
    try:
        for stream in ("orders", "inventory_summaries", "listings"):
            with contextlib.suppress(TransientFailure):
                # What would have to wait beyond its budget is left for the next sync, and says so.
                for _ in range(12):
                    read(source, stream)
    finally:
        sandbox.sides["amazon"].profile = "generous"
    for path, (rate, burst) in AMAZON.items():
        times = calls.times_of(path)
        assert len(times) >= 2, path
        for first in range(len(times)):
            for last in range(first, len(times)):
                # 1 % for rounding: a bucket that is full to the last drop.
                allowed = burst + rate * 1.01 * (times[last] - times[first]) + 1e-6
                assert last - first + 1 <= allowed, (path, first, last)
    assert len(calls.times_of("/orders/2026-01-01/orders")) > 15


def test_hubspot_searches_no_faster_than_four_a_second(sandbox: Sandbox, calls: Calls) -> None:
    source = connected(sandbox, "hubspot")
    for _ in range(4):
        for name, stream in source.streams.items():
            if not stream.full_refresh and name != "stage_history":
                list(source.pages(stream, "2024-11-20T00:00:00Z", now=NOW))
    searches = calls.times("/search")
    assert len(searches) > 8
    assert most_within(searches, 1.0) <= 4
    assert most_within(calls.times(), 10.0) <= 190

"""A sandbox of a small company, and the sources connected to it, for the tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops_platform.ingestion.contract import Page, Stream
from ops_platform.settings import Settings
from resources import airtable, amazon, app_database, github, hubspot, klaviyo, netsuite, shopify, slack
from resources.airtable import AirtableSource
from resources.amazon import AmazonSource
from resources.app_database.source import AppSource
from resources.github import GitHubSource
from resources.http import HttpClient
from resources.hubspot import HubSpotSource
from resources.klaviyo import KlaviyoSource
from resources.netsuite import NetSuiteSource
from resources.shopify import ShopifySource
from resources.slack import SlackSource
from sandbox.server import Sandbox, running

# Five weeks of trade: enough of everything, and quickly read.
NOW = datetime(2024, 12, 5, 11, tzinfo=UTC)


@dataclass
class World:
    """A running sandbox: its control, and sources that wait no longer than they must."""

    url: str
    settings: Settings
    control_client: httpx.Client
    sandbox: Sandbox | None = None

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.control_client.request(method, f"/_sandbox{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, vendor: str, name: str, *, times: int | None = 1, after: int = 0, **more: Any) -> None:
        self.control("/faults", {"vendor": vendor, "fault": name, "times": times, "after": after, **more})

    def mutate(self, vendor: str, op: str, **data: Any) -> Any:
        return self.control("/mutate", {"vendor": vendor, "op": op, "data": data})["result"]

    def ledger(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control_client.get("/_sandbox/ledger", params=query).json()
        return found

    def shopify(self, *, bulk_first: bool = True) -> ShopifySource:
        source = shopify.connect(self.settings)
        assert source is not None
        source.bulk_first = bulk_first
        hurried(source.client.http)
        return source

    def netsuite(self) -> NetSuiteSource:
        source = netsuite.connect(self.settings, account_zone="America/New_York")
        assert source is not None
        hurried(source.client.http)
        return source

    def hubspot(self) -> HubSpotSource:
        source = hubspot.connect(self.settings)
        assert source is not None
        hurried(source.http)
        return source

    def klaviyo(self) -> KlaviyoSource:
        source = klaviyo.connect(self.settings)
        assert source is not None
        hurried(source.client.http)
        # The pace of a live account is tested by itself; the sandbox refuses what is too much.
        source.client.pace.enabled = False
        return source

    def slack(self) -> SlackSource:
        source = slack.connect(self.settings)
        assert source is not None
        hurried(source.http)
        return source

    def airtable(self) -> AirtableSource:
        source = airtable.connect(self.settings)
        assert source is not None
        # The sandbox's generous profile counts nothing: a wait for a turn need not take any time, and counts as waited.
        source.client.pacer.sleep = hurried(source.client.http).skip
        return source

    def github(self) -> GitHubSource:
        source = github.connect(self.settings)
        assert source is not None
        hurried(source.client.http)
        return source

    def amazon(self) -> AmazonSource:
        source = amazon.connect(self.settings)
        assert source is not None
        hurried(source.client.http)
        hurried(source.client.login)
        return source

    def app(self) -> AppSource:
        source = app_database.connect(self.settings)
        assert source is not None
        source.database.sleep = lambda seconds: time.sleep(min(seconds / 50, 0.05))
        return source


class Hurry:
    """A client's time: of every wait a fraction is waited, and the whole of it has passed on its clock. A clock that
    stood still would have a client that keeps a pace wait for the rest again and again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._skipped = 0.0

    def now(self) -> float:
        return self._clock() + self._skipped

    def skip(self, seconds: float) -> None:
        self._skipped += seconds

    def sleep(self, seconds: float) -> None:
        waited = min(seconds / 10, 0.25)
        time.sleep(waited)
        self.skip(seconds - waited)


def hurried(http: HttpClient) -> Hurry:
    """Wait a fraction of what would be waited: the sandbox recovers at once (a drained bucket nearly so)."""
    hurry = Hurry(http.clock)
    http.clock, http.sleep = hurry.now, hurry.sleep
    return hurry


def started(state: Path, **more: Any) -> Iterator[World]:
    with running(**{"seed": 7, "clock": NOW, "state": state, "netsuite_key": "ec", **more}) as sandbox:
        with httpx.Client(base_url=sandbox.url, trust_env=False, verify=False, timeout=60) as http:
            environment = http.get("/_sandbox/environment").json()
            names = {key.lower(): value for key, value in environment.items()}
            yield World(sandbox.url, Settings(**names), http, sandbox)


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """Shared by the tests of a module, which do not change its data; faults and limits are put back."""
    yield shared_world
    shared_world.control("/faults", method="DELETE")
    shared_world.control("/profile", {"profile": "generous"})


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """A sandbox of one test's own, whose data it may change."""
    yield from started(tmp_path)


@dataclass
class Read:
    """What one read of a stream brought."""

    payloads: dict[str, dict[str, Any]]
    pages: list[Page]
    cursor: str | None
    rejected: list[Any]

    @property
    def cost(self) -> Decimal:
        return sum((page.api_cost for page in self.pages), Decimal(0))


def read(source: Any, name: str, cursor: str | None = None, now: datetime = NOW) -> Read:
    """Read a stream as the loader does: later copies of a record win, the largest cursor is kept."""
    stream: Stream = source.streams[name]
    pages = list(source.pages(stream, cursor, now=now))
    cursors = [page.cursor for page in pages if page.cursor is not None]
    payloads = {record.id: record.payload for page in pages for record in page.records}
    return Read(payloads, pages, max(cursors, default=None), [item for page in pages for item in page.rejected])

"""A sandbox of this folder's own, a warehouse, and the bench on which one vendor is tried."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.contract import SyncResult
from ops_platform.ingestion.sync import sync_stream
from ops_platform.settings import Settings
from resources.vendors import streams as streams_of
from sandbox.server import Sandbox, running
from tests.connectors.conftest import NOW, World
from tests.faults import oracle
from tests.faults.scenarios import Held, Meanwhile, Scenario, clients_of, scenario_of, source_at
from tests.faults.victim import ForkServer, Order

COMPANY_ZONE = ZoneInfo("America/New_York")
# More than any look-back has to be: a cursor that ran ahead would lose what changes between two steps.
STEP = timedelta(minutes=97)


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def open_sandbox(tmp_path: Any, warehouse: Any) -> Iterator[Sandbox]:
    """A sandbox of the test's own, whose world it changes."""
    with running(seed=7, clock=NOW, state=tmp_path / "sandbox", netsuite_key="ec") as sandbox:
        yield sandbox


@dataclass
class Trial:
    """One vendor, its sandbox, a warehouse; `step` moves the clock and changes the vendor's world."""

    scenario: Scenario
    sandbox: Sandbox
    connection: Any
    dsn: str
    seed: int = 7
    steps: int = 0
    now: datetime = NOW
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.environment = self.sandbox.environment()
        names: dict[str, Any] = {key.lower(): value for key, value in self.environment.items()}
        self.settings = names
        self.control = httpx.Client(base_url=self.sandbox.url, trust_env=False, verify=False, timeout=60)
        self.world = World(self.sandbox.url, Settings(**names), self.control)

    @cached_property
    def source(self) -> Any:
        import time

        source = source_at(self.scenario.vendor, self.sandbox.url, self.settings)
        for http in clients_of(source):
            # A storm has hundreds of waits, and the sandbox is well again at once.
            http.sleep = lambda seconds: time.sleep(min(seconds / 100, 0.02))
        return source

    @property
    def today(self) -> date:
        return self.now.astimezone(COMPANY_ZONE).date()

    def close(self) -> None:
        self.control.close()
        if "source" in self.__dict__:
            self.source.close()

    def step(self) -> None:
        """Some time passes; records are put, changed and deleted."""
        self.steps += 1
        self.now += STEP
        self.world.control("/clock", {"now": self.now.isoformat(), "company": "keep"})
        self.scenario.change(Meanwhile(self.world, self.sandbox, self.draw, self.steps))

    def order(self, stream: str, failpoint: str = "", **more: Any) -> Order:
        """What a victim is told."""
        return Order(
            self.scenario.vendor, stream, self.dsn, self.sandbox.url, self.settings,
            self.now.isoformat(), self.today.isoformat(), failpoint, **more,
        )  # fmt: skip

    def sync(self, stream: str, **more: Any) -> SyncResult:
        """A sync in this process, once the lock of a killed predecessor is free."""
        import time

        until = time.monotonic() + 20
        while True:
            result = sync_stream(
                self.connection, self.source, self.source.streams[stream],
                **{"now": self.now, "today": self.today, "sweep": True, **more},
            )  # fmt: skip
            if result.status != "skipped" or time.monotonic() > until:
                return result
            time.sleep(0.005)

    def expected(self, stream: str) -> Held:
        return self.scenario.census(self.sandbox, stream)

    def landed(self, stream: str) -> Held:
        return oracle.landed(self.connection, self.scenario, stream)

    def state(self, stream: str) -> oracle.State:
        return oracle.state(self.connection, self.scenario.vendor, stream)

    def check_whole(self, stream: str, result: SyncResult) -> None:
        """After a sync that ended: 0 lost, 0 doubled, 0 partial, and the books of the sync itself are right."""
        vendor = self.scenario.vendor
        assert (result.status, result.error) == ("succeeded", None), (vendor, stream, result)
        assert not (wrong := oracle.differences(self.expected(stream), self.landed(stream))), (vendor, stream, wrong)
        assert oracle.cursor_not_ahead(self.connection, vendor, stream), (vendor, stream, self.state(stream))
        sums = result.inserted + result.updated + result.unchanged + result.duplicates + result.quarantined
        assert result.received == sums, (vendor, stream, result)
        assert result.tie_out in ("matched", "not_checked"), (vendor, stream, result)
        (running_receipts,) = self.connection.execute(
            "select count(*) from ops.sync_runs where vendor = %s and stream = %s and status = 'running'",
            (vendor, stream),
        ).fetchone()
        assert running_receipts == 0, (vendor, stream)

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The vendor's calls in the ledger after entry `since`."""
        found: list[dict[str, Any]] = self.world.ledger(vendor=self.scenario.vendor, kind="request", since=since)
        return found

    def mark(self) -> int:
        """The last ledger entry of now."""
        return max((entry["id"] for entry in self.requests()), default=0)


TrialOf = Callable[..., Trial]


@pytest.fixture
def trial_of(open_sandbox: Sandbox, warehouse: Any) -> Iterator[TrialOf]:
    """Makes the trial of a vendor on this test's sandbox and warehouse."""
    opened: list[Trial] = []
    with warehouse() as connection:
        info = connection.info
        dsn = f"host={info.host} port={info.port} dbname={info.dbname} user={info.user}"

        def make(vendor: str, seed: int = 7) -> Trial:
            scenario = scenario_of(vendor)
            declared = streams_of(vendor)
            ensure_raw_tables(connection, [(vendor, each.name, each.description) for each in declared.values()])
            connection.commit()
            connection.autocommit = True
            trial = Trial(scenario, open_sandbox, connection, dsn, seed)
            opened.append(trial)
            return trial

        yield make
        for trial in opened:
            trial.close()


__all__ = ["Trial", "TrialOf", "clients_of", "psycopg"]

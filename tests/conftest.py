"""Shared fixtures: a real embedded Postgres for the session, and a migrated warehouse per test that asks."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg
import pytest

from ops_platform.garbage import RARELY
from tests.sizes import WHOLE

if TYPE_CHECKING:
    from tests.database.lent_database import LentDatabase


GIGABYTE = 1024**3


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a temporary root of its own.

    pytest's shared root is closed again to other accounts by every session that starts; a PostgreSQL of
    another session, running under its service account, would lose its data directory."""
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="ops-tests-", dir=_roomy_memory())
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))
    WHOLE[0] = "not slow" not in config.option.markexpr
    # How long an example takes says how busy the machine is.
    hypothesis.settings.register_profile("house", deadline=None)
    hypothesis.settings.load_profile("house")
    # Companies of two years stand in memory for hundreds of tests: what may be garbage is looked for rarely.
    gc.set_threshold(RARELY, *gc.get_threshold()[1:])


def _roomy_memory() -> str | None:
    """A file system in memory where there is plenty of both: dozens of servers write gigabytes in a session that nobody
    reads again, and an eighth of its time went by waiting for the disk. None where there is not."""
    try:
        memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        available = int(memory["MemAvailable"].split()[0]) * 1024
        free = shutil.disk_usage("/dev/shm").free
    except (OSError, KeyError, ValueError):
        return None
    return "/dev/shm" if min(free, available - 6 * GIGABYTE) > 6 * GIGABYTE else None


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: nothing of it is ever garbage."""
    gc.collect()
    gc.freeze()


# Files that look at the same demo run: one process runs it for all of them.
ONE_DEMO = ("tests/cycle/test_cycle.py", "tests/cycle/test_one_story.py")


# What takes longest, the longest first: begun last, one of these would keep a single process busy while the others are
# done. A room stands for its files that are not named.
HEAVIEST = (
    "tests/cycle/",
    "tests/warehouse/test_small_shop.py",
    "tests/warehouse/test_analyst.py",
    "tests/connectors/test_hubspot_source.py",
    "tests/warehouse/test_poisoned_builds.py",
    "tests/faults/test_storm.py",
    "tests/sandbox/test_company.py",
    "tests/faults/test_kills.py",
    "tests/work_orders/test_office_simulation.py",
    "tests/backup/test_backup.py",
    "tests/backup/test_restored_outbox.py",
    "tests/company_time/test_group_kills.py",
    "tests/work_orders/test_policy_reading.py",
    "tests/connectors/test_sandbox_shopify.py",
    "tests/warehouse/",
    "tests/connectors/",
    "tests/database/",
    "tests/sandbox/",
    "tests/work_orders/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The heaviest files first, the order within a room as it is."""
    places: dict[str, int] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        named = [place for place, name in enumerate(HEAVIEST) if file == name or (name[-1] == "/" and name in file)]
        places.setdefault(file, named[0] if named else len(HEAVIEST))
    items.sort(key=lambda item: places[item.nodeid.partition("::")[0]])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread whole files over the processes, and files of one expensive fixture together."""
    from xdist.scheduler import LoadFileScheduling

    class ByFixture(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return ONE_DEMO[0] if file in ONE_DEMO else file

    return ByFixture(config, log) if config.getvalue("dist") == "loadfile" else None


SHARED = Path(os.environ.get("OPS_SHARED", Path(__file__).resolve().parents[2] / "shared"))
SCHEMAS = Path(os.environ.get("OPS_SCHEMAS", SHARED / "schemas"))

Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of one embedded server that the whole session shares."""
    from ops_platform.database.server import release_server, running_server

    home = tmp_path_factory.mktemp("server")
    # What these databases hold need not survive the machine: nothing waits for the disk.
    with psycopg.connect(running_server(home).url("postgres"), autocommit=True) as maintenance:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            maintenance.execute(f"alter system set {setting} to off".encode())
        maintenance.execute("select pg_reload_conf()")
    yield home
    release_server(home)


@pytest.fixture(scope="session")
def migrated(server_home: Path) -> str:
    """The name of a migrated database nobody connects to: what `warehouse` copies, for migrating takes longer."""
    from ops_platform.database import migrate
    from ops_platform.database.server import running_server

    address = running_server(server_home)
    with psycopg.connect(address.url("postgres"), autocommit=True) as maintenance:
        maintenance.execute("create database migrated")
    with psycopg.connect(address.url("migrated")) as connection:
        migrate(connection)
    return "migrated"


@pytest.fixture(scope="session")
def _lent_warehouse(server_home: Path, migrated: str) -> Iterator[LentDatabase]:
    from tests.database.lent_database import LentDatabase

    database = LentDatabase(server_home, migrated)
    yield database
    database.close()


@pytest.fixture
def warehouse(_lent_warehouse: LentDatabase) -> Iterator[Connect]:
    """A migrated database with nothing in it; yields a function that opens connections to it."""
    with _lent_warehouse.lent() as connect:
        yield connect

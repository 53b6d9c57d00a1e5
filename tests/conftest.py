"""Shared fixtures: a real embedded Postgres for the session, and a migrated warehouse per test that asks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.sizes import WHOLE

if TYPE_CHECKING:
    from tests.database.lent_database import LentDatabase


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a temporary root of its own.

    pytest's shared root is closed again to other accounts by every session that starts; a PostgreSQL of
    another session, running under its service account, would lose its data directory."""
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="ops-tests-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))
    WHOLE[0] = "not slow" not in config.option.markexpr


# Files that look at the same demo run: one process runs it for all of them.
ONE_DEMO = ("tests/cycle/test_cycle.py", "tests/cycle/test_one_story.py")


# The rooms of the longest files: started last, one of them would keep a single process busy while the others are done.
LONGEST = ("tests/cycle/", "tests/warehouse/", "tests/faults/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest rooms first, the order within a room as it is."""
    places = {room: place for place, room in enumerate(LONGEST)}
    items.sort(key=lambda item: next((places[room] for room in LONGEST if item.nodeid.startswith(room)), len(places)))


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

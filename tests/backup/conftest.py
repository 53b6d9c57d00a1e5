"""Two servers of their own: one that is backed up, one into which backups are restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops_platform.settings import Settings


class Server:
    """An embedded server with the platform's two databases, prepared as `ops` prepares them."""

    def __init__(self, home: Path, backups: Path) -> None:
        self.settings = Settings(
            ops_home=home, ops_backups=backups, ops_database_url=None, slack_channel_executive="C0EXEC",
            slack_channel_team=None, slack_channel_alerts="C0ALERT",
        )  # fmt: skip

    def connect(self, database: str = "warehouse") -> psycopg.Connection[Any]:
        from ops_platform.database import connect

        return connect(database, settings=self.settings)

    def prepare(self) -> None:
        from ops_platform.database import connect, migrate
        from ops_platform.database.migrations import create_databases

        with connect("postgres", settings=self.settings, autocommit=True) as maintenance:
            create_databases(maintenance, ("warehouse", "dagster"))
        with self.connect() as connection:
            migrate(connection)
        with self.connect("dagster") as connection:
            connection.execute("create table if not exists runs (id serial primary key, body text)")

    def databases(self) -> set[str]:
        with self.connect("postgres") as connection:
            return {
                name
                for (name,) in connection.execute("select datname from pg_database where not datistemplate").fetchall()
            } - {"postgres"}

    def wipe(self) -> None:
        from ops_platform.database import connect

        with connect("postgres", settings=self.settings, autocommit=True) as maintenance:
            for name in self.databases():
                maintenance.execute(f'drop database "{name}" with (force)'.encode())


@contextmanager
def running(base: Path) -> Iterator[Server]:
    from ops_platform.database.server import release_server, running_server

    home = base / "home"
    with psycopg.connect(running_server(home).url("postgres"), autocommit=True) as maintenance:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            maintenance.execute(f"alter system set {setting} to off".encode())
        maintenance.execute("select pg_reload_conf()")
    try:
        yield Server(home, base / "backups")
    finally:
        release_server(home)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("first")) as server:
        yield server


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("second")) as server:
        yield server


@pytest.fixture
def source(first: Server, tmp_path: Path) -> Server:
    """The server that is backed up, with nothing in it yet."""
    first.wipe()
    first.settings = first.settings.model_copy(update={"ops_backups": tmp_path / "backups"})
    first.prepare()
    return first


@pytest.fixture
def target(second: Server) -> Server:
    """The server into which is restored, quite empty."""
    second.wipe()
    return second

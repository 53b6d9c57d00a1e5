"""Services start side by side, and each prepares the databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ops_platform.database.migrations import set_once

if TYPE_CHECKING:
    from tests.conftest import Connect


def test_a_databases_setting_made_by_many_at_once_is_made(warehouse: Connect) -> None:
    with warehouse() as connection:
        name = connection.info.dbname

    def prepare(value: str) -> None:
        with warehouse() as connection:
            connection.autocommit = True
            set_once(connection, name, "synchronous_commit", value)

    for value in ("off", "on", "off"):
        with ThreadPoolExecutor(8) as services:
            list(services.map(prepare, [value] * 8))
        with warehouse() as connection:
            assert connection.execute("show synchronous_commit").fetchone() == (value,)


def test_what_is_set_already_is_left_alone(warehouse: Connect) -> None:
    with warehouse() as connection:
        connection.autocommit = True
        name = connection.info.dbname
        stored = "select s.xmin::text from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase"
        set_once(connection, name, "synchronous_commit", "off")
        first = connection.execute(f"{stored} where d.datname = %s".encode(), (name,)).fetchone()
        set_once(connection, name, "synchronous_commit", "off")
        assert connection.execute(f"{stored} where d.datname = %s".encode(), (name,)).fetchone() == first

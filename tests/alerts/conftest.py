"""A database that the tests of the alert machine share: emptied before each, for making one takes longer."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import Connect

_EMPTY = """
delete from ops.alert_feedback; delete from ops.alert_actions; delete from ops.alert_mutes;
delete from ops.alert_events; delete from ops.alert_members; delete from ops.alert_conditions;
delete from ops.alert_threads; delete from ops.alerts; delete from ops.alert_storms; delete from ops.outbox;
alter table ops.alerts alter column id restart with 1;
"""


@pytest.fixture(scope="module")
def desk_database(server_home: Path, migrated: str) -> Iterator[Connect]:
    from ops_platform.database.server import running_server

    address = running_server(server_home)
    name = f"desk_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(address.url("postgres"), autocommit=True) as maintenance:
        maintenance.execute(f"create database {name} template {migrated}".encode())

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(address.url(name), options="-c timezone=UTC")

    yield connect
    with psycopg.connect(address.url("postgres"), autocommit=True) as maintenance:
        maintenance.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def desk(desk_database: Connect) -> Connect:
    """A function that opens connections to a migrated database without a single alert."""
    with desk_database() as connection:
        connection.execute(_EMPTY.encode())
    return desk_database

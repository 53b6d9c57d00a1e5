"""A database that the tests of the alert machine share: emptied before each, for making one takes longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.database.fresh_database import fresh_database

EMPTY = """
delete from ops.alert_escalations; delete from ops.receipts;
delete from ops.alert_feedback; delete from ops.alert_actions; delete from ops.alert_mutes;
delete from ops.alert_events; delete from ops.alert_members; delete from ops.alert_conditions;
delete from ops.alert_threads; delete from ops.alerts; delete from ops.alert_storms; delete from ops.outbox;
alter table ops.alerts alter column id restart with 1;
"""


@pytest.fixture(scope="module")
def desk_database(server_home: Path, migrated: str) -> Iterator[Connect]:
    with fresh_database(server_home, migrated, "desk") as connect:
        yield connect


@pytest.fixture
def desk(desk_database: Connect) -> Connect:
    """A function that opens connections to a migrated database without a single alert."""
    with desk_database() as connection:
        connection.execute(EMPTY.encode())
    return desk_database

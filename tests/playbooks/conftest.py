"""A database that the tests of playbooks share: emptied before each, for making one takes longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.database.fresh_database import fresh_database

# The record refuses to be emptied; only as a replica, where no trigger speaks, can a test do it.
_EMPTY = """
set session_replication_role = replica;
truncate ops.playbook_versions, ops.playbook_executions, ops.playbook_steps, ops.playbook_effects,
    ops.playbook_notices, ops.playbook_assignments, ops.outbox cascade;
alter table ops.playbook_executions alter column id restart with 1;
"""


@pytest.fixture(scope="session")
def shared_database(server_home: Path, migrated: str) -> Iterator[Connect]:
    with fresh_database(server_home, migrated, "playbooks") as connect:
        yield connect


@pytest.fixture
def warehouse(shared_database: Connect) -> Connect:
    """A function that opens connections to a migrated database in which no playbook ever ran."""
    with shared_database() as connection:
        connection.execute(_EMPTY.encode())
    return shared_database

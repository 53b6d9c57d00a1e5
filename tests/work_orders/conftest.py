"""One sandbox and one database for all tests of the office: making them takes longer than most tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.work_orders.office_world import AT, World, emptied, sandbox_at, world_on

_weeks = itertools.count()


@pytest.fixture(scope="session")
def office_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with sandbox_at(AT, tmp_path_factory.mktemp("office-sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def office_database(server_home: Any, migrated: str) -> Iterator[Connect]:
    with fresh_database(server_home, migrated, "office") as connect:
        yield connect


@pytest.fixture
def here(office_sandbox: Any, office_database: Connect) -> Iterator[World]:
    """An office with no order yet, each test a week after the one before: what those left at GitHub is old."""
    emptied(office_database)
    yield world_on(office_sandbox, office_database, AT + timedelta(weeks=next(_weeks)))
    office_sandbox.faults.disarm(None)

"""The company once for all tests of the agents; what a test writes it takes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.work_orders.agents.company import founded


@pytest.fixture(scope="package")
def agents_company(server_home: Any, migrated: str) -> Iterator[Connect]:
    with fresh_database(server_home, migrated, "agents") as connect:
        founded(connect)
        yield connect


@pytest.fixture(scope="package")
def agents_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The vendors' side; only Claude is asked."""
    with running_sandbox(tmp_path_factory.mktemp("agents-sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def desk(agents_company: Connect) -> Iterator[psycopg.Connection[Any]]:
    """A connection without an open transaction; what is not committed is gone afterwards."""
    with agents_company() as connection:
        yield connection
        connection.rollback()

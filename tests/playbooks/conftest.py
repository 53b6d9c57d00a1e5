"""A database that the tests of playbooks share, emptied before each (making one takes longer), and commands on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ops_platform.cli import cli
from ops_platform.fleet import reset_fleet
from ops_platform.settings import reset_settings
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.playbooks.company import SCHEMA, empty, fill
from tests.playbooks.shop import COUNT, GATED, HTTP, NOW, house
from tests.playbooks.shop import playbook as text_of

Ops = Callable[..., Result]

# The record refuses to be emptied; only as a replica, where no trigger speaks, can a test do it.
_EMPTY = """
set session_replication_role = replica;
truncate ops.playbook_versions, ops.playbook_executions, ops.playbook_steps, ops.playbook_effects,
    ops.playbook_notices, ops.playbook_assignments, ops.outbox, ops.integration_pings, ops.token_ledger cascade;
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One that is right, one that is disabled, one that HTTP does not start, one that cannot be read."""
    (tmp_path / "demo.yaml").write_text(text_of(GATED, HTTP))
    (tmp_path / "off.yaml").write_text(text_of(GATED, HTTP + "enabled: false\n", name="off"))
    (tmp_path / "shy.yaml").write_text(text_of(GATED, COUNT, name="shy"))
    (tmp_path / "broken.yaml").write_text("id: broken\nname: [")
    return tmp_path


@pytest.fixture
def ops(warehouse: Connect, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ops]:
    """Runs a command as a person would, on this test's database, with the test's tools."""
    monkeypatch.setenv("OPS_PLAYBOOKS", str(folder))
    monkeypatch.setenv("OPS_NOW", NOW.isoformat())
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    monkeypatch.setattr("jobs.toolbox.house", house)
    reset_settings()
    reset_fleet()
    yield lambda *arguments, **more: CliRunner().invoke(cli, ["playbook", *arguments], **more)
    reset_settings()
    reset_fleet()


@pytest.fixture(scope="module")
def its_database(server_home: Path, migrated: str) -> Iterator[Connect]:
    """A database with the relations that tools read."""
    with fresh_database(server_home, migrated, "toolbox") as connect:
        with connect() as connection:
            connection.execute(SCHEMA.encode())
        yield connect


@pytest.fixture
def company(its_database: Connect) -> Connect:
    """The company of `company.py`, as it stands on that Friday."""
    with its_database() as connection:
        empty(connection)
        fill(connection)
    return its_database

"""`ops action` through the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ops_platform.action_items.store import Proposal, open_items
from ops_platform.cli import cli
from ops_platform.failures import DataFailure
from ops_platform.settings import reset_settings

if TYPE_CHECKING:
    from tests.conftest import Connect

NOW = datetime(2026, 11, 24, 11, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(warehouse: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home with one late action, on a hostile subject."""
    with warehouse() as connection:
        about = "\x1b[31mDOCK-01\x1b[0m"
        asked = Proposal("x", "Attend to the alert:", about, "alert", None, "Supply Chain", date(2026, 11, 23))
        open_items(connection, [asked], day=date(2026, 11, 19), by="narrative_daily", now=NOW, rest_days=7)
        connection.commit()
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    monkeypatch.setenv("OPS_HOME", str(tmp_path))
    monkeypatch.setenv("OPS_NOW", NOW.isoformat())
    reset_settings()
    yield
    reset_settings()


def said(*words: str) -> Any:
    done = CliRunner().invoke(cli, ["action", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.output) if "--json" in words else done.output


def test_what_is_open_is_listed_with_owner_and_due_day() -> None:
    line = said("list")
    assert "late" in line and "DOCK-01" in line and "(Supply Chain, was due 2026-11-23" in line
    assert "\x1b[31m" not in line
    (row,) = said("list", "--json")
    assert (row["late"], row["due_on"], row["state"]) == (True, "2026-11-23", "open")
    assert said("list", "--owner", "supply chain", "--json") and said("list", "--owner", "kim", "--json") == []


def test_it_is_given_to_somebody_and_done_once() -> None:
    (row,) = said("list", "--json")
    number = str(row["id"])
    given = said("assign", number, "kim", "--due", "2026-11-27", "--by", "ada", "--json")
    assert (given["owner"], given["due_on"], given["late"]) == ("kim", "2026-11-27", False)
    assert said("done", number, "--note", "shipped", "--by", "kim", "--json")["changed"] is True
    assert said("done", number, "--json")["changed"] is False
    assert "nothing is to be done" in said("list")
    assert "done 2026-11-24 by kim" in said("list", "--all")


def test_what_need_not_be_done_is_dropped() -> None:
    (row,) = said("list", "--json")
    assert said("drop", str(row["id"]), "--by", "ada", "--json")["state"] == "dropped"


def test_a_number_that_is_not_there_is_said() -> None:
    with pytest.raises(DataFailure, match="no action item 4711"):
        said("done", "4711")

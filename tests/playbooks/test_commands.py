"""`ops playbook …` and the trigger's own side, on a real database and a folder of playbooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ops_platform.cli import cli
from ops_platform.commands.trigger import run as triggered
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.fleet import reset_fleet
from ops_platform.playbooks.engine import run
from ops_platform.playbooks.statistics import statistics
from ops_platform.settings import reset_settings
from resources.playbook_trigger import Asked
from tests.conftest import Connect
from tests.playbooks.shop import NOW, house, machine
from tests.playbooks.shop import playbook as text_of
from tests.playbooks.test_engine import COUNT, GATED

Ops = Callable[..., Result]
HTTP = COUNT + 'triggers: {schedule: "0 9 * * 1-5", http: true}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
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


def test_listing_shows_what_is_there_and_what_is_wrong(ops: Ops, warehouse: Connect) -> None:
    listed = ops("list")
    assert listed.exit_code == 1  # a file is wrong
    assert "demo  A demo, version 1" in listed.output and "next Fri 20 Nov 09:00, by HTTP; never ran" in listed.output
    assert "off  A demo, version 1  (disabled)" in listed.output
    assert "broken.yaml is left out" in listed.output and "line 2, column 8" in listed.output
    told = json.loads(ops("list", "--json").output)
    assert [one["id"] for one in told["playbooks"]] == ["demo", "off", "shy"]


def test_showing_and_validating(ops: Ops, folder: Path) -> None:
    shown = ops("show", "demo").output
    assert "tell  tool_call  tell" in shown and "needs look, when any" in shown
    assert ops("validate", str(folder / "demo.yaml")).exit_code == 0
    wrong = ops("validate", "broken", "--json")
    assert wrong.exit_code == 1
    assert next(iter(json.loads(wrong.output).values()))[0]["line"] == 2
    assert isinstance(ops("show", "nothing").exception, DataFailure)
    assert isinstance(ops("show", "broken").exception, ConfigurationError)


def test_a_dry_run_of_the_last_days(ops: Ops, warehouse: Connect) -> None:
    told = ops("dry-run", "demo", "--since", "7d", "--set", "count=0")
    assert told.exit_code == 0, told.output
    assert "5 dry runs: 10 effects shown, none done" in told.output
    assert "would: message: team C0TEAM: Nobody is away." in told.output
    assert ops("dry-run", "demo", "--set", "count=x").exit_code == 1
    assert ops("dry-run", "demo", "--since", "yesterday").exit_code == 2
    with warehouse() as connection:
        assert connection.execute("select count(*) from ops.outbox").fetchone() == (0,)


def test_history_versions_and_differences(ops: Ops, warehouse: Connect, folder: Path) -> None:
    from ops_platform.playbooks.catalogue import plan_of_file

    done = run(machine(warehouse), plan_of_file(folder / "demo.yaml", house()), key="demo:manual:k", as_of=NOW)
    assert "✓ #1" in ops("history").output
    assert json.loads(ops("history", "--execution", str(done.id), "--json").output)["stepsExecuted"] == 5
    assert "– none: any holds" in ops("history", "--execution", "1").output
    assert json.loads(ops("versions", "demo", "--json").output)[0]["succeeded"] == 1
    assert ops("diff", "demo").exit_code == 0
    (folder / "demo.yaml").write_text(text_of(GATED.replace("Nobody is away", "All are here"), HTTP))
    changed = ops("diff", "demo")
    assert changed.exit_code == 1 and '-    input: {text: "Nobody is away."}' in changed.output
    assert "make it version 2" in ops("list").output
    told = json.loads(ops("stats", "--json", "--days", "30").output)
    assert told["executions"] == 0  # for a moment before the present one
    assert "success rate unknown" in ops("stats").output
    with warehouse() as connection:
        found = statistics(connection, NOW - timedelta(days=1), NOW + timedelta(days=6))
    assert (found.executions, found.success_rate, found.weeks, found.failed) == (1, Decimal(1), Decimal(1), {})


def test_an_execution_is_resumed_as_it_began(ops: Ops, warehouse: Connect, folder: Path) -> None:
    from ops_platform.playbooks.catalogue import plan_of_file
    from ops_platform.playbooks.engine import Hold, start

    made = plan_of_file(folder / "demo.yaml", house())
    opened = start(machine(warehouse), made, kind="manual", key="k", as_of=NOW)
    with Hold(machine(warehouse), made, opened) as hold:
        hold.advance("look")
    (folder / "demo.yaml").write_text(text_of(GATED.replace("customers, ", "people, "), HTTP, version=2))
    told = json.loads(ops("resume", str(opened.id), "--json").output)
    assert (told["success"], told["version"]) == (True, 1)
    with warehouse() as connection:
        texts = connection.execute("select payload ->> 'text' from ops.outbox order by 1").fetchall()
    assert texts[0] == ("2 customers, 2026-11-20",)


def test_the_triggers_answers(ops: Ops, warehouse: Connect, folder: Path) -> None:
    from ops_platform.playbooks.catalogue import plan_of_file

    assert triggered(Asked("nothing")).status == 404
    assert triggered(Asked("off")).status == 403
    assert triggered(Asked("shy")).status == 403
    assert triggered(Asked("broken")).status == 500
    assert triggered(Asked("demo", variables={"count": "many"})).status == 400
    # What ended under its key is told at once, with no second run.
    made = plan_of_file(folder / "demo.yaml", house())
    done = run(machine(warehouse), made, kind="http", key="demo:http:t1", as_of=NOW)
    answer = triggered(Asked("demo", "t1"))
    assert (answer.status, answer.body["executionId"], answer.body["stepsExecuted"]) == (200, done.id, 5)
    assert "results" not in answer.body


def test_a_new_playbook_is_valid_and_disabled(ops: Ops, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ops("new", "quarter_end").exit_code == 0
    monkeypatch.undo()
    from jobs.toolbox import house as companys
    from ops_platform.playbooks.catalogue import plan_of_file

    made: Any = plan_of_file(folder / "quarter_end.yaml", companys())
    assert made.playbook.enabled is False
    assert isinstance(CliRunner().invoke(cli, ["playbook", "new", "Quarter End"]).exception, DataFailure)

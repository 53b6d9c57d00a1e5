"""`ops playbook …` and the trigger's own side, on a real database and a folder of playbooks."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from ops_platform.cli import cli
from ops_platform.commands.playbook_scheduler import script
from ops_platform.commands.trigger import run as triggered
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.playbooks.engine import run
from ops_platform.playbooks.source import read
from ops_platform.playbooks.statistics import scheduled_month, statistics
from ops_platform.settings import PROJECT_ROOT
from resources.playbook_trigger import Asked
from tests.conftest import Connect
from tests.playbooks.conftest import Ops
from tests.playbooks.shop import COUNT, GATED, HTTP, NOW, house, machine
from tests.playbooks.shop import playbook as text_of


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


def test_how_notices_go_from_one_span_to_the_next(ops: Ops, warehouse: Connect, folder: Path) -> None:
    from ops_platform.playbooks.catalogue import plan_of_file

    made, said = plan_of_file(folder / "demo.yaml", house()), []
    for days, count in ((45, 1), (3, 3)):
        done = run(machine(warehouse), made, key=f"k{days}", as_of=NOW - timedelta(days=days))
        with warehouse() as connection:
            for number in range(count):
                connection.execute(
                    "insert into ops.playbook_notices (key, execution_id, step_id, playbook_id, severity, title, at)"
                    " values (%s, %s, 'tell', 'demo', 'high', 'x', %s)",
                    (f"{days}:{number}", done.id, NOW - timedelta(days=days)),
                )
        said.append(ops("stats", "--days", "30").output)
    assert "notices told: none (0, fewer than the 1 of the span before)" in said[0]
    assert "notices told: 3 high (3, more than the 1 of the span before)" in said[1]
    told = json.loads(ops("stats", "--json", "--days", "30").output)
    assert (told["noticesBySeverity"], told["before"]["noticesBySeverity"]) == ({"high": 3}, {"high": 1})


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


def test_what_is_below_its_aim_and_what_writing_costs(ops: Ops, warehouse: Connect) -> None:
    """Uptime below 99.5 % is said; what models wrote for the roles is counted and reckoned by the month."""
    at = NOW - timedelta(days=1)
    with warehouse() as connection:
        for name, states in (("shopify", ["online"] * 100), ("hubspot", ["online"] * 99 + ["offline"])):
            connection.cursor().executemany(
                "insert into ops.integration_pings (integration, state, latency_ms, at) values (%s, %s, %s, %s)",
                [
                    (name, state, 90 if state == "online" else None, at + timedelta(minutes=place))
                    for place, state in enumerate(states)
                ],
            )
        connection.cursor().executemany(
            "insert into ops.token_ledger (bot, cycle, purpose, model, tier, state, reserved_tokens, cost_usd,"
            " created_at) values ('sales', '2026-11-19', %s, 'm', 'small', %s, 0, %s, %s)",
            [("role:revenue", "spent", Decimal("0.02"), at), ("role:analytics", "spent", Decimal("0.01"), at),
             ("role:revenue", "released", Decimal(0), at), ("narrative", "spent", Decimal(5), at),
             ("role:revenue", "spent", Decimal(7), at - timedelta(days=60))],
        )  # fmt: skip
    told = ops("stats", "--days", "15").output
    assert "uptime of hubspot: 99.00 % (goal: 99.5 %)" in told and "uptime of shopify: 100.00 %\n" in told
    assert "writing by models: 2 calls, $0.0300; $0.06 a month" in told
    # Of the folder's three only `demo` is enabled and has a schedule: thirty days from that Friday have 21 weekdays.
    assert "the next 30 days by the schedules: 21 runs, 0 calls of a writer at most" in told
    assert json.loads(ops("stats", "--json").output)["nextMonth"] == {"runs": 21, "writingCallsAtMost": 0}


def test_a_month_of_the_shipped_playbooks() -> None:
    """Counted by hand from Monday, 2 November 2026: 22 weekdays, 5 Mondays, 30 days, 720 hours."""
    found = [read(file.read_text(), file.name).playbook for file in (PROJECT_ROOT / "playbooks").glob("*.yaml")]
    start = datetime(2026, 11, 2, tzinfo=ZoneInfo("America/New_York"))
    month = scheduled_month(found, "America/New_York", start)
    assert month.runs == 22 + 5 + 30 + 30 * 24
    writing = {"ops_daily_health_check": 22, "ops_weekly_growth_review": 5, "ops_churn_prevention": 30,
               "ops_integration_monitor": 30 * 24}  # fmt: skip
    assert month.calls == sum(
        writing[one.id] * sum(step.type in ("synthesize", "delegate") for step in one.steps) for one in found
    )


def test_a_clouds_scheduler_is_set_up_by_a_script(tmp_path: Path) -> None:
    """Run twice against a `gcloud` that notes what it is told: jobs are made, then changed, in company time."""
    found = [read(file.read_text(), file.name).playbook for file in sorted((PROJECT_ROOT / "playbooks").glob("*.yaml"))]
    triggers = 'triggers: {schedule: "0 9 * * *"}\n'
    shy = read(text_of(GATED, COUNT + triggers, name="shy"), "shy.yaml").playbook
    text = script([*found, shy], "https://ops.example/", "America/New_York")
    (tmp_path / "jobs.sh").write_text(text)
    (tmp_path / "gcloud").write_text(
        '#!/bin/sh\ncase "$*" in secrets*) echo the-secret-of-the-cloud; exit;; esac\n'
        f'printf "%s|" "$@" >> {tmp_path}/told; echo >> {tmp_path}/told\n'
        f'case "$*" in *describe*) test -e {tmp_path}/made;; esac\n'
    )
    (tmp_path / "gcloud").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PROJECT": "shop", "LOCATION": "us-east1"}
    told: list[list[list[str]]] = []
    for _ in range(2):
        subprocess.run(["/bin/sh", str(tmp_path / "jobs.sh")], env=environment, check=True, timeout=60)
        lines = [line.split("|")[:-1] for line in (tmp_path / "told").read_text().splitlines()]
        told.append([line for line in lines if "describe" not in line])
        (tmp_path / "told").unlink()
        (tmp_path / "made").touch()
    made, changed = told
    assert [line[2:5] for line in made] == [
        ["create", "http", name]
        for name in ("ops-churn-prevention", "ops-daily-health-check", "ops-integration-monitor",
                     "ops-weekly-growth-review")
    ]  # fmt: skip
    health = made[1]
    assert "--schedule=0 9 * * 1-5" in health and "--time-zone=America/New_York" in health
    assert "--uri=https://ops.example/playbook-runner?playbookId=ops_daily_health_check" in health
    assert "--headers=Authorization=Bearer the-secret-of-the-cloud" in health and "--attempt-deadline=600s" in health
    assert [line[2] for line in changed] == ["update"] * 4 and "# shy is not started by HTTP" in text
    assert any("--update-headers=" in part for part in changed[0])
    for wrong in ("http://ops.example", "ops.example", "https://ops.example?x=1"):
        with pytest.raises(DataFailure, match="a secret goes there"):
            script(found, wrong, "America/New_York")

"""What `ops status` says of the machine's work."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ops_platform.commands import status_fleet
from ops_platform.commands.findings import show
from ops_platform.fleet import observations
from ops_platform.fleet.health import Reading, score_of, weights_on
from ops_platform.fleet.health_history import store
from ops_platform.fleet.observations import Observation
from ops_platform.settings import Environment, Settings
from tests.conftest import Connect
from tests.fleet.scenes import fleet, output, receipt, tick

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)  # 12:00 in New York
HOUR = timedelta(hours=1)
FLEET = fleet({"hourly": "0 * * * *", "daily": "30 6 * * *"})


def at(home: Path, environment: Environment = Environment.PRODUCTION) -> Settings:
    return Settings(ops_home=home, ops_env=environment)


def test_jobs_of_a_bot_on_one_line(warehouse: Connect) -> None:
    with warehouse() as connection:
        receipt(connection, "hourly", NOON - 2 * HOUR)
        receipt(connection, "daily", NOON - 5 * HOUR, "failed")
        tick(connection, "hourly", NOON - HOUR, NOON)
        (line,) = status_fleet.job_findings(connection, FLEET, NOON + timedelta(minutes=30), production=True)
        data = status_fleet.jobs_as_data(connection, FLEET, NOON, production=True)
    assert line.state == "failed"
    assert line.detail == "2 jobs; last hourly 10:00, succeeded; next hourly 13:00"
    assert line.advice == "daily: broke; hourly: 1 due run(s) of the last day did not happen"
    assert [(job["job"], job["last"], job["next_at"]) for job in data] == [
        ("hourly", "succeeded", "2026-11-20T18:00:00+00:00"), ("daily", "failed", "2026-11-21T11:30:00+00:00"),
    ]  # fmt: skip


def test_nothing_is_next_where_nothing_runs_by_itself(warehouse: Connect) -> None:
    with warehouse() as connection:
        (line,) = status_fleet.job_findings(connection, FLEET, NOON, production=False)
    assert (line.state, line.detail) == ("warning", "2 jobs; none has run; on no schedule here")


def test_health_with_what_moved_it(warehouse: Connect) -> None:
    weights = weights_on(NOON.date())
    everything = {name: Reading.exact(Decimal(1), "") for name in ("uptime", "completion", "errors", "tokens")}
    with warehouse() as connection:
        assert status_fleet.health_findings(connection, NOON)[0].state == "warning"
        first = score_of({**everything, "freshness": Reading.exact(Decimal(1), "")}, weights, NOON - HOUR)
        store(connection, first)
        readings = {**everything, "errors": Reading.exact(Decimal("0.2"), "4 of 5 runs failed: daily")}
        store(connection, score_of(readings, weights, NOON, first))
        (line,) = status_fleet.health_findings(connection, NOON)
        (old,) = status_fleet.health_findings(connection, NOON + 3 * HOUR)
        data = status_fleet.health_as_data(connection, NOON)["health"]
    assert line.state == "warning"
    assert line.detail == (
        "88 of 100, fair (between 68 and 88: data freshness unknown); -12.0 since the last: runs without error -12.0"
    )
    assert line.advice == "runs without error -12.0: 4 of 5 runs failed: daily"
    assert old.detail.startswith("not computed since 2026-11-20 17:00 UTC; was 88 of 100")
    assert (data["score"], data["change"], data["low"]) == ("88", "-12", "68")
    changes = [Decimal(part["change"]) for part in data["factors"]]
    assert sum(changes) == Decimal(data["change"])


def test_what_waits_and_what_was_spent(warehouse: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    with warehouse() as connection:
        output(connection, NOON - HOUR, "0.01")
        connection.execute(
            "insert into ops.outbox (id, dedupe_key, kind, channel_key, channel, payload, payload_hash, state,"
            " created_at, updated_at)"
            " values (gen_random_uuid(), 'x', 'alert', 'alerts', 'C1', '{}', 'x', 'held', %s, %s)",
            (NOON, NOON),
        )
        approvals, messages = status_fleet.waiting_findings(connection, NOON)
        connection.execute(
            "insert into ops.token_ledger (bot, cycle, purpose, model, tier, state, reserved_tokens, input_tokens,"
            " output_tokens, cost_usd, created_at)"
            " values ('coordinator', '2026-11-20', 'p', 'm', 'small', 'spent', 90, 60, 25, 0.01, %s)",
            (NOON,),
        )
        connection.commit()
        budget = status_fleet.token_finding(connection, FLEET, NOON)
    assert (approvals.state, approvals.detail) == ("ok", "nothing waits for a person's word")
    assert (messages.state, messages.detail) == ("warning", "1 sent in the last day; 1 held")
    assert budget.state == "warning"
    assert budget.detail == "85 of 100 tokens today (85%), 0.0100 USD; coordinator 85"


def test_backups_and_the_watchdog(tmp_path: Path) -> None:
    settings = at(tmp_path)
    assert status_fleet.backup_finding(settings, NOON).state == "warning"
    assert status_fleet.backup_finding(at(tmp_path, Environment.DEVELOPMENT), NOON).state == "not connected"
    folder = tmp_path / "backups" / "20261120T050000Z"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "at": (NOON - 12 * HOUR).isoformat()}))
    assert status_fleet.backup_finding(settings, NOON).state == "ok"
    assert status_fleet.backup_finding(settings, NOON + 20 * HOUR).state == "warning"
    assert status_fleet.watchdog_finding(settings, NOON).state == "warning"
    observations.write(tmp_path, Observation("watchdog", NOON - timedelta(minutes=5)))
    (tmp_path / "watchdog" / "told").write_text(f"@now\t{NOON.timestamp():.0f}\n")
    assert status_fleet.watchdog_finding(settings, NOON).detail.endswith("all well")
    (tmp_path / "watchdog" / "told").write_text("disk:/\t1\t1\t1\tThe disk / has 3 % left.\n")
    line = status_fleet.watchdog_finding(settings, NOON)
    assert (line.state, line.advice) == ("warning", "The disk / has 3 % left.")
    assert status_fleet.watchdog_finding(settings, NOON + HOUR).state == "warning"


def test_a_script_is_given_everything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show([status_fleet.disk_finding(tmp_path)], as_json=True, beside={"jobs": [], "health": None})
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"ok", "findings", "jobs", "health"} and told["findings"][0]["subject"] == "disk"

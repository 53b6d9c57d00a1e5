"""A dry run shows what would be done, and does none of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ops_platform.failures import DataFailure
from ops_platform.playbooks.engine import run
from ops_platform.playbooks.rehearsal import rehearse, ticks_since
from tests.conftest import Connect
from tests.playbooks.shop import COUNT, GATED, NOW, ZONE, call, condition, machine, plan, posted

_EVERYTHING = "select relname, n_live_tup from pg_stat_user_tables"


def counts(connect: Connect) -> dict[str, int]:
    """Rows of every table of ours."""
    with connect() as connection:
        tables = [
            name
            for (name,) in connection.execute(
                "select table_name from information_schema.tables"
                " where table_schema = 'ops' and table_type = 'BASE TABLE'"
            )
        ]
        return {
            name: connection.execute(f"select count(*) from ops.{name}".encode()).fetchone()[0]  # type: ignore[index]
            for name in tables
        }  # fmt: skip


def test_every_effect_is_shown_and_none_is_done(warehouse: Connect, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    made = plan(GATED + call("order", "order", what="flowers", ledger=str(ledger)), COUNT)
    before = counts(warehouse)
    rehearsal = rehearse(machine(warehouse), made, NOW)
    assert rehearsal.success
    assert {(effect.step, effect.what) for effect in rehearsal.effects} == {
        ("tell", "message"), ("last", "message"), ("order", "vendor"),
    }  # fmt: skip
    assert [effect.words for effect in rehearsal.effects if effect.step == "tell"] == [
        "team C0TEAM: 2 customers, 2026-11-20"
    ]
    assert rehearsal.record["conditions"] == {"any": True}
    assert not ledger.exists()
    assert counts(warehouse) == before


def test_it_is_for_the_moment_that_is_asked(warehouse: Connect) -> None:
    rehearsal = rehearse(machine(warehouse), plan(GATED, COUNT), NOW - timedelta(days=7), {"count": 1})
    assert rehearsal.effects[0].words == "team C0TEAM: 1 customers, 2026-11-13"


def test_a_failing_step_shows_and_keeps_nothing(warehouse: Connect) -> None:
    steps = call("bad", "misbehave", how="crash") + call("peek", "peek", text="x") + call("more", "look", "needs: bad")
    before = counts(warehouse)
    rehearsal = rehearse(machine(warehouse), plan(steps), NOW)
    assert not rehearsal.success
    assert [step["status"] for step in rehearsal.record["steps"]] == ["failed", "failed", "skipped"]
    assert "read-only" in rehearsal.record["steps"][1]["reason"]
    assert rehearsal.effects == ()
    assert counts(warehouse) == before


def test_what_hangs_ends_the_rehearsal(warehouse: Connect) -> None:
    made = plan(call("bad", "misbehave", "timeout_seconds: 1", how="sleep", seconds=4))
    with pytest.raises(DataFailure, match="took longer than 1 s"):
        rehearse(machine(warehouse), made, NOW)


def test_a_rehearsal_takes_no_number_and_bars_no_run(warehouse: Connect) -> None:
    made = plan(GATED, COUNT)
    for _ in range(3):
        rehearse(machine(warehouse), made, NOW)
    assert run(machine(warehouse), made, key="a", as_of=NOW).id == 1
    assert rehearse(machine(warehouse), made, NOW).success
    assert len(posted(warehouse)) == 2


def test_a_disabled_playbook_can_be_rehearsed(warehouse: Connect) -> None:
    assert rehearse(machine(warehouse), plan(GATED, COUNT + "enabled: false\n"), NOW).success


def test_a_condition_that_would_fail_is_shown_failed(warehouse: Connect) -> None:
    rehearsal = rehearse(machine(warehouse), plan(condition("c", "1 / vars.count > 0"), COUNT), NOW, {"count": 0})
    assert rehearsal.record["steps"][0]["status"] == "failed"
    assert "divide by zero" in rehearsal.record["steps"][0]["reason"]


@pytest.mark.parametrize(
    ("cron", "start", "wanted"),
    [
        # Clocks go back on 1 November 2026, forward on 14 March 2027: nine o'clock stays nine o'clock.
        ("0 9 * * *", "2026-10-30", ["13:00", "13:00", "14:00", "14:00"]),
        ("0 9 * * *", "2027-03-12", ["14:00", "14:00", "13:00", "13:00"]),
        ("0 9 * * 1-5", "2026-10-30", ["13:00", "14:00"]),
    ],
)
def test_ticks_are_in_the_companys_time(cron: str, start: str, wanted: list[str]) -> None:
    made = plan(GATED, COUNT + f'triggers: {{schedule: "{cron}"}}\n')
    since = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(ZONE))
    ticks = ticks_since(made, ZONE, since, since + timedelta(days=3, hours=12))
    assert [f"{tick.astimezone(UTC):%H:%M}" for tick in ticks] == wanted


def test_dagster_ticks_at_the_same_moments() -> None:
    """The schedule that runs and the ticks that are rehearsed are one: across both changes of the clocks."""
    from dagster import build_schedule_context

    from jobs.playbooks import playbook_jobs
    from ops_platform.settings import Environment
    from sensors.playbooks import playbook_schedules
    from tests.playbooks.shop import house

    made: dict[str, Any] = {"demo": plan(GATED, COUNT + 'triggers: {schedule: "0 9 * * *"}\n')}
    schedule = playbook_schedules(made, playbook_jobs(made, house), ZONE, Environment.PRODUCTION)[0]
    assert schedule.execution_timezone == ZONE and build_schedule_context() is not None
    from dagster._utils.schedules import schedule_execution_time_iterator

    for start in (datetime(2026, 10, 30, tzinfo=UTC), datetime(2027, 3, 12, tzinfo=UTC)):
        ours = ticks_since(made["demo"], ZONE, start, start + timedelta(days=5))
        theirs = schedule_execution_time_iterator(start.timestamp(), "0 9 * * *", ZONE)
        assert [next(theirs).astimezone(UTC) for _ in ours] == ours

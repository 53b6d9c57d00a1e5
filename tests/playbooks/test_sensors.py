"""When playbooks run: ticks in company time, events once, and executions whose process died taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    Definitions,
    RunRequest,
    SkipReason,
    build_sensor_context,
)
from dagster.components.core.component_tree import ComponentTree

from jobs.playbooks import playbook_job, playbook_jobs
from ops_platform.playbooks import record
from ops_platform.playbooks.engine import Hold, start
from ops_platform.settings import Environment
from sensors.components import PlaybookFolder, first_playbook
from sensors.playbooks import playbook_events_sensor, playbook_resume_sensor, playbook_schedules
from tests.conftest import Connect
from tests.playbooks.shop import NOW, ZONE, call, house, machine, plan, posted
from tests.playbooks.test_job import Warehouse

STEPS = call("look", "look") + call("tell", "tell", "needs: look", text="once")


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def at(warehouse: Connect, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """The database the sensors look into."""
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    return warehouse


def look(sensor: Any, instance: DagsterInstance, cursor: str | None = None) -> tuple[list[Any], str | None]:
    context = build_sensor_context(instance=instance, cursor=cursor)
    return list(sensor(context)), context.cursor


def left(connect: Connect, key: str, ago: timedelta = timedelta(minutes=10), run_id: str | None = None) -> int:
    """An execution whose process is gone after its first step."""
    the, made = machine(connect), plan(STEPS)
    opened = start(the, made, kind="manual", key=key, as_of=NOW, run_id=run_id)
    with Hold(the, made, opened) as hold:
        hold.advance("look")
    with connect() as connection:
        connection.execute("update ops.playbook_executions set held_at = %s", (datetime.now(UTC) - ago,))
    return opened.id


def test_what_a_dead_process_left_is_taken_up_once(at: Connect, instance: DagsterInstance) -> None:
    number, made = left(at, "a"), plan(STEPS)
    sensor = playbook_resume_sensor([playbook_job(made, house)], Environment.DEMO)
    (request,), _ = look(sensor, instance)
    assert isinstance(request, RunRequest) and request.job_name == "playbook_demo"
    assert request.run_key == f"resume:{number}:1"
    result = playbook_job(made, house).execute_in_process(
        instance=instance, resources={"warehouse": Warehouse(at)}, tags=dict(request.tags)
    )
    assert result.success
    assert posted(at) == ["once"]
    assert isinstance(look(sensor, instance)[0][0], SkipReason)


def test_a_tick_whose_run_died_before_it_began_is_run_after_all(at: Connect, instance: DagsterInstance) -> None:
    """Dead before the first word of an execution, nothing in the record tells of it: the run itself does."""
    made = plan(STEPS, 'triggers: {schedule: "0 9 * * *"}\n')
    job = playbook_job(made, house)
    tick = {".dagster/scheduled_execution_time": "2026-11-20T14:00:00+00:00"}
    died = instance.create_run_for_job(job, status=DagsterRunStatus.FAILURE, tags={**job.tags, **tick})
    by_hand = instance.create_run_for_job(job, status=DagsterRunStatus.FAILURE, tags=job.tags)
    assert died.run_id != by_hand.run_id
    sensor = playbook_resume_sensor([job], Environment.DEMO)
    (request,), _ = look(sensor, instance)
    assert (request.job_name, request.run_key) == ("playbook_demo", "begin:demo:schedule:2026-11-20T14:00:00+00:00")
    result = job.execute_in_process(
        instance=instance, resources={"warehouse": Warehouse(at)}, tags={**job.tags, **request.tags}
    )
    assert result.success and posted(at) == ["once"]
    with at() as connection:
        execution = record.by_key(connection, "demo:schedule:2026-11-20T14:00:00+00:00")
    assert execution is not None and execution.trigger_kind == "schedule"
    assert execution.as_of == datetime(2026, 11, 20, 14, tzinfo=UTC)
    assert isinstance(look(sensor, instance)[0][0], SkipReason)


def test_what_a_living_process_holds_is_left_alone(at: Connect, instance: DagsterInstance) -> None:
    the, made = machine(at), plan(STEPS)
    opened = start(the, made, kind="manual", key="a", as_of=NOW)
    with Hold(the, made, opened):
        with at() as connection:
            connection.execute("update ops.playbook_executions set held_at = now() - interval '1 hour'")
        sensor = playbook_resume_sensor([playbook_job(made, house)], Environment.DEMO)
        assert isinstance(look(sensor, instance)[0][0], SkipReason)


def test_what_somebody_stopped_is_not_taken_up(at: Connect, instance: DagsterInstance) -> None:
    made = plan(STEPS)
    job = playbook_job(made, house)
    run = instance.create_run_for_job(job, status=DagsterRunStatus.CANCELED)
    number = left(at, "a", run_id=run.run_id)
    sensor = playbook_resume_sensor([job], Environment.DEMO)
    assert isinstance(look(sensor, instance)[0][0], SkipReason)
    with at() as connection:
        ended = record.load(connection, number)
    assert (ended.state, ended.error) == ("failed", "its run was stopped")
    assert posted(at) == []


def test_an_execution_that_never_ends_is_given_up(at: Connect, instance: DagsterInstance) -> None:
    number = left(at, "a")
    with at() as connection:
        connection.execute("update ops.playbook_executions set holds = 5")
        opened = record.load(connection, number)
    with Hold(machine(at), plan(STEPS), opened) as hold:
        ended = hold.advance()
    assert ended.state == "failed" and "taken up 5 times" in (ended.error or "")


def test_an_incident_starts_what_waits_for_it_once(at: Connect, instance: DagsterInstance) -> None:
    plans = {"demo": plan(STEPS, "triggers: {events: [alert_opened]}\n"), "other": plan(STEPS, name="other")}
    sensor = playbook_events_sensor(plans, playbook_jobs(plans, house), Environment.DEMO)
    assert isinstance(look(sensor, instance)[0][0], SkipReason)
    with at() as connection:
        connection.execute("truncate ops.alerts cascade")
        for severity in ("watch", "alert", "critical"):
            connection.execute(
                "insert into ops.alerts (head, label, state, severity, since, opened_at, updated_at)"
                " values (%s, 'x', 'open', %s, '2026-11-20', now(), now())",
                (severity, severity),
            )
    requests, cursor = look(sensor, instance)
    assert [request.job_name for request in requests] == ["playbook_demo", "playbook_demo"]
    assert len({request.run_key for request in requests}) == 2
    assert isinstance(look(sensor, instance, cursor)[0][0], SkipReason)


def test_schedules_run_by_themselves_only_in_production_and_only_if_enabled() -> None:
    cron = 'triggers: {schedule: "0 9 * * *"}\n'
    plans = {"demo": plan(STEPS, cron), "off": plan(STEPS, cron + "enabled: false\n", name="off")}
    jobs = playbook_jobs(plans, house)
    for environment, wanted in (
        (Environment.PRODUCTION, [DefaultScheduleStatus.RUNNING, DefaultScheduleStatus.STOPPED]),
        (Environment.DEMO, [DefaultScheduleStatus.STOPPED] * 2),
    ):
        made = playbook_schedules(plans, jobs, ZONE, environment)
        assert [schedule.default_status for schedule in made] == wanted


def test_the_component_makes_a_folder_into_jobs(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(first_playbook("first", tmp_path))
    (tmp_path / "broken.yaml").write_text("id: [")
    (tmp_path / "defs.yaml").write_text("type: sensors.components.PlaybookFolder\n")
    made = PlaybookFolder(folder=str(tmp_path)).build_defs(ComponentTree.for_test().load_context)
    made = Definitions.merge(made, Definitions(resources={"warehouse": Warehouse(lambda: None)}))  # type: ignore[arg-type, return-value]
    names = made.get_repository_def().job_names
    assert [name for name in names if not name.startswith("__")] == ["playbook_first"]

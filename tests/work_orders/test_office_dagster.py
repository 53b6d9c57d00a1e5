"""A work order as a Dagster run, the sensor that starts it, and the words of `ops work` and `ops coordinator`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result
from dagster import DagsterInstance, RunRequest, SkipReason, build_sensor_context

from jobs.work_orders import WRITING_POOL, deliver_now, work_order_job
from ops_platform.cli import cli
from ops_platform.failures import DataFailure
from ops_platform.settings import Environment, reset_settings
from ops_platform.work_orders import coordinator, queue
from ops_platform.work_orders.model import Phase, Priority
from sensors.work_orders import work_orders_sensor
from tests.work_orders.office_world import DANA, POLICY, World, an_answer

Ops = Callable[..., Result]


@pytest.fixture(scope="module")
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def settings(here: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in here.sandbox.environment().items():
        if name.startswith("GITHUB_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPS_NOW", here.clock().isoformat())
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: here.connect())
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    reset_settings()
    yield here
    monkeypatch.undo()
    reset_settings()


def execute(here: World, instance: DagsterInstance, number: int) -> Any:
    return work_order_job(lambda log: here.office).execute_in_process(
        instance=instance, raise_on_error=False, tags={queue.ORDER_TAG: str(here.order(number).id)},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )  # fmt: skip


def shown(result: Any) -> dict[str, str]:
    kinds = {"STEP_SUCCESS": "ran", "STEP_SKIPPED": "skipped", "STEP_FAILURE": "failed"}
    return {
        str(event.step_key).removeprefix("work_order_"): kinds[event.event_type_value]
        for event in result.all_events
        if event.event_type_value in kinds
    }


def test_a_run_is_an_attempt(settings: World, instance: DagsterInstance) -> None:
    here = settings
    number = here.issue("Late orders", "operations/monitoring")
    coordinator.turn(here.office)
    result = execute(here, instance, number)
    assert result.success
    assert shown(result) == {"claim": "ran", "answer": "ran", "post": "ran", "report": "ran"}
    assert here.order(number).phase is Phase.DONE
    assert here.look(number)["state"] == "closed"
    # The same run again finds nothing to do, and says nothing.
    again = execute(here, instance, number)
    assert again.success
    assert shown(again) == {"claim": "ran", "answer": "skipped", "post": "skipped", "report": "skipped"}
    assert len(here.comments(number)) == 2
    job = work_order_job()
    assert job.tags["dagster/max_retries"] == "0"
    assert job.graph.node_named("work_order_post").definition.pools == {WRITING_POOL}
    deliver_now(here.office)


def test_a_failed_step_is_red_and_the_order_knows(settings: World, instance: DagsterInstance) -> None:
    here = settings
    number = here.issue("Late orders", "operations/monitoring")
    coordinator.turn(here.office)

    def behave(order):  # type: ignore[no-untyped-def]
        raise DataFailure("the mart is not there")

    here.behave = behave
    result = execute(here, instance, number)
    assert not result.success
    assert shown(result) == {"claim": "ran", "answer": "failed"}
    assert (here.order(number).phase, here.order(number).reason) == (Phase.FAILED, "the mart is not there")


def test_the_sensor_asks_for_each_due_order_once(settings: World, instance: DagsterInstance) -> None:
    here = settings
    for label, priority in (("finance/analysis", "P3"), ("finance/analysis", "P1"), ("sales/pipeline", "P0")):
        here.issue("x", label, f"priority/{priority}")
    coordinator.turn(here.office)
    sensor = work_orders_sensor(work_order_job(), Environment.DEMO)

    def look() -> list[Any]:
        return list(cast("Any", sensor)(build_sensor_context(instance=instance)))

    found = look()
    assert [type(each) for each in found] == [RunRequest] * 3
    assert [each.tags[queue.PRIORITY_TAG] for each in found] == ["P0", "P1", "P3"]
    assert [each.tags["dagster/priority"] for each in found] == ["30", "20", "-5"]
    work = here.orders("priority = 'P0'")[0]
    assert (found[0].run_key, found[0].tags[queue.ORDER_TAG]) == (f"work:{work.id}:1:1", str(work.id))
    assert [type(each) for each in look()] == [SkipReason]


def test_an_agent_gets_no_more_runs_than_places(here: World) -> None:
    places = POLICY.agents["ai-finance"].limit
    for number in range(places + 2):
        here.issue(f"x{number}", "finance/analysis")
    other = here.issue("y", "sales/pipeline", "priority/P3")
    coordinator.turn(here.office)
    with here.connect() as connection:
        found = queue.launches(connection, POLICY, at=here.clock())
        assert [each.agent for each in found] == ["ai-finance"] * places + ["ai-sales"]
        assert found[-1].work_id == here.order(other).id
        assert queue.launches(connection, POLICY, at=here.clock()) == []
        # A run that never claimed is launched again, under another key.
        later = here.clock.pass_(seconds=queue.LAUNCH_SECONDS[Priority.P2] + 1)
        assert found[0].run_key != queue.launches(connection, POLICY, at=later)[0].run_key


@pytest.fixture
def ops(settings: World, monkeypatch: pytest.MonkeyPatch) -> Ops:
    """A command as a person types it, on this office."""
    monkeypatch.setattr("jobs.work_office.company_office", lambda tell=None: settings.office)
    monkeypatch.setattr("jobs.work_office.deliver", lambda office: None)

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, list(words), catch_exceptions=False)

    return run


def test_the_coordinator_once(settings: World, ops: Ops) -> None:
    number = settings.issue("Late orders", "operations/monitoring")
    told = json.loads(ops("coordinator", "--once", "--json").output)
    assert [each["phase"] for each in told["worked"]] == ["done"] and told["problems"] == []
    assert told["standing"]["done"] == 1
    assert settings.look(number)["state"] == "closed"
    places = settings.rows("select count(*), sum(instances) from ops.work_agents")
    assert places == [(len(POLICY.agents), sum(rule.limit for rule in POLICY.agents.values()))]
    with pytest.raises(Exception, match="say --once or --monitor"):
        CliRunner().invoke(cli, ["coordinator"], catch_exceptions=False, standalone_mode=False)


def test_a_person_pauses_looks_and_decides(settings: World, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    here = settings
    monkeypatch.setattr("ops_platform.commands.work.who", lambda called: "dana")
    first = here.issue("Margin fell", "finance/analysis", "priority/P1")
    second = here.issue("Stock", "operations/optimization")
    coordinator.turn(here.office)
    work = here.order(second)
    assert "clock stands still" in ops("work", "pause", str(work.id), "--reason", "waits for the bank").output
    assert here.order(second).due_at is None
    ops("coordinator", "--once")
    assert here.order(second).phase is Phase.QUEUED  # nobody begins while its clock stands still
    ops("work", "resume-clock", str(work.id))
    assert here.order(second).due_at is not None
    listed = json.loads(ops("work", "list", "--json").output)
    assert {(each["number"], each["phase"]) for each in listed} == {(first, "answered"), (second, "queued")}
    assert "body" not in listed[0]
    shown_order = json.loads(ops("work", "show", str(here.order(first).id), "--json").output)
    assert shown_order["answer"].endswith("Cash is enough.")
    assert [one["decision"] for one in shown_order["decisions"]][-2:] == ["claimed", "answered"]
    ((digest,),) = here.rows("select payload_hash from ops.approval_versions")
    monkeypatch.setattr("ops_platform.commands.approval.who", lambda inbox, called: DANA)
    told = ops("work", "approve", str(here.order(first).id), "--shown", digest[:12])
    assert "done" in told.output, told.output
    assert here.look(first)["state"] == "closed"
    assert ops("work", "load").exit_code == ops("work", "kpi").exit_code == ops("work", "notices").exit_code == 0


def test_the_review_counts(here: World) -> None:
    from ops_platform.work_orders.kpi import loads, review

    for priority in ("P0", "P2", "P2", "P3"):
        here.issue("x", "finance/analysis", f"priority/{priority}")
    here.issue("y", "sales/pipeline")
    coordinator.turn(here.office)
    here.clock.pass_(minutes=10)
    here.behave = lambda order: an_answer(order, complete=order.agent != "ai-sales", reason="unknown")
    coordinator.work_off(here.office)
    until = here.clock.pass_(minutes=50)
    with here.connect() as connection:
        found = review(connection, POLICY, until, days=7)
        load = {one.agent: one for one in loads(connection, POLICY)}
    # Four were answered ten minutes after they came; the P0 waits for the manager, the sales one is blocked.
    assert (found.received, found.answered, found.done, found.blocked, found.open) == (5, 4, 3, 1, 2)
    assert (found.judged, found.in_time, found.compliance) == (4, 4, 1)
    assert found.velocity == 3 and found.time_to_answer == timedelta(minutes=10)
    assert found.pickup_p0 == timedelta(minutes=10)
    assert found.success == 1 and found.cost_per_order == 0
    assert (load["ai-sales"].blocked, load["ai-finance"].with_manager, load["ai-finance"].waiting) == (1, 1, 0)


def test_a_ticket_has_six_steps_in_order(here: World) -> None:
    from ops_platform.work_orders import tickets

    here.issue("x", "finance/analysis")
    coordinator.turn(here.office)
    work = here.orders()[0]
    now = here.clock()
    with here.connect() as connection:
        made = tickets.open_ticket(
            connection, work, key="k", impact="late", assignees=["dana", "lee", "dana"], deadline=now, now=now
        )
        assert made is not None and made.assignees == ("dana", "lee") and made.next_step == "acknowledge"
        assert tickets.open_ticket(
            connection, work, key="k", impact="late", assignees=["dana"], deadline=now, now=now
        ) is None  # fmt: skip
        with pytest.raises(DataFailure, match="next step of ticket #1 is acknowledge"):
            tickets.take(connection, made.id, "fix", by="dana", words="mended", now=now)
        with pytest.raises(DataFailure, match="needs words"):
            tickets.take(connection, made.id, "acknowledge", by="dana", words=" ", now=now)
        for step in tickets.STEPS:
            assert tickets.load(connection, made.id).next_step == step
            after = tickets.take(connection, made.id, step, by="dana", words=f"{step} done", now=now)
        assert after.next_step is None and after.resolution == "post_mortem done" and after.resolved_at == now
        with pytest.raises(DataFailure, match="is resolved"):
            tickets.take(connection, made.id, "fix", by="dana", words="again", now=now)
        steps = connection.execute(
            "select count(*) from ops.work_decisions where decision = 'ticket_step' and actor = 'dana'"
        ).fetchone()
        assert steps == (6,) and tickets.listed(connection) == []

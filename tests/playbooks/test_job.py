"""A playbook as a Dagster job: its graph is the playbook, and a run shows what ran, what was skipped, what failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from dagster import DagsterInstance, Definitions, ExecuteInProcessResult

from jobs.playbooks import KEY_TAG, identity_of, playbook_job
from ops_platform.playbooks import record
from ops_platform.playbooks.engine import Hold, start
from ops_platform.playbooks.plan import Plan
from tests.conftest import Connect
from tests.playbooks.shop import COUNT, GATED, NOW, call, condition, house, machine, plan, posted, statuses


class Warehouse:
    """The resource, on the test's database."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect


@pytest.fixture(scope="module")
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def execute(warehouse: Connect, instance: DagsterInstance) -> Any:
    def run(made: Plan, tags: dict[str, str] | None = None, **variables: Any) -> ExecuteInProcessResult:
        return playbook_job(made, house).execute_in_process(
            instance=instance, resources={"warehouse": Warehouse(warehouse)}, raise_on_error=False,
            tags={KEY_TAG: "k", **(tags or {})},
            run_config={
                "ops": {"start": {"config": {"variables": variables}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )  # fmt: skip

    return run


def shown(result: ExecuteInProcessResult) -> dict[str, str]:
    """What Dagster shows of each op."""
    kinds = {"STEP_SUCCESS": "ran", "STEP_SKIPPED": "skipped", "STEP_FAILURE": "failed"}
    return {str(e.step_key): kinds[e.event_type_value] for e in result.all_events if e.event_type_value in kinds}


def test_the_graph_is_the_playbook() -> None:
    job = playbook_job(plan(GATED, COUNT), house)
    assert set(job.graph.node_dict) == {"start", "look", "any", "tell", "none", "more", "last", "outcome"}
    structure = job.graph.dependency_structure
    edges = {
        (source.node_name, source.output_name, node)
        for node in job.graph.node_dict
        for target, sources in structure.input_to_upstream_outputs_for_node(node).items()
        for source in sources
    }
    assert edges == {
        ("start", "started", "look"), ("start", "started", "last"), ("start", "started", "outcome"),
        ("more", "done", "outcome"), ("last", "done", "outcome"),
        ("look", "ran", "any"), ("look", "ran", "tell"), ("any", "holds", "tell"), ("any", "does_not_hold", "none"),
        ("tell", "ran", "more"), ("tell", "done", "last"), ("none", "done", "last"),
    }  # fmt: skip
    assert job.tags["dagster/max_runtime"] == "1200"


def test_many_playbooks_stand_beside_each_other() -> None:
    """As the code location has them: with schedules and sensors, the same names of steps in each."""
    from ops_platform.playbooks.catalogue import Catalogue
    from ops_platform.settings import Environment
    from sensors.components import playbook_definitions

    plans = {name: plan(GATED, COUNT + 'triggers: {schedule: "0 9 * * *"}\n', name=name) for name in ("one", "two")}
    made = playbook_definitions(Catalogue(plans), house, "America/New_York", Environment.DEMO)
    made = Definitions.merge(made, Definitions(resources={"warehouse": Warehouse(lambda: None)}))  # type: ignore[arg-type, return-value]
    repository = made.get_repository_def()
    assert {"playbook_one", "playbook_two"} <= set(repository.job_names)
    assert {s.name for s in repository.schedule_defs} == {"playbook_one_schedule", "playbook_two_schedule"}
    assert {s.name for s in repository.sensor_defs} == {"playbook_events_sensor", "playbook_resume_sensor"}


def test_skipped_steps_are_shown_skipped(execute: Any, warehouse: Connect) -> None:
    result = execute(plan(GATED, COUNT))
    assert result.success
    assert shown(result) == {
        "start": "ran", "look": "ran", "any": "ran", "tell": "ran", "none": "skipped", "more": "ran", "last": "ran",
        "outcome": "ran",
    }  # fmt: skip
    assert statuses(warehouse, 1) == {k: v for k, v in shown(result).items() if k not in ("start", "outcome")}


def test_variables_come_from_the_run(execute: Any, warehouse: Connect) -> None:
    result = execute(plan(GATED, COUNT), count=0)
    assert result.success
    assert shown(result)["tell"] == shown(result)["more"] == "skipped"
    assert posted(warehouse) == ["Nobody is away.", "said: skipped, ran"]


def test_a_failed_step_is_red_and_so_is_the_run(execute: Any, warehouse: Connect) -> None:
    steps = (
        call("bad", "misbehave", how="permanent") + call("more", "look", "needs: bad") + call("other", "tell", text="x")
    )
    result = execute(plan(steps))
    assert not result.success
    assert shown(result) == {"start": "ran", "bad": "failed", "other": "ran"}  # the rest is not begun
    assert statuses(warehouse, 1) == {"bad": "failed", "more": "skipped", "other": "ran"}
    with warehouse() as connection:
        assert record.load(connection, 1).state == "failed"  # though no op came after the last


def test_a_run_goes_on_and_is_still_red(execute: Any, warehouse: Connect) -> None:
    steps = call("bad", "misbehave", "on_error: continue", how="permanent") + call(
        "then", "tell", "after: bad", text="x"
    )
    result = execute(plan(steps))
    assert not result.success
    assert shown(result) == {"start": "ran", "bad": "ran", "then": "ran", "outcome": "failed"}
    assert statuses(warehouse, 1) == {"bad": "failed", "then": "ran"}


def test_a_second_run_of_one_trigger_does_nothing_again(execute: Any, warehouse: Connect) -> None:
    assert execute(plan(GATED, COUNT)).success
    again = execute(plan(GATED, COUNT))
    assert again.success and shown(again)["none"] == "skipped"
    assert len(posted(warehouse)) == 2
    with warehouse() as connection:
        assert len(record.newest(connection)) == 1


def test_a_run_takes_up_what_a_killed_one_left(execute: Any, warehouse: Connect) -> None:
    made = plan(GATED, COUNT)
    opened = start(machine(warehouse), made, kind="manual", key="demo:k", as_of=NOW)
    with Hold(machine(warehouse), made, opened) as hold:
        hold.advance("tell")
    result = execute(made)
    assert result.success
    assert posted(warehouse) == ["2 customers, 2026-11-20", "said: ran, skipped"]


def test_a_changed_file_ends_what_began_as_it_began(execute: Any, warehouse: Connect) -> None:
    made = plan(call("look", "look") + call("tell", "tell", "needs: look", text="as it was"))
    opened = start(machine(warehouse), made, kind="manual", key="demo:k", as_of=NOW)
    with Hold(machine(warehouse), made, opened) as hold:
        hold.advance("look")
    changed = plan(call("look", "look") + call("tell2", "tell", "needs: look", text="as it is"), version=2)
    result = execute(changed, {"playbook/execution": str(opened.id)})
    assert not result.success
    assert posted(warehouse) == ["as it was"]
    with warehouse() as connection:
        assert record.load(connection, opened.id).success is True


def test_conditions_in_a_row_skip_in_the_graph_too(execute: Any, warehouse: Connect) -> None:
    steps = (
        call("look", "look", count=3)
        + condition("many", "steps.look.result.customers.size() > 10")
        + condition("few", "steps.look.result.customers.size() > 2", "unless: many")
        + call("a", "tell", "when: [many]", text="many")
        + call("b", "tell", "when: few", text="few")
        + call("c", "tell", "unless: few", text="hardly any")
    )
    result = execute(plan(steps))
    assert {name: shown(result)[name] for name in "abc"} == {"a": "skipped", "b": "ran", "c": "skipped"}
    assert posted(warehouse) == ["few"]


def test_what_makes_a_run_one_execution() -> None:
    tick = {".dagster/scheduled_execution_time": "2026-11-01T09:00:00-05:00"}
    moment = datetime(2026, 11, 1, 14, tzinfo=UTC)
    assert identity_of("p", tick, "r1") == ("schedule", "p:schedule:2026-11-01T14:00:00+00:00", moment)
    assert identity_of("p", tick, "r2") == identity_of("p", tick, "r1")
    assert identity_of("p", {}, "r1") == ("manual", "p:run:r1", None)
    assert identity_of("p", {"dagster/root_run_id": "r1"}, "r2") == ("manual", "p:run:r1", None)
    assert identity_of("p", {KEY_TAG: "x", "playbook/trigger": "http"}, "r")[:2] == ("http", "p:x")

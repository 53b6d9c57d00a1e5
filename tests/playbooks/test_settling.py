"""An effect that nobody can look up: the execution waits, a person says which, and it goes on or fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster import DagsterInstance

from jobs.playbooks import KEY_TAG, playbook_job
from ops_platform.failures import DataFailure
from ops_platform.playbooks import record, settling
from ops_platform.playbooks.engine import run
from ops_platform.playbooks.plan import Plan
from tests.conftest import Connect
from tests.playbooks.conftest import Ops
from tests.playbooks.shop import NOW, call, house, machine, plan, posted, statuses
from tests.playbooks.test_job import Warehouse

RETRY = "retry: {attempts: 3, delay_seconds: 0}"


def waiting_plan(ledger: Path, more: str = RETRY) -> Plan:
    """An order of which the vendor's answer is lost and that cannot be looked up, what needs it, and what does not."""
    return plan(
        call("order", "order", more, what="flowers", ledger=str(ledger), ambiguous=True, blind=True)
        + call("thank", "tell", "needs: order", text="ordered")
        + call("beside", "tell", text="beside")
    )


def ordered(ledger: Path) -> int:
    return len(ledger.read_text().splitlines())


def waits(connect: Connect, ledger: Path, **more: Any) -> int:
    done = run(machine(connect), waiting_plan(ledger), key="demo:k", as_of=NOW, **more)
    assert (done.state, done.completed_at) == ("running", None)
    return done.id


def settle(connect: Connect, number: int, said: Any, **given: Any) -> settling.Unclear:
    with connect() as connection:
        given = {"person": "Lee Moran", "via": "cli:lee", "reason": "asked them", **given}
        return settling.settle(connection, number, "order", said, **given)


def test_it_waits_and_what_does_not_need_it_goes_on(warehouse: Connect, tmp_path: Path) -> None:
    number = waits(warehouse, tmp_path / "ledger")
    assert statuses(warehouse, number) == {"order": "running", "thank": "waiting", "beside": "ran"}
    with warehouse() as connection:
        (one,) = settling.unclear(connection)
        assert (one.execution_id, one.step_id, one.name, one.over) == (number, "order", "order", False)
        assert one.request == {"what": "flowers"} and "closed before the answer" in one.why
        assert record.abandoned(connection, datetime.now(UTC)) == []  # nobody takes it up in vain
    # Looking again does nothing, and is no attempt at it.
    for _ in range(7):
        waits(warehouse, tmp_path / "ledger")
    with warehouse() as connection:
        assert record.load(connection, number).holds == 1
    assert ordered(tmp_path / "ledger") == 1


def test_done_is_not_done_again_and_it_goes_on(warehouse: Connect, tmp_path: Path) -> None:
    number = waits(warehouse, tmp_path / "ledger")
    settle(warehouse, number, "done", result={"number": 7719}, reason="they confirm order 7719")
    with warehouse() as connection:
        (left,) = record.abandoned(connection, datetime.now(UTC))  # the sensor's look finds it now
        assert left.id == number
    done = run(machine(warehouse), waiting_plan(tmp_path / "ledger"), key="demo:k", as_of=NOW)
    assert (done.id, done.success, done.steps_executed) == (number, True, 3)
    assert ordered(tmp_path / "ledger") == 1 and posted(warehouse) == ["beside", "ordered"]
    with warehouse() as connection:
        kept = connection.execute("select said, person, via, reason, result from ops.playbook_settlements").fetchall()
        effect = connection.execute("select state, result, error from ops.playbook_effects").fetchone()
    assert kept == [("done", "Lee Moran", "cli:lee", "they confirm order 7719", {"number": 7719})]
    assert effect == ("done", {"number": 7719}, "Lee Moran: they confirm order 7719")


def test_not_done_is_done_now_and_may_be_unclear_again(warehouse: Connect, tmp_path: Path) -> None:
    number, ledger = waits(warehouse, tmp_path / "ledger"), tmp_path / "ledger"
    ledger.write_text("")  # the vendor, whose answer is lost another time
    settle(warehouse, number, "not_done")
    waits(warehouse, ledger)
    assert ordered(ledger) == 1
    settle(warehouse, number, "not_done")
    done = run(machine(warehouse), waiting_plan(ledger), key="demo:k", as_of=NOW)
    assert done.success and ordered(ledger) == 2  # as often as a person said that it was not
    with warehouse() as connection:
        assert connection.execute("select count(*) from ops.playbook_settlements").fetchone() == (2,)


def test_given_up_is_a_failed_step(warehouse: Connect, tmp_path: Path) -> None:
    number = waits(warehouse, tmp_path / "ledger")
    settle(warehouse, number, "not_done", give_up=True, reason="nobody wants flowers")
    done = run(machine(warehouse), waiting_plan(tmp_path / "ledger"), key="demo:k", as_of=NOW)
    assert (done.success, done.steps_executed) == (False, 2)
    assert "Lee Moran gave it up: nobody wants flowers" in (done.error or "")
    assert statuses(warehouse, number) == {"order": "failed", "thank": "skipped", "beside": "ran"}
    assert ordered(tmp_path / "ledger") == 1


def test_what_cannot_be_said(warehouse: Connect, tmp_path: Path) -> None:
    number = waits(warehouse, tmp_path / "ledger")
    for given, said in (
        ({"reason": " "}, "say why"), ({"reason": "x" * 2001}, "at most 2,000"), ({"name": "other"}, "has no effect"),
        ({"give_up": True}, "not given up"),
    ):  # fmt: skip
        with pytest.raises(DataFailure, match=said):
            settle(warehouse, number, "done", **given)
    with warehouse() as connection, pytest.raises(DataFailure, match="no effect in a step 'thank'"):
        settling.settle(connection, number, "thank", "done", person="x", via="y", reason="z")
    with warehouse() as connection, pytest.raises(DataFailure, match="no execution #99"):
        settling.settle(connection, 99, "order", "done", person="x", via="y", reason="z")
    settle(warehouse, number, "done")
    with pytest.raises(DataFailure, match="is settled: done, as Lee Moran said: asked them"):
        settle(warehouse, number, "not_done", person="Dana")


def test_the_database_takes_no_word_of_a_machine(warehouse: Connect, tmp_path: Path) -> None:
    waits(warehouse, tmp_path / "ledger")
    for change in ("state = 'done'", "state = 'not_done'", "state = 'intended'", "settled_at = now()"):
        with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="unclear"):
            connection.execute(f"update ops.playbook_effects set {change}".encode())
    number = 1
    settle(warehouse, number, "not_done")
    for change in ("delete from ops.playbook_settlements", "update ops.playbook_settlements set said = 'done'"):
        with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError, match="only ever added to"):
            connection.execute(change.encode())


def test_what_was_left_when_its_execution_ended_is_settled_for_the_record(warehouse: Connect, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    # The vendor can be asked, but the step has no attempt left to do it in.
    made = plan(call("order", "order", what="flowers", ledger=str(ledger), ambiguous=True))
    done = run(machine(warehouse), made, key="k", as_of=NOW)
    assert done.success is False
    assert settle(warehouse, done.id, "done", give_up=False).over
    with warehouse() as connection:
        assert settling.unclear(connection) == []
        assert connection.execute("select state from ops.playbook_effects").fetchone() == ("done",)


def test_in_dagster_the_run_is_red_and_says_what_to_do(warehouse: Connect, tmp_path: Path) -> None:
    made = waiting_plan(tmp_path / "ledger")
    with DagsterInstance.ephemeral() as instance:
        result = playbook_job(made, house).execute_in_process(
            instance=instance, resources={"warehouse": Warehouse(warehouse)}, raise_on_error=False,
            tags={KEY_TAG: "k"}, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
    assert not result.success
    (said,) = [event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure]
    assert said is not None and "ops playbook settle 1 order done" in (said.description or "")
    with warehouse() as connection:
        assert record.load(connection, 1).state == "running"
        assert not record.is_held(connection, 1)  # whoever settles it goes on at once
    assert posted(warehouse) == ["beside"]


def test_at_a_terminal(ops: Ops, warehouse: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "lee")
    number = waits(warehouse, tmp_path / "ledger")
    assert "… #1" in ops("history").output and "waits for a person" in ops("history").output
    assert "⚠ #1 waits for a person at order: order may have been done" in ops("list").output
    shown = ops("history", "--execution", str(number)).output
    assert "⚠ order: order may have been done" in shown and '{"what": "flowers"}' in shown
    assert f"ops playbook settle {number} order done|not-done" in shown
    assert ops("settle", str(number), "order", "perhaps", "--reason", "x").exit_code == 2
    assert ops("settle", str(number), "order", "done").exit_code == 2  # without a reason
    assert ops("settle", str(number), "order", "not-done", "--reason", "x", "--result", "1").exit_code == 2
    told = ops("settle", str(number), "order", "done", "--reason", "they confirm it")
    assert told.exit_code == 0 and "succeeded" in told.output, told.output
    assert json.loads(ops("history", "--execution", str(number), "--json").output)["unclear"] == []
    assert isinstance(ops("settle", str(number), "order", "done", "--reason", "x").exception, DataFailure)
    assert ordered(tmp_path / "ledger") == 1


def test_said_now_and_gone_on_with_later(ops: Ops, warehouse: Connect, tmp_path: Path) -> None:
    number = waits(warehouse, tmp_path / "ledger")
    told = ops("settle", str(number), "order", "not-done", "--reason", "no", "--give-up", "--later")
    assert told.exit_code == 0 and "playbook_resume_sensor takes it up by itself" in told.output
    assert statuses(warehouse, number)["order"] == "failed"
    assert json.loads(ops("resume", str(number), "--json").output)["success"] is False

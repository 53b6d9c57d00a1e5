"""Running playbooks on a real database: what runs, what does not and why, retries, timeouts, what is recorded."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops_platform.failures import DataFailure, TransientFailure
from ops_platform.playbooks import record
from ops_platform.playbooks.engine import Hold, run, start
from tests.conftest import Connect
from tests.playbooks.shop import COUNT, GATED, NOW, call, condition, machine, plan, posted, reasons, statuses


def test_a_condition_decides_and_so_does_its_negation(warehouse: Connect) -> None:
    made = plan(GATED, COUNT)
    done = run(machine(warehouse), made, key="a", as_of=NOW)
    assert statuses(warehouse, done.id) == {
        "look": "ran", "any": "ran", "tell": "ran", "none": "skipped", "more": "ran", "last": "ran",
    }  # fmt: skip
    assert (done.success, done.steps_executed, done.state) == (True, 5, "succeeded")
    assert reasons(warehouse, done.id) == {"none": "any holds"}

    other = run(machine(warehouse), made, key="b", as_of=NOW, given={"count": 0})
    assert statuses(warehouse, other.id) == {
        "look": "ran", "any": "ran", "tell": "skipped", "none": "ran", "more": "skipped", "last": "ran",
    }  # fmt: skip
    assert (other.success, other.steps_executed) == (True, 4)
    assert reasons(warehouse, other.id) == {"tell": "any does not hold", "more": "tell was not run"}
    assert posted(warehouse) == [
        "2 customers, 2026-11-20", "Nobody is away.", "said: ran, skipped", "said: skipped, ran",
    ]  # fmt: skip


def test_the_same_trigger_runs_once(warehouse: Connect) -> None:
    made = plan(GATED, COUNT)
    first = run(machine(warehouse), made, key="tick", as_of=NOW)
    again = run(machine(warehouse), made, key="tick", as_of=NOW)
    assert again.id == first.id
    assert again.completed_at == first.completed_at
    assert len(posted(warehouse)) == 2


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("permanent", "refused"),
        ("transient", "away for now"),
        ("crash", "ZeroDivisionError: division by zero"),
        ("rubbish", "it returned dict, not Wrote"),
        ("unfit", "cannot be kept as JSON"),
        ("huge", "at most 1,000,000 are kept"),
        ("sql", "DivisionByZero: division by zero"),
        ("data", "the data does not hold"),
        ("half", "cannot be kept as JSON"),
        ("round", "cannot be kept as JSON"),
        ("says half", "no file of the name ?"),
        ("says much", "nonono"),
        ("mute", "_MuteError: it cannot say what"),
        ("exit", "SystemExit: 3"),
        ("swallow", "InFailedSqlTransaction"),
    ],
)
def test_a_step_that_fails_fails_the_execution(warehouse: Connect, how: str, said: str) -> None:
    done = run(
        machine(warehouse), plan(
            call("bad", "misbehave", how=how) + call("more", "look", "needs: bad") + call("other", "tell", text="fine")
        ), key="a", as_of=NOW,
    )  # fmt: skip
    assert statuses(warehouse, done.id) == {"bad": "failed", "more": "skipped", "other": "ran"}
    assert (done.success, done.state, done.steps_executed) == (False, "failed", 2)
    assert said in reasons(warehouse, done.id)["bad"]
    assert said in (done.error or "")


def test_what_a_failed_step_wrote_is_gone(warehouse: Connect) -> None:
    run(
        machine(warehouse),
        plan(call("bad", "misbehave", "timeout_seconds: 1", how="hang", seconds=3)),
        key="a",
        as_of=NOW,
    )
    time.sleep(2.5)  # the tool comes back, and finds nobody
    assert posted(warehouse) == []


def test_a_tool_that_hangs_is_left_behind(warehouse: Connect) -> None:
    before = time.monotonic()
    done = run(
        machine(warehouse),
        plan(call("bad", "misbehave", "timeout_seconds: 1", how="sleep", seconds=30)),
        key="a", as_of=NOW,
    )  # fmt: skip
    assert time.monotonic() - before < 5
    assert reasons(warehouse, done.id) == {"bad": "it took longer than 1 s"}


def test_retries_are_for_what_may_pass(warehouse: Connect, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    retry = "retry: {attempts: 3, delay_seconds: 0}"
    steps = (
        call("twice", "misbehave", retry, how="twice", trace=str(trace))
        + call("never", "misbehave", retry, how="transient", trace=str(trace))
        + call("refused", "misbehave", retry, how="permanent", trace=str(trace))
    )
    done = run(machine(warehouse), plan(steps), key="a", as_of=NOW)
    assert statuses(warehouse, done.id) == {"twice": "ran", "never": "failed", "refused": "failed"}
    tried = trace.read_text().split("\n")
    assert [sum(line.startswith(name) for line in tried) for name in ("twice", "never", "refused")] == [3, 3, 1]
    with warehouse() as connection:
        rows = {row.step_id: row.attempts for row in record.steps(connection, done.id)}
    assert rows == {"twice": 3, "never": 3, "refused": 1}


def test_on_error_says_what_becomes_of_the_rest(warehouse: Connect) -> None:
    def steps(on_error: str) -> str:
        return (
            call("bad", "misbehave", f"on_error: {on_error}", how="permanent")
            + call("then", "look", "after: bad")
            + call("uses", "look", "needs: bad")
            + call("later", "look", "after: then")
        )

    for name, on_error, wanted in (
        ("f", "fail", ["failed", "skipped", "skipped", "skipped"]),
        ("c", "continue", ["failed", "ran", "skipped", "ran"]),
        ("s", "stop", ["failed", "skipped", "skipped", "skipped"]),
    ):
        done = run(machine(warehouse), plan(steps(on_error), name=f"demo_{name}"), key=name, as_of=NOW)
        assert list(statuses(warehouse, done.id).values()) == wanted, on_error
        assert done.success is False, on_error


def test_branches_run_at_the_same_time(warehouse: Connect) -> None:
    steps = "".join(call(f"s{n}", "misbehave", how="sleep", seconds=0.6) for n in range(4))
    before = time.monotonic()
    done = run(machine(warehouse), plan(steps), key="a", as_of=NOW)
    assert done.success
    assert time.monotonic() - before < 1.9  # one after the other would be 2.4 s


def test_a_tool_that_only_reads_cannot_write(warehouse: Connect) -> None:
    done = run(machine(warehouse), plan(call("peek", "peek", text="sneaky")), key="a", as_of=NOW)
    assert "read-only" in reasons(warehouse, done.id)["peek"]
    assert posted(warehouse) == []


def test_an_unknown_is_no_answer_and_nothing_is_divided_by_zero(warehouse: Connect) -> None:
    steps = (
        call("look", "look", count=0)
        + condition("rated", "steps.look.result.rate > 0.1")
        + condition("divided", "steps.look.result.customers.size() / steps.look.result.customers.size() > 1")
        + condition("dyn", "steps.look.result.rate")
        + call("told", "tell", "when: rated", text="x")
        + call("untold", "tell", "unless: rated", text="x")
    )
    done = run(machine(warehouse), plan(steps), key="a", as_of=NOW)
    found = statuses(warehouse, done.id)
    assert [found[name] for name in ("rated", "divided", "dyn", "told", "untold")] == [
        "failed", "failed", "failed", "skipped", "skipped",
    ]  # fmt: skip
    said = reasons(warehouse, done.id)
    assert "unknown (null)" in said["rated"]
    assert "divide by zero" in said["divided"]
    assert "neither true nor false" in said["dyn"]
    assert not done.success


def test_two_processes_do_not_run_one_execution(warehouse: Connect) -> None:
    made = plan(call("slow", "misbehave", how="sleep", seconds=1) + call("tell", "tell", "needs: slow", text="once"))
    the = machine(warehouse)
    opened = start(the, made, kind="manual", key="a", as_of=NOW)
    outcomes: list[Any] = []

    def one() -> None:
        try:
            with Hold(the, made, opened) as hold:
                outcomes.append(hold.advance().state)
        except TransientFailure as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[-1] == "succeeded"
    assert sum("another process" in outcome for outcome in outcomes) == 3
    assert posted(warehouse) == ["once"]


def test_the_database_refuses_a_success_that_was_none(warehouse: Connect) -> None:
    the, made = machine(warehouse), plan(call("bad", "misbehave", how="permanent") + call("ok", "look"))
    opened = start(the, made, kind="manual", key="a", as_of=NOW)
    force = (
        "update ops.playbook_executions set state = 'succeeded', success = true, completed_at = now(),"
        " steps_executed = {}"
    )
    with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is open"):
        connection.execute(force.format(0).encode())
    done = run(the, made, key="a", as_of=NOW)
    assert opened.id == done.id
    with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is over"):
        connection.execute(force.format(2).encode())
    with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="that stays"):
        connection.execute("update ops.playbook_steps set status = 'ran', result = '{}' where step_id = 'bad'")


def test_variables_are_checked_when_it_starts(warehouse: Connect) -> None:
    made = plan(GATED, COUNT)
    for given, said in (
        ({"count": -1}, "less than 0"), ({"count": "2"}, "not of the type integer"),
        ({"cuont": 2}, "no variable 'cuont'"), ({"count": True}, "not of the type integer"),
    ):  # fmt: skip
        with pytest.raises(DataFailure, match=said):
            run(machine(warehouse), made, key="a", as_of=NOW, given=given)
    with warehouse() as connection:
        assert record.newest(connection) == []


def test_a_changed_file_needs_a_new_version(warehouse: Connect) -> None:
    run(machine(warehouse), plan(GATED, COUNT), key="a", as_of=NOW)
    changed = GATED.replace("Nobody is away.", "All are here.")
    with pytest.raises(DataFailure, match="make it version 2"):
        run(machine(warehouse), plan(changed, COUNT), key="b", as_of=NOW)
    assert run(machine(warehouse), plan(changed, COUNT, version=2), key="b", as_of=NOW).version == 2


def test_a_disabled_playbook_does_not_run(warehouse: Connect) -> None:
    with pytest.raises(DataFailure, match="disabled"):
        run(machine(warehouse), plan(GATED, COUNT + "enabled: false\n"), key="a", as_of=NOW)


def test_a_playbook_that_takes_too_long_starts_nothing_more(warehouse: Connect) -> None:
    made = plan(call("slow", "look") + call("more", "look", "needs: slow"))
    the = machine(warehouse)
    opened = start(the, made, kind="manual", key="a", as_of=NOW)
    with Hold(the, made, opened) as hold:
        hold.advance("slow")
        hold._until = time.monotonic() - 1
        done = hold.advance()
    assert statuses(warehouse, done.id) == {"slow": "ran", "more": "skipped"}
    assert done.success is False
    assert "longer than its 15 minutes" in (done.error or "")


def test_a_clock_that_is_set_back_makes_no_time_negative_and_hides_nobody(
    warehouse: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    the, made = machine(warehouse), plan(call("one", "look") + call("two", "look", "needs: one"))
    opened = start(the, made, kind="manual", key="a", as_of=NOW)
    with Hold(the, made, opened) as hold:
        hold.advance("one")
        monkeypatch.setattr(record, "wall_clock", lambda: datetime.now(UTC) - timedelta(hours=2))
    with warehouse() as connection:  # its process is gone; what it noted lies two hours ahead
        assert [one.id for one in record.abandoned(connection, record.wall_clock())] == [opened.id]
    done = run(the, made, key="a", as_of=NOW)
    with warehouse() as connection:
        rows = record.steps(connection, done.id)
    assert done.success and done.duration_ms is not None and done.duration_ms >= 0
    assert all(row.duration_ms is not None and row.duration_ms >= 0 for row in rows)


def test_a_tool_that_ends_the_transaction_settles_nothing_twice(warehouse: Connect) -> None:
    done = run(machine(warehouse), plan(call("odd", "misbehave", how="commit")), key="a", as_of=NOW)
    assert done.success


def test_the_record_says_what_was_done(warehouse: Connect) -> None:
    done = run(machine(warehouse), plan(GATED, COUNT), key="a", as_of=NOW)
    with warehouse() as connection:
        told = record.as_record(record.load(connection, done.id), record.steps(connection, done.id))
    assert told["playbookId"] == "demo" and told["playbookName"] == "A demo" and told["success"] is True
    assert told["stepsExecuted"] == 5 and told["conditions"] == {"any": True}
    assert told["duration"] is not None and 0 < told["duration"] < 60_000
    assert told["results"]["look"]["customers"][1] == {"name": "Customer 1", "days": 1}
    assert told["results"]["look"]["rate"] == "0.2"  # a decimal stays one
    assert "none" not in told["results"]

"""SIGKILL at every named point of the engine, at every step: nothing lost, nothing doubled, the record true.

The oracles are the outbox (a row a call: the test's tool has no dedupe key) and the vendor's own ledger, a file.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ops_platform.playbooks import record
from ops_platform.playbooks.settling import settle
from ops_platform.settings import PROJECT_ROOT
from tests import killed
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of
from tests.playbooks.shop import call, condition, playbook, posted
from tests.playbooks.victim import life

ROOM = PROJECT_ROOT / "ops_platform" / "playbooks"
POINTS = sorted(killed.points_in(ROOM.rglob("*.py")))
killed.preload("ops_platform.playbooks.engine", "tests.playbooks.shop", "psycopg")


def steps(ledger: Path) -> str:
    """Reads, writes, a vendor, a condition, a branch that is skipped, and a join."""
    return (
        call("look", "look", count=2)
        + condition("any", "steps.look.result.customers.size() > 0")
        + call("tell", "tell", "when: any", text="first")
        + call("never", "tell", "unless: any", text="never")
        + call(
            "order", "order", "needs: tell\nretry: {attempts: 3, delay_seconds: 0}", what="flowers", ledger=str(ledger)
        )
        + call("second", "order", "after: never", what="chocolate", ledger=str(ledger), ambiguous=True).replace(
            "type: tool_call", "type: tool_call\n    retry: {attempts: 3, delay_seconds: 0}"
        )
        + call("last", "tell", "needs: [order, second]", text="last")
    )


def lives(warehouse: Connect, text: str, key: str, point: str | None) -> int | None:
    """The first process, killed at `point`, then as many as are needed; how the first one ended."""
    dsn = dsn_of(warehouse)
    ended = killed.ended(killed.start(life, dsn, key, text, point))
    for _ in range(4):
        with warehouse() as connection:
            found = record.by_key(connection, key)
        if found is not None and found.state != "running":
            break
        assert killed.ended(killed.start(life, dsn, key, text, None)) == 0
    return ended


def check(warehouse: Connect, ledger: Path, key: str) -> None:
    with warehouse() as connection:
        done = record.by_key(connection, key)
        assert done is not None
        rows = {row.step_id: row.status for row in record.steps(connection, done.id)}
        open_effects = connection.execute("select count(*) from ops.playbook_effects where state <> 'done'").fetchone()
    assert (done.state, done.success, done.steps_executed) == ("succeeded", True, 6)
    assert rows == {
        "look": "ran", "any": "ran", "tell": "ran", "never": "skipped", "order": "ran", "second": "ran", "last": "ran",
    }  # fmt: skip
    assert posted(warehouse) == ["first", "last"]
    assert sorted(line.split()[1] for line in ledger.read_text().splitlines()) == ["chocolate", "flowers"]
    assert open_effects == (0,)


def test_every_point_is_tried() -> None:
    assert {
        "playbooks.opened", "playbooks.opened_committed", "playbooks.step_begun", "playbooks.step_returned",
        "playbooks.step_noted", "playbooks.step_settled", "playbooks.effect_intended", "playbooks.effect_done",
        "playbooks.effect_noted", "playbooks.closed",
    } == set(POINTS)  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_loses_and_doubles_nothing(warehouse: Connect, tmp_path: Path, point: str) -> None:
    ledger = tmp_path / "ledger"
    text = playbook(steps(ledger))
    assert lives(warehouse, text, "tick", point) == -signal.SIGKILL
    check(warehouse, ledger, "tick")


@pytest.mark.slow
@pytest.mark.parametrize("hit", range(1, 8))
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_each_time_a_point_is_reached(warehouse: Connect, tmp_path: Path, point: str, hit: int) -> None:
    ledger = tmp_path / "ledger"
    lives(warehouse, playbook(steps(ledger)), "tick", f"{point}@{hit}")
    check(warehouse, ledger, "tick")


@pytest.mark.parametrize("point", [p if "effect" in p else pytest.param(p, marks=pytest.mark.slow) for p in POINTS])
def test_a_suspended_process_does_nothing_more_once_it_was_taken_over(
    warehouse: Connect, tmp_path: Path, point: str
) -> None:
    """As with a machine that is suspended: its sessions are gone, another process ends its work, and only then it goes
    on where it stood."""
    ledger = tmp_path / "ledger"
    text, dsn = playbook(steps(ledger)), dsn_of(warehouse)
    child = killed.start(life, dsn, "tick", text, f"{point}:stop")
    until = time.monotonic() + 60
    while not _stands_still(child.pid):
        assert time.monotonic() < until and child.is_alive()
        time.sleep(0.01)
    with warehouse() as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert killed.ended(killed.start(life, dsn, "tick", text, None)) == 0
    check(warehouse, ledger, "tick")
    os.kill(child.pid, signal.SIGCONT)
    killed.ended(child)
    check(warehouse, ledger, "tick")


def _stands_still(pid: int) -> bool:
    return "T" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]


def test_what_cannot_be_looked_up_is_a_persons(warehouse: Connect, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    text = playbook(call("order", "order", what="flowers", ledger=str(ledger), blind=True))
    lives(warehouse, text, "tick", "playbooks.effect_done")
    with warehouse() as connection:
        open_ = record.by_key(connection, "tick")
        state = connection.execute("select state from ops.playbook_effects").fetchone()
        assert open_ is not None and open_.state == "running"
        settle(connection, open_.id, "order", "done", person="Lee Moran", via="cli:lee", reason="they have it")
    assert state == ("unclear",)
    assert killed.ended(killed.start(life, dsn_of(warehouse), "tick", text, None)) == 0
    with warehouse() as connection:
        done = record.by_key(connection, "tick")
    assert done is not None and done.success
    assert len(ledger.read_text().splitlines()) == 1

"""Random short schedules of kills, stops, restarts and repeated triggers: nothing lost, nothing doubled.

A schedule is a few triggers of one playbook, each answered by processes of which some are killed at random points, some
are stopped and wake up when another has taken over, some come at the same time. The oracles are the outbox, in which
the test's tool has no dedupe key, and the vendor's own ledger, a file; not our tables.

`OPS_SCHEDULES=10000 pytest -m slow tests/playbooks/test_schedules.py` for as many as are wanted.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ops_platform.playbooks import record
from ops_platform.playbooks.record import EXECUTION_LOCK
from tests import killed
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of
from tests.playbooks.shop import call, condition, playbook, posted
from tests.playbooks.test_kill import POINTS
from tests.playbooks.victim import life

LONG, FIRST = int(os.environ.get("OPS_SCHEDULES", "150")), int(os.environ.get("OPS_SCHEDULES_FROM", "1000"))


def text_of(ledger: Path) -> str:
    return playbook(
        call("look", "look", count=1)
        + condition("any", "steps.look.result.customers.size() > 0")
        + call("tell", "tell", "when: any", text="first ${{ run.id }}")
        + call("never", "tell", "unless: any", text="never")
        + call("order", "order", "after: never", what="flowers-${{ run.id }}", ledger=str(ledger))
        + call("last", "tell", "needs: [order, tell]", text="last ${{ run.id }}")
    )


def play(connect: Connect, dsn: str, ledger: Path, seed: int) -> int:
    """One schedule, to its end; how many processes were killed or stopped."""
    chance = random.Random(seed)
    text, keys, harmed = text_of(ledger), [f"{seed}:{n}" for n in range(chance.randint(1, 2))], 0
    for _ in range(chance.randint(1, 3)):
        children = []
        for _ in range(chance.choice((1, 1, 1, 2))):
            point = f"{chance.choice(POINTS)}@{chance.randint(1, 5)}" if chance.random() < 0.8 else None
            if point and chance.random() < 0.15:
                point += ":stop"
            children.append(killed.start(life, dsn, chance.choice(keys), text, point))
        harmed += _ends(connect, children)
    for key in keys:
        for _ in range(4):
            with connect() as connection:
                found = record.by_key(connection, key)
            if found is not None and found.state != "running":
                break
            killed.ended(killed.start(life, dsn, key, text, None))
    return harmed


def _ends(connect: Connect, children: list[Any]) -> int:
    """Wait for these processes; how many were harmed. One that is stopped loses its hold, as after a network that fell,
    and wakes up: at once, for what it has locked the others may be waiting for."""
    stopped, until = set(), time.monotonic() + 60
    while any(child.is_alive() for child in children) and time.monotonic() < until:
        for child in children:
            if child.pid not in stopped and _is_stopped(child.pid):
                with connect() as connection:
                    connection.execute(
                        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = %s",
                        (EXECUTION_LOCK,),
                    )
                os.kill(child.pid, signal.SIGCONT)
                stopped.add(child.pid)
        time.sleep(0.01)
    return len(stopped) + sum(killed.ended(child) == -signal.SIGKILL for child in children)


def _is_stopped(pid: int) -> bool:
    try:
        return "T" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
    except OSError:
        return False


def check(connect: Connect, ledger: Path) -> int:
    """Every execution did everything once; how many there were."""
    with connect() as connection:
        ended = connection.execute(
            "select id, success, steps_executed from ops.playbook_executions order by id"
        ).fetchall()
    ids = [number for number, success, executed in ended if success and executed == 5]
    assert len(ids) == len(ended), ended
    assert sorted(posted(connect)) == sorted([f"first {n}" for n in ids] + [f"last {n}" for n in ids])
    assert sorted(line.split()[1] for line in ledger.read_text().splitlines()) == sorted(f"flowers-{n}" for n in ids)
    return len(ids)


def test_some_schedules(warehouse: Connect, tmp_path: Path) -> None:
    ledger, dsn = tmp_path / "ledger", dsn_of(warehouse)
    harmed = sum(play(warehouse, dsn, ledger, seed) for seed in range(3))
    assert check(warehouse, ledger) >= 3
    assert harmed >= 2


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_many_schedules(warehouse: Connect, tmp_path: Path) -> None:
    ledger, dsn = tmp_path / "ledger", dsn_of(warehouse)
    harmed = 0
    for seed in range(FIRST, FIRST + LONG):
        harmed += play(warehouse, dsn, ledger, seed)
        if seed % 50 == 0:
            check(warehouse, ledger)
    done = check(warehouse, ledger)
    print(f"{LONG} schedules, {done} executions, {harmed} processes killed or stopped: 0 lost, 0 doubled")
    assert harmed > LONG // 2

"""Killed at any named point, and by two processes at once: exactly one message each, and no end is lost.

`OPS_KILL_TRIALS` sets how many times the incident's four days are gone through (default 1 each point).
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.scenes import outbox
from tests.alerts.victim import day
from tests.database.fresh_database import dsn_of
from tests.killed import ended, points_in, preload, start

TRIALS = int(os.environ.get("OPS_KILL_TRIALS", "1"))
SOURCE = Path(__file__).resolve().parents[2] / "ops_platform" / "alerts"
MACHINE = ("cycle.py", "telling.py", "actions.py")
POINTS = [
    "alerts.locked",
    "alerts.stepped",
    "alerts.grouped",
    "alerts.told",
    "alerts.told@2",
    "alerts.saved",
    "alerts.committed",
    "alerts.acted",
    "alerts.action_committed",
    "outbox.enqueued",
    "outbox.enqueued@2",
]
preload("psycopg", "ops_platform.delivery.outbox", "tests.alerts.victim")


@pytest.fixture
def dsn(desk: Any) -> str:
    return dsn_of(desk)


def check(desk: Any, rounds: int) -> None:
    """Two incidents a round, each begun, worsened, eased and ended once, in one thread; taken once a standing day."""
    rows = outbox(desk)
    expected = dict.fromkeys(("opened", "worsened", "recovering", "resolved"), 2 * rounds)
    told = Counter(row["kind"].removeprefix("alert_") for row in rows)
    taken = told.pop("taken")
    assert told == expected
    threads = {row["id"] for row in rows if row["thread_of"] is None}
    assert len(threads) == 2 * rounds
    assert all(row["thread_of"] in threads for row in rows if row["thread_of"] is not None)
    with desk() as connection:
        assert connection.execute("select count(*) from ops.alerts where state <> 'resolved'").fetchone() == (0,)
        done = connection.execute("select count(*), count(distinct idempotency_key) from ops.alert_actions").fetchone()
        changed = connection.execute("select count(*) from ops.alerts where acknowledged_by is not null").fetchone()
        assert done == (3 * rounds, 3 * rounds)
        assert (taken,) == changed == (rounds,)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, dsn: str, desk: Any) -> None:
    killed = 0
    for number in range(4 * TRIALS):
        killed += ended(start(day, dsn, number, point)) == -signal.SIGKILL
        assert ended(start(day, dsn, number)) == 0
    assert killed >= TRIALS, "the point was never reached"
    check(desk, TRIALS)


def test_killed_at_every_point_in_turn_and_then_four_at_once(dsn: str, desk: Any) -> None:
    for number in range(4):
        for point in POINTS:
            ended(start(day, dsn, number, point))
        together = [start(day, dsn, number) for _ in range(4)]
        assert [ended(child) for child in together] == [0] * 4
    check(desk, 1)


def test_every_point_in_the_machine_is_killed_at() -> None:
    points = {point.partition("@")[0] for point in POINTS if point.startswith("alerts.")}
    assert points_in([SOURCE / name for name in MACHINE]) == points

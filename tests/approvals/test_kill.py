"""Killed at any named point, and by four processes at once: nothing lost, nothing doubled, nothing unapproved.

`OPS_KILL_TRIALS` sets how many requests go through each point (default 1).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.approvals.notes import posted
from tests.approvals.victim import life
from tests.database.fresh_database import dsn_of
from tests.killed import ended, points_in, preload, start

TRIALS = int(os.environ.get("OPS_KILL_TRIALS", "1"))
SOURCE = Path(__file__).resolve().parents[2] / "ops_platform" / "approvals"
POINTS = [
    "approvals.requested",
    "approvals.revised",
    "approvals.said",
    "approvals.said_committed",
    "approvals.taken",
    "approvals.executed",
    "approvals.noted",
    "approvals.done",
    "outbox.enqueued",
    "outbox.enqueued@2",
    "outbox.enqueued@4",
]
preload("psycopg", "ops_platform.delivery.outbox", "tests.approvals.victim")


def check(connect: Any, requests: int) -> None:
    """Every request asked, edited, approved and done once, its thread told of each once."""
    assert sorted(posted(connect)) == sorted(f"Note {number}, edited." for number in range(requests))
    with connect() as connection:
        events = connection.execute(
            "select event, count(*), count(distinct approval_id) from ops.approval_events group by event"
        ).fetchall()
        wanted = ("requested", "revised", "approved", "sent")
        assert sorted(events) == sorted((event, requests, requests) for event in wanted)
        told = connection.execute(
            "select count(*) filter (where thread_of is null), count(*) filter (where thread_of is not null)"
            " from ops.outbox where kind = 'approval'"
        ).fetchone()
        assert told == (requests, 3 * requests)
        unapproved = connection.execute(
            """select count(*) from ops.approval_events as sent where event = 'sent' and not exists (
                   select from ops.approval_events as yes where yes.approval_id = sent.approval_id
                       and yes.event = 'approved' and yes.payload_hash = sent.payload_hash and yes.id < sent.id)"""
        ).fetchone()
        assert unapproved == (0,)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, warehouse: Any) -> None:
    dsn, killed = dsn_of(warehouse), 0
    for number in range(TRIALS):
        killed += ended(start(life, dsn, number, point)) == -signal.SIGKILL
        assert ended(start(life, dsn, number)) == 0
    assert killed == TRIALS, "the point was not reached"
    check(warehouse, TRIALS)


@pytest.mark.slow
def test_killed_at_every_point_in_turn_and_four_at_once(warehouse: Any) -> None:
    dsn = dsn_of(warehouse)
    for number in range(3):
        for point in POINTS:
            ended(start(life, dsn, number, point))
        together = [start(life, dsn, number) for _ in range(4)]
        assert [ended(child) for child in together] == [0] * 4
    check(warehouse, 3)


def test_every_point_in_the_package_is_killed_at() -> None:
    points = {point for point in POINTS if point.startswith("approvals.")}
    # Handing a campaign over has its own (test_campaigns.py).
    assert {point for point in points_in(SOURCE.glob("*.py")) if not point.startswith("handover.")} == points

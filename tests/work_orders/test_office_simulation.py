"""Days of work with failures, kills, storms, lost webhooks and outages: each handled once, by priority, in time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from ops_platform.work_orders.intake import keep_delivery
from resources.github.webhook import Delivery, WebhookListener
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of, fresh_database
from tests.work_orders.office_simulation import LEASE_SECONDS, Simulation, Story
from tests.work_orders.office_world import AT, World, sandbox_at, world_on

SMALL = Story(issues=10, days=0.25, storms=1, storm_issues=4, kills=1, transient=0.08, broken=0.03)
LARGE = Story(issues=2000, days=30, storms=4, storm_issues=90, kills=40, outages=6)


@contextmanager
def listening(world: World) -> Iterator[World]:
    """The world with the real listener for its webhooks, and the leases of the simulation."""

    def keep(delivery: Delivery) -> None:
        with world.connect() as connection:
            keep_delivery(connection, delivery.id, delivery.event, delivery.body, at=world.clock())
            connection.commit()

    world.office = replace(world.office, lease_seconds=LEASE_SECONDS, patience=0.5)
    listener = WebhookListener(keep, world.sandbox.environment()["GITHUB_WEBHOOK_SECRET"])
    listener.start()
    webhooks = world.sandbox.sides["github"].webhooks
    webhooks.url = listener.url
    limits = world.sandbox.sides["github"].limits
    # A month of calls in an hour: GitHub counts them by the month's clock.
    limits.now = lambda: world.clock().timestamp()
    yield world
    limits.now = time.time
    webhooks.url = None
    listener.stop()


@pytest.fixture
def alone(server_home: Path, migrated: str, tmp_path: Path) -> Iterator[World]:
    """A database and a sandbox of its own."""
    with (
        fresh_database(server_home, migrated, "simulated") as connect,
        sandbox_at(AT, tmp_path / "sandbox") as sandbox,
        listening(world_on(sandbox, lender(dsn_of(connect)), AT)) as made,
    ):
        yield made


def lender(dsn: str) -> Connect:
    """Connections that stay open when they are given back: opening them is a third of thirty days."""
    idle: list[Lent] = []

    class Lent(psycopg.Connection[Any]):
        def close(self) -> None:
            if self.broken or self.info.transaction_status != TransactionStatus.IDLE:
                super().close()
            else:
                idle.append(self)

    def connect() -> psycopg.Connection[Any]:
        try:
            return idle.pop()
        except IndexError:
            return Lent.connect(dsn, options="-c timezone=UTC")

    return connect


def test_a_morning(here: World) -> None:
    with listening(here) as made:
        told = run(made, SMALL)
    assert told["kills"] == SMALL.kills


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_thirty_days_of_two_thousand_issues(alone: World) -> None:
    told = run(alone, LARGE)
    assert told["in_time"] / told["judged"] > 0.99, told


def run(here: World, story: Story) -> dict[str, Any]:
    simulation = Simulation(here, story, progress=lambda words: print(words, file=sys.stderr, flush=True))
    simulation.run()
    told = check(here, simulation)
    print(json.dumps(told, default=str))
    if os.environ.get("OPS_SIMULATION_REPORT"):
        Path(os.environ["OPS_SIMULATION_REPORT"]).write_text(json.dumps(told, default=str), encoding="utf-8")
    return told


def check(here: World, simulation: Simulation) -> dict[str, Any]:
    """What must be true whatever happened; the oracle of effects is GitHub's own record."""
    filed, story = simulation.filed, simulation.story
    assert len(filed) == story.issues
    orders = {work.number: work for work in here.orders() if work.number in filed}
    # Nothing lost, nothing twice: one round an issue, every one of them at its end.
    assert set(orders) == set(filed)
    assert here.rows("select max(round) from ops.work_orders") == [(1,)]
    assert Counter(str(work.phase) for work in orders.values()) == {"done": story.issues}
    # Handled once at GitHub: closed once by us, each posted answer once, one card.
    by_issue: dict[int, Counter[str]] = {}
    for effect in here.effects():
        by_issue.setdefault(int(effect["detail"].get("number") or 0), Counter())[effect["kind"]] += 1
    posted = dict(here.rows(
        "select orders.number, count(*) from ops.work_answers as answers join ops.work_orders as orders"
        " on orders.id = answers.work_id where answers.state = 'posted' group by 1"
    ))  # fmt: skip
    for number in filed:
        kinds = by_issue[number]
        assert kinds["close_issue"] == 1, (number, kinds)
        assert kinds["comment"] == posted[number] + 1, (number, kinds, posted[number])
    # By priority: nobody of an agent was taken up while a more urgent order of it was due and had waited a turn.
    out_of_order = here.rows(
        """select count(*) from ops.work_attempts as taken
           join ops.work_orders as waiting on waiting.agent = taken.agent and waiting.priority < taken.priority
           join ops.work_attempts as its on its.work_id = waiting.id and its.attempt = 1
           where waiting.received_at < taken.started_at - interval '3 minutes' and its.started_at > taken.started_at"""
    )
    assert out_of_order == [(0,)]
    # Each breach told once, none told that was none.
    breached = {
        number for number, work in orders.items()
        if work.answered_at is not None and work.due_at is not None and work.answered_at > work.due_at
    }  # fmt: skip
    told = Counter(
        number for (number,) in here.rows(
            "select orders.number from ops.work_notices as notices join ops.work_orders as orders"
            " on orders.id = notices.work_id where notices.step = 'breached' and notices.told"
        )
    )  # fmt: skip
    assert set(told) >= breached and all(count == 1 for count in told.values())
    assert here.rows("select count(*) from ops.work_effects where state in ('staged', 'intended')") == [(0,)]
    assert here.rows("select count(*) from ops.work_attempts where outcome is null") == [(0,)]
    pickup = here.rows(
        "select max(attempts.started_at - orders.received_at) from ops.work_orders as orders join ops.work_attempts as"
        " attempts on attempts.work_id = orders.id and attempts.attempt = 1 where orders.priority = 'P0'"
    )[0][0]
    outcomes = dict(here.rows("select outcome, count(*) from ops.work_attempts group by outcome"))
    late = sum(work.labelled_at + timedelta(minutes=20) < work.received_at for work in orders.values())
    return {
        "issues": len(filed), "turns": simulation.turns, "judged": len(orders), "in_time": len(orders) - len(breached),
        "breaches_told": sum(told.values()), "kills": simulation.kills, "attempts": outcomes,
        "longest_pickup_p0": str(pickup), "seen_later_than_twenty_minutes": late,
        "priorities": dict(Counter(str(work.priority) for work in orders.values())),
        "manager_asked": here.rows("select count(*) from ops.approvals where kind = 'work_order'")[0][0],
        "manager_sent_back": here.rows("select count(*) from ops.approvals where state = 'rejected'")[0][0],
    }  # fmt: skip

"""The queue against a model of it: whatever happens in whatever order, no order is lost, doubled or claimed twice.

The model knows states and clocks by plain rules of its own: a dictionary an order.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ops_platform.failures import DataFailure
from ops_platform.work_orders import store
from ops_platform.work_orders.model import FailureClass, Phase
from ops_platform.work_orders.receiving import receive
from ops_platform.work_orders.rows import of_issue
from tests.conftest import Connect
from tests.work_orders.policy_scene import POLICY, REPOSITORY, START, Issue, World, rows, seen

LEASE = 600
SLA = {"P0": timedelta(hours=1), "P1": timedelta(hours=4), "P2": timedelta(hours=24), "P3": timedelta(hours=72)}
NUMBERS = itertools.count(1)


@dataclass
class Expected:
    """What the model says of the newest round of an issue."""

    issue: Issue
    priority: str
    phase: str
    clock_from: datetime
    bound: str
    round: int = 1
    attempt: int = 0
    deaths: int = 0
    holder: str = ""
    lease_until: datetime | None = None
    not_before: datetime | None = None
    stopped: datetime | None = None
    stopped_by_person: bool = False
    stood: timedelta = timedelta(0)
    answered_at: datetime | None = None
    due_when_stopped: bool = False

    @property
    def manager(self) -> bool:
        return self.priority in ("P0", "P1")

    def stop(self, now: datetime, *, person: bool = False) -> None:
        if self.stopped is None:
            self.stopped, self.stopped_by_person = now, person

    def start(self, now: datetime) -> None:
        if self.stopped is not None:
            # What stands still after its time is over has no effect on when it was due.
            if self.stopped < self.due:
                self.stood += now - self.stopped
            self.stopped = None

    @property
    def due(self) -> datetime:
        return self.clock_from + SLA[self.priority] + self.stood


class Queue(RuleBasedStateMachine):
    connect: Connect

    def __init__(self) -> None:
        super().__init__()
        self.world = World(now=START)
        self.orders: dict[int, Expected] = {}
        self.claims: set[tuple[int, int]] = set()

    @property
    def now(self) -> datetime:
        return self.world.now

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        with self.connect() as connection:
            yield connection

    def take(self, event: Any) -> None:
        with self.transaction() as connection:
            receive(connection, seen(self.world, event), POLICY, at=self.now)

    def order(self, pick: int, *phases: str) -> Expected | None:
        found = [each for each in self.orders.values() if each.phase in phases]
        return found[pick % len(found)] if found else None

    def id_of(self, one: Expected) -> int:
        with self.transaction() as connection:
            work = of_issue(connection, REPOSITORY, one.issue.number)
        assert work is not None
        return work.id

    # -- what happens --------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.arrive("P2")

    @rule(minutes=st.sampled_from([1, 5, 11, 45, 300, 1600]))
    def pass_time(self, minutes: int) -> None:
        self.world.tick(minutes=minutes)

    @rule(priority=st.sampled_from(["P0", "P1", "P2", "P3"]))
    def arrive(self, priority: str) -> None:
        number = next(NUMBERS)
        issue = Issue(self.world, number, "outsider", "t", "first words", created_at=self.now, updated_at=self.now)
        self.take(issue._event("opened", "outsider"))
        self.world.tick(minutes=5)
        self.take(issue.label(f"priority/{priority}"))
        self.orders[number] = Expected(issue, priority, "queued", self.now, issue.body)
        self.world.tick(minutes=5)

    @rule(pick=st.integers(0, 99), worker=st.sampled_from(["a", "b"]))
    def claim(self, pick: int, worker: str) -> None:
        one = self.order(pick, "queued", "received", "running", "answered", "done", "blocked")
        if one is None:
            return
        free = one.phase == "queued" and one.stopped is None
        free = free and (one.not_before is None or one.not_before <= self.now)
        with self.transaction() as connection:
            work = store.claim(connection, self.id_of(one), worker, LEASE, at=self.now)
        assert (work is not None) == free
        if work is not None:
            assert (work.id, work.attempt) not in self.claims
            self.claims.add((work.id, work.attempt))
            one.attempt += 1
            one.phase, one.holder, one.lease_until = "running", worker, self.now + timedelta(seconds=LEASE)
            one.not_before = None

    @rule(pick=st.integers(0, 99), worker=st.sampled_from(["a", "b"]), ends=st.sampled_from(["done", "blocked"]))
    def finish(self, pick: int, worker: str, ends: Any) -> None:
        one = self.order(pick, "running", "queued", "received", "withdrawn")
        if one is None:
            return
        with self.transaction() as connection:
            if one.phase != "running" or one.holder != worker:
                with pytest.raises(store.LostLeaseError):
                    store.finish(connection, self.id_of(one), worker, ends, "said", policy=POLICY, at=self.now)
                return
            store.finish(connection, self.id_of(one), worker, ends, "said", policy=POLICY, at=self.now)
        one.phase = ends if ends == "blocked" or not one.manager else "answered"
        one.holder, one.lease_until = "", None
        if one.phase != "blocked":
            one.answered_at = self.now

    @rule(pick=st.integers(0, 99), transient=st.booleans())
    def fail(self, pick: int, transient: bool) -> None:
        one = self.order(pick, "running")
        if one is None:
            return
        kind = FailureClass.TRANSIENT if transient else FailureClass.PERMANENT
        with self.transaction() as connection:
            store.fail(connection, self.id_of(one), one.holder, kind, "broke", policy=POLICY, at=self.now)
        one.holder, one.lease_until = "", None
        if transient and one.attempt < 4:
            one.phase = "queued"
            one.not_before = self.now + timedelta(seconds=30 * 2 ** (one.attempt - 1))
        else:
            one.phase = "failed"

    @rule()
    def release_the_dead(self) -> None:
        with self.transaction() as connection:
            store.release_dead(connection, policy=POLICY, at=self.now)
        for one in self.orders.values():
            if one.phase == "running" and one.lease_until is not None and one.lease_until < self.now:
                one.deaths += 1
                one.phase = "queued" if one.deaths < 3 else "failed"
                one.holder, one.lease_until = "", None
                one.not_before = self.now if one.phase == "queued" else None

    @rule(pick=st.integers(0, 99))
    def beat(self, pick: int) -> None:
        one = self.order(pick, "running")
        if one is not None:
            with self.transaction() as connection:
                store.heartbeat(connection, self.id_of(one), one.holder, LEASE, at=self.now)
            one.lease_until = self.now + timedelta(seconds=LEASE)

    @rule(pick=st.integers(0, 99))
    def stop_the_clock(self, pick: int) -> None:
        one = self.order(pick, "queued", "running", "blocked", "done", "received")
        if one is None:
            return
        with self.transaction() as connection:
            if one.stopped is not None or one.phase == "done":
                with pytest.raises(DataFailure):
                    store.pause(connection, self.id_of(one), "waits", "dana", policy=POLICY, at=self.now)
                return
            store.pause(connection, self.id_of(one), "waits", "dana", policy=POLICY, at=self.now)
        one.stop(self.now, person=True)

    @rule(pick=st.integers(0, 99))
    def start_the_clock(self, pick: int) -> None:
        one = self.order(pick, "queued", "running", "blocked")
        if one is not None and one.stopped is not None:
            with self.transaction() as connection:
                store.resume(connection, self.id_of(one), "dana", policy=POLICY, at=self.now)
            one.start(self.now)

    @rule(pick=st.integers(0, 99))
    def edit_by_an_outsider(self, pick: int) -> None:
        one = self.order(pick, "queued", "running", "blocked")
        if one is None:
            return
        self.world.tick(minutes=5)
        self.take(one.issue.edit(f"{one.issue.body} and more", "outsider"))
        one.phase, one.holder, one.lease_until = "received", "", None
        one.stop(self.now)

    @rule(pick=st.integers(0, 99))
    def label_again(self, pick: int) -> None:
        one = self.order(pick, "received")
        if one is None:
            return
        self.world.tick(minutes=5)
        if "work/accepted" in one.issue.labels:
            self.take(one.issue.unlabel("work/accepted"))
        self.take(one.issue.label("work/accepted"))
        one.phase, one.bound = "queued", one.issue.body
        if not one.stopped_by_person:
            one.start(self.now)

    @rule(pick=st.integers(0, 99), happy=st.booleans())
    def decide(self, pick: int, happy: bool) -> None:
        one = self.order(pick, "answered")
        if one is None:
            return
        with self.transaction() as connection:
            if happy:
                store.approve(connection, self.id_of(one), "dana", at=self.now)
            else:
                store.revise(connection, self.id_of(one), "dana", "shorter", policy=POLICY, at=self.now)
        if happy:
            one.phase = "done"
        else:
            assert one.answered_at is not None
            if one.answered_at < one.due and one.stopped is None:
                one.stood += self.now - one.answered_at
            one.phase, one.answered_at = "queued", None

    @rule(pick=st.integers(0, 99))
    def take_up_again(self, pick: int) -> None:
        one = self.order(pick, "blocked", "failed")
        if one is None:
            return
        with self.transaction() as connection:
            store.requeue(connection, self.id_of(one), "dana", "look again", policy=POLICY, at=self.now)
        one.phase, one.not_before = "queued", None
        one.start(self.now)

    @rule(pick=st.integers(0, 99))
    def close(self, pick: int) -> None:
        one = self.order(pick, "queued", "running", "received", "blocked", "answered")
        if one is None:
            return
        self.world.tick(minutes=1)
        self.take(one.issue.close())
        one.phase, one.holder, one.lease_until = "withdrawn", "", None

    # -- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        with self.transaction() as connection:
            for number, one in self.orders.items():
                work = of_issue(connection, REPOSITORY, number)
                assert work is not None
                assert (work.phase, work.attempt, work.round) == (one.phase, one.attempt, one.round)
                assert (work.lease_holder or "", work.lease_until) == (one.holder, one.lease_until)
                assert work.body == one.bound
                assert (work.held_reason is not None) == (one.phase == "received")
                if one.phase in ("queued", "running", "received", "blocked"):
                    late = one.stopped is not None and one.stopped >= one.due
                    assert work.due_at == (None if one.stopped is not None and not late else one.due)

    @invariant()
    def the_queue_offers_what_it_should(self) -> None:
        with self.transaction() as connection:
            offered = [work.number for work in store.next_due(connection, 10_000, at=self.now)]
        mine = [number for number in offered if number in self.orders]
        expected = [
            one
            for one in self.orders.values()
            if one.phase == "queued" and one.stopped is None and (one.not_before is None or one.not_before <= self.now)
        ]
        expected.sort(key=lambda one: (one.priority, one.due, one.issue.number))
        assert mine == [one.issue.number for one in expected]

    def teardown(self) -> None:
        attempts = rows(self.connect, "select count(*), count(distinct (work_id, attempt)) from ops.work_attempts")
        assert attempts[0][0] == attempts[0][1]


def play(warehouse: Connect, examples: int, steps: int) -> None:
    Queue.connect = staticmethod(warehouse)
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_the_queue_is_its_model(warehouse: Connect) -> None:
    play(warehouse, 5, 25)


@pytest.mark.slow
def test_the_queue_is_its_model_for_long(warehouse: Connect) -> None:
    play(warehouse, 150, 60)


# At the same time -------------------------------------------------------------------------------------------------


def fill(warehouse: Connect, orders: int, label: str = "sales/leads") -> World:
    world = World()
    with warehouse() as connection:
        for _ in range(orders):
            receive(connection, seen(world, world.open().label(label)), POLICY, at=world.now)
    return world


def test_many_workers_claim_each_order_once(warehouse: Connect) -> None:
    """Eight threads over forty orders, all wanting all of them."""
    fill(warehouse, 40)
    taken: list[tuple[str, int]] = []
    gate = threading.Barrier(8)

    def work(name: str) -> None:
        with warehouse() as connection:
            gate.wait()
            while due := store.next_due(connection, 5, at=START):
                for each in due:
                    if store.claim(connection, each.id, name, 60, at=START) is not None:
                        taken.append((name, each.id))
                    connection.commit()

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each for _, each in taken) == list(range(1, 41))
    assert rows(warehouse, "select count(*) from ops.work_attempts") == [(40,)]


def test_an_agents_limit_holds_under_contention(warehouse: Connect) -> None:
    fill(warehouse, 12)
    taken: list[int] = []
    gate = threading.Barrier(6)

    def work(name: str) -> None:
        gate.wait()
        for number in range(1, 13):
            with warehouse() as connection:
                if store.claim(connection, number, name, 60, agent_limit=3, at=START) is not None:
                    taken.append(number)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 3
    assert rows(warehouse, "select count(*) from ops.work_orders where phase = 'running'") == [(3,)]


def test_one_issue_told_by_many_at_once_is_one_order(warehouse: Connect) -> None:
    """Ten copies of a delivery and of a poll's sight, taken in at the same time."""
    world = World()
    event = world.open().label("sales/leads")
    gate = threading.Barrier(10)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with warehouse() as connection:
                gate.wait()
                receive(connection, seen(world, event), POLICY, at=world.now)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert rows(warehouse, "select count(*), max(round) from ops.work_orders") == [(1, 1)]
    assert rows(warehouse, "select count(*) from ops.work_decisions") == [(1,)]


# The database's own word --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "phase = 'done', answered_at = now(), ended_at = now(), manager = 'pending'",
        "phase = 'done', ended_at = now()",
        "phase = 'running'",
        "attempt = attempt + 1",
        "phase = 'answered', answered_at = now()",
        "phase = 'failed', ended_at = now()",
        "held_reason = 'x'",
        "due_at = null",
        "priority = 'P9'",
    ],
)
def test_the_database_refuses_what_may_not_be(warehouse: Connect, change: str) -> None:
    fill(warehouse, 1, "priority/P0")
    with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError):
        connection.execute(f"update ops.work_orders set {change} where id = 1".encode())


def test_what_is_done_stays_done_and_decisions_stay(warehouse: Connect) -> None:
    fill(warehouse, 1)
    with warehouse() as connection:
        store.claim(connection, 1, "a", 60, at=START)
        store.finish(connection, 1, "a", "done", "posted", at=START)
    for change in ("phase = 'queued'", "phase = 'running', lease_holder = 'x', lease_until = now()"):
        with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError):
            connection.execute(f"update ops.work_orders set {change}, ended_at = null".encode())
    for statement in ("update ops.work_decisions set reason = 'x'", "delete from ops.work_decisions",
                      "truncate ops.work_decisions"):  # fmt: skip
        with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError):
            connection.execute(statement.encode())


def test_a_launch_is_one_persons_until_it_is_over(warehouse: Connect) -> None:
    fill(warehouse, 1)
    with warehouse() as connection:
        (work,) = store.next_due(connection, 5, at=START)
        key = store.launched(connection, work.id, 60, at=START)
        assert key == work.run_key == "work:1:1:1"
        assert store.launched(connection, work.id, 60, at=START) is None
        assert store.next_due(connection, 5, at=START) == []
        # The run died before it claimed: a minute later there is another, under another key.
        later = START + timedelta(seconds=61)
        assert store.launched(connection, work.id, 60, at=later) == "work:1:1:2"
        claimed = store.claim(connection, work.id, "a", 60, at=later)
        assert claimed is not None and claimed.phase is Phase.RUNNING


def test_the_next_in_the_queue_is_found_by_its_index(warehouse: Connect) -> None:
    fill(warehouse, 3)
    with warehouse() as connection:
        # Of three rows every plan is cheap; what is asked is whether the index gives the order.
        connection.execute("set local enable_bitmapscan = off")
        connection.execute("set local enable_sort = off")
        connection.execute("set local enable_seqscan = off")
        plan = connection.execute(
            "explain select id from ops.work_orders where phase = 'queued' and paused_since is null"
            " order by priority, due_at, id limit 5"
        ).fetchall()
    assert "work_orders_queue" in str(plan) and "Sort" not in str(plan)

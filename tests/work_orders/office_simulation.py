"""Days of work orders in accelerated time: the product's own turns, launches and attempts on the sandbox's GitHub.

Belongs here: the story (who files what when, what fails, who is killed, what GitHub does) and telling the time. Does
not belong here: what must be true afterwards (`test_office_simulation.py`); any rule of the product.

Time jumps from event to event; every second minute in which anything is at work, and every quarter of an hour
otherwise, the coordinator takes its turn. What an agent takes is drawn; its words are those of
`office_world.an_answer`. A kill is a process of its own that is ended by SIGKILL at a named point of the real code.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ops_platform.approvals import store as requests
from ops_platform.approvals.model import State
from ops_platform.failures import DataFailure, OpsError, TransientFailure
from ops_platform.work_orders import coordinator, queue, recovery, store
from ops_platform.work_orders.agents.model import Answer
from ops_platform.work_orders.model import Phase, WorkOrder
from ops_platform.work_orders.processing import Attempt, claimed
from tests import killed
from tests.database.fresh_database import dsn_of
from tests.work_orders.office_victim import one_attempt
from tests.work_orders.office_world import DANA, World, an_answer

LABELS = (
    "finance/analysis", "operations/monitoring", "operations/optimization", "support/quality-assurance",
    "analytics/reporting", "security/compliance", "success/user-research", "marketing/campaign", "sales/pipeline",
    "management/status", "development/architecture", "development/code", "development/qa", "development/devops",
    "development/management", "agent/ai-finance",
)  # fmt: skip
PRIORITIES = ("P0",) * 2 + ("P1",) * 8 + ("P2",) * 55 + ("P3",) * 35
KILLED_AT = (
    "work_orders.claimed", "work_orders.taken_up", "work_orders.answered", "work_orders.staged",
    "work_orders.effect_intended", "work_orders.effect_done", "work_orders.effect_noted", "work_orders.finished",
    "work_orders.posted",
)  # fmt: skip
IDLE, BUSY = timedelta(minutes=15), timedelta(minutes=2)
LEASE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Story:
    """How much of what. Shares are of the issues; storms are issues that come within twenty minutes."""

    issues: int
    days: float
    storms: int = 0
    storm_issues: int = 0
    transient: float = 0.03
    broken: float = 0.003
    incomplete: float = 0.005
    kills: int = 0
    outages: int = 0
    lost_hooks: float = 0.05
    refused: float = 0.1
    seed: int = 9


@dataclass
class Simulation:
    """One run of a story on a world. `filed` are the issues by number with the moment they were labelled."""

    world: World
    story: Story
    filed: dict[int, datetime] = field(default_factory=dict)
    kills: int = 0
    turns: int = 0
    progress: Callable[[str], None] = lambda words: None
    _events: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _at_work: dict[int, Attempt] = field(default_factory=dict)
    _approvals: set[int] = field(default_factory=set)
    _helped: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.story.seed)
        self._order = itertools.count()
        self.world.behave = self.behave
        self.start = self.world.clock()
        self._to_kill = 0

    # The story ----------------------------------------------------------------------------------------------

    def plan(self) -> None:
        span = self.story.days * 86_400
        storms = self.story.storms * self.story.storm_issues
        for _ in range(self.story.issues - storms):
            self.later(timedelta(seconds=self.random.uniform(0, span * 0.97)), self.file)
        for _ in range(self.story.storms):
            begins = self.random.uniform(0.05, 0.9) * span
            for _ in range(self.story.storm_issues):
                self.later(timedelta(seconds=begins + self.random.uniform(0, 1200)), self.file)
        for _ in range(self.story.outages):
            gone = timedelta(seconds=self.random.uniform(0.05, 0.9) * span)
            self.later(gone, self.github_goes)
            self.later(gone + timedelta(minutes=self.random.uniform(3, 15)), self.github_comes_back)
        for _ in range(self.story.kills):
            self.later(timedelta(seconds=self.random.uniform(0.02, 0.95) * span), self.kill_next)

    def later(self, wait: timedelta, does: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.world.clock() + wait, next(self._order), does))

    def file(self) -> None:
        """Somebody files an issue; its webhooks may be lost, come twice, or late."""
        faults = self.world.sandbox.faults
        if self.random.random() < self.story.lost_hooks:
            fault = self.random.choice(["webhook_lost", "webhook_lost", "webhook_twice", "webhook_reordered"])
            faults.arm({"vendor": "github", "fault": fault, "times": self.random.randint(1, 2)})
        label, priority = self.random.choice(LABELS), self.random.choice(PRIORITIES)
        labels = [label, f"priority/{priority}"] if self.random.random() < 0.9 else [label]
        number = self.world.issue(f"Order {next(self._order)}", *labels)
        self.filed[number] = self.world.clock()

    def behave(self, work: WorkOrder) -> Answer | None:
        roll = self.random.random()
        if roll < self.story.transient:
            raise TransientFailure("the model is overloaded")
        if roll < self.story.transient + self.story.broken:
            raise DataFailure("a mart is not there")
        if roll < self.story.transient + self.story.broken + self.story.incomplete:
            return an_answer(work, complete=False, reason="a figure it needs is not known")
        return None

    def github_goes(self) -> None:
        self.world.sandbox.faults.arm({"vendor": "github", "fault": "http_503", "times": None})

    def github_comes_back(self) -> None:
        self.world.sandbox.faults.disarm(None)

    def kill_next(self) -> None:
        self._to_kill += 1

    # Time ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.plan()
        ends = self.start + timedelta(days=self.story.days)
        office, clock = self.world.office, self.world.clock
        with office.connect() as connection:
            queue.publish_agents(connection, office.policy, clock())
            connection.commit()
        turn_at, told_at = self.start, self.start
        while clock() < ends or self._at_work or self._waiting():
            following = min(turn_at, self._events[0][0]) if self._events else turn_at
            clock.set(max(following, clock()))
            came = False
            while self._events and self._events[0][0] <= clock():
                heapq.heappop(self._events)[2]()
                came = True
            if came:
                self.world.sandbox.sides["github"].webhooks.drain()
                coordinator.hurry(office)
            if clock() >= turn_at:
                self._keep_leases()
                done = coordinator.turn(office)
                self.turns += 1
                self._people(done)
            self._launch()
            if clock() >= told_at:
                self.progress(self._standing(done))
                told_at = clock() + timedelta(days=1)
            turn_at = clock() + (BUSY if self._at_work or self._waiting() else IDLE)
            assert clock() < ends + timedelta(days=2), f"it does not come to its end: {self._standing(done)}"

    def _standing(self, done: coordinator.Turn) -> str:
        with self.world.connect() as connection:
            open_orders = connection.execute(
                "select id, number, priority, phase, manager, attempt, reason from ops.work_orders"
                " where phase not in ('done', 'withdrawn') order by id limit 5"
            ).fetchall()
            counts = {phase: count for phase, count in coordinator.standing(connection).items() if count}
        return (
            f"{self.world.clock():%m-%d %H:%M}, turn {self.turns}, {len(self.filed)} filed, {self.kills} killed,"
            f" {len(self._at_work)} at work, {counts}, first open {open_orders}, last turn: {done.problems or done}"
        )

    def _waiting(self) -> bool:
        with self.world.connect() as connection:
            row = connection.execute(
                "select exists (select from ops.work_orders where phase in ('received', 'queued', 'running',"
                " 'answered', 'blocked'))"
            ).fetchone()
        return row is not None and bool(row[0])

    def _launch(self) -> None:
        """What the sensor and the coordinator do: a run for each order that has a place, most urgent first."""
        office = self.world.office
        with office.connect() as connection:
            found = queue.launches(connection, office.policy, limit=50, at=office.at)
            connection.commit()
        for each in found:
            if self._to_kill > 0:
                self._to_kill -= 1
                self._killed(each.work_id)
                continue
            attempt = claimed(office, each.work_id, f"worker:{next(self._order)}")
            if attempt is None:
                continue
            self._at_work[each.work_id] = attempt
            try:
                attempt.take_up()
            except Exception as error:
                attempt.failed(error)
                del self._at_work[each.work_id]
                continue
            minutes = min(25.0, self.random.lognormvariate(1.0, 0.6))
            self.later(timedelta(minutes=minutes), lambda number=each.work_id: self._finish(number))  # type: ignore[misc]

    def _finish(self, number: int) -> None:
        attempt = self._at_work.pop(number)
        try:
            attempt.make_answer()
            attempt.post()
        except Exception as error:
            attempt.failed(error)
            return
        attempt.report()

    def _killed(self, number: int) -> None:
        """The attempt of another process, which is ended by SIGKILL in the middle of it."""
        at = self.world.clock().isoformat()
        point = self.random.choice(KILLED_AT)
        child = killed.start(
            one_attempt, dsn_of(self.world.connect), self.world.sandbox.environment(), at, number, point
        )
        assert killed.ended(child) == -9, point
        self.kills += 1

    def _keep_leases(self) -> None:
        with self.world.connect() as connection:
            for number, attempt in self._at_work.items():
                try:
                    store.heartbeat(connection, number, attempt.holder, LEASE_SECONDS, at=self.world.clock())
                except OpsError:
                    connection.rollback()
            connection.commit()

    # People -------------------------------------------------------------------------------------------------

    def _people(self, done: coordinator.Turn) -> None:
        """Dana decides about answers some time after they were put up, and sees to what failed or is blocked."""
        with self.world.connect() as connection:
            for request in requests.waiting(connection, limit=500):
                if request.kind == "work_order" and request.id not in self._approvals:
                    self._approvals.add(request.id)
                    wait = timedelta(minutes=self.random.uniform(5, 90))
                    self.later(wait, lambda number=request.id: self._decide(number))  # type: ignore[misc]
            rows = connection.execute("select id, attempt from ops.work_orders where phase in ('failed', 'blocked')")
            for number, attempt in rows:
                if (number, attempt) not in self._helped:
                    self._helped.add((number, attempt))
                    wait = timedelta(minutes=self.random.uniform(10, 60))
                    self.later(wait, lambda work=number: self._help(work))  # type: ignore[misc]

    def _decide(self, number: int) -> None:
        with self.world.connect() as connection:
            request = requests.load(connection, number)
            if request.state is not State.DRAFT:
                return
            common: dict[str, Any] = {
                "shown": request.payload_hash, "person": DANA, "key": f"sim:{number}", "now": self.world.clock(),
            }  # fmt: skip
            if self.random.random() < self.story.refused and request.payload["attempt"] < 3:
                self.world.office.inbox.reject(connection, number, words="By channel, please.", **common)
            else:
                self.world.office.inbox.approve(connection, number, **common)
            connection.commit()

    def _help(self, work: int) -> None:
        with self.world.connect() as connection:
            if store.load(connection, work).phase in (Phase.FAILED, Phase.BLOCKED):
                recovery.replay(connection, self.world.office, "dana", "it was mended", work_ids=[work])
            connection.commit()

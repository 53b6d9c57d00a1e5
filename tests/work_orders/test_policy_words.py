"""Whatever happens to an issue, whatever of it arrives, in whatever order: nothing is begun with words, or by a label,
that no authorised person stood for; and what one plainly stood for is begun.

The oracle is the history itself: what the words and the labels were at each moment, and who did what.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_platform.work_orders import intake
from ops_platform.work_orders.model import ENDED, Phase, WorkOrder
from ops_platform.work_orders.rows import of_issue
from tests.conftest import Connect
from tests.sizes import examples
from tests.work_orders.policy_scene import POLICY, REPOSITORY, Issue, World

NUMBERS = itertools.count(50_000)
MAY = ("boss", "writer")
ACTS = (
    "label",
    "label",
    "unlabel",
    "edit",
    "edit",
    "close",
    "reopen",
    "accept",
    "priority",
    "comment",
    "restore_words",
)


@dataclass
class History:
    """What happened, by plain rules of its own. `vouched` are (words, when) that an authorised act stood for."""

    issue: Issue
    vouched: list[tuple[str, datetime]] = field(default_factory=list)
    set_by: dict[str, str] = field(default_factory=dict)
    edits: list[tuple[datetime, str]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    asked: list[tuple[str, datetime]] = field(default_factory=list)

    def act(self, what: str, who: str, now: datetime, fresh: str) -> None:
        issue = self.issue
        label = {"label": "sales/leads", "unlabel": "sales/leads", "accept": "work/accepted", "priority": "priority/P1"}
        match what:
            case "label" | "accept" | "priority":
                if label[what] in issue.labels:
                    return
                self.set_by[label[what]] = who
                self.asked.append((what, now))
                self.events.append(issue.label(label[what], by=who))
            case "unlabel":
                if "sales/leads" not in issue.labels:
                    return
                self.events.append(issue.unlabel("sales/leads", by=who))
            case "edit" | "restore_words":
                words = fresh if what == "edit" else "first words"
                # GitHub lets nobody change another's words who may not write.
                if words == issue.body or (who not in MAY and who != issue.author):
                    return
                self.edits.append((now, who))
                self.events.append(issue.edit(words, who))
            case "close" if issue.state == "open":
                self.events.append(issue.close(by=who))
            case "reopen" if issue.state == "closed":
                self.events.append(issue.reopen(by=who))
            case "comment":
                issue.updated_at = now
                return
            case _:
                return
        if who in MAY:
            self.vouched.append((issue.body, now))

    def authorised_label(self) -> bool:
        """Whether a label of work that an authorised person set is there now."""
        return any(self.set_by.get(label) in MAY for label in self.issue.labels)


def after(
    warehouse: Connect, acts: list[tuple[str, str, int]], fates: list[int], polls: set[int], author: str
) -> tuple[History, WorkOrder | None]:
    """Play a history; of each webhook `fates` says how many copies arrive and how late; poll after some of the acts,
    and at the end."""
    world = World()
    number = next(NUMBERS)
    issue = Issue(world, number, author, "t", "first words", created_at=world.now, updated_at=world.now)
    world.issues = {number: issue}
    history = History(issue)
    history.events.append(issue._event("opened", author))
    waiting: list[tuple[int, str, bytes]] = []
    told = 0
    for place, (what, who, minutes) in enumerate(acts):
        world.tick(minutes=minutes, seconds=1)
        history.act(what, who, world.now, f"words {place}")
        while told < len(history.events):
            fate = fates[told % len(fates)]
            copies, late = fate % 3, fate // 3
            event = json.dumps(history.events[told]).encode()
            waiting += [(place + late, f"{number}-{told}", event)] * copies
            told += 1
        for due in [each for each in waiting if each[0] <= place]:
            waiting.remove(due)
            with warehouse() as connection:
                intake.keep_delivery(connection, due[1], "issues", due[2], at=world.now)
        if place % 2:
            intake.take_deliveries(warehouse, POLICY, world, [REPOSITORY], at=world.now)
        if place in polls:
            _poll(warehouse, world)
    for _, delivery, event in reversed(waiting):
        with warehouse() as connection:
            intake.keep_delivery(connection, delivery, "issues", event, at=world.now)
    intake.take_deliveries(warehouse, POLICY, world, [REPOSITORY], at=world.now)
    world.tick(hours=2)
    _poll(warehouse, world)
    with warehouse() as connection:
        return history, of_issue(connection, REPOSITORY, number)


def _poll(warehouse: Connect, world: World) -> None:
    """A poll that lists this history's issue and no other's."""
    with warehouse() as connection:
        connection.execute("update ops.work_repositories set etag = null, polled_to = null, connected_at = null")
        connection.execute("update ops.work_issues set look_again = false where number <> all(%s)", ([*world.issues],))
        connection.execute(
            "update ops.work_orders set phase = 'withdrawn', reason = 'over', ended_at = now(), held_reason = null"
            " where number <> all(%s) and phase in ('queued', 'received')",
            ([*world.issues],),
        )
    (polled,) = intake.poll(warehouse, POLICY, world, [REPOSITORY], at=world.now)
    assert polled.error is None


histories = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from(["boss", "writer", "outsider", "triager"]), st.integers(0, 9)),
    min_size=1, max_size=9,
)  # fmt: skip
arrivals = st.lists(st.integers(0, 8), min_size=1, max_size=9)
moments = st.sets(st.integers(0, 9), max_size=3)


def check(history: History, work: WorkOrder | None) -> None:
    if work is None or work.phase in (*ENDED, Phase.RECEIVED):
        return
    assert history.issue.state == "open", "an open order of a closed issue"
    assert history.authorised_label(), "an order that no authorised label stands for"
    assert work.body in {words for words, _ in history.vouched}, "words nobody stood for"
    # Nor words that were changed by a stranger around the act itself: whoever acted may have read the ones before.
    assert work.body == history.issue.body, "the words are others by now"


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(histories, arrivals, moments, st.sampled_from(["outsider", "writer"]))
def test_nothing_is_begun_that_nobody_stood_for(
    warehouse: Connect, acts: list[tuple[str, str, int]], fates: list[int], polls: set[int], author: str
) -> None:
    check(*after(warehouse, acts, fates, polls, author))


@pytest.mark.slow
@settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(histories, arrivals, moments, st.sampled_from(["outsider", "writer"]))
def test_nothing_is_begun_that_nobody_stood_for_in_thousands(
    warehouse: Connect, acts: list[tuple[str, str, int]], fates: list[int], polls: set[int], author: str
) -> None:
    check(*after(warehouse, acts, fates, polls, author))


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(["comment", "priority", "accept"]), st.just("boss"), st.integers(3, 9)),
             max_size=4),
    arrivals, moments,
)  # fmt: skip
def test_what_an_authorised_person_plainly_asks_for_is_begun(
    warehouse: Connect, later: list[tuple[str, str, int]], fates: list[int], polls: set[int]
) -> None:
    """An issue of somebody who may, labelled by somebody who may, its words never touched."""
    history, work = after(warehouse, [("label", "boss", 5), *later], fates, polls, "writer")
    assert work is not None and work.phase is Phase.QUEUED and work.round == 1
    assert work.priority == ("P1" if "priority/P1" in history.issue.labels else "P2")
    # Its time counts from the label, or from when it was asked for as more urgent; never from when it was noticed.
    urgent = next((at for what, at in history.asked if what == "priority"), history.asked[0][1])
    assert work.clock_from == urgent

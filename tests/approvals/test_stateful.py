"""Any order of words, clocks, crashes and runs: what is done was approved, as it was shown, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ops_platform.approvals.execution import execute_approved
from ops_platform.approvals.model import Person
from ops_platform.failures import DataFailure, PermanentFailure, TransientFailure
from tests.approvals.notes import DANA, LEE, NOW, Notes, asked, inbox, posted, say

KIM = Person("kim", "Kim Osei", "slack:U0KIM")  # may decide nothing
PEOPLE = st.sampled_from([DANA, LEE, KIM])
NUMBERS = st.integers(1, 3)


class Requests(RuleBasedStateMachine):
    """The machine's own book: which payload each request showed at which version, who made it, what was approved."""

    connect: Any = None

    def __init__(self) -> None:
        super().__init__()
        with self.connect() as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(
                "truncate ops.approvals, ops.approval_versions, ops.approval_events, ops.outbox, ops.alerts cascade"
            )
            connection.execute("alter table ops.approvals alter column id restart with 1")
        self.notes = Notes()
        self.desk = inbox(self.notes)
        self.now = NOW
        self.keys = 0
        self.shown: dict[int, list[tuple[str, str, str]]] = {}  # number → (hash, text, maker) of each version
        self.open: set[int] = set()
        self.approved: dict[int, str] = {}  # number → text
        self.due: dict[int, Any] = {}

    @rule(subject=st.sampled_from("ab"), text=st.sampled_from(["One.", "Two.", "Three."]))
    def ask(self, subject: str, text: str) -> None:
        try:
            approval = asked(
                self.connect, self.desk, text, subject=subject, due_at=self.now + timedelta(hours=3), now=self.now
            )
        except DataFailure:
            return  # approved and not done yet
        versions = self.shown.setdefault(approval.id, [])
        if approval.id not in self.due:
            self.open.add(approval.id)
            self.due[approval.id] = approval.due_at
        if len(versions) < approval.version:
            versions.append((approval.payload_hash, text, "job"))

    @rule(number=NUMBERS, back=st.integers(0, 2), person=PEOPLE, what=st.sampled_from(["approve", "reject"]))
    def decide(self, number: int, back: int, person: Person, what: str) -> None:
        versions = self.shown.get(number, [])
        digest, text, _ = versions[-1 - back] if back < len(versions) else ("0" * 64, "", "")
        own = any(maker == person.id for _, _, maker in versions)
        allowed = (
            number in self.open and self.now < self.due[number] and back == 0 and bool(versions) and person is not KIM
            and not (own and what == "approve")
        )  # fmt: skip
        try:
            self.say(what, number, shown=digest, person=person)
        except DataFailure:
            assert not allowed
            return
        assert allowed
        self.open.discard(number)
        if what == "approve":
            self.approved[number] = text

    @rule(number=NUMBERS, text=st.sampled_from(["Edited.", "Changed.", "SHOUTED"]), person=PEOPLE)
    def edit(self, number: int, text: str, person: Person) -> None:
        versions = self.shown.get(number, [])
        digest = versions[-1][0] if versions else "0" * 64
        try:
            done = self.say("edit", number, shown=digest, texts={"text": text}, person=person)
        except DataFailure:
            return
        assert number in self.open and self.now < self.due[number] and person is not KIM and text != "SHOUTED"
        if done.changed:
            versions.append((done.approval.payload_hash, text, person.id))

    @rule(number=NUMBERS, person=PEOPLE)
    def comment(self, number: int, person: Person) -> None:
        try:
            self.say("comment", number, words="Hm.", person=person)
        except DataFailure:
            assert number not in self.shown

    @rule(failure=st.sampled_from([None, TransientFailure("away"), PermanentFailure("gone")]))
    def execute(self, failure: Any) -> None:
        self.notes.failures = [failure] if failure is not None else []
        execute_approved(self.connect, self.desk, self.now)
        self.notes.failures = []

    @rule(number=NUMBERS)
    def retry(self, number: int) -> None:
        try:
            self.say("retry", number)
        except DataFailure:
            pass
        else:
            assert number in self.approved

    @rule(hours=st.integers(1, 2))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def sweep(self) -> None:
        with self.connect() as connection:
            gone = self.desk.expire_due(connection, self.now)
        assert all(self.due[number] <= self.now for number in gone)
        self.open -= set(gone)

    def say(self, what: str, number: int, **given: Any) -> Any:
        self.keys += 1
        return say(self.connect, self.desk, what, number, key=f"k{self.keys}", now=self.now, **given)

    @invariant()
    def what_is_done_was_approved_once_as_shown(self) -> None:
        done = posted(self.connect)
        with self.connect() as connection:
            rows = connection.execute("select id, state from ops.approvals order by id").fetchall()
        states = dict(rows)
        sent = [number for number, state in states.items() if state == "sent"]
        assert sorted(done) == sorted(self.approved[number] for number in sent)
        for number, state in states.items():
            assert (number in self.approved) == (state in ("approved", "sent", "failed"))


@pytest.mark.parametrize("examples", [3, pytest.param(150, marks=pytest.mark.slow)])
def test_any_order_of_things(warehouse: Any, examples: int) -> None:
    machine = type("Bound", (Requests,), {"connect": staticmethod(warehouse)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck),
            derandomize=True, database=None,
        ),
    )  # fmt: skip

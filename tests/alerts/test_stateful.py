"""Any order of looks, silences, people, crashes and repetitions: no illegal way, no lost end, no second message.

The machine drives real turns on a real Postgres; what must be so is kept beside it by hand, in a few lines that know
nothing of the machine: who is out, and since how many clear looks.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ops_platform.alerts.actions import Action, Request, act
from ops_platform.alerts.announcement import Announcement, Composed, Kind
from ops_platform.alerts.cycle import handle
from ops_platform.alerts.grouping import Relations
from ops_platform.alerts.outcome import Outcome
from ops_platform.alerts.signal import Signal, SubjectKind
from ops_platform.failures import DataFailure
from ops_platform.fleet import Fleet
from ops_platform.watch.tree import MetricTree
from tests.alerts.conftest import EMPTY
from tests.alerts.scenes import CHANNELS, MORNING, compose, fleet, signal

MINUTE = timedelta(minutes=1)
# Every way there is, written out by hand.
WAYS = {
    ("quiet", "pending"), ("resolved", "pending"), ("lapsed", "pending"), ("pending", "open"), ("pending", "lapsed"),
    ("open", "worsening"), ("worsening", "worsening"), ("worsening", "open"), ("open", "recovering"),
    ("worsening", "recovering"), ("recovering", "open"), ("recovering", "resolved"),
}  # fmt: skip
NAMES = ["a", "b", "c", "d"]
RESOLVE = 2
INTERVAL = 15
ENDS = ("resolved", "unseen")


class CrashError(BaseException):
    """The process ends here: nothing of the turn is kept."""


@dataclass
class Truth:
    """Whether a subject is out, by the book: out with a breach, in again after so many clear looks in a row."""

    out: bool = False
    breached: bool = False
    clear: int = 0

    def look(self, found: str, resolve: int) -> None:
        if found == "breached":
            self.out, self.breached, self.clear = True, True, 0
        elif found == "clear":
            self.breached, self.clear = False, self.clear + 1
            if self.clear >= resolve:
                self.out = False


class Days(RuleBasedStateMachine):
    connect: Any
    company: Fleet
    by_the_book: bool

    def __init__(self) -> None:
        super().__init__()
        with self.connect() as connection:
            connection.execute(EMPTY.encode())
        self.now = MORNING
        self.truth = {name: Truth() for name in [*NAMES, "s.x"]}
        self.last: list[Signal] = []
        self.keys = 0
        tree = MetricTree.of({"a": [{"product": ["b", "c"]}]})
        self.relations = Relations(tree, {"rule_a": {"a"}})

    def signal(self, name: str, found: str, severity: str, closeness: str) -> Signal:
        source = name == "s.x"
        near = closeness if found == "breached" else "0.1" if found == "clear" else None
        return signal(
            name, found, (self.now - MORNING).days, kind="source" if source else "metric", at=self.now,
            severity="alert" if source else severity, closeness=near, depends_on=("s.x",) if name in "ab" else (),
        )  # fmt: skip

    def turn(self, signals: list[Signal], composer: Any = compose) -> Outcome:
        with self.connect() as connection:
            outcome = handle(
                connection, signals, self.now, fleet=self.company, compose=composer, channels=CHANNELS.__getitem__,
                relations=self.relations,
            )  # fmt: skip
        self.check_silences(outcome)
        return outcome

    def check_silences(self, outcome: Outcome) -> None:
        told = Counter(
            (incident.id, one.announcement.channel_key)
            for one in outcome.told
            for incident in one.announcement.incidents
        )
        assert all(count == 1 for count in told.values()), told
        muted = self.muted
        for one in outcome.told:
            for incident in one.announcement.incidents:
                assert {key.split(":")[1] for key in incident.members} - muted, (one, muted)
                ends = one.announcement.kind in ENDS or incident.state == "resolved"
                # A person's silence holds, but for the end and for what became critical.
                assert incident.id not in self.silent or ends or incident.severity == "critical", (one, self.silent)

    @property
    def muted(self) -> set[str]:
        from ops_platform.clock import business_day

        today = business_day(self.now, self.company.company.timezone)
        with self.connect() as connection:
            rows = connection.execute(
                "select name from ops.alert_mutes where ended_at is null and %s between first_day and last_day",
                (today,),
            ).fetchall()
        return {name for (name,) in rows}

    @property
    def silent(self) -> set[int]:
        from ops_platform.clock import business_day

        today = business_day(self.now, self.company.company.timezone)
        with self.connect() as connection:
            rows = connection.execute("select id from ops.alerts where snoozed_until > %s", (today,)).fetchall()
        return {number for (number,) in rows}

    looks = st.lists(
        st.tuples(
            st.sampled_from([*NAMES, "s.x"]), st.sampled_from(["breached", "breached", "clear", "clear", "unknown"]),
            st.sampled_from(["watch", "alert", "critical"]), st.sampled_from(["1.2", "2", "5"]),
        ),
        min_size=1, max_size=5, unique_by=lambda look: look[0],
    )  # fmt: skip

    @initialize()
    def begin(self) -> None:
        self.turn([])

    @rule(given=looks, minutes=st.sampled_from([1, 20, 90]), crash=st.booleans())
    def look(self, given: list[tuple[str, str, str, str]], minutes: int, crash: bool) -> None:
        self.now += minutes * MINUTE
        self.last = [self.signal(*one) for one in given]
        found = {one[0]: one[1] for one in given}
        if "s.x" in found:
            self.truth["s.x"].look(found["s.x"], 1)
        for name, what in found.items():
            if name != "s.x" and not (name in "ab" and self.truth["s.x"].breached):
                self.truth[name].look(what, RESOLVE)
        if crash:
            before = self.fingerprint()

            def dying(connection: Any, announcement: Announcement) -> Composed:
                compose(connection, announcement)
                raise CrashError

            try:
                self.turn(self.last, dying)
            except CrashError:
                assert self.fingerprint() == before
        self.turn(self.last)

    @rule()
    def the_same_again(self) -> None:
        self.turn([])  # what a person's silence held back, and no longer does
        # What nobody can judge for two days is said when it is looked at, and the time may have come meanwhile.
        due = self.turn(self.last)
        assert {told.announcement.kind for told in due.told} <= {Kind.BLIND}
        before = self.fingerprint()
        outcome = self.turn(self.last)
        assert outcome.told == []
        assert self.fingerprint() == before

    @rule(minutes=st.sampled_from([5, 30, 60 * 26]))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        self.turn([])

    @rule(
        action=st.sampled_from([Action.ACKNOWLEDGE, Action.ASSIGN, Action.SNOOZE, Action.UNSNOOZE, Action.NOISE]),
        pick=st.integers(0, 50), twice=st.booleans(),
    )  # fmt: skip
    def somebody_acts(self, action: Action, pick: int, twice: bool) -> None:
        from ops_platform.alerts.policy import business_calendar

        with self.connect() as connection:
            ids = [number for (number,) in connection.execute("select id from ops.alerts order by id").fetchall()]
        if not ids:
            return
        until = business_calendar(self.company.alerts).next_business_day(self.now.date(), 2)
        self.keys += 1
        request = Request(
            action, "kim", "cli", f"key {self.keys}", alert_id=ids[pick % len(ids)], assignee="lee", until=until
        )
        try:
            first = self.act(request)
        except DataFailure:
            return
        if twice:
            again = self.act(request)
            assert (again.words, again.replayed, again.changed) == (first.words, True, False)

    @rule(name=st.sampled_from(NAMES), days=st.integers(0, 3), off=st.booleans())
    def somebody_mutes(self, name: str, days: int, off: bool) -> None:
        self.keys += 1
        last_day = self.now.date() + timedelta(days=days)
        request = Request(
            Action.UNMUTE if off else Action.MUTE, "kim", "cli", f"key {self.keys}", kind=SubjectKind.METRIC,
            name=name, last_day=last_day,
        )  # fmt: skip
        with suppress(DataFailure):  # of what nobody has looked at yet
            self.act(request)

    def act(self, request: Request) -> Any:
        with self.connect() as connection:
            return act(connection, request, self.now, fleet=self.company)

    def fingerprint(self) -> list[Any]:
        with self.connect() as connection:
            return [
                connection.execute(query).fetchall()
                for query in (
                    "select dedupe_key, payload from ops.outbox order by 1",
                    "select id, state, told_at, told_state, members.list from ops.alerts cross join lateral (select"
                    " array_agg(subject order by subject) as list from ops.alert_members as m where m.alert_id"
                    " = alerts.id) as members order by id",
                    "select subject, state, episode, looks from ops.alert_conditions order by 1",
                    "select count(*) from ops.alert_events",
                )
            ]

    @invariant()
    def only_ways_there_are(self) -> None:
        with self.connect() as connection:
            rows = connection.execute(
                "select coalesce(subject, '#' || alert_id), from_state, to_state from ops.alert_events"
                " where to_state is not null and from_state is not null order by id"
            ).fetchall()
        at: dict[str, str] = {}
        for who, before, after in rows:
            assert (before, after) in WAYS, (who, before, after)
            assert at.get(who, before) == before, f"{who} was {at[who]}, not {before}"
            at[who] = after

    @invariant()
    def each_incident_begins_once_and_ends_once(self) -> None:
        with self.connect() as connection:
            rows = connection.execute(
                "select alert_id, event, outbox_id, at from ops.alert_events where event like 'told%%' order by id"
            ).fetchall()
            threads = connection.execute(
                "select alert_id, count(*), count(distinct channel_key) from ops.alert_threads group by 1"
            ).fetchall()
            keys = connection.execute("select dedupe_key from ops.outbox").fetchall()
        assert len(set(keys)) == len(keys)
        for number, count, channels in threads:
            assert count == channels, f"#{number} has two threads in one channel"
        told: dict[int, list[tuple[str, datetime]]] = {}
        for number, event, _, at in rows:
            told.setdefault(number, []).append((event.removeprefix("told_"), at))
        for number, said in told.items():
            names = [name for name, _ in said]
            assert names[0] in ("opened", "storm", "storm_update"), (number, names)
            assert names.count("opened") <= 1, (number, names)
            ends = [(index, at) for index, (name, at) in enumerate(said) if name in ENDS]
            if ends:
                assert {at for _, at in ends} == {ends[0][1]}, (number, said)
                assert all(at == ends[0][1] for _, at in said[ends[0][0] :]), (number, said)
            moments = sorted({at for _, at in said})
            for earlier, later in pairwise(moments):
                assert later - earlier >= INTERVAL * MINUTE, (number, said)

    @invariant()
    def what_is_out_stands_and_what_is_in_does_not(self) -> None:
        if not self.by_the_book:
            return
        with self.connect() as connection:
            rows = connection.execute(
                "select name, state in ('open', 'worsening', 'recovering') from ops.alert_conditions"
            ).fetchall()
        standing = dict(rows)
        for name, truth in self.truth.items():
            assert standing.get(name, False) == truth.out, (name, truth)

    def teardown(self) -> None:
        """When all is well and every silence is over, whoever was told of a beginning has been told of its end."""
        for _ in range(6):
            self.now += timedelta(days=4)
            self.turn([self.signal(name, "clear", "alert", "0.1") for name in ["s.x", *NAMES]])
        with self.connect() as connection:
            rows = connection.execute(
                """select alerts.id, alerts.state, alerts.first_told_at is not null,
                       (select count(*) from ops.alert_events as e
                        where e.alert_id = alerts.id and e.event in ('told_resolved', 'told_storm_update')
                          and e.at >= alerts.resolved_at),
                       (select count(*) from ops.alert_threads as t where t.alert_id = alerts.id)
                   from ops.alerts"""
            ).fetchall()
        for number, state, told, ends, threads in rows:
            assert state == "resolved", number
            assert ends == threads if told else ends == 0, (number, told, ends, threads)
        self.only_ways_there_are()
        self.each_incident_begins_once_and_ends_once()


CALM = {
    "group_interval_minutes": INTERVAL, "unseen_days": 3000, "storm": {"after": 10_000},
    "persistence": {
        kind: {"resolve": RESOLVE if kind == "metric" else 1, "look": "moment"}
        for kind in ("metric", "threshold", "source", "tie_out", "job")
    },
}  # fmt: skip
RESTLESS = {**CALM, "storm": {"after": 1, "interval_minutes": 45}, "flapping": {"after": 2, "resolve": 3}}


def days(connect: Any, policy: dict[str, Any]) -> type[Days]:
    settled: dict[str, Any] = {
        "connect": staticmethod(connect), "company": fleet(**{"flapping": {"after": 10_000}, **policy}),
        "by_the_book": policy is CALM,
    }  # fmt: skip
    return type("DaysHere", (Days,), settled)


def run(connect: Any, policy: dict[str, Any], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        days(connect, policy),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


@pytest.mark.parametrize("policy", [CALM, RESTLESS], ids=["calm", "restless"])
def test_any_order_of_days(warehouse: Any, policy: dict[str, Any]) -> None:
    run(warehouse, policy, 5, 12)


@pytest.mark.slow
@pytest.mark.parametrize("policy", [CALM, RESTLESS], ids=["calm", "restless"])
def test_any_order_of_days_for_long(warehouse: Any, policy: dict[str, Any]) -> None:
    run(warehouse, policy, 150, 30)

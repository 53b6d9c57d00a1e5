"""Who is told when: each rung once and at its moment, every breach, and lateness said before it happens."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_platform.work_orders import ladder, store
from ops_platform.work_orders.forecast import Durations, durations, forecasts, foresee
from ops_platform.work_orders.model import Manager, Phase, Priority, WorkOrder
from ops_platform.work_orders.receiving import receive
from ops_platform.work_orders.rows import listed, load
from tests.conftest import Connect
from tests.sizes import examples
from tests.work_orders.policy_scene import POLICY, START, World, rows, seen

NUMBERS = itertools.count(1000)


def labelled(warehouse: Connect, world: World, *labels: str) -> int:
    issue = world.open()
    with warehouse() as connection:
        for label in labels:
            made = receive(connection, seen(world, issue.label(label)), POLICY, at=world.now)
    assert made.work is not None
    return made.work.id


def told(warehouse: Connect, world: World) -> list[tuple[str, str]]:
    with warehouse() as connection:
        return [(each.step.name, each.recipient) for each in ladder.take(connection, POLICY, at=world.now)]


def watch(warehouse: Connect, world: World, minutes: int, every: int = 1) -> list[tuple[int, str, str]]:
    """Look every so many minutes; what was told after how many minutes."""
    found = []
    for passed in range(0, minutes + 1, every):
        found += [(passed, *each) for each in told(warehouse, world)]
        world.tick(minutes=every)
    return found


def test_an_unanswered_p1_is_told_rung_by_rung(warehouse: Connect) -> None:
    """Four hours, looked at every four minutes: a reminder at three, the deputy at 3 h 36, breach and manager next."""
    world = World()
    work_id = labelled(warehouse, world, "sales/leads", "priority/P1")
    with warehouse() as connection:
        store.claim(connection, work_id, "worker", 10**6, at=world.now)
    found = [each for each in watch(warehouse, world, 400, every=4) if each[1] != "late_ahead"]
    assert found == [
        (180, "three_quarters", "lee"), (216, "nearly_used", "dana"), (244, "breached", "lee"),
        (244, "escalated_at_once", "dana"),
    ]  # fmt: skip


def test_a_breach_is_told_even_if_the_answer_came_before_anybody_looked(warehouse: Connect) -> None:
    world = World()
    work_id = labelled(warehouse, world, "priority/P2")
    world.tick(hours=24, minutes=1)
    with warehouse() as connection:
        store.claim(connection, work_id, "worker", 60, at=world.now)
        store.finish(connection, work_id, "worker", "done", "posted", at=world.now)
    world.tick(minutes=5)
    assert told(warehouse, world) == [("breached", "dana")]
    assert told(warehouse, world) == []
    words = rows(warehouse, "select words from ops.work_notices")
    assert words == [("P2 northbeam/operations#1 (ai-operations) was answered 1 min after its time.",)]


def test_one_in_time_is_told_nothing(warehouse: Connect) -> None:
    world = World()
    work_id = labelled(warehouse, world, "priority/P2")
    world.tick(hours=24)
    with warehouse() as connection:
        store.claim(connection, work_id, "worker", 60, at=world.now)
        store.finish(connection, work_id, "worker", "done", "posted", at=world.now)
    world.tick(days=2)
    assert told(warehouse, world) == []


def test_after_a_night_without_anybody_looking_only_what_still_matters_is_told(warehouse: Connect) -> None:
    """Both reminders are long due: the last is told, the other passed over. Once it is over, neither."""
    world = World()
    for _ in range(2):
        work_id = labelled(warehouse, world, "priority/P2")
        with warehouse() as connection:
            store.claim(connection, work_id, "worker", 10**6, at=world.now)
    world.tick(hours=23)
    assert sorted({step for step, _ in told(warehouse, world)} - {"late_ahead"}) == ["nearly_used"]
    assert rows(warehouse, "select step, told from ops.work_notices where step = 'three_quarters'") == [
        ("three_quarters", False)
    ] * 2  # fmt: skip
    world.tick(hours=10)
    assert {step for step, _ in told(warehouse, world)} == {"breached", "escalated"}


def test_a_failed_order_still_breaches(warehouse: Connect) -> None:
    world = World()
    work_id = labelled(warehouse, world, "priority/P0")
    with warehouse() as connection:
        store.claim(connection, work_id, "worker", 600, at=world.now)
        store.fail(connection, work_id, "worker", store.class_of(ValueError()), "broke", policy=POLICY, at=world.now)
    world.tick(hours=2)
    assert [step for step, _ in told(warehouse, world)] == ["breached", "escalated_at_once"]
    assert "has failed" in rows(warehouse, "select words from ops.work_notices")[0][0]


def test_a_clock_that_stands_still_tells_nothing(warehouse: Connect) -> None:
    world = World()
    work_id = labelled(warehouse, world, "priority/P1")
    with warehouse() as connection:
        store.pause(connection, work_id, "waits for the carrier", "dana", policy=POLICY, at=world.now)
    assert watch(warehouse, world, 1000, every=50) == []
    with warehouse() as connection:
        work = store.resume(connection, work_id, "dana", policy=POLICY, at=world.now)
    assert work.due_at == world.now + timedelta(hours=4)


def test_lateness_is_said_before_it_happens(warehouse: Connect) -> None:
    """Forty P1 for an agent that takes two at once and twenty minutes each: half of them cannot be in time, and that is
    said at the beginning. The first ones are not spoken of."""
    world = World()
    with warehouse() as connection:
        _past(connection, world, "ai-sales", minutes=20, times=20)
    for _ in range(40):
        labelled(warehouse, world, "sales/leads", "priority/P1")
    with warehouse() as connection:
        found = ladder.take(connection, POLICY, at=world.now)
    # Two at once, twenty minutes each: the 23rd and 24th end at 4 h, which is late with five minutes' margin. The
    # first issue is that of the past.
    late = sorted(each.work.number for each in found)
    assert {each.step.name for each in found} == {"late_ahead"}
    assert late == list(range(24, 42))
    assert "ahead of it" in found[0].words and found[0].forecast is not None
    assert told(warehouse, world) == []


def _past(connection: Any, world: World, agent: str, *, minutes: float, times: int) -> None:
    """An order of the past, with attempts that took so long."""
    made = receive(connection, seen(world, world.open().label(f"agent/{agent}")), POLICY, at=world.now)
    assert made.work is not None
    store.withdraw(connection, made.work.id, "over", "boss", at=world.now)
    for attempt in range(1, times + 1):
        connection.execute(
            """insert into ops.work_attempts (work_id, attempt, holder, agent, priority, started_at, ended_at, outcome)
               values (%s, %s, 'w', %s, 'P1', %s, %s, 'answered')""",
            (made.work.id, attempt, agent, world.now - timedelta(days=1),
             world.now - timedelta(days=1) + timedelta(minutes=minutes)),
        )  # fmt: skip


def test_a_storm_of_orders_is_no_storm_of_messages(warehouse: Connect) -> None:
    """Thirty orders over their time: one message to each who is told, and every one is written down."""
    world = World()
    for number in range(30):
        labelled(warehouse, world, "agent/sales" if number % 3 else "agent/finance", "priority/P0")
    world.tick(hours=2)
    with warehouse() as connection:
        taken = ladder.take(connection, POLICY, at=world.now)
    made = ladder.gathered(taken)
    assert len(taken) == 60
    assert sorted((told.recipient, told.does, len(told.notices)) for told in made) == [
        ("dana", "breach", 10), ("dana", "escalate", 30), ("lee", "breach", 20),
    ]  # fmt: skip
    escalated = next(told for told in made if told.does == "escalate")
    assert escalated.title == "30 work orders are over their time and escalated"
    assert "20 of ai-sales, 10 of ai-finance" in escalated.words
    assert [len(ladder.gathered(taken[:few])) for few in (0, 1)] == [0, 1]


# The forecast ---------------------------------------------------------------------------------------------------------


def test_durations_come_from_the_nearest_group_with_enough_of_them(warehouse: Connect) -> None:
    world = World()
    with warehouse() as connection:
        _past(connection, world, "ai-sales", minutes=20, times=6)
        _past(connection, world, "ai-finance", minutes=90, times=3)
        past = durations(connection, POLICY, at=world.now)
    assert past.of("ai-sales", Priority.P1, POLICY) == (timedelta(minutes=20), "ai-sales's P1")
    assert past.of("ai-sales", Priority.P3, POLICY) == (timedelta(minutes=20), "ai-sales's orders")
    span, basis = past.of("ai-finance", Priority.P1, POLICY)  # three are too few: all P1, 80th percentile of nine
    assert basis == "all P1" and timedelta(minutes=20) < span <= timedelta(minutes=90)
    assert past.of("ai-qa", Priority.P2, POLICY) == (timedelta(minutes=3), "the policy's expectation")


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(st.sampled_from(list(Priority)), min_size=1, max_size=12),
    st.fixed_dictionaries({priority: st.integers(1, 60) for priority in Priority}),
    st.integers(1, 3),
)
def test_the_queue_is_played_forward_as_it_is_by_the_minute(
    priorities: list[Priority], lengths: dict[Priority, int], limit: int
) -> None:
    """Each minute, whoever has free hands takes the next order."""
    policy = POLICY.model_copy(
        update={
            "agents": {"ai-sales": POLICY.agents["ai-sales"].model_copy(update={"limit": limit})},
            "forecast": POLICY.forecast.model_copy(update={"margin": timedelta(0)}),
        }
    )
    waiting = [_paper(number, priority) for number, priority in enumerate(priorities)]
    past = Durations(by_priority={priority: timedelta(minutes=length) for priority, length in lengths.items()})
    made = {each.work_id: each.ends_at for each in foresee(waiting, {}, past, policy, START).values()}

    queue = sorted(waiting, key=lambda work: (work.priority, work.due_at, work.id))
    hands, ends, minute = [0] * limit, {}, 0
    while queue:
        for hand in range(limit):
            if hands[hand] == 0 and queue:
                work = queue.pop(0)
                hands[hand] = lengths[work.priority]
                ends[work.id] = START + timedelta(minutes=minute + hands[hand])
        hands = [max(0, left - 1) for left in hands]
        minute += 1
    assert made == ends


def _paper(number: int, priority: Priority) -> WorkOrder:
    """An order that waits, on paper."""
    return WorkOrder(
        id=number + 1, repository="a/b", number=number + 1, round=1, issue_id=None, node_id=None, title="t", body="b",
        body_hash="0" * 64, labels=(), assignees=(), author="x", labelled_by="boss", labelled_at=START,
        routed_by="l", agent="ai-sales", priority=priority, approver=None, phase=Phase.QUEUED,
        manager=Manager.NONE, held_reason=None, attempt=0, launches=0, received_at=START, clock_from=START,
        calendar="always", sla_minutes=60, queued_at=START, due_at=START + timedelta(hours=24 - number % 5),
        paused_since=None, not_before=None,
        started_at=None, answered_at=None, ended_at=None, lease_holder=None, lease_until=None, outcome=None,
        reason=None, failure_class=None, revision_note=None, document_id=None, tokens=0, cost=Decimal(0),
        updated_at=START,
    )  # fmt: skip


# Whatever happens ---------------------------------------------------------------------------------------------------


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["P0", "P1", "P2"]),
    st.lists(st.tuples(st.integers(1, 300), st.sampled_from(["look", "look", "pause", "resume", "answer"])),
             min_size=3, max_size=12),
)  # fmt: skip
def test_each_rung_is_told_at_most_once_and_a_breach_exactly_when_it_happened(
    warehouse: Connect, priority: str, events: list[tuple[int, str]]
) -> None:
    world = World()
    # Each example has an issue of its own number in the same database.
    world.first = next(NUMBERS)
    work_id = labelled(warehouse, world, f"priority/{priority}")
    allowed = {"P0": 60, "P1": 240, "P2": 1440}[priority]
    used, running, answered = 0, True, False
    seen_rungs: list[str] = []
    for minutes, event in events:
        world.tick(minutes=minutes)
        used += minutes if running and not answered else 0
        with warehouse() as connection:
            if event == "pause" and running and not answered:
                store.pause(connection, work_id, "waits", "dana", policy=POLICY, at=world.now)
                running = False
            elif event == "resume" and not running and not answered:
                store.resume(connection, work_id, "dana", policy=POLICY, at=world.now)
                running = True
            elif event == "answer" and running and not answered:
                store.claim(connection, work_id, "w", 60, at=world.now)
                store.finish(connection, work_id, "w", "done", "posted", policy=POLICY, at=world.now)
                answered = True
            rungs = [each for each in ladder.take(connection, POLICY, at=world.now) if each.work.id == work_id]
        seen_rungs += [each.step.name for each in rungs]
        for each in rungs:
            if each.step.does == "breach":
                assert used > allowed
            elif each.step.used is not None:
                assert used * 100 >= allowed * each.step.used and used <= allowed and not answered
    assert len(seen_rungs) == len(set(seen_rungs))
    assert ("breached" in seen_rungs) == (used > allowed)


def test_the_queue_is_listed_most_urgent_first(warehouse: Connect) -> None:
    world = World()
    for label in ("priority/P3", "priority/P0", "priority/P2", "priority/P0"):
        labelled(warehouse, world, label)
        world.tick(minutes=1)
    with warehouse() as connection:
        assert [work.number for work in listed(connection)] == [2, 4, 3, 1]
        assert [load(connection, each).priority for each in (1, 2)] == ["P3", "P0"]
        assert set(forecasts(connection, POLICY, at=world.now)) == {1, 2, 3, 4}

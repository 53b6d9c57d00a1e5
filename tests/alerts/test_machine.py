"""The pure step of one subject, and the policy it goes by."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ops_platform.alerts import machine
from ops_platform.alerts.grouping import Relations
from ops_platform.alerts.machine import Condition, Event, IllegalTransitionError, State
from ops_platform.alerts.policy import business_calendar, channel_of, kept_by_offices, persistence_of
from ops_platform.alerts.signal import Severity, Subject, SubjectKind
from ops_platform.fleet.alert_policy import AlertPolicy, Persistence
from ops_platform.watch.tree import MetricTree
from tests.alerts.scenes import DAY, MORNING, fleet, signal

FACTOR = Decimal("1.5")
FOUND = st.sampled_from(["breached", "clear", "unknown"])


def walk(rule: Persistence, found: list[str]) -> tuple[Condition, list[Event]]:
    condition = Condition()
    events: list[Event] = []
    for day, what in enumerate(found):
        step = machine.step(condition, signal(day=day, found=what), rule, worsening=FACTOR)
        condition, events = step.condition, [*events, *step.events]
    return condition, events


def test_a_transition_that_is_not_in_the_table_is_refused() -> None:
    for state in State:
        for event in Event:
            if (state, event) not in machine.TRANSITIONS:
                with pytest.raises(IllegalTransitionError):
                    machine.after(state, event)
    with pytest.raises(IllegalTransitionError):
        machine.route(State.OPEN, State.QUIET)
    assert machine.route(State.OPEN, State.RESOLVED) == (Event.EASED, Event.RESOLVED)
    assert machine.route(State.RECOVERING, State.WORSENING) == (Event.RELAPSED, Event.WORSENED)


@given(found=st.lists(FOUND, max_size=40), wanted=st.integers(1, 4), more=st.integers(0, 3), resolve=st.integers(1, 4))
def test_it_opens_with_k_of_n_and_ends_with_so_many_clear_in_a_row(
    found: list[str], wanted: int, more: int, resolve: int
) -> None:
    """Against the words of the policy: of the last n looks of the episode k breached; m clear ones in a row."""
    rule = Persistence(open=wanted, of=wanted + more, resolve=resolve, look="day")
    condition = Condition()
    episode: list[str] = []
    standing = False
    for day, what in enumerate(found):
        condition = machine.step(condition, signal(day=day, found=what), rule, worsening=FACTOR).condition
        if what == "unknown":
            assert condition.unknown_since is not None
            continue
        assert condition.unknown_since is None
        episode.append(what)
        if not standing:
            while episode and episode[0] != "breached":
                episode.pop(0)
            if episode[-rule.of :].count("breached") >= wanted:
                standing = True
            elif condition.state is State.LAPSED:
                # It may lapse only when none of these breaches could count at the next look.
                kept = episode[-(rule.of - 1) :] if rule.of > 1 else []
                assert kept.count("breached") == 0
                episode = []
        elif len(episode) >= resolve and set(episode[-resolve:]) == {"clear"}:
            standing, episode = False, []
        assert (condition.state in machine.STANDING) == standing


@given(found=st.lists(FOUND, min_size=1, max_size=12), again=st.integers(0, 11))
def test_a_look_taken_again_changes_nothing(found: list[str], again: int) -> None:
    rule = Persistence(open=1, of=2, resolve=2, look="day")
    condition, _ = walk(rule, found)
    day = min(again, len(found) - 1)
    step = machine.step(condition, signal(day=day, found=found[day]), rule, worsening=FACTOR)
    assert step.events == ()
    assert step.condition == condition


def test_a_walk_through_every_state() -> None:
    rule = Persistence(open=2, of=3, resolve=2, look="day")
    found = ["clear", "breached", "clear", "breached", "breached", "clear", "breached", "clear", "clear", "breached"]
    condition, events = walk(rule, found)
    assert [event.value for event in events] == [
        "noticed", "opened", "eased", "relapsed", "eased", "resolved", "noticed",
    ]  # fmt: skip
    assert (condition.state, condition.episode) == (State.PENDING, 2)


def test_worse_is_louder_or_further_than_told_and_not_every_wobble() -> None:
    rule = Persistence()
    condition = Condition()
    events: list[tuple[Event, ...]] = []
    for hour, (closeness, money) in enumerate(
        [("2", "-100"), ("2.9", "-140"), ("3", "-120"), ("3.1", "-160"), ("4.5", "-1")]
    ):
        look = signal(kind="threshold", at=MORNING + timedelta(hours=hour), closeness=closeness, money=money)
        step = machine.step(condition, look, rule, worsening=FACTOR)
        condition, events = step.condition, [*events, step.events]
    assert events[1:] == [(), (Event.WORSENED,), (Event.STEADIED,), (Event.WORSENED,)]
    louder = signal(kind="threshold", at=MORNING + DAY, closeness="1.1", severity="critical")
    assert machine.step(condition, louder, rule, worsening=FACTOR).events == (Event.WORSENED,)


def test_the_longest_exception_that_fits_wins() -> None:
    policy = AlertPolicy(
        exceptions={"metric:refunds": Persistence(of=3), "metric:refunds:channel:amazon": Persistence(of=5)}
    )
    whole = Subject(SubjectKind.METRIC, "refunds")
    assert persistence_of(policy, whole).of == 3
    assert persistence_of(policy, Subject(SubjectKind.METRIC, "refunds", "channel", "amazon")).of == 5
    assert persistence_of(policy, Subject(SubjectKind.METRIC, "refunds", "channel", "shop")).of == 3
    assert persistence_of(policy, Subject(SubjectKind.THRESHOLD, "refunds")).of == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"persistence": {"metric": {"open": 3, "of": 2}}},
        {"persistence": {"metric": {}}},
        {"exceptions": {"net_sales": {}}},
        {"worsening_factor": 1},
        {"working_days": [0]},
        {"colour": "red"},
    ],
)
def test_a_policy_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AlertPolicy.model_validate(wrong)


def test_the_shipped_policy_is_the_default_written_out() -> None:
    from ops_platform.fleet import load_fleet
    from ops_platform.settings import PROJECT_ROOT, Settings

    fleet = load_fleet(PROJECT_ROOT / "fleet.yaml", Settings())
    assert fleet.alerts.model_copy(update={"exceptions": {}}) == AlertPolicy()
    # What single rules ask for beyond it names rules there are.
    named = {f"threshold:{name}" for name in fleet.alert_rules}
    assert set(fleet.alerts.exceptions) <= named | {"threshold:fleet_health"}  # a score, and no rule's


def test_business_days_are_the_offices() -> None:
    calendar = business_calendar(AlertPolicy())
    assert not calendar.is_business_day(date(2026, 11, 26))  # Thanksgiving
    assert calendar.is_business_day(date(2026, 11, 27))  # Black Friday is for shopping
    # Independence Day of 2026 is a Saturday: offices keep the Friday.
    assert not calendar.is_business_day(date(2026, 7, 3))
    assert calendar.next_business_day(date(2026, 7, 2)) == date(2026, 7, 6)
    assert calendar.next_business_day(date(2026, 11, 25), 2) == date(2026, 11, 30)
    assert list(kept_by_offices([date(2023, 1, 1)])) == [date(2023, 1, 1), date(2023, 1, 2)]


def test_channels_by_severity_and_owner() -> None:
    company = fleet()
    assert channel_of(company, Severity.CRITICAL, "sales") == channel_of(company, Severity.ALERT, None) == "alerts"
    assert channel_of(company, Severity.WATCH, "coordinator") == "team"
    assert channel_of(company, Severity.WATCH, "nobody") == "team"


METRICS = st.sampled_from(["a", "b", "c", "d", "e"])
SUBJECTS = st.builds(
    lambda kind, name, part: Subject(kind, name, *part),
    st.sampled_from(SubjectKind), METRICS, st.sampled_from([("all", "all"), ("channel", "x"), ("channel", "y")]),
)  # fmt: skip


@given(subjects=st.lists(SUBJECTS, unique=True, max_size=12))
def test_groups_are_a_partition_and_nobody_related_is_parted(subjects: list[Subject]) -> None:
    tree = MetricTree.of({"a": [{"product": ["b", "c"]}], "b": [{"sum": ["d", "e"]}]})
    relations = Relations(tree, {"a": {"d"}})
    groups = relations.groups(subjects)
    assert sorted(one.key for group in groups for one in group) == sorted(one.key for one in subjects)
    of = {one.key: number for number, group in enumerate(groups) for one in group}
    for one in subjects:
        for other in subjects:
            assert relations.related(one, other) == relations.related(other, one)
            if relations.related(one, other):
                assert of[one.key] == of[other.key]

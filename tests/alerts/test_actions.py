"""What people do: once for its key, on exactly one alert, in the audit; and what silence it brings, and ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

from ops_platform.alerts.actions import Action, Done, Request, act
from ops_platform.alerts.signal import SubjectKind
from ops_platform.failures import DataFailure
from ops_platform.fleet import Fleet
from tests.alerts.conftest import EMPTY
from tests.alerts.scenes import DAY, MORNING, compose, fleet, kinds, outbox, said, signal, states, turn

HOUR = timedelta(hours=1)
TUESDAY = date(2026, 11, 3)  # the first morning's


def do(
    connect: Any,
    action: Action,
    *,
    at: int = 0,
    actor: str = "kim",
    key: str | None = None,
    company: Fleet | None = None,
    **more: Any,
) -> Done:
    more.setdefault("alert_id", 1)
    with connect() as connection:
        return act(
            connection, Request(action, actor, "cli", key or f"{action} {sorted(more.items())} {at} {actor}", **more),
            MORNING + at * DAY, fleet=company or fleet(),
        )  # fmt: skip


def audit(connect: Any) -> list[tuple[Any, ...]]:
    with connect() as connection:
        return list(
            connection.execute("select action, alert_id, actor, via from ops.alert_actions order by id").fetchall()
        )


def test_acknowledged_it_is_not_repeated_and_what_changes_is_told(desk: Any) -> None:
    turn(desk, signal(severity="critical"))
    assert do(desk, Action.ACKNOWLEDGE).changed
    again = do(desk, Action.ACKNOWLEDGE, actor="lee")
    assert (again.changed, again.words) == (False, "#1 was acknowledged by kim already.")
    assert kinds(turn(desk, at=MORNING + 30 * HOUR)) == []  # would be told again after 24 hours
    assert kinds(turn(desk, signal(day=2, closeness="9", severity="critical"), at=2)) == ["worsened"]
    turn(desk, signal(day=3, found="clear"), at=3)
    assert kinds(turn(desk, signal(day=4, found="clear"), at=4)) == ["resolved"]
    assert audit(desk) == [("acknowledge", 1, "kim", "cli"), ("acknowledge", 1, "lee", "cli")]


def test_the_same_key_does_it_once_and_another_use_of_it_is_refused(desk: Any) -> None:
    turn(desk, signal(), signal("orders"))
    first = do(desk, Action.ASSIGN, key="press 1", assignee="lee")
    again = do(desk, Action.ASSIGN, key="press 1", assignee="lee", at=1)
    assert (again.words, again.replayed) == (first.words, True)
    for other in ({"assignee": "max"}, {"assignee": "lee", "alert_id": 2}, {"assignee": "lee", "actor": "max"}):
        with pytest.raises(DataFailure, match="another action"):
            do(desk, Action.ASSIGN, key="press 1", **other)
    assert len(audit(desk)) == 1


def test_pressed_twenty_times_at_once_it_is_done_once(desk: Any) -> None:
    turn(desk, signal())

    def press(_: int) -> bool:
        with desk() as connection:
            request = Request(Action.SNOOZE, "kim", "slack", "one press", alert_id=1, until=TUESDAY + DAY)
            return act(connection, request, MORNING, fleet=fleet(), compose=compose).changed

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(press, range(20))) == [False] * 19 + [True]
    assert said(desk) == ["opened", "taken"]
    assert outbox(desk)[1]["thread_of"] == outbox(desk)[0]["id"]


def test_snoozed_it_is_silent_until_the_business_day_and_then_says_it_is_so_still(desk: Any) -> None:
    turn(desk, signal(severity="critical"))
    do(desk, Action.SNOOZE, until=TUESDAY + 3 * DAY)
    for day in (1, 2):
        outcome = turn(desk, signal(day=day, closeness=str(9 * day), severity="critical"), at=day)
        assert (kinds(outcome), [held.why for held in outcome.held]) == ([], ["snoozed"])
    woken = turn(desk, signal(day=3, severity="critical"), at=3)
    assert kinds(woken) == ["worsened"]  # what changed meanwhile
    assert kinds(turn(desk, signal(day=3, severity="critical"), at=3)) == []


def test_snoozed_and_unchanged_it_says_still_when_it_wakes(desk: Any) -> None:
    turn(desk, signal())
    do(desk, Action.SNOOZE, until=TUESDAY + DAY)
    assert kinds(turn(desk, signal(day=1), at=1)) == ["still"]
    assert kinds(turn(desk, signal(day=2), at=2)) == []


def test_the_end_of_a_snoozed_incident_is_told_at_once_or_at_the_end(desk: Any) -> None:
    for company, when in ((fleet(), 3), (fleet(snoozed_resolution="at_the_end"), 6)):
        with desk() as connection:
            connection.execute(EMPTY.encode())
        turn(desk, signal(), company=company)
        do(desk, Action.SNOOZE, until=TUESDAY + 6 * DAY, company=company)
        told = {}
        for day in range(1, 8):
            looks = [signal(day=day, found="breached" if day == 1 else "clear")]
            told[day] = kinds(turn(desk, *looks, at=day, company=company))
        assert {day: said for day, said in told.items() if said} == {when: ["resolved"]}


def test_what_becomes_critical_breaks_a_snooze(desk: Any) -> None:
    turn(desk, signal(severity="alert"))
    do(desk, Action.SNOOZE, until=TUESDAY + 6 * DAY)
    assert kinds(turn(desk, signal(day=1, severity="critical"), at=1)) == ["worsened"]
    assert kinds(turn(desk, signal(day=2, severity="critical", closeness="99"), at=2)) == []


@pytest.mark.parametrize(
    ("until", "says"),
    [
        (date(2026, 11, 7), "Saturday.*next business day is 2026-11-09"),
        (date(2026, 11, 26), "holiday.*2026-11-27"),
        (date(2026, 11, 3), "not ahead"),
        (date(2026, 7, 1), "not ahead"),
        (date(2027, 3, 1), "45 days"),
        (None, "next is 2026-11-04"),
    ],
)
def test_snoozing_needs_a_business_day(desk: Any, until: date | None, says: str) -> None:
    turn(desk, signal())
    with pytest.raises(DataFailure, match=says):
        do(desk, Action.SNOOZE, until=until)
    assert audit(desk) == []


def test_unsnoozed_it_speaks_again(desk: Any) -> None:
    turn(desk, signal())
    do(desk, Action.SNOOZE, until=TUESDAY + 6 * DAY)
    assert do(desk, Action.UNSNOOZE).changed
    assert not do(desk, Action.UNSNOOZE, key="again").changed
    assert kinds(turn(desk, signal(day=1, closeness="9"), at=1)) == ["worsened"]


# -- mutes -------------------------------------------------------------------------------------------------


def test_in_a_known_period_nothing_is_told_and_after_it_what_is_still_so(desk: Any) -> None:
    turn(desk, signal(day=0, found="clear"), signal("orders", "clear", 0))
    do(
        desk, Action.MUTE, alert_id=None, name="net_sales", first_day=TUESDAY, last_day=TUESDAY + 2 * DAY,
        reason="stocktaking",
    )  # fmt: skip
    for day in (1, 2, 3):
        # The last day of the period is looked at the morning after.
        outcome = turn(desk, signal(day=day), at=day)
        assert (kinds(outcome), outcome.muted) == ([], ["metric:net_sales:all:all"])
    assert kinds(turn(desk, signal(day=4), at=4)) == ["opened"]


def test_muted_before_it_began_nothing_is_owed_when_it_is_over(desk: Any) -> None:
    turn(desk, signal(day=0, found="clear"))
    do(desk, Action.MUTE, alert_id=None, name="net_sales", last_day=TUESDAY + 5 * DAY)
    turn(desk, signal(day=1), at=1)
    for day in (2, 3, 8, 9):
        turn(desk, signal(day=day, found="clear"), at=day)
    assert said(desk) == []
    assert states(desk) == {1: "resolved"}


def test_the_end_of_what_was_told_is_told_when_the_mute_is_over(desk: Any) -> None:
    turn(desk, signal(day=0))
    do(desk, Action.MUTE, last_day=TUESDAY + 3 * DAY)
    for day in (1, 2, 3, 4):
        assert kinds(turn(desk, signal(day=day, found="clear"), at=day)) == []
    assert states(desk) == {1: "resolved"}
    assert kinds(turn(desk, at=5)) == ["resolved"]
    assert kinds(turn(desk, at=6)) == []


def test_out_again_while_muted_neither_the_end_before_nor_the_new_beginning_is_told(desk: Any) -> None:
    turn(desk, signal(day=0))
    do(desk, Action.MUTE, last_day=TUESDAY + 3 * DAY)
    for day, found in enumerate(["clear", "clear", "breached", "breached"], 1):
        assert kinds(turn(desk, signal(day=day, found=found), at=day)) == []
    assert states(desk) == {1: "resolved", 2: "open"}
    assert kinds(turn(desk, signal(day=5), at=5)) == ["resolved", "opened"]


def test_unmuted_the_end_is_told_at_once(desk: Any) -> None:
    turn(desk, signal(day=0))
    do(desk, Action.MUTE, last_day=TUESDAY + 60 * DAY)
    for day in (1, 2):
        turn(desk, signal(day=day, found="clear"), at=day)
    assert do(desk, Action.UNMUTE, at=2).changed
    assert not do(desk, Action.UNMUTE, at=2, key="again").changed
    assert kinds(turn(desk, at=2)) == ["resolved"]


def test_a_part_is_muted_and_the_whole_is_not(desk: Any) -> None:
    parts = [signal("refunds", "clear", 0, dimension="channel", value=value) for value in ("amazon", "shop")]
    turn(desk, *parts)
    do(
        desk, Action.MUTE, alert_id=None, name="refunds", dimension="channel", value="amazon",
        last_day=TUESDAY + 9 * DAY,
    )  # fmt: skip
    amazon = turn(desk, signal("refunds", day=1, dimension="channel", value="amazon"), at=1)
    assert kinds(amazon) == []
    # Together with a part that is not muted, the incident is told.
    assert kinds(turn(desk, signal("refunds", day=1, dimension="channel", value="shop", closeness="3"), at=1)) == [
        "opened"
    ]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"name": "net_slaes", "last_day": TUESDAY}, "never|ever looked at"),
        ({"name": "net_sales"}, "known period"),
        ({"name": "net_sales", "last_day": TUESDAY - DAY}, "is over"),
        ({"name": "net_sales", "first_day": TUESDAY + 2 * DAY, "last_day": TUESDAY}, "before it begins"),
        ({"name": "net_sales", "last_day": date(2028, 1, 1)}, "120 days"),
    ],
)
def test_a_mute_needs_a_metric_and_a_period(desk: Any, more: dict[str, Any], says: str) -> None:
    turn(desk, signal(found="clear"))
    with pytest.raises(DataFailure, match=says):
        do(desk, Action.MUTE, alert_id=None, **more)


def test_a_threshold_is_muted_by_the_day_of_the_look(desk: Any) -> None:
    turn(desk, signal("late", "clear", kind="threshold"))
    do(desk, Action.MUTE, alert_id=None, name="late", kind=SubjectKind.THRESHOLD, last_day=TUESDAY)
    assert kinds(turn(desk, signal("late", kind="threshold", at=MORNING + HOUR), at=MORNING + HOUR)) == []
    assert kinds(turn(desk, at=1)) == ["opened"]


# -- what cannot be done -----------------------------------------------------------------------------------


def test_what_is_over_can_only_be_rated_or_muted(desk: Any) -> None:
    turn(desk, signal(day=0))
    for day in (1, 2):
        turn(desk, signal(day=day, found="clear"), at=day)
    for action in (Action.ACKNOWLEDGE, Action.ASSIGN, Action.SNOOZE, Action.UNSNOOZE):
        with pytest.raises(DataFailure, match="is over"):
            do(desk, action, assignee="lee", until=TUESDAY + 9 * DAY)
    assert do(desk, Action.USEFUL, at=2).changed
    assert do(desk, Action.MUTE, at=2, last_day=TUESDAY + 9 * DAY).changed


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Request(Action.ACKNOWLEDGE, "kim", "cli", "k", alert_id=99), "no alert #99"),
        (Request(Action.ACKNOWLEDGE, "kim", "cli", "k"), "which alert"),
        (Request(Action.ACKNOWLEDGE, " ", "cli", "k", alert_id=1), "actor"),
        (Request(Action.ACKNOWLEDGE, "kim", "cli", "", alert_id=1), "key"),
        (Request(Action.ASSIGN, "kim", "cli", "k", alert_id=1, assignee=" "), "to whom"),
        (Request(Action.NOISE, "kim", "cli", "k", alert_id=1, note="x" * 501), "500 characters"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(desk: Any, request_: Request, says: str) -> None:
    turn(desk, signal())
    with desk() as connection, pytest.raises(DataFailure, match=says):
        act(connection, request_, MORNING, fleet=fleet())
    assert audit(desk) == []


def test_a_long_key_is_a_key(desk: Any) -> None:
    turn(desk, signal())
    assert do(desk, Action.ACKNOWLEDGE, key="x" * 4000).changed
    assert do(desk, Action.ACKNOWLEDGE, key="x" * 4000).replayed

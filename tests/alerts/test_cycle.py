"""Turns of the machine on a real Postgres: what is told, once, in which thread, and what holds it back."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from ops_platform.alerts import receipts
from ops_platform.alerts.announcement import Announcement, Composed
from ops_platform.alerts.cycle import handle
from ops_platform.alerts.grouping import Relations
from ops_platform.alerts.signal import Severity, Signal, Subject, SubjectKind
from ops_platform.watch.tree import MetricTree
from tests.alerts.scenes import (
    CHANNELS,
    DAY,
    MORNING,
    fleet,
    kinds,
    outbox,
    said,
    signal,
    states,
    turn,
)

HOUR = timedelta(hours=1)
TREE = MetricTree.of(
    {
        "net_sales": [{"product": ["orders", "average_order_value"]}],
        "orders": [{"product": ["sessions", "conversion"]}],
    }
)
RELATIONS = Relations(TREE, {"roas_poor": {"roas"}})


def test_one_incident_one_thread_from_the_first_word_to_the_last(desk: Any) -> None:
    assert kinds(turn(desk, signal(day=0), at=0)) == ["opened"]
    assert kinds(turn(desk, signal(day=1), at=1)) == []  # still so, no worse: nothing to say
    assert kinds(turn(desk, signal(day=2, closeness="4", money="-9000"), at=2)) == ["worsened"]
    assert kinds(turn(desk, signal(day=3, found="clear"), at=3)) == ["recovering"]
    last = turn(desk, signal(day=4, found="clear"), at=4)
    assert kinds(last) == ["resolved"]
    assert (last.standing, last.resolved) == (0, [1])
    first, *rest = outbox(desk)
    assert (first["thread_of"], first["channel"]) == (None, "C0ALERT")
    assert {row["thread_of"] for row in rest} == {first["id"]}
    assert kinds(turn(desk, signal(day=5, found="clear"), at=5)) == []
    assert states(desk) == {1: "resolved"}


def test_the_same_looks_again_change_nothing(desk: Any) -> None:
    looks = [signal(day=0), signal("orders", day=0), signal("refunds", "clear", day=0), signal("cash", "unknown")]
    assert kinds(turn(desk, *looks)) == ["opened", "opened"]
    for _ in range(3):
        again = turn(desk, *looks)
        assert (kinds(again), again.ignored) == ([], 4)
    assert said(desk) == ["opened", "opened"]


def test_ten_processes_with_the_same_looks_at_once_say_it_once(desk: Any) -> None:
    looks = [signal(name) for name in ("net_sales", "cash", "refunds")]
    start = threading.Barrier(10)

    def at_once(_: int) -> list[str]:
        start.wait()
        return kinds(turn(desk, *looks))

    with ThreadPoolExecutor(10) as pool:
        told = list(pool.map(at_once, range(10)))
    assert sorted(told, key=len)[:9] == [[]] * 9
    assert said(desk) == ["opened"] * 3
    assert len(states(desk)) == 3


def test_an_older_look_that_comes_late_opens_nothing(desk: Any) -> None:
    turn(desk, signal(day=1, found="clear"), at=1)
    assert turn(desk, signal(day=0), at=1).ignored == 1
    assert said(desk) == []


def test_a_day_judged_again_corrects_its_look(desk: Any) -> None:
    """Late orders arrive: yesterday was fine after all. That is one clear day, however often it is looked at."""
    turn(desk, signal(day=0))
    assert kinds(turn(desk, signal(day=0, found="clear", at=MORNING + HOUR), at=MORNING + HOUR)) == ["recovering"]
    assert kinds(turn(desk, signal(day=0, found="clear", at=MORNING + 2 * HOUR), at=MORNING + 2 * HOUR)) == []
    assert kinds(turn(desk, signal(day=1, found="clear"), at=1)) == ["resolved"]


def test_two_of_three_days_open_and_one_alone_lapses(desk: Any) -> None:
    company = fleet(exceptions={"metric:net_sales": {"open": 2, "of": 3, "resolve": 1, "look": "day"}})
    for day, found in enumerate(["breached", "clear", "clear", "breached", "clear"]):
        assert kinds(turn(desk, signal(day=day, found=found), at=day, company=company)) == []
    assert kinds(turn(desk, signal(day=5), at=5, company=company)) == ["opened"]
    with desk() as connection:
        (since,) = connection.execute("select since from ops.alerts").fetchone()
    assert since == date(2026, 11, 5)  # the first breach of the episode, not the one that opened it


def test_near_its_limit_nothing_resolves(desk: Any) -> None:
    turn(desk, signal(day=0))
    for day in (1, 2):
        assert kinds(turn(desk, signal(day=day, found="clear", closeness="0.95"), at=day)) == []
    assert states(desk) == {1: "open"}


def test_unknown_changes_nothing_and_is_said_when_it_lasts(desk: Any) -> None:
    turn(desk, signal(day=0))
    assert kinds(turn(desk, signal(day=1, found="unknown"), at=1)) == []
    assert kinds(turn(desk, signal(day=2, found="unknown"), at=2)) == []
    assert kinds(turn(desk, signal(day=3, found="unknown"), at=3)) == ["unknown"]
    assert kinds(turn(desk, signal(day=4, found="unknown"), at=4)) == []  # said once
    assert states(desk) == {1: "open"}
    assert kinds(turn(desk, signal(day=5, found="clear"), at=5)) == ["recovering"]
    assert kinds(turn(desk, signal(day=6, found="clear"), at=6)) == ["resolved"]


def test_what_was_known_and_is_no_more_is_said_once_and_taken_back(desk: Any) -> None:
    turn(desk, signal("cash", "clear", 0), signal("new", "unknown", 0))
    for day in (1, 2):
        assert kinds(turn(desk, signal("cash", "unknown", day), signal("new", "unknown", day), at=day)) == []
    blind = turn(desk, signal("cash", "unknown", 3), signal("new", "unknown", 3), at=3)
    assert kinds(blind) == ["blind"]
    assert [one.subject.name for one in blind.told[0].announcement.signals] == ["cash"]  # `new` never was known
    assert kinds(turn(desk, signal("cash", "unknown", 4), at=4)) == []
    assert kinds(turn(desk, signal("cash", "clear", 5), at=5)) == ["sighted"]
    assert outbox(desk)[1]["thread_of"] == outbox(desk)[0]["id"]
    assert kinds(turn(desk, signal("cash", "clear", 6), at=6)) == []


def test_what_nobody_looks_at_any_more_is_closed_and_not_called_well(desk: Any) -> None:
    turn(desk, signal(day=0))
    assert kinds(turn(desk, at=3)) == ["unknown"]
    assert kinds(turn(desk, at=13)) == []
    assert kinds(turn(desk, at=15)) == ["unseen"]
    assert states(desk) == {1: "resolved"}


def test_told_again_when_the_repeat_interval_has_passed_and_nobody_has_taken_it(desk: Any) -> None:
    turn(desk, signal(day=0, severity="critical"))
    assert kinds(turn(desk, at=MORNING + 23 * HOUR)) == []
    assert kinds(turn(desk, at=MORNING + 24 * HOUR)) == ["still"]
    assert kinds(turn(desk, at=MORNING + 25 * HOUR)) == []


def test_a_watch_that_becomes_critical_moves_to_the_alert_channel(desk: Any) -> None:
    turn(desk, signal(day=0, severity="watch"))
    moved = turn(desk, signal(day=1, severity="critical"), at=1)
    assert [(t.announcement.kind.value, t.announcement.channel_key, t.announcement.first) for t in moved.told] == [
        ("moved", "team", False),
        ("moved", "alerts", True),
    ]
    turn(desk, signal(day=2, found="clear"), at=2)
    over = turn(desk, signal(day=3, found="clear"), at=3)
    # Whoever was told it began is told it is over.
    assert {(t.announcement.kind.value, t.announcement.channel_key) for t in over.told} == {
        ("resolved", "team"),
        ("resolved", "alerts"),
    }


# -- several together --------------------------------------------------------------------------------------


def test_what_fell_together_is_one_incident_at_the_lowest_explaining_node(desk: Any) -> None:
    looks = [signal(name) for name in ("net_sales", "orders", "sessions")]
    outcome = turn(desk, *looks, signal("cash"), relations=RELATIONS)
    incidents = [told.announcement.incident for told in outcome.told]
    assert sorted(incident.label for incident in incidents) == ["cash", "sessions"]
    sales = next(incident for incident in incidents if incident.label == "sessions")
    assert set(sales.members) == {f"metric:{name}:all:all" for name in ("net_sales", "orders", "sessions")}
    assert sales.members[0] == "metric:sessions:all:all"


def test_two_parts_that_fell_are_their_wholes_incident(desk: Any) -> None:
    looks = [signal(name) for name in ("net_sales", "orders", "average_order_value")]
    outcome = turn(desk, *looks, relations=RELATIONS)
    assert [told.announcement.incident.label for told in outcome.told] == ["net sales"]


def test_the_one_channel_that_fell_explains_the_whole(desk: Any) -> None:
    looks = [signal(), signal(dimension="channel", value="amazon")]
    outcome = turn(desk, *looks, relations=RELATIONS)
    assert [told.announcement.incident.label for told in outcome.told] == ["net sales amazon"]
    both = turn(desk, signal("orders"), signal("orders", dimension="channel", value="amazon"),
                signal("orders", dimension="channel", value="shop"), at=3, relations=Relations())  # fmt: skip
    assert [told.announcement.incident.label for told in both.told if told.announcement.first] == ["orders"]


def test_a_part_alone_is_told_only_when_it_is_far_out_or_its_whole_is_out(desk: Any) -> None:
    def part(name: str, day: int, closeness: str) -> Signal:
        return signal(name, day=day, dimension="channel", value="amazon", closeness=closeness, severity="watch")

    outcome = turn(desk, part("orders", 0, "1.3"), part("refunds", 0, "3.5"))
    assert [told.announcement.incident.label for told in outcome.told] == ["refunds amazon"]
    assert [held.why for held in outcome.held] == ["part"]
    # Never told, it ends without a word; told with its whole, its end is told with it.
    joined = turn(desk, part("orders", 1, "1.3"), signal("orders", day=1), at=1)
    assert kinds(joined) == ["opened"]
    assert joined.told[0].announcement.channel_key == "alerts"


def test_what_a_job_lists_is_told_by_the_alert_only_when_it_is_more_than_watched(desk: Any) -> None:
    rule = next(name for name, rule in fleet().alert_rules.items() if rule.told_by is not None)

    def found(severity: Severity, day: int) -> Signal:
        return replace(signal(rule, day=day), severity=severity, subject=Subject(SubjectKind.THRESHOLD, rule))

    with desk() as connection:
        job = str(fleet().alert_rules[rule].told_by)
        receipts.note_ended(
            connection, "r1", job, bot=None, succeeded=True, started_at=MORNING, at=MORNING, as_of=MORNING
        )  # fmt: skip
    left = turn(desk, found(Severity.WATCH, 0))
    assert (kinds(left), [held.why for held in left.held]) == ([], ["job"])
    assert kinds(turn(desk, found(Severity.ALERT, 1), at=1)) == ["opened"]


@pytest.mark.parametrize("lately", ["never ran", "failed"])
def test_what_a_job_does_not_list_for_it_is_off_is_told_by_the_alert(desk: Any, lately: str) -> None:
    rule = next(name for name, rule in fleet().alert_rules.items() if rule.told_by is not None)
    if lately == "failed":
        with desk() as connection:
            job = str(fleet().alert_rules[rule].told_by)
            receipts.fail(connection, "r1", job, bot=None, at=MORNING, as_of=MORNING, error="step: no")
    found = replace(signal(rule), severity=Severity.WATCH, subject=Subject(SubjectKind.THRESHOLD, rule))
    assert kinds(turn(desk, found)) == ["opened"]


def test_what_joins_is_told_in_the_thread_and_the_head_may_sink(desk: Any) -> None:
    turn(desk, signal("net_sales", day=0), relations=RELATIONS)
    joined = turn(desk, signal("net_sales", day=1), signal("sessions", day=1), at=1, relations=RELATIONS)
    assert kinds(joined) == ["widened"]
    announcement = joined.told[0].announcement
    assert (announcement.incident.id, announcement.incident.label) == (1, "sessions")
    assert announcement.changed == ("metric:sessions:all:all",)
    # Resolved only when all of them are, and told.
    turn(desk, *(signal(name, "clear", 2) for name in ("net_sales", "sessions")), at=2, relations=RELATIONS)
    assert kinds(turn(desk, signal("sessions", "clear", 3), at=3, relations=RELATIONS)) == []
    assert kinds(turn(desk, signal("net_sales", "clear", 3), at=3, relations=RELATIONS)) == ["resolved"]


def test_what_is_related_but_later_is_news(desk: Any) -> None:
    turn(desk, signal("net_sales", day=0), relations=RELATIONS)
    assert kinds(turn(desk, signal("sessions", day=4), at=4, relations=RELATIONS)).count("opened") == 1
    assert len(states(desk)) == 2


def test_a_rule_and_the_metric_it_reads_are_one_matter(desk: Any) -> None:
    looks = [signal("roas"), signal("roas_poor", kind="threshold", value="search", dimension="channel")]
    assert kinds(turn(desk, *looks, relations=RELATIONS)) == ["opened"]


def test_everything_a_rule_finds_is_one_message(desk: Any) -> None:
    looks = [signal("stock_critical", kind="threshold", dimension="sku", value=f"A-{n}") for n in range(40)]
    outcome = turn(desk, *looks)
    assert kinds(outcome) == ["opened"]
    assert len(outcome.told[0].announcement.incident.members) == 40


# -- sources -----------------------------------------------------------------------------------------------

ORDERS = ("shopify.orders",)


def test_a_failed_source_silences_what_depends_on_it_and_raises_one_alert(desk: Any) -> None:
    dependents = [signal(name, depends_on=ORDERS) for name in ("net_sales", "orders", "refunds")]
    sources = [signal(f"shopify.{name}", kind="source") for name in ("orders", "refunds")]
    outcome = turn(desk, *dependents, *sources)
    assert kinds(outcome) == ["opened"]
    announcement = outcome.told[0].announcement
    assert announcement.incident.head.startswith("source:shopify.")
    assert [one.subject for one in announcement.silenced] == [
        f"metric:{name}:all:all" for name in ("net_sales", "orders", "refunds")
    ]
    assert [found.signal.subject.name for found in outcome.inhibited] == ["net_sales", "orders", "refunds"]


def test_after_the_source_is_well_the_same_look_counts(desk: Any) -> None:
    """Held back by a failed source, a breach is not lost (an unmuted group that never notifies)."""
    breach = signal(depends_on=ORDERS)
    turn(desk, breach, signal("shopify.orders", kind="source"))
    later = MORNING + HOUR
    well = signal("shopify.orders", "clear", kind="source", at=later)
    assert sorted(kinds(turn(desk, breach, well, at=later))) == ["opened", "resolved"]


def test_an_open_incident_neither_resolves_nor_worsens_while_its_source_is_out(desk: Any) -> None:
    turn(desk, signal(day=0, depends_on=ORDERS))
    down = signal("shopify.orders", kind="source", day=1)
    for found in ("clear", "breached"):
        outcome = turn(desk, down, signal(day=1, found=found, closeness="9", depends_on=ORDERS), at=1)
        assert not {"recovering", "worsened"} & set(kinds(outcome))
    assert states(desk)[1] == "open"
    # Nor is it called unknown or told again beside the source's own alert, however long that lasts.
    assert kinds(turn(desk, at=MORNING + 3 * DAY + HOUR)) in ([], ["unknown"])
    assert "still" not in said(desk)


def test_a_whole_vendor_silences_its_streams(desk: Any) -> None:
    outcome = turn(desk, signal(depends_on=ORDERS), signal("shopify", kind="source"))
    assert len(outcome.inhibited) == 1


# -- what holds a word back --------------------------------------------------------------------------------


def test_the_groups_interval_holds_and_loses_nothing(desk: Any) -> None:
    company = fleet(group_interval_minutes=30)
    minute = timedelta(minutes=1)

    def threshold(found: str, minutes: int, **more: Any) -> list[str]:
        at = MORNING + minutes * minute
        look = signal("roas_poor", found, kind="threshold", at=at, **more)
        return kinds(turn(desk, look, at=at, company=company))

    assert threshold("breached", 0) == ["opened"]
    assert threshold("breached", 5, closeness="8", money="-50000") == []
    assert threshold("clear", 10) == []
    assert threshold("clear", 20) == []  # resolved, and held
    assert states(desk) == {1: "resolved"}
    assert kinds(turn(desk, at=MORNING + 30 * minute, company=company)) == ["resolved"]
    assert kinds(turn(desk, at=MORNING + 90 * minute, company=company)) == []


def test_flapping_is_told_once_and_ends_only_when_it_is_over_for_longer(desk: Any) -> None:
    company = fleet(flapping={"after": 3, "within_days": 7, "resolve": 3})
    told = []
    moment = MORNING
    for found in ["breached", "clear"] * 6:
        moment += HOUR
        told += kinds(turn(desk, signal("x", found, kind="threshold", at=moment), at=moment, company=company))
    assert told == ["opened", "recovering", "relapsed", "recovering", "flapping"]
    for expected in ([], ["resolved"]):
        moment += HOUR
        look = signal("x", "clear", kind="threshold", at=moment)
        assert kinds(turn(desk, look, at=moment, company=company)) == expected


def test_a_favourable_breach_is_a_watch_or_nothing(desk: Any) -> None:
    outcome = turn(desk, signal(adverse=False, severity="critical"))
    assert [t.announcement.channel_key for t in outcome.told] == ["team"]
    silent = turn(desk, signal("orders", adverse=False), company=fleet(favourable="silent"))
    assert kinds(silent) == []


# -- storms ------------------------------------------------------------------------------------------------


def storm_of(count: int, found: str = "breached", day: int = 0, at: Any = None, first: int = 0) -> Iterable[Signal]:
    return [signal(f"metric_{n}", found, day, at=at) for n in range(first, first + count)]


def test_five_hundred_at_once_are_one_message_and_their_end_is_told(desk: Any) -> None:
    company = fleet(storm={"after": 5, "interval_minutes": 60}, group_interval_minutes=15)
    outcome = turn(desk, *storm_of(500), company=company)
    assert kinds(outcome) == ["storm"]
    assert len(outcome.told[0].announcement.incidents) == 500
    soon = MORNING + timedelta(minutes=5)
    assert kinds(turn(desk, *storm_of(20, at=soon, first=500), at=soon, company=company)) == []  # the interval
    later = MORNING + timedelta(minutes=20)
    assert kinds(turn(desk, at=later, company=company)) == ["storm_update"]
    assert kinds(turn(desk, *storm_of(520, "clear", 1), at=1, company=company)) == []
    over = turn(desk, *storm_of(520, "clear", 2), at=2, company=company)
    assert kinds(over) == ["storm_update"]
    assert {incident.state for incident in over.told[0].announcement.incidents} == {"resolved"}
    assert len(over.told[0].announcement.incidents) == 520
    root, *rest = outbox(desk)
    assert {row["thread_of"] for row in rest} == {root["id"]}
    # The storm is over: what opens now is told by itself.
    assert kinds(turn(desk, signal("calm", day=3), at=3, company=company)) == ["opened"]


def test_a_few_are_told_each(desk: Any) -> None:
    company = fleet(storm={"after": 5, "interval_minutes": 60})
    assert kinds(turn(desk, *storm_of(5), company=company)) == ["opened"] * 5
    one_more = MORNING + timedelta(minutes=10)
    assert kinds(turn(desk, *storm_of(1, at=one_more, first=5), at=one_more, company=company)) == ["storm"]


# -- what can go wrong -------------------------------------------------------------------------------------


def test_one_message_that_cannot_be_composed_keeps_no_other_from_going(desk: Any) -> None:
    def picky(connection: Any, announcement: Announcement) -> Composed:
        if announcement.incident.label == "orders":
            connection.execute("select no_such_column")
        return Composed({"text": announcement.incident.label}, rest=({"text": "more"},))

    with desk() as connection:
        outcome = handle(
            connection, [signal(), signal("orders")], MORNING, fleet=fleet(), compose=picky,
            channels=CHANNELS.__getitem__,
        )  # fmt: skip
    assert [problem.partition(":")[0] for problem in outcome.problems] == ["alert"]
    texts = sorted(row["payload"]["text"] for row in outbox(desk))
    assert len(texts) == 3
    assert any(text.startswith("Alert opened: #") and "orders" in text for text in texts)


def test_a_first_message_that_never_arrived_is_told_again(desk: Any) -> None:
    turn(desk, signal(day=0))
    with desk() as connection:
        connection.execute("update ops.outbox set state = 'failed', error = 'not delivered within 24 h'")
    assert kinds(turn(desk, signal(day=1), at=1)) == ["opened"]
    assert kinds(turn(desk, signal(day=2), at=2)) == []


def test_an_end_that_never_arrived_is_told_again_but_not_at_every_turn(desk: Any) -> None:
    turn(desk, signal(day=0))
    turn(desk, signal(day=1, found="clear"), at=1)
    turn(desk, signal(day=2, found="clear"), at=2)
    told = []
    for hours in range(2, 15, 2):
        with desk() as connection:
            connection.execute("update ops.outbox set state = 'failed' where state = 'pending'")
        moment = MORNING + 2 * DAY + hours * HOUR
        told += [(hours, kind) for kind in kinds(turn(desk, at=moment))]
    assert told == [(6, "resolved"), (12, "resolved")]
    assert outbox(desk)[-1]["thread_of"] is None  # the thread never began: it is told in the channel


def test_a_turn_in_a_transaction_that_cannot_see_others_is_refused(desk: Any) -> None:
    import psycopg

    from ops_platform.failures import DataFailure

    with desk() as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(DataFailure, match="READ COMMITTED"):
            handle(connection, [], MORNING, fleet=fleet(), compose=None, channels=str)  # type: ignore[arg-type]


def test_a_look_from_the_future_is_refused_and_hides_nothing(desk: Any) -> None:
    outcome = turn(desk, signal(at=MORNING + 400 * DAY, found="clear"))
    assert (kinds(outcome), len(outcome.problems)) == ([], 1)
    assert kinds(turn(desk, signal())) == ["opened"]


def test_odd_numbers_are_kept_as_unknown(desk: Any) -> None:
    from dataclasses import replace
    from decimal import Decimal

    odd = replace(signal(), value=Decimal("NaN"), effect_money=Decimal("Infinity"), label="nul \x00 and \ud800")
    assert kinds(turn(desk, odd)) == ["opened"]
    assert kinds(turn(desk, signal(day=1), at=1)) == []

"""A narrative's evidence from a small warehouse made by hand: every number below was worked out on paper."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ops_platform.evidence.model import Bundle, Fact
from ops_platform.evidence.period import worrying
from ops_platform.evidence.store import save_bundle
from ops_platform.failures import DataFailure
from tests.evidence.narrative_warehouse import FRIDAY, MONDAY, NEW_YORK, each, filled, put, surveyed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Connect

Connection = psycopg.Connection[Any]
WEEK, DAY = date(2026, 11, 9), date(2026, 11, 19)


@pytest.fixture
def connection(warehouse: Connect) -> Iterator[Connection]:
    with warehouse() as opened:
        filled(opened)
        yield opened


def against(fact: Fact, name: str) -> tuple[Decimal | None, Decimal | None]:
    comparison = fact.comparison(name)
    assert comparison is not None
    return comparison.value, comparison.delta


def bundle_of(connection: Connection, tier: Any, day: date, **more: Any) -> Bundle:
    return surveyed(connection, tier, day, **more).bundle([], [], most_actions=8)


def store(connection: Connection, kind: str, bundle: Bundle) -> int:
    save_bundle(connection, bundle)
    row = connection.execute(
        "insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, document, digest)"
        " values (%s, %s, %s, %s, 'rules', '{}', %s) returning id",
        (kind, bundle.period.start, bundle.period.end, bundle.digest, bundle.digest),
    ).fetchone()
    assert row is not None
    connection.commit()
    return int(row[0])


def test_a_flow_is_the_sum_of_its_days_and_a_state_its_close(connection: Connection) -> None:
    facts = surveyed(connection, "weekly", WEEK).facts
    # Seven days of 1,500 against seven of 1,000; late orders are those of Sunday the 15th against Sunday the 8th.
    assert facts["net_sales"].value == 10500 and against(facts["net_sales"], "week_before") == (7000, 3500)
    assert facts["orders"].value == 84
    assert facts["late_orders"].value == 9 and against(facts["late_orders"], "week_before") == (2, 7)
    assert against(facts["net_sales"], "last_year") == (None, None)
    assert facts["net_sales"].source.params == (
        ("end", "2026-11-15"), ("metric_id", "net_sales"), ("start", "2026-11-09"),
    )  # fmt: skip


def test_a_ratio_is_the_ratio_of_the_sums_and_no_mean(connection: Connection) -> None:
    # 1,000 from 10 and 100 from 90 orders: 1,100 / 100 is 11, the mean of 100 and 1.11 would be 50.56.
    connection.execute("delete from metrics.fct_metric_daily where metric_id = 'average_order_value'")
    week = each(date(2026, 11, 2), date(2026, 11, 8), (0, 0))
    put(connection, "average_order_value", week | {date(2026, 11, 2): (1000, 10), date(2026, 11, 8): (100, 90)})
    assert surveyed(connection, "weekly", date(2026, 11, 2)).facts["average_order_value"].value == 11


def test_one_unknown_day_makes_the_week_unknown_since_then(connection: Connection) -> None:
    connection.execute(
        "update metrics.fct_metric_daily set value = null, numerator = null"
        " where metric_id = 'net_sales' and date = '2026-11-12'"
    )
    fact = surveyed(connection, "weekly", WEEK).facts["net_sales"]
    assert fact.status == "unknown" and fact.comparison("week_before") is not None
    assert against(fact, "week_before") == (7000, None)
    assert fact.unknown_since == datetime(2026, 11, 12, tzinfo=NEW_YORK)  # the end of the 11th, the last day known


def test_a_missing_day_is_an_unknown_day(connection: Connection) -> None:
    connection.execute("delete from metrics.fct_metric_daily where metric_id = 'orders' and date = '2026-11-15'")
    assert surveyed(connection, "weekly", WEEK).facts["orders"].status == "unknown"


def test_data_that_end_before_the_day_does_are_not_the_days(connection: Connection) -> None:
    stopped = datetime(2026, 11, 19, 15, 0, tzinfo=NEW_YORK)
    connection.execute("update metrics.fct_metric_daily set fresh_to = %s where date = '2026-11-19'", (stopped,))
    facts = surveyed(connection, "daily", DAY).facts
    assert facts["net_sales"].status == "unknown" and facts["net_sales"].unknown_since == stopped
    assert facts["late_orders"].value == 9  # a state seen during the day is a state of the day


def test_nothing_to_divide_by_is_no_fact_and_no_unknown(connection: Connection) -> None:
    found = surveyed(connection, "weekly", WEEK)
    assert "win_rate" not in found.facts
    # Design has a metric that never had a figure: told as never, not as unknown since some moment, and not as zero.
    bundle = found.bundle([], [], most_actions=8)
    assert [row.facts["figure"] for row in bundle.rows("never")] == ["mockups"]
    assert bundle.fact("mockups").unknown_since is None


def test_a_period_that_is_not_over_has_no_narrative(connection: Connection) -> None:
    with pytest.raises(DataFailure, match="has not ended"):
        surveyed(connection, "weekly", date(2026, 11, 20))
    with pytest.raises(DataFailure, match="has not ended"):
        surveyed(connection, "daily", FRIDAY.date())


def test_the_week_tells_what_changed_and_what_turned(connection: Connection) -> None:
    found = surveyed(connection, "weekly", WEEK)
    # Late orders missed their target of 0 by 9, three times the minimum effect; the week before, 2 were within it.
    assert [(p.metric.id, p.why, p.against) for p in found.concerns] == [("late_orders", "target", "target")]
    # Sales lead the document; orders are made of it, average order value is not a highlight of its own either.
    assert [p.metric.id for p in found.highlights] == ["orders"]
    following = surveyed(connection, "daily", DAY)
    assert following.concerns == () and [p.metric.id for p in following.standing] == ["late_orders"]


def test_a_day_has_a_concern_where_the_watch_or_a_target_says_so(connection: Connection) -> None:
    turned = surveyed(connection, "daily", date(2026, 11, 15))
    assert [(p.metric.id, p.why) for p in turned.concerns] == [("late_orders", "target")]
    assert not surveyed(connection, "daily", DAY).concerns
    connection.execute(
        "insert into ops.judgements (metric_id, date, found, closeness, adverse, since, judged_at, first_judged_at)"
        " values ('returns', '2026-11-19', 'breached', 2.5, true, '2026-11-19', now(), now())"
    )
    judged = surveyed(connection, "daily", DAY)
    assert [(p.metric.id, p.why, p.weight) for p in judged.concerns] == [("returns", "breached", Decimal("2.5"))]
    assert worrying(judged.bundle([], [], most_actions=8))


def test_the_driver_is_the_part_that_carries_most(connection: Connection) -> None:
    driver = surveyed(connection, "weekly", WEEK).drivers["net_sales"]
    # 70 × 100 to 84 × 125: by log-mean shares orders carry ln(1.2)/ln(1.5) of 3,500, the value ln(1.25)/ln(1.5).
    assert (driver.id, driver.label, driver.about, driver.change) == (
        "net_sales_driver", "Average order value", "average_order_value", True,
    )  # fmt: skip
    assert driver.value is not None and round(driver.value, 2) == Decimal("1926.19")


def test_channels_are_told_only_where_they_make_up_the_whole(connection: Connection) -> None:
    first, last = date(2026, 11, 2), date(2026, 11, 15)
    put(connection, "net_sales", each(first, date(2026, 11, 8), 1000), dimension="channel", value="web")
    put(connection, "net_sales", each(WEEK, last, 1200), dimension="channel", value="web")
    assert surveyed(connection, "weekly", WEEK).channels == ()
    put(connection, "net_sales", {date(2026, 11, 10): 2100}, dimension="channel", value="b2b")
    told = [(name, fact.value) for name, fact in surveyed(connection, "weekly", WEEK).channels]
    assert told == [("b2b", 2100), ("web", 1400)]
    # The source of each gives the change itself, not the channel's sales.
    for _, fact in surveyed(connection, "weekly", WEEK).channels:
        row = connection.execute(fact.source.query.encode(), dict(fact.source.params)).fetchone()
        assert row == (fact.value,)


def test_an_unproven_warehouse_publishes_no_number(connection: Connection) -> None:
    since = FRIDAY - timedelta(days=2)
    found = surveyed(connection, "weekly", WEEK, unproven_since=since)
    assert all(fact.value is None and fact.unknown_since is not None for fact in found.facts.values())
    assert not found.drivers and not found.channels
    assert "warehouse_unproven" in found.notes


def test_no_warehouse_yet_is_said(warehouse: Connect) -> None:
    with warehouse() as empty:
        bundle = bundle_of(empty, "weekly", WEEK)
    assert "empty_warehouse" in bundle.notes and not bundle.rows("figures")


def incident(connection: Connection, label: str, opened: str, resolved: str | None = None, head: str = "x") -> None:
    connection.execute(
        "insert into ops.alerts (head, label, state, resolution, severity, division, since, opened_at, resolved_at,"
        " updated_at) values (%s, %s, %s, %s, 'alert', 'supply_chain', '2026-11-18', %s, %s, now())",
        (head, label, "resolved" if resolved else "open", "clear" if resolved else None, opened, resolved),
    )


def test_incidents_are_those_known_when_the_narrative_is_told(connection: Connection) -> None:
    incident(connection, "of that morning", "2026-11-20 06:05-05")
    incident(connection, "of the evening before", "2026-11-19 20:00-05")
    incident(connection, "older, still open", "2026-11-10 06:05-05")
    incident(connection, "over before", "2026-11-10 06:05-05", "2026-11-12 06:05-05")
    incident(connection, "of the next day", "2026-11-20 09:00-05")
    bundle = bundle_of(connection, "daily", DAY)
    told = [(row.texts["label"], row.texts["new"], row.texts["state"]) for row in bundle.rows("incidents")]
    assert told == [
        ("of that morning", "yes", "open"), ("of the evening before", "yes", "open"),
        ("older, still open", "no", "open"),
    ]  # fmt: skip
    assert bundle.fact("incidents_open").value == 3 and worrying(bundle)
    quiet = bundle_of(connection, "daily", date(2026, 11, 13))
    assert [row.texts["label"] for row in quiet.rows("incidents")] == ["older, still open"] and not worrying(quiet)


def test_the_week_builds_on_its_days_and_says_what_is_missing_or_has_moved(connection: Connection) -> None:
    days = [WEEK + timedelta(days=n) for n in range(7)]
    numbers = [
        store(connection, "narrative_daily", bundle_of(connection, "daily", day)) for day in days if day != days[3]
    ]
    connection.execute(
        "update metrics.fct_metric_daily set value = 1450 where metric_id = 'net_sales' and date = '2026-11-10'"
    )
    bundle = bundle_of(connection, "weekly", WEEK, as_of=MONDAY)
    rows = bundle.rows("parts")
    assert [row.mark for row in rows] == ["told", "restated", "told", "missing", "told", "told", "told"]
    assert bundle.fact("parts_told").value == 6 and bundle.fact("parts_expected").value == 7
    moved = bundle.fact(rows[1].facts["sales"])
    assert moved.value == 1450 and against(moved, "published") == (1500, -50)
    assert ("id", str(numbers[1])) in moved.source.params
    # Only Sunday had a concern; once is not again and again.
    assert [bundle.fact(row.facts["concerns"]).value for row in rows if "concerns" in row.facts] == [0, 0, 0, 0, 0, 1]
    assert bundle.rows("recurring") == ()


def test_what_was_a_concern_of_several_days_recurs(connection: Connection) -> None:
    connection.execute(
        "insert into ops.judgements (metric_id, date, found, closeness, adverse, since, judged_at, first_judged_at)"
        " select 'returns', day::date, 'breached', 2, true, day::date, now(), now()"
        " from generate_series('2026-11-09'::date, '2026-11-11'::date, interval '1 day') as day"
    )
    for number in range(7):
        store(connection, "narrative_daily", bundle_of(connection, "daily", WEEK + timedelta(days=number)))
    bundle = bundle_of(connection, "weekly", WEEK)
    (row,) = bundle.rows("recurring")
    assert (row.texts["label"], bundle.fact(row.facts["times"]).value) == ("Returns", 3)


def test_the_last_word_about_a_day_counts(connection: Connection) -> None:
    store(connection, "narrative_daily", bundle_of(connection, "daily", WEEK))
    connection.execute(
        "update metrics.fct_metric_daily set value = 1400 where metric_id = 'net_sales' and date = '2026-11-09'"
    )
    store(connection, "narrative_daily", bundle_of(connection, "daily", WEEK))
    assert bundle_of(connection, "weekly", WEEK).rows("parts")[0].mark == "told"


def test_a_bundle_is_the_same_for_the_same_data(connection: Connection) -> None:
    one, other = bundle_of(connection, "weekly", WEEK), bundle_of(connection, "weekly", WEEK)
    assert one.digest == other.digest and Bundle.from_json(one.to_json()) == one

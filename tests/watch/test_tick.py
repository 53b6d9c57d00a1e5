"""A look of the watch at a published warehouse: which days are due, what is kept, and that a tick is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ops_platform.watch.judgement import Finding, Judgement, Reason, SeriesKey
from ops_platform.watch.level_shift import LevelShift, find_shifts, through_shifts
from ops_platform.watch.simulate import episodes, page, replay, svg, text_chart
from ops_platform.watch.store import (
    company_zone,
    history,
    judged_on,
    latest,
    metrics_watched,
    prune,
    read_panel,
    read_shifts,
    save,
)
from ops_platform.watch.tick import find_level_shifts, look
from tests.watch.warehouse import NOW, TODAY, YESTERDAY, ZONE, fill, put

if TYPE_CHECKING:
    from tests.conftest import Connect

Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(warehouse: Connect) -> Iterator[Connection]:
    with warehouse() as opened:
        fill(opened)
        yield opened


def found_of(found: tuple[Judgement, ...], metric: str, *part: str) -> dict[int, Judgement]:
    """By age in days."""
    key = SeriesKey(metric, *part)
    return {(TODAY - each.day).days: each for each in found if each.key == key}


def test_an_ordinary_morning_is_clear(connection: Connection) -> None:
    found = look(connection, NOW, zone=ZONE)
    assert (found.metrics, found.series) == (3, 5)
    assert found.count(Finding.BREACHED) == 0
    assert sorted(found_of(found.judgements, "net_sales")) == [1, 2, 3]
    # What is counted as it stands is judged on the day it is seen.
    assert sorted(found_of(found.judgements, "late_orders")) == [0, 1, 2, 3]
    assert found.changed == len(found.judgements)


def test_a_drop_of_one_channel_is_found_on_the_first_day(connection: Connection) -> None:
    put(connection, "net_sales", YESTERDAY, 1200, dimension="channel", dimension_value="amazon")
    found = look(connection, NOW, zone=ZONE)
    amazon = found_of(found.judgements, "net_sales", "channel", "amazon")[1]
    assert (amazon.found, amazon.adverse, amazon.since) == (Finding.BREACHED, True, YESTERDAY)
    assert amazon.value == Decimal(1200)
    # A Thursday: 0.3 of 13,000.
    assert amazon.expected == pytest.approx(Decimal(3900), abs=120)
    assert found_of(found.judgements, "net_sales", "channel", "online")[1].found is Finding.CLEAR


def test_a_day_that_is_not_complete_is_not_judged(connection: Connection) -> None:
    put(connection, "net_sales", YESTERDAY, 100)
    connection.execute(
        "update metrics.fct_metric_daily set fresh_to = '2026-11-19 22:00+00'"
        " where metric_id = 'net_sales' and date = %s",
        (YESTERDAY,),
    )
    found = found_of(look(connection, NOW, zone=ZONE).judgements, "net_sales")
    assert (found[1].found, found[1].reason) == (Finding.UNKNOWN, Reason.INCOMPLETE)
    assert found[2].found is Finding.CLEAR


def test_what_was_never_synced_is_never_judged(connection: Connection) -> None:
    connection.execute("update metrics.fct_metric_daily set fresh_to = null where metric_id = 'net_sales'")
    found = found_of(look(connection, NOW, zone=ZONE).judgements, "net_sales")
    assert {each.reason for each in found.values()} == {Reason.INCOMPLETE}


def test_unknown_and_undefined_are_told_apart(connection: Connection) -> None:
    put(connection, "net_sales", YESTERDAY, None)
    connection.execute(
        "update metrics.fct_metric_daily set value = null, denominator = 0"
        " where metric_id = 'refund_rate' and date = %s",
        (YESTERDAY,),
    )
    connection.execute(
        "delete from metrics.fct_metric_daily where metric_id = 'late_orders' and date = %s", (YESTERDAY,)
    )
    put(connection, "late_orders", TODAY, "NaN")
    found = look(connection, NOW, zone=ZONE).judgements
    assert found_of(found, "net_sales")[1].reason is Reason.NO_VALUE
    assert found_of(found, "refund_rate")[1].reason is Reason.NOTHING_TO_DIVIDE
    assert found_of(found, "late_orders")[1].reason is Reason.NO_ROW
    assert found_of(found, "late_orders")[0].reason is Reason.NO_VALUE


def test_a_part_without_a_row_had_nothing_where_the_whole_is_known(connection: Connection) -> None:
    connection.execute(
        "delete from metrics.fct_metric_daily where dimension_value = 'amazon' and date = %s", (YESTERDAY,)
    )
    amazon = found_of(look(connection, NOW, zone=ZONE).judgements, "net_sales", "channel", "amazon")[1]
    assert (amazon.found, amazon.value) == (Finding.BREACHED, 0)
    put(connection, "net_sales", YESTERDAY, None)
    assert 1 not in found_of(look(connection, NOW, zone=ZONE).judgements, "net_sales", "channel", "amazon")


def test_persistence_comes_from_the_metric(connection: Connection) -> None:
    put(connection, "refund_rate", YESTERDAY, "0.4")
    found = found_of(look(connection, NOW, zone=ZONE).judgements, "refund_rate")
    assert (found[1].found, found[1].reason) == (Finding.CLEAR, Reason.NOT_PERSISTENT)
    put(connection, "refund_rate", YESTERDAY - timedelta(days=1), "0.4")
    found = found_of(look(connection, NOW, zone=ZONE).judgements, "refund_rate")
    assert found[1].found is Finding.BREACHED
    assert found[1].since == YESTERDAY - timedelta(days=1)


def test_a_promotion_seen_before_is_expected(connection: Connection) -> None:
    sales = [YESTERDAY - timedelta(days=age) for age in (0, 1, 90, 91, 92)]
    for day in sales:
        connection.execute("insert into marts.dim_date values (%s, false, null, true, %s)", (day, f"Sale {day.year}"))
        connection.execute(
            "update metrics.fct_metric_daily set value = value * 1.6 where metric_id = 'net_sales' and date = %s",
            (day,),
        )
    found = found_of(look(connection, NOW, zone=ZONE).judgements, "net_sales")
    assert found[1].found is Finding.CLEAR
    assert "Sale (4 earlier such days)" in found[1].explanation
    connection.execute("delete from marts.dim_date where date < %s", (YESTERDAY - timedelta(days=5),))
    connection.execute("delete from marts.dim_date")
    assert found_of(look(connection, NOW, zone=ZONE).judgements, "net_sales")[1].found is Finding.BREACHED


def test_a_second_look_writes_only_what_changed(connection: Connection) -> None:
    first = look(connection, NOW, zone=ZONE)
    assert first.changed > 0
    later = NOW + timedelta(minutes=5)
    assert look(connection, later, zone=ZONE).changed == 0
    put(connection, "net_sales", YESTERDAY, 2000)
    assert look(connection, later, zone=ZONE).changed == 1
    row = connection.execute(
        "select found, first_judged_at, judged_at from ops.judgements where metric_id = 'net_sales' and date = %s"
        " and dimension = 'all'",
        (YESTERDAY,),
    ).fetchone()
    assert row == ("breached", NOW, later)


def test_what_is_kept_is_read_back_as_it_was(connection: Connection) -> None:
    put(connection, "net_sales", YESTERDAY, 2000)
    found = look(connection, NOW, zone=ZONE)
    kept = {(each.key, each.day): each for each in judged_on(connection, YESTERDAY)}
    for each in found.judgements:
        if each.day == YESTERDAY:
            assert kept[each.key, each.day] == each
    assert history(connection, "net_sales", 1)[0] == found_of(found.judgements, "net_sales")[1]


def test_an_incomplete_day_does_not_hide_the_day_before(connection: Connection) -> None:
    connection.execute(
        "update metrics.fct_metric_daily set fresh_to = '2026-11-19 22:00+00'"
        " where metric_id = 'net_sales' and date = %s",
        (YESTERDAY,),
    )
    look(connection, NOW, zone=ZONE)
    newest = {each.key: each for each in latest(connection, since=TODAY - timedelta(days=7))}
    assert newest[SeriesKey("net_sales")].day == YESTERDAY - timedelta(days=1)
    assert newest[SeriesKey("late_orders")].day == TODAY


def test_days_missed_by_a_standstill_are_judged_afterwards(connection: Connection) -> None:
    look(connection, NOW - timedelta(days=6), zone=ZONE)
    found = found_of(look(connection, NOW, zone=ZONE).judgements, "net_sales")
    assert sorted(found) == [1, 2, 3, 4, 5, 6]


def test_unwatched_metrics_and_an_empty_warehouse(connection: Connection, warehouse: Connect) -> None:
    connection.execute("update metrics.dim_metric set is_watched = false where metric_id <> 'orders'")
    assert look(connection, NOW, zone=ZONE).metrics == 0
    connection.rollback()
    connection.execute("drop table metrics.dim_metric")
    assert look(connection, NOW, zone=ZONE).judgements == ()
    assert metrics_watched(connection) == []
    connection.rollback()


def test_a_dry_look_keeps_nothing(connection: Connection) -> None:
    look(connection, NOW, zone=ZONE, keep=False)
    assert judged_on(connection, YESTERDAY) == []
    assert save(connection, []) == 0


def test_old_quiet_days_are_forgotten_and_breaches_are_not(connection: Connection) -> None:
    put(connection, "net_sales", YESTERDAY, 2000)
    look(connection, NOW, zone=ZONE)
    count = connection.execute("select count(*) from ops.judgements where found <> 'breached'").fetchone()
    assert count is not None
    assert prune(connection, TODAY + timedelta(days=1000)) == count[0]
    assert [each.found for each in judged_on(connection, YESTERDAY)] == [Finding.BREACHED]


def test_a_lasting_level_is_found_at_night_and_history_read_through_it(connection: Connection) -> None:
    start = TODAY - timedelta(days=20)
    connection.execute(
        "update metrics.fct_metric_daily set value = value * 1.5 where metric_id = 'net_sales' and date >= %s", (start,)
    )
    assert find_level_shifts(connection, NOW, zone=ZONE) == 3
    assert find_level_shifts(connection, NOW, zone=ZONE) == 0
    shifts = {
        key: (day, before, after) for key, day, before, after in read_shifts(connection, TODAY - timedelta(days=90))
    }
    day, before, after = shifts[SeriesKey("net_sales")]
    assert abs((day - start).days) <= 1
    assert after / before == pytest.approx(Decimal("1.5"), abs=Decimal("0.05"))
    found = found_of(look(connection, NOW, zone=ZONE).judgements, "net_sales")[1]
    assert found.found is Finding.CLEAR
    # A Thursday at the new level: 13,000 by 1.5.
    assert found.expected == pytest.approx(Decimal(19_500), abs=900)


def test_noise_and_a_bad_week_are_no_new_level(connection: Connection) -> None:
    for age in range(30, 24, -1):
        put(connection, "net_sales", TODAY - timedelta(days=age), 6000)
    panel = read_panel(connection, metrics_watched(connection), end=YESTERDAY, zone=ZONE, judged_days=())
    assert find_shifts(panel) == []


def test_a_shift_beyond_the_panel_changes_nothing(connection: Connection) -> None:
    panel = read_panel(connection, metrics_watched(connection), end=YESTERDAY, zone=ZONE, judged_days=())
    odd = [
        LevelShift(SeriesKey("nothing"), YESTERDAY - timedelta(days=40), Decimal(1), Decimal(2)),
        LevelShift(SeriesKey("net_sales"), panel.days[0] - timedelta(days=40), Decimal(1), Decimal(2)),
        LevelShift(SeriesKey("net_sales"), YESTERDAY, Decimal(1), Decimal(2)),
    ]
    moved = through_shifts(panel, odd)
    assert ((moved.values == panel.values) | (moved.values != moved.values)).all()


def test_the_past_is_replayed_as_it_would_have_been_judged(connection: Connection) -> None:
    for age in (40, 39, 38, 10):
        put(connection, "net_sales", TODAY - timedelta(days=age), 3000)
    metrics = metrics_watched(connection, ["net_sales"])
    since = TODAY - timedelta(days=60)
    days = [since + timedelta(days=number) for number in range(60)]
    panel = read_panel(connection, metrics, end=YESTERDAY, zone=ZONE, judged_days=days, parts=False)
    found = replay(panel, since, NOW)
    assert [each.day for each in found] == days
    told = episodes(found)
    assert [((TODAY - one.first).days, (TODAY - one.last).days, one.days) for one in told] == [(40, 38, 3), (10, 10, 1)]
    assert all(one.worst.adverse for one in told)
    drawing = svg(metrics[0], SeriesKey("net_sales"), found)
    assert drawing.startswith("<svg") and drawing.count("</title></circle>") == 4
    assert page(metrics[0], found, alone_from=Decimal(2)).count("<tr><td>") == 2
    assert "█" in "".join(text_chart(found))
    assert company_zone(connection) == ZONE


def test_an_empty_drawing_says_so(connection: Connection) -> None:
    metric = metrics_watched(connection, ["net_sales"])[0]
    assert "no known day" in svg(metric, SeriesKey("net_sales"), [])
    assert text_chart([]) == ["no day"]


def test_a_tick_reads_a_bounded_window(connection: Connection, tmp_path: Path) -> None:
    panel = read_panel(connection, metrics_watched(connection), end=TODAY, zone=ZONE, judged_days=[TODAY], window=60)
    assert panel.values.shape == (5, 60)
    assert panel.days[0] == TODAY - timedelta(days=59)

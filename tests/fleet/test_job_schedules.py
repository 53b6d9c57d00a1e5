"""When jobs run: at their company time through the changes of the clock, on a publication where they are event-driven;
and what a run collects: what it reads and no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.fleet import get_fleet
from ops_platform.fleet.ticks import last_tick, ticks_between
from ops_platform.warehouse.dbt import unproven_since
from ops_platform.warehouse.parts import manifest, part_of
from tests.conftest import Connect
from tests.sizes import examples

ZONE = "America/New_York"
NEW_YORK = ZoneInfo(ZONE)
CRONS = sorted(set(get_fleet().scheduled().values()))
DAYS = st.dates(date(2025, 1, 1), date(2029, 12, 31))
#: The nights in which clocks change there.
CHANGES = [date(2026, 3, 8), date(2026, 11, 1), date(2027, 3, 14), date(2027, 11, 7)]


def due_on(cron: str, day: date) -> list[datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)
    following = day + timedelta(days=1)
    return ticks_between(cron, ZONE, start, datetime(following.year, following.month, following.day, tzinfo=NEW_YORK))


@settings(max_examples=examples(60), deadline=None)
@given(cron=st.sampled_from(CRONS), day=st.one_of(DAYS, st.sampled_from(CHANGES)))
def test_every_job_is_due_at_its_time_of_the_company_whatever_the_clocks_do(cron: str, day: date) -> None:
    """Read off the wall clock of the day, minute by minute, and not by the code under test."""
    minutes, hours, days, months, weekdays = (field.split(",") for field in cron.split())

    def fits(value: int, wanted: list[str]) -> bool:
        for each in wanted:
            span, _, step = each.partition("/")
            first, _, last = span.partition("-")
            low = 0 if span == "*" else int(first)
            high = 99 if span == "*" else int(last or first)
            if low <= value <= high and (value - low) % int(step or 1) == 0:
                return True
        return False

    walls: list[datetime] = []
    moment = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).astimezone(UTC)
    while (local := moment.astimezone(NEW_YORK)).date() <= day:
        on_day = fits(local.day, days) and fits(local.isoweekday() % 7, weekdays) and fits(local.month, months)
        if (
            local.date() == day
            and local.fold == 0
            and on_day
            and fits(local.hour, hours)
            and fits(local.minute, minutes)
        ):
            walls.append(moment)
        moment += timedelta(minutes=1)
    assert due_on(cron, day) == walls


@pytest.mark.parametrize("day", CHANGES)
def test_nothing_is_lost_or_doubled_in_the_nights_of_the_change(day: date) -> None:
    """Daily jobs outside the changing hour are due once; the two-hourly one not at an hour that is not there."""
    for name, cron in get_fleet().scheduled().items():
        fields = cron.split()
        if fields[2:] == ["*", "*", "*"] and fields[0].isdigit() and fields[1].isdigit():
            assert len(due_on(cron, day)) == 1, name
    walls = [tick.astimezone(NEW_YORK).hour for tick in due_on("0 */2 * * *", day)]
    assert walls == [hour for hour in range(0, 24, 2) if not (day.month == 3 and hour == 2)]


@pytest.mark.parametrize("day", CHANGES)
def test_dagster_starts_every_job_at_those_moments(day: date) -> None:
    """The scheduler's own iterator over the week of the change: what is expected is what is started. Where an hour is
    not there, it starts what was due in it at the next, and the two-hourly job has such an hour."""
    from dagster._utils.schedules import cron_string_iterator

    start = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK) - timedelta(days=3)
    end = start + timedelta(days=7)
    for name, cron in get_fleet().scheduled().items():
        started = []
        for tick in cron_string_iterator(start.timestamp(), cron, ZONE):
            if tick >= end:
                break
            started.append(tick.astimezone(UTC))
        expected = ticks_between(cron, ZONE, start, end)
        gap = [tick.astimezone(NEW_YORK) for tick in started if tick not in expected]
        assert [tick for tick in expected if tick not in started] == [], name
        assert all(tick.hour in (1, 3) and tick.date() == day for tick in gap), (name, gap)


@settings(max_examples=examples(60), deadline=None)
@given(
    cron=st.sampled_from(CRONS),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
)
def test_a_run_belongs_to_the_newest_tick_before_it(cron: str, at: datetime) -> None:
    tick = last_tick(cron, ZONE, at)
    assert tick is not None and tick <= at
    assert ticks_between(cron, ZONE, tick, at) in ([tick], []) and tick in ticks_between(
        cron, ZONE, tick, tick + timedelta(minutes=1)
    )


# What a run collects ------------------------------------------------------------------------------------------


def names(part: Any) -> set[str]:
    return {each.split(".")[-1] for each in part.nodes}


def test_a_part_is_what_a_mart_stands_on_and_no_more() -> None:
    part = part_of(manifest(), ["marts.fct_late_orders"])
    assert {"fct_late_orders", "fct_orders", "int_order_backlog", "stg_shopify__orders"} <= names(part)
    assert not {"fct_metric_daily", "fct_deals", "int_metric_values"} & names(part)
    vendors = {each.split(".")[-2] for each in part.sources if each.split(".")[-2].startswith("raw_")}
    assert vendors == {"raw_shopify"}


def test_the_daily_metric_table_is_never_of_a_part() -> None:
    assert names(part_of(manifest(), ["metrics.fct_metric_daily"])) == set()


def test_what_the_project_does_not_have_is_named() -> None:
    from ops_platform.failures import ConfigurationError

    with pytest.raises(ConfigurationError, match=r"marts\.fct_nothing"):
        part_of(manifest(), ["marts.fct_late_orders", "marts.fct_nothing"])


def test_every_report_reads_marts_that_are_there_and_none_collects_the_whole_by_accident() -> None:
    everything = len([each for each in manifest()["nodes"] if each.startswith("model.")])
    for name, job in get_fleet().jobs.items():
        if job.report is None or not job.collects:
            continue
        part = part_of(manifest(), [*job.report.views(), *(each for each in job.reads if each.startswith("marts."))])
        assert len(part.nodes) < everything / 3, name


# What a part that failed takes with it ------------------------------------------------------------------------

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def builds(warehouse: Connect) -> Iterator[Any]:
    with warehouse() as connection:

        def built(status: str, hour: int, models: list[str] | None = None) -> None:
            at = NOW.replace(hour=hour)
            connection.execute(
                "insert into ops.warehouse_builds (fingerprint, status, started_at, finished_at, of_models)"
                " values ('f', %s, %s, %s, %s)",
                (status, at, at, models),
            )

        built.connection = connection  # type: ignore[attr-defined]
        yield built


def test_a_part_that_failed_leaves_its_own_models_unproven(builds: Any) -> None:
    builds("succeeded", 1)
    builds("failed", 2, ["fct_a", "int_b"])
    connection = builds.connection
    assert unproven_since(connection, NOW, ["fct_a"]) == NOW.replace(hour=1)
    assert unproven_since(connection, NOW, ["fct_c"]) is None
    assert unproven_since(connection, NOW) == NOW.replace(hour=1)
    builds("succeeded", 3, ["fct_a", "int_b", "fct_d"])
    assert unproven_since(connection, NOW, ["fct_a"]) is None and unproven_since(connection, NOW) is None


def test_a_part_that_passed_does_not_make_up_for_a_whole_that_failed(builds: Any) -> None:
    builds("succeeded", 1)
    builds("failed", 2)
    builds("succeeded", 3, ["fct_a"])
    connection = builds.connection
    assert unproven_since(connection, NOW, ["fct_a"]) is None
    assert unproven_since(connection, NOW, ["fct_c"]) == NOW.replace(hour=1)
    assert unproven_since(connection, NOW) == NOW.replace(hour=1)
    builds("succeeded", 4)
    assert unproven_since(connection, NOW) is None


def test_before_the_first_good_build_nothing_is_proven(builds: Any) -> None:
    builds("failed", 2)
    assert unproven_since(builds.connection, NOW) == NOW


# Event-driven -------------------------------------------------------------------------------------------------


def test_a_publication_starts_the_jobs_that_read_it_once(warehouse: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster import DagsterInstance, RunRequest, build_sensor_context

    from jobs.fleet import fleet_jobs
    from ops_platform.settings import Environment
    from sensors.events import events_sensor

    fleet = get_fleet()
    mine = fleet.model_copy(update={"jobs": {name: job for name, job in fleet.jobs.items() if job.event}})
    (sensor,) = events_sensor(mine, fleet_jobs(mine), Environment.DEVELOPMENT)
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())

    def published(relation: str, *, changed: bool = True) -> None:
        with warehouse() as connection:
            (number,) = connection.execute(
                "insert into ops.publications (published_at) values (now()) returning id"
            ).fetchone() or (0,)
            connection.execute(
                "insert into ops.published_models values (%(name)s, %(id)s, %(by)s) on conflict (relation) do update"
                " set publish_id = excluded.publish_id,"
                " changed_by = coalesce(excluded.changed_by, published_models.changed_by)",
                {"name": relation, "id": number, "by": number if changed else None},
            )
            connection.commit()

    with DagsterInstance.ephemeral() as instance:
        cursor: str | None = None

        def look() -> list[tuple[str | None, str | None]]:
            nonlocal cursor
            context = build_sensor_context(instance=instance, cursor=cursor)
            data = sensor.evaluate_tick(context)
            cursor = data.cursor
            return [(each.job_name, each.run_key) for each in data.run_requests or () if isinstance(each, RunRequest)]

        assert look() == []
        published("marts.fct_order_anomalies")
        published("marts.fct_deals")
        assert look() == [("order_anomaly", "order_anomaly:1")]
        assert look() == []
        published("marts.fct_order_anomalies", changed=False)
        assert look() == []
        published("marts.fct_order_anomalies")
        published("marts.fct_purchase_orders_open")
        assert look() == [("order_anomaly", "order_anomaly:4"), ("vendor_drafts", "vendor_drafts:5")]

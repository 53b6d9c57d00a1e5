"""Klaviyo through the loader into a real warehouse: what Klaviyo counts is what landed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.sync import sync_stream
from resources.klaviyo import STREAMS
from tests.connectors.conftest import NOW, World

TODAY = date(2024, 12, 5)
LATER = NOW + timedelta(hours=7)
Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture
def connection(warehouse: Connect) -> Any:
    with warehouse() as opened:
        ensure_raw_tables(opened, [(each.vendor, each.name, each.description) for each in STREAMS.values()])
        opened.commit()
        opened.autocommit = True
        yield opened


def sync(connection: Any, source: Any, name: str, **more: Any) -> Any:
    return sync_stream(connection, source, source.streams[name], **{"now": NOW, "today": TODAY, **more})


def test_every_stream_lands_ties_out_and_rests(own_world: World, connection: Any) -> None:
    source = own_world.klaviyo()
    for name, stream in source.streams.items():
        verdict = "matched" if stream.ties_out else "not_checked"
        first = sync(connection, source, name)
        assert (first.status, first.error, first.tie_out) == ("succeeded", None, verdict), (name, first)
        assert first.inserted > 0 and first.received == first.inserted and first.quarantined == 0, (name, first)
        second = sync(connection, source, name, sweep=True)
        assert (second.status, second.changed, second.tie_out) == ("succeeded", 0, verdict), (name, second)
        swept = "not_due" if stream.full_refresh or name in source.unswept else "done"
        assert (second.sweep, second.held) == (swept, None), (name, second)
    days, amounts, counted = connection.execute(
        "select count(*), count(source_amount), sum(source_count) from ops.tie_outs"
        " where vendor = 'klaviyo' and stream = 'events' and status = 'matched'"
    ).fetchone()
    today = connection.execute(
        "select count(*) from raw_klaviyo.events"
        " where ((payload ->> 'datetime')::timestamptz at time zone 'America/New_York')::date >= %s", (TODAY,),
    ).fetchone()[0]  # fmt: skip
    landed = connection.execute("select count(*) from raw_klaviyo.events").fetchone()[0]
    assert (days, amounts) == (34, 34) and counted == landed - today


def test_what_aggregates_say_is_what_events_add_up_to(own_world: World, connection: Any) -> None:
    source = own_world.klaviyo()
    for name in ("events", "metric_aggregates"):
        sync(connection, source, name)
    differing = connection.execute(
        """
        with single as (
            select payload ->> 'metric_id' as metric, count(*) as events,
                sum((payload -> 'properties' ->> '$value')::numeric) as value,
                ((payload ->> 'datetime')::timestamptz at time zone 'America/New_York')::date::text as day
            from raw_klaviyo.events group by 1, 4
        )
        select count(*) filter (where single.events is distinct from (total.payload ->> 'count')::int
            or single.value <> (total.payload ->> 'value')::numeric), count(*)
        from single left join raw_klaviyo.metric_aggregates as total
            on total.payload ->> 'metric_id' = single.metric and total.payload ->> 'day' = single.day
        """
    ).fetchone()
    assert differing[0] == 0 and differing[1] > 60


def test_late_and_deleted_events(own_world: World, connection: Any) -> None:
    source = own_world.klaviyo()
    sync(connection, source, "events")
    own_world.control("/clock", {"now": LATER.isoformat(), "company": "keep"})
    late = own_world.mutate(
        "klaviyo", "late_event", at="2024-11-30T04:59:59Z", value="17.10", order="9", heard=LATER.isoformat()
    )["id"]
    too_late = own_world.mutate("klaviyo", "late_event", at="2024-11-10T12:00:00Z", value="1.00")["id"]
    again = sync(connection, source, "events", now=LATER)
    assert (again.status, again.tie_out, again.inserted) == ("succeeded", "matched", again.inserted)
    landed = dict(
        connection.execute("select id, payload -> 'properties' ->> '$value' from raw_klaviyo.events").fetchall()
    )
    assert Decimal(landed[late]) == Decimal("17.10") and too_late not in landed
    gone = next(iter(own_world.klaviyo().living_ids(source.streams["events"])))
    own_world.mutate("klaviyo", "delete", stream="events", id=late)
    own_world.mutate("klaviyo", "delete", stream="events", id=gone)
    short = sync(connection, source, "events", now=LATER)
    # One day is short by what was deleted of it; the look at all ids finds the other one, too.
    assert (short.status, short.tie_out, short.deleted, short.held) == ("succeeded", "matched", 2, None)
    assert short.mended_days == [date(2024, 11, 29)]
    assert sync(connection, source, "events", now=LATER).tie_out == "matched"


def test_renamed_archived_and_deleted_objects(own_world: World, connection: Any) -> None:
    source = own_world.klaviyo()
    names = ("lists", "segments", "flows", "campaigns")
    for name in names:
        sync(connection, source, name)
    own_world.control("/clock", {"now": LATER.isoformat(), "company": "keep"})
    ids = {name: sorted(source.living_ids(source.streams[name])) for name in names}
    for name in names:
        own_world.mutate("klaviyo", "upsert", stream=name, id=ids[name][0], name="renamed 改名")
        own_world.mutate("klaviyo", "upsert", stream=name, name="brand new")
        own_world.mutate("klaviyo", "delete", stream=name, id=ids[name][-1])
    for name in ("flows", "campaigns"):
        own_world.mutate("klaviyo", "upsert", stream=name, id=ids[name][1], archived=True)
    for name in names:
        result = sync(connection, source, name, now=LATER)
        # The deleted one is still here, and shows.
        assert (result.inserted, result.updated) == (1, 2 if name in ("flows", "campaigns") else 1), (name, result)
        assert result.tie_out == "mismatched", (name, result)
        swept = sync(connection, source, name, now=LATER, sweep=True)
        assert (swept.deleted, swept.tie_out) == (1, "matched"), (name, swept)
        assert sync(connection, source, name, now=LATER).changed == 0


def test_reports_are_read_once_in_six_hours(own_world: World, connection: Any) -> None:
    source = own_world.klaviyo()

    def calls() -> int:
        return sum(each["path"].endswith("values-reports") for each in own_world.ledger(kind="request"))

    for name in ("campaign_values", "flow_values"):
        assert sync(connection, source, name).inserted > 0
    first = calls()
    assert first == 4
    for hours in (1, 3, 5):
        for name in ("campaign_values", "flow_values"):
            # Another process: what it knows is the cursor.
            result = sync(connection, own_world.klaviyo(), name, now=NOW + timedelta(hours=hours))
            assert (result.status, result.received, result.pages) == ("succeeded", 0, 0)
    assert calls() == first
    own_world.control("/clock", {"now": LATER.isoformat(), "company": "keep"})
    for name in ("campaign_values", "flow_values"):
        assert sync(connection, own_world.klaviyo(), name, now=LATER).updated > 0
    assert calls() == first + 3
    moved = connection.execute("select cursor from ops.cursors where stream = 'flow_values'").fetchone()[0]
    assert moved.startswith("2024-12-05T18:00:00Z|2024-")


def test_a_spent_quota_fails_once_and_keeps_the_rest(own_world: World, connection: Any) -> None:
    source = own_world.klaviyo()
    assert sync(connection, source, "campaign_values").inserted == 12
    own_world.fault("klaviyo", "daily_quota", times=None)
    before = len(own_world.ledger(kind="request"))
    result = sync(connection, source, "campaign_values", now=LATER)
    assert result.status == "failed" and "quota" in result.error and not result.unanswered
    asked = [each for each in own_world.ledger(kind="request")[before:] if "reports" in each["path"]]
    assert len(asked) == 1
    assert connection.execute("select count(*) from raw_klaviyo.campaign_values").fetchone()[0] == 12
    own_world.control("/faults", method="DELETE")
    assert sync(connection, source, "campaign_values", now=LATER).status == "succeeded"


@pytest.mark.parametrize("fault", ["empty_page", "short_page", "repeat_page"])
def test_a_listing_cut_short_loses_nothing(own_world: World, connection: Any, fault: str) -> None:
    source = own_world.klaviyo()
    for name, after in (("lists", 1), ("events", 1), ("campaigns", 0)):
        own_world.fault("klaviyo", fault, after=after, match={"path_contains": f"/api/{name}"})
        result = sync(connection, source, name)
        assert (result.status, result.tie_out) == ("succeeded", "matched"), (name, result)

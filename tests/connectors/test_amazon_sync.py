"""Amazon through the loader into a real warehouse: what Amazon counts is what landed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.sync import sync_stream
from resources.amazon import STREAMS
from tests.connectors.conftest import NOW, World

TODAY = date(2024, 12, 5)
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


def test_every_stream_lands_ties_out_and_is_quiet_the_second_time(own_world: World, connection: Any) -> None:
    source = own_world.amazon()
    for name, stream in source.streams.items():
        first = sync(connection, source, name)
        assert (first.status, first.error, first.quarantined) == ("succeeded", None, 0), (name, first)
        assert first.inserted == first.received - first.duplicates > 0, name
        second = sync(connection, source, name)
        assert (second.status, second.inserted, second.updated, second.deleted) == ("succeeded", 0, 0, 0), (
            name,
            second,
        )
        if stream.ties_out:
            assert (first.tie_out, second.tie_out) == ("matched", "matched"), (name, first, second)
    days = connection.execute(
        "select count(*), count(source_amount), sum(source_amount) from ops.tie_outs"
        " where vendor = 'amazon' and stream = 'orders' and status = 'matched'"
    ).fetchone()
    assert days[0] >= 30 and days[0] == days[1] and days[2] > 10_000


def later(world: World, **ago: float) -> datetime:
    at = NOW + timedelta(**ago)
    world.control("/clock", {"now": at.isoformat(), "company": "keep"})
    return at


def test_a_pending_order_gets_its_price_and_a_late_update_is_found(own_world: World, connection: Any) -> None:
    source = own_world.amazon()
    noon = "2024-12-03T20:00:00Z"
    pending = {"id": "111-0000001-0000001", "status": "PENDING", "quantity": 3, "price": "19.99", "created": noon}
    own_world.mutate("amazon", "upsert_order", at=noon, **pending)
    assert sync(connection, source, "orders").tie_out == "matched"
    price = "payload -> 'orderItems' -> 0 -> 'proceeds' -> 'proceedsTotal' ->> 'amount'"
    row = connection.execute(f"select {price} from raw_amazon.orders where id = '111-0000001-0000001'").fetchone()
    assert row == (None,)
    at = later(own_world, hours=1)
    # Paid an hour ago, and seen only now: behind the cursor, within the look-back.
    own_world.mutate(
        "amazon", "upsert_order", **{**pending, "status": "UNSHIPPED"}, at=(NOW - timedelta(minutes=50)).isoformat()
    )
    result = sync(connection, source, "orders", now=at)
    assert (result.inserted, result.updated, result.tie_out) == (0, 1, "matched"), result
    row = connection.execute(f"select {price} from raw_amazon.orders where id = '111-0000001-0000001'").fetchone()
    assert row == ("59.97",)


def test_an_order_lost_behind_the_cursor_comes_with_its_day(own_world: World, connection: Any) -> None:
    source = own_world.amazon()
    assert sync(connection, source, "orders").tie_out == "matched"
    late = {"created": "2024-12-02T20:00:00Z", "at": "2024-12-02T21:00:00Z", "quantity": 2, "price": "5.00"}
    own_world.mutate("amazon", "upsert_order", id="111-0000002-0000002", **late)
    result = sync(connection, source, "orders")
    assert (result.status, result.tie_out, result.error, result.inserted) == ("succeeded", "matched", None, 1)
    assert result.mended_days == [date(2024, 12, 2)]


def test_cancellations_replacements_and_days_at_the_edge_tie_out(own_world: World, connection: Any) -> None:
    source = own_world.amazon()
    facts = [
        # A minute before and at midnight in Seattle, which is three o'clock in New York.
        {"id": "111-1-1", "created": "2024-12-03T07:59:59Z", "price": "1.01"},
        {"id": "111-1-2", "created": "2024-12-03T08:00:00Z", "price": "2.02"},
        # The day the clocks went back has twenty-five hours.
        {"id": "111-1-3", "created": "2024-11-03T06:59:00Z", "price": "3.03"},
        {"id": "111-1-4", "created": "2024-11-04T07:59:59Z", "price": "4.04"},
        {"id": "111-1-5", "created": "2024-12-03T15:00:00Z", "price": "0.00", "replaces": "111-1-1"},
        {"id": "111-1-6", "created": "2024-12-03T15:00:00Z", "status": "CANCELLED", "price": "7.77"},
        {"id": "111-1-7", "created": "2024-12-03T15:00:00Z", "marketplace": "A2EUQ1WTGCTBG2", "currency": "CAD"},
        {"id": "111-1-8", "created": "2024-12-03T15:00:00Z", "status": "PENDING_AVAILABILITY"},
    ]
    for fact in facts:
        own_world.mutate("amazon", "upsert_order", at=fact["created"], **fact)
    result = sync(connection, source, "orders")
    assert (result.tie_out, result.error) == ("matched", None)
    landed = {row[0] for row in connection.execute("select id from raw_amazon.orders where id like '111-1-%'")}
    assert landed == {fact["id"] for fact in facts} - {"111-1-7"}


def test_what_left_amazon_leaves_the_table(own_world: World, connection: Any) -> None:
    source = own_world.amazon()
    for name in ("inventory_summaries", "listings"):
        sync(connection, source, name)
    own_world.mutate("amazon", "delete_sku", sku="NB-SLV1-NAV")
    own_world.mutate("amazon", "set_stock", sku="NB-NEW 🎁", quantity=4)
    inventory = sync(connection, source, "inventory_summaries")
    listings = sync(connection, source, "listings")
    assert (inventory.inserted, inventory.deleted, inventory.tie_out) == (1, 1, "matched"), inventory
    assert (listings.inserted, listings.deleted, listings.tie_out) == (0, 1, "matched"), listings


def test_a_short_listing_never_empties_the_table(own_world: World, connection: Any) -> None:
    source = own_world.amazon()
    sync(connection, source, "inventory_summaries")
    own_world.fault("amazon", "short_page", times=2)
    result = sync(connection, source, "inventory_summaries")
    assert (result.status, result.deleted) == ("failed", 0), result
    again = sync(connection, source, "inventory_summaries")
    assert (again.status, again.deleted, again.updated, again.tie_out) == ("succeeded", 0, 0, "matched")


def test_a_throttled_read_commits_what_it_has_and_goes_on(own_world: World, connection: Any) -> None:
    own_world.control("/profile", {"profile": "restricted"})
    source = own_world.amazon()
    source.orders_page_size, source.orders_budget_seconds = 20, 100.0
    first = sync(connection, source, "orders")
    assert (first.status, first.received, first.tie_out) == ("succeeded", 100, "unknown"), first
    assert "tie out when the rest has come" in first.error
    fresh = connection.execute(
        "select cursor, fresh_to from ops.cursors where vendor = 'amazon' and stream = 'orders'"
    ).fetchone()
    assert fresh[0].count("/") == 4 and fresh[1] < NOW - timedelta(days=700), "nothing later is claimed"
    second = sync(connection, source, "orders")
    assert second.status == "failed" and "is allowed again in" in second.error
    own_world.control("/profile", {"profile": "generous"})
    third = sync(connection, own_world.amazon(), "orders")
    assert third.status == "succeeded", third
    fourth = sync(connection, own_world.amazon(), "orders")
    assert (fourth.status, fourth.inserted, fourth.updated, fourth.tie_out) == ("succeeded", 0, 0, "matched"), fourth
    rows = connection.execute("select count(*) from raw_amazon.orders").fetchone()
    assert rows[0] == 219
    fresh = connection.execute(
        "select fresh_to from ops.cursors where vendor = 'amazon' and stream = 'orders'"
    ).fetchone()
    assert fresh[0] == NOW


def test_a_report_is_landed_once_and_its_successor_beside_it(own_world: World, connection: Any) -> None:
    source = own_world.amazon()
    assert sync(connection, source, "account_health").inserted == 1
    again = sync(connection, source, "account_health")
    assert (again.status, again.received) == ("succeeded", 0)
    at = later(own_world, hours=16)
    own_world.mutate("amazon", "set_health", metrics={"validTrackingRate": {"rate": 0.97, "status": "GOOD"}})
    result = sync(connection, source, "account_health", now=at)
    assert (result.inserted, result.updated) == (1, 0), result
    rates = connection.execute(
        "select payload -> 'performanceMetrics' -> 'validTrackingRate' ->> 'rate' from raw_amazon.account_health"
        " order by updated_at"
    ).fetchall()
    assert rates == [("0.936",), ("0.97",)]

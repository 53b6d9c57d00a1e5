"""The connectors through the loader into a real warehouse: what the vendor counts is what landed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.sync import sync_stream
from resources.vendors import all_streams
from tests.connectors.conftest import NOW, World

TODAY = date(2024, 12, 5)
Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture
def connection(warehouse: Connect) -> Any:
    with warehouse() as opened:
        ensure_raw_tables(opened, [(each.vendor, each.name, each.description) for each in all_streams()])
        opened.commit()
        opened.autocommit = True
        yield opened


def sync(connection: Any, source: Any, name: str, **more: Any) -> Any:
    return sync_stream(connection, source, source.streams[name], **{"now": NOW, "today": TODAY, **more})


@pytest.mark.parametrize("vendor", ["shopify", "netsuite"])
def test_every_stream_lands_and_ties_out(own_world: World, connection: Any, vendor: str) -> None:
    source = getattr(own_world, vendor)()
    for name, stream in source.streams.items():
        first = sync(connection, source, name)
        assert (first.status, first.error) == ("succeeded", None), (name, first)
        assert first.received == first.inserted + first.duplicates and first.quarantined == 0, (name, first)
        assert first.inserted > 0, name
        second = sync(connection, source, name)
        assert (second.status, second.inserted, second.updated, second.deleted) == ("succeeded", 0, 0, 0), (
            name,
            second,
        )
        if stream.ties_out:
            assert (first.tie_out, second.tie_out) == ("matched", "matched"), (name, first, second)
    days = connection.execute(
        "select count(*), count(source_amount) from ops.tie_outs where vendor = %s and status = 'matched'"
        " and stream in ('orders', 'transactions')",
        (vendor,),
    ).fetchone()
    assert days[0] >= 30 and days[1] >= 30


def test_a_deletion_that_no_list_shows_is_found_by_the_tie_out(own_world: World, connection: Any) -> None:
    source = own_world.shopify()
    sync(connection, source, "orders")
    target = connection.execute(
        "select id from raw_shopify.orders where (payload->>'processedAt')::timestamptz"
        " between '2024-12-03T12:00Z' and '2024-12-03T23:00Z' order by id limit 1"
    ).fetchone()[0]
    own_world.mutate("shopify", "delete_order", id=target)
    result = sync(connection, source, "orders")
    # One too many on its day: the day is read again, and then all ids, which settle it.
    assert (result.status, result.tie_out, result.deleted, result.sweep) == ("succeeded", "matched", 1, "done")
    assert result.mended_days == result.reread_days == [date(2024, 12, 3)]
    again = sync(connection, source, "orders")
    assert (again.tie_out, again.changed, again.reread_days) == ("matched", 0, [])


def test_deleted_transactions_leave(own_world: World, connection: Any) -> None:
    source = own_world.netsuite()
    sync(connection, source, "transactions")
    doomed = connection.execute(
        "select id from raw_netsuite.transactions where payload->>'type' = 'CashSale' order by id limit 1"
    ).fetchone()[0]
    later = NOW + timedelta(hours=2)
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("netsuite", "delete_transaction", id=doomed)
    result = sync(connection, source, "transactions", now=later)
    assert (result.deleted, result.tie_out) == (1, "matched")

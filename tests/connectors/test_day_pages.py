"""Each vendor's days read again: what was lost comes back, what is stale is replaced, what is not theirs goes.

Belongs here: every stream that ties out by day, with its vendor's own way of being asked for one. Does not belong here:
when a day is read again (`tests/ingestion/test_reread.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest

from ops_platform.ingestion import reread
from ops_platform.ingestion.sweep import can_sweep
from ops_platform.ingestion.sync import sync_stream
from resources.vendors import all_streams
from tests.connectors.conftest import NOW, World
from tests.connectors.test_sandbox_sync import TODAY, connection

__all__ = ["connection"]
# One stream a vendor, each that has its own way of asking; the others of a vendor go the same way.
STREAMS = {
    "airtable": ("paid_media_spend", "search_rankings"),
    "amazon": ("orders",),
    "app": ("tickets", "subscriptions", "users"),
    "github": ("issues",),
    "hubspot": ("deals", "tickets"),
    "klaviyo": ("events",),
    "netsuite": ("transaction_lines", "transactions", "purchase_orders", "ledger_lines"),
    "shopify": ("orders",),
}
# The other vendors' own sync tests read a day again by default.
BY_DEFAULT = ("airtable", "app", "hubspot", "netsuite")
# What of a stream the totals are of, where that is not every row.
COUNTED = {"transaction_lines": "payload->>'mainline' = 'F' and payload->>'netamount' is not null"}
# Where the totals have a sum, something in the payload that it is made of, and another value of it.
MONEY = {
    "airtable": "jsonb_set(payload, '{spend}', '\"0.01\"')",
    "amazon": "jsonb_set(payload, '{orderItems,0,quantityOrdered}', '77')",
    "app": "jsonb_set(payload, '{resolved_at}', '\"2024-12-01T00:00:00Z\"')",
    "klaviyo": "jsonb_set(payload, '{properties,$value}', '\"0.01\"')",
    "shopify": "jsonb_set(payload, '{lineItems,0,originalTotalSet,shopMoney,amount}', '\"0.01\"')",
}


def living(connection: psycopg.Connection[Any], table: str) -> dict[str, str]:
    return dict(connection.execute(f"select id, payload::text from {table} where deleted_at is null").fetchall())


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        pytest.param(vendor, name, marks=[] if place == 0 and vendor in BY_DEFAULT else [pytest.mark.slow])
        for vendor, names in STREAMS.items()
        for place, name in enumerate(names)
    ],
)
def test_a_day_read_again_is_the_vendors_day(world: World, connection: Any, vendor: str, name: str) -> None:
    source = getattr(world, vendor)()
    stream = source.streams[name]

    def sync() -> Any:
        return sync_stream(connection, source, stream, now=NOW, today=TODAY)

    first, quiet = sync(), sync()
    assert (first.status, first.tie_out, first.reread_days) == ("succeeded", "matched", [])
    assert (quiet.tie_out, quiet.changed) == ("matched", 0)
    table = f"raw_{vendor}.{name}"
    whole = living(connection, table)
    query = source.landed_query(stream)
    # A day of the middle, whose rows no look-back brings again: chosen by its place among those that were compared.
    days = connection.execute(
        "select day from ops.tie_outs where vendor = %s and stream = %s and landed_count > 1 order by day",
        (vendor, name),
    ).fetchall()
    (day,) = days[len(days) // 2]
    on_day = f"from {table} where ({query.day_expression})::date = '{day}' and {COUNTED.get(name, 'true')}"
    (victim, count) = connection.execute(f"select min(id), count(*) {on_day}").fetchone()
    assert count > 1
    # Lost, and its day's verdict no longer known.
    connection.execute(f"delete from {table} where id = %s", (victim,))
    unknown = "update ops.tie_outs set status = 'unknown' where vendor = %s and stream = %s and day = %s"
    connection.execute(unknown, (vendor, name, day))
    lost = sync()
    assert (lost.tie_out, lost.reread_days, lost.mended_days) == ("matched", [day], [day]), lost
    assert lost.inserted == 1 and lost.received - quiet.received <= 5 * count + 5, "more was read than that day"
    assert living(connection, table) == whole
    # Stale without a word from the vendor, and one too many that the vendor never had.
    if vendor in MONEY:
        connection.execute(
            f"update {table} set payload = {MONEY[vendor]}, payload_hash = '\\x00' where id = %s", (victim,)
        )
    sweeps = can_sweep(source, stream)
    if sweeps:
        connection.execute(
            f"insert into {table} select 'nobody', payload, updated_at, payload_hash, first_seen_at, last_seen_at,"
            f" sync_id, null from {table} where id = %s",
            (victim,),
        )
    connection.execute(unknown, (vendor, name, day))
    mended = sync()
    # Lines of a document come with all of it; what else is too many only the ids of all can tell.
    swept = "done" if sweeps and name not in getattr(source, "parent_keys", ()) else "not_due"
    assert (mended.tie_out, mended.mended_days, mended.sweep) == ("matched", [day], swept), mended
    assert mended.deleted == sweeps and living(connection, table) == whole
    assert sync().changed == 0


def test_every_stream_that_ties_out_by_day_can_be_read_by_day(world: World, connection: Any) -> None:
    by_day: dict[str, set[str]] = {}
    makers: dict[str, Callable[[], Any]] = {vendor: getattr(world, vendor) for vendor in (*STREAMS, "slack")}
    for vendor, maker in makers.items():
        source = maker()
        for stream in [each for each in all_streams() if each.vendor == vendor and each.ties_out]:
            if vendor == "amazon":
                # Its totals are of the days before the last read.
                source._now = NOW
            query = source.landed_query(source.streams[stream.name])
            if query is not None and query.day_expression is not None:
                by_day.setdefault(vendor, set()).add(stream.name)
                assert reread.can_read_days(source), stream
    assert by_day.keys() == STREAMS.keys()
    assert all(set(STREAMS[vendor]) <= names for vendor, names in by_day.items())


@pytest.mark.slow
def test_days_of_the_edge_are_whole(world: World, connection: Any) -> None:
    """A day has the records of its first and of its last second and none of its neighbours' days beyond a rounding."""
    source = world.shopify()
    orders = source.streams["orders"]
    days = [date(2024, 11, 28), date(2024, 11, 29), date(2024, 12, 2)]
    found = {record.id for page in source.day_pages(orders, days, now=NOW) for record in page.records}
    sync_stream(connection, source, orders, now=NOW, today=TODAY)
    zone = source.shop().zone
    (wanted,) = connection.execute(
        "select array_agg(id) from raw_shopify.orders"
        " where ((payload->>'processedAt')::timestamptz at time zone %s)::date = any(%s)",
        (zone, days),
    ).fetchone()
    assert found == set(wanted)

"""A model computed in parts says what it says when computed whole, whatever changed in between and in what order.

The oracle is the same SQL over the whole history: each history of changes ends with a full refresh, and no table may
differ from what the builds before it left. That the whole is right, other tests say."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.payloads import line, order, parcel, product, refund, stock

START = datetime(2026, 3, 12, 10, 0, tzinfo=UTC)
SHOP = {"id": "gid://shopify/Shop/1", "name": "S", "currencyCode": "USD", "ianaTimezone": "America/New_York"}
CUSTOMERS = [None, 1, 2, 3]
# A full refresh leaves the pictures of stock alone, and there is no other memory of them.
REMEMBERED = {"int_stock_snapshots"}


def some_order(draw: random.Random, number: int, today: date) -> dict[str, Any]:
    """An order of the last hundred days, or a very old one, in any state."""
    age = draw.choice([0, 1, 2, 5, 8, 20, 35, 59, 62, 100, 400])
    placed = datetime(today.year, today.month, today.day, draw.randrange(24), 59, 59, tzinfo=UTC) - timedelta(days=age)
    lines = [
        line(number * 10 + place, draw.choice("ABC"), draw.randint(1, 4), str(draw.choice([50, 30, "0.335"])))
        for place in range(1, draw.randint(2, 4))
    ]
    state: dict[str, Any] = {}
    moment = (placed + timedelta(days=draw.randint(0, 30))).strftime("%Y-%m-%dT%H:%M:%SZ")
    match draw.choice(["open", "open", "shipped", "cancelled", "refunded"]):
        case "shipped":
            state = {"displayFulfillmentStatus": "FULFILLED", "fulfillments": [parcel(number, moment)]}
        case "cancelled":
            state = {"cancelledAt": moment, "cancelReason": "CUSTOMER"}
        case "refunded":
            state = {"displayFinancialStatus": "REFUNDED", "refunds": [refund(number, moment, ["30"])]}
    return order(
        number, placed.strftime("%Y-%m-%dT%H:%M:%SZ"), lines, customer=draw.choice(CUSTOMERS),
        country=draw.choice(["US", "GB", "DE", None]), tags=draw.choice([[], ["Amazon"], ["custom"]]), **state,
    )  # fmt: skip


def contents(warehouse: DbtWarehouse) -> dict[str, list[Any]]:
    """Every table that dbt keeps, rows in order."""
    tables = warehouse.rows(
        "select schemaname || '.' || tablename, tablename from pg_tables where schemaname in ('staging',"
        " 'intermediate', 'candidate_marts', 'candidate_metrics', 'marts', 'metrics') order by 1"
    )
    return {
        name: warehouse.rows(f"select row_to_json(kept)::text from {name} as kept order by 1")
        for name, plain in tables
        if plain not in REMEMBERED
    }


def a_day_passes(draw: random.Random, warehouse: DbtWarehouse, numbers: list[int], now: datetime) -> datetime:
    """Orders come, change and go; some syncs bring nothing, some days are not compared; the clock moves."""
    now += timedelta(days=draw.choice([0, 1, 1, 3, 70]), hours=draw.randrange(5))
    changed = draw.sample(numbers, draw.randint(0, min(4, len(numbers))))
    fresh = list(range(max(numbers, default=0) + 1, max(numbers, default=0) + 1 + draw.randint(0, 3)))
    gone = [number for number in numbers if number not in changed and draw.random() < 0.1]
    warehouse.clock(now)
    warehouse.land(
        "shopify", "orders", [some_order(draw, number, now.date()) for number in changed + fresh], now,
        deleted=[f"gid://shopify/Order/{number}" for number in gone], fresh=draw.random() < 0.8,
    )  # fmt: skip
    numbers[:] = sorted((set(numbers) | set(fresh)) - set(gone))
    if draw.random() < 0.5:
        warehouse.land("shopify", "inventory_items", [stock("A", draw.randint(0, 90), draw.randint(0, 90))], now)
    for age in draw.sample(range(1, 60), 5):
        warehouse.connection.execute(
            "insert into ops.tie_outs (vendor, stream, entity, day, status, checked_at) values"
            " ('shopify', 'orders', 'orders', %s, %s, %s)"
            " on conflict (vendor, stream, entity, day) do update set status = excluded.status",
            (now.date() - timedelta(days=age), draw.choice(["matched", "mismatched", "unknown"]), now),
        )
    return now


def history(warehouse: DbtWarehouse, seed: int, days: int) -> None:
    draw = random.Random(seed)
    numbers: list[int] = []
    now = START
    warehouse.clock(now)
    warehouse.land("shopify", "shop", [SHOP], now)
    warehouse.land("shopify", "products", [product("A"), product("B")], now)
    for _ in range(days):
        now = a_day_passes(draw, warehouse, numbers, now)
        warehouse.run()
    before = contents(warehouse)
    warehouse.run("--full-refresh")
    after = contents(warehouse)
    assert len(before["marts.fct_orders"]) > 0
    assert {name: (len(before[name]), len(after[name])) for name in after if before[name] != after[name]} == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 14))
def test_parts_add_up_to_the_whole_in_any_history(make_warehouse: MakeWarehouse, seed: int) -> None:
    history(make_warehouse(), seed=seed, days=9)

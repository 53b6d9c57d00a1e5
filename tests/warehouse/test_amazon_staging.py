"""Amazon's staging models over what the connector lands from the sandbox: built, changed, built again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from resources.amazon.marketplaces import MARKETPLACES
from sandbox.company import generate
from sandbox.company.catalogue import FBA
from sandbox.company.marketplace import LOST_SKU, LOST_UNITS
from tests.connectors.conftest import NOW, World, read, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DBT_PROJECT, DbtWarehouse

MODELS = "staging.amazon"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def landed(own: World) -> dict[str, dict[str, Any]]:
    source = own.amazon()
    return {name: read(source, name).payloads for name in source.streams}


@pytest.fixture(scope="module")
def warehouse(landed: dict[str, dict[str, Any]], make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(NOW)
    for name, payloads in landed.items():
        made.land("amazon", name, payloads.values(), NOW, ids=payloads)
    made.dbt("build", "--select", MODELS)
    return made


def test_every_order_of_the_company_is_there_at_its_price(warehouse: DbtWarehouse) -> None:
    company = generate(7, NOW)
    sold = {order.name: order for order in company.orders if order.channel == "amazon" and not order.test}
    rows = warehouse.rows(
        "select orders.seller_order_id, orders.is_pending, sum(items.quantity), sum(items.sales_amount),"
        " max(orders.tax_amount) from staging.stg_amazon__orders as orders"
        " join staging.stg_amazon__order_items as items using (order_id)"
        " where orders.replaces_order_id is null group by 1, 2"
    )
    assert {row[0] for row in rows} == set(sold)
    for name, pending, units, sales, tax in rows:
        order = sold[name]
        assert units == sum(line.quantity for line in order.lines), name
        if pending:
            assert (sales, tax) == (None, None), "unknown, not zero"
        else:
            assert (sales, tax) == (order.gross, order.tax), name


def test_stock_listings_and_health_can_be_read(warehouse: DbtWarehouse) -> None:
    company = generate(7, NOW)
    shelf = {level.sku: level for level in company.inventory_levels if level.location_id == FBA.id}
    rows = warehouse.rows(
        "select sku, total_quantity, fulfillable_quantity, researching_quantity, inbound_quantity"
        " from staging.stg_amazon__inventory_summaries"
    )
    assert {row[0] for row in rows} == set(shelf)
    for sku, total, fulfillable, researching, inbound in rows:
        lost = LOST_UNITS if sku == LOST_SKU else 0
        assert (total, fulfillable + lost, researching, inbound) == (shelf[sku].on_hand, shelf[sku].available, lost, 0)
    assert warehouse.rows(
        "select count(*), sum(error_count), sum(warning_count) from staging.stg_amazon__listings"
    ) == warehouse.rows(
        "select (select count(*) from staging.stg_amazon__listings), count(*) filter (where severity = 'ERROR'),"
        " count(*) filter (where severity = 'WARNING') from staging.stg_amazon__listing_issues"
    )
    assert warehouse.rows(
        "select metric_name, rate, target_value, target_condition from staging.stg_amazon__account_health_metrics"
        " where metric_status = 'BAD'"
    ) == [("validTrackingRate", Decimal("0.936"), Decimal("0.95"), "GREATER_THAN")]
    assert warehouse.one("select account_status from staging.stg_amazon__account_health") == "AT_RISK"


def test_a_changed_order_is_parsed_again_and_a_deleted_one_is_gone(warehouse: DbtWarehouse, own: World) -> None:
    orders = read(own.amazon(), "orders").payloads
    changed, gone, *_ = sorted(key for key, order in orders.items() if len(order["orderItems"]) > 1)
    payload = {**orders[changed], "orderItems": orders[changed]["orderItems"][:1]}
    before = dict(warehouse.rows("select order_id, xmin::text from staging.stg_amazon__orders"))
    warehouse.land("amazon", "orders", [payload], NOW, ids=[changed], deleted=[gone])
    warehouse.dbt("run", "--select", MODELS)
    after = dict(warehouse.rows("select order_id, xmin::text from staging.stg_amazon__orders"))
    assert set(before) - set(after) == {gone}
    assert {key for key in after if after[key] != before[key]} == {changed}
    count = "select count(*) from staging.stg_amazon__order_items where order_id = %s"
    assert (warehouse.one(count, changed), warehouse.one(count, gone)) == (1, 0)


def test_the_zones_are_those_of_the_connector() -> None:
    text = (DBT_PROJECT / "macros" / "warehouse" / "amazon.sql").read_text()
    found = {
        marketplace: zone
        for ids, zone in re.findall(r"in \(([^)]*)\) then '([^']*)'", text)
        for marketplace in re.findall(r"'([^']*)'", ids)
    }
    assert found == {marketplace.id: marketplace.zone for marketplace in MARKETPLACES.values()}

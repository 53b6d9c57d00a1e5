"""Channels, customers, codes, calendars and stock: what the generated company did, found again in the metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from sandbox.company import generate
from sandbox.company.catalogue import FBA
from sandbox.company.marketplace import CANADA, build_marketplace
from sandbox.company.model import Company
from tests.connectors.conftest import World, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import STREAMS, DbtWarehouse
from tests.warehouse.landing import land_streams

CLOCK = datetime(2025, 4, 20, 11, tzinfo=UTC)
SEED = 7
CHOSEN = (
    "fct_channel_sales_daily", "fct_channel_balance_daily", "fct_marketplace_sales_daily", "fct_discount_codes_daily",
    "fct_customer_cohorts", "fct_customer_value_daily", "fct_product_margins", "fct_order_backlog_daily", "dim_date",
    "int_stock_snapshots",
)  # fmt: skip
METRICS = (
    "channel_net_sales", "channel_mix", "channels_off_target", "marketplace_sales", "marketplace_orders",
    "marketplace_orders_unknown_to_shop", "b2b_sales", "cohort_value_90d", "repeat_rate_90d", "promo_order_share",
    "promo_orders", "promo_net_sales", "promo_discount_amount", "promo_discount_share", "units_per_order",
    "cancelled_order_share", "new_customer_revenue", "returning_customer_revenue", "returning_revenue_share",
    "marketplace_units", "marketplace_cancelled_share", "late_order_value", "pending_order_value",
    "shipped_within_24h_share", "shipped_within_48h_share", "orders_shipped_late", "purchase_orders_open",
    "purchase_orders_open_value", "key_sku_stock_out_rate", "dead_stock_value", "overstock_value", "fba_units",
)  # fmt: skip


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(SEED, CLOCK)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"), clock=CLOCK, seed=SEED)


@pytest.fixture(scope="module")
def warehouse(world: World, make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(CLOCK)
    for vendor, source in (("shopify", world.shopify()), ("netsuite", world.netsuite()), ("amazon", world.amazon())):
        land_streams(made, vendor, source, (name for name in STREAMS[vendor] if name in source.streams), CLOCK)
    made.build("--select", *(f"+{name}" for name in CHOSEN), *METRICS, "--indirect-selection", "cautious")
    return made


def test_an_order_that_two_systems_know_counts_once(warehouse: DbtWarehouse, company: Company) -> None:
    """The connector reads the store of the United States, whose orders the shop has all."""
    mirrored = [order for order in company.orders if order.channel == "amazon" and not order.test]
    assert mirrored
    counted = dict(
        warehouse.rows(
            "select record, sum(orders) from marts.fct_channel_sales_daily where channel = 'amazon' group by record"
        )
    )
    assert counted == {"shop": len(mirrored)}
    assert sum(warehouse.candidate("marketplace_orders_unknown_to_shop").values()) == 0


def test_amazon_and_the_shop_agree_on_what_both_sold(warehouse: DbtWarehouse, company: Company) -> None:
    sold = [
        order
        for order in build_marketplace(company).orders
        if order.marketplace != CANADA and order.status not in ("PENDING", "CANCELLED") and order.replaces is None
    ]
    units, amount = warehouse.rows(
        "select sum(units), sum(net_amount_company) from intermediate.int_marketplace_sales"
        " where is_sale and is_in_shop"
    )[0]
    assert units == sum(item.quantity for order in sold for item in order.items)
    assert amount == sum(item.sales - item.discount for order in sold for item in order.items)


def test_a_channel_that_breaks_down_is_seen(warehouse: DbtWarehouse, company: Company) -> None:
    drops = [each for each in company.incidents if each.kind == "channel_drop"]
    assert drops
    for drop in drops:
        channel = drop.entity.removeprefix("channel:")
        mix = warehouse.candidate("channel_mix", "channel", channel)
        days = [drop.start + timedelta(days=n) for n in range((drop.end - drop.start).days + 1)]
        before = [day for day in (drop.start - timedelta(days=n) for n in range(1, 29)) if day in mix]
        during = sum((mix.get(day, Decimal(0)) for day in days), Decimal(0)) / len(days)
        assert during < sum((mix[day] for day in before), Decimal(0)) / len(before) * Decimal("0.8"), (
            channel,
            drop.start,
        )


def test_customers_come_back_as_they_did(warehouse: DbtWarehouse, company: Company) -> None:
    """Counted a second time, from the company's own orders."""
    days: dict[object, list[date]] = defaultdict(list)
    for order in company.orders:
        if order.customer_id is not None and not order.test and order.cancelled_at is None:
            days[order.customer_id].append(company.business_day(order.created_at))
    ripe: dict[date, list[bool]] = defaultdict(list)
    for bought in days.values():
        first = min(bought)
        end = first + timedelta(days=89)
        if end < company.business_day(CLOCK):
            ripe[end].append(sum(day <= end for day in bought) > 1)
    expected = {day: (sum(back), len(back)) for day, back in ripe.items()}
    found = {
        day: (repeat, customers)
        for day, repeat, customers in warehouse.rows(
            "select date, repeat_customers, customers from marts.fct_customer_value_daily"
        )
    }
    assert len(expected) > 30
    assert found == expected


def test_the_first_month_of_a_cohort_holds_every_customer(warehouse: DbtWarehouse) -> None:
    assert warehouse.one(
        "select count(*) from marts.fct_customer_cohorts as later join marts.fct_customer_cohorts as first"
        " on first.cohort_month = later.cohort_month and first.months_since_first = 0"
        " where later.months_since_first < 0 or later.customers > first.customers"
    ) == 0  # fmt: skip
    assert warehouse.one("select sum(orders) from marts.fct_customer_cohorts") == warehouse.one(
        "select count(*) from marts.fct_orders where customer_id is not null and cancelled_at is null"
    )


def test_orders_with_a_code_are_those_of_the_company(warehouse: DbtWarehouse, company: Company) -> None:
    coded = sum(any(code for code in order.discount_codes) for order in company.orders if not order.test)
    assert sum(warehouse.candidate("promo_orders").values()) == coded > 100


def test_invoices_to_dealers_are_a_channel_of_their_own(warehouse: DbtWarehouse, company: Company) -> None:
    assert sum(warehouse.candidate("b2b_sales").values()) == warehouse.one(
        "select sum(revenue) from intermediate.int_erp_transactions"
        " where transaction_type in ('CustInvc', 'CustCred') and shop_order_name is null"
    )
    assert company.b2b_invoices


def test_a_warehouse_that_stops_shipping_is_seen(warehouse: DbtWarehouse, company: Company) -> None:
    waves = [each for each in company.incidents if each.kind == "late_wave"]
    assert waves
    late = warehouse.candidate("orders_shipped_late")
    for wave in waves:
        after = sum(late.get(wave.start + timedelta(days=n), Decimal(0)) for n in range(3, 16))
        before = sum(late.get(wave.start - timedelta(days=n), Decimal(0)) for n in range(1, 14))
        assert after > before, wave.start


def test_stock_at_amazon_is_what_can_be_sold_or_is_held(warehouse: DbtWarehouse, company: Company) -> None:
    held = sum(each.fulfillable + each.reserved for each in build_marketplace(company).stock)
    assert list(warehouse.candidate("fba_units").values()) == [held]
    assert any(level.location_id == FBA.id for level in company.inventory_levels)


def test_every_metric_has_rows(warehouse: DbtWarehouse) -> None:
    empty = [name for name in METRICS if not warehouse.one(f"select count(*) from candidate_metrics.{name}")]
    assert empty == []


def test_no_day_of_the_calendar_is_missing_or_twice(warehouse: DbtWarehouse) -> None:
    days, first, last = warehouse.rows("select count(*), min(date), max(date) from marts.dim_date")[0]
    assert days == (last - first).days + 1
    # Every retail year that is wholly there has as many days as its weeks say.
    assert warehouse.rows(
        "select retail_year, count(*) from marts.dim_date group by retail_year, weeks_in_retail_year"
        " having count(*) > weeks_in_retail_year * 7"
    ) == []  # fmt: skip

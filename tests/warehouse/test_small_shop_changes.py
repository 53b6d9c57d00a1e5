"""The shop of `small_shop.py` on later mornings: what is changed, withdrawn and late. The tests build on each other, in
order: by default on the part of the project that holds what they read, then (`make test-all`) on the whole."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.part_of_project import copy_part
from tests.warehouse.payloads import line, order, refund
from tests.warehouse.small_shop import FIRST, MORNING, SECOND, THIRD, amounts, open_shop

PART = (
    "net_sales", "orders", "order_lines", "repeat_order_share", "amounts_without_rate", "orders_pending",
    "late_orders", "inventory_units", "fct_orders", "fct_order_lines", "fct_sales_daily", "fct_inventory_position",
)  # fmt: skip


@pytest.fixture(scope="module", params=["part", pytest.param("whole", marks=pytest.mark.slow)])
def shop(
    request: pytest.FixtureRequest, make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> DbtWarehouse:
    whole = request.param == "whole"
    made = make_warehouse() if whole else make_warehouse(copy_part(PART, tmp_path_factory.mktemp("part") / "project"))
    open_shop(made)
    made.build()
    return made


def written_rows(shop: DbtWarehouse) -> dict[str, Any]:
    """The transaction that wrote each row of the tables readers rest on, as one digest a table."""
    return {
        table: shop.one(f"select md5(string_agg(xmin::text || ctid::text, ',' order by ctid)) from {table}")
        for table in (
            "metrics.fct_metric_daily", "metrics.dim_metric", "marts.fct_orders", "marts.fct_order_lines",
            "marts.fct_sales_daily", "marts.fct_inventory_position", "staging.stg_shopify__orders",
            "staging.stg_shopify__order_lines",
        )
    }  # fmt: skip


def test_an_unchanged_build_writes_nothing(shop: DbtWarehouse) -> None:
    before = written_rows(shop)
    shop.run()
    assert written_rows(shop) == before


def test_changes_reach_their_own_days_and_no_other(shop: DbtWarehouse) -> None:
    untouched = shop.one("select xmin::text from staging.stg_shopify__orders where order_name = '#4'")
    changed = {
        **FIRST,
        "updatedAt": "2026-03-12T11:00:00Z",
        "lineItems": [line(11, "A", 1, "50", "5")],  # a unit and the line of B were taken off
    }
    late = {**THIRD, "refunds": [refund(3, "2026-03-11T20:00:00Z", ["1.005"])]}
    shop.land("shopify", "orders", [changed, late], MORNING, deleted=[SECOND["id"]])
    shop.run()
    assert shop.metric("net_sales") == amounts("45", "1.005", "-35", "200", "-201.005")
    assert shop.metric("orders") == amounts("1", "1", "0", "1", "0")
    assert shop.metric("order_lines") == amounts("1", "1", "0", "1", "0")
    assert shop.rows("select order_line_id from marts.fct_order_lines where order_name = '#1'") == [
        ("gid://shopify/LineItem/11",)
    ]
    assert shop.rows("select count(*) from marts.fct_orders where order_name = '#2'") == [(0,)]
    assert shop.metric("net_sales", "channel", "amazon") == {}
    assert shop.one("select xmin::text from staging.stg_shopify__orders where order_name = '#4'") == untouched


def test_an_order_that_comes_back_is_whole_again(shop: DbtWarehouse) -> None:
    shop.land("shopify", "orders", [SECOND], MORNING)
    shop.run()
    assert shop.metric("net_sales") == amounts("45", "51.005", "-35", "200", "-201.005")
    # With the order, its customer had ordered before: the first order's line was cut, not withdrawn.
    assert shop.metric("repeat_order_share")["2026-03-08"] == 1


def test_an_amount_without_a_rate_makes_its_day_unknown(shop: DbtWarehouse) -> None:
    foreign = order(6, "2026-03-11T16:00:00Z", [line(61, "A", 1, "70", currency="XTS")], currency="XTS", customer=1)
    shop.land("shopify", "orders", [foreign], MORNING)
    shop.run()
    assert shop.metric("net_sales") == amounts("45", "51.005", "-35", "200", None)
    assert shop.metric("orders") == amounts("1", "2", "0", "1", "1")
    assert shop.metric("amounts_without_rate") == amounts("0", "0", "0", "0", "1")
    shop.land("shopify", "orders", [], MORNING, deleted=[foreign["id"]])


def test_a_source_that_stopped_is_unknown_and_never_zero(shop: DbtWarehouse) -> None:
    later = datetime(2026, 3, 15, 10, 0, tzinfo=UTC)
    shop.clock(later)
    shop.run()
    sales = shop.metric("net_sales")
    assert {day: sales[day] for day in ("2026-03-11", "2026-03-12", "2026-03-13", "2026-03-14")} == {
        "2026-03-11": Decimal("-201.005"), "2026-03-12": None, "2026-03-13": None, "2026-03-14": None,
    }  # fmt: skip
    assert shop.metric("orders_pending")["2026-03-15"] is None
    # Stock was not synced on the day: the picture of Mar 12 stays, that of Mar 15 is unknown.
    assert shop.metric("inventory_units") == {"2026-03-12": 36, "2026-03-15": None}
    assert shop.one(
        "select max(fresh_to) from metrics.fct_metric_daily where metric_id = 'net_sales' and date = '2026-03-14'"
    ) == MORNING  # fmt: skip


def test_once_synced_again_quiet_days_are_zero(shop: DbtWarehouse) -> None:
    later = datetime(2026, 3, 15, 10, 0, tzinfo=UTC)
    shop.fresh("shopify", "orders", later)
    shop.run()
    sales = shop.metric("net_sales")
    assert sales["2026-03-12"] == 50  # the order of the first morning, its day now over
    assert (sales["2026-03-13"], sales["2026-03-14"]) == (0, 0)
    assert "2026-03-15" not in sales
    # #2 waits since Mar 8: seven days old at the close of Mar 14? No: the eighth day begins on Mar 15.
    assert shop.metric("late_orders") == {"2026-03-15": 1}
    assert shop.metric("late_orders", "bucket", "watch") == {"2026-03-15": 1}


@pytest.mark.slow
def test_a_full_refresh_says_the_same_and_keeps_the_pictures_of_stock(shop: DbtWarehouse) -> None:
    query = "select * from metrics.fct_metric_daily order by metric_id, date, dimension, dimension_value"
    before = shop.rows(query)
    shop.build("--full-refresh")
    assert shop.rows(query) == before
    assert "2026-03-12" in shop.metric("inventory_units")


def test_another_zone_moves_the_sales_day(shop: DbtWarehouse) -> None:
    tokyo = {"id": "gid://shopify/Shop/1", "name": "S", "currencyCode": "USD", "ianaTimezone": "Asia/Tokyo"}
    shop.land("shopify", "shop", [tokyo], MORNING)
    shop.run("--select", "stg_shopify__shop+")
    orders = shop.rows("select order_name, sales_day::text from marts.fct_orders order by order_name")
    assert orders[:2] == [("#1", "2026-03-08"), ("#2", "2026-03-08")]
    assert orders[2] == ("#3", "2026-03-09")

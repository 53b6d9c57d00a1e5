"""The shop of `small_shop.py`, built, changed and built again: every number is the one worked out by hand.

By default on the part of the project that holds what is read here, by `make test-all` on the whole too; the whole is
built by default where `tests/cycle` runs the demo.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.watch.explain import explain
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DBT_PROJECT, DbtWarehouse
from tests.warehouse.part_of_project import copy_part
from tests.warehouse.payloads import line, order, refund
from tests.warehouse.small_shop import FIRST, MORNING, SECOND, THIRD, amounts, open_shop

PART = (
    "net_sales", "gross_sales", "sales_before_refunds", "average_unit_price", "units_per_order", "orders",
    "average_order_value", "units_sold", "discount_amount", "discount_share", "refunds", "new_customers",
    "repeat_order_share", "order_lines", "cancelled_lines", "lines_without_customer", "amounts_without_rate",
    "orders_pending", "order_to_ship_hours", "late_orders", "inventory_units", "inventory_value", "erp_revenue",
    "fct_orders", "fct_order_lines", "fct_sales_daily", "fct_inventory_position",
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


def is_whole(shop: DbtWarehouse) -> bool:
    return shop.project == DBT_PROJECT


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("net_sales", ("120", "51.005", "-35", "200", "-200")),
        ("gross_sales", ("130", "51.005", "0", "200", "0")),
        ("sales_before_refunds", ("120", "51.005", "0", "200", "0")),
        ("average_unit_price", ("40", "12.75125", None, "50", None)),
        ("orders", ("1", "2", "0", "1", "0")),
        ("average_order_value", ("120", "25.5025", None, "200", None)),
        ("units_sold", ("3", "4", "0", "4", "0")),
        ("discount_amount", ("10", "0", "0", "0", "0")),
        ("discount_share", ("0.07692308", "0", None, "0", None)),
        ("refunds", ("0", "0", "35", "0", "200")),
        ("new_customers", ("1", "0", "0", "1", "0")),
        ("repeat_order_share", ("0", "1", None, "0", None)),
        ("order_lines", ("2", "2", "0", "1", "0")),
        ("cancelled_lines", ("0", "0", "0", "0", "1")),
        ("lines_without_customer", ("0", "1", "0", "0", "0")),
        ("amounts_without_rate", ("0", "0", "0", "0", "0")),
    ],
)
def test_every_day_is_as_worked_out(shop: DbtWarehouse, metric: str, expected: tuple[str | None, ...]) -> None:
    assert shop.metric(metric) == amounts(*expected)


def test_a_period_is_the_ratio_of_its_sums(shop: DbtWarehouse) -> None:
    parts = shop.rows(
        "select sum(numerator), sum(denominator) from metrics.fct_metric_daily"
        " where metric_id = 'average_order_value' and dimension = 'all'"
    )
    assert parts == [(Decimal("371.005"), Decimal(4))]


def test_metrics_are_what_their_parts_make_and_a_lie_is_found(shop: DbtWarehouse) -> None:
    (check,) = (shop.scratch / "target" / "compiled").rglob("metrics_are_made_of_their_parts.sql")
    query = check.read_text(encoding="utf-8").replace('"candidate_metrics"', '"metrics"')
    assert shop.rows(query) == []
    for lie in ("value = value + 0.01", "value = value - 3"):
        with shop.connection.transaction(force_rollback=True):
            shop.connection.execute(
                f"update metrics.fct_metric_daily set {lie} where metric_id = 'sales_before_refunds'"
                " and date = '2026-03-10' and dimension = 'all'".encode()
            )
            found = {(row[0], str(row[2])) for row in shop.rows(query)}
        assert found == {("net_sales", "2026-03-10"), ("sales_before_refunds", "2026-03-10")}


def test_a_days_change_taken_apart(shop: DbtWarehouse) -> None:
    # From #1's 3 units at 40 to #4's 4 units at 50: L(200, 120) = 80 / ln(5/3), times ln(4/3) and ln(5/4).
    found = explain(shop.connection, "net_sales", date(2026, 3, 10), "2026-03-07")
    told = {node.metric.id: node.effect for top in found.tree for node in top.walk()}
    assert told == {
        "sales_before_refunds": 80, "orders": 0, "average_order_value": 80,
        "units_per_order": Decimal("45.05366357"), "average_unit_price": Decimal("34.94633643"), "refunds": 0,
    }  # fmt: skip
    assert [(one.dimension, one.effects[0].part) for one in found.dimensions] == [
        ("channel", "web"), ("country", "United States"),
    ]  # fmt: skip


def test_dimensions_name_channel_and_country(shop: DbtWarehouse) -> None:
    assert shop.metric("net_sales", "channel", "amazon")["2026-03-08"] == 50
    assert shop.metric("net_sales", "channel", "web")["2026-03-08"] == Decimal("1.005")
    assert shop.metric("orders", "country", "United Kingdom")["2026-03-08"] == 2
    assert shop.metric("net_sales", "country", "United States")["2026-03-09"] == -35


def test_levels_stand_on_the_clocks_day_too(shop: DbtWarehouse) -> None:
    # #2 waits since Mar 8; #1 left on Mar 9, 00:59:59 New York; #4 waited on Mar 10 alone; #7 came this morning.
    pending = shop.metric("orders_pending")
    assert pending == {
        "2026-03-07": 1, "2026-03-08": 2, "2026-03-09": 1, "2026-03-10": 2, "2026-03-11": 1, "2026-03-12": 2,
    }  # fmt: skip
    assert shop.metric("order_to_ship_hours")["2026-03-09"] == 24
    assert shop.metric("late_orders") == {}


def test_stock_is_the_days_picture(shop: DbtWarehouse) -> None:
    assert shop.metric("inventory_units") == {"2026-03-12": 36}
    assert shop.metric("inventory_value") == {"2026-03-12": 360}
    # A sold 2 + 1 in thirty days (the cancelled order does not count): 4 units are 40 days, but few. B has 30 units.
    assert shop.rows("select sku, days_of_supply, severity, reason from marts.fct_inventory_position order by sku") == [
        ("A", Decimal("40.00"), "watch", "few_units"),
        ("B", Decimal("225.00"), "none", "healthy"),
        ("OLD", None, "none", "inactive"),
    ]


def test_an_unconnected_vendor_gives_no_rows_and_is_described(shop: DbtWarehouse) -> None:
    assert shop.metric("erp_revenue") == {}
    assert shop.metric("factory_messages_unanswered") == {}
    described = shop.one("select count(*) from metrics.dim_metric where metric_id in ('erp_revenue', 'erp_shop_gap')")
    assert described == (2 if is_whole(shop) else 1)


def test_numbers_carry_freshness_and_tie_out(shop: DbtWarehouse) -> None:
    assert shop.rows(
        "select date::text, fresh_to, tie_out from metrics.fct_metric_daily"
        " where metric_id = 'net_sales' and dimension = 'all' order by date"
    ) == [
        ("2026-03-07", MORNING, "matched"),
        ("2026-03-08", MORNING, "matched"),
        ("2026-03-09", MORNING, "matched"),
        ("2026-03-10", MORNING, "mismatched"),
        ("2026-03-11", MORNING, "matched"),
    ]


def test_every_metric_of_the_catalogue_is_complete(shop: DbtWarehouse) -> None:
    wanted = {
        "net_sales", "gross_sales", "orders", "average_order_value", "units_sold", "discount_amount", "discount_share",
        "refunds", "refund_rate", "new_customers", "repeat_order_share", "order_lines", "cancelled_lines",
        "lines_without_customer", "returned_lines", "unpriced_lines", "revenue_plan_attainment", "orders_pending",
        "late_orders", "orders_shipped", "order_to_ship_hours", "high_value_late_orders", "inventory_units",
        "inventory_value", "skus_stock_critical", "skus_stock_warning", "skus_stock_watch", "skus_out_of_stock",
        "skus_overstock", "days_of_supply", "purchase_orders_overdue", "erp_revenue", "erp_orders",
        "gross_margin_rate", "erp_shop_gap", "factory_messages_unanswered", "business_health",
    }  # fmt: skip
    if not is_whole(shop):
        wanted &= {*PART, "business_health"}
        assert len(wanted) >= 20
    rows = shop.rows("select metric_id, label, description, unit, currency, owner, division from metrics.dim_metric")
    assert wanted <= {row[0] for row in rows}
    assert all(row[1] and row[2] and row[5] and row[6] for row in rows)
    assert {row[4] for row in rows if row[3] == "money"} == {"USD"}
    assert {row[4] for row in rows if row[3] != "money"} == {None}


@pytest.mark.slow  # `tests/cycle/test_cycle.py` runs every one of them.
def test_the_unit_tests_of_the_models_pass(shop: DbtWarehouse) -> None:
    statuses = shop.dbt("test", "--select", "test_type:unit")
    assert len(statuses) >= (20 if is_whole(shop) else 5)


# -- the second morning: what is changed, withdrawn and late; the tests below build on each other in order -------


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

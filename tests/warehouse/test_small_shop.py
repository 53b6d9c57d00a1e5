"""The shop of `small_shop.py`, built: every number is the one worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from ops_platform.watch.explain import explain
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.small_shop import MORNING, amounts, open_shop


@pytest.fixture(scope="module")
def shop(make_warehouse: MakeWarehouse) -> DbtWarehouse:
    warehouse = make_warehouse()
    open_shop(warehouse)
    warehouse.build()
    return warehouse


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
    assert shop.one("select count(*) from metrics.dim_metric where metric_id in ('erp_revenue', 'erp_shop_gap')") == 2


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
    rows = shop.rows("select metric_id, label, description, unit, currency, owner, division from metrics.dim_metric")
    assert wanted <= {row[0] for row in rows}
    assert all(row[1] and row[2] and row[5] and row[6] for row in rows)
    assert {row[4] for row in rows if row[3] == "money"} == {"USD"}
    assert {row[4] for row in rows if row[3] != "money"} == {None}


def test_the_unit_tests_of_the_models_pass(shop: DbtWarehouse) -> None:
    statuses = shop.dbt("test", "--select", "test_type:unit")
    assert len(statuses) >= 20

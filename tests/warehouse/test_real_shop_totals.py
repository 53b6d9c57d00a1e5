"""The real shop's published totals, from its orders as they land to the metric table.

The expected numbers are those of the data set's README. The file is read in the raw shape; the way from HTTP
to raw is proven elsewhere.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.conftest import SHARED
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.online_retail import order_payloads

ORDERS = SHARED / "data" / "online_retail.csv.gz"
MORNING = datetime(2011, 12, 10, 6, 0, tzinfo=UTC)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ORDERS.exists(), reason=f"{ORDERS} is not here: there are no real orders to build"),
]


@pytest.fixture(scope="module")
def real_shop(make_warehouse: MakeWarehouse) -> DbtWarehouse:
    warehouse = make_warehouse()
    warehouse.clock(MORNING, "Europe/London", "GBP")
    shop = {"id": "gid://shopify/Shop/1", "name": "S", "currencyCode": "GBP", "ianaTimezone": "Europe/London"}
    warehouse.land("shopify", "shop", [shop], MORNING)
    warehouse.land("shopify", "orders", order_payloads(ORDERS), MORNING)
    warehouse.build()
    return warehouse


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("net_sales", "9747747.934"),
        ("orders", "25900"),
        ("order_lines", "541909"),
        ("cancelled_lines", "9288"),
        ("lines_without_customer", "135080"),
        ("returned_lines", "10624"),
        ("unpriced_lines", "2517"),
        ("new_customers", "4372"),
        ("amounts_without_rate", "0"),
    ],
)
def test_total(real_shop: DbtWarehouse, metric: str, expected: str) -> None:
    days = real_shop.metric(metric)
    assert sum(value for value in days.values() if value is not None) == Decimal(expected)
    assert None not in days.values()
    assert (min(days), max(days), len(days)) == ("2010-12-01", "2011-12-09", 374)


def test_best_and_worst_day(real_shop: DbtWarehouse) -> None:
    sales = real_shop.metric("net_sales")
    assert (sales["2011-11-14"], sales["2011-01-05"]) == (Decimal("112141.11"), Decimal("-1566.23"))
    assert real_shop.metric("orders")["2011-11-14"] == 152
    ranked = sorted(sales, key=lambda day: sales[day] or Decimal(0))
    assert (ranked[0], ranked[-1]) == ("2011-01-05", "2011-11-14")


def test_lines_of_the_united_kingdom(real_shop: DbtWarehouse) -> None:
    days = real_shop.metric("order_lines", "country", "United Kingdom")
    assert sum(value for value in days.values() if value is not None) == 495_478


def test_no_saturday_trades(real_shop: DbtWarehouse) -> None:
    orders = real_shop.metric("orders")
    saturdays = [count for day, count in orders.items() if datetime.fromisoformat(day).isoweekday() == 6]
    assert len(saturdays) == 53
    assert set(saturdays) == {Decimal(0)}


def test_a_build_with_nothing_new_parses_nothing(real_shop: DbtWarehouse) -> None:
    digest = "select md5(string_agg(xmin::text, ',' order by ctid)) from staging.stg_shopify__order_lines"
    before = real_shop.one(digest)
    real_shop.run("--select", "stg_shopify__orders+")
    assert real_shop.one(digest) == before

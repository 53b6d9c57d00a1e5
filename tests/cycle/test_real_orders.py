"""The real shop through the whole platform: HTTP, raw, dbt, metric, to the penny.

The expected figures are the data set's published truths, computed from the file alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ops_platform.database.server import release_server
from tests.conftest import SHARED
from tests.cycle.conftest import Cycle, run_demo

ORDERS = SHARED / "data" / "online_retail.csv.gz"

# The same totals without HTTP and Dagster: `tests/warehouse/test_real_shop_totals.py`.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ORDERS.exists(), reason=f"{ORDERS} is not here: the real orders cannot be served"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cycle]:
    base: Path = tmp_path_factory.mktemp("orders")
    said = run_demo(base, "--orders", str(ORDERS))
    yield Cycle(base / "demo-orders", base, said, said)
    release_server(base / "demo-orders")


def total(shop: Cycle, metric: str, dimension: str = "all", value: str = "all", day: date | None = None) -> Decimal:
    ((found,),) = shop.rows(
        "select sum(value) from metrics.fct_metric_daily where metric_id = %(metric)s and dimension = %(dimension)s"
        " and dimension_value = %(value)s and (%(day)s::date is null or date = %(day)s)",
        {"metric": metric, "dimension": dimension, "value": value, "day": day},
    )
    return Decimal(found)


def test_every_line_of_the_file_is_landed(shop: Cycle) -> None:
    assert shop.rows("select count(*), sum(jsonb_array_length(payload->'lineItems')) from raw_shopify.orders") == [
        (25_900, 541_909)
    ]
    assert shop.rows("select count(*) from ops.quarantine") == [(0,)]
    assert shop.rows("select status, count(*) from ops.tie_outs group by 1")[0][0] == "matched"


def test_net_total_to_the_penny(shop: Cycle) -> None:
    assert total(shop, "net_sales").quantize(Decimal("0.01")) == Decimal("9747747.93")


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("cancelled_lines", 9_288),
        ("lines_without_customer", 135_080),
        ("returned_lines", 10_624),
        ("unpriced_lines", 2_517),
        ("order_lines", 541_909),
        ("orders", 25_900),
    ],
)
def test_counts(shop: Cycle, metric: str, expected: int) -> None:
    assert total(shop, metric) == expected


def test_lines_from_the_united_kingdom(shop: Cycle) -> None:
    assert total(shop, "order_lines", "country", "United Kingdom") == 495_478


def test_best_and_worst_day(shop: Cycle) -> None:
    assert total(shop, "net_sales", day=date(2011, 11, 14)).quantize(Decimal("0.01")) == Decimal("112141.11")
    assert total(shop, "orders", day=date(2011, 11, 14)) == 152
    assert total(shop, "net_sales", day=date(2011, 1, 5)).quantize(Decimal("0.01")) == Decimal("-1566.23")
    ranked = shop.rows(
        "select date from metrics.fct_metric_daily where metric_id = 'net_sales' and dimension = 'all' order by value"
    )
    assert ranked[0] == (date(2011, 1, 5),)
    assert ranked[-1] == (date(2011, 11, 14),)


def test_no_saturday_trades(shop: Cycle) -> None:
    assert shop.rows(
        "select coalesce(sum(value), 0) from metrics.fct_metric_daily"
        " where metric_id = 'orders' and dimension = 'all' and extract(isodow from date) = 6"
    ) == [(0,)]


def test_the_pulse_is_in_pounds_and_says_what_is_not_connected(shop: Cycle) -> None:
    text = (shop.home / "documents" / "ops_pulse-2011-12-10.md").read_text(encoding="utf-8")
    assert "£" in text
    assert "$" not in text
    assert "unknown" in text.lower()

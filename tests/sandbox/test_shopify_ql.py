"""ShopifyQL: a day's sales by Shopify's definitions, recomputed here line by line from the company."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.shopify_client import Shop

ASK = """query($q: String!) { shopifyqlQuery(query: $q) { parseErrors
  tableData { rows columns { name dataType displayName } } } }"""


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def ask(shop: Shop, query: str) -> list[dict[str, str]]:
    answer = shop.data(ASK, q=query)["shopifyqlQuery"]
    assert answer["parseErrors"] == []
    return list(answer["tableData"]["rows"])


def _net(shop: Shop) -> dict[date, Decimal]:
    days: dict[date, Decimal] = defaultdict(Decimal)
    for order in shop.company.orders:
        if order.test:
            continue
        for line in order.lines:
            days[shop.company.business_day(order.processed_at)] += line.quantity * line.unit_price
            for share in line.discounts:
                days[shop.company.business_day(order.processed_at)] -= share.amount
        for refund in order.refunds:
            for back in refund.lines:
                days[shop.company.business_day(refund.processed_at)] -= back.subtotal
            for adjustment in refund.adjustments:
                days[shop.company.business_day(refund.processed_at)] += adjustment.amount
    return days


def test_net_sales_by_day_are_exact(shop: Shop) -> None:
    rows = ask(shop, "FROM sales SHOW net_sales GROUP BY day ORDER BY day")
    expected = _net(shop)
    assert {date.fromisoformat(row["day"]): Decimal(row["net_sales"]) for row in rows} == expected
    assert [row["day"] for row in rows] == sorted(row["day"] for row in rows)
    assert len(rows) > 700


def test_a_span_and_its_parts(shop: Shop) -> None:
    metrics = "orders, gross_sales, discounts, returns, net_sales, shipping_charges, taxes, total_sales"
    rows = ask(shop, f"FROM sales SHOW {metrics} TIMESERIES day SINCE 2026-11-13 UNTIL 2026-11-19")
    assert [row["day"] for row in rows] == [f"2026-11-{day}" for day in range(13, 20)]
    whole = ask(shop, f"FROM sales SHOW {metrics} SINCE 2026-11-13 UNTIL 2026-11-19")
    assert len(whole) == 1
    for name in metrics.split(", "):
        assert sum(Decimal(row[name]) for row in rows) == Decimal(whole[0][name])
    for row in rows:
        value = {name: Decimal(row[name]) for name in metrics.split(", ")}
        assert value["gross_sales"] + value["discounts"] + value["returns"] == value["net_sales"]
        assert value["net_sales"] + value["shipping_charges"] + value["taxes"] == value["total_sales"]
        assert value["discounts"] <= 0 and value["returns"] <= 0
    counted = shop.data('{ ordersCount(query: "processed_at:2026-11-19 test:false") { count } }')["ordersCount"][
        "count"
    ]
    assert rows[-1]["orders"] == str(counted)


def test_columns_say_what_they_are(shop: Shop) -> None:
    table = shop.data(ASK, q="FROM sales SHOW total_sales, orders GROUP BY day SINCE yesterday UNTIL yesterday")
    columns = table["shopifyqlQuery"]["tableData"]["columns"]
    assert [(c["name"], c["dataType"]) for c in columns] == [
        ("day", "DAY_TIMESTAMP"),
        ("total_sales", "MONEY"),
        ("orders", "INTEGER"),
    ]


def test_order_limit_and_relative_days(shop: Shop) -> None:
    best = ask(
        shop, "FROM sales SHOW net_sales GROUP BY day SINCE -30d UNTIL yesterday ORDER BY net_sales DESC LIMIT 3"
    )
    amounts = [Decimal(row["net_sales"]) for row in best]
    assert amounts == sorted(amounts, reverse=True) and len(best) == 3
    months = ask(shop, "from sales show orders group by month since 2026-09-01 until 2026-10-31 order by month asc")
    assert [row["month"] for row in months] == ["2026-09-01", "2026-10-01"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("SHOW net_sales", "Missing FROM"),
        ("FROM sales", "Missing SHOW"),
        ("FROM visits SHOW sessions", "not supported"),
        ("FROM sales SHOW profit", "Column 'profit' not found"),
        ("FROM sales SHOW net_sales GROUP BY product_title", "not supported"),
        ("FROM sales SHOW net_sales WHERE billing_country = 'US'", "WHERE is not supported"),
        ("FROM sales SHOW net_sales SINCE someday", "Invalid date"),
        ("FROM sales SHOW net_sales ORDER BY profit", "ORDER BY"),
        ("hello", "starts with FROM"),
        ("", "starts with FROM"),
    ],
)
def test_what_is_not_understood_is_a_parse_error(shop: Shop, query: str, error: str) -> None:
    answer: dict[str, Any] = shop.data(ASK, q=query)["shopifyqlQuery"]
    assert answer["tableData"] is None
    assert len(answer["parseErrors"]) == 1 and error in answer["parseErrors"][0]


def test_changed_orders_count_as_they_are_shown() -> None:
    shop = Shop()
    day = "FROM sales SHOW orders, net_sales, returns SINCE 2026-11-19 UNTIL 2026-11-19"
    before = ask(shop, day)[0]
    shop.side.mutate("upsert_order", {
        "name": "#NEW", "processedAt": "2026-11-19T16:00:00Z",
        "lineItems": [
            {"quantity": 2, "originalTotalSet": {"shopMoney": {"amount": "50.00"}},
             "discountAllocations": [{"allocatedAmountSet": {"shopMoney": {"amount": "5.00"}}}]},
            {"quantity": 1, "originalTotalSet": {"shopMoney": {"amount": None}}, "discountAllocations": []},
        ],
    })  # fmt: skip
    after = ask(shop, day)[0]
    assert int(after["orders"]) == int(before["orders"]) + 1
    assert Decimal(after["net_sales"]) - Decimal(before["net_sales"]) == Decimal("45.00")
    shop.side.mutate("delete_order", {"name": "#NEW"})
    assert ask(shop, day)[0] == before
    old = next(
        o for o in shop.company.orders if not o.test and str(shop.company.business_day(o.processed_at)) == "2026-11-19"
    )
    shop.side.mutate("touch_order", {"id": old.id})
    assert ask(shop, day)[0] == before

"""Changes from outside: bad orders are served as a lying shop would serve them, good ones like any other."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from sandbox.mutation import MutationRefused
from tests.sandbox.shopify_client import Shop, company

ONE = """query($q: String) { orders(first: 5, query: $q) { nodes { id name createdAt updatedAt currencyCode
  tags customer { id }
  totalPriceSet { shopMoney { amount currencyCode } } cancelledAt
  lineItems(first: 50) { nodes { id title sku quantity originalUnitPriceSet { shopMoney { amount currencyCode } } } }
  refunds { id refundLineItems(first: 20) { nodes { quantity } } } fulfillments { id } } } }"""


@pytest.fixture
def shop() -> Shop:
    return Shop()


def put(shop: Shop, **patch: object) -> dict[str, object]:
    return dict(shop.side.mutate("upsert_order", {"name": "#BAD", **patch}))


def one(shop: Shop, name: str = "#BAD") -> dict[str, object]:
    nodes = shop.data(ONE, q=f"name:{name}")["orders"]["nodes"]
    assert len(nodes) == 1
    return dict(nodes[0])


def test_a_new_order_is_found_by_every_way(shop: Shop) -> None:
    made = put(shop, processedAt="2026-11-19T15:00:00Z")
    found = one(shop)
    assert found["id"] == made["id"] and made["created"] is True
    assert found["updatedAt"] == "2026-11-20T11:00:00Z" and found["refunds"] == [] and found["fulfillments"] == []
    assert found["lineItems"]["nodes"]  # type: ignore[index]
    assert shop.data("query($id: ID!) { order(id: $id) { name } }", id=made["id"])["order"]["name"] == "#BAD"
    day = shop.data('{ ordersCount(query: "processed_at:2026-11-19") { count } }')["ordersCount"]["count"]
    shop.side.mutate("delete_order", {"name": "#BAD"})
    assert shop.data('{ ordersCount(query: "processed_at:2026-11-19") { count } }')["ordersCount"]["count"] == day - 1
    assert shop.data("query($id: ID!) { order(id: $id) { name } }", id=made["id"])["order"] is None


def test_no_lines(shop: Shop) -> None:
    put(shop, lineItems=[])
    assert one(shop)["lineItems"] == {"nodes": []}


def test_a_null_where_the_schema_has_none(shop: Shop) -> None:
    put(shop, lineItems=[{"originalUnitPriceSet": {"shopMoney": {"amount": None}}}, {"originalUnitPriceSet": None}])
    first, second = one(shop)["lineItems"]["nodes"]  # type: ignore[index]
    assert first["originalUnitPriceSet"] == {"shopMoney": {"amount": None, "currencyCode": "USD"}}
    assert second["originalUnitPriceSet"] is None
    put(shop, lineItems=None, id=one(shop)["id"])
    assert one(shop)["lineItems"] is None


def test_an_unknown_currency_a_negative_quantity_a_wrong_type(shop: Shop) -> None:
    put(
        shop,
        currencyCode="XXQ",
        totalPriceSet={"shopMoney": {"amount": "12,5", "currencyCode": "XXQ"}},
        lineItems=[{"quantity": -4, "sku": None}, {"quantity": "many"}],
    )
    found = one(shop)
    assert found["currencyCode"] == "XXQ"
    assert found["totalPriceSet"] == {"shopMoney": {"amount": "12,5", "currencyCode": "XXQ"}}
    assert [line["quantity"] for line in found["lineItems"]["nodes"]] == [-4, "many"]  # type: ignore[index]


@pytest.mark.parametrize(
    "title", ["x" * 1_000_000, "🎧🔥 Bundle", "سماعات نسيم برو", "שלום \u202e gnirts", "nul\u0000byte"]
)
def test_titles_of_any_kind_and_size(shop: Shop, title: str) -> None:
    put(shop, lineItems=[{"title": title}])
    assert one(shop)["lineItems"]["nodes"][0]["title"] == title  # type: ignore[index]


def test_an_existing_order_changes_and_keeps_the_rest(shop: Shop) -> None:
    order = next(o for o in shop.company.orders if o.refunds and o.customer_id)
    before = one(shop, order.name)
    shop.side.mutate("upsert_order", {"id": order.id, "tags": ["touched"]})
    after = one(shop, order.name)
    assert after.pop("tags") == ["touched"] and after.pop("updatedAt") == "2026-11-20T11:00:00Z"
    before.pop("tags"), before.pop("updatedAt")
    assert after == before
    shop.side.mutate("upsert_order", {"name": order.name, "cancelledAt": "2026-11-20T10:00:00Z"})
    again = one(shop, order.name)
    assert again["tags"] == ["touched"] and again["cancelledAt"] == "2026-11-20T10:00:00Z"


def test_refunds_and_their_lines_can_be_put(shop: Shop) -> None:
    put(shop, refunds=[{"id": "gid://shopify/Refund/5", "processedAt": "2026-11-20T09:00:00Z",
                        "refundLineItems": [{"quantity": 2}, {"quantity": 1}]}])  # fmt: skip
    refunds = one(shop)["refunds"]
    assert [r["id"] for r in refunds] == ["gid://shopify/Refund/5"]  # type: ignore[attr-defined]
    assert [n["quantity"] for n in refunds[0]["refundLineItems"]["nodes"]] == [2, 1]  # type: ignore[index]


def test_touching_moves_an_order_in_time_only(shop: Shop) -> None:
    order = shop.company.orders[5]
    shop.clock.at += timedelta(minutes=5)
    shop.side.mutate("touch_order", {"name": order.name})
    assert one(shop, order.name)["updatedAt"] == "2026-11-20T11:05:00Z"
    changed = shop.every("orders", "name", args=", query: \"updated_at:>='2026-11-20T11:01:00Z'\"")
    assert changed == [{"name": order.name}]
    shop.side.mutate("touch_order", {"name": order.name, "at": "2026-11-20T11:30:00Z"})
    assert one(shop, order.name)["updatedAt"] == "2026-11-20T11:30:00Z"


def test_a_doubled_order_comes_twice_in_one_page(shop: Shop) -> None:
    order = shop.company.orders[42]
    shop.side.mutate("duplicate_order", {"id": order.id, "changes": {"tags": ["second"]}})
    nodes = shop.data(ONE, q=f"id:{order.id}")["orders"]["nodes"]
    assert [n["id"] for n in nodes] == [f"gid://shopify/Order/{order.id}"] * 2
    assert nodes[1]["tags"] == ["second"]
    ids = Counter(n["id"] for n in shop.every("orders", "id"))
    assert [i for i, n in ids.items() if n == 2] == [f"gid://shopify/Order/{order.id}"]


def test_expired_tokens_are_refused_until_a_new_one(shop: Shop) -> None:
    shop.side.mutate("expire_tokens", {})
    assert shop.post({"query": "{ shop { id } }"}).status_code == 401


def test_a_company_loaded_anew_is_without_the_changes(shop: Shop) -> None:
    put(shop)
    shop.side.load(company())
    assert shop.data(ONE, q="name:#BAD")["orders"]["nodes"] == []


@pytest.mark.parametrize(
    ("op", "data"), [("nonsense", {}), ("touch_order", {"name": "#none"}), ("delete_order", {}), ("set_bucket", {})]
)
def test_changes_that_make_no_sense_are_refused(shop: Shop, op: str, data: dict[str, object]) -> None:
    with pytest.raises(MutationRefused):
        shop.side.mutate(op, data)

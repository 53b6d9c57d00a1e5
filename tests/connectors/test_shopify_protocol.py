"""Shopify's protocol at its edges: tokens, versions, throttling, cost, broken pages, bad records."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import Page
from ops_platform.settings import Settings
from resources import shopify
from resources.shopify.client import ShopifyClient
from resources.shopify.source import ShopifySource, read_sales
from tests.connectors.fake import Asked, FakeVendor, Said, StillClock, client_of, fake_vendor, said

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
SHOP = {
    "id": "gid://shopify/Shop/1",
    "name": "Demo",
    "currencyCode": "USD",
    "ianaTimezone": "America/New_York",
    "myshopifyDomain": "demo-shop.myshopify.com",
}
Answer = Callable[[dict[str, Any], str], Any]


def cost(
    requested: float = 100, available: float = 2000, restore: float = 100, actual: float | None = 50
) -> dict[str, Any]:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": restore}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}


class ScriptedShop:
    """Answers tokens and the shop itself; everything else by `answer(variables, text)`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.tokens = 0
        self.count: dict[str, Any] = {"count": 10_000, "precision": "AT_LEAST"}
        self.queries: list[dict[str, Any]] = []

    def __call__(self, asked: Asked) -> Said:
        if asked.path == "/admin/oauth/access_token":
            self.tokens += 1
            assert asked.form == {
                "client_id": "the-client",
                "client_secret": "the-secret",
                "grant_type": "client_credentials",
            }
            return said({"access_token": f"shpat_{self.tokens}", "expires_in": 86399, "scope": "read_orders"})
        assert asked.path == "/admin/api/2026-10/graphql.json"
        text, variables = asked.json["query"], asked.json["variables"]
        if " total: " in text:
            return said({"data": {"total": self.count}, "extensions": cost(1)}, X_Shopify_API_Version="2026-10")
        self.queries.append(variables)
        if " shop { id" in text:
            return said({"data": {"shop": SHOP}, "extensions": cost(1)}, X_Shopify_API_Version="2026-10")
        reply = self.answer(variables, text)
        return reply if isinstance(reply, Said) else said(reply, X_Shopify_API_Version="2026-10")


@contextmanager
def source_for(
    answer: Answer, clock: StillClock | None = None
) -> Iterator[tuple[ShopifySource, ScriptedShop, FakeVendor]]:
    script = ScriptedShop(answer)
    with fake_vendor(script) as vendor:
        http = client_of(vendor, clock or StillClock())
        client = ShopifyClient(http, "the-client", SecretStr("the-secret"), "2026-10")
        yield ShopifySource(client, bulk_first=False), script, vendor


def page(root: str, nodes: list[Any], after: str | None = None, **extensions: Any) -> dict[str, Any]:
    info = {"hasNextPage": after is not None, "endCursor": after}
    return {"data": {root: {"pageInfo": info, "nodes": nodes}}, "extensions": extensions or cost()}


def customer(number: int, updated: str = "2026-11-20T10:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Customer/{number}",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": updated,
        "state": "ENABLED",
        "tags": [],
        "numberOfOrders": "1",
        "amountSpent": {"amount": "10.00", "currencyCode": "USD"},
        "defaultAddress": None,
        **more,
    }


def read(source: ShopifySource, stream: str, cursor: str | None = None) -> list[Page]:
    return list(source.pages(source.streams[stream], cursor, now=NOW))


# -- token and version --------------------------------------------------------------------------------------


def test_the_token_is_fetched_once_and_renewed_on_401() -> None:
    refused = iter([True])

    def answer(_: Any, __: str) -> Any:
        if next(refused, False):
            return said({"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}, 401)
        return page("customers", [customer(1)])

    with source_for(answer) as (source, script, vendor):
        assert len(read(source, "customers")[0].records) == 1
        tokens = [asked.headers.get("x-shopify-access-token") for asked in vendor.asked if "graphql" in asked.path]
    assert script.tokens == 2
    assert tokens == ["shpat_1"] * 3 + ["shpat_2"]  # shop, count, the refused page, the page


def test_a_token_refused_twice_is_permanent() -> None:
    with source_for(lambda *_: said({"errors": "[API] Invalid API key"}, 401)) as (source, script, _):
        with pytest.raises(PermanentFailure, match="Invalid API key"):
            read(source, "customers")
    assert script.tokens == 2


def test_the_token_is_renewed_before_it_runs_out() -> None:
    clock = StillClock()
    with source_for(lambda *_: page("customers", []), clock) as (source, script, _):
        read(source, "customers")
        clock.now += 23 * 3600
        read(source, "customers")
        assert script.tokens == 1
        clock.now += 3600
        read(source, "customers")
    assert script.tokens == 2


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            said({"error": "invalid_client", "error_description": "Client authentication failed"}, 401),
            "invalid_client.*SHOPIFY_CLIENT",
        ),
        (said({"error": "shop_not_permitted"}, 400), "shop_not_permitted"),
        (Said(b"<html><title>Not found</title></html>", 404), "no shop at"),
    ],
)
def test_wrong_credentials_say_so_without_the_secret(reply: Said, told: str) -> None:
    with fake_vendor(lambda _: reply) as vendor:
        client = ShopifyClient(client_of(vendor, StillClock()), "the-client", SecretStr("the-secret"), "2026-10")
        with pytest.raises(PermanentFailure, match=told) as failure:
            client.run("Shop")
        assert len(vendor.asked) == 1
    assert "the-secret" not in str(failure.value)


def test_a_version_that_falls_forward_is_refused() -> None:
    forward = said(page("customers", []), X_Shopify_API_Version="2027-01")
    with (
        source_for(lambda *_: forward) as (source, _, __),
        pytest.raises(PermanentFailure, match="2026-10 is not supported"),
    ):
        read(source, "customers")
    with source_for(lambda *_: said({"errors": "Not Found"}, 404)) as (source, _, __):
        with pytest.raises(PermanentFailure, match="SHOPIFY_API_VERSION"):
            read(source, "customers")


# -- errors in the body ---------------------------------------------------------------------------------------


def error(message: str, code: str, **more: Any) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code, **more}}], "extensions": cost()}


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            error(
                "Access denied for customers field. Required access: `read_customers` access scope.", "ACCESS_DENIED"
            ),
            "the scope read_customers",
        ),
        (
            error("Access denied", "ACCESS_DENIED", requiredAccess="`read_customers` access scope"),
            "the scope read_customers",
        ),
        (error("Field 'x' doesn't exist", "undefinedField"), "doesn't exist"),
        ({"errors": "Something unusual"}, "Something unusual"),
        ({"errors": ["only text"]}, "only text"),
        ({"data": {"customers": None}, "errors": [{"message": "partial"}]}, "partial"),
        (
            {
                "data": {"customers": {"nodes": [], "pageInfo": {"hasNextPage": False}}},
                "extensions": {
                    "search": [
                        {
                            "path": ["customers"],
                            "warnings": [{"field": "updated_on", "message": "Invalid search field"}],
                        }
                    ]
                },
            },
            "Invalid search field",
        ),
    ],
)
def test_errors_that_will_not_go_away(reply: Any, told: str) -> None:
    with source_for(lambda *_: reply) as (source, script, _):
        with pytest.raises(PermanentFailure, match=told):
            read(source, "customers")
    assert len(script.queries) == 2  # the shop, then this


THROTTLED = {
    "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
    "extensions": cost(requested=900, available=400, restore=100, actual=None),
}


@pytest.mark.parametrize("status", [200, 429])
def test_throttling_waits_until_the_points_are_there(status: int) -> None:
    clock = StillClock()
    replies = iter([said(THROTTLED, status)])
    with source_for(lambda *_: next(replies, page("customers", [customer(1)])), clock) as (source, _, __):
        pages = read(source, "customers")
    assert [len(each.records) for each in pages] == [1]
    assert sum(clock.slept) == pytest.approx(5.0, abs=0.6)  # (900 - 400) / 100, and a little jitter


def test_endless_throttling_ends() -> None:
    clock = StillClock()
    with source_for(lambda *_: THROTTLED, clock) as (source, _, __):
        with pytest.raises(TransientFailure, match="throttled"):
            read(source, "customers")
    assert sum(clock.slept) <= 300


def test_pacing_reserves_what_the_next_query_will_ask_for() -> None:
    """The bucket is kept by the test: a query that asks for more than is there would be refused."""
    clock = StillClock()
    bucket = {"points": 2000.0, "at": clock()}
    refused = []

    def answer(variables: dict[str, Any], _: str) -> Any:
        first = variables["first"]
        requested = 2 + first * 40.0
        held = min(2000.0, bucket["points"] + (clock() - bucket["at"]) * 100)
        if requested > held:
            refused.append(requested)
        actual = requested * 0.9
        bucket.update(points=held - actual, at=clock())
        start = int(variables["after"] or 0)
        nodes = [customer(number) for number in range(start, min(start + first, 300))]
        after = str(start + first) if start + first < 300 else None
        return page("customers", nodes, after, **cost(requested, held - actual, 100, actual))

    with source_for(answer, clock) as (source, script, _):
        pages = read(source, "customers")
    assert sum(len(each.records) for each in pages) == 300
    assert refused == []
    sizes = [query["first"] for query in script.queries if "first" in query]
    assert sizes[0] == 5
    assert max(sizes) * 40 <= 1000
    assert max(sizes) >= 20
    spent = sum((each.api_cost for each in pages), Decimal(0))
    assert spent == pytest.approx(Decimal(300 * 36), rel=Decimal("0.1"))


def test_a_query_too_dear_is_asked_for_in_smaller_pages() -> None:
    def answer(variables: dict[str, Any], _: str) -> Any:
        if variables["first"] > 2:
            return error(
                "Query cost is 2021, which exceeds the single query max cost limit (1000).", "MAX_COST_EXCEEDED"
            )
        start = int(variables["after"] or 0)
        return page(
            "customers", [customer(start), customer(start + 1)], str(start + 2) if start < 4 else None, **cost(900)
        )

    with source_for(answer) as (source, script, _):
        pages = read(source, "customers")
    assert sum(len(each.records) for each in pages) == 6
    assert max(query["first"] for query in script.queries[2:]) <= 2


# -- pages that lie ---------------------------------------------------------------------------------------------


def two_pages(variables: dict[str, Any]) -> dict[str, Any]:
    if variables["after"] is None:
        return page("customers", [customer(1), customer(2)], "c1")
    return page("customers", [customer(3)])


@pytest.mark.parametrize(
    "lie",
    [
        page("customers", [customer(1), customer(2)], "c1"),  # the first page again
        page("customers", [customer(1), customer(2)], "c2"),  # the same records under a new cursor
        page("customers", [customer(9)], None)
        | {"data": {"customers": {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": None}}}},
        {"data": {"customers": {"nodes": [customer(9)]}}},
        {"data": {"customers": None}},
        {"data": None},
        Said(b'{"data": {"customers": {"nodes": [{"id": "gid', 200),
        Said(b"<html><title>Oops</title></html>", 200, {"Content-Type": "text/html"}),
        Said(reset=True),
    ],
)
def test_a_broken_second_page_is_asked_for_again_and_never_believed(lie: Any) -> None:
    lies = iter([lie])
    with source_for(lambda v, _: next(lies, two_pages(v)) if v["after"] else two_pages(v)) as (source, _, __):
        pages = read(source, "customers")
    assert [record.id[-1] for each in pages for record in each.records] == ["1", "2", "3"]
    with source_for(lambda v, _: lie if v["after"] else two_pages(v)) as (source, _, __):
        with pytest.raises(TransientFailure):
            read(source, "customers")


def test_long_connections_are_walked_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.shopify.client.LONGEST_WALK", 10)
    people = [customer(number, f"2026-11-{1 + number // 3:02d}T0{number % 3}:00:00Z") for number in range(60)]

    def answer(variables: dict[str, Any], _: str) -> Any:
        since = (variables["query"] or "").partition("'")[2].rstrip("'")
        found = [each for each in people if each["updatedAt"] >= since]
        start = int(variables["after"] or 0)
        assert start < 20, "one walk went further than it may"
        end = start + variables["first"]
        return page("customers", copy.deepcopy(found[start:end]), str(end) if end < len(found) else None, **cost(300))

    with source_for(answer) as (source, _, __):
        pages = read(source, "customers")
    assert {record.id for each in pages for record in each.records} == {each["id"] for each in people}


# -- nested lists -------------------------------------------------------------------------------------------------


def money(amount: Any, code: str = "USD") -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": code}}


def connection(nodes: list[Any], after: str | None = None) -> dict[str, Any]:
    return {"nodes": nodes, "pageInfo": {"hasNextPage": after is not None, "endCursor": after}}


def line(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "title": "A",
        "sku": "A",
        "quantity": 1,
        "currentQuantity": 1,
        "unfulfilledQuantity": 0,
        "requiresShipping": True,
        "isGiftCard": False,
        "product": None,
        "variant": None,
        "originalUnitPriceSet": money("1.00"),
        "originalTotalSet": money("1.00"),
        "discountAllocations": [],
        **more,
    }


def order(number: int, lines: Any = None, refunds: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    at = "2026-11-20T09:00:00Z"
    sets = (
        "subtotalPriceSet",
        "totalPriceSet",
        "totalDiscountsSet",
        "totalTaxSet",
        "totalShippingPriceSet",
        "currentTotalPriceSet",
        "netPaymentSet",
    )
    return {
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "createdAt": at,
        "processedAt": at,
        "updatedAt": at,
        "cancelledAt": None,
        "cancelReason": None,
        "closedAt": None,
        "test": False,
        "edited": False,
        "currencyCode": "USD",
        "tags": [],
        "taxesIncluded": False,
        "customer": None,
        "fulfillments": [],
        **{key: money("1.00") for key in sets},
        "refunds": refunds or [],
        "lineItems": lines if lines is not None else connection([line(number * 100)]),
        **more,
    }


def refund(number: int, lines: Any = None, adjustments: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Refund/{number}",
        "createdAt": "2026-11-20T09:00:00Z",
        "processedAt": "2026-11-20T09:00:00Z",
        "updatedAt": "2026-11-20T09:00:00Z",
        "totalRefundedSet": money("1.00"),
        "refundLineItems": lines or connection([]),
        "orderAdjustments": adjustments or connection([]),
        **more,
    }


def test_nested_lists_are_followed_to_their_end() -> None:
    def refund_line(number: int) -> dict[str, Any]:
        return {
            "id": None,
            "quantity": 1,
            "restockType": "RETURN",
            "lineItem": {"id": f"gid://shopify/LineItem/{number}"},
            "subtotalSet": money("1.00"),
            "totalTaxSet": money("0.00"),
        }

    def answer(variables: dict[str, Any], text: str) -> Any:
        if "id" not in variables:
            back = refund(
                5,
                connection([refund_line(1)], "r1"),
                connection([{"id": "a", "reason": None, "amountSet": money("-1.00")}], "a1"),
            )
            return page("orders", [order(1, connection([line(1), line(2)], "l1"), [back]), order(2)])
        part = {"more": connection([], None)}
        if variables["id"].endswith("Order/1"):
            number = 3 if variables["after"] == "l1" else 5
            part = {"more": connection([line(number), line(number + 1)], "l2" if number == 3 else None)}
        elif "refundLineItems" in text:
            part = {"more": connection([refund_line(2)])}
        elif "orderAdjustments" in text:
            part = {"more": connection([{"id": "b", "reason": None, "amountSet": money("2.00")}])}
        return {"data": {"node": part}, "extensions": cost()}

    with source_for(answer) as (source, _, __):
        (found,) = read(source, "orders")
    first, second = (record.payload for record in found.records)
    assert [each["id"][-1] for each in first["lineItems"]] == ["1", "2", "3", "4", "5", "6"]
    assert [each["lineItem"]["id"][-1] for each in first["refunds"][0]["refundLineItems"]] == ["1", "2"]
    assert [each["id"] for each in first["refunds"][0]["orderAdjustments"]] == ["a", "b"]
    assert len(second["lineItems"]) == 1
    assert found.cursor == "2026-11-20T09:00:00Z"


def test_a_nested_list_that_goes_round_fails() -> None:
    def answer(variables: dict[str, Any], _: str) -> Any:
        if "id" not in variables:
            return page("orders", [order(1, connection([line(1)], "l1"))])
        return {"data": {"node": {"more": connection([line(2)], "l1")}}, "extensions": cost()}

    with source_for(answer) as (source, _, __), pytest.raises(TransientFailure, match="already read"):
        read(source, "orders")


# -- bad records ----------------------------------------------------------------------------------------------------

BAD_ORDERS: list[tuple[str, dict[str, Any]]] = [
    ("missing_id", order(1, id=None)),
    ("missing_id", order(1, id="")),
    ("null_money", order(1, totalPriceSet=None)),
    ("null_money", order(1, totalPriceSet={"shopMoney": None})),
    ("null_money", order(1, connection([line(1, originalUnitPriceSet=None)]))),
    ("null_money", order(1, connection([line(1, originalUnitPriceSet=money(None))]))),
    ("null_money", order(1, connection([line(1, discountAllocations=[{"allocatedAmountSet": None}])]))),
    ("null_money", order(1, refunds=[refund(1, totalRefundedSet=None)])),
    ("invalid_money", order(1, totalPriceSet=money("12,50"))),
    ("invalid_money", order(1, totalPriceSet=money(12.5))),
    ("invalid_money", order(1, totalPriceSet=money("NaN"))),
    ("unknown_currency", order(1, currencyCode="XXX")),
    ("unknown_currency", order(1, connection([line(1, originalTotalSet=money("1.00", "ZZZ"))]))),
    ("unknown_currency", order(1, currencyCode=None)),
    ("invalid_timestamp", order(1, processedAt="yesterday")),
    ("invalid_timestamp", order(1, updatedAt="2026-11-20T09:00:00")),
    ("invalid_timestamp", order(1, processedAt=None)),
    ("missing_field", order(1, connection([line(1, quantity=None)]))),
    ("missing_field", order(1, test=None)),
    ("invalid_shape", order(1, {"nodes": None})),
    ("invalid_shape", order(1, lines="lines")),
    ("invalid_shape", order(1, connection([None]))),
    ("invalid_shape", order(1, refunds=[None])),
    # Digits that Python reads and PostgreSQL does not.
    ("invalid_money", order(1, totalPriceSet=money("\u0661\u0662.\u0665"))),
    ("oversized", order(1, name="x" * (9 * 1024 * 1024))),
]


@pytest.mark.parametrize(("reason", "bad"), BAD_ORDERS, ids=[f"{i}-{r}" for i, (r, _) in enumerate(BAD_ORDERS)])
def test_a_bad_order_is_set_aside_whole_and_blocks_nobody(reason: str, bad: dict[str, Any]) -> None:
    with source_for(lambda *_: page("orders", [order(7), bad, order(8)])) as (source, _, __):
        (found,) = read(source, "orders")
    assert [record.id[-1] for record in found.records] == ["7", "8"]
    (refused,) = found.rejected
    assert refused.reason == reason
    assert refused.detail
    assert found.received == 3
    kept = orjson.loads(refused.raw)
    assert kept["name"] == bad["name"]
    assert kept["currencyCode"] == bad["currencyCode"]


def test_a_refund_that_comes_broken_after_a_bulk_operation_sets_aside_its_order_alone() -> None:
    whole, broken = refund(1), refund(2, refundLineItems=None)
    asked = [order(1, refunds=[{**refund(1), "refundLineItems": None}]), order(2, refunds=[refund(2)]), order(3)]

    def answer(variables: dict[str, Any], _: str) -> Any:
        return {"data": {"nodes": [{1: whole, 2: broken}[int(each[-1])] for each in variables["ids"]]},
                "extensions": cost()}  # fmt: skip

    with source_for(answer) as (source, _, __):
        for each in asked:
            each["lineItems"] = each["lineItems"]["nodes"]
            for back in each["refunds"]:
                del back["refundLineItems"], back["orderAdjustments"]
        source._fetch_refund_parts(asked)
        found = source.recheck(source.streams["orders"], asked, now=NOW)
    assert [record.id[-1] for record in found.records] == ["1", "3"]
    assert [(refused.reason, refused.id[-1:]) for refused in found.rejected if refused.id] == [("invalid_shape", "2")]


LEGAL_ORDERS = [
    order(1, connection([])),
    order(1, connection([line(1, quantity=-3, originalTotalSet=money("-3.00"))])),
    order(1, connection([line(1, originalUnitPriceSet=money("0.0"), originalTotalSet=money("0"))])),
    order(1, connection([line(1, title="x" * 1024 * 1024)])),
    order(1, connection([line(1, title="שלום 🎧 ‮مرحبا")])),
    order(1, subtotalPriceSet=None, totalTaxSet=None, totalDiscountsSet=None),
]


@pytest.mark.parametrize("legal", LEGAL_ORDERS, ids=["no-lines", "negative", "free", "long", "script", "no-subtotal"])
def test_what_is_only_unusual_lands_unchanged(legal: dict[str, Any]) -> None:
    sent = copy.deepcopy(legal)
    with source_for(lambda *_: page("orders", [legal])) as (source, _, __):
        (found,) = read(source, "orders")
    assert not found.rejected
    sent["lineItems"] = sent["lineItems"]["nodes"]
    assert found.records[0].payload == sent
    assert found.records[0].updated_at == datetime(2026, 11, 20, 9, tzinfo=UTC)


def test_a_product_without_a_price_and_a_node_that_is_nothing() -> None:
    def product(number: int, price: Any) -> dict[str, Any]:
        return {
            "id": f"gid://shopify/Product/{number}",
            "title": "P",
            "updatedAt": "2026-11-20T09:00:00Z",
            "variants": connection([{"id": f"gid://shopify/ProductVariant/{number}", "price": price}]),
        }

    with source_for(lambda *_: page("products", [product(1, None), product(2, "0.00"), None])) as (source, _, __):
        (found,) = read(source, "products")
    assert [record.id[-1] for record in found.records] == ["2"]
    assert sorted(refused.reason for refused in found.rejected) == ["invalid_shape", "null_money"]


# -- cursors ----------------------------------------------------------------------------------------------------------


def test_the_filter_looks_back_and_customers_are_asked_for_by_whole_days() -> None:
    with source_for(lambda v, t: page("orders" if " orders(" in t else "customers", [])) as (source, script, _):
        read(source, "orders", "2026-11-20T10:00:00Z")
        read(source, "customers", "2026-11-20T10:00:00Z")
    assert [query["query"] for query in script.queries if "query" in query] == [
        "updated_at:>='2026-11-20T09:45:00Z'",
        "updated_at:>='2026-11-19T00:00:00Z'",
    ]


def test_an_inventory_item_is_as_new_as_its_newest_level() -> None:
    level = {
        "id": "gid://shopify/InventoryLevel/1?inventory_item_id=1",
        "updatedAt": "2026-11-19T00:00:00Z",
        "isActive": True,
        "location": {"id": "gid://shopify/Location/1"},
        "quantities": [{"name": "available", "quantity": -2, "updatedAt": "2026-11-20T08:00:00Z"}],
    }
    item = {
        "id": "gid://shopify/InventoryItem/1",
        "sku": None,
        "tracked": True,
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
        "unitCost": None,
        "inventoryLevels": connection([level]),
    }
    with source_for(lambda *_: page("inventoryItems", [item])) as (source, _, __):
        (found,) = read(source, "inventory_items", "2026-11-20T10:00:00Z")
    assert found.records[0].updated_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert found.cursor is None


# -- tie-out ----------------------------------------------------------------------------------------------------------


def test_a_rounded_count_is_no_control_total() -> None:
    with source_for(lambda *_: None) as (source, _, __), pytest.raises(TransientFailure, match="AT_LEAST"):
        source.control_totals(source.streams["customers"], None)


def test_a_listing_shorter_than_the_count_is_read_again_and_then_refused() -> None:
    lengths = iter([2, 3])

    def answer(_: Any, __: str) -> Any:
        return page("customers", [customer(number) for number in range(next(lengths, 1))])

    with source_for(answer) as (source, script, _):
        script.count = {"count": 3, "precision": "EXACT"}
        found = [record.id for each in read(source, "customers") for record in each.records]
        assert len(set(found)) == 3
        with pytest.raises(TransientFailure, match="ends before the 3 records"):
            read(source, "customers")


def test_days_are_the_shops_own_even_when_clocks_change() -> None:
    from datetime import date

    texts: list[str] = []

    def answer(_: Any, text: str) -> Any:
        if "ordersCount" in text:
            texts.append(text)
            return {"data": {"d0": {"count": 3, "precision": "EXACT"}, "d1": {"count": 0, "precision": "EXACT"}}}
        return error("Access denied. Required access: `read_reports`", "ACCESS_DENIED")

    with source_for(answer) as (source, _, __):
        totals = source.control_totals(source.streams["orders"], [date(2026, 3, 8), date(2026, 11, 1)])
    assert "processed_at:>='2026-03-08T05:00:00Z' AND processed_at:<'2026-03-09T04:00:00Z'" in texts[0]
    assert "processed_at:>='2026-11-01T04:00:00Z' AND processed_at:<'2026-11-02T05:00:00Z'" in texts[0]
    assert [(total.count, total.amount, total.currency) for total in totals] == [(3, None, "USD"), (0, None, "USD")]


def test_sales_rows_come_as_objects_or_lists() -> None:
    from datetime import date

    columns = [{"name": "day"}, {"name": "gross_sales"}]
    wanted = {date(2026, 11, 1): Decimal("12.345"), date(2026, 11, 2): Decimal(0)}
    assert read_sales({"columns": columns, "rows": [["2026-11-01", "12.345"], ["2026-11-02", None]]}) == wanted
    rows = [{"day": "2026-11-01T00:00:00", "gross_sales": "12.345"}, {"day": "2026-11-02", "gross_sales": "0"}]
    assert read_sales({"columns": columns, "rows": rows}) == wanted
    with pytest.raises(PermanentFailure):
        read_sales({"columns": columns, "rows": [["2026-11-01"]]})


# -- settings ---------------------------------------------------------------------------------------------------------


def test_not_connected_partly_connected_and_misspelt() -> None:
    assert shopify.connect(Settings()) is None
    with pytest.raises(ConfigurationError, match="SHOPIFY_CLIENT_SECRET not set"):
        shopify.connect(Settings(shopify_shop="demo", shopify_client_id="x"))
    full: dict[str, Any] = {"shopify_shop": "demo", "shopify_client_id": "x", "shopify_client_secret": "y"}
    with pytest.raises(ConfigurationError, match="SHOPIFY_API_VERSION"):
        shopify.connect(Settings(**full, shopify_api_version="latest"))
    with pytest.raises(ConfigurationError, match="SHOPIFY_SHOP"):
        shopify.connect(Settings(**{**full, "shopify_shop": "demo.example/evil"}))
    source = shopify.connect(Settings(**{**full, "shopify_shop": "https://demo.myshopify.com/"}))
    assert source is not None
    assert source.client.http.base_url == "https://demo.myshopify.com"

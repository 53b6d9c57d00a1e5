"""Shopify's endpoint over HTTP: tokens, versions, scopes, pages, costs, refusals."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from sandbox.shopify.cost import Bucket, scale
from tests.sandbox.shopify_client import GRANT, Shop, company


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.fixture
def fresh() -> Shop:
    """A shop of its own for tests that change something."""
    return Shop()


# -- tokens, versions ---------------------------------------------------------------------------------------------


def test_the_grant_gives_a_token_for_a_day_of_the_sandbox_clock(fresh: Shop) -> None:
    answer = fresh.client.post("/admin/oauth/access_token", data=GRANT)
    assert answer.status_code == 200
    body = answer.json()
    assert body["expires_in"] == 86399 and "read_orders" in body["scope"].split(",")
    assert fresh.post({"query": "{ shop { name } }"}, token=body["access_token"]).status_code == 200
    fresh.clock.at += timedelta(hours=24)
    refused = fresh.post({"query": "{ shop { name } }"}, token=body["access_token"])
    assert refused.status_code == 401
    assert refused.json()["errors"].startswith("[API] Invalid API key or access token")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "nobody"}, "application_cannot_be_found"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_secret": ""}, "invalid_request"),
    ],
)
def test_wrong_credentials_are_refused_by_name(shop: Shop, change: dict[str, str], error: str) -> None:
    answer = shop.client.post("/admin/oauth/access_token", data={**GRANT, **change})
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == error
    assert "access_token" not in answer.json()


def test_a_shop_of_another_organisation_is_not_permitted(fresh: Shop) -> None:
    fresh.faults.arm({"vendor": "shopify", "fault": "shop_not_permitted"})
    assert fresh.client.post("/admin/oauth/access_token", data=GRANT).json()["error"] == "shop_not_permitted"
    assert fresh.client.post("/admin/oauth/access_token", data=GRANT).status_code == 200


@pytest.mark.parametrize("token", ["", "shpat_forged"])
def test_no_token_no_data(shop: Shop, token: str) -> None:
    answer = shop.post({"query": "{ shop { name } }"}, token=token)
    assert answer.status_code == 401 and isinstance(answer.json()["errors"], str)


@pytest.mark.parametrize(
    ("asked", "status", "served"),
    [
        ("2026-10", 200, "2026-10"),
        ("2026-07", 200, "2026-07"),
        ("2025-01", 200, "2026-07"),
        ("abc", 404, None),
        ("2026-11", 404, None),
        ("2027-01", 404, None),
    ],
)
def test_versions_fall_forward_and_say_so(shop: Shop, asked: str, status: int, served: str | None) -> None:
    answer = shop.post({"query": "{ shop { name } }"}, version=asked)
    assert answer.status_code == status
    assert answer.headers.get("X-Shopify-API-Version") == served


# -- scopes -------------------------------------------------------------------------------------------------------


def test_a_missing_scope_is_an_access_denied_error(fresh: Shop) -> None:
    fresh.side.mutate("set_scopes", {"without": ["read_inventory"]})
    answer = fresh.ask("{ shop { name } inventoryItems(first: 1) { nodes { id } } }")
    error = answer["errors"][0]
    assert answer["data"] is None
    assert error["extensions"]["code"] == "ACCESS_DENIED" and error["path"] == ["inventoryItems"]
    assert "`read_inventory`" in error["message"]
    assert fresh.data("{ currentAppInstallation { accessScopes { handle } } }")["currentAppInstallation"][
        "accessScopes"
    ]
    assert fresh.data("{ products(first: 1) { nodes { id } } }")["products"]["nodes"]


def test_a_nullable_field_without_its_scope_is_null_beside_the_error(fresh: Shop) -> None:
    fresh.side.mutate("set_scopes", {"without": ["read_customers"]})
    order = next(o for o in fresh.company.orders if o.customer_id)
    answer = fresh.ask(f'{{ order(id: "gid://shopify/Order/{order.id}") {{ name customer {{ id }} }} }}')
    assert answer["data"] == {"order": {"name": order.name, "customer": None}}
    assert answer["errors"][0]["path"] == ["order", "customer"]


def test_without_read_all_orders_only_sixty_days_are_there(fresh: Shop) -> None:
    fresh.side.mutate("set_scopes", {"without": ["read_all_orders"]})
    edge = CLOCK_UTC - timedelta(days=60)
    recent = [o for o in fresh.company.orders if o.created_at >= edge]
    assert fresh.data("{ ordersCount { count } }")["ordersCount"]["count"] == len(recent)
    shown = fresh.every("orders", "id createdAt")
    assert len(shown) == len(recent)
    assert min(node["createdAt"] for node in shown) >= edge.isoformat()[:19]
    old = fresh.company.orders[0]
    assert fresh.data(f'{{ order(id: "gid://shopify/Order/{old.id}") {{ id }} }}') == {"order": None}


CLOCK_UTC = datetime(2026, 11, 20, 11, tzinfo=UTC)


# -- pages --------------------------------------------------------------------------------------------------------


def test_pages_bring_every_order_once_in_order(shop: Shop) -> None:
    seen = shop.every("orders", "id updatedAt", args=", sortKey: UPDATED_AT")
    assert len(seen) == len({node["id"] for node in seen}) == len(shop.company.orders)
    assert [node["updatedAt"] for node in seen] == sorted(node["updatedAt"] for node in seen)


def test_orders_are_sorted_by_processing_unless_told(shop: Shop) -> None:
    nodes = shop.data("{ orders(first: 250, reverse: true) { nodes { processedAt } } }")["orders"]["nodes"]
    stamps = [node["processedAt"] for node in nodes]
    assert stamps == sorted(stamps, reverse=True)
    assert stamps[0] == max(o.processed_at for o in shop.company.orders).isoformat()[:19] + "Z"


def test_backward_paging_and_edges_agree_with_forward(shop: Shop) -> None:
    forward = [n["id"] for n in shop.every("locations", "id", first=3, args=", includeInactive: true")]
    before = None
    backward: list[str] = []
    while True:
        page = shop.data(
            "query($b: String) { locations(last: 4, before: $b, includeInactive: true) "
            "{ pageInfo { hasPreviousPage startCursor } edges { cursor node { id } } } }",
            b=before,
        )["locations"]
        backward = [edge["node"]["id"] for edge in page["edges"]] + backward
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        if not page["pageInfo"]["hasPreviousPage"]:
            break
        before = page["pageInfo"]["startCursor"]
    assert backward == forward and len(forward) == 10


def test_nested_pages_follow_to_their_end(shop: Shop) -> None:
    product = max(shop.company.products, key=lambda p: len(p.variants))
    found: list[str] = []
    after = None
    while True:
        page = shop.data(
            "query($id: ID!, $a: String) { product(id: $id) { variants(first: 50, after: $a) "
            "{ pageInfo { hasNextPage endCursor } nodes { sku } } } }",
            id=f"gid://shopify/Product/{product.id}", a=after,
        )["product"]["variants"]  # fmt: skip
        found += [node["sku"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert found == [variant.sku for variant in product.variants] and len(found) == 130


def test_a_refund_can_be_read_on_by_node(shop: Shop) -> None:
    """A list field has no cursor, but what is in it is a node and its connections can be read on."""
    order, refund = next((o, r) for o in shop.company.orders for r in o.refunds if len(r.lines) > 20)
    query = (
        "query($id: ID!, $a: String) { node(id: $id) { ... on Refund { refundLineItems(first: 20, after: $a) "
        "{ pageInfo { hasNextPage endCursor } nodes { id quantity } } } } }"
    )
    first = shop.data(query, id=f"gid://shopify/Refund/{refund.id}", a=None)["node"]["refundLineItems"]
    assert first["pageInfo"]["hasNextPage"]
    second = shop.data(query, id=f"gid://shopify/Refund/{refund.id}", a=first["pageInfo"]["endCursor"])
    assert len(first["nodes"]) + len(second["node"]["refundLineItems"]["nodes"]) == len(refund.lines)
    assert order.refunds


def test_a_cursor_survives_changes_between_pages(fresh: Shop) -> None:
    """Keyset cursors: an order that moves to the end while paging is met again there, none is skipped."""
    query = (
        "query($a: String) { orders(first: 100, after: $a, sortKey: UPDATED_AT) "
        "{ pageInfo { endCursor } nodes { id } } }"
    )
    first = fresh.data(query, a=None)["orders"]
    expected = fresh.data("{ orders(first: 103, sortKey: UPDATED_AT) { nodes { id } } }")["orders"]["nodes"][100:]
    fresh.side.mutate("touch_order", {"id": first["nodes"][10]["id"]})
    fresh.side.mutate("delete_order", {"id": first["nodes"][99]["id"]})
    second = fresh.data(query, a=first["pageInfo"]["endCursor"])["orders"]
    assert [n["id"] for n in second["nodes"][:3]] == [n["id"] for n in expected]
    last = fresh.data("{ orders(last: 1, sortKey: UPDATED_AT) { nodes { id updatedAt } } }")["orders"]["nodes"][0]
    assert last == {"id": first["nodes"][10]["id"], "updatedAt": "2026-11-20T11:00:00Z"}


@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        ("{ orders { nodes { id } } }", "you must provide one of first or last", "BAD_REQUEST"),
        ("{ orders(first: 251) { nodes { id } } }", "first cannot exceed 250", "BAD_REQUEST"),
        ("{ orders(first: 1) { nodes { lineItems { nodes { id } } } } }", "you must provide one of first or last",
         "BAD_REQUEST"),
        ('{ orders(first: 1, after: "nonsense") { nodes { id } } }', "Invalid cursor for current pagination sort.",
         "BAD_USER_INPUT"),
        ("{ orders(first: 1, query: \"created_at:>'soon'\") { nodes { id } } }",
         "Invalid timestamp for query filter `created_at`.", "BAD_REQUEST"),
    ],
)  # fmt: skip
def test_bad_paging_is_an_error_without_data(shop: Shop, query: str, message: str, code: str) -> None:
    answer = shop.ask(query)
    assert answer["data"] is None
    assert answer["errors"][0]["message"] == message and answer["errors"][0]["extensions"]["code"] == code


def test_one_connection_ends_at_its_cap(fresh: Shop) -> None:
    fresh.side.mutate("set_pagination_cap", {"objects": 300})
    pages = list(fresh.pages("orders", "id", first=125))
    assert [len(page) for page in pages] == [125, 125, 50]
    day = "processed_at:>='2026-11-18' processed_at:<='2026-11-19'"
    sliced = fresh.every("orders", "id", args=f', query: "{day}"')
    wanted = [
        o
        for o in fresh.company.orders
        if "2026-11-18" <= str(fresh.company.business_day(o.processed_at)) <= "2026-11-19"
    ]
    assert len(sliced) == len(wanted) < 300


# -- what is in it ------------------------------------------------------------------------------------------------

ORDER = """id name test processedAt cancelledAt displayFinancialStatus displayFulfillmentStatus sourceName discountCodes
  currencyCode customer { id } shippingAddress { countryCodeV2 }
  totalPriceSet { shopMoney { amount currencyCode } } totalDiscountsSet { shopMoney { amount } }
  netPaymentSet { shopMoney { amount } } currentTotalPriceSet { shopMoney { amount } }
  fulfillments { id createdAt location { id } }
  lineItems(first: 60) { nodes { id sku quantity currentQuantity unfulfilledQuantity variant { id sku }
    originalTotalSet { shopMoney { amount } } originalUnitPriceSet { shopMoney { amount } }
    discountAllocations { allocatedAmountSet { shopMoney { amount } }
      discountApplication { index __typename value { ... on PricingPercentageValue { percentage } } } } } }
  refunds { id processedAt totalRefundedSet { shopMoney { amount } }
    refundLineItems(first: 60) { nodes { quantity restockType lineItem { id } subtotalSet { shopMoney { amount } } } }
    orderAdjustments(first: 5) { nodes { reason amountSet { shopMoney { amount } } } } }"""


def _amount(bag: dict[str, Any]) -> Decimal:
    return Decimal(bag["shopMoney"]["amount"])


def test_orders_say_what_happened(shop: Shop) -> None:
    """A month of orders, field by field against the company, and net sales by day from the answer alone."""
    nodes = shop.every("orders", ORDER, first=100, args=", query: \"processed_at:>='2026-10-20'\"")
    mine = {
        f"gid://shopify/Order/{o.id}": o
        for o in shop.company.orders
        if str(shop.company.business_day(o.processed_at)) >= "2026-10-20"
    }
    assert {node["id"] for node in nodes} == set(mine) and len(nodes) > 1000
    net = Decimal(0)
    for node in nodes:
        order = mine[node["id"]]
        assert node["name"] == order.name and node["sourceName"] == order.channel and node["test"] is order.test
        assert node["displayFinancialStatus"] == order.financial_status
        assert _amount(node["totalPriceSet"]) == order.total
        assert _amount(node["netPaymentSet"]) == (
            order.total - order.refunded if order.financial_status != "PENDING" else 0
        )
        assert node["totalPriceSet"]["shopMoney"]["currencyCode"] == node["currencyCode"] == "USD"
        total = Decimal(0)
        for line in node["lineItems"]["nodes"]:
            gross = _amount(line["originalTotalSet"])
            assert gross == _amount(line["originalUnitPriceSet"]) * line["quantity"]
            total += gross - sum(_amount(a["allocatedAmountSet"]) for a in line["discountAllocations"])
            assert line["variant"]["sku"] == line["sku"]
        net += total
        for refund in node["refunds"]:
            back = sum(_amount(r["subtotalSet"]) for r in refund["refundLineItems"]["nodes"])
            net -= back - sum(_amount(a["amountSet"]) for a in refund["orderAdjustments"]["nodes"])
        if node["cancelledAt"]:
            assert order.cancelled_at is not None and _amount(node["netPaymentSet"]) == 0
    expected = sum((o.subtotal - sum((r.net for r in o.refunds), Decimal(0)) for o in mine.values()), Decimal(0))
    assert net == expected


def test_stock_adds_up_in_every_level(shop: Shop) -> None:
    names = ["available", "on_hand", "committed", "incoming", "reserved", "damaged", "safety_stock"]
    items = shop.every(
        "inventoryItems",
        f"id sku unitCost {{ amount }} inventoryLevels(first: 20) {{ nodes {{ id isActive location {{ id }} "
        f"quantities(names: {str(names).replace(chr(39), chr(34))}) {{ name quantity }} }} }}",
        first=100,
    )
    assert len(items) == 900
    seen: Counter[str] = Counter()
    for item in items:
        for level in item["inventoryLevels"]["nodes"]:
            found = {q["name"]: q["quantity"] for q in level["quantities"]}
            parts = ("available", "committed", "reserved", "damaged", "safety_stock")
            assert found["on_hand"] == sum(found[name] for name in parts)
            seen[item["sku"]] += found["on_hand"]
            assert level["id"].endswith(f"inventory_item_id={item['id'].rsplit('/', 1)[1]}")
    assert seen["NB-BUDP-BLK"] > 0 and sum(seen.values()) == sum(lv.on_hand for lv in shop.company.inventory_levels)


def test_an_unknown_quantity_name_is_refused(shop: Shop) -> None:
    answer = shop.ask(
        "{ inventoryItems(first: 1) { nodes { inventoryLevels(first: 1) { nodes "
        '{ quantities(names: ["x"]) { name } } } } } }'
    )
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_fulfilment_orders_hide_closed_ones_unless_asked(shop: Shop) -> None:
    still_open = shop.every("fulfillmentOrders", "status orderId lineItems(first: 20) { nodes { remainingQuantity } }")
    waiting = [o for o in shop.company.orders if o.fulfilment_status != "FULFILLED" and o.cancelled_at is None]
    assert {node["orderId"] for node in still_open} == {f"gid://shopify/Order/{o.id}" for o in waiting}
    assert {node["status"] for node in still_open} == {"OPEN", "IN_PROGRESS"}
    assert all(any(li["remainingQuantity"] for li in node["lineItems"]["nodes"]) for node in still_open)
    page = shop.data("{ fulfillmentOrders(first: 250, includeClosed: true) { nodes { status } } }")
    assert "CLOSED" in {node["status"] for node in page["fulfillmentOrders"]["nodes"]}


def test_records_by_id(shop: Shop) -> None:
    order = next(o for o in shop.company.orders if o.refunds and o.fulfilments)
    ids = [
        f"gid://shopify/Order/{order.id}",
        "gid://shopify/Order/1",
        f"gid://shopify/Customer/{shop.company.customers[0].id}",
        f"gid://shopify/Refund/{order.refunds[0].id}",
        f"gid://shopify/Fulfillment/{order.fulfilments[0].id}",
        "nonsense",
    ]
    found = shop.data("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=ids)["nodes"]
    assert [one and one["__typename"] for one in found] == ["Order", None, "Customer", "Refund", "Fulfillment", None]
    assert found[0]["id"] == ids[0]


def test_counts_stop_at_their_limit(shop: Shop) -> None:
    answer = shop.data(
        "{ plain: ordersCount { count precision } all: ordersCount(limit: null) { count precision } "
        "some: ordersCount(query: \"processed_at:>='2026-11-19' processed_at:<'2026-11-20'\") { count precision } }"
    )
    assert answer["plain"] == {"count": 10000, "precision": "AT_LEAST"}
    assert answer["all"] == {"count": len(shop.company.orders), "precision": "EXACT"}
    day = sum(str(shop.company.business_day(o.processed_at)) == "2026-11-19" for o in shop.company.orders)
    assert answer["some"] == {"count": day, "precision": "EXACT"}


def test_shop_and_app(shop: Shop) -> None:
    answer = shop.data(
        "{ shop { name currencyCode ianaTimezone myshopifyDomain timezoneOffset } "
        "publicApiVersions { handle supported } "
        "currentAppInstallation { accessScopes { handle } } }"
    )
    assert answer["shop"]["ianaTimezone"] == "America/New_York" and answer["shop"]["timezoneOffset"] == "-0500"
    assert {"handle": "2026-10", "supported": True} in answer["publicApiVersions"]
    assert {"handle": "read_all_orders"} in answer["currentAppInstallation"]["accessScopes"]


# -- bad requests -------------------------------------------------------------------------------------------------


def test_mistakes_in_the_query_are_named(shop: Shop) -> None:
    unknown = shop.ask("{ shop { nme } }")
    assert "data" not in unknown
    assert unknown["errors"][0]["message"] == "Field 'nme' doesn't exist on type 'Shop'"
    assert unknown["errors"][0]["extensions"]["code"] == "undefinedField"
    assert shop.ask("{ shop { ")["errors"][0]["message"].startswith("syntax error")
    missing = shop.ask("query($id: ID!) { order(id: $id) { id } }")
    assert missing["errors"][0]["extensions"]["code"] == "INVALID_VARIABLE"
    two = shop.ask("query A { shop { id } } query B { shop { id } }")
    assert "operation name" in two["errors"][0]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"query": 5}', b'{"query": "{ shop { id } }", "variables": []}', b"[]"])
def test_a_body_that_is_no_request_is_refused(shop: Shop, body: bytes) -> None:
    headers = {"X-Shopify-Access-Token": shop.token, "Content-Type": "application/json"}
    answer = shop.client.post("/admin/api/2026-10/graphql.json", content=body, headers=headers)
    if body == b'{"query": "{ shop { id } }", "variables": []}':
        assert answer.status_code == 200  # empty variables of any kind are none
    else:
        assert answer.status_code == 400 and "query" in answer.json()["errors"]


# -- cost ---------------------------------------------------------------------------------------------------------


def test_cost_is_told_reserved_and_paid_back(shop: Shop) -> None:
    one = shop.ask("{ shop { name } }")["extensions"]["cost"]
    assert one["requestedQueryCost"] == one["actualQueryCost"] == 1
    assert one["throttleStatus"]["maximumAvailable"] == 20000 and one["throttleStatus"]["restoreRate"] == 2000
    few = shop.ask('{ orders(first: 250, query: "id:1") { nodes { id lineItems(first: 50) { nodes { id } } } } }')
    assert few["extensions"]["cost"]["actualQueryCost"] == 2
    assert few["extensions"]["cost"]["requestedQueryCost"] > 40
    ten = shop.ask("{ products(first: 10) { nodes { id } } }")["extensions"]["cost"]["requestedQueryCost"]
    hundred = shop.ask("{ products(first: 100) { nodes { id } } }")["extensions"]["cost"]["requestedQueryCost"]
    assert ten < hundred < 10 * ten
    edges = shop.ask("{ products(first: 10) { edges { cursor node { id } } } }")["extensions"]["cost"]
    assert edges["requestedQueryCost"] == ten
    assert scale(0) == 0 and scale(1) == 1


def test_a_query_that_is_too_dear_is_refused_whole(shop: Shop) -> None:
    nested = (
        "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { product { variants(first: 250) { nodes "
        "{ id inventoryItem { id inventoryLevels(first: 50) { nodes { id item { id } } } } } } } } } } } }"
    )
    answer = shop.ask(nested)
    assert "data" not in answer
    error = answer["errors"][0]
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED" and error["extensions"]["cost"] > 1000


def test_an_empty_bucket_throttles_until_it_is_restored(fresh: Shop) -> None:
    now = [100.0]
    fresh.side.bucket = Bucket(100, 50, clock=lambda: now[0])
    query = (
        "{ customers(first: 250) { nodes { id defaultAddress { city } amountSpent { amount } "
        "orders(first: 5) { nodes { id } } } } }"
    )
    first = fresh.ask(query)
    cost = first["extensions"]["cost"]
    assert 50 < cost["requestedQueryCost"] <= 100
    fresh.side.bucket.drain()
    throttled = fresh.ask(query)
    assert "data" not in throttled
    assert throttled["errors"][0]["message"] == "Throttled"
    assert throttled["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert throttled["extensions"]["cost"]["actualQueryCost"] is None
    status = throttled["extensions"]["cost"]["throttleStatus"]
    wait = (cost["requestedQueryCost"] - status["currentlyAvailable"]) / status["restoreRate"]
    now[0] += wait - 0.1
    assert "errors" in fresh.ask(query)
    now[0] += 0.2
    assert "errors" not in fresh.ask(query)
    assert "throttled" in fresh.ledger.kinds()


def test_the_standard_profile_is_a_standard_plan(fresh: Shop) -> None:
    fresh.side.profile = "standard"
    status = fresh.ask("{ shop { id } }")["extensions"]["cost"]["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (2000, 100)
    assert fresh.side.profile == "standard"


# -- faults -------------------------------------------------------------------------------------------------------

PAGE = """query($a: String) { orders(first: 5, after: $a) { pageInfo { hasNextPage endCursor }
  nodes { id lineItems(first: 2) { nodes { originalUnitPriceSet { shopMoney { amount } } } } } } }"""


@pytest.mark.parametrize(
    "fault", ["empty_page", "short_page", "duplicate_nodes", "null_price", "null_id", "endless_page"]
)
def test_a_spoilt_page_comes_once_and_then_the_true_one(fresh: Shop, fault: str) -> None:
    true = fresh.data(PAGE, a=None)["orders"]
    fresh.faults.arm({"vendor": "shopify", "fault": fault, "match": {}})
    spoilt = fresh.data(PAGE, a=None)["orders"]
    assert fresh.data(PAGE, a=None)["orders"] == true
    ids = [node["id"] for node in spoilt["nodes"]]
    match fault:
        case "empty_page":
            assert ids == [] and spoilt["pageInfo"]["hasNextPage"] is False
        case "short_page":
            assert len(ids) == 2 and spoilt["pageInfo"]["hasNextPage"] is False
        case "duplicate_nodes":
            assert len(ids) == 6 and ids[0] == ids[1]
        case "null_price":
            first = spoilt["nodes"][0]["lineItems"]["nodes"][0]["originalUnitPriceSet"]["shopMoney"]
            assert first == {"amount": None}
        case "null_id":
            assert ids[0] is None
        case "endless_page":
            assert spoilt["pageInfo"]["hasNextPage"] is True


def test_a_repeated_page_is_the_page_before(fresh: Shop) -> None:
    first = fresh.data(PAGE, a=None)["orders"]
    fresh.faults.arm({"vendor": "shopify", "fault": "repeat_page", "times": 2})
    for _ in range(2):
        assert fresh.data(PAGE, a=first["pageInfo"]["endCursor"])["orders"] == first
    second = fresh.data(PAGE, a=first["pageInfo"]["endCursor"])["orders"]
    assert not {n["id"] for n in second["nodes"]} & {n["id"] for n in first["nodes"]}


def test_refusals_on_demand(fresh: Shop) -> None:
    fresh.faults.arm({"vendor": "shopify", "fault": "internal_error"})
    assert fresh.ask("{ shop { id } }")["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    fresh.faults.arm({"vendor": "shopify", "fault": "access_denied"})
    assert fresh.ask("{ shop { id } }")["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    fresh.faults.arm({"vendor": "shopify", "fault": "invalid_token"})
    assert fresh.post({"query": "{ shop { id } }"}).status_code == 401
    fresh.faults.arm({"vendor": "shopify", "fault": "throttled"})
    assert fresh.ask("{ orders(first: 1) { nodes { id } } }")["errors"][0]["extensions"]["code"] == "THROTTLED"


def test_the_ledger_knows_what_was_served(fresh: Shop) -> None:
    fresh.data("query Some { orders(first: 7) { nodes { id } } locations(first: 3) { edges { node { id } } } }")
    vendor, kind, detail = fresh.ledger.entries[-1]
    assert (vendor, kind) == ("shopify", "records_served")
    assert detail["operation"] == "Some" and detail["records"] == {"orders": 7, "locations": 3}
    assert detail["version"] == "2026-10" and detail["actual"] <= detail["requested"]


# -- the real thing -----------------------------------------------------------------------------------------------


def test_over_a_real_socket_with_parallel_clients() -> None:
    shop = Shop(company())
    config = uvicorn.Config(Starlette(routes=shop.side.routes()), port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        pass
    port = server.servers[0].sockets[0].getsockname()[1]
    found: list[int] = []

    def page() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            token = client.post("/admin/oauth/access_token", data=GRANT).json()["access_token"]
            for _ in range(4):
                answer = client.post(
                    "/admin/api/2026-10/graphql.json",
                    json={"query": "{ orders(first: 50) { nodes { id lineItems(first: 5) { nodes { sku } } } } }"},
                    headers={"X-Shopify-Access-Token": token},
                )
                found.append(len(answer.json()["data"]["orders"]["nodes"]))

    try:
        workers = [threading.Thread(target=page) for _ in range(5)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        server.should_exit = True
        thread.join(10)
    assert found == [50] * 20

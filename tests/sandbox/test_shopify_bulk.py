"""Bulk operations: what is accepted, how they run, what is in the file, how it is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.shopify_client import Shop

RUN = """mutation Run($q: String!, $g: Boolean!) { bulkOperationRunQuery(query: $q, groupObjects: $g) {
  bulkOperation { id status } userErrors { field message code } } }"""
POLL = """query($id: ID!) { bulkOperation(id: $id) { id status errorCode objectCount rootObjectCount fileSize url
  partialDataUrl completedAt type } }"""
ORDERS = """{ orders(sortKey: UPDATED_AT) { edges { node { id name updatedAt refunds { id processedAt }
  totalPriceSet { shopMoney { amount currencyCode } }
  lineItems { edges { node { id sku quantity discountAllocations { allocatedAmountSet { shopMoney { amount } } } } } }
  fulfillmentOrders { edges { node { id status lineItems { edges { node { id remainingQuantity } } } } } } } } } }"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(directory=tmp_path / "bulk")


def run(shop: Shop, query: str, *, grouped: bool = False) -> dict[str, Any]:
    return dict(shop.data(RUN, q=query, g=grouped)["bulkOperationRunQuery"])


def wait(shop: Shop, identity: str) -> tuple[dict[str, Any], list[str]]:
    """Polls to the end; the operation and the states seen."""
    states = []
    for _ in range(2000):
        found = shop.data(POLL, id=identity)["bulkOperation"]
        states.append(found["status"])
        if found["status"] in {"COMPLETED", "FAILED", "CANCELED"}:
            return found, states
        if states[-1] == "RUNNING":
            shop.side.bulk._all[identity].done.wait(0.05)
    raise AssertionError(states)


def fetch(shop: Shop, url: str, **headers: str) -> Any:
    return shop.client.get(url, headers=headers)


def lines(shop: Shop, found: dict[str, Any]) -> list[dict[str, Any]]:
    answer = fetch(shop, found["url"])
    assert answer.status_code == 200 and len(answer.content) == int(found["fileSize"])
    return [json.loads(line) for line in answer.text.splitlines()]


def test_it_goes_from_created_to_running_to_completed(shop: Shop) -> None:
    started = run(shop, "{ customers { edges { node { id } } } }")
    assert started["userErrors"] == [] and started["bulkOperation"]["status"] == "CREATED"
    found, states = wait(shop, started["bulkOperation"]["id"])
    assert states[0] in {"CREATED", "RUNNING"} and "RUNNING" in states and states[-1] == "COMPLETED"
    assert found["type"] == "QUERY" and found["completedAt"] == "2026-11-20T11:00:00Z"
    count = str(len(shop.company.customers))
    assert found["objectCount"] == found["rootObjectCount"] == count
    assert shop.data("{ currentBulkOperation { id status } }")["currentBulkOperation"]["status"] == "COMPLETED"
    listed = shop.data("{ bulkOperations(first: 5) { nodes { id status } } }")["bulkOperations"]["nodes"]
    assert listed == [{"id": found["id"], "status": "COMPLETED"}]


@pytest.mark.parametrize("grouped", [False, True])
def test_every_record_is_a_line_and_children_name_their_parent(shop: Shop, grouped: bool) -> None:
    found, _ = wait(shop, run(shop, ORDERS, grouped=grouped)["bulkOperation"]["id"])
    records = lines(shop, found)
    assert len(records) == int(found["objectCount"])
    orders = {r["id"]: r for r in records if "/Order/" in r["id"]}
    assert len(orders) == int(found["rootObjectCount"]) == len(shop.company.orders)
    ids = {r["id"] for r in records}
    assert len(ids) == len(records)
    sold = [r for r in records if "/LineItem/" in r["id"]]
    assert len(sold) == sum(len(o.lines) for o in shop.company.orders)
    for record in records:
        if record["id"] not in orders:
            assert record["__parentId"] in ids
    deep = [r for r in records if "/FulfillmentOrderLineItem/" in r["id"]]
    assert deep and all("/FulfillmentOrder/" in r["__parentId"] for r in deep)

    by_parent: dict[str, list[str]] = {}
    for record in sold:
        by_parent.setdefault(record["__parentId"], []).append(record["id"])
    for order in shop.company.orders[::97]:
        mine = {f"gid://shopify/LineItem/{line.id}" for line in order.lines}
        assert set(by_parent[f"gid://shopify/Order/{order.id}"]) == mine
        shown = orders[f"gid://shopify/Order/{order.id}"]
        assert [r["id"] for r in shown["refunds"]] == [f"gid://shopify/Refund/{r.id}" for r in order.refunds]
        assert "lineItems" not in shown and "__parentId" not in shown

    last = None
    follows = True
    before = False
    met: set[str] = set()
    for record in records:
        met.add(record["id"])
        if record["id"] in orders:
            last = record["id"]
        elif "/LineItem/" in record["id"]:
            follows &= record["__parentId"] == last
            before |= record["__parentId"] not in met
    assert follows is grouped
    assert before is not grouped


def test_a_line_has_what_a_page_has(shop: Shop) -> None:
    """The same selection by pages and in bulk."""
    fields = "id name status variants{} totalInventory priceRangeV2 { minVariantPrice { amount } } tags"
    variant = "id sku price inventoryItem { id unitCost { amount currencyCode } }"
    pages = shop.every(
        "products", fields.replace("{}", f"(first: 250) {{ nodes {{ {variant} }} }}").replace("name", "title"), first=50
    )
    bulk = (
        "{ products { edges { node { "
        + fields.replace("{}", f" {{ edges {{ node {{ {variant} }} }} }}").replace("name", "title")
        + " } } } }"
    )
    found, _ = wait(shop, run(shop, bulk)["bulkOperation"]["id"])
    records = lines(shop, found)
    roots = {r["id"]: {**r, "variants": []} for r in records if "__parentId" not in r}
    for record in records:
        if "__parentId" in record:
            roots[record.pop("__parentId")]["variants"].append(record)
    expected = {p["id"]: {**p, "variants": p["variants"]["nodes"]} for p in pages}
    for one in (*roots.values(), *expected.values()):
        one["variants"] = sorted(one["variants"], key=lambda v: v["id"])
    assert roots == expected


def test_arguments_other_than_the_page_are_honoured(shop: Shop) -> None:
    query = '{ orders(first: 3, query: "processed_at:2026-11-19") { edges { node { id processedAt } } } }'
    found, _ = wait(shop, run(shop, query)["bulkOperation"]["id"])
    day = [o for o in shop.company.orders if str(shop.company.business_day(o.processed_at)) == "2026-11-19"]
    assert int(found["objectCount"]) == len(day) > 3


def test_an_empty_result_has_no_url(shop: Shop) -> None:
    found, _ = wait(shop, run(shop, '{ orders(query: "id:1") { edges { node { id } } } }')["bulkOperation"]["id"])
    assert found["status"] == "COMPLETED" and found["url"] is None and found["objectCount"] == "0"


E1 = "{ orders { edges { node { %s } } } }"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ shop { name } }", "must contain at least one connection"),
        ("{ orders(first: 5) { nodes { id } } }", "'nodes' is not supported"),
        ("{ orders { pageInfo { hasNextPage } } }", "must select 'edges { node }'"),
        ("{ orders { edges { cursor } } }", "must select 'edges { node }'"),
        (E1 % "name lineItems { edges { node { id } } }", "must select the 'id' field"),
        (E1 % "key: id lineItems { edges { node { id } } }", "must select the 'id' field"),
        (E1 % "id refunds { id refundLineItems { edges { node { id } } } }", "within a list field"),
        (E1 % "id fulfillments { fulfillmentLineItems { edges { node { id } } } }", "within a list field"),
        ('{ node(id: "gid://shopify/Order/1") { id } }', "top level `node`"),
        ('{ nodes(ids: ["gid://shopify/Order/1"]) { id } }', "top level `nodes`"),
        (
            E1 % "id customer { id orders { edges { node { id customer { id orders { edges { node { id lineItems "
            "{ edges { node { id } } } } } } } } } } }",
            "nesting depth greater than 2",
        ),
        (
            "{ " + " ".join(f"a{i}: products {{ edges {{ node {{ id }} }} }}" for i in range(6)) + " }",
            "more than 5 connections",
        ),
        ("{ orders { edges { node { id", "Invalid bulk query"),
        ("{ orders { edges { node { nonsense } } } }", "Invalid bulk query"),
        ('mutation { bulkOperationCancel(id: "1") { userErrors { message } } }', "one query operation"),
        ("query($n: Int) { orders(first: $n) { edges { node { id } } } }", "variables"),
    ],
)  # fmt: skip
def test_queries_that_break_a_rule_are_refused_with_its_message(shop: Shop, query: str, message: str) -> None:
    answer = run(shop, query)
    assert answer["bulkOperation"] is None
    error = answer["userErrors"][0]
    assert message in error["message"] and error["field"] == ["query"] and error["code"] == "INVALID"


def test_fragments_are_looked_into(shop: Shop) -> None:
    query = "query { orders { edges { node { ...F } } } } fragment F on Order { lineItems { edges { node { id } } } }"
    assert "must select the 'id'" in run(shop, query)["userErrors"][0]["message"]
    query = query.replace("{ lineItems", "{ ... on Order { id } lineItems")
    assert run(shop, query)["userErrors"] == []


def test_five_at_once_and_not_six(shop: Shop) -> None:
    shop.faults.arm({"vendor": "shopify", "fault": "bulk_stuck", "times": 5})
    ids = [run(shop, "{ products { edges { node { id } } } }")["bulkOperation"]["id"] for _ in range(5)]
    assert len(set(ids)) == 5
    sixth = run(shop, "{ products { edges { node { id } } } }")
    assert sixth["bulkOperation"] is None
    error = sixth["userErrors"][0]
    assert error["code"] == "OPERATION_IN_PROGRESS" and error["field"] is None and ids[0] in error["message"]
    cancelled = shop.data(
        "mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status } userErrors { message } } }",
        id=ids[0],
    )["bulkOperationCancel"]
    assert cancelled == {"bulkOperation": {"status": "CANCELING"}, "userErrors": []}
    found, _ = wait(shop, ids[0])
    assert found["status"] == "CANCELED" and found["url"] is None
    assert run(shop, "{ products { edges { node { id } } } }")["userErrors"] == []


def test_a_finished_operation_cannot_be_cancelled(shop: Shop) -> None:
    identity = run(shop, "{ products { edges { node { id } } } }")["bulkOperation"]["id"]
    wait(shop, identity)
    query = "mutation($id: ID!) { bulkOperationCancel(id: $id) { userErrors { message } } }"
    assert "completed" in shop.data(query, id=identity)["bulkOperationCancel"]["userErrors"][0]["message"]
    unknown = shop.data(query, id="gid://shopify/BulkOperation/9")["bulkOperationCancel"]["userErrors"]
    assert unknown[0]["message"] == "Bulk operation does not exist"


@pytest.mark.parametrize(("fault", "code"), [("bulk_failed", "INTERNAL_SERVER_ERROR"), ("bulk_timeout", "TIMEOUT")])
def test_a_failed_operation_leaves_part_of_its_data(shop: Shop, fault: str, code: str) -> None:
    shop.faults.arm({"vendor": "shopify", "fault": fault, "point": "bulk"})
    found, _ = wait(shop, run(shop, "{ orders { edges { node { id } } } }")["bulkOperation"]["id"])
    assert found["status"] == "FAILED" and found["errorCode"] == code and found["url"] is None
    part = fetch(shop, found["partialDataUrl"]).text.splitlines()
    assert 0 < len(part) < len(shop.company.orders)
    assert all("id" in json.loads(line) for line in part)


def test_a_missing_scope_fails_the_operation(shop: Shop) -> None:
    shop.side.mutate("set_scopes", {"without": ["read_customers"]})
    found, _ = wait(shop, run(shop, "{ customers { edges { node { id } } } }")["bulkOperation"]["id"])
    assert (found["status"], found["errorCode"]) == ("FAILED", "ACCESS_DENIED")


def test_the_file_is_signed_and_refuses_the_api_token(shop: Shop) -> None:
    found, _ = wait(shop, run(shop, "{ products { edges { node { id title } } } }")["bulkOperation"]["id"])
    refused = fetch(shop, found["url"], **{"X-Shopify-Access-Token": shop.token})
    assert refused.status_code == 400 and "<Code>InvalidArgument</Code>" in refused.text
    assert fetch(shop, found["url"].replace(".jsonl", "x.jsonl")).status_code == 404
    whole = fetch(shop, found["url"]).content
    part = fetch(shop, found["url"], Range="bytes=100-299")
    assert part.status_code == 206 and part.content == whole[100:300]
    rest = fetch(shop, found["url"], Range=f"bytes={len(whole) - 50}-")
    assert rest.content == whole[-50:]


def test_a_result_is_kept_seven_days(shop: Shop) -> None:
    from datetime import timedelta

    identity = run(shop, "{ products { edges { node { id } } } }")["bulkOperation"]["id"]
    found, _ = wait(shop, identity)
    shop.clock.at += timedelta(days=8)
    shop.token = shop.client.post(
        "/admin/oauth/access_token",
        data={"client_id": "sandbox-client", "client_secret": "sandbox-secret", "grant_type": "client_credentials"},
    ).json()["access_token"]
    assert shop.data(POLL, id=identity)["bulkOperation"]["url"] is None
    assert fetch(shop, found["url"]).status_code == 403


def test_overlays_are_in_the_file_as_they_are_in_pages(shop: Shop) -> None:
    shop.side.mutate("upsert_order", {
        "name": "#BAD", "currencyCode": "XXQ",
        "lineItems": [{"title": None, "quantity": -3, "originalUnitPriceSet": {"shopMoney": {"amount": None}}}],
    })  # fmt: skip
    query = """{ orders(query: "name:#BAD") { edges { node { id name currencyCode
      lineItems { edges { node { id title quantity
      originalUnitPriceSet { shopMoney { amount currencyCode } } } } } } } } }"""
    found, _ = wait(shop, run(shop, query)["bulkOperation"]["id"])
    order, line = lines(shop, found)
    assert order["currencyCode"] == "XXQ" and line["__parentId"] == order["id"]
    assert line["title"] is None and line["quantity"] == -3
    assert line["originalUnitPriceSet"] == {"shopMoney": {"amount": None, "currencyCode": "USD"}}

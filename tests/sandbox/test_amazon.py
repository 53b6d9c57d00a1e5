"""Amazon over HTTP, by hand: what it refuses, how it pages, what it tells; and the story behind it."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.amazon.limits import PLANS
from sandbox.amazon.login import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN
from sandbox.amazon.world import SELLER
from sandbox.company import Company, generate
from sandbox.company.catalogue import FBA
from sandbox.company.marketplace import CANADA, LOST_SKU, US, build_marketplace, incidents, lost_units
from sandbox.server import running
from tests.sandbox.conftest import Served, client

CLOCK = datetime(2024, 12, 5, 11, tzinfo=UTC)
ORDERS = "/orders/2026-01-01/orders"
METRICS = "/sales/v1/orderMetrics"
SINCE = {"lastUpdatedAfter": "2024-11-01T00:00:00Z", "includedData": "PROCEEDS,FULFILLMENT"}


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state: Path = tmp_path_factory.mktemp("amazon")
    with running(seed=7, clock=CLOCK, state=state, netsuite_key="ec") as sandbox, client(sandbox.url) as http:
        yield Served(sandbox, http, state)


@pytest.fixture
def shop(_shared: Served) -> Iterator[Served]:
    """A small company that the tests of this module do not change; faults and limits are put back."""
    yield _shared
    _shared.control("/faults", method="DELETE")
    _shared.control("/profile", {"profile": "generous"})


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(7, CLOCK)


def token(served: Served, refresh: str = REFRESH_TOKEN, **change: str | None) -> httpx.Response:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        **change,
    }
    return served.http.post("/auth/o2/token", data={key: value for key, value in form.items() if value is not None})


def get(served: Served, path: str, refresh: str = REFRESH_TOKEN, **query: Any) -> httpx.Response:
    headers = {"x-amz-access-token": token(served, refresh).json()["access_token"]}
    return served.http.get(path, params=query, headers=headers)


def why(answer: httpx.Response) -> str:
    (error,) = answer.json()["errors"]
    return f"{error['code']}: {error['details']}"


def all_orders(served: Served, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    extra: dict[str, str] = {}
    while True:
        answer = get(served, ORDERS, **{**SINCE, **query, **extra}).json()
        found += answer["orders"]
        following = answer.get("pagination", {}).get("nextToken")
        if following is None:
            assert "pagination" not in answer
            return found
        extra = {"paginationToken": following}


# Who may do what ----------------------------------------------------------------------------------------------------


def test_login_with_amazon(shop: Served) -> None:
    answer = token(shop).json()
    assert answer["token_type"] == "bearer" and answer["expires_in"] == 3600
    assert answer["access_token"].startswith("Atza|") and answer["refresh_token"] == REFRESH_TOKEN


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"refresh_token": "Atzr|revoked"}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_id": None}, 400, "invalid_request"),
    ],
)
def test_login_refuses(shop: Served, change: dict[str, Any], status: int, error: str) -> None:
    answer = token(shop, **change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_missing_an_unknown_and_an_ended_token(early: Served) -> None:
    assert why(early.http.get(ORDERS)).startswith("Unauthorized: The access token is missing")
    unknown = early.http.get(ORDERS, headers={"x-amz-access-token": "Atza|x"})
    assert unknown.status_code == 403 and "revoked, malformed or invalid" in why(unknown)
    headers = {"x-amz-access-token": token(early).json()["access_token"]}
    assert early.http.get(ORDERS, params=SINCE, headers=headers).status_code == 200
    early.control("/clock", {"now": (CLOCK + timedelta(minutes=61)).isoformat(), "company": "keep"})
    assert "has expired" in why(early.http.get(ORDERS, params=SINCE, headers=headers))
    early.control("/mutate", {"vendor": "amazon", "op": "end_tokens", "data": {}})


def test_roles_and_the_user_agent(shop: Served) -> None:
    assert get(shop, ORDERS, "Atzr|sandbox-orders-only", **SINCE).status_code == 200
    assert get(shop, "/reports/2021-06-30/reports", "Atzr|sandbox-orders-only").status_code == 403
    headers = {"x-amz-access-token": token(shop).json()["access_token"], "User-Agent": ""}
    assert "User-Agent" in why(shop.http.get(ORDERS, params=SINCE, headers=headers))
    private = {**SINCE, "includedData": "BUYER"}
    assert get(shop, ORDERS, **private).status_code == 403
    shown = get(shop, ORDERS, "Atzr|sandbox-with-buyers", **private).json()["orders"][0]
    assert "buyer" in shown and "recipient" not in shown and "proceeds" not in shown


# Orders -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "Exactly one of"),
        ({"createdAfter": "2024-11-01T00:00:00Z", "lastUpdatedAfter": "2024-11-01T00:00:00Z"}, "Exactly one of"),
        ({"createdAfter": "2024-11-01T00:00:00Z", "lastUpdatedBefore": "2024-11-02T00:00:00Z"}, "does not go"),
        ({"lastUpdatedAfter": "yesterday"}, "not an ISO 8601"),
        ({"lastUpdatedAfter": "2024-11-01T00:00:00"}, "has no zone"),
        ({"lastUpdatedAfter": "2024-11-02T00:00:00Z", "lastUpdatedBefore": "2024-11-01T00:00:00Z"}, "before the start"),
        ({"lastUpdatedAfter": "2024-11-02T00:00:00Z", "lastUpdatedBefore": "2024-12-05T10:58:01Z"}, "two minutes"),
        ({**SINCE, "maxResultsPerPage": "101"}, "between 1 and 100"),
        ({**SINCE, "maxResultsPerPage": "0"}, "between 1 and 100"),
        ({**SINCE, "includedData": "PRICES"}, "unknown value"),
        ({**SINCE, "fulfillmentStatuses": "LOST"}, "unknown value"),
        ({**SINCE, "MarketplaceIds": US}, "Unknown parameter"),
        ({**SINCE, "paginationToken": "x"}, "not valid"),
    ],
)
def test_search_orders_refuses(shop: Served, query: dict[str, str], words: str) -> None:
    answer = get(shop, ORDERS, **query)
    assert answer.status_code == 400 and words in why(answer), answer.text


def test_pages_are_bound_to_their_parameters_and_live_a_day(early: Served) -> None:
    first = get(early, ORDERS, **SINCE, maxResultsPerPage=50).json()
    following = first["pagination"]["nextToken"]
    other = get(early, ORDERS, **SINCE, maxResultsPerPage=49, paginationToken=following)
    assert "must be those of the request" in why(other)
    assert len(get(early, ORDERS, **SINCE, maxResultsPerPage=50, paginationToken=following).json()["orders"]) == 50
    early.control("/clock", {"now": (CLOCK + timedelta(hours=24)).isoformat(), "company": "keep"})
    assert "has expired" in why(get(early, ORDERS, **SINCE, maxResultsPerPage=50, paginationToken=following))


def test_orders_come_whole_once_and_in_no_helpful_order(shop: Served, company: Company) -> None:
    found = all_orders(shop, marketplaceIds=US, maxResultsPerPage=40)
    assert len({each["orderId"] for each in found}) == len(found)
    updated = [each["lastUpdatedTime"] for each in found]
    assert updated != sorted(updated) and updated != sorted(updated, reverse=True)
    assert len(all_orders(shop)) > len(found), "amazon.ca beside amazon.com"
    (one,) = [each for each in found if each["fulfillment"]["fulfillmentStatus"] == "PENDING"]
    assert "proceeds" not in one and "price" not in one["orderItems"][0]["product"]
    assert get(shop, f"{ORDERS}/{one['orderId']}").json()["order"]["orderId"] == one["orderId"]
    assert get(shop, f"{ORDERS}/1-1-1").status_code == 404


# Order metrics ------------------------------------------------------------------------------------------------------


def metrics(served: Served, start: str, end: str, **more: str) -> httpx.Response:
    query = {"granularity": "Day", "granularityTimeZone": "America/Los_Angeles", **more}
    return get(served, METRICS, marketplaceIds=US, interval=f"{start}--{end}", **query)


def test_metrics_are_of_the_stores_days_and_leave_out_what_was_not_sold(shop: Served) -> None:
    answer = metrics(shop, "2024-11-01T00:00:00-07:00", "2024-12-05T00:00:00-08:00").json()["payload"]
    assert len(answer) == 34
    # The clocks went back on the third: the last of these days has twenty-five hours.
    assert answer[2]["interval"] == "2024-11-03T00:00-07:00--2024-11-04T00:00-08:00"
    sold = [
        each
        for each in all_orders(shop, marketplaceIds=US)
        if each["fulfillment"]["fulfillmentStatus"] not in ("PENDING", "CANCELLED")
        # The first hours of the company's first day are still October in Seattle.
        and "2024-11-01T07:00:00Z" <= each["createdTime"] < "2024-12-05T08:00:00Z"
    ]
    assert sum(each["orderCount"] for each in answer) == len(sold)
    parts = [
        Decimal(part["subtotal"]["amount"])
        for each in sold
        for item in each["orderItems"]
        for part in item["proceeds"]["breakdowns"]
        if part["type"] == "ITEM"
    ]
    assert sum(Decimal(each["totalSales"]["amount"]) for each in answer) == sum(parts)
    total = metrics(shop, "2024-11-01T00:00:00-07:00", "2024-12-05T00:00:00-08:00", granularity="Total").json()
    assert total["payload"][0]["unitCount"] == sum(each["unitCount"] for each in answer)


@pytest.mark.parametrize(
    ("start", "end", "more", "words"),
    [
        ("2024-12-01", "2024-12-02", {}, "absolute"),
        ("2024-12-01T00:00:00Z", "2024-12-02T00:00:00Z", {}, "does not align"),
        ("2024-12-01T00:00:00-08:00", "2024-12-01T00:00:00-08:00", {}, "the first before the second"),
        ("2024-12-01T00:00:00-08:00", "2024-12-02T00:00:00-08:00", {"granularity": "Decade"}, "unknown"),
        ("2024-12-01T00:00:00-08:00", "2024-12-02T00:00:00-08:00", {"granularityTimeZone": "Mars"}, "not a known"),
        ("2022-12-01T00:00:00-08:00", "2024-12-02T00:00:00-08:00", {}, "two years"),
    ],
)
def test_metrics_refuse(shop: Served, start: str, end: str, more: dict[str, str], words: str) -> None:
    answer = metrics(shop, start, end, **more)
    assert answer.status_code == 400 and words in why(answer), answer.text


# Inventory, listings, reports ---------------------------------------------------------------------------------------


def test_inventory_pages_live_half_a_minute(early: Served) -> None:
    query = {"granularityType": "Marketplace", "granularityId": US, "marketplaceIds": US, "details": "true"}
    first = get(early, "/fba/inventory/v1/summaries", **query).json()
    assert len(first["payload"]["inventorySummaries"]) == 50
    following = {"nextToken": first["pagination"]["nextToken"]}
    rest = get(early, "/fba/inventory/v1/summaries", **query, **following).json()
    assert len(rest["payload"]["inventorySummaries"]) == 9 and "pagination" not in rest
    early.control("/clock", {"now": (CLOCK + timedelta(seconds=31)).isoformat(), "company": "keep"})
    assert "has expired" in why(get(early, "/fba/inventory/v1/summaries", **query, **following))
    for name in ("granularityType", "granularityId", "marketplaceIds"):
        left = {key: value for key, value in query.items() if key != name}
        assert get(early, "/fba/inventory/v1/summaries", **left).status_code == 400
    plain = get(early, "/fba/inventory/v1/summaries", **{**query, "details": "false"}).json()
    assert "inventoryDetails" not in plain["payload"]["inventorySummaries"][0]


def test_listings_are_searched_by_twenty(shop: Served) -> None:
    path = f"/listings/2021-08-01/items/{SELLER}"
    answer = get(shop, path, marketplaceIds=US, pageSize=20, includedData="issues,summaries", sortBy="sku").json()
    assert answer["numberOfResults"] == 93 and len(answer["items"]) == 20
    assert get(shop, path, marketplaceIds=US, pageSize=21).status_code == 400
    assert get(shop, path).status_code == 400
    assert get(shop, "/listings/2021-08-01/items/OTHER", marketplaceIds=US).status_code == 403
    refused = [each for each in answer["items"] if not each["summaries"]]
    assert [each["sku"] for each in refused] in ([], ["NB-DRAFT-ä🎁"])


def test_a_report_goes_through_its_states(early: Served) -> None:
    headers = {"x-amz-access-token": token(early).json()["access_token"]}
    body = {"reportType": "GET_V2_SELLER_PERFORMANCE_REPORT", "marketplaceIds": [US]}
    path = "/reports/2021-06-30/reports"
    early.control("/mutate", {"vendor": "amazon", "op": "set_reports", "data": {"polls": 2}})
    made = early.http.post(path, json=body, headers=headers)
    assert made.status_code == 202
    report = f"{path}/{made.json()['reportId']}"
    states = [early.http.get(report, headers=headers).json() for _ in range(4)]
    assert [each["processingStatus"] for each in states] == ["IN_QUEUE", "IN_PROGRESS", "DONE", "DONE"]
    link = early.http.get(f"/reports/2021-06-30/documents/{states[3]['reportDocumentId']}", headers=headers).json()
    assert link["compressionAlgorithm"] == "GZIP"
    with httpx.Client(trust_env=False, verify=False) as plain:
        content = json.loads(gzip.decompress(plain.get(link["url"]).content))
        assert content["accountStatuses"] == [{"marketplaceId": US, "status": "AT_RISK"}]
        assert plain.get(link["url"], headers=headers).status_code == 400, "the storage takes no second token"
        assert plain.get(link["url"] + "0").status_code == 403
        early.control("/clock", {"now": (CLOCK + timedelta(minutes=5)).isoformat(), "company": "keep"})
        assert plain.get(link["url"]).status_code == 403
    wrong = early.http.post(path, json={**body, "reportType": "GET_EVERYTHING"}, headers=headers)
    assert wrong.status_code == 400
    for end in ("CANCELLED", "FATAL"):
        early.control("/mutate", {"vendor": "amazon", "op": "set_reports", "data": {"polls": 0, "end": end}})
        made = early.http.post(path, json=body, headers=headers).json()["reportId"]
        assert early.http.get(f"{path}/{made}", headers=headers).json()["processingStatus"] == end
    listed = early.http.get(path, params={"reportTypes": body["reportType"]}, headers=headers).json()["reports"]
    assert [each["processingStatus"] for each in listed] == ["FATAL", "CANCELLED", "DONE"]


# Rates --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "burst", "rate"), [("standard", 20, "0.0056"), ("restricted", 5, "0.0028")])
def test_beyond_the_burst_amazon_refuses_without_saying_when(shop: Served, profile: str, burst: int, rate: str) -> None:
    shop.control("/profile", {"profile": profile})
    headers = {"x-amz-access-token": token(shop).json()["access_token"]}
    answers = [shop.http.get(ORDERS, params=SINCE, headers=headers) for _ in range(burst + 1)]
    assert [each.status_code for each in answers] == [200] * burst + [429]
    assert answers[0].headers["x-amzn-ratelimit-limit"] == rate
    assert "retry-after" not in answers[-1].headers and why(answers[-1]).startswith("QuotaExceeded")
    # Each operation has a bucket of its own.
    assert metrics(shop, "2024-12-01T00:00:00-08:00", "2024-12-02T00:00:00-08:00").status_code == 200
    assert PLANS["searchOrders"] == (0.0056, 20)


# The story ----------------------------------------------------------------------------------------------------------


def test_the_marketplace_agrees_with_the_company(company: Company) -> None:
    told = company.part(build_marketplace)
    sold = {order.name: order for order in company.orders if order.channel == "amazon" and not order.test}
    mirrored = {each.seller_name: each for each in told.orders if each.seller_name is not None}
    assert set(mirrored) == set(sold) and len(sold) > 200
    for name, order in sold.items():
        items = [(each.sku, each.quantity, each.sales - each.discount) for each in mirrored[name].items]
        assert items == [(line.sku, line.quantity, line.net) for line in order.lines], name
        assert (mirrored[name].status == "CANCELLED") == (order.cancelled_at is not None)
    shelf = {level.sku: level for level in company.inventory_levels if level.location_id == FBA.id}
    assert {each.sku for each in told.stock} == set(shelf)
    for each in told.stock:
        assert each.total == shelf[each.sku].on_hand and each.reserved == shelf[each.sku].committed
        assert each.fulfillable == shelf[each.sku].available - each.researching
    assert lost_units(company) == 3 == next(each.researching for each in told.stock if each.sku == LOST_SKU)
    assert {variant.sku for variant in company.variants if variant.active and variant.tracked} <= {
        each.sku for each in told.listings
    }
    assert len({each.asin for each in told.listings}) == len(told.listings)


def test_a_later_clock_only_adds(company: Company) -> None:
    after = generate(7, CLOCK + timedelta(days=40))
    before = {each.id: each for each in company.part(build_marketplace).orders}
    now = {each.id: each for each in after.part(build_marketplace).orders}
    assert set(before) < set(now)
    for identity, each in before.items():
        changed = now[identity]
        assert changed.purchased == each.purchased and changed.updated >= each.updated
        assert [item.sku for item in changed.items] == [item.sku for item in each.items]
    assert Counter(each.marketplace for each in now.values())[CANADA] > 4
    assert generate(7, CLOCK).part(build_marketplace) == company.part(build_marketplace)


def test_incidents_are_planted_and_show() -> None:
    at = generate(7, datetime(2025, 3, 31, 11, tzinfo=UTC))
    planted = incidents(at)
    assert {each.kind for each in planted} == {"listing_suppressed", "account_at_risk"}
    for incident in planted:
        if incident.kind != "listing_suppressed":
            continue
        day = datetime(incident.start.year, incident.start.month, incident.start.day, 15, tzinfo=UTC)
        seen = generate(7, day + timedelta(days=2)).part(build_marketplace)
        (listing,) = [each for each in seen.listings if each.sku == incident.entity.removeprefix("sku:")]
        assert not listing.buyable and listing.issues[0].action == "LISTING_SUPPRESSED"
        assert seen.health.suppressed == 1
        break
    assert [each.id for each in incidents(generate(7, CLOCK))] == [72_000]
    replaced = [each for each in at.part(build_marketplace).orders if each.replaces is not None]
    assert replaced and all(each.items[0].sales == 0 for each in replaced)


def test_changes_from_outside_outlive_a_moved_clock(early: Served) -> None:
    early.control("/mutate", {"vendor": "amazon", "op": "set_stock", "data": {"sku": "NB-X", "quantity": 9}})
    early.control("/clock", {"now": (CLOCK + timedelta(days=1)).isoformat()})
    query = {"granularityType": "Marketplace", "granularityId": US, "marketplaceIds": US, "details": "true"}
    first = get(early, "/fba/inventory/v1/summaries", **query).json()
    token_of = first["pagination"]["nextToken"]
    rest = get(early, "/fba/inventory/v1/summaries", **query, nextToken=token_of).json()
    items = first["payload"]["inventorySummaries"] + rest["payload"]["inventorySummaries"]
    assert [each["totalQuantity"] for each in items if each["sellerSku"] == "NB-X"] == [9]
    refused = early.http.post("/_sandbox/mutate", json={"vendor": "amazon", "op": "explode", "data": {}})
    assert refused.status_code == 400

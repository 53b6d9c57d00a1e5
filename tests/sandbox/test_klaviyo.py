"""Klaviyo over HTTP: what it refuses, how it pages, and the company's story behind it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sandbox.company import Company, generate
from sandbox.company.campaigns import ATTRIBUTION, build_campaigns, incidents, mailed_orders
from sandbox.company.staff import BY_KEY
from sandbox.klaviyo.account import metric_id
from sandbox.sides import vendor_of
from tests.connectors.conftest import NOW, World, started

HEADERS = {"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(7, NOW)


def ask(
    world: World, path: str, *, headers: dict[str, str] | None = None, body: Any = None, **query: Any
) -> httpx.Response:
    method = "GET" if body is None else "POST"
    given = HEADERS if headers is None else headers
    return world.control_client.request(method, f"/api/{path}", params=query or None, headers=given, json=body)


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("campaigns", {}, 400, "channel filter is required"),
        ("campaigns", {"filter": "equals(messages.channel,'email')", "page[size]": 101}, 400, "between 1 and 100"),
        ("lists", {"page[size]": 11}, 400, "between 1 and 10"),
        ("metrics", {"page[size]": 10}, 400, "page[size]"),
        ("lists", {"filter": "greater-or-equal(updated,2024-11-01T00:00:00Z)"}, 400, "not a supported operator"),
        ("flows", {"filter": "equals(nothing,'x')"}, 400, "not a filterable field"),
        ("flows", {"filter": "equals(archived"}, 400, "breaks off"),
        ("events", {"sort": "value"}, 400, "not a valid sort key"),
        ("events", {"include": "people"}, 400, "cannot be included"),
        ("events", {"page[cursor]": "nonsense"}, 400, "cursor"),
        ("events", {"colour": "red"}, 400, "not a valid parameter"),
    ],
)
def test_what_is_refused(world: World, path: str, query: dict[str, Any], status: int, said: str) -> None:
    answer = ask(world, path, **query)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["status"]) == (status, status) and said in error["detail"], error


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer pk_sandbox", "revision": "2026-07-15"}, 401),
        ({"Authorization": "Klaviyo-API-Key pk_other", "revision": "2026-07-15"}, 401),
        ({"Authorization": "Klaviyo-API-Key pk_sandbox"}, 400),
        ({"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2022-10-17"}, 410),
        ({"Authorization": "Klaviyo-API-Key pk_sandbox_campaigns", "revision": "2026-07-15"}, 403),
    ],
)
def test_keys_scopes_and_revisions(world: World, headers: dict[str, str], status: int) -> None:
    assert ask(world, "events", headers=headers).status_code == status


def test_slack_keeps_its_paths(world: World) -> None:
    assert vendor_of("/api/campaigns") == "klaviyo" and vendor_of("/api/chat.postMessage") == "slack"
    answer = world.control_client.get("/api/auth.test", headers={"Authorization": "Bearer xoxb-sandbox"})
    assert answer.json()["ok"] is True


def test_windows_and_the_headers_that_say_so(world: World) -> None:
    world.control("/profile", {"profile": "standard"})
    try:
        first = ask(world, "accounts")
        assert first.headers["ratelimit-limit"] == "15, 1;w=1, 15;w=60" and first.headers["ratelimit-remaining"] == "14"
        refused = next(each for each in (ask(world, "accounts") for _ in range(20)) if each.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1 and "ratelimit-limit" not in refused.headers
        assert refused.json()["errors"][0]["code"] == "throttled"
    finally:
        world.control("/profile", {"profile": "generous"})


def test_days_of_a_changing_clock_and_months(world: World) -> None:
    def aggregate(interval: str, **more: Any) -> Any:
        attributes = {
            "metric_id": metric_id("Placed Order"), "measurements": ["count", "sum_value"], "interval": interval,
            "filter": ["greater-or-equal(datetime,2024-11-01T00:00:00)", "less-than(datetime,2024-12-01T00:00:00)"],
            "timezone": "America/New_York", **more,
        }  # fmt: skip
        return ask(world, "metric-aggregates", body={"data": {"type": "metric-aggregate", "attributes": attributes}})

    days, month = (aggregate(each).json()["data"]["attributes"] for each in ("day", "month"))
    assert days["dates"][2:4] == ["2024-11-03T04:00:00+00:00", "2024-11-04T05:00:00+00:00"] and len(days["dates"]) == 30
    assert sum(days["data"][0]["measurements"]["count"]) == month["data"][0]["measurements"]["count"][0]
    # Twenty-five hours have more hours' events than the same hours of a day that ends at noon.
    assert aggregate("day", timezone="Europe/Kyiv").status_code == 400
    assert aggregate("day", filter=["greater-or-equal(datetime,2024-11-01T00:00:00)"]).status_code == 400
    assert aggregate("minute").status_code == 400
    by = aggregate("month", by=["$attributed_flow"]).json()["data"]["attributes"]["data"]
    assert sum(row["measurements"]["count"][0] for row in by) == month["data"][0]["measurements"]["count"][0]


def test_events_one_by_one_are_what_totals_count(world: World) -> None:
    opened = metric_id("Opened Email", "Klaviyo")
    where = f"and(equals(metric_id,'{opened}'),less-than(datetime,2024-11-06T05:00:00Z))"
    more: dict[str, Any] = {"filter": where, "page[size]": "500", "sort": "-datetime"}
    ids: list[str] = []
    path = ask(world, "events", **more)
    while True:
        document = path.json()
        ids += [each["id"] for each in document["data"]]
        following = document["links"].get("next")
        if following is None:
            break
        path = world.control_client.get(following, headers=HEADERS)
    attributes = {
        "metric_id": opened, "measurements": ["count"], "timezone": "America/New_York", "interval": "day",
        "filter": ["greater-or-equal(datetime,2024-10-01T00:00:00)", "less-than(datetime,2024-11-06T00:00:00)"],
    }  # fmt: skip
    body = {"data": {"type": "metric-aggregate", "attributes": attributes}}
    counts = ask(world, "metric-aggregates", body=body).json()["data"]["attributes"]["data"][0]["measurements"]["count"]
    assert len(ids) == len(set(ids)) == sum(counts) > 500


# The story ---------------------------------------------------------------------------------------------------------


def test_orders_and_events_are_one_to_one_but_where_planted(world: World, company: Company) -> None:
    account_events: list[dict[str, Any]] = []
    query: dict[str, Any] = {
        "filter": f"equals(metric_id,'{metric_id('Placed Order')}')",
        "page[size]": 1000,
        "sort": "datetime",
    }
    answer = ask(world, "events", **query)
    while True:
        account_events += answer.json()["data"]
        if (following := answer.json()["links"].get("next")) is None:
            break
        answer = world.control_client.get(following, headers=HEADERS)
    said = Counter(each["attributes"]["event_properties"]["$extra"]["name"] for each in account_events)
    story = company.part(build_campaigns)
    orders = mailed_orders(company)
    wanted = Counter({o.name: 2 if o.id in story.doubled else 1 for o in orders if o.id not in story.missing})
    late = wanted - said
    assert said - wanted == Counter() and sum(late.values()) <= 10
    values = {e["attributes"]["event_properties"]["$extra"]["name"]: e["attributes"]["event_properties"]["$value"]
              for e in account_events}  # fmt: skip
    assert all(Decimal(str(values[order.name])) == order.total for order in orders if order.name in values)
    planted = {each.kind: each for each in incidents(company)}
    for kind, hit in (("mail_events_missing", story.missing), ("mail_events_doubled", story.doubled)):
        names = planted[kind].expected["orders"].split(",")
        assert sorted(names) == sorted(order.name for order in orders if order.id in hit) and len(names) > 10


def test_what_is_attributed_adds_up(company: Company) -> None:
    story = company.part(build_campaigns)
    orders = {order.id: order for order in mailed_orders(company)}
    codes = {code for discount in company.discounts for code in discount.codes}
    for campaign in story.campaigns:
        assert campaign.discount_code is None or campaign.discount_code in codes
        assert campaign.revenue == sum((orders[each].total for each in campaign.order_ids), Decimal(0))
        assert BY_KEY[campaign.sender].division == "marketing"
        for each in campaign.order_ids:
            assert campaign.sent and campaign.send_time is not None
            assert timedelta(0) <= orders[each].created_at - campaign.send_time <= ATTRIBUTION
            assert campaign.discount_code is None or campaign.discount_code in orders[each].discount_codes
    for flow in story.flows:
        assert flow.revenue == sum((orders[each].total for each in flow.order_ids), Decimal(0))
    owners = Counter(
        each
        for orders_of in (*(c.order_ids for c in story.campaigns), *(f.order_ids for f in story.flows))
        for each in orders_of
    )
    assert set(owners) == set(story.attributed) and max(owners.values()) == 1 and len(owners) > 300


def test_a_later_clock_only_adds(company: Company) -> None:
    later = generate(7, NOW + timedelta(days=40))
    before, after = company.part(build_campaigns), later.part(build_campaigns)
    assert before.attributed.items() <= after.attributed.items()
    grown = {campaign.id: campaign for campaign in after.campaigns}
    for campaign in before.campaigns:
        if campaign.name.startswith("Idea"):
            continue
        now = grown[campaign.id]
        if campaign.sent:
            assert (now.recipients, now.send_time, now.bursts) == (
                campaign.recipients,
                campaign.send_time,
                campaign.bursts,
            )
        assert set(campaign.order_ids) <= set(now.order_ids)
    assert {each.id for each in incidents(company)} <= {each.id for each in incidents(later)}
    burst = max((burst for campaign in before.campaigns for burst in campaign.bursts), key=lambda each: each.count)
    moments = [burst.moment(place) for place in range(burst.count)]
    assert (
        moments == sorted(moments) and burst.until(moments[10]) <= 10 and burst.until(datetime.max.replace(tzinfo=UTC))
    )

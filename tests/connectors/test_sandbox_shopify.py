"""Shopify end to end against the sandbox: both ways of reading agree, changes arrive, faults lose nothing."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from resources.shopify.records import ENTITIES
from tests.connectors.conftest import NOW, World, read, started

BULKY = sorted(name for name, entity in ENTITIES.items() if entity.bulk)
ZONE = ZoneInfo("America/New_York")


def asked(world: World, text: str, **variables: Any) -> Any:
    """The tests' own way to the sandbox, for an oracle that shares no code with the connector."""
    form = {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "grant_type": "client_credentials"}
    token = httpx.post(f"{world.url}/admin/oauth/access_token", data=form, trust_env=False, verify=False).json()[
        "access_token"
    ]
    answer = httpx.post(
        f"{world.url}/admin/api/2026-10/graphql.json",
        json={"query": text, "variables": variables},
        headers={"X-Shopify-Access-Token": token},
        trust_env=False,
        verify=False,
        timeout=60,
    ).json()
    assert "errors" not in answer, answer
    return answer["data"]


# -- both ways agree -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BULKY)
def test_a_bulk_read_and_a_walk_give_the_same_payloads(world: World, name: str) -> None:
    bulk = read(world.shopify(), name)
    walk = read(world.shopify(bulk_first=False), name)
    assert bulk.payloads == walk.payloads
    assert len(bulk.payloads) > 100
    assert not bulk.rejected and not walk.rejected
    if not ENTITIES[name].stream.full_refresh:
        assert bulk.cursor == walk.cursor is not None
        assert all(page.cursor is None for page in bulk.pages[:-1])


def test_orders_with_refunds_are_whole_either_way(world: World) -> None:
    orders = read(world.shopify(), "orders").payloads
    refunds = [refund for order in orders.values() for refund in order["refunds"]]
    lines = sum(len(refund["refundLineItems"]) for refund in refunds)
    adjustments = sum(len(refund["orderAdjustments"]) for refund in refunds)
    text = """query($after: String) { orders(first: 100, after: $after) { pageInfo { hasNextPage endCursor }
        nodes { refunds {
            refundLineItems(first: 50) { nodes { quantity } } orderAdjustments(first: 10) { nodes { id } } } } } }"""
    truth: Counter[str] = Counter()
    after = None
    while True:
        page = asked(world, text, after=after)["orders"]
        for refund in (refund for node in page["nodes"] for refund in node["refunds"]):
            truth["refunds"] += 1
            truth["lines"] += len(refund["refundLineItems"]["nodes"])
            truth["adjustments"] += len(refund["orderAdjustments"]["nodes"])
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert truth == Counter(refunds=len(refunds), lines=lines, adjustments=adjustments)
    assert truth["refunds"] > 5 and truth["adjustments"] > 0


def test_the_whole_shop_is_read_without_a_refusal(world: World) -> None:
    for name in ENTITIES:
        found = read(world.shopify(), name)
        assert found.payloads and not found.rejected, name
        assert found.cost > 0, name


def test_a_second_read_brings_only_the_look_back(world: World) -> None:
    first = read(world.shopify(), "orders")
    again = read(world.shopify(), "orders", first.cursor)
    assert first.cursor is not None
    since = datetime.fromisoformat(first.cursor) - timedelta(minutes=15)
    newer = {key for key, order in first.payloads.items() if datetime.fromisoformat(order["updatedAt"]) >= since}
    assert set(again.payloads) == newer
    assert again.cursor == first.cursor
    assert again.cost < 200


def test_a_long_absence_goes_over_to_a_bulk_operation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.shopify.source.LONGEST_WALK_BEFORE_BULK", 50)
    cursor = "2024-11-20T00:00:00Z"
    before = len(world.ledger(vendor="shopify", kind="bulk_started", limit=10_000))
    mixed = read(world.shopify(), "orders", cursor)
    assert len(world.ledger(vendor="shopify", kind="bulk_started", limit=10_000)) == before + 1
    plain = read(world.shopify(bulk_first=False), "orders", cursor)
    assert mixed.payloads == plain.payloads
    assert mixed.cursor == plain.cursor


def test_standard_limits_are_kept_without_being_throttled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With real waits, on a bucket small enough to run dry: pacing must spare us every refusal."""
    monkeypatch.setattr("resources.shopify.source.LONGEST_WAIT_BEFORE_BULK", 60.0)
    world.control("/profile", {"profile": "standard"})
    source = world.shopify(bulk_first=False)
    import time

    source.client.http.sleep = time.sleep
    before = world.ledger(vendor="shopify", limit=100_000)
    found = read(source, "orders", "2024-12-03T00:00:00Z")
    after = world.ledger(vendor="shopify", limit=100_000)[len(before) :]
    assert len(found.payloads) > 50
    assert not [entry for entry in after if "THROTTLED" in str(entry) or "'status': 429" in str(entry)]


# -- tie-out -----------------------------------------------------------------------------------------------------


def test_control_totals_equal_what_was_read_day_by_day(world: World) -> None:
    source = world.shopify()
    orders = read(source, "orders").payloads
    totals = source.control_totals(source.streams["orders"], None)
    counts: Counter[date] = Counter()
    gross: dict[date, Decimal] = {}
    for order in orders.values():
        day = datetime.fromisoformat(order["processedAt"]).astimezone(ZONE).date()
        counts[day] += 1
        if not order["test"]:
            amount = sum(
                (
                    Decimal(line["originalTotalSet"]["shopMoney"]["amount"])
                    for line in order["lineItems"]
                    if not line["isGiftCard"]
                ),
                Decimal(0),
            )
            gross[day] = gross.get(day, Decimal(0)) + amount
    assert {total.day: total.count for total in totals if total.count} == dict(counts)
    assert {total.day: total.amount for total in totals if total.amount} == {
        day: sum_ for day, sum_ in gross.items() if sum_
    }
    assert {total.currency for total in totals} == {"USD"}
    chosen = [date(2024, 11, 29), date(2024, 11, 3), date(2023, 1, 1)]
    some = source.control_totals(source.streams["orders"], chosen)
    assert [(each.day, each.count) for each in some] == [(day, counts[day]) for day in sorted(chosen)]
    for name in ("customers", "products"):
        (total,) = source.control_totals(source.streams[name], None)
        assert (total.day, total.count) == (None, len(read(source, name).payloads))


def test_without_reports_the_amount_is_unknown_and_not_zero(own_world: World) -> None:
    own_world.mutate("shopify", "set_scopes", without=["read_reports"])
    source = own_world.shopify()
    totals = source.control_totals(source.streams["orders"], [date(2024, 12, 4)])
    assert totals[0].count > 0 and totals[0].amount is None


def test_living_ids_are_the_ids_of_the_shop(world: World) -> None:
    for name in ("orders", "customers", "products", "fulfillment_orders"):
        ids = set(read(world.shopify(), name).payloads)
        assert set(world.shopify().living_ids(world.shopify().streams[name])) == ids
    walked = list(world.shopify(bulk_first=False).living_ids(world.shopify().streams["orders"]))
    assert len(walked) == len(set(walked)) == len(read(world.shopify(), "orders").payloads)


# -- changes -------------------------------------------------------------------------------------------------------


def test_changes_arrive_and_deletions_show(own_world: World) -> None:
    source = own_world.shopify()
    first = read(source, "orders")
    oldest = min(first.payloads.values(), key=lambda order: order["updatedAt"])["id"]
    gone = sorted(first.payloads)[3]
    own_world.mutate("shopify", "upsert_order", id=oldest, tags=["changed"])
    created = own_world.mutate("shopify", "upsert_order", tags=["new"])["id"]
    own_world.mutate("shopify", "delete_order", id=gone)
    second = read(source, "orders", first.cursor)
    assert second.payloads[oldest]["tags"] == ["changed"]
    assert second.payloads[created]["tags"] == ["new"]
    assert second.cursor is not None and first.cursor is not None and second.cursor > first.cursor
    living = set(source.living_ids(source.streams["orders"]))
    assert gone not in living and {oldest, created} <= living
    assert living == (set(first.payloads) | {created}) - {gone}


def test_a_lagging_search_index_is_caught_up_by_the_look_back(own_world: World) -> None:
    source = own_world.shopify()
    first = read(source, "orders")
    touched = sorted(first.payloads)[:2]
    own_world.mutate("shopify", "set_search_lag", seconds=600)
    own_world.control("/clock", {"now": (NOW + timedelta(minutes=1)).isoformat(), "company": "keep"})
    own_world.mutate("shopify", "upsert_order", id=touched[0], tags=["late"])
    later = NOW + timedelta(minutes=2)
    unseen = read(source, "orders", first.cursor, later)
    assert touched[0] not in unseen.payloads
    own_world.control("/clock", {"now": (NOW + timedelta(minutes=12)).isoformat(), "company": "keep"})
    own_world.mutate("shopify", "upsert_order", id=touched[1], tags=["later"])
    seen = read(source, "orders", unseen.cursor or first.cursor, NOW + timedelta(minutes=12))
    assert seen.payloads[touched[0]]["tags"] == ["late"]


def test_the_cap_on_cursor_walks_is_passed(own_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.shopify.client.LONGEST_WALK", 150)
    own_world.mutate("shopify", "set_pagination_cap", objects=200)
    bulk = read(own_world.shopify(), "orders")
    walk = read(own_world.shopify(bulk_first=False), "orders")
    assert walk.payloads == bulk.payloads and len(walk.payloads) > 400


def test_an_order_listed_twice_comes_twice_and_its_later_form_wins(own_world: World) -> None:
    target = sorted(read(own_world.shopify(), "orders").payloads)[0]
    own_world.mutate("shopify", "duplicate_order", id=target, changes={"tags": ["twin"]})
    source = own_world.shopify(bulk_first=False)
    pages = list(source.pages(source.streams["orders"], None, now=NOW))
    copies = [record for page in pages for record in page.records if record.id == target]
    assert len(copies) == 2


# -- faults --------------------------------------------------------------------------------------------------------

TRANSPORT = [
    "http_429",
    "http_500",
    "http_502_html",
    "html_200",
    "truncate",
    "truncate_short",
    "reset",
    "accept_then_drop",
]
SEMANTIC = [
    "throttled",
    "internal_error",
    "invalid_token",
    "repeat_page",
    "empty_page",
    "short_page",
    "endless_page",
    "duplicate_nodes",
]
CURSOR = "2024-11-25T00:00:00Z"


@pytest.fixture(scope="module")
def truth(shared_world: World) -> dict[str, Any]:
    return read(shared_world.shopify(bulk_first=False), "orders", CURSOR).payloads


@pytest.mark.parametrize("fault", TRANSPORT + SEMANTIC)
@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_one_fault_in_a_walk_costs_nothing_but_time(
    world: World, truth: dict[str, Any], fault: str, after: int
) -> None:
    source = world.shopify(bulk_first=False)
    source.shop()
    world.fault("shopify", fault, after=after, match={"body_contains": "orders("})
    found = read(source, "orders", CURSOR)
    assert found.payloads == truth
    assert not found.rejected


@pytest.mark.parametrize(
    "fault", ["http_500", "html_200", "truncate", "reset", "throttled", "repeat_page", "short_page"]
)
def test_a_lasting_fault_fails_and_is_never_a_whole_listing(world: World, fault: str) -> None:
    source = world.shopify(bulk_first=False)
    source.shop()
    world.fault("shopify", fault, after=1, times=None, match={"body_contains": "orders("})
    with pytest.raises(TransientFailure):
        read(source, "orders", CURSOR)


@pytest.mark.parametrize("fault", ["http_500", "truncate", "reset", "bulk_failed", "bulk_timeout", "accept_then_drop"])
def test_one_fault_in_a_bulk_read_costs_nothing_but_time(world: World, fault: str) -> None:
    wanted = read(world.shopify(), "products").payloads
    world.fault("shopify", fault, match={"body_contains": "bulkOperation"})
    assert read(world.shopify(), "products").payloads == wanted


@pytest.mark.parametrize("fault", ["http_500", "truncate", "truncate_short", "reset"])
def test_one_fault_in_a_download_costs_nothing_but_time(world: World, fault: str) -> None:
    wanted = read(world.shopify(), "customers").payloads
    world.fault("shopify", fault, match={"method": "GET"})
    assert read(world.shopify(), "customers").payloads == wanted


def test_a_bulk_operation_that_never_ends_is_given_up_for_pages(world: World) -> None:
    source = world.shopify()
    source.bulk.patience = 0.3
    world.fault("shopify", "bulk_stuck")
    assert read(source, "products").payloads == read(world.shopify(), "products").payloads


@pytest.mark.parametrize("fault", ["null_price", "null_id"])
def test_poison_is_set_aside_and_its_neighbours_land(world: World, truth: dict[str, Any], fault: str) -> None:
    source = world.shopify(bulk_first=False)
    source.shop()
    world.fault("shopify", fault, match={"body_contains": "orders("})
    found = read(source, "orders", CURSOR)
    assert {item.reason for item in found.rejected} == {"null_money" if fault == "null_price" else "missing_id"}
    assert len(found.payloads) + len(found.rejected) == len(truth)
    assert found.payloads.items() <= truth.items()


def test_denied_and_refused(own_world: World) -> None:
    own_world.mutate("shopify", "set_scopes", without=["read_orders", "read_all_orders"])
    with pytest.raises(PermanentFailure, match="read_orders"):
        read(own_world.shopify(), "orders")
    own_world.mutate("shopify", "set_scopes", without=[])
    wrong = own_world.settings.model_copy(update={"shopify_client_id": "nobody"})
    stranger = World(own_world.url, wrong, own_world.control_client)
    with pytest.raises(PermanentFailure, match="SHOPIFY_CLIENT_ID"):
        read(stranger.shopify(), "orders")
    old = own_world.settings.model_copy(update={"shopify_api_version": "2019-01"})
    with pytest.raises(PermanentFailure, match="SHOPIFY_API_VERSION"):
        read(World(own_world.url, old, own_world.control_client).shopify(), "orders")


def test_expired_tokens_are_replaced_in_the_middle(own_world: World) -> None:
    source = own_world.shopify(bulk_first=False)
    pages = source.pages(source.streams["orders"], None, now=NOW)
    found = {record.id for record in next(pages).records}
    own_world.mutate("shopify", "expire_tokens")
    found |= {record.id for page in pages for record in page.records}
    assert found == set(read(own_world.shopify(), "orders").payloads)


# -- real orders as the sandbox serves them from a CSV -----------------------------------------------------------------

COLUMNS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]


@pytest.fixture
def csv_world(tmp_path: Path) -> Iterator[World]:
    """A shop whose orders have many lines, three decimals, odd text and returns."""
    rows: list[list[Any]] = []
    for number in range(60):
        rows.append(
            [
                "500001",
                f"S{number}",
                f"Ding {number} 🎁",
                2,
                "2011-03-27 00:30:00",
                "1.125",
                "12345.0",
                "United Kingdom",
            ]
        )
    rows.append(["500002", "R1", "", 1, "2011-03-27 02:30:00", "0.0", "", "EIRE"])
    rows.append(["C500003", "S1", 'שלום "x"', -3, "2011-10-30 01:30:00", "2.55", "12345.0", "United Kingdom"])
    path = tmp_path / "orders.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    yield from started(tmp_path / "state", orders=path, clock=datetime(2011, 12, 10, tzinfo=UTC))


def test_long_orders_returns_and_odd_text_come_whole(csv_world: World) -> None:
    now = datetime(2011, 12, 10, tzinfo=UTC)
    source = csv_world.shopify()
    bulk = read(source, "orders", now=now)
    walk = read(csv_world.shopify(bulk_first=False), "orders", now=now)
    assert bulk.payloads == walk.payloads and len(bulk.payloads) == 3 and not bulk.rejected
    by_name = {order["name"]: order for order in bulk.payloads.values()}
    assert len(by_name["500001"]["lineItems"]) == 60
    total = sum(Decimal(line["originalTotalSet"]["shopMoney"]["amount"]) for line in by_name["500001"]["lineItems"])
    assert total == Decimal("135.000")
    assert [line["quantity"] for line in by_name["C500003"]["lineItems"]] == [-3]
    totals = {each.day: each for each in source.control_totals(source.streams["orders"], None) if each.count}
    assert {day: (each.count, each.amount) for day, each in totals.items()} == {
        date(2011, 3, 27): (2, Decimal("135")),
        date(2011, 10, 30): (1, Decimal("-7.65")),
    }


def test_the_probe_speaks_of_every_stream(world: World) -> None:
    probes = {probe.endpoint: probe for probe in world.shopify().probe()}
    assert {"credentials", "scopes", "sales report"} | set(ENTITIES) - {"shop"} == set(probes)
    assert all(probe.ok and not probe.remedy for probe in probes.values()), probes
    assert "records" in probes["orders"].said
    assert issubclass(PermanentFailure, OpsError)


def test_the_probe_names_missing_scopes_and_what_they_cost() -> None:
    from resources.shopify.source import SCOPES, _scopes

    assert _scopes(frozenset(SCOPES.values()) | {"read_all_orders"}).ok
    assert _scopes(frozenset(SCOPES.values()) - {"read_products"} | {"write_products", "read_all_orders"}).ok
    some = _scopes(frozenset(SCOPES.values()) - {"read_discounts"})
    assert not some.ok and "read_discounts" in some.remedy and some.streams == ("discounts",)
    recent = _scopes(frozenset(SCOPES.values()))
    assert not recent.ok and "60 days" in recent.remedy and recent.streams == ("orders",)


def test_the_probe_ends_at_refused_credentials(world: World) -> None:
    from pydantic import SecretStr

    settings = world.settings.model_copy(update={"shopify_client_secret": SecretStr("wrong-secret")})
    (probe,) = World(world.url, settings, world.control_client).shopify().probe()
    assert (probe.endpoint, probe.ok) == ("credentials", False)
    assert "SHOPIFY_CLIENT_SECRET" in probe.remedy and "wrong-secret" not in probe.said

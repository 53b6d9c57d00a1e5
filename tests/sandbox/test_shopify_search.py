"""The search syntax of `query` arguments, each case counted by hand over the company."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sandbox.company.model import Order
from sandbox.shopify.search import Filter, Setting, compile_query
from tests.sandbox.shopify_client import Shop

ZONE = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _local(order: Order) -> date:
    return order.processed_at.astimezone(ZONE).date()


CASES: list[tuple[str, Callable[[Order], bool]]] = [
    ("processed_at:>='2026-11-19T05:00:00Z' processed_at:<'2026-11-20T05:00:00Z'",
     lambda o: _local(o) == date(2026, 11, 19)),
    ("processed_at:2026-11-19", lambda o: _local(o) == date(2026, 11, 19)),
    ("processed_at:>=2026-11-18 AND processed_at:<=2026-11-19",
     lambda o: date(2026, 11, 18) <= _local(o) <= date(2026, 11, 19)),
    ("processed_at:>2026-11-18", lambda o: _local(o) > date(2026, 11, 18)),
    ("processed_at:<'2024-11-02'", lambda o: _local(o) < date(2024, 11, 2)),
    # A naive time is the shop's.
    ("created_at:>='2026-11-19T00:00:00'", lambda o: o.created_at >= _utc("2026-11-19T00:00:00-05:00")),
    ("updated_at:>=\"2026-11-19T00:00:00-05:00\"", lambda o: o.updated_at >= _utc("2026-11-19T05:00:00+00:00")),
    ("created_at:>=2026-11", lambda o: _local(o) >= date(2026, 11, 1)),
    ("processed_at:yesterday", lambda o: _local(o) == date(2026, 11, 19)),
    ("test:true", lambda o: o.test),
    ("-test:true status:cancelled", lambda o: not o.test and o.cancelled_at is not None),
    ("NOT status:open", lambda o: o.cancelled_at is not None or o.closed_at is not None),
    ("status:open", lambda o: o.cancelled_at is None and o.closed_at is None),
    ("financial_status:refunded OR financial_status:partially_refunded",
     lambda o: o.financial_status in {"REFUNDED", "PARTIALLY_REFUNDED"}),
    ("fulfillment_status:unfulfilled -fulfillment_status:partial", lambda o: o.fulfilment_status == "UNFULFILLED"),
    ("(source_name:amazon OR source_name:retail) processed_at:2026-11-19",
     lambda o: o.channel in {"amazon", "retail"} and _local(o) == date(2026, 11, 19)),
    ("tag:custom-order", lambda o: "custom-order" in o.tags),
    ("tag:'gift 🎁' AND tag_not:international", lambda o: "gift 🎁" in o.tags and "international" not in o.tags),
    ("tag:هدية", lambda o: "هدية" in o.tags),
    ("discount_code:welcome10", lambda o: "WELCOME10" in o.discount_codes),
    ("discount_code:bfcm*", lambda o: any(code.startswith("BFCM") for code in o.discount_codes)),
    ("sku:NB-ARC1-BLK processed_at:>=2026-11-01",
     lambda o: any(line.sku == "NB-ARC1-BLK" for line in o.lines) and _local(o) >= date(2026, 11, 1)),
    ("name:#1001", lambda o: o.name == "#1001"),
    ("name:#100*", lambda o: o.name.startswith("#100")),
    ("#1002", lambda o: o.name == "#1002" or o.name.startswith("#1002")),
    ("risk_level:high", lambda o: False),
    ("subtotal_line_items_quantity:>=40", lambda o: sum(line.quantity for line in o.lines) >= 40),
    ("processed_at:>=2026-11-19 AND (source_name:web AND (status:cancelled OR fulfillment_status:unshipped))",
     lambda o: _local(o) >= date(2026, 11, 19) and o.channel == "web"
     and (o.cancelled_at is not None or o.fulfilment_status == "UNFULFILLED")),
]  # fmt: skip


@pytest.mark.parametrize(("query", "wanted"), CASES, ids=[case[0][:60] for case in CASES])
def test_orders_found_are_those_meant(shop: Shop, query: str, wanted: Callable[[Order], bool]) -> None:
    answer = shop.ask("query($q: String) { ordersCount(query: $q, limit: null) { count } }", q=query)
    assert "errors" not in answer, answer
    assert "search" not in answer["extensions"]
    expected = sum(1 for order in shop.company.orders if wanted(order))
    assert answer["data"]["ordersCount"]["count"] == expected
    if "risk_level" not in query:
        assert expected > 0


def test_ids_compare_as_numbers(shop: Shop) -> None:
    ids = sorted(order.id for order in shop.company.orders)
    found = shop.every("orders", "id", args=f', sortKey: ID, query: "id:>{ids[-6]}"')
    assert [node["id"] for node in found] == [f"gid://shopify/Order/{number}" for number in ids[-5:]]
    one = shop.every("orders", "id", args=f', query: "id:{ids[7]}"')
    assert len(one) == 1


def test_customers_match_a_whole_day(shop: Shop) -> None:
    """The time of day in `updated_at` is not looked at, as documented; `customersCount` has a filter of its own."""
    noon = "updated_at:>='2026-11-18T17:00:00Z'"
    found = shop.every("customers", "updatedAt", args=f', query: "{noon}"')
    day = sum(c.updated_at.astimezone(ZONE).date() >= date(2026, 11, 18) for c in shop.company.customers)
    exact = sum(c.updated_at >= _utc("2026-11-18T17:00:00+00:00") for c in shop.company.customers)
    assert len(found) == day > exact
    count = shop.data("query($q: String) { customersCount(query: $q) { count } }", q=noon)
    assert count["customersCount"]["count"] == exact


def test_an_unknown_filter_is_ignored_with_a_warning(shop: Shop) -> None:
    answer = shop.ask('{ locations(first: 20, query: "colour:red") { nodes { id } } }')
    assert len(answer["data"]["locations"]["nodes"]) == 9
    warning = answer["extensions"]["search"][0]
    assert warning["path"] == ["locations"] and warning["query"] == "colour:red"
    assert warning["warnings"] == [
        {"field": "colour", "message": "Invalid search field for this query.", "code": "invalid_field"}
    ]


@pytest.mark.parametrize("value", ["'soon'", "2026-13-01", "'2026-11-19T25:00:00Z'", "2026-02-30"])
def test_a_time_that_is_none_is_refused(shop: Shop, value: str) -> None:
    answer = shop.ask("query($q: String) { orders(first: 1, query: $q) { nodes { id } } }", q=f"updated_at:>={value}")
    assert answer["data"] is None
    assert answer["errors"][0]["message"] == "Invalid timestamp for query filter `updated_at`."
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_an_index_that_lags_hides_what_just_changed() -> None:
    shop = Shop()
    shop.side.mutate("set_search_lag", {"seconds": 900})
    order = shop.company.orders[100]
    shop.side.mutate("touch_order", {"id": order.id})
    query = "updated_at:>='2026-11-20T10:59:00Z'"
    assert shop.every("orders", "id", args=f', query: "{query}"') == []
    everything = shop.every("orders", "id updatedAt", args=", sortKey: UPDATED_AT, reverse: true")
    assert everything[0] == {"id": f"gid://shopify/Order/{order.id}", "updatedAt": "2026-11-20T11:00:00Z"}
    shop.clock.at += timedelta(minutes=16)
    assert len(shop.every("orders", "id", args=f', query: "{query}"')) == 1


FILTERS = {
    "kind": Filter("text", lambda item: item["kind"]),
    "size": Filter("number", lambda item: item["size"]),
    "note": Filter("words", lambda item: item.get("note")),
}
THINGS = [
    {"kind": "a", "size": 1, "note": "red apple"},
    {"kind": "a", "size": 2, "note": "green pear"},
    {"kind": "b", "size": 2},
    {"kind": "b", "size": 3, "note": "red (ripe) plum"},
]


@pytest.mark.parametrize(
    ("query", "sizes"),
    [
        ("", [1, 2, 2, 3]),
        ("kind:a OR size:>2", [1, 2, 3]),
        ("kind:a OR kind:b size:3", [1, 2, 3]),
        ("(kind:a OR kind:b) size:2", [2, 2]),
        ("NOT (kind:a OR size:3)", [2]),
        ("-kind:a -size:3", [2]),
        ("note:apple", [1]),
        ("note:'red apple'", [1]),
        ('note:"(ripe)"', [3]),
        ("note:gre*", [2]),
        ("kind:A", [1, 2]),
        ("kind: a size: >= 2", [2]),
        ("((kind:a)", [1, 2]),
        (") kind:a", [1, 2]),
        ("size:nonsense", []),
        ("NOT", [1, 2, 2, 3]),
        ("kind:a AND AND size:1", [1]),
    ],
)
def test_the_syntax_itself(query: str, sizes: list[int]) -> None:
    predicate, warnings = compile_query(query, FILTERS, None, Setting(ZONE, datetime(2026, 1, 1, tzinfo=UTC)))
    assert warnings == []
    assert [thing["size"] for thing in THINGS if predicate is None or predicate(thing)] == sizes

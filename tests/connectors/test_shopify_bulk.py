"""Reading a bulk file: grouped or not, nested, cut, wrong; and the life of an operation."""

from __future__ import annotations

import io
import json
import random
import tempfile
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from ops_platform.failures import TransientFailure
from resources.shopify.bulk import BulkRunner, BulkUnavailable, Shape, assemble, check_file, type_of
from resources.shopify.client import ShopifyClient
from tests.connectors.fake import Asked, FakeVendor, Said, Script, StillClock, client_of, fake_vendor, said
from tests.sizes import examples

ORDERS = Shape({"LineItem": ("Order", "lineItems")})
NESTED = Shape({"ProductVariant": ("Product", "variants"), "Metafield": ("ProductVariant", "metafields")})
Line = dict[str, Any]


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def spool(lines: list[Line], escape: bool = False) -> Any:
    file = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - the callers close it
    for line in lines:
        text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
        file.write((text.replace("/", "\\/") if escape else text).encode() + b"\n")
    return file


def expected_tree(lines: list[Line], shape: Shape) -> list[Line]:
    """The oracle: everything in memory, by id."""
    nodes = {line["id"]: {key: value for key, value in line.items() if key != "__parentId"} for line in lines}
    for node in nodes.values():
        for parent_kind, name in shape.lists.values():
            if type_of(node["id"]) == parent_kind:
                node[name] = []
    for line in lines:
        if "__parentId" in line:
            nodes[line["__parentId"]][shape.lists[type_of(line["id"])][1]].append(nodes[line["id"]])
    return [nodes[line["id"]] for line in lines if "__parentId" not in line]


def sorted_tree(value: Any) -> Any:
    if isinstance(value, list):
        return sorted((sorted_tree(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, dict):
        return {key: sorted_tree(item) for key, item in value.items()}
    return value


@st.composite
def files(draw: st.DrawFn) -> list[Line]:
    lines: list[Line] = []
    number = 0
    for _ in range(draw(st.integers(0, 6))):
        number += 1
        product = gid("Product", number)
        lines.append({"id": product, "title": draw(st.text(max_size=8))})
        for _ in range(draw(st.integers(0, 3))):
            number += 1
            variant = gid("ProductVariant", number)
            lines.append(
                {
                    "id": variant,
                    "sku": draw(st.sampled_from(["a", '"__parentId"', "__parentId", "x/y"])),
                    "__parentId": product,
                }
            )
            for _ in range(draw(st.integers(0, 2))):
                number += 1
                lines.append(
                    {"id": gid("Metafield", number), "value": draw(st.text(max_size=5)), "__parentId": variant}
                )
    return lines


@settings(max_examples=examples(150), deadline=None)
@given(files(), st.booleans(), st.booleans(), st.integers(0, 10**6))
def test_any_order_of_lines_gives_the_same_tree(lines: list[Line], shuffle: bool, escape: bool, seed: int) -> None:
    wanted = expected_tree(lines, NESTED)
    if shuffle:
        lines = lines[:]
        random.Random(seed).shuffle(lines)
    with spool(lines, escape) as file:
        found = [root for root, _ in assemble(file, NESTED)]
    if shuffle:
        assert sorted_tree(found) == sorted_tree(wanted)
    else:
        assert found == wanted


def test_sizes_are_those_of_the_lines() -> None:
    lines = [
        {"id": gid("Order", 1)},
        {"id": gid("LineItem", 1), "__parentId": gid("Order", 1)},
        {"id": gid("Order", 2)},
    ]
    with spool(lines) as file:
        sizes = [size for _, size in assemble(file, ORDERS)]
        assert sum(sizes) == file.seek(0, 2)
    with spool([lines[0], lines[2], lines[1]]) as file:
        assert sorted(size for _, size in assemble(file, ORDERS)) == sorted(sizes)


def test_text_that_looks_like_a_parent_changes_nothing() -> None:
    lines: list[Line] = [
        {"id": gid("Order", 1), "note": '"__parentId":"gid://shopify/Order/9"'},
        {"id": gid("Order", 2), "note": "__parentId", "z": {"__parentId": None}},
        {"id": gid("LineItem", 1), "title": '","__parentId":"x"}', "__parentId": gid("Order", 2)},
    ]
    with spool(lines) as file:
        roots = [root for root, _ in assemble(file, ORDERS)]
    assert [len(root["lineItems"]) for root in roots] == [0, 1]


def test_a_child_without_its_parent_is_not_lost_in_silence() -> None:
    lines = [{"id": gid("Order", 1)}, {"id": gid("LineItem", 1), "__parentId": gid("Order", 2)}]
    with spool(lines) as file, pytest.raises(BulkUnavailable, match="do not stand in it"):
        list(assemble(file, ORDERS))


def test_a_line_that_is_not_json_or_of_another_kind_is_noticed() -> None:
    file = io.BytesIO(b'{"id":"gid://shopify/Order/1"}\n{"id":"gid://sho\n')
    with pytest.raises(BulkUnavailable, match="not JSON"):
        list(assemble(file, ORDERS))
    lines = [{"id": gid("Order", 1)}, {"id": gid("Refund", 1), "__parentId": gid("Order", 1)}]
    with spool(lines) as file, pytest.raises(BulkUnavailable, match="Refund"):
        list(assemble(file, NESTED))


def test_large_integers_survive() -> None:
    with spool([{"id": gid("Order", 1), "n": 12345678901234567890123, "m": 7}]) as file:
        assert next(assemble(file, ORDERS))[0] == {
            "id": gid("Order", 1),
            "n": "12345678901234567890123",
            "m": 7,
            "lineItems": [],
        }


def test_the_count_of_the_vendor_is_held_against_the_file() -> None:
    with spool([{"id": gid("Order", 1)}, {"id": gid("Order", 2)}]) as file:
        check_file(file, 2, "x")
        with pytest.raises(TransientFailure, match="2 lines, the vendor counted 3"):
            check_file(file, 3, "x")
    check_file(io.BytesIO(b'{"id":"a"}\n{"id":"b"}'), 2, "x")


def test_memory_does_not_grow_with_a_grouped_file() -> None:
    def peak(orders: int) -> int:
        lines: list[Line] = []
        for number in range(orders):
            lines.append({"id": gid("Order", number), "note": "x" * 200})
            lines += [
                {"id": gid("LineItem", number * 10 + each), "title": "y" * 300, "__parentId": gid("Order", number)}
                for each in range(3)
            ]
        with spool(lines) as file:
            lines.clear()
            tracemalloc.start()
            assert sum(1 for _ in assemble(file, ORDERS)) == orders
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    assert peak(8_000) < peak(800) + 2_000_000


# -- the life of an operation -------------------------------------------------------------------------------

ID = gid("BulkOperation", 7)
FILE = (
    b'{"id":"gid:\\/\\/shopify\\/Order\\/1"}\n'
    b'{"id":"gid:\\/\\/shopify\\/LineItem\\/5","__parentId":"gid:\\/\\/shopify\\/Order\\/1"}\n'
)


class Shop:
    """A shop that answers bulk requests by script. `states` are given out one a poll."""

    def __init__(self, states: list[Line], starts: list[Line] | None = None, file: list[Said] | None = None) -> None:
        self.states = states
        self.starts = starts or [{"bulkOperation": {"id": ID, "status": "CREATED"}, "userErrors": []}]
        self.file = file or [Said(FILE)]
        self.vendor: FakeVendor | None = None
        self.bulk_queries: list[str] = []
        self.cancelled = False

    def __call__(self, asked: Asked) -> Said:
        if asked.path == "/admin/oauth/access_token":
            return said({"access_token": "shpat_secret", "expires_in": 86399, "scope": "read_orders"})
        if asked.path.startswith("/files/"):
            assert "x-shopify-access-token" not in asked.headers
            return self.file.pop(0) if len(self.file) > 1 else self.file[0]
        text = asked.json["query"]
        if "bulkOperationRunQuery" in text:
            self.bulk_queries.append(asked.json["variables"]["query"])
            payload = self.starts.pop(0) if len(self.starts) > 1 else self.starts[0]
            return said({"data": {"bulkOperationRunQuery": payload}})
        if "bulkOperationCancel" in text:
            self.cancelled = True
            return said({"data": {"bulkOperationCancel": {"bulkOperation": {"id": ID}, "userErrors": []}}})
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if (state.get("url") or "").startswith("/"):
            assert self.vendor is not None
            state = {**state, "url": self.vendor.url + state["url"]}
        return said({"data": {"bulkOperation": {"id": ID, **state}}})


def run(shop: Shop, clock: StillClock | None = None, **more: Any) -> list[Line] | None:
    script: Script = shop
    clock = clock or StillClock()
    with fake_vendor(script) as vendor:
        shop.vendor = vendor
        client = ShopifyClient(client_of(vendor, clock), "id", SecretStr("secret-secret"), "2026-10")
        finished = BulkRunner(client, **more).run("BulkOrders", "updated_at:>='2026-01-01T00:00:00Z'")
        if finished.file is None:
            return None
        with finished.file as file:
            return [root for root, _ in assemble(file, ORDERS)]


DONE = {
    "status": "COMPLETED",
    "url": "/files/a?sig=1",
    "objectCount": "2",
    "fileSize": str(len(FILE)),
    "createdAt": "2026-11-20T11:00:00Z",
}


def test_an_operation_is_awaited_and_its_file_read() -> None:
    clock = StillClock()
    shop = Shop([{"status": "CREATED"}, {"status": "RUNNING"}, DONE])
    assert run(shop, clock) == [{"id": gid("Order", 1), "lineItems": [{"id": gid("LineItem", 5)}]}]
    assert len(clock.slept) == 2
    assert "orders(query: \"updated_at:>='2026-01-01T00:00:00Z'\")" in shop.bulk_queries[0]


def test_nothing_to_export_is_empty_not_an_error() -> None:
    assert run(Shop([{"status": "COMPLETED", "url": None, "objectCount": "0"}])) is None
    with pytest.raises(BulkUnavailable):
        run(Shop([{"status": "COMPLETED", "url": None, "objectCount": "5"}]))


@pytest.mark.parametrize(
    ("state", "failure", "told"),
    [
        ({"status": "FAILED", "errorCode": "ACCESS_DENIED"}, BulkUnavailable, "ACCESS_DENIED"),
        (
            {"status": "FAILED", "errorCode": "INTERNAL_SERVER_ERROR", "partialDataUrl": "/files/p"},
            BulkUnavailable,
            "INTERNAL",
        ),
        ({"status": "FAILED", "errorCode": "TIMEOUT"}, BulkUnavailable, "TIMEOUT"),
        ({"status": "CANCELED"}, BulkUnavailable, "CANCELED"),
        ({"status": "EXPIRED"}, BulkUnavailable, "EXPIRED"),
        ({**DONE, "url": "https://evil.example/x"}, BulkUnavailable, "not a host of the vendor"),
        ({**DONE, "url": "http://storage.googleapis.com/x"}, BulkUnavailable, "not a host of the vendor"),
    ],
)
def test_operations_that_end_badly(state: Line, failure: type[Exception], told: str) -> None:
    with pytest.raises(failure, match=told):
        run(Shop([{"status": "RUNNING"}, state]))


def test_a_partial_file_is_never_fetched() -> None:
    shop = Shop([{"status": "FAILED", "errorCode": "TIMEOUT", "partialDataUrl": "/files/part"}])
    with fake_vendor(shop) as vendor:
        shop.vendor = vendor
        client = ShopifyClient(client_of(vendor, StillClock()), "id", SecretStr("secret-secret"), "2026-10")
        with pytest.raises(BulkUnavailable):
            BulkRunner(client).run("BulkOrders", None)
        assert not [asked for asked in vendor.asked if asked.path.startswith("/files/")]


def busy(code: str = "OPERATION_IN_PROGRESS") -> Line:
    return {
        "bulkOperation": None,
        "userErrors": [{"field": None, "code": code, "message": "already in progress: gid://…"}],
    }


def test_another_operation_is_waited_for_then_given_up() -> None:
    clock = StillClock()
    shop = Shop([DONE], starts=[busy(), busy(), {"bulkOperation": {"id": ID}, "userErrors": []}])
    assert run(shop, clock) is not None
    assert clock.slept[:2] == [2.0, 4.0]
    clock = StillClock()
    with pytest.raises(BulkUnavailable, match="already in progress"):
        run(Shop([DONE], starts=[busy()]), clock)
    assert sum(clock.slept) <= 120
    with pytest.raises(BulkUnavailable, match="refused"):
        run(Shop([DONE], starts=[busy("INVALID")]), StillClock())


def test_an_endless_operation_is_cancelled() -> None:
    shop = Shop([{"status": "RUNNING"}])
    with pytest.raises(BulkUnavailable, match="cancelled"):
        run(shop, patience=60.0)
    assert shop.cancelled


def test_a_cut_download_goes_on_and_a_spent_link_is_renewed() -> None:
    rest = Said(FILE[20:], 206, {"Content-Range": f"bytes 20-{len(FILE) - 1}/{len(FILE)}"})
    assert run(Shop([DONE], file=[Said(FILE, cut=20), rest])) is not None
    assert run(Shop([DONE], file=[said({}, 403), Said(FILE)])) is not None
    with pytest.raises(BulkUnavailable, match="403"):
        run(Shop([DONE], file=[said({}, 403)]))


def test_a_file_with_fewer_lines_than_counted_is_refused() -> None:
    with pytest.raises(TransientFailure, match="counted 9"):
        run(Shop([{**DONE, "objectCount": "9"}]))

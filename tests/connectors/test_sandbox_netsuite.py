"""NetSuite end to end against the sandbox: everything read, changes and deletions seen, faults survived."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.failures import PermanentFailure, TransientFailure
from resources.netsuite.source import PERMISSIONS
from resources.netsuite.tables import SALES_TYPES, TABLES
from tests.connectors.conftest import NOW, World, read

REVENUE = {"mainline": "F", "taxline": "F", "iscogs": "F"}


def is_revenue(line: dict[str, Any]) -> bool:
    return line["type"] in SALES_TYPES and all(line[key] == value for key, value in REVENUE.items())


@pytest.fixture(scope="module")
def books(shared_world: World) -> dict[str, dict[str, dict[str, Any]]]:
    source = shared_world.netsuite()
    found = {name: read(source, name) for name in TABLES}
    assert {name: each.rejected for name, each in found.items() if each.rejected} == {}
    return {name: each.payloads for name, each in found.items()}


def test_every_table_is_read_whole(world: World, books: dict[str, Any]) -> None:
    source = world.netsuite()
    for name, table in TABLES.items():
        sql = f"SELECT COUNT(*) AS n FROM {table.source}"
        where = " AND ".join(f"({condition})" for condition in table.where)
        (row,) = source.client.page(sql + (f" WHERE {where}" if where else ""))["items"]
        assert int(row["n"]) == len(books[name]), name
    assert len(books["transaction_lines"]) > 1_000, "the test needs more than one page"


def test_rows_are_as_agreed(books: dict[str, Any]) -> None:
    sale = next(row for row in books["transactions"].values() if row["type"] == "CashSale" and "otherrefnum" in row)
    assert sale["otherrefnum"].startswith("#") and sale["currency"] == "USD" and sale["posting"] == "T"
    assert len(sale["trandate"]) == 10 and len(sale["lastmodifieddate"]) == 19
    assert all("links" not in row and None not in row.values() for table in books.values() for row in table.values())
    kinds = {type(value) for table in books.values() for row in table.values() for value in row.values()}
    assert kinds == {str}
    line = next(row for row in books["transaction_lines"].values() if is_revenue(row) and row["type"] == "CashSale")
    assert Decimal(line["netamount"]) <= 0
    stock = next(iter(books["inventory_by_location"].items()))
    assert stock[0] == f"{stock[1]['item']}:{stock[1]['location']}"
    order = next(iter(books["purchase_orders"].values()))
    assert {"transaction", "tranid", "vendor", "item", "quantity", "quantityreceived", "isclosed"} <= set(order)


def test_totals_equal_what_was_read(world: World, books: dict[str, Any]) -> None:
    source = world.netsuite()
    counts: Counter[date] = Counter()
    sums: dict[date, Decimal] = {}
    for row in books["transactions"].values():
        day = date.fromisoformat(row["trandate"])
        counts[day] += 1
        sums[day] = sums.get(day, Decimal(0)) + Decimal(row.get("foreigntotal", "0"))
    totals = {total.day: total for total in source.control_totals(source.streams["transactions"], None)}
    assert {day: total.count for day, total in totals.items()} == dict(counts)
    for total in totals.values():
        assert total.day is not None and total.amount is not None
        assert abs(total.amount - sums[total.day]) < Decimal("0.005"), total.day
    revenue: dict[str, list[Decimal]] = {}
    for row in books["transaction_lines"].values():
        if is_revenue(row):
            revenue.setdefault(row["trandate"], []).append(Decimal(row["netamount"]))
    days = [date(2024, 11, 28), date(2024, 12, 2), date(2020, 1, 1)]
    for total in source.control_totals(source.streams["transaction_lines"], days):
        assert total.entity == "revenue_lines" and total.day is not None and total.amount is not None
        lines = revenue.get(total.day.isoformat(), [])
        assert total.count == len(lines)
        assert abs(total.amount - sum(lines, Decimal(0))) < Decimal("0.005")


def test_ids_alone_are_all_the_ids(world: World, books: dict[str, Any]) -> None:
    source = world.netsuite()
    for name in ("transactions", "transaction_lines", "inventory_by_location", "items", "purchase_orders"):
        assert set(source.living_ids(source.streams[name])) == set(books[name]), name


def test_nothing_new_is_a_small_read(world: World) -> None:
    source = world.netsuite()
    for name in ("transactions", "transaction_lines", "purchase_orders"):
        first = read(source, name)
        again = read(source, name, first.cursor)
        assert len(again.pages) <= 1 and len(again.payloads) < 200, name
        assert again.cursor in (None, first.cursor)
        assert again.payloads.items() <= first.payloads.items()


def test_a_change_of_one_line_brings_its_whole_transaction(own_world: World) -> None:
    source = own_world.netsuite()
    first = read(source, "transaction_lines")
    key, line = next((key, row) for key, row in first.payloads.items() if is_revenue(row))
    sisters = {each for each, row in first.payloads.items() if row["transaction"] == line["transaction"]}
    later = NOW + timedelta(hours=3)
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("netsuite", "update_line", uniquekey=key, set={"amount": -77.0})
    second = read(source, "transaction_lines", first.cursor, later)
    assert sisters <= set(second.payloads)
    assert Decimal(second.payloads[key]["netamount"]) == -77
    assert len(sisters) > 1
    assert second.cursor is not None and first.cursor is not None and second.cursor > first.cursor


def test_deletions_are_reported_and_a_removed_line_is_missing_from_its_transaction(own_world: World) -> None:
    source = own_world.netsuite()
    first = read(source, "transaction_lines")
    headers = read(source, "transactions")
    doomed = next(key for key, row in headers.payloads.items() if row["type"] == "CashSale")
    line, row = next((k, r) for k, r in first.payloads.items() if is_revenue(r) and r["transaction"] != doomed)
    later = NOW + timedelta(hours=3)
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("netsuite", "delete_transaction", id=doomed)
    own_world.mutate("netsuite", "delete_line", uniquekey=line)
    assert ("transactions", doomed) in set(source.deletions(NOW))
    assert source.deleted_parents(source.streams["transaction_lines"], NOW) == {doomed}
    assert source.deleted_parents(source.streams["items"], NOW) == set()
    second = read(source, "transaction_lines", first.cursor, later)
    parent = source.parent_keys["transaction_lines"]
    sisters = {each for each, other in first.payloads.items() if other[parent] == row[parent]}
    assert sisters - set(second.payloads) == {line}
    assert line not in set(source.living_ids(source.streams["transaction_lines"]))


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
SEMANTIC = ["repeat_page", "empty_page", "short_page"]


@pytest.mark.parametrize("fault", TRANSPORT + SEMANTIC)
@pytest.mark.parametrize("after", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_one_fault_costs_nothing_but_time(world: World, books: dict[str, Any], fault: str, after: int) -> None:
    if fault == "repeat_page" and after == 0:
        pytest.skip("a page can only be repeated after a first one")
    world.fault("netsuite", fault, after=after, match={"path_contains": "suiteql"})
    found = read(world.netsuite(), "transaction_lines")
    assert found.payloads == books["transaction_lines"] and not found.rejected


@pytest.mark.parametrize(
    "fault", ["http_500", "http_429", "html_200", "truncate", "reset", "repeat_page", "short_page"]
)
def test_a_lasting_fault_fails_and_is_never_a_whole_listing(world: World, fault: str) -> None:
    source = world.netsuite()
    source.client.http.sleep = lambda _: None
    world.fault("netsuite", fault, after=1, times=None, match={"path_contains": "suiteql"})
    with pytest.raises(TransientFailure):
        read(source, "transaction_lines")


def test_a_row_without_an_id_is_set_aside_and_its_neighbours_land(world: World, books: dict[str, Any]) -> None:
    world.fault("netsuite", "null_id", match={"path_contains": "suiteql"})
    found = read(world.netsuite(), "transactions")
    assert {item.reason for item in found.rejected} == {"missing_id"}
    assert len(found.payloads) + len(found.rejected) >= len(books["transactions"])
    assert found.payloads.items() <= books["transactions"].items()


def test_a_stranger_is_refused(own_world: World) -> None:
    for change in ({"netsuite_client_id": "nobody"}, {"netsuite_certificate_id": "other"}):
        stranger = World(own_world.url, own_world.settings.model_copy(update=change), own_world.control_client)
        with pytest.raises(PermanentFailure, match="NETSUITE_CERTIFICATE_ID"):
            read(stranger.netsuite(), "locations")


def test_the_probe_speaks_of_every_table(world: World) -> None:
    probes = {probe.endpoint: probe for probe in world.netsuite().probe()}
    assert set(probes) == {"credentials", *TABLES} and set(PERMISSIONS) == set(TABLES)
    assert all(probe.ok and not probe.remedy for probe in probes.values()), probes


def test_the_probe_ends_at_refused_credentials(world: World) -> None:
    settings = world.settings.model_copy(update={"netsuite_client_id": "nobody"})
    (probe,) = World(world.url, settings, world.control_client).netsuite().probe()
    assert (probe.endpoint, probe.ok, set(probe.streams)) == ("credentials", False, set(TABLES))
    assert "NETSUITE_CERTIFICATE_ID" in probe.remedy


def test_the_probe_names_the_permission_a_role_lacks(world: World) -> None:
    world.fault("netsuite", "http_403", match={"body_contains": "FROM vendor"}, times=None)
    probes = {probe.endpoint: probe for probe in world.netsuite().probe()}
    assert [name for name, probe in probes.items() if not probe.ok] == ["vendors"]
    assert probes["vendors"].streams == ("vendors",) and "Lists > Vendors" in probes["vendors"].remedy

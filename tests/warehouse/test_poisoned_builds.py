"""Bad rows at raw: a build that meets them publishes nothing, or publishes numbers that are right all the same.

Connectors quarantine most of this before it lands; here it has landed. Each variant is built and settled as the product
does it, then mended and built again: one bad morning leaves no trace.

The healthy shop sells two pieces at 50 on each of five days; the ERP books 80 on one of them. The poison comes on the
ninth of March."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.warehouse.dbt import unproven_since
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.part_of_project import copy_part
from tests.warehouse.payloads import line, order, product, refund, stock

MORNING = datetime(2026, 3, 12, 10, 0, tzinfo=UTC)
DAY = "2026-03-09"
AT = f"{DAY}T15:00:00Z"
SHOP = {"id": "gid://shopify/Shop/1", "name": "S", "currencyCode": "USD", "ianaTimezone": "America/New_York"}
Json = dict[str, Any]


def healthy(number: int) -> Json:
    return order(
        number, f"2026-03-{number:02}T15:00:00Z", [line(number * 10, "A", 2, "50")], customer=number, country="US"
    )


def sold(number: int = 99, *, price: str = "10", quantity: int = 1, **fields: Any) -> Json:
    """One more order of the ninth, of one line worth `price`."""
    lines = [line(number * 10, "A", quantity, price)]
    return order(number, AT, lines, **{"customer": 99, "country": "US"} | fields)


def with_line(payload: Json, **fields: Any) -> Json:
    payload["lineItems"][0].update(fields)
    return payload


def with_total(payload: Json, amount: str) -> Json:
    return with_line(payload, originalTotalSet={"shopMoney": {"amount": amount, "currencyCode": "USD"}})


def document(identity: str, **fields: Any) -> Json:
    return {
        "id": identity, "tranid": f"CS{identity}", "type": "CashSale", "trandate": "2026-03-10", "posting": "T",
        "voided": "F", "otherrefnum": "", "currency": "1", "exchangerate": "1", "foreigntotal": "80",
    } | fields  # fmt: skip


def document_line(identity: str, transaction: str, amount: str) -> Json:
    return {
        "id": identity, "transaction": transaction, "linesequencenumber": 1, "item": "1", "quantity": "-1",
        "netamount": amount, "foreignamount": amount, "mainline": "F", "taxline": "F", "iscogs": "F",
    }  # fmt: skip


@dataclass(frozen=True)
class Poison:
    """Rows for one stream. `refused_by` is in the name of what fails; else `numbers` are the ninth's, by metric."""

    name: str
    stream: str
    payloads: Callable[[], list[Json]]
    refused_by: str | None = None
    numbers: dict[str, str | None] | None = None
    ids: tuple[str, ...] | None = None


def refused(name: str, by: str, payload: Callable[[], Json], stream: str = "shopify.orders", **more: Any) -> Poison:
    return Poison(name, stream, lambda: [payload()], refused_by=by, **more)


def counted(name: str, numbers: dict[str, str | None], payload: Callable[[], Json], **more: Any) -> Poison:
    return Poison(name, more.pop("stream", "shopify.orders"), lambda: [payload()], numbers=numbers, **more)


OTHER_ID = ("gid://shopify/Order/990",)
# The ninth as it is without poison.
NORMAL: dict[str, str | None] = {"net_sales": "100", "orders": "1", "units_sold": "2", "refunds": "0"}
VARIANTS = [
    counted(
        "an unknown currency",
        {"net_sales": None, "orders": "2", "amounts_without_rate": "1"},
        lambda: sold(currency="XXX"),
    ),
    refused(
        "the same order under another id", "primary_key_stg_shopify__order_lines", lambda: healthy(9), ids=OTHER_ID
    ),
    refused("text in an amount", "stg_shopify__order_lines", lambda: with_total(sold(), "twelve")),
    refused("the year 9999", "plausible_stg_shopify__orders", lambda: sold(processedAt="9999-12-31T00:00:00Z")),
    refused("the year 1", "plausible_stg_shopify__orders", lambda: sold(processedAt="0001-01-01T00:00:00Z")),
    refused("a day that does not exist", "stg_shopify__orders", lambda: sold(processedAt="2026-02-30T12:00:00Z")),
    refused("not a number", "plausible_stg_shopify__order_lines", lambda: with_total(sold(), "NaN")),
    refused("infinity", "plausible_stg_shopify__order_lines", lambda: with_total(sold(), "Infinity")),
    refused("more than there is", "plausible_stg_shopify__order_lines", lambda: with_total(sold(), "1e15")),
    refused("half a piece", "stg_shopify__order_lines", lambda: with_line(sold(), quantity="2.5")),
    refused("a line without an id", "primary_key_stg_shopify__order_lines", lambda: with_line(sold(), id=None)),
    refused("lines that are no list", "stg_shopify__orders", lambda: sold() | {"lineItems": {"first": "A"}}),
    refused("neither true nor false", "stg_shopify__orders", lambda: sold(test="perhaps")),
    refused("a country that does not exist", "relationships_fct_orders_country", lambda: sold(country="ZZ")),
    refused(
        "a refund told twice",
        "primary_key_stg_shopify__refunds",
        lambda: sold(refunds=[refund(1, AT, ["1"]), refund(1, AT, ["1"])]),
    ),
    refused(
        "a refund of year 0001",
        "plausible_stg_shopify__refunds",
        lambda: sold(refunds=[refund(1, "0001-01-01T00:00:00Z", ["1"])]),
    ),
    refused(
        "stock that is no number",
        "stg_shopify__inventory_levels",
        lambda: stock("A", "many", 1),  # type: ignore[arg-type]
        "shopify.inventory_items",
    ),
    refused(
        "text in an amount of the ERP",
        "stg_netsuite__transaction_lines",
        lambda: document_line("99", "900", "n/a"),
        "netsuite.transaction_lines",
    ),
    refused(
        "not a number in the ERP",
        "plausible_stg_netsuite__transaction_lines",
        lambda: document_line("99", "900", "NaN"),
        "netsuite.transaction_lines",
    ),
    refused(
        "a document of the year 9999",
        "plausible_stg_netsuite__transactions",
        lambda: document("99", trandate="9999-12-31"),
        "netsuite.transactions",
    ),
    counted(
        "no customer", {"net_sales": "110", "orders": "2", "lines_without_customer": "1"}, lambda: sold(customer=None)
    ),
    counted(
        "less than nothing sold",
        {"net_sales": "90", "orders": "2", "units_sold": "1", "returned_lines": "1"},
        lambda: sold(quantity=-1),
    ),
    counted(
        "totals that do not add up",
        {"net_sales": "110", "orders": "2"},
        lambda: sold(totalPriceSet={"shopMoney": {"amount": "9999", "currencyCode": "USD"}}),
    ),
    counted("an order without a line", {"net_sales": "100", "orders": "2"}, lambda: sold() | {"lineItems": []}),
    counted(
        "a refund of a line nobody sold",
        {"net_sales": "105", "refunds": "5"},
        lambda: sold(refunds=[refund(9, AT, ["5"])]),
    ),
    counted("a test order of a million", NORMAL, lambda: sold(price="1000000", test=True)),
    counted(
        "a line of a document that is not there",
        {**NORMAL, "erp_revenue": None},
        lambda: document_line("99", "nowhere", "-5000"),
        stream="netsuite.transaction_lines",
    ),
]
# One to refuse and one to count, on the part of the project that holds what the poison reaches first.
BY_DEFAULT = ("an unknown currency", "the year 9999")
PART = (
    "net_sales", "orders", "units_sold", "refunds", "amounts_without_rate", "erp_revenue", "inventory_units",
    "lines_without_customer", "returned_lines", "fct_orders", "fct_order_lines",
)  # fmt: skip


@pytest.fixture(scope="module", params=["part", pytest.param("whole", marks=pytest.mark.slow)])
def shop(
    request: pytest.FixtureRequest, make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> DbtWarehouse:
    """The healthy shop, published from a part of the project or from the whole."""
    if request.param == "part":
        warehouse = make_warehouse(copy_part(PART, tmp_path_factory.mktemp("part") / "project"))
    else:
        warehouse = make_warehouse()
    warehouse.clock(MORNING)
    warehouse.land("shopify", "shop", [SHOP], MORNING)
    warehouse.land("shopify", "products", [product("A")], MORNING)
    mend(warehouse)
    assert warehouse.settle().publication is not None
    return warehouse


def mend(warehouse: DbtWarehouse) -> None:
    """The vendors' truth as it is without poison; what else was landed is gone."""
    truth: dict[str, list[Json]] = {
        "shopify.orders": [healthy(number) for number in range(7, 12)],
        "shopify.inventory_items": [stock("A", 30, 30)],
        "netsuite.transactions": [document("900")],
        "netsuite.transaction_lines": [document_line("901", "900", "-80")],
    }
    for name, payloads in truth.items():
        vendor, stream = name.split(".")
        kept = [payload["id"] for payload in payloads]
        gone = warehouse.rows(f"select id from raw_{vendor}.{stream} where id <> all(%s) and deleted_at is null", kept)
        warehouse.land(vendor, stream, payloads, MORNING, deleted=[identity for (identity,) in gone])


def public(warehouse: DbtWarehouse) -> dict[str, Any]:
    """A digest of every published table, and the publication they are of."""
    tables = warehouse.rows(
        "select schemaname || '.' || tablename from pg_tables where schemaname in ('marts', 'metrics') order by 1"
    )
    return {
        name: warehouse.one(f"select md5(string_agg(kept::text, ' ' order by kept::text)) from {name} as kept")
        for (name,) in tables
    }


def publications(warehouse: DbtWarehouse) -> Any:
    return warehouse.rows(
        "select (select max(id) from ops.publications),"
        " (select array_agg(distinct publish_id) from ops.published_models)"
    )


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(each, id=each.name.replace(" ", "-"), marks=[] if each.name in BY_DEFAULT else [pytest.mark.slow])
        for each in VARIANTS
    ],
)
def test_a_poisoned_build(shop: DbtWarehouse, poison: Poison) -> None:
    before, standing = public(shop), publications(shop)
    vendor, stream = poison.stream.split(".")
    shop.land(vendor, stream, poison.payloads(), MORNING, ids=poison.ids)
    outcome = shop.settle()
    if poison.refused_by is not None:
        assert outcome.publication is None
        assert poison.refused_by in outcome.verdict.why_not
        assert publications(shop) == standing
        assert public(shop) == before
        # What people read is the last proven numbers, and documents know since when.
        assert unproven_since(shop.connection, MORNING) is not None
    else:
        assert poison.numbers is not None
        assert outcome.verdict.why_not == ""
        assert publications(shop) > standing
        for metric, value in poison.numbers.items():
            assert shop.metric(metric).get(DAY) == (None if value is None else Decimal(value)), metric
        others = {day: value for day, value in shop.metric("net_sales").items() if day != DAY}
        assert set(others.values()) == {Decimal(100)}
        assert shop.metric("erp_revenue")["2026-03-10"] == 80
    mend(shop)
    outcome = shop.settle()
    assert outcome.verdict.why_not == ""
    assert public(shop) == before
    assert unproven_since(shop.connection, MORNING) is None


def test_a_reconciliation_of_what_changed_sees_what_changed(shop: DbtWarehouse) -> None:
    """Parts that were published are not added up again; one that changed since is."""
    test = ("test", "--select", "order_lines_sum_to_orders")
    compiled = shop.scratch / "target/compiled/ops_warehouse/tests/reconciliation/order_lines_sum_to_orders.sql"
    change = "update candidate_marts.fct_order_lines set net_amount = net_amount + %s where order_id like '%%/9'"
    shop.dbt(*test)
    assert "where false" in " ".join(compiled.read_text(encoding="utf-8").split())
    shop.connection.execute(change.encode(), (1,))
    with pytest.raises(AssertionError, match="order_lines_sum_to_orders"):
        shop.dbt(*test)
    shop.connection.execute(change.encode(), (-1,))
    assert shop.dbt(*test) == {"order_lines_sum_to_orders": "pass"}
    assert "ops.changed_values" in compiled.read_text(encoding="utf-8")


def test_there_are_twenty_of_them() -> None:
    assert len(VARIANTS) >= 20
    assert sum(each.refused_by is not None for each in VARIANTS) >= 15

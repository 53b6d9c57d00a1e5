"""A shop's history from a file of order lines: small files by hand, the whole real one where it is at hand."""

from __future__ import annotations

import gzip
import os
import time
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.orders_csv import COUNTRIES, BadOrdersFile, load_orders_csv
from sandbox.shopify.engine import schema
from tests.sandbox.shopify_client import Shop

CLOCK = datetime(2011, 12, 10, 6, tzinfo=UTC)
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
SMALL = HEADER + (
    "536365,85123A,WHITE HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"
    '536365,71053,"LANTERN, METAL",2,2010-12-01 08:27:00,3.391,17850.0,United Kingdom\n'
    "C536379,85123A,WHITE HEART,-1,2011-07-01 09:41:00,2.55,14527.0,EIRE\n"
    "536414,22139,,56,2010-12-01 11:52:00,0.0,,Unspecified\n"
    "A563185,B,Adjust bad debt,1,2011-08-12 14:50:00,-11062.06,,United Kingdom\n"
)
REAL = Path(os.environ.get("OPS_SHARED", Path(__file__).parents[2] / "../shared")) / "data/online_retail.csv.gz"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_become_orders(tmp_path: Path) -> None:
    found = load_orders_csv(write(tmp_path / "a.csv", SMALL), CLOCK)
    first, cancelled, nameless, debt = found.orders
    assert [o.name for o in found.orders] == ["536365", "C536379", "536414", "A563185"]
    assert first.processed_at == first.created_at == first.updated_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert [line.unit_price for line in first.lines] == [Decimal("2.55"), Decimal("3.391")]
    assert first.lines[1].gross == Decimal("6.782") and first.lines[1].title == "LANTERN, METAL"
    assert first.cancelled_at is None and first.fulfilment_status == "FULFILLED"
    # Summer time: 09:41 in London is 08:41 UTC.
    assert cancelled.processed_at == datetime(2011, 7, 1, 8, 41, tzinfo=UTC)
    assert cancelled.cancelled_at == cancelled.processed_at and cancelled.cancel_reason == "CUSTOMER"
    assert cancelled.lines[0].quantity == -1 and cancelled.refunds == () and cancelled.fulfilments == ()
    assert cancelled.shipping_address is not None and cancelled.shipping_address.country == "IE"
    assert nameless.customer_id is None and nameless.shipping_address is None
    assert nameless.lines[0].title == nameless.lines[0].sku == "22139"
    assert debt.lines[0].unit_price == Decimal("-11062.06")
    assert [c.id for c in found.customers] == [7_600_000_017_850, 7_600_000_014_527]
    assert {p.variants[0].sku for p in found.products} == {"85123A", "71053", "22139", "B"}
    assert found.shop.currency == "GBP" and found.shop.timezone == "Europe/London"
    assert found.purchase_orders == () and found.factory_messages == () and found.inventory_levels == ()


def test_packed_files_other_column_orders_and_a_byte_order_mark(tmp_path: Path) -> None:
    plain = load_orders_csv(write(tmp_path / "a.csv", SMALL), CLOCK)
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(SMALL.encode()))
    assert load_orders_csv(packed, CLOCK).orders == plain.orders
    rows = SMALL.replace('"LANTERN, METAL"', "LANTERN").splitlines()
    turned = "\ufeff" + "\n".join(",".join(["x", *reversed(row.split(","))]) for row in rows) + "\n"
    assert len(load_orders_csv(write(tmp_path / "b.csv", turned), CLOCK).orders) == 4


def test_the_clock_hides_what_has_not_happened(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", SMALL)
    early = load_orders_csv(path, datetime(2011, 1, 1, tzinfo=UTC))
    assert [o.name for o in early.orders] == ["536365", "536414"]
    assert len(early.customers) == 1
    assert [o.id for o in early.orders] == [load_orders_csv(path, CLOCK).orders[i].id for i in (0, 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "no column"),
        (HEADER, "no order lines"),
        (HEADER + "1,A,x,many,2010-12-01 08:26:00,2.55,,United Kingdom\n", "row 2"),
        (HEADER + "1,A,x,1,2010-12-01 08:26:00,cheap,,United Kingdom\n", "row 2"),
        (HEADER + "1,A,x\n", "row 2"),
        (HEADER + "1,A,x,1,yesterday,2.55,,United Kingdom\n", "the date 'yesterday'"),
        (HEADER + "1,A,x,1,2010-12-01 08:26:00,2.55,,Atlantis\n", "'Atlantis' is unknown"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadOrdersFile, match=message):
        load_orders_csv(write(tmp_path / "bad.csv", text), CLOCK)
    with pytest.raises(FileNotFoundError):
        load_orders_csv(tmp_path / "none.csv", CLOCK)


def test_every_country_is_a_code_of_its_own_in_the_schema() -> None:
    codes = [code for code in COUNTRIES.values() if code is not None]
    assert len(codes) == len(set(codes)) == len(COUNTRIES) - 2
    assert set(codes) <= set(schema().type_map["CountryCode"].values)  # type: ignore[attr-defined]


def test_the_shop_serves_it(tmp_path: Path) -> None:
    shop = Shop(load_orders_csv(write(tmp_path / "a.csv", SMALL), CLOCK), clock=CLOCK)
    nodes = shop.every(
        "orders",
        "name cancelledAt customer { id } shippingAddress { countryCodeV2 } lineItems(first: 10) { nodes { sku "
        "quantity "
        "originalTotalSet { shopMoney { amount currencyCode } } } } refunds { id } fulfillments { status }",
    )
    assert [n["name"] for n in nodes] == ["536365", "536414", "C536379", "A563185"]
    assert nodes[0]["lineItems"]["nodes"][1]["originalTotalSet"]["shopMoney"] == {
        "amount": "6.782",
        "currencyCode": "GBP",
    }
    assert nodes[2]["lineItems"]["nodes"][0]["quantity"] == -1 and nodes[2]["fulfillments"] == []
    assert shop.every("fulfillmentOrders", "id", args=", includeClosed: true") == []
    assert shop.every("inventoryItems", "tracked inventoryLevels(first: 5) { nodes { id } }")[0] == {
        "tracked": False,
        "inventoryLevels": {"nodes": []},
    }
    answer = shop.data(
        "query($q: String!) { shopifyqlQuery(query: $q) { parseErrors tableData { rows } } }",
        q="FROM sales SHOW net_sales GROUP BY day",
    )
    days = {row["day"]: row["net_sales"] for row in answer["shopifyqlQuery"]["tableData"]["rows"]}
    assert days == {"2010-12-01": "22.082", "2011-07-01": "-2.55", "2011-08-12": "-11062.06"}


def _resident() -> int:
    """Bytes this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not REAL.exists(), reason=f"the real shop's file is not here: {REAL}")
def test_the_real_shop_is_read_whole_to_the_penny_and_in_time() -> None:
    before, started = _resident(), time.process_time()
    found = load_orders_csv(REAL, CLOCK)
    spent = time.process_time() - started
    assert spent < 8
    assert _resident() - before < 800_000_000
    assert (len(found.orders), len(found.customers), len(found.products)) == (25_900, 4_372, 4_070)
    days: dict[date, Decimal] = defaultdict(Decimal)
    orders: Counter[date] = Counter()
    seen: Counter[str] = Counter()
    for order in found.orders:
        day = found.business_day(order.processed_at)
        orders[day] += 1
        for line in order.lines:
            days[day] += line.quantity * line.unit_price
            seen["lines"] += 1
            seen["cancelled"] += order.cancelled_at is not None
            seen["nobody"] += order.customer_id is None
            seen["negative"] += line.quantity < 0
            seen["free"] += line.unit_price <= 0
            seen["GB"] += order.shipping_address is not None and order.shipping_address.country == "GB"
    assert sum(days.values()) == Decimal("9747747.934")
    assert seen == {
        "lines": 541_909,
        "cancelled": 9_288,
        "nobody": 135_080,
        "negative": 10_624,
        "free": 2_517,
        "GB": 495_478,
    }
    assert (days[date(2011, 11, 14)].quantize(Decimal("0.01")), orders[date(2011, 11, 14)]) == (
        Decimal("112141.11"),
        152,
    )
    assert days[date(2011, 1, 5)].quantize(Decimal("0.01")) == Decimal("-1566.23")
    assert not any(day.weekday() == 5 for day in days)

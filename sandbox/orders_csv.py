"""A shop's own history from a CSV of order lines, as a company the vendors' sides can serve.

Belongs here: reading the file and mapping it. Does not belong here: serving it, and anything the file does not
say: there is no stock, no cost, no ERP and no Slack in it, so the company has none.

Columns: InvoiceNo, StockCode, Description, Quantity, InvoiceDate (local time of the shop), UnitPrice, CustomerID,
Country. One order per invoice, at the earliest time of its lines. An invoice whose number starts with C is a
cancelled order with negative quantities, as imported histories carry them. Prices keep every decimal they have.
"""

from __future__ import annotations

import csv
import gc
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

from sandbox.company.model import (
    ZERO,
    Address,
    Company,
    Customer,
    Fulfilment,
    FulfilmentLine,
    Location,
    Order,
    OrderLine,
    Product,
    Shop,
    Variant,
)

ZONE = ZoneInfo("Europe/London")
CURRENCY = "GBP"
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")

COUNTRIES: dict[str, str | None] = {
    "United Kingdom": "GB", "Germany": "DE", "France": "FR", "EIRE": "IE", "Spain": "ES", "Netherlands": "NL",
    "Belgium": "BE", "Switzerland": "CH", "Portugal": "PT", "Australia": "AU", "Norway": "NO", "Italy": "IT",
    "Channel Islands": "GG", "Finland": "FI", "Cyprus": "CY", "Sweden": "SE", "Austria": "AT", "Denmark": "DK",
    "Japan": "JP", "Poland": "PL", "Israel": "IL", "USA": "US", "Hong Kong": "HK", "Singapore": "SG",
    "Iceland": "IS", "Canada": "CA", "Greece": "GR", "Malta": "MT", "United Arab Emirates": "AE", "RSA": "ZA",
    "Lebanon": "LB", "Lithuania": "LT", "Brazil": "BR", "Czech Republic": "CZ", "Bahrain": "BH",
    "Saudi Arabia": "SA", "Unspecified": None, "European Community": None,
}  # fmt: skip
"""The file's country names as ISO codes; None where the name is no country."""

_ORDER, _LINE, _PARCEL = 6_100_000_000_000, 15_400_000_000_000, 5_500_000_000_000
_CUSTOMER, _PRODUCT, _VARIANT, _ITEM = 7_600_000_000_000, 8_200_000_000_000, 44_000_000_000_000, 46_000_000_000_000
_WAREHOUSE = 80_000_000_001


class BadOrdersFile(ValueError):
    """The file cannot be read as order lines; the message says where and why."""


@dataclass(slots=True)
class _Invoice:
    at: str
    customer: int | None
    country: str
    lines: list[OrderLine] = field(default_factory=list)


@dataclass(slots=True)
class _Sku:
    number: int
    title: str
    price: Decimal
    first: datetime | None = None
    last: datetime | None = None


def load_orders_csv(path: Path | str, clock: datetime) -> Company:
    """The company as `clock` sees it. Raises BadOrdersFile for a file without these columns or with a value that
    cannot be read; FileNotFoundError where there is none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return _load(Path(path), clock.astimezone(UTC))
    finally:
        if enabled:
            gc.enable()


def _open(path: Path) -> IO[str]:
    with path.open("rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    if packed:
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _rows(file: IO[str], path: Path) -> Iterator[list[str]]:
    """The rows with their columns in our order."""
    reader = csv.reader(file)
    header = next(reader, None)
    if header is None:
        raise BadOrdersFile(f"{path}: the file is empty.")
    names = [name.strip().lstrip("\ufeff") for name in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise BadOrdersFile(f"{path}: no column {', '.join(missing)}.")
    places = [names.index(name) for name in COLUMNS]
    if places == list(range(len(COLUMNS))) and len(names) == len(COLUMNS):
        yield from reader
        return
    for row in reader:
        yield [row[place] for place in places] if len(row) == len(names) else row


def _load(path: Path, clock: datetime) -> Company:
    invoices: dict[str, _Invoice] = {}
    skus: dict[str, _Sku] = {}
    prices: dict[str, Decimal] = {}
    titles: dict[str, str] = {}
    sku_of: dict[str, str] = {}
    number = 0
    with _open(path) as file:
        for row in _rows(file, path):
            number += 1
            try:
                invoice_no, code, title, quantity, at, price_text, customer_text, country = row
                price = prices.get(price_text)
                if price is None:
                    price = prices[price_text] = Decimal(price_text)
                units = int(quantity)
            except (ValueError, InvalidOperation):
                raise BadOrdersFile(f"{path}: row {number + 1} cannot be read: {row!r:.200}") from None
            code = sku_of.setdefault(code, code)
            sku = skus.get(code)
            if sku is None:
                sku = skus[code] = _Sku(len(skus) + 1, title or code, price)
            elif title:
                sku.title = title
            if price > 0:
                sku.price = price
            title = titles.setdefault(title, title) if title else code
            line = OrderLine(
                _LINE + number, code, title, units, price, _VARIANT + sku.number, _PRODUCT + sku.number, units, 0
            )
            invoice = invoices.get(invoice_no)
            if invoice is None:
                customer = int(float(customer_text)) if customer_text else None
                invoices[invoice_no] = _Invoice(at, customer, country, [line])
            else:
                invoice.lines.append(line)
                if at < invoice.at:
                    invoice.at = at
    if not invoices:
        raise BadOrdersFile(f"{path}: there are no order lines.")
    orders = _orders(invoices, skus, clock, path)
    return Company(
        seed=0,
        clock=clock,
        source="csv",
        shop=_shop(orders, clock),
        suppliers=(),
        locations=(_location(orders, clock),),
        products=tuple(_product(code, sku) for code, sku in skus.items() if sku.first is not None),
        customers=_customers(orders),
        discounts=(),
        orders=orders,
        inventory_levels=(),
        purchase_orders=(),
        business_customers=(),
        b2b_invoices=(),
        slack_channels=(),
        users=(),
        factory_messages=(),
        incidents=(),
        erp_missing=frozenset(),
        erp_doubled=frozenset(),
        erp_late={},
    )


def _instant(text: str, path: Path, invoice: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadOrdersFile(f"{path}: invoice {invoice} has the date {text!r}, wanted 2010-12-01 08:26:00.") from None
    return (at if at.tzinfo else at.replace(tzinfo=ZONE)).astimezone(UTC)


def _orders(invoices: dict[str, _Invoice], skus: dict[str, _Sku], clock: datetime, path: Path) -> tuple[Order, ...]:
    addresses: dict[str, Address | None] = {}
    for name in {invoice.country for invoice in invoices.values()}:
        if name not in COUNTRIES:
            raise BadOrdersFile(f"{path}: the country {name!r} is unknown.")
        code = COUNTRIES[name]
        addresses[name] = None if code is None else Address(code)
    found: list[Order] = []
    for sequence, (name, invoice) in enumerate(invoices.items(), start=1):
        at = _instant(invoice.at, path, name)
        if at > clock:
            continue
        for line in invoice.lines:
            sku = skus[line.sku]
            if sku.first is None or at < sku.first:
                sku.first = at
            if sku.last is None or at > sku.last:
                sku.last = at
        cancelled = name.startswith("C")
        address = addresses[invoice.country]
        shipped = tuple(FulfilmentLine(line.id, line.quantity) for line in invoice.lines if line.quantity > 0)
        parcels: tuple[Fulfilment, ...] = ()
        if not cancelled and shipped:
            parcels = (
                Fulfilment(
                    _PARCEL + sequence, f"{name}-F1", "SUCCESS", _WAREHOUSE, shipped, None, None, at, at, None, None
                ),
            )
        found.append(
            Order(
                id=_ORDER + sequence,
                number=sequence,
                name=name,
                created_at=at,
                processed_at=at,
                updated_at=at,
                cancelled_at=at if cancelled else None,
                cancel_reason="CUSTOMER" if cancelled else None,
                closed_at=at,
                edited=False,
                test=False,
                currency=CURRENCY,
                channel="web",
                tags=(),
                customer_id=None if invoice.customer is None else _CUSTOMER + invoice.customer,
                shipping_address=address,
                billing_address=address,
                discount_codes=(),
                lines=tuple(invoice.lines),
                refunds=(),
                fulfilments=parcels,
                shipping=ZERO,
                tax=ZERO,
                financial_status="REFUNDED" if cancelled else "PAID",
                fulfilment_status="FULFILLED" if parcels else "UNFULFILLED",
                location_id=_WAREHOUSE,
            )
        )
    return tuple(found)


def _shop(orders: tuple[Order, ...], clock: datetime) -> Shop:
    opened = min((order.created_at for order in orders), default=clock)
    return Shop(
        70_418_661_001,
        "Online Retail",
        "demo-shop.myshopify.com",
        CURRENCY,
        ZONE.key,
        "GB",
        "shop@retail.example",
        opened,
    )


def _location(orders: tuple[Order, ...], clock: datetime) -> Location:
    opened = min((order.created_at for order in orders), default=clock)
    return Location(_WAREHOUSE, "Warehouse", "warehouse", Address("GB", "ENG"), True, True, opened, opened)


def _product(code: str, sku: _Sku) -> Product:
    assert sku.first is not None and sku.last is not None
    variant = Variant(
        id=_VARIANT + sku.number,
        product_id=_PRODUCT + sku.number,
        inventory_item_id=_ITEM + sku.number,
        sku=code,
        title="Default Title",
        price=max(sku.price, ZERO),
        compare_at_price=None,
        unit_cost=None,
        supplier_id=None,
        lead_time_days=None,
        reorder_point=None,
        preferred_stock=None,
        active=True,
        tracked=False,
        requires_shipping=True,
        created_at=sku.first,
        updated_at=sku.last,
    )
    handle = f"{code.lower().replace(' ', '-')}-{sku.number}"
    return Product(
        _PRODUCT + sku.number, sku.title, handle, "", "Online Retail", "ACTIVE", (), sku.first, sku.last, (variant,)
    )


def _customers(orders: tuple[Order, ...]) -> tuple[Customer, ...]:
    """One per CustomerID, in order of first purchase."""
    own: dict[int, list[Order]] = {}
    for order in sorted(orders, key=lambda order: order.created_at):
        if order.customer_id is not None:
            own.setdefault(order.customer_id, []).append(order)
    return tuple(
        Customer(
            id=number,
            first_name="",
            last_name="",
            email=None,
            address=theirs[-1].shipping_address,
            tags=(),
            state="DISABLED",
            orders_count=sum(1 for order in theirs if order.cancelled_at is None),
            amount_spent=sum((line.gross for order in theirs for line in order.lines), ZERO),
            created_at=theirs[0].created_at,
            updated_at=theirs[-1].created_at,
        )
        for number, theirs in own.items()
    )

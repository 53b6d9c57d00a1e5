"""The company the sandbox serves, as plain values: what happened, not how a vendor words it.

Belongs here: the dataclasses every vendor side reads. Does not belong here: how the values come about
(`generate.py`, `sandbox/orders_csv.py`), vendor ids, vendor JSON.

Money is `Decimal` in the currency of `Shop.currency` (cents in the generated company; the CSV source keeps
the three decimals of its prices). Datetimes are aware and UTC; `date` values are days of the shop's zone.
A value shows the company as its `Company.clock` sees it: an event later than the clock is not in it.
Ids are integers, unique within their class, stable when the clock moves on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

ZERO = Decimal(0)

Channel = Literal["web", "amazon", "wholesale", "retail"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shop:
    id: int
    name: str
    myshopify_domain: str
    currency: str
    timezone: str
    country: str
    email: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Address:
    """`country` is ISO 3166 alpha-2; `province` the code within it (or None)."""

    country: str
    province: str | None = None
    city: str | None = None
    postcode: str | None = None


@dataclass(frozen=True, slots=True)
class Supplier:
    """A factory. `lead_time_days` is the agreed one; `channel_id` its Slack channel."""

    id: int
    name: str
    company_name: str
    country: str
    city: str
    timezone: str
    currency: str
    lead_time_days: int
    channel_id: str
    active: bool
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Location:
    """`kind`: warehouse, partner_warehouse, marketplace, store, returns, consolidation."""

    id: int
    name: str
    kind: str
    address: Address
    active: bool
    fulfils_online: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Variant:
    """One SKU. `active` is true for the SKUs on sale; `tracked` false for services without stock."""

    id: int
    product_id: int
    inventory_item_id: int
    sku: str
    title: str
    price: Decimal
    compare_at_price: Decimal | None
    unit_cost: Decimal | None
    supplier_id: int | None
    lead_time_days: int | None
    reorder_point: int | None
    preferred_stock: int | None
    active: bool
    tracked: bool
    requires_shipping: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Product:
    """`status`: ACTIVE, ARCHIVED or DRAFT."""

    id: int
    title: str
    handle: str
    product_type: str
    vendor: str
    status: str
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Customer:
    """A person who bought in the shop. `orders_count` and `amount_spent` stand at the clock."""

    id: int
    first_name: str
    last_name: str
    email: str | None
    address: Address | None
    tags: tuple[str, ...]
    state: str
    orders_count: int
    amount_spent: Decimal
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Discount:
    """`kind`: code_basic, code_bxgy, code_free_shipping, automatic_basic, automatic_bxgy,
    automatic_free_shipping. `codes` is empty for automatic ones; `usage` maps a code (or '') to its uses."""

    id: int
    kind: str
    title: str
    codes: tuple[str, ...]
    percentage: Decimal | None
    amount: Decimal | None
    starts_at: datetime
    ends_at: datetime | None
    created_at: datetime
    updated_at: datetime
    usage: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LineDiscount:
    """The share of one discount that falls on one line. `code` is None for an automatic discount."""

    discount_id: int | None
    code: str | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class OrderLine:
    """`quantity` as ordered; `current_quantity` after refunds and edits; `unfulfilled_quantity` still to ship.
    `unit_price` is before discounts and without tax; `tax` is that of the whole line as ordered."""

    id: int
    sku: str
    title: str
    quantity: int
    unit_price: Decimal
    variant_id: int | None
    product_id: int | None
    current_quantity: int
    unfulfilled_quantity: int
    requires_shipping: bool = True
    tax: Decimal = ZERO
    discounts: tuple[LineDiscount, ...] = ()

    @property
    def gross(self) -> Decimal:
        return self.unit_price * self.quantity

    @property
    def discount(self) -> Decimal:
        return sum((d.amount for d in self.discounts), ZERO)

    @property
    def net(self) -> Decimal:
        """After discounts, without tax."""
        return self.gross - self.discount


@dataclass(frozen=True, slots=True)
class RefundLine:
    """`subtotal` is what the returned units were sold for, after discounts, without tax.
    `restock_type`: RETURN, CANCEL or NO_RESTOCK."""

    id: int
    line_id: int
    sku: str
    quantity: int
    subtotal: Decimal
    tax: Decimal
    restock_type: str
    location_id: int | None


@dataclass(frozen=True, slots=True)
class RefundAdjustment:
    """The difference between what was refunded and what the refund lines are worth. Sign as Shopify's
    `OrderAdjustment`: negative gives the customer more, positive keeps something back.
    `reason`: REFUND_DISCREPANCY, RESTOCK, DAMAGE, CUSTOMER or FULL_RETURN_BALANCING_ADJUSTMENT."""

    id: int
    reason: str
    amount: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Refund:
    """`shipping` is refunded shipping (not part of sales). `total` = lines + tax + shipping - adjustments."""

    id: int
    created_at: datetime
    processed_at: datetime
    note: str | None
    lines: tuple[RefundLine, ...]
    adjustments: tuple[RefundAdjustment, ...]
    shipping: Decimal
    total: Decimal

    @property
    def net(self) -> Decimal:
        """What this refund takes off net sales on its own day (a positive number)."""
        return sum((r.subtotal for r in self.lines), ZERO) - sum((a.amount for a in self.adjustments), ZERO)


@dataclass(frozen=True, slots=True)
class FulfilmentLine:
    line_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """A parcel. `status`: SUCCESS or CANCELLED."""

    id: int
    name: str
    status: str
    location_id: int
    lines: tuple[FulfilmentLine, ...]
    tracking_company: str | None
    tracking_number: str | None
    created_at: datetime
    updated_at: datetime
    in_transit_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Order:
    """`updated_at` is the latest event on the order not later than the clock. `total` is as ordered:
    lines net of discounts + tax + shipping. `location_id` is where it is to be fulfilled from."""

    id: int
    number: int
    name: str
    created_at: datetime
    processed_at: datetime
    updated_at: datetime
    cancelled_at: datetime | None
    cancel_reason: str | None
    closed_at: datetime | None
    edited: bool
    test: bool
    currency: str
    channel: str
    tags: tuple[str, ...]
    customer_id: int | None
    shipping_address: Address | None
    billing_address: Address | None
    discount_codes: tuple[str, ...]
    lines: tuple[OrderLine, ...]
    refunds: tuple[Refund, ...]
    fulfilments: tuple[Fulfilment, ...]
    shipping: Decimal
    tax: Decimal
    financial_status: str
    fulfilment_status: str
    location_id: int | None

    @property
    def gross(self) -> Decimal:
        return sum((line.gross for line in self.lines), ZERO)

    @property
    def discount(self) -> Decimal:
        return sum((line.discount for line in self.lines), ZERO)

    @property
    def subtotal(self) -> Decimal:
        """Lines after discounts, without tax and shipping: what the order adds to net sales."""
        return sum((line.net for line in self.lines), ZERO)

    @property
    def total(self) -> Decimal:
        return self.subtotal + self.tax + self.shipping

    @property
    def refunded(self) -> Decimal:
        return sum((refund.total for refund in self.refunds), ZERO)


@dataclass(frozen=True, slots=True)
class InventoryLevel:
    """Stock of one SKU at one location, at the clock.
    on_hand = available + committed + reserved + damaged + safety_stock; `incoming` is on open purchase orders."""

    id: int
    variant_id: int
    inventory_item_id: int
    sku: str
    location_id: int
    on_hand: int
    available: int
    committed: int
    incoming: int
    reserved: int
    damaged: int
    safety_stock: int
    active: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """Goods that arrived for a purchase-order line."""

    at: datetime
    quantity: int


@dataclass(frozen=True, slots=True)
class PurchaseOrderLine:
    id: int
    variant_id: int
    sku: str
    quantity: int
    unit_cost: Decimal
    expected_on: date
    receipts: tuple[Receipt, ...]

    @property
    def received(self) -> int:
        return sum(receipt.quantity for receipt in self.receipts)


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """`status`: open, partially_received, received or closed (closed short). `modified_at` is the last event."""

    id: int
    number: str
    supplier_id: int
    location_id: int
    created_at: datetime
    due_on: date
    status: str
    lines: tuple[PurchaseOrderLine, ...]
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class BusinessCustomer:
    """A dealer or retailer served by invoice from the ERP, not through the shop."""

    id: int
    name: str
    country: str
    terms_days: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    id: int
    variant_id: int
    sku: str
    title: str
    quantity: int
    unit_price: Decimal
    unit_cost: Decimal

    @property
    def net(self) -> Decimal:
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class B2bInvoice:
    """`kind`: invoice or credit (a credit memo; quantities and prices are positive there as well).
    `paid_at` is None while it is open at the clock."""

    id: int
    number: str
    kind: str
    customer_id: int
    created_at: datetime
    invoice_date: date
    due_on: date
    lines: tuple[InvoiceLine, ...]
    tax: Decimal
    location_id: int
    paid_at: datetime | None
    modified_at: datetime

    @property
    def net(self) -> Decimal:
        return sum((line.net for line in self.lines), ZERO)


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """`partner` names the factory or carrier on the other side, None for internal channels."""

    id: str
    name: str
    partner: str | None
    supplier_id: int | None
    private: bool
    topic: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """`partner` is None for our own people."""

    id: str
    name: str
    real_name: str
    timezone: str
    is_bot: bool
    partner: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    author_id: str
    at: datetime
    text: str

    @property
    def ts(self) -> str:
        return slack_ts(self.at)


@dataclass(frozen=True, slots=True)
class FactoryMessage:
    """A message of a partner's people (or ours) in a partner channel. `needs_answer`: it asks us something.
    It is answered when one of our people replied in its thread (`answered`)."""

    id: int
    channel_id: str
    author_id: str
    at: datetime
    text: str
    needs_answer: bool
    answered: bool
    replies: tuple[Reply, ...]
    edited_at: datetime | None = None

    @property
    def ts(self) -> str:
        """Slack's message id: epoch seconds with microseconds, unique within the channel."""
        return slack_ts(self.at)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where an incident shows. At least one of `subjects` (as `metric:orders:channel:web`) must be found out of order
    on a day from `first` to `last`; `prompt`: by the day after `first`. Metrics in `touches` may be moved as well, up
    to `touches_until`. Nothing has to be found where `unseen_because` says why."""

    subjects: tuple[str, ...]
    first: date
    last: date
    touches: tuple[str, ...]
    touches_until: date
    prompt: bool = True
    unseen_because: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that was planted on purpose. `start` and `end` are days of the shop's zone, both included;
    an incident still going on at the clock has its planned end. `entity` is what it hits ("channel:amazon",
    "sku:AUR-BUD-BLK", "erp"); `effect` says in words what must show; `expected` the same in numbers
    (for example {"factor": "0.35"} or {"order_ids": "…,…"}); `sighting`, in the whole ledger, where it shows."""

    id: int
    kind: str
    start: date
    end: date
    entity: str
    effect: str
    expected: Mapping[str, str] = field(default_factory=dict)
    sighting: Sighting | None = None


@dataclass(frozen=True)
class Company:
    """Everything, as seen at `clock` (aware UTC).

    `erp_missing` are orders the ERP never posted; `erp_doubled` were posted twice; `erp_late` maps an order
    posted later than its day to the instant of posting, which may lie after the clock (then it is not posted
    yet). All other orders are mirrored on their own day; test orders never are.
    `source` is "generated" or "csv"; the CSV company has no ERP, no Slack and no fulfilment orders.
    """

    seed: int
    clock: datetime
    source: str
    shop: Shop
    suppliers: tuple[Supplier, ...]
    locations: tuple[Location, ...]
    products: tuple[Product, ...]
    customers: tuple[Customer, ...]
    discounts: tuple[Discount, ...]
    orders: tuple[Order, ...]
    inventory_levels: tuple[InventoryLevel, ...]
    purchase_orders: tuple[PurchaseOrder, ...]
    business_customers: tuple[BusinessCustomer, ...]
    b2b_invoices: tuple[B2bInvoice, ...]
    slack_channels: tuple[SlackChannel, ...]
    users: tuple[User, ...]
    factory_messages: tuple[FactoryMessage, ...]
    incidents: tuple[Incident, ...]
    erp_missing: frozenset[int]
    erp_doubled: frozenset[int]
    erp_late: Mapping[int, datetime]

    def part(self, build: Callable[[Company], T]) -> T:
        """What `build` makes of this company, made once: the stories of further systems (`crm`, `campaigns`, …),
        told only when somebody asks."""
        with self._telling:
            found = self._parts.get(build)
            if found is None:
                found = self._parts[build] = build(self)
        return found

    @cached_property
    def _parts(self) -> dict[Callable[[Company], Any], Any]:
        return {}

    @cached_property
    def _telling(self) -> threading.RLock:
        # Reentrant: one story may lean on another.
        return threading.RLock()

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.shop.timezone)

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        return tuple(variant for product in self.products for variant in product.variants)

    @cached_property
    def variant_by_id(self) -> dict[int, Variant]:
        return {variant.id: variant for variant in self.variants}

    @cached_property
    def product_by_id(self) -> dict[int, Product]:
        return {product.id: product for product in self.products}

    @cached_property
    def customer_by_id(self) -> dict[int, Customer]:
        return {customer.id: customer for customer in self.customers}

    @cached_property
    def location_by_id(self) -> dict[int, Location]:
        return {location.id: location for location in self.locations}

    @cached_property
    def order_by_id(self) -> dict[int, Order]:
        return {order.id: order for order in self.orders}

    def business_day(self, at: datetime) -> date:
        """The day of the shop's zone that the instant falls on."""
        return at.astimezone(self.zone).date()


def slack_ts(at: datetime) -> str:
    """A Slack timestamp: exact, never by way of a float."""
    seconds = int(at.timestamp())
    return f"{seconds}.{at.microsecond:06d}"

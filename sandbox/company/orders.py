"""An order with its whole planned life, and how it looks at a given instant.

Belongs here: the planned order and its projection to the clock. Does not belong here: how the plan is drawn
(`trade.py`). An order's plan is fixed when it is placed; the clock only decides how much of it has happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.company.catalogue import SHARES, Demand
from sandbox.company.chance import money
from sandbox.company.model import (
    Address,
    Fulfilment,
    FulfilmentLine,
    LineDiscount,
    Order,
    OrderLine,
    Refund,
    RefundAdjustment,
    RefundLine,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_NUMBER = 1001
_ORDER = 6_100_000_000_000
_LINE = 15_400_000_000_000
_REFUND = 940_000_000_000
_REFUND_LINE = 720_000_000_000
_ADJUSTMENT = 330_000_000_000
_PARCEL = 5_500_000_000_000
_CUSTOMER = 7_600_000_000_000


def customer_id(number: int) -> int:
    return _CUSTOMER + number * 512


@dataclass(slots=True)
class PlannedLine:
    """`sku` indexes the demands; `net` is after discounts. All amounts in cents."""

    sku: int
    quantity: int
    price: int
    net: int
    tax: int = 0
    discounts: list[tuple[int, str | None, int]] = field(default_factory=list)


@dataclass(slots=True)
class PlannedRefund:
    """`lines` are (line, quantity, restock type); `adjustments` (reason, cents)."""

    at: datetime
    note: str | None
    lines: list[tuple[int, int, str]]
    adjustments: list[tuple[str, int]] = field(default_factory=list)
    shipping: int = 0


@dataclass(slots=True)
class PlannedParcel:
    at: datetime
    transit: datetime | None
    delivered: datetime | None
    lines: list[tuple[int, int]]


@dataclass(slots=True)
class Placed:
    """One order and everything that will happen to it."""

    sequence: int
    at: datetime
    channel: str
    place: int
    person: int | None
    address: Address | None
    lines: list[PlannedLine]
    codes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    test: bool = False
    shipping: int = 0
    paid: datetime | None = None
    edited: datetime | None = None
    cancelled: tuple[datetime, str] | None = None
    parcels: list[PlannedParcel] = field(default_factory=list)
    refunds: list[PlannedRefund] = field(default_factory=list)

    @property
    def id(self) -> int:
        return _ORDER + self.sequence * 1024

    @property
    def name(self) -> str:
        return f"#{FIRST_NUMBER + self.sequence}"

    @property
    def net(self) -> int:
        return sum(line.net for line in self.lines)

    @property
    def total(self) -> int:
        return self.net + sum(line.tax for line in self.lines) + self.shipping


def _part(whole: int, before: int, now: int, quantity: int) -> int:
    """The cents of `now` units after `before` were already taken; the parts of a line sum to the line."""
    return whole * (before + now) // quantity - whole * before // quantity


def project(placed: Placed, demands: Sequence[Demand], clock: datetime) -> Order:
    """The order as `clock` sees it."""
    sequence = placed.sequence
    order_id = placed.id
    planned = placed.lines
    updated = placed.at
    gone = [0] * len(planned)
    shipped = [0] * len(planned)
    dropped = [0] * len(planned)

    refunds: list[Refund] = []
    refunded_cents = 0
    for number, plan in enumerate(placed.refunds):
        if plan.at > clock:
            continue
        updated = max(updated, plan.at)
        refund, cents = _refund(placed, number, plan, demands, gone)
        refunded_cents += cents
        refunds.append(refund)
        for line, quantity, restock in plan.lines:
            gone[line] += quantity
            if restock == "CANCEL":
                dropped[line] += quantity

    parcels: list[Fulfilment] = []
    last_parcel: datetime | None = None
    for number, parcel in enumerate(placed.parcels):
        if parcel.at > clock:
            continue
        transit = parcel.transit if parcel.transit and parcel.transit <= clock else None
        delivered = parcel.delivered if parcel.delivered and parcel.delivered <= clock else None
        touched = delivered or transit or parcel.at
        updated = max(updated, touched)
        last_parcel = parcel.at
        for line, quantity in parcel.lines:
            shipped[line] += quantity
        parcels.append(
            Fulfilment(
                id=_PARCEL + sequence * 64 + number,
                name=f"{placed.name}-F{number + 1}",
                status="SUCCESS",
                location_id=SHARES[placed.place][0].id,
                lines=tuple(FulfilmentLine(_LINE + sequence * 512 + line, q) for line, q in parcel.lines),
                tracking_company="UPS" if parcel.transit else None,
                tracking_number=f"1Z{order_id % 10**10:010d}{number}" if parcel.transit else None,
                created_at=parcel.at,
                updated_at=touched,
                in_transit_at=transit,
                delivered_at=delivered,
            )
        )

    cancelled = placed.cancelled if placed.cancelled and placed.cancelled[0] <= clock else None
    edited = placed.edited is not None and placed.edited <= clock
    paid = placed.paid is not None and placed.paid <= clock
    for at in (placed.edited, placed.paid, cancelled[0] if cancelled else None):
        if at is not None and at <= clock:
            updated = max(updated, at)

    lines: list[OrderLine] = []
    left_in_all = 0
    for place, ordered in enumerate(planned):
        variant = demands[ordered.sku].variant
        left = ordered.quantity - shipped[place] - dropped[place]
        left_in_all += left
        lines.append(
            OrderLine(
                id=_LINE + sequence * 512 + place,
                sku=variant.sku,
                title=demands[ordered.sku].title,
                quantity=ordered.quantity,
                unit_price=money(ordered.price),
                variant_id=variant.id,
                product_id=variant.product_id,
                current_quantity=ordered.quantity - gone[place],
                unfulfilled_quantity=left,
                requires_shipping=variant.requires_shipping,
                tax=money(ordered.tax),
                discounts=tuple(LineDiscount(p, code, money(c)) for p, code, c in ordered.discounts),
            )
        )
    total = placed.total
    if refunded_cents >= total > 0:
        financial = "REFUNDED"
    elif refunded_cents:
        financial = "PARTIALLY_REFUNDED"
    else:
        financial = "PAID" if paid else "PENDING"
    fulfilment = "UNFULFILLED" if not parcels else "PARTIALLY_FULFILLED" if left_in_all else "FULFILLED"
    closed = last_parcel if fulfilment == "FULFILLED" and paid else None
    return Order(
        id=order_id,
        number=FIRST_NUMBER + sequence,
        name=placed.name,
        created_at=placed.at,
        processed_at=placed.at,
        updated_at=updated,
        cancelled_at=cancelled[0] if cancelled else None,
        cancel_reason=cancelled[1] if cancelled else None,
        closed_at=cancelled[0] if cancelled else closed,
        edited=edited,
        test=placed.test,
        currency="USD",
        channel=placed.channel,
        tags=placed.tags,
        customer_id=None if placed.person is None else customer_id(placed.person),
        shipping_address=placed.address,
        billing_address=placed.address,
        discount_codes=placed.codes,
        lines=tuple(lines),
        refunds=tuple(refunds),
        fulfilments=tuple(parcels),
        shipping=money(placed.shipping),
        tax=money(sum(line.tax for line in planned)),
        financial_status=financial,
        fulfilment_status=fulfilment,
        location_id=SHARES[placed.place][0].id,
    )


def _refund(
    placed: Placed, number: int, plan: PlannedRefund, demands: Sequence[Demand], gone: list[int]
) -> tuple[Refund, int]:
    sequence = placed.sequence
    lines: list[RefundLine] = []
    cents = plan.shipping
    for place, (index, quantity, restock) in enumerate(plan.lines):
        line = placed.lines[index]
        subtotal = _part(line.net, gone[index], quantity, line.quantity)
        tax = _part(line.tax, gone[index], quantity, line.quantity)
        cents += subtotal + tax
        location: int | None = None
        if restock != "NO_RESTOCK":
            location = SHARES[placed.place][0].id
        lines.append(
            RefundLine(
                id=_REFUND_LINE + sequence * 512 + number * 128 + place,
                line_id=_LINE + sequence * 512 + index,
                sku=demands[line.sku].variant.sku,
                quantity=quantity,
                subtotal=money(subtotal),
                tax=money(tax),
                restock_type=restock,
                location_id=location,
            )
        )
    adjustments = tuple(
        RefundAdjustment(_ADJUSTMENT + sequence * 64 + number * 8 + place, reason, money(amount), Decimal("0.00"))
        for place, (reason, amount) in enumerate(plan.adjustments)
    )
    cents -= sum(amount for _, amount in plan.adjustments)
    refund = Refund(
        id=_REFUND + sequence * 64 + number,
        created_at=plan.at,
        processed_at=plan.at,
        note=plan.note,
        lines=tuple(lines),
        adjustments=adjustments,
        shipping=money(plan.shipping),
        total=money(cents),
    )
    return refund, cents

"""The fields of orders and what hangs on them: lines, refunds, discounts, transactions.

Belongs here: one resolver a field, from the company's values to the answer's. Does not belong here: parcels
(`shipping_fields.py`), root fields, execution. A money bag is passed on as its `Decimal`; shop and customer share
one currency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sandbox.company.model import ZERO, Address, Order, OrderLine, Refund, RefundAdjustment, RefundLine
from sandbox.shopify.context import Connection, Context, Resolver
from sandbox.shopify.values import amount, gid, instant
from sandbox.shopify.world import FulfilmentOrder, ParcelOf, RefundOf

Args = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RefundLineOf:
    order: Order
    line: RefundLine


@dataclass(frozen=True, slots=True)
class TaxOf:
    price: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class ShippingOf:
    order: Order


@dataclass(frozen=True, slots=True)
class RefundShippingOf:
    order: Order
    refund: Refund


@dataclass(frozen=True, slots=True)
class Transaction:
    order: Order
    id: int
    kind: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Application:
    """A discount as applied to one order. `index` is its place among the order's applications."""

    index: int
    discount_id: int | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Allocation:
    line_id: int
    discount_id: int | None
    code: str | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Percentage:
    percentage: float


def limited(items: Sequence[Any], args: Args) -> Sequence[Any]:
    """A plain list field with `first`: there is no cursor, the rest is simply not shown."""
    first = args.get("first")
    return items if first is None else items[:first]


def line_of(order: Order, line_id: int) -> OrderLine:
    return next(line for line in order.lines if line.id == line_id)


@lru_cache(maxsize=4096)
def address_id(address: Address) -> str:
    # Stable within a run and across runs: made of the address itself.
    text = f"{address.country}{address.province}{address.city}{address.postcode}"
    return gid("MailingAddress", 9_000_000_000_000 + int.from_bytes(text.encode()[:24], "big") % 10**9)


def applications(order: Order) -> list[Application]:
    """The order's discounts in the order they were first met on its lines; a code without a share comes last."""
    seen: dict[tuple[int | None, str | None], Application] = {}
    for line in order.lines:
        for share in line.discounts:
            key = (share.discount_id, share.code)
            if key not in seen:
                seen[key] = Application(len(seen), *key)
    for code in order.discount_codes:
        if all(found.code != code for found in seen.values()):
            seen[None, code] = Application(len(seen), None, code)
    return list(seen.values())


def transactions(order: Order) -> list[Transaction]:
    base = order.id - 6_000_000_000_000 + 7_400_000_000_000
    found = []
    if order.financial_status != "PENDING" or order.refunds:
        found.append(Transaction(order, base, "SALE", order.total, order.processed_at))
    for number, refund in enumerate(order.refunds, start=1):
        found.append(Transaction(order, base + number, "REFUND", refund.total, refund.processed_at))
    return found


def _received(order: Order) -> Decimal:
    return ZERO if order.financial_status == "PENDING" and not order.refunds else order.total


def _tax_back(order: Order) -> Decimal:
    return sum((line.tax for refund in order.refunds for line in refund.lines), ZERO)


def _lines_back(order: Order) -> Decimal:
    return sum((line.subtotal for refund in order.refunds for line in refund.lines), ZERO)


def _shipping_back(order: Order) -> Decimal:
    return sum((refund.shipping for refund in order.refunds), ZERO)


def _current_discount(order: Order) -> Decimal:
    """Discount that still applies, in proportion to the units kept."""
    total = ZERO
    for line in order.lines:
        if line.quantity:
            total += (line.discount * line.current_quantity / line.quantity).quantize(Decimal("0.01"))
    return total


def _taxes(order: Order, _: Args, c: Context) -> list[TaxOf]:
    return [TaxOf(order.tax, order.subtotal)] if order.tax else []


def _shipping_lines(order: Order, _: Args, c: Context) -> list[ShippingOf]:
    return [ShippingOf(order)] if order.shipping else []


def _customer(order: Order, _: Args, c: Context) -> Any:
    if order.customer_id is None:
        return None
    c.need("read_customers", "customer")
    return c.world.company.customer_by_id.get(order.customer_id)


def _fulfilment_orders(order: Order, _: Args, c: Context) -> list[FulfilmentOrder]:
    found = c.world.fulfilment_order_of(order)
    return [] if found is None else [found]


def _email(order: Order, _: Args, c: Context) -> str | None:
    customer = c.world.company.customer_by_id.get(order.customer_id) if order.customer_id else None
    return customer.email if customer else None


def _money(get: Callable[[Order], Decimal]) -> Resolver:
    return lambda o, a, c: get(o)


ORDER: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: f"gid://shopify/Order/{o.id}",
    "legacyResourceId": lambda o, a, c: str(o.id),
    "name": lambda o, a, c: o.name,
    "number": lambda o, a, c: o.number,
    "createdAt": lambda o, a, c: instant(o.created_at),
    "processedAt": lambda o, a, c: instant(o.processed_at),
    "updatedAt": lambda o, a, c: instant(o.updated_at),
    "cancelledAt": lambda o, a, c: instant(o.cancelled_at),
    "cancelReason": lambda o, a, c: o.cancel_reason,
    "closed": lambda o, a, c: o.closed_at is not None,
    "closedAt": lambda o, a, c: instant(o.closed_at),
    "confirmed": lambda o, a, c: True,
    "test": lambda o, a, c: o.test,
    "edited": lambda o, a, c: o.edited,
    "currencyCode": lambda o, a, c: o.currency,
    "presentmentCurrencyCode": lambda o, a, c: o.currency,
    "displayFinancialStatus": lambda o, a, c: o.financial_status,
    "displayFulfillmentStatus": lambda o, a, c: o.fulfilment_status,
    "sourceName": lambda o, a, c: o.channel,
    "sourceIdentifier": lambda o, a, c: None,
    "tags": lambda o, a, c: o.tags,
    "note": lambda o, a, c: None,
    "phone": lambda o, a, c: None,
    "email": _email,
    "customer": _customer,
    "customerLocale": lambda o, a, c: "en",
    "shippingAddress": lambda o, a, c: o.shipping_address,
    "billingAddress": lambda o, a, c: o.billing_address,
    "displayAddress": lambda o, a, c: o.shipping_address or o.billing_address,
    "billingAddressMatchesShippingAddress": lambda o, a, c: o.billing_address == o.shipping_address,
    "discountCode": lambda o, a, c: o.discount_codes[0] if o.discount_codes else None,
    "discountCodes": lambda o, a, c: o.discount_codes,
    "taxesIncluded": lambda o, a, c: False,
    "taxExempt": lambda o, a, c: False,
    "subtotalPriceSet": _money(lambda o: o.subtotal),
    "totalPriceSet": _money(lambda o: o.total),
    "originalTotalPriceSet": _money(lambda o: o.total),
    "totalDiscountsSet": _money(lambda o: o.discount),
    "cartDiscountAmountSet": _money(lambda o: o.discount),
    "totalTaxSet": _money(lambda o: o.tax),
    "totalShippingPriceSet": _money(lambda o: o.shipping),
    "currentTotalPriceSet": _money(
        lambda o: o.total - _lines_back(o) - _tax_back(o) - _shipping_back(o) if o.refunds else o.total
    ),
    "currentSubtotalPriceSet": _money(lambda o: o.subtotal - _lines_back(o)),
    "currentTotalDiscountsSet": _money(_current_discount),
    "currentCartDiscountAmountSet": _money(_current_discount),
    "currentTotalTaxSet": _money(lambda o: o.tax - _tax_back(o)),
    "currentShippingPriceSet": _money(lambda o: o.shipping - _shipping_back(o)),
    "netPaymentSet": _money(lambda o: _received(o) - o.refunded if o.refunds else _received(o)),
    "totalReceivedSet": _money(_received),
    "totalRefundedSet": _money(lambda o: o.refunded),
    "totalRefundedShippingSet": _money(_shipping_back),
    "totalOutstandingSet": _money(lambda o: o.total - _received(o)),
    "totalTipReceivedSet": _money(lambda o: ZERO),
    "refundDiscrepancySet": _money(
        lambda o: sum((adjustment.amount for refund in o.refunds for adjustment in refund.adjustments), ZERO)
    ),
    "subtotalLineItemsQuantity": lambda o, a, c: sum(line.quantity for line in o.lines),
    "currentSubtotalLineItemsQuantity": lambda o, a, c: sum(line.current_quantity for line in o.lines),
    "fullyPaid": lambda o, a, c: o.financial_status != "PENDING",
    "unpaid": lambda o, a, c: o.financial_status == "PENDING",
    "canMarkAsPaid": lambda o, a, c: o.financial_status == "PENDING",
    "capturable": lambda o, a, c: False,
    "refundable": lambda o, a, c: o.financial_status in {"PAID", "PARTIALLY_REFUNDED"},
    "restockable": lambda o, a, c: any(line.current_quantity for line in o.lines),
    "requiresShipping": lambda o, a, c: any(line.requires_shipping for line in o.lines),
    "fulfillable": lambda o, a, c: o.cancelled_at is None and any(line.unfulfilled_quantity for line in o.lines),
    "paymentGatewayNames": lambda o, a, c: ["manual" if o.channel == "wholesale" else "shopify_payments"],
    "retailLocation": lambda o, a, c: c.world.location(o.location_id) if o.channel == "retail" else None,
    "fulfillments": lambda o, a, c: [ParcelOf(o, parcel) for parcel in limited(o.fulfilments, a)],
    "fulfillmentsCount": lambda o, a, c: len(o.fulfilments),
    "fulfillmentOrders": Connection(_fulfilment_orders),
    "lineItems": Connection(lambda o, a, c: o.lines),
    "nonFulfillableLineItems": Connection(lambda o, a, c: ()),
    "refunds": lambda o, a, c: [RefundOf(o, refund) for refund in limited(o.refunds, a)],
    "transactions": lambda o, a, c: limited(transactions(o), a),
    "transactionsCount": lambda o, a, c: len(transactions(o)),
    "shippingLine": lambda o, a, c: ShippingOf(o) if o.shipping else None,
    "shippingLines": Connection(_shipping_lines),
    "taxLines": _taxes,
    "currentTaxLines": lambda o, a, c: [TaxOf(o.tax - _tax_back(o), o.subtotal)] if o.tax else [],
    "discountApplications": Connection(lambda o, a, c: applications(o)),
}


def _per_unit(value: Decimal, line: OrderLine) -> Decimal:
    return (value / line.quantity).quantize(Decimal("0.01")) if line.quantity else ZERO


def _allocations(line: OrderLine, a: Args, c: Context) -> list[Allocation]:
    return [Allocation(line.id, share.discount_id, share.code, share.amount) for share in line.discounts]


def _unfulfilled(value: Decimal, line: OrderLine) -> Decimal:
    if line.unfulfilled_quantity == line.quantity:
        return value
    return (value * line.unfulfilled_quantity / line.quantity).quantize(Decimal("0.01")) if line.quantity else ZERO


LINE: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: f"gid://shopify/LineItem/{o.id}",
    "title": lambda o, a, c: o.title,
    "name": lambda o, a, c: o.title,
    "sku": lambda o, a, c: o.sku,
    "vendor": lambda o, a, c: p.vendor if (p := c.world.product(o.product_id)) else None,
    "variantTitle": lambda o, a, c: v.title if (v := c.world.variant(o.variant_id)) else None,
    "quantity": lambda o, a, c: o.quantity,
    "currentQuantity": lambda o, a, c: o.current_quantity,
    "unfulfilledQuantity": lambda o, a, c: o.unfulfilled_quantity,
    "nonFulfillableQuantity": lambda o, a, c: o.quantity - o.current_quantity,
    "refundableQuantity": lambda o, a, c: o.current_quantity,
    "requiresShipping": lambda o, a, c: o.requires_shipping,
    "restockable": lambda o, a, c: o.current_quantity > 0,
    "isGiftCard": lambda o, a, c: False,
    "taxable": lambda o, a, c: True,
    "product": lambda o, a, c: c.world.product(o.product_id),
    "variant": lambda o, a, c: c.world.variant(o.variant_id),
    "originalUnitPriceSet": lambda o, a, c: o.unit_price,
    "originalTotalSet": lambda o, a, c: o.unit_price * o.quantity,
    "totalDiscountSet": lambda o, a, c: o.discount,
    "discountedTotalSet": lambda o, a, c: (
        o.net if a.get("withCodeDiscounts") else o.gross - sum((d.amount for d in o.discounts if d.code is None), ZERO)
    ),
    "discountedUnitPriceSet": lambda o, a, c: _per_unit(
        o.gross - sum((d.amount for d in o.discounts if d.code is None), ZERO), o
    ),
    "discountedUnitPriceAfterAllDiscountsSet": lambda o, a, c: _per_unit(o.net, o),
    "unfulfilledOriginalTotalSet": lambda o, a, c: _unfulfilled(o.gross, o),
    "unfulfilledDiscountedTotalSet": lambda o, a, c: _unfulfilled(o.net, o),
    "discountAllocations": _allocations,
    "taxLines": lambda o, a, c: limited([TaxOf(o.tax, o.net)] if o.tax else [], a),
}

REFUND: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: f"gid://shopify/Refund/{o.refund.id}",
    "legacyResourceId": lambda o, a, c: str(o.refund.id),
    "createdAt": lambda o, a, c: instant(o.refund.created_at),
    "processedAt": lambda o, a, c: instant(o.refund.processed_at),
    "updatedAt": lambda o, a, c: instant(o.refund.created_at),
    "note": lambda o, a, c: o.refund.note,
    "order": lambda o, a, c: o.order,
    "totalRefundedSet": lambda o, a, c: o.refund.total,
    "refundLineItems": Connection(lambda o, a, c: [RefundLineOf(o.order, line) for line in o.refund.lines]),
    "orderAdjustments": Connection(lambda o, a, c: o.refund.adjustments),
    "refundShippingLines": Connection(
        lambda o, a, c: [RefundShippingOf(o.order, o.refund)] if o.refund.shipping else []
    ),
    "transactions": Connection(
        lambda o, a, c: [t for t in transactions(o.order) if t.kind == "REFUND" and t.at == o.refund.processed_at]
    ),
}

REFUND_LINE: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: f"gid://shopify/RefundLineItem/{o.line.id}",
    "quantity": lambda o, a, c: o.line.quantity,
    "restockType": lambda o, a, c: o.line.restock_type,
    "restocked": lambda o, a, c: o.line.restock_type != "NO_RESTOCK",
    "lineItem": lambda o, a, c: line_of(o.order, o.line.line_id),
    "location": lambda o, a, c: c.world.location(o.line.location_id),
    "subtotalSet": lambda o, a, c: o.line.subtotal,
    "totalTaxSet": lambda o, a, c: o.line.tax,
    "priceSet": lambda o, a, c: (o.line.subtotal / o.line.quantity).quantize(Decimal("0.01")),
}

REFUND_SHIPPING: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: f"gid://shopify/RefundShippingLine/{o.refund.id}",
    "shippingLine": lambda o, a, c: ShippingOf(o.order),
    "subtotalAmountSet": lambda o, a, c: o.refund.shipping,
    "taxAmountSet": lambda o, a, c: ZERO,
}


def _adjustment(get: Callable[[RefundAdjustment], Any]) -> Resolver:
    return lambda o, a, c: get(o)


ADJUSTMENT: dict[str, Resolver | Connection] = {
    "id": _adjustment(lambda o: f"gid://shopify/OrderAdjustment/{o.id}"),
    "reason": _adjustment(lambda o: o.reason),
    "amountSet": _adjustment(lambda o: o.amount),
    "taxAmountSet": _adjustment(lambda o: o.tax),
}

TRANSACTION: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: gid("OrderTransaction", o.id),
    "kind": lambda o, a, c: o.kind,
    "status": lambda o, a, c: "SUCCESS",
    "amountSet": lambda o, a, c: o.amount,
    "createdAt": lambda o, a, c: instant(o.at),
    "processedAt": lambda o, a, c: instant(o.at),
    "gateway": lambda o, a, c: "manual" if o.order.channel == "wholesale" else "shopify_payments",
    "formattedGateway": lambda o, a, c: "Manual" if o.order.channel == "wholesale" else "Shopify Payments",
    "manualPaymentGateway": lambda o, a, c: o.order.channel == "wholesale",
    "order": lambda o, a, c: o.order,
    "test": lambda o, a, c: o.order.test,
}

SHIPPING: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: gid("ShippingLine", o.order.id - 1_000_000_000_000),
    "title": lambda o, a, c: "Standard",
    "code": lambda o, a, c: "standard",
    "custom": lambda o, a, c: False,
    "source": lambda o, a, c: "shopify",
    "isRemoved": lambda o, a, c: False,
    "originalPriceSet": lambda o, a, c: o.order.shipping,
    "discountedPriceSet": lambda o, a, c: o.order.shipping,
    "currentDiscountedPriceSet": lambda o, a, c: o.order.shipping - _shipping_back(o.order),
    "discountAllocations": lambda o, a, c: [],
    "taxLines": lambda o, a, c: [],
}


def _rate(tax: TaxOf) -> float | None:
    return round(float(tax.price / tax.net), 4) if tax.net else None


TAX: dict[str, Resolver | Connection] = {
    "title": lambda o, a, c: "Tax",
    "priceSet": lambda o, a, c: o.price,
    "rate": lambda o, a, c: _rate(o),
    "ratePercentage": lambda o, a, c: None if (rate := _rate(o)) is None else round(rate * 100, 2),
    "channelLiable": lambda o, a, c: False,
    "source": lambda o, a, c: "Shopify",
}


def _application(o: Allocation, a: Args, c: Context) -> Application:
    order = c.world.order_of_line(o.line_id)
    found = applications(order) if order is not None else []
    return next(one for one in found if (one.discount_id, one.code) == (o.discount_id, o.code))


ALLOCATION: dict[str, Resolver | Connection] = {
    "allocatedAmountSet": lambda o, a, c: o.amount,
    "discountApplication": _application,
}


def _value(application: Application, a: Args, c: Context) -> Any:
    discount = c.world.discount(application.discount_id)
    if discount is not None and discount.percentage is not None:
        return Percentage(float(discount.percentage * 100))
    return discount.amount if discount is not None and discount.amount is not None else Percentage(100.0)


def _target(application: Application, a: Args, c: Context) -> str:
    return "LINE_ITEM" if application.discount_id is not None else "SHIPPING_LINE"


APPLICATION: dict[str, Resolver | Connection] = {
    "allocationMethod": lambda o, a, c: "ACROSS",
    "index": lambda o, a, c: o.index,
    "targetSelection": lambda o, a, c: "ALL",
    "targetType": _target,
    "value": _value,
    "code": lambda o, a, c: o.code,
    "title": lambda o, a, c: d.title if (d := c.world.discount(o.discount_id)) else "Discount",
}

MAILING_ADDRESS: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: address_id(o),
    "city": lambda o, a, c: o.city,
    "countryCodeV2": lambda o, a, c: o.country,
    "country": lambda o, a, c: o.country,
    "province": lambda o, a, c: o.province,
    "provinceCode": lambda o, a, c: o.province,
    "zip": lambda o, a, c: o.postcode,
    "coordinatesValidated": lambda o, a, c: False,
    **dict.fromkeys(
        ("address1", "address2", "company", "firstName", "lastName", "name", "phone"), lambda o, a, c: None
    ),
}

MONEY_BAG: dict[str, Resolver | Connection] = {
    "shopMoney": lambda o, a, c: o,
    "presentmentMoney": lambda o, a, c: o,
}

MONEY: dict[str, Resolver | Connection] = {
    "amount": lambda o, a, c: amount(o),
    "currencyCode": lambda o, a, c: c.world.currency,
}

ORDER_TYPES: dict[str, dict[str, Resolver | Connection]] = {
    "Order": ORDER,
    "LineItem": LINE,
    "Refund": REFUND,
    "RefundLineItem": REFUND_LINE,
    "RefundShippingLine": REFUND_SHIPPING,
    "OrderAdjustment": ADJUSTMENT,
    "OrderTransaction": TRANSACTION,
    "ShippingLine": SHIPPING,
    "TaxLine": TAX,
    "DiscountAllocation": ALLOCATION,
    "DiscountCodeApplication": APPLICATION,
    "AutomaticDiscountApplication": APPLICATION,
    "PricingPercentageValue": {"percentage": lambda o, a, c: o.percentage},
    "MailingAddress": MAILING_ADDRESS,
    "MoneyBag": MONEY_BAG,
    "MoneyV2": MONEY,
}

"""The fields of shipping: parcels, fulfilment orders and their lines.

Belongs here: one resolver a field. Does not belong here: orders themselves (`order_fields.py`), execution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.company.model import Order
from sandbox.shopify.context import Connection, Context, Resolver
from sandbox.shopify.order_fields import Args, limited, line_of
from sandbox.shopify.values import gid, instant
from sandbox.shopify.world import FulfilmentOrderLine, ParcelOf


@dataclass(frozen=True, slots=True)
class ParcelLineOf:
    order: Order
    number: int
    line_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class AssignedLocation:
    location_id: int | None


_SHOWN = {"SUCCESS": "FULFILLED", "CANCELLED": "CANCELED"}


def _display(parcel: ParcelOf, a: Args, c: Context) -> str:
    found = parcel.parcel
    if found.status == "SUCCESS" and found.delivered_at:
        return "DELIVERED"
    if found.status == "SUCCESS" and found.in_transit_at:
        return "IN_TRANSIT"
    return _SHOWN[found.status]


def _parcel_lines(parcel: ParcelOf, a: Args, c: Context) -> list[ParcelLineOf]:
    return [
        ParcelLineOf(parcel.order, parcel.parcel.id * 64 + place, line.line_id, line.quantity)
        for place, line in enumerate(parcel.parcel.lines)
    ]


PARCEL: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: f"gid://shopify/Fulfillment/{o.parcel.id}",
    "legacyResourceId": lambda o, a, c: str(o.parcel.id),
    "name": lambda o, a, c: o.parcel.name,
    "status": lambda o, a, c: o.parcel.status,
    "displayStatus": _display,
    "createdAt": lambda o, a, c: instant(o.parcel.created_at),
    "updatedAt": lambda o, a, c: instant(o.parcel.updated_at),
    "deliveredAt": lambda o, a, c: instant(o.parcel.delivered_at),
    "inTransitAt": lambda o, a, c: instant(o.parcel.in_transit_at),
    "estimatedDeliveryAt": lambda o, a, c: None,
    "location": lambda o, a, c: c.world.location(o.parcel.location_id),
    "order": lambda o, a, c: o.order,
    "requiresShipping": lambda o, a, c: o.parcel.tracking_number is not None,
    "totalQuantity": lambda o, a, c: sum(line.quantity for line in o.parcel.lines),
    "trackingInfo": lambda o, a, c: limited([o.parcel] if o.parcel.tracking_number else [], a),
    "fulfillmentLineItems": Connection(_parcel_lines),
}

PARCEL_LINE: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: gid("FulfillmentLineItem", o.number),
    "quantity": lambda o, a, c: o.quantity,
    "lineItem": lambda o, a, c: line_of(o.order, o.line_id),
    "originalTotalSet": lambda o, a, c: line_of(o.order, o.line_id).unit_price * o.quantity,
    "discountedTotalSet": lambda o, a, c: (
        (line := line_of(o.order, o.line_id)).net * o.quantity / line.quantity
    ).quantize(Decimal("0.01")),
}

TRACKING: dict[str, Resolver | Connection] = {
    "company": lambda o, a, c: o.tracking_company,
    "number": lambda o, a, c: o.tracking_number,
    "url": lambda o, a, c: f"https://www.ups.com/track?tracknum={o.tracking_number}",
}

FULFILMENT_ORDER: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: f"gid://shopify/FulfillmentOrder/{o.id}",
    "order": lambda o, a, c: o.order,
    "orderId": lambda o, a, c: f"gid://shopify/Order/{o.order.id}",
    "orderName": lambda o, a, c: o.order.name,
    "orderProcessedAt": lambda o, a, c: instant(o.order.processed_at),
    "createdAt": lambda o, a, c: instant(o.order.created_at),
    "updatedAt": lambda o, a, c: instant(o.updated_at),
    "fulfillAt": lambda o, a, c: instant(o.order.created_at),
    "fulfillBy": lambda o, a, c: None,
    "status": lambda o, a, c: o.status,
    "requestStatus": lambda o, a, c: "UNSUBMITTED",
    "assignedLocation": lambda o, a, c: AssignedLocation(o.location_id),
    "lineItems": Connection(lambda o, a, c: o.lines),
    "fulfillments": Connection(lambda o, a, c: [ParcelOf(o.order, parcel) for parcel in o.order.fulfilments]),
}


def _title(o: FulfilmentOrderLine, a: Args, c: Context) -> str:
    product = c.world.product(o.line.product_id)
    return product.title if product else o.line.title


FULFILMENT_ORDER_LINE: dict[str, Resolver | Connection] = {
    "id": lambda o, a, c: f"gid://shopify/FulfillmentOrderLineItem/{o.id}",
    "totalQuantity": lambda o, a, c: o.total,
    "remainingQuantity": lambda o, a, c: o.remaining,
    "lineItem": lambda o, a, c: o.line,
    "sku": lambda o, a, c: o.line.sku,
    "productTitle": _title,
    "variantTitle": lambda o, a, c: v.title if (v := c.world.variant(o.line.variant_id)) else None,
    "variant": lambda o, a, c: c.world.variant(o.line.variant_id),
    "requiresShipping": lambda o, a, c: o.line.requires_shipping,
    "vendor": lambda o, a, c: p.vendor if (p := c.world.product(o.line.product_id)) else None,
    "inventoryItemId": lambda o, a, c: (
        gid("InventoryItem", v.inventory_item_id) if (v := c.world.variant(o.line.variant_id)) else None
    ),
}


def _assigned(get: Callable[[Any], Any]) -> Resolver:
    def resolve(o: AssignedLocation, a: Args, c: Context) -> Any:
        location = c.world.location(o.location_id)
        return None if location is None else get(location)

    return resolve


ASSIGNED: dict[str, Resolver | Connection] = {
    "location": _assigned(lambda location: location),
    "name": lambda o, a, c: location.name if (location := c.world.location(o.location_id)) else "",
    "countryCode": lambda o, a, c: (
        location.address.country if (location := c.world.location(o.location_id)) else c.world.company.shop.country
    ),
    "city": _assigned(lambda location: location.address.city),
    "province": _assigned(lambda location: location.address.province),
    "zip": _assigned(lambda location: location.address.postcode),
    "address1": lambda o, a, c: None,
    "phone": lambda o, a, c: None,
}


SHIPPING_TYPES: dict[str, dict[str, Resolver | Connection]] = {
    "Fulfillment": PARCEL,
    "FulfillmentLineItem": PARCEL_LINE,
    "FulfillmentTrackingInfo": TRACKING,
    "FulfillmentOrder": FULFILMENT_ORDER,
    "FulfillmentOrderLineItem": FULFILMENT_ORDER_LINE,
    "FulfillmentOrderAssignedLocation": ASSIGNED,
}

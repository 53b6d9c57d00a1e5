"""Small Shopify payloads in the shape the connector lands them.

Belongs here: builders with the fewest arguments a test needs. Does not belong here: whole companies.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

JsonObject = dict[str, Any]


def bag(amount: Decimal | int | str, currency: str = "USD") -> JsonObject:
    return {"shopMoney": {"amount": str(amount), "currencyCode": currency}}


def line(
    number: int, sku: str, quantity: int, price: str, discount: str | None = None, currency: str = "USD"
) -> JsonObject:
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "title": f"Item {sku}",
        "sku": sku,
        "quantity": quantity,
        "currentQuantity": quantity,
        "unfulfilledQuantity": 0,
        "requiresShipping": True,
        "isGiftCard": False,
        "product": {"id": f"gid://shopify/Product/{sku}"},
        "variant": {"id": f"gid://shopify/ProductVariant/{sku}"},
        "originalUnitPriceSet": bag(price, currency),
        "originalTotalSet": bag(Decimal(price) * quantity, currency),
        "discountAllocations": [{"allocatedAmountSet": bag(discount, currency)}] if discount else [],
    }


def refund(number: int, at: str, subtotals: Sequence[str], adjustment: str | None = None) -> JsonObject:
    return {
        "id": f"gid://shopify/Refund/{number}",
        "createdAt": at,
        "processedAt": at,
        "totalRefundedSet": bag("0"),
        "refundLineItems": [
            {
                "id": f"gid://shopify/RefundLineItem/{number}{place}",
                "quantity": 1,
                "restockType": "RETURN",
                "lineItem": {"id": "gid://shopify/LineItem/0"},
                "subtotalSet": bag(subtotal),
                "totalTaxSet": bag("0"),
            }
            for place, subtotal in enumerate(subtotals)
        ],
        "orderAdjustments": [{"id": "a", "reason": "REFUND_DISCREPANCY", "amountSet": bag(adjustment)}]
        if adjustment
        else [],
    }


def order(number: int, at: str, lines: Sequence[JsonObject], **fields: Any) -> JsonObject:
    """An order of one line or more; `fields` replace what it says by default."""
    currency = fields.pop("currency", "USD")
    customer = fields.pop("customer", None)
    country = fields.pop("country", None)
    total = sum((Decimal(item["originalTotalSet"]["shopMoney"]["amount"]) for item in lines), Decimal(0))
    return {
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "createdAt": at,
        "processedAt": at,
        "updatedAt": at,
        "cancelledAt": None,
        "cancelReason": None,
        "closedAt": None,
        "test": False,
        "currencyCode": currency,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "UNFULFILLED",
        "sourceName": "web",
        "tags": [],
        "taxesIncluded": False,
        "customer": {"id": f"gid://shopify/Customer/{customer}"} if customer else None,
        "shippingAddress": {"countryCodeV2": country} if country else None,
        "billingAddress": None,
        "discountCodes": [],
        "totalPriceSet": bag(total, currency),
        "fulfillments": [],
        "lineItems": list(lines),
        "refunds": [],
    } | fields


def parcel(number: int, at: str) -> JsonObject:
    return {
        "id": f"gid://shopify/Fulfillment/{number}",
        "status": "SUCCESS",
        "createdAt": at,
        "updatedAt": at,
        "deliveredAt": None,
        "inTransitAt": None,
        "location": {"id": "gid://shopify/Location/1"},
    }


def stock(sku: str, available: int, on_hand: int, unit_cost: str | None = "10.00") -> JsonObject:
    """An inventory item stocked at one location."""
    return {
        "id": f"gid://shopify/InventoryItem/{sku}",
        "sku": sku,
        "tracked": True,
        "createdAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2025-01-01T00:00:00Z",
        "unitCost": {"amount": unit_cost, "currencyCode": "USD"} if unit_cost else None,
        "inventoryLevels": [
            {
                "id": f"gid://shopify/InventoryLevel/{sku}",
                "updatedAt": "2025-01-01T00:00:00Z",
                "isActive": True,
                "location": {"id": "gid://shopify/Location/1"},
                "quantities": [
                    {"name": "available", "quantity": available},
                    {"name": "on_hand", "quantity": on_hand},
                    {"name": "incoming", "quantity": 0},
                ],
            }
        ],
    }


def product(sku: str, status: str = "ACTIVE") -> JsonObject:
    """A product of one variant."""
    return {
        "id": f"gid://shopify/Product/{sku}",
        "title": f"Item {sku}",
        "handle": sku.lower(),
        "status": status,
        "productType": "",
        "vendor": "",
        "tags": [],
        "createdAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2025-01-01T00:00:00Z",
        "variants": [
            {
                "id": f"gid://shopify/ProductVariant/{sku}",
                "title": "Default Title",
                "sku": sku,
                "price": "50.00",
                "compareAtPrice": None,
                "inventoryQuantity": 0,
                "inventoryItem": {"id": f"gid://shopify/InventoryItem/{sku}"},
                "createdAt": "2025-01-01T00:00:00Z",
                "updatedAt": "2025-01-01T00:00:00Z",
            }
        ],
    }

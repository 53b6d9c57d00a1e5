"""What Amazon holds of the seller, as its JSON: made from the company's story, then changed from outside.

Belongs here: Amazon's objects and their changes by tests. Does not belong here: HTTP, filters, pages
(`operations.py`). Built when first asked for, so that a sandbox without Amazon starts as fast as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sandbox.clock import parse_instant
from sandbox.company import Company
from sandbox.company.marketplace import (
    CANADA,
    US,
    Health,
    Item,
    Listing,
    MarketOrder,
    Stocked,
    asin_of,
    build_marketplace,
)
from sandbox.mutation import MutationRefused, required

SELLER = "A2SANDBOXSELLER"
PENDING = frozenset({"PENDING", "PENDING_AVAILABILITY"})
_NAMES = {US: "Amazon.com", CANADA: "Amazon.ca"}
Json = dict[str, Any]


class World:
    """Orders by id, summaries and listings by SKU, the health of the account."""

    def __init__(self, company: Company) -> None:
        story = company.part(build_marketplace)
        self.orders: dict[str, Json] = {order.id: order_json(order) for order in story.orders}
        self.summaries: dict[str, Json] = {item.sku: summary_json(item) for item in story.stock}
        self.listings: dict[str, Json] = {item.sku: listing_json(item) for item in story.listings}
        self.health: Json = health_json(story.health, company.clock)

    # Changes -----------------------------------------------------------------------------------------------

    def mutate(self, op: str, data: Mapping[str, Any], now: datetime) -> Json:
        """One change, at `now` unless `at` says when."""
        at = parse_instant(str(data["at"])) if data.get("at") else now
        match op:
            case "upsert_order":
                return self._upsert_order(data, at)
            case "update_order":
                return self._update_order(data, at)
            case "cancel_order":
                order = self._order(data)
                order["fulfillment"]["fulfillmentStatus"] = "CANCELLED"
                order["lastUpdatedTime"] = iso(at)
                return {"id": order["orderId"]}
            case "delete_order":
                del self.orders[self._order(data)["orderId"]]
                return {"id": data["id"]}
            case "set_stock":
                return self._set_stock(data, at)
            case "delete_sku":
                sku = required(data, "sku")
                if self.summaries.pop(sku, None) is None and self.listings.pop(sku, None) is None:
                    raise MutationRefused(f"There is no SKU {sku!r}.")
                self.listings.pop(sku, None)
                return {"id": sku}
            case "upsert_listing":
                return self._upsert_listing(data, at)
            case "set_health":
                self.health = merged(self.health, dict(data.get("metrics", {})))
                return {"id": "health"}
        raise MutationRefused(f"amazon has no operation {op!r}.")

    def _order(self, data: Mapping[str, Any]) -> Json:
        found = self.orders.get(required(data, "id"))
        if found is None:
            raise MutationRefused(f"There is no order {data['id']!r}.")
        return found

    def _upsert_order(self, data: Mapping[str, Any], at: datetime) -> Json:
        """A whole order from a few facts: id, sku, quantity, price, status, currency, marketplace, created."""
        identity = required(data, "id")
        created = parse_instant(str(data["created"])) if data.get("created") else at
        price, quantity = Decimal(str(data.get("price", "10.00"))), int(data.get("quantity", 1))
        sku = str(data.get("sku", "NB-TEST"))
        zero = Decimal("0.00")
        item_id = f"{int.from_bytes(sha256(identity.encode()).digest()[:6]) % 10**14:014d}"
        title = str(data.get("title", sku))
        item = Item(item_id, sku, asin_of(sku), title, quantity, 0, price, price * quantity, zero, zero)
        order = MarketOrder(
            id=identity,
            seller_name=None,
            marketplace=str(data.get("marketplace", US)),
            currency=str(data.get("currency", "USD")),
            purchased=created,
            updated=at,
            status=str(data.get("status", "UNSHIPPED")),
            by_amazon=True,
            items=(item,),
            shipping=zero,
            replaces=data.get("replaces"),
        )
        self.orders[identity] = merged(order_json(order), dict(data.get("fields", {})))
        return {"id": identity}

    def _update_order(self, data: Mapping[str, Any], at: datetime) -> Json:
        """Deep changes in `fields`; `updated` keeps the time of the last update where it is false."""
        order = self._order(data)
        changed = merged(order, dict(data.get("fields", {})))
        if data.get("status"):
            changed["fulfillment"] = {**changed["fulfillment"], "fulfillmentStatus": str(data["status"])}
        if data.get("updated", True):
            changed["lastUpdatedTime"] = iso(at)
        self.orders[order["orderId"]] = changed
        return {"id": order["orderId"]}

    def _set_stock(self, data: Mapping[str, Any], at: datetime) -> Json:
        sku = required(data, "sku")
        units = int(data.get("quantity", 0))
        stocked = Stocked(sku, asin_of(sku), str(data.get("title", sku)), units, 0, 0, at)
        self.summaries[sku] = merged(summary_json(stocked), dict(data.get("fields", {})))
        return {"id": sku}

    def _upsert_listing(self, data: Mapping[str, Any], at: datetime) -> Json:
        sku = required(data, "sku")
        known = self.listings.get(sku)
        if known is None:
            title = str(data.get("title", sku))
            known = listing_json(Listing(sku, asin_of(sku), title, "PRODUCT", at, at, True))
        changed = merged(known, dict(data.get("fields", {})))
        for summary in changed["summaries"]:
            summary["lastUpdatedDate"] = iso(at)
        self.listings[sku] = changed
        return {"id": sku}


def merged(value: Json, changes: Json) -> Json:
    """`value` with `changes` laid over it, object by object; None takes a key away."""
    made = dict(value)
    for key, change in changes.items():
        if change is None:
            made.pop(key, None)
        elif isinstance(change, dict) and isinstance(made.get(key), dict):
            made[key] = merged(made[key], change)
        else:
            made[key] = change
    return made


# Amazon's objects -------------------------------------------------------------------------------------------


def iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(amount: Decimal, currency: str) -> Json:
    return {"amount": format(amount, "f"), "currencyCode": currency}


def order_json(order: MarketOrder) -> Json:
    """The order with every data set; `operations.py` takes away what was not asked for. A pending order has no
    amounts: Amazon does not know them yet."""
    priced = order.status not in PENDING
    made: Json = {
        "orderId": order.id,
        "createdTime": iso(order.purchased),
        "lastUpdatedTime": iso(order.updated),
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": order.marketplace,
            "marketplaceName": _NAMES.get(order.marketplace, order.marketplace),
        },
        "programs": (["PRIME"] if order.by_amazon else []) + (["AMAZON_BUSINESS"] if order.business else []),
        "fulfillment": {
            "fulfillmentStatus": order.status,
            "fulfilledBy": "AMAZON" if order.by_amazon else "MERCHANT",
            "fulfillmentServiceLevel": "PRIME" if order.by_amazon else "STANDARD",
            "shipByWindow": {
                "earliestDateTime": iso(order.purchased),
                "latestDateTime": iso(order.purchased + timedelta(days=2)),
            },
        },
        "buyer": {"buyerName": "Ines Example", "buyerEmail": "x1y2z3@marketplace.amazon.com"},
        "recipient": {"deliveryAddress": {"name": "Ines Example", "addressLine1": "1 Sample Street", "city": "Reno",
                                          "stateOrRegion": "NV", "postalCode": "89506", "countryCode": "US"}},
        "orderItems": [_item_json(item, order, priced=priced) for item in order.items],
    }  # fmt: skip
    if order.seller_name is not None:
        made["orderAliases"] = [{"aliasId": order.seller_name, "aliasType": "SELLER_ORDER_ID"}]
    if order.replaces is not None:
        made["associatedOrders"] = [{"orderId": order.replaces, "associationType": "REPLACEMENT_ORIGINAL_ID"}]
    if priced:
        parts = {
            "ITEM": sum((item.sales for item in order.items), Decimal("0.00")),
            "SHIPPING": order.shipping,
            "TAX": sum((item.tax for item in order.items), Decimal("0.00")),
            "DISCOUNT": -sum((item.discount for item in order.items), Decimal("0.00")),
        }
        made["proceeds"] = {
            "grandTotal": money(sum(parts.values(), Decimal("0.00")), order.currency),
            "breakdowns": [
                {"type": kind, "subtotal": money(amount, order.currency)}
                for kind, amount in parts.items()
                if amount or kind == "ITEM"
            ],
        }
    return made


def _item_json(item: Item, order: MarketOrder, *, priced: bool) -> Json:
    made: Json = {
        "orderItemId": item.id,
        "quantityOrdered": item.quantity,
        "product": {
            "asin": item.asin,
            "title": item.title,
            "sellerSku": item.sku,
            "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
        },
        "fulfillment": {
            "quantityFulfilled": item.shipped,
            "quantityUnfulfilled": 0 if order.status == "CANCELLED" else item.quantity - item.shipped,
            "packing": {"giftOption": {"giftMessage": "عيد ميلاد سعيد 🎂", "giftWrapLevel": "Standard"}},
        },
    }
    if priced:
        made["product"]["price"] = {"unitPrice": money(item.price, order.currency)}
        parts = {"ITEM": item.sales, "TAX": item.tax, "DISCOUNT": -item.discount}
        made["proceeds"] = {
            "proceedsTotal": money(sum(parts.values(), Decimal("0.00")), order.currency),
            "breakdowns": [
                {"type": kind, "subtotal": money(amount, order.currency)}
                for kind, amount in parts.items()
                if amount or kind == "ITEM"
            ],
        }
    return made


def summary_json(item: Stocked) -> Json:
    return {
        "asin": item.asin,
        "fnSku": f"X00{item.asin[3:]}",
        "sellerSku": item.sku,
        "condition": "NewItem",
        "inventoryDetails": {
            "fulfillableQuantity": item.fulfillable,
            "inboundWorkingQuantity": 0,
            "inboundShippedQuantity": 0,
            "inboundReceivingQuantity": 0,
            "reservedQuantity": {
                "totalReservedQuantity": item.reserved,
                "pendingCustomerOrderQuantity": item.reserved,
                "pendingTransshipmentQuantity": 0,
                "fcProcessingQuantity": 0,
            },
            "researchingQuantity": {
                "totalResearchingQuantity": item.researching,
                "researchingQuantityBreakdown": [
                    {"name": "researchingQuantityInShortTerm", "quantity": item.researching}
                ],
            },
            "unfulfillableQuantity": {"totalUnfulfillableQuantity": 0, "defectiveQuantity": 0},
        },
        "lastUpdatedTime": iso(item.updated),
        "productName": item.title,
        "totalQuantity": item.total,
        "stores": [],
    }


def listing_json(item: Listing) -> Json:
    """A listing that Amazon never took has issues and no summary."""
    status = ["BUYABLE", "DISCOVERABLE"] if item.buyable else ["DISCOVERABLE"] if item.issues else []
    summary = {
        "marketplaceId": US,
        "asin": item.asin,
        "productType": item.kind,
        "conditionType": "new_new",
        "status": status,
        "itemName": item.title,
        "createdDate": iso(item.created),
        "lastUpdatedDate": iso(item.updated),
    }
    issues = []
    for issue in item.issues:
        made: Json = {
            "code": issue.code,
            "message": issue.message,
            "severity": issue.severity,
            "categories": list(issue.categories),
        }
        if issue.attributes:
            made["attributeNames"] = list(issue.attributes)
        if issue.action is not None:
            made["enforcements"] = {"actions": [{"action": issue.action}], "exemption": {"status": "NOT_EXEMPT"}}
        issues.append(made)
    return {"sku": item.sku, "summaries": [summary] if item.asin is not None else [], "issues": issues}


def health_json(health: Health, clock: datetime) -> Json:
    """One marketplace of the report's `performanceMetrics`, with the account's status under `accountStatus`."""
    span = {
        "reportingDateFrom": (clock - timedelta(days=30)).astimezone(UTC).strftime("%Y-%m-%dT00:00Z"),
        "reportingDateTo": (clock - timedelta(days=1)).astimezone(UTC).strftime("%Y-%m-%dT23:59Z"),
    }

    def rate(count: int, of: int) -> float:
        return round(count / of, 6) if of else 0.0

    def below(value: float, target: float) -> Json:
        status = "GOOD" if value < target else "BAD"
        return {"status": status, "rate": value, "targetValue": target, "targetCondition": "LESS_THAN"}

    def above(value: float, target: float) -> Json:
        status = "GOOD" if value > target else "BAD"
        return {"status": status, "rate": value, "targetValue": target, "targetCondition": "GREATER_THAN"}

    def violations(count: int) -> Json:
        status = "GOOD" if count == 0 else "BAD"
        return {"reportingDateRange": span, "defectsCount": count, "status": status, "targetValue": 0,
                "targetCondition": "EQUALS"}  # fmt: skip

    def defects(kind: str) -> Json:
        none = {"count": 0, "status": "NONE"}
        return {"reportingDateRange": span, "orderCount": health.orders, "orderWithDefects": none, "claims": none,
                "chargebacks": none, "negativeFeedback": none, "fulfillmentType": kind, **below(0.0, 0.01)}  # fmt: skip

    valid = 0.936 if health.tracking_at_risk else 0.991
    return {
        "accountStatus": "AT_RISK" if health.tracking_at_risk else "NORMAL",
        "marketplaceId": US,
        "invoiceDefectRate": {
            "reportingDateRange": span, "orderCount": health.orders, "invoiceDefect": {"count": 0, "status": "NONE"},
            "missingInvoice": {"count": 0, "status": "NONE"}, "lateInvoice": {"count": 0, "status": "NONE"},
            **below(0.0, 0.05),
        },
        "lateShipmentRate": {
            "reportingDateRange": span, "orderCount": health.orders, "lateShipmentCount": health.late,
            **below(rate(health.late, health.orders), 0.04),
        },
        "orderDefectRate": {"mfn": defects("mfn"), "afn": defects("afn")},
        "onTimeDeliveryRate": {
            "reportingDateRange": span, "shipmentCountWithValidTracking": health.orders,
            "onTimeDeliveryCount": health.orders, **above(1.0, 0.9),
        },
        "unitOnTimeDeliveryRate": {
            "reportingDateRange": span, "unitOnTimeDeliveryCount": health.orders, "totalUnitCount": health.orders,
            **above(1.0, 0.9),
        },
        "validTrackingRate": {
            "reportingDateRange": span, "shipmentCount": 1000, "validTrackingCount": round(valid * 1000),
            **above(valid, 0.95),
        },
        "preFulfillmentCancellationRate": {
            "reportingDateRange": span, "orderCount": health.orders, "cancellationCount": health.cancelled,
            **below(rate(health.cancelled, health.orders), 0.025),
        },
        "warningStates": [],
        "accountHealthRating": {
            "ahrStatus": "WARNED" if health.tracking_at_risk else "GREAT",
            "accountHealthRatingStatus": "WARNED" if health.tracking_at_risk else "GREAT",
            "reportingDateRange": span,
        },
        "listingPolicyViolations": violations(health.suppressed),
        **{
            name: violations(0)
            for name in (
                "productAuthenticityCustomerComplaints", "productConditionCustomerComplaints",
                "productSafetyCustomerComplaints", "receivedIntellectualPropertyComplaints",
                "restrictedProductPolicyViolations", "suspectedIntellectualPropertyViolations",
                "foodAndProductSafetyIssues", "otherPolicyViolations", "documentRequests",
            )
        },
    }  # fmt: skip

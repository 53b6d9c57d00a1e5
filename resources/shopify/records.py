"""What a Shopify object must hold to land, and how its nested lists are flattened.

Belongs here: one `Entity` per stream with its checks and its nested connections. Does not belong here:
asking the vendor (`client.py`, `bulk.py`), deciding what to read (`source.py`).

A payload is the object as asked for, with every connection replaced by a plain list under the same key.
Negative quantities, orders without lines and prices of zero are legal and land.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ops_platform.ingestion.contract import Stream
from ops_platform.records import JsonObject
from resources.record_checks import (
    CURRENCIES,
    INVALID_MONEY,
    INVALID_NUMBER,
    INVALID_SHAPE,
    LARGEST_INT,
    MISSING_FIELD,
    MISSING_ID,
    NULL_MONEY,
    Flaw,
    currency,
    decimal_text,
    is_decimal,
    is_integer,
    known_amounts,
    moment,
    optional_flags,
    optional_integers,
    optional_lists,
    optional_moments,
)
from resources.shopify.bulk import Shape

VENDOR = "shopify"
SEARCH_LAG = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A nested list of which the first page came: `items` is to be extended by what follows `after`."""

    items: list[JsonObject]
    operation: str
    owner: str
    after: str
    path: tuple[str, ...] = ("node",)


Check = Callable[[JsonObject], datetime | None]
Flatten = Callable[[JsonObject, list[Unfinished]], None]


@dataclass(frozen=True, slots=True)
class Entity:
    """How one stream is read. `page` and `bulk` name operations of `queries/`; `filter_key` is the search key
    of incremental reads; `cursor_order` is how the page walk is sorted: "updated_at", "id" or "none" where a walk
    cannot be begun anew at its last node; `count` names the operation that counts what a walk should find."""

    stream: Stream
    root: str
    page: str
    check: Check
    flatten: Flatten
    variables: Mapping[str, int] = field(default_factory=dict)
    bulk: str | None = None
    shape: Shape = field(default_factory=Shape)
    whole_days: bool = False
    cursor_order: str = "updated_at"
    ids_page: str | None = None
    ids_bulk: str | None = None
    count: str | None = None


# -- checks ---------------------------------------------------------------------------------------------


def gid(value: Any, where: str = "id") -> str:
    if not isinstance(value, str) or not value.startswith("gid://"):
        raise Flaw(MISSING_ID, f"{where} is {value!r}, not a global id")
    return value


def _bag(owner: JsonObject, key: str, where: str, required: bool = True) -> None:
    """A `MoneyBag`: its shop amount and currency."""
    try:
        money = owner[key]["shopMoney"]
        # Most amounts have been seen before: one look each, and the rest is skipped.
        amount = money["amount"]
        if money["currencyCode"] in CURRENCIES and (amount in known_amounts or is_decimal(amount)):
            return
    except (KeyError, TypeError):
        pass
    _examine_bag(owner, key, where, required)


def _examine_bag(owner: JsonObject, key: str, where: str, required: bool) -> None:
    bag = owner.get(key)
    if bag is None:
        if required:
            raise Flaw(NULL_MONEY, f"{where}.{key} is null")
        return
    try:
        money = bag["shopMoney"]
        amount, code = money["amount"], money["currencyCode"]
    except (KeyError, TypeError):
        raise Flaw(NULL_MONEY, f"{where}.{key} has no shop amount") from None
    if amount is None:
        raise Flaw(NULL_MONEY, f"{where}.{key} is null")
    decimal_text(amount, f"{where}.{key}", INVALID_MONEY)
    currency(code, f"{where}.{key}.currencyCode")


def _money(owner: JsonObject, key: str, where: str, required: bool = True) -> None:
    """A `MoneyV2`: amount and currency side by side."""
    _bag({key: {"shopMoney": owner.get(key)} if owner.get(key) is not None else None}, key, where, required)


def _list(owner: JsonObject, key: str, where: str) -> list[Any]:
    value = owner.get(key)
    if not isinstance(value, list):
        raise Flaw(INVALID_SHAPE, f"{where}.{key} is not a list")
    return value


def _optional_list(owner: JsonObject, key: str, where: str) -> list[Any]:
    """A list that may not be asked for; null is none."""
    return _list(owner, key, where) if key in owner else []


def _integer(owner: JsonObject, key: str, where: str) -> None:
    value = owner.get(key)
    if not is_integer(value, LARGEST_INT):  # an Int of GraphQL
        raise Flaw(MISSING_FIELD, f"{where}.{key} is {value!r}, not a whole number")


def check_order(order: JsonObject) -> datetime:
    moment(order.get("createdAt"), "createdAt")
    moment(order.get("processedAt"), "processedAt")
    updated = moment(order.get("updatedAt"), "updatedAt")
    optional_moments(order, "", "cancelledAt", "closedAt")
    optional_flags(order, "order", "taxesIncluded", "edited")
    optional_lists(order, "order", "tags", "discountCodes")
    if not isinstance(order.get("name"), str):
        raise Flaw(MISSING_FIELD, "name is missing")
    if not isinstance(order.get("test"), bool):
        raise Flaw(MISSING_FIELD, "test is missing: it decides whether the order counts")
    currency(order.get("currencyCode"), "currencyCode")
    for key in ("totalPriceSet", "totalShippingPriceSet", "currentTotalPriceSet", "netPaymentSet"):
        _bag(order, key, "order")
    for key in ("subtotalPriceSet", "totalDiscountsSet", "totalTaxSet"):
        _bag(order, key, "order", required=False)
    for line in _list(order, "lineItems", "order"):
        where = line.get("id") or "line"
        _integer(line, "quantity", where)
        _bag(line, "originalUnitPriceSet", where)
        _bag(line, "originalTotalSet", where)
        optional_integers(line, where, "currentQuantity", "unfulfilledQuantity", most=LARGEST_INT)
        optional_flags(line, where, "requiresShipping", "isGiftCard")
        for allocation in _optional_list(line, "discountAllocations", where):
            _bag(allocation, "allocatedAmountSet", where)
        for tax in _optional_list(line, "taxLines", where):
            _bag(tax, "priceSet", where)
    for refund in _list(order, "refunds", "order"):
        where = gid(refund.get("id"), "refund.id")
        moment(refund.get("processedAt"), f"{where}.processedAt")
        optional_moments(refund, where, "createdAt")
        _bag(refund, "totalRefundedSet", where)
        for part in _list(refund, "refundLineItems", where):
            _integer(part, "quantity", where)
            _bag(part, "subtotalSet", where)
            _bag(part, "totalTaxSet", where)
        for adjustment in _list(refund, "orderAdjustments", where):
            _bag(adjustment, "amountSet", where)
    for fulfilment in _list(order, "fulfillments", "order"):
        moment(fulfilment.get("createdAt"), "fulfillment.createdAt")
        optional_moments(fulfilment, "fulfillment", "updatedAt", "inTransitAt", "deliveredAt")
    return updated


def check_customer(customer: JsonObject) -> datetime:
    _money(customer, "amountSpent", "customer")
    orders = customer.get("numberOfOrders")
    if orders is not None and not (
        isinstance(orders, str) and len(orders) < 19 and orders.isascii() and orders.isdigit()
    ):
        raise Flaw(INVALID_NUMBER, f"customer.numberOfOrders is {orders!r}, not a whole number as text")
    optional_lists(customer, "customer", "tags")
    moment(customer.get("createdAt"), "createdAt")
    return moment(customer.get("updatedAt"), "updatedAt")


def check_product(product: JsonObject) -> datetime:
    for variant in _list(product, "variants", "product"):
        where = gid(variant.get("id"), "variant.id")
        if variant.get("price") is None:
            raise Flaw(NULL_MONEY, f"{where}.price is null")
        decimal_text(variant["price"], f"{where}.price", INVALID_MONEY)
        if variant.get("compareAtPrice") is not None:
            decimal_text(variant["compareAtPrice"], f"{where}.compareAtPrice", INVALID_MONEY)
        optional_integers(variant, where, "inventoryQuantity", most=LARGEST_INT)
        optional_moments(variant, where, "createdAt", "updatedAt")
    optional_moments(product, "product", "createdAt")
    optional_lists(product, "product", "tags")
    return moment(product.get("updatedAt"), "updatedAt")


def check_inventory_item(item: JsonObject) -> datetime:
    """An item's own `updatedAt` says nothing of its levels: the latest of all is the record's."""
    latest = moment(item.get("updatedAt"), "updatedAt")
    _money(item, "unitCost", "item", required=False)
    optional_moments(item, "item", "createdAt")
    optional_flags(item, "item", "tracked")
    for level in _list(item, "inventoryLevels", "item"):
        where = gid(level.get("id"), "level.id")
        latest = max(latest, moment(level.get("updatedAt"), f"{where}.updatedAt"))
        optional_flags(level, where, "isActive")
        for quantity in _list(level, "quantities", where):
            _integer(quantity, "quantity", where)
            if quantity.get("updatedAt") is not None:
                latest = max(latest, moment(quantity["updatedAt"], f"{where}.quantity"))
    return latest


def check_location(location: JsonObject) -> datetime:
    optional_flags(location, "location", "isActive", "fulfillsOnlineOrders")
    return moment(location.get("updatedAt"), "updatedAt")


def check_fulfillment_order(order: JsonObject) -> datetime:
    gid(order.get("orderId"), "orderId")
    if not isinstance(order.get("status"), str):
        raise Flaw(MISSING_FIELD, "status is missing")
    moment(order.get("createdAt"), "createdAt")
    optional_moments(order, "fulfillment order", "fulfillAt", "fulfillBy")
    for line in _list(order, "lineItems", "fulfillment order"):
        _integer(line, "totalQuantity", "line")
        _integer(line, "remainingQuantity", "line")
    return moment(order.get("updatedAt"), "updatedAt")


def check_discount(node: JsonObject) -> datetime | None:
    discount = node.get("discount")
    if not isinstance(discount, dict):
        raise Flaw(INVALID_SHAPE, "discount is missing")
    optional_moments(discount, "discount", "startsAt", "endsAt")
    optional_integers(discount, "discount", "asyncUsageCount")
    _optional_list(discount, "codes", "discount")
    if discount.get("updatedAt") is None:
        return None
    return moment(discount["updatedAt"], "discount.updatedAt")


def check_shop(shop: JsonObject) -> None:
    currency(shop.get("currencyCode"), "currencyCode")
    if not isinstance(shop.get("ianaTimezone"), str):
        raise Flaw(MISSING_FIELD, "ianaTimezone is missing: no sale has a day without it")


# -- flattening -------------------------------------------------------------------------------------------


def take_list(
    owner: JsonObject,
    key: str,
    operation: str,
    pending: list[Unfinished],
    identity: Any,
    path: tuple[str, ...] = ("node",),
) -> None:
    """Replace the connection `owner[key]` by its list; note in `pending` where more of it is to be had."""
    connection = owner.get(key)
    try:
        nodes = connection["nodes"]  # type: ignore[index]
        info = connection["pageInfo"]  # type: ignore[index]
        more = info["hasNextPage"]
    except (KeyError, TypeError):
        raise Flaw(INVALID_SHAPE, f"{key} is not a connection") from None
    if not isinstance(nodes, list):
        raise Flaw(INVALID_SHAPE, f"{key} has no nodes")
    owner[key] = nodes
    if more:
        pending.append(Unfinished(nodes, operation, gid(identity), str(info.get("endCursor")), path))


def flatten_nothing(_: JsonObject, __: list[Unfinished]) -> None:
    """For objects without nested connections."""


def flatten_order(order: JsonObject, pending: list[Unfinished]) -> None:
    take_list(order, "lineItems", "MoreOrderLines", pending, order.get("id"))
    for refund in _list(order, "refunds", "order"):
        flatten_refund(refund, pending)


def flatten_refund(refund: JsonObject, pending: list[Unfinished]) -> None:
    take_list(refund, "refundLineItems", "MoreRefundLines", pending, refund.get("id"))
    take_list(refund, "orderAdjustments", "MoreAdjustments", pending, refund.get("id"))


def flatten_product(product: JsonObject, pending: list[Unfinished]) -> None:
    take_list(product, "variants", "MoreVariants", pending, product.get("id"))


def flatten_inventory_item(item: JsonObject, pending: list[Unfinished]) -> None:
    take_list(item, "inventoryLevels", "MoreInventoryLevels", pending, item.get("id"))


def flatten_fulfillment_order(order: JsonObject, pending: list[Unfinished]) -> None:
    take_list(order, "lineItems", "MoreFulfillmentLines", pending, order.get("id"))


def flatten_discount(node: JsonObject, pending: list[Unfinished]) -> None:
    discount = node.get("discount")
    if isinstance(discount, dict) and "codes" in discount:
        take_list(discount, "codes", "MoreDiscountCodes", pending, node.get("id"), ("discountNode", "discount"))


# -- the streams ------------------------------------------------------------------------------------------

ENTITIES: dict[str, Entity] = {
    entity.stream.name: entity
    for entity in (
        Entity(
            Stream(VENDOR, "shop", "The shop: its currency and time zone", full_refresh=True, ties_out=True),
            root="shop",
            page="Shop",
            check=check_shop,
            flatten=flatten_nothing,
            cursor_order="id",
        ),
        Entity(
            Stream(
                VENDOR,
                "orders",
                "Orders with lines, refunds and fulfilments",
                cursor_ascending=True,
                look_back=SEARCH_LAG,
                ties_out=True,
                grain="one row per order",
            ),
            root="orders",
            page="OrdersPage",
            check=check_order,
            flatten=flatten_order,
            variables={"lines": 10, "refundLines": 5, "adjustments": 2},
            bulk="BulkOrders",
            shape=Shape({"LineItem": ("Order", "lineItems")}),
            ids_page="OrderIds",
            ids_bulk="BulkOrderIds",
            count="OrderCount",
        ),
        Entity(
            Stream(
                VENDOR,
                "customers",
                "Customers, without personal data",
                cursor_ascending=True,
                # The vendor's filter knows whole days only, in a zone it does not name.
                look_back=timedelta(days=1),
                ties_out=True,
            ),
            root="customers",
            page="CustomersPage",
            check=check_customer,
            flatten=flatten_nothing,
            bulk="BulkCustomers",
            whole_days=True,
            ids_page="CustomerIds",
            ids_bulk="BulkCustomerIds",
            count="CustomerCount",
        ),
        Entity(
            Stream(
                VENDOR,
                "products",
                "Products with variants",
                cursor_ascending=True,
                look_back=SEARCH_LAG,
                ties_out=True,
                grain="one row per product",
            ),
            root="products",
            page="ProductsPage",
            check=check_product,
            flatten=flatten_product,
            variables={"variants": 10},
            bulk="BulkProducts",
            shape=Shape({"ProductVariant": ("Product", "variants")}),
            ids_page="ProductIds",
            ids_bulk="BulkProductIds",
            count="ProductCount",
        ),
        Entity(
            # A change of stock does not touch the item's `updatedAt`, so the whole entity is read every time.
            Stream(VENDOR, "inventory_items", "Inventory items with their levels", full_refresh=True, ties_out=True),
            root="inventoryItems",
            page="InventoryItemsPage",
            check=check_inventory_item,
            flatten=flatten_inventory_item,
            variables={"levels": 12},
            bulk="BulkInventoryItems",
            shape=Shape({"InventoryLevel": ("InventoryItem", "inventoryLevels")}),
            cursor_order="id",
        ),
        Entity(
            Stream(VENDOR, "locations", "Stock locations", full_refresh=True, ties_out=True),
            root="locations",
            page="Locations",
            check=check_location,
            flatten=flatten_nothing,
            cursor_order="none",
        ),
        Entity(
            Stream(
                VENDOR,
                "fulfillment_orders",
                "Fulfilment orders, open and closed",
                cursor_ascending=True,
                look_back=SEARCH_LAG,
                no_tie_out="Shopify counts no fulfilment orders and filters them by no day; the sweep compares all ids",
                grain="one row per fulfilment order",
            ),
            root="fulfillmentOrders",
            page="FulfillmentOrdersPage",
            check=check_fulfillment_order,
            flatten=flatten_fulfillment_order,
            variables={"lines": 10},
            bulk="BulkFulfillmentOrders",
            shape=Shape({"FulfillmentOrderLineItem": ("FulfillmentOrder", "lineItems")}),
            ids_page="FulfillmentOrderIds",
            ids_bulk="BulkFulfillmentOrderIds",
        ),
        Entity(
            Stream(VENDOR, "discounts", "Discounts with their codes and use", full_refresh=True, ties_out=True),
            root="discountNodes",
            page="DiscountsPage",
            check=check_discount,
            flatten=flatten_discount,
            variables={"codes": 10},
            cursor_order="none",
            count="DiscountCount",
        ),
    )
}

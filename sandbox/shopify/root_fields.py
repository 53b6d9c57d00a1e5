"""The root of the graph: lists, counts, records by id, the app, bulk operations, analytics.

Belongs here: fields of the query and mutation roots, the scopes they ask for, and which type a record has where
the graph leaves it open. Does not belong here: fields of the records themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.company.model import Customer, Discount, InventoryLevel, Location, Order, OrderLine, Product, Shop, Variant
from sandbox.shopify import shopifyql
from sandbox.shopify.bulk_state import BulkOperation, BulkRefused
from sandbox.shopify.catalogue_fields import CATALOGUE_TYPES, Fields
from sandbox.shopify.context import Connection, Context, Resolver
from sandbox.shopify.order_fields import ORDER_TYPES, Application
from sandbox.shopify.shipping_fields import SHIPPING_TYPES
from sandbox.shopify.values import Overlay, gid, instant
from sandbox.shopify.world import FulfilmentOrder, Item, ParcelOf, RefundOf

Args = Mapping[str, Any]

VERSIONS = ("2026-10", "2026-07")
APP_ID = 91_000_000_001

# kind of record -> (scope, field as named in the refusal)
_SCOPE = {
    "Order": "read_orders",
    "LineItem": "read_orders",
    "Refund": "read_orders",
    "Fulfillment": "read_orders",
    "Customer": "read_customers",
    "Product": "read_products",
    "ProductVariant": "read_products",
    "InventoryItem": "read_inventory",
    "InventoryLevel": "read_inventory",
    "Location": "read_locations",
    "FulfillmentOrder": "read_merchant_managed_fulfillment_orders",
    "DiscountNode": "read_discounts",
    "DiscountCodeNode": "read_discounts",
}


@dataclass(frozen=True, slots=True)
class App:
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    handle: str


@dataclass(frozen=True, slots=True)
class Payload:
    """`errors` are (field, message, code). Not the exceptions: a source that is one would be raised again."""

    operation: BulkOperation | None
    errors: tuple[tuple[list[str] | None, str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class CountOf:
    count: int
    exact: bool


def _list(name: str, scope: str) -> Connection:
    def items(_: Any, a: Args, c: Context) -> Any:
        c.need(scope, name)
        return c.listing(name, a, name)

    return Connection(items)


def _count(field: str, name: str, scope: str) -> Resolver:
    def resolve(_: Any, a: Args, c: Context) -> CountOf:
        c.need(scope, field)
        found = len(c.listing(name, a, field, sort="ID").items)
        limit = a.get("limit")
        return CountOf(found, True) if limit is None or found <= limit else CountOf(limit, False)

    return resolve


def _by_id(kind: str, field: str) -> Resolver:
    def resolve(_: Any, a: Args, c: Context) -> Any:
        c.need(_SCOPE[kind], field)
        text = str(a["id"])
        return _visible(c.world.find(text), c) if text.startswith(f"gid://shopify/{kind}/") else None

    return resolve


def _visible(record: Any, c: Context) -> Any:
    order = getattr(record, "order", record) if isinstance(record, RefundOf | ParcelOf) else record
    return record if record is None or not isinstance(order, Order) or c.may_see(order) else None


def _node(text: str, c: Context) -> Any:
    if text.startswith("gid://shopify/BulkOperation/"):
        return c.bulk.get(text)
    record = c.world.find(text)
    if record is None:
        return None
    scope = _SCOPE.get(text[14:].partition("/")[0])
    if scope is not None:
        c.need(scope, "node")
    return _visible(record, c)


def _location(_: Any, a: Args, c: Context) -> Any:
    c.need("read_locations", "location")
    if a.get("id") is None:
        return next((location for location in c.world.company.locations if location.active), None)
    return c.world.find(str(a["id"])) if "/Location/" in str(a["id"]) else None


def _discount_by_code(_: Any, a: Args, c: Context) -> Any:
    c.need("read_discounts", "codeDiscountNodeByCode")
    wanted = str(a["code"]).lower()
    return next((d for d in c.world.company.discounts if any(code.lower() == wanted for code in d.codes)), None)


def _shopifyql(_: Any, a: Args, c: Context) -> shopifyql.Answer:
    c.need("read_reports", "shopifyqlQuery")
    return shopifyql.answer(str(a["query"]), c.world, c.now)


def _run_bulk(_: Any, a: Args, c: Context) -> Payload:
    try:
        return Payload(c.bulk.start(str(a["query"]), bool(a["groupObjects"]), c))
    except BulkRefused as refused:
        return Payload(None, ((refused.field, refused.message, refused.code),))


def _cancel_bulk(_: Any, a: Args, c: Context) -> Payload:
    try:
        return Payload(c.bulk.cancel(str(a["id"])))
    except BulkRefused as refused:
        return Payload(c.bulk.get(str(a["id"])), ((refused.field, refused.message, refused.code),))


QUERY: Fields = {
    "shop": lambda o, a, c: c.world.company.shop,
    "orders": _list("orders", "read_orders"),
    "customers": _list("customers", "read_customers"),
    "products": _list("products", "read_products"),
    "productVariants": _list("productVariants", "read_products"),
    "inventoryItems": _list("inventoryItems", "read_inventory"),
    "locations": _list("locations", "read_locations"),
    "fulfillmentOrders": _list("fulfillmentOrders", "read_merchant_managed_fulfillment_orders"),
    "discountNodes": _list("discountNodes", "read_discounts"),
    "ordersCount": _count("ordersCount", "orders", "read_orders"),
    "customersCount": _count("customersCount", "customersCount", "read_customers"),
    "productsCount": _count("productsCount", "products", "read_products"),
    "productVariantsCount": _count("productVariantsCount", "productVariants", "read_products"),
    "locationsCount": _count("locationsCount", "locations", "read_locations"),
    "discountNodesCount": _count("discountNodesCount", "discountNodes", "read_discounts"),
    "order": _by_id("Order", "order"),
    "customer": _by_id("Customer", "customer"),
    "product": _by_id("Product", "product"),
    "productVariant": _by_id("ProductVariant", "productVariant"),
    "inventoryItem": _by_id("InventoryItem", "inventoryItem"),
    "inventoryLevel": _by_id("InventoryLevel", "inventoryLevel"),
    "fulfillment": _by_id("Fulfillment", "fulfillment"),
    "fulfillmentOrder": _by_id("FulfillmentOrder", "fulfillmentOrder"),
    "refund": _by_id("Refund", "refund"),
    "discountNode": _by_id("DiscountNode", "discountNode"),
    "codeDiscountNodeByCode": _discount_by_code,
    "location": _location,
    "node": lambda o, a, c: _node(str(a["id"]), c),
    "nodes": lambda o, a, c: [_node(str(one), c) for one in a["ids"]],
    "shopifyqlQuery": _shopifyql,
    "bulkOperation": lambda o, a, c: c.bulk.get(str(a["id"])),
    "bulkOperations": Connection(lambda o, a, c: c.bulk.listed(a, c)),
    "currentBulkOperation": lambda o, a, c: c.bulk.latest() if a.get("type", "QUERY") == "QUERY" else None,
    "currentAppInstallation": lambda o, a, c: App(tuple(sorted(c.scopes))),
    "publicApiVersions": lambda o, a, c: [*map(Version, reversed(VERSIONS)), Version("unstable")],
}

MUTATION: Fields = {"bulkOperationRunQuery": _run_bulk, "bulkOperationCancel": _cancel_bulk}

BULK: Fields = {
    "id": lambda o, a, c: o.id,
    "status": lambda o, a, c: o.seen_status(),
    "type": lambda o, a, c: "QUERY",
    "query": lambda o, a, c: o.query,
    "errorCode": lambda o, a, c: o.error_code,
    "createdAt": lambda o, a, c: instant(o.created_at),
    "completedAt": lambda o, a, c: instant(o.completed_at) if o.shown_over else None,
    "objectCount": lambda o, a, c: str(o.objects),
    "rootObjectCount": lambda o, a, c: str(o.roots),
    "fileSize": lambda o, a, c: str(o.size) if o.shown_over and o.size is not None else None,
    "url": lambda o, a, c: o.url(c.base_url, c.now) if o.shown_over else None,
    "partialDataUrl": lambda o, a, c: o.partial_url(c.base_url) if o.shown_over else None,
}


def _installed(name: str) -> Resolver:
    titles: dict[str, Any] = {
        "title": "Operations", "handle": "operations", "description": None, "apiKey": "sandbox-client",
    }  # fmt: skip
    return lambda o, a, c: titles[name]


ROOT_TYPES: dict[str, Fields] = {
    "QueryRoot": QUERY,
    "Mutation": MUTATION,
    "BulkOperation": BULK,
    "BulkOperationRunQueryPayload": {
        "bulkOperation": lambda o, a, c: o.operation,
        "userErrors": lambda o, a, c: o.errors,
    },
    "BulkOperationCancelPayload": {
        "bulkOperation": lambda o, a, c: o.operation,
        "userErrors": lambda o, a, c: o.errors,
    },
    "BulkOperationUserError": {
        "field": lambda o, a, c: o[0],
        "message": lambda o, a, c: o[1],
        "code": lambda o, a, c: o[2],
    },
    "UserError": {"field": lambda o, a, c: o[0], "message": lambda o, a, c: o[1]},
    "ApiVersion": {
        "handle": lambda o, a, c: o.handle,
        "displayName": lambda o, a, c: f"{o.handle} (Latest)" if o.handle == VERSIONS[0] else o.handle,
        "supported": lambda o, a, c: o.handle in VERSIONS,
    },
    "AppInstallation": {
        "id": lambda o, a, c: gid("AppInstallation", APP_ID + 5),
        "accessScopes": lambda o, a, c: o.scopes,
        "app": lambda o, a, c: o,
    },
    "App": {
        "id": lambda o, a, c: gid("App", APP_ID),
        "webhookApiVersion": lambda o, a, c: VERSIONS[0],
        **{name: _installed(name) for name in ("title", "handle", "description", "apiKey")},
    },
    "AccessScope": {"handle": lambda o, a, c: o, "description": lambda o, a, c: o.replace("_", " ").capitalize()},
    "ShopifyqlQueryResponse": {
        "tableData": lambda o, a, c: None if o.errors else o,
        "parseErrors": lambda o, a, c: o.errors,
    },
    "ShopifyqlTableData": {"columns": lambda o, a, c: o.columns, "rows": lambda o, a, c: o.rows},
    "ShopifyqlTableDataColumn": {
        "name": lambda o, a, c: o.name,
        "displayName": lambda o, a, c: o.title,
        "dataType": lambda o, a, c: o.kind,
        "subType": lambda o, a, c: None,
    },
    "Count": {
        "count": lambda o, a, c: o.count if isinstance(o, CountOf) else o,
        "precision": lambda o, a, c: "AT_LEAST" if isinstance(o, CountOf) and not o.exact else "EXACT",
    },
    "PageInfo": {
        "hasNextPage": lambda o, a, c: o.has_next,
        "hasPreviousPage": lambda o, a, c: o.has_previous,
        "startCursor": lambda o, a, c: o.start_cursor,
        "endCursor": lambda o, a, c: o.end_cursor,
    },
}

FIELDS: dict[str, dict[str, Resolver | Connection]] = {
    **ORDER_TYPES,
    **SHIPPING_TYPES,
    **CATALOGUE_TYPES,
    **ROOT_TYPES,
}

_NODE_TYPES: dict[type, str] = {
    Order: "Order",
    OrderLine: "LineItem",
    RefundOf: "Refund",
    ParcelOf: "Fulfillment",
    FulfilmentOrder: "FulfillmentOrder",
    Customer: "Customer",
    Product: "Product",
    Variant: "ProductVariant",
    Item: "InventoryItem",
    InventoryLevel: "InventoryLevel",
    Location: "Location",
    Discount: "DiscountNode",
    Shop: "Shop",
    BulkOperation: "BulkOperation",
}

_DISCOUNTS = {
    "code_basic": "DiscountCodeBasic",
    "code_bxgy": "DiscountCodeBxgy",
    "code_free_shipping": "DiscountCodeFreeShipping",
    "automatic_basic": "DiscountAutomaticBasic",
    "automatic_bxgy": "DiscountAutomaticBxgy",
    "automatic_free_shipping": "DiscountAutomaticFreeShipping",
}


def type_name(source: Any, abstract: str) -> str:
    """The object type of a source where the field's own type is an interface or a union."""
    if type(source) is Overlay:
        return source.kind
    match abstract:
        case "Discount" | "DiscountCode" | "DiscountAutomatic":
            return _DISCOUNTS[source.kind]
        case "PricingValue":
            return "MoneyV2" if isinstance(source, Decimal) else "PricingPercentageValue"
        case "DiscountApplication":
            assert isinstance(source, Application)
            return "AutomaticDiscountApplication" if source.code is None else "DiscountCodeApplication"
    return _NODE_TYPES[type(source)]

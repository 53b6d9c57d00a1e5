"""The fields of products, stock, locations, customers, discounts and the shop.

Belongs here: one resolver a field. Does not belong here: orders (`order_fields.py`), root fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.company.model import ZERO, Discount, InventoryLevel, Product, Variant
from sandbox.shopify.context import Connection, Context, Resolver
from sandbox.shopify.listing import Sorted, micros
from sandbox.shopify.search import Filter, Setting, compile_query
from sandbox.shopify.values import ApiError, gid, instant, price
from sandbox.shopify.world import Item

Args = Mapping[str, Any]
Fields = dict[str, Resolver | Connection]

QUANTITIES = ("available", "committed", "damaged", "incoming", "on_hand", "quality_control", "reserved", "safety_stock")


@dataclass(frozen=True, slots=True)
class Quantity:
    level: InventoryLevel
    name: str
    value: int


@dataclass(frozen=True, slots=True)
class PriceRange:
    low: Any
    high: Any


@dataclass(frozen=True, slots=True)
class RedeemCode:
    discount: Discount
    place: int
    code: str


def _available(variant: Variant, c: Context) -> int:
    return c.world.available_of_item.get(variant.inventory_item_id, 0)


def _stock(product: Product, a: Args, c: Context) -> int:
    return sum(_available(variant, c) for variant in product.variants)


def _text(product: Product, a: Args, c: Context) -> str:
    text = f"{product.title}. {product.product_type} by {product.vendor}."
    limit = a.get("truncateAt")
    return text if limit is None or len(text) <= limit else text[: max(0, limit - 3)] + "..."


PRODUCT: Fields = {
    "id": lambda o, a, c: f"gid://shopify/Product/{o.id}",
    "legacyResourceId": lambda o, a, c: str(o.id),
    "defaultCursor": lambda o, a, c: str(o.id),
    "title": lambda o, a, c: o.title,
    "handle": lambda o, a, c: o.handle,
    "status": lambda o, a, c: o.status,
    "productType": lambda o, a, c: o.product_type,
    "vendor": lambda o, a, c: o.vendor,
    "tags": lambda o, a, c: o.tags,
    "createdAt": lambda o, a, c: instant(o.created_at),
    "updatedAt": lambda o, a, c: instant(o.updated_at),
    "publishedAt": lambda o, a, c: instant(o.created_at) if o.status == "ACTIVE" else None,
    "description": _text,
    "descriptionHtml": lambda o, a, c: f"<p>{_text(o, {}, c)}</p>",
    "isGiftCard": lambda o, a, c: False,
    "hasOnlyDefaultVariant": lambda o, a, c: len(o.variants) == 1,
    "hasOutOfStockVariants": lambda o, a, c: any(v.tracked and _available(v, c) <= 0 for v in o.variants),
    "totalInventory": _stock,
    "tracksInventory": lambda o, a, c: any(v.tracked for v in o.variants),
    "variants": Connection(lambda o, a, c: o.variants),
    "variantsCount": lambda o, a, c: len(o.variants),
    "priceRangeV2": lambda o, a, c: PriceRange(
        min((v.price for v in o.variants), default=ZERO), max((v.price for v in o.variants), default=ZERO)
    ),
}


def _position(variant: Variant, a: Args, c: Context) -> int:
    product = c.world.product(variant.product_id)
    return 1 if product is None else product.variants.index(variant) + 1


def _display_name(variant: Variant, a: Args, c: Context) -> str:
    product = c.world.product(variant.product_id)
    return f"{product.title} - {variant.title}" if product else variant.title


VARIANT: Fields = {
    "id": lambda o, a, c: f"gid://shopify/ProductVariant/{o.id}",
    "legacyResourceId": lambda o, a, c: str(o.id),
    "title": lambda o, a, c: o.title,
    "displayName": _display_name,
    "sku": lambda o, a, c: o.sku,
    "barcode": lambda o, a, c: None,
    "price": lambda o, a, c: price(o.price),
    "compareAtPrice": lambda o, a, c: price(o.compare_at_price),
    "position": _position,
    "createdAt": lambda o, a, c: instant(o.created_at),
    "updatedAt": lambda o, a, c: instant(o.updated_at),
    "inventoryQuantity": lambda o, a, c: _available(o, c) if o.tracked else None,
    "sellableOnlineQuantity": lambda o, a, c: max(0, _available(o, c)),
    "availableForSale": lambda o, a, c: o.active and (not o.tracked or _available(o, c) > 0),
    "inventoryPolicy": lambda o, a, c: "DENY",
    "taxable": lambda o, a, c: True,
    "inventoryItem": lambda o, a, c: c.world.items[o.inventory_item_id],
    "product": lambda o, a, c: c.world.product(o.product_id),
    "selectedOptions": lambda o, a, c: [o],
}


def _levels_query(levels: Sequence[InventoryLevel], a: Args, c: Context, path: str) -> Sequence[InventoryLevel]:
    filters = {
        "id": Filter("id", lambda level: level.id),
        "inventory_item_id": Filter("id", lambda level: level.inventory_item_id),
        "updated_at": Filter("time", lambda level: level.updated_at),
        "created_at": Filter("time", lambda level: level.updated_at),
        "inventory_group_id": Filter("never", lambda level: None),
    }
    predicate, warnings = compile_query(a.get("query"), filters, None, Setting(c.world.zone, c.now))
    if warnings:
        c.warnings.append({"path": [path], "query": a.get("query"), "warnings": warnings})
    return levels if predicate is None else [level for level in levels if predicate(level)]


def _item_levels(item: Item, a: Args, c: Context) -> Sequence[InventoryLevel]:
    c.need("read_inventory", "inventoryLevels")
    levels = c.world.levels_of_item.get(item.variant.inventory_item_id, [])
    return _levels_query(levels, a, c, "inventoryLevels")


def _item_level(item: Item, a: Args, c: Context) -> InventoryLevel | None:
    levels = c.world.levels_of_item.get(item.variant.inventory_item_id, [])
    return next((level for level in levels if gid("Location", level.location_id) == a["locationId"]), None)


ITEM: Fields = {
    "id": lambda o, a, c: f"gid://shopify/InventoryItem/{o.variant.inventory_item_id}",
    "legacyResourceId": lambda o, a, c: str(o.variant.inventory_item_id),
    "sku": lambda o, a, c: o.variant.sku,
    "tracked": lambda o, a, c: o.variant.tracked,
    "requiresShipping": lambda o, a, c: o.variant.requires_shipping,
    "createdAt": lambda o, a, c: instant(o.variant.created_at),
    "updatedAt": lambda o, a, c: instant(o.variant.updated_at),
    "unitCost": lambda o, a, c: o.variant.unit_cost,
    "duplicateSkuCount": lambda o, a, c: 0,
    "countryCodeOfOrigin": lambda o, a, c: "CN" if o.variant.tracked else None,
    "harmonizedSystemCode": lambda o, a, c: None,
    "inventoryLevel": _item_level,
    "inventoryLevels": Connection(_item_levels),
    "locationsCount": lambda o, a, c: len(c.world.levels_of_item.get(o.variant.inventory_item_id, [])),
    "variant": lambda o, a, c: o.variant,
    "variants": Connection(lambda o, a, c: (o.variant,)),
}


def _quantities(level: InventoryLevel, a: Args, c: Context) -> list[Quantity]:
    found = []
    for name in a["names"]:
        if name not in QUANTITIES:
            names = ", ".join(QUANTITIES)
            raise ApiError(
                f"The specified inventory state name {name!r} is invalid. Valid names: {names}", "BAD_REQUEST"
            )
        value = 0 if name == "quality_control" else getattr(level, name)
        found.append(Quantity(level, name, value))
    return found


def level_gid(level: InventoryLevel) -> str:
    return f"gid://shopify/InventoryLevel/{level.id}?inventory_item_id={level.inventory_item_id}"


LEVEL: Fields = {
    "id": lambda o, a, c: level_gid(o),
    "createdAt": lambda o, a, c: instant(c.world.company.variant_by_id[o.variant_id].created_at),
    "updatedAt": lambda o, a, c: instant(o.updated_at),
    "isActive": lambda o, a, c: o.active,
    "canDeactivate": lambda o, a, c: o.on_hand == 0,
    "item": lambda o, a, c: c.world.items[o.inventory_item_id],
    "location": lambda o, a, c: c.world.location(o.location_id),
    "quantities": _quantities,
}

QUANTITY: Fields = {
    "id": lambda o, a, c: (
        f"gid://shopify/InventoryQuantity/{o.level.id}?inventory_item_id={o.level.inventory_item_id}&name={o.name}"
    ),
    "name": lambda o, a, c: o.name,
    "quantity": lambda o, a, c: o.value,
    "updatedAt": lambda o, a, c: instant(o.level.updated_at),
}


def _location_levels(location: Any, a: Args, c: Context) -> Sequence[InventoryLevel]:
    c.need("read_inventory", "inventoryLevels")
    return _levels_query(c.world.levels_of_location.get(location.id, []), a, c, "inventoryLevels")


def _location_level(location: Any, a: Args, c: Context) -> InventoryLevel | None:
    levels = c.world.levels_of_location.get(location.id, [])
    wanted = a["inventoryItemId"]
    return next((level for level in levels if gid("InventoryItem", level.inventory_item_id) == wanted), None)


LOCATION: Fields = {
    "id": lambda o, a, c: f"gid://shopify/Location/{o.id}",
    "legacyResourceId": lambda o, a, c: str(o.id),
    "name": lambda o, a, c: o.name,
    "isActive": lambda o, a, c: o.active,
    "fulfillsOnlineOrders": lambda o, a, c: o.fulfils_online,
    "shipsInventory": lambda o, a, c: o.fulfils_online,
    "isFulfillmentService": lambda o, a, c: o.kind in {"partner_warehouse", "marketplace"},
    "createdAt": lambda o, a, c: instant(o.created_at),
    "updatedAt": lambda o, a, c: instant(o.updated_at),
    "deactivatedAt": lambda o, a, c: None if o.active else instant(o.updated_at),
    "address": lambda o, a, c: o.address,
    "addressVerified": lambda o, a, c: True,
    "hasActiveInventory": lambda o, a, c: any(level.on_hand for level in c.world.levels_of_location.get(o.id, [])),
    "hasUnfulfilledOrders": lambda o, a, c: any(
        f.location_id == o.id and f.status in {"OPEN", "IN_PROGRESS"} for f in c.world.fulfilment_orders
    ),
    "inventoryLevel": _location_level,
    "inventoryLevels": Connection(_location_levels),
}

LOCATION_ADDRESS: Fields = {
    "city": lambda o, a, c: o.city,
    "country": lambda o, a, c: o.country,
    "countryCode": lambda o, a, c: o.country,
    "province": lambda o, a, c: o.province,
    "provinceCode": lambda o, a, c: o.province,
    "zip": lambda o, a, c: o.postcode,
    "formatted": lambda o, a, c: [part for part in (o.city, o.province, o.postcode, o.country) if part],
    **dict.fromkeys(("address1", "address2", "phone"), lambda o, a, c: None),
}


def _orders(customer: Any, a: Args, c: Context) -> Sorted:
    """A customer's orders, filtered and sorted like the root connection."""
    c.need("read_orders", "orders")
    sort = a.get("sortKey") or "ID"
    every = c.listing("orders", {"query": a.get("query")}, "orders", sort=sort)
    own = {id(order) for order in c.world.orders_of(customer)}
    pairs = [(item, key) for item, key in zip(every.items, every.keys, strict=True) if id(item) in own]
    return Sorted([item for item, _ in pairs], [key for _, key in pairs])


def _last_order(customer: Any, a: Args, c: Context) -> Any:
    c.need("read_orders", "lastOrder")
    return max(c.world.orders_of(customer), key=lambda o: micros(getattr(o, "created_at", None)), default=None)


CUSTOMER: Fields = {
    "id": lambda o, a, c: f"gid://shopify/Customer/{o.id}",
    "legacyResourceId": lambda o, a, c: str(o.id),
    "firstName": lambda o, a, c: o.first_name or None,
    "lastName": lambda o, a, c: o.last_name or None,
    "displayName": lambda o, a, c: f"{o.first_name} {o.last_name}".strip() or o.email or str(o.id),
    "email": lambda o, a, c: o.email,
    "defaultEmailAddress": lambda o, a, c: o if o.email else None,
    "state": lambda o, a, c: o.state,
    "tags": lambda o, a, c: o.tags,
    "note": lambda o, a, c: None,
    "locale": lambda o, a, c: "en",
    "verifiedEmail": lambda o, a, c: o.email is not None,
    "taxExempt": lambda o, a, c: False,
    "createdAt": lambda o, a, c: instant(o.created_at),
    "updatedAt": lambda o, a, c: instant(o.updated_at),
    "numberOfOrders": lambda o, a, c: str(o.orders_count),
    "amountSpent": lambda o, a, c: o.amount_spent,
    "defaultAddress": lambda o, a, c: o.address,
    "orders": Connection(_orders),
    "lastOrder": _last_order,
}

EMAIL: Fields = {"emailAddress": lambda o, a, c: o.email, "validFormat": lambda o, a, c: True}


def _status(discount: Discount, now: datetime) -> str:
    if discount.starts_at > now:
        return "SCHEDULED"
    return "EXPIRED" if discount.ends_at is not None and discount.ends_at <= now else "ACTIVE"


def _summary(discount: Discount, a: Args, c: Context) -> str:
    if discount.percentage is not None:
        return f"{discount.percentage * 100:.0f}% off entire order"
    if discount.amount is not None:
        return f"{c.currency} {discount.amount} off entire order"
    return "Free shipping on all products" if "shipping" in discount.kind else "Buy one, get one"


def _classes(discount: Discount, a: Args, c: Context) -> list[str]:
    if "shipping" in discount.kind:
        return ["SHIPPING"]
    return ["PRODUCT"] if "bxgy" in discount.kind else ["ORDER"]


DISCOUNT: Fields = {
    "title": lambda o, a, c: o.title,
    "status": lambda o, a, c: _status(o, c.now),
    "summary": _summary,
    "shortSummary": _summary,
    "startsAt": lambda o, a, c: instant(o.starts_at),
    "endsAt": lambda o, a, c: instant(o.ends_at),
    "createdAt": lambda o, a, c: instant(o.created_at),
    "updatedAt": lambda o, a, c: instant(o.updated_at),
    "asyncUsageCount": lambda o, a, c: sum(o.usage.values()),
    "combinesWith": lambda o, a, c: o,
    "discountClasses": _classes,
    "tags": lambda o, a, c: [],
    "appliesOncePerCustomer": lambda o, a, c: "WELCOME10" in o.codes,
    "codes": Connection(lambda o, a, c: [RedeemCode(o, place, code) for place, code in enumerate(o.codes)]),
    "codesCount": lambda o, a, c: len(o.codes),
    "hasTimelineComment": lambda o, a, c: False,
    "totalSales": lambda o, a, c: None,
    "usageLimit": lambda o, a, c: None,
    "usesPerOrderLimit": lambda o, a, c: None,
    "recurringCycleLimit": lambda o, a, c: 1,
    "appliesOnOneTimePurchase": lambda o, a, c: True,
    "appliesOnSubscription": lambda o, a, c: False,
    "maximumShippingPrice": lambda o, a, c: None,
    "id": lambda o, a, c: gid("DiscountAutomaticNode", o.id),
}

REDEEM_CODE: Fields = {
    "id": lambda o, a, c: gid("DiscountRedeemCode", o.discount.id * 8 + o.place),
    "code": lambda o, a, c: o.code,
    "asyncUsageCount": lambda o, a, c: o.discount.usage.get(o.code, 0),
}

_UNITS: Fields = {"unitSystem": lambda o, a, c: "IMPERIAL_SYSTEM", "weightUnit": lambda o, a, c: "POUNDS"}


def _zone(read: Callable[[datetime], Any]) -> Resolver:
    return lambda o, a, c: read(c.now.astimezone(c.world.zone))


def _minutes(at: datetime) -> int:
    offset = at.utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)


SHOP: Fields = {
    "id": lambda o, a, c: gid("Shop", o.id),
    "name": lambda o, a, c: o.name,
    "description": lambda o, a, c: None,
    "email": lambda o, a, c: o.email,
    "contactEmail": lambda o, a, c: o.email,
    "shopOwnerName": lambda o, a, c: o.name,
    "myshopifyDomain": lambda o, a, c: o.myshopify_domain,
    "primaryDomain": lambda o, a, c: o,
    "url": lambda o, a, c: f"https://{o.myshopify_domain}",
    "currencyCode": lambda o, a, c: o.currency,
    "enabledPresentmentCurrencies": lambda o, a, c: [o.currency],
    "ianaTimezone": lambda o, a, c: o.timezone,
    "timezoneAbbreviation": _zone(lambda at: at.tzname()),
    "timezoneOffset": _zone(lambda at: at.strftime("%z")),
    "timezoneOffsetMinutes": _zone(_minutes),
    "orderNumberFormatPrefix": lambda o, a, c: "#",
    "orderNumberFormatSuffix": lambda o, a, c: "",
    "setupRequired": lambda o, a, c: False,
    "taxesIncluded": lambda o, a, c: False,
    "taxShipping": lambda o, a, c: False,
    "createdAt": lambda o, a, c: instant(o.created_at),
    "updatedAt": lambda o, a, c: instant(o.created_at),
    "plan": lambda o, a, c: o,
    **_UNITS,
}

CATALOGUE_TYPES: dict[str, Fields] = {
    "Product": PRODUCT,
    "ProductVariant": VARIANT,
    "ProductPriceRangeV2": {"minVariantPrice": lambda o, a, c: o.low, "maxVariantPrice": lambda o, a, c: o.high},
    "SelectedOption": {"name": lambda o, a, c: "Title", "value": lambda o, a, c: o.title},
    "InventoryItem": ITEM,
    "InventoryLevel": LEVEL,
    "InventoryQuantity": QUANTITY,
    "Location": LOCATION,
    "LocationAddress": LOCATION_ADDRESS,
    "Customer": CUSTOMER,
    "CustomerEmailAddress": EMAIL,
    "Shop": SHOP,
    "ShopPlan": {
        "publicDisplayName": lambda o, a, c: "Shopify",
        "partnerDevelopment": lambda o, a, c: False,
        "shopifyPlus": lambda o, a, c: False,
    },
    "Domain": {
        "id": lambda o, a, c: gid("Domain", o.id),
        "host": lambda o, a, c: o.myshopify_domain,
        "url": lambda o, a, c: f"https://{o.myshopify_domain}",
        "sslEnabled": lambda o, a, c: True,
    },
    "DiscountNode": {"id": lambda o, a, c: gid("DiscountNode", o.id), "discount": lambda o, a, c: o},
    "DiscountCodeNode": {"id": lambda o, a, c: gid("DiscountCodeNode", o.id), "codeDiscount": lambda o, a, c: o},
    **dict.fromkeys(
        (
            "DiscountCodeBasic", "DiscountCodeBxgy", "DiscountCodeFreeShipping", "DiscountAutomaticBasic",
            "DiscountAutomaticBxgy", "DiscountAutomaticFreeShipping",
        ),
        DISCOUNT,
    ),
    "DiscountCombinesWith": {
        "orderDiscounts": lambda o, a, c: False,
        "productDiscounts": lambda o, a, c: True,
        "shippingDiscounts": lambda o, a, c: True,
    },
    "DiscountRedeemCode": REDEEM_CODE,
}  # fmt: skip

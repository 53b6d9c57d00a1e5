"""The root connections: what they list, how they filter and sort, and the results kept between pages.

Belongs here: filters and sort keys of each collection, counts. Does not belong here: the search syntax
(`search.py`), pages (`paging.py`), fields of the records.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.shopify.search import Filter, Setting, compile_query, span
from sandbox.shopify.values import Overlay, parse_instant, split_gid
from sandbox.shopify.world import World, order_gid

Get = Callable[[Any], Any]
_KEPT = 24
_NONE_LAST = 1 << 62


def micros(at: datetime | None) -> int:
    """Microseconds since 1970 as a sort key; a missing instant sorts last."""
    if at is None:
        return _NONE_LAST
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def _over(key: str, get: Get, read: Callable[[Any], Any]) -> Get:
    """`get`, but an overlay's own JSON under `key` wins; what cannot be read counts as missing."""

    def found(item: Any) -> Any:
        while type(item) is Overlay:
            if key in item.patch:
                try:
                    return read(item.patch[key])
                except (TypeError, ValueError, AttributeError):
                    return None
            item = item.base
        return get(item)

    return found


def _at(key: str, get: Get) -> Get:
    return _over(key, get, parse_instant)


_order_created = _at("createdAt", lambda o: o.created_at)
_order_processed = _at("processedAt", lambda o: o.processed_at)
_order_updated = _at("updatedAt", lambda o: o.updated_at)
_order_cancelled = _over("cancelledAt", lambda o: o.cancelled_at, lambda text: text)
_order_closed = _over("closedAt", lambda o: o.closed_at, lambda text: text)


def _order_id(order: Any) -> int:
    parts = split_gid(order_gid(order))
    return parts[1] if parts else 0


def _order_status(order: Any) -> tuple[str, ...]:
    if _order_cancelled(order):
        return ("cancelled", "not_open", "any")
    return ("closed", "any") if _order_closed(order) else ("open", "not_closed", "any")


_FINANCIAL = {"PENDING": ("pending", "unpaid"), "PARTIALLY_REFUNDED": ("partially_refunded",)}
_SHIPPING = {
    "UNFULFILLED": ("unfulfilled", "unshipped"),
    "PARTIALLY_FULFILLED": ("partial", "partially_fulfilled", "unfulfilled"),
    "FULFILLED": ("fulfilled", "shipped"),
}


def _base(get: Get) -> Get:
    """`get` on what the company says, below any overlay."""

    def found(item: Any) -> Any:
        while type(item) is Overlay:
            item = item.base
        return get(item)

    return found


def _never(*names: str) -> dict[str, Filter]:
    """Documented filters on things this company does not have: valid, and matching nothing."""
    return {name: Filter("never", lambda item: None) for name in names}


@dataclass(frozen=True, slots=True)
class Collection:
    """`hidden` names the flag argument that must be true for the records it would otherwise leave out."""

    name: str
    items: Callable[[World], Sequence[Any]]
    number: Callable[[Any], int]
    filters: Mapping[str, Filter]
    sorts: Mapping[str, Get]
    words: Filter | None = None
    created: Get | None = None
    updated: Get | None = None
    hidden: tuple[str, Get] | None = None


def _tags(get: Get) -> dict[str, Filter]:
    tags = _over("tags", get, tuple)
    return {"tag": Filter("text", tags), "tag_not": Filter("without", tags)}


def _orders() -> Collection:
    filters = {
        "id": Filter("id", _order_id),
        "name": Filter("words", _over("name", lambda o: o.name, str)),
        "created_at": Filter("time", _order_created),
        "updated_at": Filter("time", _order_updated),
        "processed_at": Filter("time", _order_processed),
        "status": Filter("text", _order_status),
        "financial_status": Filter(
            "text", _base(lambda o: (*_FINANCIAL.get(o.financial_status, (o.financial_status.lower(),)), "any"))
        ),
        "fulfillment_status": Filter("text", _base(lambda o: _SHIPPING[o.fulfilment_status])),
        "test": Filter("flag", _over("test", lambda o: o.test, bool)),
        "source_name": Filter("text", _over("sourceName", lambda o: o.channel, str)),
        "channel": Filter("text", _base(lambda o: o.channel)),
        "customer_id": Filter("id", _base(lambda o: o.customer_id)),
        "sku": Filter("text", _base(lambda o: {line.sku for line in o.lines})),
        "discount_code": Filter("text", _base(lambda o: o.discount_codes)),
        "current_total_price": Filter("number", _base(lambda o: o.total - o.refunded)),
        "subtotal_line_items_quantity": Filter("number", _base(lambda o: sum(line.quantity for line in o.lines))),
        "fulfillment_location_id": Filter("id", _base(lambda o: o.location_id if o.fulfilments else None)),
        **_tags(lambda o: o.tags),
        **_never(
            "cart_token", "channel_id", "chargeback_status", "checkout_token", "confirmation_number",
            "credit_card_last4", "delivery_method", "email", "fraud_protection_level", "gateway", "location_id",
            "payment_id", "payment_provider_id", "po_number", "reference_location_id", "return_status", "risk_level",
            "sales_channel", "source_identifier", "total_weight",
        ),
    }  # fmt: skip
    sorts: dict[str, Get] = {
        "CREATED_AT": lambda o: micros(_order_created(o)),
        "PROCESSED_AT": lambda o: micros(_order_processed(o)),
        "UPDATED_AT": lambda o: micros(_order_updated(o)),
        "ORDER_NUMBER": _base(lambda o: o.number),
        "TOTAL_PRICE": _base(lambda o: int(o.total * 1000)),
        "CURRENT_TOTAL_PRICE": _base(lambda o: int((o.total - o.refunded) * 1000)),
        "TOTAL_ITEMS_QUANTITY": _base(lambda o: sum(line.quantity for line in o.lines)),
        "FINANCIAL_STATUS": _base(lambda o: o.financial_status),
        "FULFILLMENT_STATUS": _base(lambda o: o.fulfilment_status),
        "CUSTOMER_NAME": _base(lambda o: str(o.customer_id or "")),
        "DESTINATION": _base(lambda o: o.shipping_address.country if o.shipping_address else ""),
        "PO_NUMBER": _base(lambda o: ""),
    }
    return Collection(
        "orders",
        lambda world: world.orders,
        _order_id,
        filters,
        sorts,
        Filter("words", _base(lambda o: (o.name, *(line.sku for line in o.lines)))),
        created=_order_created,
        updated=_order_updated,
    )


def _customers() -> Collection:
    return Collection(
        "customers",
        lambda world: world.company.customers,
        lambda c: c.id,
        {
            "id": Filter("id", lambda c: c.id),
            # Documented as "matching a whole day": the time of day is not looked at.
            "updated_at": Filter("day", lambda c: c.updated_at),
            "customer_date": Filter("time", lambda c: c.created_at),
            "email": Filter("text", lambda c: c.email),
            "first_name": Filter("words", lambda c: c.first_name),
            "last_name": Filter("words", lambda c: c.last_name),
            "country": Filter("text", lambda c: c.address.country if c.address else None),
            "orders_count": Filter("number", lambda c: c.orders_count),
            "total_spent": Filter("number", lambda c: c.amount_spent),
            "state": Filter("text", lambda c: c.state),
            **_tags(lambda c: c.tags),
            **_never("accepts_marketing", "last_abandoned_order_date", "order_date", "phone"),
        },
        {
            "CREATED_AT": lambda c: micros(c.created_at),
            "UPDATED_AT": lambda c: micros(c.updated_at),
            "NAME": lambda c: f"{c.last_name}, {c.first_name}",
            "LOCATION": lambda c: f"{c.address.country} {c.address.city}" if c.address else "",
        },
        Filter("words", lambda c: (c.first_name, c.last_name, c.email)),
        created=lambda c: c.created_at,
        updated=lambda c: c.updated_at,
    )


def _customers_counted() -> Collection:
    """`customersCount` has filters of its own, and there a time is a time."""
    return Collection(
        "customersCount",
        lambda world: world.company.customers,
        lambda c: c.id,
        {
            "id": Filter("id", lambda c: c.id),
            "created_at": Filter("time", lambda c: c.created_at),
            "updated_at": Filter("time", lambda c: c.updated_at),
        },
        {},
        updated=lambda c: c.updated_at,
    )


def _products() -> Collection:
    return Collection(
        "products",
        lambda world: world.company.products,
        lambda p: p.id,
        {
            "id": Filter("id", lambda p: p.id),
            "title": Filter("words", lambda p: p.title),
            "handle": Filter("text", lambda p: p.handle),
            "status": Filter("text", lambda p: p.status),
            "product_type": Filter("text", lambda p: p.product_type),
            "vendor": Filter("text", lambda p: p.vendor),
            "sku": Filter("text", lambda p: [v.sku for v in p.variants]),
            "variant_id": Filter("id", lambda p: p.variants[0].id if p.variants else None),
            "variant_title": Filter("words", lambda p: [v.title for v in p.variants]),
            "created_at": Filter("time", lambda p: p.created_at),
            "updated_at": Filter("time", lambda p: p.updated_at),
            "published_at": Filter("time", lambda p: p.created_at if p.status == "ACTIVE" else None),
            "gift_card": Filter("flag", lambda p: False),
            "tracks_inventory": Filter("flag", lambda p: any(v.tracked for v in p.variants)),
            "price": Filter("number", lambda p: p.variants[0].price if p.variants else None),
            **_tags(lambda p: p.tags),
            **_never(
                "barcode", "bundles", "category_id", "collection_id", "combined_listing_role", "delivery_profile_id",
                "error_feedback", "has_only_composites", "has_only_default_variant", "has_variant_with_components",
                "inventory_total", "is_price_reduced", "out_of_stock_somewhere", "product_configuration_owner",
                "product_publication_status", "publication_ids", "publishable_status", "published_status",
            ),
        },
        {
            "CREATED_AT": lambda p: micros(p.created_at),
            "UPDATED_AT": lambda p: micros(p.updated_at),
            "PUBLISHED_AT": lambda p: micros(p.created_at if p.status == "ACTIVE" else None),
            "TITLE": lambda p: p.title,
            "PRODUCT_TYPE": lambda p: p.product_type,
            "VENDOR": lambda p: p.vendor,
        },
        Filter("words", lambda p: (p.title, p.product_type, *(v.sku for v in p.variants))),
        updated=lambda p: p.updated_at,
    )  # fmt: skip


def _variants() -> Collection:
    return Collection(
        "productVariants",
        lambda world: world.company.variants,
        lambda v: v.id,
        {
            "id": Filter("id", lambda v: v.id),
            "sku": Filter("text", lambda v: v.sku),
            "title": Filter("words", lambda v: v.title),
            "product_id": Filter("id", lambda v: v.product_id),
            "updated_at": Filter("time", lambda v: v.updated_at),
            **_never("barcode", "collection", "delivery_profile_id", "gift_card", "location_id", "option1", "tag"),
        },
        {
            "SKU": lambda v: v.sku,
            "TITLE": lambda v: v.title,
            "NAME": lambda v: v.title,
            "FULL_TITLE": lambda v: v.title,
            "POSITION": lambda v: v.product_id,
        },
        Filter("words", lambda v: (v.sku, v.title)),
        updated=lambda v: v.updated_at,
    )


def _items() -> Collection:
    return Collection(
        "inventoryItems",
        lambda world: list(world.items.values()),
        lambda i: i.variant.inventory_item_id,
        {
            "id": Filter("id", lambda i: i.variant.inventory_item_id),
            "sku": Filter("text", lambda i: i.variant.sku),
            "created_at": Filter("time", lambda i: i.variant.created_at),
            "updated_at": Filter("time", lambda i: i.variant.updated_at),
        },
        {},
        updated=lambda i: i.variant.updated_at,
    )


def _locations() -> Collection:
    return Collection(
        "locations",
        lambda world: world.company.locations,
        lambda loc: loc.id,
        {
            "id": Filter("id", lambda loc: loc.id),
            "location_id": Filter("id", lambda loc: loc.id),
            "name": Filter("words", lambda loc: loc.name),
            "active": Filter("flag", lambda loc: loc.active),
            "city": Filter("text", lambda loc: loc.address.city),
            "country": Filter("text", lambda loc: loc.address.country),
            "province": Filter("text", lambda loc: loc.address.province),
            "zip": Filter("text", lambda loc: loc.address.postcode),
            "created_at": Filter("time", lambda loc: loc.created_at),
            **_never("address1", "address2", "geolocated", "legacy", "pickup_in_store"),
        },
        {"NAME": lambda loc: loc.name},
        Filter("words", lambda loc: loc.name),
        hidden=("includeInactive", lambda loc: not loc.active),
    )


def _fulfilment_orders() -> Collection:
    return Collection(
        "fulfillmentOrders",
        lambda world: world.fulfilment_orders,
        lambda f: f.id,
        {
            "id": Filter("id", lambda f: f.id),
            "status": Filter("text", lambda f: f.status),
            "assigned_location_id": Filter("id", lambda f: f.location_id),
            "updated_at": Filter("time", lambda f: f.updated_at),
        },
        {"UPDATED_AT": lambda f: micros(f.updated_at)},
        Filter("words", lambda f: f.order.name),
        created=lambda f: f.order.created_at,
        updated=lambda f: f.updated_at,
        hidden=("includeClosed", lambda f: f.status in {"CLOSED", "CANCELLED"}),
    )


def _discounts() -> Collection:
    return Collection(
        "discountNodes",
        lambda world: world.company.discounts,
        lambda d: d.id,
        {
            "id": Filter("id", lambda d: d.id),
            "code": Filter("text", lambda d: d.codes),
            "title": Filter("words", lambda d: d.title),
            "method": Filter("text", lambda d: "code" if d.codes else "automatic"),
            "times_used": Filter("number", lambda d: sum(d.usage.values())),
            "created_at": Filter("time", lambda d: d.created_at),
            "updated_at": Filter("time", lambda d: d.updated_at),
            "starts_at": Filter("time", lambda d: d.starts_at),
            "ends_at": Filter("time", lambda d: d.ends_at),
            **_never("combines_with", "context", "customer_ids", "discount_class", "discount_type", "market_ids",
                     "segment_ids", "status", "tag", "type"),
        },
        {
            "CREATED_AT": lambda d: micros(d.created_at),
            "UPDATED_AT": lambda d: micros(d.updated_at),
            "STARTS_AT": lambda d: micros(d.starts_at),
            "ENDS_AT": lambda d: micros(d.ends_at),
            "TITLE": lambda d: d.title,
        },
        Filter("words", lambda d: (d.title, *d.codes)),
        updated=lambda d: d.updated_at,
    )  # fmt: skip


COLLECTIONS: dict[str, Collection] = {
    one.name: one
    for one in (
        _orders(),
        _customers(),
        _customers_counted(),
        _products(),
        _variants(),
        _items(),
        _locations(),
        _fulfilment_orders(),
        _discounts(),
    )
}


class Sorted:
    """A filtered, sorted list with its keys: what pages are cut from."""

    __slots__ = ("items", "keys")

    def __init__(self, items: list[Any], keys: list[tuple[Any, int]]) -> None:
        self.items = items
        self.keys = keys


class Listings:
    """Lists of one world, kept while they are paged through."""

    def __init__(self, world: World) -> None:
        self.world = world
        # A bulk operation lists from its own thread.
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Any, ...], tuple[Sorted, list[dict[str, str]]]] = OrderedDict()
        self._by_instant: dict[tuple[int, str, int], tuple[list[int], list[Any]]] = {}

    def get(
        self, name: str, args: Mapping[str, Any], now: datetime, *, oldest: datetime | None = None,
        lag: timedelta = timedelta(0), sort: str | None = None,
    ) -> tuple[Sorted, list[dict[str, str]]]:  # fmt: skip
        """The list and the warnings of its query. `oldest` hides what was created before; `lag` hides from a
        query what changed less than that ago, as a search index that runs behind does."""
        collection = COLLECTIONS[name]
        text = args.get("query") or ""
        sort = sort or args.get("sortKey") or "ID"
        shown = collection.hidden is None or bool(args.get(collection.hidden[0]))
        moving = lag or any(word in text for word in ("now", "today", "yesterday"))
        key = (name, text, sort, shown, oldest, lag, now if moving else None, self.world.version)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
            found = self._list(collection, text, sort, shown, now, oldest, lag)
            self._kept[key] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return found

    def _list(
        self, collection: Collection, text: str, sort: str, shown: bool, now: datetime, oldest: datetime | None,
        lag: timedelta,
    ) -> tuple[Sorted, list[dict[str, str]]]:  # fmt: skip
        setting = Setting(self.world.zone, now)
        predicate, warnings = compile_query(text, collection.filters, collection.words, setting)
        items = self._between(collection, text, setting)
        if not shown and collection.hidden is not None:
            concealed = collection.hidden[1]
            items = [item for item in items if not concealed(item)]
        if oldest is not None and collection.created is not None:
            created = collection.created
            items = [item for item in items if (at := created(item)) is None or at >= oldest]
        if predicate is not None:
            items = [item for item in items if predicate(item)]
            if lag and collection.updated is not None:
                updated, edge = collection.updated, now - lag
                items = [item for item in items if (at := updated(item)) is None or at <= edge]
        number = collection.number
        value = collection.sorts.get(sort, number)
        pairs = sorted(((value(item), number(item)), place) for place, item in enumerate(items))
        return Sorted([items[place] for _, place in pairs], [key for key, _ in pairs]), warnings

    def _between(self, collection: Collection, text: str, setting: Setting) -> Sequence[Any]:
        """The items, narrowed by an index where the query is a plain span of one instant: asking for the count of
        each of seven hundred days must not read every order seven hundred times. The query still judges each."""
        found = _SPAN.search(text)
        field = collection.filters.get(found.group(1)) if found else None
        if found is None or field is None or field.kind != "time" or _NOT_PLAIN.search(text):
            return collection.items(self.world)
        key = (id(collection), found.group(1), self.world.version)
        if key not in self._by_instant:
            dated = [(micros(at), item) for item in collection.items(self.world) if (at := field.get(item)) is not None]
            dated.sort(key=lambda pair: pair[0])
            # Only the newest version of the world is ever asked about.
            self._by_instant = {k: v for k, v in self._by_instant.items() if k[2] == self.world.version}
            self._by_instant[key] = ([instant for instant, _ in dated], [item for _, item in dated])
        instants, items = self._by_instant[key]
        first, _ = span(found.group(1), found.group(2), setting)
        _, after = span(found.group(1), found.group(3), setting)
        return items[bisect_left(instants, micros(first)) : bisect_left(instants, micros(after))]


_SPAN = re.compile(r"(\w+_at):>='([^']+)'\s+(?:AND\s+)?\1:<=?'([^']+)'")
_NOT_PLAIN = re.compile(r"[()]|\bOR\b|\bNOT\b|(?:^|\s)-")

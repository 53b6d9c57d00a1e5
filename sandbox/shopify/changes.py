"""Changes a test makes from outside: orders put, touched, doubled, deleted; limits and rights set.

Belongs here: the operations of the control API on Shopify's data. Does not belong here: serving what they leave.

An order is given as JSON in the shape of an answer with connections as plain lists. What it does not say comes
from the order it replaces, or from a plain order of the company. Nothing is checked: a null where the schema has
none, an unknown currency or a negative quantity is served as given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandbox.mutation import MutationRefused, required
from sandbox.shopify.context import SCOPES
from sandbox.shopify.values import Overlay, gid, instant
from sandbox.shopify.world import World, order_gid

if TYPE_CHECKING:
    from sandbox.shopify.side import ShopifySide

_NEW_ORDER = 6_900_000_000_000


def _find(world: World, data: Mapping[str, Any]) -> Any:
    identity = data.get("id")
    if isinstance(identity, int) or (isinstance(identity, str) and identity.isdigit()):
        identity = gid("Order", int(identity))
    if isinstance(identity, str):
        return world.order(identity)
    name = data.get("name")
    if name is None:
        return None
    for order in world.orders:
        shown = order.patch.get("name", getattr(order.base, "name", None)) if type(order) is Overlay else order.name
        if shown == name:
            return order
    return None


def _must_find(world: World, data: Mapping[str, Any]) -> Any:
    found = _find(world, data)
    if found is None:
        raise MutationRefused(f"there is no order {data.get('id') or data.get('name')!r}.")
    return found


def _template(world: World) -> Any:
    """A plain order to stand in for what a new one does not say: paid, with a customer, nothing sent back."""
    for order in world.orders:
        if type(order) is not Overlay and order.customer_id and not order.refunds and not order.test:
            return order
    raise MutationRefused("the company has no order to serve as a template.")


def upsert_order(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """Put an order. Its `updatedAt` becomes the present unless given."""
    world, now = side.world, instant(side.hooks.clock.now())
    found = _find(world, data) if data.get("id") or data.get("name") else None
    if found is None:
        number = sum(1 for order in world.orders if type(order) is Overlay) + 1
        patch = {
            "id": gid("Order", _NEW_ORDER + number * 1024),
            "legacyResourceId": str(_NEW_ORDER + number * 1024),
            "name": f"#T{number}",
            "createdAt": now,
            "processedAt": data.get("createdAt") or now,
            "updatedAt": now,
            "cancelledAt": None,
            "refunds": [],
            "fulfillments": [],
            **data,
        }
        overlay = Overlay("Order", _template(world), patch)
        world.replace_orders(lambda orders: [*orders, overlay])
        return {"id": patch["id"], "created": True}
    before = found.patch if type(found) is Overlay else {}
    base = found.base if type(found) is Overlay else found
    patch = {**before, "updatedAt": now, **data, "id": data.get("id") or order_gid(found)}
    if isinstance(patch["id"], int):
        patch["id"] = gid("Order", patch["id"])
    overlay = Overlay("Order", base, patch)
    world.replace_orders(lambda orders: [overlay if order is found else order for order in orders])
    return {"id": patch["id"], "created": False}


def touch_order(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """Only `updatedAt` moves, to `at` or the present."""
    found = _must_find(side.world, data)
    at = data.get("at") or instant(side.hooks.clock.now())
    return upsert_order(side, {"id": order_gid(found), "updatedAt": at})


def delete_order(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """The order is gone without a trace, as a deleted order is."""
    found = _must_find(side.world, data)
    identity = order_gid(found)
    side.world.replace_orders(lambda orders: [order for order in orders if order_gid(order) != identity])
    return {"id": identity, "deleted": True}


def duplicate_order(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """The order is listed twice, the second time with the changes given under `changes`."""
    found = _must_find(side.world, data)
    twin = Overlay("Order", found, dict(data.get("changes") or {}), twin=1)
    world = side.world
    place = world.orders.index(found)
    world.replace_orders(lambda orders: [*orders[: place + 1], twin, *orders[place + 1 :]])
    return {"id": order_gid(found)}


def set_scopes(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """The scopes of tokens, those already granted too: `scopes` exactly, or the usual ones without `without`."""
    scopes = frozenset(data["scopes"]) if "scopes" in data else frozenset(SCOPES) - frozenset(data.get("without") or ())
    side.scopes = scopes
    return {"scopes": sorted(scopes)}


def set_bucket(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """The size of the bucket and its points a second."""
    side.set_bucket(int(required(data, "maximum")), int(required(data, "restore")))
    return side.bucket.status()


def set_search_lag(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """How far the search index runs behind, in seconds."""
    side.search_lag = timedelta(seconds=float(required(data, "seconds")))
    return {"seconds": side.search_lag.total_seconds()}


def set_pagination_cap(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """After how many objects cursor pagination ends."""
    side.pagination_cap = int(required(data, "objects"))
    return {"objects": side.pagination_cap}


def expire_tokens(side: ShopifySide, data: dict[str, Any]) -> dict[str, Any]:
    """Every token granted so far is void."""
    side.tokens.revoke()
    return {"revoked": True}


OPERATIONS: dict[str, Callable[[ShopifySide, dict[str, Any]], dict[str, Any]]] = {
    "upsert_order": upsert_order,
    "touch_order": touch_order,
    "delete_order": delete_order,
    "duplicate_order": duplicate_order,
    "set_scopes": set_scopes,
    "set_bucket": set_bucket,
    "set_search_lag": set_search_lag,
    "set_pagination_cap": set_pagination_cap,
    "expire_tokens": expire_tokens,
}


def apply(side: ShopifySide, op: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Raises MutationRefused for an operation or data that make no sense."""
    operation = OPERATIONS.get(op)
    if operation is None:
        raise MutationRefused(f'"op" must be one of {", ".join(OPERATIONS)}, not {op!r}.')
    return operation(side, dict(data))

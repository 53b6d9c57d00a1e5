"""Answers spoilt on purpose: a page repeated, emptied, cut short, with a null where there can be none.

Belongs here: the semantic faults of the GraphQL endpoint and what each does to an answer. Does not belong here:
arming them (`sandbox/faults.py`), faults of the connection (`sandbox/gate.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.hooks import Hooks

PAGE_FAULTS = frozenset({"empty_page", "short_page", "duplicate_nodes", "null_price", "null_id", "endless_page"})
REFUSALS = frozenset({"throttled", "access_denied", "internal_error", "invalid_token", "repeat_page"})
BULK_FAULTS = frozenset({"bulk_failed", "bulk_timeout", "bulk_access_denied", "bulk_stuck"})
OAUTH_FAULTS = frozenset({"shop_not_permitted", "short_token"})


def take(hooks: Hooks, point: str, names: frozenset[str]) -> str | None:
    """One of the named faults armed at the point, used up; None where there is none. A plan that can be asked by
    name is, so that a fault meant for another point is not used up here."""
    by_name = getattr(hooks.faults, "take_fault", None)
    if by_name is not None:
        fault = by_name("shopify", point, names)
        return None if fault is None else str(fault.name)
    name = hooks.faults.take("shopify", point)
    return name if name in names else None


def connections(data: Any) -> Iterator[dict[str, Any]]:
    """The connections right below the root of an answer."""
    for value in data.values() if isinstance(data, dict) else ():
        if isinstance(value, dict) and ("nodes" in value or "edges" in value):
            yield value


def nodes_of(connection: dict[str, Any]) -> list[Any]:
    if isinstance(connection.get("nodes"), list):
        return list(connection["nodes"])
    return [edge.get("node") for edge in connection.get("edges") or ()]


def count_nodes(data: Any) -> dict[str, int]:
    """Records below each root connection, for the ledger."""
    if not isinstance(data, dict):
        return {}
    return {
        key: len(nodes_of(value))
        for key, value in data.items()
        if isinstance(value, dict) and ("nodes" in value or "edges" in value)
    }


def spoil(name: str, data: Any) -> None:
    """Change the answer in place."""
    for connection in connections(data):
        for key in ("nodes", "edges"):
            records = connection.get(key)
            if not isinstance(records, list):
                continue
            if name == "empty_page":
                connection[key] = []
            elif name == "short_page":
                connection[key] = records[: len(records) // 2]
            elif name == "duplicate_nodes" and records:
                connection[key] = [records[0], *records]
            elif name == "null_id" and records:
                record = records[0] if key == "nodes" else records[0].get("node")
                if isinstance(record, dict):
                    record["id"] = None
        info = connection.get("pageInfo")
        if isinstance(info, dict):
            if name in {"empty_page", "short_page"}:
                info["hasNextPage"] = False
            elif name == "endless_page":
                info["hasNextPage"] = True
    if name == "null_price":
        _null_price(data)


def _null_price(value: Any) -> bool:
    """Null out the first unit price, or the first variant price, wherever it is."""
    if isinstance(value, list):
        return any(_null_price(one) for one in value)
    if not isinstance(value, dict):
        return False
    money = value.get("originalUnitPriceSet")
    if isinstance(money, dict) and isinstance(money.get("shopMoney"), dict):
        money["shopMoney"]["amount"] = None
        return True
    if isinstance(value.get("price"), str):
        value["price"] = None
        return True
    return any(_null_price(one) for one in value.values())

"""Searching records: filters, sorting, the limits of a search.

Belongs here: what a search body means and when it is refused. Does not belong here: HTTP (`side.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.hubspot.world import Item

LARGEST_PAGE = 200
DEFAULT_PAGE = 10
MOST_RESULTS = 10_000
MOST_GROUPS = 6
MOST_FILTERS = 6
_ORDERED = {"GT", "GTE", "LT", "LTE", "BETWEEN"}
_OPERATORS = _ORDERED | {"EQ", "NEQ", "IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY", "CONTAINS_TOKEN"}
Values = dict[str, str]


class SearchRefused(ValueError):
    """The body is not a search; the message says why."""


def search(items: Sequence[Item], body: Any, types: Values) -> tuple[list[Item], int, str | None]:
    """The page of records asked for, how many there are in all, and where the next page begins."""
    if not isinstance(body, dict):
        raise SearchRefused("Invalid input JSON: the request body is not an object")
    limit = body.get("limit", DEFAULT_PAGE)
    if not isinstance(limit, int) or not 0 <= limit <= LARGEST_PAGE:
        raise SearchRefused(f"limit must be between 0 and {LARGEST_PAGE}")
    after = body.get("after") or "0"
    if not str(after).isdigit():
        raise SearchRefused(f"{after!r} is not an offset")
    start = int(after)
    if start + limit > MOST_RESULTS:
        raise SearchRefused(f"The total results of a search cannot exceed {MOST_RESULTS}")
    groups = body.get("filterGroups") or []
    if not isinstance(groups, list) or len(groups) > MOST_GROUPS:
        raise SearchRefused(f"A search may have at most {MOST_GROUPS} filterGroups")
    tests = [_group(group, types) for group in groups]
    found = [item for item in items if not tests or any(all(test(item) for test in group) for group in tests)]
    for sort in reversed(body.get("sorts") or []):
        name, backwards = _sort(sort)
        if name not in types:
            raise SearchRefused(f"Property {name!r} does not exist")
        found.sort(key=lambda item: _comparable(item.properties.get(name), types[name]), reverse=backwards)
    page = found[start : start + limit]
    following = str(start + limit) if start + limit < len(found) else None
    return page, len(found), following


def _sort(sort: Any) -> tuple[str, bool]:
    if isinstance(sort, str):
        return sort.removeprefix("-"), sort.startswith("-")
    if isinstance(sort, dict):
        return str(sort.get("propertyName")), sort.get("direction") == "DESCENDING"
    raise SearchRefused("sorts must be texts or objects")


def _group(group: Any, types: Values) -> list[Callable[[Item], bool]]:
    filters = group.get("filters") if isinstance(group, dict) else None
    if not isinstance(filters, list) or len(filters) > MOST_FILTERS:
        raise SearchRefused(f"A filterGroup needs filters, at most {MOST_FILTERS}")
    return [_test(each, types) for each in filters]


def _test(given: Any, types: Values) -> Callable[[Item], bool]:
    name, operator = (given.get("propertyName"), given.get("operator")) if isinstance(given, dict) else (None, None)
    if name not in types:
        raise SearchRefused(f"There was a problem with the request. Property {name!r} does not exist")
    if operator not in _OPERATORS:
        raise SearchRefused(f"Cannot deserialize value of type `operator` from {operator!r}")
    kind = types[name]

    def held(item: Item) -> str | None:
        return item.properties.get(name) or None

    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return lambda item: (held(item) is not None) == (operator == "HAS_PROPERTY")
    if operator in ("IN", "NOT_IN"):
        values = given.get("values")
        if not isinstance(values, list):
            raise SearchRefused(f"{operator} needs values")
        wanted = {str(value) for value in values}
        return lambda item: (held(item) in wanted) == (operator == "IN")
    value = given.get("value")
    if not isinstance(value, str):
        raise SearchRefused(f"The value of a filter on {name} must be a string")
    edge = _edge(value, kind, name)
    if operator == "BETWEEN":
        top = _edge(str(given.get("highValue")), kind, name)
        return lambda item: held(item) is not None and edge <= _comparable(held(item), kind) <= top
    if operator == "CONTAINS_TOKEN":
        return lambda item: value.lower() in (held(item) or "").lower()

    def test(item: Item) -> bool:
        has = held(item)
        if has is None:
            return operator == "NEQ"
        at = _comparable(has, kind)
        return {"EQ": at == edge, "NEQ": at != edge, "GT": at > edge, "GTE": at >= edge, "LT": at < edge,
                "LTE": at <= edge}[operator]  # fmt: skip

    return test


def _edge(value: str, kind: str, name: str) -> Any:
    """The value of a filter; times are milliseconds since 1970."""
    if kind not in ("number", "datetime"):
        return value
    try:
        return Decimal(value)
    except InvalidOperation:
        raise SearchRefused(f"{value!r} is not a valid value of {name}") from None


def _comparable(value: str | None, kind: str) -> Any:
    if kind == "datetime":
        return Decimal(int(datetime.fromisoformat(value).timestamp() * 1000)) if value else Decimal(-1)
    if kind == "number":
        return Decimal(value) if value else Decimal(-1)
    return value or ""

"""Connections: slices of a list with opaque cursors, as Relay and Shopify have them.

Belongs here: `first`/`last`/`after`/`before`, `PageInfo`. Does not belong here: sorting and filtering (`listing.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.shopify.values import ApiError, decode_cursor, encode_cursor

MOST = 250
CAP = 25_000
"""Cursor pagination of one connection ends silently after this many objects: whoever needs more slices the query."""


class Page:
    """One page of a connection. Cursors are made only when asked for."""

    __slots__ = ("cursor_of", "first", "has_next", "has_previous", "nodes")

    def __init__(
        self, nodes: Sequence[Any], first: int, cursor_of: Callable[[int], str], has_next: bool, has_previous: bool
    ) -> None:
        self.nodes = nodes
        self.first = first
        self.cursor_of = cursor_of
        self.has_next = has_next
        self.has_previous = has_previous

    def cursor(self, place: int) -> str:
        return self.cursor_of(self.first + place)

    @property
    def end_cursor(self) -> str | None:
        return self.cursor(len(self.nodes) - 1) if self.nodes else None

    @property
    def start_cursor(self) -> str | None:
        return self.cursor(0) if self.nodes else None


class Edge:
    __slots__ = ("node", "page", "place")

    def __init__(self, node: Any, page: Page, place: int) -> None:
        self.node = node
        self.page = page
        self.place = place


def check_size(args: Mapping[str, Any]) -> None:
    """Raises ApiError where the arguments name no page or a page that is too large."""
    first, last = args.get("first"), args.get("last")
    if first is None and last is None:
        raise ApiError("you must provide one of first or last", "BAD_REQUEST")
    for name, value in (("first", first), ("last", last)):
        if value is not None and value < 0:
            raise ApiError(f"{name} must be a non-negative number", "BAD_REQUEST")
        if value is not None and value > MOST:
            raise ApiError(f"{name} cannot exceed {MOST}", "BAD_REQUEST")


def _slice(low: int, high: int, args: Mapping[str, Any]) -> tuple[int, int]:
    """The part of [low, high) that the page holds."""
    first, last = args.get("first"), args.get("last")
    if first is not None:
        high = min(high, low + first)
    if last is not None:
        low = max(low, high - last)
    return low, high


def small_page(items: Sequence[Any], args: Mapping[str, Any]) -> Page:
    """A page of a short list nested in another object: the cursor is a place in it."""
    if args.get("reverse"):
        items = items[::-1]
    low, high = 0, len(items)
    if args.get("after") is not None:
        low = _place(args["after"]) + 1
    if args.get("before") is not None:
        high = min(high, _place(args["before"]))
    start, end = _slice(min(low, high), high, args)
    return Page(items[start:end], start, lambda place: encode_cursor({"o": place}), end < len(items), start > 0)


def _place(cursor: str) -> int:
    value = decode_cursor(cursor)
    if not isinstance(value, dict) or not isinstance(value.get("o"), int):
        raise ApiError("Invalid cursor for current pagination sort.", "BAD_USER_INPUT")
    return int(value["o"])


def keyed_page(items: Sequence[Any], keys: Sequence[tuple[Any, int]], args: Mapping[str, Any], cap: int) -> Page:
    """A page of a sorted list: the cursor holds the sort value and id of its object, not a place, so that it
    stays right when objects come and go between pages. `keys` ascend; `reverse` walks them backwards."""
    size = len(items)
    backwards = bool(args.get("reverse"))
    low, high = 0, size
    after, before = args.get("after"), args.get("before")
    if backwards:
        # Walk the ascending list from its end: place p of the walk is index size - 1 - p.
        if after is not None:
            low = size - bisect_left(keys, _key(after, keys))
        if before is not None:
            high = size - bisect_right(keys, _key(before, keys))
    else:
        if after is not None:
            low = bisect_right(keys, _key(after, keys))
        if before is not None:
            high = bisect_left(keys, _key(before, keys))
    limit = min(high, cap) if size > cap else high
    start, end = _slice(min(low, limit), limit, args)
    if backwards:
        nodes = [items[size - 1 - place] for place in range(start, end)]
        return Page(nodes, start, lambda place: _cursor(keys[size - 1 - place]), end < min(size, cap), start > 0)
    return Page(items[start:end], start, lambda place: _cursor(keys[place]), end < min(size, cap), start > 0)


def _cursor(key: tuple[Any, int]) -> str:
    return encode_cursor({"last_id": key[1], "last_value": key[0]})


def _key(cursor: str, keys: Sequence[tuple[Any, int]]) -> tuple[Any, int]:
    value = decode_cursor(cursor)
    if isinstance(value, dict) and isinstance(value.get("last_id"), int):
        key = (value.get("last_value"), value["last_id"])
        # A cursor of another sort order has a value of another type, and cannot be placed.
        if not keys or type(keys[0][0]) is type(key[0]):
            return key
    raise ApiError("Invalid cursor for current pagination sort.", "BAD_USER_INPUT")

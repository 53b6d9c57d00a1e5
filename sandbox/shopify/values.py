"""How Shopify writes values: ids, instants, amounts; and values a test forces into an answer.

Belongs here: formatting, the `Raw` and `Overlay` sources. Does not belong here: which field has which value.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from graphql import GraphQLError


class ApiError(GraphQLError):
    """An error with one of Shopify's codes in its extensions."""

    def __init__(self, message: str, code: str, **further: Any) -> None:
        super().__init__(message, extensions={"code": code, **further})


class Raw:
    """A value that goes into the answer as it is, past every check of the schema: how the sandbox lies."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


RAW_NULL = Raw(None)


class Overlay:
    """A source with some fields replaced by JSON in the shape of an answer, connections as plain lists.
    `base` answers the other fields; `kind` is the GraphQL type."""

    __slots__ = ("base", "kind", "patch", "twin")

    def __init__(self, kind: str, base: Any, patch: Mapping[str, Any], twin: int = 0) -> None:
        self.kind = kind
        self.base = base
        self.patch = patch
        self.twin = twin


def unwrapped(source: Any) -> Any:
    """What the company says, below anything a test put over it."""
    while type(source) is Overlay:
        source = source.base
    return source


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def split_gid(text: str) -> tuple[str, int] | None:
    """("Order", 123) for "gid://shopify/Order/123"; None where it is no such id."""
    if not text.startswith("gid://shopify/"):
        return None
    kind, _, rest = text[14:].partition("/")
    number = rest.partition("?")[0]
    return (kind, int(number)) if kind and number.isdigit() else None


def instant(at: datetime | None) -> str | None:
    """ISO 8601 in UTC to the second, as `DateTime` fields show it."""
    return None if at is None else at.isoformat()[:19] + "Z"


def parse_instant(text: str) -> datetime:
    """An aware datetime from an answer's text. Raises ValueError where it is none or names no zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"no zone in {text!r}")
    return at.astimezone(UTC)


_amounts: dict[Decimal, str] = {}


def amount(value: Decimal) -> str:
    """`MoneyV2.amount`: no needless zeros but at least one decimal ("149.0", "64.5", "4.161")."""
    text = _amounts.get(value)
    if text is None:
        text = format(value, "f")
        if "." in text:
            text = text.rstrip("0")
            text += "0" if text.endswith(".") else ""
        else:
            text += ".0"
        if text == "-0.0":
            text = "0.0"
        if len(_amounts) < 200_000:
            _amounts[value] = text
    return text


def price(value: Decimal | None) -> str | None:
    """The `Money` scalar: at least two decimals ("149.00")."""
    if value is None:
        return None
    return format(value if value.as_tuple().exponent <= -2 else value.quantize(Decimal("0.01")), "f")  # type: ignore[operator]


def encode_cursor(value: Any) -> str:
    return base64.b64encode(orjson.dumps(value)).decode()


def decode_cursor(cursor: str) -> Any:
    """What `encode_cursor` was given. Raises ApiError for a cursor that is not one of ours."""
    try:
        return orjson.loads(base64.b64decode(cursor.encode(), validate=True))
    except (ValueError, UnicodeEncodeError):
        raise ApiError("Invalid cursor for current pagination sort.", "BAD_USER_INPUT") from None


def to_json(value: Any) -> bytes:
    """An answer's bytes; `Raw` values are written as they are."""
    return orjson.dumps(value, default=_raw)


def _raw(value: Any) -> Any:
    if type(value) is Raw:
        return value.value
    raise TypeError(f"not JSON: {type(value).__name__}")

"""Frozen dataclasses to JSON and back, exactly, and the digest of the canonical form.

Belongs here: the one codec that bundles, documents and drafts share, so that what is stored replays bit
for bit. Does not belong here: any particular model, any database.

Decimals travel as strings (a JSON number would become a float somewhere), datetimes as ISO strings in UTC,
tuples as lists. A class that is one of several alternatives carries a `type` tag: its `TAG`. Fields a class gained
after its objects were first stored are its `ADDED`: empty, they are left out, so that what was stored before keeps
its digest.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
import typing
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import orjson

from ops_platform.failures import DataFailure

T = TypeVar("T")
JsonObject = dict[str, Any]


def encode(value: Any) -> Any:
    """The JSON form of a frozen dataclass (or of a value inside one)."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise DataFailure(f"{value} is not a finite number and cannot be evidence; store it as unknown.")
        return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise DataFailure(f"{value!r} has no time zone; every instant in evidence must have one.")
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {_storable(str(key)): encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out: JsonObject = {}
        tag = getattr(value, "TAG", None)
        if tag is not None:
            out["type"] = tag
        added = getattr(value, "ADDED", ())
        for field in dataclasses.fields(value):
            item = getattr(value, field.name)
            if item or field.name not in added:
                out[field.name] = encode(item)
        return out
    raise DataFailure(f"{type(value).__name__} cannot be stored as evidence or document JSON.")


def decode(kind: type[T], data: Any) -> T:
    """The object of class `kind` whose `encode` gave `data`. Raises `DataFailure` where it does not fit."""
    try:
        return typing.cast(T, _decode(kind, data))
    except DataFailure:
        raise
    except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as error:
        raise DataFailure(f"Stored JSON is not a {kind.__name__}: {error!r}") from error


def canonical(value: Any) -> bytes:
    """One byte string per meaning: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(encode(value), option=orjson.OPT_SORT_KEYS)


def digest_of(value: Any) -> str:
    """sha256 (hex) of the canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _storable(text: str) -> str:
    """PostgreSQL's jsonb refuses NUL, and a lone surrogate has no UTF-8: neither may enter a bundle."""
    if "\x00" in text:
        raise DataFailure("A text with a NUL character cannot be stored; strip it where it is read.")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise DataFailure("A text with a lone surrogate cannot be stored; replace it where it is read.")
    return text


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(kind: Any, data: Any) -> Any:
    if kind is Any:
        return data
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(kind), data)
    if origin is Literal:
        if data not in get_args(kind):
            raise DataFailure(f"{data!r} is not one of {get_args(kind)}.")
        return data
    if origin is tuple:
        if not isinstance(data, list):
            raise DataFailure(f"Expected a list, found {type(data).__name__}.")
        arguments = get_args(kind)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decode(arguments[0], item) for item in data)
        if len(arguments) != len(data):
            raise DataFailure(f"Expected {len(arguments)} items, found {len(data)}.")
        return tuple(_decode(argument, item) for argument, item in zip(arguments, data, strict=True))
    if origin in (dict, Mapping):
        key_kind, value_kind = get_args(kind)
        return {_decode(key_kind, key): _decode(value_kind, item) for key, item in data.items()}
    if kind is Decimal:
        return Decimal(data)
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is date:
        return date.fromisoformat(data)
    if kind is type(None) or kind in (str, int, bool):
        expected = type(None) if kind is type(None) else kind
        if type(data) is not expected:
            raise DataFailure(f"Expected {expected.__name__}, found {data!r}.")
        return data
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, data)
    raise DataFailure(f"No decoding for {kind!r}.")


def _decode_dataclass(kind: type, data: Any) -> Any:
    if not isinstance(data, dict):
        raise DataFailure(f"Expected an object for {kind.__name__}, found {type(data).__name__}.")
    hints = _hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}
    given = set(data) - ({"type"} if getattr(kind, "TAG", None) is not None else set())
    if (given ^ names) - set(getattr(kind, "ADDED", ())):
        raise DataFailure(f"{kind.__name__}: fields differ: {sorted(given ^ names)}.")
    return kind(**{name: _decode(hints[name], data[name]) for name in names & given})


def _decode_union(options: tuple[Any, ...], data: Any) -> Any:
    if data is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    if len(rest) == 1:
        return _decode(rest[0], data)
    if isinstance(data, dict):
        for option in rest:
            if getattr(option, "TAG", object()) == data.get("type"):
                return _decode(option, data)
    raise DataFailure(f"No alternative of {[getattr(o, '__name__', o) for o in rest]} fits {data!r}.")

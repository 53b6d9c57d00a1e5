"""Klaviyo's filter language: `greater-or-equal(updated_at,2026-11-01T00:00:00Z)`, joined by commas or `and(…)`.

Belongs here: reading a filter, the operators a field takes, applying it. Does not belong here: which fields an
endpoint has (`endpoints.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<mark>[(),\[\]])|(?P<word>[^\s(),\[\]'"]+))"""
)


class BadFilter(ValueError):
    """The filter is malformed or asks for what the field does not take; the message says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    operator: str
    field: str
    value: Any


def parse(text: str, allowed: Mapping[str, frozenset[str]]) -> list[Condition]:
    """The conditions that must all hold. `allowed` maps a field to its operators."""
    tokens = _tokens(text)
    found: list[Condition] = []
    place = _conditions(tokens, 0, found)
    if place != len(tokens):
        raise BadFilter(f"'{text}' is not a valid filter")
    for condition in found:
        if condition.field not in allowed:
            raise BadFilter(f"'{condition.field}' is not a filterable field for this resource")
        if condition.operator not in allowed[condition.field]:
            raise BadFilter(f"'{condition.operator}' is not a supported operator for '{condition.field}'")
    return found


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    while place < len(text):
        if not text[place:].strip():
            break
        match = _TOKEN.match(text, place)
        if match is None:
            raise BadFilter(f"'{text}' is not a valid filter")
        found.append(match.group().strip())
        place = match.end()
    return found


def _conditions(tokens: list[str], place: int, found: list[Condition]) -> int:
    while True:
        if place + 1 >= len(tokens) or tokens[place + 1] != "(":
            raise BadFilter("a filter is written as operator(field,value)")
        name = tokens[place]
        if name == "and":
            place = _conditions(tokens, place + 2, found)
        elif name in ("or", "not"):
            raise BadFilter(f"'{name}' is not supported here")
        else:
            place = _one(name, tokens, place + 2, found)
        if place >= len(tokens) or tokens[place] != ")":
            raise BadFilter("a bracket is not closed")
        place += 1
        if place < len(tokens) and tokens[place] == ",":
            place += 1
            continue
        return place


def _one(operator: str, tokens: list[str], place: int, found: list[Condition]) -> int:
    try:
        field = tokens[place]
        if tokens[place + 1] != ",":
            raise BadFilter(f"{operator}({field}… has no value")
        place += 2
        if tokens[place] == "[":
            values = []
            place += 1
            while tokens[place] != "]":
                if tokens[place] != ",":
                    values.append(_value(tokens[place]))
                place += 1
            found.append(Condition(operator, field, values))
        else:
            found.append(Condition(operator, field, _value(tokens[place])))
    except IndexError:
        raise BadFilter("the filter breaks off") from None
    return place + 1


def _value(token: str) -> Any:
    if token[:1] in "'\"":
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    if token in ("true", "false"):
        return token == "true"  # noqa: S105 - a word of the filter
    return token


def moment(value: Any) -> datetime:
    """A time in a filter. Raises `BadFilter` where it is none; without an offset it is UTC."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise BadFilter(f"'{value}' is not a valid datetime") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "greater-than": lambda a, b: a > b,
    "greater-or-equal": lambda a, b: a >= b,
    "less-than": lambda a, b: a < b,
    "less-or-equal": lambda a, b: a <= b,
}


def holds(condition: Condition, actual: Any) -> bool:
    """Whether a value meets the condition. Lists of values are met by any of their members."""
    if isinstance(actual, list | tuple):
        return any(holds(condition, each) for each in actual)
    wanted = condition.value
    if condition.operator in _COMPARE:
        return actual is not None and _COMPARE[condition.operator](actual, moment(wanted))
    if isinstance(actual, datetime):
        return actual == moment(wanted)
    match condition.operator:
        case "equals" | "any" | "has":
            return actual in wanted if isinstance(wanted, list) else actual == wanted
        case "contains":
            return str(wanted).lower() in str(actual or "").lower()
        case "starts-with":
            return str(actual or "").startswith(str(wanted))
        case "ends-with":
            return str(actual or "").endswith(str(wanted))
    raise BadFilter(f"'{condition.operator}' is not an operator")

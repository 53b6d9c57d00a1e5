"""What a cell says: Airtable's values as the exact, plain values that land.

Belongs here: absent, formula errors, numbers, people, look-ups. Does not belong here: which field is which attribute
(`bindings.py`).

An empty cell is not in the record at all: false for a checkbox, NULL for everything else. Numbers land as decimal
text with every digit that was sent; 0.5 of a percent field is 50 %.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

from resources.record_checks import INVALID_NUMBER, INVALID_SHAPE, INVALID_TIMESTAMP, Flaw, moment

_NUMBER = re.compile(r"-?\d{1,60}(?:\.\d{1,60})?(?:[eE][+-]?\d{1,3})?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class FormulaError(Exception):
    """The cell holds no value because its formula fails: "#ERROR!", "NaN", "Infinity"."""


def cell_value(kind: str, family: str, value: Any, where: str) -> Any:
    """The value of an attribute of `kind` from a cell of a field of `family`. Raises `FormulaError` where Airtable
    could not compute it, `Flaw` where it is not what the field's type promises."""
    _raise_formula_error(value)
    if family.startswith("list of "):
        value = _only(kind, value, where)
        _raise_formula_error(value)
        family = family.removeprefix("list of ")
    if kind == "checkbox":
        return _checkbox(value, where)
    if value is None or value == "":
        return None
    return _READERS[kind](value, where)


def _raise_formula_error(value: Any) -> None:
    if isinstance(value, dict):
        for key in ("error", "specialValue"):
            if isinstance(value.get(key), str) and value[key]:
                raise FormulaError(value[key])


def _only(kind: str, value: Any, where: str) -> Any:
    """What a look-up found. Of several values a list or a text takes all; anything else would be a guess."""
    if not isinstance(value, list):
        return value
    found = [each for each in value if each is not None and each != ""]
    for each in found:
        _raise_formula_error(each)
    if kind in ("list", "text", "person"):
        flat = [one for each in found for one in (each if isinstance(each, list) else [each])]
        return flat or None
    if len(found) > 1:
        raise Flaw(INVALID_SHAPE, f"{where} looks up {len(found)} values where one is expected")
    return found[0] if found else None


def _checkbox(value: Any, where: str) -> bool:
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    raise Flaw(INVALID_SHAPE, f"{where} is {type(value).__name__}, not a tick")


def _text(value: Any, where: str) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise Flaw(INVALID_SHAPE, f"{where} is a tick, not text")
    if isinstance(value, int | Decimal | float):
        return _number(value, where)
    if isinstance(value, list):
        return ", ".join(filter(None, (_text(each, where) for each in value))) or None
    if isinstance(value, dict):
        # A barcode, a text of the AI field, a person, a button.
        for key in ("text", "value", "name", "email", "label"):
            if isinstance(value.get(key), str):
                return value[key] or None
        if "state" in value or "text" in value:
            return None
    raise Flaw(INVALID_SHAPE, f"{where} is {type(value).__name__}, not text")


def _person(value: Any, where: str) -> list[dict[str, str | None]] | None:
    people = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            people += [{"email": None, "name": each.strip()}] if each.strip() else []
        elif isinstance(each, dict):
            people.append({"email": _optional(each.get("email")), "name": _optional(each.get("name"))})
        else:
            raise Flaw(INVALID_SHAPE, f"{where} is {type(each).__name__}, not a person")
    return people or None


def _optional(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any, where: str) -> str:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        raise Flaw(INVALID_NUMBER, f"{where} is {type(value).__name__}, not a number")
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not exact.is_finite() or abs(exact.adjusted()) > 60:
        raise Flaw(INVALID_NUMBER, f"{where} is {value}, out of any range")
    return format(exact, "f")


def _date(value: Any, where: str) -> str:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            date.fromisoformat(value)
        except ValueError:
            raise Flaw(INVALID_TIMESTAMP, f"{where} is {value!r}, not a day") from None
        return value
    moment(value, where)
    return str(value)


def _list(value: Any, where: str) -> list[str] | None:
    values = value if isinstance(value, list) else [value]
    return [text for each in values if (text := _text(each, where))] or None


_READERS: dict[str, Any] = {
    "text": _text,
    "person": _person,
    "number": _number,
    "money": _number,
    "percent": _number,
    "date": _date,
    "moment": _date,
    "list": _list,
}

"""Rows of NetSuite before they land: columns of each kind checked and tidied, the id and the latest change found.

Belongs here: what a column of a kind must hold. Does not belong here: which columns there are and what a row as a whole
must hold (`tables.py`), storing what was refused.

A page is looked at twice as cheaply as its rows one by one: down its columns, where values repeat. Only a page in which
something is to be tidied or refused is gone through row by row, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ops_platform.records import JsonObject
from resources.record_checks import (
    CURRENCIES,
    INVALID_NUMBER,
    INVALID_SHAPE,
    MISSING_ID,
    UNKNOWN_CURRENCY,
    Flaw,
    day,
    decimal_text,
    is_decimal,
    local_time,
    whole_number,
)

if TYPE_CHECKING:
    from resources.netsuite.tables import Table

# What new accounts call their currencies, where somebody kept the name instead of the symbol.
CURRENCY_NAMES = {
    "us dollar": "USD",
    "usa": "USD",
    "euro": "EUR",
    "british pound": "GBP",
    "pound sterling": "GBP",
    "canadian dollar": "CAD",
    "australian dollar": "AUD",
    "japanese yen": "JPY",
    "chinese yuan": "CNY",
    "chinese yuan renminbi": "CNY",
    "hong kong dollar": "HKD",
}

# -- a page ---------------------------------------------------------------------------------------------------


def is_plain(table: Table, rows: Sequence[JsonObject]) -> bool:
    """Whether every column of the page is good in every row as it came: `check_row` would tidy and refuse nothing but
    what `whole_row` does."""
    if any(None in row.values() for row in rows):
        return False
    for column in table.columns:
        if column.kind == "text":
            continue
        name = column.name
        try:
            values = {row.get(name) for row in rows}
            values.discard(None)
            if not _PLAIN[column.kind](values, name):
                return False
        except (Flaw, TypeError):
            return False
    return True


def whole_row(table: Table, row: JsonObject) -> tuple[str, str | None]:
    """The id of a row whose columns are good, and its latest change in the account's time. Raises `Flaw` for what the
    row lacks as a whole."""
    row.pop("links", None)
    latest: str | None = None
    for name in table.moments:
        value = row.get(name)
        if value is not None and (latest is None or value > latest):
            latest = value
    try:
        identity = table.identity(row) if table.identity is not None else row.get("id")
    except KeyError as missing:
        raise Flaw(MISSING_ID, f"the row has no {missing.args[0]}, which is part of its id") from None
    if not isinstance(identity, str) or not identity:
        raise Flaw(MISSING_ID, "the row has no id")
    if table.check is not None:
        table.check(row)
    for name in table.helpers:
        row.pop(name, None)
    return identity, latest


def _plain_keys(values: set[Any], _: str) -> bool:
    # Hardly one comes twice: nothing would be gained by remembering them.
    return all(
        type(value) is str and ((value.isascii() and value.isdigit() and len(value) <= 18) or is_decimal(value))
        for value in values
    )


def _plain_times(values: set[Any], where: str) -> bool:
    for value in values:
        local_time(value, where)
    return True


def _plain_dates(values: set[Any], where: str) -> bool:
    for value in values:
        day(value, where)
    return True


_PLAIN: Mapping[str, Callable[[set[Any], str], bool]] = {
    "key": _plain_keys,
    "number": lambda values, _: all(map(is_decimal, values)),
    "integer": lambda values, where: all(_integer(value, where) == value for value in values),
    "time": _plain_times,
    "date": _plain_dates,
    "flag": lambda values, _: values <= {"T", "F"},
    "currency": lambda values, where: all(_currency(value, where) == value for value in values),
}


# -- a row ----------------------------------------------------------------------------------------------------


def check_row(table: Table, row: JsonObject) -> tuple[str, str | None]:
    """As `whole_row`, for a row whose columns are still to be checked; tidies `row` in place. Raises `Flaw`."""
    row.pop("links", None)
    for column in table.columns:
        value = row.get(column.name)
        if value is None:
            row.pop(column.name, None)
            continue
        kind = column.kind
        if kind == "text":
            continue
        if kind in ("number", "key"):
            if not isinstance(value, str):
                value = row[column.name] = _number_as_text(value, column.name)
            decimal_text(value, column.name)
        elif kind == "integer":
            row[column.name] = _integer(value, column.name)
        elif kind == "time":
            local_time(value, column.name)
        elif kind == "date":
            day(value, column.name)
        elif kind == "flag":
            if value not in ("T", "F"):
                raise Flaw(INVALID_SHAPE, f"{column.name} is {value!r}, neither T nor F")
        elif kind == "currency":
            row[column.name] = _currency(value, column.name)
    return whole_row(table, row)


def _number_as_text(value: Any, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    raise Flaw(INVALID_NUMBER, f"{where} is {value!r}")


def _integer(value: Any, where: str) -> str:
    """A whole number as text, also where it came with an empty fraction."""
    return str(whole_number(value if isinstance(value, str) else _number_as_text(value, where), where))


def _currency(value: Any, where: str) -> str:
    code = CURRENCY_NAMES.get(value.strip().lower(), value) if isinstance(value, str) else value
    if not isinstance(code, str) or code not in CURRENCIES:
        raise Flaw(UNKNOWN_CURRENCY, f"{where} is {value!r}, not an ISO 4217 code in use")
    return code

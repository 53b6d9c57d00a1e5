"""The part of Airtable's formula language that `filterByFormula` is used with here.

Belongs here: reading and evaluating a formula for one record. Does not belong here: listing (`side.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<field>\{[^}]+\})|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_]+)|(?P<sign>>=|<=|!=|[(),=<>]))"
)


class BadFormula(ValueError):
    """The formula cannot be read."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a formula sees of a record. `cell` gives the value of a field by name or id, and raises `KeyError`."""

    id: str
    created: datetime
    modified: datetime
    cell: Callable[[str], Any]


Test = Callable[[Row], Any]


def compile_formula(text: str) -> Test:
    """A function that evaluates the formula for a record. Raises `BadFormula`."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            raise BadFormula(text)
        tokens.append((str(found.lastgroup), found.group(str(found.lastgroup))))
        position = found.end()
    reader = _Reader(tokens)
    test = reader.comparison()
    if reader.tokens:
        raise BadFormula(text)
    return test


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens

    def take(self, wanted: str | None = None) -> tuple[str, str]:
        if not self.tokens or (wanted is not None and self.tokens[0][1] != wanted):
            raise BadFormula("formula")
        return self.tokens.pop(0)

    def comparison(self) -> Test:
        left = self.operand()
        if not self.tokens or self.tokens[0][1] not in _SIGNS:
            return left
        sign = _SIGNS[self.take()[1]]
        right = self.operand()
        return lambda row: sign(left(row), right(row))

    def operand(self) -> Test:
        kind, value = self.take()
        if kind == "text":
            plain = re.sub(r"\\(.)", r"\1", value[1:-1])
            return lambda row: plain
        if kind == "number":
            number = float(value)
            return lambda row: number
        if kind == "field":
            name = value[1:-1]
            return lambda row: row.cell(name)
        if value == "(":
            inner = self.comparison()
            self.take(")")
            return inner
        if kind != "name" or value.upper() not in _FUNCTIONS:
            raise BadFormula(value)
        function = _FUNCTIONS[value.upper()]
        self.take("(")
        arguments: list[Test] = []
        while self.tokens and self.tokens[0][1] != ")":
            arguments.append(self.comparison())
            if self.tokens and self.tokens[0][1] == ",":
                self.take()
        self.take(")")
        return lambda row: function(row, [argument(row) for argument in arguments])


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    at = datetime.fromisoformat(str(value))
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
_FUNCTIONS: dict[str, Callable[[Row, list[Any]], Any]] = {
    "AND": lambda row, given: all(given),
    "OR": lambda row, given: any(given),
    "NOT": lambda row, given: not given[0],
    "TRUE": lambda row, given: True,
    "FALSE": lambda row, given: False,
    "RECORD_ID": lambda row, given: row.id,
    # To the second, as Airtable keeps it.
    "CREATED_TIME": lambda row, given: row.created.replace(microsecond=0),
    "LAST_MODIFIED_TIME": lambda row, given: row.modified.replace(microsecond=0),
    "DATETIME_PARSE": lambda row, given: _moment(given[0]),
    "IS_AFTER": lambda row, given: _moment(given[0]) > _moment(given[1]),
    "IS_BEFORE": lambda row, given: _moment(given[0]) < _moment(given[1]),
    "IS_SAME": lambda row, given: _moment(given[0]) == _moment(given[1]),
    "BLANK": lambda row, given: None,
}

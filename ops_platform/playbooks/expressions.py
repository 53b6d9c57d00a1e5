"""Expressions over earlier results: CEL, checked when the file is loaded, and the texts that hold them.

Belongs here: what may be named, compiling, evaluating, `${{ … }}` in texts. Does not belong here: where a text stands
in the file (`source.py`), which steps may be named where (`checks.py`).

CEL is Google's expression language in its own implementation (`cel-expr-python`): no assignment, no loop, no import, no
call of ours; every name is declared before a file is accepted, so a slot that does not exist is an error of the file
and never an empty place in a message. What could still take long is refused, for an evaluation cannot be interrupted
and holds every other thread up: long expressions, nested macros, texts that grow with every macro when the file is
loaded; too much to go through or to match when it is evaluated.

Names: `vars.<variable>`, `steps.<id>.status` ("ran", "skipped", "failed"), `steps.<id>.result.<field>`, `run.date`,
`run.as_of`, `run.id`, `run.variant`.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ops_platform.failures import DataFailure

#: How an expression may come out, as `compile` tells it; "any" is known only when it is evaluated.
Kind = Literal["bool", "int", "text", "list", "map", "any"]

MOST_CHARACTERS = 500
#: A list longer than this is not gone through item by item: a tool counts, and CEL's own lists are copied as they grow.
MOST_ITEMS = 2000
#: Characters and values that macros may go through, and that `matches` may; a second of the machine's time, each.
MOST_WORK = 20_000_000
MOST_MATCHED = 50_000
#: How many times as long as what it was given the maps of an expression may make something.
MOST_GROWTH = 100
_SLOT = re.compile(r"\$\{\{((?:(?!\$\{\{).)*?)\}\}", re.DOTALL)
_STRING = re.compile(
    r"""(?<!\w)[bB]?[rR][bB]?(?:\'{3}.*?\'{3}|"{3}.*?"{3}|'[^']*'|"[^"]*")"""  # raw: a backslash is one
    r"""|\'{3}(?:\\.|.)*?\'{3}|"{3}(?:\\.|.)*?"{3}|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""",
    re.DOTALL,
)
_STEP = re.compile(r"(?<![\w.])steps\s*\.\s*([a-z][a-z0-9_]*)\s*\.\s*(result|status)\b")
_MACRO = re.compile(r"\.\s*(all|exists|exists_one|map|filter)\s*\(")
_MATCHES = re.compile(r"\bmatches\s*\(")
_BOUND = re.compile(r"\s*([A-Za-z_]\w*)\s*,")
_DEPTH = 4
RUN_NAMES: Mapping[str, Kind] = {
    "run.id": "text", "run.date": "text", "run.as_of": "text", "run.playbook": "text", "run.variant": "text",
}  # fmt: skip


class ExpressionError(DataFailure):
    """What is wrong with an expression; `column` counts from 1 within it, where that is known."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Reference:
    """An expression names something of a step: its result (then the step must have run) or only its status."""

    step: str
    part: Literal["result", "status"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One `${{ … }}` of a text: the expression, and where it begins in the text (from 0)."""

    expression: str
    start: int


# Names and their types --------------------------------------------------------------------------------------


def names_of(prefix: str, model: type[BaseModel], depth: int = 0) -> dict[str, Kind]:
    """The names under `prefix` by which fields of `model` are reached, nested models included."""
    found: dict[str, Kind] = {}
    for name, entry in model.model_fields.items():
        inner = _plain_type(entry.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel) and depth < _DEPTH:
            found |= names_of(f"{prefix}.{name}", inner, depth + 1)
        else:
            found[f"{prefix}.{name}"] = _kind(inner)
    return found


def _plain_type(annotation: Any) -> Any:
    while get_origin(annotation) is typing.Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _kind(annotation: Any) -> Kind:
    annotation = _plain_type(annotation)
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        kinds = {_kind(one) for one in get_args(annotation)}
        return kinds.pop() if len(kinds) == 1 else "any"
    if origin is Literal:
        kinds = {_kind(type(one)) for one in get_args(annotation)}
        return kinds.pop() if len(kinds) == 1 else "any"
    if origin in (list, tuple, set, frozenset):
        return "list"
    if origin in (dict, Mapping) or annotation is dict:
        return "map"
    if not isinstance(annotation, type):
        return "any"
    for kind, classes in _KINDS:
        if issubclass(annotation, classes):
            return kind
    return "any"


# Fractions are "any": CEL compares a declared double with no whole number, and people write `rate > 5`.
_KINDS: tuple[tuple[Kind, tuple[type, ...]], ...] = (
    ("bool", (bool,)),
    ("int", (int,)),
    ("text", (str, date, Enum)),
    ("list", (list, tuple)),
)


# Compiling --------------------------------------------------------------------------------------------------


class Scope:
    """The names an expression may use, with their types; compiles against them."""

    def __init__(self, names: Mapping[str, Kind]) -> None:
        self.names = dict(names)
        self._environment: Any = None

    def compile(self, expression: str) -> Kind:
        """How `expression` comes out. Raises `ExpressionError` for what is not CEL, or names what is not there."""
        return _kind_of(self._compiled(expression).return_type())

    def evaluate(self, expression: str, values: Mapping[str, Any]) -> Any:
        """The value, in plain Python (JSON's types). `values` by name; a name without a value is an error only where
        it is reached. Raises `ExpressionError` in words (a division by zero, a missing field of an item)."""
        compiled = self._compiled(expression)
        at_hand = {name: plain(values[name]) for name in self.names if name in values and name in expression}
        check_work(expression, at_hand)
        try:
            value = compiled.eval(data=at_hand)
        except RuntimeError as error:
            raise ExpressionError(f"{expression.strip()!r} has no value: {_said(str(error))}") from None
        if value.type().name() == "*error*" or str(value.type()) == "ERROR":
            raise ExpressionError(f"{expression.strip()!r} has no value: {_said(str(value.value()))}")
        return _finite(value.plain_value(), expression)

    def _compiled(self, expression: str) -> Any:
        check_size(expression)
        if self._environment is None:
            self._environment = _environment(tuple(sorted(self.names.items())))
        try:
            return self._environment.compile(expression)
        except RuntimeError as error:
            raise _as_expression_error(str(error), self.names) from None


@lru_cache(maxsize=64)
def _environment(names: tuple[tuple[str, Kind], ...]) -> Any:
    from cel_expr_python import cel

    kinds = {
        "bool": cel.Type.BOOL, "int": cel.Type.INT, "text": cel.Type.STRING, "any": cel.Type.DYN,
        "list": cel.Type.List(cel.Type.DYN), "map": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    }  # fmt: skip
    return cel.NewEnv(variables={name: kinds[kind] for name, kind in names})


def _kind_of(returned: Any) -> Kind:
    name = str(returned)
    by_name: dict[str, Kind] = {"BOOL": "bool", "INT": "int", "UINT": "int", "STRING": "text"}
    if name.startswith("LIST"):
        return "list"
    return "map" if name.startswith("MAP") else by_name.get(name, "any")


def check_size(expression: str) -> None:
    """Raises `ExpressionError` for what could take long however small its data is."""
    if len(expression) > MOST_CHARACTERS:
        raise ExpressionError(f"an expression has at most {MOST_CHARACTERS} characters")
    bare = _bare(expression)
    if "//" in bare:
        raise ExpressionError("an expression has no comments", bare.index("//") + 1)
    growth = 1
    for macro in _macros(bare):
        if _MACRO.search(macro.body):
            raise ExpressionError("one of all, exists, map, filter inside another is not allowed", macro.start + 1)
        growth *= macro.growth
    if growth > MOST_GROWTH:
        raise ExpressionError(f"its maps could make a text {growth:,} times as long; at most {MOST_GROWTH} times")


def check_work(expression: str, values: Mapping[str, Any]) -> None:
    """Raises `ExpressionError` for what would take long with these values, all of which it names."""
    bare = _bare(expression)
    macros, matches = _macros(bare), len(_MATCHES.findall(bare))
    if not macros and not matches:
        return
    for name, value in values.items():
        if macros and isinstance(value, list | dict) and len(value) > MOST_ITEMS:
            raise ExpressionError(f"{name} has {len(value):,} items; all, exists, map take {MOST_ITEMS:,}")
    sizes = {name: size_of(value) for name, value in values.items()}
    items = max((len(value) for value in values.values() if isinstance(value, list | dict)), default=1)
    # What a macro's body names beside its own variable is gone through once for every item.
    within = sum(size * _times(name, macro.body) for macro in macros for name, size in sizes.items())
    work = sum(size * _times(name, bare) for name, size in sizes.items()) + items * within
    growth = math.prod(macro.growth for macro in macros)
    if work * growth > MOST_WORK:
        raise ExpressionError(f"{expression.strip()!r} would go through {work * growth:,} characters: too many")
    if matches * work > MOST_MATCHED:
        raise ExpressionError(f"matches would go through {matches * work:,} characters; at most {MOST_MATCHED:,}")


def size_of(value: Any) -> int:
    """Characters and values within `value`."""
    if isinstance(value, str):
        return 1 + len(value)
    if isinstance(value, Mapping):
        return 1 + sum(len(key) + size_of(item) for key, item in value.items())
    if isinstance(value, list):
        return 1 + sum(size_of(item) for item in value)
    return 1


@dataclass(frozen=True, slots=True)
class _Macro:
    """A macro: where it begins, what stands between its brackets, and how many times as long as an item what it makes
    of one can be."""

    start: int
    body: str
    growth: int


def _bare(expression: str) -> str:
    """The expression, its texts blanked: what stands in them is no code."""
    return _STRING.sub(lambda text: "'" + "_" * (len(text.group()) - 2) + "'", expression)


def _macros(bare: str) -> list[_Macro]:
    found = []
    for macro in _MACRO.finditer(bare):
        depth, end = 1, macro.end()
        while end < len(bare) and depth:
            depth += {"(": 1, ")": -1}.get(bare[end], 0)
            end += 1
        body = bare[macro.end() : end - 1 if not depth else end]
        bound = _BOUND.match(body)
        times = _times(bound[1], body[bound.end() :]) if bound is not None and macro[1] == "map" else 1
        found.append(_Macro(macro.start(), body, max(times, 1)))
    return found


def _times(name: str, text: str) -> int:
    return len(re.findall(rf"(?<![\w.]){re.escape(name)}(?!\w)", text))


def references(expression: str) -> set[Reference]:
    """The steps it names."""
    bare = _bare(expression)
    return {Reference(step, "result" if part == "result" else "status") for step, part in _STEP.findall(bare)}


def variables_named(expression: str) -> set[str]:
    """The variables it names."""
    return set(re.findall(r"(?<![\w.])vars\s*\.\s*([a-z][a-z0-9_]*)", _bare(expression)))


def _as_expression_error(said: str, names: Mapping[str, Kind]) -> ExpressionError:
    found = re.search(r"<input>:\d+:(\d+): (.*?)(?:\n|$)", said)
    if found is None:
        return ExpressionError(_said(said))
    message = found[2]
    unknown = re.search(r"undeclared reference to '([^']*)'", message)
    if unknown is None:
        return ExpressionError(message.split(" (in container")[0], int(found[1]))
    import difflib

    near = difflib.get_close_matches(unknown[1], names, n=3, cutoff=0.5)
    there = f"; did you mean {' or '.join(near)}?" if near else ""
    return ExpressionError(f"there is no {unknown[1]}{there}", int(found[1]))


def _said(text: str) -> str:
    text = " ".join(text.split())
    text = re.sub(r"^[A-Z_]+: ", "", text)
    missing = re.search(r'Key not found in map : "?([^"]*)"?', text)
    if missing:
        return f"there is no field {missing[1]!r}"
    if "null_type" in text:
        return "one of its values is unknown (null): ask `!= null` first"
    return text


# Texts ------------------------------------------------------------------------------------------------------


def slots(text: str) -> list[Slot]:
    """The slots of a text, in order. Raises `ExpressionError` for one that is not closed."""
    found = [
        Slot(match[1].strip(), match.start(1) + len(match[1]) - len(match[1].lstrip()))
        for match in _SLOT.finditer(text)
    ]
    rest = _SLOT.sub("", text)
    if "${{" in rest or (found and "}}" in rest):
        raise ExpressionError("a slot begins with ${{ and ends with }}: one of them has no partner")
    return found


def is_whole(text: str) -> bool:
    """Whether the text is one slot and nothing else: then its value keeps its type."""
    match = _SLOT.fullmatch(text.strip())
    return match is not None and "${{" not in match[1]


def fill(value: Any, scope: Scope, values: Mapping[str, Any]) -> Any:
    """`value` with every slot replaced, in lists and mappings too."""
    if isinstance(value, Mapping):
        return {key: fill(item, scope, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, scope, values) for item in value]
    if not isinstance(value, str):
        return value
    if is_whole(value):
        return scope.evaluate(slots(value)[0].expression, values)
    return _SLOT.sub(lambda slot: _as_text(scope.evaluate(slot[1].strip(), values)), value)


def texts_in(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """Every text within `value`, with the way to it."""
    if isinstance(value, str):
        return [(path, value)]
    if isinstance(value, Mapping):
        return [found for key, item in value.items() for found in texts_in(item, (*path, key))]
    if isinstance(value, list | tuple):
        return [found for place, item in enumerate(value) for found in texts_in(item, (*path, place))]
    return []


def _as_text(value: Any) -> str:
    """As a reader is shown it: unknown is said; a fraction has at most two places more than it needs."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(_as_text(item) for item in value) or "none"
    if isinstance(value, Mapping):
        raise ExpressionError("a whole record cannot stand in a text: name one of its fields")
    return str(value)


# Values -----------------------------------------------------------------------------------------------------


def values_of(prefix: str, model: BaseModel, depth: int = 0) -> dict[str, Any]:
    """The values of a result under the names of `names_of`."""
    found: dict[str, Any] = {}
    for name, entry in type(model).model_fields.items():
        value, inner = getattr(model, name), _plain_type(entry.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel) and depth < _DEPTH:
            found |= values_of(f"{prefix}.{name}", value, depth + 1)
        else:
            found[f"{prefix}.{name}"] = value
    return found


def plain(value: Any) -> Any:
    """As CEL takes it: decimals as doubles (to compare; the result keeps its decimals), dates as text."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def _finite(value: Any, expression: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError(f"{expression.strip()!r} has no value: it divides by zero, or is too large")
    return value

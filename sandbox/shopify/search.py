"""Shopify's search syntax: from the text of a `query` argument to a predicate.

Belongs here: terms, connectives, comparators, how values compare, the warning for an unknown filter. Does not
belong here: which filters a connection has (`listing.py`).

    updated_at:>='2026-11-20T00:00:00Z' AND (status:open OR -tag:vip) name:#10*
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sandbox.shopify.values import ApiError

Predicate = Callable[[Any], bool]
Kind = Literal["time", "day", "id", "number", "text", "words", "without", "flag", "never"]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<open>\() | (?P<close>\)) |
        (?P<term>-?(?:[A-Za-z_][\w.]*\s*:\s*)?(?:>=|<=|>|<)?\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s()]+))
    )""",
    re.X,
)
_FIELD = re.compile(r"(-?)(?:([A-Za-z_][\w.]*)\s*:\s*)?(>=|<=|>|<)?\s*(.*)", re.S)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    "": lambda a, b: a == b,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """One search field. `get` returns a datetime for times, an int for ids, a Decimal or int for numbers, text or
    an iterable of texts for words, a bool for flags, None where there is no value."""

    kind: Kind
    get: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """What values are read against: the shop's zone (naive times) and the clock (`now`)."""

    zone: ZoneInfo
    now: datetime


class _Parser:
    def __init__(self, text: str, filters: Mapping[str, Filter], words: Filter | None, setting: Setting) -> None:
        self._text, self._at = text, 0
        self._filters, self._words, self._setting = filters, words, setting
        self.warnings: list[dict[str, str]] = []
        self._token: tuple[str, str] | None = None
        self._next()

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            self._token = None
            return
        self._at = match.end()
        value = match.group(match.lastgroup)
        kind = match.lastgroup
        if kind == "term" and value.upper() in {"AND", "OR", "NOT"}:
            # Connectives are upper case; a lower-case "and" is a word like any other.
            kind = value if value.isupper() else "term"
        self._token = (kind, value)

    def parse(self) -> Predicate:
        parts = []
        while self._token is not None:
            if self._token[0] == "close":
                self._next()  # a stray one is ignored
                continue
            parts.append(self._or())
        return _all(parts)

    def _or(self) -> Predicate:
        parts = [self._and()]
        while self._token is not None and self._token[0] == "OR":
            self._next()
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def _and(self) -> Predicate:
        parts = []
        while self._token is not None and self._token[0] not in {"OR", "close"}:
            if self._token[0] == "AND":
                self._next()
                continue
            parts.append(self._unary())
        return _all(parts)

    def _unary(self) -> Predicate:
        assert self._token is not None
        kind, value = self._token
        self._next()
        if kind == "NOT":
            if self._token is None or self._token[0] in {"close", "OR", "AND"}:
                return _everything
            inner = self._unary()
            return lambda item: not inner(item)
        if kind == "open":
            inner = self._or()
            if self._token is not None and self._token[0] == "close":
                self._next()
            return inner
        return self._term(value)

    def _term(self, text: str) -> Predicate:
        match = _FIELD.fullmatch(text)
        assert match is not None
        minus, name, comparator, value = match.group(1), match.group(2), match.group(3) or "", match.group(4)
        if len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]:
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if name is None:
            if self._words is None:
                return _everything
            predicate = _text(self._words, value.rstrip("*") + "*")
        elif name in self._filters:
            predicate = build(name, self._filters[name], comparator, value, self._setting)
        else:
            self.warnings.append(
                {"field": name, "message": "Invalid search field for this query.", "code": "invalid_field"}
            )
            return _everything
        return (lambda item: not predicate(item)) if minus else predicate


def compile_query(
    text: str | None, filters: Mapping[str, Filter], words: Filter | None, setting: Setting
) -> tuple[Predicate | None, list[dict[str, str]]]:
    """The predicate (None when it lets everything through) and the warnings about unknown filters."""
    if text is None or not text.strip():
        return None, []
    parser = _Parser(text, filters, words, setting)
    return parser.parse(), parser.warnings


def build(name: str, field: Filter, comparator: str, value: str, setting: Setting) -> Predicate:
    """The predicate of one `name:<comparator>value`. Raises ApiError for a time that is none."""
    get, compare = field.get, _COMPARE[comparator]
    match field.kind:
        case "never":
            return lambda item: False
        case "time":
            first, after = span(name, value, setting)
            return _within(get, comparator, first, after)
        case "day":
            first, _ = span(name, value, setting)
            wanted, zone = first.astimezone(setting.zone).date(), setting.zone
            return lambda item: (at := get(item)) is not None and compare(at.astimezone(zone).date(), wanted)
        case "id":
            digits = re.search(r"(\d+)$", value)
            number = int(digits.group(1)) if digits else -1
            return lambda item: (found := get(item)) is not None and compare(found, number)
        case "number":
            try:
                amount = Decimal(value)
            except InvalidOperation:
                return lambda item: False
            return lambda item: (found := get(item)) is not None and compare(found, amount)
        case "flag":
            truth = value.lower() in {"true", "1", "yes"}
            return lambda item: bool(get(item)) == truth
        case "without":
            has = _text(field, value)
            return lambda item: not has(item)
        case "words" | "text":
            if comparator:
                return lambda item: (found := get(item)) is not None and compare(str(found), value)
            return _text(field, value)


def _text(field: Filter, value: str) -> Predicate:
    """Case-insensitive; a trailing * matches a prefix; `words` also matches single words of the value."""
    wanted, get, words = value.lower(), field.get, field.kind == "words"
    pattern = wanted if "*" in wanted else None

    def hits(text: str) -> bool:
        lowered = text.lower()
        candidates = [lowered, *lowered.split()] if words else [lowered]
        if pattern is None:
            return wanted in candidates or (words and " " in wanted and wanted in lowered)
        return any(fnmatchcase(candidate, pattern) for candidate in candidates)

    def predicate(item: Any) -> bool:
        found = get(item)
        if found is None:
            return False
        return hits(found) if isinstance(found, str) else any(hits(text) for text in _texts(found))

    return predicate


def _texts(found: Iterable[str]) -> Iterable[str]:
    return (text for text in found if text is not None)


def _within(get: Callable[[Any], datetime | None], comparator: str, first: datetime, after: datetime) -> Predicate:
    """A time matches a span: all of a day when only a day is given, one second when the second is given."""
    match comparator:
        case ">=":
            return lambda item: (at := get(item)) is not None and at >= first
        case ">":
            return lambda item: (at := get(item)) is not None and at >= after
        case "<=":
            return lambda item: (at := get(item)) is not None and at < after
        case "<":
            return lambda item: (at := get(item)) is not None and at < first
    return lambda item: (at := get(item)) is not None and first <= at < after


def span(name: str, value: str, setting: Setting) -> tuple[datetime, datetime]:
    """The first instant of what the text names and the first after it, in UTC."""
    text, zone = value.strip(), setting.zone
    if text == "now":
        return setting.now, setting.now + timedelta(seconds=1)
    if text in {"today", "yesterday"}:
        day = setting.now.astimezone(zone).date() - timedelta(days=text == "yesterday")
        return _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    match = re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", text)
    try:
        if match:
            first = date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
            if match[3]:
                after = first + timedelta(days=1)
            elif match[2]:
                after = (first + timedelta(days=31)).replace(day=1)
            else:
                after = date(first.year + 1, 1, 1)
            return _midnight(first, zone), _midnight(after, zone)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ApiError(f"Invalid timestamp for query filter `{name}`.", "BAD_REQUEST") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    at = at.astimezone(UTC)
    return at, at.replace(microsecond=0) + timedelta(seconds=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _all(parts: list[Predicate]) -> Predicate:
    if not parts:
        return _everything
    return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)


def _everything(item: Any) -> bool:
    return True

"""Claim tokens: their grammar, what each path means, and how the number is written.

Belongs here: `{{c:fact.path}}` parsing, resolution against a bundle, and every rule of formatting (unit,
currency, rounding, sign, thousands, periods, moments). Does not belong here: which claims a text may make
(`ops_platform.writing.claims`), layout.

Grammar: `{{c:FACT}}`, `{{c:FACT.PATH}}`, `{{c:FACT.PATH|STYLE}}`. PATH is one of `value` (default) ·
`abs_value` (of a fact that is itself a change) · `delta` `abs_delta` `delta_pct` `abs_delta_pct` (against the
fact's first comparison) · `comparison.NAME.value|delta|abs_delta|delta_pct|abs_delta_pct|label` · `label` ·
`period` · `unknown_since` · `fresh_to`. STYLE is `compact` ($4.1M) or `exact` ($112,141.11); without one, the
rule of the unit.

Rounding is half up, away from zero at the tie (2.5 → 3, −2.5 → −3): what a reader gets who checks by hand.
The rule of a unit: money under 1,000 shows its minor unit, from 1,000 whole units; percent and other
quantities show one decimal under 10 (quantities only when it is not zero), none from 10; a change of a percent
is in points. Minus is U+2212; a value that rounds to zero carries no sign.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from ops_platform.documents.model import (
    Block,
    Claim,
    Mark,
    RichText,
    Span,
    UsedClaim,
    Words,
    spans_of,
)
from ops_platform.evidence.calendar import MONTHS, WEEKDAYS
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from ops_platform.evidence.model import Bundle, Comparison, Fact, Unit

Style = Literal["plain", "compact", "exact"]

TOKEN = re.compile(r"\{\{c:([a-z][a-z0-9_]*)(?:\.([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*))?(?:\|(compact|exact))?\}\}")
TOKEN_WIDTH = 8
"""How many characters a token counts for when a draft's length is checked: about what is inserted."""

MINUS = "\u2212"
CHANGE_PATHS = ("delta", "abs_delta", "delta_pct", "abs_delta_pct")
SYMBOLS = {"USD": "$", "GBP": "£", "EUR": "€", "JPY": "¥", "CNY": "CN¥", "CAD": "CA$", "AUD": "A$", "INR": "₹"}
WHOLE_CURRENCIES = frozenset({"JPY", "KRW", "VND", "CLP", "ISK"})


@dataclass(frozen=True, slots=True)
class Token:
    """A claim token found in a text, with its place."""

    fact: str
    path: str
    style: Style
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Measure:
    """What a token stands for before formatting. `role` says how the number reads: a level ("value",
    "base"), a change with its sign ("delta", "delta_pct"), a change without ("abs_…"), or no number ("word").
    `change` is the signed change behind any change path, so a checker can see its direction."""

    role: Literal["value", "base", "delta", "abs_delta", "delta_pct", "abs_delta_pct", "word"]
    number: Decimal | None
    change: Decimal | None
    text: str | None
    comparison: Comparison | None = None


def tokens(text: str) -> list[Token]:
    """The claim tokens of a text. Raises `DataFailure` on braces that are not a well-formed token."""
    found = [
        Token(m.group(1), m.group(2) or "value", m.group(3) or "plain", m.start(), m.end())  # type: ignore[arg-type]
        for m in TOKEN.finditer(text)
    ]
    rest = TOKEN.sub("", text)
    if "{{" in rest or "}}" in rest:
        raise DataFailure(f"Unresolved claim token in {text!r}: the form is {{{{c:fact.path}}}}.")
    return found


def measure(fact: Fact, path: str, zone: ZoneInfo, as_of: datetime) -> Measure:
    """What `path` of `fact` stands for. Raises `DataFailure` when the fact has no such path, or nothing
    behind it: a change against an unknown or zero base, an `unknown_since` of a known fact."""
    if path == "label":
        return Measure("word", None, None, fact.label)
    if path == "period":
        if fact.period is None:
            raise DataFailure(f"Fact {fact.id} has no period.")
        return Measure("word", None, None, fact.period.label)
    if path == "unknown_since":
        if fact.known or fact.unknown_since is None:
            raise DataFailure(f"Fact {fact.id} has no moment since which it is unknown.")
        return Measure("word", None, None, moment_text(fact.unknown_since, zone, as_of))
    if path == "fresh_to":
        if fact.fresh_to is None:
            raise DataFailure(f"Nothing is recorded about how fresh fact {fact.id} is.")
        return Measure("word", None, None, moment_text(fact.fresh_to, zone, as_of))
    if path == "value":
        if not fact.known:
            return Measure("word", None, None, unknown_text(fact, zone, as_of))
        if fact.unit == "text":
            return Measure("word", None, None, fact.text)
        if fact.unit == "date":
            assert fact.day is not None
            return Measure("word", None, None, day_text(fact.day, as_of.astimezone(zone).year))
        return Measure("delta" if fact.change else "value", fact.value, fact.value if fact.change else None, None)
    if path == "abs_value" and fact.change and fact.value is not None:
        return Measure("abs_delta", fact.value.copy_abs(), fact.value, None)
    return _comparison_measure(fact, path)


def _comparison_measure(fact: Fact, path: str) -> Measure:
    parts = path.split(".")
    if parts[0] == "comparison":
        if len(parts) != 3:
            raise DataFailure(f"{path!r} is not a path: comparison.NAME.PART is.")
        comparison, part = fact.comparison(parts[1]), parts[2]
    else:
        comparison, part = fact.primary, path if path in CHANGE_PATHS else ""
    if comparison is None or part not in (*CHANGE_PATHS, "value", "label"):
        raise DataFailure(f"Fact {fact.id} has no path {path!r}.")
    if part == "label":
        return Measure("word", None, None, comparison.label, comparison)
    number = {
        "value": comparison.value,
        "delta": comparison.delta,
        "abs_delta": comparison.delta,
        "delta_pct": comparison.delta_pct,
        "abs_delta_pct": comparison.delta_pct,
    }[part]
    if number is None:
        raise DataFailure(f"Fact {fact.id} has nothing behind {path!r}: one side of the comparison is missing.")
    if part == "value":
        return Measure("base", number, None, None, comparison)
    shown = number.copy_abs() if part.startswith("abs_") else number
    return Measure(part, shown, comparison.delta, None, comparison)  # type: ignore[arg-type]


def measure_in(bundle: Bundle, token: Token) -> Measure:
    """`measure` for a token of a text about `bundle`."""
    return measure(bundle.fact(token.fact), token.path, ZoneInfo(bundle.company.timezone), bundle.as_of)


def claim(bundle: Bundle, fact_id: str, path: str = "value", style: Style = "plain", *, bold: bool = False) -> Claim:
    """The claim as a span, formatted, with the mark its tie-out and freshness call for."""
    fact = bundle.fact(fact_id)
    zone = ZoneInfo(bundle.company.timezone)
    found = measure(fact, path, zone, bundle.as_of)
    text = found.text if found.text is not None else _format_measure(fact, found, style)
    mark: Mark = ""
    as_of = None
    if found.role != "word" or (path == "value" and fact.known):
        if fact.tie_out == "mismatched":
            mark = "not_tied_out"
        elif fact.status == "stale":
            mark = "stale"
        if fact.status == "stale" and fact.fresh_to is not None:
            as_of = moment_text(fact.fresh_to, zone, bundle.as_of)
    return Claim(fact_id, path, text, mark, as_of, bold)


def fill(text: str, bundle: Bundle) -> RichText:
    """A draft's text as rich text, every token replaced by its claim. An unresolved token is an error."""
    spans: list[Span] = []
    position = 0
    for token in tokens(text):
        if token.start > position:
            spans.append(Words(text[position : token.start]))
        spans.append(claim(bundle, token.fact, token.path, token.style))
        position = token.end
    if position < len(text):
        spans.append(Words(text[position:]))
    return tuple(spans)


def provenance(blocks: tuple[Block, ...], bundle: Bundle, more: Iterable[Span] = ()) -> tuple[UsedClaim, ...]:
    """Every claim of the blocks (and of `more` spans), once each, with source and tie-out."""
    seen: dict[tuple[str, str, str], UsedClaim] = {}
    for span in (*spans_of(blocks), *more):
        if isinstance(span, Claim):
            fact = bundle.fact(span.fact)
            key = (span.fact, span.path, span.text)
            seen.setdefault(key, UsedClaim(*key, fact.label, fact.tie_out, fact.status, fact.source))
    return tuple(seen.values())


# Formatting -------------------------------------------------------------------------------------------------


def _format_measure(fact: Fact, found: Measure, style: Style) -> str:
    assert found.number is not None
    if found.role in ("delta_pct", "abs_delta_pct"):
        return percent_text(found.number * 100, signed=found.role == "delta_pct")
    if found.role in ("delta", "abs_delta"):
        return change_text(found.number, fact.unit, fact.currency, signed=found.role == "delta", style=style)
    return value_text(found.number, fact.unit, fact.currency, style=style)


def value_text(value: Decimal, unit: Unit, currency: str | None = None, *, style: Style = "plain") -> str:
    """A level as a reader sees it: `$11,234`, `3.1%`, `12 days`, `78`."""
    if unit == "money":
        return money_text(value, currency or "", style=style)
    if unit == "ratio":
        return percent_text(_exactly(value, 100))
    if unit == "percent":
        return percent_text(value)
    if unit == "days":
        return _counted(value, "day", "days")
    if unit == "hours":
        return _hours(value)
    if unit == "score":
        return _signed(value, _grouped(value.copy_abs(), 0), False)
    if style == "compact":
        return _signed(value, _compact(value.copy_abs()), False)
    return _signed(value, _quantity(value.copy_abs()), False)


def change_text(
    delta: Decimal, unit: Unit, currency: str | None = None, *, signed: bool = True, style: Style = "plain"
) -> str:
    """A change in the fact's own unit: `+$1,200`, `−3 days`, `+1.2 points` for a percent or a score."""
    if unit == "money":
        return money_text(delta, currency or "", style=style, signed=signed)
    if unit in ("ratio", "percent", "score"):
        points = _exactly(delta, 100) if unit == "ratio" else delta
        return _counted(points, "point", "points", signed=signed)
    if unit == "days":
        return _counted(delta, "day", "days", signed=signed)
    if unit == "hours":
        return _hours(delta, signed=signed)
    if style == "compact":
        return _signed(delta, _compact(delta.copy_abs()), signed)
    return _signed(delta, _quantity(delta.copy_abs()), signed)


def money_text(amount: Decimal, currency: str, *, style: Style = "plain", signed: bool = False) -> str:
    """`$185.20`, `$11,234`, `−£1,566`; a currency without a symbol here is written out: `CHF 1,234`."""
    symbol = SYMBOLS.get(currency, f"{currency} ")
    size = amount.copy_abs()
    minor = 0 if currency in WHOLE_CURRENCIES else 2
    if style == "compact":
        figure = _compact(size)
    elif style == "exact" or _rounded(size, minor) < 1000:
        figure = _grouped(size, minor)
    else:
        figure = _grouped(size, 0)
    return _signed(amount, symbol + figure, signed)


def percent_text(points: Decimal, *, signed: bool = False) -> str:
    """A percentage from a number in hundredths: 3.14 → `3.1%`, 41.7 → `42%`."""
    size = points.copy_abs()
    return _signed(points, _grouped(size, 1 if _rounded(size, 1) < 10 else 0) + "%", signed)


def moment_text(moment: datetime, zone: ZoneInfo, as_of: datetime) -> str:
    """`Thu 19 Nov 06:00` in the company's zone, `06:00` on the day of `as_of`; the year is added when it is
    not that of `as_of`."""
    local = moment.astimezone(zone)
    if local.date() == as_of.astimezone(zone).date():
        return f"{local:%H:%M}"
    return f"{day_text(local.date(), as_of.astimezone(zone).year)} {local:%H:%M}"


def day_text(day: date, year: int | None = None) -> str:
    """`Thu 19 Nov`, with the year when it differs from `year`. English whatever the machine's locale."""
    text = f"{WEEKDAYS[day.weekday()][:3]} {day.day} {MONTHS[day.month - 1][:3]}"
    return text if year is None or day.year == year else f"{text} {day.year}"


def unknown_text(fact: Fact, zone: ZoneInfo, as_of: datetime) -> str:
    """What stands where an unknown number would: since when, or that it never arrived."""
    if fact.unknown_since is None:
        return "unknown (never loaded)"
    return f"unknown since {moment_text(fact.unknown_since, zone, as_of)}"


def _exactly(value: Decimal, factor: int) -> Decimal:
    with localcontext() as context:
        context.prec = max(len(value.as_tuple().digits) + 5, 28)
        return value * factor


def _rounded(size: Decimal, places: int) -> Decimal:
    with localcontext() as context:
        context.prec = max(size.adjusted() + places + 3, len(size.as_tuple().digits) + 2, 28)
        return size.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def _grouped(size: Decimal, places: int) -> str:
    return f"{_rounded(size, places):,f}"


def _quantity(size: Decimal) -> str:
    return _grouped(size, 0 if _rounded(size, 1) >= 10 else 1).removesuffix(".0")


def _compact(size: Decimal) -> str:
    for power, letter in ((3, "K"), (6, "M"), (9, "B")):
        scaled = size.scaleb(-power)
        # 999,950 would read 1,000K: the next letter takes over where this one's rounding reaches 1,000.
        if power == 9 or _rounded(scaled, 0 if scaled >= 100 else 1) < 1000:
            if power == 3 and _rounded(size, 0) < 1000:
                return _quantity(size)
            return _grouped(scaled, 1 if _rounded(scaled, 1) < 100 else 0) + letter
    raise AssertionError("unreachable")


def _counted(value: Decimal, one: str, many: str, *, signed: bool = False) -> str:
    figure = _quantity(value.copy_abs())
    return f"{_signed(value, figure, signed)} {one if figure == '1' else many}"


def _hours(value: Decimal, *, signed: bool = False) -> str:
    size = value.copy_abs()
    if size >= 72:
        return _counted(_exactly(value, 1) / 24, "day", "days", signed=signed)
    minutes = _rounded(_exactly(size, 60), 0)
    if 0 < minutes < 60:
        return _signed(value, f"{minutes} min", signed)
    return _signed(value, f"{_quantity(size)} h", signed)


def _signed(value: Decimal, figure: str, signed: bool) -> str:
    if not any(char in "123456789" for char in figure):
        return figure
    return (MINUS if value < 0 else "+" if signed and value > 0 else "") + figure

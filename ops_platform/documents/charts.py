"""Charts as data: made from a bundle, proven by it, and what every renderer needs to know to draw or write them.

Belongs here: from a bundle's series and facts to a `Chart`, the provenance of its numbers, how its numbers are written
(as text and as a spreadsheet's format), the scale of its axis, the bars of a waterfall, what is said of a gap. Does not
belong here: colours (`documents.theme`), drawing (`documents.plot`, `documents.pptx_charts`), charts as
text (`documents.chart_text`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from ops_platform.documents.claims import MINUS, SYMBOLS
from ops_platform.documents.model import NOT_TIED_OUT, Chart, ChartSeries, UsedClaim, plain, rich
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ops_platform.documents.model import ChartKind, RichText, Role
    from ops_platform.evidence.model import Bundle, Series, Unit

NAMED_GAPS = 6
TICKS = 5
_ONE, _TEN = Decimal(1), Decimal(10)
_UNIT_WORDS: dict[Unit, str] = {"days": "days", "hours": "hours", "score": "score"}


# From evidence ----------------------------------------------------------------------------------------------


def chart_of_series(
    bundle: Bundle,
    kind: ChartKind,
    message: str | RichText,
    lines: Iterable[tuple[str, Role] | tuple[str, Role, str]],
    source: str | RichText = (),
) -> Chart:
    """A chart of series of the bundle: each by its id, its role and, where its own label is not wanted, another.

    All must be of one unit and have the same labels. Raises `DataFailure` where they do not, or where the bundle has no
    such series."""
    found: list[Series] = []
    drawn: list[ChartSeries] = []
    for name, role, *label in lines:
        series = bundle.line(name)
        if series is None:
            raise DataFailure(f"The evidence bundle has no series {name!r}.")
        found.append(series)
        drawn.append(ChartSeries(label[0] if label else series.label, series.values, role, name))
    if not found:
        raise DataFailure("A chart needs at least one series.")
    first = found[0]
    for series in found[1:]:
        if (series.unit, series.currency, series.labels) != (first.unit, first.currency, first.labels):
            raise DataFailure(f"Series {series.id} does not fit into one chart with {first.id}.")
    doubtful = tuple(one.label for one, series in zip(drawn, found, strict=True) if series.tie_out == "mismatched")
    return Chart(kind, rich(message), first.labels, tuple(drawn), first.unit, first.currency, rich(source), doubtful)


def chart_of_facts(
    bundle: Bundle,
    kind: ChartKind,
    message: str | RichText,
    facts: Iterable[tuple[str, str]],
    *,
    label: str,
    role: Role = "main",
    source: str | RichText = (),
) -> Chart:
    """A chart of one row of facts: each by what it is called on the axis and its id. Unknown facts are gaps."""
    named = [(category, bundle.fact(fact_id)) for category, fact_id in facts]
    if not named:
        raise DataFailure("A chart needs at least one fact.")
    kinds = {(fact.unit, fact.currency) for _, fact in named}
    if len(kinds) != 1:
        raise DataFailure(f"Facts of different units do not fit into one chart: {[fact.id for _, fact in named]}.")
    values = tuple(fact.value for _, fact in named)
    ids = tuple(fact.id if fact.value is not None else "" for _, fact in named)
    unit, currency = kinds.pop()
    series = ChartSeries(label, values, role, facts=ids)
    known = [(category, fact) for category, fact in named if fact.known]
    return Chart(
        kind,
        rich(message),
        tuple(category for category, _ in named),
        (series,),
        unit,
        currency,
        rich(source),
        tuple(category for category, fact in known if fact.tie_out == "mismatched"),
        tuple(category for category, fact in known if fact.status == "stale"),
    )


def proven(chart: Chart, bundle: Bundle) -> Iterator[UsedClaim]:
    """The provenance of every number of the chart. Raises `DataFailure` on a number that is not the bundle's, that
    stands under another name or unit than there, or whose doubt is not said."""
    numbers = Numbers.of(chart)
    kind = (chart.unit, chart.currency)
    for series in chart.series:
        line = bundle.line(series.evidence) if series.evidence else None
        for index, value in enumerate(series.values):
            if value is None:
                continue
            text, category = numbers.text(value), chart.categories[index]
            fact = bundle.get(series.facts[index]) if series.facts else None
            if line is not None and line.labels == chart.categories:
                used = UsedClaim(
                    line.id, f"points.{index}", text, f"{line.label}, {category}", line.tie_out, "known", line.source
                )
                borne = line.values[index] == value and kind == (line.unit, line.currency)
                said = line.tie_out != "mismatched" or series.label in chart.doubtful
            elif fact is not None:
                used = UsedClaim(fact.id, "value", text, fact.label, fact.tie_out, fact.status, fact.source)
                borne = fact.value == value and kind == (fact.unit, fact.currency)
                said = (fact.tie_out != "mismatched" or category in chart.doubtful) and (
                    fact.status != "stale" or category in chart.old
                )
            else:
                used, borne, said = None, False, True
            if used is None or not borne or not said:
                what = "a number no evidence bears out" if not borne else "a number without its doubt"
                raise DataFailure(f"The chart {plain(chart.message)!r} shows {what}: {series.label}, {category}.")
            yield used


# Numbers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Numbers:
    """How all numbers of one chart are written: alike, so that they can be compared by eye. `power` is the power of ten
    they are divided by (a percent of a fraction: −2), `places` the decimals then shown."""

    prefix: str
    suffix: str
    power: int
    places: int

    @classmethod
    def of(cls, chart: Chart) -> Numbers:
        """What suits the largest number of the chart."""
        known = [abs(value) for series in chart.series for value in series.values if value is not None]
        most = max(known, default=Decimal(0))
        prefix = SYMBOLS.get(chart.currency or "", f"{chart.currency} ") if chart.unit == "money" else ""
        if chart.unit in ("ratio", "percent"):
            power = -2 if chart.unit == "ratio" else 0
            return cls("", "%", power, 0 if most.scaleb(-power) >= 100 else 1)
        for power, letter in ((9, "B"), (6, "M"), (3, "K")):
            if most >= _TEN**power * (10 if power == 3 else 1):
                # The steps of a waterfall are small beside its levels, and are added up by eye.
                return cls(prefix, letter, power, 0 if most.scaleb(-power) >= 100 and chart.kind != "waterfall" else 1)
        whole = all(value == value.to_integral_value() for value in known)
        return cls(prefix, "", 0, 0 if whole or most >= 100 else 1 if most >= 10 or chart.unit != "money" else 2)

    def text(self, value: Decimal, *, signed: bool = False) -> str:
        """`$412K`, `−3.1%`; with `signed` a rise carries a plus."""
        size = abs(value).scaleb(-self.power).quantize(_ONE.scaleb(-self.places), rounding=ROUND_HALF_UP)
        if not size and not self.places:
            return f"{self.prefix}0{self.suffix if self.suffix == '%' else ''}"
        sign = "" if not size else MINUS if value < 0 else "+" if signed else ""
        return f"{sign}{self.prefix}{size:,f}{self.suffix}"

    def axis(self, step: Decimal) -> Numbers:
        """The same for an axis with ticks `step` apart: as many decimals as they need and no more."""
        exponent = step.scaleb(-self.power).normalize().as_tuple().exponent
        assert isinstance(exponent, int)
        return Numbers(self.prefix, self.suffix, self.power, max(0, -exponent))

    def code(self, sign: str = "") -> str:
        """The same as a spreadsheet's number format. With `sign` every number is shown with it, whatever its own is."""
        digits = "#,##0" + ("." + "0" * self.places if self.places else "") + "," * max(self.power // 3, 0)
        percent = self.suffix == "%" and self.power == -2
        body = digits + ("%" if percent else f'"{self.suffix}"' if self.suffix else "")
        zero = f'"{self.prefix}0{self.suffix}"' if self.suffix == "%" else f'"{self.prefix}0"'

        def led(sign: str) -> str:
            return f'"{sign}{self.prefix}"{body}' if sign or self.prefix else body

        return ";".join((led(sign), led(sign or MINUS), zero))


def unit_words(chart: Chart) -> str:
    """What the numbers count where their signs do not say it: `days`."""
    return _UNIT_WORDS.get(chart.unit, "")


# Scale ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """A value axis from `low` to `high` with a tick every `step`: round numbers."""

    low: Decimal
    high: Decimal
    step: Decimal

    @property
    def ticks(self) -> tuple[Decimal, ...]:
        return tuple(self.low + self.step * index for index in range(int((self.high - self.low) / self.step) + 1))

    def share(self, value: Decimal) -> float:
        """Where on the axis a value lies, from 0 to 1."""
        return float((value - self.low) / (self.high - self.low))


def scale(chart: Chart) -> Scale:
    """The axis that holds all values. Bars begin at nought, always; a line may begin higher where its changes would
    otherwise not be seen."""
    low, high = _extent(chart)
    if chart.kind == "line" and low > 0 and 0 < high - low < high / 3:
        low -= (high - low) / 4
    else:
        low, high = min(low, Decimal(0)), max(high, Decimal(0))
    if low == high:
        high = low + 1
    raw = (high - low) / TICKS
    magnitude = _TEN ** raw.adjusted()
    step = next(
        magnitude * size for size in (_ONE, Decimal(2), Decimal("2.5"), Decimal(5), _TEN) if magnitude * size >= raw
    )
    first = (low / step).to_integral_value(ROUND_FLOOR) * step
    last = (high / step).to_integral_value(ROUND_CEILING) * step
    return Scale(first, last, step)


def _extent(chart: Chart) -> tuple[Decimal, Decimal]:
    if chart.kind == "waterfall":
        ends = [end for bar in waterfall(chart) if bar is not None for end in (bar.start, bar.end)]
    elif chart.kind == "stacked":
        columns = [
            [v for v in column if v is not None] for column in zip(*(s.values for s in chart.series), strict=True)
        ]
        ends = [sum((v for v in column if v > 0), Decimal(0)) for column in columns]
        ends += [sum((v for v in column if v < 0), Decimal(0)) for column in columns]
    else:
        ends = [value for series in chart.series for value in series.values if value is not None]
    return min(ends, default=Decimal(0)), max(ends, default=Decimal(0))


# Waterfall --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a waterfall from `start` to `end`; a level starts at nought."""

    start: Decimal
    end: Decimal
    level: bool

    @property
    def value(self) -> Decimal:
        return self.end - self.start


def waterfall(chart: Chart) -> tuple[Bar | None, ...]:
    """The bars of a waterfall, None where a value is unknown. Changes after an unknown one are placed back from the
    level they lead to, so that what is missing shows as a gap of its size."""
    values = chart.series[0].values
    last = len(values) - 1
    bars: list[Bar | None] = [None] * len(values)
    zero = Decimal(0)
    if values[0] is not None:
        bars[0] = Bar(zero, values[0], True)
    if values[last] is not None:
        bars[last] = Bar(zero, values[last] or zero, True)
    gaps = [index for index in range(last) if values[index] is None]
    at = values[0] or zero
    for index in range(1, gaps[-1] if gaps and values[last] is not None else last):
        change = values[index]
        if change is not None:
            bars[index] = Bar(at, at + change, False)
            at += change
    if gaps and values[last] is not None:
        at = values[last] or zero
        for index in range(last - 1, gaps[-1], -1):
            change = values[index] or zero
            bars[index] = Bar(at - change, at, False)
            at -= change
    return tuple(bars)


# Words ------------------------------------------------------------------------------------------------------


def axis_note(chart: Chart) -> str:
    """What is said of an axis that makes changes look larger than they are to the whole."""
    return "The axis does not begin at zero." if scale(chart).low > 0 else ""


def doubt_note(chart: Chart) -> str:
    """What is said of numbers that are known and yet not sure."""
    said = [f"{NOT_TIED_OUT} Not tied out: {', '.join(chart.doubtful)}."] if chart.doubtful else []
    said += [f"Of an earlier day: {', '.join(chart.old)}."] if chart.old else []
    return " ".join(said)


def notes(chart: Chart) -> str:
    """What is unknown and what is doubtful, in one line; empty where neither is."""
    return " ".join(part for part in (gap_note(chart), doubt_note(chart)) if part)


def gap_note(chart: Chart) -> str:
    """What is said of the values that are not known, if there are any: `Unknown: Aug 2026, Sep 2026.`"""
    if not chart.unknown:
        return ""
    if all(value is None for series in chart.series for value in series.values):
        return "Unknown: no value has arrived."
    parts = []
    for series in chart.series:
        missing = [name for name, value in zip(chart.categories, series.values, strict=True) if value is None]
        if not missing:
            continue
        rest = len(missing) - NAMED_GAPS
        names = ", ".join(missing[:NAMED_GAPS]) + (f" and {rest} more" if rest > 0 else "")
        parts.append(f"{series.label} {names}" if len(chart.series) > 1 else names)
    return f"Unknown: {'; '.join(parts)}."

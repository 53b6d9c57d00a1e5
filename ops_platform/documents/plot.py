"""Charts drawn as vectors: what the PDF shows, and every picture made from it.

Belongs here: where lines, bars and labels stand in a chart's frame. Does not belong here: its message and small print
(`documents.blocks`), its numbers and scale (`documents.charts`), the native charts of slides (`documents.pptx_charts`).

An unknown value is drawn as nothing and named: its place is shaded and says "unknown".
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.documents.charts import Numbers, Scale, scale, waterfall
from ops_platform.documents.theme import (
    CHART_SIZE,
    FAINT,
    FALL,
    INK,
    LEADING,
    LEVEL,
    PANEL,
    PAPER,
    RISE,
    RULE,
    SERIES,
    SOFT,
    colours,
)
from ops_platform.documents.typeset import embeddable, inked, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops_platform.documents.ink import Ink
    from ops_platform.documents.model import Chart

UNKNOWN = "unknown"
LABELLED = 16
"""Up to so many bars carry their numbers."""
LEGEND = CHART_SIZE * 1.9
_SMALL = CHART_SIZE - 1
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class _Frame:
    """The area of a chart's marks, from its top left corner, with the axis along its height (or width, for bars)."""

    x: float
    y: float
    w: float
    h: float
    axis: Scale

    def down(self, value: Decimal) -> float:
        return self.y + self.h * (1 - self.axis.share(value))

    def right(self, value: Decimal) -> float:
        return self.x + self.w * self.axis.share(value)


def draw(ink: Ink, chart: Chart, x: float, y: float, w: float, h: float) -> None:
    """The chart in the rectangle."""
    paint = series_colours(chart)
    if len(chart.series) > 1:
        _legend(ink, chart, paint, x, y)
    if chart.kind == "bar":
        above = LEGEND if len(chart.series) > 1 else 0.0
        _bars(ink, chart, paint, x, y + above, w, h - above)
        return
    frame, names, size = _framed(chart, x, y, w, h)
    if not known(chart):
        # An axis would show numbers where there are none.
        ink.box(x, frame.y, w, frame.h, PANEL)
        ink.text(x + w / 2, frame.y + frame.h / 2 - CHART_SIZE, UNKNOWN, CHART_SIZE + 1, FAINT, align="center")
        return
    slot = frame.w / len(chart.categories)
    _gaps(ink, chart, frame, slot)
    numbers = Numbers.of(chart).axis(frame.axis.step)
    for tick in frame.axis.ticks:
        at = frame.down(tick)
        shade, thick = (FAINT, 0.8) if tick == 0 else (RULE, 0.5)
        ink.line(frame.x, at, frame.x + frame.w, at, shade, thick)
        ink.text(frame.x - 6, at - CHART_SIZE * 0.62, numbers.text(tick), CHART_SIZE, SOFT, align="right")
    under = frame.y + frame.h + 4 + _below(chart)
    for index, name in enumerate(names):
        for number, text in enumerate(name):
            ink.text(
                frame.x + slot * (index + _HALF), under + number * size * LEADING, text, size, SOFT, align="center"
            )
    kinds = {"line": _lines, "column": _columns, "stacked": _stacks, "waterfall": _steps}
    kinds[chart.kind](ink, chart, paint, frame, slot)


def series_colours(chart: Chart) -> tuple[str, ...]:
    """A colour for each series: parts of a whole in order, others by their roles."""
    if chart.kind == "stacked":
        return tuple(SERIES[index % len(SERIES)] for index in range(len(chart.series)))
    return colours(tuple(series.role for series in chart.series))


def frame_share(chart: Chart, w: float, h: float) -> tuple[float, float, float, float]:
    """Where the marks' area lies in a chart of this size: x, y, width, height as fractions of it."""
    frame, _, _ = _framed(chart, 0.0, 0.0, w, h)
    return frame.x / w, frame.y / h, frame.w / w, frame.h / h


def known(chart: Chart) -> bool:
    """True where at least one value is."""
    return any(value is not None for series in chart.series for value in series.values)


def _framed(chart: Chart, x: float, y: float, w: float, h: float) -> tuple[_Frame, list[list[str]], float]:
    """The area of the marks, the names under it, and the size of their letters."""
    axis = scale(chart)
    numbers = Numbers.of(chart).axis(axis.step)
    margin = max(width(numbers.text(tick), CHART_SIZE) for tick in axis.ticks) + 7
    end = _end_room(chart)
    names, size = _names(chart, (w - margin - end) / len(chart.categories))
    foot = max(len(name) for name in names) * size * LEADING + 5 + _below(chart)
    head = CHART_SIZE * 1.3 + (LEGEND if len(chart.series) > 1 else 0.0)
    return _Frame(x + margin, y + head, w - margin - end, h - foot - head, axis), names, size


def _below(chart: Chart) -> float:
    """Room under the marks for the numbers of columns that hang down."""
    hangs = chart.kind == "column" and any(value < 0 for s in chart.series for value in s.values if value is not None)
    return CHART_SIZE * 1.2 if hangs else 0.0


def _legend(ink: Ink, chart: Chart, paint: Sequence[str], x: float, y: float) -> None:
    for series, colour in zip(chart.series, paint, strict=True):
        label = inked(series.label)
        if chart.kind == "line":
            ink.line(x, y + 6, x + 16, y + 6, colour, 2.2, dashed=series.role == "plan")
        else:
            ink.box(x, y + 2, 9, 9, colour)
        gap = 21 if chart.kind == "line" else 14
        ink.text(x + gap, y, label, CHART_SIZE, SOFT)
        x += gap + width(label, CHART_SIZE) + 16


def _end_room(chart: Chart) -> float:
    """Room to the right of a line for its last number."""
    if chart.kind != "line":
        return 4.0
    numbers = Numbers.of(chart)
    last = [known[-1] for series in chart.series if (known := [v for v in series.values if v is not None])]
    return max((width(numbers.text(value), CHART_SIZE, "bold") for value in last), default=0.0) + 8


def _names(chart: Chart, slot: float) -> tuple[list[list[str]], float]:
    """The categories as they stand under their slots, and the size of their letters: broken between words, smaller,
    or every so many of them."""
    whole = [inked(name) for name in chart.categories]
    for size, most in ((CHART_SIZE, 2), (CHART_SIZE * 0.85, 3)):
        broken = [_broken(name, slot - 3, size) for name in whole]
        if all(len(name) <= most and all(width(part, size) <= slot - 1 for part in name) for name in broken):
            return broken, size
    if chart.kind == "line" or len(whole) > 12:
        every = _every(whole, slot)
        room = slot * every - 2
        # Counted from the end: the newest is always named.
        kept = [(len(whole) - 1 - index) % every == 0 for index in range(len(whole))]
        return [[_cut(name, room) if keep else ""] for name, keep in zip(whole, kept, strict=True)], CHART_SIZE
    small = CHART_SIZE * 0.85
    return [[_cut(part, slot - 2, small) for part in _broken(name, slot - 3, small)[:3]] for name in whole], small


def _every(names: Sequence[str], slot: float) -> int:
    """Every how many of them are named where not all have room."""
    widest = max(width(name, CHART_SIZE) for name in names)
    return next((count for count in range(2, len(names)) if widest <= slot * count - 6), len(names))


def named_every(chart: Chart, slot: float) -> int:
    """Of how many categories one is named, each `slot` points wide: 1 where all are."""
    named = sum(any(parts) for parts in _names(chart, slot)[0])
    return 1 if named == len(chart.categories) else _every([inked(name) for name in chart.categories], slot)


def ends_told(chart: Chart, tall: float) -> frozenset[int]:
    """The lines whose last number has room beside it, in a plot `tall` points high: the main one first."""
    axis, told, taken = scale(chart), set[int](), list[float]()
    for index in sorted(
        range(len(chart.series)), key=lambda index: (chart.series[index].role == "main", index), reverse=True
    ):
        value = chart.series[index].values[-1] if chart.series[index].values else None
        if value is None:
            continue
        at = tall * (1 - axis.share(value))
        if all(abs(at - other) >= CHART_SIZE * 1.05 for other in taken):
            taken.append(at)
            told.add(index)
    return frozenset(told)


def _broken(name: str, room: float, size: float) -> list[str]:
    """The name in lines, broken at spaces only."""
    made = [""]
    for word in name.split(" "):
        longer = f"{made[-1]} {word}".strip()
        if made[-1] and width(longer, size) > room:
            made.append(word)
        else:
            made[-1] = longer
    return made


def _cut(text: str, room: float, size: float = CHART_SIZE) -> str:
    """The text with an ellipsis where it does not fit."""
    text = embeddable(text)
    if width(text, size) <= room:
        return text
    while text and width(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _gaps(ink: Ink, chart: Chart, frame: _Frame, slot: float) -> None:
    """The places of unknown values of the main series; in columns each series has a place of its own."""
    shown = chart.series if chart.kind == "column" else chart.series[:1]
    wide = slot * (0.84 if len(shown) == 1 else 0.78 / len(shown))
    for number, series in enumerate(shown):
        for index, value in enumerate(series.values):
            if value is not None:
                continue
            middle = frame.x + slot * (index + _HALF) + wide * (number + _HALF - len(shown) / 2)
            ink.box(middle - wide / 2, frame.y, wide, frame.h, PANEL)
            if width(UNKNOWN, CHART_SIZE) <= wide:
                ink.text(middle, frame.y + 4, UNKNOWN, CHART_SIZE, FAINT, align="center")
            elif wide >= CHART_SIZE:
                ink.upright(middle, frame.y + 6 + width(UNKNOWN, _SMALL), UNKNOWN, _SMALL, FAINT)


# Kinds ------------------------------------------------------------------------------------------------------


def _lines(ink: Ink, chart: Chart, paint: Sequence[str], frame: _Frame, slot: float) -> None:
    order = sorted(range(len(chart.series)), key=lambda index: chart.series[index].role == "main")
    for index in order:
        series, colour = chart.series[index], paint[index]
        stretch: list[tuple[float, float]] = []
        for place, value in enumerate(series.values):
            if value is not None:
                stretch.append((frame.x + slot * (place + _HALF), frame.down(value)))
            if stretch and (value is None or place == len(series.values) - 1):
                if len(stretch) > 1:
                    ink.path(stretch, colour, 2.4 if series.role == "main" else 1.6, dashed=series.role == "plan")
                else:
                    ink.circle(*stretch[0], 2.2, colour)
                stretch = []
    told = ends_told(chart, frame.h)
    for index in reversed(order):
        _end_of_line(ink, chart, index, paint[index], frame, slot, told=index in told)


def _end_of_line(ink: Ink, chart: Chart, index: int, colour: str, frame: _Frame, slot: float, *, told: bool) -> None:
    """A dot on the last value, and its number where there is room for it."""
    series = chart.series[index]
    known = [(place, value) for place, value in enumerate(series.values) if value is not None]
    if not known:
        return
    place, value = known[-1]
    main = series.role == "main"
    x, y = frame.x + slot * (place + _HALF), frame.down(value)
    ink.circle(x, y, 3.0 if main else 2.2, colour)
    if told:
        shade = SOFT if series.role == "before" else colour
        ink.text(x + 6, y - CHART_SIZE * 0.6, Numbers.of(chart).text(value), CHART_SIZE, shade, bold=main)


def _columns(ink: Ink, chart: Chart, paint: Sequence[str], frame: _Frame, slot: float) -> None:
    numbers = Numbers.of(chart)
    count = len(chart.series)
    wide = slot * (0.62 if count == 1 else 0.78) / count
    zero = frame.down(Decimal(0))
    few = len(chart.categories) * count <= LABELLED
    for index, series in enumerate(chart.series):
        shade = INK if series.role == "main" else SOFT
        for place, value in enumerate(series.values):
            if value is None:
                continue
            x = frame.x + slot * (place + _HALF) + wide * (index - count / 2)
            y = frame.down(value)
            ink.box(x + 0.5, min(y, zero), wide - 1, abs(zero - y), paint[index])
            text = numbers.text(value)
            if few and width(text, _SMALL) <= (slot if count == 1 else wide + 6):
                top = y - CHART_SIZE * 1.15 if value >= 0 else y + 2
                ink.text(x + wide / 2, top, text, _SMALL, shade, align="center")


def _stacks(ink: Ink, chart: Chart, paint: Sequence[str], frame: _Frame, slot: float) -> None:
    numbers = Numbers.of(chart)
    wide = slot * 0.62
    for place in range(len(chart.categories)):
        up = down = Decimal(0)
        for series, colour in zip(chart.series, paint, strict=True):
            value = series.values[place]
            if not value:
                continue
            start = up if value > 0 else down
            top, foot = frame.down(max(start, start + value)), frame.down(min(start, start + value))
            x = frame.x + slot * (place + _HALF) - wide / 2
            ink.box(x, top, wide, foot - top, colour)
            text = numbers.text(value)
            if foot - top >= CHART_SIZE * 1.3 and width(text, _SMALL) <= wide - 2:
                middle = (top + foot) / 2 - CHART_SIZE * 0.55
                ink.text(x + wide / 2, middle, text, _SMALL, PAPER, align="center")
            up, down = (up + value, down) if value > 0 else (up, down + value)


def _steps(ink: Ink, chart: Chart, paint: Sequence[str], frame: _Frame, slot: float) -> None:
    numbers = Numbers.of(chart)
    bars = waterfall(chart)
    wide = slot * 0.66
    for place, bar in enumerate(bars):
        if bar is None:
            continue
        x = frame.x + slot * (place + _HALF) - wide / 2
        top, foot = frame.down(max(bar.start, bar.end)), frame.down(min(bar.start, bar.end))
        colour = LEVEL if bar.level else RISE if bar.value > 0 else FALL if bar.value else FAINT
        ink.box(x, top, wide, max(foot - top, 0.8), colour)
        text = numbers.text(bar.value, signed=not bar.level)
        ink.text(x + wide / 2, top - CHART_SIZE * 1.25, text, CHART_SIZE, INK, bold=bar.level, align="center")
        if place + 1 < len(bars) and bars[place + 1] is not None:
            y = frame.down(bar.end)
            ink.line(x + wide, y, x + slot, y, FAINT, 0.6)


def _bars(ink: Ink, chart: Chart, paint: Sequence[str], x: float, y: float, w: float, h: float) -> None:
    numbers = Numbers.of(chart)
    names = [inked(name) for name in chart.categories]
    margin = min(max(width(name, CHART_SIZE) for name in names), w * 0.36) + 8
    known = [value for series in chart.series for value in series.values if value is not None]
    labels = max((width(numbers.text(value), CHART_SIZE) for value in known), default=0.0) + 8
    left = labels if any(value < 0 for value in known) else 0.0
    frame = _Frame(x + margin + left, y, w - margin - left - labels, h, scale(chart))
    count = len(chart.series)
    slot = min(h / len(names), 64.0)
    thick = slot * (0.62 if count == 1 else 0.78) / count
    zero = frame.right(Decimal(0))
    for place, name in enumerate(names):
        middle = y + slot * (place + _HALF)
        ink.text(x + margin - 8, middle - CHART_SIZE * 0.62, _cut(name, margin - 8), CHART_SIZE, INK, align="right")
        for index, series in enumerate(chart.series):
            value = series.values[place]
            top = middle + thick * (index - count / 2)
            line = top + thick / 2 - CHART_SIZE * 0.6
            if value is None:
                ink.box(zero, top + 0.5, width(UNKNOWN, CHART_SIZE) + 10, thick - 1, PANEL)
                ink.text(zero + 5, line, UNKNOWN, CHART_SIZE, FAINT)
                continue
            end = frame.right(value)
            ink.box(min(zero, end), top + 0.5, abs(end - zero), thick - 1, paint[index])
            bold = series.role == "main" and count > 1
            if value < 0:
                ink.text(end - 4, line, numbers.text(value), CHART_SIZE, INK, bold=bold, align="right")
            else:
                ink.text(end + 4, line, numbers.text(value), CHART_SIZE, INK, bold=bold)
    ink.line(zero, y, zero, y + slot * len(names), FAINT, 0.8)

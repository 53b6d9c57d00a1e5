"""Charts for channels of text: a line of what it shows, then its numbers in columns beside small bars.

Belongs here: a chart's numbers as rows of cells. Does not belong here: alignment and escaping (each renderer's).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.documents.charts import Numbers, notes, unit_words
from ops_platform.documents.model import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.documents.model import Chart, ChartSeries

BAR = 16
LONGEST = 15
"""Categories that are still read as a list."""
UNKNOWN = "unknown"
_CELLS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"


def chart_rows(chart: Chart, *, bars: bool = True) -> list[list[str]]:
    """A header and a row a category: its name, each series' number and, with `bars` and a single series, a bar. A chart
    of many categories becomes a row a series instead: a small line, and the last value."""
    numbers = Numbers.of(chart)
    if len(chart.categories) > LONGEST:
        return [["", *chart.categories[-1:], ""], *_lines(chart, numbers)]
    bars = bars and len(chart.series) == 1
    steps = chart.kind == "waterfall"
    most = max((abs(v) for v in chart.series[0].values if v is not None), default=Decimal(0))
    words = unit_words(chart)
    rows = [[words, *(series.label for series in chart.series), *([""] if bars else [])]]
    last = len(chart.categories) - 1
    for index, category in enumerate(chart.categories):
        values = [series.values[index] for series in chart.series]
        signed = steps and 0 < index < last
        cells = [UNKNOWN if value is None else numbers.text(value, signed=signed) for value in values]
        rows.append([category, *cells, *([_bar(values[0], most).ljust(BAR)] if bars else [])])
    return rows


def _lines(chart: Chart, numbers: Numbers) -> Iterator[list[str]]:
    for series in chart.series:
        last = series.values[-1]
        yield [series.label, UNKNOWN if last is None else numbers.text(last), sparkline(series)]


def sparkline(series: ChartSeries) -> str:
    """`▁▂▅█ ▃`: a sign a value, a space where it is unknown."""
    known = [value for value in series.values if value is not None]
    low, high = min(known, default=Decimal(0)), max(known, default=Decimal(0))
    reach = high - low
    top = len(_HEIGHTS) - 1
    return "".join(
        " " if value is None else _HEIGHTS[int((value - low) / reach * top) if reach else 0] for value in series.values
    )


def described(chart: Chart) -> str:
    """The chart in a sentence or two, for who cannot see it."""
    numbers = Numbers.of(chart)
    parts = []
    for series in chart.series:
        values = zip(chart.categories, series.values, strict=True)
        said = ", ".join(f"{name} {UNKNOWN if value is None else numbers.text(value)}" for name, value in values)
        parts.append(f"{series.label}: {said}.")
    return " ".join((plain(chart.message).rstrip(".") + ".", *parts, notes(chart))).strip()


def _bar(value: Decimal | None, most: Decimal) -> str:
    """A bar of at most `BAR` cells, a little something for anything that is not nothing; dots where unknown."""
    if value is None:
        return "┈" * 3
    eighths = int(abs(value) / most * BAR * 8) if most else 0
    if value:
        eighths = max(eighths, 1)
    return "█" * (eighths // 8) + (_CELLS[eighths % 8] if eighths % 8 else "")

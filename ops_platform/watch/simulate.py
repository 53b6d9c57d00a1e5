"""What the watch would have said: a metric's past judged day by day, as it would have been, and drawn.

Belongs here: the replay, its episodes, its chart as SVG, HTML and text. Does not belong here: judging (`judge.py`).
Levels are looked for once a week of the past, with what was known then.
"""

from __future__ import annotations

import html
import math
import zlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.watch.judgement import Finding, Judgement, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ops_platform.watch.series import Panel, WatchedMetric

_WIDTH, _HEIGHT = 960, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 50
_ADVERSE, _FAVOURABLE = "#c0392b", "#2e8b57"


@dataclass(frozen=True, slots=True)
class Episode:
    """Days in breach on one side that follow each other within a week: one alert. `worst` is its farthest day."""

    key: SeriesKey
    first: date
    last: date
    worst: Judgement

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def first_known(panel: Panel) -> date | None:
    """The first day of which anything is known; None where nothing is."""
    import numpy as np

    known = np.flatnonzero((~np.isnan(panel.values)).any(axis=0))
    return panel.days[int(known[0])] if len(known) else None


def replay(panel: Panel, since: date, now: datetime) -> list[Judgement]:
    """Every day of the panel from `since`, judged from what was before it only."""
    from ops_platform.watch.judge import judge, judgements
    from ops_platform.watch.level_shift import LevelShift, find_shifts, through_shifts

    found: list[Judgement] = []
    shifts: list[LevelShift] = []
    start = max(since, panel.days[0])
    while start <= panel.days[-1]:
        end = min(start + timedelta(days=6), panel.days[-1])
        before = (start - panel.days[0]).days
        if before:
            known = replace(
                panel, days=panel.days[:before], values=panel.values[:, :before],
                weights=panel.weights[:, :before], labels=panel.labels[:before],
            )  # fmt: skip
            shifts += find_shifts(through_shifts(known, shifts))
        until = (end - panel.days[0]).days + 1
        seen = replace(
            panel, days=panel.days[:until], values=panel.values[:, :until],
            weights=panel.weights[:, :until], labels=panel.labels[:until],
        )  # fmt: skip
        week = [start + timedelta(days=number) for number in range((end - start).days + 1)]
        found += judgements(judge(through_shifts(seen, shifts)), week, now)
        start = end + timedelta(days=1)
    return found


def episodes(found: Sequence[Judgement]) -> list[Episode]:
    """The alerts these judgements would have brought, in the order of their beginning."""
    open_ones: dict[tuple[SeriesKey, bool], Episode] = {}
    closed: list[Episode] = []
    for each in sorted(found, key=lambda one: one.day):
        if each.found is not Finding.BREACHED or each.effect is None or each.closeness is None:
            continue
        name = (each.key, each.effect > 0)
        standing = open_ones.get(name)
        if standing is not None and (each.day - standing.last).days <= 7:
            assert standing.worst.closeness is not None
            worst = each if each.closeness > standing.worst.closeness else standing.worst
            open_ones[name] = replace(standing, last=each.day, worst=worst)
        else:
            if standing is not None:
                closed.append(standing)
            open_ones[name] = Episode(each.key, each.day, each.day, each)
    return sorted([*closed, *open_ones.values()], key=lambda one: (one.first, str(one.key)))


def told_as(one: Episode, told: Sequence[Episode], *, alone_from: Decimal) -> str:
    """How the alert machine would have told an episode: "alone", "with the whole" (the metric itself was out then), or
    "listed only" (a part below `alone_from` times its limit)."""
    if one.key.dimension == "all":
        return "alone"
    if any(
        each.key.dimension == "all" and each.first <= one.last and one.first <= each.last and each.key != one.key
        for each in told
    ):
        return "with the whole"
    return "alone" if (one.worst.closeness or 0) >= alone_from else "listed only"


def svg(metric: WatchedMetric, key: SeriesKey, found: Sequence[Judgement]) -> str:
    """One series with its expected range; days in breach are marked and tell themselves when pointed at.

    The scale is that of the values and of the usual range: a range far wider than that (a holiday seen once) is cut
    off at the edge, for it would press everything else flat."""
    days = sorted((each for each in found if each.key == key), key=lambda one: one.day)
    named = metric.label + (
        "" if key.dimension == "all" else f", {key.dimension.replace('_', ' ')} {key.dimension_value}"
    )
    title = html.escape(named)
    unit = html.escape((metric.unit == "money" and metric.currency) or metric.unit)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}"'
        ' font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="100%" height="100%" fill="white"/><text x="{_LEFT}" y="20" font-size="15">{title}'
        f'<tspan font-size="12" fill="#777"> ({unit})</tspan></text>'
    )
    known = [each for each in days if each.value is not None]
    if not known:
        return f'{head}<text x="{_LEFT}" y="{_HEIGHT // 2}">no known day</text></svg>'
    ticks = _ticks(*_scale(days))
    low, high = ticks[0], ticks[-1]
    first, last = days[0].day, days[-1].day
    length = max((last - first).days, 1)
    bottom = _HEIGHT - _BOTTOM

    def across(day: date) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (day - first).days / length

    def up(number: Decimal | float) -> float:
        return bottom - (bottom - _TOP) * (float(number) - low) / (high - low)

    def line(stretch: Sequence[Judgement], numbers: Sequence[Decimal | None], style: str) -> str:
        points = [
            f"{across(each.day):.1f},{up(number or 0):.1f}" for each, number in zip(stretch, numbers, strict=True)
        ]
        if len(points) == 1:  # a line of one point is nothing to see
            x, y = points[0].split(",")
            return "" if "dash" in style else f'<circle cx="{x}" cy="{y}" r="1.5" fill="#1f4e79"/>'
        return f'<polyline points="{" ".join(points)}" fill="none" {style}/>'

    clip = f"c{zlib.crc32(str(key).encode()):x}"  # several drawings stand in one page
    parts = [
        head,
        f'<clipPath id="{clip}"><rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}"'
        f' height="{bottom - _TOP}"/></clipPath>',
    ]
    for number in ticks:
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(number):.1f}" y2="{up(number):.1f}"'
            f' stroke="{"#999" if number == 0 else "#ddd"}"/>'
            f'<text x="{_LEFT - 6}" y="{up(number) + 4:.1f}" text-anchor="end">{_short(number)}</text>'
        )
    parts.append(f'<g clip-path="url(#{clip})">')
    for stretch in _stretches([each for each in days if each.expected_low is not None]):
        above = [f"{across(each.day):.1f},{up(each.expected_high or 0):.1f}" for each in stretch]
        below = [f"{across(each.day):.1f},{up(each.expected_low or 0):.1f}" for each in reversed(stretch)]
        parts.append(f'<polygon points="{" ".join(above + below)}" fill="#d6e6f5" stroke="#d6e6f5" stroke-width="3"/>')
        parts.append(line(stretch, [each.expected for each in stretch], 'stroke="#8fb3d5" stroke-dasharray="3 3"'))
    parts.append("</g>")
    for stretch in _stretches(known):
        parts.append(line(stretch, [each.value for each in stretch], 'stroke="#1f4e79" stroke-width="1.5"'))
    for each in days:
        if each.value is None or each.closeness is None:
            told = html.escape(f"{each.day}: not judged: {each.explanation}")
            width = (_WIDTH - _LEFT - _RIGHT) / (length + 1)
            parts.append(
                f'<rect x="{across(each.day) - width / 2:.1f}" y="{bottom - 5}" width="{width:.1f}" height="5"'
                f' fill="#bbb"><title>{told}</title></rect>'
            )
        elif each.found is Finding.BREACHED:
            shown = f"{each.day}: {_figure(each.value)} ({_figure(each.expected_low)} to {_figure(each.expected_high)}"
            parts.append(
                f'<circle cx="{across(each.day):.1f}" cy="{up(each.value):.1f}" r="4.5"'
                f' fill="{_ADVERSE if each.adverse else _FAVOURABLE}"><title>{html.escape(shown)} expected)</title>'
                "</circle>"
            )
    parts += [_day_label(day, across(day), bottom) for day in _labelled(first, last)]
    return "".join([*parts, _legend(days), "</svg>"])


def _scale(days: Sequence[Judgement]) -> tuple[float, float]:
    """From the lowest to the highest that is drawn: every value, and the range as wide as it is on nine days of ten,
    but no farther out than thrice what the values span. Beyond that the range is cut off."""
    values = [float(each.value) for each in days if each.value is not None]
    lows = sorted(float(each.expected_low) for each in days if each.expected_low is not None)
    highs = sorted(float(each.expected_high) for each in days if each.expected_high is not None)
    low, high = min(values), max(values)
    room = 3 * ((high - low) or abs(high) or 1.0)
    if lows and highs:
        low = min(low, max(lows[len(lows) // 10], low - room))
        high = max(high, min(highs[-1 - len(highs) // 10], high + room))
    if low == high:
        low, high = (min(low, 0.0), max(high, 0.0)) if low else (0.0, 1.0)
    return low, high


def _ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers that enclose both."""
    rough = (high - low) / (most - 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _labelled(first: date, last: date) -> list[date]:
    """The days named below the drawing: both ends, and firsts of months between that leave room for them."""
    room = max((last - first).days // 10, 1)
    months = []
    day = first.replace(day=1)
    while day <= last:
        if (day - first).days > room and (last - day).days > room:
            months.append(day)
        day = (day + timedelta(days=32)).replace(day=1)
    months = months[:: max(1, -(-len(months) // 7))]
    return [first, *months, *([last] if last != first else [])]


def _day_label(day: date, x: float, bottom: float) -> str:
    anchor = "start" if x <= _LEFT else "end" if x >= _WIDTH - _RIGHT else "middle"
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}" stroke="#999"/>'
        f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="{anchor}">{day.isoformat()}</text>'
    )


def _legend(days: Sequence[Judgement]) -> str:
    """What the marks mean; only those that are there."""
    breached = [each for each in days if each.found is Finding.BREACHED]
    items = [
        ('<line x1="0" x2="18" y1="-4" y2="-4" stroke="#1f4e79" stroke-width="1.5"/>', "value", True),
        ('<rect x="0" y="-10" width="18" height="11" fill="#d6e6f5"/>', "expected range", True),
        ('<line x1="0" x2="18" y1="-4" y2="-4" stroke="#8fb3d5" stroke-dasharray="3 3"/>', "expected", True),
        (f'<circle cx="9" cy="-4" r="4.5" fill="{_ADVERSE}"/>', "out, against us", any(e.adverse for e in breached)),
        (
            f'<circle cx="9" cy="-4" r="4.5" fill="{_FAVOURABLE}"/>', "out, in our favour",
            any(not each.adverse for each in breached),
        ),
        (
            '<rect x="0" y="-6" width="18" height="5" fill="#bbb"/>', "not judged",
            any(each.value is None or each.closeness is None for each in days),
        ),
    ]  # fmt: skip
    x, parts = float(_LEFT), []
    for mark, words, there in items:
        if there:
            parts.append(f'<g transform="translate({x:.0f} {_HEIGHT - 8})">{mark}<text x="24">{words}</text></g>')
            x += 44 + 6.5 * len(words)
    return "".join(parts)


def page(metric: WatchedMetric, found: Sequence[Judgement], *, alone_from: Decimal) -> str:
    """The metric, and each part that would have brought an alert, as one HTML page that needs nothing else."""
    told = episodes(found)
    keys = [SeriesKey(metric.id), *sorted({one.key for one in told if one.key.dimension != "all"}, key=str)]
    manner = {one: told_as(one, told, alone_from=alone_from) for one in told}
    rows = "".join(
        f"<tr><td>{one.first}<td>{one.last}<td>{html.escape(str(one.key))}<td>{manner[one]}"
        f"<td class=n>{_figure(one.worst.value)}<td class=n>{_figure(one.worst.expected_low)} to"
        f" {_figure(one.worst.expected_high)}<td class=n>{one.worst.closeness or 0:.2f}</tr>"
        for one in told
    )
    table = (
        "<table><tr><th>from<th>to<th>series<th>told<th class=n>worst day<th class=n>expected<th class=n>of its limit"
        f"</tr>{rows}</table>"
    )
    days = sorted({each.day for each in found})
    span = f", {days[0]} to {days[-1]}" if days else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(metric.label)}</title>'
        "<style>body{font-family:sans-serif;margin:2rem;max-width:70rem;color:#333}td,th{padding:.2rem .8rem;"
        "text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}"
        "svg{display:block;margin:0 0 1rem}</style>"
        f"<h1>{html.escape(metric.label)}{span}</h1>{table if told else '<p>No alert.</p>'}"
        f"{''.join(svg(metric, key, found) for key in keys)}</html>"
    )


def text_chart(found: Sequence[Judgement], columns: int = 92) -> list[str]:
    """One series as text: a column a day, the newest `columns` days; `█` in breach, `▒` outside but not long enough,
    `·` inside, `◌` not judged, the line below zero for what fell below what was expected. Rows that nothing reaches
    are left out."""
    days = sorted(found, key=lambda one: one.day)[-columns:]
    if not days:
        return ["no day"]
    heights = [
        0.0 if each.closeness is None or each.effect is None else math.copysign(float(each.closeness), each.effect)
        for each in days
    ]
    lines = []
    for mark in (3, 2, 1, 0, -1, -2, -3):
        cells = ""
        if mark and not any(height * mark > 0 and abs(height) > abs(mark) for height in heights):
            continue
        for each, height in zip(days, heights, strict=True):
            if mark == 0:
                cells += "◌" if each.closeness is None else "·" if abs(height) <= 1 else "│"
            elif height * mark > 0 and abs(height) > abs(mark):
                cells += "█" if each.found is Finding.BREACHED else "▒"
            else:
                cells += " "
        tag = "expected" if mark == 0 else f"{mark:+d}× limit"
        lines.append(f"{tag:>9} {cells}".rstrip())
    lines.append(f"{'':>9} {days[0].day}{'':{max(1, len(days) - 20)}}{days[-1].day}")
    return lines


def _stretches(days: Sequence[Judgement]) -> list[list[Judgement]]:
    """Days that follow each other, so that what is unknown is a gap in the drawing."""
    found: list[list[Judgement]] = []
    for each in days:
        if found and (each.day - found[-1][-1].day).days == 1:
            found[-1].append(each)
        else:
            found.append([each])
    return found


def _short(number: float) -> str:
    for size, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.4g}{sign}"
    return f"{number:.4g}"


def _figure(number: Decimal | None) -> str:
    return "?" if number is None else f"{number:,.2f}".rstrip("0").rstrip(".")

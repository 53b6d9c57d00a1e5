"""What the watch would have said: a metric's past judged day by day, as it would have been, and drawn.

Belongs here: the replay, its episodes, its chart as SVG, HTML and text. Does not belong here: judging (`judge.py`).
Levels are looked for once a week of the past, with what was known then.
"""

from __future__ import annotations

import html
import math
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
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 40


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


def svg(metric: WatchedMetric, key: SeriesKey, found: Sequence[Judgement]) -> str:
    """One series with its expected range; days in breach are marked and tell themselves when pointed at."""
    days = sorted((each for each in found if each.key == key), key=lambda one: one.day)
    numbers = [
        float(number)
        for each in days
        for number in (each.value, each.expected_low, each.expected_high)
        if number is not None
    ]
    title = html.escape(metric.label + ("" if key.dimension == "all" else f": {key.dimension_value}"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}"'
        ' font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/><text x="{_LEFT}" y="22" font-size="15">{title}</text>'
    )
    if not numbers:
        return f'{head}<text x="{_LEFT}" y="{_HEIGHT // 2}">no known day</text></svg>'
    low, high = min(numbers), max(numbers)
    span = (high - low) or 1.0
    first, last = days[0].day, days[-1].day
    length = max((last - first).days, 1)

    def across(day: date) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (day - first).days / length

    def up(number: Decimal | float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (float(number) - low) / span

    parts = [head]
    for number in (low, (low + high) / 2, high):
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(number):.1f}" y2="{up(number):.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{up(number) + 4:.1f}" text-anchor="end">{_short(number)}</text>'
        )
    for stretch in _stretches([each for each in days if each.expected_low is not None]):
        above = [f"{across(each.day):.1f},{up(each.expected_high or 0):.1f}" for each in stretch]
        below = [f"{across(each.day):.1f},{up(each.expected_low or 0):.1f}" for each in reversed(stretch)]
        parts.append(f'<polygon points="{" ".join(above + below)}" fill="#cfe3f5"/>')
    for stretch in _stretches([each for each in days if each.value is not None]):
        line = " ".join(f"{across(each.day):.1f},{up(each.value or 0):.1f}" for each in stretch)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#1f4e79" stroke-width="1.5"/>')
    for each in days:
        if each.found is Finding.BREACHED and each.value is not None:
            colour = "#c0392b" if each.adverse else "#2e8b57"
            told = html.escape(f"{each.day}: {each.value} ({each.expected_low} to {each.expected_high} expected)")
            parts.append(
                f'<circle cx="{across(each.day):.1f}" cy="{up(each.value):.1f}" r="4.5" fill="{colour}">'
                f"<title>{told}</title></circle>"
            )
    parts.append(
        f'<text x="{_LEFT}" y="{_HEIGHT - 12}">{first}</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 12}" text-anchor="end">{last}</text></svg>'
    )
    return "".join(parts)


def page(metric: WatchedMetric, found: Sequence[Judgement]) -> str:
    """The metric, and each part that would have brought an alert, as one HTML page that needs nothing else."""
    told = episodes(found)
    keys = [SeriesKey(metric.id), *sorted({one.key for one in told if one.key.dimension != "all"}, key=str)]
    rows = "".join(
        f"<tr><td>{one.first}</td><td>{one.last}</td><td>{html.escape(str(one.key))}</td><td>{one.worst.value}</td>"
        f"<td>{one.worst.expected_low} to {one.worst.expected_high}</td><td>{one.worst.closeness}</td></tr>"
        for one in told
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(metric.label)}</title>'
        "<style>body{font-family:sans-serif;margin:2rem}td,th{padding:.2rem .8rem;text-align:left}</style>"
        f"<h1>{html.escape(metric.label)}</h1>{''.join(svg(metric, key, found) for key in keys)}"
        "<table><tr><th>from<th>to<th>series<th>worst day<th>expected<th>times its limit</tr>"
        f"{rows}</table></html>"
    )


def text_chart(found: Sequence[Judgement], columns: int = 92) -> list[str]:
    """One series as text: a column a day, the newest `columns` days; `█` in breach, `▒` outside but not long enough,
    `·` inside, blank unknown, the line below zero for what fell below what was expected."""
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
        for each, height in zip(days, heights, strict=True):
            if mark == 0:
                cells += " " if each.closeness is None else "·" if abs(height) <= 1 else "│"
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
            return f"{number / size:.3g}{sign}"
    return f"{number:.3g}"

"""Lasting changes of level, found at night: from then on the days before are read as if at the new level.

Only of what scatters about a level: flows that move from day to day. A state takes its level from the day before, and
a jump is how it moves: read through shifts its jumps would be gone from what it is held against.

Belongs here: finding shifts in one series (change points by PELT, package `ruptures`) and reading history through them.
Does not belong here: when it is done (`tick.py`) and where they are kept (`store.py`). Imports numpy: import this
module inside functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from ops_platform.watch.expectation import from_scale, to_scale
from ops_platform.watch.judgement import SeriesKey
from ops_platform.watch.series import Panel

if TYPE_CHECKING:
    from ops_platform.watch.baseline import Floats

LOOK_BACK_DAYS = 182
LASTING_DAYS = 14  # a level must have held for so long
_PENALTY = 8.0  # in noise variances and log days: a lone bad week is no new level
_CLEARLY = 2.0  # how many noise deviations apart the levels are


@dataclass(frozen=True, slots=True)
class LevelShift:
    """`before` and `after` are median values in the series' unit; `day` is the first at the new level."""

    key: SeriesKey
    day: date
    before: Decimal
    after: Decimal


def find_shifts(panel: Panel) -> list[LevelShift]:
    """The newest lasting shift of each series, if it is within `LOOK_BACK_DAYS` and beyond the minimum effect."""
    found = []
    for row, key in enumerate(panel.keys):
        metric = panel.metrics[key.metric_id]
        if metric.kind != "flow":
            continue
        offsets = np.array([metric.offset])
        values = panel.values[row : row + 1, -LOOK_BACK_DAYS:]
        place = newest_shift(to_scale(values, offsets)[0], [day.weekday() for day in panel.days[-LOOK_BACK_DAYS:]])
        if place is None:
            continue
        start = max(place - 4 * LASTING_DAYS, 0)
        before, after = float(np.nanmedian(values[0, start:place])), float(np.nanmedian(values[0, place:]))
        if abs(after - before) >= float(metric.minimum_effect or 0):
            day = panel.days[len(panel.days) - values.shape[1] + place]
            found.append(LevelShift(key, day, Decimal(f"{before:.6f}"), Decimal(f"{after:.6f}")))
    return found


def newest_shift(scaled: Floats, weekdays: Sequence[int]) -> int | None:
    """Where the newest level of a series begins; None where it has had one level. NaN are bridged by the median."""
    import ruptures

    known = ~np.isnan(scaled)
    if known.sum() < 3 * LASTING_DAYS or not known[-LASTING_DAYS:].any():
        return None
    days = np.array(weekdays)
    level = np.median(scaled[known])
    away = np.where(known, scaled, level)
    # Weekdays apart, by their difference from the week around them: their own levels would be found else.
    week = np.convolve(np.pad(away, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    for weekday in range(7):
        here = days == weekday
        if here.any():
            away[here] -= np.median((away - week)[here])
    steps = np.abs(np.diff(away))
    noise = float(np.median(steps)) / 0.954  # the median step of white noise in its deviations
    if noise == 0:  # it stands still on most days
        return None
    # A few days far out are an incident, not a level.
    flat = np.clip(away, level - 1e6, level + 1e6)
    penalty = _PENALTY * noise**2 * float(np.log(len(flat)))
    ends = ruptures.KernelCPD(kernel="linear", min_size=LASTING_DAYS).fit(flat[:, None]).predict(pen=penalty)
    if len(ends) < 2:
        return None
    place = int(ends[-2])
    start = int(ends[-3]) if len(ends) > 2 else 0
    apart = abs(float(np.median(flat[place:])) - float(np.median(flat[start:place])))
    return place if apart >= _CLEARLY * noise else None


def through_shifts(panel: Panel, shifts: Iterable[LevelShift]) -> Panel:
    """The panel with what came before each shift moved to the new level, on the scale the series is judged on."""
    by_key: Mapping[SeriesKey, int] = {key: row for row, key in enumerate(panel.keys)}
    values = panel.values.copy()
    for shift in sorted(shifts, key=lambda each: each.day):
        row, place = by_key.get(shift.key), (shift.day - panel.days[0]).days
        if row is None or place <= 0 or shift.day > panel.days[-1] - timedelta(days=LASTING_DAYS - 1):
            continue
        offsets = np.array([panel.metrics[shift.key.metric_id].offset])
        ends = to_scale(np.array([[float(shift.before), float(shift.after)]]), offsets)[0]
        moved = to_scale(values[row : row + 1, :place], offsets) + (ends[1] - ends[0])
        values[row, :place] = from_scale(moved, offsets)[0]
    return replace(panel, values=values)

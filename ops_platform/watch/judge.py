"""Judging: which days of which series were outside what was expected, by how much, and for how long.

Belongs here: minimum effects, persistence, closeness, and the words of a judgement. Does not belong here: the expected
range itself (`expectation.py`), reading and keeping (`store.py`), messages (`ops_platform.alerts`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.watch.judgement import Finding, Judgement, Reason, SeriesKey

if TYPE_CHECKING:
    from numpy import bool_
    from numpy.typing import NDArray

    from ops_platform.watch.baseline import Floats
    from ops_platform.watch.expectation import Expectations, Ints
    from ops_platform.watch.series import Panel, Persistence, Reading, WatchedMetric

_FARTHEST = 999.0
_LARGEST = 1e15
_LONGEST_BREACH = 62  # days looked back for the beginning of a breach


@dataclass(frozen=True, slots=True)
class Judged:
    """Every day of a panel, `[series, day]`: `closeness` (NaN where nothing is known), `side` (1 above, -1 below what
    was expected) and whether it is a breach. `low` and `high` have the minimum effect in them."""

    panel: Panel
    expectations: Expectations
    low: Floats
    high: Floats
    closeness: Floats
    side: Ints
    breached: NDArray[bool_]


def judge(panel: Panel) -> Judged:
    """Judge every day of every series of the panel, each by earlier days only."""
    import numpy as np

    from ops_platform.watch.chance import chance_limits
    from ops_platform.watch.expectation import expect

    metrics = [panel.metrics[key.metric_id] for key in panel.keys]
    offsets = np.array([metric.offset for metric in metrics])
    rates = np.array([metric.is_rate for metric in metrics], dtype=bool)[:, None]
    found = expect(
        panel.values, panel.days, offsets=offsets, weights=np.where(rates, panel.weights, np.nan), labels=panel.labels,
        states=np.array([metric.kind != "flow" for metric in metrics], dtype=bool),
        usual=np.array([metric.usual_share for metric in metrics]),
    )  # fmt: skip
    least = np.array([float(metric.minimum_effect or 0) for metric in metrics])[:, None]
    # Where nothing ever moved the range is a point; a hair's breadth of it is not a breach.
    least = np.maximum(least, 1e-9 * np.maximum(np.abs(np.nan_to_num(found.expected)), 1e-3))
    high, low = np.maximum(found.high, found.expected + least), np.minimum(found.low, found.expected - least)
    counted = np.array([metric.is_count for metric in metrics], dtype=bool)
    amounts = np.array([metric.is_amount for metric in metrics], dtype=bool)
    by_chance = chance_limits(
        panel.values, panel.weights, found.expected, counted=counted, rates=rates[:, 0], amounts=amounts,
        balances=np.array([metric.is_balance for metric in metrics], dtype=bool),
    )  # fmt: skip
    low, high = np.fmin(low, by_chance[0]), np.fmax(high, by_chance[1])
    above = panel.values >= found.expected
    away = np.abs(panel.values - found.expected)
    closeness = np.minimum(away / np.where(above, high - found.expected, found.expected - low), _FARTHEST)
    side = np.where(above, 1, -1).astype(np.int64)
    outside = (closeness > 1) * side
    breached = np.zeros(outside.shape, dtype=bool)
    for row, metric in enumerate(metrics):
        breached[row] = persistent(outside[row], ~np.isnan(closeness[row]), metric.persistence)
    return Judged(panel, found, low, high, closeness, side, breached)


def persistent(outside: Ints, known: NDArray[bool_], persistence: Persistence) -> NDArray[bool_]:
    """On which days a series is in breach: outside that day, and on enough of the last known days on the same side.
    `outside` is 1, -1 or 0 a day."""
    import numpy as np

    breach = np.zeros(len(outside), dtype=bool)
    places = np.flatnonzero(known)
    days = outside[places]
    for way in (1, -1):
        total = np.concatenate([[0], np.cumsum(days == way)])
        start = np.maximum(np.arange(len(days)) + 1 - persistence.of, 0)
        breach[places[(days == way) & (total[1:] - total[start] >= persistence.days)]] = True
    return breach


def judgements(judged: Judged, days: Iterable[date], now: datetime) -> list[Judgement]:
    """The judgements of `days`, one a series and day. `now` is aware."""
    panel = judged.panel
    place = {day: number for number, day in enumerate(panel.days)}
    return [
        _judgement(judged, row, key, place[day], now)
        for day in sorted(set(days))
        if day in place
        for row, key in enumerate(panel.keys)
    ]


def _judgement(judged: Judged, row: int, key: SeriesKey, day: int, now: datetime) -> Judgement:
    panel, expectations = judged.panel, judged.expectations
    metric, on = panel.metrics[key.metric_id], panel.days[day]
    reading = panel.readings.get((key, on))
    reason = _why_unknown(judged, row, day, reading)
    fresh_to, tie_out = (reading.fresh_to, reading.tie_out) if reading else (None, "unknown")
    value = reading.value if reading else _decimal(float(panel.values[row, day]), metric.unit)
    if reason is not None:
        return Judgement(
            key, on, Finding.UNKNOWN, now, reason=reason, value=value, fresh_to=fresh_to, tie_out=tie_out,
            explanation=_why(reason, judged, row, day),
        )  # fmt: skip
    assert value is not None
    expected = _decimal(float(expectations.expected[row, day]), metric.unit)
    assert expected is not None
    outside, breached = bool(judged.closeness[row, day] > 1), bool(judged.breached[row, day])
    effect = value - expected
    return Judgement(
        key, on, Finding.BREACHED if breached else Finding.CLEAR, now,
        reason=Reason.NOT_PERSISTENT if outside and not breached else None,
        value=value,
        expected_low=_decimal(float(judged.low[row, day]), metric.unit),
        expected=expected,
        expected_high=_decimal(float(judged.high[row, day]), metric.unit),
        effect=effect,
        effect_money=effect if metric.unit == "money" else None,
        closeness=Decimal(f"{judged.closeness[row, day]:.4f}"),
        adverse=is_adverse(metric.direction, effect),
        since=_since(judged, row, day, metric.persistence) if breached else None,
        baseline=_baseline(judged, row, day),
        explanation=_how(judged, row, day, metric),
        fresh_to=fresh_to, tie_out=tie_out,
    )  # fmt: skip


def is_adverse(direction: str, effect: Decimal) -> bool:
    """Whether a move is in the direction nobody wants; of a metric without one, every move is."""
    return not ((direction == "up_is_good" and effect > 0) or (direction == "down_is_good" and effect < 0))


def _why_unknown(judged: Judged, row: int, day: int, reading: Reading | None) -> Reason | None:
    if reading is not None:
        if reading.value is None and reading.denominator == 0:
            return Reason.NOTHING_TO_DIVIDE
        if reading.value is None:
            return Reason.NO_VALUE
        if not reading.complete:
            return Reason.INCOMPLETE
    if math.isnan(judged.panel.values[row, day]):
        return Reason.NO_ROW
    return Reason.TOO_LITTLE_HISTORY if math.isnan(judged.closeness[row, day]) else None


def _why(reason: Reason, judged: Judged, row: int, day: int) -> str:
    if reason is Reason.TOO_LITTLE_HISTORY:
        from ops_platform.watch.expectation import FEWEST_RESIDUALS

        known = int(judged.expectations.residuals[row, day])
        return f"too little history: {known} comparable days of the {FEWEST_RESIDUALS} a range needs"
    return {
        Reason.INCOMPLETE: "the day is not complete: a source is not yet fresh to its end",
        Reason.NO_VALUE: "its value is unknown",
        Reason.NOTHING_TO_DIVIDE: "nothing happened that day that the rate could be of",
        Reason.NO_ROW: "the warehouse has no row for the day",
    }[reason]


def _since(judged: Judged, row: int, day: int, persistence: Persistence) -> date:
    """The first day of the breach: back over days outside on the same side, with no more days inside between them
    than the persistence allows."""
    side, inside, first = judged.side[row, day], 0, day
    for earlier in range(day - 1, max(day - _LONGEST_BREACH, -1), -1):
        closeness = judged.closeness[row, earlier]
        if math.isnan(closeness):
            continue
        if closeness > 1 and judged.side[row, earlier] == side:
            first, inside = earlier, 0
        elif (inside := inside + 1) > persistence.of - persistence.days:
            break
    return judged.panel.days[first]


def _baseline(judged: Judged, row: int, day: int) -> str:
    from ops_platform.watch.expectation import BASELINES

    return BASELINES[int(judged.expectations.baseline[row, day])]


def _how(judged: Judged, row: int, day: int, metric: WatchedMetric) -> str:
    """How the range came about, in words; every number in it is a count or the metric's own setting."""
    expectations, label = judged.expectations, judged.panel.labels[day]
    parts = [
        f"expected from {_baseline(judged, row, day)}",
        f"range from {int(expectations.residuals[row, day])} earlier days",
    ]
    if label:
        named = ", ".join(part.partition(":")[2] for part in label.split("; "))
        precedents = int(expectations.precedents[row, day])
        told = f"{precedents} earlier such days" if precedents else "none like it before, so a wider range"
        parts.append(f"{named} ({told})")
    if metric.minimum_effect:
        parts.append(f"worth a word from {metric.minimum_effect.normalize():f}")
    if metric.persistence.of > 1:
        parts.append(f"on {metric.persistence.days} of {metric.persistence.of} days")
    return "; ".join(parts)


def _decimal(number: float, unit: str) -> Decimal | None:
    """Out of the statistics, as the unit is read: cents for money, six places else."""
    if math.isnan(number):
        return None
    bounded = max(-_LARGEST, min(_LARGEST, number))
    return Decimal(f"{bounded:.2f}" if unit == "money" else f"{bounded:.6f}")


def panel_of(series: Sequence[WatchedMetric], days: Sequence[date], values: Floats) -> Panel:
    """A panel of whole metrics without calendar or denominators: for measurements and for trying things out."""
    import numpy as np

    from ops_platform.watch.series import Panel

    return Panel(
        keys=tuple(SeriesKey(metric.id) for metric in series),
        metrics={metric.id: metric for metric in series},
        days=tuple(days),
        values=values,
        weights=np.full(values.shape, np.nan),
        labels=("",) * len(days),
    )

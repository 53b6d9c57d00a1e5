"""The expected range of every series on every day, from the days before it.

For each series and day the baseline with the smallest trailing error is chosen (flat, same weekday, day of month, both;
each on a level of one, seven or 28 days), holidays and promotions are added as effects, and the range reaches as far as
the trailing tail of its own residuals decays until it comes once in `SELDOM_YEARS`, the day itself left out. Three
votes must agree that a day is inside: against the chosen baseline, against the plain level, and three days together. A
day found outside enters the history of later days at the edge of its range: an incident must not become the rule by
which the next one is judged.

Belongs here: scales, choice, residuals, ranges, all in one pass over `[series, day]`. Does not belong here:
candidates (`baseline.py`), minimum effects, persistence and words (`judge.py`). Imports numpy: import this module
inside functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ops_platform.watch import baseline

if TYPE_CHECKING:
    from ops_platform.watch.baseline import Floats

Ints = NDArray[np.int64]

TAIL_DAYS = 365
ERROR_DAYS = 63  # two months, so that a monthly spike has shown itself
TAIL = 0.985  # of the residuals of a year, on each side
TAIL_MULTIPLE = 1.4
SELDOM_YEARS = 20  # a side: a hundred metrics with their parts are looked at every day
_DECAYING = 0.05  # the share of residuals, a side, from which on a tail is taken to decay exponentially
_SELDOM = _DECAYING * SELDOM_YEARS * TAIL_DAYS  # one in so many of those beyond its edge
_MOST_EXCESSES = int(2 * _DECAYING * (TAIL_DAYS + 1)) + 2  # of both sides together, and one over
_DRAWN_IN = 4.0  # medians beyond the edge, at which what lies farther out is counted: an incident is no tail
_AS_OF_SO_MANY = 8  # fewer excesses are taken for so many
OTHER_VOTES = 1.0  # reach of the two other votes, in the first one's
FEWEST_RESIDUALS = 28
_FEWEST_ERRORS = 14
_ENOUGH_FOR_A_SIDE = 100
_TOGETHER = 3  # days that are also judged together
_WITHOUT_PRECEDENT = 3.0  # times as wide is the range of a holiday that no earlier one tells about
_AT_ONCE = 2
_CHUNK = 32  # series at a time: bounds the memory, and keeps what is worked on in the processor's cache

# In the order of preference: of two that err alike, the simpler.
_CANDIDATES = (
    ("flat", baseline.LONG_DAYS), ("flat", baseline.SHORT_DAYS), ("flat", 1),
    ("weekday", baseline.LONG_DAYS), ("weekday", baseline.SHORT_DAYS), ("weekday", 1),
    ("month day", baseline.LONG_DAYS), ("month day", baseline.SHORT_DAYS), ("month day", 1),
    ("weekday and month day", baseline.LONG_DAYS), ("weekday and month day", baseline.SHORT_DAYS),
)  # fmt: skip
_HANDICAP = (1.0, 1.0, 1.0, 1.02, 1.02, 1.02, 1.05, 1.05, 1.05, 1.07, 1.07)
_WORDS = {
    baseline.LONG_DAYS: "the level of four weeks",
    baseline.SHORT_DAYS: "the level of a week",
    1: "the newest value",
}
BASELINES = tuple(f"{kind} on {_WORDS[days]}" if kind != "flat" else _WORDS[days] for kind, days in _CANDIDATES)


@dataclass(frozen=True, slots=True)
class Expectations:
    """`[series, day]` each. `expected`, `low`, `high` are in the series' unit, NaN where there is too little history;
    `baseline` is the place in `BASELINES`, -1 for none; `residuals` counts the residuals the range stands on;
    `precedents` counts earlier days of the same calendar label, -1 where the day has none."""

    expected: Floats
    low: Floats
    high: Floats
    baseline: Ints
    residuals: Ints
    precedents: Ints


def expect(
    values: Floats, days: Sequence[date], *, offsets: Floats, weights: Floats | None = None,
    labels: Sequence[str] | None = None, states: NDArray[np.bool_] | None = None, usual: Floats | None = None,
) -> Expectations:  # fmt: skip
    """The expected range of `values[series, day]`, `days` being consecutive.

    `offsets[series]` is the size below which differences do not matter: above it the scale is that of shares, as
    volumes need; NaN keeps the plain scale, as rates need. `weights[series, day]` (optional) is what a day's value
    rests on, as the denominator of a rate: a day on few is given a wider range. `labels[day]` names holidays and
    promotions; they say nothing of `states[series]`, which a day takes over from the day before. `usual[series]` is the
    share of days on which nothing had happened (1 where left out): the rest of the residuals, the largest, set no
    range."""
    places = baseline.month_day_places(days)
    marks = list(labels) if labels is not None else [""] * len(days)

    def part(start: int) -> Expectations:
        here = slice(start, start + _CHUNK)
        return _expect(
            values[here], days, offsets[here], None if weights is None else weights[here], places, marks,
            np.zeros(len(values[here]), dtype=bool) if states is None else states[here],
            np.ones(len(values[here])) if usual is None else usual[here],
        )  # fmt: skip

    # numpy lets go of the interpreter while it works: two parts at once take little more than half the time.
    with ThreadPoolExecutor(_AT_ONCE, "expectation") as pool:
        parts = list(pool.map(part, range(0, len(values), _CHUNK)))
    if not parts:
        nothing = np.empty((0, len(days)))
        none = nothing.astype(np.int64)
        return Expectations(nothing, nothing, nothing, none, none, none)
    return Expectations(*(np.concatenate([getattr(part, name) for part in parts]) for name in Expectations.__slots__))


def to_scale(values: Floats, offsets: Floats) -> Floats:
    """Onto the scale of shares (plain near zero, logarithmic beyond the offset, either sign); NaN offsets: as is."""
    size = np.where(np.isnan(offsets), 1.0, offsets)[:, None]
    return np.where(np.isnan(offsets)[:, None], values, np.arcsinh(values / (2 * size)))


def from_scale(scaled: Floats, offsets: Floats) -> Floats:
    size = np.where(np.isnan(offsets), 1.0, offsets)[:, None]
    with np.errstate(over="ignore"):
        return np.where(np.isnan(offsets)[:, None], scaled, 2 * size * np.sinh(np.clip(scaled, -300, 300)))


def _expect(
    values: Floats, days: Sequence[date], offsets: Floats, weights: Floats | None, places: Ints, labels: list[str],
    states: NDArray[np.bool_], usual: Floats,
) -> Expectations:  # fmt: skip
    scaled = to_scale(values, offsets)
    steadiness = _steadiness(weights, values.shape)
    monthly, weekly = _anchors(days, 28), _anchors(days, 7)
    effect, precedents = _calendar(scaled, labels, places)
    effect, precedents = np.where(states[:, None], 0.0, effect), np.where(states[:, None], -1, precedents)
    # One earlier holiday says twice as little as many do.
    widening = np.where(
        precedents < 0, 1.0, np.where(precedents == 0, _WITHOUT_PRECEDENT, 1 + 1 / np.maximum(precedents, 1))
    )
    widening = widening / steadiness
    history, clipped, ordinary = scaled, np.full(values.shape, np.nan), ~np.isnan(scaled)
    for last in (False, True):
        anchors = weekly if last else monthly
        # First by slow levels only, which an incident does not carry along: what is outside of them is left out of the
        # choice, and stands at the edge, for the second.
        expected, chosen, grown = _chosen(history - effect, places, ordinary, quick=last)
        expected = expected + effect
        plain = baseline.level(history - effect, baseline.LONG_DAYS) + effect
        away, away_plain = (scaled - expected) * steadiness, (scaled - plain) * steadiness
        together = _mean_of_last(away, _TOGETHER)
        # What was outside in the first pass counts as standing at the edge at the most: see the module's head.
        seen = _no_farther(away, clipped)
        low, high, edges, count = _tail(seen, grown, anchors, usual)
        low3, high3, *_ = _tail(_mean_of_last(seen, _TOGETHER), grown, anchors, usual)
        low_plain, high_plain, *_ = _tail(_no_farther(away_plain, clipped), grown, anchors, usual)
        # Days together: how far today may be, given the days before; never nearer than half an ordinary tail.
        others = together * _TOGETHER - away
        half_low, half_high = low / (2 * TAIL_MULTIPLE), high / (2 * TAIL_MULTIPLE)
        gap = plain - expected
        top = _nearest(
            high * widening,
            (half_high * widening, (_TOGETHER * OTHER_VOTES * high3 - others) * widening),
            (half_high * widening, gap + OTHER_VOTES * high_plain * widening),
        )
        bottom = -_nearest(
            -low * widening,
            (-half_low * widening, -(_TOGETHER * OTHER_VOTES * low3 - others) * widening),
            (-half_low * widening, -(gap + OTHER_VOTES * low_plain * widening)),
        )
        known = (count >= FEWEST_RESIDUALS) & ~np.isnan(expected)
        if last:
            break
        outside = known & ((scaled - expected > top) | (scaled - expected < bottom))
        edge = np.clip(scaled, expected + bottom, expected + top)
        history, ordinary = np.where(outside, edge, scaled), ordinary & ~outside
        # At the edge of the tail itself, not of its reach: else every incident would widen the next range.
        clipped = np.where(outside, np.where(scaled > expected, edges[1], edges[0]) * 1.1, np.nan)
    return Expectations(
        expected=from_scale(np.where(known, expected, np.nan), offsets),
        low=from_scale(np.where(known, expected + bottom, np.nan), offsets),
        high=from_scale(np.where(known, expected + top, np.nan), offsets),
        baseline=np.where(known, chosen, -1),
        residuals=count,
        precedents=precedents,
    )


def _no_farther(away: Floats, edge: Floats) -> Floats:
    """The residuals, those that have an edge drawn in to it."""
    return np.where(np.isnan(edge), away, np.clip(away, -np.abs(edge), np.abs(edge)))


def _nearest(first: Floats, *votes: tuple[Floats, Floats]) -> Floats:
    """The smallest of the first reach and the others', none of which may be nearer than its floor; a vote that is not
    known says nothing."""
    reach = first
    for floor, vote in votes:
        reach = np.where(np.isnan(vote), reach, np.minimum(reach, np.maximum(floor, vote)))
    return reach


def _steadiness(weights: Floats | None, shape: tuple[int, ...]) -> Floats:
    """How much steadier a day is than usual: the root of what it rests on, against the median of four weeks."""
    if weights is None:
        return np.ones(shape)
    usual = baseline.level(np.where(weights > 0, weights, np.nan), baseline.LONG_DAYS)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.sqrt(weights / usual)
    return np.clip(np.where(np.isfinite(share), share, 1.0), 0.2, 3.0)


def _calendar(scaled: Floats, labels: list[str], places: Ints) -> tuple[Floats, Ints]:
    """The effect of each day's label, from earlier days of it, else of its kind (what is before the colon): how far
    they stood from their level, weekday and day of the month."""
    if not any(labels):
        return np.zeros(scaled.shape), np.full(scaled.shape, -1, dtype=np.int64)
    away = scaled - (baseline.level(scaled, baseline.LONG_DAYS) + np.nan_to_num(baseline.weekday_effect(scaled)))
    away = away - np.nan_to_num(baseline.month_day_effect(away, places))
    own, known = baseline.calendar_effect(away, baseline.calendar_places(labels))
    # What one earlier day of the label stood away by chance is no effect of it.
    chance = (2 * np.nan_to_num(baseline.level(np.abs(away), baseline.LONG_DAYS))) ** 2 / np.maximum(known, 1)
    own = np.where(own == 0, 0.0, own**3 / np.maximum(own**2 + chance, np.finfo(float).tiny))
    kinds = [label.partition(":")[0] for label in labels]
    pooled, _ = baseline.calendar_effect(away, baseline.calendar_places(kinds))
    marked = np.array([bool(label) for label in labels])[None, :]
    return np.where(marked, np.where(known > 0, own, pooled / 2), 0.0), np.where(marked, known, -1)


def _chosen(
    scaled: Floats, places: Ints, ordinary: NDArray[np.bool_], *, quick: bool
) -> tuple[Floats, Ints, NDArray[np.bool_]]:
    """The best candidate's expectation, which it is, and whether weekdays could be chosen already.

    Errors of days that were not `ordinary` do not count. Without `quick` on the level of four weeks only."""
    weekday = baseline.weekday_effect(scaled)
    plain = scaled - weekday
    month_day = baseline.month_day_effect(scaled - baseline.level(scaled, baseline.LONG_DAYS), places)
    both = baseline.month_day_effect(plain - baseline.level(plain, baseline.LONG_DAYS), places)
    seasons = {
        "flat": np.zeros(scaled.shape),
        "weekday": weekday,
        "month day": month_day,
        "weekday and month day": weekday + both,
    }
    best, best_error = np.full(scaled.shape, np.nan), np.full(scaled.shape, np.inf)
    grown = np.zeros(scaled.shape, dtype=bool)
    chosen = np.full(scaled.shape, -1, dtype=np.int64)
    for number, ((kind, days), handicap) in enumerate(zip(_CANDIDATES, _HANDICAP, strict=True)):
        if days != baseline.LONG_DAYS and not quick:
            continue
        season = seasons[kind]
        candidate = baseline.level(scaled - season, days) + season
        error = _trailing_error(np.where(ordinary, scaled - candidate, np.nan)) * handicap
        grown |= ~np.isnan(error) & (kind == "weekday")
        # Before any candidate has a record, the first that says anything stands in.
        error = np.where(np.isnan(error) & ~np.isnan(candidate) & np.isnan(best), 1e300, error)
        better = ~np.isnan(candidate) & (error < best_error)
        best, best_error = np.where(better, candidate, best), np.where(better, error, best_error)
        chosen = np.where(better, number, chosen)
    return best, chosen, grown


def _trailing_error(away: Floats) -> Floats:
    """Mean size of the errors of the last `ERROR_DAYS` days; the scale itself keeps large ones from deciding alone."""
    size = np.abs(away)
    known = ~np.isnan(size)
    total = np.cumsum(np.where(known, size, 0.0), axis=1)
    count = np.cumsum(known, axis=1)
    total, count = baseline.shifted(total, 1), baseline.shifted(count.astype(float), 1)
    earlier_total = np.nan_to_num(baseline.shifted(total, ERROR_DAYS))
    earlier_count = np.nan_to_num(baseline.shifted(count, ERROR_DAYS))
    number = count - earlier_count
    return np.where(number >= _FEWEST_ERRORS, (total - earlier_total) / np.maximum(number, 1), np.nan)


def _mean_of_last(away: Floats, days: int) -> Floats:
    """The mean of a day and the days before it, all known."""
    total = away.copy()
    for back in range(1, days):
        total = total + baseline.shifted(away, back)
    return total / days


def _anchors(days: Sequence[date], every: int) -> Ints:
    """For each day, where the newest day is on which tails are taken (every seventh: Mondays); -1 before the first."""
    found, newest = [], -1
    for place, day in enumerate(days):
        if day.toordinal() % every == 1:
            newest = place
        found.append(newest)
    return np.array(found, dtype=np.int64)


def _farther(beyond: Floats, median: Floats) -> Floats:
    """How far beyond the edge of a tail the residual lies that comes so seldom: an exponential tail's, foretold from
    the excesses that are known (positive in `beyond`, `median` of them), farther the fewer they are.

    Of `n` excesses with mean `m` the next is beyond `m * n * (s ** (1 / n) - 1)` once in `s` (the predictive
    distribution of the exponential). Of very few that would be so far that a series of some months could halve
    unseen."""
    there = beyond > 0
    count = np.maximum(np.sum(there, axis=-1), 2)
    number = np.maximum(count, _AS_OF_SO_MANY)
    drawn = np.minimum(np.where(there, beyond, 0.0), _DRAWN_IN * median[..., None])
    mean = np.sum(drawn, axis=-1) / count / (1 - 0.5**_DRAWN_IN)
    return mean * number * (_SELDOM ** (1 / number) - 1)


def _tail(
    away: Floats, grown: NDArray[np.bool_], anchors: Ints, usual: Floats
) -> tuple[Floats, Floats, tuple[Floats, Floats], Ints]:
    """(lowest, highest) residual that is ordinary at each day, from the tails of the year before; where those tails
    begin, as (lowest, highest); how many residuals are known.

    Residuals of a series' first weeks, before weekdays were known, count only until there are enough later ones; of
    those beyond the `usual` share none does."""
    turns = np.unique(anchors[anchors >= 0])
    if len(turns) == 0:
        nothing = np.full(away.shape, np.nan)
        return nothing, nothing, (nothing, nothing), np.zeros(away.shape, dtype=np.int64)
    windows = baseline.before(away, TAIL_DAYS)[:, turns]
    later = baseline.before(np.where(grown, away, np.nan), TAIL_DAYS)[:, turns]
    enough = np.sum(~np.isnan(later), axis=-1, keepdims=True) >= FEWEST_RESIDUALS
    windows = np.where(enough, later, windows)
    size = np.sort(np.abs(windows), axis=-1)
    if (usual < 1).any():
        last = np.ceil(np.sum(~np.isnan(size), axis=-1) * usual[:, None]).astype(np.int64) - 1
        windows = np.where(
            np.abs(windows) > np.take_along_axis(size, np.maximum(last, 0)[..., None], -1), np.nan, windows
        )
        size = np.sort(np.abs(windows), axis=-1)
    ordered = np.sort(windows, axis=-1)
    count = np.sum(~np.isnan(ordered), axis=-1)

    def ranked(values: Floats, share: float) -> Floats:
        """The conformal quantile: the smallest that as many of count + 1 do not exceed."""
        place = np.clip(np.ceil((count + 1) * share).astype(np.int64) - 1, 0, np.maximum(count - 1, 0))
        return np.take_along_axis(values, place[..., None], -1)[..., 0]

    def largest_of(values: Floats) -> Floats:
        places = np.maximum(count[..., None] - 1 - np.arange(_MOST_EXCESSES), 0)
        return np.take_along_axis(values, places, -1)

    either = ranked(size, 2 * TAIL - 1)
    high, low = ranked(ordered, TAIL), ranked(ordered, 1 - TAIL)
    sided = count >= _ENOUGH_FOR_A_SIDE
    high_edge = np.where(sided, np.maximum(high, either / 2), either)
    low_edge = np.where(sided, np.minimum(low, -either / 2), -either)
    # A tail reaches farther than a multiple of its edge: as far as it decays until it comes so seldom.
    near, far = ranked(ordered, 1 - _DECAYING), ranked(ordered, 1 - _DECAYING / 2)
    high_seldom = near + _farther(largest_of(ordered) - near[..., None], far - near)
    near, far = -ranked(ordered, _DECAYING), -ranked(ordered, _DECAYING / 2)
    low_seldom = near + _farther(-ordered[..., :_MOST_EXCESSES] - near[..., None], far - near)
    near, far = ranked(size, 1 - 2 * _DECAYING), ranked(size, 1 - _DECAYING)
    either_seldom = near + _farther(largest_of(size) - near[..., None], far - near)
    high = np.maximum(high_edge * TAIL_MULTIPLE, np.where(sided, high_seldom, either_seldom))
    low = np.minimum(low_edge * TAIL_MULTIPLE, -np.where(sided, low_seldom, either_seldom))
    # Mostly still, now and then a jump: only a larger jump than the year's largest is out of the ordinary.
    still = ranked(size, 0.9) == 0
    largest = ranked(size, 1.0)
    high = np.where(still, np.maximum(high / TAIL_MULTIPLE, largest), high)
    low = np.where(still, np.minimum(low / TAIL_MULTIPLE, -largest), low)
    high_edge = np.where(still, high / TAIL_MULTIPLE, high_edge)
    low_edge = np.where(still, low / TAIL_MULTIPLE, low_edge)
    at = np.searchsorted(turns, np.maximum(anchors, 0))
    at = np.minimum(at, len(turns) - 1)
    inside = (anchors >= 0)[None, :]
    low, high, low_edge, high_edge = (
        np.where(inside, each[:, at], np.nan) for each in (low, high, low_edge, high_edge)
    )
    return low, high, (low_edge, high_edge), np.where(inside, count[:, at], 0)

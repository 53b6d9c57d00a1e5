"""What chance alone brings to counts, to shares of counts, to money that comes in a few pieces and to what is moved by
such pieces: a range no judgement may be narrower than.

A tail of observed residuals knows only sizes that came, and of whole numbers the next size up is a large step. Counts
scatter as Poisson's, shares as binomial ones, and more than that where the residuals say so (`expectation.py`); never
less. Money that on most days nobody pays or takes back is a count of pieces, each of about its size. And what is owed
or held moves by single bills and deals, up by each and down again: a move is held against the year's moves both ways.

Belongs here: the limits. Does not belong here: which series are counts (`series.py`), expected ranges. Imports numpy:
import this module inside functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

    from ops_platform.watch.baseline import Floats

DEVIATIONS = 3.65  # a side: once in twenty years
USUAL_DAYS = 91
_FEWEST_DAYS = 28
_TOGETHER = 3  # days that are also taken together, as the expected range takes them
_WHOLE = 1e-4  # how far a whole number may be off by rounding
_SELDOM, _OFTEN = 0.1, 0.5  # the share of days with a piece: fewer tell no size, more are no pieces any longer
_MOVES_DAYS, _FEWEST_MOVES = 365, 91
_MOVED_WITHIN = (1, 7)  # days: what creeps is seen by the week
_MOVES = 0.95  # of a year's moves; what lies beyond decays from there on
_SELDOM_MOVES = 365  # of those beyond: one of them in twenty years
_AS_OF_SO_MANY = 8  # fewer moves beyond are taken for so many
_LARGEST_PIECE = 4.0  # usual days with a piece, at which a larger one is counted: an incident is no piece


def chance_limits(
    values: Floats,
    weights: Floats,
    expected: Floats,
    *,
    counted: NDArray[np.bool_],
    rates: NDArray[np.bool_],
    amounts: NDArray[np.bool_],
    balances: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """(lowest, highest) value that chance brings, `[series, day]`; NaN where a series is none of these.

    `counted[series]` are counts a day. Of the `rates[series]` those are shares whose numerator and denominator
    (`weights`) were whole numbers so far, of the `amounts[series]` of money those come in pieces that had nothing on
    most days of the quarter before; `balances[series]` are what is open or held of money. The usual is the mean of that
    quarter, or what is expected of the day, whichever makes the range wider."""
    low, high = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    rows = np.flatnonzero(counted)
    if len(rows):
        low[rows], high[rows] = _counts(values[rows], expected[rows], np.ones(values[rows].shape), values[rows])
    rows = np.flatnonzero(amounts)
    if len(rows):
        low[rows], high[rows] = _counts(values[rows], expected[rows], *_pieces(values[rows]))
    rows = np.flatnonzero(rates)
    if len(rows):
        low[rows], high[rows] = _shares(values[rows], weights[rows], expected[rows])
    rows = np.flatnonzero(balances)
    if len(rows):
        low[rows], high[rows] = _balances(values[rows])
    return low, high


def quantiles(mean: Floats, variance: Floats, skew: Floats) -> tuple[Floats, Floats]:
    """The two ends of `DEVIATIONS` of a count, by Cornish and Fisher's expansion; `skew` is the third moment over the
    variance: 1 of a Poisson count. Where only a few are usual, none is nothing out of the ordinary."""
    reach = DEVIATIONS * np.sqrt(variance)
    lean = skew * (DEVIATIONS**2 - 1) / 6
    low = mean - reach + lean
    return np.where(mean < DEVIATIONS**2 / 2, np.minimum(low, 0), low), mean + reach + lean


def _counts(values: Floats, expected: Floats, piece: Floats, ordinary: Floats) -> tuple[Floats, Floats]:
    """The limits of what comes in pieces of about that size (NaN: not known); `ordinary` are the values that tell what
    is usual."""
    usual = _mean_before(ordinary)
    least, most = np.maximum(np.fmin(usual, expected), 0.0) / piece, np.maximum(np.fmax(usual, expected), 0.0) / piece
    one = np.ones(values.shape)
    low, high = quantiles(least, least, one)[0], quantiles(most, most, one)[1]
    # Or together with the days before: what three days bring less what two have brought.
    before = np.zeros(values.shape)
    for back in range(1, _TOGETHER):
        before[:, back:] += values[:, :-back]
        before[:, :back] = np.nan
    low_together = quantiles(_TOGETHER * least, _TOGETHER * least, one)[0] * piece - before
    high_together = quantiles(_TOGETHER * most, _TOGETHER * most, one)[1] * piece - before
    return np.fmax(low * piece, low_together), np.fmin(high * piece, high_together)


def _pieces(values: Floats) -> tuple[Floats, Floats]:
    """The size of the pieces in which an amount came in the quarter before, by its scatter: that of a sum of pieces is
    its mean times their mean size, each counted by its size. NaN where most days had some, where too few had one, and
    where any was taken back. And the values, what is too large for a piece drawn in."""
    import pandas

    frame = pandas.DataFrame(values.T)
    there = frame.where(frame != 0)
    usual = there.rolling(USUAL_DAYS, min_periods=1).median().shift(1)
    days = frame.rolling(USUAL_DAYS, min_periods=_FEWEST_DAYS)
    share = (there.notna().astype(float).rolling(USUAL_DAYS, min_periods=1).sum() / days.count()).shift(1)
    drawn = frame.where((frame <= _LARGEST_PIECE * usual) | usual.isna(), _LARGEST_PIECE * usual).where(frame.notna())
    mean = drawn.rolling(USUAL_DAYS, min_periods=_FEWEST_DAYS).mean().shift(1)
    square = (drawn**2).rolling(USUAL_DAYS, min_periods=_FEWEST_DAYS).mean().shift(1)
    piece = np.maximum(square / mean.where(mean > 0) - mean, 0.0)
    known = (share >= _SELDOM) & (share <= _OFTEN) & (days.min().shift(1) >= 0) & (piece > 0)
    return _array(piece.where(known)), _array(drawn)


def _balances(values: Floats) -> tuple[Floats, Floats]:
    """How far a balance may be from where it was the day before, and a week before, whichever is nearer."""
    import pandas

    frame = pandas.DataFrame(values.T)
    held = frame.ffill(limit=7)
    limits = []
    for days in _MOVED_WITHIN:
        earlier = held.shift(days)
        reach = _reach((frame - earlier).abs())
        limits.append((earlier - reach, earlier + reach))
    (low, high), (low_week, high_week) = limits
    return _array(np.fmax(low, low_week)), _array(np.fmin(high, high_week))


def _reach(moves: DataFrame) -> DataFrame:
    """The move that comes once in twenty years, as foretold from those of a year: their tail is taken to decay
    exponentially (see `expectation`), a move four times as far beyond its edge as usual counted as that."""
    near = moves.rolling(_MOVES_DAYS, min_periods=_FEWEST_MOVES).quantile(_MOVES).shift(1)
    beyond = (moves - near).where(moves > near)
    usual = beyond.rolling(_MOVES_DAYS, min_periods=1).median().shift(1)
    drawn = beyond.where((beyond <= _LARGEST_PIECE * usual) | usual.isna(), _LARGEST_PIECE * usual)
    year = drawn.where(beyond.notna()).rolling(_MOVES_DAYS, min_periods=1)
    number = year.count().shift(1).clip(lower=_AS_OF_SO_MANY)
    return near + year.mean().shift(1).fillna(0.0) * number * (_SELDOM_MOVES ** (1 / number) - 1)


def _array(frame: DataFrame) -> Floats:
    return np.asarray(frame.to_numpy(dtype=np.float64).T)


def _shares(values: Floats, weights: Floats, expected: Floats) -> tuple[Floats, Floats]:
    above = values * weights
    whole = (np.abs(above - np.round(above)) <= _WHOLE) & (np.abs(weights - np.round(weights)) <= _WHOLE)
    known = ~np.isnan(above)
    counts = np.logical_and.accumulate(whole | ~known, axis=1)
    parts, wholes = _mean_before(above), _mean_before(np.where(known, weights, np.nan))
    usual = parts / np.where(wholes > 0, wholes, np.nan)
    least, most = np.clip(np.fmin(usual, expected), 0, 1), np.clip(np.fmax(usual, expected), 0, 1)
    of = np.where(counts & (weights > 0), weights, np.nan)
    low = quantiles(of * least, of * least * (1 - least), 1 - 2 * least)[0] / of
    # The most of them is all but the least of the others.
    high = 1 - quantiles(of * (1 - most), of * most * (1 - most), 2 * most - 1)[0] / of
    return low, high


def _mean_before(values: Floats) -> Floats:
    import pandas

    rolling = pandas.DataFrame(values.T).rolling(USUAL_DAYS, min_periods=_FEWEST_DAYS).mean()
    return np.asarray(rolling.shift(1).to_numpy(dtype=np.float64).T)

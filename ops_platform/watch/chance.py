"""What chance alone brings to counts and to shares of counts: a range no judgement may be narrower than.

A tail of observed residuals knows only sizes that came, and of whole numbers the next size up is a large step. Counts
scatter as Poisson's, shares as binomial ones, and more than that where the residuals say so (`expectation.py`); never
less.

Belongs here: the limits. Does not belong here: which series are counts (`series.py`), expected ranges. Imports numpy:
import this module inside functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ops_platform.watch.baseline import Floats

DEVIATIONS = 3.65  # a side: once in twenty years
USUAL_DAYS = 91
_FEWEST_DAYS = 28
_TOGETHER = 3  # days that are also taken together, as the expected range takes them
_WHOLE = 1e-4  # how far a whole number may be off by rounding


def chance_limits(
    values: Floats, weights: Floats, expected: Floats, *, counted: NDArray[np.bool_], rates: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """(lowest, highest) value that chance brings, `[series, day]`; NaN where a series is neither count nor share.

    `counted[series]` are counts a day. Of the `rates[series]` those are shares whose numerator and denominator
    (`weights`) were whole numbers so far. The usual is the mean of the quarter before, or what is expected of the day,
    whichever makes the range wider."""
    low, high = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    rows = np.flatnonzero(counted)
    if len(rows):
        low[rows], high[rows] = _counts(values[rows], expected[rows])
    rows = np.flatnonzero(rates)
    if len(rows):
        low[rows], high[rows] = _shares(values[rows], weights[rows], expected[rows])
    return low, high


def quantiles(mean: Floats, variance: Floats, skew: Floats) -> tuple[Floats, Floats]:
    """The two ends of `DEVIATIONS` of a count, by Cornish and Fisher's expansion; `skew` is the third moment over the
    variance: 1 of a Poisson count. Where only a few are usual, none is nothing out of the ordinary."""
    reach = DEVIATIONS * np.sqrt(variance)
    lean = skew * (DEVIATIONS**2 - 1) / 6
    low = mean - reach + lean
    return np.where(mean < DEVIATIONS**2 / 2, np.minimum(low, 0), low), mean + reach + lean


def _counts(values: Floats, expected: Floats) -> tuple[Floats, Floats]:
    usual = _mean_before(values)
    least, most = np.maximum(np.fmin(usual, expected), 0.0), np.maximum(np.fmax(usual, expected), 0.0)
    one = np.ones(values.shape)
    low, high = quantiles(least, least, one)[0], quantiles(most, most, one)[1]
    # Or together with the days before: what three days bring less what two have brought.
    before = np.zeros(values.shape)
    for back in range(1, _TOGETHER):
        before[:, back:] += values[:, :-back]
        before[:, :back] = np.nan
    low_together = quantiles(_TOGETHER * least, _TOGETHER * least, one)[0] - before
    high_together = quantiles(_TOGETHER * most, _TOGETHER * most, one)[1] - before
    return np.fmax(low, low_together), np.fmin(high, high_together)


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

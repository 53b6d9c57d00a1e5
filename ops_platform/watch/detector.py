"""How surprising each row of a plain series is, from the rows before it: what `ops detect` prints.

For steps from seconds to days. Four residuals are looked at: against the best of several expectations (level, newest
values, same slot of the day, same slot of the week; the one that erred least of late), against the plain level, against
the newest values, and the mean of the last few against the best expectation. Each is measured in what its largest of
a stretch usually is, the row itself left out: a series that is always wild is not surprising when it is wild. What
follows a surprise counts only as far as it goes beyond it, for about a day: one incident is one burst, not hundreds of
rows. The score at a row reads no later row.

Belongs here: the score. Does not belong here: reading files (`series.py`), metrics of the warehouse (`judge.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DAY = 86_400.0
WEEK = 7 * DAY
FEWEST_ROWS = 40  # before the first score
_STEP_ROWS = 21  # the step is that of the first rows, so that no later row changes it
_MEMORY = 3_000  # rows a stretch's largest is compared with
_STRETCH = 150  # rows
_FEWEST_OF_A_STRETCH = 15
_TOGETHER = 6
_SLOT = 1_800.0  # seconds: slots of a day are no finer
_FARTHEST = 50.0
_HALF = 0.6  # a surprise of so many usual largest scores one half: about where an alarm pays, with repeats taken off
_SCALE_ROWS = 28
_NEAR_ZERO = 0.02  # of the first rows' median: below it the scale is plain


def scores(seconds: Sequence[float], values: Sequence[float]) -> Floats:
    """A score from 0 (as ever) to below 1 (never seen the like) for each row, in the rows' order.

    `seconds` is since 1970, in any order; rows are taken in the order of time, equal moments in the given order. A
    value that is not finite is scored 0 and leaves no trace. The first `FEWEST_ROWS` rows are scored 0. Raises
    ValueError for lists of different length."""
    import numpy as np

    if len(seconds) != len(values):
        raise ValueError(f"{len(seconds)} moments and {len(values)} values")
    found = np.zeros(len(values))
    moments, numbers = np.asarray(seconds, dtype=np.float64), np.asarray(values, dtype=np.float64)
    order = np.argsort(moments, kind="stable")
    order = order[np.isfinite(numbers[order]) & np.isfinite(moments[order])]
    if len(order) > FEWEST_ROWS:
        surprise = surprises(moments[order], numbers[order])
        found[order] = surprise / (surprise + _HALF)
        found[order[:FEWEST_ROWS]] = 0.0
    return found


def surprises(seconds: Floats, values: Floats) -> Floats:
    """How far each row is beyond what is usual, 0 or more; `seconds` ascending, `values` finite."""
    import numpy as np
    import pandas as pd

    step = _step(seconds)
    values = _on_root_scale(values)
    rows_a_day = max(round(DAY / step), 1)
    newest = _before(pd.Series(values).ewm(span=5, min_periods=5).mean())
    level = _before(pd.Series(values).rolling(min(max(rows_a_day, 48), 288), min_periods=10).median())
    candidates = [level, newest]
    if rows_a_day > 1:
        width = max(step, _SLOT)
        days = max(round(5 * width / step), 5)
        candidates.append(_same_slot(values, (seconds % DAY) // width, days))
        candidates.append(_same_slot(values, (seconds % WEEK) // width, max(days // 2, 2)))
    else:
        candidates.append(_same_slot(values, (seconds // DAY) % 7, 6))
    best = values - _best(values, candidates, halflife=3 * rows_a_day if rows_a_day > 1 else 30)
    together = pd.Series(best).rolling(_TOGETHER, min_periods=_TOGETHER // 2).mean().to_numpy()
    least = 1e-6 * (1 + np.abs(values))  # rounding is no surprise
    votes = [
        np.abs(away) / (_usual_largest(away) + least) for away in (best, values - level, values - newest, together)
    ]
    most = np.minimum(np.nan_to_num(np.fmax.reduce(votes), nan=0.0, posinf=_FARTHEST), _FARTHEST)
    return _without_echo(most, rows=float(min(max(rows_a_day, 80), 300)))


def _on_root_scale(values: Floats) -> Floats:
    """The root, either side of zero: what is counted spreads with its size, and roots of counts spread alike."""
    import numpy as np

    typical = float(np.median(np.abs(values[:_SCALE_ROWS])))
    near = _NEAR_ZERO * typical if typical > 0 else 1.0
    return np.sign(values) * (np.sqrt(np.abs(values) + near) - np.sqrt(near))


def _step(seconds: Floats) -> float:
    """Seconds from row to row, as the first rows have it; a day where they tell nothing."""
    import numpy as np

    steps = np.diff(seconds[:_STEP_ROWS])
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else DAY


def _before(rolled: pd.Series[float]) -> Floats:
    import numpy as np

    return np.asarray(rolled.shift(1).to_numpy(dtype=np.float64))


def _same_slot(values: Floats, slots: Floats, rows: int) -> Floats:
    """The median of the `rows` earlier values of the same slot."""
    import numpy as np
    import pandas as pd

    order = np.argsort(slots, kind="stable")
    ordered = pd.Series(values[order])
    rolled = ordered.groupby(slots[order]).rolling(rows, min_periods=2).median()
    earlier = rolled.groupby(level=0).shift(1)
    found = np.empty(len(values))
    found[order] = earlier.to_numpy()
    return found


def _best(values: Floats, candidates: Sequence[Floats], halflife: float) -> Floats:
    """Of the candidates, in each row, the one with the smallest error of late; a later one must be clearly better."""
    import numpy as np

    best, best_error = candidates[0].copy(), _error(values - candidates[0], halflife)
    for candidate in candidates[1:]:
        error = _error(values - candidate, halflife)
        better = (error < 0.95 * best_error) | (np.isnan(best_error) & ~np.isnan(error))
        best, best_error = np.where(better, candidate, best), np.where(better, error, best_error)
    return best


def _error(away: Floats, halflife: float) -> Floats:
    import numpy as np
    import pandas as pd

    return _before(pd.Series(np.abs(away)).ewm(halflife=halflife, min_periods=20).mean())


def _usual_largest(away: Floats) -> Floats:
    """What the largest of a stretch usually is: the median over the memory, the row itself left out."""
    import numpy as np
    import pandas as pd

    largest = pd.Series(np.abs(away)).rolling(_STRETCH, min_periods=_FEWEST_OF_A_STRETCH).max()
    return _before(largest.rolling(_MEMORY, min_periods=_FEWEST_OF_A_STRETCH).median())


def _without_echo(surprise: Floats, rows: float) -> Floats:
    """Each surprise less what is left of the ones before it, which fade over about `rows` rows."""
    import numpy as np

    fading = float(np.exp(-1 / rows))
    found, standing = np.empty(len(surprise)), 0.0
    for place, size in enumerate(surprise.tolist()):
        found[place] = max(size - standing, 0.0)
        standing = max(standing * fading, size)
    return found

"""What a day can be expected to be from the days before it: the candidate baselines of daily series.

Arrays are `[series, day]` of floats on a scale where effects add up (`expectation.py` sees to that), NaN where unknown.
Everything is causal: what is given for a day reads earlier days only, at most `LOOK_BACK` of them, so that a bounded
window of history gives the same answer as all of it.

Belongs here: levels, weekday, day-of-month and calendar effects. Does not belong here: choosing among them and ranges
(`expectation.py`), subdaily series (`detector.py`).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LONG_DAYS = 28  # whole weeks, so that a level is no weekday's
SHORT_DAYS = 7
WEEKS = 8
MONTHS = 12
LOOK_BACK = 366
_FEWEST_DAYS = 5
_FEWEST_WEEKS = 3
_FEWEST_MONTHS = 3
_OCCURRENCES = 4


def median(stacked: Floats, fewest: int) -> Floats:
    """The median along the last axis of what is known; NaN where fewer than `fewest` are."""
    import numpy as np

    if stacked.shape[-1] == 0:
        return np.full(stacked.shape[:-1], np.nan)
    ordered = np.sort(stacked, axis=-1)  # NaN last
    known = np.sum(~np.isnan(stacked), axis=-1)
    low = np.maximum((known - 1) // 2, 0)[..., None]
    high = np.minimum(known // 2, stacked.shape[-1] - 1)[..., None]
    middle = (np.take_along_axis(ordered, low, -1) + np.take_along_axis(ordered, high, -1))[..., 0] / 2
    return np.where(known >= fewest, middle, np.nan)


def before(values: Floats, days: int) -> Floats:
    """`[series, day, days]`: the `days` values before each day, NaN before the first."""
    import numpy as np

    padded = np.concatenate([np.full((len(values), days), np.nan), values], axis=1)
    return np.lib.stride_tricks.sliding_window_view(padded, days, axis=1)[:, :-1]


def level(values: Floats, days: int) -> Floats:
    """The median of the `days` before; the last known one of a week for `days` 1."""
    import numpy as np

    if days == 1:
        return last_known(values, SHORT_DAYS)
    if days < LONG_DAYS:
        return median(before(values, days), min(_FEWEST_DAYS, days))
    import pandas

    # The same medians, by a structure that slides instead of a sort a day: twice as fast from here on.
    rolling = pandas.DataFrame(values.T).rolling(days, min_periods=_FEWEST_DAYS).median()
    return np.asarray(rolling.shift(1).to_numpy(dtype=np.float64).T)


def last_known(values: Floats, days: int) -> Floats:
    """The newest known value of the `days` before."""
    import numpy as np

    found = np.full(values.shape, np.nan)
    for back in range(1, days + 1):
        earlier = shifted(values, back)
        found = np.where(np.isnan(found), earlier, found)
    return found


def shifted(values: Floats, days: int) -> Floats:
    """Each day's value of `days` earlier."""
    import numpy as np

    moved = np.full(values.shape, np.nan)
    if days < values.shape[1]:
        moved[:, days:] = values[:, : values.shape[1] - days]
    return moved


def weekday_effect(values: Floats) -> Floats:
    """How far the same weekday stood from its level in the last `WEEKS` weeks, the week summing to about nothing."""
    import numpy as np

    away = values - level(values, LONG_DAYS)
    same = np.stack([shifted(away, 7 * weeks) for weeks in range(1, WEEKS + 1)], axis=-1)
    effect = median(same, _FEWEST_WEEKS)
    week = np.concatenate([before(effect, 6), effect[..., None]], axis=-1)
    known = np.sum(~np.isnan(week), axis=-1)
    mean = np.nansum(week, axis=-1) / np.maximum(known, 1)
    return np.where(known == 7, effect - mean, np.nan)


def month_day_effect(away: Floats, places: NDArray[np.int64]) -> Floats:
    """How far the same day of earlier months stood from what was expected without it; drawn towards nothing while few
    months are known, and where they do not agree: most days of a month are no days of theirs. `places` are
    `month_day_places`."""
    import numpy as np

    stacked = _gathered(away, places)
    known = np.sum(~np.isnan(stacked), axis=-1)
    effect = median(stacked, _FEWEST_MONTHS)
    spread = median(np.abs(stacked - effect[..., None]), _FEWEST_MONTHS)
    doubt = (2 * spread) ** 2 / np.maximum(known, 1)
    with np.errstate(invalid="ignore"):
        return np.where(effect == 0, 0.0, effect**3 / (effect**2 + doubt)) * known / (known + 0.5)


def calendar_effect(away: Floats, places: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """How far earlier days of the same calendar label stood from what was expected, and how many of them are known."""
    import numpy as np

    stacked = _gathered(away, places)
    return np.nan_to_num(median(stacked, 1)), np.sum(~np.isnan(stacked), axis=-1)


def _gathered(values: Floats, places: NDArray[np.int64]) -> Floats:
    import numpy as np

    if places.shape[1] == 0:
        return np.full((*values.shape, 0), np.nan)
    return np.where(places >= 0, values[:, np.maximum(places, 0)], np.nan)


def month_day_places(days: Sequence[date]) -> NDArray[np.int64]:
    """`[day, months]`: where the same day of each of the last `MONTHS` months is in `days`, -1 for nowhere. The last
    three days of a month are the same day counted from its end: a bill due on the last is due on the last."""
    import numpy as np

    where = {day: place for place, day in enumerate(days)}
    return np.array(
        [[where.get(other, -1) for other in _same_days_before(day)] for day in days], dtype=np.int64
    ).reshape(len(days), MONTHS)


def _same_days_before(day: date) -> list[date]:
    from_end = (_month_end(day) - day).days
    found = []
    start = day.replace(day=1)
    for _ in range(MONTHS):
        end = start - timedelta(days=1)
        start = end.replace(day=1)
        found.append(end - timedelta(days=from_end) if from_end < 3 else start + timedelta(days=day.day - 1))
    return found


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def calendar_places(labels: Sequence[str]) -> NDArray[np.int64]:
    """`[day, occurrences]`: where the last few days of the same label are, -1 for nowhere. "" is no label."""
    import numpy as np

    seen: dict[str, list[int]] = {}
    places = np.full((len(labels), _OCCURRENCES), -1, dtype=np.int64)
    for place, label in enumerate(labels):
        if not label:
            continue
        earlier = seen.setdefault(label, [])
        for number, other in enumerate(earlier[-_OCCURRENCES:]):
            places[place, number] = other
        earlier.append(place)
    return places

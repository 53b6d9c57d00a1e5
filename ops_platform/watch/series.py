"""Series as the watch reads them: a panel of daily metric series, and a plain file of moments and values.

Belongs here: the shapes, reading a CSV, and what is done with bad input: every row of a file is answered, nothing is
silently dropped. Does not belong here: reading the warehouse (`store.py`), judging.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.watch.judgement import SeriesKey

if TYPE_CHECKING:
    from ops_platform.watch.baseline import Floats

# Volumes, on whose scale shares add up; rates and scores stay as they are.
_VOLUMES = ("money", "count", "hours", "days")


@dataclass(frozen=True, slots=True)
class Persistence:
    """Outside on `days` of the last `of` known days, on the same side, counts as a breach."""

    days: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.days <= self.of <= 31:
            raise ConfigurationError(f"persistence {self.days} of {self.of}: as `2 of 3`, at most 31 days")

    @classmethod
    def parse(cls, text: str | None) -> Persistence:
        """From `2 of 3`; None is 1 of 1. Raises ConfigurationError for anything else."""
        if text is None:
            return cls()
        words = text.split()
        if len(words) != 3 or words[1] != "of" or not (words[0].isdecimal() and words[2].isdecimal()):
            raise ConfigurationError(f"persistence {text!r}: as `2 of 3`")
        return cls(int(words[0]), int(words[2]))


@dataclass(frozen=True, slots=True)
class WatchedMetric:
    """What judging needs to know of a metric, as `metrics.dim_metric` has it. `usual_share` is the share of days on
    which nothing had happened: less than 1 where incidents come back so often that they would set the range."""

    id: str
    label: str
    unit: str
    direction: str
    aggregation: str
    kind: str
    minimum_effect: Decimal | None = None
    persistence: Persistence = Persistence()
    currency: str | None = None
    division: str | None = None
    owner: str | None = None
    sources: tuple[str, ...] = ()
    usual_share: float = 1.0

    @property
    def offset(self) -> float:
        """The size below which differences do not matter, for the scale of shares; NaN for a plain scale."""
        if self.unit not in _VOLUMES:
            return math.nan
        return float(self.minimum_effect) if self.minimum_effect and self.minimum_effect > 0 else 1.0

    @property
    def is_rate(self) -> bool:
        """Whether a day's value rests on a denominator."""
        return self.aggregation in ("ratio", "average")

    @property
    def is_count(self) -> bool:
        """Whether a day's value is a number of things that happened that day."""
        return self.unit == "count" and self.aggregation == "sum" and self.kind == "flow"

    @property
    def is_amount(self) -> bool:
        """Whether a day's value is the money of what happened that day."""
        return self.unit == "money" and self.aggregation == "sum" and self.kind == "flow"

    @property
    def is_balance(self) -> bool:
        """Whether a day's value is money that is open or held at its close."""
        return self.unit == "money" and self.kind != "flow" and not self.is_rate

    @property
    def empty_is_zero(self) -> bool:
        """Whether a part without a row on a day whose whole is known had nothing: true of sums, not of rates."""
        return self.unit in ("money", "count") and not self.is_rate


@dataclass(frozen=True, slots=True)
class Reading:
    """One row of the metric table on a day that is judged. `complete` says whether the sources covered the day."""

    value: Decimal | None
    denominator: Decimal | None
    fresh_to: datetime | None
    tie_out: str
    complete: bool
    numerator: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Daily series side by side: `values[series, day]` floats, NaN where unknown or not yet complete; `weights` the
    denominators. `days` are consecutive; `labels[day]` names holidays and promotions, "" for an ordinary day.
    `readings` has the exact rows of the days that are judged."""

    keys: tuple[SeriesKey, ...]
    metrics: dict[str, WatchedMetric]
    days: tuple[date, ...]
    values: Floats
    weights: Floats
    labels: tuple[str, ...]
    readings: dict[tuple[SeriesKey, date], Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.keys), len(self.days)) or self.values.shape != self.weights.shape:
            raise ValueError(f"a panel of {len(self.keys)} series and {len(self.days)} days needs arrays of that shape")
        if any((later - earlier).days != 1 for earlier, later in pairwise(self.days)):
            raise ValueError("the days of a panel are consecutive")


@dataclass(frozen=True, slots=True)
class PlainSeries:
    """Rows of a file in the file's order: `labels` as they were written, `seconds` since 1970, `values` with NaN for
    what is no number. `notes` say what was wrong with the file, in words."""

    labels: list[str]
    seconds: list[float]
    values: list[float]
    notes: list[str]


def read_csv(path: Path) -> PlainSeries:
    """A CSV with columns `timestamp` (ISO 8601, or seconds since 1970) and `value`, others ignored.

    Every row is kept: a value that is no finite number is NaN and said in the notes, so are rows out of order and
    repeated moments. Moments with a zone are compared in UTC, so a change of zone or of summer time moves nothing; a
    file that has some with and some without is refused. Raises ConfigurationError for a file, column or moment that
    cannot be read, DataFailure for a file without rows."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames is None:
                raise DataFailure(f"{path} is empty: it needs timestamp,value")
            named = {(name or "").strip().lower(): name for name in rows.fieldnames}
            missing = [name for name in ("timestamp", "value") if name not in named]
            if missing:
                raise ConfigurationError(f"{path} has no column {' and '.join(missing)}: it needs timestamp,value")
            labels, seconds, values, zoned, offsets = [], [], [], set(), set()
            for row in rows:
                label = (row[named["timestamp"]] or "").strip()
                moment, offset = _moment(label, path, rows.line_num)
                zoned.add(offset is not None)
                offsets.add(offset)
                labels.append(label)
                seconds.append(moment)
                values.append(_number(row[named["value"]]))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is no text in UTF-8 (byte {error.start})") from None
    except (OSError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as CSV: {error}") from None
    if not labels:
        raise DataFailure(f"{path} has no rows")
    if len(zoned) > 1:
        raise ConfigurationError(f"{path}: some timestamps have a zone and some have none; give all of them one")
    if all(math.isnan(value) for value in values):
        raise DataFailure(f"{path} has no finite number in its column value")
    return PlainSeries(labels, seconds, values, _notes(seconds, values, len(offsets)))


def _moment(text: str, path: Path, line: int) -> tuple[float, timedelta | None]:
    """Seconds since 1970, and how far from UTC the text says it is; None where it does not say."""
    try:
        if text.replace(".", "", 1).isdecimal() and len(text) > 8:
            return float(text), timedelta()
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{path}, line {line}: {text!r} is no timestamp (as 2026-11-20 06:00:00)") from None
    # Without a zone a moment is taken as it is written: hours of the day are then those of the file's own clock.
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp(), found.utcoffset()


def _number(text: str | None) -> float:
    try:
        found = float(text or "")
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan


def _notes(seconds: list[float], values: list[float], offsets: int) -> list[str]:
    notes = []
    if offsets > 1:
        notes.append(f"the timestamps stand in {offsets} offsets from UTC: taken as the moments they name")
    unknown = sum(math.isnan(value) for value in values)
    disordered = sum(later < earlier for earlier, later in pairwise(seconds))
    repeated = len(seconds) - len(set(seconds))
    if unknown:
        notes.append(f"{unknown} values are no finite numbers: scored 0, and left out of the history")
    if disordered:
        notes.append(f"{disordered} rows are older than the row before: scored in the order of time")
    if repeated:
        notes.append(f"{repeated} timestamps are repeated: each row is scored, in the order of the file")
    if len(values) > 1 and len({value for value in values if not math.isnan(value)}) <= 1:
        notes.append("the series never changes: nothing can be out of the ordinary")
    return notes

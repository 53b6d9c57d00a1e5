"""The fleet's health, 0 to 100: is the machine well. (Whether the company is well is another score, in dbt.)

Belongs here: the published formula, bands, what is unknown, what moved the score. Does not belong here: reading the
factors (`health_readings.py`), keeping the history (`health_history.py`), who is told (`ops_platform.alerts`).

    score = Σ weight × attainment        weights: dbt_project/seeds/score/fleet_health_weights.csv, 100 in all

- A factor that is unknown stands at what it last attained, so that not knowing moves nothing; one that was never known
  stands nowhere, and its weight is shared out among the others.
- The band reaches from the score if everything unknown were at nothing to the score if it were at its best.
- Weights are brought to exactly 100 in ten-thousandths and attainments to millionths; contributions are never rounded,
  so they add up to the score, and their changes to its change, to the last digit.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Literal

from ops_platform.failures import ConfigurationError
from ops_platform.settings import PROJECT_ROOT

WEIGHTS = PROJECT_ROOT / "dbt_project" / "seeds" / "score" / "fleet_health_weights.csv"
FACTORS = ("uptime", "completion", "freshness", "errors", "tokens")
Band = Literal["healthy", "fair", "poor", "critical", "unknown"]
#: From which score each band begins.
BANDS: tuple[tuple[int, Band], ...] = ((90, "healthy"), (70, "fair"), (50, "poor"), (0, "critical"))
_HUNDRED, _ZERO, _ONE = Decimal(100), Decimal(0), Decimal(1)
_WEIGHT_STEP, _ATTAINMENT_STEP = Decimal("0.0001"), Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Weight:
    """The share of a factor, in points of 100."""

    factor: str
    label: str
    points: Decimal


@dataclass(frozen=True, slots=True)
class Weights:
    """One version of the whole set."""

    version: int
    factors: tuple[Weight, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a factor attains, 0 to 1; None: unknown. `low` and `high` bound it where a part of it is unknown. `detail`
    says in words what it is made of and what pulls it down."""

    value: Decimal | None
    low: Decimal = _ZERO
    high: Decimal = _ONE
    detail: str = ""

    @classmethod
    def exact(cls, value: Decimal, detail: str) -> Reading:
        """Known wholly."""
        return cls(value, value, value, detail)


@dataclass(frozen=True, slots=True)
class Part:
    """A factor in a score. `nominal_weight` is its published weight, `weight` the one it has now, `contribution` their
    product with `attainment`; `change` is that of the contribution since the score before, None for the first."""

    factor: str
    label: str
    nominal_weight: Decimal
    weight: Decimal
    attainment: Decimal | None
    low: Decimal
    high: Decimal
    contribution: Decimal
    change: Decimal | None
    known: bool
    unknown_since: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class Score:
    """The health at a moment. `score` is None where no factor was ever known; `coverage` is the known share of the
    published weights; `change` is against the score at `previous_at`."""

    at: datetime
    version: int
    score: Decimal | None
    low: Decimal
    high: Decimal
    coverage: Decimal
    previous_at: datetime | None
    change: Decimal | None
    parts: tuple[Part, ...]

    @property
    def band(self) -> Band:
        return band_of(self.score)

    def foremost(self) -> list[Part]:
        """The factors that moved the score, the largest move first."""
        moved = [part for part in self.parts if part.change]
        return sorted(moved, key=lambda part: (-abs(part.change or _ZERO), part.factor))

    def lost(self) -> list[Part]:
        """The factors that are not at their best, what costs most first."""
        short = [part for part in self.parts if part.contribution < part.weight]
        return sorted(short, key=lambda part: (part.contribution - part.weight, part.factor))


def band_of(score: Decimal | None) -> Band:
    """The band a score is in."""
    if score is None:
        return "unknown"
    return next(band for least, band in BANDS if score >= least)


@lru_cache(maxsize=4)
def _versions(path: Path) -> tuple[tuple[date, Weights], ...]:
    groups: dict[tuple[date, int], list[Weight]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            begins = date.fromisoformat(row["valid_from"]), int(row["version"])
            groups.setdefault(begins, []).append(Weight(row["factor"], row["label"], Decimal(row["weight"])))
    for (_, version), factors in groups.items():
        if sum(factor.points for factor in factors) != 100:
            raise ConfigurationError(f"{path}: the weights of version {version} do not add up to 100")
        unknown = sorted({factor.factor for factor in factors} - set(FACTORS))
        if unknown:
            raise ConfigurationError(f"{path}: there is no factor {', '.join(unknown)}")
    return tuple((begins, Weights(version, tuple(groups[begins, version]))) for begins, version in sorted(groups))


def weights_on(day: date, path: Path = WEIGHTS) -> Weights:
    """The version that holds on `day`: the one that began last. Raises `ConfigurationError` where none had begun, or
    where a version does not add up to 100."""
    begun = [weights for begins, weights in _versions(path) if begins <= day]
    if not begun:
        raise ConfigurationError(f"{path}: no version holds on {day}")
    return begun[-1]


def score_of(readings: Mapping[str, Reading], weights: Weights, at: datetime, previous: Score | None = None) -> Score:
    """The score of these readings. What is not among them is unknown. `previous` is the score before."""
    before = {part.factor: part for part in previous.parts} if previous is not None else {}
    compared = previous is not None and previous.score is not None
    drafts = [_stand(weight, readings.get(weight.factor), before.get(weight.factor), at) for weight in weights.factors]
    shares = _shared([weight.points if stands[0] is not None else _ZERO for weight, stands in drafts])
    parts = [
        _part(weight, share, stands, before.get(weight.factor), compared)
        for (weight, stands), share in zip(drafts, shares, strict=True)
    ]
    # A factor that left with the last version took its contribution with it.
    gone = [part for name, part in before.items() if name not in {part.factor for part in parts} and part.weight]
    parts += [
        Part(part.factor, part.label, _ZERO, _ZERO, part.attainment or _ZERO, _ZERO, _ZERO, _ZERO,
             -part.contribution, True, None, "not part of the score any more")
        for part in gone
    ]  # fmt: skip
    stands_somewhere = any(part.weight for part in parts)
    score = sum((part.contribution for part in parts), _ZERO) if stands_somewhere else None
    return Score(
        at=at,
        version=weights.version,
        score=score,
        low=sum((part.nominal_weight * part.low for part in parts), _ZERO),
        high=sum((part.nominal_weight * part.high for part in parts), _ZERO),
        coverage=sum((part.nominal_weight for part in parts if part.known), _ZERO) / _HUNDRED,
        previous_at=previous.at if previous is not None else None,
        change=_difference(score, previous),
        parts=tuple(parts),
    )


def _difference(score: Decimal | None, previous: Score | None) -> Decimal | None:
    if score is None or previous is None or previous.score is None:
        return None
    return score - previous.score


_Stand = tuple[Decimal | None, Decimal, Decimal, bool, datetime | None, str]


def _stand(weight: Weight, reading: Reading | None, before: Part | None, at: datetime) -> tuple[Weight, _Stand]:
    """Where the factor stands: attainment, its bounds, whether it is known, since when not, and why."""
    if reading is not None and reading.value is not None:
        value = _millionths(reading.value)
        low, high = min(_millionths(reading.low), value), max(_millionths(reading.high), value)
        return weight, (value, low, high, True, None, reading.detail)
    since = before.unknown_since if before is not None and before.unknown_since is not None else at
    last = before.attainment if before is not None else None
    return weight, (last, _ZERO, _ONE, False, since, reading.detail if reading is not None else "")


def _part(weight: Weight, share: Decimal, stands: _Stand, before: Part | None, compared: bool) -> Part:
    attainment, low, high, known, since, detail = stands
    contribution = share * (attainment if attainment is not None else _ZERO)
    earlier = before.contribution if before is not None else _ZERO
    change = contribution - earlier if compared else None
    return Part(
        weight.factor, weight.label, weight.points, share, attainment, low, high, contribution, change, known, since,
        detail,
    )  # fmt: skip


def _shared(points: Sequence[Decimal]) -> list[Decimal]:
    """The points brought to exactly 100 in ten-thousandths; what rounding down leaves goes to the largest rests."""
    whole = sum(points, _ZERO)
    if not whole:
        return [_ZERO for _ in points]
    exact = [point * _HUNDRED / whole for point in points]
    floors = [share.quantize(_WEIGHT_STEP, ROUND_DOWN) for share in exact]
    left = int((_HUNDRED - sum(floors, _ZERO)) / _WEIGHT_STEP)
    order = sorted(range(len(points)), key=lambda place: (floors[place] - exact[place], place))
    for place in order[:left]:
        floors[place] += _WEIGHT_STEP
    return floors


def _millionths(value: Decimal) -> Decimal:
    return min(max(value, _ZERO), _ONE).quantize(_ATTAINMENT_STEP, ROUND_HALF_EVEN)

"""A signal: what one look at one subject found, whoever looked.

Belongs here: the shape every watcher speaks (metrics, thresholds, sources, jobs, tie-outs). Does not belong here:
what becomes of it (`machine.py`), what a look can find (`ops_platform.watch.judgement.Finding`), how a metric is judged
(`ops_platform.watch`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal

    from ops_platform.watch.judgement import Finding


class Severity(StrEnum):
    """How loud. `ALERT` and `CRITICAL` go to the alert channel, `WATCH` to the owner's."""

    WATCH = "watch"
    ALERT = "alert"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class SubjectKind(StrEnum):
    METRIC = "metric"  # outside its expected range
    THRESHOLD = "threshold"  # beyond a rule of fleet.yaml
    SOURCE = "source"  # a vendor's stream failed or is stale
    TIE_OUT = "tie_out"  # what landed is not what the vendor holds
    JOB = "job"  # a run failed, or a tick was missed


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at; its `key` is the identity of an incident.

    `name` is a metric id, rule name, `vendor.stream` or job name; `dimension` and `value` narrow it ("all", "all": the
    whole)."""

    kind: SubjectKind
    name: str
    dimension: str = "all"
    value: str = "all"

    @property
    def key(self) -> str:
        """As `metric:net_sales:channel:amazon`; unique per subject."""
        return ":".join((self.kind.value, self.name, self.dimension, self.value))


@dataclass(frozen=True, slots=True)
class Driver:
    """A part of the change, with how much of it: `share` of the whole effect, 0 to 1 or beyond where parts offset."""

    label: str
    effect: Decimal
    share: Decimal | None


@dataclass(frozen=True, slots=True)
class Signal:
    """One look. `period` is the business day looked at, `observed_at` (aware, UTC) when.

    `value`, `expected_low`, `expected`, `expected_high` and `effect` (value less expected) are in `unit`;
    `effect_money` is the effect in the company's currency where it has one. `closeness` says how near the limit the
    value stands, 1 being the limit: a breach is above 1. `adverse` is False for a breach in the favourable direction.
    `depends_on` names the `vendor.stream`s it is computed from; `explanation` says how it was judged, in words."""

    subject: Subject
    found: Finding
    period: date
    observed_at: datetime
    label: str
    severity: Severity = Severity.ALERT
    unit: str = "count"
    value: Decimal | None = None
    expected_low: Decimal | None = None
    expected: Decimal | None = None
    expected_high: Decimal | None = None
    effect: Decimal | None = None
    effect_money: Decimal | None = None
    closeness: Decimal | None = None
    adverse: bool = True
    since: date | None = None
    drivers: tuple[Driver, ...] = ()
    depends_on: tuple[str, ...] = ()
    division: str | None = None
    owner: str | None = None
    explanation: str = ""

    def __post_init__(self) -> None:
        if self.observed_at.tzinfo is None:
            raise ValueError(f"a signal's observed_at needs a time zone: {self.observed_at!r}")

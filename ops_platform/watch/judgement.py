"""A judgement: one metric, one day, held against what was expected of it.

Belongs here: the shape that is stored and read, and the words for it. Does not belong here: how it is arrived at
(`judge.py`), where it is kept (`store.py`), what is done about it (`ops_platform.alerts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal


class Finding(StrEnum):
    """What a look found, at a metric or at anything that is alerted about. `UNKNOWN` is neither of the others: the
    subject could not be judged, and nothing may be concluded."""

    BREACHED = "breached"
    CLEAR = "clear"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a day could not be judged, or, for `NOT_PERSISTENT`, why a day outside its range is not yet a breach."""

    TOO_LITTLE_HISTORY = "too_little_history"
    INCOMPLETE = "incomplete"  # the sources were not fresh to the end of the day
    NO_VALUE = "no_value"  # NULL in the warehouse: unknown
    NOTHING_TO_DIVIDE = "nothing_to_divide"  # a ratio of a day on which nothing happened
    NO_ROW = "no_row"  # the warehouse has no row for the day
    NOT_PERSISTENT = "not_persistent"


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Which series: a metric, whole ("all", "all") or one value of one dimension."""

    metric_id: str
    dimension: str = "all"
    dimension_value: str = "all"

    def __str__(self) -> str:
        return (
            self.metric_id if self.dimension == "all" else f"{self.metric_id}:{self.dimension}:{self.dimension_value}"
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """One day of one series.

    `value`, `expected_low`, `expected`, `expected_high` and `effect` (value less expected) are in the metric's unit;
    `effect_money` is the effect in the company's currency where the metric is money, else None. `closeness` is how near
    the limit the value stands, 1 being the limit, the minimum effect counted in: outside the range is above 1. A breach
    is outside its range often enough (the metric's persistence); outside but not often enough is `CLEAR` with the
    reason `NOT_PERSISTENT`. `adverse` is False for a move in the favourable direction. `since` is the first day of the
    breach. `baseline` names the expectation chosen. `judged_at` is aware."""

    key: SeriesKey
    day: date
    found: Finding
    judged_at: datetime
    reason: Reason | None = None
    value: Decimal | None = None
    expected_low: Decimal | None = None
    expected: Decimal | None = None
    expected_high: Decimal | None = None
    effect: Decimal | None = None
    effect_money: Decimal | None = None
    closeness: Decimal | None = None
    adverse: bool = True
    since: date | None = None
    baseline: str = ""
    explanation: str = ""
    fresh_to: datetime | None = None
    tie_out: str = "unknown"

"""What of a period deserves a line: highlights, concerns, and what is off its target as before.

Belongs here: the rule, the same for every metric. Does not belong here: reading (`evidence.combining`), sentences, what
anybody should do about it (`ops_platform.action_items`).

The rule. A day has few: a metric the watch found outside its expected range, one that missed its target and had met it
the day before, one that became unknown. What is merely as bad as yesterday is no news and stands in a list of its own.
What meets its target is no concern, however much better it was.
A week or month is held against the one before it: a change counts from the metric's minimum effect (of a flow, times
the root of the number of days, as chance adds up) and, for amounts and counts, from a share of what it was. Of metrics
made of each other only the first is told, and of a division no more than a few: five ways of saying that sales fell are
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ops_platform.evidence.metrics import Metric
    from ops_platform.evidence.model import Comparison, Fact
    from ops_platform.evidence.spans import Span
    from ops_platform.watch.tree import MetricTree

Why = Literal["breached", "target", "change", "unknown"]
PER_DIVISION = 2
HEAVIEST = Decimal(20)  # minimum effects: beyond it, one change is not more news than another
RELATIVE = frozenset({"money", "count", "days", "hours"})


@dataclass(frozen=True, slots=True)
class Judged:
    """What the watch found of a metric in a span: days outside its range, adverse and favourable, and the largest
    closeness (1 is the limit)."""

    adverse_days: int = 0
    favourable_days: int = 0
    closeness: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Point:
    """A metric that deserves a line. `against` names the comparison that decided ("" for an unknown); `weight` orders
    points of the same kind."""

    metric: Metric
    fact: Fact
    good: bool
    why: Why
    against: str
    weight: Decimal

    @property
    def subject(self) -> str:
        """As alerts name it, so that an alert and a concern about the same are seen to be one."""
        return f"metric:{self.metric.id}:all:all"


def points(
    facts: Mapping[str, Fact],
    metrics: Mapping[str, Metric],
    span: Span,
    judged: Mapping[str, Judged],
    share: Decimal,
    eves: Mapping[str, Decimal | None],
) -> list[Point]:
    """Every point of the span, good and bad. `eves` has what each metric was just before (a day: the day before; else
    the span before), None where that is unknown."""
    found = []
    for metric_id, fact in facts.items():
        metric = metrics[metric_id]
        if fact.direction == "neutral":
            continue
        point = _point(metric, fact, span, judged.get(metric_id), share, eves.get(metric_id))
        if point is not None:
            found.append(point)
    return found


def standing(
    facts: Mapping[str, Fact], metrics: Mapping[str, Metric], span: Span, told: Iterable[Point]
) -> list[Point]:
    """What misses its target and is told nowhere else, the worst first."""
    said = {point.metric.id for point in told}
    off = []
    for metric_id, fact in facts.items():
        if metric_id in said or fact.value is None:
            continue
        missed = _missed(fact, fact.value, metrics[metric_id], span)
        if missed is not None and missed > 1:
            off.append(Point(metrics[metric_id], fact, False, "target", "target", min(missed, HEAVIEST)))
    return sorted(off, key=_order)


def select(found: Iterable[Point], most: int, tree: MetricTree, *, per_division: int = PER_DIVISION) -> list[Point]:
    """The `most` that matter, the first first: none that is made of another told, few of a division."""
    chosen: list[Point] = []
    divisions: dict[str, int] = {}
    for point in sorted(found, key=_order):
        if len(chosen) == most:
            break
        if any(_related(point.metric.id, other.metric.id, tree) for other in chosen):
            continue
        if point.why == "unknown" and any(other.why == "unknown" for other in chosen):
            continue  # a source that stops takes many figures with it: one stands for them, all are listed
        if divisions.get(point.metric.division, 0) >= per_division:
            continue
        chosen.append(point)
        divisions[point.metric.division] = divisions.get(point.metric.division, 0) + 1
    return chosen


def _point(
    metric: Metric, fact: Fact, span: Span, judged: Judged | None, share: Decimal, eve: Decimal | None
) -> Point | None:
    if fact.value is None:
        # What never was is no news; what is missing since then is, where people look at it every morning.
        news = metric.in_pulse and eve is not None
        return Point(metric, fact, False, "unknown", "", Decimal(1)) if news else None
    primary = fact.primary
    if span.tier == "daily" and judged is not None and primary is not None:
        if judged.adverse_days:
            return Point(metric, fact, False, "breached", primary.name, judged.closeness)
        return Point(metric, fact, True, "breached", primary.name, judged.closeness)
    # A ratio of one day's few cases goes over its target and back by chance; what people look at, and states, do not.
    if span.tier != "daily" or metric.in_pulse or metric.is_state:
        turned = _turned(metric, fact, span, eve)
        if turned is not None:
            return turned
    if primary is None or (span.tier == "daily" and not metric.in_pulse):
        return None
    weight = _weight(primary, metric, fact, span, share)
    good = fact.favourable(primary.delta)
    if weight is None or good is None or (span.tier == "daily" and not good):
        return None
    missed = _missed(fact, fact.value, metric, span)
    if not good and missed is not None and missed <= 0:
        return None  # a little less than before, and still as good as it was meant to be
    return Point(metric, fact, good, "change", primary.name, weight)


def _turned(metric: Metric, fact: Fact, span: Span, eve: Decimal | None) -> Point | None:
    """A target missed that had been met, or met that had been missed."""
    assert fact.value is not None
    now = _missed(fact, fact.value, metric, span)
    before = _missed(fact, eve, metric, span) if eve is not None else None
    if now is None or before is None:
        return None
    if now > 1 >= before:
        return Point(metric, fact, False, "target", "target", now)
    if before > 1 and now <= 0:
        return Point(metric, fact, True, "target", "target", before)
    return None


def _missed(fact: Fact, value: Decimal, metric: Metric, span: Span) -> Decimal | None:
    """By how many minimum effects `value` is worse than the target; None where there is no target."""
    target = fact.comparison("target")
    effect = _effect(metric, span)
    if target is None or target.value is None or not effect or fact.direction == "neutral":
        return None
    off = target.value - value if fact.direction == "up_is_good" else value - target.value
    return off / effect


def _weight(comparison: Comparison, metric: Metric, fact: Fact, span: Span, share: Decimal) -> Decimal | None:
    """The change in minimum effects, None where it is too small for a word."""
    effect = _effect(metric, span)
    if comparison.delta is None or not effect:
        return None
    weight = abs(comparison.delta) / effect
    part = comparison.delta_pct
    small = fact.unit in RELATIVE and part is not None and abs(part) < share
    return None if weight < 1 or small else weight


def _effect(metric: Metric, span: Span) -> Decimal | None:
    if metric.minimum_effect is None:
        return None
    summed = metric.aggregation == "sum" and not metric.is_state
    return metric.minimum_effect * Decimal(span.days).sqrt() if summed else metric.minimum_effect


_RANKS: dict[Why, int] = {"unknown": 0, "breached": 1, "target": 2, "change": 3}


def _order(point: Point) -> tuple[bool, int, Decimal, str]:
    return not point.metric.in_pulse, _RANKS[point.why], -min(point.weight, HEAVIEST), point.metric.id


def _related(one: str, other: str, tree: MetricTree) -> bool:
    return one == other or other in tree.descendants(one) or one in tree.descendants(other)

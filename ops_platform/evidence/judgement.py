"""Whether a metric needs attention this morning: one rule for every metric, no exceptions by name.

Belongs here: the verdict on a fact given its definition. Does not belong here: what is said about it, and
statistical surprise (`ops_platform.watch`).

The rule. Unknown is unknown. A metric with a target needs attention when it is worse than the target by more
than its minimum effect. Without a target, when it is worse than the same weekday a week before (a state: than
the day before) by at least its minimum effect and by a quarter. Neutral metrics, and metrics with neither
target nor minimum effect, are shown but never flagged.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ops_platform.evidence.metrics import Metric
    from ops_platform.evidence.model import Fact

NOTABLE_SHARE = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`against` names the comparison that decided; `weight` says how many minimum effects off it is: it orders what
    needs attention, worst first."""

    state: Literal["ok", "attention", "unknown"]
    against: str = ""
    weight: Decimal = Decimal(0)


def judge(fact: Fact, metric: Metric) -> Verdict:
    """The verdict on one fact of `metric`."""
    if not fact.known or fact.value is None:
        return Verdict("unknown")
    if fact.direction == "neutral":
        return Verdict("ok")
    target = fact.comparison("target")
    comparison = target or fact.primary
    if comparison is None or comparison.delta is None:
        return Verdict("ok")
    adverse = -comparison.delta if fact.direction == "up_is_good" else comparison.delta
    if adverse <= 0:
        return Verdict("ok")
    if target is not None:
        notable = adverse > (metric.minimum_effect or 0)
    else:
        large = comparison.delta_pct is None or comparison.delta_pct.copy_abs() >= NOTABLE_SHARE
        notable = metric.minimum_effect is not None and adverse >= metric.minimum_effect and large
    if not notable:
        return Verdict("ok")
    # Measured in minimum effects, so that money, counts and shares can be put in one order.
    return Verdict("attention", comparison.name, adverse / metric.minimum_effect if metric.minimum_effect else adverse)

"""How a month stands: which figures are off, what has turned since the last pack, what it published that has moved.

Belongs here: one rule of judgement for every monthly figure, and holding a new pack against the last one. Does not
belong here: reading figures (`evidence.months`), a morning's judgement (`evidence.judgement`).

The rule. Unknown is unknown, neutral is never off. A figure with a plan is off when it is worse by more than three
percent of it; one with a target when it is worse by more than its minimum effect; else one that is worse than the same
month a year before, or where that is not known than the month before, by a tenth and by its minimum effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.evidence.judgement import Verdict
from ops_platform.evidence.model import Comparison, Fact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ops_platform.evidence.metrics import Metric
    from ops_platform.evidence.model import Bundle, Row

PLAN_GAP = Decimal("0.03")
NOTABLE_SHARE = Decimal("0.10")
# The published quotients are rounded to eight decimals; less than that is no change.
LEAST_CHANGE = Decimal("0.00000002")
TURNS = 14
AGAINST = ("plan", "target", "year_before", "month_before")


def judge_month(fact: Fact, metric: Metric, days: int) -> Verdict:
    """The verdict on a month's fact of `metric`, `days` long. `weight` is in minimum effects of a month."""
    if not fact.known or fact.value is None:
        return Verdict("unknown")
    if fact.direction == "neutral":
        return Verdict("ok")
    # The smallest change worth a word is given for a day: a sum has as many of them as days.
    least = (metric.minimum_effect or Decimal(0)) * (days if metric.aggregation == "sum" else 1)
    for name in AGAINST:
        comparison = fact.comparison(name)
        if comparison is None or comparison.delta is None:
            continue
        adverse = -comparison.delta if fact.direction == "up_is_good" else comparison.delta
        share = comparison.delta_pct.copy_abs() if comparison.delta_pct is not None else None
        if name == "plan":
            off = adverse > 0 and (share is None or share > PLAN_GAP)
        elif name == "target":
            off = adverse > (metric.minimum_effect or 0)
        else:
            off = adverse > 0 and adverse >= least and (share is None or share >= NOTABLE_SHARE)
        if not off:
            return Verdict("ok", name)
        return Verdict("attention", name, adverse / least if least else (share or Decimal(1)) * 10)
    return Verdict("ok")


@dataclass(frozen=True, slots=True)
class Restated:
    """A number of the last pack that is another one today. `now` None is unknown today."""

    published: Fact
    now: Decimal | None

    @property
    def change(self) -> Comparison:
        return Comparison.between("as_published", "as published", self.now, self.published.value)


def restated(published: Iterable[Fact], today: Callable[[Fact], tuple[bool, Decimal | None]]) -> Iterator[Restated]:
    """The published facts whose number has moved. `today` gives whether a fact can be read again, and what it is."""
    for fact in published:
        if fact.value is None:
            continue
        readable, now = today(fact)
        if readable and (now is None or abs(now - fact.value) > LEAST_CHANGE):
            yield Restated(fact, now)


def turned(before: Bundle, now: Iterable[Row]) -> list[tuple[Row, str]]:
    """The rows of the standing whose verdict is another one than in the last pack, with what it was: what is off now
    first. That something unknown turned out to be fine is no news."""
    was = {row.facts["figure"]: row.mark for row in before.rows("standing") if "figure" in row.facts}
    found = []
    for row in now:
        earlier = was.get(row.facts["figure"])
        if earlier is not None and earlier != row.mark and (earlier, row.mark) != ("unknown", "ok"):
            found.append((row, earlier))
    return found[:TURNS]

"""Why a month differs from another: how much of a metric's change lies in which of its parts.

Belongs here: taking a month's change apart along the metric tree and by the values of a dimension. Does not belong
here: the arithmetic (`ops_platform.watch.decomposition`), reading months (`evidence.months`).

It says where a change lies and how much of it, never what brought it about; effects add up to the change exactly, and
what the parts do not make up is told as such.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.evidence.quoting import minimise
from ops_platform.watch.decomposition import Undecidable, by_value, decompose, scale
from ops_platform.watch.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ops_platform.evidence.metrics import Metric
    from ops_platform.evidence.months import Month, MonthReader
    from ops_platform.watch.tree import MetricTree

_DEEPEST = 3
LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class PartEffect:
    """What one part carries of the change, in the unit of the whole. `part` is a metric id or a dimension's value."""

    part: str
    label: str
    effect: Decimal


@dataclass(frozen=True, slots=True)
class MonthChange:
    """A metric in two months and the parts that make the difference, the largest first. `by` is `parts` or the
    dimension."""

    metric: Metric
    before: Decimal
    after: Decimal
    by: str
    effects: tuple[PartEffect, ...]
    unexplained: Decimal = Decimal(0)


def by_parts(reader: MonthReader, metric: Metric, month: Month, base: Month, tree: MetricTree) -> MonthChange | None:
    """The change along the metric tree, down to its lowest parts; None where a side is unknown or has no parts."""
    before, after = _both(reader, metric, month, base)
    if before is None or after is None:
        return None
    effects, unexplained = _down(reader, metric.id, before, after, month, base, tree, 1)
    if not effects:
        return None
    return MonthChange(metric, before, after, "parts", _sorted(effects), unexplained)


def by_dimension(reader: MonthReader, metric: Metric, month: Month, base: Month, dimension: str) -> MonthChange | None:
    """The change by the values of `dimension`; None where a side or one of its values is unknown. Only of sums and
    states, whose values add up to the whole."""
    if metric.aggregation in ("ratio", "average"):
        return None
    before, after = _both(reader, metric, month, base)
    parts = reader.parts(metric, dimension, [base, month])
    old = {name: pair[0] for name, pair in parts.items()}
    new = {name: pair[1] for name, pair in parts.items()}
    if before is None or after is None or not parts or None in (*old.values(), *new.values()):
        return None
    apart = by_value(
        {name: value for name, value in old.items() if value is not None},
        {name: value for name, value in new.items() if value is not None},
    )
    effects = [PartEffect(one.part, spoken(one.part), one.effect) for one in apart.effects]
    left = (after - before) - sum((one.effect for one in effects), Decimal(0))
    return MonthChange(metric, before, after, dimension, _sorted(effects), left)


def spoken(value: str) -> str:
    """A dimension's value as a reader sees it: `plus_annual` is `Plus annual`. It is a vendor's: cut and cleaned."""
    text = minimise(value.replace("_", " "), LONGEST_VALUE) or "(none)"
    return text[:1].upper() + text[1:]


def distinct(labels: Iterable[str]) -> list[str]:
    """The labels, one that comes again with a number behind it: two values may look alike once they are cut."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found


def _both(reader: MonthReader, metric: Metric, month: Month, base: Month) -> tuple[Decimal | None, Decimal | None]:
    return reader.figure(metric, [base]).value, reader.figure(metric, [month]).value


def _down(
    reader: MonthReader, whole: str, before: Decimal, after: Decimal, month: Month, base: Month, tree: MetricTree,
    depth: int,
) -> tuple[list[PartEffect], Decimal]:  # fmt: skip
    for way in tree.breakdowns(whole):
        if way.kind is Kind.MOVED_BY or any(name not in reader.metrics for name in way.names):
            continue
        sides = {name: _both(reader, reader.metrics[name], month, base) for name in way.names}
        old, new = ({name: pair[n] for name, pair in sides.items()} for n in (0, 1))
        try:
            apart = decompose(way, old, new, before, after)
        except Undecidable:
            continue
        found: list[PartEffect] = []
        for one in apart.effects:
            lower = _below(reader, one.part, one.effect, month, base, tree, depth)
            found += lower or [PartEffect(one.part, reader.metrics[one.part].label, one.effect)]
        return found, apart.unexplained
    return [], Decimal(0)


def _below(
    reader: MonthReader, part: str, effect: Decimal, month: Month, base: Month, tree: MetricTree, depth: int
) -> list[PartEffect]:
    """The part's own parts, their effects scaled to what the part carries of the whole."""
    before, after = _both(reader, reader.metrics[part], month, base)
    if depth >= _DEEPEST or before is None or after is None or before == after:
        return []
    lower, unexplained = _down(reader, part, before, after, month, base, tree, depth + 1)
    if not lower or unexplained:
        return []
    scaled = scale([one.effect for one in lower], effect)
    return [PartEffect(one.part, one.label, share) for one, share in zip(lower, scaled, strict=True)]


def _sorted(effects: Sequence[PartEffect]) -> tuple[PartEffect, ...]:
    """The largest first; a part that stands in two places is told once, with what it carries in both."""
    carried: dict[str, PartEffect] = {}
    for one in effects:
        held = carried.get(one.part)
        carried[one.part] = one if held is None else PartEffect(one.part, one.label, held.effect + one.effect)
    return tuple(sorted(carried.values(), key=lambda one: (-abs(one.effect), one.label)))

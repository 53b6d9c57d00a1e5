"""The metric tree: which metric is the product, the quotient or the sum of which others.

Belongs here: reading `made_of` from the metrics' YAML, proving that it hangs together, and walking it. Does not belong
here: how much of a change each part carries (`decomposition.py`), reading values (`explain.py`); that an identity holds
on the data is the dbt test `metrics_are_made_of_their_parts`.

In a metric's YAML, below `metric`, a list of ways to take it apart, the most telling first:

    made_of:
      - sum: [sales_before_refunds, -refunds]        a minus takes a part away
      - product: [orders, average_order_value]
      - ratio: [refunds, sales_before_refunds]       the first divided by the second; `times: 100` scales it
      - moved_by: [new_mrr, -churned_mrr]            a state, moved since the day before by these flows of the day

and, where a mart has the metric's amounts by several dimensions together, so that combinations can be searched:

    leaves: { mart: fct_sales_daily, day: date, measure: net_amount, by: { channel: channel, country: country_name } }
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from ops_platform.failures import ConfigurationError
from ops_platform.yaml_text import read_text


class Kind(StrEnum):
    """How parts make the whole."""

    SUM = "sum"
    PRODUCT = "product"
    RATIO = "ratio"
    MOVED_BY = "moved_by"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a metric. `sign` is -1 where it is taken away."""

    metric: str
    sign: int = 1


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One way a metric is made: `whole` = `times` x (sum, product or quotient of the parts, in order)."""

    whole: str
    kind: Kind
    parts: tuple[Part, ...]
    times: Decimal = Decimal(1)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.metric for part in self.parts)

    @property
    def formula(self) -> str:
        """As `orders × average_order_value`, metric ids standing for their labels."""
        return self.formula_of(lambda name: name)

    def formula_of(self, label: Callable[[str], str]) -> str:
        if self.kind is Kind.PRODUCT:
            text = " × ".join(label(name) for name in self.names)
        elif self.kind is Kind.RATIO:
            text = " ÷ ".join(label(name) for name in self.names)
        else:
            text = "".join(
                f"{' − ' if part.sign < 0 else ' + '}{label(part.metric)}" for part in self.parts
            ).removeprefix(" + ")
            text = text.strip() if self.kind is Kind.SUM else f"the day before + {text.strip()}"
        return text if self.times == 1 else f"{self.times} × {text}"


@dataclass(frozen=True, slots=True)
class Leaves:
    """Where a metric's amounts stand by several dimensions together: a mart, its columns of day and amount, and the
    column of each dimension."""

    mart: str
    day: str
    measure: str
    by: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MetricTree:
    """Every metric's ways of being made. A metric without an entry has no parts: it is a leaf."""

    ways: Mapping[str, tuple[Breakdown, ...]]
    leaves: Mapping[str, Leaves] = field(default_factory=dict)
    _parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def load(cls, project: Path | None = None) -> MetricTree:
        """The tree of the dbt project (`project`: its folder), read once in a process.

        Raises ConfigurationError naming the file where an entry is wrong, a part is no metric, or a metric would be
        made of itself."""
        if project is None:
            from ops_platform.settings import PROJECT_ROOT

            project = PROJECT_ROOT / "dbt_project"
        return _load(project)

    @classmethod
    def of(cls, entries: Mapping[str, Any], metrics: Iterable[str] | None = None) -> MetricTree:
        """A tree of `made_of` entries by metric; `metrics` are all metrics there are (default: those named)."""
        known = set(metrics) if metrics is not None else None
        ways = {name: _breakdowns(name, said, known, name) for name, said in sorted(entries.items()) if said}
        return cls._checked(ways, {})

    @classmethod
    def _checked(cls, ways: dict[str, tuple[Breakdown, ...]], leaves: Mapping[str, Leaves]) -> MetricTree:
        parents: dict[str, list[str]] = {}
        for name, breakdowns in ways.items():
            for part in dict.fromkeys(part for breakdown in breakdowns for part in breakdown.names):
                parents.setdefault(part, []).append(name)
        tree = cls(ways, leaves, {part: tuple(sorted(above)) for part, above in parents.items()})
        tree._refuse_circles()
        return tree

    def breakdowns(self, metric: str) -> tuple[Breakdown, ...]:
        """The ways the metric is made, the most telling first; empty for a leaf and for an unknown name."""
        return self.ways.get(metric, ())

    def parts(self, metric: str) -> tuple[str, ...]:
        """The metrics it is directly made of, in any of its ways; empty for a leaf."""
        return tuple(dict.fromkeys(name for way in self.breakdowns(metric) for name in way.names))

    def parents(self, metric: str) -> tuple[str, ...]:
        """The metrics it is directly a part of, by name."""
        return self._parents.get(metric, ())

    def descendants(self, metric: str) -> frozenset[str]:
        """Everything below it, itself left out."""
        return self._reach(metric, self.parts)

    def ancestors(self, metric: str) -> frozenset[str]:
        """Everything above it, itself left out."""
        return self._reach(metric, self.parents)

    def lowest_explaining(self, breached: Iterable[str]) -> dict[str, str]:
        """For each breached metric above exactly one branch of breached ones, the lowest metric of that branch.

        The walk goes down the first way of a metric that has breached parts, through parts that are not breached
        themselves, while one branch alone holds a breach; where two parts move at once, their whole is the lowest
        metric that holds both, and the walk ends there. Metrics at which it ends are no keys."""
        wanted = frozenset(breached)
        found = {metric: self._descend(metric, wanted) for metric in sorted(wanted)}
        return {metric: node for metric, node in found.items() if node != metric}

    def group_of(self, breached: Iterable[str]) -> dict[str, str]:
        """For each breached metric, the breached metric whose incident it belongs to (itself, where it stands alone).

        That is its lowest explaining metric; a metric beside the branch that explains a whole above it goes with that
        whole, so that metrics which move together make one group."""
        wanted = frozenset(breached)
        groups: dict[str, str] = {}
        # From the top: by the number of breached metrics above, then by name, so that the answer is one and the same.
        for metric in sorted(wanted, key=lambda name: (len(self.ancestors(name) & wanted), name)):
            above = sorted(
                self.ancestors(metric) & wanted, key=lambda name: (-len(self.ancestors(name) & wanted), name)
            )
            groups[metric] = groups[above[0]] if above else self._descend(metric, wanted)
        return {metric: _end_of(groups, metric) for metric in sorted(groups)}

    def _descend(self, metric: str, breached: frozenset[str]) -> str:
        lowest = node = metric
        while True:
            for way in self.breakdowns(node):
                branches = [name for name in way.names if breached & ({name} | self.descendants(name))]
                if branches:
                    break
            else:
                return lowest
            if len(set(branches)) > 1:
                return lowest
            node = branches[0]
            if node in breached:
                lowest = node

    def _reach(self, metric: str, step: Callable[[str], tuple[str, ...]]) -> frozenset[str]:
        seen: set[str] = set()
        waiting = list(step(metric))
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(step(name))
        return frozenset(seen)

    def _refuse_circles(self) -> None:
        for metric in self.ways:
            if metric in self.descendants(metric):
                raise ConfigurationError(f"made_of of {metric}: the metric would be made of itself")


def _end_of(groups: Mapping[str, str], metric: str) -> str:
    """Where following the groups ends; of a ring, the first by name."""
    seen = [metric]
    while groups[seen[-1]] not in seen:
        seen.append(groups[seen[-1]])
    return min(seen[seen.index(groups[seen[-1]]) :])


@lru_cache(maxsize=4)
def _load(project: Path) -> MetricTree:
    folder = project / "models" / "metrics"
    files = sorted(folder.rglob("*.yml"))
    if not files:
        raise ConfigurationError(f"{folder}: no metrics there")
    metrics = {file.stem for file in folder.rglob("*.sql")}
    ways: dict[str, tuple[Breakdown, ...]] = {}
    leaves: dict[str, Leaves] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        if "made_of:" not in text and "leaves:" not in text:
            continue  # most files: only those with parts are worth the parsing
        for model in (read_text(text) or {}).get("models") or []:
            said = ((model.get("config") or {}).get("meta") or {}).get("metric") or {}
            name, where = model["name"], str(file.relative_to(project))
            if said.get("made_of"):
                ways[name] = _breakdowns(name, said["made_of"], metrics, where)
            if said.get("leaves"):
                leaves[name] = _leaves(name, said["leaves"], where)
    return MetricTree._checked(ways, leaves)


def tree_problems(metric: str, said: Mapping[str, Any], metrics: Iterable[str]) -> list[str]:
    """What is wrong with `made_of` and `leaves` of a metric's entry; empty when nothing is."""
    try:
        if said.get("made_of"):
            _breakdowns(metric, said["made_of"], set(metrics), metric)
        if said.get("leaves"):
            _leaves(metric, said["leaves"], metric)
    except ConfigurationError as problem:
        return [str(problem)]
    return []


def _breakdowns(metric: str, said: Any, known: set[str] | None, where: str) -> tuple[Breakdown, ...]:
    if not isinstance(said, list):
        raise ConfigurationError(f"{where}: made_of of {metric} is no list of ways")
    return tuple(_breakdown(metric, way, known, where) for way in said)


def _breakdown(metric: str, said: Any, known: set[str] | None, where: str) -> Breakdown:
    def refuse(problem: str) -> ConfigurationError:
        return ConfigurationError(f"{where}: made_of of {metric}: {problem}")

    if not isinstance(said, dict):
        raise refuse(f"{said!r} is no way, as `sum: [gross_sales, -discount_amount]` is one")
    said = dict(said)
    times = said.pop("times", 1)
    kinds = [kind for kind in Kind if kind.value in said]
    if len(kinds) != 1 or len(said) != 1:
        raise refuse(f"a way is one of {', '.join(kind.value for kind in Kind)}, not {', '.join(map(str, said))}")
    kind = kinds[0]
    names = said[kind.value]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise refuse(f"{kind.value} is no list of metrics")
    parts = tuple(Part(name.removeprefix("-"), -1 if name.startswith("-") else 1) for name in names)
    if len({part.metric for part in parts}) != len(parts):
        raise refuse("a part is named twice")
    if kind is Kind.RATIO and len(parts) != 2:
        raise refuse("a ratio has two parts")
    if kind in (Kind.SUM, Kind.PRODUCT) and len(parts) < 2:
        raise refuse(f"a {kind.value} has two parts or more")
    if kind in (Kind.PRODUCT, Kind.RATIO) and any(part.sign < 0 for part in parts):
        raise refuse(f"a part of a {kind.value} has no sign")
    unknown = sorted({part.metric for part in parts} - known) if known is not None else []
    if unknown:
        raise refuse(f"{', '.join(unknown)} is no metric")
    if any(part.metric == metric for part in parts):
        raise refuse("the metric would be made of itself")
    try:
        factor = Decimal(str(times))
    except InvalidOperation:
        raise refuse(f"times is {times!r}, not a number") from None
    if not factor.is_finite() or factor <= 0 or (factor != 1 and kind not in (Kind.PRODUCT, Kind.RATIO)):
        raise refuse("times is a number above zero, for a product or a ratio")
    return Breakdown(metric, kind, parts, factor)


def _leaves(metric: str, said: Any, where: str) -> Leaves:
    keys = ("mart", "day", "measure")
    if not isinstance(said, dict) or set(said) != {*keys, "by"} or not isinstance(said["by"], dict) or not said["by"]:
        raise ConfigurationError(f"{where}: leaves of {metric} needs mart, day, measure and by (dimension: column)")
    for name in (*(said[key] for key in keys), *said["by"], *said["by"].values()):
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", str(name)):
            raise ConfigurationError(f"{where}: leaves of {metric}: {name!r} is no name")
    return Leaves(said["mart"], said["day"], said["measure"], tuple(said["by"].items()))

"""Which subjects are one incident, and which of them explains the others.

Belongs here: what makes two subjects related, groups of subjects that opened together, the head of a group. Does not
belong here: the metric tree itself (`ops_platform.watch.tree`), how an incident lives (`placing.py`).

Related are: a metric and what it is made of, whole or in the same slice; a metric in any of its slices; a rule and the
metric it reads; everything one rule finds; streams of one vendor; tie-outs of one vendor. The head of a group is the
lowest metric of the tree that explains the rest: where net sales, orders and sessions fell together, sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, TypeVar

from ops_platform.alerts.signal import Signal, Subject, SubjectKind

WHOLE = ("all", "all")
T = TypeVar("T")


class Tree(Protocol):
    """What grouping needs of the metric tree (`ops_platform.watch.tree.MetricTree` is one)."""

    def ancestors(self, metric: str) -> frozenset[str]: ...
    def descendants(self, metric: str) -> frozenset[str]: ...
    def group_of(self, breached: Iterable[str]) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class NoTree:
    """Metrics that are not made of each other, as far as anybody knows."""

    def ancestors(self, metric: str) -> frozenset[str]:
        return frozenset()

    def descendants(self, metric: str) -> frozenset[str]:
        return frozenset()

    def group_of(self, breached: Iterable[str]) -> Mapping[str, str]:
        return {metric: metric for metric in breached}


@dataclass(frozen=True)
class Relations:
    """`rule_metrics`: by rule, the metrics it reads."""

    tree: Tree = field(default_factory=NoTree)
    rule_metrics: Mapping[str, Collection[str]] = field(default_factory=dict)

    def related(self, one: Subject, other: Subject) -> bool:
        """Whether the two, both out, are one incident. Symmetric."""
        if one.kind is other.kind:
            return self._same_kind(one, other)
        if {one.kind, other.kind} == {SubjectKind.METRIC, SubjectKind.THRESHOLD}:
            metric, rule = (one, other) if one.kind is SubjectKind.METRIC else (other, one)
            return metric.name in self.rule_metrics.get(rule.name, ())
        return False

    def _same_kind(self, one: Subject, other: Subject) -> bool:
        if one.kind is SubjectKind.METRIC:
            if one.name == other.name:
                return True
            if other.name not in self.tree.ancestors(one.name) and other.name not in self.tree.descendants(one.name):
                return False
            slices = {(one.dimension, one.value), (other.dimension, other.value)}
            return len(slices) == 1 or WHOLE in slices
        if one.kind is SubjectKind.THRESHOLD or one.kind is SubjectKind.JOB:
            return one.name == other.name
        return vendor_of(one) == vendor_of(other)

    def groups(self, subjects: Sequence[Subject]) -> list[list[Subject]]:
        """The subjects in groups of related ones, each in the order given."""
        return [[subjects[index] for index in group] for group in self._components(subjects)]

    def _components(self, subjects: Sequence[Subject]) -> list[list[int]]:
        # By what could be related at all: five hundred subjects are not compared each with each.
        names: dict[tuple[str, ...], list[int]] = {}
        for index, subject in enumerate(subjects):
            for bucket in self._buckets(subject):
                names.setdefault(bucket, []).append(index)
        group = list(range(len(subjects)))

        def root(index: int) -> int:
            while group[index] != index:
                group[index] = group[group[index]]
                index = group[index]
            return index

        for indices in names.values():
            for position, index in enumerate(indices):
                for other in indices[:position]:
                    if root(index) != root(other) and self.related(subjects[index], subjects[other]):
                        group[max(root(index), root(other))] = min(root(index), root(other))
        found: dict[int, list[int]] = {}
        for index in range(len(subjects)):
            found.setdefault(root(index), []).append(index)
        return list(found.values())

    def _buckets(self, subject: Subject) -> set[tuple[str, ...]]:
        """Names of which two related subjects share at least one."""
        if subject.kind is SubjectKind.METRIC:
            family = {subject.name} | self.tree.ancestors(subject.name)
            return {("metric", name) for name in family}
        if subject.kind is SubjectKind.THRESHOLD:
            read = {("metric", name) for name in self.rule_metrics.get(subject.name, ())}
            return {("threshold", subject.name)} | read
        if subject.kind is SubjectKind.JOB:
            return {("job", subject.name)}
        return {(subject.kind.value, vendor_of(subject))}

    def head(self, signals: Sequence[Signal]) -> Signal:
        """The signal of the lowest explaining subject among those of one group (not empty)."""
        metrics = [signal for signal in signals if signal.subject.kind is SubjectKind.METRIC]
        if not metrics:
            return _most_serious(signals)
        names = sorted({signal.subject.name for signal in metrics})
        ends = self.tree.group_of(names)
        counted = Counter(ends.get(name, name) for name in names)
        deepest = sorted(
            (name for name in counted if name in names),
            key=lambda name: (-counted[name], -len(self.tree.ancestors(name) & set(names)), name),
        )
        chosen = [signal for signal in metrics if signal.subject.name == (deepest or names)[0]]
        return self._lowest_slice(chosen)

    def _lowest_slice(self, signals: Sequence[Signal]) -> Signal:
        """Of one metric: the one slice that is out, where one alone is out in its dimension; else the whole."""
        whole = [signal for signal in signals if (signal.subject.dimension, signal.subject.value) == WHOLE]
        parts = [signal for signal in signals if signal not in whole]
        dimensions = Counter(signal.subject.dimension for signal in parts)
        alone = [signal for signal in parts if dimensions[signal.subject.dimension] == 1]
        if whole and len(alone) != 1:
            return whole[0]
        return _most_serious(alone or parts or whole)


def vendor_of(subject: Subject) -> str:
    """The vendor of a source or tie-out, as `shopify` of `shopify.orders`."""
    return subject.name.partition(".")[0]


def join(standing: Mapping[T, Sequence[Subject]], group: Sequence[Subject], relations: Relations) -> T | None:
    """The first of the standing incidents (by their subjects) that any of the group belongs to, or None."""
    for incident, members in standing.items():
        if any(relations.related(member, subject) for member in members for subject in group):
            return incident
    return None


def _most_serious(signals: Sequence[Signal]) -> Signal:
    def weight(signal: Signal) -> tuple[int, Decimal, Decimal, bool]:
        money = abs(signal.effect_money) if signal.effect_money is not None else Decimal(0)
        return signal.severity.rank, money, signal.closeness or Decimal(0), signal.subject.dimension == "all"

    ordered = sorted(signals, key=lambda signal: signal.subject.key)
    return max(ordered, key=weight)


def most_serious_first(key: Callable[[T], Signal | None], items: Iterable[T]) -> list[T]:
    """Items by their signal: the most severe first, then the largest in money, then the furthest out."""

    def weight(item: T) -> tuple[int, Decimal, Decimal]:
        signal = key(item)
        if signal is None:
            return -1, Decimal(0), Decimal(0)
        money = abs(signal.effect_money) if signal.effect_money is not None else Decimal(0)
        return signal.severity.rank, money, signal.closeness or Decimal(0)

    return sorted(items, key=weight, reverse=True)

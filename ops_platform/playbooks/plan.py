"""The graph of a playbook: what each step waits for, and why.

Belongs here: deriving edges from what a step names, their order. Does not belong here: whether names exist
(`checks.py`), running (`engine.py`), drawing (`jobs/playbooks.py`).

Three kinds of edges. A step **needs** another's result: it does not run without. It comes **after** another: it waits,
and runs whatever became of that one, unless it failed with `on_error: fail`. It is **gated** by a condition's answer.
Edges need not be written twice: naming a step's result in an expression is needing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ops_platform.playbooks import expressions
from ops_platform.playbooks.model import Playbook
from ops_platform.playbooks.source import Source

#: Fields whose `${{ … }}` are replaced before a step runs, by type.
TEMPLATED: Mapping[str, tuple[str, ...]] = {
    "tool_call": ("input",),
    "delegate": ("task",),
    "synthesize": ("title",),
    "notify": ("to", "title", "text", "dedupe"),
    "create_thread": ("title", "text", "subject", "assignee", "payload"),
    "condition": (),
}


def templated(step: Any) -> dict[str, Any]:
    """The templated fields of a step that are set, as plain values."""
    found = {}
    for name in TEMPLATED[step.type]:
        value = getattr(step, name)
        if value is None:
            continue
        if isinstance(value, list):
            value = [item.model_dump(exclude_none=True) if hasattr(item, "model_dump") else item for item in value]
        found[name] = value
    return found


def expressions_of(step: Any) -> list[tuple[tuple[str | int, ...], str, int, bool]]:
    """(path within the step, expression, its place in the text, whether it is the whole text) of each. Raises
    `ExpressionError` for a text whose slots are not closed."""
    if step.type == "condition":
        return [(("if",), step.if_, 0, True)]
    found = []
    for path, text in expressions.texts_in(templated(step)):
        whole = expressions.is_whole(text)
        found += [(path, slot.expression, slot.start, whole) for slot in expressions.slots(text)]
    return found


@dataclass(frozen=True, slots=True)
class Waits:
    """What a step waits for: `gates` are (condition, answer that is wanted)."""

    needs: frozenset[str]
    after: frozenset[str]
    gates: tuple[tuple[str, bool], ...]

    @property
    def all(self) -> frozenset[str]:
        return self.needs | self.after | {condition for condition, _ in self.gates}


def waits_of(step: Any) -> Waits:
    """From what the step says, and from what its expressions name."""
    named = set()
    for _, expression, _, _ in expressions_of(step):
        named |= expressions.references(expression)
    needs = set(step.needs) | {one.step for one in named if one.part == "result"}
    after = set(step.after) | {one.step for one in named if one.part == "status"} | set(getattr(step, "results", ()))
    report = getattr(step, "report", None)
    if report is not None and step.type != "synthesize":
        needs.add(report)
    gates = tuple([(one, True) for one in step.when] + [(one, False) for one in step.unless])
    return Waits(frozenset(needs), frozenset(after - needs), gates)


@dataclass(frozen=True)
class Plan:
    """A playbook that was checked, ready to run. `order` is one in which every step comes after what it waits for."""

    source: Source
    waits: Mapping[str, Waits]
    order: tuple[str, ...]
    scope: expressions.Scope
    outputs: Mapping[str, Any]

    @property
    def playbook(self) -> Playbook:
        return self.source.playbook

    @cached_property
    def steps(self) -> Mapping[str, Any]:
        return {step.id: step for step in self.playbook.steps}


def in_order(waits: Mapping[str, Waits], ids: list[str]) -> tuple[list[str], list[str]]:
    """(the steps in an order that respects the edges, those of a cycle): the file's order where it is free."""
    done: list[str] = []
    left = list(ids)
    while left:
        ready = next((one for one in left if waits[one].all & set(ids) <= set(done)), None)
        if ready is None:
            return done, _cycle(waits, left)
        done.append(ready)
        left.remove(ready)
    return done, []


def _cycle(waits: Mapping[str, Waits], left: list[str]) -> list[str]:
    """A way round among `left`, whose every step waits for another of them."""
    way = [left[0]]
    while True:
        following = next(one for one in sorted(waits[way[-1]].all) if one in left)
        if following in way:
            return way[way.index(following) :]
        way.append(following)

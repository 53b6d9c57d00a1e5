"""Proving a playbook before it runs: every name, every type, every expression, with line and column.

Belongs here: what must hold beyond the shape of the file. Does not belong here: the shape (`model.py`), values that a
starter gives (`variables.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops_platform.failures import ConfigurationError
from ops_platform.playbooks import expressions
from ops_platform.playbooks.expressions import ExpressionError, Kind, Scope
from ops_platform.playbooks.model import Playbook, ToolCall
from ops_platform.playbooks.plan import Plan, Waits, expressions_of, in_order, waits_of
from ops_platform.playbooks.source import InvalidPlaybookError, Path, Problem, Source, read
from ops_platform.playbooks.steps import Runners
from ops_platform.playbooks.tools import Toolbox
from ops_platform.playbooks.variables import problem_of

_OF_VARIABLE: Mapping[str, Kind] = {
    "text": "text", "integer": "int", "number": "any", "boolean": "bool", "list": "list",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class House:
    """What a playbook is checked against: the tools, the runners, the bots that may own it (empty: not checked)."""

    tools: Toolbox
    runners: Runners
    bots: Collection[str] = ()


def plan_of(text: str, name: str, house: House) -> Plan:
    """The plan of a playbook's text. Raises `InvalidPlaybookError` with everything that is wrong with it."""
    return checked(read(text, name), house)


def checked(source: Source, house: House) -> Plan:
    """The plan of `source`. Raises `InvalidPlaybookError` with everything that is wrong with it."""
    playbook = source.playbook
    problems = [*_head(source, house), *_ids(source)]
    ids = [step.id for step in playbook.steps]
    waits: dict[str, Waits] = {}
    for place, step in enumerate(playbook.steps):
        try:
            waits[step.id] = waits_of(step)
        except ExpressionError as error:
            problems.append(source.at(("steps", place), step.id, str(error)))
            waits[step.id] = Waits(frozenset(), frozenset(), ())
    problems += _edges(source, waits)
    order, cycle = in_order(waits, list(dict.fromkeys(ids)))
    if cycle:
        place = ids.index(cycle[0])
        way = " waits for ".join([*cycle, cycle[0]])
        problems.append(source.at(("steps", place), cycle[0], f"the steps go round in a circle: {way}"))
    outputs: dict[str, Any] = {}
    for place, step in enumerate(playbook.steps):
        try:
            runner = house.runners.of(step.type)
            outputs[step.id] = runner.output(step, house.tools)
            problems += [
                source.at(("steps", place, *_path(field)), step.id, said)
                for field, said in runner.problems(step, playbook, house.tools)
            ]
        except ConfigurationError as error:
            at = next((name for name in ("tool", "role", "report", "type") if hasattr(step, name)), "type")
            problems.append(source.at(("steps", place, at), step.id, str(error)))
    scope = Scope(_names(playbook, outputs))
    unknown = {step.id for step in playbook.steps} - set(outputs)
    for place, step in enumerate(playbook.steps):
        problems += _expressions(source, place, step, scope, unknown, set(ids))
    if problems:
        raise InvalidPlaybookError(source.name, problems)
    return Plan(source, waits, tuple(order), scope, outputs)


def _path(field: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in field.split("."))


def _names(playbook: Playbook, outputs: Mapping[str, Any]) -> dict[str, Kind]:
    names: dict[str, Kind] = dict(expressions.RUN_NAMES)
    names |= {f"vars.{name}": _OF_VARIABLE[variable.type] for name, variable in playbook.variables.items()}
    for step in playbook.steps:
        names[f"steps.{step.id}.status"] = "text"
    for step_id, output in outputs.items():
        names |= expressions.names_of(f"steps.{step_id}.result", output)
    return names


def _head(source: Source, house: House) -> Iterator[Problem]:
    playbook = source.playbook
    if house.bots and playbook.bot not in house.bots:
        yield source.at(("bot",), "bot", f"there is no bot {playbook.bot!r} in fleet.yaml")
    if house.tools.roles and playbook.owner not in house.tools.roles:
        yield source.at(("owner",), "owner", f"there is no role {playbook.owner!r}: {_list(house.tools.roles)}")
    if playbook.triggers.schedule is not None:
        try:
            from ops_platform.fleet.ticks import check_cron

            check_cron(playbook.triggers.schedule)
        except ConfigurationError as error:
            yield source.at(("triggers", "schedule"), "schedule", str(error))
    unattended = playbook.triggers.schedule is not None or bool(playbook.triggers.events)
    for name, variable in playbook.variables.items():
        at: Path = ("variables", name)
        values = [("default", variable.default)] if variable.default is not None else []
        values += [(f"choices.{place}", value) for place, value in enumerate(variable.choices)]
        for where, value in values:
            wrong = problem_of(variable.model_copy(update={"choices": []}) if where != "default" else variable, value)
            if wrong:
                yield source.at((*at, *_path(where)), f"variables.{name}", wrong)
        if variable.default is None and unattended:
            yield source.at(at, f"variables.{name}", "needs a default: nobody is there to give it when it is due")
    experiment = playbook.experiment
    if experiment is None:
        return
    if not any(arm.weight for arm in experiment.arms.values()):
        yield source.at(("experiment", "arms"), "experiment", "at least one arm needs a weight")
    for arm_name, arm in experiment.arms.items():
        for name, value in arm.variables.items():
            declared, here = playbook.variables.get(name), ("experiment", "arms", arm_name, "variables", name)
            wrong = f"there is no variable {name!r}" if declared is None else problem_of(declared, value)
            if wrong:
                yield source.at(here, f"arm {arm_name}", wrong)
    if experiment.outcome is not None:
        yield from _outcome(source, house.tools)


def _outcome(source: Source, tools: Toolbox) -> Iterator[Problem]:
    assert source.playbook.experiment is not None and source.playbook.experiment.outcome is not None
    outcome = source.playbook.experiment.outcome
    at: Path = ("experiment", "outcome", "tool")
    try:
        tool = tools.get(outcome.tool)
    except ConfigurationError as error:
        yield source.at(at, "outcome", str(error))
        return
    if tool.effect != "reads":
        yield source.at(at, "outcome", f"measuring must change nothing, and {tool.name} does")
    if outcome.field not in tool.Output.model_fields:
        yield source.at(at, "outcome", f"{tool.name} returns no {outcome.field!r}")
    if outcome.unit_input not in tool.Input.model_fields:
        yield source.at(at, "outcome", f"{tool.name} takes no {outcome.unit_input!r}")


def _ids(source: Source) -> Iterator[Problem]:
    seen: set[str] = set()
    reserved = {"start", "outcome"}  # the first and the last node of its graph
    for place, step in enumerate(source.playbook.steps):
        if step.id in seen:
            yield source.at(("steps", place, "id"), step.id, "two steps have this id")
        if step.id in reserved:
            yield source.at(("steps", place, "id"), step.id, f"{step.id} is the name of a node that every graph has")
        seen.add(step.id)


def _edges(source: Source, waits: Mapping[str, Waits]) -> Iterator[Problem]:
    steps = {step.id: step for step in source.playbook.steps}
    for place, step in enumerate(source.playbook.steps):
        for field in ("needs", "after", "when", "unless", "results", "report"):
            if step.type == "synthesize" and field == "report":
                continue
            named = getattr(step, field, None) or []
            for item, other in enumerate([named] if isinstance(named, str) else named):
                at: Path = ("steps", place, field, item)
                if other not in steps:
                    yield source.at(at, step.id, f"{field} names {other!r}, which is no step")
                elif other == step.id:
                    yield source.at(at, step.id, f"{field} names the step itself")
                elif field in ("when", "unless") and steps[other].type != "condition":
                    yield source.at(at, step.id, f"{field} names {other!r}, which is no condition")
                elif field == "report" and steps[other].type != "synthesize":
                    yield source.at(at, step.id, f"report names {other!r}, which writes no report")
        both = sorted(set(step.when) & set(step.unless))
        if both:
            yield source.at(("steps", place), step.id, f"{both[0]} must hold and must not hold: it would never run")
        for other in sorted(waits[step.id].needs & set(step.after)):
            yield source.at(
                ("steps", place, "after"), step.id,
                f"it uses the result of {other!r}, which may not have run: say needs, or ask only its status",
            )  # fmt: skip


def _expressions(
    source: Source, place: int, step: Any, scope: Scope, unknown: set[str], ids: set[str]
) -> Iterator[Problem]:
    try:
        found = expressions_of(step)
    except ExpressionError:
        return  # told already
    for path, expression, start, whole in found:
        at: Path = ("steps", place, *path)
        named = {one.step for one in expressions.references(expression)}
        if named & unknown:
            continue  # the step it names is wrong itself, which is told there
        if step.id in named:
            yield source.at(at, step.id, "it names its own result")
            continue
        try:
            kind = scope.compile(expression)
        except ExpressionError as error:
            yield source.at(at, f"{step.id}.{path[0]}", str(error), shift=start + (error.column or 1) - 1)
            continue
        wrong = _kind_problem(step, path, kind, whole)
        if wrong:
            yield source.at(at, f"{step.id}.{path[0]}", wrong)


def _kind_problem(step: Any, path: tuple[str | int, ...], kind: Kind, whole: bool) -> str | None:
    if step.type == "condition":
        return None if kind in ("bool", "any") else f"a condition is true or false; this is of the kind {kind}"
    if not whole and kind == "map":
        return "a whole record cannot stand in a text: name one of its fields"
    if isinstance(step, ToolCall) or path[0] == "payload" or "email" in path:
        return None
    if whole and kind in ("map", "list"):
        return f"this is a text, and the expression is of the kind {kind}"
    return None


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))

"""What development agents add: a plan of the change, a note for people, a branch with files and a draft pull request.

Belongs here: plans from the modules a request is about, files a model proposed and what is checked of them. Does not
belong here: writing to GitHub (`work_orders.effects`), which modules are near (`readings.repository`).

A file that a model wrote has read a stranger's words. It is taken only from the places the role file names, only where
it can be read as what it says it is, and it is only ever proposed: on a branch of its own, in a draft that a person
merges.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.documents.markdown import escape
from ops_platform.evidence.model import Fact, Row, Source
from ops_platform.evidence.quoting import minimise
from ops_platform.failures import DataFailure
from ops_platform.work_orders import effects
from ops_platform.work_orders.agents.model import Artefact
from ops_platform.work_orders.agents.readings.repository import Module, matching, tests_near
from ops_platform.work_orders.limits import path_refused

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle
    from ops_platform.work_orders.agents.model import Order
    from ops_platform.work_orders.agents.role import Agent

NOTES = "docs/proposals/"
POINTS, POINT_LENGTH = 8, 160
TESTS_SHOWN = 6
PATH_LENGTH = 200
_POINT = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s*)?(.+)$")
_NOT_HERE = re.compile(r"Does not belong here:?\s*(.+?)(?:\.\s|\.$|\n\n|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ProposedFile:
    """A file as a model proposed it, checked."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a development agent adds to its answer: facts and lists of the plan, rows that name its files, the files
    themselves, and what is to be done with them."""

    rows: tuple[Row, ...] = ()
    lists: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    effects: tuple[effects.StagedEffect, ...] = ()


def plan(agent: Agent, order: Order, bundle: Bundle, files: Sequence[ProposedFile]) -> Plan:
    """The plan of an agent that owes one; nothing for the others."""
    if "design" not in agent.output.must:
        return Plan()
    near = [module for module, _ in matching(f"{order.title} {order.title} {order.body[:4000]}")]
    tests = list(dict.fromkeys(path for module in near for path in tests_near(module)))
    wanted = points(order.body)
    lists = _lists(agent, near, tests, wanted)
    facts = (
        _count("plan_points", "Points the request asks to be shown", len(wanted), bundle),
        _count("plan_files", "Files proposed", len(files), bundle),
    )
    note = _note(agent, order, lists, len(files))
    artefact = Artefact(f"{order.number}-{agent.name}-plan.md", "text/markdown", note, "the plan, to decide on")
    rows = [Row({"name": artefact.name, "what": artefact.what})]
    proposed = list(files)
    # A design is a note in the repository; code without a model is not made up.
    if "file" in agent.effects.kinds and "files" not in agent.output.must and not proposed:
        proposed.append(ProposedFile(f"{NOTES}work-{order.number}.md", note))
    rows += [Row({"name": each.path, "what": "proposed on a branch of its own"}) for each in proposed]
    return Plan(
        tuple(rows), lists, facts, (artefact,), _effects(agent, order, proposed, note) if proposed else ()
    )  # fmt: skip


def points(body: str) -> list[str]:
    """What the request lists, a line each, minimised: what it wants to be shown."""
    found = [match.group(1) for line in body[:8_000].splitlines() if (match := _POINT.match(line))]
    return [text for each in found[:POINTS] if (text := minimise(each, POINT_LENGTH))]


def checked(agent: Agent, files: Any) -> tuple[tuple[ProposedFile, ...], list[str]]:
    """The files of a model that may be proposed, and why the others may not. Raises `DataFailure` for what is no list
    of files, or too many."""
    if not isinstance(files, list) or len(files) > agent.effects.caps.files:
        raise DataFailure(f"files is a list of at most {agent.effects.caps.files}")
    taken: dict[str, ProposedFile] = {}
    refused = []
    for each in files:
        given = each if isinstance(each, dict) else {}
        path, content = given.get("path"), given.get("content")
        if not isinstance(path, str) or not isinstance(content, str) or set(given) != {"path", "content"}:
            refused.append("a file is a path and a content")
            continue
        why = _why_not(agent, path, content)
        if why is None and path in taken:
            why = "is there twice"
        if why is not None:
            refused.append(f"{minimise(path, 80)} {why}")
        else:
            taken[path] = ProposedFile(path, content)
    return tuple(taken.values()), refused


def _why_not(agent: Agent, path: str, content: str) -> str | None:
    if len(path) > PATH_LENGTH:
        return "is too long a path"
    refused = path_refused(path, agent.effects)
    if refused is not None:
        return refused
    if not content.strip():
        return "is empty"
    if len(content.encode("utf-8", "replace")) > agent.effects.caps.file_bytes:
        return f"is longer than {agent.effects.caps.file_bytes:,} bytes"
    if any(ord(character) < 32 and character not in "\n\t" for character in content):
        return "has control characters"
    return _unreadable(path, content)


def _unreadable(path: str, content: str) -> str | None:
    """Why a file is not what its name says."""
    if path.endswith(".py"):
        try:
            ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return "is no Python that can be read"
    if path.endswith((".yaml", ".yml")):
        import yaml

        try:
            yaml.safe_load(content)
        except (yaml.YAMLError, RecursionError, ValueError):
            return "is no YAML that can be read"
    return None


def _lists(
    agent: Agent, near: Sequence[Module], tests: Sequence[str], wanted: Sequence[str]
) -> dict[str, tuple[Row, ...]]:
    """The parts of the plan: our words, with those of the modules and of the request apart."""
    parts: list[tuple[str, str, list[Row]]] = []
    if near:
        rows = [Row({"label": module.path, "about": minimise(module.says, 120)}) for module in near]
        parts.append(("where", "Where it belongs, the nearest first", rows))
        beyond = [
            Row({"label": f"{module.path} does not take:", "about": minimise(_not_here(module), 120)})
            for module in near[:3] if _not_here(module)
        ]  # fmt: skip
        if beyond and agent.name != "qa":
            parts.append(("bounds", "What these modules leave to others", beyond))
    if wanted:
        parts.append(("wanted", "To be shown when it is done", [Row({"label": "☐", "about": each}) for each in wanted]))
    else:
        parts.append(
            ("wanted", "To be shown when it is done",
             [Row({"label": "The request lists nothing that would prove it done: say it, a line each.", "about": ""})])
        )  # fmt: skip
    if tests:
        parts.append(
            ("tests", "Tests to run and to add to", [Row({"label": each, "about": ""}) for each in tests[:TESTS_SHOWN]])
        )
    untested = [module.path for module in near if not tests_near(module)]
    if untested:
        parts.append(("untested", "Named by no test", [Row({"label": each, "about": ""}) for each in untested]))
    if agent.name != "qa":
        rules = [
            "Imports run one way: sensors, jobs, assets, resources, ops_platform.",
            "A vendor's quirk stays in resources, a business rule in ops_platform, what SQL says in dbt_project.",
            "A number that is published comes from evidence, with its source.",
        ]
        parts.append(("house", "Rules of the house it meets", [Row({"label": rule, "about": ""}) for rule in rules]))
    lists = {f"design_{name}": tuple(rows) for name, _, rows in parts}
    lists["design"] = tuple(Row({"name": name, "title": title}) for name, title, _ in parts)
    return lists


def _not_here(module: Module) -> str:
    found = _NOT_HERE.search(module.doc)
    return " ".join(found.group(1).split()) if found else ""


def _count(fact_id: str, label: str, value: int, bundle: Bundle) -> Fact:
    return Fact(
        id=fact_id, label=label, unit="count", value=Decimal(value), period=bundle.period, fresh_to=bundle.as_of,
        source=Source("the request"),
    )  # fmt: skip


def _note(agent: Agent, order: Order, lists: Mapping[str, tuple[Row, ...]], files: int) -> str:
    """The plan as a text for the repository: the request quoted, everything else ours."""
    lines = [
        f"# Proposal for work order {order.number}", "",
        f"By {agent.label}, to be decided by a person. Asked, in the words of whoever asked:", "",
        f"> {escape(minimise(order.title, 140)) or '(no title)'}", "",
    ]  # fmt: skip
    for part in lists["design"]:
        lines += [f"## {part.texts['title']}", ""]
        for row in lists[f"design_{part.texts['name']}"]:
            about = f" {escape(row.texts['about'])}" if row.texts["about"] else ""
            lines.append(f"- {escape(row.texts['label'])}{about}")
        lines.append("")
    lines += ["## Decision", "", "Open." if not files else "Open; files are proposed beside this.", ""]
    return "\n".join(lines)


def _effects(agent: Agent, order: Order, files: Sequence[ProposedFile], note: str) -> tuple[effects.StagedEffect, ...]:
    """A branch of its own, its files, a draft pull request; never anything on another branch."""
    name = f"work/{order.number}-{agent.name}"
    made = [effects.branch("branch", name)]
    made += [effects.file(f"file:{place}", name, each.path, each.content) for place, each in enumerate(files, 1)]
    title = f"Work order {order.number}: proposal of {agent.label}"
    body = f"{note}\nA draft: nothing merges it but a person.\n"
    return (*made, effects.pull_request("pull_request", name, title, body))

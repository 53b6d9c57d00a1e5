"""What a step's result says in a report: its section, with the facts it stands on.

Belongs here: sections, how a result carries one, sections made into the evidence of a report. Does not belong here: any
one tool's section (`toolbox/`), writing (`ops_platform.writing`), how a report looks
(`ops_platform.documents.playbook_report`).

A section's words are ours; every number in it is a fact with its source, and names from outside stand apart as `about`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ops_platform.evidence.encoding import decode, encode
from ops_platform.evidence.model import Bundle, Fact, Period, Row
from ops_platform.evidence.quoting import minimise
from ops_platform.playbooks.tools import ToolOutput

if TYPE_CHECKING:
    from ops_platform.evidence.model import CompanyProfile
    from ops_platform.playbooks.tools import StepContext

KIND = "playbook_report"
State = Literal["ok", "attention", "unknown", "info"]
Severity = Literal["watch", "alert", "critical"]
_ORDER: Mapping[str, int] = {"critical": 0, "alert": 1, "watch": 2}
ACTIONS_MOST = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One verdict: `label` in our words, the `facts` it shows (by id), what it is `about` in somebody else's."""

    state: State
    label: str
    facts: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody should do. One open action a `subject`; `facts` says by what figure it is asked for."""

    subject: str
    what: str
    severity: Severity
    owner: str
    due_days: int
    about: str = ""
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """What a result says: key figures by fact id, verdicts, what should be done."""

    title: str
    facts: tuple[Fact, ...] = ()
    figures: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    actions: tuple[Action, ...] = ()


class Reportable(ToolOutput):
    """A result with a section. The section is kept with the result, so a report of it can be written at any time."""

    section: dict[str, Any] = Field(description="What a report shows of it (ops_platform/playbooks/reporting.py).")

    def shown(self) -> Section:
        """The section."""
        return decode(Section, dict(self.section))

    def facts(self) -> tuple[Fact, ...]:
        return self.shown().facts


def kept(section: Section) -> dict[str, Any]:
    """A section as a result carries it."""
    encoded: dict[str, Any] = encode(section)
    return encoded


def sections_of(results: Mapping[str, ToolOutput], wanted: tuple[str, ...]) -> dict[str, Section | None]:
    """The sections of the steps named, in that order; None for one that did not run. A result without a section shows
    its facts."""
    found: dict[str, Section | None] = {}
    for name in wanted:
        result = results.get(name)
        if result is None:
            found[name] = None
        elif isinstance(result, Reportable):
            found[name] = result.shown()
        elif result.facts():
            facts = result.facts()
            found[name] = Section(name.replace("_", " ").capitalize(), facts, tuple(fact.id for fact in facts))
    return found


def ranked(sections: Mapping[str, Section | None]) -> list[Action]:
    """Every action of the sections, the most severe first, one a subject."""
    found: dict[str, Action] = {}
    for section in sections.values():
        for action in section.actions if section is not None else ():
            found.setdefault(action.subject, action)
    return sorted(found.values(), key=lambda action: (_ORDER[action.severity], action.due_days))[:ACTIONS_MOST]


def bundle_of(
    title: str,
    report: str,
    sections: Mapping[str, Section | None],
    company: CompanyProfile,
    context: StepContext,
    *,
    instructions: str = "",
) -> Bundle:
    """The evidence of a report over these sections. Facts of one id that differ are told apart by their step."""
    facts: dict[str, Fact] = {}
    lists: dict[str, tuple[Row, ...]] = {
        "head": (Row({"title": title, "report": report, "instructions": instructions}),)
    }
    heads, actions = [], []
    for name, section in sections.items():
        if section is None:
            status = context.statuses.get(name, "skipped")
            heads.append(Row({"name": name, "title": name.replace("_", " ").capitalize(), "missing": status}))
            continue
        ids = _taken(facts, name, section)
        state = _worst(section)
        heads.append(Row({"name": name, "title": section.title, "missing": ""}, {}, state))
        lists[f"figures_{name}"] = tuple(Row({}, {"figure": ids[one]}) for one in section.figures if one in ids)
        lists[f"lines_{name}"] = tuple(
            Row({"label": line.label, "about": minimise(line.about, 120)}, _named(line.facts, ids), line.state)
            for line in section.lines
        )
        actions += [(action, ids) for action in section.actions]
    lists["sections"] = tuple(heads)
    order = {action.subject: place for place, action in enumerate(ranked(sections))}
    chosen: dict[str, Row] = {}
    for action, ids in actions:
        if action.subject in order and action.subject not in chosen:
            texts = {
                "subject": action.subject, "what": action.what, "about": minimise(action.about, 120),
                "owner": action.owner, "due_days": str(action.due_days),
            }  # fmt: skip
            chosen[action.subject] = Row(texts, _named(action.facts, ids), action.severity)
    lists["actions"] = tuple(sorted(chosen.values(), key=lambda row: order[row.texts["subject"]]))
    from ops_platform.documents.claims import day_text

    period = Period(context.today, context.today, day_text(context.today))
    return Bundle(KIND, period, context.as_of, company, tuple(facts.values()), lists)


def _named(facts: tuple[str, ...], ids: Mapping[str, str]) -> dict[str, str]:
    """The figures of a line that there are: one that has no definition in the warehouse is left out."""
    return {f"figure_{place}": ids[one] for place, one in enumerate(facts) if one in ids}


def _taken(facts: dict[str, Fact], name: str, section: Section) -> dict[str, str]:
    """The section's facts put beside those that are there; the id under which each is known now."""
    ids = {}
    for fact in section.facts:
        known = facts.get(fact.id)
        renamed = fact if known is None or known == fact else replace(fact, id=f"{name}_{fact.id}"[:80])
        facts[renamed.id] = renamed
        ids[fact.id] = renamed.id
    return ids


def _worst(section: Section) -> str:
    states = {line.state for line in section.lines}
    return next((state for state in ("attention", "unknown", "ok") if state in states), "info")

"""Steps that write a report over earlier results.

Belongs here: which results, on whose account. Does not belong here: what a result says (`reporting.py`), how it is
written and proven (`written.py`, `ops_platform.writing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ops_platform.failures import DataFailure
from ops_platform.fleet.profile import company_profile
from ops_platform.playbooks import expressions
from ops_platform.playbooks.reporting import Action, bundle_of, ranked, sections_of
from ops_platform.playbooks.tools import Effect, StepContext, Toolbox, ToolOutput
from ops_platform.playbooks.written import ModelOf, write_report

if TYPE_CHECKING:
    from ops_platform.fleet import Fleet
    from ops_platform.playbooks.model import Playbook, Synthesize

SECONDS = 150


class PlannedAction(ToolOutput):
    """One thing the report asks for."""

    subject: str
    what: str
    about: str
    severity: str
    owner: str
    due_days: int


class Synthesis(ToolOutput):
    """A written report."""

    document_id: int
    headline: str = Field(description="Its line for a notification.")
    writer: str = Field(description="rules or claude.")
    tokens: int
    attention: int = Field(description="Verdicts that need somebody.")
    actions: list[PlannedAction] = Field(description="What it asks for, the most severe first.")
    missing: list[str] = Field(description="Steps that did not run, so that nothing is said of them.")


class SynthesizeRunner:
    """Implements `Runner`. `model_of` gives the model that is connected, if any."""

    def __init__(self, fleet: Callable[[], Fleet], model_of: ModelOf) -> None:
        self._fleet, self._model_of = fleet, model_of

    def output(self, step: Synthesize, tools: Toolbox) -> type[ToolOutput]:
        return Synthesis

    def problems(self, step: Synthesize, playbook: Playbook, tools: Toolbox) -> list[tuple[str, str]]:
        found = []
        roles = self._fleet().roles
        role = step.role or playbook.owner
        if role not in roles:
            found.append(("role", f"there is no role {role!r} in fleet.yaml; there are {', '.join(roles) or 'none'}"))
        if expressions.slots(step.title) or any(char.isdigit() for char in step.title):
            found.append(("title", "a report's title is fixed and has no digits: numbers come as claims"))
        return found

    def effect(self, step: Synthesize, tools: Toolbox) -> Effect:
        return "writes"

    def timeout_seconds(self, step: Synthesize, tools: Toolbox) -> int:
        return SECONDS

    def run(self, step: Synthesize, given: Mapping[str, Any], context: StepContext, tools: Toolbox) -> Synthesis:
        fleet = self._fleet()
        sections = sections_of(context.results, tuple(step.results))
        if all(section is None for section in sections.values()):
            raise DataFailure("none of the steps it is written over has run")
        role = step.role or fleet_owner(fleet, context)
        bundle = bundle_of(
            str(given["title"]), step.report, sections, company_profile(fleet), context,
            instructions=step.instructions,
        )  # fmt: skip
        report = write_report(bundle, context, fleet, role, self._model_of)
        attention = sum(
            line.state == "attention" for section in sections.values() for line in (section.lines if section else ())
        )
        return Synthesis(
            document_id=report.document_id, headline=report.headline, writer=report.document.writer,
            tokens=report.tokens, attention=attention, actions=[_planned(action) for action in ranked(sections)],
            missing=[name for name, section in sections.items() if section is None],
        )  # fmt: skip


def fleet_owner(fleet: Fleet, context: StepContext) -> str:
    """The role that leads where a step names none: the operations lead, else the first."""
    return "operations_lead" if "operations_lead" in fleet.roles else next(iter(fleet.roles))


def _planned(action: Action) -> PlannedAction:
    return PlannedAction(
        subject=action.subject, what=action.what, about=action.about, severity=action.severity, owner=action.owner,
        due_days=action.due_days,
    )  # fmt: skip

"""Steps that hand a task to an agent role.

Belongs here: which of its tools a role uses on what it is given, and what it reports. Does not belong here: the roles
(`fleet.yaml`), the tools, how a report is written (`written.py`).

A role has its own tools, tier and tokens. It uses those of its tools that apply to the results it is given (a tool says
so by `asked`), all of which only read: what it reads may be hostile, so nothing it has can act. What it writes goes
through the same proof as every report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import Field

from ops_platform.failures import DataFailure, OpsError, TransientFailure
from ops_platform.fleet.profile import company_profile
from ops_platform.playbooks.reporting import Line, Reportable, Section, bundle_of, kept, sections_of
from ops_platform.playbooks.tools import Effect, StepContext, Toolbox, ToolInput, ToolOutput
from ops_platform.playbooks.written import ModelOf, write_report

if TYPE_CHECKING:
    from ops_platform.fleet import Fleet
    from ops_platform.playbooks.model import Delegate, Playbook

SECONDS = 150


@runtime_checkable
class Askable(Protocol):
    """A tool that a role can use by itself."""

    def asked(self, results: Mapping[str, ToolOutput]) -> ToolInput | None:
        """What it would be asked given these results; None where it does not apply."""
        ...


class Delegated(Reportable):
    """What a role did and found."""

    role: str
    label: str
    used: list[str] = Field(description="The tools it used.")
    failed: list[str] = Field(description="Tools it could not use, with why.")
    document_id: int = Field(description="Its own report.")
    headline: str
    attention: int = Field(description="Verdicts that need somebody.")
    tokens: int


class DelegateRunner:
    """Implements `Runner`."""

    def __init__(self, fleet: Callable[[], Fleet], model_of: ModelOf) -> None:
        self._fleet, self._model_of = fleet, model_of

    def output(self, step: Delegate, tools: Toolbox) -> type[ToolOutput]:
        return Delegated

    def problems(self, step: Delegate, playbook: Playbook, tools: Toolbox) -> list[tuple[str, str]]:
        roles = self._fleet().roles
        if step.role not in roles:
            return [("role", f"there is no role {step.role!r} in fleet.yaml; there are {', '.join(roles) or 'none'}")]
        return [
            ("role", f"{step.role} names the tool {name!r}, which {why}")
            for name in roles[step.role].tools
            for why in _unfit(name, tools)
        ]

    def effect(self, step: Delegate, tools: Toolbox) -> Effect:
        return "writes"

    def timeout_seconds(self, step: Delegate, tools: Toolbox) -> int:
        return SECONDS

    def run(self, step: Delegate, given: Mapping[str, Any], context: StepContext, tools: Toolbox) -> Delegated:
        fleet = self._fleet()
        role = fleet.roles[step.role]
        results = {name: context.results[name] for name in step.results if name in context.results}
        if step.results and not results:
            raise DataFailure("none of the steps it was to look at has run")
        found: dict[str, ToolOutput] = {}
        used, failed = [], []
        for name in role.tools:
            tool = tools.get(name)
            if tool.effect != "reads":
                raise DataFailure(f"{step.role} may only use tools that read; {name} {tool.effect}")
            wanted = tool.asked({**results, **found}) if isinstance(tool, Askable) else None
            if wanted is None:
                continue
            context.log(f"{role.label} uses {name}")
            try:
                with context.connection.transaction():
                    found[name] = tool.Output.model_validate(tool.run(wanted, context))
            except TransientFailure:
                raise
            except OpsError as error:
                failed.append(f"{name}: {error}")
                continue
            used.append(name)
        mine = sections_of(found, tuple(found))
        seen = {**sections_of(results, tuple(results)), **mine}
        bundle = bundle_of(f"{role.label}: findings", step.role, seen, company_profile(fleet), context)
        report = write_report(bundle, context, fleet, step.role, self._model_of)
        section = _joined(role.label, mine, failed)
        return Delegated(
            role=step.role, label=role.label, used=used, failed=failed, document_id=report.document_id,
            headline=report.headline, attention=sum(line.state == "attention" for line in section.lines),
            tokens=report.tokens, section=kept(section),
        )  # fmt: skip


def _joined(label: str, sections: Mapping[str, Section | None], failed: list[str]) -> Section:
    """What the role itself found, as one section."""
    own = [section for section in sections.values() if section is not None]
    lines = tuple(line for section in own for line in section.lines)
    lines += tuple(Line("unknown", "A tool could not be used:", (), each) for each in failed)
    facts = {fact.id: fact for section in own for fact in section.facts}
    figures = tuple(dict.fromkeys(name for section in own for name in section.figures))
    actions = tuple(action for section in own for action in section.actions)
    return Section(f"{label} looked into it", tuple(facts.values()), figures, lines, actions)


def _unfit(name: str, tools: Toolbox) -> list[str]:
    tool = tools.tools.get(name)
    if tool is None:
        return ["does not exist"]
    return [] if tool.effect == "reads" else [f"{tool.effect}: a role's tools only read"]

"""Every label that work orders use: which route, which priority, which state; from the policy, with colours.

Belongs here: the list, and putting it into a repository. Does not belong here: what a label does (`routing.py`,
`model.py`), the forms that name labels (`deploy/github/ISSUE_TEMPLATE`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.work_orders.model import MANAGER_LABELS, STATUS_LABELS, Priority

if TYPE_CHECKING:
    from ops_platform.work_orders.policy import WorkPolicy

#: What stands behind the slash where the policy takes anything: the kinds of work the forms offer.
KINDS_OF_WORK: Mapping[str, tuple[tuple[str, str], ...]] = {
    "operations": (
        ("monitoring", "Is it as it should be?"),
        ("optimization", "It works; it could cost or take less"),
    ),
    "support": (("quality-assurance", "How well customers are helped"),),
    "analytics": (("reporting", "A figure, a table, a comparison"),),
    "security": (("compliance", "Rules, access, incidents"),),
    "success": (("user-research", "What customers do, want and leave for"),),
    "finance": (("analysis", "Margin, cash, invoices, plan"),),
    "marketing": (("campaign", "What a campaign did"), ("content", "What to say, and to whom")),
    "sales": (("pipeline", "Deals and where they stand"), ("leads", "Who to call next")),
    "management": (("coordination", "Who does what until when"), ("review", "How it went")),
}
_DEVELOPMENT = {
    "architecture": "How it should be built",
    "code": "A change of code, as a draft pull request",
    "qa": "Whether the checks hold",
    "devops": "Running, deploying, recovering",
    "management": "Planning and reviewing development",
}
_PRIORITIES = {
    Priority.P0: ("b60205", "Within an hour, at once; needs the manager"),
    Priority.P1: ("d93f0b", "Within four hours; needs the manager"),
    Priority.P2: ("fbca04", "Within a day"),
    Priority.P3: ("c2e0c6", "Within three days"),
}
_STATES = {
    "status/todo": "Waits for its turn", "status/in-progress": "An agent works on it",
    "status/review": "Answered; waits for the manager", "status/done": "Answered and closed",
    "status/blocked": "Cannot go on without a person", "manager/pending": "The manager has not decided",
    "manager/approved": "The manager said yes", "manager/needs-revision": "The manager wants it otherwise",
    "manager/escalated": "Nobody decided in time",
}  # fmt: skip
ROUTE_COLOUR, AGENT_COLOUR, STATE_COLOUR, MANAGER_COLOUR, ACCEPT_COLOUR = (
    "1d76db",
    "5319e7",
    "ededed",
    "d4c5f9",
    "0e8a16",
)


@dataclass(frozen=True, slots=True)
class CatalogueLabel:
    """As GitHub takes it: a colour of six hexadecimal digits, a description of at most 100 characters."""

    name: str
    color: str
    description: str


class LabelWriter(Protocol):
    def labels(self, repository: str) -> dict[str, Any]: ...
    def ensure_label(self, repository: str, name: str, color: str, description: str = "") -> bool: ...


def catalogue(policy: WorkPolicy) -> list[CatalogueLabel]:
    """All of them, in the order people read them: routes, agents, priorities, states."""
    found: list[CatalogueLabel] = []
    for rule in policy.routing.rules:
        prefix, _, kind = rule.label.partition("/")
        if kind == "*":
            kinds = KINDS_OF_WORK.get(prefix, (("other", ""),))
            found += [CatalogueLabel(f"{prefix}/{name}", ROUTE_COLOUR, words) for name, words in kinds]
        else:
            found.append(CatalogueLabel(rule.label, ROUTE_COLOUR, _DEVELOPMENT.get(kind, "")))
    found += [
        CatalogueLabel(f"agent/{name}", AGENT_COLOUR, "For this agent, whatever the kind of work")
        for name in policy.agents
    ]
    found += [CatalogueLabel(f"priority/{name}", *_PRIORITIES[name]) for name in Priority]
    found.append(CatalogueLabel(policy.intake.accept_label, ACCEPT_COLOUR, "Taken over as it stands, words and labels"))
    states = dict.fromkeys([*STATUS_LABELS.values(), *MANAGER_LABELS.values()])
    found += [
        CatalogueLabel(name, MANAGER_COLOUR if name.startswith("manager/") else STATE_COLOUR, _STATES[name])
        for name in states
        if name is not None
    ]
    return found


def missing(labels: list[CatalogueLabel], there: Mapping[str, Any]) -> list[CatalogueLabel]:
    """Those a repository has not, whatever the case of letters."""
    known = {name.casefold() for name in there}
    return [label for label in labels if label.name.casefold() not in known]


def put(labels: list[CatalogueLabel], repository: str, github: LabelWriter) -> list[CatalogueLabel]:
    """Make the labels that are missing; which were made. What is there keeps its colour and words."""
    wanted = missing(labels, github.labels(repository))
    return [label for label in wanted if github.ensure_label(repository, label.name, label.color, label.description)]

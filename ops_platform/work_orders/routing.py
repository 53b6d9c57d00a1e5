"""Which agent, how urgent, who approves: decided by the labels that count.

Belongs here: reading labels by the policy, pure. Does not belong here: who is authorised (`intake.py` asks GitHub),
what becomes of the decision (`receiving.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ops_platform.work_orders.model import Labelling, Priority, is_state_label
from ops_platform.work_orders.policy import WorkPolicy

AGENT = "agent/"
PRIORITY = "priority/"


@dataclass(frozen=True, slots=True)
class Route:
    """Where an issue goes and by which label (`routed_by`); `reason` says it in words. `labelled_by` and `labelled_at`
    are of the newest label that counted: what the words are bound to. `asked_at` is when it was asked for at this
    priority: from then on its time counts."""

    agent: str
    priority: Priority
    approver: str | None
    routed_by: str
    labelled_by: str
    labelled_at: datetime
    asked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """`route` is None where no label counts. `ignored` are labels of work that do not count, with why; `unknown` those
    of which nobody knows yet who set them."""

    route: Route | None
    ignored: Mapping[str, str]
    unknown: tuple[str, ...]


def is_work_label(label: str, policy: WorkPolicy) -> bool:
    """Whether a label says that an issue is a work order: a route, an agent, a priority, or the accepting one."""
    label = label.lower()
    if is_state_label(label):
        return False
    return (
        label.startswith((AGENT, PRIORITY))
        or label == policy.intake.accept_label
        or ("/" in label and label.partition("/")[0] in policy.routing.prefixes)
    )


def read(labels: Iterable[str], labelled: Mapping[str, Labelling], policy: WorkPolicy) -> Reading:
    """What the labels of an issue ask for. `labelled` has who set which, by the label's name in small letters."""
    present = sorted({label.lower() for label in labels if is_work_label(label, policy) or _priority_of(label)})
    accepted = labelled.get(policy.intake.accept_label) if policy.intake.accept_label in present else None
    if accepted is not None and not accepted.authorised:
        accepted = None
    counted: dict[str, Labelling] = {}
    ignored: dict[str, str] = {}
    unknown = []
    for label in present:
        who = labelled.get(label)
        if who is not None and who.authorised:
            counted[label] = who
        elif accepted is not None and (who is None or who.at <= accepted.at):
            counted[label] = accepted
        elif who is None:
            unknown.append(label)
        else:
            ignored[label] = f"{who.by or 'somebody'} set {label}, and may not start work"
    if not any(is_work_label(label, policy) for label in counted):
        return Reading(None, ignored, tuple(unknown))
    agent, routed_by, why = _agent(counted, policy)
    priority, how = _priority(counted, policy)
    newest = max(counted.values(), key=lambda one: one.at)
    first = min(who.at for label, who in counted.items() if is_work_label(label, policy))
    urgent = [who.at for label, who in counted.items() if _priority_of(label) == priority]
    asked_at = max(first, min(urgent, default=first))
    rule = policy.priorities[priority]
    approver = policy.manager if rule.requires_manager else None
    reason = f"{why}; {how}" + (f"; {policy.people[approver].name} approves" if approver else "; no approval needed")
    return Reading(
        Route(agent, priority, approver, routed_by, newest.by, newest.at, asked_at, reason), ignored, tuple(unknown)
    )  # fmt: skip


def _agent(counted: Mapping[str, Labelling], policy: WorkPolicy) -> tuple[str, str, str]:
    """The agent, the label that decided, and why."""
    direct = sorted((label for label in counted if label.startswith(AGENT)), key=lambda each: (counted[each].at, each))
    for label in reversed(direct):
        name = label.removeprefix(AGENT)
        found = name if name.startswith("ai-") else f"ai-{name}"
        if found in policy.agents:
            return found, label, f"{label} names {found}"
    for rule in policy.routing.rules:
        for label in counted:
            if rule.matches(label):
                return rule.agent, label, f"{label} goes to {rule.agent}"
    if direct:
        return policy.routing.unknown, direct[-1], f"{direct[-1]} names no agent: {policy.routing.unknown}"
    kinds = [label for label in counted if not _priority_of(label) and label != policy.intake.accept_label]
    label = (kinds or list(counted))[0]
    return policy.routing.unknown, label, f"no rule for {label}: {policy.routing.unknown}"


def _priority_of(label: str) -> str | None:
    """`priority/P1` or, on an issue that is work by another label, plainly `P1`."""
    found = label.lower().removeprefix(PRIORITY).upper()
    return found if found in list(Priority) else None


def _priority(counted: Mapping[str, Labelling], policy: WorkPolicy) -> tuple[Priority, str]:
    """The most urgent one, and why."""
    given = [label.removeprefix(PRIORITY).upper() for label in counted if label.startswith(PRIORITY)]
    known = sorted(found for label in counted if (found := _priority_of(label)))
    if known:
        others = f", the most urgent of {', '.join(known)}" if len(known) > 1 else ""
        return Priority(known[0]), f"{known[0]} by its label{others}"
    default = policy.routing.default_priority
    if given:
        return default, f"priority/{given[0].lower()} is none: {default}, as by default"
    return default, f"{default}, as by default"

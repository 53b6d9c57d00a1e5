"""What a narrative asks for: an action for each concern and each incident that began, with an owner and a due date.

Belongs here: whose it is and until when. Does not belong here: what is a concern (`ops_platform.evidence.concerns`),
keeping items (`store.py`).

An owner is a division, or the bot where a concern is of none; a person is named by `ops action assign`. Nothing here
does anything: an action is a line for somebody to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.action_items.store import Proposal, Severity
from ops_platform.evidence.quoting import minimise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from ops_platform.evidence.concerns import Why
    from ops_platform.evidence.period import Survey
    from ops_platform.fleet.narratives import TierPolicy

_WHAT: Mapping[Why, str] = {
    "breached": "Look into", "target": "Bring back to target:", "change": "Look into",
    "unknown": "Restore the figures that are not known, first",
}  # fmt: skip
INCIDENT, LONGEST_ABOUT, LONGEST_SUBJECT = "Attend to the alert:", 120, 200
UNOWNED = "Coordinator"
UNKNOWN = "figures:unknown"


def proposals(
    survey: Survey, policy: TierPolicy, today: date, business_day_after: Callable[[date, int], date]
) -> list[Proposal]:
    """One proposal a subject; `today` is the day from which business days are counted."""
    labels = {division.id: division.label for division in survey.company.divisions}
    found: dict[str, Proposal] = {}

    def add(subject: str, what: str, about: str, severity: Severity, division: str | None, bot: str | None) -> None:
        days = policy.critical_due_days if severity == "critical" else policy.due_days
        owner = labels.get(division or "") or (bot or UNOWNED).replace("_", " ").capitalize()
        found.setdefault(
            subject[:LONGEST_SUBJECT],
            Proposal(
                subject[:LONGEST_SUBJECT], what, minimise(about, LONGEST_ABOUT), severity,
                division if division in labels else None, owner, business_day_after(today, days),
            ),
        )  # fmt: skip

    # An incident about the same as a concern says more of how urgent it is. They come the gravest first, and a morning
    # on which everything failed does not become a hundred actions.
    begun = [each for each in survey.context.incidents if each.opened and not each.over]
    for incident in begun[: policy.concerns]:
        severity: Severity = "critical" if incident.severity == "critical" else "alert"
        add(incident.subject, INCIDENT, incident.label, severity, incident.division, incident.owner)
    for point in survey.concerns:
        if point.why == "unknown":
            add(UNKNOWN, _WHAT[point.why], point.fact.label, "alert", None, None)
        else:
            add(point.subject, _WHAT[point.why], point.fact.label, "alert", point.metric.division, None)
    return list(found.values())

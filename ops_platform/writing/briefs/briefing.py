"""What is to be written for a job's report.

Belongs here: its slot. Does not belong here: its sentences (`writing.rules.briefing`), its layout
(`ops_platform.documents.briefing`).

A report is its lines; a sentence before them is written only where several things are told at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.draft import Slot, WritingBrief

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle

KIND = "briefing"
MOST_FACTS = 12


def brief(bundle: Bundle) -> WritingBrief:
    """A lead, where the report has figures of metrics to lead with."""
    facts = facts_told(bundle)
    slots: tuple[Slot, ...] = ()
    if facts:
        slots = (
            Slot(
                "lead",
                "The one thing the team should know: the figure, and against what.",
                required=False,
                max_chars=170,
                facts=facts,
            ),
        )
    return WritingBrief(
        kind=KIND,
        slots=slots,
        guidance="For people who act on it today: what happened and against what, no causes, forecasts or advice.",
    )


def facts_told(bundle: Bundle) -> tuple[str, ...]:
    """What a lead may speak of: the news of a digest, the weightiest of each division first."""
    named = [
        row.facts["figure"]
        for name, rows in sorted(bundle.lists.items())
        if name.startswith("news_")
        for row in rows[:2]
    ]
    known = [name for name in dict.fromkeys(named) if bundle.fact(name).known]
    return tuple(known[:MOST_FACTS]) if bundle.rows("head")[0].texts.get("digest") else ()

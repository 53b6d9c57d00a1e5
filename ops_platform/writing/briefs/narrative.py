"""What is to be written for a narrative: the day, the week, the month.

Belongs here: its slots. Does not belong here: its sentences (`writing.rules.narrative`), its layout
(`ops_platform.documents.narrative`).

The kind of the brief is `narrative` for all three, so that they share a prompt and its cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.draft import Slot, WritingBrief

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle

KIND = "narrative"
_PURPOSES = {
    "highlights": "What went well here: the figure, and against what.",
    "concerns": "What is the matter here: the figure, and against what.",
}
_WHY = {
    "breached": " It is outside its expected range.",
    "target": " It is held against its target.",
    "change": "",
    "unknown": " It is unknown; say so and no more.",
}


def brief(bundle: Bundle) -> WritingBrief:
    """A lead with level and direction; a sentence for each highlight and each concern, which may be left out."""
    leads = tuple(row.facts["figure"] for row in bundle.rows("lead"))
    slots = []
    if leads:
        slots.append(
            Slot(
                "lead",
                "Where the period ended up: the level of the first figure and its direction against its first "
                "comparison, then the same of the next.",
                max_chars=260,
                max_sentences=2,
                facts=leads,
            )
        )
    for name, purpose in _PURPOSES.items():
        for number, row in enumerate(bundle.rows(name), start=1):
            slots.append(
                Slot(
                    slot_name(name, number),
                    purpose + _WHY.get(row.texts.get("why", ""), ""),
                    required=False,
                    max_chars=150,
                    facts=(row.facts["figure"],),
                )
            )
    return WritingBrief(
        kind=KIND,
        slots=tuple(slots),
        guidance="For people who lead a division: what happened and against what, no causes, forecasts or advice. "
        "Each sentence stands alone.",
    )


def slot_name(rows: str, number: int) -> str:
    """The slot of the `number`-th row of a list, as `concern_2`."""
    return f"{rows.removesuffix('s')}_{number}"

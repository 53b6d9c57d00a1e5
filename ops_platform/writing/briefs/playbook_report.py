"""What is to be written for a playbook's report.

Belongs here: its slots. Does not belong here: its sentences (`writing.rules.playbook_report`), its layout
(`ops_platform.documents.playbook_report`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.draft import Slot, WritingBrief

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.evidence.model import Bundle

KIND = "playbook_report"
MOST_FACTS = 8
MOST_SECTIONS = 6


def brief(bundle: Bundle) -> WritingBrief:
    """A lead about what most needs somebody, and a sentence for each section that has figures."""
    slots = []
    leads = told(bundle)
    if leads:
        slots.append(
            Slot(
                "lead",
                "What most needs somebody: the figure and what it is held against. The first facts matter most.",
                required=False,
                max_chars=220,
                max_sentences=2,
                facts=leads,
            )
        )
    for section in bundle.rows("sections")[:MOST_SECTIONS]:
        name = section.texts["name"]
        facts = _numeric(bundle, (row.facts["figure"] for row in bundle.rows(f"figures_{name}")))
        if facts:
            slots.append(
                Slot(
                    f"section_{name}",
                    f"What stands out under {section.texts['title']}; leave it out where the figures say it.",
                    required=False,
                    max_chars=150,
                    facts=facts[:MOST_FACTS],
                )
            )
    wish = bundle.rows("head")[0].texts.get("instructions", "")
    return WritingBrief(
        kind=KIND,
        slots=tuple(slots),
        guidance="For the people who run the company and act on it: what is so and against what, no causes, forecasts"
        " or advice." + (f" What the reader asked to see first: {wish}" if wish else ""),
    )


def told(bundle: Bundle) -> tuple[str, ...]:
    """What the lead may speak of: what needs attention, then the first figures."""
    off: list[str] = []
    rest: list[str] = []
    for section in bundle.rows("sections"):
        name = section.texts["name"]
        for row in bundle.rows(f"lines_{name}"):
            (off if row.mark == "attention" else rest).extend(row.facts.values())
        rest += [row.facts["figure"] for row in bundle.rows(f"figures_{name}")]
    return _numeric(bundle, [*off, *rest])[:MOST_FACTS]


def _numeric(bundle: Bundle, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if bundle.fact(name).known and bundle.fact(name).numeric)

"""What is to be written for the answer to a work order.

Belongs here: its slots. Does not belong here: its sentences (`writing.rules.work_answer`), its layout
(`ops_platform.documents.work_answer`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.draft import Slot, WritingBrief

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.evidence.model import Bundle

KIND = "work_answer"
MOST_FACTS = 8
MOST_ASKED = 4


def brief(bundle: Bundle) -> WritingBrief:
    """A lead that answers, and a sentence for each figure that was asked about."""
    leads = told(bundle)
    slots = []
    if leads:
        slots.append(
            Slot(
                "lead",
                "The answer in short: the figure that was asked about and against what, else what most needs somebody."
                " The first facts matter most.",
                max_chars=240,
                max_sentences=2,
                facts=leads,
            )
        )
    for place, row in enumerate(bundle.rows("asked")[:MOST_ASKED], 1):
        facts = _numeric(bundle, [row.facts["figure"]])
        if facts:
            slots.append(
                Slot(
                    f"asked_{place}",
                    f"{row.texts['label']} against its other comparisons; leave it out where the lead says it.",
                    required=False,
                    max_chars=170,
                    facts=facts,
                )
            )
    return WritingBrief(
        kind=KIND,
        slots=tuple(slots),
        guidance="For whoever asked, who decides on it: what is so and against what, no causes, forecasts or advice.",
    )


def told(bundle: Bundle) -> tuple[str, ...]:
    """What the lead may speak of: what was asked about, what a verdict found off, then the first figures."""
    asked = [row.facts["figure"] for row in bundle.rows("asked")]
    checks = bundle.rows("checks")
    off = [row.facts["figure"] for row in checks if row.mark == "attention" and "figure" in row.facts]
    rest = [row.facts["figure"] for row in checks if "figure" in row.facts]
    for section in bundle.rows("sections"):
        rest += [section.facts[name] for name in sorted(section.facts)]
        if "list" in section.texts:
            rest.append(f"{section.texts['list']}_count")
    for reading in bundle.rows("readings"):
        rest += [row.facts["figure"] for row in bundle.rows(f"reading_figures_{reading.texts['name']}")]
    return _numeric(bundle, [*asked, *off, *rest])[:MOST_FACTS]


def _numeric(bundle: Bundle, names: Iterable[str]) -> tuple[str, ...]:
    found = (bundle.get(name) for name in dict.fromkeys(names))
    return tuple(fact.id for fact in found if fact is not None and fact.known and fact.numeric)

"""The rule-based writer: a document's sentences from the evidence alone, no model, no key, always in time.

Belongs here: the writer, and which module has the sentences of which kind of document. Does not belong here: numbers
(claims), layout, whether the result may be published (`writing.claims`, which this asks before it lets a sentence go).

Phrases vary with the evidence (never with chance), so that mornings do not read alike and a replay does. Every
candidate is held against the same check as a model's text; the last one is plain enough to pass for any fact.

A new kind of document: a module with `candidates(bundle, slot) -> Iterator[str]`, best first, and its line in
`SENTENCES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.failures import DataFailure
from ops_platform.writing.claims import check_text
from ops_platform.writing.draft import Draft
from ops_platform.writing.rules import board_pack, briefing, narrative, playbook_report, pulse, work_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.draft import Slot, WritingBrief

SENTENCES: Mapping[str, Callable[[Bundle, Slot], Iterator[str]]] = {
    "board_pack": board_pack.candidates,
    "briefing": briefing.candidates,
    "narrative": narrative.candidates,
    "playbook_report": playbook_report.candidates,
    "pulse": pulse.candidates,
    "work_answer": work_answer.candidates,
}


class RulesWriter:
    """Fills a brief from the bundle by rules. Pure: the same bundle and brief give the same draft."""

    name = "rules"

    def write(self, bundle: Bundle, brief: WritingBrief) -> Draft:
        """A draft that passes `claims.check`; an optional slot with nothing to add is left out. A kind of document
        without sentences raises `DataFailure`."""
        sentences = SENTENCES.get(brief.kind)
        if sentences is None:
            raise DataFailure(f"There are no rules for writing a document of kind {brief.kind!r}.")
        slots = {}
        for slot in brief.slots:
            text = _first_allowed(sentences(bundle, slot), slot, bundle, brief.language)
            if text is not None:
                slots[slot.name] = text
        return Draft(slots=slots, writer="rules")


def _first_allowed(texts: Iterator[str], slot: Slot, bundle: Bundle, language: str) -> str | None:
    return next((text for text in texts if not check_text(text, slot, bundle, language=language)), None)

"""Which layout belongs to which evidence: a bundle and a draft of any kind become their document.

Belongs here: the choice by the bundle's kind, so that what was made once can be made again. Does not belong here: the
layout of any one kind (its module), the draft (`ops_platform.writing`).

A new kind of document: a module with `compose_<kind>(bundle, draft) -> Document`, and its line in `COMPOSERS`. It must
be pure: the same two give the same bytes for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents import alert, board_pack, briefing, narrative, playbook_report, pulse, work_answer
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ops_platform.documents.finish import WrittenText
    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle

COMPOSERS: Mapping[str, Callable[[Bundle, WrittenText], Document]] = {
    "alert": lambda bundle, draft: alert.compose_alert(bundle),  # by rules alone, without a draft
    "board_pack": board_pack.compose_board_pack,
    "briefing": briefing.compose_briefing,
    "narrative_daily": narrative.compose_narrative,
    "narrative_weekly": narrative.compose_narrative,
    "narrative_monthly": narrative.compose_narrative,
    "playbook_report": playbook_report.compose_playbook_report,
    "pulse": pulse.compose_pulse,
    "work_answer": work_answer.compose_work_answer,
}

# Of a document of many pages, what a message says of it; the pages go with it as files.
MESSAGES: Mapping[str, Callable[[Bundle, WrittenText], Document]] = {
    "board_pack": board_pack.compose_board_summary,
}


def base_of(kind: str) -> str:
    """The kind of a bundle without the job it is of: `briefing` for `briefing:late_orders`."""
    return kind.partition(":")[0]


def compose(bundle: Bundle, draft: WrittenText) -> Document:
    """The document of this bundle and draft. An unknown kind, and a token the bundle cannot resolve, raise
    `DataFailure`."""
    composer = COMPOSERS.get(base_of(bundle.kind))
    if composer is None:
        raise DataFailure(f"There is no layout for a document of kind {bundle.kind!r}.")
    return composer(bundle, draft)


def messages_of(document: Document) -> tuple[Document, ...]:
    """A document as what is posted of it one after another, the first in the channel and the rest in its thread: the
    sections of a digest, else the document itself."""
    return briefing.parts_of(document) if base_of(document.kind) == "briefing" else (document,)


def message_of(bundle: Bundle, draft: WrittenText, document: Document) -> Document:
    """What is posted of a document: the whole of it, or of one of many pages a message of its own, made of the same
    bundle and draft."""
    composer = MESSAGES.get(bundle.kind)
    return document if composer is None else composer(bundle, draft)

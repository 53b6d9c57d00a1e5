"""The gate between a writer and a document: what a draft may not say. (seam)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.draft import Draft, WritingBrief


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason a draft is refused. `span` is (start, end) in the slot's text; (0, 0) for the whole slot."""

    slot: str
    kind: str
    span: tuple[int, int]
    message: str


def check(draft: Draft, bundle: Bundle, brief: WritingBrief) -> list[Violation]:
    """Every reason to refuse `draft`; an empty list lets it through."""
    raise NotImplementedError

"""The last step of every kind of document: its blocks become one document that names the evidence it stands on.

Belongs here: what a document of any kind takes from its bundle and its draft. Does not belong here: which blocks it
has and what they say (`documents.pulse`, `documents.alert`), where a claim's number comes from (`documents.claims`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ops_platform.documents.claims import provenance
from ops_platform.documents.model import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ops_platform.documents.model import Block, RichText
    from ops_platform.evidence.model import Bundle


class WrittenText(Protocol):
    """What this needs of a draft (`ops_platform.writing.draft.Draft` is one)."""

    @property
    def slots(self) -> Mapping[str, str]: ...
    @property
    def writer(self) -> str: ...
    @property
    def tokens(self) -> int | None: ...
    @property
    def note(self) -> str | None: ...


def finished(kind: str, bundle: Bundle, blocks: Iterable[Block], summary: RichText, *, writer: str) -> Document:
    """The document of these blocks, with the provenance of every number in them and in the summary."""
    in_order = tuple(blocks)
    return Document(
        kind=kind,
        period=bundle.period,
        as_of=bundle.as_of,
        summary=summary,
        blocks=in_order,
        claims=provenance(in_order, bundle, summary),
        evidence=bundle.digest,
        writer=writer,
    )

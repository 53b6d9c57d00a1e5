"""The seam every writer stands behind: a brief with slots in, a draft with claim tokens out.

Belongs here: `Slot`, `WritingBrief`, `Draft`, the `Writer` protocol. Does not belong here: which slots each kind of
document has (`briefs/`), how a writer works (`rules/`, `claude.py`), what is allowed (`claims.py`).

A draft is text only. Numbers appear as `{{c:fact_id.path}}`; the renderer inserts them. The grammar of a
token is `ops_platform.documents.claims`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ops_platform.evidence.encoding import decode, digest_of, encode
from ops_platform.evidence.model import Bundle


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in the document that a writer fills. `purpose` tells the writer what the sentence is for;
    `facts` are the fact ids it may claim (empty: any fact of the bundle). Lengths count the text as written
    with every claim token counted as `documents.claims.TOKEN_WIDTH` characters."""

    name: str
    purpose: str
    required: bool = True
    max_chars: int = 160
    max_sentences: int = 1
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WritingBrief:
    """What is to be written: the document's kind, its slots in order, and a line of guidance for the voice."""

    kind: str
    slots: tuple[Slot, ...]
    guidance: str = ""
    language: str = "en"

    def slot(self, name: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.name == name), None)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a writer returned. `writer` is "rules" or "claude"; `note` says why a fallback wrote it, if one
    did; `tokens` is what the writing cost (None for rules). Recorded with the document, so it replays."""

    slots: Mapping[str, str] = field(default_factory=dict)
    writer: str = "rules"
    model: str | None = None
    tokens: int | None = None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        encoded: dict[str, Any] = encode(self)
        return encoded

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Draft:
        return decode(cls, dict(data))

    @property
    def digest(self) -> str:
        return digest_of(self)


class Writer(Protocol):
    """Anything that can fill a brief from a bundle. It sees nothing but its two arguments."""

    name: str

    def write(self, bundle: Bundle, brief: WritingBrief) -> Draft:
        """Fill the slots. Raises `ops_platform.failures.OpsError` when it cannot; never returns numbers."""
        ...

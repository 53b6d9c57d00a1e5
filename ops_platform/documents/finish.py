"""The last step of every kind of document: its blocks become one document that names the evidence it stands on.

Belongs here: what a document of any kind takes from its bundle and its draft. Does not belong here: which blocks it
has and what they say (`documents.pulse`, `documents.alert`), where a claim's number comes from (`documents.claims`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ops_platform.documents.charts import proven
from ops_platform.documents.claims import provenance
from ops_platform.documents.model import NOT_TIED_OUT, Chart, Claim, Document, rich, spans_of

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


def not_tied_out_line(bundle: Bundle, blocks: tuple[Block, ...]) -> RichText:
    """Which figures shown stand on totals that did not tie out, for the small print; nothing where all did."""
    loose = dict.fromkeys(
        bundle.fact(span.fact).label
        for span in spans_of(blocks)
        if isinstance(span, Claim) and span.mark == "not_tied_out"
    )
    if not loose:
        return ()
    return rich(f"⚠ not tied out ({NOT_TIED_OUT}): source and landed totals differ for {', '.join(loose)}")


def finished(kind: str, bundle: Bundle, blocks: Iterable[Block], summary: RichText, *, writer: str) -> Document:
    """The document of these blocks, with the provenance of every number in them, in their charts and in the summary.

    Raises `DataFailure` on a chart with a number that the bundle has not."""
    in_order = tuple(blocks)
    said = provenance(in_order, bundle, summary)
    known = {(used.fact, used.path, used.text) for used in said}
    drawn = {
        (used.fact, used.path, used.text): used
        for block in in_order
        if isinstance(block, Chart)
        for used in proven(block, bundle)
    }
    return Document(
        kind=kind,
        period=bundle.period,
        as_of=bundle.as_of,
        summary=summary,
        blocks=in_order,
        claims=(*said, *(used for key, used in drawn.items() if key not in known)),
        evidence=bundle.digest,
        writer=writer,
    )

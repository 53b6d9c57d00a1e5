"""The gate between a writer and a document: what a draft may not say.

Belongs here: every reason to refuse a draft. Does not belong here: repairing one (`writing.compose`), what is seen
without evidence (`writing.surface`), the words themselves (`writing.vocabulary`), which word is about which number
(`writing.sentences`).

It fails closed. A number may come only as a claim; a word of direction, size, rank, subject, time or comparison must
agree with the claim it stands by; a statement without a claim behind it, a cause, a forecast, a negation near a number
is refused even when it may be true, because nothing here could tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops_platform.documents.claims import TOKEN, TOKEN_WIDTH, Token, measure_in, tokens
from ops_platform.failures import DataFailure
from ops_platform.writing.reading import Reading
from ops_platform.writing.sentences import count_sentences, sentences
from ops_platform.writing.surface import names, surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.draft import Draft, Slot, WritingBrief


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason a draft is refused. `kind` is a short machine name, `span` is (start, end) in the slot's text ((0, 0)
    for the whole slot), `message` tells a writer what to do instead."""

    slot: str
    kind: str
    span: tuple[int, int]
    message: str


def check(draft: Draft, bundle: Bundle, brief: WritingBrief) -> list[Violation]:
    """Every reason to refuse `draft`, slot by slot; an empty list lets it through."""
    found: list[Violation] = []
    for name in draft.slots:
        if brief.slot(name) is None:
            found.append(Violation(name, "unknown_slot", (0, 0), f"The brief has no slot {name!r}."))
    for slot in brief.slots:
        text = draft.slots.get(slot.name)
        if text is None:
            if slot.required:
                found.append(Violation(slot.name, "missing_slot", (0, 0), f"The slot {slot.name!r} must be filled."))
            continue
        found += check_text(text, slot, bundle, language=brief.language)
    return found


def check_text(text: str, slot: Slot, bundle: Bundle, *, language: str = "en") -> list[Violation]:
    """Every reason to refuse `text` for `slot`."""
    if not isinstance(text, str) or not text.strip():
        return [Violation(slot.name, "empty", (0, 0), "The slot is empty: write a sentence or leave the slot out.")]
    found = list(_shape(text, slot))
    found += [Violation(slot.name, *seen) for seen in (*surface(text, language), *names(text, bundle))]
    try:
        claimed = tokens(text)
    except DataFailure:
        message = "A claim token is malformed; the form is {{c:fact.path}}."
        return [*found, Violation(slot.name, "malformed_token", (0, len(text)), message)]
    broken = list(_unresolved(claimed, slot, bundle))
    found += broken
    if broken or any(item.kind in ("language", "character") for item in found):
        return found
    for sentence in sentences(text, claimed, bundle):
        found += [Violation(slot.name, *seen) for seen in Reading(sentence, bundle).findings()]
    return found


# Shape and tokens --------------------------------------------------------------------------------------------


def _shape(text: str, slot: Slot) -> Iterator[Violation]:
    length = len(TOKEN.sub("x" * TOKEN_WIDTH, text))
    if length > slot.max_chars:
        yield Violation(slot.name, "too_long", (0, len(text)), f"{length} characters; at most {slot.max_chars}.")
    try:
        count = count_sentences(text, tokens(text))
    except DataFailure:
        return
    if count > slot.max_sentences:
        yield Violation(
            slot.name, "too_many_sentences", (0, len(text)), f"{count} sentences; at most {slot.max_sentences}."
        )


def _unresolved(claimed: list[Token], slot: Slot, bundle: Bundle) -> Iterator[Violation]:
    for token in claimed:
        span = (token.start, token.end)
        fact = bundle.get(token.fact)
        if fact is None:
            yield Violation(slot.name, "unknown_fact", span, f"The evidence has no fact {token.fact!r}.")
            continue
        if slot.facts and token.fact not in slot.facts:
            allowed = ", ".join(slot.facts)
            yield Violation(slot.name, "fact_not_in_slot", span, f"{token.fact!r} is not for this slot: {allowed}.")
        try:
            found = measure_in(bundle, token)
        except DataFailure as error:
            yield Violation(slot.name, "unresolvable_claim", span, str(error))
            continue
        if found.role == "word" and fact.unit == "text" and token.path == "value":
            yield Violation(
                slot.name, "quoted_text", span, "Text of others is shown by the document, not in a sentence."
            )
    if not any(token.path.endswith(("value", "delta", "delta_pct", "unknown_since")) for token in claimed):
        yield Violation(slot.name, "no_claim", (0, 0), "A sentence needs at least one figure as a claim.")

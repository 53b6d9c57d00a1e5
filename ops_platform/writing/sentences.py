"""A draft's text as sentences, and which words belong to which number.

Belongs here: splitting into words and claims, and giving every word of a sentence to the claims it is about. Does not
belong here: what a word may say of a claim (`writing.claims`).

An **anchor** is a claim that shows a number (or that the number is unknown); other claims (labels, periods) annotate.
All words before the first anchor are its; all after the last are its. Between two anchors the words up to the first
boundary (a comma, "and", "while", …) belong to the one before, the rest to the one after. Without a boundary they
belong to both, and must be true of both.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ops_platform.documents.claims import Measure, Token, measure_in
from ops_platform.writing.vocabulary import lemma

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle, Fact

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_STOP = re.compile(r"[.!?](?=\s|$|[\"”’)])")
_BOUNDARY_CHARS = frozenset(",;:—–()")
_BOUNDARY_WORDS = frozenset(
    ["and", "but", "while", "with", "whereas", "though", "although", "as", "plus", "after", "since", "where", "which"]
)

_BEFORE_WITH = frozenset(("level", "compared", "line", "equal"))


@dataclass(frozen=True, slots=True)
class Item:
    """A word or an annotating claim, with its place in the slot's text. `text` is the word in lower case."""

    kind: Literal["word", "note", "boundary"]
    text: str
    start: int
    end: int
    token: Token | None = None

    @property
    def lemma(self) -> str:
        return lemma(self.text)


@dataclass(slots=True)
class Anchor:
    """A claim that shows a number, with the words that are about it."""

    token: Token
    fact: Fact
    measure: Measure
    window: list[Item] = field(default_factory=list)

    @property
    def words(self) -> list[Item]:
        return [item for item in self.window if item.kind == "word"]

    @property
    def notes(self) -> list[Item]:
        return [item for item in self.window if item.kind == "note"]

    @property
    def known(self) -> bool:
        return self.fact.known

    @property
    def span(self) -> tuple[int, int]:
        return self.token.start, self.token.end

    def phrase(self) -> str:
        """The window's words as one string, a claim between them as a full stop."""
        return " ".join(item.text if item.kind == "word" else "." for item in self.window)


@dataclass(frozen=True, slots=True)
class Sentence:
    """`items` are its words, notes and boundaries in order; words of a sentence without anchors are in no window."""

    start: int
    end: int
    anchors: tuple[Anchor, ...]
    items: tuple[Item, ...]

    @property
    def words(self) -> list[Item]:
        return [item for item in self.items if item.kind == "word"]


def masked(text: str, found: list[Token]) -> str:
    """The text with every token blanked out, so that spans of what is left stay right."""
    out = list(text)
    for token in found:
        out[token.start : token.end] = "\ufffc" * (token.end - token.start)
    return "".join(out)


def count_sentences(text: str, found: list[Token]) -> int:
    """How many sentences the text has; a last one without its full stop counts."""
    return len([part for part in _STOP.split(masked(text, found)) if part.strip(' "”’)')])


def sentences(text: str, found: list[Token], bundle: Bundle) -> list[Sentence]:
    """The sentences of a text whose claims all resolve in `bundle`."""
    blank = masked(text, found)
    bounds = [0, *(match.end() for match in _STOP.finditer(blank)), len(text)]
    out = []
    for start, end in itertools.pairwise(bounds):
        if text[start:end].strip():
            out.append(_sentence(blank, start, end, found, bundle))
    return out


def _sentence(blank: str, start: int, end: int, found: list[Token], bundle: Bundle) -> Sentence:
    entries: list[Item | Anchor] = []
    for token in found:
        if not start <= token.start < end:
            continue
        fact, measure = bundle.fact(token.fact), measure_in(bundle, token)
        if measure.role != "word" or (token.path in ("value", "unknown_since") and not fact.known):
            entries.append(Anchor(token, fact, measure))
        else:
            entries.append(Item("note", "", token.start, token.end, token))
    before = ""
    for match in WORD.finditer(blank, start, end):
        word = match.group().lower().replace("’", "'")
        # "Level with" and "compared with" lead on to what is compared; elsewhere "with" begins something else.
        joins = word == "with" and before in _BEFORE_WITH
        kind: Literal["word", "boundary"] = "boundary" if word in _BOUNDARY_WORDS and not joins else "word"
        before = word
        entries.append(Item(kind, word, match.start(), match.end()))
    entries += [Item("boundary", blank[i], i, i + 1) for i in range(start, end) if blank[i] in _BOUNDARY_CHARS]
    entries.sort(key=lambda entry: entry.token.start if isinstance(entry, Anchor) else entry.start)
    anchors = tuple(entry for entry in entries if isinstance(entry, Anchor))
    _assign(entries, anchors)
    return Sentence(start, end, anchors, tuple(entry for entry in entries if isinstance(entry, Item)))


def _assign(entries: list[Item | Anchor], anchors: tuple[Anchor, ...]) -> None:
    if not anchors:
        return
    places = [index for index, entry in enumerate(entries) if isinstance(entry, Anchor)]
    _give(anchors[0], entries[: places[0]])
    for number, (left, right) in enumerate(itertools.pairwise(places)):
        between = entries[left + 1 : right]
        cut = next(
            (index for index, entry in enumerate(between) if isinstance(entry, Item) and entry.kind == "boundary"), None
        )
        if cut is None:
            _give(anchors[number], between)
            _give(anchors[number + 1], between)
        else:
            _give(anchors[number], between[:cut])
            _give(anchors[number + 1], between[cut:])
    _give(anchors[-1], entries[places[-1] + 1 :])


def _give(anchor: Anchor, entries: list[Item | Anchor]) -> None:
    anchor.window += [entry for entry in entries if isinstance(entry, Item)]

"""An answer by rules: the figure that was asked about, or that most needs somebody, and what it is held against.

Belongs here: answers to work orders. Does not belong here: phrases every document shares (`phrases.py`), the verdicts
(the page shows them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.rules import phrases as say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle, Comparison, Fact
    from ops_platform.writing.draft import Slot


LIMIT = "limit"


def candidates(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """Sentences for `slot`, the best first."""
    if slot.name == "lead":
        yield from _lead(bundle, slot)
    else:
        # The lead has said it against the first of them.
        fact = bundle.fact(slot.facts[0])
        said = [against for against in fact.comparisons if against.delta is not None and against.name != LIMIT]
        yield from (sentence for against in said[1:] for sentence in _against(fact, against))
    if slot.required:
        yield from say.plain(bundle, slot)


def _lead(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """Both figures where both can be said, else the first that can."""
    said = [list(_point(bundle.fact(name))) for name in slot.facts[:3]]
    for first in said[0] if said else []:
        for second in said[1] if len(said) > 1 else []:
            yield f"{first} {second}"
    for sentences in said:
        yield from sentences


def _point(fact: Fact) -> Iterator[str]:
    """The figure against the first thing it is held against, then alone."""
    for against in fact.comparisons:
        yield from _against(fact, against)
    yield f"{say.label(fact)}: {say.value(fact)}."


def _against(fact: Fact, against: Comparison) -> Iterator[str]:
    if against.delta is None:
        return
    label, value, base = say.label(fact), say.value(fact), say.against(fact, against)
    if say.is_level(against):
        yield f"{label}: {value}, level with {base}."
    else:
        way = "above" if against.delta > 0 else "below"
        yield f"{label}: {value}, {say.size(fact, against)} {way} {base}."

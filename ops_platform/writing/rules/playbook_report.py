"""A playbook's report by rules: the figure that most needs somebody, and what it is held against.

Belongs here: reports of playbooks. Does not belong here: phrases every document shares (`phrases.py`), the verdicts
(the page shows them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.rules import phrases as say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle, Fact
    from ops_platform.writing.draft import Slot


def candidates(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """Sentences for `slot`, the best first. A section speaks for itself."""
    if slot.name != "lead":
        return
    first, *rest = [list(_point(bundle.fact(name))) for name in slot.facts[:3]] or [[]]
    for sentence in first:
        for following in rest[0] if rest else []:
            yield f"{sentence} {following}"
    yield from first
    for sentences in rest:
        yield from sentences
    yield from say.plain(bundle, slot)


def _point(fact: Fact) -> Iterator[str]:
    """The figure against the first thing it is held against, then alone."""
    label, value = say.label(fact), say.value(fact)
    for against in fact.comparisons:
        if against.delta is None:
            continue
        if against.delta:
            way = "above" if against.delta > 0 else "below"
            yield f"{label}: {value}, {say.size(fact, against)} {way} {say.against(fact, against)}."
    yield f"{label}: {value}."

"""Turns of phrase every kind of document shares: a claim's token, a change's size, a choice made by the evidence.

Belongs here: phrases about any fact. Does not belong here: which fact is spoken of (one module a kind).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle, Comparison, Fact
    from ops_platform.writing.draft import Slot

LEVEL = Decimal("0.005")


def plain(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """A label and its figure: true of every fact, whatever it is called."""
    for fact_id in slot.facts:
        fact = bundle.get(fact_id)
        if fact is not None and fact.unit not in ("text", "date"):
            yield f"{label(fact)}: {value(fact)}."
    for fact in bundle.facts:
        if not slot.facts and fact.unit not in ("text", "date"):
            yield f"{label(fact)}: {value(fact)}."


def claim(fact: Fact, path: str) -> str:
    """The token for `path` of the fact."""
    return f"{{{{c:{fact.id}.{path}}}}}"


def value(fact: Fact) -> str:
    """The token for its value (for an unknown fact: since when it is unknown)."""
    return claim(fact, "value")


def label(fact: Fact) -> str:
    """The token for its name."""
    return claim(fact, "label")


def against(fact: Fact, comparison: Comparison) -> str:
    """The token for the name of what it is compared with."""
    return claim(fact, f"comparison.{comparison.name}.label")


def size(fact: Fact, comparison: Comparison) -> str:
    """The change without its sign: in percent where there is one, else in the fact's unit."""
    share = comparison.delta_pct is not None and fact.unit in ("money", "count")
    return claim(fact, f"comparison.{comparison.name}.{'abs_delta_pct' if share else 'abs_delta'}")


def is_level(comparison: Comparison) -> bool:
    """Whether the change is too small to be called one."""
    return comparison.delta == 0 or (comparison.delta_pct is not None and comparison.delta_pct.copy_abs() < LEVEL)


def some(fact: Fact | None) -> bool:
    """Whether there is at least one of what the fact counts, for certain."""
    return fact is not None and fact.known and fact.value is not None and fact.value > 0


def noun(fact: Fact, one: str, many: str) -> str:
    """The noun in the fact's number."""
    return one if fact.value == 1 else many


def pick(bundle: Bundle, *texts: str) -> str:
    """One of the phrases, by the evidence itself: the same bundle always reads the same."""
    return texts[int(bundle.digest[:8], 16) % len(texts)]


def capital(text: str) -> str:
    """A sentence's first letter; a token stays as it is."""
    return text if text.startswith("{{") else text[:1].upper() + text[1:]

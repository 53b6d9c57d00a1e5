"""A narrative's sentences: level and direction of what leads, and one line for each highlight and concern.

Belongs here: narratives. Does not belong here: phrases every document shares (`phrases.py`), what is a concern
(`ops_platform.evidence.concerns`), what carries a change (the document adds it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.rules import phrases as say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle, Comparison, Fact, Row
    from ops_platform.writing.draft import Slot


def candidates(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """Sentences for `slot`, the best first."""
    if slot.name == "lead":
        yield from _lead(bundle, slot)
    else:
        row = _row(bundle, slot)
        if row is not None:
            yield from _point(bundle, row)
    if slot.required:
        yield from say.plain(bundle, slot)


def _lead(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """Both figures where both can be said, else the first that can."""
    said = [list(_level(bundle, bundle.fact(name), second=bool(number))) for number, name in enumerate(slot.facts)]
    for first in said[0] if said else []:
        for second in said[1] if len(said) > 1 else []:
            yield f"{first} {second}"
    for sentences in said:
        yield from sentences


def _level(bundle: Bundle, fact: Fact, *, second: bool = False) -> Iterator[str]:
    """Level and direction of one figure."""
    label, value = say.label(fact), say.value(fact)
    against = fact.primary
    if not fact.known:
        yield f"{label}: {value}."
        return
    if against is not None and against.delta is not None:
        base = say.against(fact, against)
        if say.is_level(against):
            yield (
                f"{label} of {value} were level with {base}." if not second else f"{label}: {value}, level with {base}."
            )
        else:
            size = say.size(fact, against)
            way = "up" if against.delta > 0 else "down"
            if fact.unit == "money" and not second:
                yield say.pick(
                    bundle,
                    f"{label} came to {value}, {way} {size} on {base}.",
                    f"{label} of {value}, {way} {size} on {base}.",
                )
            yield f"{label}: {value}, {way} {size} on {base}."
    yield f"{label}: {value}."


def _point(bundle: Bundle, row: Row) -> Iterator[str]:
    """One highlight or concern; what decided that it is one comes first."""
    fact = bundle.fact(row.facts["figure"])
    label, value = say.label(fact), say.value(fact)
    against = fact.comparison(row.texts.get("against", ""))
    if not fact.known or against is None or against.delta is None:
        yield f"{label}: {value}."
        return
    base = say.against(fact, against)
    if against.name == "target":
        target = say.claim(fact, "comparison.target.value")
        yield f"{label}: {value}, against a target of {target}{_trend(fact)}."
        yield f"{label}: {value}, against a target of {target}."
    elif not against.delta:
        yield f"{label}: {value}, level with {base}."
    else:
        size = say.size(fact, against)
        yield say.pick(
            bundle,
            f"{label}: {value}, {_way(against)} {size} on {base}.",
            f"{label}: {value}, {size} {_side(against)} {base}.",
        )
        yield f"{label}: {value}, {size} {_side(against)} {base}."
    yield f"{label}: {value}."


def _trend(fact: Fact) -> str:
    """How it stood before, for a figure that is told for its target."""
    primary = fact.primary
    if primary is None or primary.name == "target" or not primary.delta:
        return ""
    return f" and {say.size(fact, primary)} {_side(primary)} {say.against(fact, primary)}"


def _way(comparison: Comparison) -> str:
    return "up" if (comparison.delta or 0) > 0 else "down"


def _side(comparison: Comparison) -> str:
    return "above" if (comparison.delta or 0) > 0 else "below"


def _row(bundle: Bundle, slot: Slot) -> Row | None:
    name, _, number = slot.name.rpartition("_")
    rows = bundle.rows(f"{name}s")
    place = int(number) if number.isdigit() else 0
    return rows[place - 1] if 1 <= place <= len(rows) else None

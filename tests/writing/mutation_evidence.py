"""Evidence made false under a text that was true of it.

Belongs here: what is done to a stored bundle. Does not belong here: what is done to the text (`mutation_text.py`), how
many get through (`mutations.py`).

A mutation is of the JSON as it is stored: whoever alters evidence alters that. Each operator yields the fields of one
fact that are altered. Some keep every comparison right for the altered figure, as one does who knows what a bundle must
hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from ops_platform.evidence.model import Bundle, Comparison, Fact

Json = dict[str, Any]
EvidenceOperator = Callable[[Bundle, Fact], Iterator[Json]]
_OTHER_UNITS = {"money": "count", "count": "hours", "ratio": "percent", "percent": "ratio", "hours": "days",
                "days": "hours", "score": "count"}  # fmt: skip


def compared(fact: Fact, value: Decimal) -> list[Json]:
    """The comparisons of the fact as they would be with another value."""
    out = []
    for held in fact.comparisons:
        between = Comparison.between(held.name, held.label, value, held.value)
        out.append({
            "name": held.name, "label": held.label,
            **{name: None if number is None else str(number) for name, number in
               (("value", between.value), ("delta", between.delta), ("delta_pct", between.delta_pct))},
        })  # fmt: skip
    return out


def sign(bundle: Bundle, fact: Fact) -> Iterator[Json]:
    """The change turned round: in the comparison, in the figure alone, and in a figure that its comparisons follow."""
    if fact.value is None:
        return
    if any(held.delta for held in fact.comparisons):
        turned = compared(fact, fact.value)
        for held in turned:
            for part in ("delta", "delta_pct"):
                held[part] = None if held[part] is None else str(-Decimal(held[part]))
        yield {"comparisons": turned}
        for held_ in fact.comparisons[:1]:
            if held_.value is not None and held_.delta:
                mirrored = held_.value - held_.delta
                yield {"value": str(mirrored), "comparisons": compared(fact, mirrored)}
    if fact.value:
        yield {"value": str(-fact.value)}


def magnitude(bundle: Bundle, fact: Fact) -> Iterator[Json]:
    """A figure of another size, with and without what follows from it."""
    if not fact.value:
        return
    for factor in ("10", "1000", "0.01", "1.07"):
        value = fact.value * Decimal(factor)
        yield {"value": str(value)}
        yield {"value": str(value), "comparisons": compared(fact, value)}


def unit(bundle: Bundle, fact: Fact) -> Iterator[Json]:
    """Another unit, another currency."""
    if fact.unit in _OTHER_UNITS:
        yield {"unit": _OTHER_UNITS[fact.unit]}
    if fact.unit == "money":
        yield {"currency": "EUR"}
        yield {"currency": None}


def period(bundle: Bundle, fact: Fact) -> Iterator[Json]:
    """Another period, another name of what it is compared with."""
    if fact.period is not None:
        moved = {"start": "2020-02-01", "end": "2020-02-29", "label": "February 2020"}
        yield {"period": moved}
    if fact.value is not None:
        for number, held in enumerate(compared(fact, fact.value)):
            others = compared(fact, fact.value)
            others[number] = {**held, "name": "year_before" if held["name"] != "year_before" else "plan",
                              "label": "the year before"}  # fmt: skip
            if len({other["name"] for other in others}) == len(others):
                yield {"comparisons": others}


def entity(bundle: Bundle, fact: Fact) -> Iterator[Json]:
    """The figure of another fact of the same unit, another's name, another's subject."""
    others = [other for other in bundle.facts if other.unit == fact.unit and other.id != fact.id and other.known]
    for other in others[:3]:
        if fact.value is None or other.value is None or other.value == fact.value:
            continue
        yield {"value": str(other.value), "comparisons": compared(fact, other.value)}
        if other.label != fact.label:
            yield {"label": other.label}
    yield {"about": "somebody_else"}


def direction(bundle: Bundle, fact: Fact) -> Iterator[Json]:
    """What is good news said to be bad."""
    if fact.direction != "neutral":
        turned = "down_is_good" if fact.direction == "up_is_good" else "up_is_good"
        yield {"direction": turned}


def state(bundle: Bundle, fact: Fact) -> Iterator[Json]:
    """A figure lost, a figure made up, a doubt taken away."""
    bases = [{"name": held.name, "label": held.label, "value": str(held.value) if held.value is not None else None,
              "delta": None, "delta_pct": None} for held in fact.comparisons]  # fmt: skip
    if fact.known and fact.numeric:
        yield {"value": None, "status": "unknown", "comparisons": bases}
    elif fact.numeric:
        yield {"value": "4711", "status": "known", "comparisons": compared(fact, Decimal(4711))}
    if fact.tie_out == "mismatched":
        yield {"tie_out": "matched"}
    if fact.status == "stale":
        yield {"status": "known"}


EVIDENCE: dict[str, EvidenceOperator] = {
    "sign": sign, "magnitude": magnitude, "unit": unit, "period": period, "entity": entity, "direction": direction,
    "state": state,
}  # fmt: skip

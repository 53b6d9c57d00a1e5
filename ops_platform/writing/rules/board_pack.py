"""The board pack's sentences: the titles of its pages and the lines of its summary.

Belongs here: the pack. Does not belong here: phrases every document shares (`phrases.py`), whether a sentence may be
published (`RulesWriter` asks before it lets one go).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.rules import phrases as say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle, Comparison, Fact
    from ops_platform.writing.draft import Slot

# What a figure is called inside a sentence, where its label does not read well there.
_SPOKEN = {
    "channel_net_sales": "net sales of all channels",
    "channel_net_sales_ytd": "net sales of all channels year to date",
    "net_sales": "net sales of the own shop",
    "net_sales_ytd": "net sales of the own shop year to date",
}
_WEIGHTY = ("plan", "year_before", "month_before")


def candidates(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """Sentences for `slot`, the best first."""
    facts = [bundle.fact(name) for name in slot.facts if bundle.get(name) is not None]
    if slot.name == "headline":
        yield from _headline(bundle)
    elif slot.name in ("why", "why_year"):
        yield from _effects(bundle, slot.name)
    elif slot.name.startswith("division_") or slot.name == "risks":
        yield from _worst(bundle, slot, facts)
    else:
        yield from _leading(bundle, facts)
    if slot.required:
        yield from say.plain(bundle, slot)


# Titles -----------------------------------------------------------------------------------------------------


def _headline(bundle: Bundle) -> Iterator[str]:
    """Sales of all channels, then how they stand against plan or what was left of them."""
    leads = list(_moves(bundle, bundle.get("channel_net_sales"))) or list(_moves(bundle, bundle.get("net_sales")))
    seconds = [*_against_plan(bundle.get("net_sales")), *_moves(bundle, bundle.get("operating_result"))]
    for lead in leads:
        for second in seconds:
            yield f"{say.capital(lead)}; {second}."
    for text in (*leads, *seconds):
        yield f"{say.capital(text)}."


def _effects(bundle: Bundle, name: str) -> Iterator[str]:
    """The parts that carry most of a change, with what they carry."""
    rows = bundle.rows(name)
    facts = [bundle.fact(row.facts["effect"]) for row in rows]
    if len(facts) > 1:
        yield f"{say.label(facts[0])} {say.value(facts[0])}; {_name(facts[1])} {say.value(facts[1])}."
    for fact in facts[:1]:
        yield f"{say.label(fact)}: {say.value(fact)}."


def _worst(bundle: Bundle, slot: Slot, facts: list[Fact]) -> Iterator[str]:
    """The figure of the slot that is farthest off; else the one that moved."""
    off = {row.facts["figure"]: row.texts.get("against", "") for row in bundle.rows("risks")}
    for fact in sorted(facts, key=lambda one: list(off).index(one.id) if one.id in off else len(off)):
        if fact.id in off:
            held = fact.comparison(off[fact.id])
            if off[fact.id] == "target" and held is not None:
                target = say.claim(fact, "comparison.target.value")
                yield f"{say.label(fact)} {say.value(fact)}, against a target of {target}."
            elif held is not None:
                yield from _ended(_move(fact, held))
    if slot.name != "risks":
        yield from _leading(bundle, facts)


def _leading(bundle: Bundle, facts: list[Fact]) -> Iterator[str]:
    """The first known fact with what it is held against, and the next one beside it where both fit."""
    known = [fact for fact in facts if fact.known]
    for first in known[:2]:
        for second in known[1:]:
            if second.id != first.id:
                for text in _moves(bundle, first):
                    for more in _moves(bundle, second):
                        yield f"{say.capital(text)}; {more}."
        for text in _moves(bundle, first):
            yield f"{say.capital(text)}."
    for fact in known:
        yield f"{say.label(fact)} {say.value(fact)}."
    for fact in facts[:1]:
        yield f"{say.label(fact)}: {say.value(fact)}."


# Moves ------------------------------------------------------------------------------------------------------


def _moves(bundle: Bundle, fact: Fact | None) -> Iterator[str]:
    """How a figure stands against its plan, the year before or the month before, whichever is known first."""
    if fact is None or not fact.known or fact.change:
        return
    for name in _WEIGHTY:
        held = fact.comparison(name)
        if held is not None and held.delta is not None:
            yield from _move(fact, held)
            return


def _move(fact: Fact, held: Comparison) -> Iterator[str]:
    if held.delta is None:
        return
    name = _name(fact)
    base = "plan" if held.name == "plan" else say.against(fact, held)
    if say.is_level(held):
        yield f"{name} {say.value(fact)}, level with {base}"
        return
    way = "above" if held.delta > 0 else "below"
    verb = "up" if held.delta > 0 else "down"
    size = say.size(fact, held)
    if fact.id in _SPOKEN and held.name != "plan":
        yield f"{name} came to {say.value(fact)}, {verb} {size} on {base}"
    if held.name == "plan":
        yield f"{name} {say.value(fact)}, {size} {'ahead of' if held.delta > 0 else 'behind'} plan"
    else:
        yield f"{name} {say.value(fact)}, {verb} {size} on {base}"
    yield f"{name} {say.value(fact)}, {size} {way} {base}"


def _against_plan(fact: Fact | None) -> Iterator[str]:
    held = fact.comparison("plan") if fact is not None else None
    if fact is not None and held is not None and held.delta is not None and not say.is_level(held):
        way = "ahead of" if held.delta > 0 else "behind"
        yield f"{_SPOKEN.get(fact.id, say.label(fact))} {say.claim(fact, 'comparison.plan.abs_delta_pct')} {way} plan"


def _name(fact: Fact) -> str:
    """The figure's name inside a sentence: in small letters where it has no capitals of its own."""
    plain = fact.label[:1].lower() + fact.label[1:]
    return _SPOKEN.get(fact.id) or (plain if plain.islower() and plain.replace(" ", "").isalpha() else say.label(fact))


def _ended(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        yield f"{say.capital(text)}."

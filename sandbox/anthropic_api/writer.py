"""The stub in the model's place: reads the facts it is given and writes plain sentences about them.

Belongs here: finding facts and slots in a prompt, the sentences, and the ways a model can misbehave. Does
not belong here: the protocol (`side.py`), fitting a schema (`structure.py`).

It is deterministic and knows nothing of any particular prompt. Wherever a prompt holds JSON with `facts`
(objects with `id`, `label`, maybe `paths`, `status`, `comparisons`, a direction of movement), it claims them
with tokens `{{c:id.path}}`; `slots` (objects with `name`, maybe `facts`, `max_chars`, `max_sentences`) say
what to fill. Without facts it answers with a short plain sentence.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.anthropic_api.misbehaviour import WRITERS

# "mixed" writes every second sentence or so as a liar does, and the others honestly.
MODES = ("honest", "mixed", "refusal", "empty", "truncated", "huge", "prose", *WRITERS)
HUGE_BYTES = 100_000
_TOKEN = re.compile(r"\{\{c:[^{}]*\}\}")
_TOKEN_WIDTH = 8
_UP = frozenset({"up", "rose", "higher", "increase", "increased", "positive", "+", "rising"})
_DOWN = frozenset({"down", "fell", "lower", "decrease", "decreased", "negative", "-", "falling"})
_AIMS = frozenset({"comparison.plan.label", "comparison.target.label"})
_PLAIN = "The evidence was read and nothing in it needs a comment."


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact as the prompt gives it. `moved` is 1, -1 or 0 where the prompt says so, else None."""

    id: str
    label: str
    paths: frozenset[str]
    known: bool
    moved: int | None
    comparison: str | None


@dataclass(frozen=True, slots=True)
class Slot:
    name: str
    facts: tuple[str, ...] = ()
    max_chars: int = 160
    max_sentences: int = 1


@dataclass(slots=True)
class Reading:
    """What a prompt holds."""

    facts: list[Fact] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    seed: int = 0

    def slot(self, name: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.name == name), None)


def read_prompt(texts: Sequence[str]) -> Reading:
    """The facts and slots in the JSON parts of a prompt; empty where there are none."""
    reading = Reading(seed=zlib.crc32("\n".join(texts).encode()))
    for text in texts:
        for value in _json_parts(text):
            for key, found in _named(value, ("facts", "slots")):
                if key == "facts" and not reading.facts:
                    reading.facts = [fact for item in _listed(found) if (fact := _fact(item))]
                elif key == "slots" and not reading.slots:
                    reading.slots = [slot for item in _listed(found) if (slot := _slot(item))]
    return reading


def sentence(reading: Reading, slot: Slot | None, mode: str = "honest", index: int = 0) -> str:
    """What the stub writes into one slot."""
    facts = _chosen(reading, slot, index)
    if mode == "huge":
        words = _honest(facts, slot)
        return (words + " ") * (HUGE_BYTES // (len(words) + 1) + 1)
    if mode == "mixed":
        mode = "liar" if zlib.crc32(f"{reading.seed} {index}".encode()) % 2 else "honest"
    if mode in WRITERS:
        first = facts[0] if facts else Fact("net_sales", "Net sales", frozenset(), True, 1, None)
        return WRITERS[mode](first, reading.facts or [first], index + reading.seed)
    return _honest(facts, slot)


def _honest(facts: Sequence[Fact], slot: Slot | None) -> str:
    if not facts:
        return _PLAIN
    most = slot.max_chars if slot else 160
    sentences = slot.max_sentences if slot else 1
    written: list[str] = []
    for fact in facts[: max(1, sentences)]:
        for candidate in (_full(fact), _short(fact)):
            if _width(" ".join([*written, candidate])) <= most:
                written.append(candidate)
                break
    return " ".join(written) or f"{{{{c:{facts[0].id}}}}}."


def _full(fact: Fact) -> str:
    """The fact with its change, where there is one to tell."""
    if not fact.known:
        if "value" in fact.paths:
            return f"{_subject(fact)}: {{{{c:{fact.id}}}}}."
        since = f" since {{{{c:{fact.id}.unknown_since}}}}" if "unknown_since" in fact.paths else ""
        last = fact.label.split()[-1].lower() if fact.label.split() else ""
        verb = "are" if last.endswith("s") and not last.endswith("ss") else "is"
        return f"{_subject(fact)} {verb} unknown{since}."
    head = f"{_subject(fact)} {{{{c:{fact.id}}}}}"
    change = next((path for path in ("abs_delta_pct", "abs_delta") if path in fact.paths), None)
    if fact.moved is None or fact.comparison is None or (fact.moved and change is None):
        return f"{head}."
    against = f"against {{{{c:{fact.id}.{fact.comparison}}}}}"
    if not fact.moved:
        return f"{head}, unchanged {against}."
    size = f"{{{{c:{fact.id}.{change}}}}}"
    if fact.comparison in _AIMS:
        return f"{head}, {size} {'above' if fact.moved > 0 else 'below'} {{{{c:{fact.id}.{fact.comparison}}}}}."
    return f"{head}, {'up' if fact.moved > 0 else 'down'} {size} {against}."


def _short(fact: Fact) -> str:
    return f"{_subject(fact)} {{{{c:{fact.id}}}}}." if fact.known else f"{_subject(fact)} is unknown."


def _subject(fact: Fact) -> str:
    """How a sentence names the fact. A label that the prompt has a token for is inserted, not written."""
    if "label" in fact.paths:
        return f"{{{{c:{fact.id}.label}}}}"
    if any(char.isdigit() for char in fact.label):
        return "This figure"
    return fact.label[:1].upper() + fact.label[1:]


def _chosen(reading: Reading, slot: Slot | None, index: int) -> list[Fact]:
    """The facts a slot speaks of: those it names, else all, starting further on for each slot."""
    by_id = {fact.id: fact for fact in reading.facts}
    if slot and slot.facts:
        return [by_id[name] for name in slot.facts if name in by_id]
    if not reading.facts:
        return []
    telling = [fact for fact in reading.facts if fact.known and fact.moved] or reading.facts
    start = index % len(telling)
    return [*telling[start:], *telling[:start]]


def _width(text: str) -> int:
    return len(_TOKEN.sub("x" * _TOKEN_WIDTH, text))


# Reading a prompt ---------------------------------------------------------------------------------------------


def _json_parts(text: str) -> Iterator[Any]:
    """The JSON objects that appear in a text, outermost first."""
    decoder, at, tries = json.JSONDecoder(), 0, 0
    while tries < 500:
        at = text.find("{", at)
        if at < 0:
            return
        tries += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            at += 1
        else:
            yield value
            at = end


def _named(value: Any, names: tuple[str, ...], depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > 6:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if key in names and isinstance(item, list | dict):
                yield key, item
        for key, item in value.items():
            if key not in names:
                yield from _named(item, names, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _named(item, names, depth + 1)


def _listed(value: Any) -> list[dict[str, Any]]:
    """A list of objects; a mapping from name to object counts as one."""
    if isinstance(value, dict):
        return [{"id": key, "name": key, **item} for key, item in value.items() if isinstance(item, dict)]
    return [item if isinstance(item, dict) else {"id": item, "name": item} for item in value if item]


def _fact(item: Mapping[str, Any]) -> Fact | None:
    name = item.get("id")
    if not isinstance(name, str):
        return None
    paths = _paths(item.get("paths"))
    comparison = next(
        (path for path in sorted(paths) if path.startswith("comparison.") and path.endswith(".label")), None
    )
    return Fact(
        id=name,
        label=str(item.get("label") or name.replace("_", " ")),
        paths=paths,
        known=item.get("status", "known") != "unknown",
        moved=_moved(item),
        comparison=comparison,
    )


def _paths(value: Any) -> frozenset[str]:
    if isinstance(value, dict):
        return frozenset(str(key) for key in value)
    if isinstance(value, list):
        return frozenset(str(item.get("path", "")) if isinstance(item, dict) else str(item) for item in value)
    return frozenset()


def _moved(item: Mapping[str, Any]) -> int | None:
    """Which way the fact moved, from whatever the prompt says about it."""
    for key in ("moved", "change", "trend", "movement", "sign", "moves"):
        if key in item:
            return _sign(item[key])
    comparisons = item.get("comparisons")
    if isinstance(comparisons, dict):
        comparisons = list(comparisons.values())
    if isinstance(comparisons, list) and comparisons and isinstance(comparisons[0], dict):
        return _moved(comparisons[0])
    paths = item.get("paths")
    if isinstance(paths, list):
        for path in paths:
            if isinstance(path, dict) and "delta" in str(path.get("path", "")):
                return _moved(path)
    return None


def _sign(value: Any) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return (value > 0) - (value < 0)
    word = str(value).strip().lower()
    if word in _UP:
        return 1
    if word in _DOWN:
        return -1
    if word in ("flat", "unchanged", "none", "zero", "0", "same"):
        return 0
    return None


def _slot(item: Mapping[str, Any]) -> Slot | None:
    name = item.get("name") or item.get("slot") or item.get("id")
    if not isinstance(name, str):
        return None
    facts = item.get("facts") or ()
    return Slot(
        name=name,
        facts=tuple(str(fact) for fact in facts) if isinstance(facts, list | tuple) else (),
        max_chars=int(item.get("max_chars") or 160),
        max_sentences=int(item.get("max_sentences") or 1),
    )

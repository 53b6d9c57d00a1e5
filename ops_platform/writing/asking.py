"""What a model is shown: the prompt of a kind of document, the evidence as a reader would see it, the slots to fill.

Belongs here: the request's two texts, the schema of its answer, what it will cost at most. Does not belong here: the
call and the budget (`writing.claude`), the prompts themselves (`prompts/`), what may be said (`writing.claims`).

Facts come as they will be shown, each number by the path of its token. Other people's words come shortened, among the
quotes, and marked as untrusted.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ops_platform.documents.claims import claim
from ops_platform.evidence.quoting import minimise
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.writing.surface import surface

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from ops_platform.evidence.model import Bundle, Fact
    from ops_platform.writing.claims import Violation
    from ops_platform.writing.draft import Draft, Slot, WritingBrief
    from ops_platform.writing.model import ModelRequest

PROMPTS = Path(__file__).parent / "prompts"
WORDS = PROMPTS / "words.md"
QUOTES_LIMIT = 12
QUOTE_LENGTH = 140
_GOOD = {"up_is_good": "up", "down_is_good": "down"}


def system_prompt(kind: str) -> str:
    """The prompt of a document kind: `prompts/<kind>.md` and the words every kind must do without.

    The same text at every call, for it is the part the vendor keeps: a repair reads it at a tenth of its price. What
    changes with the document stands after it, in the user's message."""
    path = PROMPTS / f"{kind}.md"
    try:
        return f"{path.read_text(encoding='utf-8')}\n{WORDS.read_text(encoding='utf-8')}"
    except FileNotFoundError:
        raise ConfigurationError(f"There is no prompt for documents of kind {kind!r}: add {path.name}.") from None


def prompt_name(system: str) -> str:
    """A short name for a system prompt: calls that share it share what the vendor keeps."""
    return hashlib.sha256(system.encode()).hexdigest()[:16]


def request_text(
    bundle: Bundle,
    brief: WritingBrief,
    *,
    draft: Draft | None = None,
    violations: Sequence[Violation] = (),
) -> str:
    """The user's message: one JSON object with `facts`, `slots` and `quotes`; for a repair also what was written
    and why it was refused. Facts come as the reader will see them, by the path of their claim token."""
    wanted = _facts_wanted(brief)
    facts = [fact for fact in bundle.facts if wanted is None or fact.id in wanted]
    content: dict[str, Any] = {
        "document": brief.kind,
        "company": bundle.company.name,
        "period": bundle.period.label,
        "language": brief.language,
        "guidance": brief.guidance,
        "facts": [_fact_json(fact, bundle) for fact in facts],
        "slots": [_slot_json(slot) for slot in brief.slots],
        "quotes": _quotes(bundle, {fact.id for fact in facts}),
    }
    if draft is not None:
        content["refused"] = [
            {
                "slot": slot.name,
                "text": draft.slots.get(slot.name, "")[: slot.max_chars * 2],
                "because": _reasons(slot.name, violations),
            }
            for slot in brief.slots
        ]
    return orjson.dumps({key: value for key, value in content.items() if value}).decode()


def _reasons(slot: str, violations: Sequence[Violation]) -> list[str]:
    """Why the slot's text was refused, one fault of each kind: a text with seven digits in it is not told seven times,
    for what a repair costs must not grow with what was wrong."""
    first = {violation.kind: violation.message for violation in reversed(violations) if violation.slot == slot}
    return [*reversed(first.values())]


def answer_schema(brief: WritingBrief) -> dict[str, Any]:
    """One string per slot; a slot that is not required may be the empty string."""
    names = [slot.name for slot in brief.slots]
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": names,
        "additionalProperties": False,
    }


def output_bound(brief: WritingBrief) -> int:
    """The most tokens an answer may have: the slots at their longest with claim tokens spelled out, and the JSON
    around them."""
    return min(120 + sum(slot.max_chars // 2 + 60 for slot in brief.slots), 4_000)


def estimated_tokens(request: ModelRequest) -> int:
    """An estimate on the high side: JSON full of identifiers has about three bytes to a token."""
    size = len(request.system.encode()) + len(request.user.encode()) + len(orjson.dumps(dict(request.schema)))
    return math.ceil(size / 2.5) + 64


def _facts_wanted(brief: WritingBrief) -> set[str] | None:
    """The facts the slots may claim; None where some slot may claim any."""
    if any(not slot.facts for slot in brief.slots):
        return None
    return {fact_id for slot in brief.slots for fact_id in slot.facts}


def _fact_json(fact: Fact, bundle: Bundle) -> dict[str, Any]:
    """A fact with each number as the reader will see it. `paths` are about the fact and its first comparison,
    `also` about its other comparisons; `moved` says which way a change goes, so that its size can be claimed."""
    primary = fact.primary
    paths = ["value"] if fact.known or fact.unknown_since is None else ["unknown_since"]
    if any(surface(fact.label, language="")):
        paths.append("label")  # a name that may not be written out: "Keywords in the top ten"
    if fact.change:
        paths.append("abs_value")
    if primary is not None:
        paths += ["abs_delta", "abs_delta_pct", *(f"comparison.{primary.name}.{part}" for part in ("label", "value"))]
    others = [other for other in fact.comparisons if other is not primary]
    shown = _shown(fact, paths, bundle)
    if fact.unit == "text":
        shown.pop("value", None)  # somebody else's words: among the quotes
    described = {
        "id": fact.id,
        "label": minimise(fact.label),
        "unit": fact.unit,
        "good": _GOOD.get(fact.direction),
        "period": fact.period.label if fact.period and fact.period != bundle.period else None,
        "status": None if fact.status == "known" else fact.status,
        "tie_out": "mismatched" if fact.tie_out == "mismatched" else None,
        "superlative": fact.superlative,
        "moved": _moved(fact.value if fact.change else primary.delta if primary else None),
        "paths": shown,
        "also": {
            other.name: {
                "moved": _moved(other.delta),
                "paths": _shown(
                    fact,
                    [f"comparison.{other.name}.{part}" for part in ("label", "value", "abs_delta", "abs_delta_pct")],
                    bundle,
                ),
            }
            for other in others
            if other.value is not None
        },
    }
    return {key: value for key, value in described.items() if value}


def _shown(fact: Fact, paths: list[str], bundle: Bundle) -> dict[str, str]:
    """The paths that have something behind them, with what the reader would see."""
    shown: dict[str, str] = {}
    for path in paths:
        try:
            shown[path] = claim(bundle, fact.id, path).text
        except DataFailure:
            continue
    return shown


def _moved(change: Decimal | None) -> str | None:
    if change is None:
        return None
    return "up" if change > 0 else "down" if change < 0 else "unchanged"


def _slot_json(slot: Slot) -> dict[str, Any]:
    described = {
        "name": slot.name,
        "purpose": slot.purpose,
        "may_be_empty": not slot.required,
        "max_chars": slot.max_chars,
        "max_sentences": slot.max_sentences if slot.max_sentences > 1 else None,
        "facts": list(slot.facts),
    }
    return {key: value for key, value in described.items() if value}


def _quotes(bundle: Bundle, facts: set[str]) -> list[dict[str, Any]]:
    """Other people's words, minimised again and marked as untrusted: those that belong to a fact the slots may
    claim. What nothing can be said about is not shown."""
    quotes: list[dict[str, Any]] = []
    for name, rows in bundle.lists.items():
        for row in rows:
            texts = {key: minimise(text, QUOTE_LENGTH) for key, text in row.texts.items() if text}
            belongs = {key: fact for key, fact in row.facts.items() if fact in facts}
            if texts and belongs:
                quote = {"list": name, "mark": row.mark, "facts": belongs, "untrusted": texts}
                quotes.append({key: value for key, value in quote.items() if value})
    for fact in bundle.facts:
        if fact.unit == "text" and fact.text and fact.id in facts:
            quotes.append({"fact": fact.id, "untrusted": {"text": minimise(fact.text, QUOTE_LENGTH)}})
    return quotes[:QUOTES_LIMIT]

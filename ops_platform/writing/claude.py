"""The Claude writer: a bundle and a brief become one bounded call, and its answer a draft.

Belongs here: what the model is shown, the schema of its answer, the estimate and reservation, the retry layer,
the circuit breaker, reading the answer. Does not belong here: the wire (`resources/claude.py`), whether the
draft may be published (`claims.py`), what happens when this fails (`compose.py`).

The model has no tools, no secrets and no network, and sees what a reader would see: facts as they will be
shown, and other people's words marked as such. Whatever comes back is data: it is parsed strictly here and
checked by `claims.check` afterwards, so that a hostile model can at worst be ignored.
"""

from __future__ import annotations

import json
import logging
import math
import random
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ops_platform.documents.claims import claim
from ops_platform.evidence.quoting import minimise
from ops_platform.failures import (
    AmbiguousFailure,
    ConfigurationError,
    DataFailure,
    PermanentFailure,
    TransientFailure,
)
from ops_platform.writing.draft import Draft, WritingBrief
from ops_platform.writing.model import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from ops_platform.evidence.model import Bundle, Fact
    from ops_platform.writing.budget import Allowance, Reservation, TokenBudget, Usage
    from ops_platform.writing.claims import Violation
    from ops_platform.writing.draft import Slot
    from ops_platform.writing.model import LanguageModel, ModelAnswer

log = logging.getLogger(__name__)

PROMPTS = Path(__file__).parent / "prompts"
WORDS = PROMPTS / "words.md"
CALL_SECONDS = 30.0
COUNT_SECONDS = 5.0
ATTEMPTS = 3
BREAKER_FAILURES = 5
BREAKER_WINDOW = timedelta(minutes=10)
ANSWER_LIMIT = 20_000
KEPT_OF_A_BAD_ANSWER = 2_000
QUOTES_LIMIT = 12
QUOTE_LENGTH = 140
_GOOD = {"up_is_good": "up", "down_is_good": "down"}


class WriterRestingError(TransientFailure):
    """The breaker is open: the model failed so often lately that it is not asked for a while."""


class UnusableAnswerError(PermanentFailure):
    """The model answered, and the answer is not a draft: cut off, declined, not the agreed JSON."""


@dataclass(frozen=True, slots=True)
class Call:
    """One answer of the model, as recorded with the document: `slots` is what was asked, `text` what came."""

    slots: tuple[str, ...]
    model: str
    text: str
    stopped: str
    usage: Usage | None
    request_id: str | None
    ledger_id: int
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        usage = self.usage
        return {
            "slots": list(self.slots),
            "model": self.model,
            "text": self.text,
            "stopped": self.stopped,
            "usage": None
            if usage is None
            else {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cache_read_tokens": usage.cache_read_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
            },
            "request_id": self.request_id,
            "ledger_id": self.ledger_id,
            "problem": self.problem,
        }


class ClaudeWriter:
    """Fills a brief with Claude, on a bot's account. One instance per document: it remembers its calls.

    `seconds` bounds everything it does, retries and repair included, from the first call on; `backoff` is the
    first wait (seconds) before a call is made again, where the vendor named none."""

    name = "claude"

    def __init__(
        self,
        model: LanguageModel,
        budget: TokenBudget,
        allowance: Allowance,
        *,
        model_id: str,
        seconds: float = 45.0,
        backoff: float = 1.0,
    ) -> None:
        self.model_id = model_id
        self.calls: list[Call] = []
        self.alert = False
        self._model = model
        self._budget = budget
        self._allowance = allowance
        self._seconds = seconds
        self._backoff = backoff
        self._deadline: float | None = None

    def write(self, bundle: Bundle, brief: WritingBrief) -> Draft:
        """Fill the slots. Raises `BudgetExceededError`, `WriterRestingError`, `UnusableAnswerError`, or the
        failure of the vendor."""
        texts = self._ask(bundle, brief, request_text(bundle, brief))
        return self._draft(brief, texts)

    def repair(self, bundle: Bundle, brief: WritingBrief, draft: Draft, violations: Sequence[Violation]) -> Draft:
        """The draft with its refused slots written again; the model is told what was wrong with them.
        Slots that were not refused stay as they are. Raises as `write` does."""
        refused = {violation.slot for violation in violations}
        narrowed = replace(brief, slots=tuple(slot for slot in brief.slots if slot.name in refused))
        if not narrowed.slots:
            raise UnusableAnswerError("the draft was refused for something outside its slots")
        asked = request_text(bundle, narrowed, draft=draft, violations=violations)
        texts = self._ask(bundle, narrowed, asked)
        kept = {name: text for name, text in draft.slots.items() if name not in refused}
        return self._draft(brief, kept | texts)

    @property
    def tokens(self) -> int:
        """Tokens used so far, as far as the vendor said."""
        return sum(call.usage.total for call in self.calls if call.usage)

    @property
    def ledger_ids(self) -> list[int]:
        return [call.ledger_id for call in self.calls]

    def _draft(self, brief: WritingBrief, texts: Mapping[str, str]) -> Draft:
        slots = {slot.name: texts[slot.name] for slot in brief.slots if texts.get(slot.name)}
        return Draft(slots=slots, writer="claude", model=self.model_id, tokens=self.tokens)

    # The call ---------------------------------------------------------------------------------------------------

    def _ask(self, bundle: Bundle, brief: WritingBrief, user: str) -> dict[str, str]:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._seconds
        request = ModelRequest(
            model=self.model_id,
            system=system_prompt(brief.kind),
            user=user,
            schema=answer_schema(brief),
            max_tokens=output_bound(brief),
        )
        tokens = self._input_tokens(request) + request.max_tokens
        reservation, answer = self._with_retries(request, tokens)
        names = tuple(slot.name for slot in brief.slots)
        try:
            texts = read_answer(answer, brief)
        except UnusableAnswerError as error:
            self._record(names, reservation, answer, problem=str(error))
            raise
        self._record(names, reservation, answer)
        return texts

    def _input_tokens(self, request: ModelRequest) -> int:
        try:
            counted = self._model.count_tokens(request, timeout=min(COUNT_SECONDS, self._left()))
        except (TransientFailure, PermanentFailure) as error:
            log.info("counting tokens failed (%s): estimating instead", error)
            return estimated_tokens(request)
        # A count that is impossibly low would reserve less than the call can cost.
        return max(counted, estimated_tokens(request) // 3)

    def _with_retries(self, request: ModelRequest, tokens: int) -> tuple[Reservation, ModelAnswer]:
        """The one retry layer: up to `ATTEMPTS` calls inside the deadline, each reserved before it is made."""
        for attempt in range(1, ATTEMPTS + 1):
            if self._budget.recent_failures(BREAKER_WINDOW) >= BREAKER_FAILURES:
                minutes = int(BREAKER_WINDOW.total_seconds() // 60)
                raise WriterRestingError(f"it failed {BREAKER_FAILURES} times within {minutes} minutes and is resting")
            seconds = min(CALL_SECONDS, self._left())
            reservation = self._budget.reserve(self._allowance, model=self.model_id, tokens=tokens)
            self.alert = self.alert or reservation.alert
            try:
                answer = self._model.complete(request, timeout=seconds)
            except AmbiguousFailure as error:
                self._budget.leave(reservation, outcome=f"failed: {error}")
                failure: TransientFailure = error
            except TransientFailure as error:
                self._budget.release(reservation, outcome=f"failed: {error}")
                failure = error
            except PermanentFailure as error:
                self._budget.release(reservation, outcome=f"refused: {error}")
                raise
            except BaseException:
                self._budget.leave(reservation, outcome="interrupted")
                raise
            else:
                return reservation, answer
            backoff = self._backoff * 2 ** (attempt - 1) * random.uniform(0.75, 1)  # noqa: S311 - jitter, not a secret
            wait = backoff if failure.retry_after is None else failure.retry_after
            if attempt == ATTEMPTS or wait + 1 > self._left():
                raise failure
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _record(
        self, names: tuple[str, ...], reservation: Reservation, answer: ModelAnswer, problem: str | None = None
    ) -> None:
        outcome = "ok" if problem is None else f"unusable: {problem}"
        if answer.usage is None:
            # Served, and nobody can say for how much: what was reserved goes on counting.
            self._budget.leave(reservation, outcome=f"{outcome}; the vendor's count is missing")
        else:
            self._budget.spend(reservation, answer.usage, outcome=outcome)
        text = storable(answer.text)
        self.calls.append(
            Call(
                slots=names,
                model=self.model_id,
                text=text if problem is None else text[:KEPT_OF_A_BAD_ANSWER],
                stopped=answer.stopped,
                usage=answer.usage,
                request_id=answer.request_id,
                ledger_id=reservation.id,
                problem=problem,
            )
        )

    def _left(self) -> float:
        assert self._deadline is not None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TransientFailure(f"it did not finish within {self._seconds:g} s")
        return left


# What the model is shown --------------------------------------------------------------------------------------------


def system_prompt(kind: str) -> str:
    """The prompt of a document kind: `prompts/<kind>.md` and the words every kind must do without.

    The same text at every call, for it is the part the vendor keeps: a repair reads it at a tenth of its price. What
    changes with the document stands after it, in the user's message."""
    path = PROMPTS / f"{kind}.md"
    try:
        return f"{path.read_text(encoding='utf-8')}\n{WORDS.read_text(encoding='utf-8')}"
    except FileNotFoundError:
        raise ConfigurationError(f"There is no prompt for documents of kind {kind!r}: add {path.name}.") from None


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
    paths = ["value"] if fact.known else ["unknown_since"]
    if any(char.isdigit() for char in fact.label):
        paths.append("label")
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


# What came back -----------------------------------------------------------------------------------------------------


def read_answer(answer: ModelAnswer, brief: WritingBrief) -> dict[str, str]:
    """The slots' texts. Raises `UnusableAnswerError`, in our own words, for anything but the agreed JSON object."""
    if not answer.finished:
        raise UnusableAnswerError(f"its answer was not finished: {answer.stopped}")
    return read_text(answer.text, tuple(slot.name for slot in brief.slots))


def read_text(text: str, names: tuple[str, ...]) -> dict[str, str]:
    """Parse a recorded or fresh answer to the slots `names`; white space is collapsed, empty slots are left out."""
    if len(text) > ANSWER_LIMIT:
        raise UnusableAnswerError(f"its answer has {len(text):,} characters")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableAnswerError("its answer is not JSON") from None
    if not isinstance(parsed, dict) or set(parsed) - set(names):
        raise UnusableAnswerError("its answer has other fields than the slots")
    texts: dict[str, str] = {}
    for name in names:
        value = parsed.get(name, "")
        if not isinstance(value, str):
            raise UnusableAnswerError("its answer has a slot that is not text")
        if value != storable(value):
            raise UnusableAnswerError("its answer has characters that cannot be stored")
        if collapsed := " ".join(value.split()):
            texts[name] = collapsed
    if not texts:
        raise UnusableAnswerError("its answer is empty")
    return texts


def storable(text: str) -> str:
    """`text` without what jsonb cannot hold: NUL characters and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def replay(model_output: Mapping[str, Any], brief: WritingBrief) -> Draft:
    """The draft that recorded output led to, without calling anybody: the first answer, and then the repair over
    it. Raises `DataFailure` where the record does not hold a usable answer."""
    texts: dict[str, str] = {}
    model: str | None = None
    for recorded in model_output["calls"]:
        if recorded["problem"] is not None:
            continue
        names = tuple(recorded["slots"])
        try:
            answered = read_text(recorded["text"], names)
        except UnusableAnswerError as error:
            raise DataFailure(f"The recorded answer cannot be read: {error}") from None
        texts = {name: text for name, text in texts.items() if name not in names} | answered
        model = recorded["model"]
    if not texts:
        raise DataFailure("The record holds no usable answer.")
    tokens = sum(sum(recorded["usage"].values()) for recorded in model_output["calls"] if recorded["usage"])
    ordered = {slot.name: texts[slot.name] for slot in brief.slots if slot.name in texts}
    return Draft(slots=ordered, writer="claude", model=model, tokens=tokens)

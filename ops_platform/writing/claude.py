"""The Claude writer: a bundle and a brief become one bounded call, and its answer a draft.

Belongs here: what the model is shown, the schema of its answer, the estimate, settling a call, reading the answer. Does
not belong here: the wire (`resources/claude.py`), retries and the breaker (`calling.py`), whether the draft may be
published (`claims.py`), what happens when this fails (`compose.py`).

The model has no tools, no secrets and no network, and sees what a reader would see: facts as they will be
shown, and other people's words marked as such. Whatever comes back is data: it is parsed strictly here and
checked by `claims.check` afterwards, so that a hostile model can at worst be ignored.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure, PermanentFailure, TransientFailure
from ops_platform.writing.asking import (
    answer_schema,
    estimated_tokens,
    output_bound,
    prompt_name,
    request_text,
    system_prompt,
)
from ops_platform.writing.calling import Calls
from ops_platform.writing.draft import Draft, WritingBrief
from ops_platform.writing.model import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.batches import Batches
    from ops_platform.writing.budget import Allowance, Reservation, TokenBudget, Usage
    from ops_platform.writing.claims import Violation
    from ops_platform.writing.model import LanguageModel, ModelAnswer

log = logging.getLogger(__name__)

COUNT_SECONDS = 5.0
ANSWER_LIMIT = 20_000
KEPT_OF_A_BAD_ANSWER = 2_000


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
    first wait (seconds) before a call is made again, where the vendor named none. With `batches` a call waits for the
    vendor's batch first, as long as those allow; only then the seconds begin."""

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
        batches: Batches | None = None,
    ) -> None:
        self.model_id = model_id
        self.calls: list[Call] = []
        self._model = model
        self._budget = budget
        self._allowance = allowance
        self._calling = Calls(budget, allowance, model_id=model_id, seconds=seconds, backoff=backoff)
        self._batches = batches
        self._keep: bool | None = None

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
    def alert(self) -> bool:
        """Whether a reservation passed 80 % of the fleet's tokens."""
        return self._calling.alert

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
        system = system_prompt(brief.kind)
        request = ModelRequest(
            model=self.model_id,
            system=system,
            user=user,
            schema=answer_schema(brief),
            max_tokens=output_bound(brief),
            keep=False,
        )
        tokens: int | None = None
        served = None
        if self._batches is not None and not self._calling.begun:
            tokens = self._input_tokens(request, COUNT_SECONDS) + request.max_tokens
            served = self._batches.answer(request, tokens, self._allowance, prompt_name(system))
        if served is None:
            self._calling.begin()
            request = replace(request, keep=self._worth_keeping(system))
            if tokens is None:
                tokens = self._input_tokens(request, min(COUNT_SECONDS, self._calling.left())) + request.max_tokens
            made = request
            served = self._calling.make(
                lambda seconds: self._model.complete(made, timeout=seconds), tokens, prompt_name(system)
            )
        reservation, answer = served
        names = tuple(slot.name for slot in brief.slots)
        try:
            texts = read_answer(answer, brief)
        except UnusableAnswerError as error:
            self._record(names, reservation, answer, problem=str(error))
            raise
        self._record(names, reservation, answer)
        return texts

    def _worth_keeping(self, system: str) -> bool:
        """Whether the vendor is asked to keep the prompt: where it was read again often enough to pay for that. Decided
        once a document, since a repair reads what its first call had kept."""
        if self._keep is None:
            share = self._budget.read_again(self.model_id, prompt_name(system))
            self._keep = share is not None and share >= self._budget.pays_from(self.model_id)
        return self._keep

    def _input_tokens(self, request: ModelRequest, seconds: float) -> int:
        try:
            counted = self._model.count_tokens(request, timeout=seconds)
        except (TransientFailure, PermanentFailure) as error:
            log.info("counting tokens failed (%s): estimating instead", error)
            return estimated_tokens(request)
        # A count that is impossibly low would reserve less than the call can cost.
        return max(counted, estimated_tokens(request) // 3)

    def _record(
        self, names: tuple[str, ...], reservation: Reservation, answer: ModelAnswer, problem: str | None = None
    ) -> None:
        outcome = "ok" if problem is None else f"unusable: {problem}"
        if reservation.settled:
            pass  # a process that died after it had settled this batch
        elif answer.usage is None:
            # Served, and nobody can say for how much: what was reserved goes on counting.
            self._budget.leave(reservation, outcome=f"{outcome}; the vendor's count is missing")
        else:
            self._budget.spend(reservation, answer.usage, outcome=outcome)
        if self._batches is not None:
            failpoint("batches.answered")
            self._batches.settled(reservation)
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

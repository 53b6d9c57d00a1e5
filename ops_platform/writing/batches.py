"""Calls that can wait: handed to the vendor's batch, at its share of the price, and looked after until it ends.

Belongs here: handing in, waiting, giving up, finding again what a dead process had handed in. Does not belong here: the
wire (`resources/claude.py`), what a request says (`claude.py`), the bounds (`budget.py`).

A batch is a bet on time. Whoever waits gives it so long and no longer: then it is called off and the call is made as
any other. A batch may be worked through although it was called off; what it gave is then used, for it was paid for.

The vendor has no idempotency key. What is handed in is written down first and found by its digest, so a second process
waits for the batch of the first. Where nobody can know whether a batch was taken, it counts as taken and lost, and the
call is made anew: at worst a call is paid twice, and the budget has counted both.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from ops_platform import progress
from ops_platform.failpoints import failpoint
from ops_platform.failures import AmbiguousFailure, PermanentFailure, TransientFailure
from ops_platform.writing.budget import wall_clock

if TYPE_CHECKING:
    from ops_platform.writing.budget import Allowance, Connect, Reservation, TokenBudget
    from ops_platform.writing.model import ModelAnswer, ModelRequest

log = logging.getLogger(__name__)

CALL_SECONDS = 15.0
FIRST_POLL_SECONDS = 5.0
LAST_POLL_SECONDS = 60.0
# Below this a batch is not begun: it seldom ends so soon.
LEAST_SECONDS = 60.0
# How long after calling a batch off its end is awaited, to learn what it cost.
GRACE_SECONDS = 60.0


class BatchModel(Protocol):
    """A vendor that takes calls in batches. No method retries; failures carry our words only."""

    def submit(self, request: ModelRequest, name: str, *, timeout: float) -> str:
        """Hand in one call under `name`; the batch's id. Raises as `LanguageModel.complete`."""
        ...

    def collect(self, batch_id: str, name: str, *, timeout: float) -> ModelAnswer | None:
        """The answer, None while the batch goes on. Raises `PermanentFailure` where it ended without one."""
        ...

    def cancel(self, batch_id: str, *, timeout: float) -> None:
        """Call the batch off. Whether it stops in time is seen by `collect`."""
        ...


@dataclass(frozen=True, slots=True)
class _Open:
    """A call that was handed in and not yet accounted for."""

    id: int
    batch_id: str
    reservation: Reservation


class Batches:
    """The batches of one document's calls. `wait_seconds` bounds all of its waiting together."""

    def __init__(
        self,
        model: BatchModel,
        connect: Connect,
        budget: TokenBudget,
        *,
        wait_seconds: float,
        poll_seconds: float = FIRST_POLL_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        least_seconds: float = LEAST_SECONDS,
    ) -> None:
        self._model = model
        self._connect = connect
        self._budget = budget
        self._wait_seconds = wait_seconds
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self._least_seconds = least_seconds
        self._deadline: float | None = None

    def answer(
        self, request: ModelRequest, tokens: int, allowance: Allowance, prompt: str
    ) -> tuple[Reservation, ModelAnswer] | None:
        """The answer of a batch, with the reservation to settle; None where the call should be made at once instead.
        Raises `BudgetExceededError`, and nothing of the vendor's."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._wait_seconds
        name = digest_of(request)
        found = self._found(name) or self._handed_in(name, request, tokens, allowance, prompt)
        if found is None:
            return None
        progress.report("report: waiting for the vendor's batch")
        answer = self._awaited(found, name)
        return None if answer is None else (found.reservation, answer)

    def settled(self, reservation: Reservation) -> None:
        """The answer was read and accounted for: its batch is done with."""
        self._end("ledger_id", reservation.id, "collected")

    # Handing in -----------------------------------------------------------------------------------------------

    def _found(self, name: str) -> _Open | None:
        """What this very request handed in before, if its batch is known."""
        with self._connect() as conn:
            row = conn.execute(
                "select id, batch_id, ledger_id from ops.model_batches"
                " where request = %s and state in ('submitting', 'submitted')",
                (name,),
            ).fetchone()
        if row is None:
            return None
        number, batch_id, ledger_id = row
        if batch_id is None:
            # Somebody died while handing it in: whether the vendor took it nobody knows.
            self._end("id", number, "lost")
            return None
        log.info("waiting again for batch %s", batch_id)
        return _Open(number, batch_id, self._budget.reservation(ledger_id))

    def _handed_in(
        self, name: str, request: ModelRequest, tokens: int, allowance: Allowance, prompt: str
    ) -> _Open | None:
        if self._left() < self._least_seconds:
            return None
        reservation = self._budget.reserve(allowance, model=request.model, tokens=tokens, prompt=prompt)
        with self._connect() as conn, conn.transaction():
            row = conn.execute(
                "insert into ops.model_batches (request, ledger_id, state, submitted_at)"
                " values (%s, %s, 'submitting', %s) returning id",
                (name, reservation.id, wall_clock()),
            ).fetchone()
            assert row is not None
        failpoint("batches.noted")
        try:
            batch_id = self._model.submit(request, name, timeout=CALL_SECONDS)
        except AmbiguousFailure as error:
            self._budget.leave(reservation, outcome=f"batch: {error}")
            self._end("id", row[0], "lost")
            return None
        except (TransientFailure, PermanentFailure) as error:
            log.info("no batch was taken: %s", error)
            self._budget.release(reservation, outcome=f"batch: {error}")
            self._end("id", row[0], "failed")
            return None
        failpoint("batches.submitted")
        with self._connect() as conn, conn.transaction():
            conn.execute(
                "update ops.model_batches set batch_id = %s, state = 'submitted' where id = %s", (batch_id, row[0])
            )
        failpoint("batches.kept")
        return _Open(row[0], batch_id, reservation)

    # Waiting --------------------------------------------------------------------------------------------------

    def _awaited(self, found: _Open, name: str) -> ModelAnswer | None:
        try:
            answer = self._polled(found, name, self._left())
            if answer is None:
                self._call_off(found)
                answer = self._polled(found, name, self._grace_seconds)
        except PermanentFailure as error:
            # Errored, expired or called off: the vendor charges nothing for those.
            if not found.reservation.settled:
                self._budget.release(found.reservation, outcome=f"batch: {error}")
            self._end("id", found.id, "failed")
            return None
        if answer is None:
            if not found.reservation.settled:
                self._budget.leave(found.reservation, outcome="batch: not ended in time")
            self._end("id", found.id, "lost")
        return answer

    def _polled(self, found: _Open, name: str, seconds: float) -> ModelAnswer | None:
        """Ask until the batch ended or the time is over; asked at least once."""
        until, wait = time.monotonic() + seconds, self._poll_seconds
        while True:
            try:
                answer = self._model.collect(found.batch_id, name, timeout=CALL_SECONDS)
            except TransientFailure as error:  # it goes on without us
                log.info("batch %s could not be asked after: %s", found.batch_id, error)
                answer = None
            if answer is not None or time.monotonic() + wait > until:
                return answer
            time.sleep(wait)
            wait = min(wait * 1.5, LAST_POLL_SECONDS)

    def _call_off(self, found: _Open) -> None:
        try:
            self._model.cancel(found.batch_id, timeout=CALL_SECONDS)
        except (TransientFailure, PermanentFailure) as error:
            log.info("batch %s could not be called off: %s", found.batch_id, error)

    def _left(self) -> float:
        assert self._deadline is not None
        return max(self._deadline - time.monotonic(), 0.0)

    def _end(self, column: str, value: Any, state: str) -> None:
        assert column in ("id", "ledger_id")
        with self._connect() as conn, conn.transaction():
            conn.execute(
                f"update ops.model_batches set state = %s, ended_at = %s"
                f" where {column} = %s and state in ('submitting', 'submitted')".encode(),
                (state, wall_clock(), value),
            )


def digest_of(request: ModelRequest) -> str:
    """A name for the whole request, as the vendor allows names (letters, digits, at most 64)."""
    whole = [request.model, request.system, request.user, dict(request.schema), request.max_tokens]
    return "r" + hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()[:40]

"""The one retry layer: a call to a model, reserved before it is made, bounded in time, rested after many failures.

Belongs here: how often and how long a call is tried, its reservation, the breaker. Does not belong here: what is asked
(`asking.py`, the agents' tools), the wire (`resources/claude.py`), settling what a call took (whoever reads the
answer).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from ops_platform.failures import AmbiguousFailure, PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from ops_platform.writing.budget import Allowance, Reservation, TokenBudget

CALL_SECONDS = 30.0
ATTEMPTS = 3
BREAKER_FAILURES = 5
BREAKER_WINDOW = timedelta(minutes=10)
T = TypeVar("T")


class WriterRestingError(TransientFailure):
    """The breaker is open: the model failed so often lately that it is not asked for a while."""


class Calls:
    """The calls made for one document or answer. `seconds` bounds all of them together, from the first on; `backoff` is
    the first wait (seconds) before a call is made again, where the vendor named none. `alert` turns true when a
    reservation passes 80 % of the fleet's tokens."""

    def __init__(
        self,
        budget: TokenBudget,
        allowance: Allowance,
        *,
        model_id: str,
        seconds: float = 45.0,
        backoff: float = 1.0,
    ) -> None:
        self.alert = False
        self._budget, self._allowance, self._model_id = budget, allowance, model_id
        self._seconds, self._backoff = seconds, backoff
        self._deadline: float | None = None

    @property
    def begun(self) -> bool:
        """Whether the time runs."""
        return self._deadline is not None

    def begin(self) -> None:
        """Let the time run, if it does not yet."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._seconds

    def left(self) -> float:
        """Seconds left. Raises `TransientFailure` where there are none."""
        assert self._deadline is not None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TransientFailure(f"it did not finish within {self._seconds:g} s")
        return left

    def make(self, call: Callable[[float], T], tokens: int, prompt: str) -> tuple[Reservation, T]:
        """Up to `ATTEMPTS` calls inside the deadline, each with `tokens` reserved before it is made; `call` gets the
        seconds it may take. A call that ended without an answer stays counted, for it may have been served."""
        self.begin()
        for attempt in range(1, ATTEMPTS + 1):
            if self._budget.recent_failures(BREAKER_WINDOW) >= BREAKER_FAILURES:
                minutes = int(BREAKER_WINDOW.total_seconds() // 60)
                raise WriterRestingError(f"it failed {BREAKER_FAILURES} times within {minutes} minutes and is resting")
            seconds = min(CALL_SECONDS, self.left())
            reservation = self._budget.reserve(self._allowance, model=self._model_id, tokens=tokens, prompt=prompt)
            self.alert = self.alert or reservation.alert
            try:
                return reservation, call(seconds)
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
            backoff = self._backoff * 2 ** (attempt - 1) * random.uniform(0.75, 1)  # noqa: S311 - jitter, not a secret
            wait = backoff if failure.retry_after is None else failure.retry_after
            if attempt == ATTEMPTS or wait + 1 > self.left():
                raise failure
            time.sleep(wait)
        raise AssertionError("unreachable")

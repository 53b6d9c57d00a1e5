"""The one bounded retry of the house: how long to go on, when to wait, when to give up.

Belongs here: repeating what failed transiently, whatever it was (an HTTP call, a page of SQL). Does not belong
here: deciding what is transient (`http.py`, `app_database/failures.py`, a vendor's own judge).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops_platform.failures import TransientFailure

log = logging.getLogger(__name__)

UNREACHABLE_TRIES = 5


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long one call may go on. Waits grow from `first_wait` to `longest_wait` seconds, jittered; a
    `Retry-After` is obeyed as long as it fits into `budget_seconds`, the whole time of the call."""

    tries: int = 6
    budget_seconds: float = 240.0
    first_wait: float = 0.5
    longest_wait: float = 30.0


class Unreachable(TransientFailure):
    """Nobody answers at the address: the request was not sent."""


def worth_another_try(failure: BaseException) -> bool:
    """Whether a failure may pass by itself: transient, and not already tried to its end by a call within this
    one (a token request inside a query), so that two layers of retries never multiply."""
    return isinstance(failure, TransientFailure) and not failure.exhausted


def repeat(
    attempt: Callable[[], Any],
    what: str,
    policy: RetryPolicy,
    *,
    vendor: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
) -> Any:
    """Run `attempt` until it returns, raises something that is not a `TransientFailure`, or the policy's
    tries or time are used up; then raise the last `TransientFailure` with what was tried.

    `sleep`, `clock` (monotonic seconds) and `draw` (0 to 1) are given by tests."""
    started = clock()
    tries = 0
    while True:
        tries += 1
        try:
            return attempt()
        except TransientFailure as failure:
            pause = _pause(failure, tries, policy, draw)
            # A host that is not there will hardly come up within the minutes that a busy one is given.
            most = min(policy.tries, UNREACHABLE_TRIES) if isinstance(failure, Unreachable) else policy.tries
            over = tries >= most or clock() - started + pause > policy.budget_seconds
            if over or not worth_another_try(failure):
                if tries == 1:
                    raise
                spent = type(failure)(
                    f"{failure} (gave up after {tries} tries in {clock() - started:.0f} s)",
                    retry_after=failure.retry_after,
                )
                spent.exhausted = True
                raise spent from failure
            log.warning("%s: %s, try %d: %s; again in %.1f s", vendor, what, tries, failure, pause)
        sleep(pause)


def _pause(failure: TransientFailure, tries: int, policy: RetryPolicy, draw: Callable[[], float]) -> float:
    """Seconds to wait after so many tries."""
    asked = failure.retry_after
    if asked is not None:
        # A little later than asked, so that several clients told the same moment do not meet again.
        return float(asked) + min(1.0, 0.1 * float(asked)) * draw()
    ceiling = min(policy.longest_wait, policy.first_wait * 2 ** (tries - 1))
    return ceiling * (0.5 + 0.5 * draw())

"""Airtable's limits: five requests a second and base, fifty a user, half a minute of silence, a monthly cap.

Belongs here: what is let through. Does not belong here: the body of the answer (`side.py`). Limits run on the
machine's own clock, because the client waits in real time; tests may give another.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

PER_BASE = 5
PER_USER = 50
WINDOW_SECONDS = 1.0
PENALTY_SECONDS = 30.0
# Calls of a month on the plan without a fee.
MONTHLY_CALLS = 1_000


class RateLimits:
    """Profile `generous` never refuses; `standard` holds to the rates; `restricted` to the monthly cap, too."""

    def __init__(self, profile: str = "generous", clock: Callable[[], float] = time.monotonic) -> None:
        self.profile = profile
        self.clock = clock
        self._lock = threading.Lock()
        self._calls: dict[str, deque[float]] = {}
        self._silent_until: dict[str, float] = {}
        self._month: dict[str, int] = {}

    def refuse(self, token: str, base: str | None) -> str | None:
        """ "rate" or "month" where the call is one too many, None where it may go on."""
        if self.profile == "generous":
            return None
        now = self.clock()
        with self._lock:
            if self.profile == "restricted":
                self._month[token] = self._month.get(token, 0) + 1
                if self._month[token] > MONTHLY_CALLS:
                    return "month"
            lanes = [(f"user|{token}", PER_USER)] + ([(f"base|{base}", PER_BASE)] if base else [])
            for name, most in lanes:
                if now < self._silent_until.get(name, 0.0):
                    # A call within the silence begins it anew.
                    self._silent_until[name] = now + PENALTY_SECONDS
                    return "rate"
                calls = self._calls.setdefault(name, deque())
                while calls and now - calls[0] >= WINDOW_SECONDS:
                    calls.popleft()
                calls.append(now)
                if len(calls) > most:
                    calls.clear()
                    self._silent_until[name] = now + PENALTY_SECONDS
                    return "rate"
        return None

"""GitHub's rate limits: a primary one an hour, one for the search a minute, and secondary ones.

Belongs here: how many calls are let through, and the headers that say so. Does not belong here: the answer to a
refused one (`side.py`). Limits run on the machine's own clock, for the client waits in real time, unless whoever tells
the time faster sets `now`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

PROFILES = ("generous", "standard", "restricted")
# (calls, seconds) by profile: `standard` as a personal token has them, `restricted` as without a token.
_CORE = {"generous": (15_000, 3600), "standard": (5_000, 3600), "restricted": (60, 3600)}
_SEARCH = {"generous": (1_000, 60), "standard": (30, 60), "restricted": (10, 60)}
# Points a minute, one for each GET, five for each change: the secondary limit.
_POINTS = {"generous": 500_000, "standard": 900, "restricted": 900}
# Changes a minute: what GitHub calls content-generating requests.
_WRITES = {"generous": 50_000, "standard": 80, "restricted": 20}


@dataclass(slots=True)
class Standing:
    """Where a token stands in one resource; `refused` is "primary" or "secondary" where the call is one too many."""

    resource: str
    limit: int
    used: int
    reset: int
    refused: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, self.limit - self.used)),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.reset),
            "x-ratelimit-resource": self.resource,
        }


class RateLimits:
    """Fixed windows a token and resource, as GitHub counts them."""

    def __init__(self, profile: str = "generous") -> None:
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}
        self._profile = profile
        self.now: Callable[[], float] = time.time

    @property
    def profile(self) -> str:
        return self._profile

    @profile.setter
    def profile(self, name: str) -> None:
        with self._lock:
            if name != self._profile:
                self._windows.clear()
            self._profile = name

    def take(self, token: str, resource: str, *, cost: int = 1, writes: bool = False) -> Standing:
        """Count a call (or none, with `cost=0`) and say where the token stands."""
        with self._lock:
            limit, seconds = (_SEARCH if resource == "search" else _CORE)[self._profile]
            used, reset = self._count(token, resource, seconds, cost)
            if used > limit:
                self._windows[token, resource] = (reset, limit)
                return Standing(resource, limit, limit, int(reset) + 1, "primary")
            points, _ = self._count(token, "points", 60, cost * 5 if writes else cost)
            refused = "secondary" if points > _POINTS[self._profile] else None
            if writes and self._count(token, "writes", 60, cost)[0] > _WRITES[self._profile]:
                refused = "secondary"
            return Standing(resource, limit, used, int(reset) + 1, refused)

    def give_back(self, token: str, resource: str) -> None:
        """A call that turned out to cost nothing (304)."""
        with self._lock:
            reset, used = self._windows.get((token, resource), (0.0, 0))
            self._windows[token, resource] = (reset, max(0, used - 1))

    def _count(self, token: str, resource: str, seconds: int, cost: int) -> tuple[int, float]:
        now = self.now()
        reset, used = self._windows.get((token, resource), (0.0, 0))
        if now >= reset:
            reset, used = now + seconds, 0
        used += cost
        self._windows[token, resource] = (reset, used)
        return used, reset

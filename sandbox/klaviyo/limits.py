"""Klaviyo's rate limits: fixed windows per account and endpoint, and the daily quota of reports.

Belongs here: how many calls are let through, and the headers that say so. Does not belong here: the answer to a
refused one (`side.py`). Limits run on the machine's own clock: the client waits in real time.
"""

from __future__ import annotations

import math
import threading
import time

PROFILES = ("generous", "standard", "restricted")
# endpoint → calls a second, a minute, a day
LIMITS: dict[str, tuple[int, int, int | None]] = {
    "accounts": (1, 15, None),
    "campaigns": (10, 150, None),
    "events": (350, 3500, None),
    "flows": (3, 60, None),
    "lists": (75, 750, None),
    "segments": (75, 750, None),
    "metrics": (10, 150, None),
    "metric-aggregates": (3, 60, None),
    "campaign-values-reports": (1, 2, 225),
    "flow-values-reports": (1, 2, 225),
}
# The same of what is made.
MAKING: dict[str, tuple[int, int, int | None]] = {
    "lists-write": (10, 150, None),
    "profiles-write": (75, 750, None),
    "templates": (10, 150, None),
}
# A generous account has room for tests; a restricted one shares its windows with other keys that are busy.
_GENEROUS = 10_000
_RESTRICTED_SHARE = 3
_RESTRICTED_DAILY = 4


class RateLimits:
    """What is left in each window. Only what is let through counts."""

    def __init__(self, profile: str = "generous") -> None:
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, int], tuple[int, int]] = {}
        self._profile = profile

    @property
    def profile(self) -> str:
        return self._profile

    @profile.setter
    def profile(self, name: str) -> None:
        with self._lock:
            self._windows.clear()
            self._profile = name

    def take(self, endpoint: str) -> tuple[int | None, dict[str, str]]:
        """Seconds to wait where the call is one too many (else None), and the headers of an answer let through."""
        burst, steady, daily = LIMITS.get(endpoint) or MAKING[endpoint]
        if self._profile == "generous":
            burst, steady, daily = _GENEROUS, _GENEROUS, None if daily is None else _GENEROUS
        elif self._profile == "restricted":
            burst, steady = max(1, burst // _RESTRICTED_SHARE), max(1, steady // _RESTRICTED_SHARE)
            daily = None if daily is None else _RESTRICTED_DAILY
        windows = [(86_400, daily)] if daily is not None else []
        windows += [(60, steady), (1, burst)]
        now = time.time()
        with self._lock:
            for seconds, most in windows:
                if self._used(endpoint, seconds, now) >= most:
                    return max(1, math.ceil(seconds - now % seconds)), {}
            for seconds, _ in windows:
                number = int(now // seconds)
                self._windows[endpoint, seconds] = (number, self._used(endpoint, seconds, now) + 1)
            left = steady - self._used(endpoint, 60, now)
        said = f"{steady}, {burst};w=1, {steady};w=60" + (f", {daily};w=86400" if daily is not None else "")
        reset = str(math.ceil(60 - now % 60))
        return None, {"ratelimit-limit": said, "ratelimit-remaining": str(left), "ratelimit-reset": reset}

    def _used(self, endpoint: str, seconds: int, now: float) -> int:
        number, used = self._windows.get((endpoint, seconds), (0, 0))
        return used if number == int(now // seconds) else 0

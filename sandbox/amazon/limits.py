"""Amazon's rate plans: a token bucket an operation, per application and seller.

Belongs here: how many calls are let through, and the rate the answer's header tells. Does not belong here: the
answer to a refused one (`side.py`). Buckets run on the machine's own clock: the client waits in real time.
"""

from __future__ import annotations

import threading
import time

# Documented defaults: calls a second, burst.
PLANS = {
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "getOrderMetrics": (0.5, 15),
    "getInventorySummaries": (2.0, 2),
    "searchListingsItems": (5.0, 5),
    "getListingsItem": (5.0, 10),
    "createReport": (0.0167, 15),
    "getReport": (2.0, 15),
    "getReports": (0.0222, 10),
    "getReportDocument": (0.0167, 15),
    "getMarketplaceParticipations": (0.016, 15),
}
GENEROUS = (100.0, 10_000)
# A seller whom Amazon gives less: half the rate, a quarter of the burst.
RESTRICTED_SHARE = (0.5, 4)


class RateLimits:
    """Profile `generous` hardly refuses and says so in the header, `standard` holds to the documented plans,
    `restricted` to less than them."""

    def __init__(self, profile: str = "generous") -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._profile = profile

    @property
    def profile(self) -> str:
        return self._profile

    @profile.setter
    def profile(self, name: str) -> None:
        with self._lock:
            self._profile = name
            self._buckets.clear()

    def plan(self, operation: str) -> tuple[float, int]:
        """(rate a second, burst) in force."""
        if self._profile == "generous":
            return GENEROUS
        rate, burst = PLANS[operation]
        if self._profile == "restricted":
            return rate * RESTRICTED_SHARE[0], max(1, burst // RESTRICTED_SHARE[1])
        return rate, burst

    def allow(self, caller: str, operation: str) -> bool:
        rate, burst = self.plan(operation)
        now = time.monotonic()
        with self._lock:
            level, at = self._buckets.get((caller, operation), (float(burst), now))
            level = min(float(burst), level + (now - at) * rate)
            allowed = level >= 1.0
            self._buckets[caller, operation] = (level - 1.0 if allowed else level, now)
        return allowed

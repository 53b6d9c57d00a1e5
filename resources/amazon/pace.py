"""How often Amazon lets each operation be called, and waiting so that it need not refuse.

Belongs here: the token buckets and the published plans. Does not belong here: what a refusal looks like
(`client.py`), how long a whole sync may take (`source.py`).

Every operation has a bucket of its own, per seller and application: `burst` calls at once, then `rate` a second.
The rates are so slow (an order page every three minutes once the burst is spent) that a client that only reacts
to refusals would spend its time being refused. The answer's header tells the rate in force, never what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RATE_HEADER = "x-amzn-ratelimit-limit"


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` in calls a second, `burst` in calls."""

    rate: float
    burst: int


PLANS: Mapping[str, Plan] = {
    "searchOrders": Plan(0.0056, 20),
    "getOrderMetrics": Plan(0.5, 15),
    "getInventorySummaries": Plan(2.0, 2),
    "searchListingsItems": Plan(5.0, 5),
    "createReport": Plan(0.0167, 15),
    "getReport": Plan(2.0, 15),
    "getReports": Plan(0.0222, 10),
    "getReportDocument": Plan(0.0167, 15),
}


class Bucket:
    """One operation's allowance as this process believes it to be: full at first, since what another process
    took cannot be known. A refusal corrects the belief."""

    def __init__(self, plan: Plan) -> None:
        self.rate = plan.rate
        self.burst = plan.burst
        self._level = float(plan.burst)
        self._at: float | None = None

    @property
    def refill_seconds(self) -> float:
        """How long one call takes to come back."""
        return 1.0 / self.rate

    def wait(self, now: float) -> float:
        """Seconds until a call is allowed; 0 where it is."""
        self._fill(now)
        return 0.0 if self._level >= 1.0 else (1.0 - self._level) / self.rate

    def take(self, now: float) -> None:
        """A call goes out, after whatever wait was asked for."""
        self._fill(now)
        self._level = max(0.0, self._level - 1.0)

    def refused(self, now: float) -> None:
        """Amazon says that nothing is left."""
        self._level, self._at = 0.0, now

    def adopt(self, header: str | None) -> None:
        """Go on at the rate an answer tells; one that makes no sense is ignored."""
        try:
            rate = float(header or "")
        except ValueError:
            return
        if 0.0 < rate <= 10_000.0:
            self.rate = rate

    def _fill(self, now: float) -> None:
        if self._at is not None:
            self._level = min(float(self.burst), self._level + max(0.0, now - self._at) * self.rate)
        self._at = now

"""The endpoints of Klaviyo that are read: path, scope, page size, and how often each may be asked.

Belongs here: the vendor's published table, as values, and the pace that keeps to it. Does not belong here: sending
(`client.py`), what an answer means (`records.py`).

Klaviyo counts in fixed windows per account, one pair for each endpoint: so many in a second (burst), so many in a
minute (steady); all private keys of the account share them. The two report endpoints also have a daily quota.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ops_platform.failures import PermanentFailure

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`burst` calls a second, `steady` a minute, `daily` a day (None: no such limit). `page_size` is the largest the
    endpoint takes, None where it takes no `page[size]`."""

    name: str
    scope: str
    burst: int
    steady: int
    page_size: int | None = None
    daily: int | None = None

    @property
    def path(self) -> str:
        return f"/api/{self.name}"


ACCOUNTS = Endpoint("accounts", "accounts:read", 1, 15)
CAMPAIGNS = Endpoint("campaigns", "campaigns:read", 10, 150, 100)
EVENTS = Endpoint("events", "events:read", 350, 3500, 1000)
FLOWS = Endpoint("flows", "flows:read", 3, 60, 50)
LISTS = Endpoint("lists", "lists:read", 75, 750, 10)
SEGMENTS = Endpoint("segments", "segments:read", 75, 750, 10)
METRICS = Endpoint("metrics", "metrics:read", 10, 150)
AGGREGATES = Endpoint("metric-aggregates", "metrics:read", 3, 60)
CAMPAIGN_VALUES = Endpoint("campaign-values-reports", "campaigns:read", 1, 2, daily=225)
FLOW_VALUES = Endpoint("flow-values-reports", "flows:read", 1, 2, daily=225)

# What we take of a day's quota: people look at reports in Klaviyo's own tools, and other keys count too.
DAILY_SHARE = 0.4


class QuotaSpent(PermanentFailure):
    """A report's quota is used up: asking again now only wastes it. The next sync that is due reads the report."""


class Pace:
    """When each endpoint may be asked next, and how many calls of a day's quota are left to us.

    `clock` is in seconds and only ever grows; `sleep` waits. A process knows its own calls alone: what other keys
    spend shows in Klaviyo's headers and refusals, which are obeyed as well. Streams that are read side by side, each
    in a thread, share it: each has a place of its own in the windows."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._sent: dict[str, deque[float]] = {}
        self._today: dict[str, deque[float]] = {}
        self._not_before: dict[str, float] = {}
        self._turn = threading.Lock()
        self.enabled = True

    def wait(self, endpoint: Endpoint) -> None:
        """Wait until the endpoint may be asked, and count the call. Raises `QuotaSpent` when our share is used up."""
        with self._turn:
            now = self._clock()
            if endpoint.daily is not None:
                self._count_day(endpoint, now)
            if not self.enabled:
                return
            sent = self._sent.setdefault(endpoint.name, deque(maxlen=endpoint.steady))
            at = max(now, self._not_before.get(endpoint.name, now))
            if len(sent) >= endpoint.burst:
                at = max(at, sent[-endpoint.burst] + 1.0)
            if len(sent) == endpoint.steady:
                at = max(at, sent[0] + 60.0)
            sent.append(at)
        if at > now:
            self._sleep(at - now)

    def heed(self, endpoint: Endpoint, headers: Mapping[str, str]) -> None:
        """Take note of what an answer says about the steady window: nothing left means wait for the next one."""
        if headers.get("ratelimit-remaining", "").strip() != "0":
            return
        try:
            reset = float(headers.get("ratelimit-reset", ""))
        except ValueError:
            return
        if 0 < reset <= 60:
            self._not_before[endpoint.name] = self._clock() + reset

    def _count_day(self, endpoint: Endpoint, now: float) -> None:
        assert endpoint.daily is not None
        today = self._today.setdefault(endpoint.name, deque())
        while today and now - today[0] >= DAY_SECONDS:
            today.popleft()
        share = int(endpoint.daily * DAILY_SHARE)
        if len(today) >= share:
            raise QuotaSpent(
                f"klaviyo: {share} of the {endpoint.daily} calls a day of {endpoint.name} are ours, and they are used"
                " up; the next sync that is due tomorrow reads it"
            )
        today.append(now)

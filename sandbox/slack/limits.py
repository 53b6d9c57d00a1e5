"""Slack's rate tiers, per method and token, and one message a second and channel.

Belongs here: how many calls are let through. Does not belong here: the answer to a refused one (`side.py`).
Limits run on the machine's own clock: the client waits in real time.
"""

from __future__ import annotations

import math
import threading
import time

# Documented floors, calls a minute.
TIERS = {1: 1, 2: 20, 3: 50, 4: 100, 5: 600}
METHOD_TIER = {
    "apps.connections.open": 1,
    "auth.test": 5,
    "chat.delete": 3,
    "chat.getPermalink": 5,
    "chat.postEphemeral": 4,
    "chat.update": 3,
    "conversations.history": 3,
    "conversations.info": 3,
    "conversations.join": 3,
    "conversations.list": 2,
    "conversations.members": 4,
    "conversations.replies": 3,
    "files.completeUploadExternal": 4,
    "files.getUploadURLExternal": 4,
    "files.info": 4,
    "reactions.add": 3,
    "reactions.get": 3,
    "reactions.remove": 2,
    "team.info": 3,
    "users.info": 4,
    "users.list": 2,
}
# Methods that a commercially distributed app outside the Marketplace may call once a minute, 15 objects each.
RESTRICTED = frozenset({"conversations.history", "conversations.replies"})
RESTRICTED_OBJECTS = 15
PROFILES = ("generous", "standard", "restricted")


class RateLimits:
    """Token buckets. Profile `generous` never refuses; `standard` holds to the tiers of an internal app;
    `restricted` also to the limits of a distributed app outside the Marketplace."""

    def __init__(self, profile: str = "generous") -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self.profile = profile

    def refuse(self, token: str, method: str, channel: str | None) -> int | None:
        """Seconds to wait where the call is one too many, None where it may go on."""
        if self.profile == "generous":
            return None
        if method == "chat.postMessage":
            return self._take((token, f"post:{channel}"), per_minute=60.0, burst=1.0)
        if self.profile == "restricted" and method in RESTRICTED:
            return self._take((token, method), per_minute=1.0, burst=1.0)
        rate = float(TIERS[METHOD_TIER.get(method, 3)])
        return self._take((token, method), per_minute=rate, burst=rate)

    def most_objects(self, method: str, most: int) -> int:
        """How many objects one answer of `method` may hold."""
        if self.profile == "restricted" and method in RESTRICTED:
            return RESTRICTED_OBJECTS
        return most

    def _take(self, key: tuple[str, str], *, per_minute: float, burst: float) -> int | None:
        now = time.monotonic()
        with self._lock:
            level, at = self._buckets.get(key, (burst, now))
            level = min(burst, level + (now - at) * per_minute / 60)
            if level >= 1:
                self._buckets[key] = (level - 1, now)
                return None
            self._buckets[key] = (level, now)
            return max(1, math.ceil((1 - level) * 60 / per_minute))

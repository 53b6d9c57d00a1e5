"""The sandbox clock: stands still or ticks, and can be set.

Belongs here: what time it is in the sandbox. Does not belong here: rate limits and delays, which run on the
machine's own clock because the client waits in real time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def parse_instant(text: str) -> datetime:
    """An aware UTC datetime from an ISO string. Raises `ValueError` when it has no offset."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset; write it as 2026-11-20T06:00:00-05:00.")
    return at.astimezone(UTC)


class SandboxClock:
    """Aware UTC. Frozen at `at` unless `ticking`, then it advances with the machine from there."""

    def __init__(self, at: datetime, *, ticking: bool = False) -> None:
        self._ticking = ticking
        self._since = time.monotonic()
        self._at = at.astimezone(UTC)

    @property
    def ticking(self) -> bool:
        return self._ticking

    def now(self) -> datetime:
        if not self._ticking:
            return self._at
        return self._at + timedelta(seconds=time.monotonic() - self._since)

    def set(self, at: datetime, *, ticking: bool | None = None) -> None:
        """Set the instant; `ticking` changes the mode where given."""
        self._at = at.astimezone(UTC)
        self._since = time.monotonic()
        if ticking is not None:
            self._ticking = ticking

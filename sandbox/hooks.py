"""What the vendor sides of the sandbox may ask of the server that mounts them.

Belongs here: the three small protocols (clock, ledger, faults) and nothing else. Does not belong here:
their implementations (`sandbox/server.py`, `sandbox/ledger.py`, `sandbox/faults.py`), nor vendor logic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol


class Clock(Protocol):
    """The sandbox clock: aware UTC. It stands still unless a test or the control API moves it."""

    def now(self) -> datetime: ...


class Ledger(Protocol):
    """Everything the sandbox served and received, the tests' oracle. `detail` is JSON-ready."""

    def record(self, vendor: str, kind: str, detail: dict[str, Any]) -> None: ...


class Faults(Protocol):
    """Semantic faults a vendor side applies itself (transport faults are the server's middleware).

    `take` consumes one armed fault at the named point ("graphql", "bulk", ...) and returns its name
    ("repeat_page", "empty_page", ...), or None when nothing is armed there."""

    def take(self, vendor: str, point: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """The shared objects handed to every vendor side."""

    clock: Clock
    ledger: Ledger
    faults: Faults


@dataclass(slots=True)
class StillClock:
    """A clock that shows one instant until it is set. Enough for a vendor side tested by itself."""

    at: datetime

    def now(self) -> datetime:
        return self.at.astimezone(UTC)


class NoLedger:
    """A ledger that keeps nothing."""

    def record(self, vendor: str, kind: str, detail: dict[str, Any]) -> None:
        return None


class NoFaults:
    """No fault is ever armed."""

    def take(self, vendor: str, point: str) -> str | None:
        return None

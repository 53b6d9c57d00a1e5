"""What a turn of the alert machine did, for whoever reports it.

Belongs here: the shapes of that account. Does not belong here: the turn itself (`cycle.py`), the receipt that is kept
of it (`receipts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from ops_platform.alerts.announcement import Announcement, Kind
    from ops_platform.alerts.signal import Signal


@dataclass(frozen=True, slots=True)
class Told:
    """A message that went to the outbox."""

    announcement: Announcement
    outbox_id: UUID


@dataclass(frozen=True, slots=True)
class Held:
    """What is owed and was not said now: muted, snoozed, part, interval, storm or inhibited."""

    alert_id: int
    kind: Kind
    why: str


@dataclass(frozen=True, slots=True)
class Inhibited:
    signal: Signal
    by: str


@dataclass(slots=True)
class Outcome:
    """What a turn did. `checked` counts the subjects given; `breached`, `clear`, `unknown` and `inhibited` are parts of
    it, `ignored` the looks that were no news. `closest` is the one nearest its limit among those not breached.
    `standing` counts the incidents that are not over. `problems` are messages that could not be composed as meant and
    went as plain text, and looks that could not be taken."""

    checked: int = 0
    breached: int = 0
    clear: int = 0
    unknown: int = 0
    ignored: int = 0
    standing: int = 0
    inhibited: list[Inhibited] = field(default_factory=list)
    muted: list[str] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    resolved: list[int] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    closest: Signal | None = None
    problems: list[str] = field(default_factory=list)

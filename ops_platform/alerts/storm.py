"""When many incidents open at once: who is told alone, and who in one message.

Belongs here: that decision. Does not belong here: how the message looks, when an update of it is due (`telling.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops_platform.alerts.store import Alert, StormRecord
    from ops_platform.fleet.alert_policy import Storm


@dataclass(frozen=True, slots=True)
class Openings:
    """What becomes of incidents that are to be told in one channel for the first time: each `alone`, or all in a
    storm, `joining` one that lasts or beginning a new one."""

    alone: tuple[Alert, ...] = ()
    in_storm: tuple[Alert, ...] = ()
    joining: StormRecord | None = None


def lasting(storms: Mapping[int, StormRecord], channel_key: str, now: datetime, rule: Storm) -> StormRecord | None:
    """The channel's storm, while something opened in it within the interval."""
    since = now - timedelta(minutes=rule.interval_minutes)
    found = [storm for storm in storms.values() if storm.channel_key == channel_key and storm.last_opened_at > since]
    return max(found, key=lambda storm: storm.id, default=None)


def sort_openings(opening: Sequence[Alert], *, recent: int, storm: StormRecord | None, rule: Storm) -> Openings:
    """`recent` is how many were told alone in the channel within the interval."""
    if not opening:
        return Openings()
    if storm is not None:
        return Openings(in_storm=tuple(opening), joining=storm)
    if recent + len(opening) > rule.after:
        return Openings(in_storm=tuple(opening))
    return Openings(alone=tuple(opening))

"""Subjects without an incident that cannot be judged any more, and those that can again.

Belongs here: which of them are news, and the one message a day and channel about them. Does not belong here: an open
incident that cannot be judged (`owing.py`), how a message gets into the outbox (`to_outbox.py`).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from ops_platform.alerts.announcement import Announcement, Kind
from ops_platform.alerts.machine import STANDING
from ops_platform.alerts.policy import channel_of
from ops_platform.alerts.signal import Severity
from ops_platform.alerts.telling import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ops_platform.alerts.store import Watched
    from ops_platform.alerts.turn import Turn


def tell_blind(turn: Turn) -> None:
    """Say what could be judged before and now cannot for long, and, in that thread, what can be judged again."""
    limit = turn.now - timedelta(hours=turn.policy.unknown_hours)
    blind: dict[str, list[Watched]] = defaultdict(list)
    sighted: dict[UUID, list[Watched]] = defaultdict(list)
    for item in turn.watched.values():
        since = item.condition.unknown_since
        if item.blind_in is not None and since is None:
            sighted[item.blind_in].append(item)
        # What could never be judged yet is no news, and the parts of a whole follow it.
        known_before = item.condition.newest is not None and item.subject.dimension == "all"
        alone = item.condition.state not in STANDING and item.blind_in is None and not turn.is_inhibited(item)
        look = turn.given.get(item.subject.key)
        if since is not None and since <= limit and look and known_before and alone and not turn.is_muted(item):
            blind[channel_of(turn.fleet, Severity.WATCH, look.owner)].append(item)
    for channel_key, items in sorted(blind.items()):
        _say_blind(turn, channel_key, items)
    for parent, items in sorted(sighted.items(), key=lambda pair: str(pair[0])):
        _say_sighted(turn, parent, items)


def _say_blind(turn: Turn, channel_key: str, items: Sequence[Watched]) -> None:
    key = f"alert-blind:{channel_key}:{turn.today.isoformat()}"
    if turn.connection.execute("select 1 from ops.outbox where dedupe_key = %s", (key,)).fetchone():
        return  # once a day and channel
    announcement = _about(turn, Kind.BLIND, channel_key, items)
    outbox_id = say(turn, announcement, key, turn.channels(channel_key), None)
    for item in items:
        item.blind_in, item.changed = outbox_id, True


def _say_sighted(turn: Turn, parent: UUID, items: Sequence[Watched]) -> None:
    row = turn.connection.execute(
        "select channel_key, channel from ops.outbox where id = %s and state <> 'failed'", (parent,)
    ).fetchone()
    for item in items:
        item.blind_in, item.changed = None, True
    if row is not None:
        key = f"alert-sighted:{parent}:{turn.now.isoformat()}"
        say(turn, _about(turn, Kind.SIGHTED, row[0], items), key, row[1], parent)


def _about(turn: Turn, kind: Kind, channel_key: str, items: Sequence[Watched]) -> Announcement:
    looks = [turn.given.get(item.subject.key) or item.signal for item in items]
    return Announcement(
        kind=kind, at=turn.now, channel_key=channel_key, incidents=(),
        signals=tuple(look for look in looks if look is not None),
        changed=tuple(item.subject.key for item in items), first=kind is Kind.BLIND,
    )  # fmt: skip

"""What is owed is said: alone, in the incident's threads, or in one message of a storm.

Belongs here: the thread in which a thing is said, alone or with others, and the announcement made of it. Does not
belong here: whether it is owed (`owing.py`), who is told alone and who in a storm (`storm.py`), how it gets into the
outbox (`to_outbox.py`), how it looks (the composer).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from ops_platform.alerts import store
from ops_platform.alerts.announcement import Announcement, Kind
from ops_platform.alerts.grouping import most_serious_first
from ops_platform.alerts.outcome import Held, Told
from ops_platform.alerts.owing import ENDS, channel_for, held_back, mark_told, owed, unknown_since
from ops_platform.alerts.store import LoggedEvent, Thread
from ops_platform.alerts.storm import lasting, sort_openings
from ops_platform.alerts.to_outbox import announce
from ops_platform.delivery.routing import quiet_until
from ops_platform.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ops_platform.alerts.announcement import Incident
    from ops_platform.alerts.signal import Signal
    from ops_platform.alerts.store import Alert, StormRecord
    from ops_platform.alerts.turn import Turn
    from ops_platform.fleet.delivery_policy import Level

    Owed = list[tuple[Alert, Kind]]


def tell(turn: Turn) -> None:
    """Say what is owed to every incident's threads and nothing holds back."""
    opening: dict[str, Owed] = defaultdict(list)
    in_storm: dict[int, Owed] = defaultdict(list)
    for alert in turn.alerts.values():
        kind = owed(turn, alert)
        if kind is None:
            continue
        why = held_back(turn, alert, kind)
        storms = {thread.storm_id for thread in alert.threads if thread.storm_id is not None}
        begins = kind in (Kind.OPENED, Kind.MOVED) or not alert.threads
        if why is None and kind in ENDS and any(_rests(turn, turn.storms[number]) for number in storms):
            why = "interval"
        if why is not None:
            turn.outcome.held.append(Held(alert.id, kind, why))
        elif begins:
            opening[channel_for(turn, alert)].append((alert, kind))
        elif kind in ENDS:
            for number in storms:
                in_storm[number].append((alert, kind))
            _answer(turn, alert, kind, [thread for thread in alert.threads if thread.storm_id is None])
        elif alert.threads and alert.threads[-1].storm_id is not None:
            in_storm[alert.threads[-1].storm_id].append((alert, kind))
        else:
            _answer(turn, alert, kind, alert.threads[-1:])
    for channel_key, begun in sorted(opening.items()):
        _open(turn, channel_key, begun, in_storm)
    for number, told in sorted(in_storm.items()):
        _update_storm(turn, turn.storms[number], told)


def say(turn: Turn, announcement: Announcement, key: str, channel: str, thread_of: UUID | None) -> UUID:
    """One message to the outbox, and into the account of the turn; returns its id."""
    outbox_id, problem = announce(
        turn.connection, announcement, compose=turn.compose, key=key, channel=channel, thread_of=thread_of,
        quiet_until=quiet_until(turn.fleet, _loudness(announcement), turn.now),
    )  # fmt: skip
    if problem is not None:
        turn.outcome.problems.append(problem)
    turn.outcome.told.append(Told(announcement, outbox_id))
    for incident in announcement.incidents:
        line = LoggedEvent(f"told_{announcement.kind}", alert_id=incident.id, outbox_id=outbox_id)
        turn.events.append((turn.alerts[incident.id], line))
    failpoint("alerts.told")
    return outbox_id


def _loudness(announcement: Announcement) -> Level:
    """The most serious of what it is about; what could not be judged is a watch."""
    incidents = announcement.incidents
    return max((one.severity for one in incidents), key=lambda one: one.rank).value if incidents else "watch"


# -- in a thread of its own ------------------------------------------------------------------------------------


def _open(turn: Turn, channel_key: str, begun: Owed, in_storm: dict[int, Owed]) -> None:
    kinds = {alert.id: kind for alert, kind in begun}
    sorted_out = sort_openings(
        _most_serious_first(turn, [alert for alert, _ in begun]),
        recent=turn.recent.get(channel_key, 0),
        storm=lasting(turn.storms, channel_key, turn.now, turn.policy.storm),
        rule=turn.policy.storm,
    )
    for alert in sorted_out.alone:
        if kinds[alert.id] is Kind.MOVED:
            # Who follows the first thread is told where it goes on.
            before = alert.threads[-1]
            _post(turn, _about(turn, alert, Kind.MOVED, before.channel_key), alert, before, ":from")
        _begin_thread(turn, alert, kinds[alert.id], channel_key)
    if not sorted_out.in_storm:
        return
    if sorted_out.joining is not None:
        sorted_out.joining.last_opened_at, sorted_out.joining.changed = turn.now, True
        in_storm[sorted_out.joining.id] += [(alert, kinds[alert.id]) for alert in sorted_out.in_storm]
        return
    storm = store.insert_storm(turn.connection, channel_key, turn.now)
    turn.storms[storm.id] = storm
    _say_storm(turn, storm, list(sorted_out.in_storm), Kind.STORM)


def _begin_thread(turn: Turn, alert: Alert, kind: Kind, channel_key: str) -> None:
    announcement = replace(_about(turn, alert, kind, channel_key), first=True)
    outbox_id = _post(turn, announcement, alert, None)
    thread = Thread(channel_key, outbox_id, turn.channels(channel_key))
    alert.threads.append(thread)
    store.add_thread(turn.connection, alert.id, thread, turn.now)
    turn.recent[channel_key] = turn.recent.get(channel_key, 0) + 1
    mark_told(turn, alert, outbox_id)


def _answer(turn: Turn, alert: Alert, kind: Kind, threads: Sequence[Thread]) -> None:
    """Say it in each of these threads."""
    outbox_id = None
    for number, thread in enumerate(threads):
        outbox_id = _post(turn, _about(turn, alert, kind, thread.channel_key), alert, thread, f":{number}")
    if outbox_id is not None:
        mark_told(turn, alert, outbox_id)


def _post(turn: Turn, announcement: Announcement, alert: Alert, thread: Thread | None, suffix: str = "") -> UUID:
    channel = thread.channel if thread is not None else turn.channels(announcement.channel_key)
    key = f"alert:{alert.id}:{alert.messages + 1}:{announcement.kind}{suffix}"
    return say(turn, announcement, key, channel, thread.outbox_id if thread is not None else None)


# -- in a storm ------------------------------------------------------------------------------------------------


def _rests(turn: Turn, storm: StormRecord) -> bool:
    return storm.told_at is not None and turn.now < storm.told_at + turn.interval


def _update_storm(turn: Turn, storm: StormRecord, told: Owed) -> None:
    if _rests(turn, storm):
        turn.outcome.held += [Held(alert.id, kind, "storm") for alert, kind in told]
        return
    _say_storm(turn, storm, [alert for alert, _ in told], Kind.STORM_UPDATE)


def _say_storm(turn: Turn, storm: StormRecord, alerts: list[Alert], kind: Kind) -> None:
    alerts = _most_serious_first(turn, alerts)
    heads = [signal for alert in alerts if (signal := _head_signal(turn, alert)) is not None]
    first = storm.outbox_id is None
    announcement = Announcement(
        kind=Kind.STORM if first else kind, at=turn.now, channel_key=storm.channel_key,
        incidents=tuple(_incident(turn, alert, storm.channel_key) for alert in alerts), signals=tuple(heads),
        changed=tuple(alert.head for alert in alerts), first=first,
    )  # fmt: skip
    storm.messages += 1
    channel = turn.channels(storm.channel_key)
    outbox_id = say(turn, announcement, f"alert-storm:{storm.id}:{storm.messages}", channel, storm.outbox_id)
    storm.outbox_id = storm.outbox_id or outbox_id
    storm.told_at, storm.changed = turn.now, True
    store.save_storms(turn.connection, [storm])
    for alert in alerts:
        if alert.standing and all(thread.storm_id != storm.id for thread in alert.threads):
            thread = Thread(storm.channel_key, storm.outbox_id, channel, storm.id)
            alert.threads.append(thread)
            store.add_thread(turn.connection, alert.id, thread, turn.now)
        mark_told(turn, alert, outbox_id)


# -- what it is about ------------------------------------------------------------------------------------------


def _about(turn: Turn, alert: Alert, kind: Kind, channel_key: str) -> Announcement:
    items = turn.subjects_of(alert)
    signals = [item.signal for item in items if item.signal is not None]
    if len(signals) < len(alert.members):
        joined = store.joined_signals(turn.connection, alert.id)
        known = {signal.subject.key for signal in signals}
        signals += [signal for key, signal in joined.items() if key not in known]
    signals.sort(key=lambda signal: (signal.subject.key != alert.head, alert.members.index(signal.subject.key)))
    new = set(alert.members) - set(alert.told_members)
    changed = new if kind is Kind.WIDENED else turn.worsened & set(alert.members) if kind is Kind.WORSENED else ()
    quiet = {key: one for member in alert.members for key, one in turn.silenced.get(member, {}).items()}
    return Announcement(
        kind=kind, at=turn.now, channel_key=channel_key, incidents=(_incident(turn, alert, channel_key),),
        signals=tuple(signals), changed=tuple(key for key in alert.members if key in changed),
        severity_before=alert.told_severity,
        note=f"Nobody has looked at it for {turn.policy.unseen_days} days." if kind is Kind.UNSEEN else "",
        silenced=tuple(quiet[key] for key in sorted(quiet)),
    )  # fmt: skip


def _incident(turn: Turn, alert: Alert, channel_key: str) -> Incident:
    return replace(alert.incident(unknown_since(turn, alert)), channel_key=channel_key)


def _head_signal(turn: Turn, alert: Alert) -> Signal | None:
    item = turn.watched.get(alert.head)
    return item.signal if item is not None else None


def _most_serious_first(turn: Turn, alerts: Sequence[Alert]) -> list[Alert]:
    return most_serious_first(lambda alert: _head_signal(turn, alert), alerts)

"""Subjects and their incidents: where what opened belongs, and what becomes of an incident when its subjects move.

Belongs here: joining or beginning an incident, and its state, head, severity and end. Does not belong here: what makes
two subjects related (`grouping.py`), how one subject moves (`machine.py`), what is said about it (`telling.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.alerts import machine, store
from ops_platform.alerts.grouping import join
from ops_platform.alerts.machine import STANDING, Event, State
from ops_platform.alerts.signal import SubjectKind
from ops_platform.alerts.store import Alert, LoggedEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops_platform.alerts.store import Watched
    from ops_platform.alerts.turn import Turn

# One incident however long it lasts: the source is what failed.
_AGELESS = frozenset({SubjectKind.SOURCE, SubjectKind.TIE_OUT, SubjectKind.JOB})


def place(turn: Turn) -> None:
    """Put what opened into incidents: those it belongs to, or new ones."""
    by_key = {item.subject.key: item for item in turn.opened}
    for group in turn.relations.groups([item.subject for item in by_key.values()]):
        items = [by_key[subject.key] for subject in group]
        alert = _incident_for(turn, items) or _begin(turn, items)
        for item in items:
            item.alert_id, item.changed = alert.id, True
            if item.subject.key not in alert.members:
                alert.members.append(item.subject.key)
        store.add_members(turn.connection, alert.id, items, turn.now)


def _incident_for(turn: Turn, items: Sequence[Watched]) -> Alert | None:
    for item in items:
        if item.alert_id is not None and turn.stands(item.alert_id):
            return turn.alerts[item.alert_id]
    since = turn.now - timedelta(hours=turn.policy.join_hours)
    ageless = all(item.subject.kind in _AGELESS for item in items)
    candidates = {
        alert.id: [turn.watched[key].subject for key in alert.members if key in turn.watched]
        for alert in turn.alerts.values()
        # What a person has sent to sleep hides nothing that begins while it is silent; a source stays one matter.
        if alert.standing and (ageless or (alert.opened_at >= since and alert.snoozed_until is None))
    }
    found = join(candidates, [item.subject for item in items], turn.relations)
    return None if found is None else turn.alerts[found]


def _begin(turn: Turn, items: Sequence[Watched]) -> Alert:
    signals = [item.signal for item in items if item.signal is not None]
    head = turn.relations.head(signals)
    severity = max((signal.severity for signal in signals), key=lambda one: one.rank)
    values: dict[str, Any] = {
        "head": head.subject.key, "label": head.label, "state": State.OPEN.value, "severity": severity.value,
        "since": min(item.condition.since or head.period for item in items), "opened_at": turn.now,
        "owner": head.owner, "division": head.division,
        "previous_id": store.previous_of(turn.connection, head.subject.key),
    }  # fmt: skip
    number = store.insert_alert(turn.connection, values, turn.now)
    alert = Alert(**{**values, "id": number, "state": State.OPEN, "severity": severity})
    turn.alerts[number] = alert
    turn.outcome.opened.append(number)
    turn.events.append((alert, LoggedEvent(Event.OPENED.value, alert_id=number, after=State.OPEN.value)))
    return alert


def move(turn: Turn, alert: Alert) -> None:
    """Bring the incident to the state its subjects are in."""
    if not alert.standing:
        return
    items = turn.subjects_of(alert)
    worse = any(item.subject.key in turn.worsened for item in items)
    _move_state(turn, alert, _target(items), worse)
    out = [item for item in items if item.condition.state in STANDING]
    if worse:
        alert.worsenings, alert.changed = alert.worsenings + 1, True
    severity = max([alert.severity, *(item.condition.severity for item in out)], key=lambda one: one.rank)
    flapping = any(len(item.out_at) >= turn.policy.flapping.after for item in out)
    signals = [item.signal for item in out if item.signal is not None]
    head = turn.relations.head(signals) if signals else None
    label, key = (head.label, head.subject.key) if head is not None else (alert.label, alert.head)
    if (severity, flapping, label, key) != (alert.severity, alert.flapping, alert.label, alert.head):
        alert.changed = True
        alert.severity, alert.label, alert.head = severity, label, key
        alert.flapping = flapping
        alert.told_flapping = alert.told_flapping and flapping
    if not alert.standing:
        unseen = any(item.subject.key in turn.closed_unseen for item in items)
        alert.resolution, alert.resolved_at = ("unseen" if unseen else "clear"), turn.now
        turn.outcome.resolved.append(alert.id)


def _target(items: Sequence[Watched]) -> State:
    """The state of an incident of these subjects: that of the one worst off."""
    states = {item.condition.state for item in items}
    worst_first = (State.WORSENING, State.OPEN, State.RECOVERING)
    return next((state for state in worst_first if state in states), State.RESOLVED)


def _move_state(turn: Turn, alert: Alert, target: State, worse: bool) -> None:
    route = machine.route(alert.state, target)
    if worse and target is State.WORSENING and not route:
        route = (Event.WORSENED,)
    for event in route:
        reached = machine.after(alert.state, event)
        line = LoggedEvent(event.value, alert_id=alert.id, before=alert.state.value, after=reached.value)
        turn.events.append((alert, line))
        alert.state, alert.changed = reached, True

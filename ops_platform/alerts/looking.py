"""The looks of a turn are taken in: each moves its subject, or is silenced, or is no news.

Belongs here: the order in which looks are taken, what a failed source silences, subjects that nobody looks at any more,
and the count of what was found. Does not belong here: the step of one subject (`machine.py`), the incidents that follow
from it (`placing.py`), who silences whom (`inhibition.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ops_platform.alerts import machine
from ops_platform.alerts.announcement import Silenced
from ops_platform.alerts.inhibition import failed_sources, inhibitor
from ops_platform.alerts.machine import STANDING, Event, State
from ops_platform.alerts.outcome import Inhibited
from ops_platform.alerts.policy import as_alerted, persistence_of
from ops_platform.alerts.store import LoggedEvent, Watched
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ops_platform.alerts.signal import Signal
    from ops_platform.alerts.turn import Turn


def look(turn: Turn, signals: Sequence[Signal]) -> None:
    """Take these looks in: sources first, for they silence the rest; then by day and moment."""
    inhibitors = turn.policy.inhibitors
    ordered = sorted(
        signals,
        key=lambda signal: (signal.subject.kind.value not in inhibitors, signal.period, signal.observed_at),
    )
    failed: dict[str, str] | None = None
    for signal in ordered:
        inhibits = signal.subject.kind.value in inhibitors
        if failed is None and not inhibits:
            failed = failed_sources(turn.policy, turn.watched.values())
        turn.given[signal.subject.key] = signal
        _take(turn, as_alerted(turn.policy, signal), {} if inhibits else failed or {})
    turn.failed = failed if failed is not None else failed_sources(turn.policy, turn.watched.values())
    _count(turn)


def close_unseen(turn: Turn) -> None:
    """Close the subjects that nobody has looked at for too long."""
    limit = turn.now - timedelta(days=turn.policy.unseen_days)
    for key, item in turn.watched.items():
        state, seen = item.condition.state, item.condition.seen_at
        if key in turn.given or seen is None or seen > limit:
            continue
        if state not in STANDING and state is not State.PENDING:
            continue
        if turn.is_inhibited(item):
            continue
        step = machine.unseen(item.condition)
        _log_steps(turn, item, step.events)
        item.condition, item.changed = step.condition, True
        if state in STANDING:
            turn.closed_unseen.add(key)


def _take(turn: Turn, signal: Signal, failed: dict[str, str]) -> None:
    item = _subject(turn, signal)
    by = inhibitor(signal.subject, signal.depends_on, failed)
    if item.inhibited_by != by:
        item.inhibited_by, item.changed = by, True
    if by is not None:
        # Not counted as seen: the first look after the source is well again is judged as any other.
        turn.outcome.inhibited.append(Inhibited(signal, by))
        turn.silenced[by][signal.subject.key] = Silenced(signal.subject.key, signal.label)
        return
    since = turn.now - timedelta(days=turn.policy.flapping.within_days)
    out_at = tuple(moment for moment in item.out_at if moment > since)
    rule = persistence_of(turn.policy, signal.subject)
    flapping = len(out_at) >= turn.policy.flapping.after
    resolve = max(rule.resolve, turn.policy.flapping.resolve) if flapping else None
    step = machine.step(item.condition, signal, rule, worsening=turn.policy.worsening_factor, resolve=resolve)
    if step.ignored is not None:
        turn.outcome.ignored += 1
        return
    if Event.NOTICED in step.events and not turn.stands(item.alert_id):
        item.alert_id = None  # another episode is another incident
    _log_steps(turn, item, step.events)
    item.condition, item.changed = step.condition, True
    if step.conclusive:
        item.signal = signal
    if Event.OPENED in step.events or Event.RELAPSED in step.events:
        out_at = (*out_at, turn.now)
    item.out_at = out_at
    if Event.OPENED in step.events:
        turn.opened.append(item)
    if Event.WORSENED in step.events:
        turn.worsened.add(signal.subject.key)


def _subject(turn: Turn, signal: Signal) -> Watched:
    found = turn.watched.get(signal.subject.key)
    if found is None:
        found = turn.watched[signal.subject.key] = Watched(signal.subject, machine.Condition())
    return found


def _count(turn: Turn) -> None:
    """What the newest look at each subject found."""
    outcome = turn.outcome
    outcome.checked = len(turn.given)
    silenced = {found.signal.subject.key for found in outcome.inhibited}
    for key, given in turn.given.items():
        if key in silenced:
            continue
        signal = as_alerted(turn.policy, given)
        if signal.found is Finding.BREACHED:
            outcome.breached += 1
            if turn.is_muted(turn.watched[key], signal):
                outcome.muted.append(key)
        elif signal.found is Finding.UNKNOWN:
            outcome.unknown += 1
        else:
            outcome.clear += 1
            near = signal.closeness
            if near is not None and (outcome.closest is None or near > (outcome.closest.closeness or 0)):
                outcome.closest = signal


def _log_steps(turn: Turn, item: Watched, events: Iterable[Event]) -> None:
    state = item.condition.state
    for event in events:
        reached = machine.after(state, event)
        line = LoggedEvent(event.value, subject=item.subject.key, before=state.value, after=reached.value)
        turn.events.append((item, line))
        state = reached

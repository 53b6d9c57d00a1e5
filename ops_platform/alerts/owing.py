"""What an incident's thread is owed: the difference between what is and what was told of it.

Belongs here: that difference, what keeps it from being said now, and the marks that a message leaves. Does not belong
here: saying it (`telling.py`), subjects without an incident (`blindness.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ops_platform.alerts import store
from ops_platform.alerts.announcement import Kind
from ops_platform.alerts.machine import STANDING, State
from ops_platform.alerts.policy import channel_of
from ops_platform.alerts.signal import Severity, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from ops_platform.alerts.store import Alert, Watched
    from ops_platform.alerts.turn import Turn

#: A job that lists what is out has run within this time: jobs run weekly at the least.
JOB_LATELY = timedelta(days=8)
ENDS = frozenset({Kind.RESOLVED, Kind.UNSEEN})
# Of an incident that a storm's message told, only this is worth another word there.
_TOLD_IN_STORM = frozenset({Kind.OPENED, Kind.MOVED, Kind.WORSENED, Kind.STILL, *ENDS})
_SHOWN_STATES = frozenset({State.OPEN, State.WORSENING})


def bury_failed_messages(turn: Turn) -> None:
    """What never reached the vendor was not told: it is owed again, once in a while."""
    wanted = {thread.outbox_id for alert in turn.alerts.values() for thread in alert.threads}
    wanted |= {alert.last_outbox_id for alert in turn.alerts.values() if alert.last_outbox_id}
    failed = store.failed_messages(turn.connection, wanted) if wanted else set()
    if not failed:
        return
    store.lose_threads(turn.connection, failed)
    for storm in turn.storms.values():
        if storm.outbox_id in failed:
            storm.outbox_id, storm.changed = None, True
    for alert in turn.alerts.values():
        had = bool(alert.threads)
        alert.threads = [thread for thread in alert.threads if thread.outbox_id not in failed]
        if alert.last_outbox_id not in failed and not (had and not alert.threads):
            continue
        if alert.told_at is not None and turn.now < alert.told_at + store.RETELL_AFTER:
            continue
        alert.last_outbox_id, alert.changed = None, True
        alert.retold += 1
        if not alert.standing:
            alert.told_state = State.OPEN
        elif alert.threads:
            turn.again.add(alert.id)
        else:
            alert.told_at = alert.told_state = alert.told_severity = None
            alert.told_members = ()


# -- what is owed ----------------------------------------------------------------------------------------------


def owed(turn: Turn, alert: Alert) -> Kind | None:
    """The one thing its thread has not been told yet; None where it knows all."""
    in_storm = bool(alert.threads) and alert.threads[-1].storm_id is not None
    return next((kind for kind in _untold(turn, alert) if not in_storm or kind in _TOLD_IN_STORM), None)


def channel_for(turn: Turn, alert: Alert) -> str:
    """The role of the channel that the incident belongs in by now."""
    return channel_of(turn.fleet, alert.severity, alert.owner)


def unknown_since(turn: Turn, alert: Alert) -> datetime | None:
    """Since when none of the incident's subjects could be judged, or was looked at; None where one can."""
    moments = []
    for item in turn.subjects_of(alert):
        condition = item.condition
        if condition.state not in STANDING:
            continue
        moment = condition.unknown_since
        if moment is None and item.subject.key not in turn.given and condition.seen_at is not None:
            late = condition.seen_at <= turn.now - timedelta(hours=turn.policy.unknown_hours)
            moment = condition.seen_at if late else None
        if moment is None or turn.is_inhibited(item):
            return None
        moments.append(moment)
    return max(moments, default=None)


def _untold(turn: Turn, alert: Alert) -> Iterator[Kind]:
    """Everything in which what is differs from what was told, the weightiest first."""
    if not alert.standing:
        if alert.told_state is not None and alert.told_state is not State.RESOLVED:
            yield Kind.UNSEEN if alert.resolution == "unseen" else Kind.RESOLVED
        return
    if alert.told_at is None or alert.told_severity is None:
        yield Kind.OPENED
        return
    if alert.threads and channel_for(turn, alert) == "alerts" != alert.threads[-1].channel_key:
        yield Kind.MOVED
    out = alert.state in _SHOWN_STATES
    louder = alert.severity.rank > alert.told_severity.rank
    if louder or (out and not alert.flapping and alert.worsenings > alert.told_worsenings):
        yield Kind.WORSENED
    if set(alert.members) - set(alert.told_members):
        yield Kind.WIDENED
    if alert.flapping and not alert.told_flapping:
        yield Kind.FLAPPING
    if not alert.flapping:
        if out and alert.told_state is State.RECOVERING:
            yield Kind.RELAPSED
        if alert.state is State.RECOVERING and alert.told_state in _SHOWN_STATES and turn.policy.tell_recovering:
            yield Kind.RECOVERING
    yield from _untold_by_time(turn, alert, out)


def _untold_by_time(turn: Turn, alert: Alert, out: bool) -> Iterator[Kind]:
    since = unknown_since(turn, alert)
    if since is None:
        if alert.told_unknown:
            alert.told_unknown, alert.changed = False, True
    elif not alert.told_unknown and since <= turn.now - timedelta(hours=turn.policy.unknown_hours):
        yield Kind.UNKNOWN
    woken = alert.snoozed_until is not None and alert.snoozed_until <= turn.today
    hours = getattr(turn.policy.repeat_hours, alert.severity.value)
    due = hours is not None and alert.told_at is not None and turn.now - alert.told_at >= timedelta(hours=hours)
    # What cannot be judged is not said to be so still.
    repeated = out and due and since is None and alert.acknowledged_by is None
    if woken or repeated or alert.id in turn.again:
        yield Kind.STILL


# -- what holds it back ----------------------------------------------------------------------------------------


def held_back(turn: Turn, alert: Alert, kind: Kind) -> str | None:
    """What keeps `kind` from being said now, or None."""
    concerned = _concerned(turn, alert)
    if concerned and all(turn.is_muted(item) for item in concerned):
        return "muted"
    if kind is Kind.OPENED and _small_part(turn, turn.subjects_of(alert)):
        return "part"
    if kind is Kind.OPENED and alert.severity is Severity.WATCH and _told_by_a_job(turn, turn.subjects_of(alert)):
        return "job"
    if alert.told_at is not None and turn.now < alert.told_at + turn.interval:
        return "interval"
    if alert.snoozed_until is not None and alert.snoozed_until > turn.today:
        told_at_once = kind in ENDS and turn.policy.snoozed_resolution == "at_once"
        critical = (
            turn.policy.critical_breaks_snooze
            and alert.severity is Severity.CRITICAL
            and alert.told_severity is not Severity.CRITICAL
        )
        if not told_at_once and not critical:
            return "snoozed"
    if kind in (Kind.STILL, Kind.UNKNOWN) and concerned and all(turn.is_inhibited(item) for item in concerned):
        return "inhibited"
    return None


def _concerned(turn: Turn, alert: Alert) -> list[Watched]:
    """The subjects whose silence is the incident's: those still out; of one that is over all it ever was of, even
    where another incident has them by now."""
    if alert.standing:
        items = turn.subjects_of(alert)
        return [item for item in items if item.condition.state in STANDING] or items
    known = [turn.watched[key] for key in alert.members if key in turn.watched]
    if len(known) == len(alert.members):
        return known
    return list(store.watched_of(turn.connection, [alert.id]).values())


def _small_part(turn: Turn, items: Sequence[Watched]) -> bool:
    """Whether only parts of metrics are out, and none by enough to be told without its whole."""
    parts = [item.subject.kind is SubjectKind.METRIC and item.subject.dimension != "all" for item in items]
    near = [item.condition.closeness for item in items if item.condition.closeness is not None]
    return bool(items) and all(parts) and bool(near) and max(near) < turn.policy.parts_alone_from


def _told_by_a_job(turn: Turn, items: Sequence[Watched]) -> bool:
    """Whether jobs list all that is out, in the channel where a watch would be told, and those jobs do run."""
    rules = turn.fleet.alert_rules
    jobs = {
        rules[item.subject.name].told_by
        if item.subject.kind is SubjectKind.THRESHOLD and item.subject.name in rules
        else None
        for item in items
    }
    return bool(items) and all(job is not None and _runs(turn, job) for job in jobs)


def _runs(turn: Turn, job: str) -> bool:
    """Whether the job's newest run that ended went well, lately: one that is off or fails tells nobody."""
    row = turn.connection.execute(
        "select status, started_at from ops.receipts where job = %s and status <> 'running'"
        " order by started_at desc limit 1",
        (job,),
    ).fetchone()
    return row is not None and row[0] == "succeeded" and row[1] > turn.now - JOB_LATELY


# -- what a message leaves -------------------------------------------------------------------------------------


def mark_told(turn: Turn, alert: Alert, outbox_id: UUID) -> None:
    """What the thread knows from now on: all there is."""
    alert.changed = True
    alert.first_told_at = alert.first_told_at or turn.now
    alert.told_at, alert.told_state, alert.told_severity = turn.now, alert.state, alert.severity
    alert.told_members, alert.told_worsenings = tuple(alert.members), alert.worsenings
    alert.told_flapping, alert.last_outbox_id = alert.flapping, outbox_id
    since = unknown_since(turn, alert)
    alert.told_unknown = since is not None and since <= turn.now - timedelta(hours=turn.policy.unknown_hours)
    alert.messages += 1
    if alert.snoozed_until is not None and (alert.snoozed_until <= turn.today or not alert.standing):
        alert.snoozed_until = alert.snoozed_by = None

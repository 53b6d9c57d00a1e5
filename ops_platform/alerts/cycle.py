"""One turn of the alert machine: signals in, states and messages out, in one transaction.

Belongs here: the order of a turn, what is owed to a thread and what holds it back. Does not belong here: the states of
one subject (`machine.py`), SQL (`store.py`), how a message looks (the composer that is passed in), posting (delivery).

What is, and what was told of it, are kept side by side; the difference is what is owed. So nothing that is held back
(a mute, a snooze, the group's interval, a storm) can be forgotten: the next turn finds it owed again. All of a turn is
one transaction under the machine's lock, the messages included: killed anywhere, it happened or it did not, and the
same signals handled again, or by another process at the same time, change nothing.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ops_platform.alerts import machine, store
from ops_platform.alerts.announcement import Announcement, Composed, Composer, Incident, Kind, Silenced
from ops_platform.alerts.grouping import Relations, join, most_serious_first
from ops_platform.alerts.inhibition import failed_sources, inhibitor
from ops_platform.alerts.machine import STANDING, Event, State
from ops_platform.alerts.policy import as_alerted, channel_of, persistence_of
from ops_platform.alerts.signal import Found, Severity, Signal, Subject, SubjectKind
from ops_platform.alerts.store import Alert, LoggedEvent, Mute, StormRecord, Thread, Watched
from ops_platform.alerts.storm import lasting, sort_openings
from ops_platform.clock import business_day
from ops_platform.failpoints import failpoint

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet import Fleet

log = logging.getLogger(__name__)

OUTBOX_KIND = "alert"
# How far the clock of whoever looked may be ahead of ours.
AHEAD = timedelta(hours=1)
_ENDS = frozenset({Kind.RESOLVED, Kind.UNSEEN})
# Of an incident that a storm's message told, only this is worth another word there.
_TOLD_IN_STORM = frozenset({Kind.OPENED, Kind.MOVED, Kind.WORSENED, Kind.STILL, *_ENDS})
_SHOWN_STATES = frozenset({State.OPEN, State.WORSENING})
# One incident however long it lasts: the source is what failed.
_AGELESS = frozenset({SubjectKind.SOURCE, SubjectKind.TIE_OUT, SubjectKind.JOB})


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


def handle(
    connection: psycopg.Connection[Any],
    signals: Iterable[Signal],
    now: datetime,
    *,
    fleet: Fleet,
    compose: Composer,
    channels: Callable[[str], str],
    relations: Relations | None = None,
) -> Outcome:
    """Take these looks in, and put in the outbox what is to be said, in one transaction (the caller's, if one is open;
    then the caller commits). Signals may come in any order and any number of times.

    `now` is the company's clock (aware). `channels` gives the vendor's id of a channel by its role; `compose` makes the
    message of an announcement. A message that cannot be composed goes as plain text and is among the problems: one bad
    document keeps no other alert from going. Raises ValueError for a moment without a zone."""
    if now.tzinfo is None:
        raise ValueError(f"a turn needs a moment with a time zone: {now!r}")
    given: list[Signal] = []
    early: list[Signal] = []
    for signal in signals:
        # A look from the future would make every true one after it an old one.
        (early if signal.observed_at > now + AHEAD else given).append(store.storable(signal))
    with connection.transaction():
        store.take_turn(connection)
        failpoint("alerts.locked")
        outcome = _Turn(connection, now, fleet, compose, channels, relations or Relations()).run(given)
        failpoint("alerts.saved")
    outcome.problems += [f"{one.subject.key} was looked at in the future ({one.observed_at})" for one in early]
    failpoint("alerts.committed")
    return outcome


def muted_by(mutes: Iterable[Mute], subject: Subject, day: date, today: date) -> Mute | None:
    """The mute that covers a look at `day`. The day after its last one it still does: that day is looked at then."""
    return next(
        (
            mute
            for mute in mutes
            if mute.covers(subject)
            and mute.first_day <= day <= mute.last_day
            and today <= mute.last_day + timedelta(days=1)
        ),
        None,
    )


def announce(
    connection: psycopg.Connection[Any],
    announcement: Announcement,
    *,
    compose: Composer,
    key: str,
    channel: str,
    thread_of: UUID | None,
) -> tuple[UUID, str | None]:
    """Compose a message and put it in the outbox; returns its id, and what went wrong where it went as plain text."""
    import psycopg

    problem = None
    try:
        with connection.transaction():
            composed = compose(connection, announcement)
            outbox_id = _put(connection, announcement, composed, key, channel, thread_of)
    except psycopg.OperationalError:
        raise
    except Exception as error:
        log.exception("the message %s could not be composed", key)
        problem = f"{key}: {type(error).__name__}: {error}"
        outbox_id = _put(connection, announcement, _plain(announcement), key, channel, thread_of)
    return outbox_id, problem


def _put(
    connection: psycopg.Connection[Any],
    announcement: Announcement,
    composed: Composed,
    key: str,
    channel: str,
    thread_of: UUID | None,
) -> UUID:
    from ops_platform.delivery.outbox import enqueue

    common: dict[str, Any] = {
        "kind": f"{OUTBOX_KIND}_{announcement.kind}", "period": None, "channel_key": announcement.channel_key,
        "channel": channel, "document_id": composed.document_id,
    }  # fmt: skip
    row = enqueue(connection, payload=composed.payload, dedupe_key=key, thread_of=thread_of, **common)
    for number, payload in enumerate(composed.rest, 1):
        enqueue(connection, payload=payload, dedupe_key=f"{key}:{number}", thread_of=thread_of or row.id, **common)
    return row.id


def _plain(announcement: Announcement) -> Composed:
    """What is said where the composer failed: enough to act on."""
    names = [f"#{incident.id} {incident.label}" for incident in announcement.incidents]
    names = names or [signal.label for signal in announcement.signals]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    word = announcement.kind.value.replace("_", " ")
    return Composed({"text": f"Alert {word}: {', '.join(names[:20])}{more}. {announcement.note}".strip()})


class _Turn:
    """One turn: everything it loaded, and what it has decided so far."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        now: datetime,
        fleet: Fleet,
        compose: Composer,
        channels: Callable[[str], str],
        relations: Relations,
    ) -> None:
        self.connection, self.now, self.fleet = connection, now, fleet
        self.compose, self.channels, self.relations = compose, channels, relations
        self.policy = fleet.alerts
        self.today = business_day(now, fleet.company.timezone)
        self.interval = timedelta(minutes=self.policy.group_interval_minutes)
        self.outcome = Outcome()
        self.events: list[tuple[Watched | Alert, LoggedEvent]] = []
        self.opened: list[Watched] = []
        self.worsened: set[str] = set()
        self.closed_unseen: set[str] = set()
        self.again: set[int] = set()
        self.given: dict[str, Signal] = {}
        self.silenced: dict[str, dict[str, Silenced]] = defaultdict(dict)
        self.watched: dict[str, Watched] = {}
        self.alerts: dict[int, Alert] = {}
        self.storms: dict[int, StormRecord] = {}
        self.mutes: list[Mute] = []

    def run(self, signals: Sequence[Signal]) -> Outcome:
        self._load(signals)
        self._bury_failed_messages()
        self._look(signals)
        self._close_unseen()
        failpoint("alerts.stepped")
        self._place()
        for alert in self.alerts.values():
            self._move(alert)
        failpoint("alerts.grouped")
        self._tell()
        self._tell_blind()
        self._save()
        self.outcome.standing = sum(alert.standing for alert in self.alerts.values())
        return self.outcome

    # -- what there is ---------------------------------------------------------------------------------------

    def _load(self, signals: Sequence[Signal]) -> None:
        self.watched = store.load_watched(self.connection, {signal.subject.key for signal in signals})
        self.alerts = store.load_alerts(self.connection)
        since = self.now - timedelta(minutes=self.policy.storm.interval_minutes)
        told_in = {thread.storm_id for alert in self.alerts.values() for thread in alert.threads if thread.storm_id}
        self.storms = store.load_storms(self.connection, since, told_in)
        self.recent = store.openings_since(self.connection, since)
        self.mutes = store.load_mutes(self.connection, self.today)

    def _bury_failed_messages(self) -> None:
        """What never reached the vendor was not told: it is owed again, once in a while."""
        wanted = {thread.outbox_id for alert in self.alerts.values() for thread in alert.threads}
        wanted |= {alert.last_outbox_id for alert in self.alerts.values() if alert.last_outbox_id}
        failed = store.failed_messages(self.connection, wanted) if wanted else set()
        if not failed:
            return
        store.lose_threads(self.connection, failed)
        for storm in self.storms.values():
            if storm.outbox_id in failed:
                storm.outbox_id, storm.changed = None, True
        for alert in self.alerts.values():
            had = bool(alert.threads)
            alert.threads = [thread for thread in alert.threads if thread.outbox_id not in failed]
            if alert.last_outbox_id not in failed and not (had and not alert.threads):
                continue
            if alert.told_at is not None and self.now < alert.told_at + store.RETELL_AFTER:
                continue
            alert.last_outbox_id, alert.changed = None, True
            alert.retold += 1
            if not alert.standing:
                alert.told_state = State.OPEN
            elif alert.threads:
                self.again.add(alert.id)
            else:
                alert.told_at = alert.told_state = alert.told_severity = None
                alert.told_members = ()

    def _subject(self, signal: Signal) -> Watched:
        found = self.watched.get(signal.subject.key)
        if found is None:
            found = self.watched[signal.subject.key] = Watched(signal.subject, machine.Condition())
        return found

    # -- looks -----------------------------------------------------------------------------------------------

    def _look(self, signals: Sequence[Signal]) -> None:
        ordered = sorted(
            signals,
            key=lambda signal: (
                signal.subject.kind.value not in self.policy.inhibitors, signal.period, signal.observed_at
            ),
        )  # fmt: skip
        failed: dict[str, str] | None = None
        for signal in ordered:
            inhibits = signal.subject.kind.value in self.policy.inhibitors
            if failed is None and not inhibits:
                failed = failed_sources(self.policy, self.watched.values())
            self.given[signal.subject.key] = signal
            self._take(as_alerted(self.policy, signal), {} if inhibits else failed or {})
        self.failed = failed if failed is not None else failed_sources(self.policy, self.watched.values())
        self._count()

    def _take(self, signal: Signal, failed: dict[str, str]) -> None:
        item = self._subject(signal)
        by = inhibitor(signal.subject, signal.depends_on, failed)
        if item.inhibited_by != by:
            item.inhibited_by, item.changed = by, True
        if by is not None:
            # Not counted as seen: the first look after the source is well again is judged as any other.
            self.outcome.inhibited.append(Inhibited(signal, by))
            self.silenced[by][signal.subject.key] = Silenced(signal.subject.key, signal.label)
            return
        since = self.now - timedelta(days=self.policy.flapping.within_days)
        out_at = tuple(moment for moment in item.out_at if moment > since)
        rule = persistence_of(self.policy, signal.subject)
        flapping = len(out_at) >= self.policy.flapping.after
        resolve = max(rule.resolve, self.policy.flapping.resolve) if flapping else None
        step = machine.step(item.condition, signal, rule, worsening=self.policy.worsening_factor, resolve=resolve)
        if step.ignored is not None:
            self.outcome.ignored += 1
            return
        if Event.NOTICED in step.events and not self._stands(item.alert_id):
            item.alert_id = None  # another episode is another incident
        self._log_steps(item, step.events)
        item.condition, item.changed = step.condition, True
        if step.conclusive:
            item.signal = signal
        if Event.OPENED in step.events or Event.RELAPSED in step.events:
            out_at = (*out_at, self.now)
        item.out_at = out_at
        if Event.OPENED in step.events:
            self.opened.append(item)
        if Event.WORSENED in step.events:
            self.worsened.add(signal.subject.key)

    def _count(self) -> None:
        """What the newest look at each subject found."""
        outcome = self.outcome
        outcome.checked = len(self.given)
        silenced = {found.signal.subject.key for found in outcome.inhibited}
        for key, given in self.given.items():
            if key in silenced:
                continue
            signal = as_alerted(self.policy, given)
            if signal.found is Found.BREACHED:
                outcome.breached += 1
                if self._muted(self.watched[key], signal):
                    outcome.muted.append(key)
            elif signal.found is Found.UNKNOWN:
                outcome.unknown += 1
            else:
                outcome.clear += 1
                near = signal.closeness
                if near is not None and (outcome.closest is None or near > (outcome.closest.closeness or 0)):
                    outcome.closest = signal

    def _log_steps(self, item: Watched, events: Iterable[Event]) -> None:
        state = item.condition.state
        for event in events:
            reached = machine.after(state, event)
            line = LoggedEvent(event.value, subject=item.subject.key, before=state.value, after=reached.value)
            self.events.append((item, line))
            state = reached

    def _close_unseen(self) -> None:
        limit = self.now - timedelta(days=self.policy.unseen_days)
        for key, item in self.watched.items():
            state, seen = item.condition.state, item.condition.seen_at
            if key in self.given or seen is None or seen > limit:
                continue
            if state not in STANDING and state is not State.PENDING:
                continue
            if self._inhibited(item):
                continue
            step = machine.unseen(item.condition)
            self._log_steps(item, step.events)
            item.condition, item.changed = step.condition, True
            if state in STANDING:
                self.closed_unseen.add(key)

    # -- incidents -------------------------------------------------------------------------------------------

    def _place(self) -> None:
        """Put what opened into incidents: those it belongs to, or new ones."""
        by_key = {item.subject.key: item for item in self.opened}
        for group in self.relations.groups([item.subject for item in by_key.values()]):
            items = [by_key[subject.key] for subject in group]
            alert = self._incident_for(items) or self._begin(items)
            for item in items:
                item.alert_id, item.changed = alert.id, True
                if item.subject.key not in alert.members:
                    alert.members.append(item.subject.key)
            store.add_members(self.connection, alert.id, items, self.now)

    def _incident_for(self, items: Sequence[Watched]) -> Alert | None:
        for item in items:
            if item.alert_id is not None and self._stands(item.alert_id):
                return self.alerts[item.alert_id]
        since = self.now - timedelta(hours=self.policy.join_hours)
        ageless = all(item.subject.kind in _AGELESS for item in items)
        candidates = {
            alert.id: [self.watched[key].subject for key in alert.members if key in self.watched]
            for alert in self.alerts.values()
            # What a person has sent to sleep hides nothing that begins while it is silent; a source stays one matter.
            if alert.standing and (ageless or (alert.opened_at >= since and alert.snoozed_until is None))
        }
        found = join(candidates, [item.subject for item in items], self.relations)
        return None if found is None else self.alerts[found]

    def _begin(self, items: Sequence[Watched]) -> Alert:
        signals = [item.signal for item in items if item.signal is not None]
        head = self.relations.head(signals)
        severity = max((signal.severity for signal in signals), key=lambda one: one.rank)
        values: dict[str, Any] = {
            "head": head.subject.key, "label": head.label, "state": State.OPEN.value, "severity": severity.value,
            "since": min(item.condition.since or head.period for item in items), "opened_at": self.now,
            "owner": head.owner, "division": head.division,
            "previous_id": store.previous_of(self.connection, head.subject.key),
        }  # fmt: skip
        number = store.insert_alert(self.connection, values, self.now)
        alert = Alert(**{**values, "id": number, "state": State.OPEN, "severity": severity})
        self.alerts[number] = alert
        self.outcome.opened.append(number)
        self.events.append((alert, LoggedEvent(Event.OPENED.value, alert_id=number, after=State.OPEN.value)))
        return alert

    def _stands(self, alert_id: int | None) -> bool:
        alert = self.alerts.get(alert_id) if alert_id is not None else None
        return alert is not None and alert.standing

    def _of(self, alert: Alert) -> list[Watched]:
        """The incident's subjects that are still its own."""
        return [
            item for key in alert.members if (item := self.watched.get(key)) is not None and item.alert_id == alert.id
        ]

    def _move(self, alert: Alert) -> None:
        """Bring the incident to the state its subjects are in."""
        if not alert.standing:
            return
        items = self._of(alert)
        states = {item.condition.state for item in items}
        if State.WORSENING in states:
            target = State.WORSENING
        elif State.OPEN in states:
            target = State.OPEN
        else:
            target = State.RECOVERING if State.RECOVERING in states else State.RESOLVED
        worse = any(item.subject.key in self.worsened for item in items)
        route = machine.route(alert.state, target)
        if worse and target is State.WORSENING and not route:
            route = (Event.WORSENED,)
        for event in route:
            reached = machine.after(alert.state, event)
            line = LoggedEvent(event.value, alert_id=alert.id, before=alert.state.value, after=reached.value)
            self.events.append((alert, line))
            alert.state, alert.changed = reached, True
        out = [item for item in items if item.condition.state in STANDING]
        if worse:
            alert.worsenings, alert.changed = alert.worsenings + 1, True
        severity = max([alert.severity, *(item.condition.severity for item in out)], key=lambda one: one.rank)
        flapping = any(len(item.out_at) >= self.policy.flapping.after for item in out)
        signals = [item.signal for item in out if item.signal is not None]
        head = self.relations.head(signals) if signals else None
        label, key = (head.label, head.subject.key) if head is not None else (alert.label, alert.head)
        if (severity, flapping, label, key) != (alert.severity, alert.flapping, alert.label, alert.head):
            alert.changed = True
            alert.severity, alert.label, alert.head = severity, label, key
            alert.flapping = flapping
            alert.told_flapping = alert.told_flapping and flapping
        if not alert.standing:
            unseen = any(item.subject.key in self.closed_unseen for item in items)
            alert.resolution, alert.resolved_at = ("unseen" if unseen else "clear"), self.now
            self.outcome.resolved.append(alert.id)

    # -- what is owed ----------------------------------------------------------------------------------------

    def _owed(self, alert: Alert) -> Kind | None:
        """The one thing its thread has not been told yet; None where it knows all."""
        in_storm = bool(alert.threads) and alert.threads[-1].storm_id is not None
        return next((kind for kind in self._untold(alert) if not in_storm or kind in _TOLD_IN_STORM), None)

    def _untold(self, alert: Alert) -> Iterator[Kind]:
        """Everything in which what is differs from what was told, the weightiest first."""
        if not alert.standing:
            if alert.told_state is not None and alert.told_state is not State.RESOLVED:
                yield Kind.UNSEEN if alert.resolution == "unseen" else Kind.RESOLVED
            return
        if alert.told_at is None or alert.told_severity is None:
            yield Kind.OPENED
            return
        if alert.threads and self._channel(alert) == "alerts" != alert.threads[-1].channel_key:
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
            if alert.state is State.RECOVERING and alert.told_state in _SHOWN_STATES and self.policy.tell_recovering:
                yield Kind.RECOVERING
        yield from self._untold_by_time(alert, out)

    def _untold_by_time(self, alert: Alert, out: bool) -> Iterator[Kind]:
        since = self._unknown_since(alert)
        if since is None:
            if alert.told_unknown:
                alert.told_unknown, alert.changed = False, True
        elif not alert.told_unknown and since <= self.now - timedelta(hours=self.policy.unknown_hours):
            yield Kind.UNKNOWN
        woken = alert.snoozed_until is not None and alert.snoozed_until <= self.today
        hours = getattr(self.policy.repeat_hours, alert.severity.value)
        due = hours is not None and alert.told_at is not None and self.now - alert.told_at >= timedelta(hours=hours)
        # What cannot be judged is not said to be so still.
        repeated = out and due and since is None and alert.acknowledged_by is None
        if woken or repeated or alert.id in self.again:
            yield Kind.STILL

    def _unknown_since(self, alert: Alert) -> datetime | None:
        """Since when none of the incident's subjects could be judged, or was looked at; None where one can."""
        moments = []
        for item in self._of(alert):
            condition = item.condition
            if condition.state not in STANDING:
                continue
            moment = condition.unknown_since
            if moment is None and item.subject.key not in self.given and condition.seen_at is not None:
                late = condition.seen_at <= self.now - timedelta(hours=self.policy.unknown_hours)
                moment = condition.seen_at if late else None
            if moment is None or self._inhibited(item):
                return None
            moments.append(moment)
        return max(moments, default=None)

    def _held(self, alert: Alert, kind: Kind) -> str | None:
        """What keeps `kind` from being said now, or None."""
        items = self._of(alert)
        standing = self._concerned(alert)
        if standing and all(self._muted(item) for item in standing):
            return "muted"
        if kind is Kind.OPENED and self._small_part(items):
            return "part"
        if alert.told_at is not None and self.now < alert.told_at + self.interval:
            return "interval"
        if alert.snoozed_until is not None and alert.snoozed_until > self.today:
            told_at_once = kind in _ENDS and self.policy.snoozed_resolution == "at_once"
            critical = (
                self.policy.critical_breaks_snooze
                and alert.severity is Severity.CRITICAL
                and alert.told_severity is not Severity.CRITICAL
            )
            if not told_at_once and not critical:
                return "snoozed"
        if kind in (Kind.STILL, Kind.UNKNOWN) and standing and all(self._inhibited(item) for item in standing):
            return "inhibited"
        return None

    def _concerned(self, alert: Alert) -> list[Watched]:
        """The subjects whose silence is the incident's: those still out; of one that is over all it ever was of, even
        where another incident has them by now."""
        if alert.standing:
            items = self._of(alert)
            return [item for item in items if item.condition.state in STANDING] or items
        known = [self.watched[key] for key in alert.members if key in self.watched]
        if len(known) == len(alert.members):
            return known
        return list(store.watched_of(self.connection, [alert.id]).values())

    def _small_part(self, items: Sequence[Watched]) -> bool:
        """Whether only parts of metrics are out, and none by enough to be told without its whole."""
        parts = [item.subject.kind is SubjectKind.METRIC and item.subject.dimension != "all" for item in items]
        near = [item.condition.closeness for item in items if item.condition.closeness is not None]
        return bool(items) and all(parts) and bool(near) and max(near) < self.policy.parts_alone_from

    def _inhibited(self, item: Watched) -> bool:
        look = self.given.get(item.subject.key) or item.signal
        return look is not None and inhibitor(item.subject, look.depends_on, self.failed) is not None

    def _muted(self, item: Watched, signal: Signal | None = None) -> bool:
        by_day = persistence_of(self.policy, item.subject).look == "day"
        newest = item.condition.newest
        looked = signal.period if signal is not None else newest.period if newest is not None else None
        day = looked if by_day and looked is not None else self.today
        return muted_by(self.mutes, item.subject, day, self.today) is not None

    def _channel(self, alert: Alert) -> str:
        return channel_of(self.fleet, alert.severity, alert.owner)

    # -- saying it -------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        opening: dict[str, list[tuple[Alert, Kind]]] = defaultdict(list)
        in_storm: dict[int, list[tuple[Alert, Kind]]] = defaultdict(list)
        for alert in self.alerts.values():
            kind = self._owed(alert)
            if kind is None:
                continue
            why = self._held(alert, kind)
            storms = {thread.storm_id for thread in alert.threads if thread.storm_id is not None}
            begins = kind in (Kind.OPENED, Kind.MOVED) or not alert.threads
            if why is None and kind in _ENDS and any(self._storm_rests(number) for number in storms):
                why = "interval"
            if why is not None:
                self.outcome.held.append(Held(alert.id, kind, why))
            elif begins:
                opening[self._channel(alert)].append((alert, kind))
            elif kind in _ENDS:
                for number in storms:
                    in_storm[number].append((alert, kind))
                self._answer(alert, kind, [thread for thread in alert.threads if thread.storm_id is None])
            elif alert.threads and alert.threads[-1].storm_id is not None:
                in_storm[alert.threads[-1].storm_id].append((alert, kind))
            else:
                self._answer(alert, kind, alert.threads[-1:])
        for channel_key, owed in sorted(opening.items()):
            self._open(channel_key, owed, in_storm)
        for number, owed in sorted(in_storm.items()):
            self._update_storm(self.storms[number], owed)

    def _open(
        self, channel_key: str, owed: list[tuple[Alert, Kind]], in_storm: dict[int, list[tuple[Alert, Kind]]]
    ) -> None:
        kinds = {alert.id: kind for alert, kind in owed}
        sorted_out = sort_openings(
            most_serious_first(self._head_signal, [alert for alert, _ in owed]),
            recent=self.recent.get(channel_key, 0),
            storm=lasting(self.storms, channel_key, self.now, self.policy.storm),
            rule=self.policy.storm,
        )
        for alert in sorted_out.alone:
            if kinds[alert.id] is Kind.MOVED:
                # Who follows the first thread is told where it goes on.
                before = alert.threads[-1]
                self._post(self._about(alert, Kind.MOVED, before.channel_key), alert, before, ":from")
            self._begin_thread(alert, kinds[alert.id], channel_key)
        if not sorted_out.in_storm:
            return
        if sorted_out.joining is not None:
            sorted_out.joining.last_opened_at, sorted_out.joining.changed = self.now, True
            in_storm[sorted_out.joining.id] += [(alert, kinds[alert.id]) for alert in sorted_out.in_storm]
            return
        storm = store.insert_storm(self.connection, channel_key, self.now)
        self.storms[storm.id] = storm
        self._say_storm(storm, list(sorted_out.in_storm), Kind.STORM)

    def _begin_thread(self, alert: Alert, kind: Kind, channel_key: str) -> None:
        announcement = replace(self._about(alert, kind, channel_key), first=True)
        outbox_id = self._post(announcement, alert, None)
        thread = Thread(channel_key, outbox_id, self.channels(channel_key))
        alert.threads.append(thread)
        store.add_thread(self.connection, alert.id, thread, self.now)
        self.recent[channel_key] = self.recent.get(channel_key, 0) + 1
        self._mark(alert, outbox_id)

    def _answer(self, alert: Alert, kind: Kind, threads: Sequence[Thread]) -> None:
        """Say it in each of these threads."""
        outbox_id = None
        for number, thread in enumerate(threads):
            outbox_id = self._post(self._about(alert, kind, thread.channel_key), alert, thread, f":{number}")
        if outbox_id is not None:
            self._mark(alert, outbox_id)

    def _post(self, announcement: Announcement, alert: Alert, thread: Thread | None, suffix: str = "") -> UUID:
        channel = thread.channel if thread is not None else self.channels(announcement.channel_key)
        key = f"alert:{alert.id}:{alert.messages + 1}:{announcement.kind}{suffix}"
        return self._announce(announcement, key, channel, thread.outbox_id if thread is not None else None)

    def _announce(self, announcement: Announcement, key: str, channel: str, thread_of: UUID | None) -> UUID:
        outbox_id, problem = announce(
            self.connection, announcement, compose=self.compose, key=key, channel=channel, thread_of=thread_of
        )
        if problem is not None:
            self.outcome.problems.append(problem)
        self.outcome.told.append(Told(announcement, outbox_id))
        for incident in announcement.incidents:
            line = LoggedEvent(f"told_{announcement.kind}", alert_id=incident.id, outbox_id=outbox_id)
            self.events.append((self.alerts[incident.id], line))
        failpoint("alerts.told")
        return outbox_id

    def _mark(self, alert: Alert, outbox_id: UUID) -> None:
        """What the thread knows from now on."""
        alert.changed = True
        alert.first_told_at = alert.first_told_at or self.now
        alert.told_at, alert.told_state, alert.told_severity = self.now, alert.state, alert.severity
        alert.told_members, alert.told_worsenings = tuple(alert.members), alert.worsenings
        alert.told_flapping, alert.last_outbox_id = alert.flapping, outbox_id
        since = self._unknown_since(alert)
        alert.told_unknown = since is not None and since <= self.now - timedelta(hours=self.policy.unknown_hours)
        alert.messages += 1
        if alert.snoozed_until is not None and (alert.snoozed_until <= self.today or not alert.standing):
            alert.snoozed_until = alert.snoozed_by = None

    def _storm_rests(self, number: int) -> bool:
        told_at = self.storms[number].told_at
        return told_at is not None and self.now < told_at + self.interval

    def _update_storm(self, storm: StormRecord, owed: list[tuple[Alert, Kind]]) -> None:
        if self._storm_rests(storm.id):
            self.outcome.held += [Held(alert.id, kind, "storm") for alert, kind in owed]
            return
        self._say_storm(storm, [alert for alert, _ in owed], Kind.STORM_UPDATE)

    def _say_storm(self, storm: StormRecord, alerts: list[Alert], kind: Kind) -> None:
        alerts = most_serious_first(self._head_signal, alerts)
        heads = [signal for alert in alerts if (signal := self._head_signal(alert)) is not None]
        first = storm.outbox_id is None
        announcement = Announcement(
            kind=Kind.STORM if first else kind, at=self.now, channel_key=storm.channel_key,
            incidents=tuple(self._incident(alert, storm.channel_key) for alert in alerts), signals=tuple(heads),
            changed=tuple(alert.head for alert in alerts), first=first,
        )  # fmt: skip
        storm.messages += 1
        channel = self.channels(storm.channel_key)
        outbox_id = self._announce(announcement, f"alert-storm:{storm.id}:{storm.messages}", channel, storm.outbox_id)
        storm.outbox_id = storm.outbox_id or outbox_id
        storm.told_at, storm.changed = self.now, True
        store.save_storms(self.connection, [storm])
        for alert in alerts:
            if alert.standing and all(thread.storm_id != storm.id for thread in alert.threads):
                thread = Thread(storm.channel_key, storm.outbox_id, channel, storm.id)
                alert.threads.append(thread)
                store.add_thread(self.connection, alert.id, thread, self.now)
            self._mark(alert, outbox_id)

    def _about(self, alert: Alert, kind: Kind, channel_key: str) -> Announcement:
        items = self._of(alert)
        signals = [item.signal for item in items if item.signal is not None]
        if len(signals) < len(alert.members):
            joined = store.joined_signals(self.connection, alert.id)
            known = {signal.subject.key for signal in signals}
            signals += [signal for key, signal in joined.items() if key not in known]
        signals.sort(key=lambda signal: (signal.subject.key != alert.head, alert.members.index(signal.subject.key)))
        new = set(alert.members) - set(alert.told_members)
        changed = new if kind is Kind.WIDENED else self.worsened & set(alert.members) if kind is Kind.WORSENED else ()
        quiet = {key: one for member in alert.members for key, one in self.silenced.get(member, {}).items()}
        return Announcement(
            kind=kind, at=self.now, channel_key=channel_key, incidents=(self._incident(alert, channel_key),),
            signals=tuple(signals), changed=tuple(key for key in alert.members if key in changed),
            severity_before=alert.told_severity,
            note=f"Nobody has looked at it for {self.policy.unseen_days} days." if kind is Kind.UNSEEN else "",
            silenced=tuple(quiet[key] for key in sorted(quiet)),
        )  # fmt: skip

    def _incident(self, alert: Alert, channel_key: str) -> Incident:
        return replace(alert.incident(self._unknown_since(alert)), channel_key=channel_key)

    def _head_signal(self, alert: Alert) -> Signal | None:
        item = self.watched.get(alert.head)
        return item.signal if item is not None else None

    # -- what has no incident and cannot be judged -----------------------------------------------------------

    def _tell_blind(self) -> None:
        limit = self.now - timedelta(hours=self.policy.unknown_hours)
        blind: dict[str, list[Watched]] = defaultdict(list)
        sighted: dict[UUID, list[Watched]] = defaultdict(list)
        for item in self.watched.values():
            since = item.condition.unknown_since
            if item.blind_in is not None and since is None:
                sighted[item.blind_in].append(item)
            # What could never be judged yet is no news, and the parts of a whole follow it.
            known_before = item.condition.newest is not None and item.subject.dimension == "all"
            alone = item.condition.state not in STANDING and item.blind_in is None and not self._inhibited(item)
            look = self.given.get(item.subject.key)
            if since is not None and since <= limit and look and known_before and alone and not self._muted(item):
                blind[channel_of(self.fleet, Severity.WATCH, look.owner)].append(item)
        for channel_key, items in sorted(blind.items()):
            key = f"alert-blind:{channel_key}:{self.today.isoformat()}"
            if self.connection.execute("select 1 from ops.outbox where dedupe_key = %s", (key,)).fetchone():
                continue  # once a day and channel
            announcement = self._about_unknown(Kind.BLIND, channel_key, items)
            outbox_id = self._announce(announcement, key, self.channels(channel_key), None)
            for item in items:
                item.blind_in, item.changed = outbox_id, True
        for parent, items in sorted(sighted.items(), key=lambda pair: str(pair[0])):
            self._tell_sighted(parent, items)

    def _tell_sighted(self, parent: UUID, items: list[Watched]) -> None:
        row = self.connection.execute(
            "select channel_key, channel from ops.outbox where id = %s and state <> 'failed'", (parent,)
        ).fetchone()
        for item in items:
            item.blind_in, item.changed = None, True
        if row is not None:
            key = f"alert-sighted:{parent}:{self.now.isoformat()}"
            self._announce(self._about_unknown(Kind.SIGHTED, row[0], items), key, row[1], parent)

    def _about_unknown(self, kind: Kind, channel_key: str, items: Sequence[Watched]) -> Announcement:
        looks = [self.given.get(item.subject.key) or item.signal for item in items]
        return Announcement(
            kind=kind, at=self.now, channel_key=channel_key, incidents=(),
            signals=tuple(look for look in looks if look is not None),
            changed=tuple(item.subject.key for item in items), first=kind is Kind.BLIND,
        )  # fmt: skip

    # -- keeping it ------------------------------------------------------------------------------------------

    def _save(self) -> None:
        store.save_watched(self.connection, self.watched.values(), self.now)
        store.save_alerts(self.connection, self.alerts.values(), self.now)
        store.save_storms(self.connection, self.storms.values())
        lines = [
            replace(line, alert_id=owner.alert_id if isinstance(owner, Watched) else owner.id)
            for owner, line in self.events
        ]
        store.log_events(self.connection, lines, self.now)


def count_by_kind(told: Iterable[Told]) -> dict[str, int]:
    """How many messages of each kind went out: what a receipt says."""
    return dict(Counter(one.announcement.kind.value for one in told))

"""What people do to alerts: acknowledge, assign, snooze, mute, and say whether it was worth it.

Belongs here: every such action, done once, with its line in the audit (`ops.alert_actions`). Does not belong here: how
a button, an HTTP request or a command arrives (their own rooms call `act`), what the machine says (`telling.py`).

An action names exactly one alert by its number, its actor and a key: the same key again does nothing and answers as
before; the same key for something else is refused. What an alert is (open, recovering, resolved) no action changes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ops_platform.alerts import store
from ops_platform.alerts.announcement import Announcement, Composer, Kind
from ops_platform.alerts.policy import business_calendar
from ops_platform.alerts.signal import SubjectKind
from ops_platform.alerts.to_outbox import announce
from ops_platform.clock import business_day
from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from ops_platform.alerts.signal import Subject
    from ops_platform.alerts.store import Alert
    from ops_platform.fleet import Fleet

TEXT_MOST = 500


class Action(StrEnum):
    ACKNOWLEDGE = "acknowledge"  # somebody knows: it is not repeated; what changes is still told
    ASSIGN = "assign"
    SNOOZE = "snooze"  # silent until a business day; its end is told
    UNSNOOZE = "unsnooze"
    MUTE = "mute"  # its metrics or rules are watched and not told for known days
    UNMUTE = "unmute"
    USEFUL = "useful"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Request:
    """One action. `via` is where it came from (slack, http, cli), `key` makes it once.

    `alert_id` is the alert's number; only a mute and an unmute may name a `kind` and `name` instead (and, for a part,
    `dimension` and `value`). `assignee` is for assign, `until` for snooze (a business day), `first_day` and `last_day`
    (business days, inclusive) and `reason` for mute, `note` for useful and noise."""

    action: Action
    actor: str
    via: str
    key: str
    alert_id: int | None = None
    assignee: str | None = None
    until: date | None = None
    first_day: date | None = None
    last_day: date | None = None
    reason: str = ""
    note: str = ""
    kind: SubjectKind = SubjectKind.METRIC
    name: str | None = None
    dimension: str | None = None
    value: str | None = None

    def arguments(self) -> dict[str, Any]:
        """What it was asked with, as the audit keeps it."""
        given = {
            "assignee": self.assignee, "until": self.until, "first_day": self.first_day, "last_day": self.last_day,
            "reason": self.reason, "note": self.note, "name": self.name, "dimension": self.dimension,
            "value": self.value, "kind": self.kind.value if self.name else None,
        }  # fmt: skip
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it, in a sentence for the actor. `changed` is False where all was so already; `replayed` where this
    very action had been done before."""

    words: str
    changed: bool
    replayed: bool = False
    alert_id: int | None = None


def act(
    connection: psycopg.Connection[Any],
    request: Request,
    now: datetime,
    *,
    fleet: Fleet,
    compose: Composer | None = None,
) -> Done:
    """Do it, in one transaction (the caller's, if one is open). With `compose` the alert's thread is told who did what.

    `now` is the company's clock (aware). Raises `DataFailure`, having changed nothing, where it cannot be done: no such
    alert, an alert that is over, a day that is no business day, a key used for something else."""
    _check(request)
    with connection.transaction():
        store.take_turn(connection)
        before = connection.execute(
            "select action, alert_id, actor, arguments, outcome from ops.alert_actions where idempotency_key = %s",
            (_key(request),),
        ).fetchone()
        if before is not None:
            if before[:4] != (request.action.value, request.alert_id, request.actor, request.arguments()):
                raise DataFailure("this key was used for another action: give every action a key of its own")
            return Done(before[4], changed=False, replayed=True, alert_id=request.alert_id)
        done = _Doing(connection, request, now, fleet).run()
        _record(connection, request, done, now)
        if compose is not None and done.changed and request.alert_id is not None:
            _tell(connection, request, done, now, compose)
        failpoint("alerts.acted")
    failpoint("alerts.action_committed")
    return done


def _check(request: Request) -> None:
    for what, text in (("the actor", request.actor), ("the key", request.key), ("where it comes from", request.via)):
        if not text.strip():
            raise DataFailure(f"an action needs {what}")
    for text in (request.actor, request.assignee or "", request.reason, request.note):
        if len(text) > TEXT_MOST:
            raise DataFailure(f"at most {TEXT_MOST} characters, please: {text[:40]!r}…")
    if request.alert_id is None and (request.action not in (Action.MUTE, Action.UNMUTE) or not request.name):
        raise DataFailure("say which alert, by its number: `ops alert list` shows them")


def _key(request: Request) -> str:
    return request.key if len(request.key) <= 255 else hashlib.sha256(request.key.encode()).hexdigest()


class _Doing:
    """One action on what is there now."""

    def __init__(self, connection: psycopg.Connection[Any], request: Request, now: datetime, fleet: Fleet) -> None:
        self.connection, self.request, self.now, self.fleet = connection, request, now, fleet
        self.today = business_day(now, fleet.company.timezone)
        self.alert = self._load() if request.alert_id is not None else None

    def run(self) -> Done:
        action = self.request.action
        if action is Action.MUTE:
            return self._mute()
        if action is Action.UNMUTE:
            return self._unmute()
        assert self.alert is not None
        if action in (Action.USEFUL, Action.NOISE):
            return self._rate(self.alert)
        if not self.alert.standing:
            raise DataFailure(f"alert #{self.alert.id} ({self.alert.label}) is over: nothing to {action}")
        done = {
            Action.ACKNOWLEDGE: self._acknowledge,
            Action.ASSIGN: self._assign,
            Action.SNOOZE: self._snooze,
            Action.UNSNOOZE: self._unsnooze,
        }[action](self.alert)
        if done.changed:
            self.alert.changed = True
            store.save_alerts(self.connection, [self.alert], self.now)
        return done

    def _load(self) -> Alert:
        number = self.request.alert_id
        found = store.load_alerts(self.connection, [number] if number is not None else [])
        if not found:
            raise DataFailure(f"there is no alert #{number}: `ops alert list` shows them")
        return next(iter(found.values()))

    def _done(self, words: str, *, changed: bool = True) -> Done:
        return Done(words, changed, alert_id=self.alert.id if self.alert is not None else None)

    def _acknowledge(self, alert: Alert) -> Done:
        if alert.acknowledged_by is not None:
            by = "you" if alert.acknowledged_by == self.request.actor else alert.acknowledged_by
            return self._done(f"#{alert.id} was acknowledged by {by} already.", changed=False)
        alert.acknowledged_by, alert.acknowledged_at = self.request.actor, self.now
        return self._done(f"#{alert.id} acknowledged: it is not repeated; what changes is told.")

    def _assign(self, alert: Alert) -> Done:
        assignee = (self.request.assignee or "").strip()
        if not assignee:
            raise DataFailure("say to whom it is assigned")
        if alert.assignee == assignee:
            return self._done(f"#{alert.id} is assigned to {assignee} already.", changed=False)
        alert.assignee = assignee
        return self._done(f"#{alert.id} assigned to {assignee}.")

    def _snooze(self, alert: Alert) -> Done:
        until = self.request.until
        calendar = business_calendar(self.fleet.alerts)
        if until is None:
            raise DataFailure(f"say until which business day; the next is {calendar.next_business_day(self.today)}")
        calendar.check_snooze(until, self.today, self.fleet.alerts.snooze_days_most)
        if alert.snoozed_until == until:
            return self._done(f"#{alert.id} is silent until {until} already.", changed=False)
        alert.snoozed_until, alert.snoozed_by = until, self.request.actor
        return self._done(f"#{alert.id} is silent until {until:%A} {until}; if it ends before, you are told.")

    def _unsnooze(self, alert: Alert) -> Done:
        if alert.snoozed_until is None:
            return self._done(f"#{alert.id} is not snoozed.", changed=False)
        alert.snoozed_until = alert.snoozed_by = None
        return self._done(f"#{alert.id} speaks again.")

    def _rate(self, alert: Alert) -> Done:
        request = self.request
        cursor = self.connection.execute(
            """insert into ops.alert_feedback as kept (alert_id, actor, verdict, note, at) values (%s, %s, %s, %s, %s)
               on conflict (alert_id, actor) do update
               set verdict = excluded.verdict, note = excluded.note, at = excluded.at
               where (kept.verdict, kept.note) is distinct from (excluded.verdict, excluded.note)""",
            (alert.id, request.actor, request.action.value, request.note or None, self.now),
        )
        return self._done(f"#{alert.id} noted as {request.action}. Thank you.", changed=cursor.rowcount > 0)

    # -- mutes -----------------------------------------------------------------------------------------------

    def _mute(self) -> Done:
        request, policy = self.request, self.fleet.alerts
        targets = self._targets()
        first, last = request.first_day or self._first_day(targets), request.last_day
        if last is None:
            raise DataFailure("say until which day it is muted: a mute is for a known period")
        if last < first:
            raise DataFailure(f"the period ends ({last}) before it begins ({first})")
        if last < self.today:
            raise DataFailure(f"{last} is over: a mute is for days to come")
        if (last - self.today).days > policy.mute_days_most:
            raise DataFailure(f"{last} is more than {policy.mute_days_most} days ahead (alerts.mute_days_most)")
        for kind, name, dimension, value in targets:
            self.connection.execute(
                """insert into ops.alert_mutes
                       (kind, name, dimension, value, first_day, last_day, reason, actor, at)
                   values (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                (kind, name, dimension, value, first, last, request.reason.strip(), request.actor, self.now),
            )
        return self._done(f"{_named(targets)} muted from {first} to {last}: watched, not told.")

    def _unmute(self) -> Done:
        """End the mutes of these targets; of a whole metric or rule also those of its parts."""
        ended = 0
        targets = self._targets()
        for kind, name, dimension, value in targets:
            cursor = self.connection.execute(
                """update ops.alert_mutes set ended_at = %(now)s, ended_by = %(actor)s
                   where ended_at is null and last_day >= %(today)s and (kind, name) = (%(kind)s, %(name)s)
                     and (%(dimension)s::text is null or dimension is null
                          or (dimension, value) = (%(dimension)s, %(value)s))""",
                {"now": self.now, "actor": self.request.actor, "today": self.today, "kind": kind, "name": name,
                 "dimension": dimension, "value": value},
            )  # fmt: skip
            ended += cursor.rowcount
        said = f"{_named(targets)} {'speaks again' if ended else 'was not muted'}."
        return self._done(said, changed=ended > 0)

    def _targets(self) -> list[tuple[str, str, str | None, str | None]]:
        """(kind, name, dimension, value) to mute: what was named, or the alert's subjects, a whole with its parts."""
        request = self.request
        if self.alert is not None:
            subjects = [item.subject for item in store.watched_of(self.connection, [self.alert.id]).values()]
            wholes = {(one.kind, one.name) for one in subjects if one.dimension == "all"}
            return sorted({_target(one, wholes) for one in subjects}, key=str)
        known = self.connection.execute(
            "select 1 from ops.alert_conditions where kind = %s and name = %s limit 1",
            (request.kind.value, request.name),
        ).fetchone()
        if known is None:
            raise DataFailure(f"no {request.kind} {request.name!r} was ever looked at: check the name")
        assert request.name is not None
        return [(request.kind.value, request.name, request.dimension, request.value)]

    def _first_day(self, targets: Sequence[tuple[str, str, str | None, str | None]]) -> date:
        """Today, or the last day that was looked at: who mutes an alert means the day it is about, too."""
        row = self.connection.execute(
            "select max((looks -> -1 ->> 0)::date) from ops.alert_conditions where kind || ':' || name = any(%s)",
            ([f"{kind}:{name}" for kind, name, _, _ in targets],),
        ).fetchone()
        newest = row[0] if row is not None else None
        return min(self.today, max(newest, self.today - timedelta(days=7))) if newest is not None else self.today


def _target(subject: Subject, wholes: set[tuple[SubjectKind, str]]) -> tuple[str, str, str | None, str | None]:
    if (subject.kind, subject.name) in wholes:
        return subject.kind.value, subject.name, None, None
    return subject.kind.value, subject.name, subject.dimension, subject.value


def _named(targets: Sequence[tuple[str, str, str | None, str | None]]) -> str:
    names = list(dict.fromkeys(name if value is None else f"{name} ({value})" for _, name, _, value in targets))
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _record(connection: psycopg.Connection[Any], request: Request, done: Done, now: datetime) -> None:
    from psycopg.types.json import Jsonb

    connection.execute(
        """insert into ops.alert_actions (idempotency_key, action, alert_id, actor, via, arguments, outcome, at)
           values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            _key(request), request.action.value, request.alert_id, request.actor, request.via,
            Jsonb(request.arguments()), done.words, now,
        ),
    )  # fmt: skip


def _tell(connection: psycopg.Connection[Any], request: Request, done: Done, now: datetime, compose: Composer) -> None:
    """A line in the alert's own thread; a storm's thread is many alerts' and is left alone."""
    if request.action in (Action.USEFUL, Action.NOISE):
        return
    alert = next(iter(store.load_alerts(connection, [request.alert_id or 0]).values()))
    threads = [thread for thread in alert.threads if thread.storm_id is None]
    if not threads:
        return
    watched = store.watched_of(connection, [alert.id])
    announcement = Announcement(
        kind=Kind.TAKEN, at=now, channel_key=threads[-1].channel_key, incidents=(alert.incident(),),
        signals=tuple(item.signal for item in watched.values() if item.signal is not None),
        note=done.words, actor=request.actor,
    )  # fmt: skip
    announce(
        connection, announcement, compose=compose, key=f"alert-action:{_key(request)[:200]}",
        channel=threads[-1].channel, thread_of=threads[-1].outbox_id,
    )  # fmt: skip

"""What one turn of the alert machine has before it, and what it has decided so far.

Belongs here: reading that and writing it back, and what every part of a turn asks of it. Does not belong here: the
order of a turn (`cycle.py`), the decisions: looks (`looking.py`), incidents (`placing.py`), what is owed (`owing.py`),
what is said (`telling.py`, `blindness.py`); SQL (`store.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.alerts import store
from ops_platform.alerts.inhibition import inhibitor
from ops_platform.alerts.outcome import Outcome
from ops_platform.alerts.policy import persistence_of
from ops_platform.alerts.store import Watched
from ops_platform.clock import business_day

if TYPE_CHECKING:
    import psycopg

    from ops_platform.alerts.announcement import Composer, Silenced
    from ops_platform.alerts.grouping import Relations
    from ops_platform.alerts.signal import Signal, Subject
    from ops_platform.alerts.store import Alert, LoggedEvent, Mute, StormRecord
    from ops_platform.fleet import Fleet
    from ops_platform.fleet.alert_policy import AlertPolicy


@dataclass(slots=True)
class Turn:
    """One turn. `recent` counts the threads begun of late, by channel; `given` are the looks of this turn by subject;
    `failed` the sources that are out (`inhibition.py`) and `silenced` what each keeps quiet.

    Decided so far: the subjects that `opened`, `worsened` or were closed unseen (by key), the incidents whose last
    message is to be said `again`, and the `events` to be logged, each with whose it is."""

    connection: psycopg.Connection[Any]
    now: datetime
    today: date
    fleet: Fleet
    compose: Composer
    channels: Callable[[str], str]
    relations: Relations

    watched: dict[str, Watched]
    alerts: dict[int, Alert]
    storms: dict[int, StormRecord]
    recent: dict[str, int]
    mutes: list[Mute]

    given: dict[str, Signal] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    silenced: dict[str, dict[str, Silenced]] = field(default_factory=lambda: defaultdict(dict))
    opened: list[Watched] = field(default_factory=list)
    worsened: set[str] = field(default_factory=set)
    closed_unseen: set[str] = field(default_factory=set)
    again: set[int] = field(default_factory=set)
    events: list[tuple[Watched | Alert, LoggedEvent]] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)

    @classmethod
    def load(
        cls,
        connection: psycopg.Connection[Any],
        now: datetime,
        subjects: Collection[str],
        *,
        fleet: Fleet,
        compose: Composer,
        channels: Callable[[str], str],
        relations: Relations,
    ) -> Turn:
        """What is known of these subjects (by key), and of everything that is not over."""
        today = business_day(now, fleet.company.timezone)
        watched = store.load_watched(connection, subjects)
        alerts = store.load_alerts(connection)
        since = now - timedelta(minutes=fleet.alerts.storm.interval_minutes)
        told_in = {thread.storm_id for alert in alerts.values() for thread in alert.threads if thread.storm_id}
        return cls(
            connection, now, today, fleet, compose, channels, relations, watched, alerts,
            storms=store.load_storms(connection, since, told_in), recent=store.openings_since(connection, since),
            mutes=store.load_mutes(connection, today),
        )  # fmt: skip

    def save(self) -> None:
        store.save_watched(self.connection, self.watched.values(), self.now)
        store.save_alerts(self.connection, self.alerts.values(), self.now)
        store.save_storms(self.connection, self.storms.values())
        # Which incident a subject belongs to is known only at the end.
        lines = [
            replace(line, alert_id=owner.alert_id if isinstance(owner, Watched) else owner.id)
            for owner, line in self.events
        ]
        store.log_events(self.connection, lines, self.now)

    # -- what every part asks --------------------------------------------------------------------------------

    @property
    def policy(self) -> AlertPolicy:
        return self.fleet.alerts

    @property
    def interval(self) -> timedelta:
        """How long a thread rests after a message."""
        return timedelta(minutes=self.policy.group_interval_minutes)

    def stands(self, alert_id: int | None) -> bool:
        alert = self.alerts.get(alert_id) if alert_id is not None else None
        return alert is not None and alert.standing

    def subjects_of(self, alert: Alert) -> list[Watched]:
        """The incident's subjects that are still its own."""
        return [
            item for key in alert.members if (item := self.watched.get(key)) is not None and item.alert_id == alert.id
        ]

    def is_inhibited(self, item: Watched) -> bool:
        look = self.given.get(item.subject.key) or item.signal
        return look is not None and inhibitor(item.subject, look.depends_on, self.failed) is not None

    def is_muted(self, item: Watched, signal: Signal | None = None) -> bool:
        by_day = persistence_of(self.policy, item.subject).look == "day"
        newest = item.condition.newest
        looked = signal.period if signal is not None else newest.period if newest is not None else None
        day = looked if by_day and looked is not None else self.today
        return muted_by(self.mutes, item.subject, day, self.today) is not None


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

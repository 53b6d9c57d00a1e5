"""What the alert machine keeps: reading it, and writing back what changed.

Belongs here: the SQL on `ops.alert*` and the records it gives. Does not belong here: what a state means (`machine.py`),
when something is said (`owing.py`), what people may do (`actions.py`).

Whoever changes any of it first takes the machine's lock, for the length of a transaction: two processes take turns.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from ops_platform.alerts.announcement import Incident
from ops_platform.alerts.machine import Condition, Look, State, Verdict
from ops_platform.alerts.signal import Driver, Severity, Signal, Subject, SubjectKind
from ops_platform.failures import DataFailure
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

_LOCK = 4_172_018_005
# A message that failed is told again no sooner than this, the end of an incident for so many days.
RETELL_AFTER = timedelta(hours=6)
RETELL_WITHIN = timedelta(days=7)


@dataclass(slots=True)
class Watched:
    """A subject: its condition, the incident it belongs to, its newest conclusive signal (kept where it is or was the
    matter). `out_at` are the moments it
    opened or relapsed; `inhibited_by` names the source that keeps it quiet; `blind_in` the message that told it
    unknown. `changed` says that it has to be written."""

    subject: Subject
    condition: Condition
    alert_id: int | None = None
    signal: Signal | None = None
    inhibited_by: str | None = None
    out_at: tuple[datetime, ...] = ()
    blind_in: UUID | None = None
    changed: bool = False


@dataclass(slots=True)
class Thread:
    """Where an incident was told: the outbox message that began it, in which channel, and the storm it was of."""

    channel_key: str
    outbox_id: UUID
    channel: str
    storm_id: int | None = None


@dataclass(slots=True)
class Alert:
    """An incident and what of it was told. `members` are the keys of its subjects, in the order they joined."""

    id: int
    head: str
    label: str
    state: State
    severity: Severity
    since: date
    opened_at: datetime
    owner: str | None = None
    division: str | None = None
    resolution: str | None = None
    resolved_at: datetime | None = None
    worsenings: int = 0
    flapping: bool = False
    previous_id: int | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    assignee: str | None = None
    snoozed_until: date | None = None
    snoozed_by: str | None = None
    first_told_at: datetime | None = None
    told_at: datetime | None = None
    told_state: State | None = None
    told_severity: Severity | None = None
    told_members: tuple[str, ...] = ()
    told_worsenings: int = 0
    told_flapping: bool = False
    told_unknown: bool = False
    last_outbox_id: UUID | None = None
    messages: int = 0
    retold: int = 0
    members: list[str] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    changed: bool = False

    @property
    def standing(self) -> bool:
        return self.state is not State.RESOLVED

    def incident(self, unknown_since: datetime | None = None) -> Incident:
        """The incident as it is announced."""
        rest = tuple(key for key in self.members if key != self.head)
        return Incident(
            id=self.id, state=self.state.value, severity=self.severity, head=self.head, label=self.label,
            members=(self.head, *rest), channel_key=self.threads[-1].channel_key if self.threads else "",
            opened_at=self.opened_at, since=self.since, owner=self.owner, division=self.division,
            resolved_at=self.resolved_at, acknowledged_by=self.acknowledged_by, assignee=self.assignee,
            snoozed_until=self.snoozed_until, flapping=self.flapping, unknown_since=unknown_since,
            previous=self.previous_id,
        )  # fmt: skip


@dataclass(slots=True)
class StormRecord:
    """A storm in a channel; `outbox_id` is the message that told of it."""

    id: int
    channel_key: str
    began_at: datetime
    last_opened_at: datetime
    outbox_id: UUID | None = None
    told_at: datetime | None = None
    messages: int = 0
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Mute:
    """A known period. `dimension` and `value` None: the whole metric or rule with all its parts."""

    id: int
    kind: SubjectKind
    name: str
    dimension: str | None
    value: str | None
    first_day: date
    last_day: date
    reason: str
    actor: str
    at: datetime

    def covers(self, subject: Subject) -> bool:
        return (
            (subject.kind, subject.name) == (self.kind, self.name)
            and self.dimension in (None, subject.dimension)
            and self.value in (None, subject.value)
        )


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A line for `ops.alert_events`."""

    event: str
    alert_id: int | None = None
    subject: str | None = None
    before: str | None = None
    after: str | None = None
    outbox_id: UUID | None = None
    detail: str | None = None


def take_turn(connection: psycopg.Connection[Any]) -> None:
    """Wait until no other transaction works on alerts; held to the end of this one. What is read after it is what the
    others left, for which the transaction must be READ COMMITTED: `DataFailure` otherwise."""
    row = connection.execute("show transaction_isolation").fetchone()
    if row is None or row[0] != "read committed":
        raise DataFailure("alerts are handled in a READ COMMITTED transaction: others' work must be seen")
    connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))


# -- reading ---------------------------------------------------------------------------------------------------


def load_watched(connection: psycopg.Connection[Any], keys: Iterable[str]) -> dict[str, Watched]:
    """The subjects of these keys, and every one with something the matter or unknown."""
    rows = _rows(
        connection,
        """select * from ops.alert_conditions
           where subject = any(%(keys)s) or state in ('pending', 'open', 'worsening', 'recovering')
              or unknown_since is not null or blind_outbox_id is not null
              or alert_id in (select id from ops.alerts where state <> 'resolved' or told_state <> 'resolved')""",
        {"keys": list(keys)},
    )
    return {row["subject"]: _watched(row) for row in rows}


def watched_of(connection: psycopg.Connection[Any], alert_ids: Iterable[int]) -> dict[str, Watched]:
    """The subjects of these incidents as they are now."""
    rows = _rows(
        connection,
        """select * from ops.alert_conditions where subject in
           (select subject from ops.alert_members where alert_id = any(%(ids)s))""",
        {"ids": list(alert_ids)},
    )
    return {row["subject"]: _watched(row) for row in rows}


def joined_signals(connection: psycopg.Connection[Any], alert_id: int) -> dict[str, Signal]:
    """For each subject of an incident, the look that brought it in."""
    rows = _rows(connection, "select subject, signal from ops.alert_members where alert_id = %(id)s", {"id": alert_id})
    return {row["subject"]: signal_from_json(row["signal"]) for row in rows}


def load_alerts(connection: psycopg.Connection[Any], ids: Iterable[int] | None = None) -> dict[int, Alert]:
    """The incidents of these numbers; without numbers, those that stand or owe a word."""
    if ids is None:
        # What was told last and never reached the vendor has to be told again.
        where = """state <> 'resolved' or told_state <> 'resolved' or (
            state = 'resolved' and resolved_at > %(since)s and exists (
                select from ops.outbox as o where o.id = alerts.last_outbox_id and o.state = 'failed'))"""
        latest = connection.execute("select max(updated_at) from ops.alerts").fetchone()
        since = (latest[0] - RETELL_WITHIN) if latest and latest[0] else None
        rows = _rows(connection, f"select * from ops.alerts where {where} order by id", {"since": since})
    else:
        rows = _rows(connection, "select * from ops.alerts where id = any(%(ids)s) order by id", {"ids": list(ids)})
    alerts = {row["id"]: _alert(row) for row in rows}
    members = _rows(
        connection,
        "select alert_id, subject from ops.alert_members where alert_id = any(%(ids)s) order by joined_at, subject",
        {"ids": list(alerts)},
    )
    for row in members:
        alerts[row["alert_id"]].members.append(row["subject"])
    threads = _rows(
        connection,
        """select t.alert_id, t.channel_key, t.outbox_id, t.storm_id, o.channel
           from ops.alert_threads as t join ops.outbox as o on o.id = t.outbox_id
           where t.alert_id = any(%(ids)s) and not t.lost order by t.begun_at, t.outbox_id""",
        {"ids": list(alerts)},
    )
    for row in threads:
        alerts[row["alert_id"]].threads.append(
            Thread(row["channel_key"], row["outbox_id"], row["channel"], row["storm_id"])
        )
    return alerts


def failed_messages(connection: psycopg.Connection[Any], ids: Iterable[UUID]) -> set[UUID]:
    """Those of these messages that certainly never reached the vendor."""
    rows = connection.execute("select id from ops.outbox where id = any(%s) and state = 'failed'", (list(ids),))
    return {row[0] for row in rows}


def load_storms(connection: psycopg.Connection[Any], since: datetime, ids: Iterable[int]) -> dict[int, StormRecord]:
    """Storms in which something opened after `since`, and those of these numbers."""
    rows = _rows(
        connection,
        "select * from ops.alert_storms where last_opened_at > %(since)s or id = any(%(ids)s)",
        {"since": since, "ids": list(ids)},
    )
    return {row["id"]: StormRecord(**row) for row in rows}


def openings_since(connection: psycopg.Connection[Any], since: datetime) -> dict[str, int]:
    """How many incidents were told by a message of their own since then, by channel."""
    rows = connection.execute(
        """select channel_key, count(*) from ops.alert_threads
           where begun_at > %s and storm_id is null group by channel_key""",
        (since,),
    )
    return {row[0]: int(row[1]) for row in rows}


def load_mutes(connection: psycopg.Connection[Any], today: date) -> list[Mute]:
    """Mutes in force today, to come, or that ended so lately that yesterday is still looked at."""
    rows = _rows(
        connection,
        """select id, kind, name, dimension, value, first_day, last_day, reason, actor, at from ops.alert_mutes
           where ended_at is null and last_day >= %(day)s order by id""",
        {"day": today - timedelta(days=1)},
    )
    return [Mute(**{**row, "kind": SubjectKind(row["kind"])}) for row in rows]


def previous_of(connection: psycopg.Connection[Any], subject: str) -> int | None:
    """The newest incident this subject was in."""
    row = connection.execute(
        "select alert_id from ops.alert_members where subject = %s order by alert_id desc limit 1", (subject,)
    ).fetchone()
    return None if row is None else int(row[0])


# -- writing ---------------------------------------------------------------------------------------------------

_ALERT_COLUMNS = (
    "head", "label", "state", "severity", "since", "opened_at", "owner", "division", "resolution", "resolved_at",
    "worsenings", "flapping", "previous_id", "acknowledged_by", "acknowledged_at", "assignee", "snoozed_until",
    "snoozed_by", "first_told_at", "told_at", "told_state", "told_severity", "told_members", "told_worsenings",
    "told_flapping", "told_unknown", "last_outbox_id", "messages", "retold",
)  # fmt: skip
_CONDITION_COLUMNS = {
    "subject": "text", "kind": "text", "name": "text", "dimension": "text", "value": "text", "state": "text",
    "episode": "integer", "looks": "jsonb", "severity": "text", "closeness": "numeric", "effect": "numeric",
    "since": "date", "unknown_since": "timestamptz", "seen_at": "timestamptz", "alert_id": "bigint",
    "signal": "jsonb", "inhibited_by": "text", "blind_outbox_id": "uuid", "out_at": "text",
}  # fmt: skip


def insert_alert(connection: psycopg.Connection[Any], values: Mapping[str, Any], now: datetime) -> int:
    """A new incident; returns its number. `values` by column."""
    columns = [*values, "updated_at"]
    places = ", ".join(["%s"] * len(columns))
    row = connection.execute(
        f"insert into ops.alerts ({', '.join(columns)}) values ({places}) returning id".encode(),
        [*values.values(), now],
    ).fetchone()
    assert row is not None
    return int(row[0])


def insert_storm(connection: psycopg.Connection[Any], channel_key: str, now: datetime) -> StormRecord:
    row = connection.execute(
        "insert into ops.alert_storms (channel_key, began_at, last_opened_at) values (%s, %s, %s) returning id",
        (channel_key, now, now),
    ).fetchone()
    assert row is not None
    return StormRecord(int(row[0]), channel_key, now, now)


def save_alerts(connection: psycopg.Connection[Any], alerts: Iterable[Alert], now: datetime) -> None:
    """Write the incidents marked as changed."""
    assignments = ", ".join(f"{name} = %({name})s" for name in _ALERT_COLUMNS)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"update ops.alerts set {assignments}, updated_at = %(now)s where id = %(id)s".encode(),
            [
                {**{name: _plain(getattr(alert, name)) for name in _ALERT_COLUMNS}, "id": alert.id, "now": now}
                for alert in alerts
                if alert.changed
            ],
        )


def save_storms(connection: psycopg.Connection[Any], storms: Iterable[StormRecord]) -> None:
    for storm in storms:
        if storm.changed:
            connection.execute(
                "update ops.alert_storms set last_opened_at = %s, outbox_id = %s, told_at = %s, messages = %s"
                " where id = %s",
                (storm.last_opened_at, storm.outbox_id, storm.told_at, storm.messages, storm.id),
            )


def save_watched(connection: psycopg.Connection[Any], watched: Iterable[Watched], now: datetime) -> None:
    """Write the subjects marked as changed, all in one statement."""
    rows = [_condition_row(item) for item in watched if item.changed]
    if not rows:
        return
    columns = list(_CONDITION_COLUMNS)
    taken = ", ".join("out_at::timestamptz[]" if name == "out_at" else name for name in columns)
    arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in _CONDITION_COLUMNS.items())
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns[5:])
    connection.execute(
        f"""insert into ops.alert_conditions ({", ".join(columns)}, updated_at)
            select {taken}, %(now)s from unnest({arrays}) as given ({", ".join(columns)})
            on conflict (subject) do update set {updates}, updated_at = excluded.updated_at""".encode(),
        {**{name: [row[name] for row in rows] for name in columns}, "now": now},
    )


def add_members(connection: psycopg.Connection[Any], alert_id: int, members: Iterable[Watched], now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.alert_members (alert_id, subject, joined_at, signal) values (%s, %s, %s, %s::jsonb)"
            " on conflict do nothing",
            [(alert_id, item.subject.key, now, _json(signal_to_json(item.signal))) for item in members if item.signal],
        )


def add_thread(connection: psycopg.Connection[Any], alert_id: int, thread: Thread, now: datetime) -> None:
    connection.execute(
        "insert into ops.alert_threads (alert_id, channel_key, outbox_id, storm_id, begun_at)"
        " values (%s, %s, %s, %s, %s) on conflict do nothing",
        (alert_id, thread.channel_key, thread.outbox_id, thread.storm_id, now),
    )


def lose_threads(connection: psycopg.Connection[Any], outbox_ids: Iterable[UUID]) -> None:
    """Threads whose first message never reached the vendor: nothing can be answered there."""
    connection.execute("update ops.alert_threads set lost = true where outbox_id = any(%s)", (list(outbox_ids),))


def log_events(connection: psycopg.Connection[Any], events: Iterable[LoggedEvent], now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.alert_events (at, alert_id, subject, event, from_state, to_state, outbox_id, detail)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (now, one.alert_id, one.subject, one.event, one.before, one.after, one.outbox_id, one.detail)
                for one in events
            ],
        )


# -- shapes ----------------------------------------------------------------------------------------------------


def storable(signal: Signal) -> Signal:
    """The signal with every number that is none (NaN, infinities) as unknown, and text that PostgreSQL can keep."""

    def finite(value: Decimal | None) -> Decimal | None:
        return value if value is not None and value.is_finite() else None

    return replace(
        signal,
        label=_clean(signal.label),
        explanation=_clean(signal.explanation),
        value=finite(signal.value),
        expected_low=finite(signal.expected_low),
        expected=finite(signal.expected),
        expected_high=finite(signal.expected_high),
        effect=finite(signal.effect),
        effect_money=finite(signal.effect_money),
        closeness=finite(signal.closeness),
        drivers=tuple(
            Driver(_clean(one.label), one.effect, finite(one.share)) for one in signal.drivers if one.effect.is_finite()
        ),
    )


def signal_to_json(signal: Signal) -> dict[str, Any]:
    """A storable signal as jsonb keeps it; numbers as text, so that none loses a digit."""

    def number(value: Decimal | None) -> str | None:
        return None if value is None else str(value)

    return {
        "kind": signal.subject.kind.value, "name": signal.subject.name, "dimension": signal.subject.dimension,
        "dimension_value": signal.subject.value, "found": signal.found.value, "period": signal.period.isoformat(),
        "observed_at": signal.observed_at.isoformat(), "label": signal.label, "severity": signal.severity.value,
        "unit": signal.unit, "value": number(signal.value), "expected_low": number(signal.expected_low),
        "expected": number(signal.expected), "expected_high": number(signal.expected_high),
        "effect": number(signal.effect), "effect_money": number(signal.effect_money),
        "closeness": number(signal.closeness), "adverse": signal.adverse,
        "since": signal.since.isoformat() if signal.since else None,
        "drivers": [[one.label, number(one.effect), number(one.share)] for one in signal.drivers],
        "depends_on": list(signal.depends_on), "division": signal.division, "owner": signal.owner,
        "explanation": signal.explanation,
    }  # fmt: skip


def signal_from_json(data: Mapping[str, Any]) -> Signal:
    """The signal that was kept."""

    def number(name: str) -> Decimal | None:
        return None if data.get(name) is None else Decimal(data[name])

    return Signal(
        subject=Subject(SubjectKind(data["kind"]), data["name"], data["dimension"], data["dimension_value"]),
        found=Finding(data["found"]),
        period=date.fromisoformat(data["period"]),
        observed_at=datetime.fromisoformat(data["observed_at"]),
        label=data["label"],
        severity=Severity(data["severity"]),
        unit=data["unit"],
        value=number("value"),
        expected_low=number("expected_low"),
        expected=number("expected"),
        expected_high=number("expected_high"),
        effect=number("effect"),
        effect_money=number("effect_money"),
        closeness=number("closeness"),
        adverse=data["adverse"],
        since=date.fromisoformat(data["since"]) if data["since"] else None,
        drivers=tuple(
            Driver(label, Decimal(effect or 0), None if share is None else Decimal(share))
            for label, effect, share in data["drivers"]
        ),
        depends_on=tuple(data["depends_on"]),
        division=data["division"],
        owner=data["owner"],
        explanation=data["explanation"],
    )


def _watched(row: Mapping[str, Any]) -> Watched:
    looks = tuple(
        Look(date.fromisoformat(period), datetime.fromisoformat(at), Verdict(verdict))
        for period, at, verdict in row["looks"]
    )
    return Watched(
        subject=Subject(SubjectKind(row["kind"]), row["name"], row["dimension"], row["value"]),
        condition=Condition(
            state=State(row["state"]), episode=row["episode"], looks=looks, severity=Severity(row["severity"]),
            closeness=row["closeness"], effect=row["effect"], since=row["since"],
            unknown_since=row["unknown_since"], seen_at=row["seen_at"],
        ),
        alert_id=row["alert_id"],
        signal=signal_from_json(row["signal"]) if row["signal"] else None,
        inhibited_by=row["inhibited_by"],
        out_at=tuple(row["out_at"]),
        blind_in=row["blind_outbox_id"],
    )  # fmt: skip


def _condition_row(item: Watched) -> dict[str, Any]:
    condition, subject = item.condition, item.subject
    looks = [[look.period.isoformat(), look.observed_at.isoformat(), look.verdict.value] for look in condition.looks]
    # Most subjects never were the matter: of them only where they stand is kept, not what was seen.
    kept = item.signal if item.alert_id is not None or condition.state is State.PENDING else None
    return {
        "subject": subject.key, "kind": subject.kind.value, "name": subject.name, "dimension": subject.dimension,
        "value": subject.value, "state": condition.state.value, "episode": condition.episode, "looks": _json(looks),
        "severity": condition.severity.value, "closeness": condition.closeness, "effect": condition.effect,
        "since": condition.since, "unknown_since": condition.unknown_since, "seen_at": condition.seen_at,
        "alert_id": item.alert_id, "signal": _json(signal_to_json(kept)) if kept else None,
        "inhibited_by": item.inhibited_by, "blind_outbox_id": item.blind_in,
        "out_at": "{" + ",".join(f'"{moment.isoformat()}"' for moment in item.out_at) + "}",
    }  # fmt: skip


def _alert(row: Mapping[str, Any]) -> Alert:
    values = {name: row[name] for name in ("id", *_ALERT_COLUMNS)}
    values["state"], values["severity"] = State(row["state"]), Severity(row["severity"])
    values["told_state"] = State(row["told_state"]) if row["told_state"] else None
    values["told_severity"] = Severity(row["told_severity"]) if row["told_severity"] else None
    values["told_members"] = tuple(row["told_members"])
    return Alert(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, State | Severity):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _json(value: Any) -> str:
    """JSON text that jsonb takes: without NUL, without lone surrogates."""
    return orjson.dumps(_clean(value)).decode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return value


def _rows(connection: psycopg.Connection[Any], sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(sql.encode(), parameters)
        return cursor.fetchall()

"""`ops alert`: what is the matter, and taking it in hand from a terminal.

Belongs here: showing incidents, and passing a person's word on. Does not belong here: what an action does
(`ops_platform.alerts.actions`), when something is said (`ops_platform.alerts.cycle`).
"""

from __future__ import annotations

import json
import uuid
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import click

from ops_platform import clock
from ops_platform.commands.account import account_here
from ops_platform.commands.safe_text import printable
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from ops_platform.alerts.actions import Request
    from ops_platform.alerts.store import Alert

_COLOURS = {"critical": "red", "alert": "yellow", "watch": "cyan"}
_LIST = """
    select id from ops.alerts
    where state <> 'resolved' or (%(all)s and opened_at > %(since)s)
    order by state = 'resolved', id desc limit %(limit)s
"""
_EVENTS = """
    select events.at, events.subject, events.event, events.from_state, events.to_state,
           messages.state as message, messages.channel_key, messages.error
    from ops.alert_events as events
    left join ops.outbox as messages on messages.id = events.outbox_id
    where events.alert_id = %s order by events.id
"""
_ACTIONS = "select at, action, actor, via, arguments, outcome from ops.alert_actions where alert_id = %s order by id"
_FEEDBACK = "select at, actor, verdict, note from ops.alert_feedback where alert_id = %s order by at"


def _prepared() -> None:
    from ops_platform.commands.prepare import prepare_database

    prepare_database()


def show_list(*, everything: bool, days: int, limit: int, as_json: bool) -> int:
    """What stands, the newest first, and what is muted; with `everything` also what is over."""
    from ops_platform.alerts import store
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    _prepared()
    now = clock.now()
    today = clock.business_day(now, get_fleet().company.timezone)
    with connect() as connection:
        query = {"all": everything, "since": now - timedelta(days=days), "limit": limit}
        ids = [number for (number,) in connection.execute(_LIST, query).fetchall()]
        alerts = store.load_alerts(connection, ids)
        mutes = store.load_mutes(connection, today)
    if as_json:
        answer = {
            "alerts": [_alert_json(alerts[number]) for number in ids],
            "mutes": [
                {
                    "id": mute.id, "subject": _muted_name(mute), "first_day": mute.first_day,
                    "last_day": mute.last_day, "reason": mute.reason, "actor": mute.actor,
                }
                for mute in mutes
            ],
        }  # fmt: skip
        click.echo(json.dumps(answer, default=str, indent=2))
        return 0
    if not ids:
        click.echo("no alert" if everything else "nothing is the matter (--all shows what is over)")
    for number in ids:
        _print_line(alerts[number], today)
    for mute in mutes:
        reason = f": {printable(mute.reason)}" if mute.reason else ""
        click.echo(f"🔇 {_muted_name(mute)}  {mute.first_day} to {mute.last_day}, by {printable(mute.actor)}{reason}")
    return 0


def show_one(number: int, *, as_json: bool) -> int:
    """One alert: its subjects, what was told where, what people did, what happened."""
    from psycopg.rows import dict_row

    from ops_platform.alerts import store
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    _prepared()
    with connect() as connection:
        alert = store.load_alerts(connection, [number]).get(number)
        if alert is None:
            raise DataFailure(f"there is no alert #{number}: `ops alert list --all` shows them")
        watched = store.watched_of(connection, [number])
        joined = store.joined_signals(connection, number)
        with connection.cursor(row_factory=dict_row) as cursor:
            events = cursor.execute(_EVENTS, (number,)).fetchall()
            actions = cursor.execute(_ACTIONS, (number,)).fetchall()
            feedback = cursor.execute(_FEEDBACK, (number,)).fetchall()
    members = []
    for key in alert.members:
        item = watched.get(key)
        look = (item.signal if item is not None and item.alert_id == number else None) or joined[key]
        state = item.condition.state.value if item is not None and item.alert_id == number else "resolved"
        members.append((key, state, look, item.inhibited_by if item is not None else None))
    if as_json:
        answer = _alert_json(alert) | {
            "members": [
                {"subject": key, "state": state, "inhibited_by": by, "look": store.signal_to_json(look)}
                for key, state, look, by in members
            ],
            "events": events, "actions": actions, "feedback": feedback,
        }  # fmt: skip
        click.echo(json.dumps(answer, default=str, indent=2))
        return 0
    _print_line(alert, clock.business_day(clock.now(), get_fleet().company.timezone))
    for _, state, look, by in members:
        value = "unknown" if look.value is None else f"{look.value:f} {look.unit}"
        expected = "" if look.expected is None else f", expected {look.expected:f}"
        money = "" if look.effect_money is None else f", {look.effect_money:+f} in money"
        silenced = f" (silenced by {by})" if by else ""
        click.echo(f"  {printable(look.label)}: {state}{silenced}, {value} on {look.period}{expected}{money}")
        if look.explanation:
            click.echo(f"    {printable(look.explanation)}")
    click.echo("\nWhat happened")
    for event in events:
        subject = f"  {printable(event['subject'])}" if event["subject"] else ""
        moved = f": {event['from_state']} → {event['to_state']}" if event["from_state"] else ""
        sent = f" ({event['channel_key']}: {event['message']})" if event["message"] else ""
        click.echo(f"  {event['at']:%F %H:%M} UTC  {event['event']}{moved}{sent}{subject}")
        if event["message"] == "failed" and event["error"]:
            click.echo(f"    {printable(event['error'])}")
    for row in actions:
        said = f"{row['action']} by {printable(row['actor'])} ({row['via']})"
        click.echo(f"  {row['at']:%F %H:%M} UTC  {said}: {printable(row['outcome'])}")
    for row in feedback:
        note = f": {printable(row['note'])}" if row["note"] else ""
        click.echo(f"  {row['at']:%F %H:%M} UTC  {row['verdict']}, says {printable(row['actor'])}{note}")
    return 0


def act(action: str, *, actor: str | None, key: str | None, as_json: bool, **arguments: Any) -> int:
    """Do one action, once for its key. Exit code 1, with what to do, where it cannot be done."""
    from ops_platform.alerts import actions
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    _prepared()
    request: Request = actions.Request(
        actions.Action(action),
        actor=actor or account_here(),
        via="cli",
        key=key or f"cli:{uuid.uuid4()}",
        **arguments,
    )
    with connect() as connection:
        done = actions.act(connection, request, clock.now(), fleet=get_fleet())
    if as_json:
        answer = {
            "words": done.words, "changed": done.changed, "replayed": done.replayed, "alert_id": done.alert_id,
            "key": request.key,
        }  # fmt: skip
        click.echo(json.dumps(answer, indent=2))
        return 0
    click.echo(f"{click.style('✓', fg='green') if done.changed else '·'} {printable(done.words)}")
    return 0


def snooze(number: int, until: date | None, days: int | None, **common: Any) -> int:
    """Silent until a day, or for a number of business days."""
    from ops_platform.alerts.policy import business_calendar
    from ops_platform.fleet import get_fleet

    if (until is None) == (days is None):
        raise click.UsageError("say --until a day, or --days for so many business days")
    if days is not None:
        fleet = get_fleet()
        today = clock.business_day(clock.now(), fleet.company.timezone)
        until = business_calendar(fleet.alerts).next_business_day(today, days)
    return act("snooze", alert_id=number, until=until, **common)


def mute(target: str, *, kind: str, part: str | None, **common: Any) -> int:
    """Mute an alert's subjects (by number) or a metric or rule (by name)."""
    return act("mute", **_target(target, kind, part), **common)


def unmute(target: str, *, kind: str, part: str | None, **common: Any) -> int:
    """End the mutes of an alert's subjects or of a metric or rule."""
    return act("unmute", **_target(target, kind, part), **common)


def _target(target: str, kind: str, part: str | None) -> dict[str, Any]:
    from ops_platform.alerts.signal import SubjectKind

    number = target.removeprefix("#")
    if number.isdigit():
        return {"alert_id": int(number)}
    dimension, separator, value = (part or "").partition("=")
    if part and not (dimension and separator and value):
        raise click.UsageError("--part is DIMENSION=VALUE, as channel=amazon")
    return {
        "name": target, "kind": SubjectKind(kind), "dimension": dimension or None, "value": value or None,
    }  # fmt: skip


def precision(*, as_json: bool) -> int:
    """How many alerts of each metric and rule were useful, and what would quieten those that cry wolf."""
    from ops_platform.alerts.feedback import precision as measure
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    _prepared()
    policy = get_fleet().alerts
    with connect() as connection:
        found = measure(connection, clock.now(), policy)
    if as_json:
        rows = [
            {
                "kind": one.kind, "name": one.name, "alerts": one.alerts, "rated": one.rated, "useful": one.useful,
                "noise": one.noise, "precision": one.precision, "suggestion": one.suggestion,
            }
            for one in found
        ]  # fmt: skip
        click.echo(json.dumps({"days": policy.wolf.days, "metrics": rows}, default=str, indent=2))
        return 0
    if not found:
        click.echo(f"no alert in {policy.wolf.days} days")
        return 0
    width = max(len(f"{one.kind}:{one.name}") for one in found)
    for one in found:
        share = "not rated" if one.precision is None else f"{100 * one.precision:.0f} % useful"
        name = printable(f"{one.kind}:{one.name}")
        click.echo(f"{name:<{width}}  {one.alerts:>4} alerts, {one.rated:>3} rated  {share}")
        if one.suggestion:
            click.secho(f"  ⚠ cries wolf: {one.suggestion}", fg="yellow")
    return 0


def _print_line(alert: Alert, today: date) -> None:
    severity = click.style(f"{alert.severity.value:<8}", fg=_COLOURS[alert.severity.value])
    about = [f"since {alert.since}", f"{len(alert.members)} subjects" if len(alert.members) > 1 else ""]
    if alert.flapping:
        about.append("flapping")
    if alert.snoozed_until is not None and alert.snoozed_until > today:
        about.append(f"silent until {alert.snoozed_until}")
    about.append(f"acknowledged by {printable(alert.acknowledged_by)}" if alert.acknowledged_by else "")
    about.append(f"assigned to {printable(alert.assignee)}" if alert.assignee else "")
    if alert.resolved_at is not None:
        about.append(f"{'over' if alert.resolution == 'clear' else 'closed unseen'} {alert.resolved_at:%F %H:%M} UTC")
    about.append("" if alert.told_at is not None else "not told yet" if alert.standing else "never told")
    said = ", ".join(part for part in about if part)
    click.echo(f"#{alert.id:<5} {severity} {alert.state.value:<10} {printable(alert.label)}  ({said})")


def _muted_name(mute: Any) -> str:
    part = f" ({mute.dimension}={mute.value})" if mute.dimension else ""
    return printable(f"{mute.kind.value}:{mute.name}{part}")


def _alert_json(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id, "state": alert.state.value, "resolution": alert.resolution,
        "severity": alert.severity.value, "label": alert.label, "head": alert.head, "members": alert.members,
        "since": alert.since, "opened_at": alert.opened_at, "resolved_at": alert.resolved_at, "owner": alert.owner,
        "division": alert.division, "acknowledged_by": alert.acknowledged_by, "assignee": alert.assignee,
        "snoozed_until": alert.snoozed_until, "flapping": alert.flapping, "told_at": alert.told_at,
        "told_state": alert.told_state.value if alert.told_state else None, "previous": alert.previous_id,
    }  # fmt: skip

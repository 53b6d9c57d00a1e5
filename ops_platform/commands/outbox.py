"""`ops outbox`: messages on their way, and a person's word on one that nobody else can settle.

Belongs here: showing rows of the outbox, passing a word on. Does not belong here: states and what may follow which
(`ops_platform.delivery`), posting.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ops_platform.commands.account import account_here
from ops_platform.commands.safe_text import printable
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

    from ops_platform.delivery import OutboxRow

_COLOURS = {"sent": "green", "held": "red", "failed": "red"}
_SHOWN = 8


def show_list(*, everything: bool, limit: int, as_json: bool) -> int:
    """What is not there yet, the oldest first; with `everything` the newest of all."""
    from ops_platform.database import connect
    from ops_platform.delivery.outbox import rows_where, undelivered

    _prepared()
    with connect() as connection:
        newest = "id in (select id from ops.outbox order by created_at desc, id limit %(limit)s)"
        rows = rows_where(connection, newest, {"limit": limit}) if everything else undelivered(connection)[-limit:]
    if as_json:
        click.echo(json.dumps([_json(row) for row in rows], indent=2, default=str))
        return 0
    if not rows:
        click.echo("no message" if everything else "everything is there (--all shows what was sent)")
    for row in rows:
        _print(row)
    return 0


def show_one(given: str, *, as_json: bool) -> int:
    """One message with its words and its attempts."""
    from ops_platform.database import connect
    from ops_platform.delivery.files import carried_by

    _prepared()
    with connect() as connection:
        row = _row(connection, given)
        notes = connection.execute(
            "select attempt, known_as, at from ops.outbox_handovers where outbox_id = %s order by attempt", (row.id,)
        ).fetchall()
    files = carried_by(row.payload)
    if as_json:
        handed = [{"attempt": attempt, "known_as": known, "at": at} for attempt, known, at in notes]
        shown = {**_json(row), "payload": row.payload, "handed_over": handed}
        click.echo(json.dumps(shown, indent=2, default=str))
        return 0
    _print(row)
    click.echo(f"  {row.id}, attempt {row.attempts}, made {row.created_at:%F %H:%M} UTC")
    for attempt, known_as, at in notes:
        click.echo(f"  attempt {attempt} handed over {at:%F %H:%M:%S} UTC as {printable(known_as)}")
    for file in files:
        click.echo(f"  carries {printable(file.name)}, {file.size:,} bytes, {file.sha256[:12]}")
    click.echo("")
    click.echo("\n".join(printable(line) for line in str(row.payload["text"]).splitlines()))
    return 0


def say(given: str, word: str, *, actor: str | None, external_id: str | None = None) -> int:
    """A person's word; what is to be sent is sent at once."""
    from ops_platform.database import connect
    from ops_platform.delivery import Event, State, decide, deliver
    from ops_platform.delivery.handover import noted
    from ops_platform.settings import get_settings
    from resources.posters import posters_of

    _prepared()
    with connect() as connection:
        row = _row(connection, given)
        event = Event(word)
        if event is Event.RESEND and row.state is State.FAILED:
            event = Event.REQUEUED
        if event is Event.CONFIRMED and external_id is None:
            external_id = noted(connection, row)
        by = " ".join((actor or account_here()).split())[:80] or "unknown"
        row = decide(connection, row.id, event, by=by, external_id=external_id)
        connection.commit()
    if row.state is State.PENDING:
        report = deliver(connect, posters_of(get_settings(), connect), limit=20)
        row = report.rows.get(row.id, row)
    _print(row)
    return 1 if row.state in (State.HELD, State.FAILED) and event is not Event.DROPPED else 0


def _row(connection: psycopg.Connection[Any], given: str) -> OutboxRow:
    """The message whose id begins so. Raises `DataFailure` where none or several do."""
    from ops_platform.delivery.outbox import rows_where

    if len(given) < 4 or not all(char in "0123456789abcdefABCDEF-" for char in given):
        raise click.UsageError(
            f"{given!r} is no id of a message: `ops outbox list` shows them, four characters are enough"
        )
    rows = rows_where(connection, "starts_with(id::text, %(given)s)", {"given": given.lower()})
    if len(rows) != 1:
        raise DataFailure(f"{'no message begins' if not rows else 'several messages begin'} with {given}")
    return rows[0]


def _prepared() -> None:
    from ops_platform.commands.prepare import prepare_database

    prepare_database()


def _short(number: UUID) -> str:
    return str(number)[:_SHOWN]


def _print(row: OutboxRow) -> None:
    state = click.style(f"{row.state:<9}", fg=_COLOURS.get(row.state, "yellow"))
    to = row.channel if row.channel_key == "email" else row.channel_key
    files = f" with {len(row.payload['files'])} files" if row.payload.get("files") else ""
    line = f"{_short(row.id)} {state} {row.kind} to {printable(to)}{files}"
    when = f", sent {row.sent_at:%F %H:%M} UTC" if row.sent_at else ""
    quiet = f", not before {row.quiet_until:%F %H:%M} UTC" if row.quiet_until and row.state == "pending" else ""
    why = f": {printable(row.error)}" if row.error else ""
    click.echo(f"{line}{when}{quiet}{why}")


def _json(row: OutboxRow) -> dict[str, Any]:
    names = ("id", "kind", "channel_key", "channel", "state", "attempts", "external_id", "error", "created_at",
             "sent_at", "not_before", "quiet_until", "document_id", "thread_of")  # fmt: skip
    return {name: getattr(row, name) for name in names}

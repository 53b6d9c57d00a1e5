"""`ops inbox`: what is done about a thread beside deciding it.

Belongs here: passing a person's word on, files in and out, how a hand-over stands. Does not belong here: decisions
(`commands/approval.py`), what a word does (`ops_platform.approvals`).
"""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops_platform import clock
from ops_platform.commands.approval import finish, prepared, who
from ops_platform.commands.safe_text import printable
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from ops_platform.approvals.inbox import Inbox
    from ops_platform.approvals.model import Done


def assign(number: int, to: str, *, words: str, called: str | None, key: str | None, as_json: bool) -> int:
    """Make `to` the one who sees to it."""
    from ops_platform.approvals import threads
    from ops_platform.database import connect

    inbox = prepared()
    with connect() as connection:
        done = threads.assign(connection, inbox, number, to, words=words, **_given(inbox, called, key))
    return finish(inbox, done, as_json)


def move_due(number: int, when: str, *, words: str, called: str | None, key: str | None, as_json: bool) -> int:
    """Give it another due date, in company time."""
    from ops_platform.approvals import threads
    from ops_platform.database import connect

    inbox = prepared()
    with connect() as connection:
        done = threads.move_due(
            connection, inbox, number, _moment(inbox, when), words=words, **_given(inbox, called, key)
        )
    return finish(inbox, done, as_json)


def attach(number: int, path: Path, *, called: str | None, key: str | None, as_json: bool) -> int:
    """Put a file beside it."""
    from ops_platform.approvals import threads
    from ops_platform.database import connect

    inbox = prepared()
    content = path.read_bytes()
    with connect() as connection:
        done: Done = threads.attach(connection, inbox, number, path.name, content, **_given(inbox, called, key))
    return finish(inbox, done, as_json)


def file(number: int, name: str, output: Path) -> int:
    """Write a file that lies beside it."""
    from ops_platform.approvals import store
    from ops_platform.database import connect

    prepared()
    with connect() as connection:
        content = store.attachment(connection, number, name)
    target = output / name if output.is_dir() else output
    target.write_bytes(content)
    click.echo(f"{target} ({len(content):,} bytes)")
    return 0


def handovers(number: int, *, retry: bool, as_json: bool) -> int:
    """How the drafts of an approved campaign stand; with `retry` the refused ones are tried again, now."""
    from ops_platform.approvals import campaign_handover
    from ops_platform.database import connect

    inbox = prepared()
    if retry:
        with connect() as connection:
            again = campaign_handover.retry(connection, number, clock.now())
        if not again:
            raise DataFailure(f"no draft of request #{number} was refused")
        hand_over_now(inbox)
    with connect() as connection:
        found = campaign_handover.standing(connection, number)
    if as_json:
        names = ("part", "state", "attempts", "said")
        click.echo(json.dumps([dict(zip(names, one, strict=True)) for one in found], indent=2))
    elif not found:
        click.echo(f"request #{number} has nothing to hand over")
    for part, state, attempts, said in [] if as_json else found:
        sign = {"made": "✓", "failed": "✗"}.get(state, "·")
        click.echo(f"{sign} {part}: {state} after {attempts} tries: {printable(said)}")
    return 1 if any(state == "failed" for _, state, _, _ in found) else 0


def hand_over_now(inbox: Inbox) -> None:
    """Make the drafts that are due, where a campaign tool is connected or was asked for."""
    from ops_platform.approvals.campaign_handover import hand_over
    from ops_platform.database import connect
    from ops_platform.settings import get_settings
    from resources.klaviyo import drafts

    drafter = drafts.connect(get_settings())
    try:
        hand_over(connect, drafter, inbox, clock.now())
    finally:
        if drafter is not None:
            drafter.close()


def _given(inbox: Inbox, called: str | None, key: str | None) -> dict[str, Any]:
    return {"person": who(inbox, called), "key": key or f"cli:{uuid.uuid4()}", "now": clock.now()}


def _moment(inbox: Inbox, when: str) -> datetime:
    """A day's end or a moment, in company time."""
    try:
        if len(when) == 10:
            day = date.fromisoformat(when) + timedelta(days=1)
            return datetime(day.year, day.month, day.day, tzinfo=inbox.zone)
        moment = datetime.fromisoformat(when)
    except (ValueError, OverflowError):
        raise click.UsageError(f"{when!r} is neither a day (2026-11-27) nor a moment (2026-11-27T12:00)") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=inbox.zone)

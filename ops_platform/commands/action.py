"""`ops action`: what has to be done, and saying whose it is or that it is done.

Belongs here: showing action items, and passing a person's word on. Does not belong here: what opens one
(`ops_platform.action_items`), exact approvals (`ops_platform.approvals`).
"""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from typing import TYPE_CHECKING, Literal

import click

from ops_platform import clock
from ops_platform.commands.account import account_here
from ops_platform.commands.safe_text import printable

if TYPE_CHECKING:
    from ops_platform.action_items.store import ActionItem

LONGEST_NAME = 80


def show_list(*, everything: bool, owner: str | None, limit: int, as_json: bool) -> int:
    """What is open, the first due first; with `everything` also what is settled. `owner`: only this one's."""
    from ops_platform.action_items import store
    from ops_platform.database import connect

    today = _prepared()
    with connect() as connection:
        found = store.items(connection, everything=everything, owner=owner, limit=limit)
    if as_json:
        click.echo(json.dumps([_json(item, today) for item in found], indent=2))
        return 0
    if not found:
        click.echo("no action item" if everything else "nothing is to be done (--all shows what is settled)")
    for item in found:
        _print(item, today)
    return 0


def settle(number: int, state: Literal["done", "dropped"], *, actor: str | None, note: str, as_json: bool) -> int:
    """Say that it is done, or that it need not be; saying it twice changes nothing."""
    from ops_platform.action_items import store
    from ops_platform.database import connect

    today = _prepared()
    with connect() as connection:
        fresh = store.settle(
            connection, number, state=state, actor=_actor(actor), day=today, now=clock.now(), note=note
        )  # fmt: skip
        item = store.item(connection, number)
        connection.commit()
    if as_json:
        click.echo(json.dumps({**_json(item, today), "changed": fresh}, indent=2))
        return 0
    if not fresh:
        click.echo("nothing changed: it was settled already")
    _print(item, today)
    return 0


def assign(number: int, owner: str, due: date | None, *, actor: str | None, as_json: bool) -> int:
    """Say whose it is, and until when."""
    from ops_platform.action_items import store
    from ops_platform.database import connect

    today = _prepared()
    with connect() as connection:
        item = store.assign(connection, number, owner=owner, due_on=due, actor=_actor(actor), now=clock.now())
        connection.commit()
    if as_json:
        click.echo(json.dumps(_json(item, today), indent=2))
        return 0
    _print(item, today)
    return 0


def _prepared() -> date:
    """The databases are ready; returns the company's today."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.fleet import get_fleet

    prepare_database()
    return clock.business_day(clock.now(), get_fleet().company.timezone)


def _actor(given: str | None) -> str:
    return " ".join((given or account_here()).split())[:LONGEST_NAME] or "unknown"


def _print(item: ActionItem, today: date) -> None:
    late = item.state == "open" and item.due_on < today
    when = f"{item.state} {item.settled_on} by {printable(item.settled_by or '')}" if item.state != "open" else (
        f"{'was due' if late else 'due'} {item.due_on}"
    )  # fmt: skip
    state = click.style(f"{'late' if late else item.state:<7}", fg="red" if late else None)
    about = f" {printable(item.about)}" if item.about else ""
    note = f": {printable(item.note)}" if item.note else ""
    line = f"#{item.id:<5} {state} {item.what}{about}  ({printable(item.owner)}, {when}, open since {item.opened_for})"
    click.echo(f"{line}{note}")


def _json(item: ActionItem, today: date) -> dict[str, object]:
    row = {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in dataclasses.asdict(item).items()
    }  # fmt: skip
    return {**row, "late": item.state == "open" and item.due_on < today}

"""Words about action items: what is to be done, and by whom.

Belongs here: `ops action`. Does not belong here: what it does (`commands/action.py`).
"""

from __future__ import annotations

import sys
from datetime import datetime

import click

from ops_platform.cli.options import DAY, JSON

_NUMBER = click.argument("number", type=int)
_BY = click.option("--by", "actor", metavar="NAME", help="Who says so (default: your account's name).")
_NOTE = click.option("--note", default="", metavar="TEXT", help="What was done, or why not.")


@click.group()
def action() -> None:
    """What narratives asked for: carried over until somebody says that it is done."""


@action.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is settled.")
@click.option("--owner", metavar="NAME", help="Only this one's.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="How many to show.")
@JSON
def action_list(everything: bool, owner: str | None, limit: int, as_json: bool) -> None:
    """What is open, the first due first.

    \b
    ops action list
    ops action list --owner "Supply Chain"
    ops action list --all --json
    """
    from ops_platform.commands.action import show_list

    sys.exit(show_list(everything=everything, owner=owner, limit=limit, as_json=as_json))


@action.command("done")
@_NUMBER
@_NOTE
@_BY
@JSON
def action_done(number: int, note: str, actor: str | None, as_json: bool) -> None:
    """Say that it is done. Its subject then rests for some days before a narrative may ask again.

    \b
    ops action done 12 --note "supplier confirmed Friday"
    """
    from ops_platform.commands.action import settle

    sys.exit(settle(number, "done", actor=actor, note=note, as_json=as_json))


@action.command("drop")
@_NUMBER
@_NOTE
@_BY
@JSON
def action_drop(number: int, note: str, actor: str | None, as_json: bool) -> None:
    """Say that it need not be done.

    \b
    ops action drop 12 --note "a stocktaking day"
    """
    from ops_platform.commands.action import settle

    sys.exit(settle(number, "dropped", actor=actor, note=note, as_json=as_json))


@action.command("assign")
@_NUMBER
@click.argument("owner", metavar="PERSON")
@click.option("--due", type=DAY, metavar="YYYY-MM-DD", help="Until when (default: as it was).")
@_BY
@JSON
def action_assign(number: int, owner: str, due: datetime | None, actor: str | None, as_json: bool) -> None:
    """Say whose it is, and until when.

    \b
    ops action assign 12 kim --due 2026-11-27
    """
    from ops_platform.commands.action import assign

    sys.exit(assign(number, owner, due.date() if due else None, actor=actor, as_json=as_json))

"""Words about messages: what waits, what is held, and what a person says of it.

Belongs here: `ops outbox`. Does not belong here: what it does (`commands/outbox.py`).
"""

from __future__ import annotations

import sys

import click

from ops_platform.cli.options import JSON

_ID = click.argument("message", metavar="ID")
_BY = click.option("--by", "actor", metavar="NAME", help="Who says so (default: your account's name).")


@click.group()
def outbox() -> None:
    """Messages on their way to Slack and by e-mail: each goes once; what is unclear is held for a person's word."""


@outbox.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what was sent.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="How many to show, the newest.")
@JSON
def outbox_list(everything: bool, limit: int, as_json: bool) -> None:
    """What is not there yet, and why.

    \b
    ops outbox list
    ops outbox list --all --limit 20 --json
    """
    from ops_platform.commands.outbox import show_list

    sys.exit(show_list(everything=everything, limit=limit, as_json=as_json))


@outbox.command("show")
@_ID
@JSON
def outbox_show(message: str, as_json: bool) -> None:
    """One message: its words, where it goes, what became of each attempt.

    \b
    ops outbox show 3f2a91c0
    """
    from ops_platform.commands.outbox import show_one

    sys.exit(show_one(message, as_json=as_json))


@outbox.command("confirm")
@_ID
@click.option("--as", "external_id", metavar="NAME", help="Its id at Slack (ts), or Message-ID (default: its own).")
@_BY
def outbox_confirm(message: str, external_id: str | None, actor: str | None) -> None:
    """A held message: you have seen it there.

    \b
    ops outbox confirm 3f2a91c0
    """
    from ops_platform.commands.outbox import say

    sys.exit(say(message, "confirmed", actor=actor, external_id=external_id))


@outbox.command("resend")
@_ID
@_BY
def outbox_resend(message: str, actor: str | None) -> None:
    """A held or failed message: it is not there, send it.

    \b
    ops outbox resend 3f2a91c0
    """
    from ops_platform.commands.outbox import say

    sys.exit(say(message, "resend", actor=actor))


@outbox.command("drop")
@_ID
@_BY
def outbox_drop(message: str, actor: str | None) -> None:
    """A held message: leave it.

    \b
    ops outbox drop 3f2a91c0
    """
    from ops_platform.commands.outbox import say

    sys.exit(say(message, "dropped", actor=actor))

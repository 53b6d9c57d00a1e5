"""Words about the inbox: everything `ops approval` can do, and what is done about a thread beside deciding it.

Belongs here: `ops inbox`. Does not belong here: what the words do (`commands/inbox.py`, `commands/approval.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops_platform.cli import approval as deciding
from ops_platform.cli.options import JSON

_NUMBER = click.argument("number", type=int)
_AS = click.option(
    "--as", "called", metavar="PERSON", help="Who says it, of fleet.yaml, where people share an account."
)
_KEY = click.option("--key", metavar="TEXT", help="Makes it once: the same key again does nothing.")
_WORDS = click.option("--note", "words", default="", metavar="TEXT", help="A word with it, told in the thread.")


@click.group()
def inbox() -> None:
    """Threads that wait for somebody: growth reviews, campaigns, incidents, the board pack."""


for _name in ("list", "show", "approve", "reject", "ask", "comment", "edit", "retry"):
    inbox.add_command(deciding.approval.commands[_name], _name)


@inbox.command("assign")
@_NUMBER
@click.argument("to", metavar="PERSON")
@_WORDS
@_AS
@_KEY
@JSON
def inbox_assign(number: int, to: str, words: str, called: str | None, key: str | None, as_json: bool) -> None:
    """Make somebody of fleet.yaml the one who sees to it.

    \b
    ops inbox assign 12 lee
    """
    from ops_platform.commands.inbox import assign

    sys.exit(assign(number, to, words=words, called=called, key=key, as_json=as_json))


@inbox.command("due")
@_NUMBER
@click.argument("when", metavar="WHEN")
@_WORDS
@_AS
@_KEY
@JSON
def inbox_due(number: int, when: str, words: str, called: str | None, key: str | None, as_json: bool) -> None:
    """Give it another due date: a day (its end), or a moment in company time.

    \b
    ops inbox due 12 2026-11-27
    ops inbox due 12 2026-11-27T12:00
    """
    from ops_platform.commands.inbox import move_due

    sys.exit(move_due(number, when, words=words, called=called, key=key, as_json=as_json))


@inbox.command("attach")
@_NUMBER
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_AS
@_KEY
@JSON
def inbox_attach(number: int, file: Path, called: str | None, key: str | None, as_json: bool) -> None:
    """Put a file beside it, for good. It is no part of what is approved.

    \b
    ops inbox attach 12 quotes.pdf
    """
    from ops_platform.commands.inbox import attach

    sys.exit(attach(number, file, called=called, key=key, as_json=as_json))


@inbox.command("file")
@_NUMBER
@click.argument("name")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path(), help="Where to write it: a folder or a file."
)
def inbox_file(number: int, name: str, output: Path) -> None:
    """Write a file that lies beside it.

    \b
    ops inbox file 12 ops_weekly_growth_review-41.html --output /tmp
    """
    from ops_platform.commands.inbox import file

    sys.exit(file(number, name, output))


@inbox.command("handovers")
@_NUMBER
@click.option("--retry", is_flag=True, help="Have what was refused tried again.")
@JSON
def inbox_handovers(number: int, retry: bool, as_json: bool) -> None:
    """What became of an approved campaign's drafts in the campaign tool.

    \b
    ops inbox handovers 12
    ops inbox handovers 12 --retry
    """
    from ops_platform.commands.inbox import handovers

    sys.exit(handovers(number, retry=retry, as_json=as_json))

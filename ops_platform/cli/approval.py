"""Words about approvals: what waits for a decision, and deciding.

Belongs here: `ops approval`, and the options its decisions share. Does not belong here: what they do
(`commands/approval.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from ops_platform.cli.options import JSON

_NUMBER = click.argument("number", type=int)
_AS = click.option(
    "--as", "called", metavar="PERSON", help="Who decides, of fleet.yaml, where people share an account.",
)  # fmt: skip
_KEY = click.option("--key", metavar="TEXT", help="Makes it once: the same key again does nothing.")
_SHOWN = click.option(
    "--shown", metavar="FINGERPRINT", help="Which payload you were shown, by its fingerprint or the beginning of it."
)
_WORDS = click.option("--note", "words", default="", metavar="TEXT", help="A word with it, told in the thread.")


def _word(command: Callable[..., None]) -> Callable[..., None]:
    """What every decision takes, last in its help."""
    return _AS(_KEY(JSON(command)))


@click.group()
def approval() -> None:
    """What waits for a person's word: nothing goes out before, and exactly what was shown after."""


@approval.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@click.option("--limit", default=50, type=click.IntRange(1, 1000), help="How many to show.")
@JSON
def approval_list(everything: bool, limit: int, as_json: bool) -> None:
    """What waits for a decision, the newest first.

    \b
    ops approval list
    ops approval list --all --json
    """
    from ops_platform.commands.approval import show_list

    sys.exit(show_list(everything=everything, limit=limit, as_json=as_json))


@approval.command("show")
@_NUMBER
@click.option("--version", type=click.IntRange(1), help="The payload of an earlier version.")
@JSON
def approval_show(number: int, version: int | None, as_json: bool) -> None:
    """One request: what would be done, its fingerprint, what was said.

    \b
    ops approval show 12
    """
    from ops_platform.commands.approval import show_one

    sys.exit(show_one(number, version=version, as_json=as_json))


@approval.command("approve")
@_NUMBER
@_SHOWN
@_WORDS
@_word
def approval_approve(
    number: int, shown: str | None, words: str, called: str | None, key: str | None, as_json: bool
) -> None:
    """Approve exactly the payload you were shown; it is done at once, and once.

    \b
    ops approval approve 12                      shows the fingerprint and asks
    ops approval approve 12 --shown 3f9a0c11d2e4
    """
    from ops_platform.commands.approval import decide

    sys.exit(decide("approve", number, shown=shown, words=words, called=called, key=key, as_json=as_json))


@approval.command("reject")
@_NUMBER
@_SHOWN
@_WORDS
@_word
def approval_reject(
    number: int, shown: str | None, words: str, called: str | None, key: str | None, as_json: bool
) -> None:
    """Refuse it, for good.

    \b
    ops approval reject 12 --shown 3f9a0c11d2e4 --note "wait for the restated October"
    """
    from ops_platform.commands.approval import decide

    sys.exit(decide("reject", number, shown=shown, words=words, called=called, key=key, as_json=as_json))


@approval.command("ask")
@_NUMBER
@click.argument("words", metavar="QUESTION")
@_word
def approval_ask(number: int, words: str, called: str | None, key: str | None, as_json: bool) -> None:
    """Ask something before deciding; it is told in the thread. The due date stays.

    \b
    ops approval ask 12 "Why is the margin of October lower than last week's?"
    """
    from ops_platform.commands.approval import decide

    sys.exit(decide("ask", number, shown=None, words=words, called=called, key=key, as_json=as_json))


@approval.command("comment")
@_NUMBER
@click.argument("words", metavar="TEXT")
@_word
def approval_comment(number: int, words: str, called: str | None, key: str | None, as_json: bool) -> None:
    """Say something in its thread.

    \b
    ops approval comment 12 "Answered by mail."
    """
    from ops_platform.commands.approval import decide

    sys.exit(decide("comment", number, shown=None, words=words, called=called, key=key, as_json=as_json))


@approval.command("edit")
@_NUMBER
@click.option("--text", "texts", multiple=True, metavar="NAME=TEXT", help="One text, without an editor; repeatable.")
@click.option("--file", type=click.Path(path_type=Path), help="Texts as the editor shows them; - is standard input.")
@_word
def approval_edit(
    number: int, texts: tuple[str, ...], file: Path | None, called: str | None, key: str | None, as_json: bool
) -> None:
    """Change the words of a draft: numbers stay bound to their evidence, and the result is checked like a model's.

    \b
    ops approval edit 12                         in your editor
    ops approval edit 12 --text headline="Net sales were {{c:net_sales}}."
    """
    from ops_platform.commands.approval import edit

    sys.exit(edit(number, texts=texts, file=file, called=called, key=key, as_json=as_json))


@approval.command("retry")
@_NUMBER
@_word
def approval_retry(number: int, called: str | None, key: str | None, as_json: bool) -> None:
    """Try again what was approved and could not be done.

    \b
    ops approval retry 12
    """
    from ops_platform.commands.approval import decide

    sys.exit(decide("retry", number, shown=None, words="", called=called, key=key, as_json=as_json))

"""`ops approval`: deciding at a terminal.

Belongs here: showing requests, passing a person's word on, an editor for texts. Does not belong here: what a decision
does and who may make it (`ops_platform.approvals`).
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops_platform import clock
from ops_platform.approvals.model import SHOWN_DIGITS
from ops_platform.commands.account import account_here
from ops_platform.commands.safe_text import printable
from ops_platform.failures import DataFailure
from ops_platform.settings import get_settings

if TYPE_CHECKING:
    from ops_platform.approvals.inbox import Inbox
    from ops_platform.approvals.model import Approval, Done, Person
    from ops_platform.approvals.subjects import Text

#: What people are shown of a fingerprint. Of fewer digits another payload could be made that begins alike.
SHOWN_LEAST = SHOWN_DIGITS
_SIGNS = {
    "draft": ("🖊", "yellow"), "approved": ("✅", "green"), "sent": ("✅", "green"), "rejected": ("🚫", "red"),
    "expired": ("⌛", "red"), "failed": ("⚠", "red"),
}  # fmt: skip
_SECTION = re.compile(r"^## +([a-z][a-z0-9_]*)\s*$")


def inbox_here() -> Inbox:
    """The inbox of this company, with its channels where Slack is connected."""
    from ops_platform.approvals.assembly import inbox_of
    from ops_platform.fleet import get_fleet
    from resources.slack_posting import channel_id

    settings = get_settings()
    return inbox_of(get_fleet(), None if settings.slack_bot_token is None else partial(channel_id, settings))


def prepared() -> Inbox:
    """The inbox, once the database is there."""
    from ops_platform.commands.prepare import prepare_database

    prepare_database()
    return inbox_here()


def who(inbox: Inbox, called: str | None) -> Person:
    """Who types."""
    from ops_platform.approvals.standing import person_at_terminal

    return person_at_terminal(inbox.policy, account_here(), called)


# Looking ----------------------------------------------------------------------------------------------------


def show_list(*, everything: bool, limit: int, as_json: bool) -> int:
    """Requests that wait for a word, the newest first; with `everything` also those that are over."""
    from ops_platform.approvals import store
    from ops_platform.database import connect

    inbox = prepared()
    with connect() as connection:
        inbox.expire_due(connection, clock.now())
        connection.commit()
        found = store.waiting(connection, everything=everything, limit=limit)
    if as_json:
        click.echo(json.dumps([_as_json(approval) for approval in found], default=str, indent=2))
        return 0
    if not found:
        click.echo(
            "nothing was ever asked" if everything else "nothing waits for a decision (--all shows what is over)"
        )
    for approval in found:
        sign, colour = _SIGNS[approval.state.value]
        due = f", due {approval.due_at.astimezone(inbox.zone):%a %d %b %H:%M}" if approval.state == "draft" else ""
        state = click.style(f"{approval.state.value:<9}", fg=colour)
        click.echo(
            f"{sign} #{approval.id:<5} {state} {printable(approval.title)}"
            f"  (version {approval.version}, {approval.payload_hash[:12]}{due})"
        )
    return 0


def show_one(number: int, *, version: int | None, as_json: bool) -> int:
    """One request: what would be done, what was said, where it stands; with `version` an earlier payload."""
    from ops_platform.approvals import store
    from ops_platform.approvals.message import document_of
    from ops_platform.database import connect
    from ops_platform.documents import terminal

    inbox = prepared()
    with connect() as connection:
        inbox.expire_due(connection, clock.now())
        connection.commit()
        approval = store.load(connection, number)
        kept = store.versions(connection, number)
        said = store.entries(connection, number)
        if version is not None and version not in {one.number for one in kept}:
            raise DataFailure(f"request #{number} has no version {version}")
        if as_json:
            answer = _as_json(approval) | {
                "payload": approval.payload,
                "versions": [
                    {"version": one.number, "payload": one.payload, "payload_hash": one.payload_hash,
                     "made_by": one.made_by, "note": one.note, "at": one.at} for one in kept
                ],
                "entries": [
                    {"event": one.event.value, "version": one.version, "payload_hash": one.payload_hash,
                     "actor": one.actor, "actor_name": one.actor_name, "via": one.via, "words": one.words, "at": one.at}
                    for one in said
                ],
            }  # fmt: skip
            click.echo(json.dumps(answer, default=str, indent=2))
            return 0
        if version is not None:
            (one,) = [each for each in kept if each.number == version]
            click.echo(f"version {one.number} ({one.payload_hash}), made by {printable(one.made_by)}")
            click.echo(json.dumps(one.payload, indent=2))
            return 0
        document = document_of(connection, inbox, approval)
        deliveries = _deliveries(connection, approval)
    width = min(shutil.get_terminal_size((88, 24)).columns, 100)
    click.echo(terminal.render(document, width=width, colour=sys.stdout.isatty()))
    click.echo(f"\nfingerprint {approval.payload_hash}\n\nWhat happened")
    for entry in said:
        words = f": {printable(entry.words)}" if entry.words else ""
        by = f"{printable(entry.actor_name)} ({printable(entry.via)})"
        what = f"{entry.event.value} version {entry.version}"
        click.echo(f"  {entry.at:%F %H:%M} UTC  {what} by {by}{words}")
    for state, channel, error in deliveries:
        click.echo(f"  message to {channel}: {state}{f' ({printable(error)})' if error else ''}")
    return 0


def _deliveries(connection: Any, approval: Approval) -> list[tuple[str, str, str | None]]:
    """Where the messages are that executing it made: done is not yet delivered."""
    rows = connection.execute(
        "select state, channel_key, error from ops.outbox where starts_with(dedupe_key, %s) order by dedupe_key",
        (f"approved:{approval.id}:",),
    )
    return list(rows.fetchall())


# Deciding ---------------------------------------------------------------------------------------------------


def decide(
    what: str, number: int, *, shown: str | None, words: str, called: str | None, key: str | None, as_json: bool
) -> int:
    """A person's word: approve, reject, ask, comment, retry. What it leads to is done before this returns."""
    from ops_platform.approvals import store
    from ops_platform.database import connect

    inbox = prepared()
    given: dict[str, Any] = {"person": who(inbox, called), "key": key or f"cli:{uuid.uuid4()}", "now": clock.now()}
    if what in ("approve", "reject"):
        with connect() as connection:
            approval = store.load(connection, number)
        given |= {"shown": _exactly(approval, shown), "words": words}
    elif what != "retry":
        given["words"] = words
    with connect() as connection:
        done: Done = getattr(inbox, what)(connection, number, **given)
    return finish(inbox, done, as_json)


def edit(
    number: int,
    *,
    texts: tuple[str, ...],
    file: Path | None,
    called: str | None,
    key: str | None,
    as_json: bool,
) -> int:
    """Change the texts of a draft: with `texts` (NAME=TEXT) or from a file, else in an editor. `file` "-" is standard
    input. The check says what may not stand, and then nothing is changed."""
    from ops_platform.approvals import store
    from ops_platform.database import connect

    inbox = prepared()
    with connect() as connection:
        approval = store.load(connection, number)
        present = inbox.subjects.of(approval.kind).texts(connection, approval.payload)
    if not present:
        raise DataFailure(f"request #{number} has no texts to edit")
    given = _given(texts, file)
    if given is None:
        written = click.edit(as_text(approval, present), extension=".md")
        if written is None:
            click.echo("nothing was changed")
            return 0
        given = from_text(written)
    with connect() as connection:
        done = inbox.edit(
            connection, number, shown=approval.payload_hash, texts=given, person=who(inbox, called),
            key=key or f"cli:{uuid.uuid4()}", now=clock.now(),
        )  # fmt: skip
    return finish(inbox, done, as_json)


def _given(texts: tuple[str, ...], file: Path | None) -> dict[str, str] | None:
    if file is not None:
        return from_text(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    if not texts:
        return None
    found = {}
    for text in texts:
        name, separator, words = text.partition("=")
        if not separator or not name:
            raise click.UsageError('--text is NAME=TEXT, as --text headline="Net sales {{c:net_sales}}."')
        found[name] = words
    return found


def as_text(approval: Approval, texts: Mapping[str, Text]) -> str:
    """The texts for an editor: a section each, what is allowed as a comment."""
    lines = [
        f"# Request #{approval.id}, version {approval.version}: {printable(approval.title)}",
        "# Numbers stay claims, {{c:fact.path}}: their place can be changed, their value cannot.",
        "# Lines that begin with '# ' are not read.",
    ]
    for name, text in texts.items():
        lines += ["", f"## {name}", *(f"# {line}" for line in text.rule.split("\n") if line), text.text]
    return "\n".join(lines) + "\n"


def from_text(written: str) -> dict[str, str]:
    """What an editor left, by name; a line between is a new paragraph. Raises `DataFailure` for words that stand under
    no name, and where a name stands twice."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in written.splitlines():
        section = _SECTION.match(line)
        if section is not None:
            name = section.group(1)
            if name in found:
                raise DataFailure(f"'## {name}' stands there twice")
            found[name] = []
        elif line.startswith("# ") or line == "#":
            continue
        elif name:
            found[name].append(line.strip())
        elif line.strip():
            raise DataFailure(f"{line[:40]!r} stands under no '## name'")
    return {name: _paragraphs(lines) for name, lines in found.items()}


def _paragraphs(lines: Sequence[str]) -> str:
    parts = "\n".join(" ".join(line.split()) for line in lines).split("\n\n")
    return "\n\n".join(" ".join(part.split()) for part in parts if part.strip())


def _exactly(approval: Approval, shown: str | None) -> str:
    """The fingerprint a person names by its beginning, or is shown now and says yes to."""
    if shown is not None:
        wanted = shown.strip().lower()
        if len(wanted) < SHOWN_LEAST or not re.fullmatch(r"[0-9a-f]+", wanted):
            raise click.UsageError(f"--shown is the fingerprint, or its first {SHOWN_LEAST} or more characters")
        # Anything but the payload that counts now is refused further on, with what to do.
        return approval.payload_hash if approval.payload_hash.startswith(wanted) else wanted
    if not sys.stdin.isatty():
        raise click.UsageError(f"say --shown FINGERPRINT: `ops approval show {approval.id}` has it")
    show_one(approval.id, version=None, as_json=False)
    exactly = f"version {approval.version} ({approval.payload_hash[:12]})"
    click.confirm(f"#{approval.id} {printable(approval.title)}: exactly {exactly}?", abort=True)
    return approval.payload_hash


def finish(inbox: Inbox, done: Done, as_json: bool) -> int:
    """Do what was approved, bring messages up to date, say what came of it."""
    from ops_platform.approvals import store
    from ops_platform.approvals.execution import execute_approved
    from ops_platform.database import connect

    executed = [one for one in execute_approved(connect, inbox, clock.now()) if one.approval_id == done.approval.id]
    if any(one.state == "sent" for one in executed) and done.approval.kind == "campaign":
        from ops_platform.commands.inbox import hand_over_now

        hand_over_now(inbox)
    _to_slack(inbox)
    with connect() as connection:
        approval = store.load(connection, done.approval.id)
    if as_json:
        result = {"words": done.words, "changed": done.changed, "replayed": done.replayed}
        result["result"] = executed[0].words if executed else None
        click.echo(json.dumps(_as_json(approval) | result, default=str, indent=2))
    else:
        click.echo(f"{click.style('✓', fg='green') if done.changed else '·'} {printable(done.words)}")
        for one in executed:
            failed = one.state == "failed"
            click.secho(f"{'✗' if failed else '✓'} {printable(one.words)}", fg="red" if failed else "green")
    return 1 if any(one.state == "failed" for one in executed) else 0


def _to_slack(inbox: Inbox) -> None:
    """Deliver what this made and show where it stands. What cannot be posted now, the outbox job posts later."""
    from ops_platform.approvals.message import show_standing
    from ops_platform.database import connect
    from ops_platform.delivery import deliver
    from ops_platform.failures import OpsError
    from resources.posters import posters_of
    from resources.slack_posting import SlackPoster

    settings = get_settings()
    try:
        deliver(connect, posters_of(settings, connect), limit=20)
        if settings.slack_bot_token is not None:
            show_standing(connect, SlackPoster.from_settings(settings), inbox)
    except OpsError as error:
        click.secho(f"· the channel is told later: {error}", fg="yellow", err=True)


def _as_json(approval: Approval) -> dict[str, Any]:
    return {
        "id": approval.id, "kind": approval.kind, "subject": approval.subject, "title": approval.title,
        "state": approval.state.value, "author": approval.author, "version": approval.version,
        "payload_hash": approval.payload_hash, "made_by": approval.made_by, "due_at": approval.due_at,
        "created_at": approval.created_at,
    }  # fmt: skip

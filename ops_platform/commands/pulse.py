"""The newest pulse, as a person wants to see it.

Belongs here: reading the stored document and showing it. Does not belong here: making one (assets).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops_platform.settings import get_settings

if TYPE_CHECKING:
    from ops_platform.documents.model import Document

KIND = "ops_pulse"


@dataclass(frozen=True, slots=True)
class StoredPulse:
    """A pulse with what became of it."""

    document: Document
    writer: str
    channel: str
    state: str


def delivered_pulse() -> StoredPulse | None:
    """The newest pulse and its message; None when none was ever made."""
    from ops_platform.database import connect
    from ops_platform.documents.model import Document

    with connect() as connection:
        row = connection.execute(
            "select documents.document, documents.writer, coalesce(outbox.channel, ''), coalesce(outbox.state, 'held')"
            " from ops.documents left join ops.outbox using (kind, period_start)"
            " where documents.kind = %s order by documents.id desc limit 1",
            (KIND,),
        ).fetchone()
    if row is None:
        return None
    return StoredPulse(Document.from_json(row[0]), row[1], row[2], row[3])


def newest_files(name: str) -> list[Path]:
    """The files of the newest document of job `name`."""
    folder = get_settings().ops_home / "documents"
    newest = sorted(folder.glob(f"{name}-*.md"))[-1:]
    return [path for stem in newest for path in sorted(folder.glob(f"{stem.stem}.*"))]


def render_terminal(document: Document) -> str:
    """The document as Slack shows it, in text."""
    import shutil
    import sys

    from ops_platform.documents import terminal

    width = min(shutil.get_terminal_size((88, 24)).columns, 100)
    return terminal.render(document, width=width, colour=sys.stdout.isatty())


def preview_document() -> Document:
    """The pulse of this moment by the rule-based writer: nothing is stored, sent or paid for."""
    from ops_platform import clock
    from ops_platform.database import connect
    from ops_platform.database.roles import WRITER_READER
    from ops_platform.documents.pulse import compose_pulse
    from ops_platform.evidence.pulse import Operations, build_pulse_bundle
    from ops_platform.fleet import get_fleet
    from ops_platform.fleet.profile import company_profile
    from ops_platform.warehouse.dbt import unproven_since
    from ops_platform.writing.briefs import brief_for
    from ops_platform.writing.rules import RulesWriter

    fleet = get_fleet()
    with connect(role=WRITER_READER) as connection:
        bundle = build_pulse_bundle(
            connection,
            clock.now(),
            company_profile(fleet),
            Operations(
                tokens_budget=fleet.budget.tokens_per_cycle, unproven_since=unproven_since(connection, clock.now())
            ),
        )
    return compose_pulse(bundle, RulesWriter().write(bundle, brief_for(bundle)))


def show(*, preview: bool, shape: str) -> int:
    """Print a pulse in the shape asked for."""
    import json

    import click

    from ops_platform.commands.prepare import prepare_database
    from ops_platform.documents import html, markdown, slack
    from ops_platform.failures import DataFailure

    prepare_database()
    if preview:
        document = preview_document()
    else:
        stored = delivered_pulse()
        if stored is None:
            raise DataFailure("no pulse has been made yet: `ops run ops_pulse`, or `ops pulse --preview`")
        document = stored.document
    if shape == "terminal":
        click.echo(render_terminal(document))
    elif shape == "markdown":
        click.echo(markdown.render(document))
    elif shape == "html":
        click.echo(html.render(document))
    else:
        click.echo(json.dumps([message.payload() for message in slack.render(document)], ensure_ascii=False, indent=2))
    return 0

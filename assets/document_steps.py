"""The steps every delivered document goes through, whatever it says.

Belongs here: evidence → written document → files → outbox, for a kind of document. Does not belong
here: what a kind's evidence is (`ops_platform.evidence`), how it is written (`ops_platform.writing`) or
shown (`ops_platform.documents`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.fleet import Job
from ops_platform.fleet.profile import company_profile
from ops_platform.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.compose import Written


__all__ = ["StoredDocument", "company_profile", "send", "store", "stored_for", "write_files"]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document in `ops.documents`. `reused` when the same evidence had been written before."""

    id: int
    document: Document
    writer: str
    note: str
    reused: bool


def stored_for(connection: psycopg.Connection[Any], kind: str, evidence_digest: str) -> StoredDocument | None:
    """The document already written from this very evidence, so that nothing is written or paid for twice."""
    from ops_platform.documents.model import Document

    row = connection.execute(
        "select id, document, writer, coalesce(model_output->>'note', '') from ops.documents"
        " where kind = %s and evidence_digest = %s order by id desc limit 1",
        (kind, evidence_digest),
    ).fetchone()
    return None if row is None else StoredDocument(row[0], Document.from_json(row[1]), row[2], row[3], reused=True)


def store(
    connection: psycopg.Connection[Any], kind: str, bundle: Bundle, document: Document, written: Written
) -> StoredDocument:
    """Keep a document with the draft and the recorded model output it replays from."""
    from psycopg.types.json import Jsonb

    output = {"draft": written.draft.to_json(), "raw": written.model_output, "note": written.note or ""}
    writer = written.draft.writer
    row = connection.execute(
        "insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, model_output, document,"
        " digest) values (%s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (kind, period_start, digest) do update set evidence_digest = excluded.evidence_digest"
        " returning id",
        (
            kind, bundle.period.start, bundle.period.end, bundle.digest, writer, Jsonb(output),
            Jsonb(document.to_json()), document.digest,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return StoredDocument(row[0], document, writer, written.note or "", reused=False)


def write_files(settings: Settings, kind: str, bundle: Bundle, document: Document) -> list[Path]:
    """The document as files a person can open: markdown, and the Slack message as a page."""
    from ops_platform.clock import business_day
    from ops_platform.documents import html, markdown

    day = business_day(bundle.as_of, bundle.company.timezone)
    folder = settings.ops_home / "documents"
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for suffix, content in (("md", markdown.render(document)), ("html", html.render(document))):
        path = folder / f"{kind}-{day.isoformat()}.{suffix}"
        temporary = path.with_suffix(f".{suffix}.new")
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)
        made.append(path)
    return made


def send(
    connection: psycopg.Connection[Any], settings: Settings, name: str, job: Job, bundle: Bundle, stored: StoredDocument
) -> list[str]:
    """Put the document's messages in the outbox, once a period and channel; returns what came of each.

    A document longer than one Slack message continues in the first one's thread."""
    from ops_platform.delivery.outbox import enqueue
    from ops_platform.documents import slack
    from resources.slack_posting import channel_id

    channel = channel_id(settings, job.channel)
    outcomes, parent = [], None
    for number, message in enumerate(slack.render(stored.document)):
        key = f"{name}:{bundle.period.start.isoformat()}:{bundle.period.end.isoformat()}:{job.channel}"
        row = enqueue(
            connection, kind=name, period=bundle.period, channel_key=job.channel, channel=channel,
            payload=message.payload(), document_id=stored.id, dedupe_key=key if number == 0 else f"{key}:{number}",
            thread_of=parent,
        )  # fmt: skip
        parent = parent or row.id
        outcomes.append(str(row.enqueued))
    connection.commit()
    return outcomes

"""The steps every delivered document goes through, whatever it says.

Belongs here: evidence → written document → files → outbox, for a job of the fleet. Does not belong here: what a kind's
evidence is (`ops_platform.evidence`), how it is written (`ops_platform.writing`) or shown (`ops_platform.documents`).

A job names the kind of its document in `fleet.yaml` (`document`); the brief, the sentences and the layout follow from
the kind of the evidence. In `ops.documents` a document stands under the name of its job.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ops_platform import clock, progress
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.fleet import Fleet, Job, get_fleet
from ops_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path
    from uuid import UUID

    import psycopg

    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.budget import TokenBudget
    from ops_platform.writing.compose import Written
    from resources.postgres import WarehouseResource

# How long a delivery waits for a throttled or unclear message before it leaves it to the next worker.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document in `ops.documents`. `reused` when the same evidence had been written before."""

    id: int
    document: Document
    writer: str
    note: str
    reused: bool


# Evidence ---------------------------------------------------------------------------------------------------


def newest_evidence(connection: psycopg.Connection[Any], kind: str, period_start: date | None = None) -> str:
    """The digest of the newest bundle of `kind`, of the period that starts on `period_start` where one is given.
    Raises `DataFailure` when there is none."""
    row = connection.execute(
        "select digest from ops.evidence_bundles where kind = %(kind)s"
        " and (%(start)s::date is null or period_start = %(start)s) order by as_of desc, created_at desc limit 1",
        {"kind": kind, "start": period_start},
    ).fetchone()
    if row is None:
        of = "" if period_start is None else f" of the period from {period_start}"
        raise DataFailure(f"there is no {kind} evidence{of} yet: materialise its evidence first")
    return str(row[0])


# Report -----------------------------------------------------------------------------------------------------


def report(warehouse: WarehouseResource, name: str, period_start: date | None = None) -> tuple[Bundle, StoredDocument]:
    """The document of job `name`, written from its newest evidence (of the period from `period_start`), checked and
    stored; what this very evidence gave before is used again."""
    from ops_platform.documents.kinds import compose
    from ops_platform.evidence.store import load_bundle
    from ops_platform.writing.budget import TokenBudget

    settings, fleet = get_settings(), get_fleet()
    with warehouse.connect() as connection:
        digest = newest_evidence(connection, fleet.jobs[name].document, period_start)
        bundle = load_bundle(connection, digest)
        stored = stored_for(connection, name, digest)
    if stored is None:
        progress.report("report: writing and checking")
        budget = TokenBudget.of(fleet, warehouse.connect)
        written = write(bundle, settings, fleet, name, budget)
        document = compose(bundle, written.draft)
        with warehouse.connect() as connection:
            stored = store(connection, name, bundle, document, written)
            connection.commit()
        budget.attach(list(written.ledger_ids), stored.id)
    return bundle, stored


def report_metadata(bundle: Bundle, stored: StoredDocument, files: list[Path]) -> dict[str, Any]:
    """What the lineage shows of a written document."""
    return {
        "document_id": stored.id,
        "evidence": bundle.digest,
        "period": f"{bundle.period.start} to {bundle.period.end}",
        "writer": stored.writer,
        "note": stored.note,
        "reused": stored.reused,
        "claims": len(stored.document.claims),
        "files": ", ".join(str(path) for path in files),
    }


def write(bundle: Bundle, settings: Settings, fleet: Fleet, name: str, budget: TokenBudget) -> Written:
    """The draft of job `name`: by Claude within the job's budget where it is connected, else by rules."""
    from ops_platform.writing import compose
    from ops_platform.writing.briefs import brief_for
    from ops_platform.writing.claude import ClaudeWriter
    from ops_platform.writing.routing import route
    from ops_platform.writing.rules import RulesWriter
    from resources.claude import AnthropicModel

    claude, why_not = None, compose.NO_MODEL
    if settings.ops_writer == "rules":
        why_not = "OPS_WRITER says so"
    elif settings.anthropic_api_key is not None:
        # A day is a cycle: the bound holds over everything the fleet writes in it.
        cycle = clock.business_day(clock.now(), fleet.company.timezone).isoformat()
        way = route(fleet, name, cycle)
        claude = ClaudeWriter(AnthropicModel.from_settings(settings), budget, way.allowance, model_id=way.model)
    elif settings.ops_writer == "claude":
        raise ConfigurationError("OPS_WRITER=claude needs ANTHROPIC_API_KEY")
    return compose.write(bundle, brief_for(bundle), rules=RulesWriter(), claude=claude, why_not=why_not)


def stored_for(connection: psycopg.Connection[Any], name: str, evidence_digest: str) -> StoredDocument | None:
    """The document of job `name` already written from this very evidence, so that nothing is written or paid for
    twice."""
    from ops_platform.documents.model import Document

    row = connection.execute(
        "select id, document, writer, coalesce(model_output->>'note', '') from ops.documents"
        " where kind = %s and evidence_digest = %s order by id desc limit 1",
        (name, evidence_digest),
    ).fetchone()
    return None if row is None else StoredDocument(row[0], Document.from_json(row[1]), row[2], row[3], reused=True)


def store(
    connection: psycopg.Connection[Any], name: str, bundle: Bundle, document: Document, written: Written
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
            name, bundle.period.start, bundle.period.end, bundle.digest, writer, Jsonb(output),
            Jsonb(document.to_json()), document.digest,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return StoredDocument(row[0], document, writer, written.note or "", reused=False)


def write_files(settings: Settings, name: str, bundle: Bundle, document: Document) -> list[Path]:
    """The document as files a person can open: markdown, and the Slack message as a page."""
    from ops_platform.documents import html, markdown

    stem = file_stem(name, bundle)
    return [
        write_file(settings, f"{stem}.{suffix}", content.encode())
        for suffix, content in (("md", markdown.render(document)), ("html", html.render(document)))
    ]


def file_stem(name: str, bundle: Bundle) -> str:
    """What a file of the document is called before its suffix: the job and the day it is for, which is the day after
    its period (the morning of a pulse, the Monday after a week)."""
    return f"{name}-{(bundle.period.end + timedelta(days=1)).isoformat()}"


def write_file(settings: Settings, file_name: str, content: bytes) -> Path:
    """One file of a document under `$OPS_HOME/documents`, there whole or as it was before."""
    folder = settings.ops_home / "documents"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name
    temporary = path.with_name(f"{file_name}.new")
    temporary.write_bytes(content)
    temporary.replace(path)
    return path


# Delivery ---------------------------------------------------------------------------------------------------


def deliver_document(
    run_id: str,
    warehouse: WarehouseResource,
    name: str,
    period_start: date | None = None,
    *,
    thread_of: UUID | None = None,
) -> dict[str, Any]:
    """The stored document of job `name` in the outbox and, from there, once in Slack; the run's receipt counts it.
    `thread_of` is the outbox message in whose thread it belongs. Returns what the lineage shows. Raises `DataFailure`
    when nothing is written yet, or when not every message got there."""
    from ops_platform.alerts import receipts
    from ops_platform.delivery.worker import deliver
    from ops_platform.evidence.store import load_bundle
    from resources.slack_posting import SlackPoster

    settings, job = get_settings(), get_fleet().jobs[name]
    if settings.slack_bot_token is None:
        with warehouse.connect() as connection:
            receipts.hold(connection, run_id, "undelivered", 1)
            connection.commit()
        return {"state": "held", "reason": "Slack is not connected: set SLACK_BOT_TOKEN"}
    with warehouse.connect() as connection:
        digest = newest_evidence(connection, job.document, period_start)
        stored = stored_for(connection, name, digest)
        if stored is None:
            raise DataFailure(f"the document of {name} was not written: materialise its report first")
        bundle = load_bundle(connection, digest)
        outcomes = send(connection, settings, name, job, bundle, stored, thread_of=thread_of)
        receipts.said(connection, run_id, outcomes.count("created"))
        connection.commit()
    progress.report("delivery: posting to Slack")
    outcome = deliver(warehouse.connect, SlackPoster.from_settings(settings), patience=PATIENCE_SECONDS)
    if outcome.failed or outcome.held:
        raise DataFailure(f"not every message is there: {outcome}")
    # What is throttled or not yet settled stays in the outbox, which the outbox sensor empties.
    return {
        "outbox": ", ".join(outcomes),
        "posts": outcome.posts,
        "waiting": len(outcome.waiting),
        "report": str(outcome),
        "document_id": stored.id,
    }


def send(
    connection: psycopg.Connection[Any],
    settings: Settings,
    name: str,
    job: Job,
    bundle: Bundle,
    stored: StoredDocument,
    *,
    thread_of: UUID | None = None,
) -> list[str]:
    """Put the document's messages in the outbox, once a period and channel; returns what came of each.

    A document longer than one Slack message continues in the first one's thread, or in that of `thread_of`."""
    from ops_platform.delivery.outbox import enqueue
    from ops_platform.documents import slack
    from resources.slack_posting import channel_id

    channel = channel_id(settings, job.channel)
    outcomes, parent = [], thread_of
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

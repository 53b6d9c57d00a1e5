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
    from collections.abc import Callable
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
# What `enqueue` answers where exactly these words are or will be posted.
_ON_ITS_WAY = frozenset({"created", "replaced", "requeued", "unchanged"})


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
        digest = newest_evidence(connection, fleet.evidence_kind(name), period_start)
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
    if not fleet.jobs[name].token_budget:
        why_not = "the job has no tokens"
    elif settings.ops_writer == "rules":
        why_not = "OPS_WRITER says so"
    elif settings.anthropic_api_key is not None:
        # A day is a cycle: the bound holds over everything the fleet writes in it.
        cycle = clock.business_day(clock.now(), fleet.company.timezone).isoformat()
        way = route(fleet, name, cycle)
        model = AnthropicModel.from_settings(settings)
        batches = budget.batches(model, way.batch_seconds) if way.batch_seconds else None
        claude = ClaudeWriter(model, budget, way.allowance, model_id=way.model, batches=batches)
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
    from ops_platform.writing.archive import store_written

    number = store_written(connection, name, bundle, document, written)
    return StoredDocument(number, document, written.draft.writer, written.note or "", reused=False)


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
    its period (the morning of a pulse, the Monday after a week), or the day on which it is told where that is of it."""
    told = clock.business_day(bundle.as_of, bundle.company.timezone)
    return f"{name}-{min(bundle.period.end + timedelta(days=1), told).isoformat()}"


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
    slot: str = "",
    told: Callable[[psycopg.Connection[Any], Bundle], None] | None = None,
) -> dict[str, Any]:
    """The stored document of job `name` in the outbox and, from there, once in Slack and to each address its route
    names; the run's receipt counts it. `thread_of` is the outbox message in whose thread it belongs, by default that of
    its route. `slot` tells messages of one period apart (a job that runs several times a day); `told` is called in the
    transaction that puts the message in the outbox. Returns what the lineage shows. Raises `DataFailure` when nothing
    is written yet, or when not every message got there."""
    from ops_platform.alerts import receipts
    from ops_platform.delivery.routing import addresses_of
    from ops_platform.delivery.worker import deliver
    from ops_platform.evidence.store import load_bundle
    from resources.posters import posters_of

    settings, fleet = get_settings(), get_fleet()
    posters = posters_of(settings, warehouse.connect)
    wanted = addresses_of(fleet, name)
    if posters.channels is None and not (wanted and posters.email is not None):
        with warehouse.connect() as connection:
            receipts.hold(connection, run_id, "undelivered", 1)
            connection.commit()
        return {"state": "held", "reason": "Slack is not connected: set SLACK_BOT_TOKEN"}
    with warehouse.connect() as connection:
        digest = newest_evidence(connection, fleet.evidence_kind(name), period_start)
        stored = stored_for(connection, name, digest)
        if stored is None:
            raise DataFailure(f"the document of {name} was not written: materialise its report first")
        bundle = load_bundle(connection, digest)
        outcomes = send(connection, settings, name, fleet.jobs[name], bundle, stored, thread_of=thread_of, slot=slot)
        if told is not None:
            told(connection, bundle)
        receipts.said(connection, run_id, outcomes.count("created"))
        connection.commit()
    progress.report("delivery: posting")
    outcome = deliver(warehouse.connect, posters, patience=PATIENCE_SECONDS)
    if outcome.failed or outcome.held:
        raise DataFailure(f"not every message is there: {outcome}")
    # What is throttled or not yet settled stays in the outbox, which the outbox sensor empties.
    shown: dict[str, Any] = {
        "outbox": ", ".join(outcomes),
        "posts": outcome.posts,
        "waiting": len(outcome.waiting),
        "report": str(outcome),
        "document_id": stored.id,
    }
    if wanted and posters.email is None:
        shown["email"] = f"not sent to {', '.join(wanted)}: e-mail is not connected, set SMTP_URL"
    return shown


def send(
    connection: psycopg.Connection[Any],
    settings: Settings,
    name: str,
    job: Job,
    bundle: Bundle,
    stored: StoredDocument,
    *,
    thread_of: UUID | None = None,
    slot: str = "",
) -> list[str]:
    """Put the document's messages in the outbox, once a period, slot and channel, and a mail for each address, in the
    caller's transaction; returns what came of each. What is not connected gets none.

    A document longer than one Slack message, and the sections of a digest, continue in the first one's thread, or in
    that of `thread_of`."""
    from ops_platform.delivery import email
    from ops_platform.delivery.outbox import enqueue
    from ops_platform.delivery.routing import addresses_of, quiet_until, route_of, thread_for
    from ops_platform.documents import slack
    from ops_platform.documents.kinds import messages_of
    from resources.posters import email_connected
    from resources.slack_posting import channel_id

    fleet = get_fleet()
    route = route_of(fleet, name)
    role = route.channel or job.channel
    quiet = quiet_until(fleet, route.level, clock.now())
    period = bundle.period
    key = f"{name}:{period.start.isoformat()}:{period.end.isoformat()}{f':{slot}' if slot else ''}"
    outcomes, parent = [], thread_of
    if parent is None and route.thread_of is not None:
        parent = thread_for(connection, route.thread_of, period.start, role)
    messages = [message for part in messages_of(stored.document) for message in slack.render(part)]
    for number, message in enumerate(messages if settings.slack_bot_token is not None else ()):
        row = enqueue(
            connection, kind=name, period=period, channel_key=role, channel=channel_id(settings, role),
            payload=message.payload(), document_id=stored.id, thread_of=parent, quiet_until=quiet,
            dedupe_key=f"{key}:{role}" if number == 0 else f"{key}:{role}:{number}",
        )  # fmt: skip
        parent = parent or row.id
        outcomes.append(str(row.enqueued))
    to = addresses_of(fleet, name)
    if to and email_connected(settings):
        mails = email.enqueue_document(
            connection, stored.document, kind=name, to=to, sender=fleet.company.name, key=key, document_id=stored.id,
            quiet_until=quiet,
        )  # fmt: skip
        outcomes += [str(row.enqueued) for row in mails]
    return outcomes

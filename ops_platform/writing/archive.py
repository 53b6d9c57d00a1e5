"""Documents of the past, made again from what was recorded when they were made.

Belongs here: finding a stored document, its bundle, draft and recorded model output, composing it anew and saying where
the result differs. Does not belong here: how a kind is laid out (`documents.kinds`), printing (`commands.replay`).

What is compared is the canonical JSON, byte for byte: the document holds every span that a renderer shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.encoding import canonical
from ops_platform.failures import DataFailure
from ops_platform.writing.draft import Draft

if TYPE_CHECKING:
    import psycopg

    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.compose import Written

_NAMED = re.compile(r"([a-z][a-z0-9_]*)(?:[:@](\d{4}-\d{2}-\d{2}))?")
DIFFERENCES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Archived:
    """A stored document with what it was made of. `job` is the name it is stored under, `document` what was stored;
    `model_output` is None where no model was asked; `edited` tells of a person's edit (by whom, of which document)."""

    id: int
    job: str
    bundle: Bundle
    draft: Draft
    document: Document
    stored: Mapping[str, Any]
    digest: str
    model_output: Mapping[str, Any] | None
    note: str
    edited: Mapping[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Replayed:
    """What making it again gave. `problems` is empty where it is the same, byte for byte."""

    document: Document | None
    problems: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not self.problems


def find(connection: psycopg.Connection[Any], reference: str) -> int:
    """The number of the document meant by `reference`: a number, a job (its newest), or `job:day` (the newest of that
    job whose period contains the day). Raises `DataFailure` where there is none."""
    text = reference.removeprefix("#")
    if text.isdecimal():
        return int(text)
    named = _NAMED.fullmatch(text)
    if named is None:
        raise DataFailure(f"{reference!r} is neither a document's number nor JOB or JOB:YYYY-MM-DD")
    try:
        day = date.fromisoformat(named.group(2)) if named.group(2) else None
    except ValueError:
        raise DataFailure(f"{named.group(2)} is no day") from None
    row = connection.execute(
        "select id from ops.documents where kind = %(job)s"
        " and (%(day)s::date is null or %(day)s between period_start and period_end) order by id desc limit 1",
        {"job": named.group(1), "day": day},
    ).fetchone()
    if row is None:
        raise DataFailure(f"no document of {reference} is stored")
    return int(row[0])


def load(connection: psycopg.Connection[Any], document_id: int) -> Archived:
    """The stored document, its bundle proven by its digest. Raises `DataFailure` where there is none, or where what is
    stored is no longer what was saved."""
    from ops_platform.documents.model import Document
    from ops_platform.evidence.store import load_bundle

    row = connection.execute(
        "select kind, evidence_digest, model_output, document, digest, created_at, writer from ops.documents"
        " where id = %s",
        (document_id,),
    ).fetchone()
    if row is None:
        raise DataFailure(f"there is no document #{document_id}")
    job, evidence, output, stored, digest, created_at, writer = row
    output = output or {}
    draft = Draft.from_json(output["draft"]) if output.get("draft") else Draft(writer=writer)
    return Archived(
        id=document_id, job=job, bundle=load_bundle(connection, evidence), draft=draft,
        document=Document.from_json(stored), stored=stored, digest=digest, model_output=output.get("raw"),
        note=output.get("note") or "", edited=output.get("edited"), created_at=created_at,
    )  # fmt: skip


def replay(archived: Archived) -> Replayed:
    """Make the document again from its bundle and its record, and hold it against what is stored."""
    from ops_platform.documents.kinds import compose

    problems = []
    if archived.document.digest != archived.digest or canonical(archived.stored) != canonical(archived.document):
        problems.append("what is stored was altered: it no longer has the digest it was stored under")
    problems += _of_the_model(archived)
    try:
        document = compose(archived.bundle, archived.draft)
    except DataFailure as error:
        return Replayed(None, (*problems, f"it cannot be composed again: {error}"))
    if canonical(document) != canonical(archived.stored):
        found = list(differences(archived.stored, document.to_json()))
        more = f" and {len(found) - DIFFERENCES_SHOWN} more" if len(found) > DIFFERENCES_SHOWN else ""
        problems.append(f"it is laid out differently now: {'; '.join(found[:DIFFERENCES_SHOWN])}{more}")
    return Replayed(document, tuple(problems))


def _of_the_model(archived: Archived) -> list[str]:
    """Whether the recorded answers give the recorded draft; a draft that a person edited is that person's."""
    if archived.draft.writer != "claude" or archived.edited is not None:
        return []
    if archived.model_output is None:
        return ["the model's answer was not recorded"]
    from ops_platform.writing.briefs import brief_for
    from ops_platform.writing.claude import replay as from_record

    try:
        again = from_record(archived.model_output, brief_for(archived.bundle))
    except DataFailure as error:
        return [str(error)]
    if dict(again.slots) != dict(archived.draft.slots):
        return ["the recorded answers of the model do not give the draft that was published"]
    return []


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where two JSON values differ, as `path: before → after`, in the order in which a reader meets them."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            here = before[index] if index < len(before) else None
            there = after[index] if index < len(after) else None
            yield from differences(here, there, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {_shortly(before)} → {_shortly(after)}"


def _shortly(value: Any) -> str:
    text = "nothing" if value is None else str(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def written_by(archived: Archived) -> str:
    """Who wrote it, in words, as the document's own record has it."""
    by = archived.note or ("written by Claude" if archived.draft.writer == "claude" else "written by rules")
    return f"{by}, edited by {archived.edited['by']}" if archived.edited is not None else by


def store_written(
    connection: psycopg.Connection[Any], job: str, bundle: Bundle, document: Document, written: Written
) -> int:
    """Keep a document with the draft and the recorded model output it replays from; its number. In the caller's
    transaction; the very same document of the same day is kept once."""
    from psycopg.types.json import Jsonb

    output = {"draft": written.draft.to_json(), "raw": written.model_output, "note": written.note or ""}
    row = connection.execute(
        "insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, model_output, document,"
        " digest) values (%s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (kind, period_start, digest) do update set evidence_digest = excluded.evidence_digest"
        " returning id",
        (
            job, bundle.period.start, bundle.period.end, bundle.digest, written.draft.writer, Jsonb(output),
            Jsonb(document.to_json()), document.digest,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])


def store_edited(
    connection: psycopg.Connection[Any],
    archived: Archived,
    draft: Draft,
    document: Document,
    *,
    by: str,
) -> int:
    """Keep the document of an edited draft beside the one it was made of, with the record it replays from; its number.
    In the caller's transaction."""
    from psycopg.types.json import Jsonb

    changed = sorted(
        name
        for name in {*draft.slots, *archived.draft.slots}
        if draft.slots.get(name) != archived.draft.slots.get(name)
    )
    output = {
        "draft": draft.to_json(), "raw": archived.model_output, "note": archived.note,
        "edited": {"of": archived.id, "by": by, "slots": changed},
    }  # fmt: skip
    period = archived.bundle.period
    row = connection.execute(
        "insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, model_output, document,"
        " digest) values (%s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (kind, period_start, digest) do update set evidence_digest = excluded.evidence_digest"
        " returning id",
        (
            archived.job, period.start, period.end, archived.bundle.digest, draft.writer, Jsonb(output),
            Jsonb(document.to_json()), document.digest,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])

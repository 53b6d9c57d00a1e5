"""Documents as a subject of approval: read by a person, edited with their claims bound, sent once approved.

Belongs here: what a document's payload is, what is shown of it, what an editor may write, handing it to the outbox.
Does not belong here: how a document is written, checked or laid out (`ops_platform.writing`, `ops_platform.documents`),
how a request is decided (`inbox.py`).

The payload names the stored document by its digest, each of its files by theirs, and where it goes. A document's files
are made of the document alone, the same bytes each time, so they need not be kept to be proven: they are made again
when it is sent, and anything but the approved bytes is not sent.

An editor writes what a model writes: words with claim tokens. No digit of an editor's reaches a reader; what the check
refuses to a model it refuses to him.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.approvals.subjects import Revised, Shown, Text
from ops_platform.documents.model import (
    Actions,
    Block,
    Bullets,
    Divider,
    Heading,
    KeyFigure,
    KeyFigures,
    Page,
    Quoted,
    Title,
    rich,
)
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.approvals.model import Approval, Payload, Person
    from ops_platform.documents.model import Document
    from ops_platform.writing.archive import Archived

#: Makes the files of a document: bytes by file name.
Files = Callable[["Archived"], Mapping[str, bytes]]


class Sender(Protocol):
    """Puts a document and its files into the outbox, in the caller's transaction."""

    def __call__(
        self,
        connection: psycopg.Connection[Any],
        archived: Archived,
        files: Mapping[str, bytes],
        *,
        channel_key: str,
        key: str,
        email: Sequence[str] = (),
    ) -> str:
        """`key` makes its messages once; `email` are addresses it goes to besides the channel. A sentence of where it
        went. Raises `OpsError` where it cannot go there."""
        ...


def no_files(archived: Archived) -> Mapping[str, bytes]:
    return {}


@dataclass(frozen=True, slots=True)
class DocumentSubject:
    """Implements `Subject` for documents. `channels` names channels by their role, for people."""

    send: Sender
    files: Files = no_files
    channels: Mapping[str, str] = field(default_factory=dict)

    def payload(self, archived: Archived, channel_key: str, email: Sequence[str] = ()) -> dict[str, Any]:
        """What is asked about: exactly this document, exactly these files, to this channel and these addresses."""
        made = self.files(archived)
        to = {"email": sorted(dict.fromkeys(email))} if email else {}
        return {
            "document": archived.id,
            "job": archived.job,
            "digest": archived.digest,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(made.items())},
            "channel": channel_key,
            **to,
        }

    def shown(self, connection: psycopg.Connection[Any], payload: Payload) -> Shown:
        from ops_platform.writing.archive import written_by

        archived = _load(connection, payload)
        document = _message(archived)
        channel = self.channels.get(payload["channel"], payload["channel"])
        figures = [
            KeyFigure("Period", rich(_period(archived))),
            KeyFigure("Text", rich(Quoted(written_by(archived)), ", every number from its evidence")),
        ]
        if payload["files"]:
            names = ", ".join(f"{name} ({digest[:12]})" for name, digest in payload["files"].items())
            read = rich(f"to read them: ops replay {archived.id} --output DIR")
            figures.append(KeyFigure("Files", rich(names), (read,)))
        addresses = _addresses(payload)
        if addresses:
            figures.append(KeyFigure("E-mail to", rich(Quoted(", ".join(addresses)))))
        blocks: list[Block] = [Divider(), KeyFigures(tuple(figures))]
        pages = tuple(block.title for block in archived.document.blocks if isinstance(block, Page))
        if pages:
            blocks += [Heading(rich("Its pages")), Bullets(pages)]
        # What will be posted is read where it is decided on, to the last word.
        blocks += [Divider(), Heading(rich("The message")), *_without_acts(document.blocks)]
        what = "the message of this pack and its files" if payload["files"] else "this document"
        effect = f"sends {what} to the {channel} channel"
        if addresses:
            effect += f" and by e-mail to {len(addresses)} address{'es' if len(addresses) > 1 else ''}"
        return Shown(tuple(blocks), effect, editable=bool(archived.draft.slots))

    def texts(self, connection: psycopg.Connection[Any], payload: Payload) -> Mapping[str, Text]:
        from ops_platform.writing.briefs import brief_for

        archived = _load(connection, payload)
        return {
            slot.name: Text(
                archived.draft.slots.get(slot.name, ""),
                f"{slot.purpose} At most {slot.max_chars} characters"
                f" and {'one sentence' if slot.max_sentences == 1 else f'{slot.max_sentences} sentences'}"
                f"{'' if slot.required else '; may be empty'}.",
            )
            for slot in brief_for(archived.bundle).slots
        }

    def revised(
        self, connection: psycopg.Connection[Any], payload: Payload, texts: Mapping[str, str], by: Person
    ) -> Revised:
        from ops_platform.documents.kinds import compose
        from ops_platform.writing.archive import load, store_edited
        from ops_platform.writing.briefs import brief_for
        from ops_platform.writing.claims import check

        archived = _load(connection, payload)
        brief = brief_for(archived.bundle)
        unknown = sorted(set(texts) - {slot.name for slot in brief.slots})
        if unknown:
            raise DataFailure(f"this document has no text called {', '.join(unknown)}")
        wanted = {**archived.draft.slots, **{name: " ".join(text.split()) for name, text in texts.items()}}
        slots = {slot.name: wanted[slot.name] for slot in brief.slots if wanted.get(slot.name)}
        if slots == dict(archived.draft.slots):
            return Revised(payload, "nothing is different")
        note, before = f"edited by {by.name}", archived.draft.note or ""
        # First, for a document shows the beginning of a note that is long.
        note = before if note in before else f"{note}; {before}".removesuffix("; ")
        draft = replace(archived.draft, slots=slots, note=note)
        violations = check(draft, archived.bundle, brief)
        if violations:
            said = "; ".join(dict.fromkeys(f"{one.slot}: {one.message}" for one in violations))
            raise DataFailure(f"this may not be published, nothing was changed: {said}")
        changed = [name for name in wanted if slots.get(name) != archived.draft.slots.get(name)]
        number = store_edited(connection, archived, draft, compose(archived.bundle, draft), by=by.name)
        return Revised(
            self.payload(load(connection, number), payload["channel"], _addresses(payload)),
            f"edited by {by.name}: {', '.join(changed)}",
        )

    def execute(self, connection: psycopg.Connection[Any], approval: Approval, now: datetime) -> str:
        from ops_platform.writing.archive import replay

        payload = approval.payload
        archived = _load(connection, payload)
        again = replay(archived)
        if not again.same:
            raise DataFailure(f"document #{archived.id} is not what was approved: {'; '.join(again.problems)}")
        files = self.files(archived)
        made = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
        if made != payload["files"]:
            odd = sorted(name for name in {*made, *payload["files"]} if made.get(name) != payload["files"].get(name))
            raise DataFailure(f"files are not those that were approved: {', '.join(odd)}")
        return self.send(
            connection, archived, files, channel_key=payload["channel"], key=f"approved:{approval.id}",
            email=_addresses(payload),
        )  # fmt: skip


def _addresses(payload: Payload) -> Sequence[str]:
    return list(payload.get("email") or ())


def _message(archived: Archived) -> Document:
    """What is posted of it: the whole, or of one of many pages a message of its own."""
    from ops_platform.documents.kinds import message_of

    return message_of(archived.bundle, archived.draft, archived.document)


def _without_acts(blocks: tuple[Block, ...]) -> list[Block]:
    """The blocks, a title as a heading: a message has one title, and its buttons are those of the request."""
    shown = [block for block in blocks if not isinstance(block, Actions)]
    return [Heading(block.text) if isinstance(block, Title) else block for block in shown]


def _period(archived: Archived) -> str:
    period = archived.bundle.period
    return period.label or f"{period.start} to {period.end}"


def _load(connection: psycopg.Connection[Any], payload: Payload) -> Archived:
    """The document of the payload, by its digest. Raises `DataFailure` where another is stored under that number."""
    from ops_platform.writing.archive import load

    archived = load(connection, int(payload["document"]))
    if (archived.digest, archived.document.digest, archived.job) != (
        payload["digest"], payload["digest"], payload["job"],
    ):  # fmt: skip
        raise DataFailure(f"document #{archived.id} is not the one that was asked about")
    return archived

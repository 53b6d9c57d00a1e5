"""E-mail in the outbox: a mail an address, each with a row of its own.

Belongs here: putting a document's mail, or one of plain words, in the outbox. Does not belong here: what it looks like
(`ops_platform.documents.email`), who gets what (`ops_platform.delivery.routing`), SMTP (`resources/email.py`).

Each address has its own row, so that one that does not exist, or a server that hesitates over one, keeps no other from
its mail, and nobody sees who else got it. Its `channel_key` is `email`, its `channel` the address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ops_platform.delivery.files import Carried, keep
from ops_platform.delivery.outbox import OutboxRow, enqueue

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import psycopg

    from ops_platform.documents.email import Mail
    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Period

EMAIL = "email"


def enqueue_document(
    conn: psycopg.Connection[Any],
    document: Document,
    *,
    kind: str,
    to: Iterable[str],
    sender: str,
    key: str,
    document_id: int | None = None,
    files: Mapping[str, bytes] | None = None,
    elsewhere: str = "",
    answers: Mapping[str, UUID] | None = None,
    quiet_until: datetime | None = None,
) -> list[OutboxRow]:
    """A document as a mail to each of `to`, in the caller's transaction; one row an address, once for `key`.

    `sender` is the company's name; `files` go with it, and where a server takes none so large, `elsewhere` says where
    they are. `answers` gives for an address the row of the mail this one answers."""
    from ops_platform.documents.email import render

    names = list(files or {})
    mail = render(document, sender=sender, attached=names)
    payload = payload_of(conn, mail, files or {})
    if names:
        without = render(
            document, sender=sender, elsewhere=elsewhere or f"Too large to be sent here: {', '.join(names)}."
        )
        payload["lighter"] = payload_of(conn, without, {})
    return _each(conn, payload, kind, to, key, document.period, document_id, answers or {}, quiet_until)


def enqueue_words(
    conn: psycopg.Connection[Any],
    *,
    kind: str,
    to: Iterable[str],
    subject: str,
    text: str,
    key: str,
    html: str = "",
    files: Mapping[str, bytes] | None = None,
    quiet_until: datetime | None = None,
) -> list[OutboxRow]:
    """A mail of `text` (and, where there is one, `html` that says the same) to each of `to`, once for `key`."""
    kept = [keep(conn, name, content) for name, content in (files or {}).items()]
    payload = {"subject": subject, "text": text, **({"html": html} if html else {}), **_references(kept)}
    return _each(conn, payload, kind, to, key, None, None, {}, quiet_until)


def payload_of(conn: psycopg.Connection[Any], mail: Mail, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The outbox payload of a mail; its pictures and files are kept in the caller's transaction."""
    kept = [keep(conn, picture.name, picture.png, inline=picture.cid) for picture in mail.pictures]
    kept += [keep(conn, name, content) for name, content in files.items()]
    return {"subject": mail.subject, "text": mail.text, "html": mail.html, **_references(kept)}


def _references(kept: list[Carried]) -> dict[str, Any]:
    return {"files": [file.reference() for file in kept]} if kept else {}


def _each(
    conn: psycopg.Connection[Any],
    payload: Mapping[str, Any],
    kind: str,
    to: Iterable[str],
    key: str,
    period: Period | None,
    document_id: int | None,
    answers: Mapping[str, UUID],
    quiet_until: datetime | None,
) -> list[OutboxRow]:
    return [
        enqueue(
            conn, kind=kind, period=period, channel_key=EMAIL, channel=address, payload=payload,
            document_id=document_id, dedupe_key=f"{key}:{EMAIL}:{address}", thread_of=answers.get(address),
            quiet_until=quiet_until,
        )
        for address in dict.fromkeys(to)
    ]  # fmt: skip

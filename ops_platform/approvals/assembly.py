"""The inbox of this company: its policy, the kinds of requests there are, its channels.

Belongs here: putting them together, the same for a run, a listener and a terminal. Does not belong here: any kind
(`documents.py`), Slack's ids of channels (`resources/slack_posting.py` gives them).

A new kind of request: its `Subject` in a module of its own, and its line in `inbox_of`. Documents need none: every job
of the fleet is a kind, and asks by `ask_about_document`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.approvals.campaigns import CampaignSubject
from ops_platform.approvals.documents import DocumentSubject
from ops_platform.approvals.inbox import Inbox
from ops_platform.approvals.model import JOB
from ops_platform.approvals.subjects import Registry
from ops_platform.approvals.thread_subjects import IncidentSubject, ReviewSubject
from ops_platform.approvals.work_orders import KIND as WORK_ORDER
from ops_platform.approvals.work_orders import WorkOrderSubject
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.approvals.model import Approval
    from ops_platform.approvals.subjects import Subject
    from ops_platform.documents.model import Document
    from ops_platform.fleet import Fleet
    from ops_platform.writing.archive import Archived

ChannelOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class OutboxSender:
    """Implements `documents.Sender`: the document's messages in the outbox, those after the first in its thread, its
    files in the thread, and all of it as a mail to each address. `company` is whom mail is from."""

    channel_of: ChannelOf | None
    company: str = "Operations"

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
        from ops_platform.delivery import files as carried
        from ops_platform.delivery.email import enqueue_document
        from ops_platform.delivery.outbox import enqueue
        from ops_platform.documents import slack
        from ops_platform.documents.kinds import message_of

        if self.channel_of is None:
            raise DataFailure("no channel is connected: set SLACK_BOT_TOKEN and the channels' ids, then try it again")
        common: dict[str, Any] = {
            "kind": archived.job, "period": archived.bundle.period, "channel_key": channel_key,
            "channel": self.channel_of(channel_key), "document_id": archived.id,
        }  # fmt: skip
        parent = None
        message_document = message_of(archived.bundle, archived.draft, archived.document)
        for number, message in enumerate(slack.render(message_document)):
            row = enqueue(
                connection, payload=message.payload(), dedupe_key=f"{key}:{number}", thread_of=parent, **common
            )
            parent = parent or row.id
        names = ", ".join(files)
        if files:
            kept = [carried.keep(connection, name, content).reference() for name, content in files.items()]
            payload = {"text": slack.escape(f"{_title(message_document)}: {names}"), "files": kept}
            enqueue(connection, payload=payload, dedupe_key=f"{key}:files", thread_of=parent, **common)
        enqueue_document(
            connection, message_document, kind=archived.job, to=email, sender=self.company, key=key,
            document_id=archived.id, files=files,
            elsewhere=f"Its files ({names}) are too large for this mail server; they are in the {channel_key} channel.",
        )  # fmt: skip
        sent = f"Document #{archived.id} goes to the {channel_key} channel"
        sent += f" with {names} in its thread" if files else ""
        sent += f", and by e-mail to {', '.join(email)}" if email else ""
        return f"{sent}, once, by the outbox."


def _title(document: Document) -> str:
    from ops_platform.documents.model import Title, plain

    return next((plain(block.text) for block in document.blocks if isinstance(block, Title)), plain(document.summary))


def _files(archived: Archived) -> Mapping[str, bytes]:
    from ops_platform.documents.files import files_of

    return files_of(archived.document, archived.bundle)


def inbox_of(fleet: Fleet, channel_of: ChannelOf | None) -> Inbox:
    """The inbox; without `channel_of` people are asked at a terminal, and nothing can be sent to a channel."""
    documents = DocumentSubject(OutboxSender(channel_of, fleet.company.name), _files)
    zone = ZoneInfo(fleet.company.timezone)
    threads: dict[str, Subject] = {
        "growth_review": ReviewSubject(zone), "campaign": CampaignSubject(zone), "incident": IncidentSubject(),
        WORK_ORDER: WorkOrderSubject(),
    }  # fmt: skip
    return Inbox(fleet.approvals, Registry({**dict.fromkeys(fleet.jobs, documents), **threads}), zone, channel_of)


def ask_about_document(
    connection: psycopg.Connection[Any],
    inbox: Inbox,
    document_id: int,
    *,
    title: str,
    told_in: str,
    goes_to: str,
    wait: timedelta,
    now: datetime,
    email: Sequence[str] = (),
) -> Approval:
    """Ask people to decide whether a stored document is sent, once a job and period, in the caller's transaction.

    `told_in` is the role of the channel in which they are asked, `goes_to` of the one it is sent to, `email` the
    addresses it is sent to as well; `wait` is how long silence is not yet a refusal. Asking again about the same
    document changes nothing."""
    from ops_platform.writing.archive import load

    archived = load(connection, document_id)
    subject = inbox.subjects.of(archived.job)
    if not isinstance(subject, DocumentSubject):
        raise DataFailure(f"a request of the kind {archived.job!r} is not about a document")
    period = archived.bundle.period
    return inbox.request(
        connection, kind=archived.job, subject=f"{period.start.isoformat()}:{period.end.isoformat()}", title=title,
        payload=subject.payload(archived, goes_to, email), author=f"{JOB}{archived.job}", channel_key=told_in,
        due_at=now + wait, now=now,
    )  # fmt: skip

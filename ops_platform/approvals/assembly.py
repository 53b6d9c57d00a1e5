"""The inbox of this company: its policy, the kinds of requests there are, its channels.

Belongs here: putting them together, the same for a run, a listener and a terminal. Does not belong here: any kind
(`documents.py`), Slack's ids of channels (`resources/slack_posting.py` gives them).

A new kind of request: its `Subject` in a module of its own, and its line in `inbox_of`. Documents need none: every job
of the fleet is a kind, and asks by `ask_about_document`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.approvals.documents import DocumentSubject
from ops_platform.approvals.inbox import Inbox
from ops_platform.approvals.model import JOB
from ops_platform.approvals.subjects import Registry
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.approvals.model import Approval
    from ops_platform.fleet import Fleet
    from ops_platform.writing.archive import Archived

ChannelOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class OutboxSender:
    """Implements `documents.Sender`: the document's messages in the outbox, those after the first in its thread."""

    channel_of: ChannelOf | None

    def __call__(
        self,
        connection: psycopg.Connection[Any],
        archived: Archived,
        files: Mapping[str, bytes],
        *,
        channel_key: str,
        key: str,
    ) -> str:
        from ops_platform.delivery.outbox import enqueue
        from ops_platform.documents import slack
        from ops_platform.documents.kinds import message_of

        if self.channel_of is None:
            raise DataFailure("no channel is connected: set SLACK_BOT_TOKEN and the channels' ids, then try it again")
        channel = self.channel_of(channel_key)
        parent = None
        message_document = message_of(archived.bundle, archived.draft, archived.document)
        for number, message in enumerate(slack.render(message_document)):
            row = enqueue(
                connection, kind=archived.job, period=archived.bundle.period, channel_key=channel_key, channel=channel,
                payload=message.payload(), document_id=archived.id, dedupe_key=f"{key}:{number}", thread_of=parent,
            )  # fmt: skip
            parent = parent or row.id
        sent = f"Document #{archived.id} goes to the {channel_key} channel, once, by the outbox."
        if not files:
            return sent
        # Said, not assumed: whoever was told of files is told where they are.
        return f"{sent} Its files stay here: ops replay {archived.id} --output DIR writes {', '.join(files)}."


def _files(archived: Archived) -> Mapping[str, bytes]:
    from ops_platform.documents.files import files_of

    return files_of(archived.document, archived.bundle)


def inbox_of(fleet: Fleet, channel_of: ChannelOf | None) -> Inbox:
    """The inbox; without `channel_of` people are asked at a terminal, and nothing can be sent to a channel."""
    documents = DocumentSubject(OutboxSender(channel_of), _files)
    return Inbox(
        fleet.approvals, Registry(dict.fromkeys(fleet.jobs, documents)), ZoneInfo(fleet.company.timezone), channel_of
    )


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
) -> Approval:
    """Ask people to decide whether a stored document is sent, once a job and period, in the caller's transaction.

    `told_in` is the role of the channel in which they are asked, `goes_to` of the one it is sent to; `wait` is how long
    silence is not yet a refusal. Asking again about the same document changes nothing."""
    from ops_platform.writing.archive import load

    archived = load(connection, document_id)
    subject = inbox.subjects.of(archived.job)
    if not isinstance(subject, DocumentSubject):
        raise DataFailure(f"a request of the kind {archived.job!r} is not about a document")
    period = archived.bundle.period
    return inbox.request(
        connection, kind=archived.job, subject=f"{period.start.isoformat()}:{period.end.isoformat()}", title=title,
        payload=subject.payload(archived, goes_to), author=f"{JOB}{archived.job}", channel_key=told_in,
        due_at=now + wait, now=now,
    )  # fmt: skip

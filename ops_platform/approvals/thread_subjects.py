"""Inbox threads about a report or an incident: read by somebody, with what a yes leads to.

Belongs here: the payloads of reviews and incidents, what is shown of them, what a yes does. Does not belong here:
campaigns (`campaigns.py`), whole documents that are sent (`documents.py`), when a thread is opened
(`ops_platform.playbooks`).

    {"about": "2026-W47", "text": …, "document": {"id", "digest", "job"} | null, "actions": [
        {"subject", "what", "about", "severity", "owner", "due_days"}]}

`about` is what makes it another thread than the one before: a week, the moment an outage began. A review's yes opens
its action items; an incident's yes says that somebody has dealt with it, and that alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.approvals.subjects import Revised, Shown, Text
from ops_platform.documents.model import (
    Actions,
    Block,
    Bullets,
    Divider,
    Heading,
    Paragraph,
    Quoted,
    Title,
    rich,
)
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    import psycopg

    from ops_platform.approvals.model import Approval, Payload, Person

TEXT_MOST = 4000
ACTIONS_MOST = 12
_SEVERITIES = ("watch", "alert", "critical")


def payload(
    about: str,
    text: str,
    document: Mapping[str, Any] | None = None,
    actions: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What a thread is about, checked. Raises `DataFailure`."""
    made = {"about": about, "text": text[:TEXT_MOST], "document": document, "actions": actions or []}
    _check(made)
    return made


@dataclass(frozen=True, slots=True)
class _Told:
    """What both kinds share: a text and a report are shown; their words are not edited here."""

    def texts(self, connection: psycopg.Connection[Any], payload: Payload) -> Mapping[str, Text]:
        return {}

    def revised(
        self, connection: psycopg.Connection[Any], payload: Payload, texts: Mapping[str, str], by: Person
    ) -> Revised:
        raise DataFailure("this thread has no words to change: say what you think in a comment")


@dataclass(frozen=True, slots=True)
class ReviewSubject(_Told):
    """Implements `Subject` for the growth review. `zone` is the company's."""

    zone: ZoneInfo

    def shown(self, connection: psycopg.Connection[Any], payload: Payload) -> Shown:
        _check(payload)
        blocks = _text_blocks(payload)
        planned = payload["actions"]
        if planned:
            lines = tuple(
                rich(Quoted(each["what"]), " (", Quoted(each["owner"]), f", {each['due_days']} days)")
                for each in planned
            )
            blocks += [Divider(), Heading(rich("The plan")), Bullets(lines)]
        blocks += _document_blocks(connection, payload)
        count = len(planned)
        effect = (
            "closes the review as read" if not count
            else "opens one action item" if count == 1
            else f"opens {count} action items"
        )  # fmt: skip
        return Shown(tuple(blocks), effect, yes="Accept the plan" if count else "Reviewed")

    def execute(self, connection: psycopg.Connection[Any], approval: Approval, now: datetime) -> str:
        from ops_platform.action_items.store import Proposal, open_items

        _check(approval.payload)
        planned = approval.payload["actions"]
        if not planned:
            return "Reviewed; there was nothing to plan."
        today = now.astimezone(self.zone).date()
        proposals = [
            Proposal(
                subject=each["subject"], what=each["what"], about=each["about"], severity=each["severity"],
                division=None, owner=each["owner"], due_on=today + timedelta(days=int(each["due_days"])),
            )
            for each in planned
        ]  # fmt: skip
        fresh = open_items(connection, proposals, day=today, by=f"review:{approval.id}", now=now, rest_days=0)
        standing = len(planned) - fresh
        opened = "One action item is" if fresh == 1 else f"{fresh} action items are"
        return f"{opened} open now" + (f"; {standing} were already." if standing else ".")


@dataclass(frozen=True, slots=True)
class IncidentSubject(_Told):
    """Implements `Subject` for incidents."""

    def shown(self, connection: psycopg.Connection[Any], payload: Payload) -> Shown:
        _check(payload)
        blocks = [*_text_blocks(payload), *_document_blocks(connection, payload)]
        effect = "closes the incident as dealt with; if it is not, the monitor opens another"
        return Shown(tuple(blocks), effect, yes="Dealt with", no="No incident")

    def execute(self, connection: psycopg.Connection[Any], approval: Approval, now: datetime) -> str:
        return "Closed as dealt with."


def _check(payload: Payload) -> None:
    if not isinstance(payload.get("about"), str) or not payload["about"]:
        raise DataFailure("a thread needs to say what it is about")
    if not isinstance(payload.get("text"), str) or len(payload["text"]) > TEXT_MOST:
        raise DataFailure(f"a thread's text has at most {TEXT_MOST} characters")
    if not payload["text"].strip() and payload.get("document") is None:
        raise DataFailure("a thread needs a text or a report")
    planned = payload.get("actions")
    if not isinstance(planned, list) or len(planned) > ACTIONS_MOST:
        raise DataFailure(f"a thread has at most {ACTIONS_MOST} actions")
    for each in planned:
        whole = all(isinstance(each.get(name), str) for name in ("subject", "what", "about", "severity", "owner"))
        if not whole or not each["subject"] or not each["what"] or not each["owner"]:
            raise DataFailure("an action needs a subject, what is to be done, and an owner")
        if each["severity"] not in _SEVERITIES or not isinstance(each.get("due_days"), int) or each["due_days"] < 1:
            raise DataFailure(f"the action {each['subject']!r} has no usable severity or due date")


def _text_blocks(payload: Payload) -> list[Block]:
    parts = [part for part in payload["text"].split("\n\n") if part.strip()]
    return [Divider(), *(Paragraph(rich(Quoted(" ".join(part.split())))) for part in parts)] if parts else []


def _document_blocks(connection: psycopg.Connection[Any], payload: Payload) -> list[Block]:
    """The report, as it is posted. Raises `DataFailure` where another one is stored under that number."""
    named = payload.get("document")
    if named is None:
        return []
    from ops_platform.documents.kinds import message_of
    from ops_platform.writing.archive import load

    archived = load(connection, int(named["id"]))
    if (archived.digest, archived.document.digest, archived.job) != (named["digest"], named["digest"], named["job"]):
        raise DataFailure(f"document #{archived.id} is not the one that was asked about")
    shown = [
        block
        for block in message_of(archived.bundle, archived.draft, archived.document).blocks
        if not isinstance(block, Actions)
    ]
    return [Divider(), *(Heading(block.text) if isinstance(block, Title) else block for block in shown)]

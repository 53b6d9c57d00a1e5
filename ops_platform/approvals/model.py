"""What is asked, what was shown, who said what.

Belongs here: the frozen values of approvals and the fingerprint of a payload. Does not belong here: SQL (`store.py`),
rules of who may decide (`standing.py`), doing it (`inbox.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.encoding import digest_of

if TYPE_CHECKING:
    from uuid import UUID

Payload = Mapping[str, Any]
#: How much of a fingerprint is shown to people; it is compared whole.
SHOWN_DIGITS = 12
JOB = "job:"


class State(StrEnum):
    DRAFT = "draft"  # waits for a person's word
    APPROVED = "approved"  # a person approved this payload; it is about to be executed
    SENT = "sent"  # executed, once
    REJECTED = "rejected"
    EXPIRED = "expired"  # nobody decided in time, which is a refusal
    FAILED = "failed"  # approved, and executing it was refused for good; a person may have it tried again


OPEN = frozenset({State.DRAFT, State.APPROVED, State.FAILED})


class Event(StrEnum):
    REQUESTED = "requested"
    REVISED = "revised"  # another version: edited by a person, or made anew by its author
    COMMENTED = "commented"
    ASKED = "asked"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SENT = "sent"
    FAILED = "failed"
    RETRIED = "retried"
    ASSIGNED = "assigned"
    MOVED = "moved"  # its due date
    ATTACHED = "attached"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody recognised at an edge. `id` is the name in `fleet.yaml`, or, of somebody it does not have,
    `slack:U…` or `account:…`; `name` is what people are told; `via` is how the word came (`slack:U…`, `cli:…`)."""

    id: str
    name: str
    via: str


@dataclass(frozen=True, slots=True)
class Approval:
    """A request and where it stands. `author` is who asked (`job:board_pack`, or a person's id); `version` numbers the
    payload that counts now; `channel_key` is the role of the channel in which it is told (None: only at a terminal),
    `outbox_id` its message there; `assignee` is who is to see to it (a name under `approvals.people`)."""

    id: int
    kind: str
    subject: str
    title: str
    author: str
    channel_key: str | None
    state: State
    version: int
    payload: Payload
    payload_hash: str
    made_by: str
    due_at: datetime
    created_at: datetime
    updated_at: datetime
    outbox_id: UUID | None = None
    changes: int = 0
    assignee: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside a request, no part of what is approved. `size` in bytes; `sha256` of its content."""

    name: str
    media_type: str
    size: int
    sha256: str
    added_by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One payload that was shown, by whom it was made (a job, a person) and why."""

    number: int
    payload: Payload
    payload_hash: str
    made_by: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of what was said and done, about which payload."""

    id: int
    event: Event
    version: int
    payload_hash: str
    actor: str
    actor_name: str
    via: str
    words: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a word, in a sentence for who gave it. `replayed` where this very word had been given before."""

    words: str
    approval: Approval
    changed: bool = True
    replayed: bool = False


def fingerprint(payload: Payload) -> str:
    """sha256 (hex) of the payload's canonical JSON. Texts, whole numbers, truths and lists and objects of them: a float
    has no one spelling and is refused with `DataFailure`, as is a NUL."""
    return digest_of(dict(payload))


def short(payload_hash: str) -> str:
    """The fingerprint as people see it."""
    return payload_hash[:SHOWN_DIGITS]

"""What a work order is: its words, its states, what intake makes of an issue.

Belongs here: the types every other module of the room speaks in, and the labels that follow from a state. Does not
belong here: SQL (`store.py`), rules (`policy.py`), how an issue is read (`intake.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Priority(StrEnum):
    """How urgent: P0 before P1 before P2 before P3. The texts sort in that order, here and in the database."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Phase(StrEnum):
    """Where an order stands. `answered` is posted and waits for the manager; the last four are ends, of which `blocked`
    and `failed` can be taken up again by a person."""

    RECEIVED = "received"
    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"
    DONE = "done"
    BLOCKED = "blocked"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


OPEN = (Phase.RECEIVED, Phase.QUEUED, Phase.RUNNING, Phase.ANSWERED, Phase.BLOCKED)
ENDED = (Phase.DONE, Phase.WITHDRAWN, Phase.FAILED)


class Manager(StrEnum):
    """Where the manager's word stands; `none` where the priority needs none."""

    NONE = "none"
    PENDING = "pending"
    APPROVED = "approved"
    NEEDS_REVISION = "needs_revision"
    ESCALATED = "escalated"


class FailureClass(StrEnum):
    """Why an attempt failed: what decides whether there is another (`failures.py`)."""

    TRANSIENT = "transient"
    AMBIGUOUS = "ambiguous"
    PERMANENT = "permanent"
    DATA = "data"
    CONFIGURATION = "configuration"
    DIED = "died"
    TIMEOUT = "timeout"


STATUS_LABELS = {
    Phase.RECEIVED: "status/todo",
    Phase.QUEUED: "status/todo",
    Phase.RUNNING: "status/in-progress",
    Phase.ANSWERED: "status/review",
    Phase.DONE: "status/done",
    Phase.BLOCKED: "status/blocked",
    Phase.FAILED: "status/blocked",  # a failure is never shown as completed
    Phase.WITHDRAWN: None,
}
MANAGER_LABELS = {
    Manager.NONE: None,
    Manager.PENDING: "manager/pending",
    Manager.APPROVED: "manager/approved",
    Manager.NEEDS_REVISION: "manager/needs-revision",
    Manager.ESCALATED: "manager/escalated",
}


def is_state_label(label: str) -> bool:
    """Whether we set this label ourselves to show a state; nobody routes or approves by it."""
    return label.startswith(("status/", "manager/"))


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """One round of work on one issue. `title` and `body` are what an authorised person labelled (`body_hash`), not what
    the issue says now. Times are UTC. `clock_from` is when the SLA began to count, `due_at` when it ends, pauses
    included; NULL while the clock stands still. `paused_since` is set while it stands still."""

    id: int
    repository: str
    number: int
    round: int
    issue_id: int | None
    node_id: str | None
    title: str
    body: str
    body_hash: str
    labels: tuple[str, ...]
    assignees: tuple[str, ...]
    author: str
    labelled_by: str
    labelled_at: datetime
    routed_by: str
    agent: str
    priority: Priority
    approver: str | None
    phase: Phase
    manager: Manager
    held_reason: str | None
    attempt: int
    launches: int
    received_at: datetime
    clock_from: datetime
    calendar: str
    sla_minutes: int
    queued_at: datetime | None
    due_at: datetime | None
    paused_since: datetime | None
    not_before: datetime | None
    started_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    lease_holder: str | None
    lease_until: datetime | None
    outcome: str | None
    reason: str | None
    failure_class: FailureClass | None
    revision_note: str | None
    document_id: int | None
    tokens: int
    cost: Decimal
    updated_at: datetime

    @property
    def name(self) -> str:
        """As people write it: owner/name#12."""
        return f"{self.repository}#{self.number}"

    @property
    def run_key(self) -> str:
        """The key of a run that has not begun yet: each launch of each attempt has its own, for Dagster keeps a run key
        for ever, and a run that dies before it claims the order must not be the last."""
        return f"work:{self.id}:{self.attempt + 1}:{self.launches + 1}"

    @property
    def needs_manager(self) -> bool:
        return self.approver is not None

    @property
    def state_labels(self) -> tuple[str, ...]:
        """The labels that show this state on GitHub: all others of `status/` and `manager/` come off."""
        found = (STATUS_LABELS[self.phase], MANAGER_LABELS[self.manager])
        return tuple(label for label in found if label is not None)


@dataclass(frozen=True, slots=True)
class Labelling:
    """Who set a label, when. `authorised` is decided at intake, by the policy and what GitHub says of the person."""

    by: str
    at: datetime
    authorised: bool


@dataclass(frozen=True, slots=True)
class Reopening:
    by: str
    at: datetime
    authorised: bool


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the words."""

    by: str
    at: datetime
    authorised: bool


@dataclass(frozen=True, slots=True)
class IssueSeen:
    """An issue as a webhook or a poll saw it: both become this, and either alone is enough.

    `labelled` is what is known of who set the labels that are there: of a webhook the one it tells of, of a poll
    (`whole`) all of them, from the timeline. `action` is GitHub's own word (`labeled`, `edited`, …; `polled`).
    `actor` did it, `actor_authorised` by the policy. `edit` is the newest change of the words it tells of."""

    repository: str
    number: int
    title: str
    body: str
    state: str
    labels: tuple[str, ...]
    author: str
    created_at: datetime
    updated_at: datetime
    action: str
    source: str
    seen_at: datetime
    repository_id: int | None = None
    issue_id: int | None = None
    node_id: str | None = None
    state_reason: str | None = None
    assignees: tuple[str, ...] = ()
    author_authorised: bool = False
    actor: str = ""
    actor_authorised: bool = False
    is_pull_request: bool = False
    labelled: Mapping[str, Labelling] = field(default_factory=dict)
    whole: bool = False
    edit: Edit | None = None
    reopened: Reopening | None = None
    moved_to: str | None = None
    original_length: int | None = None  # of a body that was cut, in characters


@dataclass(frozen=True, slots=True)
class Received:
    """What came of an issue seen. `change` is one of: ignored, unauthorised, held, queued, changed, withdrawn,
    unchanged, stale. `work` is the order concerned, as it stands now."""

    change: str
    reason: str
    work: WorkOrder | None = None


def hash_of(title: str, body: str) -> str:
    """What an order is bound to: sha256 of title and body, with GitHub's two spellings of a line's end as one."""
    text = f"{title}\0{body}".replace("\r\n", "\n")
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""An announcement: what the machine wants said about incidents, before anybody decides how it reads.

Belongs here: the frozen shapes that a composer turns into a message, and the composer's seam. Does not belong here:
when something is said (`owing.py`), how it looks (`ops_platform.documents.alert`), how it is posted (delivery).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    import psycopg

    from ops_platform.alerts.signal import Severity, Signal


class Kind(StrEnum):
    """Why something is said. `OPENED`, `MOVED`, `STORM` and `BLIND` begin a thread; everything else answers in one."""

    OPENED = "opened"  # the first message of an incident
    WORSENED = "worsened"  # beyond what was told, by the factor of the policy or in severity
    WIDENED = "widened"  # more subjects joined; the head may be another
    RELAPSED = "relapsed"  # it was recovering and is out again
    RECOVERING = "recovering"  # back inside its limits, not yet for long enough
    RESOLVED = "resolved"  # over; always told where anything was told
    UNSEEN = "unseen"  # closed because nobody has looked at it for long: not known to be over
    STILL = "still"  # the repeat interval has passed, or a snooze ended, and it is still so
    UNKNOWN = "unknown"  # an open incident that could not be judged for long
    FLAPPING = "flapping"  # comes and goes: told once, then silent until it is over for longer than usual
    MOVED = "moved"  # became serious enough for another channel: a new thread there
    STORM = "storm"  # many incidents opened at once: one message for all of them
    STORM_UPDATE = "storm_update"  # what became of incidents that a storm's message told
    BLIND = "blind"  # subjects without an incident that could not be judged for long
    SIGHTED = "sighted"  # subjects told as unknown that can be judged again
    TAKEN = "taken"  # a person acknowledged, assigned, snoozed, muted, or took one of these back


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it stands when it is announced: one thread, one or more subjects.

    `id` is the number people use. `head` is the key of the lowest explaining subject, `label` its label and `members`
    the keys of all, head first. `since` is the first business day of it, `opened_at` when the machine opened it.
    `snoozed_until` is the business day on which it speaks again. `previous` is the incident that told of the same head
    before. `state` is open, worsening, recovering or resolved."""

    id: int
    state: str
    severity: Severity
    head: str
    label: str
    members: tuple[str, ...]
    channel_key: str
    opened_at: datetime
    since: date
    owner: str | None = None
    division: str | None = None
    resolved_at: datetime | None = None
    acknowledged_by: str | None = None
    assignee: str | None = None
    snoozed_until: date | None = None
    flapping: bool = False
    unknown_since: datetime | None = None
    previous: int | None = None


@dataclass(frozen=True, slots=True)
class Silenced:
    """What a failed source keeps quiet: the subject's key and label."""

    subject: str
    label: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message to be composed. `incidents` is one, but in a storm; `signals` are the newest conclusive looks at
    their subjects, heads first, as many as there are subjects (`BLIND` and `SIGHTED`: the unknown looks, no incident).

    `changed` are the keys of the subjects this is about (who joined, who worsened). `severity_before` is what the
    thread was last told. `silenced` is what a failed source keeps quiet. `note` is a sentence of ours for `TAKEN` and
    `UNSEEN`; `actor` who did it. `first` says that it begins a thread; `channel_key` is the channel's role."""

    kind: Kind
    at: datetime
    channel_key: str
    incidents: tuple[Incident, ...]
    signals: tuple[Signal, ...]
    changed: tuple[str, ...] = ()
    severity_before: Severity | None = None
    silenced: tuple[Silenced, ...] = ()
    note: str = ""
    actor: str | None = None
    first: bool = False

    @property
    def incident(self) -> Incident:
        """The incident, or the first one of a storm. `BLIND` and `SIGHTED` have none: `LookupError`."""
        return self.incidents[0]


@dataclass(frozen=True, slots=True)
class Composed:
    """A composed message: the outbox payload ({"text", "blocks"?}) and further ones that follow in its thread;
    `document_id` where the composer stored a document."""

    payload: Mapping[str, Any]
    rest: tuple[Mapping[str, Any], ...] = ()
    document_id: int | None = None


class Composer(Protocol):
    """Turns an announcement into a message. It may store a document by `connection`, in the caller's transaction; it
    must not commit. A failure in it is the caller's: nothing of the whole hand-over is kept."""

    def __call__(self, connection: psycopg.Connection[Any], announcement: Announcement) -> Composed: ...

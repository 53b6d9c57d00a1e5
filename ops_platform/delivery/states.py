"""The states of a message and the only ways between them.

Belongs here: the table. Does not belong here: SQL, clocks, vendors. Whatever changes `ops.outbox.state`
asks this table first, so a transition that is not written here cannot happen.

    pending    waits to be posted; certainly not at the vendor because of us
    sending    a worker said, and committed, that it is about to post
    ambiguous  the post may or may not have arrived: it is looked up before anything else
    held       as ambiguous, but the vendor's history cannot be read: it is never repeated unseen
    sent       at the vendor, with the vendor's id; nothing leaves this state
    failed     certainly not at the vendor, and not tried again unless somebody asks
"""

from __future__ import annotations

from enum import StrEnum

from ops_platform.failures import OpsError


class State(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    AMBIGUOUS = "ambiguous"
    HELD = "held"
    SENT = "sent"
    FAILED = "failed"


class Event(StrEnum):
    """What can happen to a message."""

    CLAIMED = "claimed"  # a worker takes it
    ACCEPTED = "accepted"  # the vendor gave its id
    REFUSED = "refused"  # the vendor said no, for good
    REFUSED_CONTENT = "refused_content"  # the vendor said no to the blocks; the plain text may still go
    NOT_SENT = "not_sent"  # throttled, or the connection never came up: certainly not there
    UNCLEAR = "unclear"  # bytes may have left, no answer came
    ABANDONED = "abandoned"  # the worker that was sending it is gone
    FOUND = "found"  # the look-up found it
    ABSENT = "absent"  # the look-up read everything and it is not there
    UNSETTLED = "unsettled"  # the look-up cannot tell yet
    UNREADABLE = "unreadable"  # the look-up cannot tell at all
    BEYOND_KNOWING = "beyond_knowing"  # a restore lost whether it was sent, and no look-up could tell
    EXPIRED = "expired"  # never got there in useful time
    ORPHANED = "orphaned"  # the message it answers failed
    REPLACED = "replaced"  # recomputed while certainly not there: the newer text goes instead
    SUPERSEDED = "superseded"  # recomputed too late: counted, not posted
    REQUEUED = "requeued"  # a failed message is asked for again
    RESEND = "resend"  # a person looked and says: it is not there, post it
    CONFIRMED = "confirmed"  # a person looked and says: it is there
    DROPPED = "dropped"  # a person says: leave it


class IllegalTransitionError(OpsError):
    """Somebody tried to move a message in a way the table does not know; nothing was changed."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.CLAIMED): State.SENDING,
    (State.PENDING, Event.REPLACED): State.PENDING,
    (State.PENDING, Event.EXPIRED): State.FAILED,
    (State.PENDING, Event.ORPHANED): State.FAILED,
    # A worker that was given up for dead, and whose answer comes after all: what it knows is certain.
    (State.PENDING, Event.ACCEPTED): State.SENT,
    (State.PENDING, Event.BEYOND_KNOWING): State.HELD,
    (State.SENDING, Event.BEYOND_KNOWING): State.HELD,
    (State.AMBIGUOUS, Event.BEYOND_KNOWING): State.HELD,
    (State.SENDING, Event.ACCEPTED): State.SENT,
    (State.SENDING, Event.REFUSED): State.FAILED,
    (State.SENDING, Event.REFUSED_CONTENT): State.PENDING,
    (State.SENDING, Event.NOT_SENT): State.PENDING,
    (State.SENDING, Event.UNCLEAR): State.AMBIGUOUS,
    (State.SENDING, Event.ABANDONED): State.AMBIGUOUS,
    (State.SENDING, Event.SUPERSEDED): State.SENDING,
    (State.AMBIGUOUS, Event.ACCEPTED): State.SENT,
    (State.AMBIGUOUS, Event.FOUND): State.SENT,
    (State.AMBIGUOUS, Event.ABSENT): State.PENDING,
    (State.AMBIGUOUS, Event.UNSETTLED): State.AMBIGUOUS,
    (State.AMBIGUOUS, Event.UNREADABLE): State.HELD,
    (State.AMBIGUOUS, Event.SUPERSEDED): State.AMBIGUOUS,
    (State.HELD, Event.ACCEPTED): State.SENT,
    (State.HELD, Event.FOUND): State.SENT,
    (State.HELD, Event.ABSENT): State.PENDING,
    (State.HELD, Event.UNREADABLE): State.HELD,
    (State.HELD, Event.SUPERSEDED): State.HELD,
    (State.HELD, Event.RESEND): State.PENDING,
    (State.HELD, Event.CONFIRMED): State.SENT,
    (State.HELD, Event.DROPPED): State.FAILED,
    (State.FAILED, Event.REQUEUED): State.PENDING,
    (State.SENT, Event.SUPERSEDED): State.SENT,
}

#: The events a person may cause (`ops_platform.delivery.outbox.decide`).
DECISIONS: frozenset[Event] = frozenset({Event.REQUEUED, Event.RESEND, Event.CONFIRMED, Event.DROPPED})


def after(state: State, event: Event) -> State:
    """The state that `event` leads to. Raises `IllegalTransitionError` when the table has no such way."""
    try:
        return TRANSITIONS[(state, event)]
    except KeyError:
        raise IllegalTransitionError(f"a message that is {state} cannot be {event}") from None

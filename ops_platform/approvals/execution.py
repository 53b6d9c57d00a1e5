"""Doing what was approved: once, that payload, and saying what came of it.

Belongs here: taking an approved request, proving that its payload is the one that was approved, executing it, the note
that commits with it. Does not belong here: deciding (`inbox.py`), what executing means (`subjects.py`).

What a subject does is written in the same transaction as the note that it was done, so a process that dies in between
has done neither, and two that come at once find one row. What a person approved is done however long it took to come to
it: a due date is for deciding, not for doing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.approvals import store
from ops_platform.approvals.message import tell
from ops_platform.approvals.model import Event, Person, State, fingerprint
from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure, OpsError, TransientFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import psycopg

    from ops_platform.approvals.inbox import Inbox
    from ops_platform.approvals.model import Approval

log = logging.getLogger(__name__)
_MACHINE = Person("machine", "the machine", "execution")


@dataclass(frozen=True, slots=True)
class Executed:
    """What came of one approved request: done or failed, and a sentence."""

    approval_id: int
    state: State
    words: str


def execute_approved(connect: Callable[[], psycopg.Connection[Any]], inbox: Inbox, now: datetime) -> list[Executed]:
    """Execute every approved request that no other worker has. Opens a connection of its own and commits each.

    What fails for now stays approved and is tried at the next call."""
    found = []
    with connect() as connection:
        numbers = store.approved(connection)
        connection.commit()
        for number in numbers:
            try:
                done = execute(connection, inbox, number, now)
            except TransientFailure as error:
                log.warning("request #%s is executed later: %s", number, error)
                connection.rollback()
                continue
            connection.commit()
            if done is not None:
                found.append(done)
    return found


def execute(connection: psycopg.Connection[Any], inbox: Inbox, number: int, now: datetime) -> Executed | None:
    """Execute one approved request, in one transaction (the caller's, if one is open); None where it is not approved or
    another worker has it. Raises `TransientFailure`, having changed nothing."""
    with connection.transaction():
        approval = store.take_approved(connection, number)
        if approval is None:
            return None
        failpoint("approvals.taken")
        try:
            with connection.transaction():  # what fails leaves nothing of itself behind
                _check_exact(connection, approval)
                words = inbox.subjects.of(approval.kind).execute(connection, approval, now)
                failpoint("approvals.executed")
        except TransientFailure:
            raise
        except OpsError as error:
            return _note(connection, inbox, approval, Event.FAILED, str(error), now)
        done = _note(connection, inbox, approval, Event.SENT, words, now)
        failpoint("approvals.noted")
    failpoint("approvals.done")
    return done


def _check_exact(connection: psycopg.Connection[Any], approval: Approval) -> None:
    """The payload at hand is, byte for byte, the one a person approved."""
    given = [entry for entry in store.entries(connection, approval.id) if entry.event is Event.APPROVED]
    if len(given) != 1:
        raise DataFailure("no person approved this: nothing is done")
    exactly = (given[0].version, given[0].payload_hash)
    if exactly != (approval.version, approval.payload_hash) or fingerprint(approval.payload) != approval.payload_hash:
        raise DataFailure("the payload is not the one that was approved: nothing is done")


def _note(
    connection: psycopg.Connection[Any], inbox: Inbox, approval: Approval, event: Event, words: str, now: datetime
) -> Executed:
    attempt = sum(entry.event is Event.FAILED for entry in store.entries(connection, approval.id)) + 1
    key = f"{event.value}:{approval.id}" if event is Event.SENT else f"{event.value}:{approval.id}:{attempt}"
    written = store.add_event(connection, approval, event, _MACHINE, words=words, key=key, now=now)
    state = State(event.value)
    store.set_state(connection, approval.id, state, now)
    tell(connection, inbox, approval, written, event, _MACHINE, words)
    return Executed(approval.id, state, words)

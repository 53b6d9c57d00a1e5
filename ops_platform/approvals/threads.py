"""What is done about a request beside deciding it: assigning, another due date, files, taking it back.

Belongs here: these words, each in one transaction, each counted once by its key. Does not belong here: decisions
(`inbox.py`), what a kind of request means (`subjects.py`).

None of them touches the payload: what is approved stays exactly what was shown.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ops_platform.approvals import store
from ops_platform.approvals.inbox import bounded_key, checked_words, late
from ops_platform.approvals.message import tell
from ops_platform.approvals.model import JOB, OPEN, Done, Event, Person, State
from ops_platform.approvals.standing import check_assignee, check_may_decide
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.approvals.inbox import Inbox
    from ops_platform.approvals.model import Approval

#: What may lie beside a request, by the end of its name. Nothing that a reader's program would run.
MEDIA_TYPES = {
    ".csv": "text/csv", ".html": "text/html", ".jpg": "image/jpeg", ".json": "application/json", ".md": "text/markdown",
    ".pdf": "application/pdf", ".png": "image/png", ".txt": "text/plain",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
LARGEST_FILE = 5 * 1024 * 1024
MOST_FILES = 20
FURTHEST_DUE = timedelta(days=366)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,118}")


def assign(
    connection: psycopg.Connection[Any],
    inbox: Inbox,
    number: int,
    to: str,
    *,
    person: Person,
    key: str,
    now: datetime,
    words: str = "",
) -> Done:
    """Make `to` (a name under `approvals.people`) the one who sees to it. Raises `DataFailure`."""
    check_assignee(inbox.policy, to)
    note = f"to {inbox.policy.name_of(to)}" + (f": {words.strip()}" if words.strip() else "")
    with connection.transaction():
        approval = store.load(connection, number, lock=True)
        if (before := inbox.said_before(connection, number, Event.ASSIGNED, person, key)) is not None:
            return before
        _check_standing(approval)
        store.set_assignee(connection, number, to)
        approval = replace(approval, assignee=to)
        _say(connection, inbox, approval, Event.ASSIGNED, person, note, key, now)
    return Done(f"#{number} is {inbox.policy.name_of(to)}'s to see to.", approval)


def move_due(
    connection: psycopg.Connection[Any],
    inbox: Inbox,
    number: int,
    due_at: datetime,
    *,
    person: Person,
    key: str,
    now: datetime,
    words: str = "",
) -> Done:
    """Give it another due date, which has to be ahead; what is over stays over. It is when silence becomes a refusal,
    so who may decide may move it, who asked and who sees to it. Raises `DataFailure`."""
    if due_at > now + FURTHEST_DUE:
        raise DataFailure(f"a due date lies at most {FURTHEST_DUE.days} days ahead")
    with connection.transaction():
        approval = store.load(connection, number, lock=True)
        if (before := inbox.said_before(connection, number, Event.MOVED, person, key)) is not None:
            return before
        too_late = inbox.expired(connection, approval, now)
        if not too_late:
            inbox.check_open(connection, approval, now)
            if person.id not in (approval.author, approval.assignee):
                check_may_decide(inbox.policy, approval, person)
            if due_at <= now:
                raise DataFailure("a due date lies ahead: reject the request where it is not to be done")
            store.set_due(connection, number, due_at)
            approval = replace(approval, due_at=due_at)
            local = due_at.astimezone(inbox.zone)
            note = f"to {local:%a %d %b %H:%M}" + (f": {words.strip()}" if words.strip() else "")
            _say(connection, inbox, approval, Event.MOVED, person, note, key, now)
    if too_late:
        raise late(approval)
    return Done(f"#{number} is due {local:%a %d %b %H:%M}.", approval)


def attach(
    connection: psycopg.Connection[Any],
    inbox: Inbox,
    number: int,
    name: str,
    content: bytes,
    *,
    person: Person,
    key: str,
    now: datetime,
) -> Done:
    """Put a file beside it, for good. Raises `DataFailure` for a name or kind of file that is not taken."""
    media_type = checked_file(name, content)
    with connection.transaction():
        approval = store.load(connection, number, lock=True)
        if (before := inbox.said_before(connection, number, Event.ATTACHED, person, key)) is not None:
            return before
        if len(store.attachments(connection, number)) >= MOST_FILES:
            raise DataFailure(f"request #{number} has {MOST_FILES} files already")
        if not store.attach(connection, number, name, media_type, content, added_by=person.id, now=now):
            return Done(f"#{number}: {name} is there already.", approval, changed=False)
        _say(connection, inbox, approval, Event.ATTACHED, person, name, key, now)
    return Done(f"#{number}: {name} lies beside it.", approval)


def withdraw(
    connection: psycopg.Connection[Any], inbox: Inbox, number: int, *, author: str, words: str, now: datetime
) -> Done | None:
    """Take back what `author` asked, because it is settled; None where it is decided or over already."""
    approval = store.load(connection, number, lock=True)
    if approval.state is not State.DRAFT or approval.author != author or inbox.expired(connection, approval, now):
        return None
    person = Person(author, author.removeprefix(JOB), author)
    return inbox.reject(
        connection, number, shown=approval.payload_hash, person=person, key=f"withdrawn:{number}:{approval.version}",
        now=now, words=words,
    )  # fmt: skip


def checked_file(name: str, content: bytes) -> str:
    """The media type of a file that may be kept. Raises `DataFailure`."""
    media_type = MEDIA_TYPES.get(PurePosixPath(name).suffix.lower())
    if not _NAME.fullmatch(name) or media_type is None:
        raise DataFailure(
            f"{name[:60]!r} is not taken: a plain name that ends in one of {', '.join(sorted(MEDIA_TYPES))}"
        )
    if not 0 < len(content) <= LARGEST_FILE:
        raise DataFailure(f"a file has at least one byte and at most {LARGEST_FILE // 1024 // 1024} MB")
    return media_type


def _check_standing(approval: Approval) -> None:
    if approval.state not in OPEN:
        raise DataFailure(f"#{approval.id} is over: it is {approval.state}")


def _say(
    connection: psycopg.Connection[Any],
    inbox: Inbox,
    approval: Approval,
    event: Event,
    person: Person,
    words: str,
    key: str,
    now: datetime,
) -> None:
    words = checked_words(words, needed=False)
    written = store.add_event(connection, approval, event, person, words=words, key=bounded_key(key), now=now)
    store.touch(connection, approval.id, now)
    if event is Event.ATTACHED and person.id.startswith(JOB):
        return  # the message names the files; a line for each would be noise
    tell(connection, inbox, approval, written, event, person, words)

"""Asking for a decision, and a person's word on it.

Belongs here: every way in which a request changes by what somebody says, each in one transaction. Does not belong here:
doing what was approved (`execution.py`), what a payload means (`subjects.py`), messages (`message.py`).

A word names the payload it is about, by the fingerprint that was shown. Where another payload counts by now, the word
is refused, and its giver is told to look again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ops_platform.approvals import store
from ops_platform.approvals.message import open_thread, tell
from ops_platform.approvals.model import Done, Event, Person, State, fingerprint, short
from ops_platform.approvals.standing import check_assignee, check_may_approve, check_may_decide
from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    import psycopg

    from ops_platform.approvals.model import Approval, Payload
    from ops_platform.approvals.subjects import Registry
    from ops_platform.fleet.approval_policy import ApprovalPolicy

WORDS_MOST = 2000
_MADE_ANEW = "made anew from newer data"
_OVER = {
    State.APPROVED: "is approved already",
    State.SENT: "was approved and is done",
    State.REJECTED: "was rejected",
    State.EXPIRED: "was not decided in time, which is a refusal",
    State.FAILED: "was approved, and doing it failed",
}


class TooLateError(DataFailure):
    """A word that came when the due date had passed. That the request is refused by it stays."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Where people are asked. `channel_of` gives the vendor's id of a channel by its role; None where no channel is
    connected, and requests are then decided at a terminal. `zone` is the company's: due dates are told in it."""

    policy: ApprovalPolicy
    subjects: Registry
    zone: ZoneInfo
    channel_of: Callable[[str], str] | None = None

    # Asking -----------------------------------------------------------------------------------------------

    def request(
        self,
        connection: psycopg.Connection[Any],
        *,
        kind: str,
        subject: str,
        title: str,
        payload: Payload,
        author: str,
        channel_key: str | None,
        due_at: datetime,
        now: datetime,
        assignee: str | None = None,
    ) -> Approval:
        """Ask for a decision on `payload`, once: asking again with the same payload changes nothing, whatever was
        decided; with another one it is a new version of what is still a draft, or a new request.

        `subject` names what it is about ("2026-10"), `author` who asks (`job:board_pack`, or a person's id), `due_at`
        when silence becomes a refusal, `assignee` who is to see to it. The message in the channel commits with it."""
        self.subjects.of(kind).shown(connection, payload)  # what cannot be shown cannot be asked about
        if assignee is not None:
            check_assignee(self.policy, assignee)
        if due_at <= now:
            raise DataFailure(f"a decision cannot be due before it is asked for ({due_at:%F %H:%M})")
        with connection.transaction():
            digest = fingerprint(payload)
            before = store.newest_on(connection, kind, subject)
            if before is not None:
                before = store.load(connection, before.id, lock=True)
                if self.expired(connection, before, now):
                    before = replace(before, state=State.EXPIRED)
                if digest in (before.payload_hash, self._asked_last(connection, before, author)):
                    return before  # what a person made of it since stays
                if before.state is State.DRAFT:
                    return self._renewed(connection, before, payload, author, now)
                if before.state in (State.APPROVED, State.FAILED):
                    raise DataFailure(f"request #{before.id} on {kind} {subject} is approved and not done yet")
            number = store.insert(
                connection, kind=kind, subject=subject, title=title, author=author, channel_key=channel_key,
                due_at=due_at, now=now, assignee=assignee,
            )  # fmt: skip
            if number is None:  # another process asked in the same moment
                raise DataFailure(f"{kind} {subject} is being asked about by another run")
            store.add_version(connection, number, 1, payload, made_by=author, note="", now=now)
            approval = store.load(connection, number)
            by = Person(author, author.partition(":")[2] or author, author)
            store.add_event(
                connection, approval, Event.REQUESTED, by, words="", key=f"requested:{number}", now=now
            )  # fmt: skip
            open_thread(connection, self, approval)
            failpoint("approvals.requested")
        return store.load(connection, number)

    def _asked_last(self, connection: psycopg.Connection[Any], approval: Approval, author: str) -> str | None:
        """The fingerprint of what this author asked about last; what he edited since is no asking."""
        own = [one for one in store.versions(connection, approval.id) if one.made_by == author]
        asked = [one.payload_hash for one in own if one.note in ("", _MADE_ANEW)]
        return asked[-1] if asked else None

    def _renewed(
        self, connection: psycopg.Connection[Any], approval: Approval, payload: Payload, author: str, now: datetime
    ) -> Approval:
        """What counts now was made anew by its author; a payload of before that comes again is a version again."""
        by = Person(author, author.partition(":")[2] or author, author)
        return self._add_version(connection, approval, payload, by, _MADE_ANEW, now, "")

    # A person's word --------------------------------------------------------------------------------------

    def approve(
        self,
        connection: psycopg.Connection[Any],
        number: int,
        *,
        shown: str,
        person: Person,
        key: str,
        now: datetime,
        words: str = "",
    ) -> Done:
        """Approve exactly the payload with the fingerprint `shown`. It is executed afterwards, by `execution.py`.

        Raises `DataFailure`, having changed nothing, where another payload counts by now, where it is decided or too
        late, where this is not for the person to approve."""
        return self._say(connection, number, Event.APPROVED, shown, person, key, now, words)

    def reject(
        self,
        connection: psycopg.Connection[Any],
        number: int,
        *,
        shown: str,
        person: Person,
        key: str,
        now: datetime,
        words: str = "",
    ) -> Done:
        """Refuse it for good. Whoever asked may take it back by this. Raises as `approve` does."""
        return self._say(connection, number, Event.REJECTED, shown, person, key, now, words)

    def ask(
        self, connection: psycopg.Connection[Any], number: int, *, words: str, person: Person, key: str, now: datetime
    ) -> Done:
        """Ask something before deciding; it is told in the thread. The due date stays."""
        return self._say(connection, number, Event.ASKED, None, person, key, now, words)

    def comment(
        self, connection: psycopg.Connection[Any], number: int, *, words: str, person: Person, key: str, now: datetime
    ) -> Done:
        """Say something about it, whatever was decided."""
        return self._say(connection, number, Event.COMMENTED, None, person, key, now, words)

    def edit(
        self,
        connection: psycopg.Connection[Any],
        number: int,
        *,
        shown: str,
        texts: Mapping[str, str],
        person: Person,
        key: str,
        now: datetime,
    ) -> Done:
        """Put other texts in place of those of the payload `shown`: a new version, which alone can then be approved.

        Raises `DataFailure`, having changed nothing, with what is wrong with the texts, or as `approve` does."""
        with connection.transaction():
            approval = store.load(connection, number, lock=True)
            before = self.said_before(connection, number, Event.REVISED, person, key)
            if before is not None:
                return before
            too_late = self.expired(connection, approval, now)
            if not too_late:
                self.check_open(connection, approval, now)
                _check_shown(approval, shown)
                if person.id != approval.author:
                    check_may_decide(self.policy, approval, person)
                subject = self.subjects.of(approval.kind)
                made = subject.revised(connection, approval.payload, texts, person)
                if fingerprint(made.payload) == approval.payload_hash:
                    return Done(f"#{number}: nothing is different.", approval, changed=False)
                approval = self._add_version(
                    connection, approval, made.payload, person, made.note, now, bounded_key(key)
                )
        if too_late:
            raise late(approval)
        return Done(
            f"#{number} is now at version {approval.version} ({short(approval.payload_hash)}): {made.note}.", approval
        )

    def retry(
        self, connection: psycopg.Connection[Any], number: int, *, person: Person, key: str, now: datetime
    ) -> Done:
        """Have what was approved, and failed, tried again: that payload and no other."""
        with connection.transaction():
            approval = store.load(connection, number, lock=True)
            before = self.said_before(connection, number, Event.RETRIED, person, key)
            if before is not None:
                return before
            if approval.state is not State.FAILED:
                raise DataFailure(f"#{number} has not failed: it is {approval.state}")
            check_may_decide(self.policy, approval, person)
            store.add_event(connection, approval, Event.RETRIED, person, words="", key=bounded_key(key), now=now)
            store.set_state(connection, number, State.APPROVED, now)
            approval = replace(approval, state=State.APPROVED)
        return Done(f"#{number} is tried again.", approval)

    # The due date -----------------------------------------------------------------------------------------

    def expire_due(self, connection: psycopg.Connection[Any], now: datetime) -> list[int]:
        """Refuse what nobody decided in time; the numbers of those requests."""
        done = []
        for number in store.overdue(connection, now):
            with connection.transaction():
                approval = store.load(connection, number, lock=True)
                if self.expired(connection, approval, now):
                    done.append(number)
        return done

    def expired(self, connection: psycopg.Connection[Any], approval: Approval, now: datetime) -> bool:
        """Whether the due date of a draft has passed, which refuses it from now on, whatever a clock says later. The
        caller's transaction keeps that, so whoever was too late raises `late` only once it is committed."""
        if approval.state is not State.DRAFT or now < approval.due_at:
            return False
        clock = Person("due date", "the due date", "clock")
        words = f"nobody decided by {approval.due_at:%F %H:%M} UTC"
        event = store.add_event(
            connection, approval, Event.EXPIRED, clock, words=words, key=f"expired:{approval.id}", now=now
        )
        store.set_state(connection, approval.id, State.EXPIRED, now)
        tell(connection, self, approval, event, Event.EXPIRED, clock, words)
        return True

    # In common --------------------------------------------------------------------------------------------

    def _say(
        self,
        connection: psycopg.Connection[Any],
        number: int,
        event: Event,
        shown: str | None,
        person: Person,
        key: str,
        now: datetime,
        words: str,
    ) -> Done:
        words = checked_words(words, needed=event in (Event.ASKED, Event.COMMENTED))
        with connection.transaction():
            approval = store.load(connection, number, lock=True)
            before = self.said_before(connection, number, event, person, key)
            if before is not None:
                return before
            too_late = event is not Event.COMMENTED and self.expired(connection, approval, now)
            if not too_late:
                self._check(connection, approval, event, shown, person, now)
                written = store.add_event(
                    connection, approval, event, person, words=words, key=bounded_key(key), now=now
                )  # fmt: skip
                if event in (Event.APPROVED, Event.REJECTED):
                    store.set_state(connection, number, State(event.value), now)
                    approval = replace(approval, state=State(event.value))
                else:
                    store.touch(connection, number, now)
                tell(connection, self, approval, written, event, person, words)
                failpoint("approvals.said")
        if too_late:
            raise late(approval)
        failpoint("approvals.said_committed")
        return Done(_said(event, approval), approval)

    def _check(
        self,
        connection: psycopg.Connection[Any],
        approval: Approval,
        event: Event,
        shown: str | None,
        person: Person,
        now: datetime,
    ) -> None:
        if event is Event.COMMENTED:
            return
        self.check_open(connection, approval, now)
        if shown is not None:
            _check_shown(approval, shown)
        if event is Event.APPROVED:
            check_may_approve(self.policy, approval, store.versions(connection, approval.id), person)
        elif event is Event.REJECTED and person.id != approval.author:
            check_may_decide(self.policy, approval, person)

    def check_open(self, connection: psycopg.Connection[Any], approval: Approval, now: datetime) -> None:
        """Raises `DataFailure` where the request is no draft any more, or is too late."""
        if approval.state is State.DRAFT and now < approval.due_at:
            return
        state = State.EXPIRED if approval.state is State.DRAFT else approval.state
        decided = [e for e in store.entries(connection, approval.id) if e.event in (Event.APPROVED, Event.REJECTED)]
        by = f" by {decided[-1].actor_name}" if decided else ""
        raise DataFailure(f"#{approval.id} {_OVER[state]}{by}")

    def said_before(
        self, connection: psycopg.Connection[Any], number: int, event: Event, person: Person, key: str
    ) -> Done | None:
        """What this very word did when it came before."""
        if not key.strip():
            raise DataFailure("a decision needs a key, so that it counts once")
        found = store.event_by_key(connection, bounded_key(key))
        if found is None:
            return None
        if found[:3] != (number, event, person.id):
            raise DataFailure("this key was used for another decision: give every one a key of its own")
        approval = store.load(connection, number)
        return Done(_said(event, approval), approval, changed=False, replayed=True)

    def _add_version(
        self,
        connection: psycopg.Connection[Any],
        approval: Approval,
        payload: Payload,
        by: Person,
        note: str,
        now: datetime,
        key: str,
    ) -> Approval:
        number = approval.version + 1
        store.add_version(connection, approval.id, number, payload, made_by=by.id, note=note, now=now)
        renewed = store.load(connection, approval.id)
        written = store.add_event(
            connection, renewed, Event.REVISED, by, words=note, key=key or f"revised:{approval.id}:{number}", now=now
        )
        tell(connection, self, renewed, written, Event.REVISED, by, note)
        failpoint("approvals.revised")
        return renewed


def late(approval: Approval) -> TooLateError:
    """What such a word is answered."""
    return TooLateError(f"#{approval.id} {_OVER[State.EXPIRED]} (due {approval.due_at:%F %H:%M} UTC)")


def _check_shown(approval: Approval, shown: str) -> None:
    if shown != approval.payload_hash:
        raise DataFailure(
            f"#{approval.id} has changed since you were shown it: version {approval.version}"
            f" ({short(approval.payload_hash)}) counts now. Look at that one first"
        )


def checked_words(words: str, *, needed: bool) -> str:
    # Half a character (a byte at a terminal that is no text) is none that PostgreSQL keeps.
    words = words.replace("\x00", "").encode("utf-8", "replace").decode().strip()
    if needed and not words:
        raise DataFailure("say it in words")
    if len(words) > WORDS_MOST:
        raise DataFailure(f"at most {WORDS_MOST:,} characters, please")
    return words


def _said(event: Event, approval: Approval) -> str:
    exactly = f"version {approval.version} ({short(approval.payload_hash)})"
    return {
        Event.APPROVED: f"#{approval.id} approved: exactly {exactly}.",
        Event.REJECTED: f"#{approval.id} rejected: nothing is done.",
        Event.ASKED: f"#{approval.id}: your question is in its thread.",
        Event.COMMENTED: f"#{approval.id}: noted in its thread.",
        Event.REVISED: f"#{approval.id} is at {exactly}.",
        Event.RETRIED: f"#{approval.id} is tried again.",
        Event.ASSIGNED: f"#{approval.id} is assigned.",
        Event.MOVED: f"#{approval.id} has another due date.",
        Event.ATTACHED: f"#{approval.id}: the file lies beside it.",
    }[event]


def bounded_key(key: str) -> str:
    return key if len(key) <= 255 else hashlib.sha256(key.encode()).hexdigest()

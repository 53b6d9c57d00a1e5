"""Presses of buttons under a message: kept before they are acknowledged, done once, answered.

Belongs here: what a press is, keeping it, doing it through whoever handles what it is about, what its reader is told.
Does not belong here: how a vendor delivers one (`resources/slack_interactions.py`), what an action does to an alert
(`actions.py`) or to a request for approval (`ops_platform.approvals`).

A press is a row before anybody is told that it arrived, so a killed process loses none; its key is the press itself, so
one delivered twice is there once; and doing it commits together with the row, so it is done once.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure, OpsError, TransientFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psycopg

log = logging.getLogger(__name__)

Action = Literal["acknowledge", "assign", "snooze", "mute", "useful", "noise", "approve", "reject", "ask"]
About = Literal["alert", "approval"]
State = Literal["received", "done", "refused", "failed"]
Kept = Literal["kept", "again", "replayed"]
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Press:
    """One press. `key` is the same however often the vendor delivers it. `person`, `team` and `place` (channel and
    message) are the vendor's ids; `name` is what the vendor said the person is called, until looked up. `about` says
    what kind of thing it is about, `number` which one, and `shown` what exactly its presser saw of it. `day` is the day
    that was picked, `words` what was written beside the button; `answer_to` an address at which only the presser is
    answered."""

    key: str
    action: Action
    number: int
    person: str
    team: str
    name: str
    channel: str
    message: str
    about: About = "alert"
    shown: str = ""
    day: date | None = None
    words: str = ""
    answer_to: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Who pressed, looked up: `allowed` or, if not, `why`."""

    name: str
    allowed: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a press. `words` is a sentence for the presser; a refusal changed nothing."""

    press: Press
    state: State
    words: str


class StandingRefusal(DataFailure):
    """A refusal by which something changed that stays: what was overdue is over."""


class Handler(Protocol):
    """What a press needs of whoever handles what it is about."""

    def __call__(self, connection: psycopg.Connection[Any], press: Press, actor: str, now: datetime) -> str:
        """Do it, in the caller's transaction, once for `press.key`; a sentence of what came of it. Raises `OpsError`
        where it cannot be done (a day in the past, an alert that is over): what was written is taken back, except
        before a `StandingRefusal`."""
        ...


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who handles which presses: by what they are about."""

    of: Mapping[About, Handler]

    def __call__(self, connection: psycopg.Connection[Any], press: Press, actor: str, now: datetime) -> str:
        handler = self.of.get(press.about)
        if handler is None:
            raise DataFailure(f"nobody here handles buttons of an {press.about}")
        return handler(connection, press, actor, now)


def keep(
    connection: psycopg.Connection[Any], press: Press, *, via: str, at: datetime, signature: str | None = None
) -> Kept:
    """Keep the press. "again": it is here already, the vendor delivered it twice. "replayed": the very same signed
    request has been here, which no vendor sends: somebody repeats what he overheard."""
    from psycopg.types.json import Jsonb

    found = connection.execute(
        """insert into ops.alert_presses (key, signature, via, press, received_at) values (%s, %s, %s, %s, %s)
           on conflict do nothing""",
        (press.key, signature, via, Jsonb(_to_json(press)), at),
    )
    failpoint("presses.kept")
    if found.rowcount == 1:
        return "kept"
    replayed = connection.execute("select 1 from ops.alert_presses where signature = %s", (signature,)).fetchone()
    return "again" if replayed is None else "replayed"


def waiting(connection: psycopg.Connection[Any]) -> list[str]:
    """Keys of presses nobody has settled yet, the oldest first."""
    rows = connection.execute(
        "select key from ops.alert_presses where state = 'received' order by received_at, key limit 100"
    )
    return [key for (key,) in rows]


def settle(
    connection: psycopg.Connection[Any],
    key: str,
    *,
    act: Handler,
    person_of: Callable[[Press], Person],
    now: Callable[[], datetime],
    wall: Callable[[], datetime],
) -> Settled | None:
    """Do the press, or refuse it; None where another worker has it or has settled it. Commits.

    `person_of` looks the presser up (it may call the vendor, so it comes before the transaction). A transient failure
    leaves the press to be tried again, up to `ATTEMPTS` times."""
    press = _load(connection, key)
    connection.commit()  # looking the presser up takes a while: no transaction stays open for it
    if press is None:
        return None
    try:
        person = person_of(press)
    except TransientFailure as error:
        return _later(connection, press, str(error), wall())
    except OpsError as error:
        person = Person(press.name, allowed=False, why=f"who you are cannot be looked up ({error})")
    with connection.transaction():
        row = connection.execute(
            "select 1 from ops.alert_presses where key = %s and state = 'received' for update skip locked", (key,)
        ).fetchone()
        if row is None:
            return None
        if not person.allowed:
            return _close(connection, press, "refused", f"Not done: {person.why}.", wall())
        state: State = "done"
        try:
            with connection.transaction():  # a refused action leaves nothing of itself behind
                try:
                    words = act(connection, press, person.name, now())
                except StandingRefusal as error:
                    state, words = "refused", f"Not done: {error}"
                failpoint("presses.acted")
        except TransientFailure:
            raise
        except OpsError as error:
            return _close(connection, press, "refused", f"Not done: {error}", wall())
        settled = _close(connection, press, state, words, wall())
    failpoint("presses.settled")
    return settled


def answered(connection: psycopg.Connection[Any], key: str) -> None:
    """The presser was answered: the address for it is forgotten. Does not commit."""
    connection.execute(
        "update ops.alert_presses set answered = true, press = press - 'answer_to' where key = %s", (key,)
    )


def _load(connection: psycopg.Connection[Any], key: str) -> Press | None:
    row = connection.execute(
        "select press from ops.alert_presses where key = %s and state = 'received'", (key,)
    ).fetchone()
    return None if row is None else _from_json(key, row[0])


def _later(connection: psycopg.Connection[Any], press: Press, why: str, at: datetime) -> Settled | None:
    with connection.transaction():
        row = connection.execute(
            "update ops.alert_presses set attempts = attempts + 1, outcome = %s where key = %s returning attempts",
            (why, press.key),
        ).fetchone()
        if row is not None and row[0] >= ATTEMPTS:
            return _close(connection, press, "failed", f"Not done: {why}. Please press again later.", at)
    log.warning("a press on %s %s waits: %s", press.about, press.number, why)
    return None


def _close(connection: psycopg.Connection[Any], press: Press, state: State, words: str, at: datetime) -> Settled:
    connection.execute(
        "update ops.alert_presses set state = %s, outcome = %s, settled_at = %s where key = %s",
        (state, words, at, press.key),
    )
    return Settled(press, state, words)


def _to_json(press: Press) -> dict[str, Any]:
    kept = {key: value for key, value in asdict(press).items() if key != "key" and value not in (None, "")}
    return {**kept, "day": press.day.isoformat()} if press.day else kept


def _from_json(key: str, data: dict[str, Any]) -> Press:
    day = date.fromisoformat(data["day"]) if "day" in data else None
    number = data.pop("alert_id", None)  # as an earlier release kept it
    return Press(key=key, **{"number": number, **data, "day": day})

"""One turn of the alert machine: signals in, states and messages out, in one transaction.

Belongs here: the order of a turn, and the transaction it is. Does not belong here: its parts: what it has before it
(`turn.py`), looks (`looking.py`), incidents (`placing.py`), what is owed and what holds it back (`owing.py`), what is
said (`telling.py`, `blindness.py`).

What is, and what was told of it, are kept side by side; the difference is what is owed. So nothing that is held back
(a mute, a snooze, the group's interval, a storm) can be forgotten: the next turn finds it owed again. All of a turn is
one transaction under the machine's lock, the messages included: killed anywhere, it happened or it did not, and the
same signals handled again, or by another process at the same time, change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.alerts import store
from ops_platform.alerts.blindness import tell_blind
from ops_platform.alerts.grouping import Relations
from ops_platform.alerts.looking import close_unseen, look
from ops_platform.alerts.owing import bury_failed_messages
from ops_platform.alerts.placing import move, place
from ops_platform.alerts.telling import tell
from ops_platform.alerts.turn import Turn
from ops_platform.failpoints import failpoint

if TYPE_CHECKING:
    import psycopg

    from ops_platform.alerts.announcement import Composer
    from ops_platform.alerts.outcome import Outcome
    from ops_platform.alerts.signal import Signal
    from ops_platform.fleet import Fleet

# How far the clock of whoever looked may be ahead of ours.
AHEAD = timedelta(hours=1)


def handle(
    connection: psycopg.Connection[Any],
    signals: Iterable[Signal],
    now: datetime,
    *,
    fleet: Fleet,
    compose: Composer,
    channels: Callable[[str], str],
    relations: Relations | None = None,
) -> Outcome:
    """Take these looks in, and put in the outbox what is to be said, in one transaction (the caller's, if one is open;
    then the caller commits). Signals may come in any order and any number of times.

    `now` is the company's clock (aware). `channels` gives the vendor's id of a channel by its role; `compose` makes the
    message of an announcement. A message that cannot be composed goes as plain text and is among the problems: one bad
    document keeps no other alert from going. Raises ValueError for a moment without a zone."""
    if now.tzinfo is None:
        raise ValueError(f"a turn needs a moment with a time zone: {now!r}")
    given: list[Signal] = []
    early: list[Signal] = []
    for signal in signals:
        # A look from the future would make every true one after it an old one.
        (early if signal.observed_at > now + AHEAD else given).append(store.storable(signal))
    with connection.transaction():
        store.take_turn(connection)
        failpoint("alerts.locked")
        turn = Turn.load(
            connection, now, {signal.subject.key for signal in given}, fleet=fleet, compose=compose, channels=channels,
            relations=relations or Relations(),
        )  # fmt: skip
        _take(turn, given)
        failpoint("alerts.saved")
    outcome = turn.outcome
    outcome.problems += [f"{one.subject.key} was looked at in the future ({one.observed_at})" for one in early]
    failpoint("alerts.committed")
    return outcome


def _take(turn: Turn, signals: Sequence[Signal]) -> None:
    """The turn from its first step to its last."""
    bury_failed_messages(turn)
    look(turn, signals)
    close_unseen(turn)
    failpoint("alerts.stepped")
    place(turn)
    for alert in turn.alerts.values():
        move(turn, alert)
    failpoint("alerts.grouped")
    tell(turn)
    tell_blind(turn)
    turn.save()
    turn.outcome.standing = sum(alert.standing for alert in turn.alerts.values())

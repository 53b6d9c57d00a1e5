"""One turn of the policy coordinator: intake, the dead, clocks, decisions, what GitHub has to be shown, the queue.

Belongs here: the order of a turn, and that one part that breaks takes no other with it. Does not belong here: any one
part. `ops coordinator --once` is a turn and the queue worked off here; `--monitor` repeats it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops_platform.failures import OpsError
from ops_platform.work_orders import ladder, manager, oversight, processing, queue, showing, store, tickets, weekly
from ops_platform.work_orders.model import Phase, Priority

if TYPE_CHECKING:
    from ops_platform.work_orders.model import Received, WorkOrder
    from ops_platform.work_orders.office import Office
    from ops_platform.work_orders.processing import Processed

#: How often a delivery is looked for between turns.
LOOK_SECONDS = 1.0


@dataclass(slots=True)
class Turn:
    """What a turn came to. `problems` are parts that could not be done now, in words; the next turn tries again."""

    received: list[Received] = field(default_factory=list)
    released: list[WorkOrder] = field(default_factory=list)
    notices: int = 0
    decided: list[WorkOrder] = field(default_factory=list)
    shown: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        moved = [each for each in self.received if each.change not in ("ignored", "unchanged", "stale")]
        parts = [
            (len(moved), "issues moved"), (len(self.released), "released"), (self.notices, "notices"),
            (len(self.decided), "decided"), (self.shown, "shown"), (len(self.problems), "problems"),
        ]  # fmt: skip
        told = ", ".join(f"{count} {what}" for count, what in parts if count)
        return told or "nothing new"


def turn(office: Office) -> Turn:
    """One turn; commits as it goes. Does not work on orders."""
    done = Turn()
    _part(office, done, "intake", lambda: _intake(office, done, whole=True))
    _part(office, done, "dead workers", lambda: _release(office, done))
    _part(office, done, "clocks", lambda: _climb(office, done))
    _part(office, done, "decisions", lambda: _decide(office, done))
    _part(office, done, "labels and cards", lambda: _show(office, done))
    _part(office, done, "weekly review", lambda: _review(office))
    return done


def work_off(office: Office, *, limit: int = 100, only: Priority | None = None) -> list[Processed]:
    """Work on what is due, here and one after the other, until nothing is; the most urgent first, asked anew each
    time."""
    done: list[Processed] = []
    while len(done) < limit and office.github is not None:
        with office.connect() as connection:
            found = queue.launches(connection, office.policy, limit=1, only=only, at=office.at)
            connection.commit()
        if not found:
            break
        done.append(processing.process(office, found[0].work_id))
    return done


def monitor(
    office: Office,
    *,
    every: float,
    stopping: Callable[[float], bool],
    after: Callable[[Turn], None],
    direct: bool,
) -> None:
    """Turn after turn, `every` seconds, until `stopping(seconds)`, which waits, says so. In between what a webhook
    brought is taken in within a second. With `direct` a P0 gets a process of its own at once and the rest is Dagster's;
    without, everything is worked off here."""
    while True:
        until = time.monotonic() + every
        after(turn(office))
        _get_on(office, direct=direct)
        while (left := until - time.monotonic()) > 0:
            if stopping(min(LOOK_SECONDS, left)):
                return
            if _something_came(office):
                after(hurry(office))
                _get_on(office, direct=direct)
        if stopping(0.0):
            return


def hurry(office: Office) -> Turn:
    """What a webhook brought, taken in and shown; no poll, no clocks."""
    done = Turn()
    _part(office, done, "intake", lambda: _intake(office, done, whole=False))
    return done


def _get_on(office: Office, *, direct: bool) -> None:
    if direct:
        start_urgent(office)
    else:
        work_off(office)


def _something_came(office: Office) -> bool:
    """Whether a delivery waits to be taken in, by one indexed look; a database that is away is looked at later."""
    import psycopg

    try:
        with office.connect() as connection:
            row = connection.execute(
                "select exists (select from ops.work_deliveries where state = 'received'"
                " and (not_before is null or not_before <= %s))",
                (office.now(),),
            ).fetchone()
    except psycopg.OperationalError as error:
        office.log(f"the database is away: {error}")
        return False
    return row is not None and bool(row[0])


def start_urgent(office: Office) -> list[int]:
    """Start a process for each P0 that waits, now; the numbers of those orders."""
    if office.github is None:
        return []
    with office.connect() as connection:
        found = queue.launches(
            connection, office.policy, limit=queue.DIRECT_MOST, only=Priority.P0, at=office.at
        )  # fmt: skip
        connection.commit()
    for each in found:
        queue.start_directly(each)
        office.log(f"work order {each.work_id}: a P0, started at once")
    return [each.work_id for each in found]


# The parts ----------------------------------------------------------------------------------------------------


def _part(office: Office, done: Turn, name: str, does: Callable[[], None]) -> None:
    import psycopg

    try:
        does()
    except (OpsError, psycopg.Error) as error:
        office.log(f"{name}: {error}")
        done.problems.append(f"{name}: {error}")


def _intake(office: Office, done: Turn, *, whole: bool) -> None:
    if office.intake is None:
        return
    received, problems = office.intake(whole)
    done.received += received
    done.problems += problems


def _release(office: Office, done: Turn) -> None:
    with office.connect() as connection:
        done.released += store.release_dead(connection, policy=office.policy, at=office.at)
        for work in done.released:
            if work.phase is Phase.FAILED:
                oversight.ended(connection, office, work)
        connection.commit()


def _climb(office: Office, done: Turn) -> None:
    """Tell what the ladder says is due, each rung once, and open the tickets it asks for."""
    now = office.now()
    with office.connect() as connection:
        due = ladder.take(connection, office.policy, at=now)
        done.notices += len(due)
        for told in ladder.gathered(due):
            loud = told.does in ("breach", "escalate")
            oversight.send(
                connection, office, told.notices[0].work, key=told.key, words=told.words, recipient=told.recipient,
                channel="alerts" if loud else "team", level="alert" if loud else "watch", title=told.title,
            )  # fmt: skip
        for notice in due:
            work = notice.work
            if notice.step.does == "escalate":
                store.escalate(connection, work.id, notice.words, at=now)
            if notice.step.ticket:
                tickets.open_ticket(
                    connection, work, key=notice.key, impact=notice.words,
                    assignees=[notice.recipient, office.policy.recipient("owner", work.agent)],
                    deadline=now + office.policy.priorities[work.priority].ticket_within, now=now,
                )  # fmt: skip
        connection.commit()


def _review(office: Office) -> None:
    with office.connect() as connection:
        if weekly.review(connection, office):
            office.log("the week's orders were reviewed")
        connection.commit()


def _decide(office: Office, done: Turn) -> None:
    from ops_platform.approvals.execution import execute_approved

    with office.connect() as connection:
        office.inbox.expire_due(connection, office.now())
        connection.commit()
    for executed in execute_approved(office.connect, office.inbox, office.now()):
        office.log(f"request #{executed.approval_id}: {executed.state}: {executed.words}")
    for _ in range(2):
        with office.connect() as connection:
            done.decided += manager.settle(connection, office)
            approved = [
                int(row[0]) for row in connection.execute(
                    "select id from ops.work_orders where phase = 'answered' and manager = 'approved'"
                )
            ]  # fmt: skip
            connection.commit()
        # What waited for the yes is pushed first; the order is done when it is.
        if not [showing.show(office, number) for number in approved]:
            return


def _show(office: Office, done: Turn) -> None:
    if office.github is None:
        return
    with office.connect() as connection:
        waiting = showing.to_show(connection)
        # What an attempt or a turn left half done: begun effects of orders that nobody works on.
        rows = connection.execute(
            """select distinct effects.work_id from ops.work_effects as effects
               join ops.work_orders as orders on orders.id = effects.work_id
               where effects.state in ('staged', 'intended') and orders.phase <> 'running' limit 50"""
        )
        waiting += [int(row[0]) for row in rows if int(row[0]) not in waiting]
        connection.commit()
    for number in waiting:
        applied = showing.show(office, number)
        if applied is not None:
            done.shown += 1
            if applied.failed is not None:
                done.problems.append(f"work order {number}: GitHub refused {applied.failed}: {applied.reason}")


def standing(connection: Any) -> dict[str, int]:
    """How many orders are in each phase; every phase is present."""
    found = {str(phase): 0 for phase in Phase}
    for phase, count in connection.execute("select phase, count(*) from ops.work_orders group by phase"):
        found[str(phase)] = int(count)
    return found

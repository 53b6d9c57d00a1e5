"""Escalation tickets: what went wrong, whom it affects, six steps, who does them, until when, how it ended.

Belongs here: opening a ticket, its steps in order, its end, and SQL on `ops.work_tickets`. Does not belong here: when
an order is escalated (`coordinator.py`, `ladder.py`), telling people (`oversight.py`).

A ticket has six steps: acknowledge, contain, mitigate, root cause, fix, post-mortem. A step is taken by a person, with
words; the order is that of the list, and the machine takes none. A ticket is resolved when all are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform.failures import DataFailure
from ops_platform.redaction import redact
from ops_platform.work_orders import decisions

if TYPE_CHECKING:
    import psycopg

    from ops_platform.work_orders.model import WorkOrder

STEPS = ("acknowledge", "contain", "mitigate", "root_cause", "fix", "post_mortem")
WORDS_MOST = 2000
_COLUMNS = (
    "id, work_id, key, severity, title, affected, impact, steps, assignees, deadline, opened_at, resolution,"
    " resolved_at"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One of the six; `by`, `at` and `words` are empty until a person has taken it."""

    name: str
    by: str = ""
    at: str = ""
    words: str = ""

    @property
    def taken(self) -> bool:
        return bool(self.at)


@dataclass(frozen=True, slots=True)
class Ticket:
    """`severity` is P0 to P3; `assignees` are names under `people` of the policy; `deadline` when the six steps are to
    be taken by."""

    id: int
    work_id: int | None
    key: str
    severity: str
    title: str
    affected: str
    impact: str
    steps: tuple[Step, ...]
    assignees: tuple[str, ...]
    deadline: datetime | None
    opened_at: datetime
    resolution: str | None
    resolved_at: datetime | None

    @property
    def next_step(self) -> str | None:
        """The step that comes next; None where all are taken."""
        return next((step.name for step in self.steps if not step.taken), None)


def open_ticket(
    connection: psycopg.Connection[Any],
    work: WorkOrder,
    *,
    key: str,
    impact: str,
    assignees: Sequence[str],
    deadline: datetime | None,
    now: datetime,
    affected: str | None = None,
) -> Ticket | None:
    """Open a ticket about an order, in the caller's transaction; None where there is one under this key."""
    from psycopg.types.json import Jsonb

    steps = [{"name": name, "by": "", "at": "", "words": ""} for name in STEPS]
    row = connection.execute(
        f"""insert into ops.work_tickets
                (work_id, key, severity, title, affected, impact, steps, assignees, deadline, opened_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (key) do nothing returning
            {_COLUMNS}""".encode(),
        (
            work.id, key, str(work.priority), f"{work.name} {work.title}"[:300],
            affected or f"{work.author}, who asked; {work.agent}, whose work it is", redact(impact)[:WORDS_MOST],
            Jsonb(steps), list(dict.fromkeys(assignees)), deadline, now,
        ),
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    ticket = _ticket(row)
    decisions.record(
        connection, "ticket_opened", impact, work_id=work.id, repository=work.repository, number=work.number,
        facts={"ticket": ticket.id, "assignees": list(ticket.assignees)}, key=f"ticket:{key}", at=now,
    )  # fmt: skip
    return ticket


def take(connection: psycopg.Connection[Any], number: int, step: str, *, by: str, words: str, now: datetime) -> Ticket:
    """A person takes the next step, in the caller's transaction. Raises `DataFailure` where it is not the next."""
    from psycopg.types.json import Jsonb

    ticket = load(connection, number, lock=True)
    words = " ".join(redact(words).split())[:WORDS_MOST]
    if ticket.resolved_at is not None:
        raise DataFailure(f"ticket #{number} is resolved: {ticket.resolution}")
    if step not in STEPS:
        raise DataFailure(f"there is no step {step!r}; there are {', '.join(STEPS)}")
    if step != ticket.next_step:
        raise DataFailure(f"the next step of ticket #{number} is {ticket.next_step}, not {step}")
    if not words:
        raise DataFailure("a step needs words: what was done, or found")
    steps = [
        {"name": one.name, "by": by, "at": now.isoformat(), "words": words} if one.name == step else
        {"name": one.name, "by": one.by, "at": one.at, "words": one.words}
        for one in ticket.steps
    ]  # fmt: skip
    connection.execute("update ops.work_tickets set steps = %s where id = %s", (Jsonb(steps), number))
    if step == STEPS[-1]:
        connection.execute(
            "update ops.work_tickets set resolution = %s, resolved_at = %s where id = %s", (words, now, number)
        )
    decisions.record(
        connection, "ticket_step", words, work_id=ticket.work_id, actor=by, facts={"ticket": number, "step": step},
        at=now,
    )  # fmt: skip
    return load(connection, number)


def load(connection: psycopg.Connection[Any], number: int, *, lock: bool = False) -> Ticket:
    """One ticket. Raises `DataFailure` where there is none."""
    row = connection.execute(
        f"select {_COLUMNS} from ops.work_tickets where id = %s{' for update' if lock else ''}".encode(), (number,)
    ).fetchone()
    if row is None:
        raise DataFailure(f"there is no ticket #{number}")
    return _ticket(row)


def listed(connection: psycopg.Connection[Any], *, everything: bool = False, limit: int = 100) -> list[Ticket]:
    """Open tickets, the most severe and oldest first; with `everything` resolved ones too."""
    where = "" if everything else " where resolved_at is null"
    rows = connection.execute(
        f"select {_COLUMNS} from ops.work_tickets{where} order by severity, opened_at, id limit %s".encode(), (limit,)
    )
    return [_ticket(row) for row in rows]


def _ticket(row: tuple[Any, ...]) -> Ticket:
    steps = tuple(Step(each["name"], each["by"], each["at"], each["words"]) for each in row[7])
    named: dict[str, Any] = dict(zip((field.name for field in fields(Ticket)), row, strict=True))
    return Ticket(**{**named, "steps": steps, "assignees": tuple(row[8])})

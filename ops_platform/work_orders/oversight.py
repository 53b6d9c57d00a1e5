"""What people are told of work orders: the start and end of what the manager has to know of, and the ladder's notices.

Belongs here: a notice and its message in the outbox, in one transaction, once for its key. Does not belong here: when a
rung is due (`ladder.py`), approvals (`manager.py`), how a message is posted (`ops_platform.delivery`).

A notice is kept in `ops.work_notices` whether or not a channel is connected; `ops work notices` shows it. Words of an
issue are quoted: they make no mention, no link and no markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ops_platform.delivery.outbox import enqueue
from ops_platform.delivery.routing import quiet_until
from ops_platform.documents.model import Bullets, Document, Footer, Paragraph, Quoted, Title, rich
from ops_platform.evidence.model import Period

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.fleet.delivery_policy import Level
    from ops_platform.work_orders.model import WorkOrder
    from ops_platform.work_orders.office import Office

KIND = "work_order"
Role = Literal["executive", "team", "alerts"]
#: Of whose start and end the project manager is told.
OVERSEEN = ("P0", "P1")


def started(connection: psycopg.Connection[Any], office: Office, work: WorkOrder) -> bool:
    """Tell the project manager that a P0 or P1 was taken up; once an attempt's order, whatever dies."""
    if work.priority not in OVERSEEN:
        return False
    due = "its clock stands still" if work.due_at is None else f"due {_local(office, work.due_at)}"
    words = f"{work.agent} has taken up a {work.priority}; {due}."
    return tell(connection, office, work, step="started", key=f"started:{work.id}", words=words)


def ended(connection: psycopg.Connection[Any], office: Office, work: WorkOrder) -> bool:
    """Tell the project manager how a P0 or P1 ended: answered, done, blocked, given up, withdrawn; each once."""
    if work.priority not in OVERSEEN:
        return False
    took = ""
    if work.answered_at is not None:
        in_time = work.due_at is None or work.answered_at <= work.due_at
        took = f" It was answered {_local(office, work.answered_at)}, {'in time' if in_time else 'after its time'}."
    why = f" {work.reason}" if work.reason and work.phase in ("blocked", "failed", "withdrawn") else ""
    words = f"{work.agent}'s {work.priority} is {_ENDS.get(work.phase, work.phase)}.{took}{why}"
    key = f"ended:{work.id}:{work.attempt}:{work.phase}"
    loud: Level = "alert" if work.phase in ("blocked", "failed") else "watch"
    return tell(connection, office, work, step="ended", key=key, words=words, level=loud)


_ENDS = {
    "answered": "answered and waits for the manager's word", "done": "done", "blocked": "blocked",
    "failed": "given up", "withdrawn": "withdrawn",
}  # fmt: skip


def tell(
    connection: psycopg.Connection[Any],
    office: Office,
    work: WorkOrder,
    *,
    step: str,
    key: str,
    words: str,
    recipient: str | None = None,
    channel: Role = "team",
    level: Level = "watch",
    forecast_at: datetime | None = None,
) -> bool:
    """Keep a notice and put its message in the outbox, in the caller's transaction. False where this key was told."""
    to = recipient or office.policy.manager
    row = connection.execute(
        """insert into ops.work_notices (key, work_id, step, recipient, words, forecast_at, due_at, at)
           values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (key) do nothing returning key""",
        (key[:255], work.id, step, to, words[:2000], forecast_at, work.due_at, office.now()),
    ).fetchone()
    if row is None:
        return False
    send(connection, office, work, key=key, words=words, recipient=to, channel=channel, level=level)
    return True


def send(
    connection: psycopg.Connection[Any],
    office: Office,
    work: WorkOrder,
    *,
    key: str,
    words: str,
    recipient: str,
    channel: Role = "team",
    level: Level = "watch",
    title: str | None = None,
) -> None:
    """The message of a notice in the outbox; none where no channel is connected. `title` is that of a message about
    many orders."""
    person = office.policy.people.get(recipient)
    document = _document(office, work, words, person.name if person is not None else recipient, title)
    _post(connection, office, document, key, channel, level)


def send_review(
    connection: psycopg.Connection[Any], office: Office, *, key: str, title: str, lines: Sequence[str], see: str
) -> None:
    """The project manager's review in the outbox, a line a point; `see` is the command that shows more."""
    person = office.policy.people.get(office.policy.manager)
    name = person.name if person is not None else office.policy.manager
    now, head = office.now(), rich(Quoted(title))
    day = now.astimezone(office.zone).date()
    footer = Footer((rich("For ", Quoted(name), f" · {_local(office, now)} · {see}"),))
    document = Document(
        kind=KIND, period=Period(day, day, ""), as_of=now, summary=head,
        blocks=(Title(head), Bullets(tuple(rich(Quoted(line)) for line in lines)), footer), claims=(), evidence="",
        writer="rules",
    )  # fmt: skip
    _post(connection, office, document, key, "team", "info")


def _post(
    connection: psycopg.Connection[Any], office: Office, document: Document, key: str, channel: Role, level: Level
) -> None:
    if office.inbox.channel_of is None:
        return
    from ops_platform.documents import slack

    channel_id = office.inbox.channel_of(channel)
    for number, message in enumerate(slack.render(document)):
        enqueue(
            connection, kind=KIND, period=None, channel_key=channel, channel=channel_id, payload=message.payload(),
            dedupe_key=f"work:{key}:{number}", quiet_until=quiet_until(office.fleet, level, office.now()),
        )  # fmt: skip


def _document(office: Office, work: WorkOrder, words: str, person: str, about: str | None = None) -> Document:
    now = office.now()
    day = now.astimezone(office.zone).date()
    title = rich(Quoted(about)) if about else rich(f"{work.priority} ", Quoted(f"{work.name} {work.title[:120]}"))
    more = "ops work notices" if about else f"ops work show {work.id}"
    footer = Footer((rich("For ", Quoted(person), f" · {_local(office, now)} · {more}"),))
    return Document(
        kind=KIND, period=Period(day, day, ""), as_of=now, summary=title,
        blocks=(Title(title), Paragraph(rich(Quoted(words))), footer), claims=(), evidence="", writer="rules",
    )  # fmt: skip


def notices(connection: psycopg.Connection[Any], limit: int = 50) -> Sequence[tuple[Any, ...]]:
    """The newest notices: (at, priority, name of the order, step, recipient, words)."""
    return connection.execute(
        """select notices.at, orders.priority, orders.repository || '#' || orders.number, notices.step,
               notices.recipient, notices.words
           from ops.work_notices as notices join ops.work_orders as orders on orders.id = notices.work_id
           order by notices.at desc, notices.key limit %s""",
        (limit,),
    ).fetchall()


def _local(office: Office, moment: datetime) -> str:
    return f"{moment.astimezone(office.zone):%a %d %b %H:%M %Z}"

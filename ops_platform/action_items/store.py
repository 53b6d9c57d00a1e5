"""The rows of `ops.action_items` and every change of them.

Belongs here: the SQL, and the rule that a subject has one open item. Does not belong here: which concerns ask for an
item (`ops_platform.evidence.concerns`), the calendar (`ops_platform.alerts.policy`).

An item outlives its concern: a figure that is back in order does not close it, a person does. When its concern comes
again while it is open, it is carried over, and no second one is opened; after it was settled its subject rests for some
days, so that what somebody has just dealt with is not handed to him again the next morning.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

State = Literal["open", "done", "dropped"]
Severity = Literal["watch", "alert", "critical"]
LONGEST_OWNER, LONGEST_NOTE = 80, 400
_COLUMNS = (
    "id, subject, what, about, severity, division, owner, opened_for, opened_by, due_on, seen_for, state, settled_on,"
    " settled_by, note"
)
_OPEN = """
insert into ops.action_items (subject, what, about, severity, division, owner, opened_for, opened_by, due_on, seen_for,
    created_at, updated_at)
select %(subject)s, %(what)s, %(about)s, %(severity)s, %(division)s, %(owner)s, %(day)s, %(by)s, %(due)s, %(day)s,
    %(now)s, %(now)s
where not exists (
    select from ops.action_items where subject = %(subject)s and state <> 'open' and settled_on > %(rested)s
)
on conflict (subject) where state = 'open' do update set
    seen_for = greatest(action_items.seen_for, excluded.seen_for), updated_at = excluded.updated_at
returning id, xmax = 0 as fresh
"""
_SETTLE = """
update ops.action_items set state = %(state)s, settled_on = %(day)s, settled_by = %(actor)s, note = %(note)s,
    updated_at = %(now)s
where id = %(id)s and state = 'open' returning id
"""


@dataclass(frozen=True, slots=True)
class ActionItem:
    """One thing to be done. `what` is in our words, `about` names the thing in its source's words (a metric's label, a
    SKU): it is shown as quoted text. `opened_for` and `seen_for` are the last days of the periods of the narratives
    that opened it and last had its concern."""

    id: int
    subject: str
    what: str
    about: str
    severity: Severity
    division: str | None
    owner: str
    opened_for: date
    opened_by: str
    due_on: date
    seen_for: date
    state: State
    settled_on: date | None
    settled_by: str | None
    note: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a narrative asks somebody to do."""

    subject: str
    what: str
    about: str
    severity: Severity
    division: str | None
    owner: str
    due_on: date


def open_items(
    connection: psycopg.Connection[Any],
    proposals: Iterable[Proposal],
    *,
    day: date,
    by: str,
    now: datetime,
    rest_days: int,
) -> int:
    """Open an item for each proposal whose subject has none open and was not settled in the last `rest_days`; one that
    is open is noted as seen again on `day`. Returns how many are new. Does not commit; safe to repeat."""
    fresh = 0
    for each in proposals:
        row = connection.execute(
            _OPEN,
            {
                "subject": each.subject, "what": each.what, "about": each.about, "severity": each.severity,
                "division": each.division, "owner": each.owner, "due": max(each.due_on, day), "day": day, "by": by,
                "now": now, "rested": day - timedelta(days=rest_days),
            },
        ).fetchone()  # fmt: skip
        if row is not None and row[1]:
            fresh += 1
            _note(connection, row[0], "opened", by, f"{each.owner}, due {each.due_on}", now)
    return fresh


def standing(connection: psycopg.Connection[Any], until: date | None = None) -> list[ActionItem]:
    """What is open, the first due first; with `until`, what was open at the end of that day."""
    where = "state = 'open'"
    if until is not None:
        where = "opened_for <= %(until)s and (state = 'open' or settled_on > %(until)s)"
    return _read(connection, f"where {where} order by due_on, id", {"until": until})


def settled(connection: psycopg.Connection[Any], first: date, last: date) -> list[ActionItem]:
    """What was done or dropped from `first` to `last`, in that order."""
    return _read(
        connection,
        "where state <> 'open' and settled_on between %(first)s and %(last)s order by settled_on, id",
        {"first": first, "last": last},
    )


def items(
    connection: psycopg.Connection[Any], *, everything: bool = False, owner: str | None = None, limit: int = 100
) -> list[ActionItem]:
    """For a person: what is open, the first due first; with `everything` then what is settled, the newest first.
    `owner` as it is written, whatever its case."""
    return _read(
        connection,
        "where (%(all)s or state = 'open') and (%(owner)s::text is null or lower(owner) = lower(%(owner)s))"
        " order by state <> 'open', case when state = 'open' then due_on end, settled_on desc, id limit %(limit)s",
        {"all": everything, "owner": owner, "limit": limit},
    )


def item(connection: psycopg.Connection[Any], number: int) -> ActionItem:
    """One item. Raises `DataFailure` when there is none of that number."""
    found = _read(connection, "where id = %(id)s", {"id": number})
    if not found:
        raise DataFailure(f"there is no action item {number}: `ops action list --all`")
    return found[0]


def settle(
    connection: psycopg.Connection[Any],
    number: int,
    *,
    state: Literal["done", "dropped"],
    actor: str,
    day: date,
    now: datetime,
    note: str = "",
) -> bool:
    """Somebody says that it is done, or that it need not be. False where it was settled already. Does not commit."""
    item(connection, number)
    note = " ".join(note.split())[:LONGEST_NOTE]
    row = connection.execute(
        _SETTLE, {"id": number, "state": state, "day": day, "actor": actor, "note": note, "now": now}
    ).fetchone()
    if row is None:
        return False
    _note(connection, number, state, actor, note, now)
    return True


def assign(
    connection: psycopg.Connection[Any],
    number: int,
    *,
    owner: str,
    due_on: date | None,
    actor: str,
    now: datetime,
) -> ActionItem:
    """Whose it is, and until when if that is said too. Raises `DataFailure` for a settled item, an empty name or a day
    before it was opened. Does not commit."""
    found = item(connection, number)
    if found.state != "open":
        raise DataFailure(f"action item {number} is {found.state}: only an open one can be assigned")
    owner = " ".join(owner.split())[:LONGEST_OWNER]
    if not owner:
        raise DataFailure("an action item needs an owner: say whose it is")
    if due_on is not None and due_on < found.opened_for:
        raise DataFailure(f"{due_on} is before action item {number} was opened ({found.opened_for})")
    connection.execute(
        "update ops.action_items set owner = %(owner)s, assigned_by = %(actor)s, due_on = coalesce(%(due)s, due_on),"
        " updated_at = %(now)s where id = %(id)s",
        {"owner": owner, "actor": actor, "due": due_on, "now": now, "id": number},
    )
    _note(connection, number, "assigned", actor, owner, now)
    if due_on is not None and due_on != found.due_on:
        _note(connection, number, "moved", actor, f"from {found.due_on} to {due_on}", now)
    return item(connection, number)


def _note(connection: psycopg.Connection[Any], number: int, event: str, actor: str, detail: str, now: datetime) -> None:
    connection.execute(
        "insert into ops.action_item_events (action_id, event, actor, detail, at) values (%s, %s, %s, %s, %s)",
        (number, event, actor, detail, now),
    )


def _read(connection: psycopg.Connection[Any], rest: str, params: dict[str, Any]) -> list[ActionItem]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(f"select {_COLUMNS} from ops.action_items {rest}".encode(), params)
        return [ActionItem(**row) for row in cursor.fetchall()]

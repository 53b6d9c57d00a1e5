"""Finished answers, kept with their staged effects: what a model was paid for is not asked twice.

Belongs here: SQL on `ops.work_answers`. Does not belong here: making an answer (`agents/`), staging (`effects.py`),
when either happens (`processing.py`).

An answer is `staged` together with its effects, in one transaction; `posted` when they are done. An attempt that finds
a staged answer to the very words it is bound to goes on with it. A revision asked for by the manager, or words that
changed, make it `superseded`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import psycopg

    from ops_platform.work_orders.model import WorkOrder

Ends = Literal["answered", "done", "blocked"]
_COLUMNS = (
    "id, work_id, attempt, body_hash, state, ends, reason, note, body, document_id, held, tokens, cost,"
    " made_at, posted_at"
)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A row. `ends` is what the order becomes when it is posted, `reason` why it is blocked; `body` is the comment's
    text in Markdown, `note` who wrote it; `held` are the effects that are done only after the manager's yes (kind,
    name, payload); `cost` is in US dollars at list price."""

    id: int
    work_id: int
    attempt: int
    body_hash: str
    state: str
    ends: Ends
    reason: str
    note: str
    body: str
    document_id: int | None
    held: list[dict[str, Any]]
    tokens: int
    cost: Decimal
    made_at: datetime
    posted_at: datetime | None

    @property
    def effect(self) -> str:
        """The name of the effect that posts it: another answer has another."""
        return f"result:{self.attempt}"


def staged(connection: psycopg.Connection[Any], work: WorkOrder) -> KeptAnswer | None:
    """The answer that waits to be posted, where it is to the words the order is bound to."""
    return _one(connection, "work_id = %s and state = 'staged' and body_hash = %s", (work.id, work.body_hash))


def newest(connection: psycopg.Connection[Any], work_id: int) -> KeptAnswer | None:
    """The last answer that was posted."""
    return _one(connection, "work_id = %s and state = 'posted'", (work_id,))


def keep(
    connection: psycopg.Connection[Any],
    work: WorkOrder,
    *,
    ends: Ends,
    reason: str,
    note: str,
    body: str,
    document_id: int | None,
    tokens: int,
    cost: Decimal,
    held: Sequence[Mapping[str, Any]] = (),
    now: datetime,
) -> KeptAnswer:
    """Keep an answer in the caller's transaction; one that waited before is superseded."""
    from psycopg.types.json import Jsonb

    supersede(connection, work.id)
    connection.execute(
        """insert into ops.work_answers
               (work_id, attempt, body_hash, ends, reason, note, body, document_id, held, tokens, cost, made_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            work.id, work.attempt, work.body_hash, ends, reason, note, body, document_id, Jsonb([*held]), tokens, cost,
            now,
        ),
    )  # fmt: skip
    kept = staged(connection, work)
    assert kept is not None
    return kept


def posted(connection: psycopg.Connection[Any], answer_id: int, now: datetime) -> None:
    """Note that it stands at the issue, in the caller's transaction."""
    connection.execute(
        "update ops.work_answers set state = 'posted', posted_at = %s where id = %s and state = 'staged'",
        (now, answer_id),
    )


def supersede(connection: psycopg.Connection[Any], work_id: int) -> None:
    """What waits is posted no more; effects of it that were not begun are dropped with it."""
    rows = connection.execute(
        "update ops.work_answers set state = 'superseded' where work_id = %s and state = 'staged' returning attempt",
        (work_id,),
    ).fetchall()
    if rows:
        connection.execute(
            "delete from ops.work_effects where work_id = %s and state = 'staged' and staged_by <> 'coordinator'",
            (work_id,),
        )
        connection.execute(
            "delete from ops.work_effects where work_id = %s and state = 'staged' and name = any(%s)",
            (work_id, [f"result:{attempt}" for (attempt,) in rows]),
        )


def _one(connection: psycopg.Connection[Any], where: str, values: tuple[Any, ...]) -> KeptAnswer | None:
    row = connection.execute(
        f"select {_COLUMNS} from ops.work_answers where {where} order by id desc limit 1".encode(), values
    ).fetchone()
    return None if row is None else KeptAnswer(*row)

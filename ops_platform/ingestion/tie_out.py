"""Tie-out: what the vendor says it holds against what landed, per entity and day.

Belongs here: comparing control totals and recording the verdict. Does not belong here: asking the
vendor (its client's `control_totals`) or computing the landed side (its client's `landed_query`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.ingestion.contract import ControlTotal, LandedQuery

if TYPE_CHECKING:
    import psycopg

WHOLE_ENTITY = date(1, 1, 1)
# Vendors sum in their own order and round to the cent; anything beyond half a cent is a difference.
AMOUNT_TOLERANCE = Decimal("0.005")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One entity and day, both sides. `status` is matched or mismatched."""

    entity: str
    day: date
    source_count: int
    landed_count: int
    source_amount: Decimal | None
    landed_amount: Decimal | None
    currency: str | None

    @property
    def status(self) -> str:
        if self.source_count != self.landed_count:
            return "mismatched"
        if self.source_amount is None or self.landed_amount is None:
            return "matched"
        return "matched" if abs(self.source_amount - self.landed_amount) <= AMOUNT_TOLERANCE else "mismatched"


@dataclass(frozen=True, slots=True)
class Tried:
    """Days that were read again for their difference, or, with `error`, could not be."""

    days: Collection[date]
    error: str | None
    first_wait: timedelta
    longest_wait: timedelta

    def wait(self, tries: int) -> timedelta:
        """How long the same difference then waits: twice as long every time."""
        return min(self.first_wait * 2 ** min(tries - 1, 16), self.longest_wait)


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """What was done about a difference that was there before, to the last digit."""

    tries: int
    again_at: datetime | None
    read_at: datetime | None
    error: str | None

    @property
    def kept(self) -> tuple[int, datetime | None, datetime | None, str | None]:
        return self.tries, self.again_at, self.read_at, self.error


def landed_totals(
    connection: psycopg.Connection[Any], query: LandedQuery, days: Sequence[date] | None
) -> dict[date, tuple[int, Decimal | None]]:
    """The landed side: day → (count, amount). A whole-entity query yields a NULL day."""
    rows = connection.execute(query.sql.encode(), {"days": list(days) if days is not None else None}).fetchall()
    return {day or WHOLE_ENTITY: (int(count), amount) for day, count, amount in rows}


def compare(
    source: Sequence[ControlTotal],
    landed: dict[date, tuple[int, Decimal | None]],
    entity: str,
    days: Sequence[date] | None,
) -> list[Comparison]:
    """Put both sides side by side; a day known to one side only is compared with nothing."""
    said = {total.day or WHOLE_ENTITY: total for total in source if total.entity == entity}
    wanted = set(said) | set(landed)
    if days is not None:
        wanted = {day for day in wanted if day in set(days)} | (set(said) & {WHOLE_ENTITY})
    result = []
    for day in sorted(wanted):
        total = said.get(day)
        count, amount = landed.get(day, (0, Decimal(0)))
        source_amount = total.amount if total is not None else Decimal(0)
        if total is not None and total.amount is None:
            amount = None
        result.append(
            Comparison(
                entity,
                day,
                total.count if total else 0,
                count,
                source_amount,
                amount,
                total.currency if total else None,
            )
        )
    return result


_WRITTEN = {
    "entity": "text", "day": "date", "source_count": "bigint", "landed_count": "bigint", "source_amount": "numeric",
    "landed_amount": "numeric", "currency": "text", "status": "text", "reread_at": "timestamptz",
    "reread_tries": "integer", "reread_again_at": "timestamptz", "reread_error": "text",
}  # fmt: skip
_WRITE = (
    f"insert into ops.tie_outs (vendor, stream, sync_id, checked_at, {', '.join(_WRITTEN)})"
    " select %s, %s, %s, %s, written.*"
    f" from unnest({', '.join(f'%s::{kind}[]' for kind in _WRITTEN.values())}) as written"
    " on conflict (vendor, stream, entity, day) do update set sync_id = excluded.sync_id,"
    f" checked_at = excluded.checked_at, {', '.join(f'{name} = excluded.{name}' for name in list(_WRITTEN)[2:])}"
).encode()


def record(
    connection: psycopg.Connection[Any],
    vendor: str,
    stream: str,
    sync_id: int,
    comparisons: Sequence[Comparison],
    now: datetime,
    tried: Tried | None = None,
) -> dict[date, datetime]:
    """Store the verdicts, replacing earlier ones of the same entity and day. `tried` are days just read again, or that
    were to be. Returns the days that differ and were tried, and before when they are not tried again."""
    known = known_differences(connection, vendor, stream, comparisons)
    waiting: dict[date, datetime] = {}
    # By entity and day: one statement writes each once.
    rows: dict[tuple[str, date | None], tuple[Any, ...]] = {}
    for item in comparisons:
        before = known.get(item.day)
        tries, again_at, read_at, error = (0, None, None, None) if before is None else before.kept
        if tried is not None and item.status != "matched" and item.day in tried.days:
            tries += 1
            again_at, error = now + tried.wait(tries), tried.error
            read_at = now if error is None else read_at
        if again_at is not None:
            waiting[item.day] = again_at
        rows[item.entity, item.day] = (
            item.entity, item.day, item.source_count, item.landed_count, item.source_amount, item.landed_amount,
            item.currency, item.status, read_at, tries, again_at, error,
        )  # fmt: skip
    columns = [list(column) for column in zip(*rows.values(), strict=True)] or [[] for _ in _WRITTEN]
    connection.execute(_WRITE, (vendor, stream, sync_id, now, *columns))
    return waiting


def known_differences(
    connection: psycopg.Connection[Any], vendor: str, stream: str, comparisons: Sequence[Comparison]
) -> dict[date, KnownDifference]:
    """The days among `comparisons` that differ just as they did when they were last to be read again."""
    unequal = [item for item in comparisons if item.status != "matched"]
    if not unequal:
        return {}
    rows = connection.execute(
        "select entity, day, source_count, landed_count, source_amount, landed_amount, reread_tries, reread_again_at,"
        " reread_at, reread_error from ops.tie_outs"
        " where vendor = %s and stream = %s and reread_tries > 0 and day = any(%s)",
        (vendor, stream, [item.day for item in unequal]),
    ).fetchall()
    known = {tuple(row[:6]): KnownDifference(*row[6:]) for row in rows}
    return {
        item.day: found
        for item in unequal
        if (found := known.get(
            (item.entity, item.day, item.source_count, item.landed_count, item.source_amount, item.landed_amount)
        )) is not None
    }  # fmt: skip


def doubt(connection: psycopg.Connection[Any], vendor: str, stream: str, now: datetime) -> None:
    """The vendor could not be asked: earlier verdicts of recent days no longer stand for what landed since."""
    connection.execute(
        "update ops.tie_outs set status = 'unknown', checked_at = %s where vendor = %s and stream = %s"
        " and day in (select max(day) from ops.tie_outs where vendor = %s and stream = %s)",
        (now, vendor, stream, vendor, stream),
    )

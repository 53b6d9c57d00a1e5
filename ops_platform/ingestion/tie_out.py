"""Tie-out: what the vendor says it holds against what landed, per entity and day.

Belongs here: comparing control totals and recording the verdict. Does not belong here: asking the
vendor (its client's `control_totals`) or computing the landed side (its client's `landed_query`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
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


def record(
    connection: psycopg.Connection[Any],
    vendor: str,
    stream: str,
    sync_id: int,
    comparisons: Sequence[Comparison],
    now: datetime,
    reread: Collection[date] = (),
) -> None:
    """Store the verdicts, replacing earlier ones of the same entity and day. `reread` are days just read again."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.tie_outs (vendor, stream, entity, day, source_count, landed_count, source_amount,"
            " landed_amount, currency, status, sync_id, checked_at, reread_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (vendor, stream, entity, day) do update set source_count = excluded.source_count,"
            " landed_count = excluded.landed_count, source_amount = excluded.source_amount,"
            " landed_amount = excluded.landed_amount, currency = excluded.currency, status = excluded.status,"
            " sync_id = excluded.sync_id, checked_at = excluded.checked_at, reread_at = case excluded.status"
            " when 'matched' then null else coalesce(excluded.reread_at, case when (tie_outs.source_count,"
            " tie_outs.landed_count, tie_outs.source_amount, tie_outs.landed_amount) is not distinct from"
            " (excluded.source_count, excluded.landed_count, excluded.source_amount, excluded.landed_amount)"
            " then tie_outs.reread_at end) end",
            [
                (
                    vendor, stream, item.entity, item.day, item.source_count, item.landed_count, item.source_amount,
                    item.landed_amount, item.currency, item.status, sync_id, now,
                    now if item.day in reread and item.status != "matched" else None,
                )
                for item in comparisons
            ],
        )  # fmt: skip


def not_read_again_since(
    connection: psycopg.Connection[Any], vendor: str, stream: str, unequal: Sequence[Comparison], since: datetime
) -> list[date]:
    """The days among `unequal` that were not read again since then for the very same difference."""
    rows = connection.execute(
        "select entity, day, source_count, landed_count, source_amount, landed_amount from ops.tie_outs"
        " where vendor = %s and stream = %s and status = 'mismatched' and reread_at > %s",
        (vendor, stream, since),
    ).fetchall()
    tried = set(rows)
    return [
        item.day
        for item in unequal
        if (item.entity, item.day, item.source_count, item.landed_count, item.source_amount, item.landed_amount)
        not in tried
    ]


def doubt(connection: psycopg.Connection[Any], vendor: str, stream: str, now: datetime) -> None:
    """The vendor could not be asked: earlier verdicts of recent days no longer stand for what landed since."""
    connection.execute(
        "update ops.tie_outs set status = 'unknown', checked_at = %s where vendor = %s and stream = %s"
        " and day in (select max(day) from ops.tie_outs where vendor = %s and stream = %s)",
        (now, vendor, stream, vendor, stream),
    )

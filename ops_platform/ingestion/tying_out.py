"""The tie-out of a sync: which days are compared, and asking both sides.

Belongs here: the order of a tie-out and what its verdict does to the receipt. Does not belong here: comparing and keeping
verdicts (`tie_out.py`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.failpoints import failpoint
from ops_platform.failures import OpsError
from ops_platform.ingestion import tie_out
from ops_platform.ingestion.contract import Stream, SyncResult, VendorSource

if TYPE_CHECKING:
    import psycopg

# Records can be changed or lost behind a cursor: the last days are tied out at every sync, touched or not.
ALWAYS_TIED_OUT_DAYS = 7


def tie_out_or_doubt(
    connection: psycopg.Connection[Any],
    source: VendorSource,
    stream: Stream,
    sync_id: int,
    result: SyncResult,
    now: datetime,
    today: date,
) -> None:
    """Tie out; a surprise in it leaves the verdict unknown, for what landed has landed."""
    try:
        _tie_out(connection, source, stream, sync_id, result, now, today)
    except Exception as error:
        if connection.closed:
            raise
        tie_out.doubt(connection, stream.vendor, stream.name, now)
        result.tie_out = "unknown"
        result.error = f"tie-out not possible: {type(error).__name__}: {error}"


def _tie_out(
    connection: psycopg.Connection[Any],
    source: VendorSource,
    stream: Stream,
    sync_id: int,
    result: SyncResult,
    now: datetime,
    today: date,
) -> None:
    """Compare control totals; a mismatch is a verdict, not a failure of the sync."""
    query = source.landed_query(stream) if stream.ties_out else None
    if query is None:
        return
    if query.zone is not None:
        # A day that is over here may still be going on at the vendor's place.
        today = min(today, now.astimezone(ZoneInfo(query.zone)).date())
    days: list[date] | None = None
    if query.day_expression is not None and result.cursor_before is not None:
        days = _days_to_check(connection, stream, query.day_expression, sync_id, today)
    try:
        said = source.control_totals(stream, days)
    except OpsError as error:
        tie_out.doubt(connection, stream.vendor, stream.name, now)
        result.tie_out = "unknown"
        result.error = f"tie-out not possible: {error}"
        return
    if query.day_expression is not None:
        said = [total for total in said if total.day is None or total.day < today]
    landed = tie_out.landed_totals(connection, query, days)
    compared = [item for item in tie_out.compare(said, landed, query.entity, days) if item.day < today]
    with connection.transaction():
        tie_out.record(connection, stream.vendor, stream.name, sync_id, compared, now)
        failpoint("sync.mid_tie_out")
    result.touched_days = [item.day for item in compared]
    mismatched = [item for item in compared if item.status == "mismatched"]
    result.tie_out = "mismatched" if mismatched else "matched"
    if mismatched:
        worst = mismatched[-1]
        result.error = (
            f"{len(mismatched)} of {len(compared)} days do not tie out; {worst.day}: source {worst.source_count} "
            f"({worst.source_amount}), landed {worst.landed_count} ({worst.landed_amount})"
        )


def _days_to_check(
    connection: psycopg.Connection[Any], stream: Stream, expression: str, sync_id: int, today: date
) -> list[date]:
    rows = connection.execute(
        f"select distinct ({expression})::date from raw_{stream.vendor}.{stream.name} where sync_id = %s".encode(),
        (sync_id,),
    ).fetchall()
    days = {day for (day,) in rows if day is not None}
    days |= {today - timedelta(days=back) for back in range(1, ALWAYS_TIED_OUT_DAYS + 1)}
    return sorted(day for day in days if day < today)

"""The tie-out of a sync: which days are compared, asking both sides, and reading days that differ once more.

Belongs here: the order of a tie-out and what its verdict does to the receipt. Does not belong here: comparing and
keeping verdicts (`tie_out.py`), landing what is read again (`reread.py`).

A day is compared at every sync of its last week; whenever a row of it changed since the last tie-out that came to a
verdict (so a process that dies between landing and tie-out skips none); and as long as it does not tie out. A day that
differs is read again whole before it is called unequal, where the vendor can be asked for a day: the latest
`MOST_READ_AGAIN` days at a time. What remains different is no slip of a listing, and reading it at every sync would
only cost: for the very same difference the next try comes after `AFTER_READING`, or `AFTER_FAILURE` where the day could
not be read, and then after twice as long each time, up to `LONGEST_WAIT`. Another difference is another question and is
looked into at once. A day that could not be read is tried alone: it keeps no other from being mended. The verdict is
said at every sync.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.failpoints import failpoint
from ops_platform.failures import OpsError, in_words
from ops_platform.ingestion import reread, sweep, tie_out
from ops_platform.ingestion.contract import LandedQuery, Stream, UnderWay
from ops_platform.ingestion.tie_out import Comparison, Tried

if TYPE_CHECKING:
    import psycopg

# Records can be changed or lost behind a cursor: the last days are tied out at every sync, touched or not.
ALWAYS_TIED_OUT_DAYS = 7
# Of the days that did not tie out earlier, the latest so many are compared again.
MOST_OPEN_DAYS = 30
MOST_READ_AGAIN = 7
AFTER_READING = timedelta(hours=20)
AFTER_FAILURE = timedelta(hours=1)
LONGEST_WAIT = timedelta(days=7)


def tie_out_or_doubt(sync: UnderWay, today: date) -> None:
    """Tie out; a surprise in it leaves the verdict unknown, for what landed has landed."""
    try:
        _tie_out(sync, today)
    except Exception as error:
        if sync.connection.closed:
            raise
        tie_out.doubt(sync.connection, sync.stream.vendor, sync.stream.name, sync.now)
        sync.result.tie_out = "unknown"
        sync.result.error = f"tie-out not possible: {type(error).__name__}: {error}"


def _tie_out(sync: UnderWay, today: date) -> None:
    """Compare control totals; a mismatch is a verdict, not a failure of the sync."""
    query = sync.source.landed_query(sync.stream) if sync.stream.ties_out else None
    if query is None:
        return
    if query.zone is not None:
        # A day that is over here may still be going on at the vendor's place.
        today = min(today, sync.now.astimezone(ZoneInfo(query.zone)).date())
    days: list[date] | None = None
    if query.day_expression is not None and sync.result.cursor_before is not None:
        days = _days_to_check(sync.connection, sync.stream, query.day_expression, sync.id, today)
    try:
        compared = _both_sides(sync, query, days, today)
    except OpsError as error:
        tie_out.doubt(sync.connection, sync.stream.vendor, sync.stream.name, sync.now)
        sync.result.tie_out = "unknown"
        sync.result.error = f"tie-out not possible: {error}"
        return
    tried: Tried | None = None
    not_read: str | None = None
    if query.day_expression is not None and reread.can_read_days(sync.source):
        due = _to_be_read_again(sync, compared)
        if due:
            compared, not_read = _read_again(sync, query, compared, due, today)
            landed = bool(sync.result.reread_days)
            tried = Tried(due, None if landed else not_read, AFTER_READING if landed else AFTER_FAILURE, LONGEST_WAIT)
    with sync.connection.transaction():
        waiting = tie_out.record(
            sync.connection, sync.stream.vendor, sync.stream.name, sync.id, compared, sync.now, tried
        )
        failpoint("sync.mid_tie_out")
    sync.result.touched_days = [item.day for item in compared]
    mismatched = [item for item in compared if item.status == "mismatched"]
    sync.result.mended_days = sorted(set(sync.result.reread_days) - {item.day for item in mismatched})
    sync.result.tie_out = "mismatched" if mismatched else "matched"
    if mismatched:
        worst = mismatched[-1]
        sync.result.error = (
            f"{len(mismatched)} of {len(compared)} days do not tie out; {worst.day}: source {worst.source_count} "
            f"({worst.source_amount}), landed {worst.landed_count} ({worst.landed_amount})"
        )
        if sync.result.reread_days:
            sync.result.error += f"; read again: {', '.join(map(str, sync.result.reread_days))}"
        if not_read is not None:
            sync.result.error += f"; reading them again was not possible: {not_read}"
        if waiting:
            sync.result.error += f"; next after {min(waiting.values()).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _both_sides(sync: UnderWay, query: LandedQuery, days: Sequence[date] | None, today: date) -> list[Comparison]:
    """What the vendor says and what landed, of closed days or of the whole entity."""
    said = sync.source.control_totals(sync.stream, days)
    if query.day_expression is not None:
        said = [total for total in said if total.day is None or total.day < today]
    landed = tie_out.landed_totals(sync.connection, query, days)
    return [item for item in tie_out.compare(said, landed, query.entity, days) if item.day < today]


def _to_be_read_again(sync: UnderWay, compared: list[Comparison]) -> list[date]:
    """Days that differ and whose difference is not known yet, or was left alone for long enough; the latest few. Of
    those that could not be read the last time, one, and only where there are no others."""
    unequal = [item.day for item in compared if item.status == "mismatched"]
    known = tie_out.known_differences(sync.connection, sync.stream.vendor, sync.stream.name, compared)
    readable: list[date] = []
    failed: list[tuple[datetime, date]] = []
    for day in unequal:
        before = known.get(day)
        if before is None or before.again_at is None:
            readable.append(day)
        elif before.again_at <= sync.now:
            if before.error is None:
                readable.append(day)
            else:
                failed.append((before.again_at, day))
    if readable:
        return sorted(readable)[-MOST_READ_AGAIN:]
    return [min(failed)[1]] if failed else []


def _read_again(
    sync: UnderWay, query: LandedQuery, compared: list[Comparison], days: list[date], today: date
) -> tuple[list[Comparison], str | None]:
    """The comparison after these days were read again, and why they could not be, where they could not. What fails here
    takes nothing from the verdict there was."""
    before = {item.day: item for item in compared}
    try:
        reread.land_days(sync, days)
    except Exception as error:
        if sync.connection.closed:
            raise
        return compared, in_words(error)
    try:
        again = _both_sides(sync, query, days, today)
        too_many = any(item.landed_count > item.source_count for item in again)
        if too_many and sync.result.sweep == "not_due" and sweep.can_sweep(sync.source, sync.stream):
            # Whether what we have and the day has not is anywhere, the ids of all say.
            sweep.sweep_or_hold(sync)
            again = _both_sides(sync, query, days, today)
    except Exception as error:
        if sync.connection.closed:
            raise
        # They are landed; the vendor's side stays what it said before.
        landed = tie_out.landed_totals(sync.connection, query, days)
        now_landed = {day: _with_landed(before[day], *landed.get(day, (0, Decimal(0)))) for day in days}
        return [{**before, **now_landed}[day] for day in sorted(before)], f"compared again: {in_words(error)}"
    found = {item.day: item for item in again}
    # A day of which neither side has anything any more ties out.
    nothing = {day: Comparison(query.entity, day, 0, 0, None, None, None) for day in days}
    merged = {**before, **nothing, **found}
    return [merged[day] for day in sorted(merged)], None


def _with_landed(item: Comparison, count: int, amount: Decimal | None) -> Comparison:
    return replace(item, landed_count=count, landed_amount=None if item.source_amount is None else amount)


def _days_to_check(
    connection: psycopg.Connection[Any], stream: Stream, expression: str, sync_id: int, today: date
) -> list[date]:
    """Days of rows that changed since the last verdict, which is every day that landed where there never was one; open
    ones and the last week."""
    judged = connection.execute(
        "select max(id) from ops.sync_runs where vendor = %s and stream = %s and id < %s and tie_out <> 'unknown'",
        (stream.vendor, stream.name, sync_id),
    ).fetchone()
    rows = connection.execute(
        f"select distinct ({expression})::date from raw_{stream.vendor}.{stream.name} where sync_id > %s".encode(),
        ((judged[0] if judged is not None else None) or 0,),
    ).fetchall()
    days = {day for (day,) in rows if day is not None}
    open_days = connection.execute(
        "select day from ops.tie_outs where vendor = %s and stream = %s and status <> 'matched' and day > %s"
        " order by day desc limit %s",
        (stream.vendor, stream.name, tie_out.WHOLE_ENTITY, MOST_OPEN_DAYS),
    ).fetchall()
    days |= {day for (day,) in open_days}
    days |= {today - timedelta(days=back) for back in range(1, ALWAYS_TIED_OUT_DAYS + 1)}
    return sorted(day for day in days if day < today)

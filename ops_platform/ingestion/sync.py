"""One sync of one stream: lock, page, stage, merge and move the cursor at once, tie out, leave a receipt.

Belongs here: the order of those steps and what each failure leaves behind. Does not belong here: SQL of
the load (`ops_platform.database.load`), the vendor's protocol (`resources/<vendor>.py`).

What holds at every point of a kill: the raw table, the cursor and the success receipt change in one
transaction, so either all of a sync is visible or none of it; a receipt left in state "running" by a
dead process is closed as failed by the next sync of that stream, which holds the stream's lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.database.load import StagedLoad
from ops_platform.failpoints import failpoint
from ops_platform.failures import OpsError, TransientFailure
from ops_platform.ingestion import quarantine, tie_out
from ops_platform.ingestion.contract import Page, Stream, SyncResult, VendorSource

if TYPE_CHECKING:
    import psycopg

Progress = Callable[[str], None]
# Records can be changed or lost behind a cursor: the last days are tied out at every sync, touched or not.
ALWAYS_TIED_OUT_DAYS = 7
STREAMS_WITHOUT_ANSWER = 2
_LOCK_SPACE = 4_173


def sync_stream(
    connection: psycopg.Connection[Any],
    source: VendorSource,
    stream: Stream,
    *,
    now: datetime,
    today: date,
    run_id: str | None = None,
    allow_shrink: bool = False,
    sweep: bool = False,
    progress: Progress | None = None,
) -> SyncResult:
    """Bring `raw_<vendor>.<stream>` up to `now` and return the receipt; raises nothing of the vendor's.

    `connection` must be in autocommit mode and is used by this sync alone. `today` is the company's
    business day: days before it are closed and tie out. `sweep` also looks for records the vendor no
    longer has. A failure is a receipt with status "failed" and its reason: the cursor has not moved."""
    result = SyncResult(stream.vendor, stream.name)
    started = time.monotonic()
    if not _lock(connection, stream):
        result.status, result.error = "skipped", f"another sync of {stream.vendor}.{stream.name} is running"
        return result
    try:
        sync_id = _open_receipt(connection, stream, run_id, now)
        try:
            _land(connection, source, stream, sync_id, result, now, allow_shrink, sweep, progress)
            _tie_out(connection, source, stream, sync_id, result, now, today)
        except TransientFailure as error:
            result.status, result.error, result.unanswered = "failed", str(error), True
        except OpsError as error:
            result.status, result.error = "failed", str(error)
        except Exception as error:
            # Anything else is a fault of ours or a surprise of the vendor's: the receipt says so and the
            # caller sees it; other streams go on.
            result.status, result.error = "failed", f"{type(error).__name__}: {error}"
        result.duration_seconds = time.monotonic() - started
        _close_receipt(connection, sync_id, result)
    finally:
        _unlock(connection, stream)
    return result


# -- steps ---------------------------------------------------------------------------------------------


def _land(
    connection: psycopg.Connection[Any],
    source: VendorSource,
    stream: Stream,
    sync_id: int,
    result: SyncResult,
    now: datetime,
    allow_shrink: bool,
    sweep: bool,
    progress: Progress | None,
) -> None:
    result.cursor_before = _cursor(connection, stream)
    load = StagedLoad(connection, stream.vendor, stream.name, sync_id)
    cursor = result.cursor_before
    deletions: list[str] = []
    try:
        for page in _pages(source, stream, result.cursor_before, now):
            failpoint("sync.page_read")
            refused = [*page.rejected, *load.add(page.records)]
            if refused:
                # Outside the landing transaction on purpose: a bad record stays on record even when the
                # rest of the sync fails.
                quarantine.keep(connection, stream.vendor, stream.name, sync_id, refused, now)
            result.pages += 1
            result.received += page.received
            result.quarantined += len(refused)
            result.api_cost += page.api_cost
            if page.cursor is not None and (cursor is None or page.cursor > cursor):
                cursor = page.cursor
            failpoint("sync.page_staged")
            if progress is not None:
                progress(f"{stream.vendor}.{stream.name}: {result.received:,} records")
        load.finish_staging()
        deletions = _reported_deletions(source, stream, result.cursor_before, now)
        parent_key, gone_parents = _parents(source, stream, result.cursor_before, now)
        failpoint("sync.before_merge")
        with connection.transaction():
            counts, poison = load.merge(now)
            failpoint("sync.mid_merge")
            if poison:
                quarantine.keep(connection, stream.vendor, stream.name, sync_id, poison, now)
                result.quarantined += len(poison)
            quarantine.resolve_arrived(connection, stream.vendor, stream.name, now)
            if stream.full_refresh:
                result.deleted += load.soft_delete_missing(now, allow_shrink=allow_shrink)
            if deletions:
                result.deleted += load.soft_delete(deletions, now)
            if parent_key is not None:
                result.deleted += load.soft_delete_orphans(parent_key, gone_parents, now)
            result.inserted, result.updated, result.unchanged = counts.inserted, counts.updated, counts.unchanged
            result.duplicates = result.received - result.quarantined - counts.distinct
            result.stripped_nul = load.stripped_nul
            result.cursor_after, result.fresh_to = cursor, now
            failpoint("sync.before_cursor")
            _move_cursor(connection, stream, cursor, now)
            _write_counts(connection, sync_id, result)
            failpoint("sync.before_commit")
        failpoint("sync.after_commit")
        if sweep and not stream.full_refresh:
            _sweep(connection, source, stream, sync_id, result, now, allow_shrink)
    finally:
        load.close()


def _pages(source: VendorSource, stream: Stream, cursor: str | None, now: datetime) -> Iterator[Page]:
    return source.pages(stream, cursor, now=now)


def _reported_deletions(source: VendorSource, stream: Stream, cursor: str | None, now: datetime) -> list[str]:
    """Ids the vendor itself says were deleted, where it has such a list (NetSuite's deleted records)."""
    reported = getattr(source, "deletions", None)
    if reported is None or cursor is None:
        return []
    since = _as_time(cursor) or now
    return [identity for name, identity in reported(since - stream.look_back) if name == stream.name]


def _parents(source: VendorSource, stream: Stream, cursor: str | None, now: datetime) -> tuple[str | None, list[str]]:
    """For lines of a parent that the vendor always reads whole: the payload key of the parent, and the parents
    it says were deleted. A line that a re-read parent no longer has is gone, though no list says so."""
    keys: dict[str, str] = getattr(source, "parent_keys", {})
    if cursor is None or stream.name not in keys:
        return None, []
    since = (_as_time(cursor) or now) - stream.look_back
    return keys[stream.name], sorted(source.deleted_parents(stream, since))  # type: ignore[attr-defined]


def _sweep(
    connection: psycopg.Connection[Any],
    source: VendorSource,
    stream: Stream,
    sync_id: int,
    result: SyncResult,
    now: datetime,
    allow_shrink: bool,
) -> None:
    """Compare the ids the vendor still has with ours, for vendors whose lists do not show deletes."""
    living = getattr(source, "living_ids", None)
    if living is None:
        return
    from ops_platform.ingestion.contract import Record

    load = StagedLoad(connection, stream.vendor, stream.name, sync_id)
    try:
        load.add(Record(identity, {}) for identity in living(stream))
        load.finish_staging()
        with connection.transaction():
            result.deleted += load.soft_delete_missing(now, allow_shrink=allow_shrink)
            _write_counts(connection, sync_id, result)
    finally:
        load.close()


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


# -- state ---------------------------------------------------------------------------------------------


def _lock(connection: psycopg.Connection[Any], stream: Stream) -> bool:
    row = connection.execute(
        "select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK_SPACE, f"{stream.vendor}.{stream.name}")
    ).fetchone()
    return bool(row and row[0])


def _unlock(connection: psycopg.Connection[Any], stream: Stream) -> None:
    if not connection.closed:
        connection.execute(
            "select pg_advisory_unlock(%s, hashtext(%s))", (_LOCK_SPACE, f"{stream.vendor}.{stream.name}")
        )


def _open_receipt(connection: psycopg.Connection[Any], stream: Stream, run_id: str | None, now: datetime) -> int:
    connection.execute(
        "update ops.sync_runs set status = 'failed', finished_at = %s, error = 'the process died before it finished'"
        " where vendor = %s and stream = %s and status = 'running'",
        (now, stream.vendor, stream.name),
    )
    row = connection.execute(
        "insert into ops.sync_runs (vendor, stream, run_id, status, started_at) values (%s, %s, %s, 'running', %s)"
        " returning id",
        (stream.vendor, stream.name, run_id, now),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _cursor(connection: psycopg.Connection[Any], stream: Stream) -> str | None:
    row = connection.execute(
        "select cursor from ops.cursors where vendor = %s and stream = %s", (stream.vendor, stream.name)
    ).fetchone()
    return row[0] if row else None


def _move_cursor(connection: psycopg.Connection[Any], stream: Stream, cursor: str | None, now: datetime) -> None:
    connection.execute(
        "insert into ops.cursors (vendor, stream, cursor, fresh_to, updated_at) values (%s, %s, %s, %s, %s)"
        " on conflict (vendor, stream) do update set cursor = excluded.cursor, fresh_to = excluded.fresh_to,"
        " updated_at = excluded.updated_at",
        (stream.vendor, stream.name, cursor, now, datetime.now(UTC)),
    )


def _write_counts(connection: psycopg.Connection[Any], sync_id: int, result: SyncResult) -> None:
    connection.execute(
        "update ops.sync_runs set status = 'succeeded', pages = %s, received = %s, inserted = %s, updated = %s,"
        " unchanged = %s, duplicates = %s, quarantined = %s, deleted = %s, stripped_nul = %s, cursor_before = %s,"
        " cursor_after = %s, api_cost = %s, fresh_to = %s where id = %s",
        (
            result.pages, result.received, result.inserted, result.updated, result.unchanged, result.duplicates,
            result.quarantined, result.deleted, result.stripped_nul, result.cursor_before, result.cursor_after,
            result.api_cost, result.fresh_to, sync_id,
        ),
    )  # fmt: skip


def _close_receipt(connection: psycopg.Connection[Any], sync_id: int, result: SyncResult) -> None:
    verdict = result.tie_out if result.tie_out in ("matched", "mismatched") else "unknown"
    connection.execute(
        "update ops.sync_runs set status = %s, finished_at = %s, pages = %s, received = %s, quarantined = %s,"
        " api_cost = %s, cursor_before = %s, tie_out = %s, error = %s where id = %s",
        (
            result.status, datetime.now(UTC), result.pages, result.received, result.quarantined, result.api_cost,
            result.cursor_before, verdict, result.error, sync_id,
        ),
    )  # fmt: skip


def _as_time(cursor: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(cursor)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def sync_vendor(
    connect: Callable[[], psycopg.Connection[Any]],
    source: VendorSource,
    streams: Sequence[Stream],
    *,
    now: datetime,
    today: date,
    run_id: str | None = None,
    allow_shrink: bool = False,
    sweep: bool = False,
    progress: Progress | None = None,
) -> Iterator[SyncResult]:
    """Sync the streams of one vendor one after another, each with its own receipt, on one connection.

    When two streams running got no answer at all, the vendor is down: the rest are written off at once with that
    reason, instead of each waiting through its own retries while the morning passes."""
    silent: list[SyncResult] = []
    with connect() as connection:
        connection.autocommit = True
        for stream in streams:
            if len(silent) == STREAMS_WITHOUT_ANSWER:
                yield _written_off(connection, stream, run_id, now, silent[-1])
                continue
            result = sync_stream(
                connection,
                source,
                stream,
                now=now,
                today=today,
                run_id=run_id,
                allow_shrink=allow_shrink,
                sweep=sweep,
                progress=progress,
            )
            silent = [*silent, result] if result.unanswered else []
            yield result


def _written_off(
    connection: psycopg.Connection[Any], stream: Stream, run_id: str | None, now: datetime, last: SyncResult
) -> SyncResult:
    """The receipt of a stream that was not tried, because its vendor does not answer."""
    result = SyncResult(stream.vendor, stream.name, status="failed", unanswered=True)
    result.error = f"not tried: {last.vendor} does not answer ({last.stream}: {last.error})"
    if _lock(connection, stream):
        try:
            _close_receipt(connection, _open_receipt(connection, stream, run_id, now), result)
        finally:
            _unlock(connection, stream)
    return result

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
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.database.load import StagedLoad
from ops_platform.failpoints import failpoint
from ops_platform.failures import OpsError, TransientFailure
from ops_platform.garbage import rarely_collecting
from ops_platform.ingestion import quarantine, receipts, schema_drift
from ops_platform.ingestion.contract import Page, Stream, SyncResult, UnderWay, VendorSource
from ops_platform.ingestion.lanes import in_lanes
from ops_platform.ingestion.pace import Pace
from ops_platform.ingestion.sweep import sweep_when_due
from ops_platform.ingestion.tying_out import tie_out_or_doubt

if TYPE_CHECKING:
    import psycopg

Progress = Callable[[str], None]
STREAMS_WITHOUT_ANSWER = 2
# How long a sync waits for another run that syncs the same vendor, in seconds, and how often it looks.
WAIT_FOR_VENDOR = 900.0
LOOK_FOR_VENDOR = 0.5
_VENDOR_LOCK_SPACE = 4_174


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
    sweep_every: timedelta | None = None,
    progress: Progress | None = None,
) -> SyncResult:
    """Bring `raw_<vendor>.<stream>` up to `now` and return the receipt; raises nothing of the vendor's.

    `connection` must be in autocommit mode and is used by this sync alone. `today` is the company's
    business day: days before it are closed and tie out. `sweep` also looks for records the vendor no
    longer has; with `sweep_every`, whenever the last look is that old. A failure is a receipt with status "failed"
    and its reason: the cursor has not moved. "paused" is the same for a change of the payloads' shape."""
    result = SyncResult(stream.vendor, stream.name)
    started = time.monotonic()
    if not receipts.lock(connection, stream):
        result.status, result.error = "skipped", f"another sync of {stream.vendor}.{stream.name} is running"
        return result
    try:
        sync_id = receipts.open_receipt(connection, stream, run_id, now)
        failpoint("sync.opened")
        under_way = UnderWay(connection, source, stream, sync_id, result, now)
        try:
            with rarely_collecting():
                _land(under_way, allow_shrink, Pace(stream, progress))
            sweep_when_due(under_way, allow_shrink, sweep, sweep_every)
            failpoint("sync.before_tie_out")
            tie_out_or_doubt(under_way, today)
            failpoint("sync.after_tie_out")
        except schema_drift.SchemaDrift as drift:
            result.status, result.error = "paused", str(drift)
            schema_drift.keep_pause(connection, stream, drift.changes, sync_id, now)
        except TransientFailure as error:
            result.status, result.error, result.unanswered = "failed", str(error), True
        except OpsError as error:
            result.status, result.error = "failed", str(error)
        except Exception as error:
            # Anything else is a fault of ours or a surprise of the vendor's: the receipt says so and the
            # caller sees it; other streams go on.
            result.status, result.error = "failed", f"{type(error).__name__}: {error}"
        result.duration_seconds = time.monotonic() - started
        receipts.close_receipt(connection, sync_id, result)
        failpoint("sync.closed")
    finally:
        receipts.unlock(connection, stream)
    return result


# -- steps ---------------------------------------------------------------------------------------------


def _land(sync: UnderWay, allow_shrink: bool, pace: Pace) -> None:
    connection, source, stream, sync_id = sync.connection, sync.source, sync.stream, sync.id
    result, now = sync.result, sync.now
    result.cursor_before = receipts.read_cursor(connection, stream)
    load = StagedLoad(connection, stream.vendor, stream.name, sync_id)
    cursor = result.cursor_before
    keys: dict[str, str] = getattr(source, "parent_keys", {})
    shape = schema_drift.load_shape(connection, stream, [keys[stream.name]] if stream.name in keys else [])
    try:
        for page in _pages(source, stream, result.cursor_before, now):
            failpoint("sync.page_read")
            result.pages += 1
            result.received += page.received
            result.api_cost += page.api_cost
            # Before anything is put in quarantine: when everything is refused, it is not the records' fault.
            shape.see_refused(len(page.records), page.rejected)
            shape.raise_if_paused()
            refused = [*page.rejected, *load.add(page.records)]
            if refused:
                # Outside the landing transaction on purpose: a bad record stays on record even when the
                # rest of the sync fails.
                quarantine.keep(connection, stream.vendor, stream.name, sync_id, refused, now)
                failpoint("sync.quarantined")
            result.quarantined += len(refused)
            shape.see(page.records)
            shape.raise_if_paused()
            if page.cursor is not None and (cursor is None or page.cursor > cursor):
                cursor = page.cursor
            failpoint("sync.page_staged")
            pace.page(result)
            # What was staged is not to stand in memory beside the page that is read next.
            del page, refused
        shape.finish(whole=stream.full_refresh or result.cursor_before is None)
        shape.raise_if_paused()
        load.finish_staging()
        failpoint("sync.staged")
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
            result.cursor_after, result.fresh_to = cursor, _fresh_to(source, stream, now)
            schema_drift.keep_shape(connection, shape, sync_id, now)
            result.new_fields = tuple(change.path for change in shape.changes if change.change == "added")
            failpoint("sync.before_cursor")
            receipts.move_cursor(connection, stream, cursor, result.fresh_to)
            failpoint("sync.after_cursor")
            receipts.write_counts(connection, sync_id, result)
            failpoint("sync.before_commit")
        failpoint("sync.after_commit")
        pace.landed(result)
    finally:
        load.close()


def _pages(source: VendorSource, stream: Stream, cursor: str | None, now: datetime) -> Iterator[Page]:
    failpoint("sync.page_requested")
    for page in source.pages(stream, cursor, now=now):
        yield page
        del page
        failpoint("sync.page_requested")


def _fresh_to(source: VendorSource, stream: Stream, now: datetime) -> datetime:
    """Up to when what landed is whole: `now`, or less where the source ended a read at its time budget."""
    reached = getattr(source, "reached", None)
    until: datetime | None = reached(stream) if reached is not None else None
    return now if until is None else min(until, now)


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
    sweep_every: timedelta | None = None,
    wait_seconds: float = WAIT_FOR_VENDOR,
    progress: Progress | None = None,
) -> Iterator[SyncResult]:
    """Sync the streams of one vendor one after another (side by side where its source allows it), each with its own
    receipt.

    One vendor is read by one run at a time, on whatever machine: a second run waits up to `wait_seconds` for the
    first and then leaves its streams as "skipped". When two streams running got no answer at all, the vendor is
    down: the rest are written off at once with that reason, instead of each waiting through its own retries while
    the morning passes."""
    silent: list[SyncResult] = []

    def one(stream: Stream, apart: bool) -> SyncResult:
        with connect() if apart else nullcontext(connection) as used:
            used.autocommit = True
            down = list(silent)
            if len(down) >= STREAMS_WITHOUT_ANSWER:
                return _written_off(used, stream, run_id, now, down[-1])
            result = sync_stream(
                used,
                source,
                stream,
                now=now,
                today=today,
                run_id=run_id,
                allow_shrink=allow_shrink,
                sweep=sweep,
                sweep_every=sweep_every,
                progress=progress,
            )
        if result.unanswered:
            silent.append(result)
        else:
            silent.clear()
        return result

    with connect() as connection:
        connection.autocommit = True
        if not _turn_of(connection, source.vendor, wait_seconds, progress):
            for stream in streams:
                error = f"another run has been syncing {source.vendor} for more than {wait_seconds:.0f} s"
                yield SyncResult(stream.vendor, stream.name, status="skipped", error=error)
            return
        try:
            yield from in_lanes(streams, getattr(source, "side_by_side", ()), one)
        finally:
            if not connection.closed:
                connection.execute("select pg_advisory_unlock(%s, hashtext(%s))", (_VENDOR_LOCK_SPACE, source.vendor))


def _turn_of(connection: psycopg.Connection[Any], vendor: str, wait_seconds: float, progress: Progress | None) -> bool:
    """Take the vendor's lock, waiting for whoever has it. A process that dies lets go of it with its session."""
    until = time.monotonic() + wait_seconds
    told = False
    while True:
        row = connection.execute(
            "select pg_try_advisory_lock(%s, hashtext(%s))", (_VENDOR_LOCK_SPACE, vendor)
        ).fetchone()
        if row and row[0]:
            return True
        if time.monotonic() >= until:
            return False
        if progress is not None and not told:
            progress(f"{vendor}: waiting for another run that syncs it")
            told = True
        time.sleep(LOOK_FOR_VENDOR)


def _written_off(
    connection: psycopg.Connection[Any], stream: Stream, run_id: str | None, now: datetime, last: SyncResult
) -> SyncResult:
    """The receipt of a stream that was not tried, because its vendor does not answer."""
    result = SyncResult(stream.vendor, stream.name, status="failed", unanswered=True)
    result.error = f"not tried: {last.vendor} does not answer ({last.stream}: {last.error})"
    if receipts.lock(connection, stream):
        try:
            receipts.close_receipt(connection, receipts.open_receipt(connection, stream, run_id, now), result)
        finally:
            receipts.unlock(connection, stream)
    return result

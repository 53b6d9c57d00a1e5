"""The look for records that a vendor no longer has and whose deletion no list of its shows.

Belongs here: comparing the ids the vendor has now with ours. Does not belong here: how far a listing may shrink a table
(`ops_platform.database.load`), deletions a vendor tells of itself (`sync.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.database.load import StagedLoad
from ops_platform.failpoints import failpoint
from ops_platform.failures import in_words
from ops_platform.ingestion.contract import Record, Stream, UnderWay, VendorSource
from ops_platform.ingestion.receipts import write_counts

if TYPE_CHECKING:
    import psycopg


def can_sweep(source: VendorSource, stream: Stream) -> bool:
    """Whether the source can say every id it has, and the stream is to be held to that."""
    return (
        not stream.full_refresh and hasattr(source, "living_ids") and stream.name not in getattr(source, "unswept", ())
    )


def sweep_when_due(sync: UnderWay, allow_shrink: bool, asked: bool, every: timedelta | None) -> None:
    """Look for records the vendor no longer has, when asked to or when the last look is old enough.

    What landed stays landed whatever comes of it: a sweep that cannot be made, or that finds more missing than may
    go at once, is held, with the reason in the receipt."""
    if not can_sweep(sync.source, sync.stream):
        return
    if not asked:
        last = _swept_at(sync.connection, sync.stream)
        if every is None or (last is not None and sync.now - last < every):
            return
        if sync.result.cursor_before is None:
            # Everything was read just now: there is nothing of ours that the vendor might have lost.
            _note_sweep(sync.connection, sync.stream, sync.now)
            return
    sweep_or_hold(sync, allow_shrink)


def sweep_or_hold(sync: UnderWay, allow_shrink: bool = False) -> None:
    """Look now; a look that fails is held, with the reason in the receipt."""
    try:
        _sweep(sync, allow_shrink)
    except Exception as error:
        sync.result.sweep, sync.result.held = "held", f"deleted records were not looked for: {in_words(error)}"


def _sweep(sync: UnderWay, allow_shrink: bool) -> None:
    """Compare the ids the vendor still has with ours, for vendors whose lists do not show deletes."""
    living: Iterator[str] = sync.source.living_ids(sync.stream)  # type: ignore[attr-defined]
    load = StagedLoad(sync.connection, sync.stream.vendor, sync.stream.name, sync.id)
    deleted = sync.result.deleted
    try:
        load.add(Record(identity, {}) for identity in living)
        load.finish_staging()
        failpoint("sync.sweep_read")
        with sync.connection.transaction():
            sync.result.deleted += load.soft_delete_missing(sync.now, allow_shrink=allow_shrink)
            sync.result.revived = load.revive(sync.now)
            sync.result.sweep = "done"
            failpoint("sync.mid_sweep")
            _note_sweep(sync.connection, sync.stream, sync.now)
            write_counts(sync.connection, sync.id, sync.result)
        failpoint("sync.after_sweep")
    except BaseException:
        sync.result.deleted, sync.result.revived = deleted, 0
        raise
    finally:
        load.close()


def _swept_at(connection: psycopg.Connection[Any], stream: Stream) -> datetime | None:
    row = connection.execute(
        "select swept_at from ops.cursors where vendor = %s and stream = %s", (stream.vendor, stream.name)
    ).fetchone()
    return row[0] if row else None


def _note_sweep(connection: psycopg.Connection[Any], stream: Stream, now: datetime) -> None:
    connection.execute(
        "update ops.cursors set swept_at = %s where vendor = %s and stream = %s", (now, stream.vendor, stream.name)
    )

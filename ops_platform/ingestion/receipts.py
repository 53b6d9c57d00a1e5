"""What a sync leaves on record: its receipt in `ops.sync_runs`, the cursor, and the stream's lock while it runs.

Belongs here: reading and writing those. Does not belong here: the order of a sync (`sync.py`), verdicts (`tie_out.py`).

A receipt left in state "running" by a dead process is closed as failed by the next one of that stream, which holds
the stream's lock.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops_platform.ingestion.contract import Stream, SyncResult

if TYPE_CHECKING:
    import psycopg

_LOCK_SPACE = 4_173


def lock(connection: psycopg.Connection[Any], stream: Stream) -> bool:
    row = connection.execute(
        "select pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK_SPACE, f"{stream.vendor}.{stream.name}")
    ).fetchone()
    return bool(row and row[0])


def unlock(connection: psycopg.Connection[Any], stream: Stream) -> None:
    if not connection.closed:
        connection.execute(
            "select pg_advisory_unlock(%s, hashtext(%s))", (_LOCK_SPACE, f"{stream.vendor}.{stream.name}")
        )


def open_receipt(
    connection: psycopg.Connection[Any], stream: Stream, run_id: str | None, now: datetime, kind: str = "sync"
) -> int:
    connection.execute(
        "update ops.sync_runs set status = 'failed', finished_at = %s, error = 'the process died before it finished'"
        " where vendor = %s and stream = %s and status = 'running'",
        (now, stream.vendor, stream.name),
    )
    row = connection.execute(
        "insert into ops.sync_runs (vendor, stream, run_id, status, started_at, kind)"
        " values (%s, %s, %s, 'running', %s, %s) returning id",
        (stream.vendor, stream.name, run_id, now, kind),
    ).fetchone()
    assert row is not None
    return int(row[0])


def read_cursor(connection: psycopg.Connection[Any], stream: Stream) -> str | None:
    row = connection.execute(
        "select cursor from ops.cursors where vendor = %s and stream = %s", (stream.vendor, stream.name)
    ).fetchone()
    return row[0] if row else None


def move_cursor(connection: psycopg.Connection[Any], stream: Stream, cursor: str | None, now: datetime) -> None:
    connection.execute(
        "insert into ops.cursors (vendor, stream, cursor, fresh_to, updated_at) values (%s, %s, %s, %s, %s)"
        " on conflict (vendor, stream) do update set cursor = excluded.cursor, fresh_to = excluded.fresh_to,"
        " updated_at = excluded.updated_at",
        (stream.vendor, stream.name, cursor, now, datetime.now(UTC)),
    )


def write_counts(connection: psycopg.Connection[Any], sync_id: int, result: SyncResult) -> None:
    connection.execute(
        "update ops.sync_runs set status = 'succeeded', pages = %s, received = %s, inserted = %s, updated = %s,"
        " unchanged = %s, duplicates = %s, quarantined = %s, deleted = %s, stripped_nul = %s, cursor_before = %s,"
        " cursor_after = %s, api_cost = %s, fresh_to = %s, revived = %s, reread_days = %s where id = %s",
        (
            result.pages, result.received, result.inserted, result.updated, result.unchanged, result.duplicates,
            result.quarantined, result.deleted, result.stripped_nul, result.cursor_before, result.cursor_after,
            result.api_cost, result.fresh_to, result.revived, result.reread_days, sync_id,
        ),
    )  # fmt: skip


def close_receipt(connection: psycopg.Connection[Any], sync_id: int, result: SyncResult) -> None:
    verdict = result.tie_out if result.tie_out in ("matched", "mismatched") else "unknown"
    connection.execute(
        "update ops.sync_runs set status = %s, finished_at = %s, pages = %s, received = %s, quarantined = %s,"
        " api_cost = %s, cursor_before = %s, tie_out = %s, error = %s, sweep = %s, held = %s, mended_days = %s"
        " where id = %s",
        (
            result.status, datetime.now(UTC), result.pages, result.received, result.quarantined, result.api_cost,
            result.cursor_before, verdict, result.error, result.sweep, result.held, result.mended_days, sync_id,
        ),
    )  # fmt: skip

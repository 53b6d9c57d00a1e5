"""Records that could not be landed: kept whole, with a reason, until they arrive good.

Belongs here: writing and resolving `ops.quarantine`. Does not belong here: deciding that a record is
bad (the vendor's client and the loader do).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform.ingestion.contract import Rejected

if TYPE_CHECKING:
    import psycopg


def keep(
    connection: psycopg.Connection[Any],
    vendor: str,
    stream: str,
    sync_id: int,
    rejected: Sequence[Rejected],
    now: datetime,
) -> None:
    """Store rejected records; the same bad record seen again only moves its `last_seen_at`."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.quarantine (vendor, stream, record_id, reason, detail, raw, raw_hash, sync_id,"
            " first_seen_at, last_seen_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (vendor, stream, record_id, raw_hash) do update set last_seen_at = excluded.last_seen_at,"
            " sync_id = excluded.sync_id, reason = excluded.reason, detail = excluded.detail, resolved_at = null",
            [
                (
                    vendor, stream, item.id, item.reason, item.detail.replace("\x00", "\\0")[:2000],
                    item.raw.replace("\x00", "\\u0000"),
                    hashlib.sha256(item.raw.encode("utf-8", "surrogatepass")).digest(), sync_id, now, now,
                )
                for item in rejected
            ],
        )  # fmt: skip


def resolve_arrived(connection: psycopg.Connection[Any], vendor: str, stream: str, now: datetime) -> int:
    """Close the quarantined records whose ids have been staged as good ones in this session."""
    done = connection.execute(
        "update ops.quarantine set resolved_at = %s where vendor = %s and stream = %s and resolved_at is null"
        " and record_id in (select id from pg_temp.incoming)",
        (now, vendor, stream),
    )
    return done.rowcount

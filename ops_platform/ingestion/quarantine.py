"""Records that could not be landed: kept whole, with a reason, until they arrive good.

Belongs here: writing, reading and resolving `ops.quarantine`. Does not belong here: deciding that a record is
bad (the vendor's client and the loader do), trying again (`quarantine_retry.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform.ingestion.contract import Rejected

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class Kept:
    """A record in quarantine. `raw` is what the vendor sent, as text; None where only the list was asked for."""

    id: int
    vendor: str
    stream: str
    record_id: str | None
    reason: str
    detail: str
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    size: int
    raw: str | None = None


_COLUMNS = (
    "id, vendor, stream, record_id, reason, detail, first_seen_at, last_seen_at, resolved_at, resolution,"
    " octet_length(raw)"
)


def find(
    connection: psycopg.Connection[Any],
    *,
    vendor: str | None = None,
    stream: str | None = None,
    reason: str | None = None,
    which: str | None = None,
    resolved: bool = False,
    with_raw: bool = False,
    limit: int | None = None,
) -> list[Kept]:
    """Records in quarantine, the latest first; `which` is the number of the entry or the record's own id."""
    number = int(which) if which is not None and which.isdecimal() and len(which) < 18 else None
    rows = connection.execute(
        f"select {_COLUMNS}{', raw' if with_raw else ''} from ops.quarantine"
        " where (%(vendor)s::text is null or vendor = %(vendor)s) and (%(stream)s::text is null or stream = %(stream)s)"
        " and (%(reason)s::text is null or reason = %(reason)s) and (%(resolved)s or resolved_at is null)"
        " and (%(which)s::text is null or record_id = %(which)s or id = %(number)s)"
        " order by last_seen_at desc, id desc limit %(limit)s".encode(),
        {
            "vendor": vendor, "stream": stream, "reason": reason, "resolved": resolved, "which": which,
            "number": number, "limit": limit,
        },
    ).fetchall()  # fmt: skip
    return [Kept(*row) for row in rows]


def counts(
    connection: psycopg.Connection[Any], *, vendor: str | None = None, stream: str | None = None
) -> list[tuple[str, str, str, int]]:
    """(vendor, stream, reason, how many) of what waits."""
    return connection.execute(
        "select vendor, stream, reason, count(*) from ops.quarantine where resolved_at is null"
        " and (%(vendor)s::text is null or vendor = %(vendor)s) and (%(stream)s::text is null or stream = %(stream)s)"
        " group by 1, 2, 3 order by 1, 2, 4 desc, 3",
        {"vendor": vendor, "stream": stream},
    ).fetchall()


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
            " sync_id = excluded.sync_id, reason = excluded.reason, detail = excluded.detail, resolved_at = null,"
            " resolution = null",
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
        "update ops.quarantine set resolved_at = %s, resolution = 'arrived'"
        " where vendor = %s and stream = %s and resolved_at is null"
        " and record_id in (select id from pg_temp.incoming)",
        (now, vendor, stream),
    )
    return done.rowcount

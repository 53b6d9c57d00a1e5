"""Which vendors are connected, as the last run saw it.

Belongs here: `ops.connections`. Does not belong here: credentials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from ops_platform.ingestion.contract import VendorSource


def left_out(declared: Iterable[str], source: VendorSource) -> list[str]:
    """Names of the vendor's declared streams that `source`, by its settings, does not have."""
    return sorted(set(declared) - source.streams.keys())


def note_connection(
    connection: psycopg.Connection[Any],
    vendor: str,
    *,
    connected: bool,
    detail: str | None,
    now: datetime,
    left_out: Sequence[str] = (),
) -> None:
    """Record whether `vendor` has credentials; "not connected" is neither an error nor a zero.

    `left_out` are streams that are not read although it is: what landed of them stays, and nothing says any more how
    fresh it is."""
    connection.execute(
        "insert into ops.connections (vendor, connected, checked_at, detail, left_out) values (%s, %s, %s, %s, %s)"
        " on conflict (vendor) do update set connected = excluded.connected, checked_at = excluded.checked_at,"
        " detail = excluded.detail, left_out = excluded.left_out",
        (vendor, connected, now, detail, list(left_out)),
    )
    connection.execute("delete from ops.cursors where vendor = %s and stream = any(%s)", (vendor, list(left_out)))
    connection.commit()

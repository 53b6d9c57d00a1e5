"""Which vendors are connected, as the last run saw it.

Belongs here: `ops.connections`. Does not belong here: credentials.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def note_connection(
    connection: psycopg.Connection[Any], vendor: str, *, connected: bool, detail: str | None, now: datetime
) -> None:
    """Record whether `vendor` has credentials; "not connected" is neither an error nor a zero."""
    connection.execute(
        "insert into ops.connections (vendor, connected, checked_at, detail) values (%s, %s, %s, %s)"
        " on conflict (vendor) do update set connected = excluded.connected, checked_at = excluded.checked_at,"
        " detail = excluded.detail",
        (vendor, connected, now, detail),
    )
    connection.commit()

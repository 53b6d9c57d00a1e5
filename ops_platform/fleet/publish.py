"""Company, clock and thresholds written where SQL can read them.

Belongs here: `ops.company` and `ops.thresholds`. Does not belong here: reading the file (`model.py`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform.fleet.model import Fleet

if TYPE_CHECKING:
    import psycopg


def publish(connection: psycopg.Connection[Any], fleet: Fleet, as_of: datetime) -> None:
    """Write the company, the clock and the thresholds, in one transaction. An equal row is left alone."""
    with connection.transaction():
        connection.execute(
            "insert into ops.company (name, timezone, currency, as_of) values (%s, %s, %s, %s)"
            " on conflict (singleton) do update set name = excluded.name, timezone = excluded.timezone,"
            " currency = excluded.currency, as_of = excluded.as_of",
            (fleet.company.name, fleet.company.timezone, fleet.company.currency, as_of),
        )
        for name, threshold in fleet.thresholds.items():
            connection.execute(
                "insert into ops.thresholds (name, value, unit) values (%s, %s, %s) on conflict (name) do update"
                " set value = excluded.value, unit = excluded.unit"
                " where (thresholds.value, thresholds.unit) is distinct from (excluded.value, excluded.unit)",
                (name, threshold.value, threshold.unit),
            )
        connection.execute("delete from ops.thresholds where name <> all(%s)", (list(fleet.thresholds),))

"""The judge: what the vendor's world holds against what landed.

Belongs here: reading the landed side and comparing. Does not belong here: the vendor's side of the comparison
(`scenarios/<vendor>.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.faults.scenarios import Held, Scenario


@dataclass(frozen=True, slots=True)
class State:
    """All that a sync may change of one stream, so that "nothing moved" is one comparison."""

    digest: str
    cursor: str | None


def state(connection: Any, vendor: str, stream: str) -> State:
    """What readers of the warehouse see now."""
    (digest,) = connection.execute(
        "select md5(coalesce(string_agg(concat_ws('|', id, payload_hash, updated_at, deleted_at), ',' order by id),"
        f" '')) from raw_{vendor}.{stream}"
    ).fetchone()
    row = connection.execute(
        "select cursor from ops.cursors where vendor = %s and stream = %s", (vendor, stream)
    ).fetchone()
    return State(digest, row[0] if row else None)


def landed(connection: Any, scenario: Scenario, stream: str) -> Held:
    """The living rows: id → facts."""
    rows = connection.execute(
        f"select id, {scenario.facts[stream]} from raw_{scenario.vendor}.{stream} where deleted_at is null"
    ).fetchall()
    return {row[0]: tuple(row[1:]) for row in rows}


def differences(expected: Held, found: Held) -> str:
    """What was lost, added or changed, shortly; empty when nothing was."""
    lost = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    other = sorted(key for key in set(expected) & set(found) if expected[key] != found[key])
    parts = []
    if lost:
        parts.append(f"{len(lost)} lost: {[(key, expected[key]) for key in lost[:3]]}")
    if extra:
        parts.append(f"{len(extra)} too many: {[(key, found[key]) for key in extra[:3]]}")
    if other:
        parts.append(f"{len(other)} differ: {[(key, expected[key], found[key]) for key in other[:3]]}")
    return "; ".join(parts)


def cursor_not_ahead(connection: Any, vendor: str, stream: str) -> bool:
    """Whether everything up to the cursor can have landed: no cursor is later than the latest record."""
    row = connection.execute(
        "select cursor from ops.cursors where vendor = %s and stream = %s", (vendor, stream)
    ).fetchone()
    if row is None or row[0] is None:
        return True
    (latest,) = connection.execute(f"select max(updated_at) from raw_{vendor}.{stream}").fetchone()
    try:
        at = datetime.fromisoformat(row[0])
    except ValueError:
        return True
    return latest is not None and at <= latest


def receipt(connection: Any, vendor: str, stream: str) -> tuple[int, str] | None:
    """Id and status of the last receipt of the stream."""
    row: tuple[int, str] | None = connection.execute(
        "select id, status from ops.sync_runs where vendor = %s and stream = %s order by id desc limit 1",
        (vendor, stream),
    ).fetchone()
    return row

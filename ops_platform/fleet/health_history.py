"""The history of the fleet's health: every score with its factors, exactly as it was computed.

Belongs here: writing and reading `ops.fleet_health`. Does not belong here: the formula (`health.py`), forgetting
(`ops_platform.retention`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform.fleet.health import Part, Score

if TYPE_CHECKING:
    import psycopg

_INSERT = """
insert into ops.fleet_health (at, version, score, low, high, coverage, band, previous_at, change)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (at) do nothing
"""
_INSERT_PART = """
insert into ops.fleet_health_factors (at, factor, label, nominal_weight, weight, attainment, low, high, contribution,
    change, known, unknown_since, detail)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_SCORES = """
select at, version, score, low, high, coverage, previous_at, change from ops.fleet_health
where at <= %(until)s order by at desc limit %(limit)s
"""
_PARTS = """
select at, factor, label, nominal_weight, weight, attainment, low, high, contribution, change, known, unknown_since,
    detail
from ops.fleet_health_factors where at = any(%s) order by at, nominal_weight desc, factor
"""


def store(connection: psycopg.Connection[Any], score: Score) -> bool:
    """Keep a score; False where that moment has one already, which stays. Does not commit."""
    kept = connection.execute(
        _INSERT,
        (score.at, score.version, score.score, score.low, score.high, score.coverage, score.band, score.previous_at,
         score.change),
    ).rowcount  # fmt: skip
    if not kept:
        return False
    with connection.cursor() as cursor:
        cursor.executemany(
            _INSERT_PART,
            [
                (score.at, part.factor, part.label, part.nominal_weight, part.weight, part.attainment, part.low,
                 part.high, part.contribution, part.change, part.known, part.unknown_since, part.detail)
                for part in score.parts
            ],
        )  # fmt: skip
    return True


def newest(connection: psycopg.Connection[Any], until: datetime, limit: int = 1) -> list[Score]:
    """The newest scores up to `until`, the newest first."""
    rows = connection.execute(_SCORES, {"until": until, "limit": limit}).fetchall()
    parts: dict[datetime, list[Part]] = {row[0]: [] for row in rows}
    for at, *fields in connection.execute(_PARTS, (list(parts),)).fetchall():
        parts[at].append(Part(*fields))
    return [
        Score(at, version, score, low, high, coverage, previous_at, change, tuple(parts[at]))
        for at, version, score, low, high, coverage, previous_at, change in rows
    ]

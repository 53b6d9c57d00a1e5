"""One look of the watch: read a bounded window, judge the days that are due, keep what was found.

Belongs here: which days are due, and the order of the steps. Does not belong here: SQL (`store.py`), judging
(`judge.py`), messages (`ops_platform.alerts`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.clock import business_day
from ops_platform.watch.judgement import Finding, Judgement, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from ops_platform.watch.series import Panel

LOOK_AGAIN_DAYS = 3  # late records may still change them
MOST_DAYS = 31  # that are caught up with after a standstill


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found. `changed` counts the judgements that are new or say something else than before."""

    judgements: tuple[Judgement, ...]
    changed: int
    series: int
    metrics: int

    def count(self, found: Finding) -> int:
        return sum(each.found is found for each in self.judgements)

    @property
    def reasons(self) -> dict[str, int]:
        """How many days could not be judged, by reason."""
        return dict(Counter(each.reason.value for each in self.judgements if each.reason is not None))


def look(
    connection: psycopg.Connection[Any],
    now: datetime,
    *,
    zone: str,
    names: Sequence[str] | None = None,
    days: int = LOOK_AGAIN_DAYS,
    keep: bool = True,
) -> Look:
    """Judge the last `days` complete days of every watched metric, and whatever a standstill left unjudged.

    A snapshot is judged for the day it was seen on as well. The caller commits; without `keep` nothing is written. A
    look at every metric is noted as one."""
    from ops_platform.watch.judge import judge, judgements
    from ops_platform.watch.level_shift import LevelShift, through_shifts
    from ops_platform.watch.store import metrics_watched, note_look, read_panel, read_shifts, save

    today = business_day(now, zone)
    metrics = metrics_watched(connection, names)
    if not metrics:
        return Look((), 0, 0, 0)
    due = _due(connection, today, days)
    panel = read_panel(connection, metrics, end=today, zone=zone, judged_days=due)
    shifts = [LevelShift(*each) for each in read_shifts(connection, panel.days[0])]
    judged = judge(through_shifts(panel, shifts))
    found = tuple(each for each in judgements(judged, due, now) if _says_something(panel, each, today))
    changed = save(connection, found) if keep else 0
    if keep and names is None:
        note_look(connection, "judgements", now)
    return Look(found, changed, len(panel.keys), len(metrics))


def find_level_shifts(connection: psycopg.Connection[Any], now: datetime, *, zone: str) -> int:
    """The nightly search for new levels. Returns how many were found that were not known; the caller commits."""
    from ops_platform.watch.level_shift import LOOK_BACK_DAYS, LevelShift, find_shifts, through_shifts
    from ops_platform.watch.store import metrics_watched, note_look, read_panel, read_shifts, save_shifts

    metrics = metrics_watched(connection)
    yesterday = business_day(now, zone) - timedelta(days=1)
    panel = read_panel(connection, metrics, end=yesterday, zone=zone, judged_days=(), window=LOOK_BACK_DAYS)
    known = [LevelShift(*each) for each in read_shifts(connection, panel.days[0])]
    found = find_shifts(through_shifts(panel, known))
    new = save_shifts(connection, [(each.key, each.day, each.before, each.after) for each in found], now)
    if metrics:
        note_look(connection, "level_shifts", now)
    return new


def _due(connection: psycopg.Connection[Any], today: date, days: int) -> list[date]:
    """Today (for snapshots), the days looked at again, and those since the newest one judged."""
    row = connection.execute("select max(date) from ops.judgements where found <> 'unknown'").fetchone()
    newest = row[0] if row else None
    missed = 0 if newest is None else (today - newest).days
    back = min(max(days, missed), MOST_DAYS)
    return [today - timedelta(days=number) for number in range(back, -1, -1)]


def _says_something(panel: Panel, each: Judgement, today: date) -> bool:
    """A day still running is judged of snapshots only; a part without a row is only the absence of a part."""
    if each.day == today and panel.metrics[each.key.metric_id].kind != "snapshot":
        return False
    return each.reason is not Reason.NO_ROW or each.key.dimension == "all"

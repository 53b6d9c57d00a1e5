"""Dagster's own traces whose time is over: runs with their events and logs, checks, events of no run.

Belongs here: deleting them, a little at a time. Does not belong here: ticks (`dagster.yaml` has their retention), the
platform's tables (`ops_platform.fleet.forgetting`), for how long (`health.retention` of `fleet.yaml`).

Dagster deletes no run by itself: its event log would grow for ever. The newest run of every job stays, and the newest
success, so that nothing a person or a sensor looks at goes; so do the newest event and check of every asset.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg
    from dagster import DagsterInstance

#: Runs read in one go.
BATCH = 200
_CHECKS = """
delete from asset_check_executions as old
where old.create_timestamp < %(before)s and exists (
    select from asset_check_executions as newer
    where newer.asset_key = old.asset_key and newer.check_name = old.check_name and newer.id > old.id
)
"""
# Events of no run: assets that turned stale or fresh, mostly.
_RUNLESS = """
delete from event_logs as old
where old.run_id = '' and old.timestamp < %(before)s and exists (
    select from event_logs as newer
    where newer.run_id = '' and newer.asset_key is not distinct from old.asset_key
        and newer.dagster_event_type is not distinct from old.dagster_event_type and newer.id > old.id
)
"""
# A run that was cut short between its two halves of being deleted leaves events of nobody.
_ORPHANS = """
delete from event_logs as old
where old.run_id <> '' and old.timestamp < %(before)s
    and not exists (select from runs where runs.run_id = old.run_id)
"""


@dataclass(frozen=True, slots=True)
class Deleted:
    """How much went."""

    runs: int = 0
    checks: int = 0
    events: int = 0
    logs: int = 0


def delete_old(
    instance: DagsterInstance,
    connection: psycopg.Connection[Any],
    logs: Path,
    before: datetime,
    *,
    stop_at: datetime | None = None,
) -> Deleted:
    """Delete what ended before `before` (aware). `connection` is to Dagster's database and is committed as it goes;
    `logs` is where printed lines are kept. From `stop_at` on no further run is begun; the rest goes the next night."""
    runs = _delete_runs(instance, before, stop_at)
    at = {"before": before.replace(tzinfo=None)}
    checks = connection.execute(_CHECKS, at).rowcount
    events = connection.execute(_RUNLESS, at).rowcount + connection.execute(_ORPHANS, at).rowcount
    connection.commit()
    return Deleted(runs, checks, events, _delete_logs(logs, before))


def _delete_runs(instance: DagsterInstance, before: datetime, stop_at: datetime | None) -> int:
    from datetime import UTC

    from dagster import DagsterRunStatus, RunsFilter
    from dagster._core.storage.dagster_run import FINISHED_STATUSES

    kept: set[str] = set()
    for job in {record.dagster_run.job_name for record in _records(instance, RunsFilter(created_before=before))}:
        for statuses in (FINISHED_STATUSES, [DagsterRunStatus.SUCCESS]):
            newest = instance.get_run_records(RunsFilter(job_name=job, statuses=list(statuses)), limit=1)
            kept |= {record.dagster_run.run_id for record in newest}
    deleted = 0
    old = RunsFilter(created_before=before, statuses=list(FINISHED_STATUSES))
    # Named before the first of them goes: a page begins after the last run of the one before, which must be there.
    for run_id in [record.dagster_run.run_id for record in _records(instance, old)]:
        if stop_at is not None and datetime.now(UTC) >= stop_at:
            break
        if run_id not in kept:
            instance.delete_run(run_id)
            deleted += 1
    return deleted


def _records(instance: DagsterInstance, wanted: Any) -> Any:
    """Every record of the filter, the oldest first."""
    cursor = None
    while True:
        found = instance.get_run_records(wanted, limit=BATCH, ascending=True, cursor=cursor)
        yield from found
        if len(found) < BATCH:
            return
        cursor = found[-1].dagster_run.run_id


def _delete_logs(folder: Path, before: datetime) -> int:
    """Printed lines of steps, one directory a run, that nobody wrote to since."""
    gone = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and path.stat().st_mtime < before.timestamp() and _newest(path) < before.timestamp():
            shutil.rmtree(path, ignore_errors=True)
            gone += 1
    return gone


def _newest(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.rglob("*")), default=0.0)

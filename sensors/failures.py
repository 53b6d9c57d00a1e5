"""Runs that ended: a receipt for those that could not write one, and a look where one is due.

Belongs here: one indexed look at the runs that ended since the last one. Does not belong here: receipts
(`ops_platform.alerts.receipts`), telling anybody (the alerts job), what a failed step says (the run's own receipt).

A run that was killed, or whose host went away, writes nothing; Dagster knows that it ended, and here it becomes a
receipt. The alert machine looks when a job began to fail or recovered, and in place of a run of the fleet that failed
before it came to look: a morning that broke must not be a morning on which nobody looked at anything. A run whose
process died and that Dagster tries again within minutes gets its receipt when the attempt that follows has ended.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from dagster._core.storage.tags import WILL_RETRY_TAG

from ops_platform.settings import Environment

if TYPE_CHECKING:
    import psycopg
    from dagster import DagsterInstance, DagsterRun, RunRecord

ENDED = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED, DagsterRunStatus.SUCCESS]
#: How many runs one look takes; the rest waits for the next.
MOST = 200
#: Where there is no cursor yet, so far back.
FIRST_LOOK = timedelta(days=1)
#: Two runs may end in the same instant, and one be written after the look: a little is looked at twice.
OVERLAP = timedelta(seconds=5)


def failures_sensor(environment: Environment, job_name: str) -> SensorDefinition:
    """The sensor; it runs by itself only in production, like the schedules. `job_name` is the alerts job."""
    status = DefaultSensorStatus.RUNNING if environment is Environment.PRODUCTION else DefaultSensorStatus.STOPPED

    @sensor(
        name="failures_sensor",
        job_name=job_name,
        minimum_interval_seconds=60,
        default_status=status,
        description="Notes runs that ended; has the alert machine look when a job turned or a run failed unlooked.",
    )
    def ended(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        from ops_platform.database import connect
        from ops_platform.fleet import get_fleet

        since = datetime.fromisoformat(context.cursor) if context.cursor else datetime.now(UTC) - FIRST_LOOK
        records = context.instance.get_run_records(
            RunsFilter(statuses=ENDED, updated_after=since - OVERLAP),
            limit=MOST,
            order_by="update_timestamp",
            ascending=True,
        )
        turned: list[str] = []
        fleet_jobs = get_fleet().jobs
        with connect() as connection:
            for record in records:
                run = record.dagster_run
                if run.job_name.startswith("__"):
                    continue  # assets somebody made by hand: no job of the fleet
                if run.tags.get(WILL_RETRY_TAG) == "true":
                    continue  # until the attempt that follows has ended, nobody knows what came of it
                for earlier in _attempts_before(context.instance, run):
                    _note(connection, earlier, fleet_jobs, tried_again=True)
                news = _note(connection, record, fleet_jobs)
                if news:
                    turned.append(f"{run.run_id}:{run.status.value}")
        if records:
            latest = max(record.update_timestamp for record in records).replace(tzinfo=UTC)
            context.update_cursor(max(latest, since).isoformat())
        if not turned:
            yield SkipReason(f"{len(records)} runs ended, no job turned, every one looked")
            return
        yield RunRequest(run_key=f"failures:{turned[-1]}", tags={"ops/started_by": "failures"})

    return ended


def _attempts_before(instance: "DagsterInstance", run: "DagsterRun") -> Iterator["RunRecord"]:
    """The runs that died and that this one was made in place of, the newest first."""
    parent = run.parent_run_id
    while parent is not None:
        record = instance.get_run_record_by_id(parent)
        if record is None or record.dagster_run.tags.get(WILL_RETRY_TAG) != "true":
            return
        yield record
        parent = record.dagster_run.parent_run_id


def _note(
    connection: "psycopg.Connection[Any]", record: "RunRecord", jobs: Mapping[str, Any], *, tried_again: bool = False
) -> bool:
    """Write down that the run ended; whether that is news."""
    from ops_platform import clock
    from ops_platform.alerts import receipts

    run, ended_at = record.dagster_run, record.update_timestamp.replace(tzinfo=UTC)
    return receipts.note_ended(
        connection, run.run_id, run.tags.get("job", run.job_name), bot=run.tags.get("bot"),
        succeeded=run.status is DagsterRunStatus.SUCCESS, started_at=_moment(record.start_time, ended_at),
        at=ended_at, as_of=clock.now(), looks=run.job_name in jobs, tried_again=tried_again,
    )  # fmt: skip


def _moment(seconds: float | None, otherwise: datetime) -> datetime:
    return otherwise if seconds is None else datetime.fromtimestamp(seconds, UTC)

"""When playbooks run: at their crons in the company's time, on events, and again where a process died.

Belongs here: ticks, events and abandoned executions as requests for runs; each look is one indexed query. Does not
belong here: what runs (`jobs/playbooks.py`), a trigger by HTTP (`commands/trigger.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dagster import (
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    JobDefinition,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from jobs.playbooks import AS_OF_TAG, EXECUTION_TAG, KEY_TAG, PLAYBOOK_TAG, TRIGGER_TAG, identity_of, job_name
from ops_platform.playbooks.plan import Plan
from ops_platform.settings import Environment

if TYPE_CHECKING:
    import psycopg

#: The event that is the machine's own: an incident of the level alert or critical was opened.
ALERT_OPENED = "alert_opened"
#: An execution that was taken up less than this ago may be in the hands of a process that has not got its lock yet.
SETTLE = timedelta(minutes=2)
#: Of events older than this nobody wants to hear when the sensor was off for long.
NEWS = timedelta(hours=6)
#: Failed runs of playbooks that one look goes through.
MOST_FAILED = 100


def playbook_schedules(
    plans: Mapping[str, Plan], jobs: Sequence[JobDefinition], zone: str, environment: Environment
) -> list[ScheduleDefinition]:
    """One schedule a playbook that has a cron, in the company's zone; running by itself only in production, and only
    where the file says that the playbook is enabled."""
    named = {job.name: job for job in jobs}
    found = []
    for playbook_id, plan in sorted(plans.items()):
        cron = plan.playbook.triggers.schedule
        if cron is None:
            continue
        runs = environment is Environment.PRODUCTION and plan.playbook.enabled
        found.append(
            ScheduleDefinition(
                name=f"{job_name(playbook_id)}_schedule", job=named[job_name(playbook_id)], cron_schedule=cron,
                execution_timezone=zone,
                default_status=DefaultScheduleStatus.RUNNING if runs else DefaultScheduleStatus.STOPPED,
                description=f"{plan.playbook.name} ({cron}, {zone})",
                tags={TRIGGER_TAG: "schedule"},
            )
        )  # fmt: skip
    return found


def playbook_events_sensor(
    plans: Mapping[str, Plan], jobs: Sequence[JobDefinition], environment: Environment
) -> SensorDefinition:
    """Starts the playbooks that wait for `alert_opened`, once an incident."""
    listening = [name for name, plan in sorted(plans.items()) if ALERT_OPENED in plan.playbook.triggers.events]

    @sensor(
        name="playbook_events_sensor", jobs=list(jobs), minimum_interval_seconds=60,
        default_status=_status(environment),
        description="Starts playbooks that wait for an event; silent otherwise.",
    )  # fmt: skip
    def events(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        if not listening:
            yield SkipReason("no playbook waits for an event")
            return
        from ops_platform import clock
        from ops_platform.database import connect

        since = int(context.cursor) if context.cursor else 0
        with connect() as connection:
            rows = connection.execute(
                "select id, opened_at from ops.alerts where id > %s and opened_at > %s"
                " and severity in ('alert', 'critical') order by id limit 100",
                (since, clock.now() - NEWS),
            ).fetchall()
        if not rows:
            yield SkipReason("nothing has opened")
            return
        for number, opened_at in rows:
            for name in listening:
                yield RunRequest(
                    run_key=f"{name}:alert:{number}", job_name=job_name(name),
                    tags={
                        TRIGGER_TAG: "event", KEY_TAG: f"alert:{number}",
                        AS_OF_TAG: opened_at.astimezone(UTC).isoformat(),
                    },
                )  # fmt: skip
        context.update_cursor(str(rows[-1][0]))

    return events


def playbook_resume_sensor(jobs: Sequence[JobDefinition], environment: Environment) -> SensorDefinition:
    """Has executions whose process died taken up where they stand, and closes those whose run somebody stopped."""
    names = {job.name for job in jobs}

    @sensor(
        name="playbook_resume_sensor", jobs=list(jobs), minimum_interval_seconds=60,
        default_status=_status(environment),
        description="Takes up executions whose process died, and begins those that it never began; silent otherwise.",
    )  # fmt: skip
    def resume(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        from ops_platform.database import connect
        from ops_platform.playbooks import record

        asked = 0
        with connect() as connection:
            for execution in record.abandoned(connection, datetime.now(UTC) - SETTLE):
                if record.is_held(connection, execution.id):
                    continue
                if _stopped_by_somebody(context, execution.run_id):
                    record.give_up(connection, execution.id, "its run was stopped")
                    connection.commit()
                    continue
                if job_name(execution.playbook_id) not in names:
                    record.give_up(connection, execution.id, "its playbook is not there any more")
                    connection.commit()
                    continue
                asked += 1
                yield RunRequest(
                    run_key=f"resume:{execution.id}:{execution.holds}", job_name=job_name(execution.playbook_id),
                    tags={EXECUTION_TAG: str(execution.id)},
                )  # fmt: skip
            for name, key, tags in _never_begun(context, connection, names):
                asked += 1
                yield RunRequest(run_key=f"begin:{key}", job_name=name, tags=tags)
        if not asked:
            yield SkipReason("no execution is without its process")

    return resume


def _never_begun(
    context: SensorEvaluationContext, connection: "psycopg.Connection[Any]", names: set[str]
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(job, key, tags) of ticks and events whose run died before it wrote down an execution: nothing else would know of
    them. A run started by hand is not among them: whoever started it sees that it failed."""
    from ops_platform.playbooks import record

    failed = RunsFilter(
        statuses=[DagsterRunStatus.FAILURE], updated_after=datetime.now(UTC) - NEWS,
        tags={"job": sorted(names)},
    )  # fmt: skip
    for run in context.instance.get_runs(failed, limit=MOST_FAILED):
        kind, key, as_of = identity_of(run.tags[PLAYBOOK_TAG], run.tags, run.run_id)
        if EXECUTION_TAG in run.tags or as_of is None or record.by_key(connection, key) is not None:
            continue
        tags = {
            TRIGGER_TAG: kind, KEY_TAG: key.removeprefix(f"{run.tags[PLAYBOOK_TAG]}:"), AS_OF_TAG: as_of.isoformat(),
        }  # fmt: skip
        yield run.job_name, key, tags


def _stopped_by_somebody(context: SensorEvaluationContext, run_id: str | None) -> bool:
    if run_id is None:
        return False
    stopped = RunsFilter(run_ids=[run_id], statuses=[DagsterRunStatus.CANCELED, DagsterRunStatus.CANCELING])
    return bool(context.instance.get_runs_count(stopped))


def _status(environment: Environment) -> DefaultSensorStatus:
    return DefaultSensorStatus.RUNNING if environment is Environment.PRODUCTION else DefaultSensorStatus.STOPPED

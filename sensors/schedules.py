"""The fleet's schedules, in the company's own time.

Belongs here: crons, the period a run is for, whether they run unattended. Does not belong here: what runs (`jobs/`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dagster import DefaultScheduleStatus, RunRequest, ScheduleDefinition, ScheduleEvaluationContext
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ops_platform.clock import business_day
from ops_platform.evidence.spans import last_complete, tier_of
from ops_platform.fleet import Fleet
from ops_platform.settings import Environment

# Unattended work is opt-in per environment; an environment that is not listed here is an error.
_UNATTENDED: dict[Environment, bool] = {
    Environment.DEMO: False,
    Environment.DEVELOPMENT: False,
    Environment.PRODUCTION: True,
}


def fleet_schedules(
    fleet: Fleet, jobs: Sequence[UnresolvedAssetJobDefinition], environment: Environment
) -> list[ScheduleDefinition]:
    """One schedule a job that has a cron, in the company's zone; running by itself only in production."""
    crons = fleet.scheduled()
    status = DefaultScheduleStatus.RUNNING if _UNATTENDED[environment] else DefaultScheduleStatus.STOPPED
    return [
        ScheduleDefinition(
            name=f"{job.name}_schedule",
            job=job,
            execution_fn=newest_period(fleet, job.name),
            cron_schedule=crons[job.name],
            execution_timezone=fleet.company.timezone,
            default_status=status,
            description=f"{fleet.jobs[job.name].description} ({crons[job.name]}, {fleet.company.timezone})",
        )
        for job in jobs
        if job.name in crons
    ]


def newest_period(fleet: Fleet, name: str) -> Callable[[ScheduleEvaluationContext], RunRequest] | None:
    """For a job of one period a run: the newest that had ended when the run was due, however late it starts."""
    tier = tier_of(fleet.jobs[name].kind)
    if tier is None:
        return None

    def request(context: ScheduleEvaluationContext) -> RunRequest:
        day = business_day(context.scheduled_execution_time, fleet.company.timezone)
        return RunRequest(partition_key=last_complete(tier, day).start.isoformat())

    return request

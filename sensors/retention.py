"""When old traces are deleted: at night, in the company's time.

Belongs here: the schedule. Does not belong here: what is deleted (`jobs/retention.py`).
"""

from dagster import DefaultScheduleStatus, ScheduleDefinition

from jobs.retention import CRON, retention_job
from ops_platform.settings import Environment


def retention_schedule(zone: str, environment: Environment) -> ScheduleDefinition:
    """The schedule; it runs by itself only in production, like the fleet's."""
    running = environment is Environment.PRODUCTION
    return ScheduleDefinition(
        name="retention_schedule",
        job=retention_job(),
        cron_schedule=CRON,
        execution_timezone=zone,
        default_status=DefaultScheduleStatus.RUNNING if running else DefaultScheduleStatus.STOPPED,
        description=f"Deletes what the machine need not remember ({CRON}, {zone})",
    )

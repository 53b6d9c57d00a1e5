"""When the outbox is worked again: as soon as something in it has waited long enough.

Belongs here: one indexed look at `ops.outbox`. Does not belong here: posting (`jobs/outbox.py`).
"""

from collections.abc import Iterator

from dagster import DefaultSensorStatus, RunRequest, SensorDefinition, SensorEvaluationContext, SkipReason, sensor

from jobs.outbox import outbox_job
from ops_platform.settings import Environment

# A message younger than this is still in the hands of the run that made it.
SETTLE = "5 minutes"
_DUE = f"""
select count(*), max(extract(epoch from updated_at))::bigint from ops.outbox
where state in ('pending', 'sending', 'ambiguous') and updated_at < now() - interval '{SETTLE}'
"""


def outbox_sensor(environment: Environment) -> SensorDefinition:
    """The sensor; it runs by itself only in production, like the schedules."""
    status = DefaultSensorStatus.RUNNING if environment is Environment.PRODUCTION else DefaultSensorStatus.STOPPED

    @sensor(
        name="outbox_sensor",
        job=outbox_job(),
        minimum_interval_seconds=300,
        default_status=status,
        description="Starts the outbox job when messages wait; silent otherwise.",
    )
    def waiting(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        from ops_platform.database import connect

        with connect() as connection:
            due, newest = connection.execute(_DUE.encode()).fetchone() or (0, None)
        if not due:
            yield SkipReason("nothing waits in the outbox")
            return
        # The newest change is part of the key: the same unchanged backlog is not worked twice at once, and a
        # backlog that an attempt has touched is worked again.
        yield RunRequest(run_key=f"outbox:{newest}")

    return waiting

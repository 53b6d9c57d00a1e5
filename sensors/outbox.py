"""When the outbox is worked again: as soon as something in it has waited long enough, or an alert nobody took is due.

Belongs here: one indexed look at `ops.outbox` and one at `ops.alerts`. Does not belong here: posting
(`jobs/outbox.py`).
"""

from collections.abc import Iterator

from dagster import DefaultSensorStatus, RunRequest, SensorDefinition, SensorEvaluationContext, SkipReason, sensor

from jobs.outbox import outbox_job
from ops_platform import clock
from ops_platform.fleet import get_fleet
from ops_platform.settings import Environment

# A message younger than this is still in the hands of the run that made it.
SETTLE = "5 minutes"
AGAIN_SECONDS = 1800
_DUE = f"""
select count(*), max(extract(epoch from greatest(updated_at, not_before, quiet_until)))::bigint from ops.outbox
where state in ('pending', 'sending', 'ambiguous') and updated_at < now() - interval '{SETTLE}'
    and (not_before is null or not_before <= now()) and (quiet_until is null or quiet_until <= %(company)s)
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
        from ops_platform.alerts import escalation
        from ops_platform.database import connect

        now = clock.now()
        with connect() as connection:
            due, newest = connection.execute(_DUE.encode(), {"company": now}).fetchone() or (0, None)
            untaken = escalation.due(connection, get_fleet(), now)
        if not due and not untaken:
            yield SkipReason("nothing waits in the outbox, and no alert waits to be told further")
            return
        if untaken:
            # What cannot be told now (nothing is connected) is tried again, but not at every look.
            alerts = ",".join(f"{alert}:{severity}" for alert, severity, *_ in untaken)[:120]
            newest = f"{newest}:{alerts}:{int(now.timestamp()) // AGAIN_SECONDS}"
        # The newest change is part of the key: the same unchanged backlog is not worked twice at once, and a
        # backlog that an attempt has touched is worked again.
        yield RunRequest(run_key=f"outbox:{newest}")

    return waiting

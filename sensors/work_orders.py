"""When work orders run: as soon as one is due and its agent has a place, the most urgent first.

Belongs here: one indexed look at the queue, as requests for runs; releasing orders whose worker died. Does not belong
here: choosing (`ops_platform.work_orders.queue`), reading GitHub (the coordinator, the webhook), a P0's run at once.
"""

from collections.abc import Iterator

from dagster import (
    DefaultSensorStatus,
    JobDefinition,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
)
from dagster import sensor as a_sensor

from ops_platform.settings import Environment, get_settings
from ops_platform.work_orders.queue import JOB

INTERVAL_SECONDS = 60
AT_ONCE = 10


def work_orders_sensor(job: JobDefinition, environment: Environment) -> SensorDefinition:
    """The sensor; it runs by itself only in production, like the schedules."""
    status = DefaultSensorStatus.RUNNING if environment is Environment.PRODUCTION else DefaultSensorStatus.STOPPED

    @a_sensor(
        name="work_orders_sensor", job=job, minimum_interval_seconds=INTERVAL_SECONDS, default_status=status,
        description="Starts a run for each work order that is due and has a place; silent otherwise.",
    )  # fmt: skip
    def due(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        from ops_platform.database import connect
        from ops_platform.work_orders import store
        from ops_platform.work_orders.policy import get_work_policy
        from ops_platform.work_orders.queue import launches

        if get_settings().github_write_token is None:
            yield SkipReason("GitHub's writing side is not connected: set GITHUB_WRITE_TOKEN")
            return
        policy = get_work_policy()
        with connect() as connection:
            for dead in store.release_dead(connection, policy=policy):
                context.log.warning(f"{dead.name}: its worker gave no sign of life; it is {dead.phase}")
            found = launches(connection, policy, limit=AT_ONCE)
            connection.commit()
        for each in found:
            yield RunRequest(run_key=each.run_key, job_name=JOB, tags=each.tags)
        if not found:
            yield SkipReason("no work order is due that has a place")

    return due

"""When approvals are seen to: as soon as something is approved and not done, or overdue.

Belongs here: one indexed look at `ops.approvals`. Does not belong here: doing it (`jobs/approvals.py`). A press of a
button and a word at a terminal are acted on at once; this is for what such a process left behind, and for due dates.
"""

from collections.abc import Iterator

from dagster import DefaultSensorStatus, RunRequest, SensorDefinition, SensorEvaluationContext, SkipReason, sensor

from jobs.approvals import approvals_job
from ops_platform import clock
from ops_platform.settings import Environment

INTERVAL_SECONDS = 300
# What was approved a moment ago is in the hands of whoever took the approval.
SETTLE = "2 minutes"
_DUE = f"""
select count(*), max(id), sum(changes)::bigint from ops.approvals
where (state = 'approved' and updated_at < %(now)s::timestamptz - interval '{SETTLE}')
    or (state = 'draft' and due_at <= %(now)s)
    or exists (
        select from ops.campaign_handovers as handovers
        where handovers.approval_id = approvals.id and handovers.state = 'pending'
            and handovers.updated_at < %(now)s::timestamptz - interval '{SETTLE}'
            and (handovers.not_before is null or handovers.not_before <= %(now)s)
    )
"""


def approvals_sensor(environment: Environment) -> SensorDefinition:
    """The sensor; it runs by itself only in production, like the schedules."""
    status = DefaultSensorStatus.RUNNING if environment is Environment.PRODUCTION else DefaultSensorStatus.STOPPED

    @sensor(
        name="approvals_sensor",
        job=approvals_job(),
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        description="Starts the approvals job when something is approved and not done, or overdue; silent otherwise.",
    )
    def waiting(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        from ops_platform.database import connect

        now = clock.now()
        with connect() as connection:
            due, newest, changes = connection.execute(_DUE.encode(), {"now": now}).fetchone() or (0, None, None)
        if not due:
            yield SkipReason("nothing is approved and not done, nothing is overdue")
            return
        # What fails for now is tried again at a later tick, so the time is part of the key.
        yield RunRequest(run_key=f"approvals:{newest}:{changes}:{int(now.timestamp()) // INTERVAL_SECONDS}")

    return waiting

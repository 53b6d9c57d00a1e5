"""Event-driven jobs: run when what they read was published anew.

Belongs here: one indexed look at `ops.published_models`. Does not belong here: what is news of it (a job remembers what
it has told), publishing (`ops_platform.warehouse.publication`).

A publication that changed nothing in a job's tables starts nothing. The run's key is the publication, so that the same
one is answered once, whatever restarts in between.
"""

import json
from collections.abc import Iterator, Sequence

from dagster import (
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ops_platform.fleet import Fleet
from ops_platform.settings import Environment

INTERVAL_SECONDS = 120
_CHANGED = "select relation, changed_by from ops.published_models where relation = any(%s) and changed_by is not null"


def events_sensor(
    fleet: Fleet, jobs: Sequence[UnresolvedAssetJobDefinition], environment: Environment
) -> list[SensorDefinition]:
    """The sensor, where the fleet has event-driven jobs; it runs by itself only in production, like the schedules."""
    views = {
        name: job.report.views() for name, job in fleet.jobs.items() if job.event and job.report is not None
    }  # fmt: skip
    if not views:
        return []
    status = DefaultSensorStatus.RUNNING if environment is Environment.PRODUCTION else DefaultSensorStatus.STOPPED

    @sensor(
        name="events_sensor",
        jobs=[job for job in jobs if job.name in views],
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        description="Starts each event-driven job when what it reads was published anew; silent otherwise.",
    )
    def published(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        from ops_platform.database import connect

        seen: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
        wanted = sorted({view for each in views.values() for view in each})
        with connect() as connection:
            changed = dict(connection.execute(_CHANGED.encode(), (wanted,)).fetchall())
        started = 0
        for name, read in views.items():
            newest = max((changed[view] for view in read if view in changed), default=0)
            if newest > seen.get(name, 0):
                seen[name] = newest
                started += 1
                yield RunRequest(
                    job_name=name, run_key=f"{name}:{newest}", tags={"ops/started_by": f"publication {newest}"}
                )
        if not started:
            yield SkipReason(f"nothing that {len(views)} jobs read has changed")
        context.update_cursor(json.dumps({name: seen[name] for name in views if name in seen}, sort_keys=True))

    return [published]

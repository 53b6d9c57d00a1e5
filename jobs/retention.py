"""The job that deletes, each night, what the machine need not remember.

Belongs here: calling the two retentions and telling how large the databases are. Does not belong here: what is old
(`health.retention` of `fleet.yaml`), deleting (`ops_platform.instance.retention`, `ops_platform.fleet.forgetting`).
"""

from dagster import JobDefinition, OpExecutionContext, in_process_executor, job, op

from ops_platform import clock
from ops_platform.fleet import get_fleet
from resources.postgres import WarehouseResource

RETENTION_JOB = "retention"
#: Deleting ends after so long; what is left goes the next night.
PATIENCE_MINUTES = 15
CRON = "20 3 * * *"
_SIZES = (
    "select datname, pg_database_size(datname) from pg_database where datname in ('warehouse', 'dagster') order by 1"
)


@op(description="Delete old runs with their events and logs, old scores, looks and receipts of syncs.")
def forget(context: OpExecutionContext, warehouse: WarehouseResource) -> None:
    import os
    from datetime import UTC, datetime, timedelta
    from pathlib import Path

    from ops_platform.database import DAGSTER, connect
    from ops_platform.delivery.files import forget_unused
    from ops_platform.fleet.forgetting import forget_traces
    from ops_platform.instance.retention import delete_old

    retention, began = get_fleet().health.retention, datetime.now(UTC)
    with warehouse.connect() as connection:
        gone = forget_traces(connection, retention, clock.now())
        gone["files"] = forget_unused(connection, timedelta(days=retention.receipts))
        connection.commit()
    logs = Path(os.environ.get("OPS_COMPUTE_LOGS", Path(context.instance.root_directory) / "storage"))
    with connect(DAGSTER) as connection:
        # Dagster keeps the machine's time, whatever the company's clock is told.
        deleted = delete_old(
            context.instance, connection, logs, began - timedelta(days=retention.runs),
            stop_at=began + timedelta(minutes=PATIENCE_MINUTES),
        )  # fmt: skip
        sizes = dict(connection.execute(_SIZES).fetchall())
    context.add_output_metadata(
        {
            "runs": deleted.runs, "checks": deleted.checks, "events": deleted.events, "logs": deleted.logs, **gone,
            **{f"{name}_mb": round(size / 1e6, 1) for name, size in sizes.items()},
        }
    )  # fmt: skip


@job(
    name=RETENTION_JOB,
    description="Forget what the machine need not remember: old runs, events, logs, scores, looks, receipts of syncs.",
    executor_def=in_process_executor,
    tags={"dagster/max_runtime": "1500", "bot": "coordinator", "job": RETENTION_JOB},
)
def retention() -> None:
    forget()


def retention_job() -> JobDefinition:
    """The job, for the assembly."""
    return retention

"""The job that empties the outbox of what an earlier run could not deliver.

Belongs here: calling the delivery worker again. Does not belong here: when (`sensors/outbox.py`), how
(`ops_platform.delivery`).
"""

from dagster import JobDefinition, OpExecutionContext, in_process_executor, job, op

from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource

PATIENCE_SECONDS = 120.0


@op(pool="slack", description="Post what is due in the outbox and look up what is unclear; nothing is posted twice.")
def deliver_outbox(context: OpExecutionContext, warehouse: WarehouseResource) -> None:
    from ops_platform.delivery.worker import deliver
    from ops_platform.failures import DataFailure
    from resources.slack_posting import SlackPoster

    report = deliver(warehouse.connect, SlackPoster.from_settings(get_settings()), patience=PATIENCE_SECONDS)
    context.log.info(str(report))
    if report.failed:
        raise DataFailure(f"not every message could be delivered: {report}")


@job(
    description="Deliver what waits in the outbox. Started by the outbox sensor, only when something waits.",
    executor_def=in_process_executor,
    tags={"dagster/max_runtime": "600", "bot": "coordinator", "job": "outbox"},
)
def outbox() -> None:
    deliver_outbox()


def outbox_job() -> JobDefinition:
    """The job, for the assembly."""
    return outbox

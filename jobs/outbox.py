"""The job that empties the outbox of what an earlier run could not deliver.

Belongs here: calling the delivery worker again. Does not belong here: when (`sensors/outbox.py`), how
(`ops_platform.delivery`).
"""

from functools import partial
from typing import TYPE_CHECKING

from dagster import JobDefinition, OpExecutionContext, in_process_executor, job, op

from ops_platform import clock
from ops_platform.fleet import get_fleet
from ops_platform.settings import Settings, get_settings
from resources.postgres import WarehouseResource

if TYPE_CHECKING:
    from ops_platform.alerts.escalation import Escalated

PATIENCE_SECONDS = 120.0


@op(
    pool="slack",
    description="Tell alerts further that nobody took, post what is due in the outbox and look up what is unclear; "
    "nothing is posted twice.",
)
def deliver_outbox(context: OpExecutionContext, warehouse: WarehouseResource) -> None:
    from ops_platform.delivery.worker import deliver
    from ops_platform.failures import DataFailure
    from resources.posters import posters_of

    settings = get_settings()
    posters = posters_of(settings, warehouse.connect)
    for one in escalate_alerts(warehouse, settings, email=posters.email is not None):
        context.log.info(f"alert #{one.alert_id} ({one.severity}): told further, {one.messages} messages")
    report = deliver(warehouse.connect, posters, patience=PATIENCE_SECONDS)
    context.log.info(str(report))
    if report.failed:
        raise DataFailure(f"not every message could be delivered: {report}")


def escalate_alerts(warehouse: WarehouseResource, settings: Settings, *, email: bool) -> "list[Escalated]":
    """Alerts that nobody took in time, told further; committed."""
    from ops_platform.alerts.escalation import escalate
    from resources.slack_posting import channel_id

    channel_of = None if settings.slack_bot_token is None else partial(channel_id, settings)
    with warehouse.connect() as connection:
        told = escalate(connection, get_fleet(), clock.now(), channel_of=channel_of, email=email)
        connection.commit()
    return told


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

"""The job that does what people approved, and refuses what nobody decided in time.

Belongs here: calling `ops_platform.approvals`. Does not belong here: when (`sensors/approvals.py`), deciding: a run has
no way to approve anything.
"""

from dagster import JobDefinition, OpExecutionContext, in_process_executor, job, op

from ops_platform import clock
from ops_platform.fleet import get_fleet
from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource


@op(pool="slack", description="Execute what is approved, once; refuse what is overdue; tell what came of it.")
def settle_approvals(context: OpExecutionContext, warehouse: WarehouseResource) -> None:
    from ops_platform.approvals.assembly import inbox_of
    from ops_platform.approvals.campaign_handover import hand_over
    from ops_platform.approvals.execution import execute_approved
    from ops_platform.approvals.message import show_standing
    from ops_platform.delivery.worker import deliver
    from resources.klaviyo import drafts
    from resources.posters import posters_of
    from resources.slack_posting import SlackPoster, channel_id

    settings, now = get_settings(), clock.now()
    connected = settings.slack_bot_token is not None
    inbox = inbox_of(get_fleet(), (lambda key: channel_id(settings, key)) if connected else None)
    with warehouse.connect() as connection:
        for number in inbox.expire_due(connection, now):
            context.log.info(f"request #{number}: nobody decided in time, which is a refusal")
        connection.commit()
    for done in execute_approved(warehouse.connect, inbox, now):
        context.log.info(f"request #{done.approval_id}: {done.state}: {done.words}")
    drafter = drafts.connect(settings)
    try:
        for made in hand_over(warehouse.connect, drafter, inbox, now):
            context.log.info(f"request #{made.approval_id}, {made.part}: {made.state}: {made.words}")
    finally:
        if drafter is not None:
            drafter.close()
    deliver(warehouse.connect, posters_of(settings, warehouse.connect))
    if connected:
        show_standing(warehouse.connect, SlackPoster.from_settings(settings), inbox)


@job(
    description="Do what people approved and refuse what nobody decided in time. Started only when there is something.",
    executor_def=in_process_executor,
    tags={"dagster/max_runtime": "600", "bot": "coordinator", "job": "approvals"},
)
def approvals() -> None:
    settle_approvals()


def approvals_job() -> JobDefinition:
    """The job, for the assembly."""
    return approvals

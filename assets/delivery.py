"""Delivery: the message in the outbox and, from there, once in Slack.

Belongs here: one asset a document, under `delivery/<job>`. Does not belong here: the outbox's states
(`ops_platform.delivery`), Slack's protocol (`resources/slack_posting.py`).
"""

from datetime import timedelta

from dagster import AssetExecutionContext, AssetKey, FreshnessPolicy, MaterializeResult, asset

from assets.document_steps import deliver_document
from assets.reports import report_ops_pulse
from resources.postgres import WarehouseResource


@asset(
    key=AssetKey(["delivery", "ops_pulse"]),
    deps=[report_ops_pulse],
    group_name="delivery",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"slack", "postgres"},
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(hours=26)),
    description=(
        "The morning pulse in the executive channel, once a period: through the transactional outbox, an unclear post "
        "looked up in the channel's history before it is ever repeated."
    ),
)
def delivery_ops_pulse(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    return MaterializeResult(metadata=deliver_document(context.run_id, warehouse, "ops_pulse"))

"""Delivery: the message in the outbox and, from there, once in Slack.

Belongs here: one asset a document, under `delivery/<job>`. Does not belong here: the outbox's states
(`ops_platform.delivery`), Slack's protocol (`resources/slack_posting.py`).
"""

from datetime import timedelta

from dagster import AssetExecutionContext, AssetKey, FreshnessPolicy, MaterializeResult, asset

from assets.document_steps import send, stored_for
from assets.reports import newest_evidence, report_ops_pulse
from ops_platform import progress
from ops_platform.fleet import get_fleet
from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource

# How long the step waits for a throttled or unclear message before it leaves it to the next worker.
PATIENCE_SECONDS = 60.0


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
    from ops_platform.alerts import receipts
    from ops_platform.delivery.worker import deliver
    from ops_platform.evidence.store import load_bundle
    from ops_platform.failures import DataFailure
    from resources.slack_posting import SlackPoster

    settings, job = get_settings(), get_fleet().jobs["ops_pulse"]
    if settings.slack_bot_token is None:
        return MaterializeResult(metadata={"state": "held", "reason": "Slack is not connected: set SLACK_BOT_TOKEN"})
    with warehouse.connect() as connection:
        digest = newest_evidence(connection, "pulse")
        stored = stored_for(connection, "ops_pulse", digest)
        if stored is None:
            raise DataFailure("the pulse was not written: materialise report/ops_pulse first")
        bundle = load_bundle(connection, digest)
        outcomes = send(connection, settings, "ops_pulse", job, bundle, stored)
        receipts.said(connection, context.run_id, outcomes.count("created"))
        connection.commit()
    progress.report("delivery: posting to Slack")
    report = deliver(warehouse.connect, SlackPoster.from_settings(settings), patience=PATIENCE_SECONDS)
    if report.failed or report.held:
        raise DataFailure(f"not every message is there: {report}")
    # What is throttled or not yet settled stays in the outbox, which the outbox sensor empties.
    return MaterializeResult(
        metadata={
            "outbox": ", ".join(outcomes),
            "posts": report.posts,
            "waiting": len(report.waiting),
            "report": str(report),
            "document_id": stored.id,
        }
    )

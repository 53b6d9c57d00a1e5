"""Alerts: everything that is looked at, taken in by the alert machine, and its messages in the alert channel.

Belongs here: the turn of the machine and its receipt (`alerts/cycle`), the posting of what it had to say
(`delivery/alerts`). Does not belong here: who looks (`ops_platform.alerts.gather`), what becomes of a look
(`ops_platform.alerts.cycle`), how a message looks (`ops_platform.documents.alert`).
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dagster import AssetExecutionContext, AssetKey, FreshnessPolicy, MaterializeResult, asset

from assets.document_steps import PATIENCE_SECONDS
from ops_platform import clock, progress
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import Fleet, get_fleet
from ops_platform.fleet.profile import company_profile
from ops_platform.fleet.ticks import ticks_between
from ops_platform.settings import Settings, get_settings
from resources.postgres import WarehouseResource

# Messages of alerts that changed so long ago are not looked at again.
_LOOK_BACK = timedelta(days=30)
_FRESH = FreshnessPolicy.time_window(fail_window=timedelta(hours=26))


@asset(
    key=AssetKey(["alerts", "cycle"]),
    deps=[
        AssetKey(["watch", "judgements"]),
        AssetKey(["metrics", "fct_metric_daily"]),
        AssetKey(["metrics", "dim_metric"]),
        AssetKey(["health", "fleet"]),
    ],
    group_name="alerts",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"postgres"},
    freshness_policy=_FRESH,
    description=(
        "Every look of the run (metrics out of their range, rules of `fleet.yaml`, sources, tie-outs, jobs) taken in "
        "by the alert state machine in one transaction, and the run's receipt: what was looked at, what was found, how "
        "near the nearest came. What is to be said goes to the outbox; silence is proven by the receipt."
    ),
)
def alerts_cycle(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.alerts import receipts
    from ops_platform.alerts.asset_freshness import freshness_signals
    from ops_platform.alerts.composing import AlertComposer
    from ops_platform.alerts.cycle import handle
    from ops_platform.alerts.gather import gather, relations
    from ops_platform.alerts.links import Links

    fleet, settings, now = get_fleet(), get_settings(), clock.now()
    limits = {vendor: source.stale_after_hours for vendor, source in fleet.sources.items()}
    job = context.run.tags.get("job", "alerts")
    bot = fleet.jobs[job].bot if job in fleet.jobs else "coordinator"
    progress.report("alerts: looking at everything")
    with warehouse.connect() as connection:
        wall = datetime.now(UTC)
        states = receipts.job_states(connection, _ticks(settings, fleet, wall), wall)
        signals = [*gather(connection, fleet, now, jobs=states), *freshness_signals(connection, fleet, wall)]
        outcome = handle(
            connection, signals, now, fleet=fleet,
            compose=AlertComposer(company_profile(fleet), Links.of(settings, fleet)),
            channels=_channels(settings), relations=relations(fleet),
        )  # fmt: skip
        held = Counter(each.why for each in outcome.held)
        posted = settings.slack_bot_token is not None
        if not posted:
            held["unposted"] = len(outcome.told)
        receipts.settle(
            connection, context.run_id, job, bot=bot, at=datetime.now(UTC), as_of=now, looks=receipts.looks_of(signals),
            freshness=receipts.freshness_of(connection, limits, now), messages=len(outcome.told) if posted else 0,
            held=+held,
        )  # fmt: skip
        connection.commit()
    progress.report(f"alerts: {outcome.checked} looks, {outcome.breached} out, {len(outcome.told)} messages")
    for problem in outcome.problems:
        context.log.warning(problem)
    return MaterializeResult(
        metadata={
            "checked": outcome.checked,
            "breached": outcome.breached,
            "unknown": outcome.unknown,
            "inhibited": len(outcome.inhibited),
            "opened": len(outcome.opened),
            "resolved": len(outcome.resolved),
            "standing": outcome.standing,
            "messages": len(outcome.told),
            "held": len(outcome.held),
            "closest": "" if outcome.closest is None else f"{outcome.closest.label}: {outcome.closest.closeness}",
        }
    )


@asset(
    key=AssetKey(["delivery", "alerts"]),
    deps=[alerts_cycle],
    group_name="delivery",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"slack", "postgres"},
    freshness_policy=_FRESH,
    description=(
        "What the alert machine put in the outbox, posted: one thread an incident, each message once. Posts nothing "
        "where nothing is owed."
    ),
)
def delivery_alerts(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.alerts.editions import show_standing
    from ops_platform.delivery.worker import deliver
    from ops_platform.failures import DataFailure
    from resources.posters import posters_of
    from resources.slack_posting import SlackPoster

    settings = get_settings()
    if settings.slack_bot_token is None:
        return MaterializeResult(metadata={"state": "held", "reason": "Slack is not connected: set SLACK_BOT_TOKEN"})
    progress.report("alerts: posting to Slack")
    poster = SlackPoster.from_settings(settings)
    report = deliver(warehouse.connect, posters_of(settings, warehouse.connect), patience=PATIENCE_SECONDS)
    if report.failed or report.held:
        raise DataFailure(f"not every alert is there: {report}")
    # What is over or was taken care of shows so in its first message, too.
    now = clock.now()
    today = clock.business_day(now, get_fleet().company.timezone)
    shown = show_standing(warehouse.connect, poster, now=datetime.now(UTC), today=today, since=now - _LOOK_BACK)
    return MaterializeResult(
        metadata={
            "posts": report.posts,
            "waiting": len(report.waiting),
            "brought_up_to_date": shown.shown,
            "report": str(report),
        }
    )


def _ticks(settings: Settings, fleet: Fleet, now: datetime) -> dict[str, list[datetime]]:
    """When each job was due in the last day; at no time where nothing runs unattended."""
    start = now - timedelta(days=1)
    return {
        name: ticks_between(cron, fleet.company.timezone, start, now) if settings.production else []
        for name, cron in fleet.scheduled().items()
    }


def _channels(settings: Settings) -> Callable[[str], str]:
    """Slack's id of a channel by its role. Where none is set, the role itself: the message is kept, cannot be posted,
    and the machine tells it again once it can."""
    from resources.slack_posting import channel_id

    def of(role: str) -> str:
        try:
            return channel_id(settings, role)
        except ConfigurationError:
            return role

    return of

"""The fleet's health: the score of the machine with its factors, and when jobs are due, told ahead.

Belongs here: `health/fleet`. Does not belong here: the formula (`ops_platform.fleet.health`), who is told and when
(`alerts/cycle`, which looks at the score in the same run), the watchdog outside (`deploy/watchdog.sh`).
"""

from datetime import UTC, datetime, timedelta

from dagster import AssetExecutionContext, AssetKey, FreshnessPolicy, MaterializeResult, asset

from ops_platform import clock
from ops_platform.fleet import get_fleet
from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource

JOB = "fleet_health"


@asset(
    key=AssetKey(["health", "fleet"]),
    group_name="health",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all", "job": JOB},
    kinds={"postgres"},
    freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(hours=3)),
    description=(
        "Is the machine well, 0 to 100: uptime, task completion, data freshness, runs without error and token "
        "efficiency, by the published formula; every change shared out exactly among the factors; what is unknown "
        "widens the band instead of moving the score. Also tells the watchdog when jobs are due."
    ),
)
def fleet_health(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.fleet import observations
    from ops_platform.fleet.expected import publish_expected
    from ops_platform.fleet.health import score_of, weights_on
    from ops_platform.fleet.health_history import newest, store
    from ops_platform.fleet.health_readings import readings

    fleet, settings, now = get_fleet(), get_settings(), clock.now()
    with warehouse.connect() as connection:
        # The file is what there was when there may have been no database.
        observations.take_in(connection, observations.read(settings.ops_home), datetime.now(UTC))
        if settings.production:
            publish_expected(connection, fleet, now)
        # Asked again at the same moment (under a clock that stands still), the score that is there stays.
        before = next((found for found in newest(connection, now, 2) if found.at < now), None)
        weights = weights_on(clock.business_day(now, fleet.company.timezone))
        score = score_of(readings(connection, fleet, now), weights, now, before)
        store(connection, score)
        connection.commit()
    observations.shorten(settings.ops_home)
    for part in score.parts:
        context.log.info(f"{part.label}: {part.contribution:.2f} of {part.weight:.2f}; {part.detail}")
    return MaterializeResult(
        metadata={
            "score": "unknown" if score.score is None else float(score.score),
            "band": score.band,
            "low": float(score.low),
            "high": float(score.high),
            "change": "" if score.change is None else float(score.change),
            **{part.factor: part.detail for part in score.parts},
        }
    )

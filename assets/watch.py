"""The watch: every metric's newest complete days, held against what was expected of them.

Belongs here: one asset for the lasting levels, one for the judgements. Does not belong here: how they are arrived at
(`ops_platform.watch`), what becomes of them (`assets/alerts.py`).
"""

from dagster import AssetExecutionContext, AssetKey, MaterializeResult, asset

from ops_platform import clock, progress
from ops_platform.fleet import get_fleet
from resources.postgres import WarehouseResource

_METRICS = (AssetKey(["metrics", "fct_metric_daily"]), AssetKey(["metrics", "dim_metric"]))


@asset(
    key=AssetKey(["watch", "level_shifts"]),
    deps=list(_METRICS),
    group_name="watch",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"python", "postgres"},
    description=(
        "Days from which on a metric has run at a lasting new level (change points by PELT), in `ops.level_shifts`. "
        "From then on earlier days are read as if at the new level, so that a new normal is not reported for weeks."
    ),
)
def watch_level_shifts(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.watch.tick import find_level_shifts

    progress.report("watch: looking for new levels")
    with warehouse.connect() as connection:
        found = find_level_shifts(connection, clock.now(), zone=get_fleet().company.timezone)
        connection.commit()
    return MaterializeResult(metadata={"found": found})


@asset(
    key=AssetKey(["watch", "judgements"]),
    deps=[*_METRICS, AssetKey(["marts", "dim_date"]), watch_level_shifts],
    group_name="watch",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"python", "postgres"},
    description=(
        "What every metric, and every part of it, was expected to be on its newest complete days, and whether it was: "
        "breached, clear or unknown with the reason, in `ops.judgements`. Reads a bounded window, sends nothing."
    ),
)
def watch_judgements(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.clock import business_day
    from ops_platform.watch.judgement import Finding
    from ops_platform.watch.store import prune
    from ops_platform.watch.tick import look

    now, zone = clock.now(), get_fleet().company.timezone
    progress.report("watch: judging every metric")
    with warehouse.connect() as connection:
        found = look(connection, now, zone=zone)
        pruned = prune(connection, business_day(now, zone))
        connection.commit()
    breached = [str(each.key) for each in found.judgements if each.found is Finding.BREACHED]
    return MaterializeResult(
        metadata={
            "metrics": found.metrics,
            "series": found.series,
            **{each.value: found.count(each) for each in Finding},
            "changed": found.changed,
            "pruned": pruned,
            "breaches": ", ".join(breached[:20]),
            **{f"not judged: {reason}": count for reason, count in sorted(found.reasons.items())},
        }
    )

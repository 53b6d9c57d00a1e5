"""The watch: every metric's newest complete days, held against what was expected of them.

Belongs here: one asset for the lasting levels, one for the judgements. Does not belong here: how they are arrived at
(`ops_platform.watch`), what becomes of them (`assets/alerts.py`).

A watch that breaks must not take the alerts with it: sources, jobs and rules are still looked at, and that the metrics
are not is itself an alert. So what broke is noted in `ops.watch_looks` and shows as a failing `looked` check, the
asset is reported as kept, and the run goes on. Where even that cannot be noted, the step fails.
"""

from collections.abc import Iterator

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    MaterializeResult,
    asset,
)

from ops_platform import clock, progress
from ops_platform.fleet import get_fleet
from ops_platform.watch.store import Step
from resources.postgres import WarehouseResource

_METRICS = (AssetKey(["metrics", "fct_metric_daily"]), AssetKey(["metrics", "dim_metric"]))
_LEVEL_SHIFTS = AssetKey(["watch", "level_shifts"])
_JUDGEMENTS = AssetKey(["watch", "judgements"])
_LOOKED = "The watch looked at every metric; where it did not, what it kept from before stands."


@asset(
    key=_LEVEL_SHIFTS,
    deps=list(_METRICS),
    group_name="watch",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"python", "postgres"},
    check_specs=[AssetCheckSpec("looked", asset=_LEVEL_SHIFTS, description=_LOOKED)],
    description=(
        "Days from which on a metric has run at a lasting new level (change points by PELT), in `ops.level_shifts`. "
        "From then on earlier days are read as if at the new level, so that a new normal is not reported for weeks."
    ),
)
def watch_level_shifts(
    context: AssetExecutionContext, warehouse: WarehouseResource
) -> Iterator[MaterializeResult[None]]:
    from ops_platform.watch.tick import find_level_shifts

    progress.report("watch: looking for new levels")
    try:
        with warehouse.connect() as connection:
            found = find_level_shifts(connection, clock.now(), zone=get_fleet().company.timezone)
            connection.commit()
    except Exception as error:
        yield _broken(context, warehouse, "level_shifts", error)
    else:
        yield MaterializeResult(metadata={"found": found}, check_results=[_looked()])


@asset(
    key=_JUDGEMENTS,
    deps=[*_METRICS, AssetKey(["marts", "dim_date"]), watch_level_shifts],
    group_name="watch",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"python", "postgres"},
    check_specs=[AssetCheckSpec("looked", asset=_JUDGEMENTS, description=_LOOKED)],
    description=(
        "What every metric, and every part of it, was expected to be on its newest complete days, and whether it was: "
        "breached, clear or unknown with the reason, in `ops.judgements`. Reads a bounded window, sends nothing."
    ),
)
def watch_judgements(context: AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[MaterializeResult[None]]:
    from ops_platform.clock import business_day
    from ops_platform.watch.judgement import Finding
    from ops_platform.watch.store import prune
    from ops_platform.watch.tick import look

    now, zone = clock.now(), get_fleet().company.timezone
    progress.report("watch: judging every metric")
    try:
        with warehouse.connect() as connection:
            found = look(connection, now, zone=zone)
            pruned = prune(connection, business_day(now, zone))
            connection.commit()
    except Exception as error:
        yield _broken(context, warehouse, "judgements", error)
        return
    breached = [str(each.key) for each in found.judgements if each.found is Finding.BREACHED]
    yield MaterializeResult(
        metadata={
            "metrics": found.metrics,
            "series": found.series,
            **{each.value: found.count(each) for each in Finding},
            "changed": found.changed,
            "pruned": pruned,
            "breaches": ", ".join(breached[:20]),
            **{f"not judged: {reason}": count for reason, count in sorted(found.reasons.items())},
        },
        check_results=[_looked()],
    )


def _looked() -> AssetCheckResult:
    return AssetCheckResult(check_name="looked", passed=True)


def _broken(
    context: AssetExecutionContext, warehouse: WarehouseResource, step: Step, error: Exception
) -> MaterializeResult[None]:
    """The step did not come to look: noted, so that the alerts say so, and shown as a failing check."""
    from ops_platform.watch.store import note_failed_look

    with warehouse.connect() as connection:
        why = note_failed_look(connection, step, clock.now(), error)
        connection.commit()
    progress.report(f"watch: {step.replace('_', ' ')} failed, the run goes on: {why}")
    context.log.error(f"watch/{step} failed: {why}", exc_info=error)
    check = AssetCheckResult(
        check_name="looked", passed=False, severity=AssetCheckSeverity.ERROR, metadata={"error": why}
    )
    return MaterializeResult(metadata={"look": "kept", "reason": why}, check_results=[check])

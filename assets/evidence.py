"""Evidence: for each document of the fleet, the bundle of numbered facts it may speak from.

Belongs here: one asset a delivered document, under `evidence/<job>`. Does not belong here: which facts
(`ops_platform.evidence`).
"""

from datetime import UTC, datetime, timedelta

from dagster import (
    AssetExecutionContext,
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    MaterializeResult,
    RunsFilter,
    asset,
)

from ops_platform import clock, progress
from ops_platform.fleet import Fleet, get_fleet
from ops_platform.fleet.profile import company_profile
from ops_platform.warehouse.dbt import unproven_since
from resources.postgres import WarehouseResource

# What the pulse reads. The whole warehouse is upstream of these.
PULSE_READS = (
    "fct_business_health_daily", "fct_business_health_attribution", "fct_inventory_position", "fct_late_orders",
    "fct_purchase_orders_open", "fct_factory_messages",
)  # fmt: skip


@asset(
    key=AssetKey(["evidence", "ops_pulse"]),
    deps=[
        AssetKey(["metrics", "fct_metric_daily"]),
        AssetKey(["metrics", "dim_metric"]),
        *(AssetKey(["marts", mart]) for mart in PULSE_READS),
    ],
    group_name="evidence",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"postgres"},
    description=(
        "The morning pulse's evidence: numbered facts with unit, period, comparison, source, tie-out and freshness, "
        "stored under their digest in `ops.evidence_bundles`. What is missing is an unknown fact, never a zero. On "
        "Mondays with what the week's silence covered."
    ),
)
def evidence_ops_pulse(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from zoneinfo import ZoneInfo

    from ops_platform.alerts import receipts
    from ops_platform.database.roles import WRITER_READER
    from ops_platform.evidence.pulse import Operations, build_pulse_bundle
    from ops_platform.evidence.store import save_bundle

    fleet = get_fleet()
    progress.report("evidence: gathering facts")
    with warehouse.connect() as connection:
        zone = fleet.company.timezone
        silence = receipts.week_told_on(connection, clock.business_day(clock.now(), zone), ZoneInfo(zone))
    with warehouse.connect(role=WRITER_READER) as reader:
        due, nominal = jobs_of_the_last_day(context.instance, fleet)
        operations = Operations(
            jobs_due=due,
            jobs_nominal=nominal,
            tokens_budget=fleet.budget.tokens_per_cycle,
            unproven_since=unproven_since(reader, clock.now()),
            silence=silence,
        )
        bundle = build_pulse_bundle(reader, clock.now(), company_profile(fleet), operations)
    with warehouse.connect() as connection:
        digest = save_bundle(connection, bundle)
        connection.commit()
    unknown = [fact.id for fact in bundle.facts if not fact.known]
    return MaterializeResult(
        metadata={
            "digest": digest,
            "period": f"{bundle.period.start} to {bundle.period.end}",
            "facts": len(bundle.facts),
            "unknown": len(unknown),
            "unknown_facts": ", ".join(unknown[:20]),
        }
    )


def jobs_of_the_last_day(instance: DagsterInstance, fleet: Fleet) -> tuple[int | None, int | None]:
    """Ticks of the fleet's schedules that fell due in the last 24 hours of the machine's clock, and how many of
    them a run has answered. None and None where no tick fell due since the first run: nothing to judge yet."""
    # The one use of Dagster's cron arithmetic: the schedules' own, so that expected and observed cannot differ.
    from dagster._utils.schedules import cron_string_iterator

    until = datetime.now(UTC)
    due = nominal = 0
    for name, cron in fleet.scheduled().items():
        first = instance.get_run_records(RunsFilter(job_name=name), limit=1, ascending=True)
        if not first:
            continue
        since = max(until - timedelta(hours=24), first[0].create_timestamp)
        ticks = 0
        for tick in cron_string_iterator(since.timestamp(), cron, fleet.company.timezone):
            if tick > until:
                break
            ticks += 1
        good = instance.get_runs_count(
            RunsFilter(job_name=name, statuses=[DagsterRunStatus.SUCCESS], created_after=since)
        )
        due, nominal = due + ticks, nominal + min(good, ticks)
    return (due, nominal) if due else (None, None)

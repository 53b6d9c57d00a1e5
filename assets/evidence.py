"""Evidence: for each document of the fleet, the bundle of numbered facts it may speak from.

Belongs here: one asset a delivered document, under `evidence/<job>`. Does not belong here: which facts
(`ops_platform.evidence`).
"""

from dagster import AssetExecutionContext, AssetKey, MaterializeResult, asset

from assets.document_steps import company_profile
from ops_platform import clock, progress
from ops_platform.fleet import get_fleet
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
        "stored under their digest in `ops.evidence_bundles`. What is missing is an unknown fact, never a zero."
    ),
)
def evidence_ops_pulse(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.database.roles import WRITER_READER
    from ops_platform.evidence.pulse import Operations, build_pulse_bundle
    from ops_platform.evidence.store import save_bundle

    fleet = get_fleet()
    progress.report("evidence: gathering facts")
    with warehouse.connect(role=WRITER_READER) as reader:
        bundle = build_pulse_bundle(
            reader, clock.now(), company_profile(fleet), Operations(tokens_budget=fleet.budget.tokens_per_cycle)
        )
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

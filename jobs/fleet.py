"""The fleet's jobs, one for each entry of `fleet.yaml`.

Belongs here: turning an entry into a Dagster job. Does not belong here: what the job makes (assets) or
when it runs (`sensors/schedules.py`).
"""

from __future__ import annotations

from dagster import AssetKey, AssetSelection, define_asset_job, in_process_executor
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from jobs.receipts import RECEIPT_HOOKS
from ops_platform.fleet import Fleet, Job

# The whole warehouse, not only what the document reads: dbt's tests compare models with each other, and a
# test whose other side was never built could only fail.
WAREHOUSE = AssetSelection.groups("seeds", "staging", "intermediate", "marts", "metrics")
# Every run looks at everything and leaves its receipt, whatever document it is for.
ALERTS = AssetSelection.assets(AssetKey(["delivery", "alerts"]))
LOOK = AssetSelection.assets(AssetKey(["alerts", "cycle"]), AssetKey(["delivery", "alerts"]))


def fleet_jobs(fleet: Fleet) -> list[UnresolvedAssetJobDefinition]:
    """A job a fleet entry, in one process: its delivered document, the warehouse, the alerts and everything upstream;
    for one that does not collect, the assets tagged with its name, and the alerts."""
    return [
        define_asset_job(
            name=name,
            selection=_selection(name, job),
            description=job.description,
            # A process per step would cost seconds of imports each.
            executor_def=in_process_executor,
            hooks=RECEIPT_HOOKS,
            tags={
                # Without it a run orphaned by a dead host would hold its pool slots for ever.
                "dagster/max_runtime": str(job.max_runtime_minutes * 60),
                "bot": job.bot,
                "job": name,
            },
        )
        for name, job in fleet.jobs.items()
    ]


def _selection(name: str, job: Job) -> AssetSelection:
    if not job.collects:
        return AssetSelection.tag("job", name) | LOOK
    return (AssetSelection.assets(AssetKey(["delivery", name])) | WAREHOUSE | ALERTS).upstream()

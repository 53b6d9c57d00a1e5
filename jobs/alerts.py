"""The job that has the alert machine look again, between the fleet's own runs.

Belongs here: the selection. Does not belong here: when (`sensors/freshness.py`, `sensors/failures.py`), what is looked
at (`ops_platform.alerts.gather`).

It builds nothing and reads no vendor: it looks at what is there, takes it in and posts what is owed.
"""

from __future__ import annotations

from dagster import AssetKey, AssetSelection, define_asset_job, in_process_executor
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from jobs.receipts import RECEIPT_HOOKS

ALERTS_JOB = "alerts"


def alerts_job() -> UnresolvedAssetJobDefinition:
    """The job, for the assembly."""
    return define_asset_job(
        name=ALERTS_JOB,
        selection=AssetSelection.assets(AssetKey(["alerts", "cycle"]), AssetKey(["delivery", "alerts"])),
        description="The alert machine looks at what is there and posts what is owed. Started by sensors, on a change.",
        executor_def=in_process_executor,
        hooks=RECEIPT_HOOKS,
        tags={"dagster/max_runtime": "600", "bot": "coordinator", "job": ALERTS_JOB},
    )

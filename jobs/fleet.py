"""The fleet's jobs, one for each entry of `fleet.yaml`.

Belongs here: turning an entry into a Dagster job: which of the assets it makes. Does not belong here: the assets
themselves, when it runs (`sensors/`).

A job with a report collects what it reads and no more: the models above its views, and the streams above those. The
whole is built by the jobs that read everything.
"""

from __future__ import annotations

from dagster import AssetKey, AssetSelection, define_asset_job, in_process_executor
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.collecting import keys_of, stands_on
from jobs.receipts import RECEIPT_HOOKS
from ops_platform.fleet import Fleet, Job

# dbt's tests compare models with each other: where the whole is built, all of it is proven.
WAREHOUSE = AssetSelection.groups("seeds", "staging", "intermediate", "marts", "metrics")
# Every run looks at everything and leaves its receipt, whatever document it is for.
ALERTS = AssetSelection.assets(AssetKey(["delivery", "alerts"]))
LOOK = AssetSelection.assets(AssetKey(["alerts", "cycle"]), AssetKey(["delivery", "alerts"]))


def fleet_jobs(fleet: Fleet) -> list[UnresolvedAssetJobDefinition]:
    """A job a fleet entry, in one process: what it makes, what it collects for that, and the alerts."""
    return [
        define_asset_job(
            name=name,
            selection=selection_of(name, job),
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


def selection_of(name: str, job: Job) -> AssetSelection:
    """The assets the job makes."""
    own = AssetSelection.tag("job", name)
    if job.everything():
        made = AssetSelection.assets(AssetKey(["delivery", name])) if job.document else own
        return (made | WAREHOUSE | ALERTS).upstream()
    found = own | LOOK if job.looks else own
    if not job.collects:
        return found
    streams, part = stands_on(job)
    if streams:
        found = found | AssetSelection.assets(*streams)
    if part.nodes:
        found = found | AssetSelection.assets(*keys_of(part))
    return found

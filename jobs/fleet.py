"""The fleet's jobs, one for each entry of `fleet.yaml`.

Belongs here: turning an entry into a Dagster job: which of the assets it makes. Does not belong here: the assets
themselves, when it runs (`sensors/`).

A job with a report collects what it reads and no more: the models above its views, and the streams above those. The
whole is built by the jobs that read everything.
"""

from __future__ import annotations

from typing import Any

from dagster import AssetKey, AssetSelection, define_asset_job, in_process_executor
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from jobs.receipts import RECEIPT_HOOKS
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import Fleet, Job
from ops_platform.warehouse.parts import Part, manifest, part_of

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
    streams, part = _collected(job)
    if streams:
        found = found | AssetSelection.assets(*streams)
    if part.nodes:
        found = found | AssetSelection.assets(*_keys(part))
    return found


def collected(job: Job) -> list[AssetKey]:
    """What a job that only collects brings up to date: the streams it names and the views."""
    if job.everything():
        return [AssetKey(["metrics", "fct_metric_daily"])]
    streams, _ = _collected(job)
    views = [AssetKey(each.split(".")) for each in job.reads if each.startswith("marts.")]
    return [*views, *(key for key in streams if not views)]


def gathers(job: Job) -> str:
    """What a run of the job brings up to date, in words."""
    if not job.collects:
        return "nothing: it stands on what is there"
    if job.everything():
        return "every source, the whole warehouse"
    streams, part = _collected(job)
    models = sum(each.startswith("model.") for each in part.nodes)
    return f"{', '.join('.'.join(key.path[1:]) for key in streams) or 'no source'}; {models} models"


def _collected(job: Job) -> tuple[list[AssetKey], Part]:
    """The streams and the part of the warehouse that the job stands on."""
    views = job.report.views() if job.report is not None else []
    views = list(dict.fromkeys([*views, *(each for each in job.reads if each.startswith(("marts.", "metrics.")))]))
    part = part_of(manifest(), views)
    streams = {_key(each) for each in part.sources if each.split(".")[-2].startswith("raw_")}
    for each in job.reads:
        if not each.startswith(("marts.", "metrics.")):
            streams |= _named(each)
    return sorted(streams, key=lambda key: key.to_user_string()), part


def _named(source: str) -> set[AssetKey]:
    """The streams of `vendor` or `vendor.stream`."""
    from resources.vendors import streams

    vendor, _, only = source.partition(".")
    known = streams(vendor)
    if only and only not in known:
        raise ConfigurationError(f"{vendor} has no stream {only!r}: choose among {', '.join(known)}")
    return {AssetKey(["raw", vendor, name]) for name in ([only] if only else known)}


def _keys(part: Part) -> list[AssetKey]:
    nodes: dict[str, Any] = manifest()["nodes"]
    return sorted((_key_of_node(nodes[each]) for each in part.nodes), key=lambda key: key.to_user_string())


def _key(source: str) -> AssetKey:
    """`source.project.raw_shopify.orders` as the raw asset."""
    *_, schema, table = source.split(".")
    return AssetKey(["raw", schema.removeprefix("raw_"), table])


def _key_of_node(node: dict[str, Any]) -> AssetKey:
    from assets.warehouse import WarehouseTranslator

    return WarehouseTranslator().get_asset_key(node)

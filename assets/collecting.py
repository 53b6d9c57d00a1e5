"""What a job of the fleet brings up to date: the streams and the part of the warehouse it stands on.

Belongs here: from an entry's report and reads to assets. Does not belong here: walking dbt's manifest
(`ops_platform.warehouse.parts`), the selection of a job (`jobs/fleet.py`).
"""

from __future__ import annotations

from typing import Any

from dagster import AssetKey

from assets.warehouse import WarehouseTranslator
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import Job
from ops_platform.warehouse.parts import Part, manifest, part_of


def collected(job: Job) -> list[AssetKey]:
    """What a job that only collects brings up to date: the streams it names and the views."""
    if job.everything():
        return [AssetKey(["metrics", "fct_metric_daily"])]
    streams, _ = stands_on(job)
    views = [AssetKey(each.split(".")) for each in job.reads if each.startswith("marts.")]
    return [*views, *(key for key in streams if not views)]


def gathers(job: Job) -> str:
    """What a run of the job brings up to date, in words."""
    if not job.collects:
        return "nothing: it stands on what is there"
    if job.everything():
        return "every source, the whole warehouse"
    streams, part = stands_on(job)
    models = sum(each.startswith("model.") for each in part.nodes)
    return f"{', '.join('.'.join(key.path[1:]) for key in streams) or 'no source'}; {models} models"


def stands_on(job: Job) -> tuple[list[AssetKey], Part]:
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


def keys_of(part: Part) -> list[AssetKey]:
    """The assets that a part of the warehouse is."""
    nodes: dict[str, Any] = manifest()["nodes"]
    return sorted((_key_of_node(nodes[each]) for each in part.nodes), key=lambda key: key.to_user_string())


def _key(source: str) -> AssetKey:
    """`source.project.raw_shopify.orders` as the raw asset."""
    *_, schema, table = source.split(".")
    return AssetKey(["raw", schema.removeprefix("raw_"), table])


def _key_of_node(node: dict[str, Any]) -> AssetKey:
    return WarehouseTranslator().get_asset_key(node)

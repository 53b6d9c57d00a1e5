"""The one way a vendor's streams become assets.

Belongs here: the factory every `assets/raw/<vendor>.py` calls. Does not belong here: a vendor's
protocol (`resources/<vendor>.py`) or the loading itself (`ops_platform.ingestion`).

A stream whose sync failed is reported by its failing `synced` check and its receipt in
`ops.sync_runs`, while the step goes on: the table is still what the last good sync left, the numbers
derived from it say since when they are unknown, and the morning pulse is sent all the same.
"""

from collections.abc import Iterator
from datetime import timedelta

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    FreshnessPolicy,
    MaterializeResult,
    multi_asset,
)

from ops_platform import clock, progress
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import get_fleet
from ops_platform.ingestion.contract import Stream, SyncResult
from resources.postgres import WarehouseResource
from resources.vendors import VendorsResource

SyncEvent = MaterializeResult[None] | AssetCheckResult


def raw_key(stream: Stream) -> AssetKey:
    """`raw/<vendor>/<stream>`: the same words as the table `raw_<vendor>.<stream>`."""
    return AssetKey(["raw", stream.vendor, stream.name])


def vendor_sync(vendor: str, streams: dict[str, Stream], *, label: str, owner: str, division: str) -> AssetsDefinition:
    """A multi-asset, one asset a stream, that syncs the selected streams of `vendor` one after another."""
    specs = [
        AssetSpec(
            key=raw_key(stream),
            description=f"{stream.description} Raw {label} payloads in `raw_{vendor}.{stream.name}`, {stream.grain}.",
            group_name="raw",
            owners=[f"team:{owner}"],
            tags={"bot": owner, "division": division, "vendor": vendor},
            kinds={vendor, "postgres"},
            freshness_policy=FreshnessPolicy.time_window(fail_window=timedelta(hours=26), warn_window=timedelta(hours=25)),
            metadata={"dagster/table_name": f"warehouse.raw_{vendor}.{stream.name}"},
        )
        for stream in streams.values()
    ]
    checks = [
        AssetCheckSpec("synced", asset=raw_key(stream), description="The last sync read the source to its end.")
        for stream in streams.values()
    ] + [
        AssetCheckSpec("ties_out", asset=raw_key(stream), description="Counts and sums agree with the vendor's own.")
        for stream in streams.values()
        if stream.ties_out
    ]
    by_key = {raw_key(stream): stream for stream in streams.values()}

    @multi_asset(name=f"raw_{vendor}", specs=specs, check_specs=checks, can_subset=True, pool=vendor)
    def sync(
        context: AssetExecutionContext, warehouse: WarehouseResource, vendors: VendorsResource
    ) -> Iterator[SyncEvent]:
        # In the order of declaration: small reference entities first, so that a cut run keeps them.
        selected = [by_key[key] for key in by_key if key in context.selected_asset_keys]
        yield from sync_selected(context.run_id, vendor, selected, warehouse, vendors)

    return sync


def sync_selected(
    run_id: str, vendor: str, selected: list[Stream], warehouse: WarehouseResource, vendors: VendorsResource
) -> Iterator[SyncEvent]:
    """Sync streams and tell Dagster of each: a materialisation with the receipt, and its checks."""
    from ops_platform.ingestion.connections import note_connection
    from ops_platform.ingestion.sync import sync_vendor

    now = clock.now()
    today = clock.business_day(now, get_fleet().company.timezone)
    try:
        source, problem = vendors.source(vendor), None
    except ConfigurationError as error:
        source, problem = None, str(error)
    with warehouse.connect() as connection:
        note_connection(connection, vendor, connected=source is not None, detail=problem, now=now)
    if source is None:
        for stream in selected:
            yield from _not_connected(stream, problem)
        return
    results = sync_vendor(
        warehouse.connect, source, selected, now=now, today=today, run_id=run_id, progress=progress.report
    )
    for stream, result in zip(selected, results, strict=True):
        yield from _events(stream, result)


def _not_connected(stream: Stream, problem: str | None) -> Iterator[SyncEvent]:
    metadata = {"sync": "not connected", "reason": problem or "no credentials are set"}
    yield MaterializeResult(asset_key=raw_key(stream), metadata=metadata)
    yield AssetCheckResult(
        check_name="synced", asset_key=raw_key(stream), passed=problem is None, metadata=metadata,
        severity=AssetCheckSeverity.ERROR if problem else AssetCheckSeverity.WARN,
    )  # fmt: skip


def _events(stream: Stream, result: SyncResult) -> Iterator[SyncEvent]:
    key = raw_key(stream)
    metadata: dict[str, str | int | float] = {
        "sync": result.status,
        "pages": result.pages,
        "received": result.received,
        "inserted": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "duplicates": result.duplicates,
        "quarantined": result.quarantined,
        "deleted": result.deleted,
        "api_cost": float(result.api_cost),
        "seconds": round(result.duration_seconds, 3),
        "cursor": result.cursor_after or result.cursor_before or "",
        "fresh_to": result.fresh_to.isoformat() if result.fresh_to else "",
    }
    if result.error:
        metadata["reason"] = result.error
    yield MaterializeResult(asset_key=key, metadata=metadata)
    yield AssetCheckResult(
        check_name="synced", asset_key=key, passed=result.status == "succeeded", metadata=metadata,
        severity=AssetCheckSeverity.ERROR,
    )  # fmt: skip
    if stream.ties_out and result.status == "succeeded":
        yield AssetCheckResult(
            check_name="ties_out", asset_key=key, passed=result.tie_out == "matched",
            severity=AssetCheckSeverity.ERROR if result.tie_out == "mismatched" else AssetCheckSeverity.WARN,
            metadata={"verdict": result.tie_out, "days": len(result.touched_days), "reason": result.error or ""},
        )  # fmt: skip

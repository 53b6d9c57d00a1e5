"""How vendors' streams become assets: one declaration a vendor, one step that syncs what a run selects.

Belongs here: the declaration every `assets/raw/<vendor>.py` makes, and the step. Does not belong here: a
vendor's protocol (`resources/<vendor>`) or the loading itself (`ops_platform.ingestion`).

One step for all vendors, a thread each: vendors are different machines whose waits should overlap, and a
process per step would cost seconds of imports each. That a vendor is read by one run at a time is seen to where it
holds for every way in, in PostgreSQL (`ops_platform.ingestion.sync.sync_vendor`): a Dagster pool belongs to a whole
step, so one for all vendors would make a run for one wait for a run for another. A stream whose sync failed is
reported by its failing `synced` check and its receipt in `ops.sync_runs`, while the step goes on: the table is still
what the last good sync left, the numbers derived from it say since when they are unknown, and the pulse is sent all
the same.
"""

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Failure,
    FreshnessPolicy,
    MaterializeResult,
    multi_asset,
)

from assets.narrowed import narrowed
from ops_platform import clock, progress
from ops_platform.failures import OpsError, TransientFailure
from ops_platform.fleet import get_fleet
from ops_platform.ingestion.contract import Stream, SyncResult
from resources.postgres import WarehouseResource
from resources.vendor_clients import VendorsResource

SyncEvent = MaterializeResult[None] | AssetCheckResult
# Once in the company's day, with slack for a run that starts a little earlier than the day before's.
SWEEP_EVERY = timedelta(hours=20)


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor's streams as assets: who answers for them, and how people call it."""

    name: str
    label: str
    streams: dict[str, Stream]
    owner: str
    division: str

    def specs(self) -> list[AssetSpec]:
        return [
            AssetSpec(
                key=raw_key(stream),
                description=(
                    f"{stream.description} Raw {self.label} payloads in `raw_{self.name}.{stream.name}`, "
                    f"{stream.grain}."
                ),
                group_name="raw",
                owners=[f"team:{self.owner}"],
                tags={"bot": self.owner, "division": self.division, "vendor": self.name},
                kinds={self.name, "postgres"},
                freshness_policy=FreshnessPolicy.time_window(
                    fail_window=timedelta(hours=26), warn_window=timedelta(hours=25)
                ),
                metadata={
                    "dagster/table_name": f"warehouse.raw_{self.name}.{stream.name}",
                    **({"no_tie_out": stream.no_tie_out} if stream.no_tie_out else {}),
                },
            )
            for stream in self.streams.values()
        ]

    def checks(self) -> list[AssetCheckSpec]:
        return [
            AssetCheckSpec("synced", asset=raw_key(stream), description="The last sync read the source to its end.")
            for stream in self.streams.values()
        ] + [
            AssetCheckSpec(
                "ties_out", asset=raw_key(stream), description="Counts and sums agree with the vendor's own."
            )
            for stream in self.streams.values()
            if stream.ties_out
        ]


def raw_key(stream: Stream) -> AssetKey:
    """`raw/<vendor>/<stream>`: the same words as the table `raw_<vendor>.<stream>`."""
    return AssetKey(["raw", stream.vendor, stream.name])


def raw_assets(vendors: Sequence[Vendor]) -> AssetsDefinition:
    """All vendors' streams as one definition, of which a job takes what it needs."""
    declared = {vendor.name: list(vendor.streams.values()) for vendor in vendors}

    def raw(
        context: AssetExecutionContext, warehouse: WarehouseResource, vendors: VendorsResource
    ) -> Iterator[SyncEvent]:
        # In the order of declaration: small reference entities first, so that a cut run keeps them.
        selected = {
            name: [stream for stream in streams if raw_key(stream) in context.selected_asset_keys]
            for name, streams in declared.items()
        }
        selected = {name: streams for name, streams in selected.items() if streams}
        yield from sync_selected(context.run_id, selected, declared, warehouse, vendors)

    def part(name: str, specs: Sequence[AssetSpec], checks: Sequence[AssetCheckSpec]) -> AssetsDefinition:
        return multi_asset(name=name, specs=specs, check_specs=checks, can_subset=True)(raw)

    specs = [spec for vendor in vendors for spec in vendor.specs()]
    return narrowed(part("raw", specs, [check for vendor in vendors for check in vendor.checks()]), part)


def sync_selected(
    run_id: str,
    selected: dict[str, list[Stream]],
    declared: dict[str, list[Stream]],
    warehouse: WarehouseResource,
    vendors: VendorsResource,
) -> Iterator[SyncEvent]:
    """Sync vendors side by side and tell Dagster of each stream: a materialisation with the receipt, its checks.
    `declared` are all streams of each vendor."""
    if not selected:
        return
    events: queue.Queue[SyncEvent | None] = queue.Queue()

    def one_vendor(name: str) -> None:
        try:
            for event in _sync_vendor(run_id, name, selected[name], declared[name], warehouse, vendors):
                events.put(event)
        finally:
            events.put(None)

    with ThreadPoolExecutor(max_workers=len(selected), thread_name_prefix="sync") as pool:
        running = [pool.submit(one_vendor, name) for name in selected]
        for _ in running:
            while (event := events.get()) is not None:
                yield event
        for future in running:
            _end_of(future)


def _end_of(future: "Future[None]") -> None:
    """Raise what a vendor's thread raised: as a failure that Dagster does not try again, unless it may pass."""
    try:
        future.result()
    except TransientFailure:
        raise
    except OpsError as error:
        raise Failure(description=str(error), allow_retries=False) from error


def _sync_vendor(
    run_id: str,
    name: str,
    streams: list[Stream],
    declared: list[Stream],
    warehouse: WarehouseResource,
    vendors: VendorsResource,
) -> Iterator[SyncEvent]:
    from ops_platform.ingestion.connections import left_out, note_connection
    from ops_platform.ingestion.sync import sync_vendor

    now = clock.now()
    today = clock.business_day(now, get_fleet().company.timezone)
    try:
        source, problem = vendors.source(name), None
    except OpsError as error:
        source, problem = None, str(error)
    unread = left_out((stream.name for stream in declared), source) if source is not None else []
    with warehouse.connect() as connection:
        note_connection(
            connection, name, connected=source is not None, detail=problem, now=now, left_out=unread
        )  # fmt: skip
    if source is None:
        for stream in streams:
            yield from _not_connected(stream, problem or "no credentials are set", failed=problem is not None)
        return
    read = []
    for stream in streams:
        if stream.name in unread:
            yield from _not_connected(stream, "left out by the settings", failed=False)
        else:
            read.append(stream)
    results = sync_vendor(
        warehouse.connect, source, read, now=now, today=today, run_id=run_id, sweep_every=SWEEP_EVERY,
        progress=progress.report,
    )  # fmt: skip
    for stream, result in zip(read, results, strict=True):
        yield from _events(stream, result)


def _not_connected(stream: Stream, reason: str, *, failed: bool) -> Iterator[SyncEvent]:
    metadata = {"sync": "not connected", "reason": reason}
    yield MaterializeResult(asset_key=raw_key(stream), metadata=metadata)
    yield AssetCheckResult(
        check_name="synced", asset_key=raw_key(stream), passed=not failed, metadata=metadata,
        severity=AssetCheckSeverity.ERROR if failed else AssetCheckSeverity.WARN,
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
        "revived": result.revived,
        "sweep": result.sweep,
        "new_fields": ", ".join(result.new_fields),
        "api_cost": float(result.api_cost),
        "seconds": round(result.duration_seconds, 3),
        "cursor": result.cursor_after or result.cursor_before or "",
        "fresh_to": result.fresh_to.isoformat() if result.fresh_to else "",
    }
    if result.error or result.held:
        metadata["reason"] = "; ".join(part for part in (result.error, result.held) if part)
    yield MaterializeResult(asset_key=key, metadata=metadata)
    yield AssetCheckResult(
        check_name="synced", asset_key=key, metadata=metadata,
        passed=result.status == "succeeded" and result.sweep != "held",
        severity=AssetCheckSeverity.ERROR if result.status != "succeeded" else AssetCheckSeverity.WARN,
    )  # fmt: skip
    if stream.ties_out and result.status == "succeeded":
        yield AssetCheckResult(
            check_name="ties_out", asset_key=key, passed=result.tie_out == "matched",
            severity=AssetCheckSeverity.ERROR if result.tie_out == "mismatched" else AssetCheckSeverity.WARN,
            metadata={
                "verdict": result.tie_out,
                "days": len(result.touched_days),
                "read_again": ", ".join(map(str, result.reread_days)),
                "mended": ", ".join(map(str, result.mended_days)),
                "reason": result.error or "",
            },
        )  # fmt: skip

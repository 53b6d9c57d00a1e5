"""`ops sync`: bring vendors' raw tables up to date, outside any job.

Belongs here: choosing streams and showing receipts. Does not belong here: syncing itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import click

from ops_platform import clock, progress
from ops_platform.commands.terminal import Steps
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import get_fleet
from ops_platform.ingestion.contract import Stream, SyncResult
from ops_platform.settings import get_settings


def sync(names: Sequence[str], *, allow_shrink: bool, sweep: bool, as_json: bool) -> int:
    """Sync the vendors or `vendor.stream`s named (all connected ones when none are). Exit code 1 if any failed."""
    from ops_platform.commands.prepare import prepare_database
    from resources.vendors import VENDORS, source_of

    prepare_database()
    chosen = _chosen(names or list(VENDORS))
    settings = get_settings()
    sources = {}
    for vendor in chosen:
        source = source_of(vendor, settings)
        if source is None:
            if names:
                raise ConfigurationError(f"{vendor} is not connected: set its credentials (see .env.example)")
            click.echo(f"· {vendor}: not connected", err=True)
            continue
        sources[vendor] = source
    steps = Steps()
    now = clock.now()
    today = clock.business_day(now, get_fleet().company.timezone)

    def one_vendor(vendor: str) -> list[SyncResult]:
        from ops_platform.database import connect
        from ops_platform.ingestion.sync import sync_vendor

        return list(
            sync_vendor(
                connect, sources[vendor], chosen[vendor], now=now, today=today, allow_shrink=allow_shrink, sweep=sweep,
                progress=progress.report,
            )
        )  # fmt: skip

    with progress.listening(steps.detail), steps.step(f"sync {', '.join(sources) or 'nothing'}"):
        # Vendors are different machines: their waits overlap, in threads of this one process.
        with ThreadPoolExecutor(max_workers=max(len(sources), 1)) as pool:
            results = [result for batch in pool.map(one_vendor, sources) for result in batch]
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], default=str, indent=2))
    else:
        for result in results:
            _print(result)
    return int(any(result.status == "failed" for result in results))


def _chosen(names: Sequence[str]) -> dict[str, list[Stream]]:
    from resources.vendors import streams

    chosen: dict[str, list[Stream]] = {}
    for name in names:
        vendor, _, only = name.partition(".")
        known = streams(vendor)
        if only and only not in known:
            raise ConfigurationError(f"{vendor} has no stream {only!r}: choose among {', '.join(known)}")
        chosen.setdefault(vendor, []).extend([known[only]] if only else list(known.values()))
    return chosen


def _print(result: SyncResult) -> None:
    good = result.status == "succeeded" and result.tie_out != "mismatched"
    mark = click.style("✓", fg="green") if good else click.style("✗", fg="red")
    counts = (
        f"{result.received:,} received: {result.inserted:,} new, {result.updated:,} changed,"
        f" {result.unchanged + result.duplicates:,} same, {result.deleted:,} gone, {result.quarantined:,} quarantined"
    )
    verdict = {"matched": "; ties out", "mismatched": "; DOES NOT TIE OUT"}.get(result.tie_out, "")
    click.echo(f"{mark} {result.vendor}.{result.stream}  {counts}{verdict} ({result.duration_seconds:.1f} s)")
    if result.error:
        click.echo(f"  → {result.error}")

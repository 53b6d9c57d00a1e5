"""`ops sync`: bring vendors' raw tables up to date, outside any job.

Belongs here: choosing streams and showing receipts. Does not belong here: syncing itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from threading import Lock

import click

from ops_platform import clock, progress
from ops_platform.commands.safe_text import printable
from ops_platform.commands.terminal import Steps
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import get_fleet
from ops_platform.ingestion.contract import Stream, SyncResult
from ops_platform.settings import get_settings


def sync(names: Sequence[str], *, allow_shrink: bool, sweep: bool, as_json: bool) -> int:
    """Sync the vendors or `vendor.stream`s named (all connected ones when none are). Exit code 1 if any failed."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.ingestion.connections import left_out
    from resources.vendors import VENDORS, source_of, streams

    prepare_database()
    chosen = _chosen(names or list(VENDORS))
    settings = get_settings()
    sources = {}
    for vendor in chosen:
        source = source_of(vendor, settings)
        unread = left_out(streams(vendor), source) if source is not None else []
        _note(vendor, connected=source is not None, unread=unread)
        if source is None:
            if names:
                raise ConfigurationError(f"{vendor} is not connected: set its credentials (see .env.example)")
            click.echo(f"· {vendor}: not connected", err=True)
            continue
        for stream in unread:
            if f"{vendor}.{stream}" in names:
                raise ConfigurationError(f"{vendor}.{stream} is left out by the settings: see docs/connect/{vendor}.md")
        chosen[vendor] = [stream for stream in chosen[vendor] if stream.name not in unread]
        sources[vendor] = source
    if allow_shrink and not names:
        raise click.UsageError("--allow-shrink approves what is named: ops sync VENDOR.STREAM --allow-shrink")
    steps = Steps()
    now = clock.now()
    today = clock.business_day(now, get_fleet().company.timezone)
    printing = Lock()

    def one_vendor(vendor: str) -> list[SyncResult]:
        from ops_platform.database import connect
        from ops_platform.ingestion.sync import sync_vendor

        results = []
        for result in sync_vendor(
            connect, sources[vendor], chosen[vendor], now=now, today=today, allow_shrink=allow_shrink, sweep=sweep,
            progress=progress.report,
        ):  # fmt: skip
            results.append(result)
            if not as_json:
                # Each stream as it ends: vendors side by side, in the order in which they are done.
                with printing, steps.aside():
                    _print(result)
        return results

    with progress.listening(steps.detail), steps.step(f"sync {', '.join(sources) or 'nothing'}"):
        # Vendors are different machines: their waits overlap, in threads of this one process.
        with ThreadPoolExecutor(max_workers=max(len(sources), 1)) as pool:
            results = [result for batch in pool.map(one_vendor, sources) for result in batch]
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], default=str, indent=2))
    return int(any(result.status != "succeeded" or result.sweep == "held" for result in results))


def _note(vendor: str, *, connected: bool, unread: Sequence[str]) -> None:
    from ops_platform.database import connect
    from ops_platform.ingestion.connections import note_connection

    with connect() as connection:
        note_connection(connection, vendor, connected=connected, detail=None, now=clock.now(), left_out=unread)


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
    good = result.status == "succeeded" and result.tie_out != "mismatched" and result.sweep != "held"
    mark = click.style("✓", fg="green") if good else click.style("✗", fg="red")
    if result.status == "paused":
        mark = click.style("‖", fg="red")
    counts = (
        f"{result.received:,} received: {result.inserted:,} new, {result.updated:,} changed,"
        f" {result.unchanged + result.duplicates:,} same, {result.deleted:,} gone, {result.quarantined:,} quarantined"
    )
    if result.revived:
        counts += f", {result.revived:,} back"
    verdict = {"matched": "; ties out", "mismatched": "; DOES NOT TIE OUT"}.get(result.tie_out, "")
    click.echo(f"{mark} {result.vendor}.{result.stream}  {counts}{verdict} ({result.duration_seconds:.1f} s)")
    for said in (result.error, result.held):
        if said:
            click.echo(f"  → {printable(said)}")
    if result.reread_days:
        mended = f"{len(result.mended_days)} of them tie out now" if result.mended_days else "none ties out now"
        click.echo(f"  · did not tie out and were read again: {', '.join(map(str, result.reread_days))}; {mended}")
    if result.new_fields:
        click.echo(f"  · new fields, kept: {printable(', '.join(result.new_fields[:8]))}")

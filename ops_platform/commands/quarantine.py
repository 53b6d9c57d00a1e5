"""`ops quarantine`: the records that could not be landed, and trying them again.

Belongs here: showing them safely, and what became of a retry. Does not belong here: checks and landing
(`ops_platform.ingestion`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from ops_platform import clock
from ops_platform.commands.safe_text import printable, secrets_of_settings, shown_payload, without_secrets
from ops_platform.failures import ConfigurationError, DataFailure, OpsError


def _prepared() -> None:
    from ops_platform.commands.prepare import prepare_database

    prepare_database()


def _names(vendor: str | None, stream: str | None) -> tuple[str | None, str | None]:
    """`vendor`, `stream` or `--stream vendor.stream`, checked against what there is."""
    from resources.vendors import streams

    if stream is not None and "." in stream:
        vendor, _, stream = stream.partition(".")
    if stream is not None and vendor is None:
        raise ConfigurationError(f"say whose stream {stream!r} is: --vendor NAME, or --stream VENDOR.{stream}")
    if vendor is not None and stream is not None and stream not in streams(vendor):
        raise ConfigurationError(f"{vendor} has no stream {stream!r}: choose among {', '.join(streams(vendor))}")
    if vendor is not None:
        streams(vendor)
    return vendor, stream


def show_list(
    *, vendor: str | None, stream: str | None, reason: str | None, everything: bool, limit: int, as_json: bool
) -> int:
    """What waits: counts by stream and reason, and the latest records."""
    from ops_platform.database import connect
    from ops_platform.ingestion import quarantine

    vendor, stream = _names(vendor, stream)
    _prepared()
    with connect() as connection:
        counted = quarantine.counts(connection, vendor=vendor, stream=stream)
        found = quarantine.find(
            connection, vendor=vendor, stream=stream, reason=reason, resolved=everything, limit=limit
        )
    counted = [row for row in counted if reason is None or row[2] == reason]
    waiting = sum(row[3] for row in counted)
    if as_json:
        entries = [{key: value for key, value in asdict(item).items() if key != "raw"} for item in found]
        summary = [dict(zip(("vendor", "stream", "reason", "count"), row, strict=True)) for row in counted]
        click.echo(json.dumps({"waiting": waiting, "counts": summary, "entries": entries}, default=str, indent=2))
        return 0
    if not waiting and not found:
        click.echo("nothing is in quarantine")
        return 0
    for row in counted:
        click.echo(f"{row[3]:>7,}  {row[0]}.{row[1]}  {printable(row[2])}")
    secrets = secrets_of_settings()
    for item in found:
        name = printable(item.record_id) if item.record_id is not None else "without id"
        ended = f"  ({item.resolution or 'resolved'} {item.resolved_at:%F})" if item.resolved_at else ""
        detail = printable(without_secrets(item.detail, secrets))
        click.echo(
            f"\n#{item.id}  {item.vendor}.{item.stream}  {name}{ended}\n    {printable(item.reason)}: {detail[:300]}\n"
            f"    seen {item.first_seen_at:%F %H:%M} to {item.last_seen_at:%F %H:%M} UTC, {item.size:,} bytes"
        )
    if waiting > len(found):
        click.echo(f"\n{len(found)} of {waiting:,} shown: --limit shows more")
    click.echo("\n`ops quarantine show NUMBER` prints one; `ops quarantine retry` checks them again")
    return 0


def show_one(which: str, *, full: bool, as_json: bool) -> int:
    """One entry, or every version of one record, with its payload."""
    from ops_platform.database import connect
    from ops_platform.ingestion import quarantine

    _prepared()
    with connect() as connection:
        found = quarantine.find(connection, which=which.removeprefix("#"), resolved=True, with_raw=True)
    if not found:
        raise DataFailure(f"nothing in quarantine has the number or id {printable(which)}: `ops quarantine list`")
    secrets = secrets_of_settings()
    longest = 1 << 30 if full else 20_000
    if as_json:
        entries: list[dict[str, Any]] = []
        for item in found:
            entry = asdict(item)
            entry["raw"] = shown_payload(str(item.raw), secrets, longest)
            entry["detail"] = without_secrets(item.detail, secrets)
            entries.append(entry)
        click.echo(json.dumps(entries, default=str, indent=2))
        return 0
    for item in found:
        state = f"{item.resolution or 'resolved'} {item.resolved_at:%F %H:%M} UTC" if item.resolved_at else "waits"
        click.echo(f"#{item.id}  {item.vendor}.{item.stream}  {printable(item.record_id or 'without id')}  ({state})")
        click.echo(f"{printable(item.reason)}: {printable(without_secrets(item.detail, secrets))}")
        click.echo(f"seen {item.first_seen_at:%F %H:%M} to {item.last_seen_at:%F %H:%M} UTC, {item.size:,} bytes\n")
        click.echo(shown_payload(str(item.raw), secrets, longest) + "\n")
    return 0


def retry(*, vendor: str | None, stream: str | None, reason: str | None, which: str | None, as_json: bool) -> int:
    """Check again what waits, land what passes, say what remains. Exit code 1 when something could not be tried."""
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.ingestion import quarantine, quarantine_retry
    from ops_platform.settings import get_settings
    from resources.vendors import VENDORS, source_of

    vendor, stream = _names(vendor, stream)
    _prepared()
    now = clock.now()
    today = clock.business_day(now, get_fleet().company.timezone)
    number = which.removeprefix("#") if which is not None else None
    results: list[quarantine_retry.RetryResult] = []
    with connect(autocommit=True) as connection:
        waiting: dict[str, dict[str, int]] = {}
        for entry in quarantine.find(connection, vendor=vendor, stream=stream, reason=reason, which=number):
            streams = waiting.setdefault(entry.vendor, {})
            streams[entry.stream] = streams.get(entry.stream, 0) + 1
        for name, streams in waiting.items():
            problem: str | None = None
            source = None
            try:
                source = source_of(name, get_settings()) if name in VENDORS else None
                if source is None:
                    problem = f"{name} is not connected: its checks need its credentials (see .env.example)"
            except OpsError as error:
                problem = str(error)
            for one, count in streams.items():
                if source is None or one not in source.streams:
                    said = problem or f"{name} has no stream {one} any more"
                    results.append(
                        quarantine_retry.RetryResult(name, one, "failed", count, remaining=count, error=said)
                    )
                    continue
                results.append(
                    quarantine_retry.retry(
                        connection, source, source.streams[one], now=now, today=today, reason=reason, which=number
                    )
                )
            if source is not None:
                source.close()
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2))
    elif not results:
        click.echo("nothing to try: the quarantine is empty")
    else:
        for result in results:
            _print(result)
    return int(any(result.status != "succeeded" for result in results))


def _print(result: Any) -> None:
    mark = click.style("✓", fg="green") if result.status == "succeeded" else click.style("✗", fg="red")
    click.echo(
        f"{mark} {result.vendor}.{result.stream}  {result.tried:,} tried: {result.landed:,} landed, "
        f"{result.superseded:,} overtaken by newer ones, {result.remaining:,} remain"
    )
    for reason, count in result.reasons.items():
        click.echo(f"  {count:>7,}  {printable(reason)}")
    if result.error:
        click.echo(f"  → {printable(result.error)}")

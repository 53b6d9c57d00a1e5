"""`ops receipts`: what every run looked at and said, and what a week of silence covered.

Belongs here: showing receipts. Does not belong here: writing them (`ops_platform.alerts.receipts`, in the runs).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from ops_platform import clock
from ops_platform.failures import ConfigurationError

if TYPE_CHECKING:
    from ops_platform.alerts.receipts import Receipt

_SIGNS = {"succeeded": ("✓", "green"), "failed": ("✗", "red"), "running": ("…", "yellow")}


def show(*, job: str | None, since: date | None, limit: int, week: bool, as_json: bool) -> int:
    """Print receipts, the newest first, or what the last seven days covered."""
    from ops_platform.alerts import receipts
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    fleet = get_fleet()
    zone = fleet.company.timezone
    prepare_database()
    if week:
        return _week(since, as_json=as_json)
    start = None if since is None else clock.day_bounds(since, zone)[0]
    with connect() as connection:
        known = {name for (name,) in connection.execute("select distinct job from ops.receipts")} | set(fleet.jobs)
        if job is not None and job not in known:
            raise ConfigurationError(f"there is no job {job!r}: choose among {', '.join(sorted(known))}")
        found = receipts.receipts(connection, job=job, since=start, limit=limit)
    if as_json:
        click.echo(json.dumps([asdict(receipt) for receipt in found], default=_plain, indent=2))
        return 0
    if not found:
        click.echo("no receipts: nothing has run" + (f" ({job})" if job else ""))
        return 0
    for receipt in found:
        _print(receipt, ZoneInfo(zone))
    click.echo("\n`ops receipts --week` says what silence covered")
    return 0


def _print(receipt: Receipt, zone: ZoneInfo) -> None:
    from ops_platform.alerts.receipts import HELD
    from ops_platform.commands.safe_text import printable

    sign, colour = _SIGNS[receipt.status]
    at = receipt.as_of.astimezone(zone)
    said = "silent" if receipt.silent else f"{receipt.messages} message{'' if receipt.messages == 1 else 's'}"
    if receipt.messages == 0 and receipt.held and not receipt.silent:
        said = "held back"
    if receipt.status != "succeeded" and receipt.messages == 0:
        said = receipt.status
    head = f"{click.style(sign, fg=colour)} {at:%a %d %b %H:%M}  {receipt.job:<24} {said}"
    if receipt.checked is None:
        looked = "did not come to look"
    else:
        looked = f"{receipt.checked} checked, {receipt.breached} out of order"
        if receipt.unknown:
            looked += f", {receipt.unknown} unknown"
        if receipt.closest is not None and receipt.closeness is not None:
            looked += f"; closest {printable(receipt.closest)} at {100 * receipt.closeness:.0f}% of its limit"
    if receipt.status == "running":
        looked = ""
    click.echo("  ".join(part for part in (head, looked) if part))
    if receipt.status == "succeeded":
        fresh = "unknown" if receipt.fresh_to is None else f"{receipt.fresh_to.astimezone(zone):%a %d %b %H:%M}"
        stale = f"; out of date: {', '.join(receipt.stale)}" if receipt.stale else ""
        click.echo(f"    every source whole to {fresh}{stale}")
    if receipt.held:
        back = ", ".join(f"{number} {HELD.get(why, why)}" for why, number in sorted(receipt.held.items()))
        click.echo(f"    held back: {back}")
    if receipt.error:
        by = " (written for it: the run could not)" if receipt.noted_by == "sensor" else ""
        click.echo(f"    {printable(receipt.error)}{by}")


def _week(end: date | None, *, as_json: bool) -> int:
    """The seven days that end yesterday (or begin with `--since`)."""
    from ops_platform.alerts import receipts
    from ops_platform.database import connect
    from ops_platform.documents.model import plain
    from ops_platform.documents.silence import silence_line
    from ops_platform.evidence.model import Bundle, CompanyProfile, Period
    from ops_platform.fleet import get_fleet

    company = get_fleet().company
    now = clock.now()
    yesterday = clock.business_day(now, company.timezone) - timedelta(days=1)
    first, last = receipts.week_of(yesterday) if end is None else (end, end + timedelta(days=6))
    bounds = clock.day_bounds(first, company.timezone)[0], clock.day_bounds(last, company.timezone)[1]
    with connect() as connection:
        covered = receipts.covered(connection, *bounds, ZoneInfo(company.timezone))
    if as_json:
        click.echo(json.dumps({"from": first, "to": last, **asdict(covered)}, default=_plain, indent=2))
        return 0
    period = Period(first, last, f"{first} to {last}")
    profile = CompanyProfile(company.name, company.timezone, company.currency)
    bundle = Bundle("silence", period, now, profile, receipts.facts_of(covered, period))
    click.echo(plain(silence_line(bundle)))
    return 0


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)

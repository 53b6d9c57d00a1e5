"""What `ops status` says of the machine's work: health, jobs, tokens, what waits, backups, disk.

Belongs here: one look at each, as findings. Does not belong here: services and sources (`status.py`), the score
(`ops_platform.fleet.health`), alarms (`deploy/watchdog.sh`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.commands.findings import Finding

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.fleet.health import Score
    from ops_platform.settings import Settings

#: Below these shares of the disk free.
DISK_LOW, DISK_OUT = 10, 3
#: Older is no score of now.
SCORE_LATEST = timedelta(minutes=90)
WATCHDOG_LATEST = timedelta(minutes=40)
BACKUP_LATEST = timedelta(hours=26)
_LAST = """
select distinct on (job) job, status, started_at, error from ops.receipts
where job = any(%s) order by job, started_at desc, id desc
"""
_WAITING = """
select count(*), min(due_at), (array_agg(title order by due_at))[1] from ops.approvals where state = 'draft'
"""
_SIZES = (
    "select datname, pg_database_size(datname) from pg_database where datname in ('warehouse', 'dagster') order by 1"
)
_FAILED_APPROVALS = "select count(*) from ops.approvals where state in ('approved', 'failed')"
_MESSAGES = """
select state, count(*), min(updated_at) from ops.outbox
where state <> 'sent' or sent_at > %s group by state order by state
"""


def health_findings(connection: psycopg.Connection[Any], now: datetime) -> list[Finding]:
    """The newest score, what it loses most by, and what moved it."""
    from ops_platform.fleet.health_history import newest

    found = newest(connection, now)
    if not found:
        return [Finding("fleet health", "", "warning", "never computed", "`ops run fleet_health`")]
    return [health_finding(found[0], now)]


def health_finding(score: Score, now: datetime) -> Finding:
    """A score in a line: value, band, bounds where something is unknown; the change and its parts."""
    if score.score is None:
        return Finding("fleet health", "", "warning", "unknown: nothing of it was ever known")
    said = f"{score.score:.0f} of 100, {score.band}"
    if score.high - score.low >= Decimal("0.5"):
        said += f" (between {score.low:.0f} and {score.high:.0f}: {_names(score)} unknown)"
    if score.change:
        parts = ", ".join(f"{part.label.lower()} {part.change:+.1f}" for part in score.foremost()[:3])
        said += f"; {score.change:+.1f} since the last: {parts}"
    lost = "; ".join(
        f"{part.label.lower()} {part.contribution - part.weight:.1f}: {part.detail}" for part in score.lost()[:3]
    )
    old = now - score.at > SCORE_LATEST
    if old:
        said = f"not computed since {score.at:%F %H:%M} UTC; was {said}"
    state = "warning" if old or score.band == "fair" else "ok" if score.band == "healthy" else "failed"
    return Finding("fleet health", "", state, said, lost)


def health_as_data(connection: psycopg.Connection[Any], now: datetime) -> dict[str, Any]:
    """The newest score with every factor, exact, for a script."""
    from ops_platform.fleet.health_history import newest

    found = newest(connection, now)
    if not found:
        return {"health": None}
    score = found[0]
    return {
        "health": {
            "at": score.at.isoformat(), "score": _text(score.score), "low": _text(score.low),
            "high": _text(score.high), "band": score.band, "version": score.version, "change": _text(score.change),
            "factors": [
                {
                    "factor": part.factor, "weight": _text(part.weight), "attainment": _text(part.attainment),
                    "contribution": _text(part.contribution), "change": _text(part.change), "known": part.known,
                    "unknown_since": part.unknown_since and part.unknown_since.isoformat(), "detail": part.detail,
                }
                for part in score.parts
            ],
        }
    }  # fmt: skip


def _text(number: Decimal | None) -> str | None:
    """Without the zeros that exactness leaves at the end."""
    return None if number is None else f"{number.normalize():f}"


def _names(score: Score) -> str:
    unknown = [part.label.lower() for part in score.parts if not part.known]
    return ", ".join(unknown) if unknown else "a part is"


def job_findings(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime, production: bool) -> list[Finding]:
    """One line a bot: its last run, its next tick, and every job of it that failed or did not run."""
    rows = connection.execute(_LAST, (list(fleet.jobs),)).fetchall()
    last = {job: (status, started, error) for job, status, started, error in rows}
    missed = _missed(connection, fleet, now) if production else {}
    crons, zone = fleet.scheduled(), fleet.company.timezone
    findings = []
    for bot, entry in fleet.bots.items():
        mine = [name for name, job in fleet.jobs.items() if job.bot == bot]
        if not mine:
            continue
        ran = sorted(((last[name][1], name) for name in mine if name in last), reverse=True)
        said = f"{len(mine)} jobs"
        said += f"; last {ran[0][1]} {_at(ran[0][0], now, zone)}, {last[ran[0][1]][0]}" if ran else "; none has run"
        ahead = sorted((_next(crons[name], zone, now), name) for name in mine if name in crons) if production else []
        said += f"; next {ahead[0][1]} {_at(ahead[0][0], now, zone)}" if ahead else "; on no schedule here"
        broken = [f"{name}: {_short(last[name][2])}" for name in mine if name in last and last[name][0] == "failed"]
        absent = [
            f"{name}: {missed[name]} due run(s) of the last day did not happen" for name in mine if name in missed
        ]
        state = "failed" if broken else "warning" if absent or not ran else "ok"
        findings.append(Finding(entry.label, "", state, said, "; ".join([*broken, *absent])))
    return findings


def jobs_as_data(
    connection: psycopg.Connection[Any], fleet: Fleet, now: datetime, production: bool
) -> list[dict[str, Any]]:
    """Every job with its last run and its next tick, for a script."""
    last = {row[0]: row[1:] for row in connection.execute(_LAST, (list(fleet.jobs),)).fetchall()}
    crons, zone = fleet.scheduled(), fleet.company.timezone
    found = []
    for name, job in fleet.jobs.items():
        status, started, error = last.get(name, (None, None, None))
        ahead = _next(crons[name], zone, now) if production and name in crons else None
        found.append(
            {
                "job": name, "bot": job.bot, "cron": job.cron, "last": status,
                "last_at": started and started.isoformat(), "error": error, "next_at": ahead and ahead.isoformat(),
            }
        )  # fmt: skip
    return found


def _missed(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> dict[str, int]:
    from collections import Counter

    from ops_platform.fleet.expected import answered

    patience = timedelta(minutes=fleet.health.patience_minutes)
    ticks = answered(connection, now - timedelta(days=1), now, now, patience)
    return dict(Counter(tick.job for tick in ticks if tick.verdict == "missed"))


def _next(cron: str, zone: str, now: datetime) -> datetime:
    from ops_platform.fleet.expected import next_tick

    return next_tick(cron, zone, now)


def _at(moment: datetime, now: datetime, zone: str) -> str:
    """In the company's time: the hour today, with the day otherwise."""
    here, today = moment.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    return f"{here:%H:%M}" if here.date() == today.date() else f"{here:%a %d %b %H:%M}"


def _short(error: str | None) -> str:
    text = " ".join((error or "failed").split())
    return text if len(text) <= 100 else f"{text[:99]}…"


def token_finding(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> Finding:
    """Tokens of the business day, of the fleet's bound."""
    from ops_platform.clock import business_day
    from ops_platform.database import connect
    from ops_platform.writing.budget import TokenBudget

    cycle = business_day(now, fleet.company.timezone).isoformat()
    use = TokenBudget.of(fleet, connect).use(cycle)
    share = 100 * use.used / use.limit if use.limit else 0
    said = f"{use.used:,} of {use.limit:,} tokens today ({share:.0f}%), {use.cost_usd:.4f} USD"
    if use.by_bot:
        said += f"; {', '.join(f'{bot} {tokens:,}' for bot, tokens in use.by_bot.items())}"
    state = "failed" if share >= 100 else "warning" if share >= 80 else "ok"
    return Finding("budget", "", state, said, "further documents are written by rules" if share >= 100 else "")


def waiting_findings(connection: psycopg.Connection[Any], now: datetime) -> list[Finding]:
    """What waits for a person's word, and for the vendor's."""
    count, due, title = connection.execute(_WAITING.encode()).fetchone() or (0, None, None)
    findings = []
    if count:
        overdue = due is not None and due <= now
        said = f"{count} wait for a person's word, first by {due:%F %H:%M} UTC: {title}"
        findings.append(Finding("approvals", "", "warning" if overdue else "ok", said, "`ops approval list`"))
    else:
        findings.append(Finding("approvals", "", "ok", "nothing waits for a person's word"))
    undone = connection.execute(_FAILED_APPROVALS.encode()).fetchone()
    if undone and undone[0]:
        findings.append(
            Finding("approvals", "undone", "warning", f"{undone[0]} approved and not done", "`ops approval list`")
        )
    counts = {
        state: (number, oldest)
        for state, number, oldest in connection.execute(_MESSAGES, (now - timedelta(days=1),)).fetchall()
    }
    said = f"{counts.get('sent', (0, None))[0]} sent in the last day"
    troubled = [f"{number} {state}" for state, (number, _) in counts.items() if state != "sent"]
    bad = any(state in counts for state in ("held", "failed"))
    said += f"; {', '.join(troubled)}" if troubled else ", none waits"
    findings.append(Finding("messages", "", "warning" if bad else "ok", said, "`ops outbox list`" if troubled else ""))
    return findings


def machine_findings(
    connection: psycopg.Connection[Any], fleet: Fleet, settings: Settings, now: datetime
) -> Iterator[Finding]:
    """Backups, disk, the databases' size, the watchdog's last look. `now` is the machine's clock."""
    yield backup_finding(settings, now)
    for place in dict.fromkeys((settings.ops_home, settings.backups_directory)):
        if place.exists() and (place == settings.ops_home or _device(place) != _device(settings.ops_home)):
            yield disk_finding(place)
    sizes = connection.execute(_SIZES).fetchall()
    gigabytes = Decimal(sum(size for _, size in sizes)) / 10**9
    said = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in sizes)
    limit = fleet.health.database_limit_gb
    state, advice = ("warning", "health.retention in fleet.yaml") if gigabytes >= limit else ("ok", "")
    yield Finding("database size", "", state, f"{said} (limit {limit} GB)", advice)
    yield watchdog_finding(settings, now)


def backup_finding(settings: Settings, now: datetime) -> Finding:
    """The newest whole backup, its age, and whether it was ever restored to prove it."""
    from ops_platform.backup.manifest import backups_in

    found = backups_in(settings.backups_directory)
    if not found:
        state = "warning" if settings.production else "not connected"
        return Finding("backup", "", state, f"none in {settings.backups_directory}", "`ops backup`")
    newest = found[0]
    said = f"{newest.at:%F %H:%M} UTC, {newest.size / 1e6:,.1f} MB, {len(found)} kept"
    if newest.drill is not None:
        said += ", restored to prove it" if newest.drill.get("equal") else ", NOT restorable as it was"
    bad = now - newest.at > BACKUP_LATEST or (newest.drill is not None and not newest.drill.get("equal"))
    return Finding("backup", "", "warning" if bad else "ok", said, "`ops backup`" if bad else "")


def disk_finding(place: Path) -> Finding:
    usage = shutil.disk_usage(place)
    share = 100 * usage.free // max(usage.total, 1)
    said = f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.1f} ({share}%) under {place}"
    state = "failed" if share < DISK_OUT else "warning" if share < DISK_LOW else "ok"
    return Finding("disk", "", state, said, "at nothing the database stops" if share < DISK_LOW else "")


def watchdog_finding(settings: Settings, now: datetime) -> Finding:
    """When the watchdog looked last, and what it has told and not taken back."""
    from ops_platform.fleet.observations import folder, read

    looks = [each.at for each in read(settings.ops_home) if each.observer == "watchdog"]
    if not looks:
        state = "warning" if settings.production else "not connected"
        return Finding(
            "watchdog", "", state, "has never looked", "deploy/watchdog.sh every 15 minutes (docs/watchdog.md)"
        )
    told = folder(settings.ops_home) / "told"
    try:
        lines = told.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    open_ones = [fields[4] for line in lines if len(fields := line.split("\t")) == 5 and not line.startswith("@")]
    said = f"looked at {looks[-1]:%F %H:%M} UTC; " + (
        f"{len(open_ones)} told and not over" if open_ones else "all well"
    )
    late = now - looks[-1] > WATCHDOG_LATEST
    words = "; ".join(_short(each) for each in open_ones[:3])
    return Finding("watchdog", "", "warning" if late or open_ones else "ok", said, words)


def _device(place: Path) -> int:
    return os.stat(place).st_dev

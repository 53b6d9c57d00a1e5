"""`ops job list|show|preview`: what jobs there are and what they would say.

Belongs here: reading the fleet, the receipts and the warehouse for a person. Does not belong here: running a job
(`runs.py`), what jobs make (assets).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from ops_platform import clock
from ops_platform.failures import ConfigurationError
from ops_platform.fleet import Fleet, Job, get_fleet

if TYPE_CHECKING:
    from ops_platform.documents.model import Document

_LAST = """
select distinct on (job) job, status, started_at, as_of, messages, held, checked, error
from ops.receipts where job = any(%s) order by job, started_at desc, id desc
"""
_NEXT_WITHIN = timedelta(days=40)


def list_jobs(*, bot: str | None, as_json: bool) -> int:
    """Every job of the fleet (of `bot`), a line each."""
    fleet = get_fleet()
    if bot is not None and bot not in fleet.bots:
        raise ConfigurationError(f"there is no bot {bot!r}: choose among {', '.join(fleet.bots)}")
    chosen = {name: job for name, job in fleet.jobs.items() if bot in (None, job.bot)}
    last = _last_runs(list(chosen))
    rows = [_about(fleet, name, job, last.get(name)) for name, job in chosen.items()]
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return 0
    width = max((len(name) for name in chosen), default=0)
    for row in rows:
        when = row["next"] or ("on change" if row["event"] else "")
        ended = row["last"]["ended"] if row["last"] else "never ran"
        click.echo(f"{row['job']:<{width}}  {row['bot']:<11}  {when:<17}  {ended:<34}  {row['says']}")
    click.echo(f"{len(rows)} jobs. `ops job show NAME` says what one reads; `ops job preview NAME` what it would say.")
    return 0


def show_job(name: str, *, as_json: bool) -> int:
    """One job whole."""
    from assets.briefings import reads
    from assets.collecting import gathers
    from ops_platform.fleet.ticks import ticks_between

    fleet, job = get_fleet(), _job(name)
    found = _about(fleet, name, job, _last_runs([name]).get(name))
    found["reads"] = [key.to_user_string().replace("/", ".") for key in reads(job)]
    found["collects"] = gathers(job)
    now, zone = clock.now(), ZoneInfo(fleet.company.timezone)
    ticks = [] if job.cron is None else ticks_between(job.cron, str(zone), now, now + _NEXT_WITHIN)
    found["next_ticks"] = [_moment(tick, zone) for tick in ticks[:3]]
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
        return 0
    click.echo(f"{name} — {job.description}")
    rows = {
        "bot": job.bot, "due": job.cron or "when what it reads is published anew",
        "next": ", ".join(found["next_ticks"]), "says": found["says"],
        "reads": ", ".join(found["reads"]) or "–", "collects": found["collects"],
        "written by": f"a model, up to {job.token_budget:,} tokens a day" if job.token_budget else "rules, no tokens",
        "at most": f"{job.max_runtime_minutes} minutes",
        "last run": found["last"]["ended"] if found["last"] else "never",
    }  # fmt: skip
    for label, text in rows.items():
        if text:
            click.echo(f"  {label:<11} {text}")
    return 0


def preview_job(name: str, *, shape: str, everything: bool) -> int:
    """What the job would say now, by rules, in the shape asked for; that it would be silent is said, too."""
    from ops_platform.commands.prepare import prepare_database

    job = _job(name)
    if job.report is None:
        raise ConfigurationError(f"{name} has no report to preview: it makes {job.kind or 'nothing but fresh data'}")
    prepare_database()
    document, silent, looked = composed(name, everything=everything)
    click.echo(rendered(document, shape))
    if silent:
        said = f"Silent: {looked} things looked at, no reason to speak. This is what it saw."
        click.secho(said, fg="yellow", err=True)
    return 0


def composed(name: str, *, everything: bool = False) -> tuple[Document, bool, int]:
    """The job's report from the warehouse as it stands, by rules; whether it would be silent; how much it looked at."""
    from assets.briefings import gathered, looks_of
    from ops_platform.documents.kinds import compose
    from ops_platform.evidence.briefing import speaks
    from ops_platform.writing.briefs import brief_for
    from ops_platform.writing.rules import RulesWriter
    from resources.postgres import WarehouseResource

    bundle = gathered(WarehouseResource(), get_fleet(), name, forgetting=everything)
    document = compose(bundle, RulesWriter().write(bundle, brief_for(bundle)))
    return document, not speaks(bundle), looks_of(bundle).checked


def rendered(document: Document, shape: str) -> str:
    """The document in one of the shapes of the command line."""
    from ops_platform.commands.pulse import render_terminal
    from ops_platform.documents import html, markdown, slack
    from ops_platform.documents.kinds import messages_of

    if shape == "terminal":
        return render_terminal(document)
    if shape == "markdown":
        return markdown.render(document)
    if shape == "html":
        return html.render(document)
    payloads = [message.payload() for part in messages_of(document) for message in slack.render(part)]
    return json.dumps(payloads, ensure_ascii=False, indent=2)


def _job(name: str) -> Job:
    fleet = get_fleet()
    if name not in fleet.jobs:
        raise ConfigurationError(f"there is no job {name!r}: choose among {', '.join(fleet.jobs)}")
    return fleet.jobs[name]


def _last_runs(names: list[str]) -> dict[str, dict[str, Any]]:
    """The newest receipt of each job; nothing where there is no database yet."""
    import psycopg
    from psycopg.rows import dict_row

    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect

    prepare_database()
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        try:
            return {row["job"]: row for row in cursor.execute(_LAST.encode(), (names,)).fetchall()}
        except psycopg.errors.UndefinedTable:
            return {}


def _about(fleet: Fleet, name: str, job: Job, last: dict[str, Any] | None) -> dict[str, Any]:
    from ops_platform.fleet.ticks import ticks_between

    zone, now = ZoneInfo(fleet.company.timezone), clock.now()
    due = [] if job.cron is None else ticks_between(job.cron, str(zone), now, now + _NEXT_WITHIN)[:1]
    return {
        "job": name, "bot": job.bot, "cron": job.cron, "event": job.event,
        "channel": job.channel if job.posts else None,
        "next": _moment(due[0], zone) if due else "", "says": _says(job), "description": job.description,
        "token_budget": job.token_budget, "last": None if last is None else _ended(last, zone),
    }  # fmt: skip


def _says(job: Job) -> str:
    """When it speaks, in words."""
    if not job.posts:
        return "no message"
    where = f"to {job.channel}"
    if job.always:
        return f"always, {where}"
    if job.report is None:
        return f"{where}, else silent"
    words = []
    for condition in job.report.speak_when:
        if condition.news:
            words.append("a division has news")
        elif condition.metric:
            limit = condition.limit()
            words.append(f"{condition.metric} {limit[0].replace('_', ' ')} {limit[1]}" if limit else condition.metric)
        else:
            name = condition.new or condition.rows or ""
            listing = next(each for each in job.report.listings() if each.name == name)
            words.append(f"new {listing.many}" if condition.new else listing.many)
    return f"{' or '.join(words)}, {where}"


def _ended(row: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    at = _moment(row["as_of"], zone)
    if row["status"] == "failed":
        ended = f"✗ {at} failed"
    elif row["status"] == "running":
        ended = f"… {at} running"
    elif row["messages"]:
        ended = f"✓ {at} {row['messages']} message{'' if row['messages'] == 1 else 's'}"
    else:
        ended = f"✓ {at} {'held' if row['held'] else 'silent'}, {row['checked'] or 0} looked at"
    return {"ended": ended, "status": row["status"], "messages": row["messages"], "error": row["error"]}


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %d %b %H:%M}"

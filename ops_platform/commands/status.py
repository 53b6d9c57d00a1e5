"""`ops status`: what is well, what is not, and what to do about it.

Belongs here: gathering and showing state. Does not belong here: changing it, asking the vendors (`doctor.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ops_platform import clock
from ops_platform.commands.safe_text import printable

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report. `state` is ok, warning, failed, paused or not connected; `advice` says what to do.
    `streams` cannot be read and `metrics` are unknown while it is not well; `seconds` is how long the check took."""

    subject: str
    check: str
    state: str
    detail: str
    advice: str = ""
    streams: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    seconds: float | None = None


_MARKS = {
    "ok": ("✓", "green"), "warning": ("⚠", "yellow"), "failed": ("✗", "red"), "paused": ("‖", "red"),
    "not connected": ("·", "white"),
}  # fmt: skip
METRICS_SHOWN = 6


def show(findings: list[Finding], *, as_json: bool) -> int:
    """Print findings; the exit code is 1 when something failed."""
    failed = any(finding.state in ("failed", "paused") for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
        return int(failed)
    width = max((len(f"{finding.subject} {finding.check}") for finding in findings), default=0)
    for finding in findings:
        mark, color = _MARKS[finding.state]
        name = f"{finding.subject} {finding.check}".ljust(width)
        click.echo(f"{click.style(mark, fg=color)} {name}  {printable(finding.detail)}")
        if finding.advice:
            click.echo(f"  {' ' * width}  → {printable(finding.advice)}")
        if finding.metrics:
            more = len(finding.metrics) - METRICS_SHOWN
            names = ", ".join(finding.metrics[:METRICS_SHOWN]) + (f" and {more} more" if more > 0 else "")
            click.echo(f"  {' ' * width}  lost without it: {names}")
        elif finding.streams and finding.state not in ("ok", "not connected"):
            click.echo(f"  {' ' * width}  not read without it: {', '.join(finding.streams)}")
    return int(failed)


def status(*, as_json: bool) -> int:
    """Everything on one screen: processes, sources, the newest build, pulse and messages."""
    from ops_platform.commands.stack import stack_state, web_answers

    findings: list[Finding] = []
    stack = stack_state()
    if stack is None:
        findings.append(Finding("stack", "", "warning", "down", "start it with `ops up`"))
    else:
        services = stack["services"]
        assert isinstance(services, dict)
        for name, service in services.items():
            good = service["state"] == "running" and (name != "web" or web_answers())
            findings.append(
                Finding(
                    name, "", "ok" if good else "failed", f"{service['state']}, started {service['starts']} time(s)",
                    "" if good else f"see {service['log']}",
                )
            )  # fmt: skip
    findings += _data_findings()
    return show(findings, as_json=as_json)


def _data_findings() -> list[Finding]:
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    prepare_database()
    fleet = get_fleet()
    now = clock.now()
    findings = []
    with connect() as connection:
        connected = dict(connection.execute("select vendor, connected from ops.connections").fetchall())
        streams = streams_of(connection)
        for vendor, source in fleet.sources.items():
            mine = [stream for stream in streams if stream.vendor == vendor]
            findings.append(_source_finding(vendor, source.label, source.stale_after_hours, connected, mine, now))
            findings += [
                Finding(stream.vendor, stream.name, stream.state, stream.line(), stream.advice)
                for stream in mine
                if stream.last_success is not None or stream.state != "ok"
            ]
        findings += _schema_findings(connection, now)
        build = connection.execute(
            "select status, models, tests, failures, finished_at from ops.warehouse_builds order by id desc limit 1"
        ).fetchone()
        if build is not None:
            good = build[0] == "succeeded"
            findings.append(
                Finding(
                    "warehouse", "", "ok" if good else "failed",
                    f"{build[1]} models, {build[2]} tests, {build[3]} failures, {build[4]:%Y-%m-%d %H:%M} UTC",
                    "" if good else "open the failing checks in the Dagster UI",
                )
            )  # fmt: skip
            findings += _publication_findings(connection, stale=not good)
        untied = connection.execute("select count(*) from ops.tie_outs where status = 'mismatched'").fetchone()
        if untied and untied[0]:
            findings.append(
                Finding("tie-out", "", "failed", f"{untied[0]} days differ from the source", "see ops.tie_outs")
            )
        bad = connection.execute("select count(*) from ops.quarantine where resolved_at is null").fetchone()
        if bad and bad[0]:
            findings.append(Finding("quarantine", "", "warning", f"{bad[0]:,} records wait", "`ops quarantine list`"))
        for state, count in connection.execute("select state, count(*) from ops.outbox group by state order by state"):
            good = state == "sent"
            findings.append(Finding("messages", state, "ok" if good else "warning", str(count)))
    return findings


def _publication_findings(connection: psycopg.Connection[Any], *, stale: bool) -> list[Finding]:
    """Which numbers people read: the last ones that were proven. After a failed build they are stale."""
    row = connection.execute(
        "select publications.id, coalesce(builds.finished_at, published_at), tables_changed from ops.publications"
        " left join ops.warehouse_builds as builds on build_id = builds.id order by publications.id desc limit 1"
    ).fetchone()
    if row is None:
        return [Finding("warehouse", "published", "warning", "nothing yet", "`ops run ops_pulse`, or `ops dbt build`")]
    said = f"publication {row[0]} of {row[1]:%Y-%m-%d %H:%M} UTC"
    if stale:
        advice = "the last proven numbers stay; documents say unknown until a build passes"
        return [Finding("warehouse", "published", "warning", f"stale: still {said}", advice)]
    return [Finding("warehouse", "published", "ok", f"{said}, {row[2]} tables changed")]


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream: its last success, how many live rows it has, what its last sync said when that was no success."""

    vendor: str
    name: str
    last_success: datetime | None
    rows: int | None
    status: str | None
    said: str | None
    since: datetime | None
    held: str | None

    @property
    def state(self) -> str:
        if self.status == "paused":
            return "paused"
        if self.status == "failed":
            return "failed"
        return "warning" if self.held or self.status in (None, "skipped") else "ok"

    @property
    def advice(self) -> str:
        if self.state == "ok" or self.status == "running":
            return ""
        return self.held or self.said or f"run `ops sync {self.vendor}.{self.name}`"

    def line(self) -> str:
        rows = "rows unknown" if self.rows is None else f"{self.rows:,} rows"
        last = f"last success {self.last_success:%F %H:%M} UTC" if self.last_success else "never succeeded"
        if self.state in ("paused", "failed") and self.since is not None:
            return f"{self.state} since {self.since:%F %H:%M} UTC; {last}, {rows}"
        return f"{last}, {rows}"


def streams_of(connection: psycopg.Connection[Any]) -> list[StreamState]:
    """Every stream with a receipt. A retry of quarantined records is no sync and says nothing here."""
    found = connection.execute(
        """
        with ranked as (
            select vendor, stream, status, error, held, started_at, id,
                   row_number() over (partition by vendor, stream order by id desc) as place,
                   max(id) filter (where status = 'succeeded') over (partition by vendor, stream) as good
            from ops.sync_runs where kind = 'sync'
        )
        select ranked.vendor, ranked.stream, cursors.fresh_to, ranked.status, ranked.error, ranked.held,
               (select min(failed.started_at) from ranked as failed
                where failed.vendor = ranked.vendor and failed.stream = ranked.stream
                  and failed.status in ('failed', 'paused') and failed.id > coalesce(ranked.good, 0))
        from ranked left join ops.cursors on cursors.vendor = ranked.vendor and cursors.stream = ranked.stream
        where ranked.place = 1 order by ranked.vendor, ranked.stream
        """
    ).fetchall()
    return [
        StreamState(
            vendor, stream, fresh_to, _live_rows(connection, vendor, stream), status,
            error if status != "succeeded" else None, since, held,
        )
        for vendor, stream, fresh_to, status, error, held, since in found
    ]  # fmt: skip


def _live_rows(connection: psycopg.Connection[Any], vendor: str, stream: str) -> int | None:
    from psycopg import sql

    exists = connection.execute("select to_regclass(%s) is not null", (f"raw_{vendor}.{stream}",)).fetchone()
    if not exists or not exists[0]:
        return None
    row = connection.execute(
        sql.SQL("select count(*) from {} where deleted_at is null").format(sql.Identifier(f"raw_{vendor}", stream))
    ).fetchone()
    return int(row[0]) if row else None


def _source_finding(
    vendor: str,
    label: str,
    stale_after_hours: int,
    connected: dict[str, bool],
    streams: list[StreamState],
    now: datetime,
) -> Finding:
    if vendor in connected and not connected[vendor]:
        return Finding(label, "", "not connected", "no credentials: its numbers are unknown", "see docs/connect")
    fresh = [stream.last_success for stream in streams if stream.last_success is not None]
    if not fresh:
        return Finding(label, "", "warning", "never synced", f"run `ops sync {vendor}`")
    bad = [stream for stream in streams if stream.state in ("failed", "paused")]
    old = now - min(fresh) > timedelta(hours=stale_after_hours)
    detail = f"{len(streams)} streams, fresh to {min(fresh):%F %H:%M} UTC"
    if bad:
        detail += f"; {len(bad)} not synced: {', '.join(stream.name for stream in bad)}"
    advice = f"run `ops sync {vendor}` and read its error" if old else ""
    return Finding(label, "", "failed" if old or bad else "ok", detail, advice)


def _schema_findings(connection: psycopg.Connection[Any], now: datetime) -> list[Finding]:
    """Fields that are new since a week, said quietly; what pauses a stream stands with the stream."""
    noted = connection.execute(
        "select vendor, stream, array_agg(path order by id), min(first_seen_at) from ops.schema_changes"
        " where state = 'noted' and first_seen_at > %s group by 1, 2 order by 1, 2",
        (now - timedelta(days=7),),
    ).fetchall()
    findings = []
    for vendor, stream, paths, since in noted:
        shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        findings.append(Finding(f"{vendor}.{stream}", "schema", "ok", f"changed since {since:%F}: {shown} (kept)"))
    return findings

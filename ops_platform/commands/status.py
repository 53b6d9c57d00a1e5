"""`ops status`: what is well, what is not, and what to do about it.

Belongs here: processes, sources and the warehouse, and putting everything on one screen. Does not belong here: the
machine's work (`status_fleet.py`), changing anything, asking the vendors (`doctor.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.commands.findings import Finding, show

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet import Fleet


def status(*, as_json: bool) -> int:
    """Everything on one screen: processes, health, jobs, sources, the newest build, what waits, backups, disk."""
    findings = _service_findings()
    found, data = _data_findings()
    return show([*findings, *found], as_json=as_json, beside=data)


def _service_findings() -> list[Finding]:
    from ops_platform.commands.stack import stack_state, web_answers

    stack = stack_state()
    if stack is None:
        return [Finding("stack", "", "warning", "down", "start it with `ops up`")]
    services = stack["services"]
    assert isinstance(services, dict)
    states = {
        name: service["state"] == "running" and (name != "web" or web_answers()) for name, service in services.items()
    }
    restarted = [f"{name} started {each['starts']} times" for name, each in services.items() if each["starts"] > 1]
    findings = []
    if any(states.values()):
        up = ", ".join(name for name, good in states.items() if good)
        findings.append(Finding("services", "", "ok", f"{up}{'; ' if restarted else ''}{', '.join(restarted)}"))
    findings += [
        Finding(name, "", "failed", f"{service['state']}, started {service['starts']} time(s)", f"see {service['log']}")
        for name, service in services.items()
        if not states[name]
    ]
    return findings


def _data_findings() -> tuple[list[Finding], dict[str, Any]]:
    from datetime import UTC

    from ops_platform.commands import status_fleet
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.settings import get_settings

    prepare_database()
    fleet, settings = get_fleet(), get_settings()
    now = clock.now()
    with connect() as connection:
        findings = [
            *status_fleet.health_findings(connection, now),
            *status_fleet.job_findings(connection, fleet, now, settings.production),
            *_source_findings(connection, fleet, now),
            *_warehouse_findings(connection),
            status_fleet.token_finding(connection, fleet, now),
            *status_fleet.waiting_findings(connection, now),
            *status_fleet.machine_findings(connection, fleet, settings, datetime.now(UTC)),
        ]
        data = {"jobs": status_fleet.jobs_as_data(connection, fleet, now, settings.production)}
        data |= status_fleet.health_as_data(connection, now)
    return findings, data


def _source_findings(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> list[Finding]:
    """A line a source, and one for each stream of it that is not well."""
    findings: list[Finding] = []
    connected = dict(connection.execute("select vendor, connected from ops.connections").fetchall())
    streams = streams_of(connection)
    away = []
    for vendor, source in fleet.sources.items():
        mine = [stream for stream in streams if stream.vendor == vendor]
        found = _source_finding(vendor, source.label, source.stale_after_hours, connected, mine, now)
        if found.state == "not connected":
            away.append(source.label)
            continue
        findings.append(found)
        findings += [
            Finding(stream.vendor, stream.name, stream.state, stream.line(), stream.advice)
            for stream in mine
            if stream.state != "ok" and stream.status is not None
        ]
    if away:
        said = f"{', '.join(away)}: no credentials, their numbers are unknown"
        findings.append(Finding("not connected", "", "not connected", said, "see docs/connect"))
    return findings + _schema_findings(connection, now)


def _warehouse_findings(connection: psycopg.Connection[Any]) -> list[Finding]:
    findings = []
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

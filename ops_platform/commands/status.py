"""`ops status` and `ops doctor`: what is well, what is not, and what to do about it.

Belongs here: gathering and showing state. Does not belong here: changing it.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import timedelta

import click

from ops_platform import clock
from ops_platform.failures import OpsError
from ops_platform.settings import get_settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report. `state` is ok, warning, failed or not connected; `advice` says what to do."""

    subject: str
    check: str
    state: str
    detail: str
    advice: str = ""


_MARKS = {"ok": ("✓", "green"), "warning": ("⚠", "yellow"), "failed": ("✗", "red"), "not connected": ("·", "white")}


def show(findings: list[Finding], *, as_json: bool) -> int:
    """Print findings; the exit code is 1 when something failed."""
    failed = any(finding.state == "failed" for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
        return int(failed)
    width = max((len(f"{finding.subject} {finding.check}") for finding in findings), default=0)
    for finding in findings:
        mark, color = _MARKS[finding.state]
        name = f"{finding.subject} {finding.check}".ljust(width)
        click.echo(f"{click.style(mark, fg=color)} {name}  {finding.detail}")
        if finding.advice:
            click.echo(f"  {' ' * width}→ {finding.advice}")
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
        rows = connection.execute(
            "select vendor, min(fresh_to), count(*) from ops.cursors group by vendor order by vendor"
        ).fetchall()
        seen = {vendor: (fresh, count) for vendor, fresh, count in rows}
        connected = dict(connection.execute("select vendor, connected from ops.connections").fetchall())
        for vendor, source in fleet.sources.items():
            if vendor in connected and not connected[vendor]:
                findings.append(Finding(source.label, "", "not connected", "no credentials: its numbers are unknown"))
            elif vendor not in seen:
                findings.append(Finding(source.label, "", "warning", "never synced", f"run `ops sync {vendor}`"))
            else:
                fresh, count = seen[vendor]
                old = now - fresh > timedelta(hours=source.stale_after_hours)
                findings.append(
                    Finding(
                        source.label, "", "failed" if old else "ok", f"{count} streams, fresh to {fresh:%F %H:%M} UTC",
                        f"run `ops sync {vendor}` and read its error" if old else "",
                    )
                )  # fmt: skip
        for vendor, stream, error in connection.execute(
            "select distinct on (vendor, stream) vendor, stream, case when status = 'failed' then error end"
            " from ops.sync_runs order by vendor, stream, id desc"
        ).fetchall():
            if error:
                findings.append(Finding(f"{vendor}.{stream}", "last sync", "failed", error))
        build = connection.execute(
            "select status, models, tests, failures, finished_at from ops.warehouse_builds order by id desc limit 1"
        ).fetchone()
        if build is not None:
            findings.append(
                Finding(
                    "warehouse", "", "ok" if build[0] == "succeeded" else "failed",
                    f"{build[1]} models, {build[2]} tests, {build[3]} failures, {build[4]:%Y-%m-%d %H:%M} UTC",
                    "" if build[0] == "succeeded" else "open the failing checks in the Dagster UI",
                )
            )  # fmt: skip
        untied = connection.execute("select count(*) from ops.tie_outs where status = 'mismatched'").fetchone()
        if untied and untied[0]:
            findings.append(
                Finding("tie-out", "", "failed", f"{untied[0]} days differ from the source", "see ops.tie_outs")
            )
        bad = connection.execute("select count(*) from ops.quarantine where resolved_at is null").fetchone()
        if bad and bad[0]:
            findings.append(Finding("quarantine", "", "warning", f"{bad[0]} records wait", "see ops.quarantine"))
        for state, count in connection.execute("select state, count(*) from ops.outbox group by state order by state"):
            good = state == "sent"
            findings.append(Finding("messages", state, "ok" if good else "warning", str(count)))
    return findings


def doctor(*, as_json: bool) -> int:
    """Settings, database, and each vendor: credentials, one real answer from each endpoint, clock skew."""
    from ops_platform.commands.prepare import prepare_database
    from resources.vendors import VENDORS, source_of

    settings = get_settings()
    findings = [Finding("settings", "", "ok", f"environment {settings.ops_env}, home {settings.ops_home}")]
    try:
        prepare_database()
        findings.append(Finding("database", "", "ok", "answers; migrations are current"))
    except OpsError as error:
        findings.append(Finding("database", "", "failed", str(error), "fix this first"))
        return show(findings, as_json=as_json)
    for vendor in VENDORS:
        try:
            source = source_of(vendor, settings)
        except OpsError as error:
            findings.append(Finding(vendor, "credentials", "failed", str(error), "see .env.example"))
            continue
        if source is None:
            findings.append(
                Finding(vendor, "", "not connected", "no credentials: its numbers show as unknown", "see .env.example")
            )
            continue
        for stream in source.streams.values():
            began = time.monotonic()
            try:
                page = next(iter(source.pages(stream, clock.now().isoformat(), now=clock.now())), None)
                detail = f"answers in {1000 * (time.monotonic() - began):.0f} ms"
                if page is not None and page.rejected:
                    findings.append(Finding(vendor, stream.name, "warning", f"{detail}; {page.rejected[0].detail}"))
                else:
                    findings.append(Finding(vendor, stream.name, "ok", detail))
            except OpsError as error:
                findings.append(Finding(vendor, stream.name, "failed", str(error), "check scopes and credentials"))
    findings.append(_slack_posting())
    writer = "Claude" if settings.anthropic_api_key else "rules (no ANTHROPIC_API_KEY)"
    findings.append(Finding("writer", "", "ok", writer))
    return show(findings, as_json=as_json)


def _slack_posting() -> Finding:
    settings = get_settings()
    if settings.slack_bot_token is None:
        return Finding("delivery", "slack", "not connected", "no SLACK_BOT_TOKEN: documents are made and held")
    missing = [
        name.upper()
        for name in ("slack_channel_executive", "slack_channel_team", "slack_channel_alerts")
        if getattr(settings, name) is None
    ]
    if missing:
        return Finding("delivery", "slack", "failed", f"{', '.join(missing)} not set", "set the channel ids")
    return Finding("delivery", "slack", "ok", f"executive channel {settings.slack_channel_executive}")

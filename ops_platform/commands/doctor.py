"""`ops doctor`: each endpoint of each connected vendor asked for something known, and what stands around them.

Belongs here: asking side by side within a time limit, clocks, database, dbt, disk, and what is lost without each.
Does not belong here: a vendor's protocol (its client's `probe`), past syncs (`ops status`).
"""

from __future__ import annotations

import queue
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import click

from ops_platform.commands.doctor_credentials import credential_findings
from ops_platform.commands.doctor_playbooks import playbook_findings
from ops_platform.commands.doctor_work_orders import work_order_findings
from ops_platform.commands.findings import Finding, show
from ops_platform.failures import OpsError
from ops_platform.fleet import get_fleet
from ops_platform.ingestion.contract import Probe, VendorSource
from ops_platform.settings import PROJECT_ROOT, Settings, get_settings

SECONDS_PER_ENDPOINT = 30.0
# A signed login is refused from about a minute on; a request signed for Slack or Amazon from five.
SKEW_WARNING = 10.0
SKEW_FAILURE = 60.0
LEAST_FREE_BYTES = 500 * 1024 * 1024
LITTLE_FREE_BYTES = 2 * 1024 * 1024 * 1024


def doctor(*, vendors: Sequence[str] = (), as_json: bool, seconds: float = SECONDS_PER_ENDPOINT) -> int:
    """Check everything, or only the vendors named. Exit code 1 when something failed."""
    from resources.vendors import VENDORS

    unknown = sorted(set(vendors) - set(VENDORS))
    if unknown:
        raise click.UsageError(f"there is no vendor {', '.join(unknown)}: choose among {', '.join(VENDORS)}")
    findings: list[Finding] = []
    if not vendors:
        findings += _surroundings()
        findings += credential_findings(get_settings())
        findings += list(_database())
        if any(finding.subject == "database" and finding.state == "failed" for finding in findings):
            return show(findings, as_json=as_json)
        findings += _dbt()
    findings += vendor_findings(list(vendors or VENDORS), seconds)
    if not vendors:
        findings += [
            _slack_posting(),
            *buttons_findings(get_settings(), seconds),
            email_finding(get_settings()),
            drafts_finding(get_settings()),
            *playbook_findings(get_settings()),
            *work_order_findings(get_settings()),
            _writer(),
        ]
    return show(findings, as_json=as_json)


# -- around the vendors -----------------------------------------------------------------------------------


def _surroundings() -> list[Finding]:
    settings = get_settings()
    home = f"environment {settings.ops_env}, home {settings.ops_home}"
    frozen = f"; the clock is held at {settings.ops_now:%F %H:%M}" if settings.ops_now is not None else ""
    return [Finding("settings", "", "ok", home + frozen), disk_finding(settings.ops_home)]


def disk_finding(home: Path) -> Finding:
    """Free space where the data is: PostgreSQL stops when there is none."""
    place = next((path for path in (home, *home.parents) if path.exists()), Path("/"))
    usage = shutil.disk_usage(place)
    detail = f"{usage.free / 1e9:,.1f} GB of {usage.total / 1e9:,.0f} GB free at {place}"
    if usage.free < LEAST_FREE_BYTES:
        return Finding("disk", "", "failed", detail, "make room now: PostgreSQL stops when the disk is full")
    if usage.free < LITTLE_FREE_BYTES:
        return Finding("disk", "", "warning", detail, "make room: a full rebuild needs about as much as the data")
    return Finding("disk", "", "ok", detail)


def _database() -> Iterator[Finding]:
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect

    began = time.monotonic()
    try:
        prepare_database()
        with connect() as connection:
            version, size = connection.execute(
                "select current_setting('server_version'), pg_size_pretty(pg_database_size(current_database()))"
            ).fetchone() or ("?", "?")
            ours = time.time()
            (theirs,) = connection.execute("select extract(epoch from clock_timestamp())").fetchone() or (ours,)
    except OpsError as error:
        yield Finding("database", "", "failed", str(error), "fix this first: everything else stands on it")
        return
    seconds = time.monotonic() - began
    detail = f"PostgreSQL {version} answers, migrations are current, {size}"
    yield Finding("database", "", "ok", detail, seconds=round(seconds, 3))
    yield skew_finding("database", "clock", float(theirs) - ours)


def skew_finding(subject: str, check: str, skew: float) -> Finding:
    """How far another clock is ahead of ours (negative: behind), in seconds."""
    size = abs(skew)
    if size < SKEW_WARNING:
        return Finding(subject, check, "ok", f"agrees with this machine's within {max(size, 1):.0f} s")
    detail = f"{size:,.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    breaks = "signed logins are refused, and changes are read late or taken for later than they are"
    state = "failed" if size >= SKEW_FAILURE else "warning"
    return Finding(subject, check, state, detail, f"set this machine's time (chrony or systemd-timesyncd): {breaks}")


def _dbt() -> list[Finding]:
    from ops_platform.database import connect
    from ops_platform.warehouse.dbt import dbt_executable, prepare_manifest

    if not Path(dbt_executable()).exists():
        return [Finding("dbt", "", "failed", f"{dbt_executable()} is missing", "run `make install`")]
    try:
        prepare_manifest()
    except OpsError as error:
        return [Finding("dbt", "project", "failed", str(error), "mend the model it names, then `ops dbt parse`")]
    findings = [Finding("dbt", "project", "ok", "parses")]
    with connect() as connection:
        row = connection.execute(
            "select status, failures, finished_at from ops.warehouse_builds order by id desc limit 1"
        ).fetchone()
    if row is None:
        findings.append(Finding("dbt", "build", "warning", "never built", "run `ops run ops_pulse`"))
    elif row[0] == "succeeded":
        findings.append(Finding("dbt", "build", "ok", f"the last one passed, {row[2]:%F %H:%M} UTC"))
    else:
        advice = "its numbers are withheld: open the failing checks in the Dagster UI, or run `ops dbt build`"
        findings.append(Finding("dbt", "build", "failed", f"{row[1]} failures, {row[2]:%F %H:%M} UTC", advice))
    return findings


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


def email_finding(settings: Settings) -> Finding:
    """The mail server tried: connected, encrypted, logged in, sending as our address; nothing is sent."""
    from resources.email import EmailPoster, MailServer

    lists = sum(bool(addresses) for addresses in get_fleet().delivery.lists.values())
    guide = "see docs/connect/email.md"
    began = time.monotonic()
    try:
        server = MailServer.from_settings(settings)
        if server is None:
            lost = f"no SMTP_URL: {lists} lists of addresses get nothing" if lists else "no SMTP_URL"
            return Finding("delivery", "e-mail", "not connected", lost, guide)
        said = EmailPoster(server, lambda files: [], timeout=15.0).identity()
    except OpsError as error:
        return Finding("delivery", "e-mail", "failed", str(error), guide)
    return Finding("delivery", "e-mail", "ok", said, seconds=round(time.monotonic() - began, 3))


def drafts_finding(settings: Settings) -> Finding:
    """The key that makes drafts of approved campaigns, tried: its sender and templates asked for; nothing is made."""
    from resources.klaviyo import drafts

    guide = "see docs/connect/klaviyo.md"
    began = time.monotonic()
    try:
        drafter = drafts.connect(settings)
        if drafter is None:
            lost = "no KLAVIYO_DRAFTS_API_KEY: approved campaigns wait"
            return Finding("delivery", "campaign drafts", "not connected", lost, guide)
        try:
            said = drafter.identity()
        finally:
            drafter.close()
    except OpsError as error:
        return Finding("delivery", "campaign drafts", "failed", str(error), guide)
    return Finding("delivery", "campaign drafts", "ok", said, seconds=round(time.monotonic() - began, 3))


def buttons_findings(settings: Settings, seconds: float) -> list[Finding]:
    """The two ways by which presses of buttons arrive: Socket Mode tried at Slack, the signing secret looked at (what
    it signs only Slack can show)."""
    if settings.slack_bot_token is None:
        return []
    token, secret = settings.slack_app_token, settings.slack_signing_secret
    if token is None and secret is None:
        advice = "set SLACK_APP_TOKEN or SLACK_SIGNING_SECRET, see docs/connect/slack.md; until then `ops alert`"
        return [Finding("delivery", "slack buttons", "not connected", "buttons under alerts do nothing", advice)]
    found = []
    if token is not None:
        found.append(_socket_mode(token.get_secret_value(), settings.slack_base_url, seconds))
    if secret is not None:
        found.append(_signing_secret(secret.get_secret_value(), settings.ops_listen_port))
    return found


def _socket_mode(token: str, base_url: str | None, seconds: float) -> Finding:
    from resources.slack_interactions import SocketModeRefused, socket_mode_address

    began = time.monotonic()
    try:
        socket_mode_address(token, base_url=base_url, timeout=min(seconds, 15.0))
    except SocketModeRefused as error:
        return Finding("delivery", "slack socket mode", "failed", str(error), error.remedy)
    except OpsError as error:
        return Finding("delivery", "slack socket mode", "failed", str(error), "try again; see status.slack.com")
    spent = round(time.monotonic() - began, 3)
    return Finding("delivery", "slack socket mode", "ok", "Slack gives an address to listen at", seconds=spent)


def _signing_secret(secret: str, port: int) -> Finding:
    """Slack's secrets are 32 hexadecimal digits; the page they stand on has three other values to take by mistake."""
    check = "slack signing secret"
    where = "copy Basic Information → App Credentials → Signing Secret into SLACK_SIGNING_SECRET"
    if re.fullmatch(r"[0-9a-f]{32}", secret):
        detail = f"32 hexadecimal digits, as Slack's are; requests are taken on port {port} while `ops listen` runs"
        return Finding("delivery", check, "ok", detail)
    if secret.startswith(("xox", "xapp-")):
        why = "this is a token, not the signing secret"
    elif secret != secret.strip():
        why = "there is white space around it"
    elif re.fullmatch(r"[A-Za-z0-9]{24}", secret):
        why = "24 letters and digits: this is the verification token, which Slack has given up"
    else:
        why = f"{len(secret)} characters, where Slack's are 32 hexadecimal digits"
    return Finding("delivery", check, "failed", f"{why}: every press would be refused", where)


def _writer() -> Finding:
    key = get_settings().anthropic_api_key
    if key is not None and key.get_secret_value().startswith("sk-ant-admin"):
        advice = "make a plain key in a workspace of its own, with a spending limit, and revoke this one"
        return Finding("writer", "", "warning", "ANTHROPIC_API_KEY is an admin key of the organisation", advice)
    claude = key is not None
    return Finding("writer", "", "ok", "Claude" if claude else "rules (no ANTHROPIC_API_KEY)")


# -- the vendors ------------------------------------------------------------------------------------------


def vendor_findings(vendors: Sequence[str], seconds: float = SECONDS_PER_ENDPOINT) -> list[Finding]:
    """Every endpoint of the vendors, asked side by side, in the order in which the vendors are given."""
    from resources.vendors import source_of, streams

    settings = get_settings()
    asked: dict[str, _Asking] = {}
    found: dict[str, list[Finding]] = {}
    for vendor in vendors:
        every = tuple(streams(vendor))
        try:
            source = source_of(vendor, settings)
        except OpsError as error:
            found[vendor] = [
                _with_losses(Finding(vendor, "credentials", "failed", str(error), _guide(vendor)),
                             vendor, every)
            ]  # fmt: skip
            continue
        if source is None:
            advice = _guide(vendor)
            finding = Finding(vendor, "", "not connected", "no credentials: its numbers show as unknown", advice)
            found[vendor] = [_with_losses(finding, vendor, every)]
            continue
        asked[vendor] = _Asking(vendor, source, seconds)
    for vendor, asking in asked.items():
        found[vendor] = asking.findings()
    return [finding for vendor in vendors for finding in found[vendor]]


def _guide(vendor: str) -> str:
    """Where it stands how this vendor is connected."""
    page = PROJECT_ROOT / "docs" / "connect" / f"{vendor}.md"
    return f"see docs/connect/{vendor}.md" if page.exists() else "see .env.example"


class _Asking:
    """A vendor being probed in a thread of its own. What hangs is left behind when its time is up: the thread is a
    daemon, so it cannot keep the command from ending."""

    def __init__(self, vendor: str, source: VendorSource, seconds: float) -> None:
        self.vendor = vendor
        self.source = source
        self.seconds = seconds
        self._said: queue.Queue[Any] = queue.Queue()
        hurry(source, seconds)
        threading.Thread(target=self._ask, name=f"doctor {vendor}", daemon=True).start()

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            for probe in self.source.probe():
                now = time.monotonic()
                self._said.put((probe, now - began))
                began = now
        except OpsError as error:
            self._said.put((Probe("endpoints", False, str(error), "the rest was not asked"), time.monotonic() - began))
        except Exception as error:
            text = f"the probe broke: {type(error).__name__}: {error}"
            self._said.put((Probe("endpoints", False, text, "a fault of this client, not yours"), 0.0))
        finally:
            self._said.put(None)

    def findings(self) -> list[Finding]:
        findings: list[Finding] = []
        reached: set[str] = set()
        every = tuple(self.source.streams)
        finished = False
        while True:
            try:
                item = self._said.get(timeout=self.seconds)
            except queue.Empty:
                last = f" after {findings[-1].check}" if findings else ""
                left = tuple(name for name in every if name not in reached)
                text = f"the endpoint{last} did not answer within {self.seconds:g} s"
                advice = "try again; when it stays so, look at the vendor's status page"
                finding = Finding(self.vendor, "no answer", "failed", text, advice)
                findings.append(_with_losses(finding, self.vendor, left))
                break
            if item is None:
                finished = True
                break
            probe, seconds = item
            findings.append(self._finding(probe, seconds, every))
            reached.update(getattr(probe, "streams", ()))
        if finished:
            self.source.close()
            if not findings:
                findings.append(Finding(self.vendor, "", "failed", "nothing was probed", "a fault of this client"))
        skew = vendor_skew(self.vendor)
        if skew is not None:
            findings.append(skew_finding(self.vendor, "clock", skew))
        return findings

    def _finding(self, probe: object, seconds: float, every: tuple[str, ...]) -> Finding:
        if not isinstance(probe, Probe):
            return Finding(
                self.vendor, "probe", "failed", "the client's probe yields no Probe", "a fault of this client"
            )
        streams = tuple(probe.streams)
        if probe.ok and probe.excess:
            detail = f"{probe.said}; may do more than is needed: {', '.join(probe.excess)}"
            advice = probe.remedy or f"take that away: {_guide(self.vendor)} names the least"
            return Finding(self.vendor, probe.endpoint, "warning", detail, advice, seconds=round(seconds, 3))
        if probe.ok:
            return Finding(
                self.vendor, probe.endpoint, "ok", probe.said, probe.remedy, streams, seconds=round(seconds, 3)
            )
        if not streams and probe.endpoint == "credentials":
            streams = every
        finding = Finding(
            self.vendor, probe.endpoint, "failed", probe.said, probe.remedy or _guide(self.vendor),
            seconds=round(seconds, 3),
        )  # fmt: skip
        return _with_losses(finding, self.vendor, streams)


def _with_losses(finding: Finding, vendor: str, streams: Iterable[str]) -> Finding:
    """The finding with the streams that cannot be read and the metrics that are unknown without them."""
    from dataclasses import replace

    from ops_platform.warehouse.lineage import lineage

    names = tuple(streams)
    lost = lineage().lost_metrics(f"{vendor}.{name}" for name in names)
    return replace(finding, streams=names, metrics=tuple(sorted(metric.label for metric in lost)))


def hurry(source: VendorSource, seconds: float) -> None:
    """Let the source's HTTP clients give up after a try or two: a person is waiting."""
    from resources.http import HttpClient
    from resources.retry import RetryPolicy

    held = [source, *getattr(source, "__dict__", {}).values()]
    for owner in held:
        for client in (owner, *getattr(owner, "__dict__", {}).values()):
            if isinstance(client, HttpClient):
                client.retry = RetryPolicy(tries=2, budget_seconds=max(seconds / 2, 1.0))
                client.timeout_seconds = min(client.timeout_seconds, max(seconds * 0.8, 1.0))


def vendor_skew(vendor: str) -> float | None:
    """How far the vendor's clock was ahead of ours when it last answered, in seconds; None when it did not say."""
    from resources.http import vendor_clocks

    if vendor not in vendor_clocks:
        return None
    header, ours = vendor_clocks[vendor]
    try:
        theirs = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    # The header counts whole seconds.
    ahead = theirs.timestamp() - ours
    return 0.0 if -1 <= ahead <= 0 else ahead

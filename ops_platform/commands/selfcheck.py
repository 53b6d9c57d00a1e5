"""`ops selfcheck`: whether this release can run here, and whether what runs is well.

Belongs here: quick yes-or-no checks for upgrades, moves and containers. Does not belong here: vendors (`ops doctor`),
what jobs did (`ops status`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops_platform.commands.findings import Finding, show
from ops_platform.failures import OpsError

HEARTBEAT_SECONDS = 90.0
LIVE_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so: its name, how it is found out (returns what was seen, or raises `OpsError`)."""

    name: str
    look: Callable[[], str]


def selfcheck(*, live: bool, code: bool, database: bool, wait: float, as_json: bool) -> int:
    """Check this release; with `live` also what runs, waiting up to `wait` seconds until all of it is well; with `code`
    only what can be known without touching the database; with `database` only whether that is of this release."""
    findings = list(findings_of(READY[-1:] if database else READY[:-1] if code else READY))
    if live and not any(finding.state == "failed" for finding in findings):
        deadline = time.monotonic() + wait
        while True:
            running = list(findings_of(LIVE))
            if all(finding.state == "ok" for finding in running) or time.monotonic() > deadline:
                break
            time.sleep(1.0)
        findings += running
    return show(findings, as_json=as_json)


def findings_of(checks: tuple[Check, ...]) -> Iterator[Finding]:
    """What each check found, in their order."""
    for check in checks:
        began = time.monotonic()
        try:
            said, state = check.look(), "ok"
        except OpsError as error:
            said, state = str(error), "failed"
        except Exception as error:
            said, state = f"{type(error).__name__}: {error}", "failed"
        yield Finding("release" if check in READY else "running", check.name, state, said,
                      seconds=round(time.monotonic() - began, 3))  # fmt: skip


def _settings() -> str:
    from ops_platform.fleet import get_fleet
    from ops_platform.settings import get_settings

    settings, fleet = get_settings(), get_fleet()
    return f"environment {settings.ops_env}, home {settings.ops_home}; {len(fleet.jobs)} jobs, {len(fleet.bots)} bots"


def _definitions() -> str:
    from ops_platform.build import build_definitions
    from ops_platform.fleet import get_fleet

    definitions = build_definitions()
    for name in get_fleet().jobs:
        definitions.resolve_job_def(name)
    return f"{len(get_fleet().jobs)} jobs of fleet.yaml resolve"


def _migrations() -> str:
    from ops_platform.commands.prepare import prepare_database

    prepare_database()
    return "the database is at this release"


def _code() -> str:
    from ops_platform.commands.services import wait_for_code

    wait_for_code(0.0)
    return "the code server answers"


def _daemon() -> str:
    import os

    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    from ops_platform.commands.prepare import prepare_dagster

    prepare_dagster()
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        beats = instance.get_daemon_heartbeats()
    ages = {name: time.time() - beat.timestamp for name, beat in beats.items()}
    needed = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR", "MONITORING")
    old = [name for name in needed if ages.get(name, float("inf")) > HEARTBEAT_SECONDS]
    if old:
        raise OpsError(f"no heartbeat within {HEARTBEAT_SECONDS:.0f} s: {', '.join(old)}")
    return f"heartbeats of {len(needed)} daemons, the oldest {max(ages[name] for name in needed):.0f} s ago"


def _web() -> str:
    from ops_platform.commands.web import web_answers

    if not web_answers():
        raise OpsError("the web does not answer")
    return "the web answers"


READY = (Check("settings", _settings), Check("definitions", _definitions), Check("database", _migrations))
LIVE = (Check("code server", _code), Check("daemon", _daemon), Check("web", _web))

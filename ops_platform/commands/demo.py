"""`ops demo`: one whole morning cycle against the sandbox, on a home of its own.

Belongs here: starting the sandbox beside the platform and pointing settings at it. Does not belong
here: anything of the cycle itself, which is the fleet's `ops_pulse` job as in production.
"""

from __future__ import annotations

import csv
import gc
import gzip
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, build_opener

import click

from ops_platform.commands.terminal import Steps
from ops_platform.failures import ConfigurationError, OpsError
from ops_platform.settings import PROJECT_ROOT, get_settings, reset_settings

if TYPE_CHECKING:
    from dagster import Definitions

COMPANY_CLOCK = "2026-11-20T06:00:00-05:00"
# After the pulse, on the same figures: the day in review, and the pack of the month that ended, put up for review.
ALSO_MADE = {"narrative_daily": "the day in review", "board_pack": "board pack: slides, PDF, workbook → review"}
SEED = 7
# What the steps after the warehouse's build import: four seconds, in which a processor would be idle. A scheduled run
# leaves it: on a small server dbt's memory and theirs are not to be needed at once.
AFTER_THE_BUILD = ("ruptures", "anthropic", "pandas", "pptx", "xlsxwriter")
SANDBOX_START_SECONDS = 120
VENDOR_PREFIXES = ("SHOPIFY_", "NETSUITE_", "SLACK_", "ANTHROPIC_", "HUBSPOT_", "AIRTABLE_", "KLAVIYO_", "GITHUB_",
                    "AMAZON_", "APP_DATABASE_", "SMTP_")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the sandbox plays: its clock, the company's zone and currency, and the orders to serve if given."""

    home: Path
    clock: str
    timezone: str | None
    currency: str | None
    orders: Path | None


def scenario_for(orders: Path | None, base: Path) -> Scenario:
    """The generated company, or the orders of a file as a UK shop the morning after its last order.

    Raises `ConfigurationError` when the file is missing or lacks the columns."""
    if orders is None:
        return Scenario(base / "demo", COMPANY_CLOCK, None, None, None)
    path = orders.expanduser().resolve()
    last = last_order_day(path)
    return Scenario(base / "demo-orders", f"{last + timedelta(days=1)}T06:00:00+00:00", "Europe/London", "GBP", path)


def last_order_day(path: Path) -> date:
    """The newest `InvoiceDate` of an orders file (CSV, plain or gzipped)."""
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}: give --orders a CSV, plain or gzipped")
    reading = gzip.open if path.suffix == ".gz" else open
    try:
        with reading(path, "rt", encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            header = next(reader, [])
            if "InvoiceDate" not in header:
                raise ConfigurationError(f"{path.name} has no column InvoiceDate; its columns are {', '.join(header)}")
            column = header.index("InvoiceDate")
            newest = max((row[column] for row in reader if len(row) > column), default="")
        return datetime.fromisoformat(newest).date()
    except (OSError, UnicodeDecodeError, ValueError, EOFError) as error:
        raise ConfigurationError(f"cannot read orders from {path.name}: {error}") from None


@contextmanager
def sandbox(scenario: Scenario) -> Iterator[str]:
    """Run the vendors' side on loopback while the block runs; yields its base URL."""
    state = scenario.home / "sandbox"
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        port_file = Path(scratch) / "port"
        command = [
            sys.executable, "-m", "sandbox", "--port", "0", "--port-file", str(port_file), "--seed", str(SEED),
            "--clock", scenario.clock, "--state", str(state), "--parent-pid", str(os.getpid()), "--warm",
        ]  # fmt: skip
        if scenario.orders is not None:
            command += ["--orders", str(scenario.orders)]
        log = state / "sandbox.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            deadline = time.monotonic() + SANDBOX_START_SECONDS
            while not port_file.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
                    raise ConfigurationError(f"the sandbox did not start; the end of {log}:\n{tail}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{int(port_file.read_text(encoding='ascii'))}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment_of(url: str) -> dict[str, str]:
    """The settings with which the sandbox at `url` is reached, as it says itself."""
    from resources.http import HttpClient

    sandbox = HttpClient("sandbox", url, timeout_seconds=30.0)
    try:
        answer = sandbox.call("GET", "/_sandbox/environment")
    finally:
        sandbox.close()
    return {str(name): str(value) for name, value in answer.data.items()}


def point_settings_at(url: str, scenario: Scenario) -> None:
    """Make this process's settings those of the demo: only the sandbox's credentials, nobody's own."""
    enter(scenario)
    os.environ.update(_environment_of(url))
    reset_settings()


def enter(scenario: Scenario) -> None:
    """Make this process's settings those of the demo as far as they are known without the sandbox: no vendor's."""
    for name in list(os.environ):
        if name.startswith(VENDOR_PREFIXES):
            del os.environ[name]
    os.environ.update({name: "" for name in _names_in(PROJECT_ROOT / ".env") if name.startswith(VENDOR_PREFIXES)})
    os.environ.update(
        OPS_ENV="demo",
        OPS_HOME=str(scenario.home),
        OPS_NOW=scenario.clock,
        OPS_TIMEZONE=scenario.timezone or "",
        OPS_CURRENCY=scenario.currency or "",
    )
    # A database of the user's own choosing is honoured only when it was named for this very command.
    os.environ.setdefault("OPS_DATABASE_URL", "")
    reset_settings()
    from ops_platform.fleet import reset_fleet

    reset_fleet()


def _names_in(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [line.split("=", 1)[0].strip() for line in path.read_text(encoding="utf-8").splitlines() if "=" in line]


def demo(orders: Path | None, *, pulse_only: bool = False, as_json: bool) -> int:
    """Run the cycle and show what a person would see; with `pulse_only` nothing but the morning's pulse is made.

    Returns the exit code."""
    began = time.monotonic()
    steps = Steps()
    from ops_platform import progress

    base = get_settings().ops_home
    scenario = scenario_for(orders, base)
    enter(scenario)
    # The company is made up in a process of its own, which takes some seconds: meanwhile the database starts here and
    # what Dagster runs is put together. Neither asks for a setting of the sandbox's.
    with ThreadPoolExecutor(2, "ahead") as ahead, ExitStack() as held, progress.listening(steps.detail):
        with steps.step("sandbox: the vendors' side on loopback"):
            started = ahead.submit(_start_database, scenario.home)
            definitions = ahead.submit(_definitions)
            running = sandbox(scenario)
            url = running.__enter__()
        try:
            point_settings_at(url, scenario)
            from ops_platform.commands.prepare import prepare
            from ops_platform.commands.runs import run_job

            with steps.step("database: embedded PostgreSQL" if not os.environ["OPS_DATABASE_URL"] else "database"):
                started.result()
                prepare()
                _refuse_a_real_warehouse()
            before = len(_posts(url))
            making_ready = _making_ready(steps, ahead, held, first_build=not _built_before())
            with (
                steps.step("job ops_pulse: sync → dbt → evidence → pulse → Slack"),
                progress.listening(making_ready),
            ):
                outcome = run_job("ops_pulse", definitions=definitions.result())
            failures = outcome.failures
            for name in () if pulse_only else ALSO_MADE:
                with steps.step(f"job {name}: {ALSO_MADE[name]}"):
                    failures += run_job(name, collects=False, definitions=definitions.result()).failures
            return _show(scenario, url, outcome.run_id, failures, outcome.failed_checks, began, before, as_json=as_json)
        finally:
            running.__exit__(None, None, None)
            # The command ends with its process: what it holds is not looked through for garbage once more.
            gc.freeze()


def _start_database(home: Path) -> None:
    """The embedded server of the demo, unless another was named for it. Raises `ConfigurationError` as it does."""
    if not os.environ.get("OPS_DATABASE_URL"):
        from ops_platform.database.server import running_server

        running_server(home)


def _definitions() -> Definitions:
    """What Dagster runs, made once for all jobs of the demo."""
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", module="dagster.*")
    from ops_platform.build import build_definitions

    definitions = build_definitions()
    # What a run stores its events with: a second and a half, while the database is prepared.
    importlib.import_module("ops_platform.instance.events")
    importlib.import_module("ops_platform.instance.pool")
    return definitions


def _built_before() -> bool:
    """Whether there was a build already: then there may be nothing to build."""
    from ops_platform.database import connect

    with connect() as connection:
        row = connection.execute("select exists (select 1 from ops.warehouse_builds)").fetchone()
    return row is not None and bool(row[0])


def _making_ready(
    steps: Steps, ahead: ThreadPoolExecutor, held: ExitStack, *, first_build: bool
) -> Callable[[str], None]:
    """Shows what is reported, and has what comes next made ready beside it: dbt while vendors are read, where something
    is to be built for certain, and what is needed after the build while one processor is enough for its last models.
    What waits for its use ends with `held`."""
    from ops_platform.warehouse.dbt_ahead import made_ready

    # Vendors report from threads of their own: of two at once, one finds it.
    to_begin_with_the_sync = iter((made_ready,) if first_build else ())

    def hear(message: str) -> None:
        from assets.warehouse import AT_THE_LAST  # loaded by who reports

        steps.detail(message)
        if message == AT_THE_LAST:
            for name in AFTER_THE_BUILD:
                ahead.submit(importlib.import_module, name)
        elif (making := next(to_begin_with_the_sync, None)) is not None:
            held.enter_context(making())

    return hear


def _refuse_a_real_warehouse() -> None:
    """The demo writes made-up numbers: never into a warehouse that holds a company's own."""
    if not os.environ["OPS_DATABASE_URL"]:
        return
    from ops_platform.database import connect

    with connect() as connection:
        row = connection.execute(
            "select obj_description('ops'::regnamespace), exists (select 1 from ops.sync_runs)"
        ).fetchone()
        mark, used = row if row is not None else (None, False)
        if used and mark != "demo":
            raise ConfigurationError(
                "OPS_DATABASE_URL names a warehouse that already holds synced data: the demo will not mix with it. "
                "Unset OPS_DATABASE_URL, or name an empty server."
            )
        connection.execute("comment on schema ops is 'demo'")


def _show(
    scenario: Scenario,
    url: str,
    run_id: str,
    failures: tuple[str, ...],
    failed_checks: tuple[str, ...],
    began: float,
    before: int,
    *,
    as_json: bool,
) -> int:
    from ops_platform.commands.pulse import delivered_pulse, newest_files, render_terminal

    pulse = delivered_pulse()
    posts = _posts(url)
    files = [path for name in ("ops_pulse", *ALSO_MADE) for path in newest_files(name)]
    pages = sorted((scenario.home / "documents").glob("board-pack-*"))
    files += [path for path in pages if path.stem == pages[-1].stem]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "run_id": run_id, "succeeded": not failures, "failures": list(failures),
                    "failed_checks": list(failed_checks),
                    "slack_messages": len(posts), "posted_now": len(posts) - before,
                    "files": [str(path) for path in files], "seconds": round(time.monotonic() - began, 1),
                }
            )
        )  # fmt: skip
        return 1 if failures or pulse is None else 0
    for failure in failures:
        click.secho(f"✗ {failure}", fg="red", err=True)
    if pulse is None:
        raise OpsError("the cycle made no pulse: see the failures above")
    click.echo()
    click.echo(render_terminal(pulse.document))
    click.echo()
    if len(posts) > before:
        click.echo(f"Delivered to Slack {pulse.channel} just now ({len(posts)} message(s) there in all).")
    else:
        click.echo(
            f"Already delivered to Slack {pulse.channel} by an earlier run: nothing was posted twice "
            f"({len(posts)} message(s) there in all)."
        )
    click.echo(f"Written by {pulse.writer}. Files:")
    for path in files:
        click.echo(f"  {_relative(path)}")
    if any(path.suffix == ".pptx" for path in files):
        click.echo(
            f"The board pack waits for a decision: OPS_HOME={_relative(scenario.home)} .venv/bin/ops approval list"
        )
    if failed_checks:
        click.secho(f"Checks that did not pass ({len(failed_checks)}): {', '.join(failed_checks[:6])}", fg="yellow")
    click.echo(f"Done in {time.monotonic() - began:.0f} s. Lineage: OPS_HOME={_relative(scenario.home)} make up")
    return 1 if failures else 0


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(PROJECT_ROOT))
    except ValueError:
        return str(path)


def _posts(url: str) -> list[dict[str, object]]:
    """The messages the executive channel really holds, read from the sandbox's own ledger."""
    opener = build_opener(ProxyHandler({}))
    with opener.open(f"{url}/_sandbox/ledger?vendor=slack&kind=message_posted", timeout=30) as answer:
        entries = json.load(answer)
    rows = entries["entries"] if isinstance(entries, dict) else entries
    return [row for row in rows if (row.get("detail") or row).get("channel") == "C0EXEC"]

"""`ops up`, `ops down`, `ops status`: the platform's long-lived processes under one supervisor.

Belongs here: starting, watching, restarting within limits, and stopping the services. Does not belong here: what each
service is (`services.py`), systemd units (they run one service each), anything the processes do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import click

from ops_platform.commands.database_keeper import DatabaseKeeper
from ops_platform.commands.services import KINDS, START_SECONDS, SUPERVISOR, code_socket, command_of
from ops_platform.commands.web import link, web_answers, web_url
from ops_platform.failures import ConfigurationError
from ops_platform.fleet.observations import Observer
from ops_platform.instance.pace import MEMORY
from ops_platform.instance.processes import identity, living
from ops_platform.log_files import Rotation, other_logs
from ops_platform.settings import PROJECT_ROOT, get_settings

RESTARTS_ALLOWED = 5
RESTART_WINDOW_SECONDS = 600.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(slots=True)
class Service:
    """One supervised process. Each start after the first waits twice as long as the one before; after more than
    `RESTARTS_ALLOWED` in the window it is left down, so that a crash loop (a wrong setting, a taken port) stops, stays
    its own and is told, instead of burning the machine."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: list[float] = field(default_factory=list)
    given_up: bool = False

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, cwd=PROJECT_ROOT, env={**MEMORY, **os.environ, SUPERVISOR: str(os.getpid())},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self.starts.append(time.monotonic())

    def keep_running(self) -> None:
        """Start again if it ended, unless it has ended too often."""
        if self.given_up or (self.process is not None and self.process.poll() is None):
            return
        recent = [moment for moment in self.starts if time.monotonic() - moment < RESTART_WINDOW_SECONDS]
        if len(recent) > RESTARTS_ALLOWED:
            self.given_up = True
            return
        if recent and time.monotonic() - recent[-1] < min(2.0 ** (len(recent) - 1), LONGEST_PAUSE_SECONDS):
            return
        self.starts = recent
        self.start()

    def last_words(self) -> str:
        """The end of its log: why it could not stay."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][-300:] if lines else ""

    @property
    def state(self) -> str:
        if self.given_up:
            return "given up"
        return "running" if self.process is not None and self.process.poll() is None else "down"


def _paths() -> tuple[Path, Path]:
    """Where the supervisor writes what it sees, and where the services log."""
    home = get_settings().ops_home
    return home / "stack.json", home / "logs"


def _services() -> list[Service]:
    """What these settings want to run. The database is held by the supervisor itself, as long as it lives."""
    settings = get_settings()
    _, logs = _paths()
    logs.mkdir(parents=True, exist_ok=True)
    return [
        Service(kind.label, command_of(kind.name), logs / f"{kind.name}.log")
        for kind in KINDS
        if kind.name != "database" and kind.wanted(settings)
    ]


def supervise() -> int:
    """Run the stack in the foreground until it is told to stop. What `ops up` starts, and systemd too."""
    from ops_platform.commands.prepare import prepare

    prepare()
    services = _services()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    state, _ = _paths()
    database = DatabaseKeeper(get_settings())
    observer = Observer(get_settings().ops_home, "supervisor")
    rotation = Rotation([*(service.log for service in services), *other_logs(get_settings())])
    try:
        while not stopping:
            fallen = [each.name for each in services if each.starts and each.state != "running"]
            observer.look(fallen if database.look() else [*fallen, "database"])
            for service in services:
                service.keep_running()
            _write_state(state, services)
            rotation.look()
            time.sleep(1.0)
    finally:
        for service in reversed(services):
            if service.process is not None and service.process.poll() is None:
                service.process.terminate()
        for service in services:
            if service.process is not None:
                try:
                    service.process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    service.process.kill()
        end_runs()
        state.unlink(missing_ok=True)
        code_socket().unlink(missing_ok=True)
    return 0


def _write_state(path: Path, services: list[Service]) -> None:
    content = {
        "supervisor": os.getpid(),
        "identity": identity(os.getpid()),
        "services": {
            service.name: {
                "state": service.state,
                "pid": service.process.pid if service.process else None,
                "starts": len(service.starts),
                "log": str(service.log),
                "said": service.last_words() if service.given_up else "",
            }
            for service in services
        },
    }
    text = json.dumps(content)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def stack_state() -> dict[str, object] | None:
    """What the supervisor last wrote, or None when no stack runs. A supervisor that was killed, or whose machine was,
    leaves the file behind, and its process id may be somebody else's by now."""
    path = _paths()[0]
    try:
        content: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        return content if living(_supervisor_of(content)) else None
    except (OSError, ValueError, KeyError):
        return None


def _supervisor_of(state: dict[str, object]) -> str:
    """Its identity; what a release before this one wrote names its process id alone."""
    return str(state.get("identity") or identity(int(str(state["supervisor"]))))


def up(*, foreground: bool) -> int:
    """Start everything; returns when the web answers (or at once with what went wrong)."""
    if foreground:
        return supervise()
    if stack_state() is not None:
        click.echo(f"Already up: {web_url()} (`ops web` prints a link that signs in)")
        return 0
    _, logs = _paths()
    logs.mkdir(parents=True, exist_ok=True)
    log: IO[bytes]
    with (logs / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ops_platform.cli", "up", "--foreground"],
            cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            tail = (logs / "supervisor.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise ConfigurationError("the stack did not start: " + " ".join(tail))
        if web_answers():
            click.echo(f"Up. Lineage, runs and schedules (the link is good once; `ops web` prints another):\n{link()}")
            click.echo("Stop with `ops down`.")
            return 0
        time.sleep(0.25)
    raise ConfigurationError(f"the stack did not come up within {START_SECONDS} s: see {logs}")


def down() -> int:
    """Stop everything `ops up` started."""
    state = stack_state()
    if state is None:
        click.echo("Nothing is up.")
        return 0
    supervisor, known_as = int(str(state["supervisor"])), _supervisor_of(state)
    try:
        _signal(supervisor, signal.SIGTERM)
    except PermissionError:
        raise ConfigurationError(
            f"process {supervisor} belongs to another account: stop the stack as the one that started it"
        ) from None
    for _ in range(300):
        if not living(known_as):
            break
        time.sleep(0.1)
    else:
        raise ConfigurationError(f"process {supervisor} does not stop: kill it by hand")
    click.echo("Down.")
    return 0


def end_runs(seconds: float = 20.0) -> int:
    """End the processes of runs that were started here; each writes that it was cancelled. Returns how many."""
    from ops_platform.instance.processes import of_runs

    processes = of_runs(get_settings().dagster_home)
    for process in processes:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while (left := of_runs(get_settings().dagster_home)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in left:
        _signal(process, signal.SIGKILL)
    return len(processes)


def _signal(process: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, which)

"""`ops up`, `ops down`, `ops status`: the platform's long-lived processes under one supervisor.

Belongs here: starting, watching, restarting within limits, and stopping code server, web and daemon.
Does not belong here: systemd units (they run `ops up --foreground`), anything the processes do.

One code server is shared by web and daemon through a Unix socket: loading the definitions once instead
of in each of them is most of the difference between a stack that fits 2 GB and one that does not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import click

from ops_platform.commands.listen import wanted as listening_wanted
from ops_platform.failures import ConfigurationError
from ops_platform.settings import PROJECT_ROOT, get_settings

START_SECONDS = 120
RESTARTS_ALLOWED = 5
RESTART_WINDOW_SECONDS = 600.0


@dataclass(slots=True)
class Service:
    """One supervised process. More than `RESTARTS_ALLOWED` starts in the window and it is left down, so that
    a crash loop stops, stays its own and is told, instead of burning the machine."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: list[float] = field(default_factory=list)
    given_up: bool = False

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.starts.append(time.monotonic())

    def keep_running(self) -> None:
        """Start again if it ended, unless it has ended too often."""
        if self.given_up or (self.process is not None and self.process.poll() is None):
            return
        recent = [moment for moment in self.starts if time.monotonic() - moment < RESTART_WINDOW_SECONDS]
        if len(recent) > RESTARTS_ALLOWED:
            self.given_up = True
            return
        self.starts = recent
        self.start()

    @property
    def state(self) -> str:
        if self.given_up:
            return "given up"
        return "running" if self.process is not None and self.process.poll() is None else "down"


def _paths() -> tuple[Path, Path]:
    """Where the supervisor writes what it sees, and where the services log."""
    home = get_settings().ops_home
    return home / "stack.json", home / "logs"


def _code_socket() -> Path:
    """The code server's socket: beside the data where its path is short enough, else in a short private place."""
    from ops_platform.database.server import short_socket_directory

    return short_socket_directory(get_settings().ops_home, "code") / "code.sock"


def _services() -> list[Service]:
    settings = get_settings()
    _, logs = _paths()
    logs.mkdir(parents=True, exist_ok=True)
    workspace = settings.dagster_home / "workspace.yaml"
    socket = _code_socket()
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    workspace.write_text(
        f"load_from:\n  - grpc_server:\n      socket: {json.dumps(str(socket))}\n      location_name: ops_platform\n",
        encoding="utf-8",
    )
    binaries = Path(sys.executable).parent
    listener = Service("listener", [sys.executable, "-m", "ops_platform.cli", "listen"], logs / "listener.log")
    return [
        Service(
            "code server",
            [
                str(binaries / "dagster"), "api", "grpc", "--socket", str(socket),
                "--module-name", "ops_platform.definitions", "--attribute", "defs",
                "--location-name", "ops_platform", "--log-level", "warning",
            ],
            logs / "code.log",
        ),
        Service(
            "web",
            [
                str(binaries / "dagster-webserver"), "--host", "127.0.0.1", "--port", str(settings.ops_web_port),
                "--workspace", str(workspace), "--log-level", "warning",
            ],
            logs / "web.log",
        ),
        Service(
            "daemon",
            [str(binaries / "dagster-daemon"), "run", "--workspace", str(workspace), "--log-level", "warning"],
            logs / "daemon.log",
        ),
        *([listener] if listening_wanted(settings) else []),
    ]  # fmt: skip


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
    try:
        services[0].start()
        _write_state(state, services)
        deadline = time.monotonic() + START_SECONDS
        while not _code_socket().exists() and time.monotonic() < deadline and not stopping:
            if services[0].process is not None and services[0].process.poll() is not None:
                raise ConfigurationError(f"the code server did not start: see {services[0].log}")
            time.sleep(0.1)
        while not stopping:
            for service in services:
                service.keep_running()
            _write_state(state, services)
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
        state.unlink(missing_ok=True)
        _code_socket().unlink(missing_ok=True)
    return 0


def _write_state(path: Path, services: list[Service]) -> None:
    content = {
        "supervisor": os.getpid(),
        "services": {
            service.name: {
                "state": service.state,
                "pid": service.process.pid if service.process else None,
                "starts": len(service.starts),
                "log": str(service.log),
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
    """What the supervisor last wrote, or None when no stack runs."""
    path = _paths()[0]
    try:
        content: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        os.kill(int(str(content["supervisor"])), 0)
    except (OSError, ValueError, KeyError):
        return None
    return content


def up(*, foreground: bool) -> int:
    """Start everything; returns when the web answers (or at once with what went wrong)."""
    if foreground:
        return supervise()
    if stack_state() is not None:
        click.echo(f"Already up: {_web_url()}")
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
            click.echo(f"Up. Lineage, runs and schedules: {_web_url()} (this machine only). Stop with `ops down`.")
            return 0
        time.sleep(0.25)
    raise ConfigurationError(f"the stack did not come up within {START_SECONDS} s: see {logs}")


def down() -> int:
    """Stop everything `ops up` started."""
    state = stack_state()
    if state is None:
        click.echo("Nothing is up.")
        return 0
    supervisor = int(str(state["supervisor"]))
    os.kill(supervisor, signal.SIGTERM)
    for _ in range(300):
        try:
            os.kill(supervisor, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        raise ConfigurationError(f"process {supervisor} does not stop: kill it by hand")
    click.echo("Down.")
    return 0


def _web_url() -> str:
    return f"http://127.0.0.1:{get_settings().ops_web_port}"


def web_answers() -> bool:
    """Whether Dagster's web serves pages."""
    try:
        with build_opener(ProxyHandler({})).open(f"{_web_url()}/server_info", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False

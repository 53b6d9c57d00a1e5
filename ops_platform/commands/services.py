"""The platform's long-lived processes one by one: what each is, and running it in the foreground.

Belongs here: `ops service NAME`, which systemd units, containers and the supervisor of `ops up` all start. Does not
belong here: watching and restarting them (`stack.py`, or systemd), what they do.

One code server is shared by web and daemon through a Unix socket: loading the definitions once instead of in each of
them is most of the difference between a stack that fits 2 GB and one that does not. A service whose program is another
one becomes it (exec), so that no second process of ours waits beside it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops_platform.failures import ConfigurationError
from ops_platform.settings import PROJECT_ROOT, Settings, get_settings

START_SECONDS = 300
#: Names the process that supervises this one, in its environment.
SUPERVISOR = "OPS_SUPERVISOR"


@dataclass(frozen=True, slots=True)
class Kind:
    """A service: its name in a unit or a command, what people call it, whether these settings want it."""

    name: str
    label: str
    wanted: Callable[[Settings], bool]


def _listening(settings: Settings) -> bool:
    from ops_platform.commands.listen import wanted

    return wanted(settings)


def _coordinating(settings: Settings) -> bool:
    return settings.github_write_token is not None and settings.github_repository is not None


#: In the order in which they are started. The database is there for systemd and containers: under `ops up` the
#: supervisor holds it.
KINDS = (
    Kind("database", "database", lambda settings: settings.ops_database_url is None),
    Kind("code", "code server", lambda settings: True),
    Kind("web", "web", lambda settings: True),
    Kind("daemon", "daemon", lambda settings: True),
    Kind("listener", "listener", _listening),
    Kind("coordinator", "coordinator of work orders", _coordinating),
)


def is_wanted(name: str) -> bool:
    """Whether these settings want the service."""
    return next(kind for kind in KINDS if kind.name == name).wanted(get_settings())


def wait_for(name: str) -> None:
    """Wait until a service answers that others are started after. Raises `ConfigurationError` when it does not."""
    if name == "code":
        wait_for_code()
    elif name == "database":
        from ops_platform.database.server import EmbeddedServer

        server = EmbeddedServer(get_settings().ops_home.resolve())
        deadline = time.monotonic() + START_SECONDS
        while not server.answers():
            if time.monotonic() > deadline:
                raise ConfigurationError(f"the database does not answer within {START_SECONDS} s")
            time.sleep(0.2)


def command_of(name: str) -> list[str]:
    """What starts a service."""
    return [sys.executable, "-m", "ops_platform.cli", "service", name]


def code_socket() -> Path:
    """The code server's socket: beside the data where its path is short enough, else in a short private place."""
    from ops_platform.database.server import short_socket_directory

    return short_socket_directory(get_settings().ops_home, "code") / "code.sock"


def write_workspace() -> Path:
    """The file by which web and daemon find the code server."""
    path = get_settings().dagster_home / "workspace.yaml"
    text = (
        f"load_from:\n  - grpc_server:\n      socket: {json.dumps(str(code_socket()))}\n"
        "      location_name: ops_platform\n"
    )
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    return path


def run_service(name: str) -> int:
    """Be the service `name` until it is told to stop. Raises `ConfigurationError` where it cannot start."""
    from ops_platform.redaction import redact_process

    redact_process()
    _end_with_supervisor()
    if name == "database":
        return _database()
    if name == "listener":
        from ops_platform.commands.listen import listen

        return listen(port=None, socket_mode=None)
    if name == "coordinator":
        from ops_platform.commands.work_runs import monitor

        return monitor(every=None, direct=True)
    from ops_platform.commands.prepare import prepare

    prepare()
    if name == "code":
        return _code()
    workspace = write_workspace()
    wait_for_code()
    if name == "web":
        from ops_platform.commands.web import serve

        return serve(workspace)
    _tell_when_due()
    pace = [sys.executable, "-m", "ops_platform.instance.pace"]  # `dagster-daemon` at the pace of this fleet
    become([*pace, "run", "--workspace", str(workspace), "--log-level", "warning"])
    return 1


def _tell_when_due() -> None:
    """What is on schedule is told to the watchdog before the first job runs; afterwards the fleet's health does."""
    from ops_platform import clock
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.fleet.expected import publish_expected

    if get_settings().production:
        with connect() as connection:
            publish_expected(connection, get_fleet(), clock.now())


def _end_with_supervisor() -> None:
    """Have the kernel end this process when its supervisor dies, however it dies: what is left over would hold the port
    and the socket that the next one needs. It stays so through exec."""
    supervisor = os.environ.pop(SUPERVISOR, None)
    if supervisor is None:
        return
    from ops_platform.instance.processes import end_with

    end_with(int(supervisor), signal.SIGTERM)


def _code() -> int:
    path = code_socket()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and _answers(path):
        raise ConfigurationError(f"another code server answers at {path}: `ops down`, or stop its unit")
    path.unlink(missing_ok=True)
    program = Path(sys.executable).parent / "dagster"
    become(
        [
            str(program), "api", "grpc", "--socket", str(path), "--module-name", "ops_platform.definitions",
            "--attribute", "defs", "--location-name", "ops_platform", "--log-level", "warning",
        ]
    )  # fmt: skip
    return 1


def _database() -> int:
    """The embedded server as a service of its own; with an external one there is nothing to run."""
    from ops_platform.database.server import run_in_foreground

    settings = get_settings()
    if settings.ops_database_url is not None:
        raise ConfigurationError("OPS_DATABASE_URL names a server of its own: disable this service")
    run_in_foreground(settings.ops_home)
    return 1


def wait_for_code(seconds: float = START_SECONDS) -> None:
    """Wait until the code server answers. Raises `ConfigurationError` when it does not."""
    deadline = time.monotonic() + seconds
    while not _answers(code_socket()):
        if time.monotonic() > deadline:
            raise ConfigurationError(f"the code server does not answer within {seconds:.0f} s at {code_socket()}")
        time.sleep(0.2)


def _answers(path: Path) -> bool:
    if not path.exists():
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def become(command: list[str]) -> None:
    """Be another program from here on, in this process."""
    from ops_platform.instance.pace import MEMORY

    os.environ.update({name: os.environ.get(name, value) for name, value in MEMORY.items()})
    os.chdir(PROJECT_ROOT)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606


def refuse_taken_port(host: str, port: int, what: str) -> None:
    """Raises `ConfigurationError` naming the port when something else listens on it, before a loop of restarts does."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(f"{what}: cannot take {host}:{port}: {error.strerror or error}") from None

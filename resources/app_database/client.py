"""A session with the app's database: read-only, one snapshot at a time, tried again when it breaks.

Belongs here: connecting, the settings of every transaction, redaction. Does not belong here: which tables are read
(`tables.py`), paging (`source.py`), what an error means (`failures.py`).

Everything is asked inside a transaction that is read-only and repeatable-read, whatever the role could do, with
its settings made local to it: behind a pooler in transaction mode there is nothing else to rely on.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from ops_platform.failures import ConfigurationError, OpsError
from resources.app_database.failures import connect_failure, query_failure, redacted
from resources.retry import RetryPolicy, repeat

if TYPE_CHECKING:
    import psycopg

    Session = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_SECONDS = 10
# A page of a table with the right index takes milliseconds; one that sorts a large table must not hold the app up.
STATEMENT_TIMEOUT_SECONDS = 60
LOCK_TIMEOUT_SECONDS = 10
IDLE_TIMEOUT_SECONDS = 900
# The server's own timeouts come first; this is for one that says nothing at all any more.
HUNG_SECONDS = 3 * STATEMENT_TIMEOUT_SECONDS

_SETTINGS = f"""
set local statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s';
set local lock_timeout = '{LOCK_TIMEOUT_SECONDS}s';
set local idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_SECONDS}s';
set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';
set local row_security = off;
set local max_parallel_workers_per_gather = 0;
"""
# The types of PostgreSQL that are texts: name, text, unknown, character, character varying.
_TEXTS = (19, 25, 705, 1042, 1043)
# Beside the userinfo, an address may carry a password in these.
_SECRET_PARAMETERS = ("password", "sslpassword", "passfile")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the app's database is. `url` holds the password; everything else may be shown."""

    url: str
    where: str
    role: str
    database: str
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Address({self.role}@{self.where}/{self.database})"


def address_of(url: str) -> Address:
    """Take APP_DATABASE_URL apart. Raises `ConfigurationError` without a word of its content.

    A server that is neither this machine nor of the private network is asked for TLS, unless `sslmode` says else."""
    text = url.strip()
    shape = "postgresql://role:password@host:5432/database"
    if not re.match(r"postgres(ql)?://", text):
        raise ConfigurationError(f"app: APP_DATABASE_URL must look like {shape}")
    authority, *rest = re.split(r"[/?]", text.split("://", 1)[1], maxsplit=1)
    if authority.count("@") > 1 or "#" in text or ("@" not in authority and "@" in "".join(rest)):
        raise ConfigurationError(
            f"app: APP_DATABASE_URL must look like {shape}; write @ : / ? # in the password as %40 %3A %2F %3F %23"
        )
    try:
        parts = urlsplit(text)
        # By hand: to libpq a plus sign is a plus sign.
        query = {unquote(name): unquote(value) for name, _, value in _pairs(parts.query)}
        hosts = query.get("host") or parts.netloc.rpartition("@")[2]
        unquoted = unquote(parts.password or "", errors="strict")
        role = unquote(parts.username or query.get("user", ""))
    except ValueError:
        raise ConfigurationError(f"app: APP_DATABASE_URL must look like {shape}") from None
    database = unquote(parts.path.lstrip("/")) or query.get("dbname", "") or role
    if not role:
        raise ConfigurationError(f"app: APP_DATABASE_URL names no role; it must look like {shape}")
    if "sslmode" not in query and not all(_is_near(host) for host in hosts.split(",")):
        query["sslmode"] = "require"
    query.setdefault("connect_timeout", str(CONNECT_TIMEOUT_SECONDS))
    query.setdefault("application_name", "ops_platform")
    # A peer that vanished without a word is noticed within a minute.
    for name, seconds in (("keepalives_idle", 30), ("keepalives_interval", 10), ("keepalives_count", 3)):
        query.setdefault(name, str(seconds))
    secrets = (text, unquoted, parts.password or "", *(query.get(name, "") for name in _SECRET_PARAMETERS))
    more = "&".join(f"{quote(name, safe='')}={quote(value, safe='/')}" for name, value in query.items())
    whole = f"postgresql://{parts.netloc}{parts.path}?{more}"
    return Address(whole, hosts or "the local server", role, database, tuple(set(secrets) - {""}))


def _pairs(query: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in query.split("&") if part]


def _is_near(host: str) -> bool:
    """Whether a host, with or without its port, is this machine or of a private network."""
    if host.startswith("/"):
        return True
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return _is_private(name) if "." in name or ":" in name else True


def _is_private(name: str) -> bool:
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return False
    return found.is_private or found.is_loopback


class AppDatabase:
    """The database behind an address. Connects when first asked, and again after a break. One thread at a time.

    `snapshot` counts the snapshots taken: whoever pages through a table sees by it that the ground has changed.
    `sleep`, `clock` (monotonic seconds) and `draw` (0 to 1) are given by tests."""

    def __init__(
        self,
        address: Address,
        *,
        retry: RetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.address = address
        self.retry = retry or RetryPolicy()
        self.sleep = sleep
        self.clock = clock
        self.snapshot = 0
        self.queries = 0
        # What is needed of each table that was looked at, for the sentence of a failure.
        self.columns: dict[str, tuple[str, ...]] = {}
        self._draw = draw
        self._session: Session | None = None
        self._within = False

    def begin(self) -> None:
        """Let the next question take a new snapshot."""
        if self._session is not None and self._within:
            import psycopg

            try:
                self._session.rollback()
            except psycopg.Error:
                self._drop()
        self._within = False

    def close(self) -> None:
        self._drop()

    def ask(self, what: str, work: Callable[[Session], Any]) -> Any:
        """Do `work` in the snapshot, trying again on a new connection and a new snapshot while that can help.

        `work` gets an open session and may raise a failure of its own; errors of the server become failures.
        `what` names what is read, for the sentence of a failure."""
        import psycopg

        def attempt() -> Any:
            guard: threading.Timer | None = None
            try:
                session = self._ready()
                guard = _hang_up_after(HUNG_SECONDS, session)
                return work(session)
            except psycopg.Error as error:
                needed = self.columns.get(what, ())
                failure = query_failure(error, what, self.address.role, self.address.secrets, needed)
            except BaseException:
                self._drop()
                raise
            finally:
                if guard is not None:
                    guard.cancel()
            self._drop()
            # Not chained: the driver's own exception may show parts of the address.
            raise failure from None

        return repeat(attempt, what, self.retry, vendor="app", sleep=self.sleep, clock=self.clock, draw=self._draw)

    def rows(
        self, session: Session, query: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of one query."""
        self.queries += 1
        return session.execute(query.encode(), parameters).fetchall()

    def _ready(self) -> Session:
        """The session, inside a transaction with its settings made."""
        session = self._session if self._session is not None and not self._session.closed else self._connect()
        self._session = session
        if not self._within:
            session.execute(_SETTINGS.encode())
            self._within = True
            self.snapshot += 1
        return session

    def _connect(self) -> Session:
        import psycopg

        self._within = False
        place = self.address
        failure: OpsError
        try:
            # No prepared statements: a pooler in transaction mode would mix them up.
            session = psycopg.connect(place.url, prepare_threshold=None, client_encoding="utf8")
        except psycopg.ProgrammingError as error:
            said = redacted(str(error), place.secrets)
            failure = ConfigurationError(f"app: APP_DATABASE_URL is not understood: {said}")
        except psycopg.Error as error:
            failure = connect_failure(error, place.where, place.role, place.database, place.secrets)
        else:
            session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            session.read_only = True
            if session.info.parameter_status("server_encoding") == "SQL_ASCII":
                _read_leniently(session)
            return session
        raise failure from None

    def _drop(self) -> None:
        session, self._session, self._within = self._session, None, False
        if session is not None:
            session.close()


def _hang_up_after(seconds: float, session: Session) -> threading.Timer:
    """Cut the connection under a question that nobody answers; cancel the timer when it is answered."""

    def hang_up() -> None:
        with contextlib.suppress(OSError, psycopg.Error):
            with socket.socket(fileno=os.dup(session.fileno())) as peer:
                peer.shutdown(socket.SHUT_RDWR)

    import psycopg

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    return timer


def _read_leniently(session: Session) -> None:
    """A database without an encoding holds any bytes: what is not UTF-8 becomes U+FFFD instead of an error."""
    from psycopg.adapt import Loader

    class LenientText(Loader):
        def load(self, data: Any) -> str:
            return bytes(data).decode("utf-8", "replace")

    for oid in _TEXTS:
        session.adapters.register_loader(oid, LenientText)
    # Asked for UTF-8, the server would refuse the whole row.
    session.execute("set client_encoding to 'SQL_ASCII'")
    session.commit()

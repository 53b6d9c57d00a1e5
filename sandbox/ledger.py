"""What the sandbox served and received, in SQLite, outliving the process: the tests' oracle.

Belongs here: the tables, the write queue, the reading of entries, and the small document store in which a
vendor side keeps what its clients made (posted messages). Does not belong here: deciding what is worth an
entry (`gate.py` records requests, vendor sides record effects).

A *request* is a row for every call. An *effect* is something the outside world would notice: a message
posted, a token issued, tokens spent. Requests and `records_served` come in volume: they wait in memory for
at most `FLUSH_SECONDS` and never block an answer. Every other effect is committed before `record` returns,
so an answer never leaves before its effect is on disk, and a killed process loses no effect it confirmed.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from sandbox.exchange import Exchange
from sandbox.hooks import Clock

FLUSH_SECONDS = 0.05
VOLUME_KINDS = frozenset({"records_served"})
MAX_DETAIL_BYTES = 1_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, started_at TEXT NOT NULL, seed INTEGER, clock TEXT, pid INTEGER);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, at TEXT NOT NULL, clock TEXT NOT NULL, vendor TEXT NOT NULL,
    method TEXT NOT NULL, path TEXT NOT NULL, query TEXT NOT NULL, operation TEXT NOT NULL,
    status INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, records INTEGER NOT NULL,
    milliseconds REAL NOT NULL, fault TEXT);
CREATE TABLE IF NOT EXISTS effects (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, at TEXT NOT NULL, clock TEXT NOT NULL, vendor TEXT NOT NULL,
    kind TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS effects_kind ON effects (vendor, kind);
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (collection, key));
"""
_REQUEST_COLUMNS = (
    "run, at, clock, vendor, method, path, query, operation, status, bytes_in, bytes_out, records, milliseconds, fault"
)
_REQUEST_KEYS = ("id", *_REQUEST_COLUMNS.split(", "))


class StateInUse(Exception):
    """Another sandbox process holds the state directory."""


class SqliteLedger:
    """The ledger at `<state>/ledger.sqlite`. Safe to use from several threads of one process; a second
    process on the same directory waits up to `wait` seconds for the first to end, then is refused."""

    def __init__(self, state: Path, clock: Clock, *, seed: int | None = None, wait: float = 5.0) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self.path = state / "ledger.sqlite"
        self._clock = clock
        self._held = _hold(state / "sandbox.lock", wait)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        cursor = self._db.execute(
            "INSERT INTO runs (started_at, seed, clock, pid) VALUES (?, ?, ?, ?)",
            (_wall(), seed, _iso(clock.now()), os.getpid()),
        )
        self.run = int(cursor.lastrowid or 0)
        self._requests: list[tuple[Any, ...]] = []
        self._effects: list[tuple[Any, ...]] = []
        self._documents: dict[tuple[str, str], str | None] = {}
        self._wanted = threading.Event()
        self._closed = False
        self._writer = threading.Thread(target=self._write_behind, name="ledger", daemon=True)
        self._writer.start()

    # Writing ----------------------------------------------------------------------------------------------

    def record(self, vendor: str, kind: str, detail: dict[str, Any]) -> None:
        """An effect. On disk when this returns, except the kinds in `VOLUME_KINDS`."""
        self._queue_effect(vendor, kind, detail)
        if kind in VOLUME_KINDS:
            self._wanted.set()
        else:
            self.flush()

    def record_with(
        self, vendor: str, kind: str, detail: dict[str, Any], documents: Mapping[tuple[str, str], Any]
    ) -> None:
        """An effect together with the documents it changes ((collection, key) → body, None deletes), in one
        transaction: a killed process has both or neither."""
        self._queue_effect(vendor, kind, detail)
        with self._lock:
            for key, body in documents.items():
                self._documents[key] = None if body is None else orjson.dumps(body).decode()
        self.flush()

    def request(self, exchange: Exchange, *, status: int, bytes_out: int, milliseconds: float) -> None:
        """One call, whatever became of it. `status` is 0 where the connection was dropped unanswered."""
        row = (
            self.run,
            _wall(),
            _iso(self._clock.now()),
            exchange.vendor,
            exchange.method,
            exchange.path,
            exchange.query[:500],
            exchange.operation[:200],
            status,
            len(exchange.body),
            bytes_out,
            exchange.records,
            round(milliseconds, 2),
            exchange.fault,
        )
        with self._lock:
            self._requests.append(row)
        self._wanted.set()

    def flush(self) -> None:
        """Everything queued so far is on disk when this returns."""
        with self._lock:
            if self._closed or not (self._requests or self._effects or self._documents):
                return
            requests, self._requests = self._requests, []
            effects, self._effects = self._effects, []
            documents, self._documents = self._documents, {}
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    f"INSERT INTO requests ({_REQUEST_COLUMNS}) VALUES ({','.join('?' * 14)})", requests
                )
                self._db.executemany(
                    "INSERT INTO effects (run, at, clock, vendor, kind, detail) VALUES (?, ?, ?, ?, ?, ?)",
                    effects,
                )
                for (collection, key), body in documents.items():
                    if body is None:
                        self._db.execute("DELETE FROM documents WHERE collection = ? AND key = ?", (collection, key))
                    else:
                        self._db.execute(
                            "INSERT INTO documents VALUES (?, ?, ?) "
                            "ON CONFLICT (collection, key) DO UPDATE SET body = excluded.body",
                            (collection, key, body),
                        )
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                self._requests[:0], self._effects[:0] = requests, effects
                self._documents = {**documents, **self._documents}
                raise

    def close(self) -> None:
        """Flush, fold the write-ahead log back into the file, and let the state directory go."""
        if self._closed:
            return
        self.flush()
        with self._lock:
            self._closed = True
            self._db.close()
        self._wanted.set()
        self._writer.join(timeout=2)
        os.close(self._held)

    # Reading ----------------------------------------------------------------------------------------------

    def documents(self, collection: str) -> dict[str, Any]:
        """Every document of a collection, by key."""
        self.flush()
        with self._lock:
            rows = self._db.execute(
                "SELECT key, body FROM documents WHERE collection = ? ORDER BY key", (collection,)
            ).fetchall()
        return {key: orjson.loads(body) for key, body in rows}

    def entries(
        self,
        *,
        vendor: str | None = None,
        kind: str | None = None,
        run: int | None = None,
        since: int = 0,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Entries oldest first. `kind` "request" gives the calls, any other kind those effects, None both.
        `since` is an entry id (exclusive, of one kind of entry); `run` one process start."""
        self.flush()
        found: list[dict[str, Any]] = []
        if kind in (None, "request"):
            for row in self._select(f"id, {_REQUEST_COLUMNS}", "requests", vendor, None, run, since, limit):
                found.append({"kind": "request", **dict(zip(_REQUEST_KEYS, row, strict=True))})
        if kind != "request":
            columns = "id, run, at, clock, vendor, kind, detail"
            for row in self._select(columns, "effects", vendor, kind, run, since, limit):
                entry = dict(zip(columns.split(", "), row, strict=True))
                entry["detail"] = orjson.loads(entry["detail"])
                found.append(entry)
        if kind is None:
            found.sort(key=lambda entry: (entry["at"], entry["kind"] != "request", entry["id"]))
        return found[:limit]

    def summary(self) -> dict[str, Any]:
        """Counts by vendor: calls, statuses, faults, records and bytes served, effects by kind."""
        self.flush()
        vendors: dict[str, Any] = {}
        with self._lock:
            calls = self._db.execute(
                "SELECT vendor, status, fault, count(*), sum(records), sum(bytes_out) "
                "FROM requests GROUP BY vendor, status, fault"
            ).fetchall()
            effects = self._db.execute("SELECT vendor, kind, count(*) FROM effects GROUP BY vendor, kind").fetchall()
            runs = self._db.execute("SELECT count(*) FROM runs").fetchone()[0]

        def entry(vendor: str) -> dict[str, Any]:
            blank = {"requests": 0, "records": 0, "bytes": 0, "status": {}, "faults": {}, "effects": {}}
            return vendors.setdefault(vendor, blank)

        for vendor, status, fault, count, records, size in calls:
            into = entry(vendor)
            into["requests"] += count
            into["records"] += records
            into["bytes"] += size
            into["status"][str(status)] = into["status"].get(str(status), 0) + count
            if fault:
                into["faults"][fault] = into["faults"].get(fault, 0) + count
        for vendor, kind, count in effects:
            entry(vendor)["effects"][kind] = count
        return {"run": self.run, "runs": runs, "vendors": vendors}

    # Inside -----------------------------------------------------------------------------------------------

    def _queue_effect(self, vendor: str, kind: str, detail: dict[str, Any]) -> None:
        body = orjson.dumps(detail, default=str)
        if len(body) > MAX_DETAIL_BYTES:
            body = orjson.dumps({"truncated": True, "bytes": len(body), "head": body[:2000].decode("utf-8", "replace")})
        row = (self.run, _wall(), _iso(self._clock.now()), vendor, kind, body.decode())
        with self._lock:
            self._effects.append(row)

    def _select(
        self,
        columns: str,
        table: str,
        vendor: str | None,
        kind: str | None,
        run: int | None,
        since: int,
        limit: int | None,
    ) -> Iterable[tuple[Any, ...]]:
        clauses, values = ["id > ?"], [since]  # type: tuple[list[str], list[Any]]
        for column, value in (("vendor", vendor), ("kind", kind), ("run", run)):
            if value is not None:
                clauses.append(f"{column} = ?")
                values.append(value)
        sql = f"SELECT {columns} FROM {table} WHERE {' AND '.join(clauses)} ORDER BY id LIMIT ?"
        with self._lock:
            return self._db.execute(sql, (*values, -1 if limit is None else limit)).fetchall()

    def _write_behind(self) -> None:
        while not self._closed:
            self._wanted.wait()
            self._wanted.clear()
            time.sleep(FLUSH_SECONDS)
            self.flush()


def _hold(path: Path, wait: float) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                owner = os.pread(handle, 32, 0).decode().strip() or "unknown"
                os.close(handle)
                raise StateInUse(f"{path.parent} is in use by another sandbox (process {owner}).") from None
            time.sleep(0.05)
        else:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            return handle


def _wall() -> str:
    return _iso(datetime.now(UTC))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")

"""Between the client and the server: a listener that wakes the server at the first connection, and spoils answers.

Belongs here: PostgreSQL's wire protocol as far as a fault needs it, and the ledger's line for every query. Does not
belong here: the server (`postgres.py`), what is in it (`contents.py`).

The password is checked by the server itself: messages pass unread but for their type and length. Faults of
connecting: `refuse_connection` (closed without a word), `starting_up` (57P03), `too_many_connections` (53300).
Faults of a query that reads one of the app's tables, after some of its rows: `kill_connection` (57P01 and the end),
`cut_connection` (reset without a word), `recovery_conflict` (40001, as a replica says it). `slow_query` answers
after `seconds`.
Faults of its rows, with everything else in order: `short_page`, `empty_page`, `repeat_page` (the rows of the page
before), `duplicate_rows`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.app_database.postgres import OWNER
from sandbox.exchange import Exchange, enter
from sandbox.faults import Fault, FaultPlan
from sandbox.ledger import SqliteLedger

VENDOR = "app"
CONNECTING = frozenset({"refuse_connection", "starting_up", "too_many_connections"})
BREAKING = frozenset({"kill_connection", "cut_connection", "recovery_conflict"})
SPOILING = frozenset({"short_page", "empty_page", "repeat_page", "duplicate_rows"})
SLOWING = frozenset({"slow_query"})
FAULTS = CONNECTING | BREAKING | SPOILING | SLOWING

_READS_A_TABLE = re.compile(rb'\bfrom\s+"?\w+"?\."?(users|sessions|roles|subscriptions|tickets)\b', re.IGNORECASE)
_SSL, _GSS, _CANCEL = 80_877_103, 80_877_104, 80_877_102
_REFUSALS = {
    "starting_up": ("57P03", "the database system is starting up"),
    "too_many_connections": ("53300", "sorry, too many clients already"),
    "kill_connection": ("57P01", "terminating connection due to administrator command"),
    "recovery_conflict": ("40001", "terminating connection due to conflict with recovery"),
}


class Wire:
    """Listens on the loopback interface from the beginning; `wake` is called in its thread before the first
    connection is served. `socket_path` is the server's."""

    def __init__(self, wake: Callable[[], None], socket_path: Path, faults: FaultPlan, ledger: SqliteLedger) -> None:
        self._wake = wake
        self._socket_path = socket_path
        self._faults = faults
        self._ledger = ledger
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="app-database", daemon=True)
        self._thread.start()

    def awake(self) -> None:
        """Wake the server from another thread, and wait until it is."""
        self._ready.wait()
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._woken(), self._loop).result()

    def close(self, last: Callable[[], None]) -> None:
        """End every connection, then call `last` in the wire's thread."""
        self._ready.wait()
        loop = self._loop
        if loop is None or not self._thread.is_alive():
            return

        def end() -> None:
            last()
            loop.stop()

        loop.call_soon_threadsafe(end)
        self._thread.join(30)

    async def _woken(self) -> None:
        # In the loop itself: connections made meanwhile wait, as they would for a server that starts.
        self._wake()

    def _run(self) -> None:
        loop = self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(self._serve, sock=self._listener))
        self._ready.set()
        try:
            loop.run_forever()
        finally:
            server.close()
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.close()

    # -- one connection -------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        enter(Exchange(VENDOR, "CONNECT", "/app"))
        backend: asyncio.StreamWriter | None = None
        try:
            startup = await self._startup(reader, writer)
            if startup is None:
                return
            fault = self._faults.take_fault(VENDOR, "connect", CONNECTING)
            if fault is not None:
                self._note("CONNECT", fault.name, 0, fault)
                if fault.name == "refuse_connection":
                    _reset(writer)
                else:
                    writer.write(_fatal(*_REFUSALS[fault.name]))
                    await writer.drain()
                return
            if b"\0user\0%s\0" % OWNER.encode() in b"\0" + startup[8:]:
                # Trusted on the server's own socket; nobody comes this way under that name.
                writer.write(_fatal("28P01", f'password authentication failed for user "{OWNER}"'))
                await writer.drain()
                return
            await self._woken()
            answers, backend = await asyncio.open_unix_connection(str(self._socket_path))
            backend.write(startup)
            if struct.unpack("!I", startup[4:8])[0] == _CANCEL:
                await backend.drain()
                return
            link = _Link(self, writer, backend)
            asking = asyncio.ensure_future(link.ask(reader))
            answering = asyncio.ensure_future(link.answer(answers))
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            for task in (asking, answering):
                task.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            # Cancelled only when the loop ends; a task that ended cancelled would be reported as an error.
            pass
        finally:
            for each in (backend, writer):
                if each is not None:
                    with contextlib.suppress(Exception):
                        each.close()

    async def _startup(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """The first message; requests for encryption before it are declined, as a server without TLS does."""
        while True:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            if length > 65_536:
                return None
            if code in (_SSL, _GSS):
                writer.write(b"N")
                await writer.drain()
                continue
            return head + await reader.readexactly(length - 8)

    def take(self, point: str, names: frozenset[str]) -> Fault | None:
        return self._faults.take_fault(VENDOR, point, names)

    def _note(self, what: str, operation: str, records: int, fault: Fault | None, spent: float = 0.0) -> None:
        exchange = Exchange(VENDOR, "SQL", "/app", operation=operation, records=records)
        exchange.fault = fault.name if fault else None
        status = 0 if fault is not None and fault.name in BREAKING | CONNECTING else 200
        self._ledger.request(exchange, status=status, bytes_out=0, milliseconds=spent * 1000)

    def note(self, operation: str, records: int, fault: Fault | None, spent: float) -> None:
        self._note("SQL", operation, records, fault, spent)


class _Link:
    """The two directions of one connection. `query` is the text last asked, where it reads a table."""

    def __init__(self, wire: Wire, client: asyncio.StreamWriter, backend: asyncio.StreamWriter) -> None:
        self.wire = wire
        self.client = client
        self.backend = backend
        self.query = b""
        self.since = 0.0
        self.before: list[bytes] = []

    async def ask(self, reader: asyncio.StreamReader) -> None:
        while True:
            kind, message = await _message(reader)
            if kind in (b"Q", b"P"):
                text = message[5:] if kind == b"Q" else message[5:].split(b"\0", 1)[1]
                text = text.split(b"\0", 1)[0]
                # A fetch reads what its cursor was declared over.
                if not text.lower().startswith(b"fetch"):
                    self.query = text if _READS_A_TABLE.search(text) else b""
                self.since = time.perf_counter()
            self.backend.write(message)
            await self.backend.drain()

    async def answer(self, reader: asyncio.StreamReader) -> None:
        rows: list[bytes] = []
        while True:
            kind, message = await _message(reader)
            if kind == b"D" and self.query:
                rows.append(message)
                continue
            if kind in (b"C", b"E") and self.query:
                if not await self._finish(kind, rows):
                    return
                rows = []
            self.client.write(message)
            await self.client.drain()

    async def _finish(self, kind: bytes, rows: list[bytes]) -> bool:
        """Send the rows that were held back, whole or spoilt; false where the connection ended."""
        enter(Exchange(VENDOR, "SQL", "/app", body=self.query))
        fault = None
        if kind == b"C":
            fault = self.wire.take("query", BREAKING | SLOWING)
            if fault is None and len(rows) > 1:
                fault = self.wire.take("rows", SPOILING)
        table = _READS_A_TABLE.search(self.query)
        operation = f"select {table.group(1).decode()}" if table else "select"
        self.wire.note(operation, len(rows), fault, time.perf_counter() - self.since)
        name = fault.name if fault else ""
        if fault is not None and name in SLOWING:
            await asyncio.sleep(float(fault.options.get("seconds", 1)))
        if name in BREAKING:
            self.client.write(b"".join(rows[: len(rows) * 3 // 4]))
            if name == "cut_connection":
                # A part of a row, then nothing.
                self.client.write(rows[-1][: len(rows[-1]) // 2] if rows else b"")
                await self.client.drain()
                _reset(self.client)
            else:
                self.client.write(_fatal(*_REFUSALS[name]))
                await self.client.drain()
            return False
        sent = _spoilt(name, rows, self.before)
        if len(rows) > 1:
            self.before = rows
        self.client.write(b"".join(sent))
        return True


def _spoilt(fault: str, rows: list[bytes], before: list[bytes]) -> list[bytes]:
    if fault == "short_page":
        return rows[: len(rows) * 2 // 3]
    if fault == "empty_page":
        return []
    if fault == "repeat_page":
        # Only rows of the same shape: a client could not even read others.
        return before if before and before[0][5:7] == rows[0][5:7] else rows
    if fault == "duplicate_rows":
        return [*rows, *rows[: max(1, len(rows) // 4)]]
    return rows


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!I", head[1:])
    return head[:1], head + await reader.readexactly(length - 4)


def _fatal(state: str, text: str) -> bytes:
    """An ErrorResponse that ends the connection."""
    fields = {b"S": b"FATAL", b"V": b"FATAL", b"C": state.encode(), b"M": text.encode()}
    body = b"".join(key + value + b"\0" for key, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

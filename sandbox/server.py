"""One process, one loopback port, all vendors: assembling the sandbox and running it.

Belongs here: building company, ledger, faults and vendor sides into one application, and the life of the
process (port file, signals, end of the parent). Does not belong here: the control API (`control.py`), what
happens to a request on its way in (`gate.py`), any vendor.

    with running(seed=7, clock=datetime(...), state=tmp_path) as sandbox:
        httpx.get(sandbox.url + "/_sandbox/ready")
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from sandbox.clock import SandboxClock
from sandbox.company import Company
from sandbox.control import Control
from sandbox.faults import FaultPlan
from sandbox.gate import Gate
from sandbox.ledger import SqliteLedger
from sandbox.mutation import MutationRefused
from sandbox.options import Options
from sandbox.sides import SIDES
from sandbox.vendor_side import Side, Surroundings

HOST = "127.0.0.1"
GRACE_SECONDS = 2
# New containers between two looks for garbage, instead of 700.
RARELY = 50_000


def load_company(options: Options, clock: datetime) -> Company:
    """The company that is served: generated, or read from the CSV of order lines."""
    if options.orders is not None:
        from sandbox.orders_csv import load_orders_csv

        return load_orders_csv(options.orders, clock)
    from sandbox.company import generate

    return generate(options.seed, clock)


class Sandbox:
    """Everything behind the port. Closing it lets the state directory go."""

    def __init__(self, options: Options) -> None:
        started = time.perf_counter()
        self.options = options
        self.clock = SandboxClock(options.clock, ticking=options.ticking)
        self.ledger = SqliteLedger(options.state, self.clock, seed=options.seed)
        self.profile = options.profile
        self.sides: dict[str, Side] = {}
        try:
            self.faults = FaultPlan({vendor: side.faults for vendor, side in SIDES.items()})
            prepared = {v: side.prepare(options, self.clock) for v, side in SIDES.items() if side.prepare}
            self.company = load_company(options, options.clock)
            for vendor, side in SIDES.items():
                around = Surroundings(self.company, options, self.clock, self.ledger, self.faults, prepared.get(vendor))
                self.sides[vendor] = side.mount(around)
        except BaseException:
            self.close()
            raise
        self.journal: list[tuple[str, str, dict[str, Any]]] = []
        self.url = ""
        self.server: uvicorn.Server | None = None
        self.app: ASGIApp = Gate(
            Starlette(
                routes=[*Control(self).routes(), *(route for side in self.sides.values() for route in side.routes())]
            ),
            self.ledger,
            self.faults,
            self._connections,
        )
        self.built_in = time.perf_counter() - started

    def close(self) -> None:
        for side in self.sides.values():
            side.close()
        self.ledger.close()

    def opened(self) -> None:
        """The address is known: sides that hand out addresses of their own learn it."""
        for side in self.sides.values():
            side.at(self.url)

    def warm(self) -> None:
        """Have every side make what its first request would wait for."""
        for side in self.sides.values():
            if side.environment(self.url):  # the company has this vendor
                side.warm()

    def stop(self) -> None:
        """Let the server end after the requests under way."""
        if self.server is not None:
            self.server.should_exit = True

    def mutate(self, vendor: str, op: str, data: Mapping[str, Any]) -> Any:
        """Change a vendor's data from outside, and remember it for the next company."""
        side = self.sides.get(vendor)
        if side is None:
            raise MutationRefused(f'"vendor" must be one of {", ".join(self.sides)}, not {vendor!r}.')
        result = side.mutate(op, dict(data))
        # Remembered with its moment and the names it was given, so that it comes back the same.
        at = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.journal.append((vendor, op, {"at": at, **side.replayed(data, result)}))
        return result

    def advance(self, company: Company) -> None:
        """Serve `company` from now on, with every change made from outside applied to it again."""
        self.company = company
        for side in self.sides.values():
            side.load(company)
        journal, self.journal = self.journal, []
        for vendor, op, data in journal:
            self.mutate(vendor, op, data)

    def set_profile(self, profile: str) -> None:
        """Change the vendors' rate limits."""
        self.profile = profile
        for side in self.sides.values():
            side.profile = profile

    def environment(self) -> dict[str, str]:
        """The settings with which the product reaches this sandbox."""
        return {key: value for side in self.sides.values() for key, value in side.environment(self.url).items()}

    def _connections(self) -> Any:
        return self.server.server_state.connections if self.server is not None else ()


class _Server(uvicorn.Server):
    """uvicorn, telling when it is ready and leaving signals to us."""

    def __init__(self, config: uvicorn.Config, ready: Any) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(port: int) -> socket.socket:
    """The listening socket, on the loopback interface alone."""
    # Naming the protocol lets asyncio switch Nagle's algorithm off; otherwise every small answer waits 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    return sock


def _server(sandbox: Sandbox, sock: socket.socket, ready: Any) -> _Server:
    sandbox.url = f"http://{HOST}:{sock.getsockname()[1]}"
    sandbox.opened()
    config = uvicorn.Config(
        sandbox.app,
        loop="asyncio",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config, ready)
    sandbox.server = server
    return server


def run(options: Options, announce: Any = None) -> int:
    """Serve until a signal, `POST /_sandbox/shutdown`, or the end of the parent. The exit code."""
    if options.port_file is not None:
        # One left by a killed process would name a port nobody serves.
        options.port_file.unlink(missing_ok=True)
    sock = _listen(options.port)
    # Answers are trees of new objects without cycles, and the company stays: looking for garbage finds next to none.
    gc.set_threshold(RARELY)
    sandbox = Sandbox(options)
    gc.freeze()

    def ready() -> None:
        if options.port_file is not None:
            _write_whole(options.port_file, f"{sock.getsockname()[1]}\n")
        if announce is not None:
            announce(sandbox)
        if options.warm:
            threading.Thread(target=sandbox.warm, name="warm", daemon=True).start()

    server = _server(sandbox, sock, ready)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, sandbox.stop)
        if options.parent_pid is not None:
            _watch_parent(loop, options.parent_pid, sandbox.stop)
        await server.serve(sockets=[sock])

    try:
        asyncio.run(serve())
    finally:
        sandbox.close()
        if options.port_file is not None:
            options.port_file.unlink(missing_ok=True)
    return 0


@contextlib.contextmanager
def running(
    *, seed: int = 7, clock: datetime, state: Path, orders: Path | None = None, **further: Any
) -> Iterator[Sandbox]:
    """A sandbox served from a thread of this process, for tests. `further` are the other `Options`."""
    options = Options(seed=seed, clock=clock, state=state, orders=orders, **further)
    sandbox = Sandbox(options)
    sock = _listen(options.port)
    started = threading.Event()
    server = _server(sandbox, sock, started.set)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])), name="sandbox", daemon=True)
    thread.start()
    try:
        if not started.wait(10):
            raise TimeoutError("The sandbox did not start within 10 seconds.")
        yield sandbox
    finally:
        sandbox.stop()
        thread.join(GRACE_SECONDS + 5)
        sandbox.close()


def _write_whole(path: Path, text: str) -> None:
    """The file is there with all its text, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def _watch_parent(loop: asyncio.AbstractEventLoop, pid: int, gone: Any) -> None:
    """Call `gone` when the process `pid` ends, or at once when it already has."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        gone()
        return
    except (AttributeError, OSError):
        # No pidfd on this system: look from time to time.
        def look() -> None:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                gone()
            else:
                loop.call_later(1.0, look)

        look()
        return
    if select.select([handle], [], [], 0)[0]:
        gone()
        return
    loop.add_reader(handle, gone)

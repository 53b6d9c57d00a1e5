"""A loopback server that answers by script, for what a well-behaved sandbox does not do: cut bodies, resets,
HTML pages, repeated pages, odd headers.

Belongs here: the server and a clock that sleeps by being told to. Does not belong here: any vendor's logic.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from resources.http import HttpClient, RetryPolicy


@dataclass(slots=True)
class Asked:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(self.body.decode()).items()}


@dataclass(slots=True)
class Said:
    """An answer. `cut` sends only so many bytes of the body and closes; `reset` answers nothing at all."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False


def said(data: Any, status: int = 200, **headers: str) -> Said:
    """A JSON answer."""
    return Said(json.dumps(data).encode(), status, {key.replace("_", "-"): value for key, value in headers.items()})


Script = Callable[[Asked], Said]


class FakeVendor:
    """The running server: `asked` is what came in, in order."""

    def __init__(self, script: Script) -> None:
        self.asked: list[Asked] = []
        self.script = script
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                asked = Asked(
                    self.command,
                    parts.path,
                    {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()},
                    {key.lower(): value for key, value in self.headers.items()},
                    self.rfile.read(int(self.headers.get("content-length") or 0)),
                )
                with lock:
                    outer.asked.append(asked)
                    reply = outer.script(asked)
                if reply.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                headers = {"Content-Type": "application/json", **reply.headers}
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if reply.cut is not None:
                    self.wfile.write(reply.body[: reply.cut])
                    self.close_connection = True
                else:
                    self.wfile.write(reply.body)

            do_GET = do_POST = _answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def fake_vendor(script: Script) -> Iterator[FakeVendor]:
    vendor = FakeVendor(script)
    try:
        yield vendor
    finally:
        vendor.stop()


def in_turn(*replies: Said) -> Script:
    """Answer with these, one after the other; the last one for ever."""
    waiting = list(replies)

    def script(_: Asked) -> Said:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return script


class StillClock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def client_of(
    vendor: FakeVendor, clock: StillClock, name: str = "shopify", retry: RetryPolicy | None = None, **more: Any
) -> HttpClient:
    return HttpClient(name, vendor.url, sleep=clock.sleep, clock=clock, draw=lambda: 1.0, retry=retry, **more)

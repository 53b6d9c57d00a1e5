"""A Slack on loopback that keeps a ledger: the oracle of the delivery tests.

It speaks chat.postMessage, conversations.history, conversations.replies and auth.test, and misbehaves on
demand, below HTTP too (accept and drop, reset, drip), which a framework would not let it.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "xoxb-test"


@dataclass
class Fault:
    """`kind` on the next `times` calls of `method`, after letting `after` of them pass."""

    method: str
    kind: str
    times: int = 1
    after: int = 0
    value: str = ""


@dataclass
class SlackFake:
    """State of the fake. `skew` shifts its clock against ours (seconds)."""

    channels: set[str] = field(default_factory=lambda: {"C0EXEC", "C0TEAM", "C0ALERT"})
    skew: float = 0.0
    page_size: int = 1000
    messages: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0
    last_ts: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fault(self, method: str, kind: str, *, times: int = 1, after: int = 0, value: str = "") -> None:
        self.faults.append(Fault(method, kind, times, after, value))

    def posts(self) -> list[dict[str, Any]]:
        """What the vendor's side shows, oldest first."""
        with self.lock:
            return [dict(message) for message in self.messages]

    def outbox_ids(self) -> list[str]:
        return [m["metadata"]["event_payload"]["outbox_id"] for m in self.posts() if "metadata" in m]

    def say(self, channel: str, text: str, *, ts: float | None = None, thread_ts: str | None = None) -> str:
        """Somebody else writes in a channel."""
        with self.lock:
            return self._append({"channel": channel, "text": text, "thread_ts": thread_ts}, ts)

    def _append(self, message: dict[str, Any], at: float | None = None) -> str:
        moment = time.time() + self.skew if at is None else at
        if at is None:
            moment = max(moment, self.last_ts + 0.000001)
            self.last_ts = moment
        ts = f"{moment:.6f}"
        self.messages.append({key: value for key, value in {**message, "ts": ts}.items() if value is not None})
        return ts

    def _take_fault(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.method != method:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def answer(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = arguments.get("channel")
        if method == "auth.test":
            return {"ok": True, "user": "ops", "team": "Demo"}
        if channel not in self.channels:
            return {"ok": False, "error": "channel_not_found"}
        if method == "chat.postMessage":
            if not arguments.get("text"):
                return {"ok": False, "error": "no_text"}
            ts = self._append(
                {key: arguments.get(key) for key in ("channel", "text", "blocks", "thread_ts", "metadata")}
            )
            return {"ok": True, "channel": channel, "ts": ts, "message": {"text": arguments["text"]}}
        return self._read(method, arguments)

    def _read(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        found = [m for m in self.messages if m["channel"] == arguments["channel"]]
        found.sort(key=lambda m: float(m["ts"]))
        if method == "conversations.history":
            found = [m for m in found if "thread_ts" not in m]
            found.reverse()
        else:
            found = [m for m in found if arguments["ts"] in (m["ts"], m.get("thread_ts"))]
            if not found:
                return {"ok": False, "error": "thread_not_found"}
        if "oldest" in arguments:
            found = [m for m in found if float(m["ts"]) >= float(arguments["oldest"])]
        start = int(arguments.get("cursor") or 0)
        size = min(int(arguments.get("limit", 100)), self.page_size)
        page = [dict(m) for m in found[start : start + size]]
        if str(arguments.get("include_all_metadata")) not in ("1", "true", "True"):
            for message in page:
                message.pop("metadata", None)
        more = start + size < len(found)
        return {
            "ok": True,
            "messages": page,
            "has_more": more,
            "response_metadata": {"next_cursor": str(start + size) if more else ""},
        }


def _handler(fake: SlackFake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            return

        def do_GET(self) -> None:
            self._reply(200, b'{"ok":true,"stolen":true}')

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            method = self.path.removeprefix("/api/")
            if "json" in (self.headers.get("content-type") or ""):
                arguments = json.loads(body or b"{}")
            else:
                arguments = dict(parse_qsl(body.decode()))
            with fake.lock:
                fake.requests.append({"method": method, "arguments": arguments, "headers": dict(self.headers)})
                fault = fake._take_fault(method)
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                self._json({"ok": False, "error": "invalid_auth"})
                return
            if fault is not None and not self._misbehave(fault, method, arguments):
                return
            with fake.lock:
                answer = fake.answer(method, arguments)
            if fault is not None and fault.kind == "slow":
                time.sleep(float(fault.value))
            self._json(answer)

        def _misbehave(self, fault: Fault, method: str, arguments: dict[str, Any]) -> bool:
            """True when the call goes on normally after the fault."""
            kind = fault.kind
            if kind in ("accept_then_drop", "accept_then_reset", "accept_then_500", "accept_then_html", "truncate"):
                with fake.lock:
                    answer = fake.answer(method, arguments)
                if kind == "accept_then_500":
                    self._reply(500, b"<html>Internal</html>", "text/html")
                elif kind == "accept_then_html":
                    self._reply(200, b"<html>proxy</html>", "text/html")
                elif kind == "truncate":
                    whole = json.dumps(answer).encode()
                    self._reply(200, whole[: len(whole) // 2], length=len(whole))
                    self._close(reset=False)
                else:
                    self._close(reset=kind == "accept_then_reset")
            elif kind in ("drop", "reset"):
                self._close(reset=kind == "reset")
            elif kind == "ratelimited":
                self._reply(429, b'{"ok":false,"error":"ratelimited"}', headers={"Retry-After": fault.value or "1"})
            elif kind == "error":
                self._json({"ok": False, "error": fault.value})
            elif kind == "status":
                self._reply(int(fault.value), b'{"ok":false,"error":"service_unavailable"}')
            elif kind == "page":
                self._reply(int(fault.value), b"<html><body>Blocked</body></html>", "text/html")
            elif kind == "redirect":
                self._reply(302, b"", headers={"Location": fault.value})
            elif kind == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
                for _ in range(int(fault.value)):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
                self._close(reset=False)
            elif kind == "repeat_cursor":
                with fake.lock:
                    answer = fake.answer(method, {**arguments, "cursor": ""})
                self._json({**answer, "has_more": True, "response_metadata": {"next_cursor": "same"}})
            elif kind == "slow":
                return True
            else:
                raise AssertionError(kind)
            return False

        def _close(self, *, reset: bool) -> None:
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _json(self, value: dict[str, Any]) -> None:
            self._reply(200, json.dumps(value).encode())

        def _reply(
            self,
            status: int,
            body: bytes,
            kind: str = "application/json; charset=utf-8",
            headers: dict[str, str] | None = None,
            length: int | None = None,
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):
                return  # we closed the connection under the server on purpose

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                return

    return Handler


@contextmanager
def running_slack(**state: Any) -> Iterator[SlackFake]:
    """A fake Slack on a free loopback port."""
    fake = SlackFake(**state)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()

"""A Messages API on loopback that answers what a test tells it to, and misbehaves below HTTP too.

A script is a list of answers, used one after another (the last one repeats): a mapping of slot texts, a string
(sent as the answer's text), or a `Misbehaviour`. Requests are checked against the API's own schema where it is
there, and kept.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jsonschema

from tests.conftest import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-ant-test"


@dataclass(frozen=True)
class Misbehaviour:
    """`kind`: status, reset, drop, html, truncate, drip, slow, raw (a whole body), message (fields over a good one)."""

    kind: str
    value: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Answer = dict[str, str] | str | Misbehaviour


@dataclass
class AnthropicFake:
    script: list[Answer] = field(default_factory=list)
    counting: Answer | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, index: int = -1) -> dict[str, Any]:
        """The JSON the model was shown."""
        found: dict[str, Any] = json.loads(self.requests[index]["body"]["messages"][0]["content"])
        return found

    def next_answer(self) -> Answer:
        number = min(len(self.requests), len(self.script)) - 1
        return self.script[max(number, 0)]


@cache
def _schema(name: str) -> jsonschema.Draft202012Validator | None:
    path = SCHEMAS / "anthropic" / f"{name}.schema.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text())) if path.is_file() else None


def tokens_of(body: dict[str, Any]) -> int:
    return len(json.dumps([body["system"], body["messages"], body.get("output_config")])) // 4


def message(text: str, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text, "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": tokens_of(body),
            "output_tokens": len(text) // 4 + 1,
            "cache_creation_input_tokens": 11,
            "cache_read_input_tokens": 7,
        },
        **changes,
    }


def _handler(fake: AnthropicFake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            return

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
            if self.headers.get("authorization") != f"Bearer {KEY}":
                self._error(401, "authentication_error")
                return
            counting = self.path == "/v1/messages/count_tokens"
            validator = _schema("MessageCountTokensParams" if counting else "MessageCreateParams")
            with fake.lock:
                if validator is not None:
                    fake.problems += [error.message for error in validator.iter_errors(body)]
                (fake.counts if counting else fake.requests).append(
                    {"body": body, "headers": {name.lower(): value for name, value in self.headers.items()}}
                )
                answer = fake.counting if counting else fake.next_answer()
            if isinstance(answer, Misbehaviour):
                self._misbehave(answer, body)
            elif counting:
                self._send(200, json.dumps({"input_tokens": tokens_of(body)}).encode())
            else:
                text = answer if isinstance(answer, str) else json.dumps(answer)
                self._send(200, json.dumps(message(text, body)).encode())

        def _misbehave(self, what: Misbehaviour, body: dict[str, Any]) -> None:
            if what.kind == "status":
                status, kind = what.value
                self._error(status, kind, what.headers)
            elif what.kind in ("drop", "reset"):
                if what.kind == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
            elif what.kind == "html":
                self._send(200, b"<html><body>gateway</body></html>", "text/html")
            elif what.kind == "raw":
                self._send(200, what.value)
            elif what.kind == "truncate":
                whole = json.dumps(message("{}", body)).encode()
                self._send(200, whole[: len(whole) // 2], length=len(whole))
                self.close_connection = True
            elif what.kind == "message":
                self._send(200, json.dumps(message("{}", body, **what.value)).encode())
            elif what.kind == "slow":
                time.sleep(what.value)
                self._send(200, json.dumps(message("{}", body)).encode())
            elif what.kind == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n")
                for _ in range(int(what.value * 10)):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
                self.close_connection = True
            else:
                raise AssertionError(what.kind)

        def _error(self, status: int, kind: str, headers: dict[str, str] | None = None) -> None:
            error = {"type": kind, "message": "SECRET 4242 <!channel> https://evil.example"}
            body = {"type": "error", "error": error, "request_id": "req_1"}
            self._send(status, json.dumps(body).encode(), headers=headers)

        def _send(
            self,
            status: int,
            body: bytes,
            kind: str = "application/json",
            headers: dict[str, str] | None = None,
            length: int | None = None,
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.send_header("request-id", "req_1")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):
                return

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                return

    return Handler


@contextmanager
def running_anthropic() -> Iterator[AnthropicFake]:
    fake = AnthropicFake()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    fake.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()

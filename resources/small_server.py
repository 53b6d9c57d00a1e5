"""A small HTTP server of the standard library, for the few requests that come to us from outside.

Belongs here: bounds on connections and reading, plain answers, quiet logs. Does not belong here: which requests there
are and who may send them (`slack_interactions.py`, `playbook_trigger.py`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from ops_platform.failures import ConfigurationError

log = logging.getLogger(__name__)


class SmallServer(ThreadingHTTPServer):
    """A thread a connection, at most `connections` at once; one more waits `patience` seconds and is shut."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], *, connections: int, patience: float
    ) -> None:
        super().__init__(address, handler)
        self._slots = threading.BoundedSemaphore(connections)
        self._patience = patience

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(timeout=self._patience):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a connection ended early", exc_info=True)


class Listener:
    """A small server in a thread of its own, from `start` to `stop`. `port` 0 takes a free one; `url` tells which. An
    address that is taken raises `ConfigurationError`, which ends with `remedy`."""

    path: ClassVar[str]

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], host: str, port: int, *, what: str, connections: int,
        patience: float, remedy: str = "",
    ) -> None:  # fmt: skip
        try:
            self._server = SmallServer((host, port), handler, connections=connections, patience=patience)
        except OSError as error:
            said = f"cannot take {host}:{port} for {what}: {error.strerror or error}"
            raise ConfigurationError(f"{said}; {remedy}" if remedy else said) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name=what, daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}{self.path}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class SmallHandler(BaseHTTPRequestHandler):
    """Says nothing of what serves it; one answer a connection."""

    server_version = "ops"
    sys_version = ""

    def answer(self, status: int, content: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer of media type `kind`."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        log.debug(format, *arguments)

"""The HTTP side of GitHub's webhooks: POST /github/webhook, signed, kept before it is answered.

Belongs here: the protocol, what is refused before anything is kept. Does not belong here: what a delivery means
(`ops_platform.work_orders.intake`), serving (`small_server.py`).

The answers: 404 elsewhere, 413 for more than GitHub sends, 400 for a request that makes no sense, 401 without a valid
signature over the very bytes, 202 once the delivery is kept (one that comes again as well: keeping is by its id), 503
when keeping failed. GitHub sends nothing again by itself; what is lost here, the poll finds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ops_platform.failures import ConfigurationError
from resources.small_server import Listener, SmallHandler

log = logging.getLogger(__name__)
PATH = "/github/webhook"
#: GitHub caps a payload at 25 MB; an issue's is far smaller, and what we keep is bounded.
LONGEST_BODY = 5 * 1024 * 1024
READ_SECONDS = 10.0
CONNECTIONS = 16
LEAST_SECRET = 16
_DELIVERY = re.compile(r"[0-9A-Za-z-]{8,100}")
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,59}")
_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery whose signature is GitHub's. `id` is GitHub's own: a redelivery has the same. `body` is a JSON object,
    as it came."""

    id: str
    event: str
    body: bytes


class WebhookListener(Listener):
    """Waits on this machine alone; a proxy with a certificate stands before it, and passes the body on unchanged.

    `keep` puts a delivery where it outlives this process; what it returns is not looked at, and it is called before
    GitHub is answered. `port` 0 takes a free one."""

    path = PATH

    def __init__(
        self, keep: Callable[[Delivery], object], secret: str, *, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        if len(secret.strip()) < LEAST_SECRET:
            raise ConfigurationError(
                f"GITHUB_WEBHOOK_SECRET is too short: at least {LEAST_SECRET} characters nobody guesses"
            )
        self._keep, self._secret = keep, secret.strip().encode()
        super().__init__(
            _handler(self), host, port, what="webhooks", connections=CONNECTIONS, patience=READ_SECONDS,
            remedy="set OPS_WEBHOOK_PORT",
        )  # fmt: skip

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """The status and the word that are answered to a request."""
        signature = headers.get("X-Hub-Signature-256") or ""
        if not _SIGNATURE.fullmatch(signature):
            # Also where only the old signature (SHA-1) is there.
            return 401, "not signed"
        wanted = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, wanted):
            return 401, "the signature does not fit"
        delivery, event = headers.get("X-GitHub-Delivery") or "", headers.get("X-GitHub-Event") or ""
        if not _DELIVERY.fullmatch(delivery) or not _EVENT.fullmatch(event):
            return 400, "the delivery has no id or no event"
        try:
            if not isinstance(json.loads(body), dict):
                return 400, "the body is no JSON object"
        except (ValueError, RecursionError):
            return 400, "the body is not JSON; set the hook's content type to application/json"
        if event == "ping":
            return 202, "pong"
        began = time.monotonic()
        try:
            self._keep(Delivery(delivery, event, body))
        except Exception:
            log.exception("a webhook could not be kept")
            return 503, "not kept"
        if time.monotonic() - began > 5:
            log.warning("keeping a webhook took %.1f s; GitHub waits ten", time.monotonic() - began)
        return 202, "kept"


def _handler(listener: WebhookListener) -> type[SmallHandler]:
    class Handler(SmallHandler):
        timeout = READ_SECONDS

        def do_POST(self) -> None:
            if urlsplit(self.path).path != PATH:
                return self._say(404, "not found")
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
                return self._say(400, "the body's length is not known")
            if len(length) > 9 or int(length) > LONGEST_BODY:
                return self._say(413, "the body is too long")
            body = self.rfile.read(int(length))
            if len(body) != int(length):
                return self._say(400, "the body was cut off")
            return self._say(*listener.receive(_single(self.headers), body))

        def do_GET(self) -> None:
            if self.path == "/health":
                return self._say(200, "listening")
            return self._say(405 if urlsplit(self.path).path == PATH else 404, "POST, please")

        def _say(self, status: int, words: str) -> None:
            self.answer(status, json.dumps({"message": words}).encode(), "application/json")

    return Handler


def _single(headers: Any) -> dict[str, str]:
    """The headers that count, each given once: of two signatures neither is believed."""
    names = ("X-Hub-Signature-256", "X-GitHub-Delivery", "X-GitHub-Event")
    return {name: values[0] for name in names if len(values := headers.get_all(name) or []) == 1}

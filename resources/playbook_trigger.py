"""The HTTP side of starting a playbook: POST /playbook-runner?playbookId=…, a bearer secret, five answers.

Belongs here: the protocol, what is refused before anything is looked at. Does not belong here: which playbooks there
are and running one (`commands/trigger.py` hands both in), signed presses (`slack_interactions.py`).

The answers: 401 without the secret, 400 for a request that makes no sense, 404 for a playbook that is not there, 403
for one that is disabled or may not be started this way, 200 when it ran and succeeded, 500 when it did not. The secret
is asked for first: whoever does not have it learns nothing of what there is.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ops_platform.failures import ConfigurationError
from resources.small_server import Listener, SmallHandler

log = logging.getLogger(__name__)
PATH = "/playbook-runner"
LONGEST_BODY = 64 * 1024
LONGEST_KEY = 200
READ_SECONDS = 10.0
CONNECTIONS = 16
LEAST_SECRET = 16
_ID = re.compile(r"[a-z][a-z0-9_]{0,59}")
# How schedulers name the tick a request is for, so that one they repeat starts nothing twice.
_KEYS = ("Idempotency-Key", "X-CloudScheduler-ScheduleTime")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that carried the secret and made sense. `key` makes it once; None where the caller gave none."""

    playbook_id: str
    key: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what is told with it."""

    status: int
    body: Mapping[str, Any]


class TriggerListener(Listener):
    """Waits on this machine alone; a proxy with a certificate stands before it. `run` does what is asked and answers;
    `port` 0 takes a free one."""

    path = PATH

    def __init__(self, run: Callable[[Asked], Answer], secret: str, *, port: int = 0, host: str = "127.0.0.1") -> None:
        if len(secret.strip()) < LEAST_SECRET:
            raise ConfigurationError(f"CRON_SECRET is too short: at least {LEAST_SECRET} characters nobody guesses")
        self._run, self._secret = run, secret.encode()
        super().__init__(_handler(self), host, port, what="triggers", connections=CONNECTIONS, patience=READ_SECONDS)

    def allowed(self, authorization: str | None) -> bool:
        """Whether the header carries the secret; takes as long for a wrong one as for the right one."""
        scheme, _, given = (authorization or "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._secret)
        return scheme.lower() == "bearer" and same

    def receive(self, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What is answered to a request that carried the secret."""
        try:
            asked = _asked(query, headers, body)
        except ValueError as error:
            return Answer(400, {"success": False, "error": str(error)})
        try:
            return self._run(asked)
        except Exception as error:
            log.exception("a trigger could not be answered")
            return Answer(500, {"success": False, "playbookId": asked.playbook_id, "error": type(error).__name__})


def _asked(query: str, headers: Mapping[str, str], body: bytes) -> Asked:
    """Raises `ValueError` with what is wrong."""
    fields = parse_qs(query, keep_blank_values=True, max_num_fields=10)
    given = fields.get("playbookId", [])
    if len(given) != 1 or not given[0]:
        raise ValueError("playbookId is missing: POST /playbook-runner?playbookId=…")
    if not _ID.fullmatch(given[0]):
        raise ValueError("playbookId is no playbook's id: small letters, digits and underscores")
    odd = sorted(set(fields) - {"playbookId"})
    if odd:
        raise ValueError(f"{', '.join(odd)} is not known here; variables go in the body as JSON")
    key = next((headers[name].strip() for name in _KEYS if headers.get(name)), None)
    if key is not None and (not key or len(key) > LONGEST_KEY or not key.isprintable()):
        raise ValueError(f"the idempotency key is longer than {LONGEST_KEY} characters, or not printable")
    if not body.strip():
        return Asked(given[0], key)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(told, dict) or set(told) - {"variables"} or not isinstance(told.get("variables", {}), dict):
        raise ValueError('the body is {"variables": {…}} or empty')
    return Asked(given[0], key, told.get("variables", {}))


def _handler(listener: TriggerListener) -> type[SmallHandler]:
    class Handler(SmallHandler):
        timeout = READ_SECONDS

        def do_POST(self) -> None:
            # The secret first, before path, length and body: what is not authorised is not read.
            if not listener.allowed(self.headers.get("Authorization")):
                return self._say(Answer(401, {"success": False, "error": "not authorised"}), challenge=True)
            at = urlsplit(self.path)
            if at.path != PATH:
                return self._say(Answer(404, {"success": False, "error": "not found"}))
            length = self.headers.get("Content-Length", "0")
            if not length.isdigit() or int(length) > LONGEST_BODY or "Transfer-Encoding" in self.headers:
                return self._say(Answer(400, {"success": False, "error": "the body is too long, or of unknown length"}))
            body = self.rfile.read(int(length))
            if len(body) != int(length):
                return self._say(Answer(400, {"success": False, "error": "the body was cut off"}))
            return self._say(listener.receive(at.query, self.headers, body))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if self.path == "/health":
                return self._say(Answer(200, {"listening": True}))
            # A link that somebody follows, or a preview fetches, starts nothing.
            return self._say(Answer(405 if urlsplit(self.path).path == PATH else 404, {"error": "POST, please"}))

        def _say(self, answer: Answer, *, challenge: bool = False) -> None:
            headers = {"WWW-Authenticate": "Bearer"} if challenge else None
            self.answer(answer.status, json.dumps(answer.body).encode(), "application/json", headers)

    return Handler

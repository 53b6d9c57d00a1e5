"""GitHub telling an address what happened: signed, once, in order; and everything that goes wrong with that.

Belongs here: the payloads, the signature, sending, the faults of sending. Does not belong here: what happened
(`changes.py`), who listens.

As at GitHub: any answer below 300 within ten seconds counts as delivered, nothing is sent again by itself; a redelivery
asked for by a person has the same id. Faults, armed by the control API: `webhook_lost`, `webhook_twice`, `webhook_late`
(`seconds`), `webhook_reordered` (sent after the next one), `webhook_forged` (another secret's signature).
"""

from __future__ import annotations

import hashlib
import hmac
import queue
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.faults import FaultPlan
from sandbox.github.changes import Happened
from sandbox.github.shapes import VERSION, Shapes
from sandbox.github.tracker import Label, Tracker
from sandbox.mutation import MutationRefused

if TYPE_CHECKING:
    from sandbox.ledger import SqliteLedger

SECRET = "sandbox-webhook-secret-9f1c"  # noqa: S105
EVENTS = ("issues", "issue_comment")
TIMEOUT = 10.0
KEPT = 5_000
HOOK_ID = 490_112_233
FAULTS = frozenset({"webhook_lost", "webhook_twice", "webhook_late", "webhook_reordered", "webhook_forged"})


@dataclass(frozen=True, slots=True)
class Sending:
    guid: str
    event: str
    action: str
    number: int | None
    body: bytes


class Webhooks:
    """One hook of all repositories. `url` is None until the control API says where to send."""

    def __init__(self, ledger: SqliteLedger | None, faults: FaultPlan) -> None:
        self._ledger = ledger
        self._faults = faults
        self.url: str | None = None
        self.secret = SECRET
        self.base_url = ""
        self._sent: OrderedDict[str, Sending] = OrderedDict()
        self._queue: queue.Queue[tuple[Sending, float, str] | None] = queue.Queue()
        self._held: list[Sending] = []
        self._thread: threading.Thread | None = None

    def told(self, tracker: Tracker, happened: Happened) -> None:
        """Send what happened, if anybody is to be told."""
        if self.url is None or happened.event not in EVENTS:
            return
        body = orjson.dumps(self._payload(tracker, happened))
        sending = Sending(str(uuid.uuid4()), happened.event, happened.action, happened.number, body)
        self._keep(sending)
        fault = self._faults.take_fault("github", "webhook", FAULTS)
        name = fault.name if fault is not None else ""
        if name == "webhook_lost":
            self._note(sending, 0, "lost")
            return
        if name == "webhook_reordered":
            self._held.append(sending)
            return
        wait = float(fault.options.get("seconds", 1)) if fault is not None and name == "webhook_late" else 0.0
        secret = "somebody-else" if name == "webhook_forged" else self.secret
        for _ in range(2 if name == "webhook_twice" else 1):
            self._put(sending, wait, secret)
        for held in self._held:
            self._put(held, 0.0, self.secret)
        self._held.clear()

    def ping(self) -> str:
        """What GitHub sends when a hook is made."""
        body = {"zen": "Keep it logically awesome.", "hook_id": HOOK_ID, "hook": {"type": "Repository", "id": HOOK_ID}}
        sending = Sending(str(uuid.uuid4()), "ping", "", None, orjson.dumps(body))
        self._keep(sending)
        self._put(sending, 0.0, self.secret)
        return sending.guid

    def redeliver(self, guid: str) -> None:
        """Send a delivery again under its own id."""
        if guid not in self._sent:
            raise MutationRefused(f"There is no delivery {guid!r}.")
        self._put(self._sent[guid], 0.0, self.secret)

    def deliveries(self) -> list[dict[str, Any]]:
        return [
            {"guid": each.guid, "event": each.event, "action": each.action, "number": each.number}
            for each in self._sent.values()
        ]

    def drain(self, seconds: float = 20.0) -> int:
        """Wait until everything was sent, those held back too; how many are left."""
        for held in self._held:
            self._put(held, 0.0, self.secret)
        self._held.clear()
        until = time.monotonic() + seconds
        while self._queue.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.01)
        return self._queue.unfinished_tasks

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(2)

    # -- sending --------------------------------------------------------------------------------------------

    def _keep(self, sending: Sending) -> None:
        self._sent[sending.guid] = sending
        while len(self._sent) > KEPT:
            self._sent.popitem(last=False)

    def _put(self, sending: Sending, wait: float, secret: str) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="github-webhooks", daemon=True)
            self._thread.start()
        self._queue.put((sending, time.monotonic() + wait if wait else 0.0, secret))

    def _work(self) -> None:
        late: list[tuple[Sending, float, str]] = []
        while True:
            try:
                job = self._queue.get(timeout=0.05 if late else None)
                if job is None:
                    return
                late.append(job)
            except queue.Empty:
                pass
            for one in [each for each in late if each[1] <= time.monotonic()]:
                late.remove(one)
                sending, _, secret = one
                try:
                    self._note(sending, self._post(sending, secret), "sent")
                finally:
                    self._queue.task_done()

    def _post(self, sending: Sending, secret: str) -> int:
        url = self.url
        if url is None:
            return 0
        headers = {
            "content-type": "application/json",
            "user-agent": "GitHub-Hookshot/sandbox",
            "accept": "*/*",
            "x-github-delivery": sending.guid,
            "x-github-event": sending.event,
            "x-github-hook-id": str(HOOK_ID),
            "x-github-hook-installation-target-type": "repository",
            "x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), sending.body, hashlib.sha256).hexdigest(),
            "x-hub-signature": "sha1=" + hmac.new(secret.encode(), sending.body, hashlib.sha1).hexdigest(),
        }
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, sending.body, headers, method="POST")  # noqa: S310
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return int(error.code)
        except OSError:
            return 0

    def _note(self, sending: Sending, status: int, what: str) -> None:
        if self._ledger is not None:
            detail = {
                "guid": sending.guid, "event": sending.event, "action": sending.action, "number": sending.number,
                "status": status, "what": what,
            }  # fmt: skip
            self._ledger.record("github", "webhook", detail)

    # -- payloads -------------------------------------------------------------------------------------------

    def _payload(self, tracker: Tracker, happened: Happened) -> dict[str, Any]:
        shapes = Shapes(tracker, self.base_url, VERSION)
        repository = happened.repository
        issue = happened.gone or repository.issue(happened.number)
        payload: dict[str, Any] = {
            "action": happened.action,
            "issue": shapes.issue(repository, issue),
            "repository": shapes.repository(repository),
            "sender": shapes.user(happened.actor),
        }
        parts = dict(happened.parts)
        if isinstance(parts.get("label"), Label):
            payload["label"] = shapes.label(repository, parts["label"])
        if "assignee" in parts:
            payload["assignee"] = shapes.user(parts["assignee"])
        if "comment" in parts:
            payload["comment"] = shapes.comment(repository, parts["comment"])
        if "changes" in parts:
            payload["changes"] = parts["changes"]
        if happened.action == "milestoned" and issue.milestone is not None:
            payload["milestone"] = shapes.milestone(repository, repository.milestones[issue.milestone])
        if "new_repository" in parts:
            target = parts["new_repository"]
            payload["changes"] = {
                "new_issue": shapes.issue(target, target.issue(parts["new_number"])),
                "new_repository": shapes.repository(target),
            }
        return payload

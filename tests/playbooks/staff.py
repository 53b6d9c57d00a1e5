"""Two processes of `office.py` at work: telling them what to do, at the same time, and what became of it when they die.

Belongs here: their lives, a stopped one that is taken over and wakes up, signed presses by HTTP. Does not belong here:
what is asked of them (`test_schedules.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg

from tests import killed
from tests.playbooks.office import Place, live

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """What one of them is told: `what` with `given`, at `now`, to die (or `:stop`) at `point`."""

    what: str
    given: tuple[Any, ...]
    now: datetime
    point: str | None = None


@dataclass(frozen=True, slots=True)
class Came:
    """What came of an order: "done" with a value, "refused" or "later" with why, "killed"."""

    how: str
    value: Any = None
    end: float = 0.0


@dataclass
class _One:
    process: Any
    pipe: Any
    url: str


@dataclass
class Staff:
    """Processes by their places, 0 and 1; a dead one is replaced when it is needed."""

    dsn: str
    vendors: str
    there: dict[int, _One] = field(default_factory=dict)
    killed: int = 0
    stopped: int = 0
    started: int = 0

    def at(self, slot: int) -> _One:
        found = self.there.get(slot)
        if found is None:
            ours, theirs = killed.PROCESSES.Pipe()
            process = killed.start(live, theirs, Place(self.dsn, self.vendors, f"office_{slot}"))
            theirs.close()
            assert ours.poll(PATIENCE), "it did not start"
            found = self.there[slot] = _One(process, ours, ours.recv())
            self.started += 1
        return found

    def tell(self, *orders: tuple[int, Order]) -> list[Came]:
        """Tell several at once, and wait for all; in the order in which they were told."""
        for slot, order in orders:
            self.at(slot).pipe.send((order.what, order.given, order.now, order.point))
        open_ = dict(enumerate(orders))
        came: dict[int, Came] = {}
        until = time.monotonic() + PATIENCE
        while open_:
            assert time.monotonic() < until, [order for _, order in open_.values()]
            may_stop = any((order.point or "").endswith(":stop") for _, order in open_.values())
            wait([self.there[slot].pipe for slot, _ in open_.values()], 0.02 if may_stop else 1.0)
            for place, (slot, order) in list(open_.items()):
                one = self.there[slot]
                if one.pipe.poll():
                    came[place] = self._heard(slot, one)
                    del open_[place]
                elif (order.point or "").endswith(":stop") and _is_stopped(one.process.pid):
                    self._taken_over(slot, order, busy={other for other, _ in open_.values()})
                    open_[place] = (slot, Order(order.what, order.given, order.now))
        return [came[place] for place in sorted(came)]

    def _heard(self, slot: int, one: _One) -> Came:
        try:
            how, value = one.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.gone(slot)
            return Came("killed", end=time.monotonic())
        return Came(how, value, time.monotonic())

    def gone(self, slot: int) -> None:
        """It died: by the kill it was told of, and by nothing else."""
        one = self.there.pop(slot)
        one.process.join(PATIENCE)
        assert one.process.exitcode == -signal.SIGKILL, one.process.exitcode
        one.pipe.close()
        self.killed += 1

    def _taken_over(self, slot: int, order: Order, busy: set[int]) -> None:
        """It stands still, as in a machine that was suspended, and loses its holds; where the other process is free,
        it loses every session, and the other one does what it was told. Only then it wakes."""
        other = 1 - slot
        which = "true" if other not in busy else "pid in (select pid from pg_locks where locktype = 'advisory')"
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(
                f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = %s and {which}",
                (f"office_{slot}",),
            )
        if other not in busy:
            self.tell((other, Order(order.what, order.given, order.now)))
        os.kill(self.there[slot].process.pid, signal.SIGCONT)
        self.stopped += 1

    def restart(self, slot: int) -> None:
        """End it without a word, between two things it does."""
        one = self.there.get(slot)
        if one is not None:
            one.process.kill()
            self.gone(slot)

    def close(self) -> None:
        for one in self.there.values():
            one.pipe.close()
            one.process.join(PATIENCE)
        self.there.clear()


def _is_stopped(pid: int) -> bool:
    try:
        return "T" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
    except OSError:
        return False


# Presses as Slack sends them ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as it goes over the wire."""

    body: bytes
    stamp: str
    signature: str


def signed(payload: dict[str, Any], secret: str, age: int = 0) -> Signed:
    body, stamp = urlencode({"payload": json.dumps(payload)}).encode(), str(int(time.time()) - age)
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return Signed(body, stamp, f"v0={digest}")


def posted(url: str, request: Signed) -> int | None:
    """The status; None where no answer came."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    try:
        connection.request(
            "POST", parts.path, request.body,
            {
                "X-Slack-Request-Timestamp": request.stamp, "X-Slack-Signature": request.signature,
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )  # fmt: skip
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


_THREADS = ThreadPoolExecutor(4)


def posted_at_once(requests: Sequence[tuple[str, Signed]]) -> list[int | None]:
    """Each on a connection of its own."""
    if len(requests) == 1:
        return [posted(*requests[0])]
    return list(_THREADS.map(lambda one: posted(*one), requests))

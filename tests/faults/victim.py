"""A process to kill: it syncs one stream and dies where it is told to.

Belongs here: the fork server and the one job its children do. Does not belong here: which stream, which point
and what must hold afterwards (`test_kills.py`).

Importing the libraries takes a second, a fork takes milliseconds: one process imports once and forks a child
for every order it reads from its standard input, one JSON object a line; it answers how the child ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """One sync in a child. `failpoint` as `OPS_FAILPOINT` has it, or empty; `after` kills it that many seconds
    after it began, wherever it is. `spoil` adds a record that cannot be landed to the first page."""

    vendor: str
    stream: str
    dsn: str
    url: str
    settings: dict[str, str]
    now: str
    today: str
    failpoint: str = ""
    after: float | None = None
    sweep: bool = True
    spoil: bool = False


class ForkServer:
    """The parent of all victims. Close it; it also ends when its standard input does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim"],
            cwd=ROOT,
            env={**os.environ, "OPS_ENV": "development", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, order: Order) -> tuple[int, str]:
        """How the child ended (0, or minus the signal) and what it said."""
        from dataclasses import asdict

        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server ended"
        code, said = json.loads(answer)
        return code, said

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


# -- in the children --------------------------------------------------------------------------------------


def sync_once(order: Order) -> str:
    """The child's job: one sync of one stream, waiting for the lock of a predecessor that was just killed."""
    import psycopg

    from ops_platform.ingestion.sync import sync_stream
    from tests.faults.scenarios import source_at

    source: Any = source_at(order.vendor, order.url, order.settings)
    if order.spoil:
        source = Spoiling(source)
    with psycopg.connect(order.dsn, autocommit=True, options="-c timezone=UTC") as connection:
        until = time.monotonic() + PATIENCE_SECONDS / 2
        while True:
            result = sync_stream(
                connection,
                source,
                source.streams[order.stream],
                now=datetime.fromisoformat(order.now),
                today=date.fromisoformat(order.today),
                sweep=order.sweep,
            )
            if result.status != "skipped" or time.monotonic() > until:
                return f"{result.status}: {result.error}"
            time.sleep(0.01)


class Spoiling:
    """A source whose first page brings one record more, which cannot be landed."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def pages(self, stream: Any, cursor: str | None, *, now: datetime) -> Any:
        from dataclasses import replace

        from ops_platform.records import Rejected

        bad = Rejected("invalid_shape", "planted by the fault suite", '{"planted": true}', "planted")
        first = True
        for page in self._source.pages(stream, cursor, now=now):
            yield replace(page, rejected=[*page.rejected, bad]) if first else page
            first = False


def _child(order: Order, out: int) -> None:
    if order.failpoint:
        os.environ["OPS_FAILPOINT"] = order.failpoint
    if order.after is not None:
        # The kernel's own alarm with its default action would be SIGALRM; SIGKILL has to be sent by a process.
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, max(order.after, 0.000_1))
    else:
        signal.alarm(int(PATIENCE_SECONDS))
    try:
        said, code = sync_once(order), 0
    except BaseException as error:
        said, code = f"{type(error).__name__}: {error}", 1
    os.write(out, said.encode()[:60_000])
    os._exit(code)


def _serve() -> None:
    import psycopg  # noqa: F401

    import ops_platform.ingestion.sync  # noqa: F401
    import resources.http_transport  # noqa: F401
    from resources.vendors import VENDORS, streams

    for vendor in VENDORS:
        streams(vendor)
    import tests.faults.scenarios  # noqa: F401

    for line in sys.stdin:
        order = Order(**json.loads(line))
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _child(order, write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            said = pipe.read().decode("utf-8", "replace")
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps([code, said]), flush=True)


if __name__ == "__main__":
    _serve()

"""dbt made ready before it is asked for: a process that has imported dbt and read the project waits at a socket, and
then works as the one that asks.

Belongs here: that waiting, and how work is handed over. Does not belong here: what that process makes ready
(`dbt_waiting.py`), who finds the memory for it (`ops_platform/commands/demo.py`).

Importing dbt and reading the project is five seconds of one processor, and more where the disk has its thousand files
and memory has not: in them a run that is about to build waits for nothing else. Who knows that a build will come starts
this process beside what comes before it. It costs what dbt costs, 150 MB, for as long as it waits: a scheduled run on a
small server leaves it.

What is handed over is what a process is started with: its arguments, environment, working directory, output and error
output. Whoever asks waits for the exit code, passes signals on, and does the work itself where nobody is ready; when it
dies, so does the work.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

# Where the ready process waits, for who would otherwise start one.
AHEAD = "OPS_DBT_AHEAD"
_WAITING = "ops_platform.warehouse.dbt_waiting"
_LONGEST_REQUEST = 4 * 1024 * 1024
_LOOK_AT_PARENT_SECONDS = 1.0

# Does what the arguments ask and gives the exit code.
Work = Callable[[list[str]], int]


@contextmanager
def made_ready() -> Iterator[None]:
    """While the block runs, the first dbt that this process and its children start is one that was made ready."""
    with tempfile.TemporaryDirectory(prefix="ops-dbt-") as folder:  # nobody else's: its mode is 0700
        path = str(Path(folder) / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            ready = subprocess.Popen(
                [sys.executable, "-u", "-m", _WAITING, str(listener.fileno()), str(os.getpid())],
                pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        os.environ[AHEAD] = path
        try:
            yield
        finally:
            os.environ.pop(AHEAD, None)
            ready.kill()
            ready.wait()


def handed_over(words: Sequence[str]) -> int | None:
    """The exit code of the work `words` asks for, done by the process that is ready; None where none is, or what it
    made ready is not of the project as it stands."""
    path = os.environ.pop(AHEAD, None)
    if path is None:
        return None
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(path)
            request = json.dumps({"words": list(words), "environment": dict(os.environ), "directory": os.getcwd()})
            socket.send_fds(asking, [len(request.encode()).to_bytes(4, "big")], [1, 2])
            asking.sendall(request.encode())
            answers = asking.makefile("r", encoding="ascii")
            taken = answers.readline()
        except OSError:
            return None
        if not taken:
            return None
        worker = int(taken)
        before = {each: signal.signal(each, lambda number, _: _pass_on(worker, number)) for each in _PASSED_ON}
        try:
            return int(answers.readline() or "1")
        except OSError:
            return 1
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


_PASSED_ON = (signal.SIGINT, signal.SIGTERM)


def _pass_on(worker: int, number: int) -> None:
    with suppress(ProcessLookupError):  # its end is told by its connection
        os.kill(worker, number)


def serve(listener: socket.socket, parent: int, ready: Callable[[], Work | None]) -> NoReturn:
    """Wait for the one that asks and work as it: `ready` gives, when asked, what does the work, or None when it has to
    be done anew. Ends with the work, with who asked, or with the process `parent`, which started this one."""
    listener.settimeout(_LOOK_AT_PARENT_SECONDS)
    while True:
        try:
            asked, _ = listener.accept()
            break
        except TimeoutError:
            if os.getppid() != parent:
                os._exit(0)
    listener.close()
    asked.settimeout(None)
    request, descriptors = _request(asked)
    work = ready()
    if work is None:
        os._exit(0)  # nothing was said to it: it does the work itself
    for descriptor, standard in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    done = threading.Event()
    threading.Thread(target=_end_with, args=(asked, done), daemon=True, name="who asked").start()
    asked.sendall(f"{os.getpid()}\n".encode("ascii"))
    code = work(request["words"])
    sys.stdout.flush()
    sys.stderr.flush()
    done.set()
    asked.sendall(f"{code}\n".encode("ascii"))
    # What was read, hundreds of thousands of objects, is left to the kernel.
    os._exit(0)


def _request(asked: socket.socket) -> tuple[dict[str, Any], list[int]]:
    head, descriptors, _, _ = socket.recv_fds(asked, 4, 2)
    while len(head) < 4:
        head += _some(asked, 4 - len(head))
    size = int.from_bytes(head, "big")
    if size > _LONGEST_REQUEST or len(descriptors) != 2:
        os._exit(1)
    text = b""
    while len(text) < size:
        text += _some(asked, size - len(text))
    request: dict[str, Any] = json.loads(text)
    return request, descriptors


def _some(asked: socket.socket, size: int) -> bytes:
    got = asked.recv(size)
    if not got:
        os._exit(0)  # it went away in the middle of asking
    return got


def _end_with(asked: socket.socket, done: threading.Event) -> None:
    """Nothing more is said by who asked: what comes is its end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # they are to wake the thread that works
    with suppress(OSError):
        asked.recv(1)
    os._exit(0 if done.is_set() else 1)

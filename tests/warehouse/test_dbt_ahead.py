"""dbt that waits, ready, for who asks: it works as the one that asks, and ends with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops_platform.settings import PROJECT_ROOT
from ops_platform.warehouse.dbt import dbt_process, no_server, prepare_manifest
from ops_platform.warehouse.dbt_ahead import AHEAD, made_ready

# A process that is ready for what its arguments are Python for, or for nothing.
READY = """
import os, socket, sys  # os is for the work
from ops_platform.warehouse.dbt_ahead import serve

def work(words):
    exec(words[0])
    return int(words[1])

serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[3]), lambda: work if sys.argv[2] == "fits" else None)
"""
ASKS = """
import sys
from ops_platform.warehouse.dbt_ahead import handed_over
code = handed_over(sys.argv[1:])
if code is None:
    print("by itself")
sys.exit(9 if code is None else code)
"""
# Naps: a signal between one line and the next would be heard of only after a long sleep.
LONG = "import time; print('begun', flush=True); [time.sleep(0.01) for _ in range(6000)]"


@contextmanager
def ready(folder: Path, fits: str = "fits", parent: int | None = None) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    path = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        process = subprocess.Popen(
            [sys.executable, "-c", READY, str(listener.fileno()), fits, str(parent or os.getpid())],
            pass_fds=[listener.fileno()], cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield process, path
    finally:
        process.kill()
        process.wait()


def asking(path: str, code: str, exit_code: int = 0, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ASKS, code, str(exit_code)], cwd=PROJECT_ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, AHEAD: path, **environment},
    )  # fmt: skip


def test_it_works_as_the_one_that_asks(tmp_path: Path) -> None:
    told = "print(os.getcwd(), os.environ['ASKED'], os.environ.get('OPS_DBT_AHEAD')); print('wrong', file=sys.stderr)"
    with ready(tmp_path) as (process, path):
        asks = asking(path, told, 3, ASKED="by me")
        out, err = asks.communicate(timeout=30)
        assert (out, err, asks.returncode) == (f"{PROJECT_ROOT} by me None\n", "wrong\n", 3)
        assert process.wait(timeout=30) == 0
        # It works once: who asks after it does it itself.
        late = asking(path, told)
        assert (late.communicate(timeout=30)[0], late.returncode) == ("by itself\n", 9)


def test_what_does_not_fit_any_more_is_not_used(tmp_path: Path) -> None:
    with ready(tmp_path, "stale") as (_, path):
        asks = asking(path, "print('stale')")
        assert (asks.communicate(timeout=30)[0], asks.returncode) == ("by itself\n", 9)


def test_one_that_died_while_it_was_made_ready_is_done_without(tmp_path: Path) -> None:
    with ready(tmp_path) as (process, path):
        os.kill(process.pid, signal.SIGSTOP)
        asks = asking(path, "print('ready')")
        time.sleep(0.3)
        process.kill()
        assert (asks.communicate(timeout=30)[0], asks.returncode) == ("by itself\n", 9)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_the_work_ends_with_who_asked(tmp_path: Path, how: signal.Signals) -> None:
    with ready(tmp_path) as (process, path):
        asks = asking(path, LONG)
        assert asks.stdout is not None and asks.stdout.readline() == "begun\n"
        asks.send_signal(how)
        assert process.wait(timeout=10) != 0
        asks.communicate(timeout=10)
        assert asks.returncode != 0


def test_a_worker_that_is_killed_is_a_failure_and_not_done_again(tmp_path: Path) -> None:
    with ready(tmp_path) as (process, path):
        asks = asking(path, LONG)
        assert asks.stdout is not None and asks.stdout.readline() == "begun\n"
        process.kill()
        assert (asks.communicate(timeout=10)[0], asks.returncode) == ("", 1)


def test_it_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with ready(tmp_path, parent=gone.pid) as (process, _):
        assert process.wait(timeout=30) == 0


def test_dbt_itself_is_read_ahead_for_the_project_as_it_stands() -> None:
    prepare_manifest()
    project = PROJECT_ROOT / "dbt_project"
    words = f"--quiet ls --resource-type seed --output name --project-dir {project}"
    command = [dbt_process(), *words.split()]
    with made_ready():
        path = os.environ[AHEAD]
        told = subprocess.run(
            command, cwd=PROJECT_ROOT, env={**os.environ, **no_server()}, text=True, capture_output=True, check=False
        )
        # Its socket took one connection and is gone with it.
        with socket.socket(socket.AF_UNIX) as again, pytest.raises(ConnectionRefusedError):
            again.connect(path)
    assert AHEAD not in os.environ
    assert told.returncode == 0
    assert sorted(told.stdout.split()) == sorted(each.stem for each in project.glob("seeds/**/*.csv"))

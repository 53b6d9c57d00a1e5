"""Runs as processes that are forked from one that has everything loaded, and what each of them cost.

Belongs here: starting such a process in place of one from nothing, for that alone. What it executes is the platform's
own `instance/worker.py`, as its bot, as in production. Does not belong here: when runs start.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import BinaryIO

from ops_platform.instance.launcher import BotRunLauncher, RunProcess

COSTS = "OPS_TEST_COSTS"


class Fork:
    """A forked process as `subprocess.Popen` shows one; its cost is written down when its end is taken."""

    def __init__(self, pid: int, run_id: str) -> None:
        self.pid, self.run_id = pid, run_id
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
                cost = {
                    "run": self.run_id, "cpu": usage.ru_utime + usage.ru_stime, "peak_kb": usage.ru_maxrss,
                    "code": self.returncode,
                }  # fmt: skip
                with Path(os.environ[COSTS]).open("a", encoding="ascii") as file:
                    file.write(json.dumps(cost) + "\n")
        return self.returncode


class ForkingRunLauncher(BotRunLauncher):
    """As the platform's, but a run's process begins with the libraries and definitions of the one that starts it."""

    def start_process(self, arguments: str, bot: str, output: BinaryIO) -> RunProcess:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return Fork(pid, Path(output.name).stem)
        code = 1
        try:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            os.environ["OPS_BOT"] = bot
            leave_connections()
            code = _execute(arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # What the parent registered for its own end is the parent's.
            os._exit(code)

    def reap(self) -> int:
        """Take the ends there are; how many processes are left."""
        with self._lock:
            self._reap()
            return len(self._started)


def leave_connections() -> None:
    """The parent's connections stay the parent's."""
    from ops_platform.instance import pool
    from ops_platform.settings import reset_settings

    for engine in pool._ENGINES.values():
        engine.dispose(close=False)
    pool._ENGINES.clear()
    reset_settings()


def _execute(arguments: str) -> int:
    from ops_platform.instance import worker

    try:
        worker.main([arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0

"""Processes here: those of runs, found in `/proc`, and one that ends with its parent. No Dagster, no database.

Belongs here: finding them, tying one to another. Does not belong here: starting and judging them (`launcher.py`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

WORKER_MODULE = "ops_platform.instance.worker"
_PR_SET_PDEATHSIG = 1


def end_with(parent: int, by: signal.Signals) -> None:
    """Have the kernel end this process, by that signal, when the one that started it dies, however it dies; now, where
    it died before. It stays so through exec."""
    # Whoever started the parent may have had the signal ignored or held back, which goes on to its children.
    if by is not signal.SIGKILL:
        if signal.getsignal(by) is signal.SIG_IGN:
            signal.signal(by, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {by})
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def of_runs(dagster_home: Path) -> list[int]:
    """Process ids of runs of the instance at `dagster_home` that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if WORKER_MODULE.encode() not in words:
                continue
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"DAGSTER_HOME={dagster_home}".encode() in environment and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found

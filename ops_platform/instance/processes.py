"""Processes here: those of runs, found in `/proc`, what tells one from a later one with the same id, and one that ends
with its parent. No Dagster, no database.

Belongs here: finding them, telling them apart, tying one to another. Does not belong here: starting and judging them
(`launcher.py`).
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


def here() -> str:
    """This machine since it was started: a process id means nothing elsewhere or after a reboot."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}:{os.readlink('/proc/self/ns/pid')}"


def identity(pid: int) -> str:
    """A process, told apart from a later one with the same id."""
    return f"{here()}:{pid}:{_begun(pid)}"


def living(known_as: str) -> int | None:
    """The process id of whoever `identity` told of, while it lives."""
    place, _, rest = known_as.rpartition(":")
    place, _, pid = place.rpartition(":")
    if place != here() or not pid.isdigit():
        return None
    return int(pid) if _begun(int(pid)) == rest and rest else None


def _begun(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty when it is gone or waits to be taken as a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]

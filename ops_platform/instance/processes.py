"""The processes of runs on this machine, found in `/proc`: no Dagster, no database.

Belongs here: finding them. Does not belong here: starting and judging them (`launcher.py`).
"""

from __future__ import annotations

import os
from pathlib import Path

WORKER_MODULE = "ops_platform.instance.worker"


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

"""Dagster's daemon at the pace of this fleet: `python -m ops_platform.instance.pace run …` is `dagster-daemon run …`.

Belongs here: how often the daemon looks where nothing can have changed. Does not belong here: what it does
(`dagster.yaml`), sensors' own intervals (`sensors/`).

Made for platforms that change all day, the daemon reads every schedule's state each 5 seconds and the whole of the code
server's definitions each minute; with 35 jobs and 400 assets that alone is an hour of CPU a day. Here definitions
change only with a release, which starts everything anew, and no sensor looks more often than once a minute.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module

#: Variables that Dagster itself reads, in seconds: how often assets are judged fresh (hours are what matters), and
#: failed runs are looked for that are to be tried again.
ENVIRONMENT = {
    "FRESHNESS_DAEMON_INTERVAL_SECONDS": "300",
    "DAGSTER_EVENT_LOG_CONSUMER_DAEMON_INTERVAL_SECONDS": "60",
}
#: Numbers it does not offer, in seconds: how often it asks whether the code server is still the same, reads the
#: definitions again, and looks which sensor is due. Where another release has them no more, its own pace is kept, which
#: costs CPU and breaks nothing.
WATCHING = {("dagster._grpc.server_watcher", "WATCH_INTERVAL"): 5}
CONSTANTS = {
    **WATCHING,
    ("dagster._daemon.controller", "RELOAD_WORKSPACE_INTERVAL"): 1800,
    ("dagster._daemon.sensor", "MIN_INTERVAL_LOOP_TIME"): 20,
}
#: What a process with many threads is started with: few heaps instead of one a thread, given back when they are empty.
MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}


def slow_down(constants: Mapping[tuple[str, str], int] = CONSTANTS) -> list[str]:
    """Set the pace of this process; returns what could not be set. Must come before what it slows down is imported."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    missing = []
    for (module, name), seconds in constants.items():
        owner = import_module(module)
        if hasattr(owner, name):
            setattr(owner, name, seconds)
        else:
            missing.append(f"{module}.{name}")
    return missing


def main() -> None:
    """Become Dagster's daemon."""
    missing = slow_down()
    if missing:
        print(f"this Dagster has no {', '.join(missing)}: the daemon keeps its own pace", file=sys.stderr)
    from dagster._daemon.cli import main as dagster_daemon

    dagster_daemon()


if __name__ == "__main__":
    main()

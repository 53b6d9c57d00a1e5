"""Dagster's daemon in company time: the loops of its own daemons, turned by hand until nothing is left to do.

Belongs here: loading the platform's definitions and instance once, turning the loops, coming to rest. Does not belong
here: which moments there are (`week.py`), killing any of it (`kills.py`).
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
import uuid
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.company_time.clock import CompanyClock
from tests.company_time.forked import ForkingRunLauncher

#: Longer than this at one moment is a platform that does not come to rest.
PATIENCE_SECONDS = 3000.0
#: The queue looks as often.
QUEUE = timedelta(seconds=10)
POLL_SECONDS = 0.1


class NotedWait(threading.Event):
    """What a daemon's loop waits by: until when it would have waited is noted, and nobody waits."""

    until = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.until = time.time() + (timeout or 0.0)
        return self.is_set()


class Loop:
    """One of Dagster's daemons, its own loop turned by hand."""

    def __init__(self, daemon: Any, context: Any) -> None:
        self.name, self._daemon, self._context = daemon.daemon_type(), daemon, context
        self._waits = NotedWait()
        self._loop = daemon.core_loop(context, self._waits)
        self._id = str(uuid.uuid4())
        self.errors: list[str] = []
        self.cpu = 0.0
        self.turns = 0

    def beat(self) -> None:
        """Its sign of life, which its thread gives all the while."""
        self._daemon._check_add_heartbeat(self._context.instance, self._id, 0, 300)

    def turn(self) -> bool:
        """One iteration where one is due, with its heartbeat; False where none is."""
        from dagster._daemon.daemon import SpanMarker
        from dagster._utils.error import SerializableErrorInfo

        if time.time() < self._waits.until:
            return False
        began, inside, idle = time.process_time(), False, 0
        try:
            while True:
                said = next(self._loop)
                if said is SpanMarker.START_SPAN:
                    inside = True
                elif said is SpanMarker.END_SPAN:
                    self.turns += 1
                    self.beat()
                    return True
                elif isinstance(said, SerializableErrorInfo):
                    self.errors.append(said.to_string())
                    print(f"{self.name}: {said.to_string()}", file=sys.stderr, flush=True)
                elif not inside:
                    idle += 1
                    if idle > 2:
                        return False
        finally:
            self.cpu += time.process_time() - began


class Daemon:
    """The daemon of the instance that `DAGSTER_HOME` names, in this process; its runs are forked from it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.clock = CompanyClock()
        self._load()
        self.loops: list[Loop] = []

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _load(self) -> None:
        from dagster import DagsterInstance
        from dagster._core.remote_origin import InProcessCodeLocationOrigin
        from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
        from dagster._core.workspace.context import WorkspaceProcessContext
        from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

        logging.getLogger("dagster").setLevel(logging.WARNING)
        self.instance = self._stack.enter_context(DagsterInstance.get())
        assert isinstance(self.instance.run_launcher, ForkingRunLauncher)
        self.launcher: ForkingRunLauncher = self.instance.run_launcher
        target = LoadableTargetOrigin(
            executable_path=sys.executable, module_name="ops_platform.definitions", attribute="defs"
        )
        origin = InProcessCodeLocationOrigin(target, location_name="ops_platform")
        self._context = self._stack.enter_context(
            WorkspaceProcessContext(self.instance, InProcessWorkspaceLoadTarget(origin))
        )
        import ops_platform.instance.worker  # noqa: F401  what every run begins with

        # What is loaded stays: forked processes share it, and nobody looks through it for garbage.
        gc.collect()
        gc.freeze()

    def begin(self) -> None:
        """Begin the loops, as a daemon that has just been started."""
        from dagster._daemon.controller import create_daemons_from_instance

        self.loops = [
            Loop(self._stack.enter_context(daemon), self._context)
            for daemon in create_daemons_from_instance(self.instance)
        ]

    def work(self) -> None:
        """Turn the loops until every run has ended and none waits."""
        began, rested = time.monotonic(), 0
        for loop in self.loops:
            loop.beat()
        while rested < 2:
            for loop in self.loops:
                loop.turn()
            if self.launcher.reap():
                rested = 0
                time.sleep(POLL_SECONDS)
            elif self.waiting():
                rested = 0
                self.clock.move_to(self.clock.now() + QUEUE)
            else:
                rested += 1
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise TimeoutError(f"still not at rest: {self.waiting()} runs wait")

    def waiting(self) -> int:
        """Runs that have not ended, and those that died and are to be tried again."""
        from dagster import DagsterRunStatus, RunsFilter
        from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

        statuses = [
            DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED,
            DagsterRunStatus.CANCELING,
        ]  # fmt: skip
        dead = self.instance.get_runs(
            RunsFilter(statuses=[DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "true"}), limit=20
        )
        untried = sum(AUTO_RETRY_RUN_ID_TAG not in run.tags for run in dead)
        return int(self.instance.get_runs_count(RunsFilter(statuses=statuses))) + untried


def prepare_forking() -> None:
    """The home and its instance made ready as ever, but for two things: runs are forked, and nothing is done in threads
    meanwhile."""
    import yaml

    from ops_platform.commands.prepare import prepare
    from ops_platform.commands.services import _tell_when_due
    from ops_platform.instance.pace import slow_down

    assert slow_down() == []
    prepare()
    path = Path(os.environ["DAGSTER_HOME"]) / "dagster.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["run_launcher"] = {"module": "tests.company_time.forked", "class": "ForkingRunLauncher"}
    settings["sensors"] = settings["schedules"] = {"use_threads": False}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    _tell_when_due()


def tell_server_the_time() -> None:
    """Have the embedded server started under company time, too; it is given no more than that."""
    from ops_platform.database import server
    from tests.company_time.clock import PRELOAD, VARIABLE

    handed = server._environment
    server._environment = lambda: handed() | {name: os.environ[name] for name in (PRELOAD, VARIABLE)}


def seen_by_supervisor(home: Path, at: datetime) -> None:
    """What the supervisor of the services writes all the while."""
    from ops_platform.fleet.observations import Observation, write

    write(home, Observation("supervisor", at))

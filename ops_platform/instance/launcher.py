"""Each run in a process of its own, with its bot's credentials alone, watched by the process itself.

Belongs here: starting, ending and watching run processes. Does not belong here: what such a process does first
(`worker.py`), when a bot is isolated (`crashes.py`).

Dagster's default launcher has the code server start runs: they inherit all its environment, and nobody notices that
one died with its host, so that its pool slots stay taken until the longest allowed runtime. Here the daemon starts
them, and a run carries who its process is (host, boot, process id and its start): gone is gone, also after a reboot.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self

from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._core.origin import JobPythonOrigin
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from ops_platform.instance.processes import WORKER_MODULE, here, identity, living
from ops_platform.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from dagster import DagsterRun

log = logging.getLogger(__name__)
WORKER_TAG = "ops/worker"
BOT_TAG = "bot"
NOBODY = "coordinator"


class RunProcess(Protocol):
    """A started process, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...


class BotRunLauncher(RunLauncher, ConfigurableClass):
    """A process a run, started by whoever dequeues it (the daemon)."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._started: dict[str, RunProcess] = {}
        self._lock = threading.Lock()
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process. Raises `DagsterLaunchFailedError` while its bot is isolated."""
        run = context.dagster_run
        bot = run.tags.get(BOT_TAG, NOBODY)
        _refuse_isolated(bot)
        origin = context.job_code_origin
        if not isinstance(origin, JobPythonOrigin):
            raise DagsterLaunchFailedError(f"run {run.run_id} does not say which code it is of")
        arguments = ExecuteRunArgs(job_origin=origin, run_id=run.run_id, instance_ref=self._instance.get_ref())
        logs = Path(os.environ["DAGSTER_HOME"]) / "runs"
        logs.mkdir(mode=0o700, exist_ok=True)
        with (logs / f"{run.run_id}.log").open("ab") as output:
            process = self.start_process(serialize_value(arguments), bot, output)
        with self._lock:
            self._reap()
            self._started[run.run_id] = process
        self._instance.add_run_tags(run.run_id, {WORKER_TAG: identity(process.pid)})
        self._instance.report_engine_event(
            f"Started process {process.pid} for this run, as {bot}.", run, cls=self.__class__
        )

    def start_process(self, arguments: str, bot: str, output: BinaryIO) -> RunProcess:
        """A process that executes the run as `bot`; what it prints goes to `output`."""
        return subprocess.Popen(
            [sys.executable, "-m", WORKER_MODULE, arguments], cwd=PROJECT_ROOT, env={**os.environ, "OPS_BOT": bot},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip

    def terminate(self, run_id: str) -> bool:
        """Ask the run's process to end; it writes that the run was cancelled. False when there is none any more."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        process = living(run.tags.get(WORKER_TAG, ""))
        if process is None:
            self._instance.report_run_canceled(run, message="The run's process is gone; nothing is left to end.")
            return True
        self._instance.report_run_canceling(run)
        os.kill(process, signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process is there. One that carries no process is another's to watch."""
        with self._lock:
            self._reap()
        worker = run.tags.get(WORKER_TAG)
        if worker is None or living(worker) is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        why = "its process is gone" if worker.startswith(here()) else "its host went away or was started anew"
        _note_death(run, why)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, why, run_worker_id=worker)

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:
        log_file = Path(os.environ["DAGSTER_HOME"]) / "runs" / f"{run.run_id}.log"
        if not log_file.exists():
            return None
        return "\n".join(log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])

    def dispose(self) -> None:
        """Leave running processes alone: they are watched by what the run carries, not by who started them."""

    def _reap(self) -> None:
        """Take the ends of children, so that none stays as a zombie; what a good one printed is of no use."""
        for run_id, process in list(self._started.items()):
            if process.poll() is None:
                continue
            del self._started[run_id]
            if process.returncode == 0:
                (Path(os.environ["DAGSTER_HOME"]) / "runs" / f"{run_id}.log").unlink(missing_ok=True)


def _refuse_isolated(bot: str) -> None:
    from ops_platform.database import connect
    from ops_platform.instance.crashes import isolations

    with connect() as connection:
        found = isolations(connection, datetime.now(UTC), bot)
    if found:
        raise DagsterLaunchFailedError(
            f"the bot {bot} is isolated until {found[0].until:%F %H:%M} UTC: processes of its runs died again and again"
            f" (last of {found[0].last_job}). `ops bot release {bot}` lets it run."
        )


def _note_death(run: DagsterRun, why: str) -> None:
    from ops_platform.database import connect
    from ops_platform.instance.crashes import note_death

    try:
        with connect() as connection:
            note_death(
                connection, run_id=run.run_id, bot=run.tags.get(BOT_TAG, NOBODY), job=run.job_name, why=why,
                at=datetime.now(UTC),
            )  # fmt: skip
    except Exception as error:  # the run's end matters more than its counting
        log.warning("the death of run %s could not be counted: %s", run.run_id, error)

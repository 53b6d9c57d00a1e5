"""What the process of an agent can reach, told by itself; the body that `jobs.work_answering` has is replaced here.

Belongs here: the deeds that the tests order by the order's holder. Does not belong here: what must come of them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import jobs.work_answering as process
from ops_platform.failures import ConfigurationError, DataFailure, TransientFailure
from ops_platform.settings import get_settings


def _look(work_id: int, holder: str) -> None:
    settings = get_settings()
    secrets = sorted(name for name in type(settings).model_fields if name.endswith(("token", "secret", "key")))
    process.say(log=f"holds {[name for name in secrets if getattr(settings, name) is not None]}")
    process.say(log=f"environment {any('canary' in value for value in os.environ.values())}")
    for path in (
        settings.credentials_directory / "coordinator.env", Path(f"/proc/{os.getppid()}/environ"),
        Path("/proc/self/status"), Path(__file__),
    ):  # fmt: skip
        try:
            process.say(log=f"{path.name} {len(path.read_bytes()) > 0}")
        except OSError as error:
            process.say(log=f"{path.name} {type(error).__name__}")


def _fail(work_id: int, holder: str) -> None:
    match holder:
        case "transient":
            raise TransientFailure("overloaded", retry_after=7.5)
        case "data":
            raise DataFailure("a mart is not there")
        case "unnamed":
            raise ZeroDivisionError("division by zero")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "silent":
            sys.exit(0)
        case "slow":
            time.sleep(60)
        case _:
            raise ConfigurationError(holder)


def _does(work_id: int, holder: str) -> None:
    (_look if holder == "look" else _fail)(work_id, holder)


if __name__ == "__main__":
    process._answer = _does
    sys.exit(process.main())

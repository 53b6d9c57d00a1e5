"""The process in which an agent answers one order: no vendor's token in it, its own files only, one attempt's step.

Belongs here: being handed the order, giving up what it must not reach, making and staging the answer. Does not belong
here: starting it (`ops_platform.work_orders.apart`), the attempt (`ops_platform.work_orders.processing`).

    python -m jobs.work_answering < ORDER
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Make and stage the answer that standard input orders. What comes of it is told in lines of JSON."""
    from ops_platform.instance.processes import end_with
    from ops_platform.settings import Settings, use_settings
    from ops_platform.work_orders.apart import as_said, hidden

    order = json.load(sys.stdin)
    # A second agent answers when the process that keeps the lease is dead.
    end_with(int(order["attempt_process"]), signal.SIGKILL)
    settings = Settings(**order["settings"])
    use_settings(settings)
    try:
        _give_up(hidden(settings))
        _answer(int(order["work_id"]), str(order["holder"]))
    except Exception as error:
        say(failed=as_said(error))
        return 1
    say(done=True)
    return 0


def _give_up(hidden: tuple[Path, ...]) -> None:
    from ops_platform.failures import ConfigurationError
    from ops_platform.instance.confinement import available, shut_out
    from ops_platform.redaction import redact_process

    redact_process()
    if not available():
        say(log="this kernel cannot keep the agent's process from files (no Landlock); it was handed no token")
    elif not shut_out(*hidden, allowed=Path(f"/proc/{os.getpid()}")):
        raise ConfigurationError("the agent's process could not be shut out of the credentials: it does not start")


def _answer(work_id: int, holder: str) -> None:
    from jobs.work_office import answering_office
    from ops_platform.work_orders.processing import Attempt
    from ops_platform.work_orders.store import still_held_by

    office = answering_office(lambda line: say(log=line))
    with office.connect() as connection:
        work = still_held_by(connection, work_id, holder)
        connection.commit()
    Attempt(office, work, holder).make_answer()


if __name__ == "__main__":
    sys.exit(main())

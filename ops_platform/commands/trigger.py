"""Starting a playbook for a scheduler that asks by HTTP.

Belongs here: which playbooks may be started so, running one in a process of its own, what its end is told as. Does not
belong here: the protocol (`resources/playbook_trigger.py`), running (`playbook_runs.py`).

A process of its own, because the listener must stay small and must not fall with a run; the run shows in Dagster like
any other. What it prints is the record, as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any

from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.playbooks.variables import resolve
from ops_platform.settings import PROJECT_ROOT
from resources.playbook_trigger import Answer, Asked, TriggerListener

if TYPE_CHECKING:
    from ops_platform.settings import Settings

log = logging.getLogger(__name__)
#: How many run at once; another waits.
AT_ONCE = 2
#: Beside the playbook's own longest time: starting and telling.
GRACE_SECONDS = 120
_TOLD = (
    "executionId", "playbookId", "playbookName", "version", "startedAt", "completedAt", "duration", "stepsExecuted",
    "success", "error",
)  # fmt: skip
_slots = threading.BoundedSemaphore(AT_ONCE)


def listener_of(settings: Settings, *, port: int | None = None) -> TriggerListener | None:
    """The listener the settings call for; None without CRON_SECRET."""
    if settings.cron_secret is None:
        return None
    return TriggerListener(
        run, settings.cron_secret.get_secret_value(), host=settings.ops_web_bind,
        port=settings.ops_trigger_port if port is None else port,
    )  # fmt: skip


def run(asked: Asked) -> Answer:
    """Run what is asked, once for its key, and tell how it ended."""
    from ops_platform.commands.playbook import its_catalogue

    name = {"playbookId": asked.playbook_id}
    try:
        plan = its_catalogue().get(asked.playbook_id)
    except ConfigurationError as error:  # it is there, and its file is wrong
        return Answer(500, {**name, "success": False, "error": str(error)})
    except DataFailure:
        return Answer(404, {**name, "success": False, "error": "there is no such playbook"})
    if not plan.playbook.enabled:
        return Answer(403, {**name, "success": False, "error": "this playbook is disabled"})
    if not plan.playbook.triggers.http:
        return Answer(403, {**name, "success": False, "error": "this playbook is not started by HTTP"})
    try:
        resolve(plan.playbook, asked.variables)
    except DataFailure as error:
        return Answer(400, {**name, "success": False, "error": str(error)})
    before = _ended(asked)
    if before is not None:
        return before
    return _in_a_process(asked, plan.playbook.timeout_minutes * 60 + GRACE_SECONDS)


def _ended(asked: Asked) -> Answer | None:
    """How it ended for this key before: a scheduler that repeats itself is told at once."""
    from ops_platform.database import connect
    from ops_platform.playbooks import record

    if asked.key is None:
        return None
    with connect(application="triggers") as connection:
        found = record.by_key(connection, f"{asked.playbook_id}:http:{asked.key}")
        if found is None or found.state == "running":
            return None
        return _answer(record.as_record(found, record.steps(connection, found.id)))


def _answer(record: dict[str, Any]) -> Answer:
    return Answer(200 if record["success"] else 500, {name: record.get(name) for name in _TOLD})


def _in_a_process(asked: Asked, seconds: int) -> Answer:
    command = [
        sys.executable, "-m", "ops_platform.cli", "playbook", "run", asked.playbook_id, "--trigger", "http",
        "--key", asked.key or str(uuid.uuid4()), "--variables-from", "-", "--json",
    ]  # fmt: skip
    told: dict[str, Any] = {"playbookId": asked.playbook_id, "success": False}
    with _slots:
        try:
            done = subprocess.run(
                command, cwd=PROJECT_ROOT, input=json.dumps(dict(asked.variables)), capture_output=True, text=True,
                timeout=seconds, env=_environment(), check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Answer(500, {**told, "error": f"it did not end within {seconds} s"})
    try:
        record = json.loads(done.stdout)
    except ValueError:
        # What went wrong before there was a record stands on standard error, in a line.
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        log.warning("%s: %s", asked.playbook_id, lines[-1] if lines else f"exit code {done.returncode}")
        return Answer(500, {**told, "error": (lines[-1] if lines else "it ended without a word").removeprefix("✗ ")})
    return _answer(record)


def _environment() -> dict[str, str]:
    """The listener's, without the secret that only it needs."""
    return {name: value for name, value in os.environ.items() if name != "CRON_SECRET"}

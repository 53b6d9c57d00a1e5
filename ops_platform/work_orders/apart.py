"""An agent's answer made in a process of its own, which holds no token of GitHub's nor any other vendor's.

Belongs here: starting that process, what it is handed, what becomes of its failures. Does not belong here: what it does
(`jobs/work_answering.py`), the answer (`agents/`).

What a model is told and what it proposes meet only there; what it can reach is the warehouse, as the agent's own role,
and the model's own key. Its environment is made of names that are allowed, its settings come by a pipe, and the kernel
keeps it from the files in which the others stand and from the memory of other processes. The attempt that started it
keeps the lease, and posts what was staged.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ops_platform import failures
from ops_platform.failures import OpsError, PermanentFailure, TransientFailure, in_words
from ops_platform.settings import PROJECT_ROOT, Settings
from ops_platform.work_orders.store import LostLeaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: The secrets an answer cannot be made without: where the warehouse is, and the model's key.
NEEDED = ("ops_database_url", "anthropic_api_key")
#: What a process needs of its surroundings. A proxy's own credentials are the one thing in it that could be secret.
_SURROUNDINGS = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "no_proxy", "ALL_PROXY", "all_proxy", "OPS_ENV", "OPS_FAILPOINT", "DAGSTER_DISABLE_TELEMETRY", "DO_NOT_TRACK",
)  # fmt: skip
#: Where programs of the same account keep credentials.
_KEPT_AT_HOME = (".netrc", ".pgpass", ".git-credentials", ".config/gh", ".aws", ".ssh", ".docker", ".kube")
MOST_SECONDS = 1200.0
_KINDS: dict[str, type[OpsError]] = {
    kind.__name__: kind
    for kind in (
        failures.AmbiguousFailure, failures.ConfigurationError, failures.DataFailure, PermanentFailure,
        TransientFailure, LostLeaseError,
    )
}  # fmt: skip


def handed(settings: Settings) -> dict[str, Any]:
    """The settings for the process, as JSON can hold them: every one that is no secret, and the `NEEDED`."""
    from ops_platform.database import database_url

    plain = settings.model_dump(mode="json")
    # Where the server is embedded, its address as well: the process must never start or mend it.
    server = {} if settings.ops_database_url is not None else {"ops_database_url": database_url(settings=settings)}
    return server | {
        name: value.get_secret_value() if isinstance(value, SecretStr) else plain[name]
        for name in sorted(settings.model_fields_set | {"ops_home"})
        if (value := getattr(settings, name)) is not None and (name in NEEDED or not isinstance(value, SecretStr))
    }


def surroundings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the process, out of this one's."""
    return {
        name: value for name, value in environment.items()
        if name in _SURROUNDINGS or name.startswith(("LC_", "LD_LIBRARY"))
    }  # fmt: skip


def hidden(settings: Settings) -> tuple[Path, ...]:
    """The files that it is kept from: where credentials stand, and what the kernel shows of other processes."""
    from pathlib import Path

    kept_at_home = (Path.home() / name for name in _KEPT_AT_HOME)
    return (PROJECT_ROOT / ".env", settings.credentials_directory, Path("/proc"), Path("/etc/ops"), *kept_at_home)


def answer_apart(
    work_id: int,
    holder: str,
    settings: Settings,
    log: Callable[[str], None],
    *,
    module: str = "jobs.work_answering",
    seconds: float = MOST_SECONDS,
) -> None:
    """Have the answer to the order that `holder` has made and staged by a process of its own; returns when it is.

    `log` is given its lines. Raises what the answer raised; `TransientFailure` where the process died or took longer
    than `seconds`."""
    order = {
        "work_id": work_id, "holder": holder, "attempt_process": os.getpid(), "settings": handed(settings),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=PROJECT_ROOT, env=surroundings(os.environ), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    late = threading.Timer(seconds, process.kill)
    late.daemon = True
    late.start()
    told: list[str] = []
    gathering = threading.Thread(target=_gather, args=(process.stderr, told), daemon=True)
    gathering.start()
    failed: OpsError | None = None
    done = False
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            json.dump(order, pipe)
        for line in process.stdout:
            said = _said(line)
            if said.get("failed") is not None:
                failed = _failure(said["failed"])
            elif "log" in said:
                log(str(said["log"]))
            done = done or bool(said.get("done"))
        code = process.wait()
    finally:
        was_late = not late.is_alive()
        late.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    gathering.join(5)
    for line in told if done or failed is not None else ():
        log(line.rstrip())
    if failed is not None:
        raise failed
    if not done:
        raise _died(code, "".join(told), seconds if was_late else None)


def _gather(stream: Any, told: list[str]) -> None:
    for line in stream:
        told.append(line)
        del told[:-20]


def _said(line: str) -> dict[str, Any]:
    """A line of the process; what is none of ours is a line for the log."""
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {"log": line.rstrip()}


def _failure(said: Mapping[str, Any]) -> OpsError:
    kind = _KINDS.get(str(said.get("kind")), PermanentFailure)
    words = str(said.get("words"))
    if issubclass(kind, TransientFailure):
        failure = kind(words, retry_after=said.get("retry_after"))
        failure.exhausted = bool(said.get("exhausted"))
        return failure
    return kind(words)


def _died(code: int, told: str, late: float | None) -> TransientFailure:
    if late is not None:
        return TransientFailure(f"the agent's process took longer than {late:.0f} s and was ended")
    last = told.strip().splitlines()[-1:] or ["without a word"]
    how = signal.Signals(-code).name if code < 0 else f"status {code}"
    return TransientFailure(f"the agent's process ended by {how}: {last[0]}")


def as_said(error: BaseException) -> dict[str, Any]:
    """A failure as the process tells it; what nobody named keeps its type in words."""
    kind = next((name for name, named in _KINDS.items() if type(error) is named), None)
    if kind is None and isinstance(error, OpsError):
        kind = next((name for name, named in _KINDS.items() if isinstance(error, named)), "PermanentFailure")
    return {
        "kind": kind or ("TransientFailure" if _is_away(error) else "PermanentFailure"), "words": in_words(error),
        "retry_after": getattr(error, "retry_after", None), "exhausted": getattr(error, "exhausted", False),
    }  # fmt: skip


def _is_away(error: BaseException) -> bool:
    import psycopg

    return isinstance(error, (psycopg.OperationalError, TimeoutError))

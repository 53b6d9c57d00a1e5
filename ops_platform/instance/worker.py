"""The process of one run: made safe for its neighbours, then Dagster's own.

Belongs here: what happens before the definitions are loaded. Does not belong here: starting it (`launcher.py`).

    python -m ops_platform.instance.worker ARGUMENTS
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

#: When memory runs out the kernel ends a run rather than the database: a run is retried.
OOM_SCORE = "500"


def main(arguments: list[str]) -> None:
    """Confine this process to its bot's credentials, then execute the run."""
    from ops_platform.failures import ConfigurationError
    from ops_platform.instance.confinement import available, confine
    from ops_platform.redaction import redact_process
    from ops_platform.settings import PROJECT_ROOT, get_settings

    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
    settings = get_settings()
    redact_process()
    credentials = settings.credentials_directory
    if credentials.is_dir():
        own = credentials / f"{settings.ops_bot}.env" if settings.ops_bot else None
        if not confine(credentials, own) and available():
            raise ConfigurationError(f"this run could not be shut out of {credentials}: it does not start")
    from dagster._cli.api import execute_run_command

    sys.path.insert(0, str(PROJECT_ROOT))
    execute_run_command.main(args=arguments, prog_name="run")


if __name__ == "__main__":
    main(sys.argv[1:])

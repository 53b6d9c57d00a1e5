"""`pg_dump` and `pg_restore`: which ones, and how they are run.

Belongs here: finding programs that fit the server, running them without a password in their arguments. Does not belong
here: what is dumped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from ops_platform.database.connection import address
from ops_platform.database.server import EmbeddedServer
from ops_platform.failures import ConfigurationError, OpsError
from ops_platform.settings import Settings


class BackupFailure(OpsError):
    """A backup could not be made or used. What was there before is as it was."""


@lru_cache(maxsize=8)
def program(name: str, least_major: int) -> str:
    """The path of `name`, of a version that can talk to a server of `least_major`: ours, else the system's.

    Raises `ConfigurationError` when there is none."""
    found = []
    for candidate in (str(EmbeddedServer.binaries() / name), shutil.which(name)):
        if candidate is None or not Path(candidate).exists():
            continue
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"\) (\d+)", said)
        if version and int(version.group(1)) >= least_major:
            return candidate
        found.append(f"{candidate} ({said.strip() or 'does not run'})")
    have = f"; there is {', '.join(found)}" if found else ""
    raise ConfigurationError(
        f"no {name} for a server of version {least_major}: install postgresql-client-{least_major}{have}"
    )


def run(command: list[str], database: str, settings: Settings | None = None) -> str:
    """Run one of the programs against `database`; returns what it said on standard error.

    The password travels in the environment, which only our account reads. Raises `BackupFailure` with what it said."""
    where = address(database, settings)
    environment = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")
    } | {
        "PGHOST": where.host, "PGPORT": str(where.port), "PGUSER": where.user, "PGPASSWORD": where.password,
        "PGDATABASE": database, "PGAPPNAME": "ops_backup", "LC_ALL": "C",
    }  # fmt: skip
    for name, variable in (("sslmode", "PGSSLMODE"), ("sslrootcert", "PGSSLROOTCERT")):
        if name in where.query:
            environment[variable] = where.query[name]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-600:]
        raise BackupFailure(f"{Path(command[0]).name} of {database} failed: {said}")
    return done.stderr

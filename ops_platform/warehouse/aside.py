"""A dbt build whose relations all stand in schemas of their own, run as a process:

    python -m ops_platform.warehouse.aside PREFIX SCRATCH [dbt's own arguments of `build`]

Belongs here: that command. Does not belong here: what to build and what became of it (`difference.py`), how dbt is run
(`dbt_process.py`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(prefix: str, scratch: str, *arguments: str) -> int:
    from ops_platform.failures import ConfigurationError
    from ops_platform.warehouse.dbt import DBT_PROJECT, connection_environment
    from ops_platform.warehouse.dbt_process import connect_to, read_project, run

    try:
        manifest = read_project()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    os.environ.update(connection_environment())
    connect_to(manifest, os.environ["DBT_PG_DATABASE"], prefix)
    where = ["--project-dir", str(DBT_PROJECT), "--target-path", str(Path(scratch) / "target"), "--log-path", scratch]
    done = run(manifest, ["build", *arguments, *where])
    if done.exception is not None:
        print(done.exception, file=sys.stderr)
    return 0 if done.success else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

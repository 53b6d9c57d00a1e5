"""`ops dbt`: the analyst's way into the warehouse.

Belongs here: running dbt with the right address. Does not belong here: what an analyst edits.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from ops_platform import clock


def run_dbt(arguments: Sequence[str]) -> int:
    """Run dbt on the project and the configured warehouse; its exit code is returned."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.fleet.publish import publish
    from ops_platform.warehouse.dbt import DBT_PROJECT, connection_environment, dbt_executable, prepare_manifest

    prepare_database()
    prepare_manifest()
    with connect() as connection:
        publish(connection, get_fleet(), clock.now())
    command = [dbt_executable(), *(arguments or ("--help",))]
    return subprocess.run(
        command, cwd=DBT_PROJECT, env={**os.environ, **connection_environment()}, check=False
    ).returncode

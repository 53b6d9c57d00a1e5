"""A dbt build whose relations all stand in schemas of their own, run as a process:

    python -m ops_platform.warehouse.aside PREFIX SCRATCH [dbt's own arguments of `build`]

Belongs here: reading the project and moving it aside. Does not belong here: what to build and what became of it
(`ops_platform.warehouse.difference`).

What dbt read of the project is kept for the next build aside, which reads again only the files that changed: a variable
or another server would make it read all of them. So where the relations stand is set on what was read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def move_aside(manifest: Any, prefix: str, database: str) -> None:
    """Models and seeds to schemas that begin with the prefix; every relation to the database that is connected."""
    for node in manifest.nodes.values():
        if node.resource_type in ("model", "seed"):
            node.schema = f"{prefix}{node.schema}"
            node.relation_name = f'"{database}"."{node.schema}"."{node.alias}"'
        node.database = database
    for source in manifest.sources.values():
        source.database = database
        source.relation_name = f'"{database}"."{source.schema}"."{source.identifier}"'
    # What macros see as `graph`.
    manifest.build_flat_graph()


def main(prefix: str, scratch: str, *arguments: str) -> int:
    from dbt.cli.main import dbtRunner

    from ops_platform.warehouse.dbt import DBT_PROJECT, TARGET, connection_environment

    project = ["--project-dir", str(DBT_PROJECT), "--log-path", scratch]
    kept = ["--target-path", str(TARGET / "aside")]
    parsed = dbtRunner().invoke(["--quiet", "parse", "--no-write-json", *project, *kept])
    manifest: Any = parsed.result
    if not parsed.success or manifest is None:
        print(parsed.exception, file=sys.stderr)
        return 2
    os.environ.update(connection_environment())
    move_aside(manifest, prefix, os.environ["DBT_PG_DATABASE"])
    done = dbtRunner(manifest=manifest).invoke(
        ["build", *arguments, *project, "--target-path", str(Path(scratch) / "target")]
    )
    if done.exception is not None:
        print(done.exception, file=sys.stderr)
    return 0 if done.success else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

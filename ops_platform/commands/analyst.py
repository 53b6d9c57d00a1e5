"""`ops dbt`: the analyst's way into the warehouse.

Belongs here: running dbt with the right address, one build at a time, publishing what was built whole and proven, the
documentation. Does not belong here: what an analyst edits, `ops metric` (`metric.py`).
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from ops_platform import clock

# dbt's commands, to find the one among global options; those that write are one at a time.
_BUILDS = ("build", "run", "seed", "snapshot", "retry", "clone", "run-operation")
_COMMANDS = (
    *_BUILDS, "test", "docs", "compile", "parse", "ls", "list", "show", "source", "debug", "deps", "clean", "init",
)  # fmt: skip


def run_dbt(arguments: Sequence[str]) -> int:
    """Run dbt on the project and the configured warehouse; its exit code is returned.

    A build of the whole project that passed is published. Raises `TransientFailure` while another build runs."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.fleet.publish import publish as publish_fleet
    from ops_platform.warehouse.build import build_lock
    from ops_platform.warehouse.dbt import prepare_manifest

    command = next((word for word in arguments if word in _COMMANDS), None)
    prepare_database()
    prepare_manifest()
    if command == "docs":
        return _docs(arguments)
    if command not in _BUILDS:
        return _dbt(arguments or ("--help",))
    with ExitStack() as stack:
        holder = stack.enter_context(connect(autocommit=True, application=f"ops dbt {command}"))
        stack.enter_context(build_lock(holder))
        with connect() as connection:
            publish_fleet(connection, get_fleet(), clock.now())
        started = datetime.now(UTC)
        code = _dbt(arguments)
        if command == "build":
            _publish(_target(arguments), started, code)
    return code


def _dbt(arguments: Sequence[str]) -> int:
    from ops_platform.warehouse.dbt import DBT_PROJECT, connection_environment, dbt_process

    return subprocess.run(
        [dbt_process(), *arguments], cwd=DBT_PROJECT, env={**os.environ, **connection_environment()}, check=False
    ).returncode


def _target(arguments: Sequence[str]) -> Path:
    """Where dbt leaves what it says of the run."""
    from ops_platform.warehouse.dbt import DBT_PROJECT, TARGET

    for place, word in enumerate(arguments):
        if word == "--target-path" and place + 1 < len(arguments):
            return DBT_PROJECT / arguments[place + 1]
        if word.startswith("--target-path="):
            return DBT_PROJECT / word.partition("=")[2]
    return TARGET


def _publish(target: Path, started: datetime, code: int) -> None:
    """Publish what was built if all of it was and passed; say what was published, or why nothing was."""
    from ops_platform.database import connect
    from ops_platform.database.roles import ensure_roles
    from ops_platform.fleet import get_fleet
    from ops_platform.warehouse.build import describe, settle
    from ops_platform.warehouse.dbt import build_fingerprint
    from resources.vendors import VENDORS

    results = target / "run_results.json"
    if not results.exists() or results.stat().st_mtime < started.timestamp():
        _nothing_published(f"dbt ended with exit code {code} and left no results")
        return
    with connect() as connection:
        outcome = settle(
            connection, target, run_id=f"ops dbt {uuid.uuid4().hex[:12]}",
            fingerprint=build_fingerprint(connection, "ops dbt build"), started=started, now=clock.now(),
            passed=code == 0, record_failure=False,
        )  # fmt: skip
        if outcome.publication is None:
            _nothing_published(outcome.verdict.why_not)
            return
        ensure_roles(connection, get_fleet().bots, [f"raw_{vendor}" for vendor in VENDORS])
    click.secho(f"✓ {describe(outcome.publication, outcome.tables)}", fg="green", err=True)
    for name, (deleted, inserted) in sorted(outcome.publication.changed.items()):
        click.echo(f"  {name}  −{deleted:,} +{inserted:,}", err=True)


def _nothing_published(why: str) -> None:
    """What people read was not touched, so nothing is recorded against it either."""
    click.secho(f"‖ nothing was published: {why}. The published numbers stay as they are.", fg="yellow", err=True)


def _docs(arguments: Sequence[str]) -> int:
    """Documentation as one file that needs no server and no network: lineage, columns, owners, where it is used."""
    words = [word for word in arguments if word not in ("docs", "generate", "--static")]
    if "serve" in arguments:
        return _dbt(arguments)
    code = _dbt(["docs", "generate", "--static", *words])
    if code == 0:
        click.echo(f"open {_target(arguments) / 'static_index.html'}")
    return code

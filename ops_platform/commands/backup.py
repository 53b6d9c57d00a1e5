"""`ops backup` and `ops restore` at a terminal.

Belongs here: which backup is meant, what is asked before it is done, what is shown. Does not belong here: how it is
done (`ops_platform.backup`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops_platform.failures import ConfigurationError
from ops_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from ops_platform.backup.keeping import Keep
    from ops_platform.backup.manifest import Backup


def make(*, to: Path | None, prove: bool, before_upgrade: bool, as_json: bool) -> int:
    """Make a backup, remove what the rule does not keep, and with `prove` restore it aside and compare it."""
    from ops_platform.backup.keeping import remove_old
    from ops_platform.backup.making import make as made
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.commands.terminal import Steps

    settings = get_settings()
    prepare_database()
    steps = Steps()
    directory = to or settings.backups_directory
    with steps.step(f"backup in {directory}"):
        backup = made(directory, settings=settings, step=steps.detail, before_upgrade=before_upgrade)
    found = _drill(backup, settings) if prove else None
    gone = remove_old(directory, keep_of(settings))
    if as_json:
        click.echo(json.dumps(_as_json(backup) | {"drill": found, "removed": [path.name for path in gone]}, indent=2))
    else:
        click.echo(f"{backup.path} ({backup.size / 1e6:,.1f} MB, {_rows(backup):,} rows in {_tables(backup)} tables)")
        if gone:
            click.echo(f"removed {len(gone)} that {settings.ops_backup_keep} (daily, weekly, monthly) does not keep")
        if found is not None:
            _say_drill(backup, found)
    return 0 if found is None or found["equal"] else 1


def show_list(*, as_json: bool) -> int:
    """The backups there are, the newest first, and what their last drill found."""
    from ops_platform.backup.manifest import backups_in

    found = backups_in(get_settings().backups_directory)
    if as_json:
        click.echo(json.dumps([_as_json(backup) for backup in found], indent=2))
        return 0
    if not found:
        click.echo(f"no backup in {get_settings().backups_directory}: `ops backup` makes one")
    for backup in found:
        drill = backup.drill
        proven = "never restored" if drill is None else "restored and equal" if drill["equal"] else "DRILL FAILED"
        hours = (datetime.now(UTC) - backup.at).total_seconds() / 3600
        commit = backup.manifest["release"]["commit"][:10]
        click.echo(
            f"{backup.name}  {hours:,.0f} h old, {backup.size / 1e6:,.1f} MB, {_rows(backup):,} rows, release {commit},"
            f" {proven}{', made before an upgrade' if backup.before_upgrade else ''}"
        )
    return 0


def check(name: str | None) -> int:
    """Whether the files of a backup are still what they were."""
    from ops_platform.backup.manifest import verify

    backup = backup_named(name)
    verify(backup.path)
    click.echo(f"{backup.name}: every file is what was backed up")
    return 0


def drill(name: str | None, *, as_json: bool) -> int:
    """Restore a backup beside what is there, compare every table, drop it again."""
    from ops_platform.commands.prepare import prepare_database

    prepare_database()
    backup = backup_named(name)
    found = _drill(backup, get_settings())
    if as_json:
        click.echo(json.dumps({"backup": backup.name, **found}, indent=2))
    else:
        _say_drill(backup, found)
    return 0 if found["equal"] else 1


def restore(name: str | None, *, replace: bool, as_json: bool) -> int:
    """Put a backup in the place of this server's databases. The stack must be down."""
    from ops_platform.backup.restoring import restore as restored
    from ops_platform.commands.prepare import maintenance_database, prepare_database
    from ops_platform.commands.terminal import Steps

    refuse_while_up()
    settings = get_settings()
    backup = backup_named(name)
    steps = Steps()
    with steps.step(f"restore of {backup.name}"):
        done = restored(
            backup, maintenance=maintenance_database(), replace=replace, settings=settings, step=steps.detail
        )
        prepare_database()
        _grant_again()
    kept = ", ".join(done.kept_as.values())
    if as_json:
        click.echo(json.dumps({
            "backup": backup.name, "seconds": done.seconds, "tables": done.tables, "rows": done.rows,
            "kept_as": done.kept_as,
        }, indent=2))  # fmt: skip
        return 0
    click.echo(f"{done.tables} tables with {done.rows:,} rows, each equal to what was backed up, in {done.seconds} s.")
    if kept:
        stamp = next(iter(done.kept_as.values())).rpartition("_")[2]
        click.echo(f"What was there is kept as {kept}: `ops restore --undo {stamp}` puts it back,")
        click.echo(f"`ops restore --forget {stamp}` drops it.")
    click.echo("Before anything is posted, the channels are read for what was sent since the backup.")
    return 0


def undo(stamp: str) -> int:
    """Put back what a restore replaced."""
    from ops_platform.backup.restoring import undo as undone
    from ops_platform.commands.prepare import maintenance_database, prepare_database

    refuse_while_up()
    names = undone(stamp, maintenance=maintenance_database(), settings=get_settings())
    prepare_database()
    click.echo(f"back in place: {', '.join(names)}")
    return 0


def forget(stamp: str) -> int:
    """Drop what a restore replaced."""
    from ops_platform.backup.restoring import forget as forgotten
    from ops_platform.commands.prepare import maintenance_database

    forgotten(stamp, maintenance=maintenance_database(), settings=get_settings())
    click.echo(f"dropped what was kept from {stamp}")
    return 0


def backup_named(name: str | None) -> Backup:
    """The backup of that name or path; without one the newest. Raises `ConfigurationError` when there is none."""
    from ops_platform.backup.manifest import backups_in, read

    directory = get_settings().backups_directory
    if name is None:
        newest = next(iter(backups_in(directory)), None)
        if newest is None:
            raise ConfigurationError(f"there is no backup in {directory}")
        return newest
    path = Path(name)
    return read(path if path.is_dir() else directory / name)


def keep_of(settings: Settings) -> Keep:
    """The rule of `OPS_BACKUP_KEEP`."""
    from ops_platform.backup.keeping import Keep

    daily, weekly, monthly = (int(part) for part in settings.ops_backup_keep.split(","))
    return Keep(daily, weekly, monthly)


def refuse_while_up() -> None:
    """Raises `ConfigurationError` while a stack of this home runs."""
    from ops_platform.commands.stack import stack_state

    if stack_state() is not None:
        raise ConfigurationError("the stack is up: `ops down` first")


def _drill(backup: Backup, settings: Settings) -> dict[str, object]:
    from ops_platform.backup.restoring import drill as drilled
    from ops_platform.commands.prepare import maintenance_database
    from ops_platform.commands.terminal import Steps

    with Steps().step(f"restore drill of {backup.name}"):
        return drilled(backup, maintenance=maintenance_database(), settings=settings)


def _grant_again() -> None:
    """Roles that this server did not have, and what they may do in the databases that came."""
    from ops_platform.database import connect
    from ops_platform.database.roles import ensure_roles
    from ops_platform.fleet import get_fleet
    from resources.vendors import VENDORS

    with connect() as connection:
        ensure_roles(connection, get_fleet().bots, [f"raw_{vendor}" for vendor in VENDORS])


def _say_drill(backup: Backup, found: dict[str, object]) -> None:
    if found["equal"]:
        click.echo(
            f"{backup.name} restored in {found['seconds']} s: {found['tables']} tables, {found['rows']:,} rows, equal"
        )
        return
    problems = found["problems"]
    assert isinstance(problems, list)
    for line in problems:
        click.secho(f"✗ {line}", fg="red", err=True)


def _as_json(backup: Backup) -> dict[str, object]:
    return {
        "name": backup.name, "path": str(backup.path), "at": backup.at.isoformat(), "bytes": backup.size,
        "rows": _rows(backup), "tables": _tables(backup), "release": backup.manifest["release"],
        "seconds": backup.manifest["seconds"], "drill": backup.drill,
    }  # fmt: skip


def _rows(backup: Backup) -> int:
    databases = backup.manifest["databases"].values()
    return sum(rows for said in databases for rows, _ in said["tables"].values())


def _tables(backup: Backup) -> int:
    return sum(len(said["tables"]) for said in backup.manifest["databases"].values())

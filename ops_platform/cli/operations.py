"""Words about the server: backups, restores, bots that were isolated.

Belongs here: `ops backup`, `ops restore`, `ops bot`, `ops selfcheck`, `ops upgrade`, `ops rollback`, `ops move`.
Does not belong here: what they do (`commands/`), the stack's processes (`stack.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops_platform.cli.options import JSON


@click.group(invoke_without_command=True)
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="Directory (default: OPS_BACKUPS).")
@click.option("--prove", is_flag=True, help="Also restore it aside and compare it.")
@click.option("--before-upgrade", is_flag=True, help="Keep it until the next upgrade's: `ops rollback` may want it.")
@JSON
@click.pass_context
def backup(context: click.Context, to: Path | None, prove: bool, before_upgrade: bool, as_json: bool) -> None:
    """Back both databases and the home's documents up; work goes on meanwhile.

    \b
    ops backup
    ops backup --to /mnt/other-disk/backups --prove
    ops backup list
    ops backup drill                 the newest, restored aside and compared table by table
    Credentials are in no backup: keep `.env` and `credentials/` elsewhere.
    """
    if context.invoked_subcommand is None:
        from ops_platform.commands.backup import make

        sys.exit(make(to=to, prove=prove, before_upgrade=before_upgrade, as_json=as_json))


@backup.command("list")
@JSON
def list_backups(as_json: bool) -> None:
    """Show the backups there are, the newest first."""
    from ops_platform.commands.backup import show_list

    sys.exit(show_list(as_json=as_json))


@backup.command()
@click.argument("name", required=False)
def verify(name: str | None) -> None:
    """Check the files of a backup (default: the newest) against their checksums."""
    from ops_platform.commands.backup import check

    sys.exit(check(name))


@backup.command()
@click.argument("name", required=False)
@JSON
def drill(name: str | None, as_json: bool) -> None:
    """Restore a backup (default: the newest) beside what is there, compare every table, drop it again."""
    from ops_platform.commands.backup import drill as run

    sys.exit(run(name, as_json=as_json))


@click.command()
@click.argument("name", required=False)
@click.option("--replace", is_flag=True, help="Take the place of data that is there; it is kept under another name.")
@click.option("--undo", "undone", metavar="MOMENT", help="Put back what the restore of that moment replaced.")
@click.option("--forget", "forgotten", metavar="MOMENT", help="Drop what the restore of that moment replaced.")
@JSON
def restore(name: str | None, replace: bool, undone: str | None, forgotten: str | None, as_json: bool) -> None:
    """Restore a backup (a name, a path; default: the newest). The stack must be down.

    \b
    ops restore
    ops restore 20261121T190358Z --replace
    ops restore --undo 20261121t191500z
    """
    from ops_platform.commands import backup as commands

    if sum((name is not None or replace, undone is not None, forgotten is not None)) > 1:
        raise click.UsageError("a restore, --undo or --forget: one of them")
    if undone is not None:
        sys.exit(commands.undo(undone))
    if forgotten is not None:
        sys.exit(commands.forget(forgotten))
    sys.exit(commands.restore(name, replace=replace, as_json=as_json))


@click.group()
def bot() -> None:
    """Bots whose runs do not start because their processes died again and again."""


@bot.command("list")
@JSON
def list_bots(as_json: bool) -> None:
    """Show every bot, and which are isolated since when and for how long."""
    from ops_platform.commands.bots import show_list

    sys.exit(show_list(as_json=as_json))


@bot.command()
@click.argument("name")
def release(name: str) -> None:
    """Let the runs of an isolated bot start again."""
    from ops_platform.commands.bots import release as run

    sys.exit(run(name))


@click.command()
@click.option("--live", is_flag=True, help="Also what runs: code server, daemon, web.")
@click.option("--code", is_flag=True, help="Only what can be known without touching the database.")
@click.option("--database", is_flag=True, help="Only whether the database is of this release.")
@click.option("--wait", type=click.FloatRange(0, 3600), default=180.0, show_default=True, help="Seconds, with --live.")
@JSON
def selfcheck(live: bool, code: bool, database: bool, wait: float, as_json: bool) -> None:
    """Check that this release can run here, and with --live that what runs is well."""
    from ops_platform.commands.selfcheck import selfcheck as run

    sys.exit(run(live=live, code=code, database=database, wait=wait, as_json=as_json))


@click.command()
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--base", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Default: of this release.")
def upgrade(source: Path, base: Path | None) -> None:
    """Build the release in SOURCE (a checkout or an unpacked one), check it, back up, switch, start, look.

    \b
    ops upgrade /root/ops_platform
    What does not run is taken back by itself; `ops rollback` takes back what does.
    """
    from ops_platform.commands.releases import upgrade as run

    sys.exit(run(source, base=base))


@click.command()
@click.option("--base", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Default: of this release.")
def rollback(base: Path | None) -> None:
    """Run the release before the last upgrade again; with its database, where the newer one had changed it."""
    from ops_platform.commands.releases import rollback as run

    sys.exit(run(base=base))


@click.command()
@click.argument("phase", required=False, type=click.Choice(["prepare", "rehearse", "switch", "settle"]))
@click.option("--backup", metavar="NAME", help="A backup (name or path): rehearse and, on the new server, switch.")
@click.option("--undo", is_flag=True, help="Take the phase back.")
@JSON
def move(phase: str | None, backup: str | None, undo: bool, as_json: bool) -> None:
    """Move to a new server in four phases, each proven by itself; without a phase: where it stands.

    \b
    new: ops move prepare
    new: ops move rehearse --backup PATH     a backup of the old server
    old: ops down && ops move switch         stopped for good, the last backup
    new: ops move switch --backup PATH && ops up
    new: ops move settle                     after the first jobs
    """
    from ops_platform.commands import move as commands

    if phase is None:
        sys.exit(commands.standing(as_json=as_json))
    sys.exit(commands.move(phase, backup=backup, undo=undo, as_json=as_json))

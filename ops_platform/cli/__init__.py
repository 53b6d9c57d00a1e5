"""`ops`: the command line. Parses words and calls `ops_platform.commands`; nothing heavy at import.

Belongs here: commands, options, their help and examples, one module a family; this file only says which there are and
ends with the right code. Does not belong here: what they do.
Exit codes: 0 done, 1 failed, 2 wrong use.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from ops_platform.failures import OpsError
from ops_platform.redaction import redact_process

# The modules of this package and what each declares.
_FAMILIES = {
    "stack": ("demo", "up", "down", "status", "listen", "service", "web"),
    "sources": ("doctor", "sync", "quarantine", "schema", "reconcile"),
    "jobs": ("run", "pulse", "receipts"),
    "job": ("job",),
    "warehouse": ("metric", "dbt"),
    "watch": ("watch", "detect", "explain"),
    "alert": ("alert",),
    "action": ("action",),
    "approval": ("approval",),
    "outbox": ("outbox",),
    "inbox": ("inbox",),
    "documents": ("replay", "trace"),
    "costs": ("costs",),
    "playbook": ("playbook",),
    "agent": ("agent",),
    "work": ("work", "coordinator"),
    "operations": ("backup", "restore", "bot", "selfcheck", "upgrade", "rollback", "move"),
}
_FAMILY_OF = {command: family for family, commands in _FAMILIES.items() for command in commands}


class _Ops(click.Group):
    """Imports a family when a word of it is asked for, so that a command does not wait for the others' declarations."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_FAMILY_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # A word that is none of them brings in all, from which click names those it may have meant.
        for name in (cmd_name,) if cmd_name in _FAMILY_OF else _FAMILY_OF:
            if name not in self.commands:
                self.add_command(getattr(import_module(f"{__name__}.{_FAMILY_OF[name]}"), name), name)
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Ops, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ops-platform", prog_name="ops")
def cli() -> None:
    """Executive operations on schedule: sync, warehouse, proven documents, one quiet Slack."""


def main() -> None:
    """The entry point: our own failures are one line on standard error, never a traceback, and nothing that is logged
    or fails holds a credential."""
    redact_process()
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OpsError as error:
        click.secho(f"✗ {error}", fg="red", err=True)
        sys.exit(1)

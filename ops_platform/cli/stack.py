"""Words of the platform itself: a whole morning on the sandbox, its processes, what it shows of them.

Belongs here: `ops demo`, `ops up`, `ops down`, `ops status`, `ops listen`, `ops service`, `ops web`. Does not belong
here: what they do (`commands/`), jobs (`jobs.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops_platform.cli.options import JSON


@click.command()
@click.option("--orders", type=click.Path(path_type=Path), help="Serve this CSV (plain or .gz) as the shop's orders.")
@click.option("--pulse-only", is_flag=True, help="Make the morning's pulse alone: no narrative, no board pack.")
@JSON
def demo(orders: Path | None, pulse_only: bool, as_json: bool) -> None:
    """Run one whole morning cycle on the sandbox and print the pulse; the day in review and the board pack follow on
    the same figures.

    \b
    ops demo
    ops demo --pulse-only
    ops demo --orders orders.csv.gz     columns InvoiceNo, StockCode, Description, Quantity,
                                        InvoiceDate, UnitPrice, CustomerID, Country
    """
    from ops_platform.commands.demo import demo as run

    sys.exit(run(orders, pulse_only=pulse_only, as_json=as_json))


@click.command()
@click.option("--foreground", is_flag=True, help="Stay in the foreground (systemd, containers).")
def up(foreground: bool) -> None:
    """Start the database, Dagster's code server, web and daemon.

    \b
    ops up
    ops up --foreground
    """
    from ops_platform.commands.stack import up as run

    sys.exit(run(foreground=foreground))


@click.command()
def down() -> None:
    """Stop what `ops up` started."""
    from ops_platform.commands.stack import down as run

    sys.exit(run())


@click.command()
@JSON
def status(as_json: bool) -> None:
    """Show processes, sources, the newest build and messages on one screen."""
    from ops_platform.commands.status import status as run

    sys.exit(run(as_json=as_json))


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the signed HTTP listener (default 3001).")
@click.option("--socket-mode/--no-socket-mode", default=None, help="Default: with SLACK_APP_TOKEN.")
def listen(port: int | None, socket_mode: bool | None) -> None:
    """Take presses of buttons under alerts: by Socket Mode, by signed HTTP on this machine, or both.

    \b
    ops listen                         SLACK_APP_TOKEN: Socket Mode; SLACK_SIGNING_SECRET: HTTP
    ops listen --port 3001
    Runs until it is stopped; `ops up` runs it, too, where either of the two is set.
    """
    from ops_platform.commands.listen import listen as run

    sys.exit(run(port=port, socket_mode=socket_mode))


@click.command()
@click.argument("name", type=click.Choice(["database", "code", "web", "daemon", "listener", "coordinator"]))
@click.option("--wait", is_flag=True, help="Only wait until it answers (database, code).")
@click.option("--wanted", is_flag=True, help="Only say by the exit code whether these settings want it.")
def service(name: str, wait: bool, wanted: bool) -> None:
    """Be one service in the foreground: what systemd units and containers run.

    \b
    ops service daemon
    `ops up` runs them all under one supervisor; docs/operations.md says when to use which.
    """
    from ops_platform.commands.services import is_wanted, run_service, wait_for

    if wanted:
        sys.exit(0 if is_wanted(name) else 1)
    if wait:
        wait_for(name)
        return
    sys.exit(run_service(name))


@click.command()
@click.option("--viewer", is_flag=True, help="A link that may look and change nothing.")
@click.option(
    "--new-key", type=click.Choice(["operator", "viewer"]), help="Make a new key: who has the old one is out."
)
def web(viewer: bool, new_key: str | None) -> None:
    """Print a link that signs in to the Dagster UI, good once and for ten minutes.

    \b
    ops web
    ops web --viewer
    """
    from ops_platform.commands.web import web as run

    sys.exit(run(viewer=viewer, new_key=new_key))

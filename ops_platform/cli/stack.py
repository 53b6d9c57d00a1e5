"""Words of the platform itself: a whole morning on the sandbox, its processes, what it shows of them.

Belongs here: `ops demo`, `ops up`, `ops down`, `ops status`, `ops listen`. Does not belong here: what they do
(`commands/`), jobs (`jobs.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops_platform.cli.options import JSON


@click.command()
@click.option("--orders", type=click.Path(path_type=Path), help="Serve this CSV (plain or .gz) as the shop's orders.")
@JSON
def demo(orders: Path | None, as_json: bool) -> None:
    """Run one whole morning cycle on the sandbox and print the pulse.

    \b
    ops demo
    ops demo --orders orders.csv.gz     columns InvoiceNo, StockCode, Description, Quantity,
                                        InvoiceDate, UnitPrice, CustomerID, Country
    """
    from ops_platform.commands.demo import demo as run

    sys.exit(run(orders, as_json=as_json))


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

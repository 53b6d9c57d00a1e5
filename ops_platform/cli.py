"""`ops`: the command line. Parses words and calls `ops_platform.commands`; nothing heavy at import.

Belongs here: commands, options, their help and examples. Does not belong here: what they do.
Exit codes: 0 done, 1 failed, 2 wrong use.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops_platform.failures import OpsError

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ops-platform", prog_name="ops")
def cli() -> None:
    """Executive operations on schedule: sync, warehouse, proven documents, one quiet Slack."""


@cli.command()
@click.option("--orders", type=click.Path(path_type=Path), help="Serve this CSV (plain or .gz) as the shop's orders.")
@_JSON
def demo(orders: Path | None, as_json: bool) -> None:
    """Run one whole morning cycle on the sandbox and print the pulse.

    \b
    ops demo
    ops demo --orders orders.csv.gz     columns InvoiceNo, StockCode, Description, Quantity,
                                        InvoiceDate, UnitPrice, CustomerID, Country
    """
    from ops_platform.commands.demo import demo as run

    sys.exit(run(orders, as_json=as_json))


@cli.command()
@click.option("--foreground", is_flag=True, help="Stay in the foreground (systemd, containers).")
def up(foreground: bool) -> None:
    """Start the database, Dagster's code server, web and daemon.

    \b
    ops up
    ops up --foreground
    """
    from ops_platform.commands.stack import up as run

    sys.exit(run(foreground=foreground))


@cli.command()
def down() -> None:
    """Stop what `ops up` started."""
    from ops_platform.commands.stack import down as run

    sys.exit(run())


@cli.command()
@_JSON
def status(as_json: bool) -> None:
    """Show processes, sources, the newest build and messages on one screen."""
    from ops_platform.commands.status import status as run

    sys.exit(run(as_json=as_json))


@cli.command()
@_JSON
def doctor(as_json: bool) -> None:
    """Check settings, the database, and every endpoint of every connected vendor."""
    from ops_platform.commands.status import doctor as run

    sys.exit(run(as_json=as_json))


@cli.command()
@click.argument("names", nargs=-1, metavar="[VENDOR[.STREAM]]…")
@click.option("--sweep", is_flag=True, help="Also look for records the vendor no longer has.")
@click.option("--allow-shrink", is_flag=True, help="Let a full listing remove more rows than the shrink guard allows.")
@_JSON
def sync(names: tuple[str, ...], sweep: bool, allow_shrink: bool, as_json: bool) -> None:
    """Bring raw tables up to date, with a receipt for each stream.

    \b
    ops sync
    ops sync shopify
    ops sync shopify.orders netsuite.transactions --sweep
    """
    from ops_platform.commands.syncs import sync as run

    sys.exit(run(names, allow_shrink=allow_shrink, sweep=sweep, as_json=as_json))


@cli.command("run")
@click.argument("job")
def run_command(job: str) -> None:
    """Run a job of fleet.yaml now, as its schedule would.

    \b
    ops run ops_pulse
    """
    from ops_platform import progress
    from ops_platform.commands.prepare import prepare
    from ops_platform.commands.runs import run_job
    from ops_platform.commands.terminal import Steps

    prepare()
    steps = Steps()
    with progress.listening(steps.detail), steps.step(f"job {job}"):
        outcome = run_job(job)
    for failure in outcome.failures:
        click.secho(f"✗ {failure}", fg="red", err=True)
    for check in outcome.failed_checks:
        click.secho(f"⚠ check did not pass: {check}", fg="yellow", err=True)
    click.echo(f"run {outcome.run_id}: {'succeeded' if outcome.succeeded else 'failed'}")
    sys.exit(0 if outcome.succeeded else 1)


@cli.command()
@click.option("--preview", is_flag=True, help="Compose it from today's data without storing or sending it.")
@click.option("--format", "shape", type=click.Choice(["terminal", "markdown", "slack", "html"]), default="terminal")
def pulse(preview: bool, shape: str) -> None:
    """Show the newest pulse, or a preview of the next one.

    \b
    ops pulse
    ops pulse --preview
    ops pulse --preview --format slack      the Block Kit JSON
    """
    from ops_platform.commands.pulse import show

    sys.exit(show(preview=preview, shape=shape))


@cli.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt(arguments: tuple[str, ...]) -> None:
    """Run dbt on the configured warehouse.

    \b
    ops dbt build --select net_sales+
    ops dbt docs generate
    """
    from ops_platform.commands.analyst import run_dbt

    sys.exit(run_dbt(arguments))


def main() -> None:
    """The entry point: our own failures are one line on standard error, never a traceback."""
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


if __name__ == "__main__":
    main()

"""`ops job`: the jobs of fleet.yaml as they are, what one would say now, and running one.

Belongs here: words and options. Does not belong here: what they do (`ops_platform.commands.job`).
"""

from __future__ import annotations

import sys

import click

from ops_platform.cli.options import JSON

SHAPES = click.Choice(["terminal", "markdown", "slack", "html"])


@click.group()
def job() -> None:
    """Jobs of fleet.yaml: list, show, preview, run."""


@job.command("list")
@click.option("--bot", metavar="NAME", help="Only of this bot.")
@JSON
def list_(bot: str | None, as_json: bool) -> None:
    """Every job: its bot, when it is due next, when it speaks, how its last run ended.

    \b
    ops job list
    ops job list --bot logistics
    """
    from ops_platform.commands.job import list_jobs

    sys.exit(list_jobs(bot=bot, as_json=as_json))


@job.command()
@click.argument("name")
@JSON
def show(name: str, as_json: bool) -> None:
    """One job: what it reads, collects and says, its next ticks, its last runs.

    \b
    ops job show late_orders
    """
    from ops_platform.commands.job import show_job

    sys.exit(show_job(name, as_json=as_json))


@job.command()
@click.argument("name")
@click.option("--format", "shape", type=SHAPES, default="terminal")
@click.option("--all", "everything", is_flag=True, help="As if nothing had been told yet.")
def preview(name: str, shape: str, everything: bool) -> None:
    """What the job would say now, from the warehouse as it stands; nothing is stored, sent or paid for.

    \b
    ops job preview late_orders
    ops job preview inventory_watchdog --all --format slack
    """
    from ops_platform.commands.job import preview_job

    sys.exit(preview_job(name, shape=shape, everything=everything))


@job.command()
@click.argument("name")
def run(name: str) -> None:
    """Run a job now, as its schedule would (`ops run NAME`).

    \b
    ops job run late_orders
    """
    from ops_platform.cli.jobs import run as run_now

    run_now.callback(name, None)  # type: ignore[misc]

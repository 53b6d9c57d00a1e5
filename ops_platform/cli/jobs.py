"""Words about jobs: running one, the document it made, what every run looked at.

Belongs here: `ops run`, `ops pulse`, `ops receipts`. Does not belong here: what they do (`commands/`), processes
(`stack.py`).
"""

from __future__ import annotations

import sys
from datetime import datetime

import click

from ops_platform.cli.options import DAY, JSON


@click.command()
@click.argument("job")
@click.option("--for", "day", type=DAY, metavar="YYYY-MM-DD", help="A narrative: the period this day is in.")
def run(job: str, day: datetime | None) -> None:
    """Run a job of fleet.yaml now, as its schedule would.

    \b
    ops run ops_pulse
    ops run narrative_weekly --for 2026-11-11
    """
    from ops_platform import progress
    from ops_platform.commands.prepare import prepare
    from ops_platform.commands.runs import run_job
    from ops_platform.commands.terminal import Steps

    prepare()
    steps = Steps()
    with progress.listening(steps.detail), steps.step(f"job {job}"):
        outcome = run_job(job, day.date() if day else None)
    for failure in outcome.failures:
        click.secho(f"✗ {failure}", fg="red", err=True)
    for check in outcome.failed_checks:
        click.secho(f"⚠ check did not pass: {check}", fg="yellow", err=True)
    click.echo(f"run {outcome.run_id}: {'succeeded' if outcome.succeeded else 'failed'}")
    sys.exit(0 if outcome.succeeded else 1)


@click.command()
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


@click.command()
@click.option("--job", metavar="NAME", help="Only this job.")
@click.option("--since", metavar="YYYY-MM-DD", type=DAY, help="From this business day on.")
@click.option("--limit", default=30, type=click.IntRange(1, 100_000), help="How many to show.")
@click.option("--week", is_flag=True, help="What silence covered: the last seven days, or seven from --since.")
@JSON
def receipts(job: str | None, since: datetime | None, limit: int, week: bool, as_json: bool) -> None:
    """What every run looked at, how close the closest came, and whether it said anything.

    \b
    ops receipts
    ops receipts --job ops_pulse --since 2026-11-01
    ops receipts --week
    """
    from ops_platform.commands.receipts import show

    sys.exit(show(job=job, since=since.date() if since else None, limit=limit, week=week, as_json=as_json))

"""The word about what models cost.

Belongs here: `ops costs`. Does not belong here: what it does (`commands/costs.py`).
"""

from __future__ import annotations

import sys
from datetime import datetime

import click

from ops_platform.cli.options import JSON


@click.command()
@click.option(
    "--month", type=click.DateTime(["%Y-%m"]), metavar="YYYY-MM", help="Which month (default: the present one)."
)
@JSON
def costs(month: datetime | None, as_json: bool) -> None:
    """What models cost, by job, bot, purpose and model, per delivered output, and what came to nothing.

    US dollars at the list prices of fleet.yaml, from the vendor's own count of every call.

    \b
    ops costs
    ops costs --month 2026-11
    ops costs --month 2026-11 --json
    """
    from ops_platform.commands.costs import show

    sys.exit(show(month=month.date() if month else None, as_json=as_json))

"""Words about documents of the past: making them again, and where a number came from.

Belongs here: `ops replay`, `ops trace`. Does not belong here: what they do (`commands/replay.py`, `commands/trace.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops_platform.cli.options import JSON

_DOCUMENT = "DOCUMENT"


@click.command()
@click.argument("document", metavar=_DOCUMENT, required=False)
@click.option("--all", "everything", is_flag=True, help="Every stored document.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Write what it gives into this folder."
)
@click.option("--show", is_flag=True, help="Print the document as Slack shows it.")
@JSON
def replay(document: str | None, everything: bool, output: Path | None, show: bool, as_json: bool) -> None:
    """Make a past document again from its stored evidence and recorded model output, byte for byte.

    DOCUMENT is its number, a job (its newest), or JOB:YYYY-MM-DD. Exit code 1 where a byte differs.

    \b
    ops replay ops_pulse
    ops replay board_pack:2026-10-15 --output /tmp/pack
    ops replay --all --json
    """
    from ops_platform.commands.replay import run

    sys.exit(run(document, everything=everything, output=output, show=show, as_json=as_json))


@click.command()
@click.argument("document", metavar=_DOCUMENT)
@click.argument("claim", metavar="CLAIM", required=False)
@click.option("--depth", default=20, type=click.IntRange(0, 20), help="How many levels below the metric to follow.")
@JSON
def trace(document: str, claim: str | None, depth: int, as_json: bool) -> None:
    """Where a number of a document came from: its fact, the metric's row, the marts' rows, the raw records.

    CLAIM is its place in the list (which is shown without CLAIM), its fact, fact.path, or the number as it is printed.

    \b
    ops trace ops_pulse
    ops trace ops_pulse net_sales
    ops trace board_pack:2026-10-15 '$112,141'
    """
    from ops_platform.commands.trace import run

    sys.exit(run(document, claim, depth=depth, as_json=as_json))

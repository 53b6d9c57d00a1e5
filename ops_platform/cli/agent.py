"""`ops agent`: the agents of the roster, and one answer by one of them.

Belongs here: words and options. Does not belong here: what they do (`ops_platform.commands.agent`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ops_platform.cli.options import JSON

SHAPES = click.Choice(["terminal", "markdown", "html"])


@click.command()
@click.argument("name", required=False)
@click.option("--process-issue", "number", type=click.IntRange(1), metavar="N", help="The issue's number.")
@click.option(
    "--issue-data", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="The issue as JSON: title, body, labels, as GitHub has it or by hand.",
)  # fmt: skip
@click.option("--demo", is_flag=True, help="Answer the agent's own example; nothing is kept.")
@click.option("--format", "shape", type=SHAPES, default="terminal", show_default=True)
@click.option("--files", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Put the files of the answer there.")  # fmt: skip
@JSON
def agent(
    name: str | None,
    number: int | None,
    file: Path | None,
    demo: bool,
    shape: str,
    folder: Path | None,
    as_json: bool,
) -> None:
    """The agents, or one's answer to an issue. Nothing is posted: that is the coordinator's.

    \b
    ops agent
    ops agent finance --demo
    ops agent ai-sales --process-issue 42 --issue-data issue.json
    ops agent support --process-issue 42 --issue-data issue.json --json
    """
    from ops_platform.commands.agent import list_agents, run_agent

    if name is None:
        if number is not None or file is not None or demo:
            raise click.UsageError("name the agent: `ops agent` lists them")
        sys.exit(list_agents(as_json=as_json))
    if demo == (number is not None):
        raise click.UsageError("give either --demo or --process-issue N with --issue-data FILE")
    if demo and file is not None:
        raise click.UsageError("--demo answers the agent's own example: leave --issue-data out")
    sys.exit(run_agent(name, number=number, file=file, shape=shape, folder=folder, as_json=as_json))

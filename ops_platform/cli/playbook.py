"""Words about playbooks: what there is, whether it is right, what it would do, what it did.

Belongs here: `ops playbook`. Does not belong here: what the words do (`commands/playbook.py`, `playbook_runs.py`).
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TextIO

import click

from ops_platform.cli.options import JSON

_ID = click.argument("playbook_id", metavar="PLAYBOOK")
_VARIABLES = click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A variable's value; repeatable.")


@click.group()
def playbook() -> None:
    """Workflows in playbooks/*.yaml: read, prove, rehearse, run, look back."""


@playbook.command("list")
@JSON
def playbook_list(as_json: bool) -> None:
    """Every playbook: when it is due next, how it went last, and which files are wrong.

    \b
    ops playbook list
    """
    from ops_platform.commands.playbook import show_list

    sys.exit(show_list(as_json=as_json))


@playbook.command("show")
@_ID
@click.option("--version", type=click.IntRange(1), help="As it was in this version that ran.")
@click.option("--text", is_flag=True, help="The file as it stands.")
@JSON
def playbook_show(playbook_id: str, version: int | None, text: bool, as_json: bool) -> None:
    """One playbook: its triggers, variables and steps, and what each step waits for.

    \b
    ops playbook show ops_daily_health_check
    ops playbook show ops_daily_health_check --version 1 --text
    """
    from ops_platform.commands.playbook import show_one

    sys.exit(show_one(playbook_id, version=version, text=text, as_json=as_json))


@playbook.command("validate")
@click.argument("files", nargs=-1, metavar="[PLAYBOOK|FILE]…")
@JSON
def playbook_validate(files: tuple[str, ...], as_json: bool) -> None:
    """Say everything that is wrong, with line and column; all playbooks where none is named.

    \b
    ops playbook validate
    ops playbook validate drafts/new.yaml
    """
    from ops_platform.commands.playbook import validate

    sys.exit(validate(files, as_json=as_json))


@playbook.command("dry-run")
@click.argument("playbook_or_file", metavar="PLAYBOOK|FILE")
@click.option("--since", metavar="7d|YYYY-MM-DD", help="Every tick since then; without it, once, as of now.")
@click.option("--full", is_flag=True, help="Every effect whole, not in a line.")
@_VARIABLES
@JSON
def playbook_dry_run(
    playbook_or_file: str, since: str | None, full: bool, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Run it on what is in the warehouse, show every effect, do none.

    \b
    ops playbook dry-run ops_churn_prevention --since 7d
    ops playbook dry-run drafts/new.yaml --set inactive_days=14
    """
    from ops_platform.commands.playbook_runs import dry_run

    sys.exit(dry_run(playbook_or_file, since=since, full=full, pairs=pairs, as_json=as_json))


@playbook.command("run")
@_ID
@click.option("--key", metavar="TEXT", help="Makes it once: the same key again shows what came of it.")
@click.option("--trigger", type=click.Choice(["manual", "http", "event"]), default="manual", hidden=True)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="The moment it is for; else now.")
@click.option("--variables-from", type=click.File(), hidden=True, help="Variables as JSON; - is standard input.")
@_VARIABLES
@JSON
def playbook_run(
    playbook_id: str,
    key: str | None,
    trigger: str,
    as_of: datetime | None,
    variables_from: TextIO | None,
    pairs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run it now, as its schedule would; it shows in Dagster like any other run.

    \b
    ops playbook run ops_daily_health_check
    ops playbook run ops_churn_prevention --set inactive_days=14
    """
    from ops_platform.commands.playbook_runs import run

    given = None if variables_from is None else variables_from.read()
    sys.exit(
        run(playbook_id, key=key, trigger=trigger, as_of=as_of, pairs=pairs, variables_json=given, as_json=as_json)
    )


@playbook.command("event")
@click.argument("name")
@click.option("--key", required=True, metavar="TEXT", help="Which event it is: each starts a playbook once.")
@JSON
def playbook_event(name: str, key: str, as_json: bool) -> None:
    """Tell of an event: every playbook that names it under `triggers.events` runs, once for the key.

    \b
    ops playbook event trade_show_over --key ces-2027
    """
    from ops_platform.commands.playbook_runs import event

    sys.exit(event(name, key=key, as_json=as_json))


@playbook.command("resume")
@click.argument("execution", type=int)
@JSON
def playbook_resume(execution: int, as_json: bool) -> None:
    """Go on with an execution whose process died: what ran is not run again.

    \b
    ops playbook resume 41
    """
    from ops_platform.commands.playbook_runs import resume

    sys.exit(resume(execution, as_json=as_json))


@playbook.command("settle")
@click.argument("execution", type=int)
@click.argument("step")
@click.argument("said", type=click.Choice(["done", "not-done"]))
@click.option("--reason", required=True, metavar="TEXT", help="How you know; it stands in the record.")
@click.option("--effect", metavar="NAME", help="Which one, where the step has more than one.")
@click.option("--result", metavar="JSON", help="What the step remembers of an effect that was done.")
@click.option("--give-up", is_flag=True, help="Not done, and it is not to be done any more: the step has failed.")
@click.option("--later", is_flag=True, help="Only say it; the sensor takes the execution up.")
@click.option("--as", "called", metavar="PERSON", help="Who says it, of fleet.yaml, where people share an account.")
@JSON
def playbook_settle(
    execution: int,
    step: str,
    said: str,
    reason: str,
    effect: str | None,
    result: str | None,
    give_up: bool,
    later: bool,
    called: str | None,
    as_json: bool,
) -> None:
    """Say what became of an effect that nobody could look up; the execution goes on with it.

    Done: it is not done again. Not done: it is done now, or with --give-up the step has failed.

    \b
    ops playbook settle 41 order done --reason "the supplier confirms order 7719"
    ops playbook settle 41 order not-done --reason "nothing in their portal" --give-up
    """
    from ops_platform.commands.playbook_runs import settle

    sys.exit(
        settle(
            execution, step, said, reason=reason, effect=effect, result=result, give_up=give_up, later=later,
            called=called, as_json=as_json,
        )
    )  # fmt: skip


@playbook.command("history")
@click.argument("playbook_id", metavar="[PLAYBOOK]", required=False)
@click.option("--execution", type=int, help="One execution whole: steps, conditions, results, tokens.")
@click.option("--limit", default=20, type=click.IntRange(1, 1000), help="How many to show.")
@JSON
def playbook_history(playbook_id: str | None, execution: int | None, limit: int, as_json: bool) -> None:
    """What ran, when, how long, with what success.

    \b
    ops playbook history
    ops playbook history ops_daily_health_check --json
    ops playbook history --execution 41
    """
    from ops_platform.commands.playbook_runs import history

    sys.exit(history(playbook_id, execution=execution, limit=limit, as_json=as_json))


@playbook.command("stats")
@click.option("--days", default=30, type=click.IntRange(1, 3660), help="Of the last so many days.")
@JSON
def playbook_stats(days: int, as_json: bool) -> None:
    """Success rate, mean duration, integration uptime, campaigns and notices a week, what writing costs a month.

    \b
    ops playbook stats --days 90
    """
    from ops_platform.commands.playbook_runs import stats

    sys.exit(stats(days=days, as_json=as_json))


@playbook.command("scheduler-jobs")
@click.option("--url", required=True, metavar="URL", help="Where the trigger is reached: https://ops.example")
def playbook_scheduler_jobs(url: str) -> None:
    """A script that makes the jobs of Google Cloud Scheduler, where not Dagster but a cloud is to start playbooks.

    \b
    ops playbook scheduler-jobs --url https://ops.example > jobs.sh
    PROJECT=shop LOCATION=us-east1 sh jobs.sh
    """
    from ops_platform.commands.playbook_scheduler import scheduler_jobs

    sys.exit(scheduler_jobs(url))


@playbook.command("versions")
@_ID
@JSON
def playbook_versions(playbook_id: str, as_json: bool) -> None:
    """Every version that ran, and how it went.

    \b
    ops playbook versions ops_daily_health_check
    """
    from ops_platform.commands.playbook import show_versions

    sys.exit(show_versions(playbook_id, as_json=as_json))


@playbook.command("diff")
@_ID
@click.option("--from", "before", type=click.IntRange(1), help="A version that ran; else the newest one.")
@click.option("--to", "after", type=click.IntRange(1), help="Another one; else the file as it stands.")
def playbook_diff(playbook_id: str, before: int | None, after: int | None) -> None:
    """What is different between two versions, or between one and the file. Exit code 1 where anything is.

    \b
    ops playbook diff ops_daily_health_check
    ops playbook diff ops_daily_health_check --from 1 --to 2
    """
    from ops_platform.commands.playbook import show_diff

    sys.exit(show_diff(playbook_id, before=before, after=after))


@playbook.command("variants")
@_ID
@click.option("--measure", is_flag=True, help="First measure the units that are due.")
@JSON
def playbook_variants(playbook_id: str, measure: bool, as_json: bool) -> None:
    """Its experiment: units in each arm, what was measured, and whether the arms can be told apart.

    \b
    ops playbook variants ops_churn_prevention --measure
    """
    from ops_platform.commands.playbook import show_variants

    sys.exit(show_variants(playbook_id, measure=measure, as_json=as_json))


@playbook.command("new")
@click.argument("name")
def playbook_new(name: str) -> None:
    """Write playbooks/NAME.yaml to begin with: valid, and disabled until you have rehearsed it.

    \b
    ops playbook new quarter_end
    """
    from ops_platform.commands.playbook import new

    sys.exit(new(name))


@playbook.command("schema")
@click.option("--write", is_flag=True, help="Write docs/schema/playbook.schema.json.")
def playbook_schema(write: bool) -> None:
    """The JSON Schema of a playbook, for editors and the console.

    \b
    ops playbook schema > playbook.schema.json
    """
    from ops_platform.commands.playbook import schema

    sys.exit(schema(write=write))


@playbook.command("tools")
@click.argument("name", required=False)
@JSON
def playbook_tools(name: str | None, as_json: bool) -> None:
    """The tools a step can call: what they take, what they return, what they change.

    \b
    ops playbook tools
    ops playbook tools inactive_customers
    """
    from ops_platform.commands.playbook import show_tools

    sys.exit(show_tools(name, as_json=as_json))

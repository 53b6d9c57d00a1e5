"""`ops playbook`: what playbooks say: listing, showing, proving, versions, variants, tools, schema.

Belongs here: how these look at a terminal and to a script. Does not belong here: running (`playbook_runs.py`), reading
and proving files (`ops_platform.playbooks`).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from ops_platform import clock
from ops_platform.commands.safe_text import printable
from ops_platform.failures import ConfigurationError, DataFailure, OpsError
from ops_platform.playbooks import record, settling, variants, versions
from ops_platform.playbooks.catalogue import Catalogue, catalogue, files_of, its_folder, plan_of_file
from ops_platform.playbooks.model import Playbook
from ops_platform.playbooks.source import InvalidPlaybookError
from ops_platform.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from ops_platform.playbooks.plan import Plan

SCHEMA_FILE = PROJECT_ROOT / "docs" / "schema" / "playbook.schema.json"
NEXT_WITHIN = timedelta(days=35)


def its_catalogue() -> Catalogue:
    """The company's playbooks."""
    from jobs.toolbox import house

    return catalogue(house())


def plan_named(name: str) -> Plan:
    """A playbook by its id, or by its file. Raises `OpsError` with what is wrong."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        from jobs.toolbox import house

        return plan_of_file(Path(name), house())
    return its_catalogue().get(name)


# Listing and showing ----------------------------------------------------------------------------------------


def show_list(*, as_json: bool) -> int:
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    prepare_database()
    found, zone = its_catalogue(), get_fleet().company.timezone
    lines: list[dict[str, Any]] = []
    with connect() as connection:
        waiting = [one for one in settling.unclear(connection) if not one.over]
        for playbook_id, plan in sorted(found.plans.items()):
            playbook = plan.playbook
            last = next(
                (one for one in record.newest(connection, playbook_id, 20) if one.trigger_kind != "dry_run"), None
            )
            due = _next_tick(playbook, zone)
            lines.append(
                {
                    "id": playbook_id, "name": playbook.name, "version": playbook.version, "enabled": playbook.enabled,
                    "schedule": playbook.triggers.schedule, "next": None if due is None else due.isoformat(),
                    "http": playbook.triggers.http, "events": playbook.triggers.events, "steps": len(playbook.steps),
                    "last": None if last is None else {
                        "execution": last.id, "state": last.state, "startedAt": last.started_at.isoformat(),
                        "duration": last.duration_ms,
                    },
                    "problem": versions.problem_of(connection, plan.source),
                    "unclear": [
                        {"execution": one.execution_id, "step": one.step_id, "effect": one.name}
                        for one in waiting if one.playbook_id == playbook_id
                    ],
                }
            )  # fmt: skip
    if as_json:
        broken = {name: [str(problem) for problem in problems] for name, problems in found.broken.items()}
        click.echo(json.dumps({"playbooks": lines, "broken": broken}, indent=2))
        return 1 if found.broken else 0
    if not lines and not found.broken:
        click.echo(f"There is no playbook in {its_folder()}: ops playbook new NAME writes a first one.")
    for line in lines:
        _print_line(line, zone)
    for name, problems in found.broken.items():
        click.secho(f"✗ {name} is left out:", fg="red")
        for problem in problems:
            click.echo(f"    {printable(str(problem))}")
    return 1 if found.broken else 0


def _print_line(line: dict[str, Any], zone: str) -> None:
    off = "" if line["enabled"] else click.style("  (disabled)", fg="yellow")
    click.echo(f"{click.style(line['id'], bold=True)}  {printable(line['name'])}, version {line['version']}{off}")
    starts = [f"next {_local(datetime.fromisoformat(line['next']), zone)}" if line["next"] else ""]
    starts += ["by HTTP" if line["http"] else "", *(f"on {name}" for name in line["events"])]
    last = line["last"]
    sign = {"succeeded": "✓", "failed": "✗", "running": "…"}
    went = "never ran"
    if last is not None:
        began = _local(datetime.fromisoformat(last["startedAt"]), zone)
        went = f"{sign[last['state']]} {last['state']} {began}{_took(last['duration'])}, #{last['execution']}"
    click.echo(f"    {line['steps']} steps; {', '.join(part for part in starts if part) or 'by hand'}; {went}")
    if line["problem"]:
        click.secho(f"    ⚠ {line['problem']}", fg="yellow")
    for one in line["unclear"]:
        told = f"{printable(one['effect'])} may have been done: ops playbook history --execution {one['execution']}"
        click.secho(f"    ⚠ #{one['execution']} waits for a person at {one['step']}: {told}", fg="yellow")


def show_one(playbook_id: str, *, version: int | None, text: bool, as_json: bool) -> int:
    from ops_platform.fleet import get_fleet

    plan = plan_named(playbook_id) if version is None else _version(playbook_id, version)
    if text:
        click.echo(plan.source.text.rstrip())
        return 0
    playbook = plan.playbook
    if as_json:
        waits = {
            name: {"needs": sorted(one.needs), "after": sorted(one.after), "gates": [list(gate) for gate in one.gates]}
            for name, one in plan.waits.items()
        }
        made = playbook.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        click.echo(json.dumps({**made, "contentHash": plan.source.content_hash, "waits": waits}, indent=2))
        return 0
    click.secho(f"{printable(playbook.name)}, version {playbook.version}", bold=True)
    if playbook.description:
        click.echo(f"  {printable(playbook.description)}")
    zone = get_fleet().company.timezone
    due = _next_tick(playbook, zone)
    following = "" if due is None else f", next {_local(due, zone)}"
    click.echo(
        f"  led by {playbook.owner}; {playbook.triggers.schedule or 'no schedule'}{following};"
        f" {plan.source.content_hash[:12]}"
    )
    for name, variable in playbook.variables.items():
        click.echo(f"  {name} = {variable.default!r}  {printable(variable.description)}")
    for step_id in plan.order:
        _print_step(plan, step_id)
    return 0


def _print_step(plan: Plan, step_id: str) -> None:
    step, waits = plan.steps[step_id], plan.waits[step_id]
    what = {
        "tool_call": lambda: step.tool, "delegate": lambda: f"{step.role}: {step.task}", "condition": lambda: step.if_,
        "synthesize": lambda: f"{step.report} over {', '.join(step.results)}",
        "notify": lambda: f"{step.severity}: {step.title}", "create_thread": lambda: f"{step.thread}: {step.title}",
    }[step.type]()  # fmt: skip
    click.echo(f"  {click.style(step_id, bold=True)}  {step.type}  {printable(what)[:100]}")
    edges = [f"needs {name}" for name in sorted(waits.needs)] + [f"after {name}" for name in sorted(waits.after)]
    edges += [f"{'when' if wanted else 'unless'} {name}" for name, wanted in waits.gates]
    if edges:
        click.echo(f"      {', '.join(edges)}")


# Proving ----------------------------------------------------------------------------------------------------


def validate(names: tuple[str, ...], *, as_json: bool) -> int:
    from jobs.toolbox import house

    its_house = house()
    files = [Path(name) if Path(name).suffix else its_folder() / f"{name}.yaml" for name in names]
    if not names:
        files = files_of(its_folder())
    told: dict[str, list[Any]] = {}
    for file in files:
        try:
            plan_of_file(file, its_house)
            told[str(file)] = []
        except InvalidPlaybookError as error:
            told[str(file)] = list(error.problems)
        except ConfigurationError as error:
            told[str(file)] = [str(error)]
    if as_json:
        made = {
            name: [
                {"line": one.line, "column": one.column, "where": one.where, "message": one.message}
                if not isinstance(one, str) else {"message": one}
                for one in problems
            ]
            for name, problems in told.items()
        }  # fmt: skip
        click.echo(json.dumps(made, indent=2))
    else:
        for name, problems in told.items():
            shown = Path(name).relative_to(PROJECT_ROOT) if Path(name).is_relative_to(PROJECT_ROOT) else name
            click.echo(f"{'✗' if problems else '✓'} {shown}")
            for problem in problems:
                click.echo(f"    {printable(str(problem))}")
    return 1 if any(told.values()) else 0


def schema(*, write: bool) -> int:
    text = schema_text()
    if write:
        SCHEMA_FILE.parent.mkdir(parents=True, exist_ok=True)
        SCHEMA_FILE.write_text(text, encoding="utf-8")
        click.echo(f"wrote {SCHEMA_FILE.relative_to(PROJECT_ROOT)}")
    else:
        click.echo(text, nl=False)
    return 0


def schema_text() -> str:
    """The JSON Schema as it is published."""
    made = Playbook.model_json_schema(by_alias=True)
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Playbook", **made}
    return json.dumps(made, indent=2) + "\n"


def show_tools(name: str | None, *, as_json: bool) -> int:
    from jobs.toolbox import toolbox

    tools = toolbox()
    found = [tools.get(name)] if name else [tools.tools[key] for key in sorted(tools.tools)]
    if as_json:
        made = [
            {
                "name": tool.name, "description": tool.description, "effect": tool.effect,
                "input": tool.Input.model_json_schema(), "output": tool.Output.model_json_schema(),
            }
            for tool in found
        ]  # fmt: skip
        click.echo(json.dumps(made, indent=2))
        return 0
    for tool in found:
        click.echo(f"{click.style(tool.name, bold=True)} ({tool.effect})  {tool.description}")
        if name:
            for title, model in (("takes", tool.Input), ("returns", tool.Output)):
                for field, entry in model.model_fields.items():
                    click.echo(f"    {title} {field}: {_annotation(entry.annotation)}  {entry.description or ''}")
    return 0


def new(name: str) -> int:
    from sensors.components import first_playbook

    if not name.isidentifier() or name != name.lower():
        raise DataFailure("a playbook is named with small letters, digits and underscores, a letter first")
    file = its_folder() / f"{name}.yaml"
    if file.exists():
        raise DataFailure(f"{file} is there already")
    file.parent.mkdir(exist_ok=True)
    file.write_text(first_playbook(name, file.parent), encoding="utf-8")
    click.echo(f"wrote {file}: edit it, then ops playbook validate {name}")
    return 0


# Versions and variants --------------------------------------------------------------------------------------


def show_versions(playbook_id: str, *, as_json: bool) -> int:
    from ops_platform.database import connect

    with connect() as connection:
        found = versions.history(connection, playbook_id)
    if as_json:
        made = [
            {
                "version": one.version, "contentHash": one.content_hash, "name": one.name,
                "firstRun": one.seen_at.isoformat(), "executions": one.executions, "succeeded": one.succeeded,
            }
            for one in found
        ]  # fmt: skip
        click.echo(json.dumps(made, indent=2))
        return 0
    if not found:
        click.echo(f"{playbook_id} never ran")
    for one in found:
        click.echo(
            f"version {one.version}  {one.content_hash[:12]}  first run {one.seen_at:%F %H:%M} UTC,"
            f" {one.executions} executions, {one.succeeded} succeeded"
        )
    return 0


def show_diff(playbook_id: str, *, before: int | None, after: int | None) -> int:
    from ops_platform.database import connect

    with connect() as connection:
        first = before or versions.newest_number(connection, playbook_id)
        if not first:
            raise DataFailure(f"{playbook_id} never ran: there is nothing to compare with")
        old = versions.load(connection, playbook_id, first).source
        new_text = versions.load(connection, playbook_id, after).source if after else _file_text(playbook_id)
    told = versions.difference(
        old, new_text, before_name=f"version {first}", after_name=f"version {after}" if after else "the file"
    )
    for line in told.splitlines():
        click.secho(printable(line), fg={"+": "green", "-": "red"}.get(line[:1]))
    if not told:
        click.echo("Nothing is different.")
    return 1 if told else 0


def show_variants(playbook_id: str, *, measure: bool, as_json: bool) -> int:
    from ops_platform.commands.playbook_runs import the_machine
    from ops_platform.database import connect
    from ops_platform.playbooks.measuring import measured

    plan = plan_named(playbook_id)
    experiment = plan.playbook.experiment
    if experiment is None:
        raise DataFailure(f"{playbook_id} has no experiment")
    done = measured(the_machine(), plan, clock.now()) if measure else 0
    with connect() as connection:
        arms = variants.results(connection, plan.playbook)
    apart = {one.arm: one for one in variants.differences(arms)}
    label = experiment.outcome.label if experiment.outcome else "no outcome is measured"
    if as_json:
        made = {
            "experiment": experiment.name, "outcome": label, "measuredNow": done,
            "arms": [
                {
                    "arm": arm.arm, "units": arm.units, "measured": arm.measured,
                    "mean": None if arm.mean is None else str(arm.mean),
                    "interval": None if arm.interval is None else list(arm.interval), "tooFew": arm.few,
                    "difference": None if arm.arm not in apart else {
                        "value": apart[arm.arm].difference, "low": apart[arm.arm].low, "high": apart[arm.arm].high,
                        "toldApart": apart[arm.arm].told_apart, "tooFew": apart[arm.arm].few,
                    },
                }
                for arm in arms
            ],
        }  # fmt: skip
        click.echo(json.dumps(made, indent=2))
        return 0
    click.secho(f"{experiment.name}: {printable(label)}", bold=True)
    for arm in arms:
        click.echo(f"  {arm.arm}: {arm.units} units, {_of_arm(arm)}")
        one = apart.get(arm.arm)
        if one is not None:
            said = "told apart" if one.told_apart else "cannot be told apart yet"
            if one.few:
                said = f"too few to tell (at least {variants.LEAST_MEASURED} measured of each)"
            told = f"{_value(arm, one.difference, sign=True)} against {one.against}"
            click.echo(
                f"      {told} ({_value(arm, one.low, sign=True)} to {_value(arm, one.high, sign=True)}): {said}"
            )
    if len(arms) > 1 and not apart:
        click.echo("  There is nothing to compare yet.")
    return 0


def _of_arm(arm: variants.ArmResult) -> str:
    """An arm's outcome with its uncertainty."""
    if arm.mean is None:
        return "nothing measured yet"
    told = f"{'' if arm.yes_no else 'mean '}{_value(arm, float(arm.mean))} of {arm.measured} measured"
    if arm.interval is not None:
        told += f" ({_value(arm, arm.interval[0])} to {_value(arm, arm.interval[1])})"
    return told


def _value(arm: variants.ArmResult, value: float, *, sign: bool = False) -> str:
    """A share in per cent, another mean as it is."""
    if arm.yes_no:
        return f"{100 * value:+.1f} %" if sign else f"{100 * value:.1f} %"
    return f"{value:+.4g}" if sign else f"{value:.4g}"


# In common --------------------------------------------------------------------------------------------------


def _version(playbook_id: str, number: int) -> Plan:
    from jobs.toolbox import house
    from ops_platform.database import connect
    from ops_platform.playbooks.checks import plan_of

    with connect() as connection:
        found = versions.load(connection, playbook_id, number)
    return plan_of(found.source, f"{playbook_id} version {number}", house())


def _file_text(playbook_id: str) -> str:
    file = its_folder() / f"{playbook_id}.yaml"
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        raise DataFailure(f"{file} is not there") from None


def _next_tick(playbook: Playbook, zone: str) -> datetime | None:
    from ops_platform.fleet.ticks import ticks_between

    if playbook.triggers.schedule is None or not playbook.enabled:
        return None
    now = clock.now()
    try:
        day = ticks_between(playbook.triggers.schedule, zone, now, now + timedelta(days=8))
        found = day or ticks_between(playbook.triggers.schedule, zone, now, now + NEXT_WITHIN)
    except OpsError:
        return None
    return found[0] if found else None


def _local(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%a %d %b %H:%M}"


def _took(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f" in {milliseconds / 1000:.1f} s"


def _annotation(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")

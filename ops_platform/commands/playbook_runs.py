"""`ops playbook run`, `dry-run`, `history` and their kin: playbooks that are run, were run, or would be.

Belongs here: runs in this process, and how they look. Does not belong here: the engine (`ops_platform.playbooks`), what
playbooks say (`playbook.py`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import uuid
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from ops_platform import clock
from ops_platform.commands.playbook import its_catalogue, plan_named
from ops_platform.commands.safe_text import printable
from ops_platform.failures import DataFailure
from ops_platform.playbooks import record
from ops_platform.playbooks.engine import Hold, Machine, plan_that_ran
from ops_platform.playbooks.rehearsal import Rehearsal, rehearse, ticks_since
from ops_platform.playbooks.variables import from_text, resolve
from ops_platform.settings import get_settings, reset_settings

if TYPE_CHECKING:
    from ops_platform.playbooks.plan import Plan

MOST_TICKS = 400
_SIGNS = {"ran": "✓", "skipped": "–", "failed": "✗", "waiting": "…", "running": "…"}


def the_machine(log: Any = None) -> Machine:
    """The engine on the company's warehouse."""
    from jobs.toolbox import house
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet

    opened = partial(connect, application="playbooks")
    return Machine(opened, house(), get_fleet().company.timezone, log or (lambda line: None))


# Running ----------------------------------------------------------------------------------------------------


def run(
    playbook_id: str,
    *,
    key: str | None,
    trigger: str,
    as_of: datetime | None,
    pairs: tuple[str, ...],
    as_json: bool,
    variables_json: str | None = None,
) -> int:
    """Run it in this process, as a Dagster run; the record is printed. 0 where it succeeded."""
    from ops_platform.commands.prepare import prepare

    plan = its_catalogue().get(playbook_id)
    given = {**_from_json(variables_json), **from_text(plan.playbook, _pairs(pairs))}
    resolve(plan.playbook, given)  # what does not fit is told before a run is made of it
    if not plan.playbook.enabled:
        raise DataFailure(f"{playbook_id} is disabled: set `enabled: true` in its file")
    prepare()
    key = f"{trigger}:{key or uuid.uuid4()}"
    tags = {"playbook/key": key, "playbook/trigger": trigger}
    if as_of is not None:
        tags["playbook/as_of"] = as_of.astimezone(UTC).isoformat()
    return _told(_run(plan, tags, given, f"{playbook_id}:{key}"), as_json)


def event(name: str, *, key: str, as_json: bool) -> int:
    """Run every playbook that waits for the event, each once for the key. 0 where all succeeded."""
    from ops_platform.commands.prepare import prepare

    found = its_catalogue()
    waiting = [
        plan for _, plan in sorted(found.plans.items())
        if name in plan.playbook.triggers.events and plan.playbook.enabled
    ]  # fmt: skip
    if not waiting:
        raise DataFailure(f"no playbook waits for the event {name!r}")
    prepare()
    worst = 0
    for plan in waiting:
        tags = {"playbook/key": f"event:{name}:{key}", "playbook/trigger": "event"}
        ended = _run(plan, tags, {}, f"{plan.playbook.id}:event:{name}:{key}")
        worst = max(worst, _told(ended, as_json))
    return worst


def _run(plan: Plan, tags: Mapping[str, str], given: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The record of the execution under `key`, after a Dagster run in this process. Raises `DataFailure` with why there
    is none."""
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", module="dagster.*")
    logging.getLogger("dagster").setLevel(logging.ERROR)
    # As the run of its bot, with what only that bot may use.
    os.environ["OPS_BOT"] = plan.playbook.bot
    reset_settings()
    from dagster import DagsterInstance

    from jobs.playbooks import playbook_job
    from jobs.toolbox import house
    from ops_platform.instance.launcher import WORKER_TAG
    from ops_platform.instance.processes import identity
    from resources.postgres import WarehouseResource

    logs = get_settings().ops_home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (
        DagsterInstance.get() as instance,
        (logs / f"playbook_{plan.playbook.id}.log").open("w", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
    ):
        result = playbook_job(plan, house).execute_in_process(
            instance=instance, resources={"warehouse": WarehouseResource()}, raise_on_error=False,
            run_config={
                "ops": {"start": {"config": {"variables": dict(given)}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            tags={**tags, "ops/started_by": "command line", WORKER_TAG: identity(os.getpid())},
        )  # fmt: skip
    made = _record(key=key)
    if made is None or made["state"] == "running":
        failures = [_reason(event) for event in result.all_events if event.is_step_failure]
        raise DataFailure("; ".join(failures) or f"run {result.run_id} ended without a word")
    return made


def resume(execution_id: int, *, as_json: bool) -> int:
    from ops_platform.database import connect

    with connect() as connection:
        execution = record.load(connection, execution_id)
    if execution.state == "running":
        machine = the_machine()
        with Hold(machine, plan_that_ran(machine, execution), execution) as hold:
            hold.advance()
    made = _record(execution_id=execution_id)
    assert made is not None
    return _told(made, as_json)


def settle(
    execution_id: int,
    step_id: str,
    said: str,
    *,
    reason: str,
    effect: str | None,
    result: str | None,
    give_up: bool,
    later: bool,
    called: str | None,
    as_json: bool,
) -> int:
    """Take a person's word about an unclear effect down, and go on with the execution. 0 where it succeeded, is over or
    goes on later."""
    from ops_platform.commands.approval import prepared, who
    from ops_platform.database import connect
    from ops_platform.playbooks import settling

    if result is not None and said != "done":
        raise click.UsageError("--result is what is remembered of an effect that was done")
    try:
        remembered = None if result is None else json.loads(result)
    except ValueError:
        raise click.UsageError("--result is JSON") from None
    person = who(prepared(), called)
    with connect() as connection:
        settled = settling.settle(
            connection, execution_id, step_id, "done" if said == "done" else "not_done", person=person.name,
            via=person.via, reason=reason, name=effect, result=remembered, give_up=give_up,
        )  # fmt: skip
        waiting = settling.unclear(connection, execution_id)
    if not as_json:
        click.echo(f"✓ {printable(settled.name)} of {step_id}: {said}, as {printable(person.name)} said")
    if settled.over or later or waiting:
        if as_json:
            click.echo(json.dumps(_record(execution_id=execution_id), indent=2))
        elif settled.over:
            click.echo(f"Execution #{execution_id} was over before; nothing goes on.")
        else:
            told = "Another effect waits for a word." if waiting else "playbook_resume_sensor takes it up by itself."
            click.echo(f"Execution #{execution_id} is open. {told}")
        return 0
    return resume(execution_id, as_json=as_json)


# Rehearsing -------------------------------------------------------------------------------------------------


def dry_run(name: str, *, since: str | None, full: bool, pairs: tuple[str, ...], as_json: bool) -> int:
    """Rehearse it, once or at every tick since; 0 where every rehearsal would have succeeded."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.fleet import get_fleet

    plan = plan_named(name)
    given = from_text(plan.playbook, _pairs(pairs))
    prepare_database()
    zone, now = get_fleet().company.timezone, clock.now()
    ticks = [now] if since is None else ticks_since(plan, zone, _moment(since, zone, now), now)
    if not ticks:
        raise DataFailure(f"{plan.playbook.id} was not due since {since}")
    if len(ticks) > MOST_TICKS:
        raise DataFailure(f"that is {len(ticks)} runs; at most {MOST_TICKS}: say a later --since")
    machine, done = the_machine(), []
    for tick in ticks:
        rehearsal = rehearse(machine, plan, tick, given)
        done.append(rehearsal)
        if not as_json:
            _print_rehearsal(plan, rehearsal, zone, full)
    if as_json:
        click.echo(json.dumps([_rehearsal_json(one) for one in done], indent=2, default=str))
    else:
        effects = sum(len(one.effects) for one in done)
        failed = sum(not one.success for one in done)
        click.secho(
            f"{len(done)} dry {'run' if len(done) == 1 else 'runs'}: {effects} effects shown, none done"
            + (f"; {failed} would have failed" if failed else ""),
            bold=True,
        )
    return 0 if all(one.success for one in done) else 1


def _print_rehearsal(plan: Plan, rehearsal: Rehearsal, zone: str, full: bool) -> None:
    local = rehearsal.as_of.astimezone(ZoneInfo(zone))
    click.secho(f"{plan.playbook.id} version {plan.playbook.version}, as of {local:%a %d %b %Y %H:%M}", bold=True)
    for step in rehearsal.record["steps"]:
        answer = rehearsal.record["conditions"].get(step["id"])
        said = "" if answer is None else f" {'yes' if answer else 'no'}"
        click.echo(f"  {_SIGNS[step['status']]} {step['id']}{said}{_because(step['reason'])}")
        for effect in rehearsal.effects:
            if effect.step == step["id"]:
                click.echo(f"      would: {effect.what}: {printable(effect.words)[:160]}")
                if full:
                    click.echo(_indented(json.dumps(effect.detail, indent=2, default=str)))


def _rehearsal_json(rehearsal: Rehearsal) -> dict[str, Any]:
    effects = [
        {"step": one.step, "what": one.what, "words": one.words, "detail": one.detail} for one in rehearsal.effects
    ]
    return {"asOf": rehearsal.as_of.isoformat(), "record": rehearsal.record, "effects": effects}


# Looking back -----------------------------------------------------------------------------------------------


def history(playbook_id: str | None, *, execution: int | None, limit: int, as_json: bool) -> int:
    from ops_platform.database import connect
    from ops_platform.playbooks import settling

    if execution is not None:
        made = _record(execution_id=execution)
        assert made is not None
        if as_json:
            click.echo(json.dumps(made, indent=2))
        else:
            _print_record(made, results=True)
        return 0
    with connect() as connection:
        found = record.newest(connection, playbook_id, limit)
        waiting = {one.execution_id for one in settling.unclear(connection) if not one.over}
        if as_json:
            told = [record.as_record(one, record.steps(connection, one.id)) for one in found]
            click.echo(json.dumps(told, indent=2))
            return 0
    for one in found:
        sign = {"succeeded": "✓", "failed": "✗", "running": "…"}[one.state]
        took = "" if one.duration_ms is None else f"{one.duration_ms / 1000:.1f} s, {one.steps_executed} steps"
        click.echo(
            f"{sign} #{one.id} {one.started_at:%F %H:%M} UTC  {one.playbook_id} v{one.version}  {one.trigger_kind}"
            f"  {took or ('waits for a person' if one.id in waiting else '')}{_because(one.error)}"
        )
    if not found:
        click.echo("Nothing ran yet.")
    return 0


def stats(*, days: int, as_json: bool) -> int:
    """Success rate, mean duration, uptime of what was pinged, campaigns and notices a week, what writing costs."""
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.playbooks.statistics import scheduled_month, statistics

    plans = its_catalogue().plans.values()
    month = scheduled_month((plan.playbook for plan in plans), get_fleet().company.timezone, clock.now())
    with connect() as connection:
        now, span = clock.now(), timedelta(days=days)
        found = statistics(connection, now - span, now)
        before = statistics(connection, now - 2 * span, now - span)
    if as_json:
        ahead = {"runs": month.runs, "writingCallsAtMost": month.calls}
        click.echo(json.dumps({**found.to_json(), "before": before.to_json(), "nextMonth": ahead}, indent=2))
        return 0
    click.echo(f"the last {days} days: {found.executions} executions")
    for line in found.lines(before):
        click.echo(f"  {line}")
    click.echo(f"  the next 30 days by the schedules: {month.runs:,} runs, {month.calls:,} calls of a writer at most")
    return 0


# In common --------------------------------------------------------------------------------------------------


def _record(*, key: str | None = None, execution_id: int | None = None) -> dict[str, Any] | None:
    from ops_platform.database import connect
    from ops_platform.playbooks import settling

    with connect() as connection:
        if execution_id is not None:
            found: record.Execution | None = record.load(connection, execution_id)
        else:
            assert key is not None
            found = record.by_key(connection, key)
        if found is None:
            return None
        made = record.as_record(found, record.steps(connection, found.id))
        made["unclear"] = [
            {"step": one.step_id, "effect": one.name, "request": one.request, "since": one.since.isoformat(),
             "why": one.why}
            for one in settling.unclear(connection, found.id)
        ]  # fmt: skip
        return made


def _told(made: dict[str, Any], as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(made, indent=2))
    else:
        _print_record(made, results=False)
    return 0 if made["success"] else 1


def _print_record(made: dict[str, Any], *, results: bool) -> None:
    took = "" if made["duration"] is None else f" in {made['duration'] / 1000:.1f} s"
    click.secho(
        f"#{made['executionId']} {printable(made['playbookName'])}, version {made['version']}: {made['state']}{took},"
        f" {made['stepsExecuted']} steps executed" + (f", {made['tokens']:,} tokens" if made["tokens"] else ""),
        bold=True,
    )
    for step in made["steps"]:
        answer = made["conditions"].get(step["id"])
        said = "" if answer is None else f" {'yes' if answer else 'no'}"
        tries = f" ({step['attempts']} attempts)" if step["attempts"] > 1 else ""
        click.echo(f"  {_SIGNS[step['status']]} {step['id']}{said}{tries}{_because(step['reason'])}")
        if results and step["id"] in made["results"]:
            click.echo(_indented(printable_json(made["results"][step["id"]])))
    for one in made.get("unclear", ()):
        click.secho(
            f"  ⚠ {one['step']}: {printable(one['effect'])} may have been done ({printable(one['why'])})", fg="yellow"
        )
        click.echo(f"      asked for: {printable(json.dumps(one['request'], ensure_ascii=False))[:300]}")
        click.echo(f"      ops playbook settle {made['executionId']} {one['step']} done|not-done --reason …")


def printable_json(value: Any) -> str:
    """JSON with every odd character written out, a line at a time."""
    return "\n".join(printable(line) for line in json.dumps(value, indent=2, ensure_ascii=False).splitlines())


def _because(reason: str | None) -> str:
    return f": {printable(reason)[:300]}" if reason else ""


def _indented(text: str) -> str:
    return "\n".join(f"      {line}" for line in text.splitlines())


def _pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    made = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise click.UsageError(f"--set {pair!r}: write NAME=VALUE")
        made[name.strip()] = value
    return made


def _from_json(text: str | None) -> dict[str, Any]:
    made = json.loads(text) if text and text.strip() else {}
    if not isinstance(made, dict):
        raise DataFailure("variables are an object")
    return made


def _moment(since: str, zone: str, now: datetime) -> datetime:
    if since.endswith("d") and since[:-1].isdecimal():
        return now - timedelta(days=int(since[:-1]))
    try:
        return datetime.strptime(since, "%Y-%m-%d").replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        raise click.UsageError(f"--since {since!r}: write 7d, or a day as 2026-11-01") from None


def _reason(event: Any) -> str:
    error = getattr(getattr(event, "step_failure_data", None), "error", None)
    if error is None:
        return "failed"
    return " ".join((error.cause or error).message.split())

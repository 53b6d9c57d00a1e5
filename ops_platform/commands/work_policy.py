"""`ops work policy`: what `work_orders.yaml` says, what it would make of labels, its schema.

Belongs here: showing. Does not belong here: reading and deciding (`ops_platform.work_orders.policy`, `routing`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ops_platform.work_orders.policy import WorkPolicy
    from ops_platform.work_orders.routing import Reading


def policy(labels: tuple[str, ...], assignee: str | None, *, as_json: bool) -> int:
    """The policy, or what would come of an issue with these labels, set now by an authorised person. Exit code 1 where
    nothing would."""
    from ops_platform import clock
    from ops_platform.work_orders import routing
    from ops_platform.work_orders.model import Labelling
    from ops_platform.work_orders.policy import get_work_policy

    rules, now = get_work_policy(), clock.now()
    if not labels:
        _show_all(rules, as_json=as_json)
        return 0
    reading = routing.read(labels, {label.lower(): Labelling("you", now, True) for label in labels}, rules)
    told = _told(rules, reading, assignee)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    elif reading.route is None:
        click.echo("No order: none of these labels says that an issue is work.")
    else:
        click.echo(f"{reading.route.reason}.")
        click.echo(f"An answer is due {told['due_at']} (hours: {told['hours']}).")
    return 0 if reading.route is not None else 1


def _told(rules: WorkPolicy, reading: Reading, assignee: str | None) -> dict[str, Any]:
    from ops_platform.work_orders.calendars import ALWAYS
    from ops_platform.work_orders.rows import calendar_of
    from ops_platform.work_orders.sla import Clock

    route = reading.route
    if route is None:
        return {"order": False}
    name = calendar_of(rules, route.priority, route.agent, (assignee,) if assignee else ())
    due = Clock(route.asked_at, rules.priorities[route.priority].sla, rules.calendar(name)).due()
    return {
        "order": True, "agent": route.agent, "priority": str(route.priority), "decided_by": route.routed_by,
        "approver": route.approver, "calendar": name, "hours": "round the clock" if name == ALWAYS else name,
        "due_at": None if due is None else f"{due:%Y-%m-%d %H:%M} UTC", "reason": route.reason,
    }  # fmt: skip


def _show_all(rules: WorkPolicy, *, as_json: bool) -> None:
    from ops_platform.work_orders.sla import in_words

    if as_json:
        click.echo(rules.model_dump_json(indent=2))
        return
    click.echo(click.style("Priorities", bold=True))
    for priority, rule in rules.priorities.items():
        approves = f", {rules.people[rules.manager].name} approves" if rule.requires_manager else ""
        click.echo(f"  {priority}  {in_words(rule.sla)}, clock: {rule.clock}{approves}")
    click.echo(click.style("Labels, the first that matches", bold=True))
    for each in rules.routing.rules:
        click.echo(f"  {each.label:28} {each.agent}")
    click.echo(f"  {'any other of work':28} {rules.routing.unknown}")
    click.echo(click.style("Ladder", bold=True))
    for step in rules.ladder:
        when = (
            f"at {step.used} %" if step.used is not None
            else "when it is foreseen to be late" if step.forecast
            else f"{in_words(step.after_breach)} after the breach" if step.after_breach else "at the breach"
        )  # fmt: skip
        click.echo(f"  {step.does:9} {step.whom:15} {when}")
    click.echo(click.style("Gates", bold=True))
    for gate in rules.gates.values():
        click.echo(f"  {gate.label:18} at least {gate.minimum} %")
    click.echo(
        f"{len(rules.policy_store.rules)} rules on texts, {len(rules.agents)} agents, file version {rules.version}."
    )


def schema(*, write: bool) -> int:
    """The JSON Schema of the file, or into `docs/schema`."""
    from ops_platform.settings import PROJECT_ROOT
    from ops_platform.work_orders.policy import SCHEMA_FILE
    from ops_platform.work_orders.policy import schema as made

    text = json.dumps(made(), indent=2) + "\n"
    if write:
        SCHEMA_FILE.write_text(text, encoding="utf-8")
        click.echo(f"wrote {SCHEMA_FILE.relative_to(PROJECT_ROOT)}")
    else:
        click.echo(text, nl=False)
    return 0

"""`ops work restore`, `replay`, `reconcile`, `resume`, `labels`, `ticket`: recovery and escalations at a terminal.

Belongs here: what they print and ask. Does not belong here: what they do (`ops_platform.work_orders.recovery`,
`tickets.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ops_platform import clock
from ops_platform.commands.safe_text import printable
from ops_platform.commands.work import as_record, office_here, who
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.settings import get_settings

if TYPE_CHECKING:
    from ops_platform.work_orders.tickets import Ticket


def restore(repository: str | None, *, as_json: bool) -> int:
    """Rebuild the orders from the issues alone; what is there stays as it is. Then the poll brings what no agent has
    taken up yet."""
    from ops_platform.work_orders.recovery import restore as rebuild
    from resources.github.issues import connect as reading
    from resources.github.recovering import WholeRepository
    from resources.github.writing import connect as writing

    office, connected, writer = office_here(), reading(get_settings()), writing(get_settings())
    if connected is None or writer is None:
        raise ConfigurationError("restoring reads the issues: set GITHUB_REPOSITORY, GITHUB_TOKEN, GITHUB_WRITE_TOKEN")
    reader, names = connected
    told = []
    for name in [repository] if repository else names:
        with office.connect() as connection:
            done = rebuild(connection, office, WholeRepository(reader.client, writer), name)
            connection.commit()
        told.append({"repository": name, **asdict(done)})
    problems: list[str] = []
    if office.intake is not None:
        _, problems = office.intake(True)
    if as_json:
        click.echo(json.dumps({"restored": told, "problems": problems}, indent=2))
    else:
        for one in told:
            click.echo(
                f"{one['repository']}: {one['orders']} orders of {one['issues']} issues with {one['answers']}"
                f" answers and {one['pauses']} pauses; {one['there_before']} were there"
            )
            for line in one["unreadable"]:
                click.secho(f"  ✗ {printable(line)}", fg="red")
            for line in one["changed_words"]:
                click.secho(f"  held: {printable(line)}: the issue says something else than was labelled", fg="yellow")
        for problem in problems:
            click.secho(f"  ✗ {printable(problem)}", fg="yellow")
        click.echo("Not in any issue, and not restored: attempts before the last, decisions, notices, tickets.")
    return 1 if problems or any(one["unreadable"] for one in told) else 0


def replay(numbers: tuple[int, ...], *, failed: bool, reason: str, called: str | None, as_json: bool) -> int:
    from ops_platform.work_orders.recovery import replay as again
    from ops_platform.work_orders.showing import show

    if failed == bool(numbers):
        raise click.UsageError("name orders, or say --failed for every failed one")
    office = office_here()
    with office.connect() as connection:
        done = again(connection, office, who(called), reason, work_ids=None if failed else numbers)
        connection.commit()
    for work in done:
        show(office, work.id)
    if as_json:
        click.echo(json.dumps([as_record(work) for work in done], default=str, indent=2))
    else:
        for work in done:
            click.echo(f"#{work.id} {work.name}: queued again")
        if not done:
            click.echo("No order has failed.")
    return 0


def reconcile(*, as_json: bool) -> int:
    from ops_platform.work_orders.recovery import reconcile as together

    done = together(office_here())
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
        return 1 if done.left else 0
    for line in done.released:
        click.echo(f"released {printable(line)}")
    click.echo(
        f"{len(done.released)} orders of dead workers, {done.attempts_closed} attempts closed,"
        f" {done.launches_forgotten} launches forgotten, {done.effects_done} effects done, {done.shown} states shown"
    )
    for line in done.left:
        click.secho(f"  ✗ {printable(line)}", fg="yellow")
    return 1 if done.left else 0


def resume(*, as_json: bool) -> int:
    """Back to normal: state brought together, one turn, and what is about to run."""
    from ops_platform.work_orders import coordinator, store
    from ops_platform.work_orders.recovery import reconcile as together

    office = office_here()
    done = together(office)
    turned = coordinator.turn(office)
    with office.connect() as connection:
        following = store.next_due(connection, 20)
        now_standing = coordinator.standing(connection)
    if as_json:
        made: dict[str, Any] = {
            "reconciled": asdict(done), "turn": str(turned), "problems": turned.problems, "standing": now_standing,
            "next": [as_record(work) for work in following],
        }  # fmt: skip
        click.echo(json.dumps(made, default=str, indent=2))
    else:
        click.echo(f"Turn: {turned}")
        for problem in [*done.left, *turned.problems]:
            click.secho(f"  ✗ {printable(problem)}", fg="yellow")
        told = ", ".join(f"{count} {phase}" for phase, count in now_standing.items() if count)
        click.echo(f"Orders: {told or 'none'}; next:")
        for work in following:
            click.echo(f"  #{work.id} {work.priority} {work.agent} {work.name}")
    return 1 if done.left or turned.problems else 0


# Tickets ----------------------------------------------------------------------------------------------------


def ticket_list(*, everything: bool, as_json: bool) -> int:
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.work_orders.tickets import listed

    prepare_database()
    with connect() as connection:
        found = listed(connection, everything=everything)
    if as_json:
        click.echo(json.dumps([asdict(ticket) for ticket in found], default=str, indent=2))
        return 0
    for ticket in found:
        state = "resolved" if ticket.resolved_at else f"next: {ticket.next_step}"
        due = f", by {ticket.deadline:%F %H:%M} UTC" if ticket.deadline and not ticket.resolved_at else ""
        click.echo(
            f"#{ticket.id} {ticket.severity} {printable(ticket.title)}: {state}{due}; {', '.join(ticket.assignees)}"
        )
    if not found:
        click.echo("No ticket is open.")
    return 0


def ticket_show(number: int, *, as_json: bool) -> int:
    from ops_platform.database import connect
    from ops_platform.work_orders.tickets import load

    with connect() as connection:
        return _print(load(connection, number), as_json)


def ticket_step(number: int, step: str, words: str, *, called: str | None, as_json: bool) -> int:
    from ops_platform.database import connect
    from ops_platform.work_orders.tickets import take

    if not words.strip():
        raise DataFailure("say what was done, or found: --note TEXT")
    by = who(called)
    with connect() as connection:
        ticket = take(connection, number, step.replace("-", "_"), by=by, words=words, now=clock.now())
        connection.commit()
    return _print(ticket, as_json)


def _print(ticket: Ticket, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(asdict(ticket), default=str, indent=2))
        return 0
    click.secho(f"#{ticket.id} {ticket.severity} {printable(ticket.title)}", bold=True)
    click.echo(f"  affected: {printable(ticket.affected)}")
    click.echo(f"  impact:   {printable(ticket.impact)}")
    due = f", by {ticket.deadline:%F %H:%M} UTC" if ticket.deadline else ""
    click.echo(f"  with {', '.join(ticket.assignees)}{due}")
    for step in ticket.steps:
        told = f"{step.at[:16]} by {printable(step.by)}: {printable(step.words)}" if step.taken else "open"
        click.echo(f"  {'✓' if step.taken else '·'} {step.name.replace('_', ' '):<12} {told}")
    if ticket.resolution:
        click.echo(f"  resolved {ticket.resolved_at:%F %H:%M} UTC")
    return 0

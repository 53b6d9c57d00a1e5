"""`ops work`: orders at a terminal: looking, and a person's word.

Belongs here: how orders look, passing words on. Does not belong here: what a word does (`ops_platform.work_orders`),
recovery and the coordinator (`work_recovery.py`, `coordinator.py`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ops_platform import clock
from ops_platform.commands.safe_text import printable
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from ops_platform.work_orders.model import WorkOrder
    from ops_platform.work_orders.office import Office

_COLOURS = {
    "done": "green", "answered": "cyan", "running": "blue", "blocked": "yellow", "failed": "red", "withdrawn": "white",
}  # fmt: skip


def office_here() -> Office:
    """The company's office, once the database is there."""
    from jobs.work_office import company_office
    from ops_platform.commands.prepare import prepare_database

    prepare_database()
    return company_office()


def who(called: str | None) -> str:
    """Who types: the name in fleet.yaml where there is one."""
    from ops_platform.commands.approval import inbox_here
    from ops_platform.commands.approval import who as person_of

    return person_of(inbox_here(), called).id


# Looking ----------------------------------------------------------------------------------------------------


def show_list(*, everything: bool, phase: str | None, agent: str | None, limit: int, as_json: bool) -> int:
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.work_orders.model import OPEN, Phase
    from ops_platform.work_orders.rows import listed

    prepare_database()
    phases = (Phase(phase),) if phase else (tuple(Phase) if everything else OPEN)
    with connect() as connection:
        found = listed(connection, phases=phases, agent=agent, limit=limit)
    if as_json:
        click.echo(json.dumps([as_record(work) for work in found], default=str, indent=2))
        return 0
    zone = get_fleet().company.timezone
    for work in found:
        click.echo(_line(work, zone))
    if not found:
        click.echo("No work order is open." if not everything and phase is None else "There is none.")
    return 0


def _line(work: WorkOrder, zone: str) -> str:
    from zoneinfo import ZoneInfo

    state = click.style(f"{work.phase:<9}", fg=_COLOURS.get(str(work.phase)))
    if work.paused_since is not None:
        due = "clock stands still"
    elif work.due_at is not None and work.answered_at is None and work.phase != "withdrawn":
        late = work.due_at < clock.now()
        due = f"due {work.due_at.astimezone(ZoneInfo(zone)):%a %d %b %H:%M}"
        due = click.style(due, fg="red") if late else due
    else:
        due = ""
    waits = f" ({work.manager.replace('_', ' ')})" if work.manager != "none" else ""
    what = f"{work.agent:<20} {work.name}  {printable(work.title)[:60]}"
    return f"#{work.id:<5} {work.priority} {state}{waits} {what}  {due}"


def show_one(number: int, *, as_json: bool) -> int:
    """One order: where it stands, its clock, attempts, answer, effects, decisions with their reasons."""
    from ops_platform.database import connect
    from ops_platform.work_orders import answers, decisions, ledger
    from ops_platform.work_orders.rows import load

    with connect() as connection:
        work = load(connection, number)
        kept = answers.newest(connection, number)
        made = {
            **as_record(work),
            "attempts": _rows(
                connection, "select attempt, holder, started_at, ended_at, outcome, failure_class, reason, tokens, cost"
                " from ops.work_attempts where work_id = %s order by attempt", number,
            ),
            "pauses": _rows(
                connection, "select paused_at, reason, by, resumed_at, resumed_by from ops.work_clock"
                " where work_id = %s order by paused_at", number,
            ),
            "effects": [
                {"name": row.name, "kind": row.kind, "state": row.state, "error": row.error, "result": row.result}
                for row in ledger.of_order(connection, number)
            ],
            "decisions": [
                {"at": one.at, "decision": one.decision, "reason": one.reason, "actor": one.actor}
                for one in decisions.of_work(connection, number)
            ],
            "answer": None if kept is None else kept.body,
        }  # fmt: skip
    if as_json:
        click.echo(json.dumps(made, default=str, indent=2))
        return 0
    click.secho(f"#{work.id} {work.priority} {work.name}  {printable(work.title)}", bold=True)
    click.echo(f"  {work.phase}, {work.agent}, routed by {printable(work.routed_by)}, round {work.round}")
    click.echo(
        f"  labelled by {printable(work.labelled_by)} {work.labelled_at:%F %H:%M} UTC, words {work.body_hash[:12]}"
    )
    times = ("received_at", "queued_at", "due_at", "started_at", "answered_at", "ended_at")
    for name in times:
        moment: datetime | None = getattr(work, name)
        if moment is not None:
            click.echo(f"  {name.removesuffix('_at'):<9} {moment:%F %H:%M:%S} UTC")
    for reason in filter(None, (work.held_reason, work.reason)):
        click.echo(f"  {printable(reason)}")
    for attempt in made["attempts"]:
        click.echo(
            f"  attempt {attempt['attempt']}: {attempt['outcome'] or 'under way'} {printable(attempt['reason'] or '')}"
        )
    for one in made["decisions"]:
        click.echo(
            f"  {one['at']:%F %H:%M:%S}  {one['decision']} by {printable(one['actor'])}:"
            f" {printable(one['reason'])[:200]}"
        )
    for effect in made["effects"]:
        click.echo(
            f"  {effect['state']:<8} {effect['kind']} {printable(effect['name'])} {printable(effect['error'] or '')}"
        )
    if kept is not None:
        click.echo("\n" + "\n".join(printable(line) for line in kept.body.splitlines()))
    return 0


def _rows(connection: Any, query: str, *values: Any) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        found: list[dict[str, Any]] = cursor.execute(query, values).fetchall()
    return found


def as_record(work: WorkOrder) -> dict[str, Any]:
    """An order for a script; without its words, which are a stranger's and long."""
    from dataclasses import asdict

    made = asdict(work)
    made.pop("body")
    return {**made, "name": work.name}


def show_notices(*, limit: int, as_json: bool) -> int:
    from ops_platform.database import connect
    from ops_platform.work_orders.oversight import notices

    with connect() as connection:
        found = notices(connection, limit)
    names = ("at", "priority", "order", "step", "recipient", "words")
    if as_json:
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in found], default=str, indent=2))
        return 0
    for at, priority, order, step, recipient, words in found:
        click.echo(f"{at:%F %H:%M} UTC  {priority} {order}  {step} → {recipient}: {printable(words)}")
    if not found:
        click.echo("Nobody was told anything yet.")
    return 0


def show_review(*, days: int, as_json: bool) -> int:
    """The project manager's review of the last days."""
    from dataclasses import asdict

    from ops_platform.work_orders.kpi import review

    office = office_here()
    with office.connect() as connection:
        found = review(connection, office.policy, office.now(), days)
    if as_json:
        more = {name: getattr(found, name) for name in ("velocity", "compliance", "automation", "success")}
        click.echo(json.dumps({**asdict(found), **more, "cost_per_order": found.cost_per_order}, default=str, indent=2))
        return 0

    from ops_platform.work_orders.weekly import lines

    click.secho(f"Work orders of the last {days} days", bold=True)
    for line in lines(found):
        click.echo(f"  {line}")
    for agent, used in sorted(found.utilisation.items(), key=lambda pair: (-pair[1], pair[0])):
        click.echo(f"    {agent:<22} {used * 100:.2f} % of its time")
    return 0


def show_suggestions(*, as_json: bool) -> int:
    """What the policy's record suggests, the open ones first."""
    office = office_here()
    with office.connect() as connection:
        found = _rows(
            connection, "select key, rule, words, state, decided_by, made_at from ops.work_suggestions"
            " order by state <> 'open', made_at desc limit 100",
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(found, default=str, indent=2))
        return 0
    for one in found:
        by = f" by {one['decided_by']}" if one["decided_by"] else ""
        click.echo(f"{one['key']}  {one['state']}{by}  {one['words']}")
    if not found:
        click.echo("The policy's record suggests nothing. It is looked at every Monday.")
    return 0


def decide_suggestion(key: str, *, taken: bool, called: str | None) -> int:
    """A person's word on a suggestion. work_orders.yaml is changed by hand."""
    from ops_platform.work_orders import policy_store

    office, by = office_here(), who(called)
    with office.connect() as connection:
        policy_store.decide_suggestion(connection, key, "taken" if taken else "refused", by, at=office.now())
        connection.commit()
    click.echo(f"{key} is {'taken: change work_orders.yaml, then `ops work policy`' if taken else 'refused'}.")
    return 0


def show_load(*, as_json: bool) -> int:
    """Who is loaded: places, what runs, what waits."""
    from dataclasses import asdict

    from ops_platform.work_orders.kpi import loads

    office = office_here()
    with office.connect() as connection:
        found = loads(connection, office.policy)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], default=str, indent=2))
        return 0
    for one in found:
        oldest = f", oldest since {one.oldest:%F %H:%M} UTC" if one.oldest else ""
        due = f", next due {one.next_due:%F %H:%M} UTC" if one.next_due else ""
        click.echo(
            f"{one.agent:<22} {one.running} of {one.places} places, {one.waiting} waiting, {one.with_manager} with the"
            f" manager, {one.blocked} blocked{oldest}{due}"
        )
    return 0


# A person's word --------------------------------------------------------------------------------------------


def say(number: int, what: str, words: str, *, called: str | None, as_json: bool) -> int:
    """pause, resume_clock, withdraw: done at the order, and shown at the issue."""
    from ops_platform.work_orders import store

    office, by = office_here(), who(called)
    does: dict[str, Callable[..., WorkOrder]] = {
        "pause": lambda c: store.pause(c, number, words, by, policy=office.policy),
        "resume_clock": lambda c: store.resume(c, number, by, policy=office.policy),
        "withdraw": lambda c: store.withdraw(c, number, words, by),
    }
    if what == "withdraw" and not words.strip():
        raise DataFailure("an order is withdrawn for a reason: say which")
    with office.connect() as connection:
        work = does[what](connection)
        connection.commit()
    return _told(office, work, as_json)


def decide(
    number: int, yes: bool, words: str, *, shown: str | None, called: str | None, key: str | None, as_json: bool
) -> int:
    """The manager's word on an answer: exactly the one that was shown; then done, or sent back with the words."""
    from ops_platform.commands.approval import decide as decide_request
    from ops_platform.work_orders import manager
    from ops_platform.work_orders.rows import load

    if not yes and not words.strip():
        raise DataFailure("say what should be otherwise: --note TEXT")
    office = office_here()
    with office.connect() as connection:
        request = manager.waiting(connection, load(connection, number))
    decide_request(
        "approve" if yes else "reject", request.id, shown=shown, words=words, called=called,
        key=key or f"cli:{uuid.uuid4()}", as_json=False,
    )  # fmt: skip
    with office.connect() as connection:
        manager.settle(connection, office)
        connection.commit()
        work = load(connection, number)
    return _told(office, work, as_json)


def _told(office: Office, work: WorkOrder, as_json: bool) -> int:
    from jobs.work_office import deliver
    from ops_platform.work_orders.showing import show

    show(office, work.id)
    deliver(office)
    if as_json:
        click.echo(json.dumps(as_record(work), default=str, indent=2))
    else:
        click.echo(_line(work, office.fleet.company.timezone))
    return 0

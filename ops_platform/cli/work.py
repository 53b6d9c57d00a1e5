"""Words about work orders: issues on GitHub that agents answer.

Belongs here: `ops work`, `ops coordinator`. Does not belong here: what they do (`commands/work*.py`), one agent alone
(`agent.py`).
"""

from __future__ import annotations

import sys

import click

from ops_platform.cli.options import JSON

_NUMBER = click.argument("number", type=int, metavar="ORDER")
_AS = click.option(
    "--as", "called", metavar="PERSON", help="Who says so, of fleet.yaml, where people share an account.",
)  # fmt: skip
_NOTE = click.option("--note", "words", default="", metavar="TEXT", help="In a sentence.")
_REASON = click.option("--reason", "words", required=True, metavar="TEXT", help="Why; it is kept and shown.")


@click.group()
def work() -> None:
    """Work orders: GitHub issues that agents answer in time, from the warehouse."""


@work.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@click.option(
    "--phase",
    type=click.Choice(["received", "queued", "running", "answered", "done", "blocked", "withdrawn", "failed"]),
)
@click.option("--agent", metavar="AGENT", help="Only this one's, as ai-finance.")
@click.option("--limit", default=100, type=click.IntRange(1, 10_000))
@JSON
def work_list(everything: bool, phase: str | None, agent: str | None, limit: int, as_json: bool) -> None:
    """Open orders, most urgent first, with when they are due.

    \b
    ops work list
    ops work list --phase failed --json
    """
    from ops_platform.commands.work import show_list

    sys.exit(show_list(everything=everything, phase=phase, agent=agent, limit=limit, as_json=as_json))


@work.command("show")
@_NUMBER
@JSON
def work_show(number: int, as_json: bool) -> None:
    """One order: its clock, attempts, effects, every decision with its reason, the answer.

    \b
    ops work show 12
    """
    from ops_platform.commands.work import show_one

    sys.exit(show_one(number, as_json=as_json))


@work.command("run")
@_NUMBER
@JSON
def work_run(number: int, as_json: bool) -> None:
    """One attempt at one order, now, in this process; it shows in Dagster like any run.

    \b
    ops work run 12
    """
    from ops_platform.commands.work_runs import run

    sys.exit(run(number, as_json=as_json))


@work.command("pause")
@_NUMBER
@_REASON
@_AS
@JSON
def work_pause(number: int, words: str, called: str | None, as_json: bool) -> None:
    """Stop an order's clock, for a reason.

    \b
    ops work pause 12 --reason "waits for the bank's file"
    """
    from ops_platform.commands.work import say

    sys.exit(say(number, "pause", words, called=called, as_json=as_json))


@work.command("resume-clock")
@_NUMBER
@_AS
@JSON
def work_resume_clock(number: int, called: str | None, as_json: bool) -> None:
    """Let a stopped clock run on; what it stood still is added to when the order is due."""
    from ops_platform.commands.work import say

    sys.exit(say(number, "resume_clock", "", called=called, as_json=as_json))


@work.command("withdraw")
@_NUMBER
@_REASON
@_AS
@JSON
def work_withdraw(number: int, words: str, called: str | None, as_json: bool) -> None:
    """Take an order back; whoever works on it stops."""
    from ops_platform.commands.work import say

    sys.exit(say(number, "withdraw", words, called=called, as_json=as_json))


_SHOWN = click.option("--shown", metavar="FINGERPRINT", help="Which answer you were shown (`ops approval list`).")
_KEY = click.option("--key", metavar="TEXT", help="Makes it once: the same key again does nothing.")


@work.command("approve")
@_NUMBER
@_NOTE
@_SHOWN
@_KEY
@_AS
@JSON
def work_approve(
    number: int, words: str, shown: str | None, key: str | None, called: str | None, as_json: bool
) -> None:
    """The manager accepts the answer to a P0 or P1: the issue is closed as done.

    \b
    ops work approve 12
    ops work approve 12 --shown 4f0c2a7be1d9 --as dana
    """
    from ops_platform.commands.work import decide

    sys.exit(decide(number, True, words, shown=shown, called=called, key=key, as_json=as_json))


@work.command("revise")
@_NUMBER
@_NOTE
@_SHOWN
@_KEY
@_AS
@JSON
def work_revise(number: int, words: str, shown: str | None, key: str | None, called: str | None, as_json: bool) -> None:
    """The manager wants the answer otherwise: it goes back to its agent with the note.

    \b
    ops work revise 12 --note "by channel, please"
    """
    from ops_platform.commands.work import decide

    sys.exit(decide(number, False, words, shown=shown, called=called, key=key, as_json=as_json))


@work.command("notices")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000))
@JSON
def work_notices(limit: int, as_json: bool) -> None:
    """What people were told: starts and ends of P0 and P1, reminders, breaches, escalations."""
    from ops_platform.commands.work import show_notices

    sys.exit(show_notices(limit=limit, as_json=as_json))


@work.command("kpi")
@click.option("--days", default=30, type=click.IntRange(1, 366), help="So many days up to now.")
@JSON
def work_kpi(days: int, as_json: bool) -> None:
    """The project manager's review: in time, done, how long, how fast, utilisation, blocked, escalations."""
    from ops_platform.commands.work import show_review

    sys.exit(show_review(days=days, as_json=as_json))


@work.command("suggestions")
@JSON
def work_suggestions(as_json: bool) -> None:
    """What the record of the policy's rules suggests to change, looked at every Monday.

    \b
    ops work suggestions
    """
    from ops_platform.commands.work import show_suggestions

    sys.exit(show_suggestions(as_json=as_json))


@work.command("suggestion")
@click.argument("key")
@click.argument("verdict", type=click.Choice(["take", "refuse"]))
@_AS
def work_suggestion(key: str, verdict: str, called: str | None) -> None:
    """Take or refuse a suggestion. Nothing changes work_orders.yaml but a hand.

    \b
    ops work suggestion too_strict:card_number:2026-11 refuse
    """
    from ops_platform.commands.work import decide_suggestion

    sys.exit(decide_suggestion(key, taken=verdict == "take", called=called))


@work.command("load")
@JSON
def work_load(as_json: bool) -> None:
    """Who is loaded: each agent's places, what runs and what waits."""
    from ops_platform.commands.work import show_load

    sys.exit(show_load(as_json=as_json))


# Escalations ------------------------------------------------------------------------------------------------


@work.group("ticket")
def ticket() -> None:
    """Escalation tickets: acknowledge, contain, mitigate, root cause, fix, post-mortem."""


@ticket.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is resolved.")
@JSON
def ticket_list(everything: bool, as_json: bool) -> None:
    """Open tickets with their next step."""
    from ops_platform.commands.work_recovery import ticket_list as run

    sys.exit(run(everything=everything, as_json=as_json))


@ticket.command("show")
@click.argument("number", type=int, metavar="TICKET")
@JSON
def ticket_show(number: int, as_json: bool) -> None:
    """One ticket with its six steps."""
    from ops_platform.commands.work_recovery import ticket_show as run

    sys.exit(run(number, as_json=as_json))


@ticket.command("step")
@click.argument("number", type=int, metavar="TICKET")
@click.argument(
    "step", type=click.Choice(["acknowledge", "contain", "mitigate", "root-cause", "fix", "post-mortem"]),
)  # fmt: skip
@_NOTE
@_AS
@JSON
def ticket_step(number: int, step: str, words: str, called: str | None, as_json: bool) -> None:
    """Take the next step of a ticket; the last one resolves it.

    \b
    ops work ticket step 3 acknowledge --note "seen, Lucas looks at it"
    """
    from ops_platform.commands.work_recovery import ticket_step as run

    sys.exit(run(number, step, words, called=called, as_json=as_json))


# Recovery ---------------------------------------------------------------------------------------------------


@work.command("restore")
@click.argument("repository", required=False, metavar="[OWNER/NAME]")
@JSON
def work_restore(repository: str | None, as_json: bool) -> None:
    """Recovery 1: rebuild the orders from the issues alone; what is there stays as it is.

    \b
    ops work restore
    """
    from ops_platform.commands.work_recovery import restore

    sys.exit(restore(repository, as_json=as_json))


@work.command("replay")
@click.argument("numbers", nargs=-1, type=int, metavar="[ORDER]…")
@click.option("--failed", is_flag=True, help="Every order that failed.")
@_REASON
@_AS
@JSON
def work_replay(numbers: tuple[int, ...], failed: bool, words: str, called: str | None, as_json: bool) -> None:
    """Recovery 2: queue failed or blocked orders again.

    \b
    ops work replay --failed --reason "the warehouse was away"
    ops work replay 12 --reason "the check was mended"
    """
    from ops_platform.commands.work_recovery import replay

    sys.exit(replay(numbers, failed=failed, reason=words, called=called, as_json=as_json))


@work.command("reconcile")
@JSON
def work_reconcile(as_json: bool) -> None:
    """Recovery 3: dead workers, effects begun and not noted, states not shown: put right, and said."""
    from ops_platform.commands.work_recovery import reconcile

    sys.exit(reconcile(as_json=as_json))


@work.command("resume")
@JSON
def work_resume(as_json: bool) -> None:
    """Recovery 4: back to normal; what is about to run."""
    from ops_platform.commands.work_recovery import resume

    sys.exit(resume(as_json=as_json))


@work.command("labels")
@click.argument("repository", required=False, metavar="[OWNER/NAME]")
@click.option("--look", is_flag=True, help="Only name what is missing.")
@JSON
def work_labels(repository: str | None, look: bool, as_json: bool) -> None:
    """Put the labels of the policy into the repository; what is there stays as it is.

    \b
    ops work labels --look
    """
    from ops_platform.commands.work_labels import labels

    sys.exit(labels(repository, look=look, as_json=as_json))


@work.command("policy")
@click.argument("labels", nargs=-1, metavar="[LABEL]...")
@click.option("--assignee", metavar="LOGIN", help="The GitHub account the issue is assigned to.")
@click.option("--schema", "as_schema", is_flag=True, help="The JSON Schema of work_orders.yaml.")
@click.option("--write", is_flag=True, help="With --schema: into docs/schema/.")
@JSON
def work_policy(labels: tuple[str, ...], assignee: str | None, as_schema: bool, write: bool, as_json: bool) -> None:
    """Check work_orders.yaml and show what it says; with LABELs, what would come of an issue that has them.

    \b
    ops work policy sales/leads priority/P1
    """
    from ops_platform.commands.work_policy import policy, schema

    if write and not as_schema:
        raise click.UsageError("--write goes with --schema")
    sys.exit(schema(write=write) if as_schema else policy(labels, assignee, as_json=as_json))


# The coordinator --------------------------------------------------------------------------------------------


@click.command()
@click.option("--once", "one", is_flag=True, help="One turn, everything due worked off here, then end.")
@click.option("--monitor", "continuous", is_flag=True, help="Turn after turn until it is stopped.")
@click.option("--every", type=click.FloatRange(1, 3600), metavar="SECONDS", help="Between turns (work_orders.yaml).")
@click.option(
    "--dispatch", is_flag=True,
    help="With --monitor: a P0 gets a process at once, Dagster runs the rest. What `ops up` runs.",
)  # fmt: skip
@JSON
def coordinator(one: bool, continuous: bool, every: float | None, dispatch: bool, as_json: bool) -> None:
    """The policy coordinator of work orders: intake, clocks, decisions, labels, the queue.

    \b
    ops coordinator --once
    ops coordinator --monitor
    """
    from ops_platform.commands.work_runs import monitor, once

    if one == continuous:
        raise click.UsageError("say --once or --monitor")
    if one:
        sys.exit(once(as_json=as_json))
    sys.exit(monitor(every=every, direct=dispatch))

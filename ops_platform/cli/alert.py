"""Words about alerts: looking at them and acting on them.

Belongs here: `ops alert`, and the options its actions share. Does not belong here: what an action does
(`commands/alert.py`), what brought the alert (`watch.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime

import click

from ops_platform.cli.options import DAY, JSON

_NUMBER = click.argument("number", type=int)
_NOTE = click.option("--note", default="", metavar="TEXT", help="Why.")
_PART = click.option("--part", metavar="DIMENSION=VALUE", help="Of a named metric, only this part.")
_KIND = click.option(
    "--kind", type=click.Choice(["metric", "threshold", "source", "tie_out", "job"]), default="metric",
    help="What a name is of (default: metric).",
)  # fmt: skip
_BY = click.option("--by", "actor", metavar="NAME", help="Who does it (default: your account's name).")
_KEY = click.option("--key", metavar="TEXT", help="Makes it once: the same key again does nothing.")


def _action(command: Callable[..., None]) -> Callable[..., None]:
    """What every action takes, last in its help: who does it, the key that makes it once, JSON."""
    return _BY(_KEY(JSON(command)))


@click.group()
def alert() -> None:
    """What is the matter: look, take it in hand, silence it for known days, say whether it was worth it."""


@alert.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@click.option("--days", default=30, type=click.IntRange(1, 3650), help="With --all: how far back.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), help="How many to show.")
@JSON
def alert_list(everything: bool, days: int, limit: int, as_json: bool) -> None:
    """What stands, the newest first, and what is muted.

    \b
    ops alert list
    ops alert list --all --days 90 --json
    """
    from ops_platform.commands.alert import show_list

    sys.exit(show_list(everything=everything, days=days, limit=limit, as_json=as_json))


@alert.command("show")
@_NUMBER
@JSON
def alert_show(number: int, as_json: bool) -> None:
    """One alert: its subjects, what was told where, what people did, what happened.

    \b
    ops alert show 12
    """
    from ops_platform.commands.alert import show_one

    sys.exit(show_one(number, as_json=as_json))


@alert.command("ack")
@_NUMBER
@_action
def alert_ack(number: int, actor: str | None, key: str | None, as_json: bool) -> None:
    """Acknowledge: somebody knows. It is not repeated; what changes is still told.

    \b
    ops alert ack 12
    """
    from ops_platform.commands.alert import act

    sys.exit(act("acknowledge", alert_id=number, actor=actor, key=key, as_json=as_json))


@alert.command("assign")
@_NUMBER
@click.argument("assignee", metavar="PERSON")
@_action
def alert_assign(number: int, assignee: str, actor: str | None, key: str | None, as_json: bool) -> None:
    """Say whose it is.

    \b
    ops alert assign 12 kim
    """
    from ops_platform.commands.alert import act

    sys.exit(act("assign", alert_id=number, assignee=assignee, actor=actor, key=key, as_json=as_json))


@alert.command("snooze")
@_NUMBER
@click.option("--until", type=DAY, metavar="YYYY-MM-DD", help="A business day: no weekend, no holiday.")
@click.option("--days", type=click.IntRange(1, 365), help="For so many business days.")
@_action
def alert_snooze(
    number: int, until: datetime | None, days: int | None, actor: str | None, key: str | None, as_json: bool
) -> None:
    """Silent until a business day; if it ends before, that is told.

    \b
    ops alert snooze 12 --days 1               until the next business day
    ops alert snooze 12 --until 2026-11-30
    """
    from ops_platform.commands.alert import snooze as run

    sys.exit(run(number, until.date() if until else None, days, actor=actor, key=key, as_json=as_json))


@alert.command("unsnooze")
@_NUMBER
@_action
def alert_unsnooze(number: int, actor: str | None, key: str | None, as_json: bool) -> None:
    """Let it speak again.

    \b
    ops alert unsnooze 12
    """
    from ops_platform.commands.alert import act

    sys.exit(act("unsnooze", alert_id=number, actor=actor, key=key, as_json=as_json))


@alert.command("mute")
@click.argument("target", metavar="NUMBER|NAME")
@click.option("--from", "start", type=DAY, metavar="YYYY-MM-DD", help="First day (default: the day it is about).")
@click.option("--to", "end", type=DAY, metavar="YYYY-MM-DD", required=True, help="Last day.")
@click.option("--reason", default="", metavar="TEXT", help="Why these days are known to be odd.")
@_PART
@_KIND
@_action
def alert_mute(
    target: str,
    start: datetime | None,
    end: datetime,
    reason: str,
    part: str | None,
    kind: str,
    actor: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Watch a metric or rule, and say nothing of it, for a known period; what began before and ends is told after.

    \b
    ops alert mute 12 --to 2026-11-30 --reason "stocktaking"
    ops alert mute net_sales --from 2026-11-27 --to 2026-11-30 --reason "Black Friday"
    ops alert mute net_sales --part channel=amazon --to 2026-12-01
    """
    from ops_platform.commands.alert import mute as run

    first = start.date() if start else None
    sys.exit(
        run(target, kind=kind, part=part, first_day=first, last_day=end.date(), reason=reason, actor=actor, key=key,
            as_json=as_json)
    )  # fmt: skip


@alert.command("unmute")
@click.argument("target", metavar="NUMBER|NAME")
@_PART
@_KIND
@_action
def alert_unmute(target: str, part: str | None, kind: str, actor: str | None, key: str | None, as_json: bool) -> None:
    """End the mutes of an alert's subjects, or of a metric or rule.

    \b
    ops alert unmute 12
    ops alert unmute net_sales
    """
    from ops_platform.commands.alert import unmute as run

    sys.exit(run(target, kind=kind, part=part, actor=actor, key=key, as_json=as_json))


@alert.command("useful")
@_NUMBER
@_NOTE
@_action
def alert_useful(number: int, note: str, actor: str | None, key: str | None, as_json: bool) -> None:
    """It was worth it.

    \b
    ops alert useful 12
    """
    from ops_platform.commands.alert import act

    sys.exit(act("useful", alert_id=number, note=note, actor=actor, key=key, as_json=as_json))


@alert.command("noise")
@_NUMBER
@_NOTE
@_action
def alert_noise(number: int, note: str, actor: str | None, key: str | None, as_json: bool) -> None:
    """It was not worth it. Enough of that, and `ops alert precision` suggests an edit.

    \b
    ops alert noise 12 --note "the usual Monday"
    """
    from ops_platform.commands.alert import act

    sys.exit(act("noise", alert_id=number, note=note, actor=actor, key=key, as_json=as_json))


@alert.command("precision")
@JSON
def alert_precision(as_json: bool) -> None:
    """How many alerts of each metric and rule were useful, and the edit that would quieten what cries wolf.

    \b
    ops alert precision
    """
    from ops_platform.commands.alert import precision as run

    sys.exit(run(as_json=as_json))

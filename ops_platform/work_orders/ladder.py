"""The ladder: who is told when an order nears its time, and when it is over.

Belongs here: which rung is due, each told once, a breach always told. Does not belong here: the clock (`sla.py`), the
forecast (`forecast.py`), sending (the outbox), tickets (`tickets.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.failpoints import failpoint
from ops_platform.work_orders import decisions
from ops_platform.work_orders.calendars import after
from ops_platform.work_orders.forecast import Forecast, forecasts
from ops_platform.work_orders.model import Phase, WorkOrder
from ops_platform.work_orders.policy import LadderStep, WorkPolicy
from ops_platform.work_orders.rows import clock_of, orders
from ops_platform.work_orders.sla import Clock, Pause, in_words

if TYPE_CHECKING:
    import psycopg

# Longer ago nobody needs to be told of it; the record has it.
REMEMBERED = timedelta(days=7)


# So many notices of one kind are messages of their own.
MOST_MESSAGES = 5
_SAID = {
    "remind": "may be late", "deputy": "are nearly out of time", "breach": "are over their time",
    "escalate": "are over their time and escalated",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """A rung that is told now: `recipient` is a key under `people`. `ticket` asks for an escalation ticket."""

    key: str
    work: WorkOrder
    step: LadderStep
    recipient: str
    words: str
    due_at: datetime | None
    forecast: Forecast | None


def due_steps(
    work: WorkOrder,
    running: Clock,
    foreseen: Forecast | None,
    steps: Sequence[LadderStep],
    now: datetime,
) -> list[LadderStep]:
    """The rungs whose moment has come, in the order of the file; pure. Once the time is over, those before it are not
    due any more; once it is answered, only its breach is."""
    answered = work.answered_at
    if work.paused_since is not None and answered is None and work.due_at is None:
        return []
    until = now if answered is None else min(now, answered)
    breached = running.breached(until)
    due_at = running.due()
    found = []
    for step in steps:
        if work.priority not in step.priorities:
            continue
        if step.after_breach is not None:
            if not breached or due_at is None or (answered is not None and step.does != "breach"):
                continue
            if step.after_breach == timedelta(0) or until > after(running.calendar, due_at, step.after_breach):
                found.append(step)
        elif answered is None and not breached:
            by_share = step.used is not None and running.used(now) * 100 >= running.allowed * step.used
            by_forecast = step.forecast and foreseen is not None and foreseen.late(due_at)
            if by_share or by_forecast:
                found.append(step)
    return found


def take(connection: psycopg.Connection[Any], policy: WorkPolicy, *, at: datetime | None = None) -> list[Notice]:
    """The rungs to be told now, written down in the caller's transaction: nobody takes the same one again. Of several
    reminders that became due together (nobody looked for a while) the last is told, the others are passed over."""
    now = at or clock.now()
    watched = orders(
        connection,
        """(answered_at is null and phase in ('received', 'queued', 'running', 'blocked', 'failed')
               and (phase <> 'failed' or ended_at > %(since)s))
           or (answered_at > due_at and answered_at > %(since)s)""",
        {"since": now - REMEMBERED},
        tail="order by priority, due_at nulls last, id",
    )
    if not watched:
        return []
    ids = [work.id for work in watched]
    pauses: dict[int, list[Pause]] = {}
    for work_id, start, end in connection.execute(
        "select work_id, paused_at, resumed_at from ops.work_clock where work_id = any(%s) order by paused_at", (ids,)
    ):
        pauses.setdefault(work_id, []).append(Pause(start, end))
    told: dict[int, set[str]] = {}
    for work_id, step in connection.execute(
        "select work_id, step from ops.work_notices where work_id = any(%s)", (ids,)
    ):
        told.setdefault(work_id, set()).add(step)
    foreseen = forecasts(connection, policy, at=now)
    made = []
    for work in watched:
        running = clock_of(work, tuple(pauses.get(work.id, ())), policy)
        steps = [
            step
            for step in due_steps(work, running, foreseen.get(work.id), policy.ladder, now)
            if step.name not in told.get(work.id, ())
        ]
        before = [step for step in steps if step.after_breach is None]
        for step in steps:
            passed_over = step.after_breach is None and step is not before[-1]
            notice = _notice(work, step, running, foreseen.get(work.id), policy, now)
            if _write(connection, notice, told=not passed_over, at=now) and not passed_over:
                made.append(notice)
    failpoint("work_orders.notices_taken")
    return made


@dataclass(frozen=True, slots=True)
class Told:
    """One message about one notice or, where many are due at once, about all of one kind for one person. `title` is set
    where it is about many."""

    key: str
    recipient: str
    does: str
    words: str
    notices: tuple[Notice, ...]
    title: str | None = None


def gathered(notices: Sequence[Notice]) -> list[Told]:
    """What is sent of notices taken together: a storm of orders is no storm of messages. Of more than `MOST_MESSAGES`
    of one kind for one person one message tells how many, of which agents, and names the first."""
    groups: dict[tuple[str, str], list[Notice]] = {}
    for notice in notices:
        groups.setdefault((notice.recipient, notice.step.does), []).append(notice)
    made = []
    for (recipient, does), mine in groups.items():
        if len(mine) <= MOST_MESSAGES:
            made += [Told(each.key, recipient, does, each.words, (each,)) for each in mine]
            continue
        agents = Counter(each.work.agent for each in mine)
        of = ", ".join(f"{count:,} of {agent}" for agent, count in agents.most_common())
        title = f"{len(mine):,} work orders {_SAID[does]}"
        words = f"{title}: {of}. The first: {mine[0].words} `ops work notices` has all of them."
        made.append(Told(f"{mine[0].key}:and:{len(mine)}", recipient, does, words, tuple(mine), title))
    return made


def _notice(
    work: WorkOrder, step: LadderStep, running: Clock, foreseen: Forecast | None, policy: WorkPolicy, now: datetime
) -> Notice:
    due_at = running.due()
    return Notice(
        key=f"work:{work.id}:{step.name}", work=work, step=step, recipient=policy.recipient(step.whom, work.agent),
        words=words_of(work, step, running, foreseen, now), due_at=due_at, forecast=foreseen,
    )  # fmt: skip


def words_of(work: WorkOrder, step: LadderStep, running: Clock, foreseen: Forecast | None, now: datetime) -> str:
    """One sentence of fact, without the issue's own words: those are a stranger's."""
    what = f"{work.priority} {work.name} ({work.agent})"
    over = running.used(work.answered_at or now) - running.allowed
    if step.after_breach is not None:
        if work.answered_at is not None:
            return f"{what} was answered {in_words(over)} after its time."
        return f"{what} is {in_words(over)} over its time and {_state(work)}."
    left = in_words(running.left(now))
    if foreseen is not None and foreseen.late(running.due()):
        ahead = f"{foreseen.ahead} ahead of it" if foreseen.ahead else "none ahead of it"
        return (
            f"{what} will be late: {left} left, {ahead}, an answer is expected at"
            f" {foreseen.ends_at:%Y-%m-%d %H:%M} UTC by {foreseen.basis}."
        )
    return f"{what} has {left} left and {_state(work)}."


def _state(work: WorkOrder) -> str:
    if work.held_reason is not None:
        return "waits for an authorised person to label it again"
    return {
        Phase.RECEIVED: "is not queued yet",
        Phase.QUEUED: "waits in the queue",
        Phase.RUNNING: "is being worked on",
        Phase.BLOCKED: "is blocked",
        Phase.FAILED: "has failed",
    }.get(work.phase, f"is {work.phase}")


def _write(connection: psycopg.Connection[Any], notice: Notice, *, told: bool, at: datetime) -> bool:
    row = connection.execute(
        """insert into ops.work_notices (key, work_id, step, recipient, words, told, forecast_at, due_at, at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (key) do nothing returning key""",
        (
            notice.key, notice.work.id, notice.step.name, notice.recipient, notice.words, told,
            None if notice.forecast is None else notice.forecast.ends_at, notice.due_at, at,
        ),
    ).fetchone()  # fmt: skip
    if row is not None and told:
        decisions.record(
            connection, f"told_{notice.step.does}", f"{notice.words} Told {notice.recipient}.", work_id=notice.work.id,
            facts={"step": notice.step.name}, at=at,
        )  # fmt: skip
    return row is not None

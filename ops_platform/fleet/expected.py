"""Expected ticks: when each job is due, published ahead, and how runs answered.

Belongs here: writing `ops.expected_ticks`, and holding receipts against it. Does not belong here: reading a cron
(`ticks.py`), the same comparison from outside (`deploy/watchdog.sh`), telling anybody.

The scheduler decides when to run by its own reading of the same crons; that the two agree is the point. A tick is
answered by a run that began between it and the next tick, or within the patience of the policy where that is later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from ops_platform.fleet.ticks import ticks_between

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet.model import Fleet

Verdict = Literal["succeeded", "failed", "missed", "open"]
#: So far back the tick before the first one ahead is looked for: the first published one needs no predecessor.
_AHEAD_FOR_NEXT = timedelta(days=400)
_WRITE = """
insert into ops.expected_ticks (job, bot, due_at, next_due_at, answer_by, published_at)
values (%s, %s, %s, %s, %s, %s)
on conflict (job, due_at) do update set bot = excluded.bot, next_due_at = excluded.next_due_at,
    answer_by = excluded.answer_by, published_at = excluded.published_at
where (expected_ticks.bot, expected_ticks.next_due_at, expected_ticks.answer_by)
    is distinct from (excluded.bot, excluded.next_due_at, excluded.answer_by)
"""
# Of the runs that began in its window the last one counts: a retry that succeeded answers for the one that failed.
_ANSWERS = """
select ticks.job, ticks.bot, ticks.due_at, ticks.answer_by, answer.status, answer.started_at
from ops.expected_ticks as ticks
left join lateral (
    select receipts.status, receipts.started_at from ops.receipts
    where receipts.job = ticks.job and receipts.started_at >= ticks.due_at
        and receipts.started_at < greatest(ticks.next_due_at, ticks.due_at + %(patience)s)
    order by receipts.status = 'succeeded' desc, receipts.started_at desc limit 1
) as answer on true
where ticks.due_at >= %(start)s and ticks.due_at < %(end)s
order by ticks.due_at, ticks.job
"""


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment at which a job was due, and what came of it; `open` while it may still be answered."""

    job: str
    bot: str
    due_at: datetime
    verdict: Verdict


def publish_expected(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> int:
    """Write the ticks of the coming days, and take back those ahead that no cron names any more. What is past stays as
    it was told. Returns how many are ahead. Does not commit."""
    policy = fleet.health
    end = now + timedelta(days=policy.expected_days)
    crons, zone = fleet.scheduled(), fleet.company.timezone
    connection.execute("delete from ops.expected_ticks where due_at > %s and job <> all(%s)", (now, list(crons)))
    ahead = 0
    for name, cron in crons.items():
        job = fleet.jobs[name]
        due = [tick for tick in ticks_between(cron, zone, now, end) if tick > now]
        following = next_tick(cron, zone, due[-1] if due else end)
        late = timedelta(minutes=policy.patience_minutes + job.max_runtime_minutes)
        connection.execute(
            "delete from ops.expected_ticks where job = %s and due_at > %s and due_at <> all(%s)", (name, now, due)
        )
        rows = [
            (name, job.bot, tick, after, tick + late, now)
            for tick, after in zip(due, [*due[1:], following][: len(due)], strict=True)
        ]
        with connection.cursor() as cursor:
            cursor.executemany(_WRITE, rows)
        ahead += len(rows)
    return ahead


def next_tick(cron: str, zone: str, after: datetime) -> datetime:
    """The first moment after `after` at which `cron` is due; a year ahead where there is none (29 February)."""
    start, span = after.astimezone(UTC) + timedelta(minutes=1), timedelta(days=2)
    while start - after < _AHEAD_FOR_NEXT:
        found = ticks_between(cron, zone, start, start + span)
        if found:
            return found[0]
        start, span = start + span, span * 4
    return after + _AHEAD_FOR_NEXT


def answered(
    connection: psycopg.Connection[Any], start: datetime, end: datetime, now: datetime, patience: timedelta
) -> list[Tick]:
    """The ticks of [start, end) and what came of each by `now`, the oldest first."""
    found = connection.execute(_ANSWERS, {"start": start, "end": end, "patience": patience}).fetchall()
    return [
        Tick(job, bot, due, _verdict(status, started, due, answer_by, now))
        for job, bot, due, answer_by, status, started in found
    ]


def _verdict(
    status: str | None, started: datetime | None, due: datetime, answer_by: datetime, now: datetime
) -> Verdict:
    if status == "succeeded" or status == "failed":
        return "succeeded" if status == "succeeded" else "failed"
    if started is None:
        # A run writes its first word when its first step ends, so one may be under way without a receipt.
        return "open" if now < answer_by else "missed"
    return "open" if now < max(answer_by, started + (answer_by - due)) else "failed"

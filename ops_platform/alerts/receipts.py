"""Receipts: one row a job run, so that "nothing to say" and "did not run" can never look alike.

Belongs here: writing a receipt at every stage of a run, reading them, what a week of silence covered, how a job stands.
Does not belong here: when jobs are due (`jobs/ticks.py`), what is out of order (`ops_platform.watch`, `rules.py`).

    begin(…)     the run has started
    settle(…)    it looked, and this is what it found, said and held back
    said(…)      it said more than that: a document
    hold(…)      it had more to say and could not
    fail(…)      it failed: what it had found stays, the reason is added

Each may come again and in any order: a settled receipt is not opened again, and a failure after all is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ops_platform.alerts.sources import JobState
from ops_platform.evidence.metrics import finite
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    import psycopg

    from ops_platform.alerts.signal import Signal
    from ops_platform.evidence.model import Fact, Period

Status = Literal["running", "succeeded", "failed"]
#: A run has so long to answer its tick before the tick counts as missed.
GRACE = timedelta(minutes=20)
#: Why something that was due was not said, in words: the reasons of `owing.py` and `telling.py`, and of delivery.
HELD = {
    "muted": "muted", "snoozed": "snoozed", "part": "a part too small to be told alone",
    "job": "left to the job that lists it",
    "interval": "resting after a message", "storm": "waiting for the storm's next message",
    "inhibited": "silenced by a source that is out", "unposted": "kept, Slack is not connected",
    "undelivered": "a document kept, Slack is not connected",
}  # fmt: skip
#: What the rules call too little to be told, or another job's to tell, is nothing held back.
BELOW_TELLING = frozenset({"part", "job"})
LONGEST_ERROR = 500
#: The weekday (0 is Monday) on whose digest the week before is told.
TOLD_ON = 0
_COLUMNS = (
    "run_id, job, bot, status, started_at, finished_at, as_of, checked, breached, unknown, closest, closeness, "
    "fresh_to, stale, messages, held, error, noted_by"
)
_BEGIN = """
insert into ops.receipts (run_id, job, bot, status, started_at, as_of)
values (%(run_id)s, %(job)s, %(bot)s, 'running', %(at)s, %(as_of)s)
on conflict (run_id) do nothing
"""
# A failure stays one: what came later in the run does not undo it.
_SETTLE = """
insert into ops.receipts (run_id, job, bot, status, started_at, finished_at, as_of, checked, breached, unknown,
    closest, closeness, fresh_to, stale, messages, held)
values (%(run_id)s, %(job)s, %(bot)s, 'succeeded', %(at)s, %(at)s, %(as_of)s, %(checked)s, %(breached)s,
    %(unknown)s, %(closest)s, %(closeness)s, %(fresh_to)s, %(stale)s, %(messages)s, %(held)s)
on conflict (run_id) do update set
    status = case when receipts.status = 'failed' then 'failed' else 'succeeded' end,
    finished_at = excluded.finished_at, as_of = excluded.as_of,
    checked = coalesce(excluded.checked, receipts.checked), breached = coalesce(excluded.breached, receipts.breached),
    unknown = coalesce(excluded.unknown, receipts.unknown), closest = coalesce(excluded.closest, receipts.closest),
    closeness = coalesce(excluded.closeness, receipts.closeness),
    fresh_to = coalesce(excluded.fresh_to, receipts.fresh_to), stale = excluded.stale,
    messages = receipts.messages + excluded.messages, held = receipts.held || excluded.held
"""
_HOLD = """
update ops.receipts set held = held || jsonb_build_object(%(why)s::text, %(messages)s::integer)
where run_id = %(run_id)s
"""
_FAIL = """
insert into ops.receipts (run_id, job, bot, status, started_at, finished_at, as_of, error, noted_by)
values (%(run_id)s, %(job)s, %(bot)s, 'failed', %(started)s, %(at)s, %(as_of)s, %(error)s, %(noted_by)s)
on conflict (run_id) do update set
    status = 'failed', finished_at = excluded.finished_at, noted_by = excluded.noted_by,
    error = case when receipts.error is null or receipts.error = excluded.error then excluded.error
        else left(receipts.error || '; ' || excluded.error, %(longest)s) end
where receipts.status <> 'failed' or excluded.noted_by = 'run'
"""
_SUCCEEDED = """
insert into ops.receipts (run_id, job, bot, status, started_at, finished_at, as_of, noted_by)
values (%(run_id)s, %(job)s, %(bot)s, 'succeeded', %(started)s, %(at)s, %(as_of)s, 'sensor')
on conflict (run_id) do update set status = 'succeeded', finished_at = excluded.finished_at, noted_by = 'sensor'
where receipts.status = 'running'
"""
_SOURCES = """
select min(cursors.fresh_to) as fresh_to, bool_or(cursors.fresh_to is null) as never,
    array_agg(distinct cursors.vendor order by cursors.vendor)
        filter (where cursors.fresh_to is null or cursors.fresh_to < %(now)s - coalesce(
            (%(limits)s::jsonb ->> cursors.vendor)::numeric, 26) * interval '1 hour') as stale
from ops.cursors
join ops.connections on connections.vendor = cursors.vendor and connections.connected
"""
_STATES = """
select job,
    (array_agg(status order by started_at desc, id desc) filter (where status <> 'running'))[1] as last,
    (array_agg(finished_at order by started_at desc, id desc) filter (where status <> 'running'))[1] as ended_at,
    max(started_at) filter (where status = 'succeeded') as succeeded_at,
    min(started_at) as first_at
from ops.receipts where job = any(%(jobs)s) group by job
"""


@dataclass(frozen=True, slots=True)
class Looks:
    """What a run looked at: how many subjects, how many out of order, how many that could not be judged, and the one
    that came closest to its limit without crossing it (`closeness` 1 is the limit)."""

    checked: int
    breached: int = 0
    unknown: int = 0
    closest: str | None = None
    closeness: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """Up to when every connected source is whole: the oldest of them; None where one never was. `stale` names vendors
    whose data are older than they may be."""

    fresh_to: datetime | None = None
    stale: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A run's receipt. `checked` None: the run never came to look. `noted_by` sensor: the run could not write it."""

    run_id: str
    job: str
    bot: str | None
    status: Status
    started_at: datetime
    finished_at: datetime | None
    as_of: datetime
    checked: int | None
    breached: int | None
    unknown: int | None
    closest: str | None
    closeness: Decimal | None
    fresh_to: datetime | None
    stale: tuple[str, ...]
    messages: int
    held: Mapping[str, int]
    error: str | None
    noted_by: str

    @property
    def silent(self) -> bool:
        """It ran, looked, and had nothing to say: nothing that was due was held back either."""
        quiet = self.messages == 0 and not set(self.held) - BELOW_TELLING
        return self.status == "succeeded" and quiet and self.checked is not None and self.error is None


@dataclass(frozen=True, slots=True)
class Covered:
    """What the receipts of a period prove. `checks` counts looks at single subjects, `days` the days with a receipt,
    `held` the runs that held back something that was due."""

    runs: int
    silent: int
    failed: int
    messages: int
    checks: int
    breaches: int
    unknown: int
    days: int
    held: int = 0
    closest: str | None = None
    closeness: Decimal | None = None


# Writing ----------------------------------------------------------------------------------------------------


def begin(
    connection: psycopg.Connection[Any], run_id: str, job: str, *, bot: str | None, at: datetime, as_of: datetime
) -> None:
    """The run has started at `at` (the machine's clock); `as_of` is the business clock. Does not commit."""
    connection.execute(_BEGIN, {"run_id": run_id, "job": job, "bot": bot, "at": at, "as_of": as_of})


def settle(
    connection: psycopg.Connection[Any],
    run_id: str,
    job: str,
    *,
    bot: str | None,
    at: datetime,
    as_of: datetime,
    looks: Looks | None,
    freshness: Freshness,
    messages: int,
    held: Mapping[str, int] | None = None,
) -> None:
    """The run has looked and said `messages` messages; `held` counts those that were due and not said, by reason
    (`HELD`). Silence is 0 of either. Does not commit: the receipt is there exactly when what it reports is."""
    from psycopg.types.json import Jsonb

    connection.execute(
        _SETTLE,
        {
            "run_id": run_id, "job": job, "bot": bot, "at": at, "as_of": as_of,
            "checked": looks.checked if looks else None, "breached": looks.breached if looks else None,
            "unknown": looks.unknown if looks else None, "closest": looks.closest if looks else None,
            "closeness": looks.closeness if looks else None, "fresh_to": freshness.fresh_to,
            "stale": list(freshness.stale), "messages": messages, "held": Jsonb(dict(held or {})),
        },
    )  # fmt: skip


def looked(connection: psycopg.Connection[Any], run_id: str, looks: Looks) -> bool:
    """The run looked at more than it has noted so far: its own lists besides what everybody looks at. The closest of
    all stays. False where the run has no receipt yet. Does not commit."""
    found = connection.execute(
        """update ops.receipts set checked = coalesce(checked, 0) + %(checked)s,
               breached = coalesce(breached, 0) + %(breached)s, unknown = coalesce(unknown, 0) + %(unknown)s,
               closest = case when %(closeness)s::numeric > coalesce(closeness, -1) then %(closest)s else closest end,
               closeness = greatest(closeness, %(closeness)s::numeric)
           where run_id = %(run_id)s""",
        {
            "run_id": run_id, "checked": looks.checked, "breached": looks.breached, "unknown": looks.unknown,
            "closest": looks.closest, "closeness": looks.closeness,
        },
    )  # fmt: skip
    return found.rowcount == 1


def said(connection: psycopg.Connection[Any], run_id: str, messages: int) -> None:
    """The run said `messages` more than its look did (a document that goes out in any case). Does not commit."""
    connection.execute("update ops.receipts set messages = messages + %s where run_id = %s", (messages, run_id))


def hold(connection: psycopg.Connection[Any], run_id: str, why: str, messages: int) -> None:
    """The run had `messages` more to say and could not, for a reason of `HELD`. Does not commit."""
    connection.execute(_HOLD, {"run_id": run_id, "why": why, "messages": messages})


def fail(
    connection: psycopg.Connection[Any],
    run_id: str,
    job: str,
    *,
    bot: str | None,
    at: datetime,
    as_of: datetime,
    error: str,
    started_at: datetime | None = None,
    by_sensor: bool = False,
) -> bool:
    """The run failed for `error`. True where that is news (a sensor repeats what the run itself has written already).
    Does not commit."""
    found = connection.execute(
        _FAIL,
        {
            "run_id": run_id, "job": job, "bot": bot, "at": at, "as_of": as_of, "started": started_at or at,
            "error": _one_line(error), "noted_by": "sensor" if by_sensor else "run", "longest": LONGEST_ERROR,
        },
    )  # fmt: skip
    return found.rowcount == 1


def note_ended(
    connection: psycopg.Connection[Any],
    run_id: str,
    job: str,
    *,
    bot: str | None,
    succeeded: bool,
    started_at: datetime,
    at: datetime,
    as_of: datetime,
    looks: bool = False,
    tried_again: bool = False,
) -> bool:
    """A run was seen to have ended at `at`: it gets a receipt where it has none, and a failure where it wrote none.
    True where this was not seen before and somebody has to look: the job turned by it, from well to failing or back,
    or it is one that `looks` and failed before it did. Of one that is `tried_again` the next run decides. Does not
    commit."""
    ended: dict[str, Any] = {"run_id": run_id, "job": job, "bot": bot, "at": at, "as_of": as_of}
    if succeeded:
        connection.execute(_SUCCEEDED, {**ended, "started": started_at})
    else:
        why = "the run ended without a word of its own: killed, cancelled, or its host went away"
        fail(connection, run_id, job, bot=bot, at=at, as_of=as_of, error=why, started_at=started_at, by_sensor=True)
    if tried_again:
        return False
    row = connection.execute(
        """update ops.receipts set seen_ended_at = %(at)s where run_id = %(run_id)s and seen_ended_at is null
           returning status, checked, (select earlier.status from ops.receipts as earlier
               where earlier.job = %(job)s and earlier.run_id <> %(run_id)s and earlier.seen_ended_at is not null
               order by earlier.started_at desc, earlier.id desc limit 1)""",
        ended,
    ).fetchone()
    if row is None:
        return False
    now, checked, before = row
    unlooked = looks and now == "failed" and checked is None
    return bool(unlooked or (now != before if before is not None else now == "failed"))


def looks_of(signals: Iterable[Signal]) -> Looks:
    """What these signals amount to. The closest is the highest closeness among those within their limits."""
    checked = breached = unknown = 0
    closest: str | None = None
    closeness: Decimal | None = None
    for signal in signals:
        checked += 1
        breached += signal.found is Finding.BREACHED
        unknown += signal.found is Finding.UNKNOWN
        near = finite(signal.closeness)
        if signal.found is Finding.CLEAR and near is not None and (closeness is None or near > closeness):
            part = "" if signal.subject.dimension == "all" else f", {signal.subject.dimension} {signal.subject.value}"
            closest, closeness = f"{signal.label}{part}", near
    return Looks(checked, breached, unknown, closest, closeness)


def looks_at_judgements(connection: psycopg.Connection[Any]) -> Looks | None:
    """What the watch found for the newest day it has judged; None where it has judged nothing."""
    row = connection.execute(
        """with newest as (select * from ops.judgements where date = (select max(date) from ops.judgements)),
           near as (select * from newest where found = 'clear' order by closeness desc, metric_id limit 1)
           select count(*), count(*) filter (where found = 'breached'), count(*) filter (where found = 'unknown'),
               (select metric_id || case when dimension = 'all' then '' else ', ' || dimension_value end from near),
               (select closeness from near)
           from newest"""
    ).fetchone()
    if row is None or not row[0]:
        return None
    return Looks(row[0], row[1], row[2], row[3], row[4])


def freshness_of(connection: psycopg.Connection[Any], limits: Mapping[str, int], now: datetime) -> Freshness:
    """How fresh the connected sources are; `limits` are the hours after which each vendor is stale."""
    from psycopg.types.json import Jsonb

    row = connection.execute(_SOURCES, {"now": now, "limits": Jsonb(dict(limits))}).fetchone()
    if row is None:
        return Freshness()
    return Freshness(None if row[1] else row[0], tuple(row[2] or ()))


# Reading ----------------------------------------------------------------------------------------------------


def receipts(
    connection: psycopg.Connection[Any],
    *,
    job: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> list[Receipt]:
    """Receipts, the newest first; `since` and `until` are of the company's clock."""
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            f"""select {_COLUMNS} from ops.receipts
                where (%(job)s::text is null or job = %(job)s)
                    and (%(since)s::timestamptz is null or as_of >= %(since)s)
                    and (%(until)s::timestamptz is null or as_of < %(until)s)
                order by started_at desc, id desc limit %(limit)s""".encode(),
            {"job": job, "since": since, "until": until, "limit": limit},
        )
        return [Receipt(**{**row, "stale": tuple(row["stale"])}) for row in cursor.fetchall()]


def covered(connection: psycopg.Connection[Any], start: datetime, end: datetime, zone: ZoneInfo) -> Covered:
    """What the receipts of runs as of [start, end) of the company's clock prove; days are those of `zone`."""
    row = connection.execute(
        """with held as (select * from ops.receipts where as_of >= %(start)s and as_of < %(end)s),
           near as (select * from held where closeness is not null order by closeness desc, started_at desc limit 1)
           select count(*),
               count(*) filter (where status = 'succeeded' and messages = 0 and checked is not null and error is null
                   and held - %(below)s::text[] = '{}'),
               count(*) filter (where status = 'failed'), coalesce(sum(messages), 0), coalesce(sum(checked), 0),
               coalesce(sum(breached), 0), coalesce(sum(unknown), 0),
               count(distinct (as_of at time zone %(zone)s)::date),
               count(*) filter (where held - %(below)s::text[] <> '{}'),
               (select closest from near), (select closeness from near)
           from held""",
        {"start": start, "end": end, "zone": str(zone), "below": sorted(BELOW_TELLING)},
    ).fetchone()
    assert row is not None
    runs, silent, failed, messages, checks, breaches, unknown, days, held = (int(value) for value in row[:9])
    return Covered(runs, silent, failed, messages, checks, breaches, unknown, days, held, row[9], row[10])


def facts_of(covered: Covered, period: Period) -> tuple[Fact, ...]:
    """The week's coverage as facts, for `ops_platform.documents.silence`."""
    from ops_platform.evidence.model import Fact, Source

    source = Source("ops.receipts", params=(("start", period.start.isoformat()), ("end", period.end.isoformat())))
    counts = {
        "silence_runs": ("runs", covered.runs), "silence_silent": ("silent runs", covered.silent),
        "silence_failed": ("failed runs", covered.failed), "silence_messages": ("messages", covered.messages),
        "silence_checks": ("looks", covered.checks), "silence_breaches": ("looks out of order", covered.breaches),
        "silence_unknown": ("looks without a result", covered.unknown), "silence_days": ("days", covered.days),
        "silence_held": ("runs that held something back", covered.held),
    }  # fmt: skip
    facts = [
        Fact(id=name, label=label, unit="count", value=Decimal(value), period=period, source=source)
        for name, (label, value) in counts.items()
    ]
    if covered.closest is not None and covered.closeness is not None:
        # About whom is a metric's name: no text of a vendor's enters a fact's label.
        facts.append(
            Fact(
                id="silence_closest", label="the closest to a limit", unit="ratio", value=covered.closeness,
                period=period, source=source, about=covered.closest,
            )
        )  # fmt: skip
    return tuple(facts)


def week_told_on(connection: psycopg.Connection[Any], today: date, zone: ZoneInfo) -> tuple[Fact, ...]:
    """What the seven days before `today` were covered by, on the day that tells it (Monday, for the week it ended);
    nothing on any other."""
    from ops_platform.clock import day_bounds
    from ops_platform.evidence.model import Period

    if today.weekday() != TOLD_ON:
        return ()
    first, last = week_of(today - timedelta(days=1))
    start, end = day_bounds(first, str(zone))[0], day_bounds(last, str(zone))[1]
    return facts_of(covered(connection, start, end, zone), Period(first, last, f"{first} to {last}"))


def job_states(
    connection: psycopg.Connection[Any], ticks: Mapping[str, Sequence[datetime]], now: datetime
) -> list[JobState]:
    """How each job stands. `ticks` are the moments of the last day at which it was due, by job (empty where nothing
    runs unattended). A tick is answered by a run that began between it and the next; one that came before the job's
    first receipt, or came just now, is not held against it. A job that never ran is unknown, not well."""
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        found = {row["job"]: row for row in cursor.execute(_STATES, {"jobs": list(ticks)}).fetchall()}
    return [_job_state(connection, job, due, found.get(job), now) for job, due in ticks.items()]


def _job_state(
    connection: psycopg.Connection[Any], job: str, due: Sequence[datetime], row: Mapping[str, Any] | None, now: datetime
) -> JobState:
    if row is None:
        return JobState(job, None)
    failing_since = None
    if row["last"] == "failed":
        first = connection.execute(
            """select min(started_at) from ops.receipts where job = %s and status = 'failed'
               and started_at > coalesce(%s, '-infinity'::timestamptz)""",
            (job, row["succeeded_at"]),
        ).fetchone()
        failing_since = first[0] if first else None
    known = sorted(tick for tick in due if row["first_at"] <= tick)
    missed = 0
    if known:
        begun = [
            start
            for (start,) in connection.execute(
                "select started_at from ops.receipts where job = %s and started_at >= %s order by 1", (job, known[0])
            )
        ]
        # A run answers the tick it came after, so the newest tick bounds the one before even where it is not judged.
        ends = [*known[1:], now + timedelta(seconds=1)]
        missed = sum(
            tick <= now - GRACE and not any(tick <= start < end for start in begun)
            for tick, end in zip(known, ends, strict=True)
        )
    return JobState(job, row["last"], row["ended_at"], failing_since, missed)


def week_of(day: date) -> tuple[date, date]:
    """The seven days that end with `day`."""
    return day - timedelta(days=6), day


def _one_line(error: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in error).split())
    return (text or "failed")[:LONGEST_ERROR]

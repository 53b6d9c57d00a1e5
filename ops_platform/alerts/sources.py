"""The sources themselves: are they fresh, did they sync, do they tie out, did the jobs run, did the watch look.

Belongs here: signals of kind source, tie-out and job, from the receipts the platform keeps. Does not belong here:
metrics (`from_judgements.py`), rules (`rules.py`), asking Dagster (who calls hands over `JobState`s).

A vendor without credentials is not connected, which is neither healthy nor a failure: nothing is concluded. What was
never looked at is unknown, never clear.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ops_platform.alerts.signal import Severity, Signal, Subject, SubjectKind
from ops_platform.clock import business_day
from ops_platform.watch.judgement import Finding
from ops_platform.watch.store import LONGEST_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.watch.store import LookState

# A day older than this is settled: what did not tie out then was told then.
TIE_OUT_DAYS = 35
# The day under which `ops.tie_outs` keeps a total of a whole entity.
WHOLE_ENTITY = date(1, 1, 1)
# The watch looks once in the company's day, with the slack that every asset has.
WATCH_EVERY = timedelta(hours=26)
_WATCH_STEPS = {
    "judgements": ("Watch of the metrics", "no metric is judged", Severity.ALERT),
    "level_shifts": ("Search for new levels", "lasting new levels are not looked for", Severity.WATCH),
}
_STREAMS = """
with streams as (
    select vendor, stream from ops.cursors
    union
    select vendor, stream from ops.sync_runs
)
select
    streams.vendor, streams.stream, cursors.fresh_to, connections.connected,
    latest.status, coalesce(latest.finished_at, latest.started_at) as ended_at,
    (
        select min(failed.started_at) from ops.sync_runs as failed
        where failed.vendor = streams.vendor and failed.stream = streams.stream
            and failed.status in ('failed', 'paused') and failed.id > coalesce((
                select max(good.id) from ops.sync_runs as good
                where good.vendor = streams.vendor and good.stream = streams.stream and good.status = 'succeeded'
            ), 0)
    ) as failing_since
from streams
left join ops.cursors using (vendor, stream)
left join ops.connections using (vendor)
left join lateral (
    select runs.status, runs.started_at, runs.finished_at
    from ops.sync_runs as runs
    where runs.vendor = streams.vendor and runs.stream = streams.stream and runs.kind = 'sync'
        and runs.status in ('succeeded', 'failed', 'paused')
    order by runs.id desc limit 1
) as latest on true
where not coalesce(streams.stream = any(connections.left_out), false)
order by streams.vendor, streams.stream
"""
# The latest word on each entity and day; of a day still open nothing is said.
_TIE_OUTS = """
select
    vendor, stream, entity,
    count(*) filter (where status = 'mismatched') as mismatched,
    count(*) filter (where status = 'matched') as matched,
    coalesce(sum(landed_count - source_count) filter (where status = 'mismatched'), 0) as records,
    sum(landed_amount - source_amount) filter (where status = 'mismatched' and currency = %(currency)s) as amount,
    min(day) filter (where status = 'mismatched' and day <> %(whole)s) as first_day,
    max(tie_outs.checked_at) as checked_at
from ops.tie_outs
left join ops.connections using (vendor)
where
    (day >= %(since)s or day = %(whole)s)
    and not coalesce(stream = any(connections.left_out), false)
group by vendor, stream, entity
order by vendor, stream, entity
"""


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream of a vendor as the receipts have it. `fresh_to` is when its table was last complete; `stale_after` how
    old that may be. `connected` None: nobody has looked yet."""

    vendor: str
    stream: str
    connected: bool | None
    fresh_to: datetime | None
    stale_after: timedelta
    last_status: str | None = None
    ended_at: datetime | None = None
    failing_since: datetime | None = None

    @property
    def name(self) -> str:
        """As `shopify.orders`."""
        return f"{self.vendor}.{self.stream}"

    def age(self, now: datetime) -> timedelta | None:
        """How old the data are; None when it was never complete."""
        return None if self.fresh_to is None else max(now - self.fresh_to, timedelta())

    def usable(self, now: datetime) -> bool:
        """True when what rests on it may be concluded from."""
        age = self.age(now)
        return self.connected is not False and age is not None and age <= self.stale_after


@dataclass(frozen=True, slots=True)
class JobState:
    """How a job stands: what its last finished run came to, since when it fails, how many of its ticks of the last day
    no run answered."""

    job: str
    last: Literal["succeeded", "failed"] | None
    ended_at: datetime | None = None
    failing_since: datetime | None = None
    missed_ticks: int = 0


def stream_states(connection: psycopg.Connection[Any], fleet: Fleet) -> dict[str, StreamState]:
    """Every stream that was ever synced, by `vendor.stream`."""
    found = {}
    for vendor, stream, fresh_to, connected, status, ended_at, since in connection.execute(_STREAMS.encode()):
        source = fleet.sources.get(vendor)
        limit = timedelta(hours=source.stale_after_hours if source else 26)
        found[f"{vendor}.{stream}"] = StreamState(
            vendor, stream, connected, fresh_to, limit, status, ended_at, since
        )  # fmt: skip
    return found


def source_signals(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> list[Signal]:
    """One signal a stream: stale, failing, or well. A failed sync of data still fresh is only watched; stale data is
    an alert, stale for twice its limit is critical."""
    return [_source_signal(state, fleet, now) for state in stream_states(connection, fleet).values()]


def _source_signal(state: StreamState, fleet: Fleet, now: datetime) -> Signal:
    age, limit = state.age(now), state.stale_after
    hours = None if age is None else _hours(age)
    failing = state.last_status in ("failed", "paused")
    stale = age is not None and age > limit
    severity = Severity.WATCH
    if stale:
        severity = Severity.CRITICAL if age is not None and age > 2 * limit else Severity.ALERT
    elif state.last_status == "failed" and age is None:
        severity = Severity.ALERT
    if state.connected is False:
        found, why = Finding.UNKNOWN, "not connected: there are no credentials"
    elif stale or failing:
        found, why = Finding.BREACHED, _why_not_well(state, hours, stale)
    elif age is None:
        found, why = Finding.UNKNOWN, "not synced yet"
    else:
        found, why = Finding.CLEAR, f"fresh to {hours} hours ago, of {_hours(limit)} allowed"
    since = state.failing_since or (state.fresh_to + limit if stale and state.fresh_to is not None else None)
    closeness = None if age is None else Decimal(str(round(age / limit, 4)))
    if found is Finding.BREACHED:
        closeness = max(closeness or Decimal(0), Decimal("1.01"))
    label = fleet.sources[state.vendor].label if state.vendor in fleet.sources else state.vendor
    return Signal(
        subject=Subject(SubjectKind.SOURCE, state.name),
        found=found,
        period=business_day(now, fleet.company.timezone),
        observed_at=now,
        label=f"{label}: {state.stream.replace('_', ' ')}",
        severity=severity,
        unit="hours",
        value=hours,
        expected_high=_hours(limit),
        effect=None if hours is None else hours - _hours(limit),
        closeness=closeness,
        since=None if since is None else business_day(since, fleet.company.timezone),
        depends_on=(state.name,),
        owner="coordinator",
        explanation=why,
    )


def _why_not_well(state: StreamState, hours: Decimal | None, stale: bool) -> str:
    parts = []
    if state.last_status == "failed":
        parts.append(f"the last sync failed (ops syncs {state.vendor})")
    elif state.last_status == "paused":
        parts.append(f"paused: its records changed shape (ops schema {state.vendor})")
    if stale:
        parts.append(f"complete only to {hours} hours ago, {_hours(state.stale_after)} are allowed")
    elif hours is None:
        parts.append("never complete so far")
    return "; ".join(parts)


def tie_out_signals(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> list[Signal]:
    """One signal an entity that vendors give totals for: whether what landed in the last weeks is what they hold."""
    today = business_day(now, fleet.company.timezone)
    parameters = {
        "currency": fleet.company.currency, "whole": WHOLE_ENTITY, "since": today - timedelta(days=TIE_OUT_DAYS),
    }  # fmt: skip
    signals = []
    for vendor, stream, entity, mismatched, matched, records, amount, first, _ in connection.execute(
        _TIE_OUTS.encode(), parameters
    ):
        found = Finding.BREACHED if mismatched else Finding.CLEAR if matched else Finding.UNKNOWN
        why = {
            Finding.BREACHED: f"{mismatched} of {mismatched + matched} totals do not tie out",
            Finding.CLEAR: f"{matched} totals tie out",
            Finding.UNKNOWN: "the vendor gave no total to compare with",
        }[found]
        label = fleet.sources[vendor].label if vendor in fleet.sources else vendor
        signals.append(
            Signal(
                subject=Subject(SubjectKind.TIE_OUT, f"{vendor}.{stream}", "entity", entity),
                found=found,
                period=today,
                observed_at=now,
                label=f"{label}: {entity.replace('_', ' ')} do not tie out",
                unit="count",
                value=Decimal(records),
                expected=Decimal(0),
                effect=Decimal(records) if mismatched else None,
                effect_money=amount if mismatched else None,
                closeness=Decimal("1.01") if mismatched else Decimal(0) if matched else None,
                since=first,
                depends_on=(f"{vendor}.{stream}",),
                owner="coordinator",
                explanation=why,
            )
        )
    return signals


def job_signals(states: Sequence[JobState], fleet: Fleet, now: datetime) -> list[Signal]:
    """One signal a job: its last run failed, a tick went by without a run, or all is well. Two missed ticks or a
    failure lasting over a day are critical."""
    return [_job_signal(state, fleet, now) for state in states]


def _job_signal(state: JobState, fleet: Fleet, now: datetime) -> Signal:
    failing = state.last == "failed"
    found = (
        Finding.BREACHED if failing or state.missed_ticks else Finding.UNKNOWN if state.last is None else Finding.CLEAR
    )
    parts = []
    if failing:
        parts.append("the last run failed")
    if state.missed_ticks:
        parts.append(f"{state.missed_ticks} due run(s) of the last day did not happen")
    if not parts:
        parts.append("has not run yet" if state.last is None else "the last run succeeded")
    lasting = state.failing_since is not None and now - state.failing_since > timedelta(days=1)
    job = fleet.jobs.get(state.job)
    return Signal(
        subject=Subject(SubjectKind.JOB, state.job),
        found=found,
        period=business_day(now, fleet.company.timezone),
        observed_at=now,
        label=f"Job {state.job.replace('_', ' ')}",
        severity=Severity.CRITICAL if lasting or state.missed_ticks > 1 else Severity.ALERT,
        unit="count",
        value=Decimal(state.missed_ticks + failing),
        expected_high=Decimal(0),
        effect=Decimal(state.missed_ticks + failing) if found is Finding.BREACHED else None,
        closeness=Decimal("1.01") if found is Finding.BREACHED else None if state.last is None else Decimal(0),
        since=None if state.failing_since is None else business_day(state.failing_since, fleet.company.timezone),
        owner=job.bot if job else "coordinator",
        explanation="; ".join(parts),
    )


def watch_is_blind(states: Mapping[str, LookState], now: datetime) -> bool:
    """True where the metrics were not judged when they should have been: what was kept of them is history."""
    state = states.get("judgements")
    return state is not None and (state.failing_since is not None or _overdue(state, now))


def watch_signals(states: Mapping[str, LookState], fleet: Fleet, now: datetime) -> list[Signal]:
    """One signal a step of the watch: it failed, has not looked for longer than a day, or is well. Without its
    judgements the metrics are blind, which is an alert; without new levels it is only noisier, which is watched."""
    return [_watch_signal(step, states.get(step), fleet, now) for step in _WATCH_STEPS]


def _watch_signal(step: str, state: LookState | None, fleet: Fleet, now: datetime) -> Signal:
    label, lost, severity = _WATCH_STEPS[step]
    since = None
    if state is None:
        found, why = Finding.UNKNOWN, "has not looked yet"
    elif state.failing_since is not None:
        found, why, since = Finding.BREACHED, f"{lost}; it failed with {state.error}", state.failing_since
    elif _overdue(state, now):
        found, why = Finding.BREACHED, f"{lost}; it has not looked for longer than {_hours(WATCH_EVERY)} hours"
        since = (state.looked_at or now) + WATCH_EVERY
    else:
        found, why = Finding.CLEAR, "looked at every metric"
    return _looker(f"watch_{step}", label, found, why, fleet, now, severity=severity, since=since)


def watcher_signal(watcher: str, fleet: Fleet, now: datetime, *, problem: str | None = None) -> Signal:
    """Whether all metrics, or all rules, could be looked at in this turn; `problem` is why not."""
    if problem is None:
        return _looker(f"look_at_{watcher}", f"Look at the {watcher}", Finding.CLEAR, "looked", fleet, now)
    why = f"none of them is looked at; it failed with {' '.join(problem.split())[:LONGEST_ERROR]}"
    return _looker(f"look_at_{watcher}", f"Look at the {watcher}", Finding.BREACHED, why, fleet, now)


def _looker(
    name: str,
    label: str,
    found: Finding,
    why: str,
    fleet: Fleet,
    now: datetime,
    *,
    severity: Severity = Severity.ALERT,
    since: datetime | None = None,
) -> Signal:
    zone = fleet.company.timezone
    return Signal(
        subject=Subject(SubjectKind.JOB, name),
        found=found,
        period=business_day(now, zone),
        observed_at=now,
        label=label,
        severity=severity,
        # A limit there is none of; a look out of order is beyond it, one in order far from it.
        closeness={Finding.BREACHED: Decimal("1.01"), Finding.CLEAR: Decimal(0)}.get(found),
        since=None if since is None else business_day(since, zone),
        owner="coordinator",
        explanation=why,
    )


def _overdue(state: LookState, now: datetime) -> bool:
    return state.looked_at is None or now - state.looked_at > WATCH_EVERY


def vanished(signals: Iterable[Signal], open_subjects: Iterable[Subject], kinds: Iterable[SubjectKind], now: datetime,
             today: date, why: str) -> list[Signal]:  # fmt: skip
    """A clear signal for each open subject of these kinds that nothing was said about: what an incident was about is
    gone, and the incident must end."""
    said, wanted = {signal.subject for signal in signals}, set(kinds)
    return [
        Signal(subject, Finding.CLEAR, today, now, subject.name.replace("_", " "), explanation=why)
        for subject in sorted(set(open_subjects), key=lambda each: each.key)
        if subject.kind in wanted and subject not in said
    ]


def _hours(span: timedelta) -> Decimal:
    return Decimal(str(round(span.total_seconds() / 3600, 1)))

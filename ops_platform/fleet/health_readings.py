"""The five factors of the fleet's health, read from what the platform keeps.

Belongs here: one reading a factor, each with what it is made of in words. Does not belong here: the formula
(`health.py`), the looks themselves (`observations.py`, `expected.py`).

    uptime      share of the trailing day with all services standing
    completion  jobs that ran successfully ÷ jobs due, over the trailing day
    freshness   mean over connected sources of max(0, (threshold − staleness) ÷ threshold)
    errors      1 − failed runs ÷ all runs, over the trailing day
    tokens      clamp(baseline cost per delivered output ÷ actual), over the policy's `token_days`

What was not looked at is unknown, never well and never bad.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.fleet.expected import answered
from ops_platform.fleet.health import Reading
from ops_platform.fleet.observations import kept, uptime

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from ops_platform.fleet.model import Fleet

WINDOW = timedelta(days=1)
#: Of a day, at least this share must have been looked at for uptime to be known.
LEAST_SEEN = Decimal("0.5")
#: Names told of each factor; the rest is counted.
SHOWN = 3
_ZERO, _ONE = Decimal(0), Decimal(1)
_SOURCES = """
select connections.vendor, min(cursors.fresh_to), bool_or(cursors.fresh_to is null), count(cursors.vendor)
from ops.connections left join ops.cursors using (vendor)
where connections.connected
group by connections.vendor order by connections.vendor
"""
_RUNS = """
select job, count(*) filter (where status = 'failed'), count(*) from ops.receipts
where status <> 'running' and started_at >= %(start)s and started_at <= %(now)s
group by job order by job
"""
# An output is a document of one kind and period; it is delivered when a message of it is in its channel.
_TOKENS = """
select
    (select coalesce(sum(cost_usd), 0) from ops.token_ledger where created_at >= %(start)s and created_at <= %(now)s),
    (select count(distinct (kind, period_start, coalesce(document_id::text, dedupe_key))) from ops.outbox
     where state = 'sent' and sent_at >= %(start)s and sent_at <= %(now)s and document_id is not null)
"""


def readings(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> dict[str, Reading]:
    """Every factor as of `now` (aware)."""
    return {
        "uptime": uptime_reading(connection, fleet, now),
        "completion": completion_reading(connection, fleet, now),
        "freshness": freshness_reading(connection, fleet, now),
        "errors": error_reading(connection, now),
        "tokens": token_reading(connection, fleet, now),
    }


def uptime_reading(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> Reading:
    """Share of the trailing day with everything up; time nobody looked at is the width of its bounds."""
    start = now - WINDOW
    believed = timedelta(minutes=30 + fleet.health.patience_minutes)
    seen = uptime(kept(connection, start - believed, now), start, now, believed)
    known = seen.up + seen.down
    if not known:
        return Reading(None, detail="nobody has looked at the services in the last day")
    share = _ratio(seen.up, known)
    words = "everything stood" if not seen.down else f"{_span(seen.down)} not everything stood: {_named(seen.names)}"
    if seen.unknown >= timedelta(minutes=1):
        words += f"; {_span(seen.unknown)} nobody looked"
    if _ratio(known, WINDOW) < LEAST_SEEN:
        return Reading(None, detail=words)
    return Reading(share, _ratio(seen.up, WINDOW), _ratio(seen.up + seen.unknown, WINDOW), words)


def completion_reading(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> Reading:
    """Ticks of the trailing day answered by a run that succeeded; a tick that may still be answered is not counted."""
    patience = timedelta(minutes=fleet.health.patience_minutes)
    ticks = answered(connection, now - WINDOW, now, now, patience)
    settled = [tick for tick in ticks if tick.verdict != "open"]
    if not settled:
        waiting = f"{len(ticks)} may still be answered" if ticks else "none is on schedule"
        return Reading(None, detail=f"no job of the last day can be judged: {waiting}")
    bad = Counter(tick.job for tick in settled if tick.verdict != "succeeded")
    good = len(settled) - sum(bad.values())
    words = f"{good} of {len(settled)} due runs succeeded"
    if bad:
        missed = sum(tick.verdict == "missed" for tick in settled)
        words += f", {missed} did not happen: {_named([name for name, _ in bad.most_common()])}" if missed else (
            f"; failed: {_named([name for name, _ in bad.most_common()])}")  # fmt: skip
    return Reading.exact(Decimal(good) / len(settled), words)


def freshness_reading(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> Reading:
    """Mean over the connected sources of the share of their allowed staleness that is left. A source is as old as its
    oldest stream; one that never was whole is unknown, and stands between nothing and everything."""
    known: dict[str, Decimal] = {}
    never: list[str] = []
    for vendor, fresh_to, some_never, streams in connection.execute(_SOURCES).fetchall():
        source = fleet.sources.get(vendor)
        if source is None:
            continue
        if not streams or some_never or fresh_to is None:
            never.append(source.label)
            continue
        allowed = timedelta(hours=source.stale_after_hours)
        known[source.label] = max(_ZERO, _ratio(allowed - max(now - fresh_to, timedelta()), allowed))
    count = len(known) + len(never)
    if not known:
        return Reading(None, detail=f"never whole so far: {_named(never)}" if never else "no source is connected")
    total = sum(known.values(), _ZERO)
    old = [label for label, left in sorted(known.items(), key=lambda item: item[1]) if left == _ZERO]
    words = f"{len(known)} sources, {100 * total / len(known):.0f}% of their allowed age left"
    if old:
        words += f"; out of date: {_named(old)}"
    if never:
        words += f"; never whole: {_named(never)}"
    return Reading(total / len(known), total / count, (total + len(never)) / count, words)


def error_reading(connection: psycopg.Connection[Any], now: datetime) -> Reading:
    """The share of the trailing day's ended runs that did not fail, those started by hand and by sensors included."""
    rows = connection.execute(_RUNS, {"start": now - WINDOW, "now": now}).fetchall()
    runs = sum(row[2] for row in rows)
    if not runs:
        return Reading(None, detail="no run ended in the last day")
    failed = Counter({row[0]: row[1] for row in rows if row[1]})
    words = f"{sum(failed.values())} of {runs} runs failed"
    if failed:
        words += f": {_named([name for name, _ in failed.most_common()])}"
    return Reading.exact(1 - Decimal(sum(failed.values())) / runs, words)


def token_reading(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> Reading:
    """What a delivered output may cost ÷ what it did, at most 1. Outputs that cost nothing are at their best; cost
    without any output is at nothing; neither of both is unknown."""
    days, baseline = fleet.health.token_days, fleet.health.baseline_usd_per_output
    parameters = {"start": now - timedelta(days=days), "now": now}
    cost, outputs = connection.execute(_TOKENS, parameters).fetchone() or (_ZERO, 0)
    if not outputs:
        if not cost:
            return Reading(None, detail=f"nothing spent and nothing delivered in {days} days")
        return Reading.exact(_ZERO, f"{cost:.4f} USD spent in {days} days and nothing delivered")
    each = Decimal(cost) / outputs
    words = f"{each:.4f} USD for each of {outputs} delivered outputs in {days} days, {baseline} allowed"
    return Reading.exact(_ONE if each <= baseline else baseline / each, words)


def _ratio(part: timedelta, whole: timedelta) -> Decimal:
    microsecond = timedelta(microseconds=1)
    return Decimal(part // microsecond) / Decimal(whole // microsecond)


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _named(found: Iterable[str]) -> str:
    names = list(found)
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown

"""What the watch reads from the warehouse, and where its judgements are kept.

Belongs here: the SQL of both, what is a complete day, and whether the watch came to look at all. Does not belong here:
judging (`judge.py`).

A tick reads a bounded window of days, whatever the length of history. A flow's or level's day counts once its sources
were fresh to the day's end, a snapshot's once they were fresh to its start; until then the day is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, cast

from ops_platform.watch.judgement import Finding, Judgement, Reason, SeriesKey
from ops_platform.watch.series import Panel, Persistence, Reading, WatchedMetric

if TYPE_CHECKING:
    import psycopg

WINDOW_DAYS = 900  # a year of tails, over expectations that themselves look back a year
MOST_PARTS = 40  # values of a dimension that are watched, the largest ones
KEPT_DAYS = 760  # of judgements that found nothing; breaches are kept for ever
_RECENT_DAYS = 90

_METRICS = """
    select metric_id, label, unit, direction, aggregation, kind, minimum_effect, currency, division, owner, sources,
           to_jsonb(definition) ->> 'persistence' as persistence,
           coalesce((to_jsonb(definition) ->> 'usual_share')::float8, 1) as usual_share
    from metrics.dim_metric as definition
    where coalesce((to_jsonb(definition) ->> 'is_watched')::boolean, true)
      and (%(metrics)s::text[] is null or metric_id = any(%(metrics)s))
    order by metric_id
"""
_COMPLETE = """
    case definition.kind
        when 'snapshot' then days.fresh_to >= (days.date::timestamp at time zone %(zone)s)
        else days.fresh_to >= ((days.date + 1)::timestamp at time zone %(zone)s)
    end
"""
_SERIES = f"""
    select days.metric_id, days.dimension, days.dimension_value,
           array_agg((days.date - %(start)s::date) order by days.date) as places,
           array_agg(case when {_COMPLETE} then days.value::float8 end order by days.date) as known,
           array_agg(days.denominator::float8 order by days.date) as denominators,
           coalesce(sum(abs(days.value)) filter (where days.date > %(end)s::date - {_RECENT_DAYS}), 0) as size
    from metrics.fct_metric_daily as days
    inner join metrics.dim_metric as definition using (metric_id)
    where days.date between %(start)s and %(end)s and days.metric_id = any(%(metrics)s)
      and (%(parts)s or days.dimension = 'all')
    group by days.metric_id, days.dimension, days.dimension_value
    order by days.metric_id, days.dimension, days.dimension_value
"""
_READINGS = f"""
    select days.metric_id, days.dimension, days.dimension_value, days.date, days.value, days.denominator,
           days.numerator, days.fresh_to, days.tie_out, coalesce({_COMPLETE}, false) as is_complete
    from metrics.fct_metric_daily as days
    inner join metrics.dim_metric as definition using (metric_id)
    where days.date = any(%(days)s) and days.metric_id = any(%(metrics)s)
      and (%(parts)s or days.dimension = 'all')
"""
_CALENDAR = """
    select date, holiday_name, promotion_name from marts.dim_date
    where date between %s and %s and (is_holiday or is_promotion)
"""
_COLUMNS = (
    "found", "reason", "value", "expected_low", "expected", "expected_high", "effect", "effect_money", "closeness",
    "adverse", "since", "baseline", "explanation", "fresh_to", "tie_out",
)  # fmt: skip
_SAVE = f"""
    insert into ops.judgements as kept
        (metric_id, dimension, dimension_value, date, {", ".join(_COLUMNS)}, judged_at, first_judged_at)
    select *, %s, %s from incoming_judgements
    on conflict (metric_id, dimension, dimension_value, date) do update
    set {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)}, judged_at = excluded.judged_at
    where ({", ".join(f"kept.{name}" for name in _COLUMNS)})
        is distinct from ({", ".join(f"excluded.{name}" for name in _COLUMNS)})
"""

_LOOKED = """
    insert into ops.watch_looks as kept (step, tried_at, looked_at) values (%(step)s, %(now)s, %(now)s)
    on conflict (step) do update set tried_at = %(now)s, looked_at = %(now)s, failing_since = null, error = null
    where kept.tried_at <= %(now)s
"""
_DID_NOT_LOOK = """
    insert into ops.watch_looks as kept (step, tried_at, failing_since, error)
    values (%(step)s, %(now)s, %(now)s, %(error)s)
    on conflict (step) do update set
        tried_at = %(now)s, failing_since = coalesce(kept.failing_since, %(now)s), error = %(error)s
    where kept.tried_at <= %(now)s
"""
LONGEST_ERROR = 300

Step = Literal["judgements", "level_shifts"]


@dataclass(frozen=True, slots=True)
class LookState:
    """How a step of the watch stands: when it last looked at everything, and since when it fails, with why."""

    looked_at: datetime | None
    failing_since: datetime | None = None
    error: str | None = None


def metrics_watched(connection: psycopg.Connection[Any], names: Sequence[str] | None = None) -> list[WatchedMetric]:
    """The published metrics that are watched, by name; empty before the first publication."""
    if not _exists(connection, "metrics.dim_metric"):
        return []
    return [
        WatchedMetric(
            id=row["metric_id"], label=row["label"], unit=row["unit"], direction=row["direction"],
            aggregation=row["aggregation"], kind=row["kind"], minimum_effect=row["minimum_effect"],
            persistence=Persistence.parse(row["persistence"]), currency=row["currency"], division=row["division"],
            owner=row["owner"], sources=tuple(row["sources"] or ()), usual_share=row["usual_share"],
        )
        for row in _rows(connection, _METRICS, {"metrics": list(names) if names is not None else None})
    ]  # fmt: skip


def read_panel(
    connection: psycopg.Connection[Any],
    metrics: Sequence[WatchedMetric],
    *,
    end: date,
    zone: str,
    judged_days: Iterable[date],
    window: int = WINDOW_DAYS,
    parts: bool = True,
) -> Panel:
    """The series of `metrics` over the `window` days to `end`, with the exact rows of `judged_days`.

    With `parts` also every dimension's largest values. A part without a row on a day whose whole is known had nothing
    where that can be told (sums), and is unknown else; parts that had nothing for long are left out."""
    import numpy as np

    start = end - timedelta(days=window - 1)
    days = tuple(start + timedelta(days=number) for number in range(window))
    by_id = {metric.id: metric for metric in metrics}
    query: dict[str, Any] = {
        "start": start, "end": end, "zone": zone, "metrics": list(by_id), "parts": parts,
        "days": sorted(set(judged_days)),
    }  # fmt: skip
    rows = _largest(_rows(connection, _SERIES, query))
    keys = tuple(SeriesKey(row["metric_id"], row["dimension"], row["dimension_value"]) for row in rows)
    values, weights = (np.full((len(rows), window), np.nan) for _ in range(2))
    place = {key: number for number, key in enumerate(keys)}
    for number, row in enumerate(rows):
        places = np.array(row["places"], dtype=np.int64)
        values[number, places] = np.array(row["known"], dtype=np.float64)
        weights[number, places] = np.array(row["denominators"], dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    readings = {
        (key, row["date"]): _reading(row)
        for row in _rows(connection, _READINGS, query)
        if (key := SeriesKey(row["metric_id"], row["dimension"], row["dimension_value"])) in place
    }
    for key, number in place.items():
        whole = place.get(SeriesKey(key.metric_id))
        if key.dimension == "all" or whole is None or not by_id[key.metric_id].empty_is_zero:
            continue
        first = int(rows[number]["places"][0])
        present = np.zeros(window, dtype=bool)
        present[rows[number]["places"]] = True
        values[number, ~present & ~np.isnan(values[whole]) & (np.arange(window) > first)] = 0.0
        for day in query["days"]:
            of_whole = readings.get((SeriesKey(key.metric_id), day))
            if of_whole is not None and of_whole.value is not None and (key, day) not in readings:
                readings[key, day] = Reading(
                    Decimal(0), None, of_whole.fresh_to, of_whole.tie_out, of_whole.complete, Decimal(0)
                )
    return Panel(keys, by_id, days, values, weights, _labels(connection, days), readings)


def _largest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Wholes, and of each dimension the largest values that had anything of late."""
    dimensions: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        dimensions.setdefault((row["metric_id"], row["dimension"]), []).append(row)
    kept: list[dict[str, Any]] = []
    for (_, dimension), parts in dimensions.items():
        if dimension == "all":
            kept += parts
        else:
            living = [part for part in parts if part["size"] > 0]
            largest = sorted(living, key=lambda part: (-part["size"], part["dimension_value"]))[:MOST_PARTS]
            kept += sorted(largest, key=lambda part: part["dimension_value"])
    return kept


def _reading(row: dict[str, Any]) -> Reading:
    def finite(number: Decimal | None) -> Decimal | None:
        return number if number is not None and number.is_finite() else None

    return Reading(
        finite(row["value"]), finite(row["denominator"]), row["fresh_to"], row["tie_out"], row["is_complete"],
        finite(row["numerator"]),
    )  # fmt: skip


def _labels(connection: psycopg.Connection[Any], days: Sequence[date]) -> tuple[str, ...]:
    """Each day's holidays and promotions, as `holiday:Black Friday; promotion:Bfcm`; years are no part of a name."""
    if not days or not _exists(connection, "marts.dim_date"):
        return ("",) * len(days)
    named = {}
    for row in _rows(connection, _CALENDAR, (days[0], days[-1])):
        parts = [("holiday", row["holiday_name"]), ("promotion", row["promotion_name"])]
        named[row["date"]] = "; ".join(f"{kind}:{_timeless(name)}" for kind, name in parts if name)
    return tuple(named.get(day, "") for day in days)


def _timeless(name: str) -> str:
    return re.sub(r"\s*\b(19|20)\d\d\b", "", name).strip()


def company_zone(connection: psycopg.Connection[Any]) -> str | None:
    """The zone the warehouse was built for; None before the first build."""
    row = connection.execute("select timezone from ops.company").fetchone()
    return None if row is None else str(row[0])


def note_look(connection: psycopg.Connection[Any], step: Step, now: datetime) -> None:
    """The step has looked at everything, as of `now`. The caller commits."""
    connection.execute(_LOOKED.encode(), {"step": step, "now": now})


def note_failed_look(connection: psycopg.Connection[Any], step: Step, now: datetime, error: BaseException) -> str:
    """The step did not come to look; returns why, in one line. The caller commits."""
    text = " ".join("".join(char if char.isprintable() else " " for char in str(error)).split())
    why = f"{type(error).__name__}: {text}"[:LONGEST_ERROR] if text else type(error).__name__
    connection.execute(_DID_NOT_LOOK.encode(), {"step": step, "now": now, "error": why})
    return why


def look_states(connection: psycopg.Connection[Any]) -> dict[str, LookState]:
    """How each step of the watch stands; what never tried is not among them."""
    rows = connection.execute("select step, looked_at, failing_since, error from ops.watch_looks").fetchall()
    return {step: LookState(*rest) for step, *rest in rows}


def save(connection: psycopg.Connection[Any], found: Sequence[Judgement]) -> int:
    """Keep judgements; one that says the same as the one kept changes nothing. Returns how many were new or changed.

    The caller commits."""
    if not found:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "create temporary table if not exists incoming_judgements on commit drop as"
            f" select metric_id, dimension, dimension_value, date, {', '.join(_COLUMNS)} from ops.judgements limit 0"
        )
        cursor.execute("truncate incoming_judgements")
        with cursor.copy("copy incoming_judgements from stdin") as copy:
            for each in found:
                copy.write_row(_row(each))
        now = max(each.judged_at for each in found)
        cursor.execute(cast("Any", _SAVE), (now, now))
        return cursor.rowcount


def _row(each: Judgement) -> tuple[Any, ...]:
    return (
        each.key.metric_id, each.key.dimension, each.key.dimension_value, each.day, each.found.value,
        each.reason.value if each.reason else None, each.value, each.expected_low, each.expected, each.expected_high,
        each.effect, each.effect_money, each.closeness, each.adverse, each.since, each.baseline, each.explanation,
        each.fresh_to, each.tie_out,
    )  # fmt: skip


def latest(connection: psycopg.Connection[Any], *, since: date, names: Sequence[str] | None = None) -> list[Judgement]:
    """The newest judgement of each series that says something, from `since` on: an unknown one only where there is no
    other of that span, so that a day still incomplete does not hide the day before."""
    return _read(
        connection,
        "select distinct on (metric_id, dimension, dimension_value) * from ops.judgements"
        " where date >= %(since)s and (%(names)s::text[] is null or metric_id = any(%(names)s))"
        " order by metric_id, dimension, dimension_value,"
        " (found = 'unknown' and coalesce(reason, '') = 'incomplete'), date desc",
        {"since": since, "names": list(names) if names is not None else None},
    )


def judged_on(connection: psycopg.Connection[Any], day: date) -> list[Judgement]:
    """Every judgement of one day."""
    return _read(
        connection,
        "select * from ops.judgements where date = %(day)s order by metric_id, dimension, dimension_value",
        {"day": day},
    )


def history(connection: psycopg.Connection[Any], metric_id: str, days: int) -> list[Judgement]:
    """The newest `days` judgements of a whole metric, newest first."""
    return _read(
        connection,
        "select * from ops.judgements where metric_id = %(metric)s and dimension = 'all' order by date desc"
        " limit %(days)s",
        {"metric": metric_id, "days": days},
    )


def _read(connection: psycopg.Connection[Any], query: str, params: dict[str, Any]) -> list[Judgement]:
    return [
        Judgement(
            SeriesKey(row["metric_id"], row["dimension"], row["dimension_value"]), row["date"], Finding(row["found"]),
            row["judged_at"], reason=Reason(row["reason"]) if row["reason"] else None,
            **{name: row[name] for name in _COLUMNS if name not in ("found", "reason")},
        )
        for row in _rows(connection, query, params)
    ]  # fmt: skip


def prune(connection: psycopg.Connection[Any], today: date) -> int:
    """Forget what found nothing long ago. Returns how many went; the caller commits."""
    cursor = connection.execute(
        "delete from ops.judgements where date < %s and found <> 'breached'", (today - timedelta(days=KEPT_DAYS),)
    )
    return cursor.rowcount


def save_shifts(
    connection: psycopg.Connection[Any], shifts: Iterable[tuple[SeriesKey, date, Decimal, Decimal]], now: datetime
) -> int:
    """Keep level shifts as (series, first day of the new level, level before, after). The caller commits."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.level_shifts (metric_id, dimension, dimension_value, date, before, after, found_at)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            [
                (key.metric_id, key.dimension, key.dimension_value, day, low, high, now)
                for key, day, low, high in shifts
            ],
        )
        return max(cursor.rowcount, 0)


def read_shifts(connection: psycopg.Connection[Any], since: date) -> list[tuple[SeriesKey, date, Decimal, Decimal]]:
    """The level shifts found whose new level began on `since` or later."""
    return [
        (
            SeriesKey(row["metric_id"], row["dimension"], row["dimension_value"]),
            row["date"],
            row["before"],
            row["after"],
        )
        for row in _rows(connection, "select * from ops.level_shifts where date >= %s order by date", (since,))
    ]


def _exists(connection: psycopg.Connection[Any], relation: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", (relation,)).fetchone()
    return bool(row and row[0])


def _rows(connection: psycopg.Connection[Any], query: str, params: Any) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(cast("Any", query), params).fetchall()

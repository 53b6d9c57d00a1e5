"""Judgements of metrics become signals.

Belongs here: which judgements are news to the alert machine, how loud they are, what they depend on. Does not belong
here: judging (`ops_platform.watch`), rules (`rules.py`), what becomes of a signal (`cycle.py`).

Persistence (k of n days) is the watch's: a judgement that breached has breached for long enough.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.signal import Driver, Severity, Signal, Subject, SubjectKind
from ops_platform.clock import business_day
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime

    import psycopg

    from ops_platform.fleet import Fleet

    Explain = Callable[[psycopg.Connection[Any], str, date], tuple[Driver, ...]]

# Days the machine can have missed and is still told of; older ones are history.
LOOK_BACK = timedelta(days=14)
# Nothing happened that a rate could be of: that is neither a look nor an outage.
_NO_LOOK = "nothing_to_divide"
_NEWS = """
with judged as (
    select
        judgements.*,
        row_number() over (
            partition by metric_id, dimension, dimension_value
            order by (found = 'unknown' and coalesce(reason, '') = 'incomplete'), date desc
        ) = 1 as is_latest
    from ops.judgements
    where date >= %(since)s and coalesce(reason, '') <> %(no_look)s
),

seen as (
    select name, dimension, value, (looks -> -1 ->> 0)::date as day
    from ops.alert_conditions
    where kind = 'metric'
)

select
    judged.*, definition.label, definition.unit, definition.division, definition.owner,
    definition.required_sources
from judged
inner join metrics.dim_metric as definition using (metric_id)
left join seen
    on judged.metric_id = seen.name and judged.dimension = seen.dimension and judged.dimension_value = seen.value
where judged.is_latest or (judged.found <> 'unknown' and judged.date > seen.day)
order by judged.date, judged.metric_id, judged.dimension, judged.dimension_value
"""


def judgement_signals(
    connection: psycopg.Connection[Any], fleet: Fleet, now: datetime, *, explain: Explain | None = None
) -> list[Signal]:
    """The newest judgement of every series, and those of days the machine has not looked at since it last looked.

    `explain` gives the drivers of a metric's day, asked only where a whole has breached. Empty before the first
    publication."""
    from psycopg.rows import dict_row

    row = connection.execute("select to_regclass('metrics.dim_metric') is not null").fetchone()
    if row is None or not row[0]:
        return []
    today = business_day(now, fleet.company.timezone)
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_NEWS, {"since": today - LOOK_BACK, "no_look": _NO_LOOK}).fetchall()
    part = Severity(fleet.alerts.part_severity)
    return [_signal(row, part, _drivers(connection, row, explain)) for row in rows]


def _drivers(
    connection: psycopg.Connection[Any], row: Mapping[str, Any], explain: Explain | None
) -> tuple[Driver, ...]:
    if explain is None or row["found"] != Finding.BREACHED or row["dimension"] != "all":
        return ()
    return explain(connection, row["metric_id"], row["date"])


def _signal(row: Mapping[str, Any], part: Severity, drivers: tuple[Driver, ...]) -> Signal:
    subject = Subject(SubjectKind.METRIC, row["metric_id"], row["dimension"], row["dimension_value"])
    whole = subject.dimension == "all"
    return Signal(
        subject=subject,
        found=Finding(row["found"]),
        period=row["date"],
        observed_at=row["judged_at"],
        label=row["label"] if whole else f"{row['label']} ({subject.value})",
        severity=Severity.ALERT if whole else part,
        unit=row["unit"],
        value=row["value"],
        expected_low=row["expected_low"],
        expected=row["expected"],
        expected_high=row["expected_high"],
        effect=row["effect"],
        effect_money=row["effect_money"],
        closeness=row["closeness"],
        adverse=row["adverse"],
        since=row["since"],
        drivers=drivers,
        depends_on=tuple(row["required_sources"] or ()),
        division=row["division"],
        owner=row["owner"],
        explanation=row["explanation"],
    )

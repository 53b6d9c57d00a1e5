"""What a narrative is told besides the warehouse's metrics: judgements, incidents, actions, the tier below.

Belongs here: those values, and reading the ones that are the platform's own tables. Does not belong here: action items
(`ops_platform.action_items` keeps them), what becomes of all this (`evidence.period`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.concerns import Judged
from ops_platform.evidence.metrics import finite
from ops_platform.evidence.spans import Tier, span_of
from ops_platform.evidence.store import load_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    import psycopg

    from ops_platform.evidence.calendar import Calendar
    from ops_platform.evidence.model import Bundle, Fact
    from ops_platform.evidence.spans import Span

#: A narrative is written so long after its last day ended; incidents of its period are those known by then.
TOLD_AFTER = timedelta(hours=6, minutes=30)
BELOW: dict[Tier, Tier] = {"weekly": "daily", "monthly": "weekly"}
_JUDGED = """
select metric_id, count(*) filter (where adverse) as adverse, count(*) filter (where not adverse) as favourable,
    max(closeness) as closeness
from ops.judgements
where found = 'breached' and dimension = 'all' and date between %(first)s and %(last)s
group by metric_id
"""
_INCIDENTS = """
select id, head, label, severity, division, owner, since, opened_at, resolved_at
from ops.alerts
where severity <> 'watch' and opened_at < %(until)s
    and (opened_at >= %(from)s or resolved_at is null or resolved_at >= %(from)s)
order by severity <> 'critical', opened_at, id
"""
# Of a period told twice (its evidence changed) the last word counts.
_BELOW = """
select distinct on (period_start) id, period_start, evidence_digest
from ops.documents
where kind = %(kind)s and period_end between %(first)s and %(last)s
order by period_start, id desc
"""


@dataclass(frozen=True, slots=True)
class Incident:
    """An alert of level alert or critical that touched the span. `label` may hold a vendor's words. `opened` is true
    where it began within the span, `over` where it also ended by its end."""

    number: int
    subject: str
    label: str
    severity: str
    division: str | None
    owner: str | None
    since: date
    opened: bool
    over: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A narrative of the tier below: which, and the evidence it stood on."""

    document_id: int
    day: date
    bundle: Bundle


@dataclass(frozen=True)
class NarrativeContext:
    """`below` are the narratives that exist of the tier below, by the first day of their period; `expected_below` the
    first days of all there should be. `silence` are the facts of what silence covered. `unproven_since` is set when the
    newest build of the warehouse did not pass its tests: no number of it is then published."""

    judged: Mapping[str, Judged] = field(default_factory=dict)
    incidents: Sequence[Incident] = ()
    below: Sequence[Told] = ()
    expected_below: Sequence[date] = ()
    silence: Sequence[Fact] = ()
    unproven_since: datetime | None = None


def read_context(
    connection: psycopg.Connection[Any],
    span: Span,
    calendar: Calendar,
    *,
    silence: Sequence[Fact] = (),
    unproven_since: datetime | None = None,
) -> NarrativeContext:
    """The context of `span`, from a connection that may read the platform's tables. Writes nothing."""
    from psycopg.rows import dict_row

    since = calendar.start_of(span.start) + TOLD_AFTER
    until = calendar.end_of(span.end) + TOLD_AFTER
    with connection.cursor(row_factory=dict_row) as cursor:
        judged = {
            row["metric_id"]: Judged(row["adverse"], row["favourable"], finite(row["closeness"]) or Decimal(1))
            for row in cursor.execute(_JUDGED, {"first": span.start, "last": span.end})
        }
        incidents = tuple(
            Incident(
                row["id"], row["head"], row["label"], row["severity"], row["division"], row["owner"], row["since"],
                row["opened_at"] >= since, row["resolved_at"] is not None and row["resolved_at"] < until,
            )
            for row in cursor.execute(_INCIDENTS, {"from": since, "until": until})
        )  # fmt: skip
        below = BELOW.get(span.tier)
        told: list[Told] = []
        if below is not None:
            rows = cursor.execute(
                _BELOW, {"kind": f"narrative_{below}", "first": span.start, "last": span.end}
            ).fetchall()
            told = [
                Told(row["id"], row["period_start"], load_bundle(connection, row["evidence_digest"])) for row in rows
            ]
    return NarrativeContext(judged, incidents, tuple(told), expected_below(span), tuple(silence), unproven_since)


def expected_below(span: Span) -> tuple[date, ...]:
    """The first days of the periods of the tier below that ended within the span."""
    below = BELOW.get(span.tier)
    if below is None:
        return ()
    firsts = dict.fromkeys(span_of(below, day).start for day in span.each_day())
    return tuple(first for first in firsts if span.start <= span_of(below, first).end <= span.end)

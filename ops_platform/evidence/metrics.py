"""Metric readings from the daily metric table, as facts.

Belongs here: reading `metrics.dim_metric` and `metrics.fct_metric_daily`, and the rules that decide whether a
reading is known, stale or unknown. Does not belong here: which facts a document needs (`evidence.pulse`),
whether they are good news (`evidence.judgement`).

The rules. A day's flow (sales, orders) is known only when its row has a value **and** the data were fresh to the
end of that day: a number of half a day is not the day's number. A state (stock, late orders) is read from
today's row or else yesterday's; not fresh to the start of today it is stale and shown with its age, past the
source's limit it is unknown. A missing row, a NULL, a missing table: unknown, since the last moment known.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast, get_args

from ops_platform.evidence.calendar import DAY, WEEKDAYS
from ops_platform.evidence.model import (
    CompanyProfile,
    Comparison,
    Direction,
    Fact,
    Source,
    Status,
    TieOut,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import psycopg

    from ops_platform.evidence.calendar import Calendar

METRIC_TABLE = "metrics.fct_metric_daily"
_DEFINITIONS = """
select metric_id, label, unit, direction, aggregation, currency, target, minimum_effect, division, sources, in_pulse,
       to_jsonb(definition) ->> 'kind' as kind
from metrics.dim_metric as definition
order by metric_id
"""
_READINGS = """
select metric_id, date, dimension, dimension_value, value, numerator, denominator, fresh_to, tie_out
from metrics.fct_metric_daily
where date between %(start)s and %(end)s and dimension = any(%(dimensions)s)
  and (%(metrics)s::text[] is null or metric_id = any(%(metrics)s))
"""
_LAST_KNOWN_BEFORE = """
select metric_id, max(date) as date
from metrics.fct_metric_daily
where value is not null and dimension = 'all' and date < %(start)s
  and (%(metrics)s::text[] is null or metric_id = any(%(metrics)s))
group by metric_id
"""
_ONE_READING = (
    "select value from metrics.fct_metric_daily where metric_id = %(metric_id)s and date = %(date)s"
    " and dimension = %(dimension)s and dimension_value = %(dimension_value)s"
)
_PRIVILEGES = """
select n.nspname || '.' || c.relname as relation,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname || '.' || c.relname = any(%s)
"""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's definition, as `metrics.dim_metric` has it (or as a document assumes it before that exists)."""

    id: str
    label: str
    unit: Unit
    direction: Direction = "neutral"
    aggregation: str = "sum"
    currency: str | None = None
    target: Decimal | None = None
    minimum_effect: Decimal | None = None
    division: str = ""
    sources: tuple[str, ...] = ()
    in_pulse: bool = False
    kind: str | None = None

    @property
    def is_state(self) -> bool:
        """True for what is counted as it stands (stock), false for what happens during a day (sales). The
        warehouse may say so itself (`kind`: flow, level, snapshot); else the aggregation tells."""
        return self.kind in ("level", "snapshot") if self.kind else self.aggregation == "last"

    @property
    def vendors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source.partition(".")[0] for source in self.sources))


@dataclass(frozen=True, slots=True)
class Reading:
    value: Decimal | None
    numerator: Decimal | None
    denominator: Decimal | None
    fresh_to: datetime | None
    tie_out: TieOut


class Warehouse:
    """Read-only access to the evidence relations, every query on one snapshot of the database."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.readable: frozenset[str] = frozenset()
        self.denied: frozenset[str] = frozenset()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """One consistent view for the whole reading, so that a rebuild in between cannot mix two states. Inside
        a transaction of the caller, that transaction's view is used."""
        from psycopg.pq import TransactionStatus

        if self._connection.info.transaction_status != TransactionStatus.IDLE:
            yield
            return
        with self._connection.transaction():
            self._connection.execute("set transaction isolation level repeatable read, read only")
            yield

    def probe(self, relations: Iterable[str]) -> None:
        """Find out which relations exist and may be read; before the first build, none may exist."""
        wanted = sorted(set(relations))
        rows = self.rows(_PRIVILEGES, (wanted,))
        self.readable = frozenset(row["relation"] for row in rows if row["readable"])
        self.denied = frozenset(row["relation"] for row in rows if not row["readable"])

    def has(self, relation: str) -> bool:
        return relation in self.readable

    def rows(self, query: str, params: Any = None) -> list[dict[str, Any]]:
        from psycopg.rows import dict_row

        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(cast("Any", query), params).fetchall()


class MetricReader:
    """The metrics' readings in a window of days up to `as_of`, and facts made of them. `only` names the metrics that
    are read; None reads all."""

    def __init__(
        self,
        warehouse: Warehouse,
        calendar: Calendar,
        company: CompanyProfile,
        *,
        days: int,
        dimensions: Sequence[str] = ("all",),
        only: Sequence[str] | None = None,
    ) -> None:
        self.calendar = calendar
        self.company = company
        self.notes: list[str] = []
        self._warehouse = warehouse
        self._stale_after = {source.vendor: source.stale_after_hours for source in company.sources}
        self.metrics = self._load_metrics()
        self._readings: dict[tuple[str, date, str, str], Reading] = {}
        self._last_known: dict[str, date] = {}
        self._sync_ids = self._load_sync_ids()
        if warehouse.has(METRIC_TABLE):
            self._load_readings(days, dimensions, only)

    def _load_metrics(self) -> dict[str, Metric]:
        if not self._warehouse.has("metrics.dim_metric"):
            return {}
        found = {}
        for row in self._warehouse.rows(_DEFINITIONS):
            if row["unit"] not in get_args(Unit) or row["direction"] not in get_args(Direction):
                self.notes.append(f"metric {row['metric_id']} is left out: unit or direction unknown")
                continue
            found[row["metric_id"]] = Metric(
                id=row["metric_id"],
                label=row["label"],
                unit=row["unit"],
                direction=row["direction"],
                aggregation=row["aggregation"],
                currency=row["currency"],
                target=row["target"],
                minimum_effect=row["minimum_effect"],
                division=row["division"] or "",
                sources=tuple(row["sources"] or ()),
                in_pulse=bool(row["in_pulse"]),
                kind=row["kind"],
            )
        return found

    def _load_readings(self, days: int, dimensions: Sequence[str], only: Sequence[str] | None) -> None:
        end = self.calendar.today
        metrics = None if only is None else list(only)
        params = {"start": end - days * DAY, "end": end, "dimensions": list(dimensions), "metrics": metrics}
        for row in self._warehouse.rows(_READINGS, params):
            key = (row["metric_id"], row["date"], row["dimension"], row["dimension_value"])
            self._readings[key] = Reading(
                finite(row["value"]),
                finite(row["numerator"]),
                finite(row["denominator"]),
                row["fresh_to"],
                as_tie_out(row["tie_out"]),
            )
        for row in self._warehouse.rows(_LAST_KNOWN_BEFORE, {"start": params["start"], "metrics": metrics}):
            self._last_known[row["metric_id"]] = row["date"]

    def _load_sync_ids(self) -> dict[str, int]:
        """The sync of each stream that last changed it: a sync that found nothing new changes no evidence."""
        if not self._warehouse.has("ops.sync_runs"):
            return {}
        query = (
            "select vendor || '.' || stream as source, max(id) as id from ops.sync_runs"
            " where status = 'succeeded' and inserted + updated + deleted > 0 and started_at <= %s group by 1"
        )
        return {row["source"]: row["id"] for row in self._warehouse.rows(query, (self.calendar.as_of,))}

    def reading(
        self, metric_id: str, day: date, dimension: str = "all", dimension_value: str = "all"
    ) -> Reading | None:
        return self._readings.get((metric_id, day, dimension, dimension_value))

    def value(self, metric_id: str, day: date, dimension: str = "all", dimension_value: str = "all") -> Decimal | None:
        found = self.reading(metric_id, day, dimension, dimension_value)
        return found.value if found else None

    def dimension_values(self, metric_id: str, day: date, dimension: str) -> list[str]:
        return sorted(key[3] for key in self._readings if key[:3] == (metric_id, day, dimension))

    def source(self, metric: Metric, query: str = "", params: dict[str, str] | None = None) -> Source:
        ids = (self._sync_ids[name] for name in metric.sources if name in self._sync_ids)
        return Source(METRIC_TABLE, query, tuple(sorted((params or {}).items())), tuple(sorted(ids)))

    def day_read(self, metric: Metric, dimension: str = "all", dimension_value: str = "all") -> date:
        """The day whose row a fact of the metric shows: yesterday; today for a state that has one."""
        today = self.calendar.today
        if metric.is_state and self.value(metric.id, today, dimension, dimension_value) is not None:
            return today
        return self.calendar.yesterday

    def status_of(self, metric: Metric, day: date, reading: Reading | None) -> tuple[Status, datetime | None]:
        """Whether the reading may be published as that day's number, and if not, since when it is unknown."""
        fresh_to = reading.fresh_to if reading else None
        if reading is None or reading.value is None:
            return "unknown", self._unknown_since(metric, day, fresh_to)
        if fresh_to is None:
            return "known", None
        if not metric.is_state:
            return ("unknown", fresh_to) if fresh_to < self.calendar.end_of(day) else ("known", None)
        if fresh_to >= self.calendar.start_of(self.calendar.today):
            return "known", None
        if self.calendar.as_of - fresh_to > self.stale_after(metric):
            return "unknown", fresh_to
        return "stale", None

    def stale_after(self, metric: Metric) -> timedelta:
        """How old a state may be before it is unknown: the strictest limit of the metric's sources."""
        return timedelta(hours=min((self._stale_after.get(vendor, 26) for vendor in metric.vendors), default=26))

    def _unknown_since(self, metric: Metric, day: date, fresh_to: datetime | None) -> datetime | None:
        """The end of the last day that had a value, or the moment the source stopped when that is earlier."""
        moments = [fresh_to] if fresh_to is not None and fresh_to < self.calendar.end_of(day) else []
        known = (key for key, found in self._readings.items() if found.value is not None)
        days = (key[1] for key in known if _total_before(key, metric.id, day))
        last = max(days, default=self._last_known.get(metric.id))
        if last is not None:
            moments.append(self.calendar.end_of(last))
        return min(moments, default=None)

    def fact(
        self,
        metric: Metric,
        *,
        fact_id: str | None = None,
        label: str | None = None,
        dimension: str = "all",
        dimension_value: str = "all",
    ) -> Fact:
        """The metric's fact for yesterday (for a state: as it stands), with its usual comparisons: the same
        weekday a week before and the day before (a state the other way round), then its target."""
        day = self.day_read(metric, dimension, dimension_value)
        found = self.reading(metric.id, day, dimension, dimension_value)
        status, since = self.status_of(metric, day, found)
        value = found.value if found and status != "unknown" else None

        def base(days: int) -> Decimal | None:
            return self.value(metric.id, day - days * DAY, dimension, dimension_value)

        week = Comparison.between("same_weekday", f"{WEEKDAYS[day.weekday()]} last week", value, base(7))
        eve = Comparison.between("day_before", "the day before", value, base(1))
        comparisons = [eve, week] if metric.is_state else [week, eve]
        if metric.target is not None and dimension == "all":
            comparisons.append(Comparison.between("target", "target", value, metric.target))
        params = {
            "metric_id": metric.id,
            "date": day.isoformat(),
            "dimension": dimension,
            "dimension_value": dimension_value,
        }
        return Fact(
            id=fact_id or metric.id,
            label=label or metric.label,
            unit=metric.unit,
            value=value,
            currency=(metric.currency or self.company.currency) if metric.unit == "money" else None,
            period=self.calendar.day_period(day),
            comparisons=tuple(comparisons),
            direction=metric.direction,
            status=status,
            unknown_since=since,
            fresh_to=found.fresh_to if found else None,
            tie_out=found.tie_out if found else "unknown",
            source=self.source(metric, _ONE_READING, params),
        )


def _total_before(key: tuple[str, date, str, str], metric_id: str, day: date) -> bool:
    return key[0] == metric_id and key[1] < day and key[2] == "all"


def as_tie_out(text: str | None) -> TieOut:
    """A tie-out status of the warehouse; anything but matched or mismatched says nothing."""
    return cast("TieOut", text) if text in ("matched", "mismatched") else "unknown"


def finite(value: Any) -> Decimal | None:
    """A numeric column as a Decimal; NULL and NaN are unknown."""
    if value is None:
        return None
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    return number if number.is_finite() else None


def as_proven(fact: Fact, unproven_since: datetime | None) -> Fact:
    """The fact, or where it is a metric's and the metrics are unproven since a moment: unknown since then."""
    if unproven_since is None or fact.source.relation != METRIC_TABLE:
        return fact
    return replace(
        fact, value=None, text=None, day=None, comparisons=(), status="unknown", superlative=None,
        unknown_since=min(unproven_since, fact.unknown_since or unproven_since),
    )  # fmt: skip

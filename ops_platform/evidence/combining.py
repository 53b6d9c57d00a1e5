"""Days made into a period: one number a metric and span, by the metric's own way of adding up.

Belongs here: reading the days of several spans at once, combining them, and the facts that come of it. Does not belong
here: which facts a document needs (`evidence.period`), a single morning's readings (`evidence.metrics`).

The rules. A flow is the sum of its days, and one unknown day makes it unknown: a week without one of its days is
another number. A ratio or an average is the sum of the numerators over the sum of the denominators, never a mean of
daily values; where there was nothing to divide by it is undefined, which is not unknown, and gives no fact. A state is
what it was at the close of the last day. A part of a dimension without a row on a day had nothing that day, as long as
the whole is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.calendar import Calendar
from ops_platform.evidence.metrics import METRIC_TABLE, Metric, MetricReader, Warehouse, finite
from ops_platform.evidence.model import Comparison, Fact, TieOut
from ops_platform.evidence.spans import comparison_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops_platform.evidence.model import CompanyProfile
    from ops_platform.evidence.spans import Span

_DAYS = """
select spans.name as span, daily.metric_id, daily.dimension, daily.dimension_value,
    count(*) as days, count(daily.value) as known, sum(daily.value) as total,
    count(daily.numerator) as numerators, sum(daily.numerator) as numerator,
    count(daily.denominator) as denominators, sum(daily.denominator) as denominator,
    max(daily.value) filter (where daily.date = spans.last) as closing,
    min(daily.fresh_to) filter (where daily.date = spans.last) as fresh_to,
    bool_or(daily.tie_out = 'mismatched') as mismatched, bool_and(daily.tie_out = 'matched') as matched
from metrics.fct_metric_daily as daily
join unnest(%(names)s::text[], %(firsts)s::date[], %(lasts)s::date[]) as spans (name, first, last)
    on daily.date between spans.first and spans.last
where daily.dimension = any(%(dimensions)s)
group by 1, 2, 3, 4
"""
_SUM = (
    "select sum(value) from metrics.fct_metric_daily where metric_id = %(metric_id)s and dimension = 'all'"
    " and date between %(start)s and %(end)s"
)
_RATIO = (
    "select sum(numerator) / sum(denominator) from metrics.fct_metric_daily where metric_id = %(metric_id)s"
    " and dimension = 'all' and date between %(start)s and %(end)s"
)
_CLOSING = (
    "select value from metrics.fct_metric_daily where metric_id = %(metric_id)s and dimension = 'all'"
    " and date = %(end)s"
)
PLAN_METRIC, PLANNED_METRIC = "revenue_plan_attainment", "net_sales"
_PLACES = Decimal("0.00000001")  # the metric table's own rounding of quotients


@dataclass(frozen=True, slots=True)
class Combined:
    """A metric over a span. `value` None is unknown, unless `undefined`: then there was nothing to divide by."""

    value: Decimal | None
    undefined: bool = False
    fresh_to: datetime | None = None
    tie_out: TieOut = "unknown"
    denominator: Decimal | None = None


NOTHING = Combined(None)


class PeriodReader:
    """Every metric over `span` and the spans it is held against."""

    def __init__(
        self,
        warehouse: Warehouse,
        calendar: Calendar,
        company: CompanyProfile,
        span: Span,
        *,
        dimensions: Sequence[str] = ("all",),
    ) -> None:
        self.span = span
        self.calendar = calendar
        self.company = company
        self.against = comparison_names(span)
        # Definitions, the newest syncs and the days before are read as for a morning.
        self.mornings = MetricReader(warehouse, calendar, company, days=max((calendar.today - span.start).days, 1))
        self.metrics: Mapping[str, Metric] = self.mornings.metrics
        self._spans: dict[str, Span] = {"span": span} | {role: each[2] for role, each in self.against.items()}
        self._rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        if warehouse.has(METRIC_TABLE):
            self._read(warehouse, dimensions)

    def _read(self, warehouse: Warehouse, dimensions: Sequence[str]) -> None:
        params = {
            "names": list(self._spans),
            "firsts": [each.start for each in self._spans.values()],
            "lasts": [each.end for each in self._spans.values()],
            "dimensions": list(dimensions),
        }
        for row in warehouse.rows(_DAYS, params):
            self._rows[(row["span"], row["metric_id"], row["dimension"], row["dimension_value"])] = row

    def combined(self, metric: Metric, role: str = "span") -> Combined:
        """The whole metric over the span of that role (`span`, or a role of `against`)."""
        row = self._rows.get((role, metric.id, "all", "all"))
        span = self._spans.get(role)
        if row is None or span is None:
            return NOTHING
        ties: TieOut = "mismatched" if row["mismatched"] else "matched" if row["matched"] else "unknown"
        fresh_to = row["fresh_to"]
        undefined = False
        denominator = finite(row["denominator"]) if row["denominators"] == span.days else None
        if metric.is_state or metric.aggregation == "last":
            value = finite(row["closing"])
        elif metric.aggregation == "sum":
            value = finite(row["total"]) if row["known"] == span.days else None
        else:
            value, undefined = _quotient(row, span.days)
        if role == "span" and self._too_old(metric, fresh_to, span):
            value = None
        return Combined(value, undefined and value is None, fresh_to, ties, denominator)

    def _too_old(self, metric: Metric, fresh_to: datetime | None, span: Span) -> bool:
        """Whether the newest data end before the span does: a flow needs its last day whole, a state its beginning."""
        if fresh_to is None:
            return False
        needed = self.calendar.start_of(span.end) if metric.is_state else self.calendar.end_of(span.end)
        return fresh_to < needed

    def parts(self, metric_id: str, dimension: str, role: str = "span") -> dict[str, Decimal]:
        """The values of a dimension over a span, for a flow that is summed; a part with an unknown day is left out of
        nothing: then there are none at all."""
        rows = {key[3]: row for key, row in self._rows.items() if key[:3] == (role, metric_id, dimension)}
        if any(row["known"] != row["days"] for row in rows.values()):
            return {}
        return {name: number for name, row in rows.items() if (number := finite(row["total"])) is not None}

    def dimensions_of(self, metric_id: str) -> list[str]:
        return sorted({key[2] for key in self._rows if key[1] == metric_id and key[2] != "all"})

    def fact(self, metric: Metric, *, fact_id: str | None = None) -> Fact | None:
        """The metric over the span with its comparisons, its target and, for net sales of a month, the plan; None where
        it is undefined. What is unknown is unknown since the last day that was known."""
        found = self.combined(metric)
        if found.undefined:
            return None
        value = found.value
        comparisons = [
            Comparison.between(name, label, value, self.combined(metric, role).value)
            for role, (name, label, _) in self.against.items()
        ]
        if metric.id == PLANNED_METRIC and self.span.tier == "monthly":
            comparisons.append(Comparison.between("plan", "plan", value, self._plan(value)))
        if metric.target is not None:
            # A target of a flow is a day's: a period's is that of all its days.
            times = self.span.days if metric.aggregation == "sum" and not metric.is_state else 1
            comparisons.append(Comparison.between("target", "target", value, metric.target * times))
        query = _CLOSING if metric.is_state or metric.aggregation == "last" else (
            _SUM if metric.aggregation == "sum" else _RATIO
        )  # fmt: skip
        params = {
            "metric_id": metric.id, "start": self.span.start.isoformat(), "end": self.span.end.isoformat(),
        }  # fmt: skip
        return Fact(
            id=fact_id or metric.id,
            label=metric.label,
            unit=metric.unit,
            value=value,
            currency=(metric.currency or self.company.currency) if metric.unit == "money" else None,
            period=self.span.period,
            comparisons=tuple(comparisons),
            direction=metric.direction,
            status="known" if value is not None else "unknown",
            unknown_since=None if value is not None else self._unknown_since(metric, found.fresh_to),
            fresh_to=found.fresh_to,
            tie_out=found.tie_out,
            source=self.mornings.source(metric, query, params),
        )

    def _plan(self, value: Decimal | None) -> Decimal | None:
        """The plan of the month: what its last day's plan attainment, kept for the month to date, is divided by."""
        metric = self.metrics.get(PLAN_METRIC)
        if metric is None or value is None:
            return None
        reading = self.mornings.reading(PLAN_METRIC, self.span.end)
        return reading.denominator if reading else None

    def _unknown_since(self, metric: Metric, fresh_to: datetime | None) -> datetime | None:
        """The first moment that is not known: when the source stopped, or the end of the last day before a gap."""
        moments = []
        if fresh_to is not None and self._too_old(metric, fresh_to, self.span):
            moments.append(fresh_to)
        days: list[date] = [self.span.end] if metric.is_state else self.span.each_day()
        for day in days:
            reading = self.mornings.reading(metric.id, day)
            known = reading is not None and (
                reading.value is not None or (metric.aggregation != "sum" and reading.numerator is not None)
            )
            if not known:
                since = self.mornings.status_of(metric, day, None)[1]
                if since is not None:
                    moments.append(since)
                break
        return min(moments, default=None)


def _quotient(row: Mapping[str, Any], days: int) -> tuple[Decimal | None, bool]:
    """Sum over sum, rounded as the metric table rounds; (None, True) where there is nothing to divide by."""
    if row["numerators"] != days or row["denominators"] != days:
        return None, False
    upper, lower = finite(row["numerator"]), finite(row["denominator"])
    if upper is None or lower is None:
        return None, False
    if not lower:
        return None, True
    return (upper / lower).quantize(_PLACES), False

"""One metric in depth: over the days asked about, by week, by its parts, and what the watch found of its newest day.

Belongs here: what is read of a metric that somebody asked about. Does not belong here: which metrics (`asking.py`), the
rest of the evidence (`evidence.py`), how a period adds up (`evidence.combining`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.calendar import MONTHS
from ops_platform.evidence.combining import PeriodReader
from ops_platform.evidence.metrics import METRIC_TABLE, Warehouse, as_tie_out, finite
from ops_platform.evidence.model import Comparison, Fact, Point, Row, Series, Source
from ops_platform.evidence.quoting import minimise
from ops_platform.evidence.spans import Span

if TYPE_CHECKING:
    from ops_platform.evidence.calendar import Calendar
    from ops_platform.evidence.metrics import Metric
    from ops_platform.evidence.model import CompanyProfile, TieOut

WEEKS_SHOWN = 8
PARTS_SHOWN = 5
#: So many days back the last known day is looked for, where the newest have not come in.
LATE_DAYS = 14
_WEEKS = """
select (date - %(first)s::date) / 7 as week, count(*) as days, count(value) as known, sum(value) as total,
    count(numerator) as numerators, sum(numerator) as numerator,
    count(denominator) as denominators, sum(denominator) as denominator,
    max(value) filter (where (date - %(first)s::date) %% 7 = 6) as closing,
    bool_or(tie_out = 'mismatched') as mismatched, bool_and(tie_out = 'matched') as matched
from metrics.fct_metric_daily
where metric_id = %(metric)s and dimension = 'all' and date between %(first)s and %(last)s
group by 1 order by 1
"""
_LAST_KNOWN = """
select max(date) as day from metrics.fct_metric_daily
where metric_id = %(metric)s and dimension = 'all' and date between %(first)s and %(last)s
    and (value is not null or numerator is not null) and fresh_to >= (date + 1)::timestamp at time zone %(zone)s
"""
_JUDGED = """
select distinct on (metric_id) metric_id, date, found, value, expected_low, expected_high, fresh_to, tie_out
from ops.agent_judgements
where metric_id = any(%(names)s) and date between %(first)s and %(last)s and found in ('clear', 'breached')
    and value is not null and expected_low is not null and expected_high is not null
order by metric_id, date desc
"""
_DIMENSIONS = """
select dimension, count(distinct dimension_value) as values from metrics.fct_metric_daily
where metric_id = %(metric)s and dimension <> 'all' and date between %(first)s and %(last)s
group by 1 having count(distinct dimension_value) between 2 and 60
order by array_position(array['channel', 'category', 'country'], dimension) nulls last, 2, 1 limit 1
"""


class InDepth:
    """Reads metrics on one connection, as of one day. `unproven` says that the metric table is not proven: then no
    series and no parts are given, and the figures are the caller's to doubt."""

    def __init__(
        self, warehouse: Warehouse, calendar: Calendar, company: CompanyProfile, span: Span, *, unproven: bool
    ) -> None:
        self.warehouse, self.calendar, self.company = warehouse, calendar, company
        self.span, self.unproven = span, unproven

    def known_fact(self, metric: Metric, reader: PeriodReader) -> tuple[Fact | None, Span]:
        """The metric over the days asked about. What is only seen on the day is as it stands; where the newest days
        have not come in yet, as many days up to the last one that is known."""
        span, fact_id = self.span, f"asked_{metric.id}"[:80]
        fact = reader.fact(metric, fact_id=fact_id)
        if fact is None or fact.known or span.end != self.calendar.yesterday:
            return fact, span
        if metric.is_state:
            return reader.mornings.fact(metric, fact_id=fact_id), span
        params = {"metric": metric.id, "first": span.start - timedelta(days=LATE_DAYS), "last": span.end,
                  "zone": self.company.timezone}  # fmt: skip
        row = next(iter(self.warehouse.rows(_LAST_KNOWN, params)), None)
        if row is None or row["day"] is None or row["day"] >= span.end:
            return fact, span
        back = span.end - row["day"]
        earlier = Span(span.tier, span.start - back, span.end - back)
        found = PeriodReader(self.warehouse, self.calendar, self.company, earlier).fact(metric, fact_id=fact_id)
        return (found, earlier) if found is not None and found.known else (fact, span)

    def weeks(self, metric: Metric) -> Series | None:
        """The metric over the last whole weeks up to yesterday; None where it is not proven or was never known."""
        if self.unproven:
            return None
        first = self.calendar.yesterday - timedelta(days=7 * WEEKS_SHOWN - 1)
        params = {"metric": metric.id, "first": first, "last": self.calendar.yesterday}
        found = {row["week"]: row for row in self.warehouse.rows(_WEEKS, params)}
        points = []
        for week in range(WEEKS_SHOWN):
            start = first + timedelta(days=7 * week)
            points.append(Point(f"{start.day} {MONTHS[start.month - 1][:3]}", _of_week(metric, found.get(week))))
        if not any(point.value is not None for point in points):
            return None
        rows = [*found.values()]
        ties: TieOut = (
            "mismatched" if any(row["mismatched"] for row in rows)
            else "matched" if all(row["matched"] for row in rows) else "unknown"
        )  # fmt: skip
        told = tuple(sorted((name, str(value)) for name, value in params.items()))
        return Series(
            id=f"series_{metric.id}"[:80], label=metric.label, unit=metric.unit, points=tuple(points),
            currency=(metric.currency or self.company.currency) if metric.unit == "money" else None,
            source=Source(METRIC_TABLE, " ".join(_WEEKS.split()), told), tie_out=ties,
        )  # fmt: skip

    def parts(self, metric: Metric, span: Span) -> tuple[str, list[Fact], list[Row]]:
        """The parts of a summed metric that changed most: the dimension they are of (empty where there is none), their
        facts, a row each."""
        if metric.aggregation != "sum" or metric.is_state or self.unproven:
            return "", [], []
        params = {"metric": metric.id, "first": span.start, "last": span.end}
        row = next(iter(self.warehouse.rows(_DIMENSIONS, params)), None)
        if row is None:
            return "", [], []
        dimension: str = row["dimension"]
        reader = PeriodReader(self.warehouse, self.calendar, self.company, span, dimensions=("all", dimension))
        now, before = reader.parts(metric.id, dimension), reader.parts(metric.id, dimension, "before")
        if not now or reader.combined(metric).value is None:
            return "", [], []
        name, label, _ = reader.against["before"]
        whole = reader.fact(metric)
        assert whole is not None
        known_before = reader.combined(metric, "before").value is not None
        weigh = {part: abs(now.get(part, Decimal(0)) - before.get(part, Decimal(0))) for part in {*now, *before}}
        facts, rows = [], []
        for place, part in enumerate(sorted(weigh, key=lambda each: (-weigh[each], each))[:PARTS_SHOWN], 1):
            value = now.get(part, Decimal(0))
            base = before.get(part, Decimal(0)) if known_before else None
            fact = replace(
                whole, id=f"asked_{metric.id}_part_{place}"[:80], value=value,
                comparisons=(Comparison.between(name, label, value, base),), about=minimise(part, 60),
                source=reader.mornings.source(
                    metric, "", {"metric_id": metric.id, "dimension": dimension, "dimension_value": minimise(part, 60)}
                ),
            )  # fmt: skip
            facts.append(fact)
            rows.append(Row({"name": minimise(part.replace("_", " "), 60)}, {"figure": fact.id}))
        return dimension.replace("_", " "), facts, rows

    def judged(self, figures: Mapping[str, Fact]) -> Iterator[tuple[Row, list[Fact]]]:
        """What the watch found of the newest day of each metric (`figures`: its fact by its id): a row with the day's
        value and the range expected of it, and their facts."""
        params = {
            "names": list(figures),
            "first": self.calendar.yesterday - timedelta(days=2),
            "last": self.calendar.yesterday,
        }
        for row in self.warehouse.rows(_JUDGED, params):
            fact = figures[row["metric_id"]]
            name = _name_of(fact)
            day = self.calendar.day_period(row["date"])
            source = Source("ops.agent_judgements", " ".join(_JUDGED.split()), (("metric", row["metric_id"]),))
            facts = {}
            for part, words in (
                ("value", ""),
                ("expected_low", ", least expected"),
                ("expected_high", ", most expected"),
            ):
                made = replace(
                    fact, id=f"{part}_{row['metric_id']}"[:80], label=f"{name}, {day.label}{words}",
                    value=row[part], comparisons=(), status="known", unknown_since=None, period=day,
                    fresh_to=row["fresh_to"], tie_out=as_tie_out(row["tie_out"]), source=source,
                )  # fmt: skip
                facts[part] = made
            state = "attention" if row["found"] == "breached" else "ok"
            named = {part: made.id for part, made in facts.items()}
            yield Row({"label": name, "day": day.label}, named, state), list(facts.values())


def _name_of(fact: Fact) -> str:
    """The figure's name without the days it was given to tell it apart."""
    return fact.label.removesuffix(f", {fact.period.label}") if fact.period is not None else fact.label


def _of_week(metric: Metric, row: Mapping[str, Any] | None) -> Decimal | None:
    """One week of a metric, by its own way of adding up; None where a day of it is unknown."""
    if row is None or row["days"] != 7:
        return None
    if metric.is_state or metric.aggregation == "last":
        return finite(row["closing"])
    if metric.aggregation == "sum":
        return finite(row["total"]) if row["known"] == 7 else None
    upper, lower = finite(row["numerator"]), finite(row["denominator"])
    if row["numerators"] != 7 or row["denominators"] != 7 or upper is None or not lower:
        return None
    return (upper / lower).quantize(Decimal("0.00000001"))

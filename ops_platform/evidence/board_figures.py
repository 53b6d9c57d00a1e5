"""The figures of the board pack: facts, series and lists of one month, as they are gathered.

Belongs here: what is gathered, the scorecard, the divisions' pages. Does not belong here: the whole pack
(`evidence.board_pack`), the pages on sales (`evidence.board_sales`), what follows from the figures
(`evidence.board_review`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.metrics import METRIC_TABLE, Metric, Warehouse, finite
from ops_platform.evidence.model import Bundle, CompanyProfile, Comparison, Fact, Point, Row, Series, Source, Status
from ops_platform.evidence.month_change import distinct, spoken
from ops_platform.evidence.month_standing import judge_month
from ops_platform.evidence.months import Month, MonthReader, Stretch, worst
from ops_platform.evidence.pack_context import PackContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ops_platform.evidence.calendar import Calendar
    from ops_platform.evidence.judgement import Verdict

REVENUE = "channel_net_sales"
PLANNED = "net_sales"
KIND = "board_pack"
ATTAINMENT = "revenue_plan_attainment"
OWN_SHOP = "Net sales, own shop"
TREND_MONTHS = 12
DIVISION_ROWS = 8
DIVISION_CHARTS = 2
LEAST_TREND = 4
# What boards ask for that a warehouse may not hold: unknown there, and said to be. Also what is made of two metrics.
STANDING_IN = (
    Metric("channel_net_sales", "Net sales, all channels", "money", "up_is_good"),
    Metric("net_sales", "Net sales", "money", "up_is_good"),
    Metric("csat", "Customer satisfaction", "ratio", "up_is_good", "ratio"),
)
RESULT = Metric("operating_result", "Operating result", "money", "up_is_good", division="finance")
BREAKDOWNS = (
    ("pipeline_value", "stage"),
    ("receivables_open", "bucket"),
    ("payables_open", "bucket"),
    ("opex", "account"),
)
_HEALTH = (
    "select round(avg(score), 1) as score from ops.fleet_health"
    " where at >= %(start)s and at < %(end)s and score is not null"
)
_RESULT = (
    f"select sum(case when metric_id = %(less)s then -value else value end) from {METRIC_TABLE}"
    " where metric_id in (%(metric_id)s, %(less)s) and dimension = 'all' and date between %(start)s and %(end)s"
)
_UNITS = ("money", "ratio", "percent", "count", "score", "hours", "days", "text", "date")


class Gathering:
    """Collects facts, rows and series in the order in which the pack uses them."""

    def __init__(
        self, warehouse: Warehouse, months: MonthReader, calendar: Calendar, company: CompanyProfile,
        context: PackContext, month: Month,
    ) -> None:  # fmt: skip
        self.warehouse = warehouse
        self.months = months
        self.calendar = calendar
        self.company = company
        self.context = context
        self.month = month
        self.whole = Stretch.of((month,))
        self.quarter = Stretch.to_date(month, context.fiscal_year_starts, 3)
        self.year = Stretch.to_date(month, context.fiscal_year_starts, 12)
        self.trend = month.back(TREND_MONTHS)
        self.days = (month.end - month.start).days + 1
        self.facts: dict[str, Fact] = {}
        self.series: dict[str, Series] = {}
        self.lists: dict[str, tuple[Row, ...]] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.metrics: dict[str, Metric] = {metric.id: metric for metric in STANDING_IN}
        for metric in months.metrics.values():
            self.metrics[metric.id] = metric

    def bundle(self) -> Bundle:
        notes = [f"not readable: {relation}" for relation in sorted(self.warehouse.denied)]
        notes += self.months.reader.notes
        if not self.warehouse.has(METRIC_TABLE):
            notes.append("empty_warehouse")
        if self.context.unproven_since is not None:
            notes.append("warehouse_unproven")
        return Bundle(
            kind=KIND,
            period=self.whole.period,
            as_of=self.calendar.as_of,
            company=self.company,
            facts=tuple(self.facts.values()),
            lists=self.lists,
            notes=tuple(notes),
            series=tuple(self.series.values()),
        )

    # What is added ---------------------------------------------------------------------------------------

    def add(self, fact: Fact) -> Fact:
        since = self.context.unproven_since
        if since is not None and fact.source.relation.startswith(("metrics.", "marts.")):
            fact = replace(
                fact, value=None, text=None, day=None, comparisons=(), status="unknown", superlative=None,
                unknown_since=min(since, fact.unknown_since or since),
            )  # fmt: skip
        self.facts[fact.id] = fact
        return fact

    def add_series(self, series: Series) -> None:
        """A series with at least two points known: of less there is nothing to draw."""
        if self.context.unproven_since is None and sum(value is not None for value in series.values) >= 2:
            self.series[series.id] = series

    def number(self, fact_id: str, label: str, unit: Any, value: Decimal | None, source: Source, **more: Any) -> Fact:
        """A fact that is no metric's."""
        status: Status = "known" if value is not None else "unknown"
        currency = self.company.currency if unit == "money" else None
        return self.add(
            Fact(**{"id": fact_id, "label": label, "unit": unit, "value": value, "status": status, "currency": currency,
                    "source": source, **more})
        )  # fmt: skip

    def metric(self, metric_id: str) -> Fact:
        """The metric's fact of the month, made once and judged; a metric nobody has is unknown under its name."""
        return self.facts.get(metric_id) or self.add(self._unadded(metric_id))

    def _unadded(self, metric_id: str) -> Fact:
        if metric_id in self.facts:
            return self.facts[metric_id]
        if metric_id == RESULT.id:
            return self._result("", self.whole)
        metric = self.metrics.get(metric_id)
        if metric is None:
            label = metric_id.replace("_", " ").capitalize()
            return self.number(metric_id, label, "count", None, Source(METRIC_TABLE))
        plan = (
            self._plan(self.whole, self.months.figure(metric, self.whole.months).value) if metric_id == PLANNED else ()
        )
        fact = self.months.fact(metric, self.whole, metric.id, called(metric), plan)
        self.verdicts[fact.id] = judge_month(fact, metric, self.days)
        return fact

    def to_date(self, metric_id: str) -> dict[str, str]:
        """The facts of the metric for the quarter and the year to date, by role; of a state there are none."""
        metric = self.metrics.get(metric_id)
        roles = {}
        for role, stretch, name in (("qtd", self.quarter, "quarter to date"), ("ytd", self.year, "year to date")):
            fact_id = f"{metric_id}_{role}"
            if metric_id == RESULT.id:
                roles[role] = self._result(f"_{role}", stretch, name).id
            elif metric is not None and metric.aggregation != "last" and metric_id in self.months.metrics:
                found = self.months.figure(metric, stretch.months).value
                plan = self._plan(stretch, found) if metric_id == PLANNED else ()
                label = f"{called(metric)} {name}"
                roles[role] = self.add(self.months.fact(metric, stretch, fact_id, label, plan, month_before=False)).id
        return roles

    def _plan(self, stretch: Stretch, value: Decimal | None) -> tuple[Comparison, ...]:
        """The plan of whole months: the denominator of the plan attainment on their last days."""
        return (Comparison.between("plan", "plan", value, self._planned(stretch.months)),)

    def _planned(self, months: Iterable[Month]) -> Decimal | None:
        attainment = self.months.metrics.get(ATTAINMENT)
        if attainment is None:
            return None
        plans = [self.months.figure(attainment, [month]).lower for month in months]
        known = [plan for plan in plans if plan is not None]
        return sum(known, Decimal(0)) if len(known) == len(plans) else None

    def _result(self, suffix: str, stretch: Stretch, name: str = "") -> Fact:
        """Gross margin less operating expenses: what is left of sales, before interest and tax."""
        sides: list[Metric] = [self.metrics[one] for one in ("gross_margin", "opex") if one in self.months.metrics]

        def of(months: Sequence[Month]) -> Decimal | None:
            found = [self.months.figure(metric, months).value for metric in sides]
            return found[0] - found[1] if len(found) == 2 and found[0] is not None and found[1] is not None else None

        value = of(stretch.months)
        comparisons = []
        if not suffix:
            before = self.month.later(-1)
            comparisons.append(Comparison.between("month_before", before.label, value, of([before])))
        earlier = stretch.year_before()
        comparisons.append(Comparison.between("year_before", earlier.label, value, of(earlier.months)))
        base = self.months.fact(sides[0], stretch, RESULT.id, "") if sides else None
        source = Source(METRIC_TABLE)
        if base is not None:
            source = replace(base.source, query=_RESULT, params=(*base.source.params, ("less", "opex")))
        fact = self.number(
            f"{RESULT.id}{suffix}", f"{RESULT.label} {name}" if name else RESULT.label, "money", value, source,
            period=stretch.period, comparisons=tuple(comparisons), direction="up_is_good",
            tie_out=worst([self.months.figure(metric, stretch.months).tie_out for metric in sides]),
            unknown_since=base.unknown_since if base and value is None else None,
        )  # fmt: skip
        if not suffix:
            self.verdicts[fact.id] = judge_month(fact, RESULT, self.days)
        return fact

    # Scorecard and channels ------------------------------------------------------------------------------

    def scorecard(self) -> None:
        self._operations()
        self._fleet_health()
        rows = []
        for heading, names in self.context.scorecard.items():
            for name in names:
                fact = self.metric(name)
                rows.append(Row({"heading": heading}, {"figure": fact.id, **self.to_date(name)}, self._mark(name)))
        self.lists["scorecard"] = tuple(rows)
        for name in (REVENUE, PLANNED, "gross_margin", RESULT.id):
            if name in self.metrics or name == RESULT.id:
                self.metric(name)
                self.to_date(name)
        for name in ("business_health", "cash_balance", "receivables_overdue"):
            if name in self.metrics:
                self.metric(name)
        for name in (REVENUE, PLANNED, "gross_margin_rate", "cash_balance"):
            self._trend(name)
        attainment = self.months.metrics.get(ATTAINMENT)
        if attainment is not None:
            plan = tuple(Point(month.short, self._planned([month])) for month in self.trend)
            source = self.months.monthly_source(attainment, self.trend, column="denominator")
            self.add_series(
                Series(f"trend_{PLANNED}_plan", "Plan", "money", plan, self.company.currency, source, "matched")
            )

    def _mark(self, fact_id: str) -> str:
        verdict = self.verdicts.get(fact_id)
        if not self.facts[fact_id].known:
            return "unknown"
        return verdict.state if verdict is not None else "ok"

    def _operations(self) -> None:
        """What running this costs and saves: known from the ledger and from configuration."""
        start, end = self.calendar.start_of(self.month.start), self.calendar.end_of(self.month.end)
        query = (
            "select coalesce(sum(cost_usd), 0) as cost from ops.token_ledger"
            " where created_at >= %(start)s and created_at < %(end)s"
        )
        params = {"start": start, "end": end}
        told = tuple((name, moment.astimezone(UTC).isoformat()) for name, moment in sorted(params.items()))
        cost = None
        if self.warehouse.has("ops.token_ledger"):
            cost = finite(self.warehouse.rows(query, params)[0]["cost"])
        common = {"period": self.whole.period, "direction": "down_is_good", "tie_out": "matched"}
        self.number(
            "token_cost", "Token cost", "money", cost, Source("ops.token_ledger", query, told),
            **{**common, "currency": "USD"},
        )  # fmt: skip
        self.number(
            "infrastructure_cost", "Infrastructure cost", "money", self.context.infrastructure_cost,
            Source("fleet.yaml"), **common,
        )  # fmt: skip
        self.number(
            "hours_saved", "Hours saved", "hours", self.context.hours_saved,
            Source("ops.outbox"),
            **{**common, "direction": "up_is_good"},
        )  # fmt: skip

    def _fleet_health(self) -> None:
        """How well the machine was, on the mean of all looks of the month. It is no metric: dbt may be what fails."""

        def of(month: Month) -> tuple[Decimal | None, dict[str, datetime]]:
            days = {"start": self.calendar.start_of(month.start), "end": self.calendar.end_of(month.end)}
            there = self.warehouse.has("ops.fleet_health")
            return finite(self.warehouse.rows(_HEALTH, days)[0]["score"]) if there else None, days

        before = self.month.later(-1)
        score, days = of(self.month)
        told = tuple((name, moment.astimezone(UTC).isoformat()) for name, moment in sorted(days.items()))
        self.number(
            "fleet_health", "Fleet health", "score", score, Source("ops.fleet_health", _HEALTH, told),
            period=self.whole.period, direction="up_is_good", tie_out="matched",
            comparisons=(Comparison.between("month_before", before.label, score, of(before)[0]),),
        )  # fmt: skip

    def _trend(self, metric_id: str) -> bool:
        """The metric's months, beside those of the year before; whether there is enough of them to draw."""
        if f"trend_{metric_id}" in self.series:
            return True
        metric = self.metrics.get(metric_id)
        if metric is None or metric_id not in self.months.metrics:
            return False
        trend = self.months.trend(metric, self.trend, f"trend_{metric_id}")
        if sum(value is not None for value in trend.values) < LEAST_TREND or not any(trend.values):
            return False
        self.add_series(trend)
        before = self.months.trend(metric, [month.later(-12) for month in self.trend], f"trend_{metric_id}_before")
        # The labels are those of this year's months: the two stand side by side.
        points = tuple(Point(m.short, p.value) for m, p in zip(self.trend, before.points, strict=True))
        self.add_series(replace(before, label=f"{metric.label} a year before", points=points))
        return f"trend_{metric_id}" in self.series

    # Divisions -------------------------------------------------------------------------------------------

    def divisions(self) -> None:
        """Each division's metrics: those of the morning pulse first, then those of the scorecard, then what is off. Of
        the first that have a past worth drawing, the months."""
        shown = {name for names in self.context.scorecard.values() for name in names}
        for division in self.company.divisions:
            names = {_slug(division.id), _slug(division.label)}
            metrics = [m for m in self.months.metrics.values() if _slug(m.division) in names]
            facts = {metric.id: self._unadded(metric.id) for metric in metrics}
            metrics.sort(
                key=lambda m: (
                    not m.in_pulse, m.id not in shown, self.verdicts[m.id].state != "attention" or m.target == 0,
                    not facts[m.id].known, not facts[m.id].value, m.direction == "neutral", _UNITS.index(m.unit), m.id,
                )
            )  # fmt: skip
            for metric in metrics[DIVISION_ROWS:]:
                if metric.id not in self.facts:
                    del self.verdicts[metric.id]
            rows = [Row({}, {"figure": self.metric(m.id).id}, self._mark(m.id)) for m in metrics[:DIVISION_ROWS]]
            self.lists[f"division_{_slug(division.id)}"] = tuple(rows)
            charts: list[Row] = []
            for metric in metrics[:DIVISION_ROWS]:
                if len(charts) < DIVISION_CHARTS and self._trend(metric.id):
                    charts.append(Row({"series": f"trend_{metric.id}"}, {"figure": metric.id}))
            self.lists[f"division_{_slug(division.id)}_charts"] = tuple(charts)

    def breakdowns(self) -> None:
        """What stands in stages, ages or accounts at the end of the month."""
        for name, dimension in BREAKDOWNS:
            metric = self.metrics.get(name)
            if metric is None or name not in self.months.metrics:
                continue
            whole = self.metric(name)
            parts = self.months.parts(metric, dimension, [self.month])
            order = (
                sorted(parts, key=_age)
                if dimension == "bucket"
                else sorted(parts, key=lambda p: (-(parts[p][0] or 0), p))
            )
            labels = distinct(spoken(part) for part in order)
            points = tuple(Point(label, parts[part][0]) for label, part in zip(labels, order, strict=True))
            source = replace(self.months.source(metric, self.whole, None, dimension, "each"), query="")
            made = f"{name}_by_{dimension}"
            self.add_series(Series(made, metric.label, metric.unit, points, whole.currency, source, whole.tie_out))
            drawn = f"division_{_slug(metric.division)}_charts"
            if drawn in self.lists and made in self.series:
                self.lists[drawn] += (Row({"series": made, "by": dimension}, {"figure": name}),)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def called(metric: Metric) -> str:
    """What the pack calls a metric: beside the sales of all channels, those of the shop are told as such."""
    return OWN_SHOP if metric.id == PLANNED else metric.label


def _age(bucket: str) -> tuple[int, str]:
    """Ageing buckets in order: what is not yet due, then by the first number in the name."""
    found = re.search(r"\d+", bucket)
    return (int(found.group()) if found else 0, bucket)

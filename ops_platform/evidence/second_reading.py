"""Every number read a second time before it is sealed: by the query its fact names as its source, and by nothing else.

A builder reads thousands of rows at once and works on them; a fact names the one query that gives its number alone.
Both have to agree, in the same snapshot of the database. A number that its own source does not give is withheld: it is
unknown, and the evidence notes it. So what a reader can look up later (`ops trace`) has been looked up once before.

Belongs here: which facts can be read again, and what becomes of one that is contradicted. Does not belong here:
building facts (the builders), the way down from a metric to raw records (`ops_platform.commands.trace`).

Read again are the numbers of the metric table that a query of their own gives: the number, its name, unit, currency and
period, and what it is compared with where its days follow from the comparison's name, is a target or a plan. Counts of
the platform's own, lists and effects have no such query; they stand on what their builder read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.metrics import METRIC_TABLE, finite
from ops_platform.evidence.model import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from ops_platform.evidence.metrics import Warehouse
    from ops_platform.evidence.model import Bundle, Fact

NOTE = "contradicted by its source"
# A quotient that the database divides has other last digits than one that was divided here.
_ALIKE = Decimal("1e-7")
_DAYS_BACK = {"day_before": 1, "same_weekday": 7, "week_before": 7}
_MONTHS_BACK = {"month_before": 1, "year_before": 12}
_DEFINITIONS = "select metric_id, label, unit, currency, target from metrics.dim_metric"
# The plan of whole months, and of the last one to date: what plan attainment is divided by on their last days.
_PLANNED = "net_sales"
_UNCUT = 30  # characters of a dimension's value that are shown as they are
_PLAN = """
select sum(denominator) as plan from metrics.fct_metric_daily
where metric_id = 'revenue_plan_attainment' and dimension = 'all' and date between %(start)s and %(end)s
  and (date = %(end)s or extract(day from date + 1) = 1)
"""


def confirmed(warehouse: Warehouse, bundle: Bundle) -> Bundle:
    """The bundle with every contradicted number withheld; call it in the snapshot in which the bundle was built."""
    facts, notes = read_again(warehouse, bundle.facts, bundle.as_of, bundle.company.currency)
    return replace(bundle, facts=tuple(facts), notes=(*bundle.notes, *notes)) if notes else bundle


def read_again(
    warehouse: Warehouse,
    facts: Iterable[Fact],
    as_of: datetime,
    currency: str,
    spans: Mapping[str, tuple[date, date]] | None = None,
) -> tuple[list[Fact], list[str]]:
    """The facts, those that their source contradicts unknown since `as_of`, and a note for each of these. Money without
    a currency of its own is in `currency`. `spans` are the first and last days of what facts are compared with, by the
    comparison's name, where they do not follow from it."""
    kept, notes = [], []
    reading: _Reading | None = None
    for fact in facts:
        if not (_readable(fact) and warehouse.has(METRIC_TABLE) and warehouse.has("metrics.dim_metric")):
            kept.append(fact)
            continue
        reading = reading or _Reading.of(warehouse, currency, spans or {})
        if not reading.confirms(fact):
            kept.append(replace(_withheld(fact, as_of), label=reading.name_of(fact)))
            notes.append(f"{fact.id} {NOTE}")
            continue
        doubtful = {held.name for held in fact.comparisons if not reading.confirms_base(fact, held)}
        notes += [f"{fact.id}.{name} {NOTE}" for name in sorted(doubtful)]
        bases = (Comparison(one.name, one.label, None) if one.name in doubtful else one for one in fact.comparisons)
        kept.append(replace(fact, comparisons=tuple(bases)) if doubtful else fact)
    return kept, notes


def _readable(fact: Fact) -> bool:
    source = fact.source
    return (
        source.relation == METRIC_TABLE
        and fact.numeric
        and source.query.lstrip().lower().startswith("select")
        and "metric_id" in dict(source.params)
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """Single numbers and the metrics' definitions, read from the warehouse."""

    warehouse: Warehouse
    definitions: Mapping[str, Mapping[str, Any]]
    currency: str
    spans: Mapping[str, tuple[date, date]]

    @classmethod
    def of(cls, warehouse: Warehouse, currency: str, spans: Mapping[str, tuple[date, date]]) -> _Reading:
        return cls(warehouse, {row["metric_id"]: row for row in warehouse.rows(_DEFINITIONS)}, currency, spans)

    def confirms(self, fact: Fact) -> bool:
        """Whether name, unit, currency and period are those of the metric and of the days that the source names, and
        the number, where there is one, is what the source gives."""
        params = dict(fact.source.params)
        metric = self.definitions.get(params["metric_id"])
        if metric is None:
            return not fact.known  # nothing defines it, and nothing is said of it
        return bool(
            metric["unit"] == fact.unit
            and (fact.unit != "money" or fact.currency == (metric["currency"] or self.currency))
            and self.name_of(fact) == fact.label
            and _of_its_days(fact, params)
            and (not fact.known or _alike(self.number(fact.source.query, params), fact.value))
        )

    def name_of(self, fact: Fact) -> str:
        """The name the fact has, or the one it should have where that is neither its metric's, perhaps with more behind
        it, nor its part's. A figure made of several metrics is called what its builder calls it."""
        params = dict(fact.source.params)
        metric, part = self.definitions.get(params["metric_id"]), params.get("dimension_value", "all")
        if metric is None:
            return fact.label
        if fact.id.startswith(params["metric_id"]) and not fact.label.startswith(metric["label"]):
            return str(metric["label"])
        said = part.replace("_", " ").casefold()
        whole = len(part) < _UNCUT and said.replace(" ", "").isalnum()  # a longer or stranger one stands there tidied
        if part != "all" and whole and said not in fact.label.casefold():
            return f"{metric['label']}, {part}"
        return fact.label

    def confirms_base(self, fact: Fact, held: Comparison) -> bool:
        """Whether what the fact is compared with is what its source gives for those days, its metric's target or its
        plan; a comparison of another kind is its builder's."""
        if held.value is None:
            return True
        params = dict(fact.source.params)
        if held.name == "target":
            target = self.definitions.get(params["metric_id"], {}).get("target")
            days = 1 if fact.period is None else (fact.period.end - fact.period.start).days + 1
            return target is not None and held.value in (target, target * days)
        if held.name == "plan":
            planned = params["metric_id"] == _PLANNED and {"start", "end"} <= params.keys()
            return planned and _alike(self.number(_PLAN, params), held.value)
        if held.name not in _DAYS_BACK | _MONTHS_BACK | dict(self.spans):
            return True
        earlier = self._earlier(params, held.name)
        return earlier is not None and _alike(self.number(fact.source.query, earlier), held.value)

    def number(self, query: str, params: Mapping[str, str]) -> Decimal | None:
        rows = self.warehouse.rows(query, params)
        values = list(rows[0].values()) if rows else []
        return finite(values[0]) if len(rows) == 1 and len(values) == 1 else None

    def _earlier(self, params: dict[str, str], name: str) -> dict[str, str] | None:
        """The source's parameters for the days that a comparison of this name is of; None where it has no such days."""
        if self.spans:
            first, last = self.spans.get(name, (None, None))
            return {**params, "start": first.isoformat(), "end": last.isoformat()} if first and last else None
        if name in _DAYS_BACK:
            back = timedelta(days=_DAYS_BACK[name])
            days = {key: params[key] for key in ("date", "start", "end") if key in params}
            return params | {key: (date.fromisoformat(day) - back).isoformat() for key, day in days.items()}
        if {"start", "end"} <= params.keys() and name in _MONTHS_BACK:
            start, after = (date.fromisoformat(params[name]) for name in ("start", "end"))
            after += timedelta(days=1)
            if start.day == after.day == 1:  # whole months
                until = _months_back(after, _MONTHS_BACK[name]) - timedelta(days=1)
                since = _months_back(start, _MONTHS_BACK[name])
                return {**params, "start": since.isoformat(), "end": until.isoformat()}
        return None


def _of_its_days(fact: Fact, params: Mapping[str, str]) -> bool:
    period = fact.period
    if period is None:
        return True
    first = params.get("start") if "%(start)s" in fact.source.query else params.get("date")
    last = params.get("end") or params.get("date")
    return last in (None, period.end.isoformat()) and first in (None, period.start.isoformat())


def _months_back(first: date, months: int) -> date:
    number = first.year * 12 + first.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def _alike(now: Decimal | None, kept: Decimal | None) -> bool:
    if now is None or kept is None:
        return now is kept
    return abs(now - kept) <= max(_ALIKE, abs(kept) * _ALIKE)


def _withheld(fact: Fact, since: datetime) -> Fact:
    if not fact.known:
        return replace(fact, comparisons=())
    return replace(fact, value=None, comparisons=(), status="unknown", superlative=None, unknown_since=since)

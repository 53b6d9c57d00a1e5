"""The evidence of a narrative: a day, a week or a month.

Belongs here: which facts and lists a narrative rests on. Does not belong here: how days become a number
(`evidence.combining`), what deserves a line (`evidence.concerns`), how it is said (`ops_platform.writing`).

It is made in two steps, because a narrative lists the actions that its own concerns open: `survey` reads and finds the
concerns, `Survey.bundle` is the evidence once the actions are there.

Fact ids. A metric's fact over the period has the metric's id; `<metric>_driver` is the part of it that carries most of
its change. Besides: `channel_<n>` (net sales by channel, as changes); `metrics_looked_at`, `concerns_found`;
`incident_<n>_since`, `incidents_open`;
`action_<n>_number|due|opened`, `actions_open`, `actions_hidden`; `done_<n>_number|on`; `part_<n>_day|sales|concerns`,
`parts_told`, `parts_expected`; `recurring_<n>`; `silence_*`.
Lists: `lead`, `figures`, `never` (no figure yet), `highlights`, `concerns`, `standing`, `incidents`, `channels`,
`divisions`, `actions`, `done`, `parts` (the tier below), `recurring`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.evidence.calendar import Calendar
from ops_platform.evidence.combining import PeriodReader
from ops_platform.evidence.concerns import Point, points, select, standing
from ops_platform.evidence.metrics import METRIC_TABLE, Warehouse
from ops_platform.evidence.model import Bundle, Fact, Row, Source
from ops_platform.evidence.narrative_parts import Ledger
from ops_platform.evidence.second_reading import read_again
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import psycopg

    from ops_platform.action_items.store import ActionItem
    from ops_platform.evidence.metrics import Metric
    from ops_platform.evidence.model import CompanyProfile
    from ops_platform.evidence.narrative_context import NarrativeContext
    from ops_platform.evidence.spans import Span
    from ops_platform.fleet.narratives import TierPolicy
    from ops_platform.watch.tree import MetricTree

LEAD = ("net_sales", "business_health")
SPLIT = ("net_sales", "channel")  # the metric whose change is told by the values of a dimension
SMALLEST_DRIVER = Decimal("0.3")  # of the whole change
NEARLY_ALL = Decimal("0.9")
CHANNELS_SHOWN, STANDING_SHOWN = 5, 6
_RELATIONS = (METRIC_TABLE, "metrics.dim_metric", "ops.sync_runs")


def kind_of(span: Span) -> str:
    """The kind of the bundle and document of a tier: `narrative_daily` and so on."""
    return f"narrative_{span.tier}"


@dataclass(frozen=True)
class Survey:
    """What a period was, before anybody was asked to do something about it."""

    span: Span
    as_of: datetime
    company: CompanyProfile
    context: NarrativeContext
    facts: Mapping[str, Fact]
    metrics: Mapping[str, Metric]
    highlights: tuple[Point, ...]
    concerns: tuple[Point, ...]
    standing: tuple[Point, ...]
    drivers: Mapping[str, Fact]
    channels: tuple[tuple[str, Fact], ...]
    parts: Mapping[Any, Decimal | None]
    notes: tuple[str, ...]

    def bundle(self, actions: Sequence[ActionItem], done: Sequence[ActionItem], *, most_actions: int) -> Bundle:
        """The evidence, with what is to be done (`actions`, the first due first) and what was (`done`)."""
        ledger = Ledger(self.span, self.as_of, self.company)
        ledger.lists["lead"] = tuple(
            Row({}, {"figure": ledger.add(self.facts[name])}) for name in LEAD if name in self.facts
        )
        ledger.lists["figures"] = tuple(
            Row({"division": metric.division}, {"figure": ledger.add(self.facts[metric.id])}, "")
            for metric in self._shown()
        )
        ledger.lists["never"] = tuple(
            Row({}, {"figure": ledger.add(self.facts[metric.id])}, "unknown")
            for metric in self.metrics.values()
            if metric.in_pulse and metric.id in self.facts and not self.ever(metric.id)
        )
        ledger.lists["highlights"] = tuple(self._row(ledger, point) for point in self.highlights)
        ledger.lists["concerns"] = tuple(self._row(ledger, point) for point in self.concerns)
        ledger.lists["standing"] = tuple(self._row(ledger, point) for point in self.standing[:STANDING_SHOWN])
        for name in LEAD:
            if name in self.drivers:
                ledger.add(self.drivers[name])
        ledger.lists["channels"] = tuple(
            Row({"value": name}, {"change": ledger.add(fact)}) for name, fact in self.channels
        )
        source = Source(
            METRIC_TABLE, "metrics of the period that are good one way, and those of them that are a concern"
        )
        judged = sum(fact.direction != "neutral" and fact.known for fact in self.facts.values())
        ledger.count("metrics_looked_at", "Metrics judged", judged, source)
        ledger.count("concerns_found", "Concerns", len(self.concerns), source, direction="down_is_good")
        ledger.incidents(self.context.incidents)
        if self.span.tier != "daily":
            ledger.lists["divisions"] = _division_rows(ledger, self)
            ledger.below(self.context, self.parts)
            ledger.recurring(self.context)
        for fact in self.context.silence:
            ledger.add(fact)
        ledger.actions(actions, done, most_actions)
        return ledger.bundle(kind_of(self.span), self.notes)

    def _shown(self) -> list[Metric]:
        """The metrics people look at every morning, division by division in the company's order."""
        order = {"all": -1} | {division.id: number for number, division in enumerate(self.company.divisions)}
        shown = [m for m in self.metrics.values() if m.in_pulse and self.ever(m.id)]
        return sorted(shown, key=lambda m: (order.get(m.division, len(order)), m.id not in LEAD, m.id))

    def ever(self, metric_id: str) -> bool:
        """Whether there is a figure, or was one: what never had one is told once, below."""
        fact = self.facts.get(metric_id)
        return fact is not None and (fact.known or fact.unknown_since is not None)

    def _row(self, ledger: Ledger, point: Point) -> Row:
        facts = {"figure": ledger.add(point.fact)}
        driver = self.drivers.get(point.metric.id)
        if driver is not None and point.why in ("change", "breached"):
            facts["driver"] = ledger.add(driver)
        texts = {
            "subject": point.subject, "label": point.fact.label, "why": point.why, "against": point.against,
            "division": point.metric.division,
        }  # fmt: skip
        return Row(texts, facts, "ok" if point.good else "attention")


def _division_rows(ledger: Ledger, survey: Survey) -> tuple[Row, ...]:
    """One line a division: its gravest point, else its best, else what people look at, else whatever it has."""
    rows = []
    for division in survey.company.divisions:
        metrics = [m for m in survey.metrics.values() if m.division == division.id and m.id in survey.facts]
        metrics = [m for m in metrics if survey.ever(m.id)]
        texts = {"division": division.id}
        point = _point_of(division.id, survey)
        if point is not None:
            mark = "ok" if point.good else "attention"
            texts["against"] = point.against
            facts = {"lead": ledger.add(point.fact)}
            rows.append(Row(texts, facts, "unknown" if point.why == "unknown" else mark))
            continue
        if not metrics:
            rows.append(Row({**texts, "reason": "no_metrics"}, {}, "unknown"))
            continue
        known = [m for m in metrics if survey.facts[m.id].known]
        lead = min(known or metrics, key=lambda m: (not m.in_pulse, m.direction == "neutral", m.id))
        primary = survey.facts[lead.id].primary
        texts["against"] = primary.name if primary is not None else ""
        rows.append(Row(texts, {"lead": ledger.add(survey.facts[lead.id])}, "ok" if known else "unknown"))
    return tuple(rows)


def _point_of(division: str, survey: Survey) -> Point | None:
    for told in (survey.concerns, survey.standing, survey.highlights):
        for point in told:
            if point.metric.division == division:
                return point
    return None


def worrying(bundle: Bundle) -> bool:
    """Whether a narrative has a concern: a metric's, or an incident that began and is not over."""
    begun = (row.texts["new"] == "yes" and row.texts["state"] == "open" for row in bundle.rows("incidents"))
    return bool(bundle.rows("concerns")) or any(begun)


def survey(
    connection: psycopg.Connection[Any],
    as_of: datetime,
    company: CompanyProfile,
    span: Span,
    context: NarrativeContext,
    policy: TierPolicy,
    tree: MetricTree,
) -> Survey:
    """What `span` was, from an open connection that may read the evidence relations. Reads nothing after `as_of`,
    writes nothing. Raises `DataFailure` for a span that has not ended."""
    if as_of.tzinfo is None:
        raise DataFailure("A narrative needs a moment with a time zone.")
    calendar = Calendar(as_of, ZoneInfo(company.timezone))
    if span.end >= calendar.today:
        raise DataFailure(f"{span.label} has not ended: a narrative is of a period that is over.")
    warehouse = Warehouse(connection)
    with warehouse.snapshot():
        warehouse.probe(_RELATIONS)
        reader = PeriodReader(warehouse, calendar, company, span, dimensions=("all", SPLIT[1]))
        metrics = reader.metrics
        read = {metric.id: reader.fact(metric) for metric in metrics.values()}
        known = [fact for fact in read.values() if fact is not None]
        spans = {name: (against.start, against.end) for name, _, against in reader.against.values()}
        kept, contradicted = read_again(warehouse, known, as_of, company.currency, spans)
    facts = {fact.id: fact for fact in kept}
    if context.unproven_since is not None:
        facts = {name: _withheld(fact, context.unproven_since) for name, fact in facts.items()}
    eves = {name: _eve(reader, metrics[name]) for name in facts}
    share = Decimal(policy.share_percent) / 100
    found = points(facts, metrics, span, context.judged, share, eves)
    concerns = select([point for point in found if not point.good], policy.concerns, tree)
    told = {point.metric.id for point in concerns}
    # What leads is told at the top already.
    bright = [p for p in found if p.good and p.metric.id not in told and p.metric.id not in LEAD]
    highlights = select(bright, policy.highlights, tree)
    off = standing(facts, metrics, span, [*concerns, *highlights])
    drivers = {}
    for name in dict.fromkeys([*LEAD, *(point.metric.id for point in (*concerns, *highlights))]):
        if name in facts and (fact := driver_of(reader, facts[name], metrics[name], tree)) is not None:
            drivers[name] = fact
    notes = (
        [f"not readable: {relation}" for relation in sorted(warehouse.denied)] + reader.mornings.notes + contradicted
    )
    if not warehouse.has(METRIC_TABLE):
        notes.append("empty_warehouse")
    if context.unproven_since is not None:
        notes.append("warehouse_unproven")
    return Survey(
        span, as_of, company, context, facts, metrics, tuple(highlights), tuple(concerns), tuple(off), drivers,
        tuple(_channels(reader, facts)), _day_values(reader, span), tuple(notes),
    )  # fmt: skip


def driver_of(reader: PeriodReader, fact: Fact, metric: Metric, tree: MetricTree) -> Fact | None:
    """The part that carries most of the metric's change against its first comparison: a fact whose value is that
    effect, in the metric's own unit. None where there was no change, where it cannot be taken apart exactly, or where
    no part carries a good share of it in its own direction."""
    primary = fact.primary
    if fact.value is None or primary is None or not primary.delta or primary.value is None:
        return None
    found = _carrier(reader, metric.id, primary.value, fact.value, tree)
    if found is None:
        return None
    part, effect, how = found
    if effect * primary.delta <= 0 or abs(effect) < abs(primary.delta) * SMALLEST_DRIVER:
        return None
    return Fact(
        id=f"{metric.id}_driver", label=reader.metrics[part].label, unit=fact.unit, value=effect,
        currency=fact.currency, period=fact.period, direction=fact.direction, fresh_to=fact.fresh_to,
        tie_out=fact.tie_out, about=part, change=True, source=Source(fact.source.relation, how, fact.source.params),
    )  # fmt: skip


def _carrier(
    reader: PeriodReader, metric_id: str, before: Decimal, after: Decimal, tree: MetricTree
) -> tuple[str, Decimal, str] | None:
    """The part with the largest effect, that effect, and how it was found. Where it is a term of a sum that carries
    nearly all, what carries that term says more ("sales before refunds" explains nothing about net sales)."""
    from ops_platform.watch.decomposition import Undecidable, decompose
    from ops_platform.watch.tree import Kind

    for way in tree.breakdowns(metric_id):
        parts = [reader.metrics[name] for name in way.names if name in reader.metrics]
        if way.kind is Kind.MOVED_BY or len(parts) != len(way.names):
            continue
        new = {part.id: reader.combined(part).value for part in parts}
        old = {part.id: reader.combined(part, "before").value for part in parts}
        try:
            apart = decompose(way, old, new, before, after)
        except Undecidable:
            continue
        if apart.unexplained:
            continue
        most = max(apart.effects, key=lambda effect: (abs(effect.effect), effect.part))
        how = f"{way.formula}: effect by {apart.method}"
        lower, upper = old[most.part], new[most.part]
        carries = abs(most.effect) >= abs(apart.change) * NEARLY_ALL
        if way.kind is Kind.SUM and carries and lower is not None and upper is not None:
            sign = next(part.sign for part in way.parts if part.metric == most.part)
            deeper = _carrier(reader, most.part, lower, upper, tree)
            if deeper is not None:
                return deeper[0], sign * deeper[1], f"{how}; {deeper[2]}"
            if sign > 0 and tree.breakdowns(most.part):
                continue  # what nearly is the whole again, and cannot be taken apart, tells nothing
        return most.part, most.effect, how
    return None


def _channels(reader: PeriodReader, facts: Mapping[str, Fact]) -> list[tuple[str, Fact]]:
    """The change of net sales by channel, the largest first; nothing unless the channels make up the whole."""
    name, dimension = SPLIT
    fact = facts.get(name)
    if fact is None or fact.value is None or fact.primary is None or fact.primary.delta is None:
        return []
    after, before = reader.parts(name, dimension), reader.parts(name, dimension, "before")
    effects = {value: after.get(value, Decimal(0)) - before.get(value, Decimal(0)) for value in {*after, *before}}
    if not effects or sum(effects.values()) != fact.primary.delta:
        return []
    largest = sorted(effects.items(), key=lambda each: (-abs(each[1]), each[0]))[:CHANNELS_SHOWN]
    query = (
        "select coalesce(sum(value) filter (where date between %(start)s and %(end)s), 0)"
        " - coalesce(sum(value) filter (where date between %(start_before)s and %(end_before)s), 0)"
        " from metrics.fct_metric_daily"
        " where metric_id = %(metric_id)s and dimension = %(dimension)s and dimension_value = %(value)s"
    )
    before_ = reader.against["before"][2]
    days = (("start_before", before_.start.isoformat()), ("end_before", before_.end.isoformat()))
    return [
        (
            value,
            Fact(
                id=f"channel_{number}", label=f"{fact.label} of the channel", unit=fact.unit, value=effect,
                currency=fact.currency, period=fact.period, direction=fact.direction, fresh_to=fact.fresh_to,
                tie_out=fact.tie_out, about=value, change=True,
                source=Source(
                    fact.source.relation, query,
                    (*fact.source.params, *days, ("dimension", dimension), ("value", value)), fact.source.sync_ids,
                ),
            ),
        )
        for number, (value, effect) in enumerate(largest, start=1)
        if effect
    ]  # fmt: skip


def _eve(reader: PeriodReader, metric: Metric) -> Decimal | None:
    role = "eve" if "eve" in reader.against else "before"
    return reader.combined(metric, role).value


def _day_values(reader: PeriodReader, span: Span) -> dict[Any, Decimal | None]:
    """Net sales of each day, as they stand now."""
    return {day: reader.mornings.value(SPLIT[0], day) for day in span.each_day()} if span.tier != "daily" else {}


def _withheld(fact: Fact, since: datetime) -> Fact:
    return replace(
        fact, value=None, text=None, day=None, comparisons=(), status="unknown", superlative=None,
        unknown_since=min(since, fact.unknown_since or since),
    )  # fmt: skip

"""The evidence of an answer: the agent's report, what was asked about in depth, readings of the platform, verdicts.

Belongs here: everything an answer may say, read in one snapshot as the agent's own role. Does not belong here: what to
look at (`asking.py`, `loop.py`), words (`ops_platform.writing`), looks (`documents.work_answer`).

Fact ids besides those of a report (`evidence.briefing`): `asked_<metric>` over the span asked about,
`asked_<metric>_part_<n>` by the values of a dimension, a reading's own. Lists: `order`, `asked`, `parts_<metric>`,
`outside`, `readings`, `reading_figures_<name>`, `reading_lines_<name>`, `checks`, `cited`, `artefacts`. Series:
`series_<metric>`, by week.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.evidence.briefing import Surroundings, build_briefing
from ops_platform.evidence.briefing_lists import ListReader, Read
from ops_platform.evidence.calendar import Calendar
from ops_platform.evidence.combining import PeriodReader
from ops_platform.evidence.metrics import METRIC_TABLE, MetricReader, Warehouse, as_proven
from ops_platform.evidence.model import Bundle, Comparison, Fact, Row, Series
from ops_platform.evidence.quoting import minimise
from ops_platform.fleet.profile import company_profile
from ops_platform.fleet.reports import Report, Section
from ops_platform.work_orders.agents.depth import InDepth
from ops_platform.work_orders.agents.findings import LIMIT, Reader
from ops_platform.work_orders.agents.readings import reading
from ops_platform.work_orders.agents.scopes import acting_as

if TYPE_CHECKING:
    import psycopg

    from ops_platform.evidence.model import CompanyProfile
    from ops_platform.fleet import Fleet
    from ops_platform.fleet.reports import Listing
    from ops_platform.work_orders.agents.asking import Asked
    from ops_platform.work_orders.agents.model import Order
    from ops_platform.work_orders.agents.role import Agent, Check

KIND = "work_answer"
SHEET_ROWS = 50
STATEMENT_SECONDS = 60
TITLE_LENGTH = 140
_RELATIONS = (METRIC_TABLE, "metrics.dim_metric", "ops.sync_runs")
_CITED = "select id, kind, summary from ops.agent_documents where id = any(%(ids)s) order by id desc"


@dataclass(frozen=True, slots=True)
class Gathered:
    """The bundle, and the lists wanted whole (`Read`, up to 50 rows), by name."""

    bundle: Bundle
    sheets: Mapping[str, tuple[Listing, Read]]


def gather(
    connection: psycopg.Connection[Any], agent: Agent, order: Order, asked: Asked, fleet: Fleet, as_of: datetime
) -> Gathered:
    """Everything the answer may say as of `as_of` (aware), from one snapshot. Reads as the agent's role, writes
    nothing. Raises `ConfigurationError` for a metric or column of the role file that the warehouse does not have."""
    company = company_profile(fleet)
    report = _report(agent, asked)
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        connection.execute(f"set local statement_timeout = '{STATEMENT_SECONDS}s'".encode())
        around = surroundings(connection, fleet, report, as_of)
        with acting_as(connection, agent):
            made = _Making(connection, agent, order, asked, fleet, company, as_of, around)
            made.report(report)
            made.asked_about()
            made.readings()
            made.outside()
            made.cited()
            made.checks()
            return Gathered(made.bundle(), made.sheets(agent.output.artefacts))


def surroundings(
    connection: psycopg.Connection[Any], fleet: Fleet, report: Report | None, now: datetime
) -> Surroundings:
    """What a report must know besides its views; nothing of it is a figure of the company."""
    from ops_platform.alerts.report_standing import standings
    from ops_platform.warehouse.dbt import unproven_since

    limits = {name: threshold.value for name, threshold in fleet.thresholds.items()}
    since = unproven_since(connection, now, ["fct_metric_daily"])
    if report is None:
        return Surroundings(limits=limits, metrics_unproven_since=since)
    unproven = {view: unproven_since(connection, now, [view.partition(".")[2]]) for view in report.views()}
    return Surroundings(
        limits=limits, standing=standings(connection, fleet, report, now, unproven), metrics_unproven_since=since
    )


def _report(agent: Agent, asked: Asked) -> Report | None:
    """The agent's report with the further lists that were asked for."""
    lists = agent.listings()
    shown = set(agent.shown())
    wanted = dict.fromkeys((*asked.lists, *asked.artefacts, *agent.output.artefacts))
    more = [
        Section.model_validate({"title": _title(lists[name]), "list": lists[name]})
        for name in wanted
        if name in lists and name not in shown
    ]
    if agent.report is None:
        return Report(title=agent.label, over="week", sections=tuple(more)) if more else None
    return agent.report.model_copy(update={"sections": (*agent.report.sections, *more)})


def _title(listing: Listing) -> str:
    return listing.many[:1].upper() + listing.many[1:]


class _Making:
    """Collects facts, series and rows, in the order in which the answer shows them."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        agent: Agent,
        order: Order,
        asked: Asked,
        fleet: Fleet,
        company: CompanyProfile,
        as_of: datetime,
        around: Surroundings,
    ) -> None:
        self.connection, self.agent, self.order, self.asked = connection, agent, order, asked
        self.fleet, self.company, self.as_of, self.around = fleet, company, as_of, around
        self.calendar = Calendar(as_of, ZoneInfo(company.timezone))
        self.warehouse = Warehouse(connection)
        self.facts: dict[str, Fact] = {}
        self.series: list[Series] = []
        self.lists: dict[str, tuple[Row, ...]] = {}
        self.notes: list[str] = []
        self.period = self.calendar.day_period(self.calendar.today)

    # The agent's own report ---------------------------------------------------------------------------------------

    def report(self, report: Report | None) -> None:
        head = {"title": self.agent.label, "over": "week"}
        self.lists["order"] = (
            Row(
                {
                    "number": str(self.order.number), "title": minimise(self.order.title, TITLE_LENGTH),
                    "agent": self.agent.label, "id": self.agent.id, "priority": str(self.order.priority),
                    "repository": minimise(self.order.repository, 100),
                }
            ),
        )  # fmt: skip
        self.lists["head"] = (Row(head),)
        self.lists["sections"] = ()
        if report is None:
            return
        base = build_briefing(self.connection, self.as_of, self.company, KIND, report, self.around, always=True)
        self.facts = dict(base.by_id)
        # What was told before, and why a job would speak, have no place in an answer.
        self.lists |= {
            name: rows for name, rows in base.lists.items()
            if name not in ("looks", "reasons") and not name.startswith("told_")
        }  # fmt: skip
        self.notes += base.notes
        self.period = base.period
        self.as_they_stand(report)

    def as_they_stand(self, report: Report) -> None:
        """States that are only seen on the day, such as stock: as they stand, where the week's close has none."""
        open_ones = [name for name in report.metrics() if (fact := self.facts.get(name)) is not None and not fact.known]
        if open_ones:
            self.warehouse.probe(_RELATIONS)
            reader = MetricReader(self.warehouse, self.calendar, self.company, days=9, only=open_ones)
            for name in open_ones:
                metric = reader.metrics.get(name)
                if metric is not None and metric.is_state:
                    self.facts.pop(name)
                    self.add(reader.fact(metric))

    # What was asked about -----------------------------------------------------------------------------------------

    def asked_about(self) -> None:
        """Each metric asked about: over the days meant, by week, by its parts, and as the watch found it."""
        rows: list[Row] = []
        figures: dict[str, Fact] = {}
        if self.asked.metrics:
            self.warehouse.probe(_RELATIONS)
            unproven = self.around.metrics_unproven_since is not None
            depth = InDepth(self.warehouse, self.calendar, self.company, self.asked.span, unproven=unproven)
            reader = PeriodReader(self.warehouse, self.calendar, self.company, self.asked.span)
            for place, name in enumerate(self.asked.metrics):
                metric = reader.metrics.get(name)
                fact, span = depth.known_fact(metric, reader) if metric is not None else (None, self.asked.span)
                if metric is None or fact is None:
                    continue
                figures[name] = self.named(name, fact)
                texts = {"metric": name, "label": metric.label}
                if span != self.asked.span:
                    texts["over"] = span.label
                series = depth.weeks(metric) if place == 0 or name in self.asked.history else None
                if series is not None:
                    self.series.append(series)
                    texts["series"] = series.id
                dimension, facts, parts = depth.parts(metric, span)
                if dimension:
                    texts["dimension"] = dimension
                    self.lists[f"parts_{name}"] = tuple(parts)
                    for part in facts:
                        self.add(part)
                rows.append(Row(texts, {"figure": figures[name].id}))
            if self.asked.span.end == self.calendar.yesterday and not unproven:
                found = list(depth.judged(figures))
                self.lists["judged"] = tuple(row for row, _ in found)
                for judged in (fact for _, facts in found for fact in facts):
                    self.add(judged)
        self.lists["asked"] = tuple(rows)
        self.lists["asked_over"] = (Row({"label": self.asked.span.label}),)

    def named(self, name: str, fact: Fact) -> Fact:
        """The fact as it stands in the bundle: one figure has one name, and one place where it stands."""
        own = self.facts.get(name)
        if own is not None and own.period == fact.period:
            return own
        if own is not None and fact.period is not None:
            fact = replace(fact, label=f"{fact.label}, {fact.period.label}")
        return self.facts[self.add(fact)]

    # The platform itself ------------------------------------------------------------------------------------------

    def readings(self) -> None:
        heads = []
        reader = Reader(self.connection, self.as_of, self.company, self.fleet, self.order)
        for name in self.agent.scope.readings:
            found = reading(name)(reader)
            for fact in found.facts:
                self.facts.setdefault(fact.id, fact)
            heads.append(Row({"name": name, "title": found.title, "note": found.note}))
            self.lists[f"reading_figures_{name}"] = tuple(Row({}, {"figure": one}) for one in found.figures)
            self.lists[f"reading_lines_{name}"] = tuple(
                Row(
                    {"label": line.label, "about": minimise(line.about, 120)},
                    {f"figure_{place}": one for place, one in enumerate(line.facts)},
                    line.state,
                )
                for line in found.lines
            )
        self.lists["readings"] = tuple(heads)

    def outside(self) -> None:
        """What was asked about and is another agent's, with whose."""
        if not self.asked.outside:
            return
        from ops_platform.work_orders.agents.roster import roster
        from ops_platform.work_orders.agents.scopes import others_with

        rows = self.warehouse.rows("select metric_id, label, division from metrics.dim_metric")
        divisions = {row["metric_id"]: row["division"] or "" for row in rows}
        labels = {row["metric_id"]: row["label"] for row in rows}
        agents = roster()
        self.lists["outside"] = tuple(
            Row({"label": labels.get(name, name), "agents": ", ".join(others_with(divisions, agents, name)[:3])})
            for name in self.asked.outside
        )

    def cited(self) -> None:
        """Published documents found for the question: what they are and their headline as it was published."""
        if not self.asked.documents:
            return
        rows = self.warehouse.rows(_CITED, {"ids": list(self.asked.documents)})
        self.lists["cited"] = tuple(
            Row({"number": str(row["id"]), "kind": row["kind"].replace("_", " "), "headline": headline(row["summary"])})
            for row in rows
        )

    # Verdicts -----------------------------------------------------------------------------------------------------

    def checks(self) -> None:
        """Each check of the role file over the figures that were read."""
        self.lists["checks"] = tuple(self.verdict(check) for check in self.agent.checks)

    def verdict(self, check: Check) -> Row:
        operator, named = check.limit
        bound = self.around.limits[named] if isinstance(named, str) else named
        texts = {
            "label": check.label, "do": check.do, "owner": check.owner, "due_days": str(check.due_days),
            "severity": check.severity,
        }  # fmt: skip
        fact = self.facts.get(check.figure)
        if fact is None or not fact.numeric:
            return Row(texts, {}, "unknown")
        limit = Comparison.between(LIMIT, check.of, fact.value, bound)
        others = tuple(one for one in fact.comparisons if one.name != LIMIT)
        fact = replace(fact, comparisons=(*others, limit))
        self.facts[fact.id] = fact
        if fact.value is None:
            return Row(texts, {"figure": fact.id}, "unknown")
        holds = {
            "above": fact.value > bound, "at_least": fact.value >= bound,
            "below": fact.value < bound, "at_most": fact.value <= bound,
        }[operator]  # fmt: skip
        return Row(texts, {"figure": fact.id}, "ok" if holds else "attention")

    # ------------------------------------------------------------------------------------------------------------

    def sheets(self, always: tuple[str, ...]) -> dict[str, tuple[Listing, Read]]:
        """The lists that are handed over whole."""
        lists = self.agent.listings()
        reader = ListReader(
            self.warehouse, self.connection, self.calendar, self.company.currency, self.around.limits
        )  # fmt: skip
        found = {}
        for name in dict.fromkeys((*always, *self.asked.artefacts)):
            listing, standing = lists[name], self.around.standing.get(name)
            count = self.facts.get(f"{name}_count")
            if standing is None or count is None or not count.known or not count.value:
                continue
            self.warehouse.probe((listing.view,))
            found[name] = (listing, reader.read(listing.model_copy(update={"limit": SHEET_ROWS}), standing, {}))
        return found

    def add(self, fact: Fact) -> str:
        self.facts.setdefault(fact.id, as_proven(fact, self.around.metrics_unproven_since))
        return fact.id

    def bundle(self) -> Bundle:
        return Bundle(
            kind=f"{KIND}:{self.agent.name.replace('-', '_')}", period=self.period, as_of=self.as_of,
            company=self.company, facts=tuple(self.facts.values()), lists=self.lists, notes=tuple(self.notes),
            series=tuple(self.series),
        )  # fmt: skip


def headline(summary: Any) -> str:
    """The line of a stored document, as plain text."""
    parts = [str(span.get("text", "")) for span in summary or () if isinstance(span, dict)]
    return minimise("".join(parts), 160)

"""The evidence of a job's report: its metrics, its lists, the news of its divisions, and whether there is a reason to
speak.

Belongs here: from a report of `fleet.yaml` to a bundle. Does not belong here: the shape of the entry
(`ops_platform.fleet.reports`), reading a list (`evidence.briefing_lists`), what is said (`ops_platform.writing`) and
how it looks (`ops_platform.documents.briefing`).

The bundle carries the order of the report, so that a document is made of it alone, however `fleet.yaml` changes later.

Fact ids. A metric's fact has the metric's id (the day before or, of a report over a week, the last seven whole days; a
state as it stands); lists are `evidence.briefing_lists`'. Lists: `head`, `sections`, `columns_<list>`, `<list>`,
`groups_<list>`, `told_<list>`, `news_<division>`, `reasons` (why the report speaks; none: silence), `looks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.evidence.briefing_lists import ListReader, Read, Standing
from ops_platform.evidence.calendar import DAY, Calendar
from ops_platform.evidence.combining import PeriodReader
from ops_platform.evidence.concerns import points, select
from ops_platform.evidence.judgement import judge
from ops_platform.evidence.metrics import METRIC_TABLE, Metric, MetricReader, Warehouse, as_proven
from ops_platform.evidence.model import Bundle, CompanyProfile, Fact, Period, Row
from ops_platform.evidence.second_reading import confirmed
from ops_platform.evidence.spans import WEEK, Span
from ops_platform.failures import ConfigurationError, DataFailure

if TYPE_CHECKING:
    import psycopg

    from ops_platform.fleet.reports import Condition, Listing, Report
    from ops_platform.watch.tree import MetricTree

#: From this share on, a change of an amount over a week is news of a division.
NEWS_SHARE = Decimal("0.10")
_RELATIONS = (METRIC_TABLE, "metrics.dim_metric", "ops.sync_runs")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What only others know: thresholds by name; by list what its sources vouch for and what was told of it; since when
    the metrics are unproven; how metrics are made of each other (for the news of divisions); the moment the report is
    due for, None where it has no schedule."""

    limits: Mapping[str, Decimal] = field(default_factory=dict)
    standing: Mapping[str, Standing] = field(default_factory=dict)
    told: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    metrics_unproven_since: datetime | None = None
    tree: MetricTree | None = None
    due: datetime | None = None


def build_briefing(
    connection: psycopg.Connection[Any],
    as_of: datetime,
    company: CompanyProfile,
    kind: str,
    report: Report,
    around: Surroundings,
    *,
    always: bool = False,
) -> Bundle:
    """Everything the report may say as of `as_of` (aware), from a connection that may read its views. Reads nothing
    after `as_of`, writes nothing. Raises `ConfigurationError` for a metric or column that the warehouse does not
    have."""
    if as_of.tzinfo is None:
        raise DataFailure("A briefing needs a moment with a time zone.")
    calendar = Calendar(as_of, ZoneInfo(company.timezone))
    warehouse = Warehouse(connection)
    with warehouse.snapshot():
        warehouse.probe((*_RELATIONS, *report.views()))
        gathering = _Gathering(warehouse, connection, calendar, company, report, around)
        gathering.sections()
        gathering.reasons(always=always)
        return confirmed(warehouse, gathering.bundle(kind))


class _Gathering:
    """Collects facts and rows in the order of the report."""

    def __init__(
        self,
        warehouse: Warehouse,
        connection: Any,
        calendar: Calendar,
        company: CompanyProfile,
        report: Report,
        around: Surroundings,
    ) -> None:
        self.calendar, self.company, self.report, self.around = calendar, company, report, around
        self.warehouse = warehouse
        self.facts: dict[str, Fact] = {}
        self.lists: dict[str, tuple[Row, ...]] = {}
        self.notes = [f"not readable: {relation}" for relation in sorted(warehouse.denied)]
        self.read: dict[str, Read] = {}
        self.news: list[str] = []
        self.lister = ListReader(warehouse, connection, calendar, company.currency, around.limits)
        self.span = Span("weekly", calendar.yesterday - WEEK + DAY, calendar.yesterday)
        self.day_reader: MetricReader | None = None
        self.week_reader: PeriodReader | None = None
        if report.metrics() or report.news_of():
            if report.over == "week":
                self.week_reader = PeriodReader(warehouse, calendar, company, self.span)
            else:
                only = None if report.news_of() else report.metrics()
                self.day_reader = MetricReader(warehouse, calendar, company, days=9, only=only)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        reader = self.week_reader or self.day_reader
        return reader.metrics if reader is not None else {}

    def bundle(self, kind: str) -> Bundle:
        """The evidence as gathered."""
        head = {"title": self.report.title, "closing": self.report.closing}
        head |= {"digest": "yes"} if self.report.digest else {}
        head |= {"over": self.report.over}
        if self.around.due is not None:
            head["due"] = self.around.due.isoformat()
        self.lists["head"] = (Row({name: text for name, text in head.items() if text}),)
        return Bundle(
            kind=kind,
            period=self.period(),
            as_of=self.calendar.as_of,
            company=self.company,
            facts=tuple(self.facts.values()),
            lists=self.lists,
            notes=tuple(self.notes),
        )

    def period(self) -> Period:
        """The week of a report over one; else the day on which it is told."""
        return self.span.period if self.report.over == "week" else self.calendar.day_period(self.calendar.today)

    def add(self, fact: Fact) -> str:
        self.facts.setdefault(fact.id, as_proven(fact, self.around.metrics_unproven_since))
        return fact.id

    # Sections -------------------------------------------------------------------------------------------------

    def sections(self) -> None:
        """Each section's facts, and a row that says what it shows."""
        rows = []
        for section in self.report.sections:
            texts = {"title": section.title, "icon": section.icon}
            figures = [self.figure(name) for name in section.metrics]
            named = {f"f{place:02}": fact for place, fact in enumerate(figures) if fact is not None}
            if section.list_ is not None:
                texts["list"] = section.list_.name
                self.listing(section.list_)
            if section.divisions:
                texts["divisions"] = ",".join(self.divisions(section.divisions, section.most))
            rows.append(Row({name: text for name, text in texts.items() if text}, named))
        self.lists["sections"] = tuple(rows)

    def figure(self, name: str) -> str | None:
        """The fact of a metric; None where there is nothing it could say (nothing to divide by)."""
        metric = self.metrics.get(name)
        if metric is None:
            if not self.warehouse.has("metrics.dim_metric"):
                return self.add(
                    Fact(id=name, label=name.replace("_", " ").capitalize(), unit="count", status="unknown")
                )
            raise ConfigurationError(f"there is no metric {name!r}: `ops metric list` has them")
        fact = self.fact_of(metric)
        return None if fact is None else self.add(fact)

    def fact_of(self, metric: Metric) -> Fact | None:
        if self.week_reader is not None:
            return self.week_reader.fact(metric)
        assert self.day_reader is not None
        return self.day_reader.fact(metric)

    def listing(self, listing: Listing) -> None:
        """The list's facts and rows, its columns as they are shown, and what is to be remembered as told."""
        standing = self.around.standing.get(listing.name, Standing(usable=False))
        read = self.lister.read(listing, standing, self.around.told.get(listing.name, {}))
        self.read[listing.name] = read
        for fact in read.facts:
            self.add(fact)
        shown = [
            Row({"column": column.column, "as": column.as_, "unit": column.unit}, {}) for column in listing.columns
        ]
        words = {"one": listing.one or listing.many, "many": listing.many, "empty": listing.empty}
        words |= {"draft": listing.draft, "only_new": "yes" if listing.only_new else ""}
        totals = {
            f"total{place:02}": f"{listing.name}_total_{column.column}"[:80]
            for place, column in enumerate(listing.total)
            if read.known
        }
        words |= {f"total{place:02}": column.as_ for place, column in enumerate(listing.total)}
        self.lists[f"words_{listing.name}"] = (Row({name: text for name, text in words.items() if text}, totals),)
        self.lists[f"columns_{listing.name}"] = tuple(shown)
        self.lists[listing.name] = read.rows
        if read.groups:
            self.lists[f"groups_{listing.name}"] = read.groups
        if read.known:
            remembered = sorted(read.keys.items())
            self.lists[f"told_{listing.name}"] = tuple(Row({"key": key, "as": told_as}) for key, told_as in remembered)

    # Divisions ------------------------------------------------------------------------------------------------

    def divisions(self, named: Sequence[str], most: int) -> list[str]:
        """The news of each division: what needs attention, then what changed, the weightiest first."""
        wanted = [division.id for division in self.company.divisions if "all" in named or division.id in named]
        for division in wanted:
            rows = self.week_news(division, most) if self.week_reader is not None else self.day_news(division, most)
            self.lists[f"news_{division}"] = tuple(rows)
            if rows:
                self.news.append(division)
        return wanted

    def day_news(self, division: str, most: int) -> list[Row]:
        found = []
        for metric in self.of_division(division):
            fact = self.fact_of(metric)
            if fact is None:
                continue
            verdict = judge(fact, metric)
            if verdict.state == "attention":
                found.append((-verdict.weight, metric.id, fact, verdict.against))
        return [
            Row({"division": division, "against": against}, {"figure": self.add(fact)}, "attention")
            for _, _, fact, against in sorted(found, key=lambda each: each[:2])[:most]
        ]

    def week_news(self, division: str, most: int) -> list[Row]:
        reader = self.week_reader
        assert reader is not None
        mine = {metric.id: metric for metric in self.of_division(division)}
        read = {name: reader.fact(metric) for name, metric in mine.items()}
        facts = {name: fact for name, fact in read.items() if fact is not None}
        eves = {name: reader.combined(mine[name], "before").value for name in facts}
        found = points(facts, mine, reader.span, {}, NEWS_SHARE, eves)
        if self.around.tree is not None:
            chosen = select(found, most, self.around.tree, per_division=most)
        else:
            chosen = sorted(found, key=lambda point: (-point.weight, point.metric.id))[:most]
        states = {True: "ok", False: "attention"}
        return [
            Row(
                {"division": division, "against": point.against, "why": point.why},
                {"figure": self.add(point.fact)},
                "unknown" if point.why == "unknown" else states[point.good],
            )
            for point in sorted(chosen, key=lambda point: point.good)
        ]

    def of_division(self, division: str) -> list[Metric]:
        return [metric for metric in self.metrics.values() if metric.division == division]

    # Whether to speak -----------------------------------------------------------------------------------------

    def reasons(self, *, always: bool) -> None:
        """Why the report speaks, each with its figure; and what was looked at, for the receipt."""
        found = [row for condition in self.report.speak_when if (row := self.reason(condition)) is not None]
        if always:
            found.append(Row({"why": "always"}))
        self.lists["reasons"] = tuple(found)
        self.lists["looks"] = tuple(self.looks())

    def reason(self, condition: Condition) -> Row | None:
        if condition.rows is not None or condition.new is not None:
            name = condition.rows or condition.new or ""
            read = self.read[name]
            number = read.count if condition.rows is not None else read.new
            if not read.known or number < condition.count:
                return None
            why = "rows" if condition.rows is not None else "new"
            return Row({"why": why, "of": name}, {"figure": f"{name}_{'count' if why == 'rows' else 'new'}"})
        if condition.metric is not None:
            fact_id = self.figure(condition.metric)
            fact = self.facts.get(fact_id or "")
            if fact is None or fact.value is None or not self.beyond(condition, fact.value):
                return None
            return Row({"why": "metric", "of": fact.id}, {"figure": fact.id})
        return Row({"why": "news", "of": ",".join(self.news)}) if self.news else None

    def beyond(self, condition: Condition, value: Decimal) -> bool:
        operator, bound = self.limit_of(condition)
        return {
            "above": value > bound,
            "at_least": value >= bound,
            "below": value < bound,
            "at_most": value <= bound,
            "beyond": abs(value) > bound,
        }[operator]

    def limit_of(self, condition: Condition) -> tuple[str, Decimal]:
        limit = condition.limit()
        assert limit is not None
        bound = limit[1]
        return limit[0], self.around.limits[bound] if isinstance(bound, str) else bound

    def looks(self) -> list[Row]:
        """What was looked at, by list and metric: how many subjects, how many out of order, whether it is known, and
        how near the nearest came to being told."""
        rows = []
        for name, read in self.read.items():
            named = {"count": f"{name}_count"}
            if read.known:
                named |= {"looked": f"{name}_looked"}
            if f"{name}_nearest" in self.facts:
                named |= {"nearest": f"{name}_nearest"}
            rows.append(Row({"of": name}, named, "known" if read.known else "unknown"))
        for condition in self.report.speak_when:
            fact = self.facts.get(condition.metric or "")
            if fact is None:
                continue
            texts = {"of": fact.id}
            near = None if fact.value is None else self.nearness(condition, fact.value)
            if near is not None:
                texts["nearness"] = str(near)
            breached = fact.value is not None and self.beyond(condition, fact.value)
            mark = "unknown" if fact.value is None else "breached" if breached else "clear"
            rows.append(Row(texts, {"figure": fact.id}, mark))
        return rows

    def nearness(self, condition: Condition, value: Decimal) -> Decimal | None:
        operator, bound = self.limit_of(condition)
        if bound <= 0:
            return None
        if operator in ("below", "at_most"):
            return None if value <= 0 else (bound / value).quantize(Decimal("0.0001"))
        return ((abs(value) if operator == "beyond" else max(value, Decimal(0))) / bound).quantize(Decimal("0.0001"))


def speaks(bundle: Bundle) -> bool:
    """Whether the report has a reason to be posted."""
    return bool(bundle.rows("reasons"))


def due_of(bundle: Bundle) -> datetime | None:
    """The moment the report was due for."""
    head = bundle.rows("head")
    due = head[0].texts.get("due") if head else None
    return datetime.fromisoformat(due) if due else None


def told_in(bundle: Bundle) -> dict[str, dict[str, str]]:
    """By list, what counts as told once the report is posted: the digest of each row's key and of its news. Lists that
    were unknown are not among them: nothing is concluded about what they had."""
    return {
        name.removeprefix("told_"): {row.texts["key"]: row.texts["as"] for row in rows}
        for name, rows in bundle.lists.items()
        if name.startswith("told_")
    }


def day_of(bundle: Bundle) -> date:
    """The company's day on which the report is told."""
    return bundle.as_of.astimezone(ZoneInfo(bundle.company.timezone)).date()

"""What the board pack says of its own figures: what is off and asked, what has moved since the last pack, what is sure.

Belongs here: the second half of the pack's evidence, made of the facts of the first. Does not belong here: the figures
themselves (`evidence.board_figures`), the rule by which one is off (`evidence.month_standing`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.metrics import METRIC_TABLE
from ops_platform.evidence.model import Comparison, Fact, Row, Source
from ops_platform.evidence.month_standing import restated, turned
from ops_platform.evidence.months import Month, Stretch
from ops_platform.evidence.quoting import minimise, whole_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops_platform.evidence.board_figures import Gathering

OWN = "figures of this pack"
RISKS = 10
DECISIONS = 6
RESTATED_ROWS = 8
ACTION_ROWS = 8
ALERT_ROWS = 8
DEFINITION = 230  # characters: two lines of a table
_SEVERITIES = ("critical", "alert", "watch")
_FRESHNESS = """
select vendor, min(fresh_to) as fresh_to, bool_or(fresh_to is null) as gap from ops.cursors group by vendor
"""
_DEFINITIONS = "select metric_id, description from metrics.dim_metric"


class Review:
    """Adds to `gathering` what follows from its facts."""

    def __init__(self, gathering: Gathering) -> None:
        self.pack = gathering
        self.context = gathering.context

    def all(self) -> None:
        self.standing()
        self.people()
        self.last_pack()
        self.sources()
        self.definitions()
        self.quality()

    def standing(self) -> None:
        """Every judged figure, those off first, the farthest first; of these the risks, and what is asked."""
        order = {"attention": 0, "unknown": 1, "ok": 2}
        verdicts = sorted(self.pack.verdicts.items(), key=lambda item: (order[item[1].state], -item[1].weight, item[0]))
        labels = {division.id: division.label for division in self.pack.company.divisions}
        rows = []
        for fact_id, verdict in verdicts:
            metric = self.pack.metrics.get(fact_id)
            division = labels.get(metric.division, "") if metric is not None else ""
            texts = {"against": verdict.against, "division": division}
            rows.append(Row(texts, {"figure": fact_id}, verdict.state))
        self.pack.lists["standing"] = tuple(rows)
        shown = {name for names in self.context.scorecard.values() for name in names}
        # The order of the verdicts, the board's own figures before those of a division.
        off = sorted((row for row in rows if row.mark == "attention"), key=lambda row: row.facts["figure"] not in shown)
        self.pack.lists["risks"] = tuple(off[:RISKS])
        asked = [row for row in off if row.facts["figure"] in self.context.decisions]
        self.pack.lists["decisions"] = tuple(
            Row({**row.texts, "ask": self.context.decisions[row.facts["figure"]]}, row.facts)
            for row in asked[:DECISIONS]
        )
        origin = Source(OWN)
        judged = sum(row.mark != "unknown" for row in rows)
        self._count("figures_judged", "Figures judged", judged, origin)
        self._count("figures_off", "Figures off", len(off), origin)

    def _count(self, fact_id: str, label: str, number: int | None, source: Source, **more: Any) -> Fact:
        value = Decimal(number) if number is not None else None
        return self.pack.number(fact_id, label, "count", value, source, tie_out="matched", **more)

    def people(self) -> None:
        """Open alerts, the loudest first, and what people have taken on. Names of persons stay behind."""
        labels = {division.id: division.label for division in self.pack.company.divisions}
        alerts = self.context.alerts
        origin = Source("ops.alerts", "select count(*) from ops.alerts where state <> 'resolved'")
        self._count("alerts_open", "Open alerts", None if alerts is None else len(alerts), origin)
        rows = []
        ranked = sorted(
            alerts or (),
            key=lambda a: (_SEVERITIES.index(a.severity) if a.severity in _SEVERITIES else 9, a.since, a.label),
        )
        for number, alert in enumerate(ranked[:ALERT_ROWS], start=1):
            since = self._day(f"alert_{number}_since", "Open since", alert.since, origin)
            texts = {"label": minimise(alert.label, 90), "division": labels.get(alert.division or "", "")}
            rows.append(Row(texts, {"since": since.id}, alert.severity))
        self.pack.lists["alerts"] = tuple(rows)
        actions = self.context.actions
        origin = Source("ops.action_items", "select count(*) from ops.action_items where state = 'open'")
        self._count("actions_open", "Open actions", None if actions is None else len(actions), origin)
        rows = []
        for number, action in enumerate((actions or ())[:ACTION_ROWS], start=1):
            facts = {}
            if action.due is not None:
                facts["due"] = self._day(f"action_{number}_due", "Due", action.due, origin).id
            late = action.due is not None and action.due < self.pack.calendar.today
            texts = {"text": minimise(action.text, 120), "owner": minimise(action.owner, 40)}
            rows.append(Row(texts, facts, "overdue" if late else "open"))
        self.pack.lists["actions"] = tuple(rows)

    def _day(self, fact_id: str, label: str, day: date, source: Source) -> Fact:
        return self.pack.add(Fact(id=fact_id, label=label, unit="date", day=day, source=source, tie_out="matched"))

    # The last pack ---------------------------------------------------------------------------------------

    def last_pack(self) -> None:
        """What has turned since the last pack, and which numbers it published that are others today."""
        before = self.context.previous
        if before is None:
            return
        since = self.pack.lists["standing"]
        self.pack.lists["turned"] = tuple(
            Row({**row.texts, "was": was}, row.facts, row.mark) for row, was in turned(before, since)
        )
        published = [
            fact
            for fact in before.facts
            if fact.numeric and fact.known and (not self.context.published or fact.id in self.context.published)
            and fact.source.relation == METRIC_TABLE and not fact.change
        ]  # fmt: skip
        moved = list(restated(published, self._today))
        readable = sum(self._today(fact)[0] for fact in published)
        origin = Source(OWN, "", (("last_pack", before.digest),))
        self._count("restated_checked", "Published numbers read again", readable, origin)
        self._count("restated", "Restated numbers", len(moved), origin)
        rows = []

        def size(change: Comparison) -> Decimal:
            return abs(change.delta_pct) if change.delta_pct is not None else Decimal(1)

        for number, one in enumerate(sorted(moved, key=lambda m: (-size(m.change), m.published.id))[:RESTATED_ROWS], 1):
            old = one.published
            fact = self.pack.add(
                replace(
                    old, id=f"restated_{number}", value=one.now, comparisons=(one.change,), superlative=None,
                    status="known" if one.now is not None else "unknown", fresh_to=None,
                )
            )  # fmt: skip
            rows.append(Row({"figure": old.id}, {"figure": fact.id}))
        self.pack.lists["restated"] = tuple(rows)

    def _today(self, fact: Fact) -> tuple[bool, Decimal | None]:
        """The published fact read again: whether it can be, and what it is."""
        months = self.pack.months
        base = fact.id.removesuffix("_qtd").removesuffix("_ytd")
        metric = months.metrics.get(base)
        if metric is None or fact.period is None or self.context.unproven_since is not None:
            return False, None
        last = Month(fact.period.end.replace(day=1))
        if last.end != fact.period.end or last > self.pack.month:
            return False, None
        if metric.aggregation == "last":
            return True, months.figure(metric, [last]).value
        if fact.period.start.day != 1:
            return False, None
        count = (last.start.year - fact.period.start.year) * 12 + last.start.month - fact.period.start.month
        return True, months.figure(metric, Stretch.of(last.back(count + 1)).months).value

    # How sure --------------------------------------------------------------------------------------------

    def sources(self) -> None:
        """Each source with the moment to which it is complete."""
        fresh: dict[str, Any] = {}
        if self.pack.warehouse.has("ops.cursors"):
            fresh = {row["vendor"]: row for row in self.pack.warehouse.rows(_FRESHNESS)}
        connected: dict[str, bool] = {}
        if self.pack.warehouse.has("ops.connections"):
            query = "select vendor, connected from ops.connections"
            connected = {row["vendor"]: row["connected"] for row in self.pack.warehouse.rows(query)}
        rows = []
        as_of = self.pack.calendar.as_of
        for source in self.pack.company.sources:
            row = fresh.get(source.vendor)
            moment = row["fresh_to"] if row is not None and not row["gap"] else None
            age = as_of - moment if moment is not None else None
            current = age is not None and age <= timedelta(hours=source.stale_after_hours)
            hours = Decimal(int(age.total_seconds())) / 3600 if age is not None and current else None
            fact = self.pack.number(
                f"source_{source.vendor}", source.label, "hours", hours,
                Source("ops.cursors", "select min(fresh_to) from ops.cursors where vendor = %(vendor)s",
                       (("vendor", source.vendor),)),
                unknown_since=None if current else moment, fresh_to=moment, direction="down_is_good",
                about=source.vendor,
            )  # fmt: skip
            there = connected.get(source.vendor, moment is not None)
            rows.append(Row({}, {"freshness": fact.id}, "current" if current else "late" if there else "not_connected"))
        self.pack.lists["sources"] = tuple(rows)

    def definitions(self) -> None:
        """What the scorecard's figures count, in the words of their metrics."""
        if not self.pack.warehouse.has("metrics.dim_metric"):
            return
        said = {row["metric_id"]: row["description"] for row in self.pack.warehouse.rows(_DEFINITIONS)}
        rows = []
        names = [row.facts["figure"] for row in self.pack.lists.get("scorecard", ())]
        # A division whose figures have no past to draw has room to say what they count.
        for division in self.pack.company.divisions:
            if not self.pack.lists.get(f"division_{division.id}_charts"):
                names += [row.facts["figure"] for row in self.pack.lists.get(f"division_{division.id}", ())]
        for name in dict.fromkeys(names):
            if said.get(name):
                texts = {"label": self.pack.facts[name].label, "definition": whole_sentences(said[name], DEFINITION)}
                rows.append(Row(texts, {"figure": name}))
        self.pack.lists["definitions"] = tuple(rows)

    def quality(self) -> None:
        """How many of the pack's figures are known and tied out, and which are not."""
        figures = [fact for fact in self.pack.facts.values() if fact.id in self.pack.verdicts]
        loose = [fact for fact in figures if fact.known and fact.tie_out == "mismatched"]
        tied = [fact for fact in figures if fact.known and fact.tie_out == "matched"]
        unknown = [fact for fact in figures if not fact.known]
        origin = Source(OWN)
        for fact_id, label, found in (
            ("figures_shown", "Figures", figures), ("figures_unknown", "Figures unknown", unknown),
            ("figures_tied", "Figures tied out", tied), ("figures_loose", "Figures not tied out", loose),
        ):  # fmt: skip
            self._count(fact_id, label, len(found), origin)
        self.pack.lists["loose"] = _of(loose)
        self.pack.lists["unknown"] = _of(unknown)


def _of(facts: Sequence[Fact]) -> tuple[Row, ...]:
    return tuple(Row({}, {"figure": fact.id}, fact.tie_out) for fact in facts)

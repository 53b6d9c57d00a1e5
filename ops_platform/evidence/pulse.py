"""The evidence of the morning pulse.

Belongs here: which facts and lists the pulse rests on and how each is read. Does not belong here: how a metric's
reading becomes a fact (`evidence.metrics`), what is said (`ops_platform.writing`), how it looks
(`ops_platform.documents.pulse`).

Fact ids. A metric's fact has the metric's id (`net_sales`, `late_orders`, …; for yesterday, or as it stands). Besides:
`net_sales_mtd`; `health`, `health_low`, `health_high`, `driver`, `driver_attainment`;
`late_<bucket>`; `stock_<n>_available|days`; `messages_waiting`, `messages_oldest_wait`, `message_<n>_wait`;
`source_<vendor>`, `source_<vendor>_failing`, `sources_synced`, `sources_expected`; `jobs_due`, `jobs_nominal`;
`tokens_used`, `tokens_budget`; on Mondays `silence_…`.
Lists: `late`, `inventory`, `messages`, `divisions`, `sources`, `new_fields`, `health_unknown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.evidence.calendar import DAY, Calendar
from ops_platform.evidence.judgement import Verdict, judge
from ops_platform.evidence.metrics import (
    METRIC_TABLE,
    Metric,
    MetricReader,
    Warehouse,
    finite,
)
from ops_platform.evidence.model import Bundle, CompanyProfile, Comparison, Division, Fact, Row, Source, TieOut
from ops_platform.evidence.quoting import minimise
from ops_platform.evidence.second_reading import confirmed
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    import psycopg

KIND = "pulse"
LATE_BUCKETS = ("watch", "attention", "warning", "critical")
SEVERITIES = ("critical", "warning", "watch")
INVENTORY_ROWS = 5
MESSAGE_ROWS = 3
MESSAGE_LENGTH = 110

_HEALTH = "marts.fct_business_health_daily"
_ATTRIBUTION = "marts.fct_business_health_attribution"
_INVENTORY = "marts.fct_inventory_position"
_MESSAGES = "marts.fct_factory_messages"
_RELATIONS = (
    METRIC_TABLE,
    "metrics.dim_metric",
    _HEALTH,
    _ATTRIBUTION,
    _INVENTORY,
    _MESSAGES,
    "ops.connections",
    "ops.cursors",
    "ops.schema_changes",
    "ops.sync_runs",
    "ops.token_ledger",
)
# For each stream whose last sync did not succeed, since when: the first that did not after the last that did.
_FAILING = """
    with ended as (
        select id, stream, status, started_at from ops.sync_runs
        where vendor = %(vendor)s and kind = 'sync' and status in ('succeeded', 'failed', 'paused')
            and started_at <= %(as_of)s
    ), last as (
        select distinct on (stream) stream, status,
               coalesce((select max(good.id) from ended as good
                         where good.stream = ended.stream and good.status = 'succeeded'), 0) as good
        from ended order by stream, id desc
    )
    select last.stream, last.status,
           (select min(bad.started_at) from ended as bad where bad.stream = last.stream and bad.id > last.good) as since
    from last where last.status <> 'succeeded' order by 3, 1
"""
STREAMS_NAMED = 2
FIELDS_NAMED = 3

# What the pulse shows in its own sections. The definition in `metrics.dim_metric` wins; these stand in before the
# warehouse is first built, so that an empty warehouse still says what is unknown.
CORE = (
    Metric("net_sales", "Net sales", "money", "up_is_good"),
    Metric("orders", "Orders", "count", "up_is_good"),
    Metric("orders_pending", "Orders pending", "count", "down_is_good", "last"),
    Metric("late_orders", "Late orders", "count", "down_is_good", "last"),
    Metric("high_value_late_orders", "High-value late orders", "count", "down_is_good", "last"),
    Metric("skus_stock_critical", "SKUs at critical stock", "count", "down_is_good", "last"),
    Metric("skus_stock_warning", "SKUs at warning stock", "count", "down_is_good", "last"),
    Metric("skus_stock_watch", "SKUs to watch", "count", "down_is_good", "last"),
)


@dataclass(frozen=True, slots=True)
class Operations:
    """What only the scheduler, the budget and the build know: jobs due and run well in the last day, the token
    bound of a cycle; None is unknown. `unproven_since` is set when the newest build did not pass its tests:
    the moment of the last one that did, after which no number of the warehouse is published. `silence` is what the
    receipts of the past week prove (`ops_platform.alerts.receipts.facts_of`), on the day of the week that tells it."""

    jobs_due: int | None = None
    jobs_nominal: int | None = None
    tokens_budget: int | None = None
    unproven_since: datetime | None = None
    silence: tuple[Fact, ...] = ()


def build_pulse_bundle(
    connection: psycopg.Connection[Any],
    as_of: datetime,
    company: CompanyProfile,
    operations: Operations | None = None,
) -> Bundle:
    """Everything the pulse of the morning of `as_of` may say, from an open connection that may read the evidence
    relations. Reads nothing after `as_of`, writes nothing, and leaves out nothing silently: what cannot be read is
    an unknown fact."""
    if as_of.tzinfo is None:
        raise DataFailure("The pulse needs a moment with a time zone.")
    calendar = Calendar(as_of, ZoneInfo(company.timezone))
    warehouse = Warehouse(connection)
    with warehouse.snapshot():
        warehouse.probe(_RELATIONS)
        days = max((calendar.today - calendar.month_start).days, 9)
        reader = MetricReader(warehouse, calendar, company, days=days, dimensions=("all", "bucket"))
        operations = operations or Operations()
        gathering = _Gathering(warehouse, reader, calendar, company, operations.unproven_since)
        gathering.metric_facts()
        gathering.month_to_date()
        gathering.health()
        gathering.late_orders()
        gathering.inventory()
        gathering.messages()
        gathering.sources()
        gathering.operations(operations)
        gathering.divisions()
        return confirmed(warehouse, gathering.bundle())


class _Gathering:
    """Collects facts and rows in the order in which the pulse uses them."""

    def __init__(
        self,
        warehouse: Warehouse,
        reader: MetricReader,
        calendar: Calendar,
        company: CompanyProfile,
        unproven_since: datetime | None = None,
    ) -> None:
        self.unproven_since = unproven_since
        self.warehouse = warehouse
        self.reader = reader
        self.calendar = calendar
        self.company = company
        self.facts: dict[str, Fact] = {}
        self.lists: dict[str, tuple[Row, ...]] = {}
        self.notes = [f"not readable: {relation}" for relation in sorted(warehouse.denied)]
        self.connected: dict[str, bool] = {}

    def bundle(self) -> Bundle:
        notes = [*self.notes, *self.reader.notes]
        if not self.warehouse.has(METRIC_TABLE):
            notes.append("empty_warehouse")
        if self.unproven_since is not None:
            notes.append("warehouse_unproven")
        return Bundle(
            kind=KIND,
            period=self.calendar.day_period(self.calendar.yesterday),
            as_of=self.calendar.as_of,
            company=self.company,
            facts=tuple(self.facts.values()),
            lists=self.lists,
            notes=tuple(notes),
        )

    def add(self, fact: Fact) -> Fact:
        if self.unproven_since is not None and fact.source.relation.startswith(("metrics.", "marts.")):
            fact = replace(
                fact, value=None, text=None, day=None, comparisons=(), status="unknown", superlative=None,
                unknown_since=min(self.unproven_since, fact.unknown_since or self.unproven_since),
            )  # fmt: skip
        self.facts[fact.id] = fact
        return fact

    def metric(self, metric_id: str) -> Metric:
        found = self.reader.metrics.get(metric_id)
        return found if found is not None else next(metric for metric in CORE if metric.id == metric_id)

    def metric_facts(self) -> None:
        """The core metrics, then every metric some division shows in the pulse."""
        for core in CORE:
            self.add(self.reader.fact(self.metric(core.id)))
        for metric in self.reader.metrics.values():
            if metric.in_pulse and metric.id not in self.facts:
                self.add(self.reader.fact(metric))

    # Sales -----------------------------------------------------------------------------------------------

    def month_to_date(self) -> None:
        """Net sales of the month to yesterday, against the plan of the same days. One unknown day makes the sum
        unknown: a month without one of its days is another number."""
        metric = self.metric("net_sales")
        days = [
            self.calendar.month_start + timedelta(days=n)
            for n in range((self.calendar.yesterday - self.calendar.month_start).days + 1)
        ]
        readings = [self.reader.reading(metric.id, day) for day in days]
        missing = [
            status[1]
            for day, reading in zip(days, readings, strict=True)
            if (status := self.reader.status_of(metric, day, reading))[0] == "unknown"
        ]
        total = None if missing else sum((r.value for r in readings if r and r.value is not None), Decimal(0))
        plan = self._plan_to_date(total)
        moments = [moment for moment in missing if moment is not None]
        ties: set[TieOut] = {reading.tie_out if reading else "unknown" for reading in readings}
        query = (
            "select sum(value) from metrics.fct_metric_daily where metric_id = %(metric_id)s"
            " and dimension = 'all' and date between %(start)s and %(end)s"
        )
        params = {"metric_id": metric.id, "start": days[0].isoformat(), "end": days[-1].isoformat()}
        self.add(
            Fact(
                id="net_sales_mtd",
                label="Net sales month to date",
                unit="money",
                value=total,
                currency=metric.currency or self.company.currency,
                period=self.calendar.month_period(),
                comparisons=(Comparison.between("plan", "plan", total, plan),),
                direction="up_is_good",
                status="known" if total is not None else "unknown",
                unknown_since=None if total is not None else min(moments, default=None),
                fresh_to=readings[-1].fresh_to if readings[-1] else None,
                tie_out=_worst(ties),
                source=self.reader.source(metric, query, params),
            )
        )

    def _plan_to_date(self, total: Decimal | None) -> Decimal | None:
        """The plan for the same days as the month to date: the denominator of the plan attainment, which is kept
        for the month to date."""
        reading = self.reader.reading("revenue_plan_attainment", self.calendar.yesterday)
        if total is None or reading is None:
            return None
        return reading.denominator

    # Health ----------------------------------------------------------------------------------------------

    def health(self) -> None:
        """The score of this morning with its band, what moved it most since the morning before, and what it could
        not see."""
        day = self.calendar.today
        query = f"select score, score_low, score_high, coverage from {_HEALTH} where date = %(date)s"
        params = {"date": day.isoformat()}
        row: dict[str, Any] | None = None
        before = None
        if self.warehouse.has(_HEALTH):
            row = next(iter(self.warehouse.rows(query, {"date": day})), None)
            eve = next(iter(self.warehouse.rows(query, {"date": day - DAY})), None)
            before = finite(eve["score"]) if eve else None
        score = finite(row["score"]) if row else None
        reading = self.reader.reading("business_health", day)
        common: dict[str, Any] = {
            "unit": "score",
            "period": self.calendar.day_period(day),
            "fresh_to": reading.fresh_to if reading else None,
            "tie_out": reading.tie_out if reading else "unknown",
            "source": Source(_HEALTH, query, tuple(params.items())),
        }
        since = None if score is not None else self._last_scored()
        self.facts.pop("business_health", None)
        self.add(
            Fact(
                id="health",
                label="Business health",
                value=score,
                status="known" if score is not None else "unknown",
                unknown_since=since,
                direction="up_is_good",
                comparisons=(Comparison.between("day_before", "the day before", score, before),),
                **common,
            )
        )
        low, high = (finite(row["score_low"]), finite(row["score_high"])) if row else (None, None)
        scored = score is not None and self.unproven_since is None
        if scored and low is not None and high is not None:
            self.add(Fact(id="health_low", label="Low end of the health band", value=low, **common))
            self.add(Fact(id="health_high", label="High end of the health band", value=high, **common))
        self._attribution(scored)

    def _last_scored(self) -> datetime | None:
        if not self.warehouse.has(_HEALTH):
            return None
        query = f"select max(date) as date from {_HEALTH} where score is not null and date <= %s"
        last = self.warehouse.rows(query, (self.calendar.today,))[0]["date"]
        return self.calendar.start_of(last) if last else None

    def _attribution(self, scored: bool) -> None:
        if not self.warehouse.has(_ATTRIBUTION):
            return
        query = (
            "select component, label, attainment, previous_attainment, contribution_change, status, unknown_since"
            f" from {_ATTRIBUTION} where date = %(date)s and nominal_weight > 0 order by component"
        )
        day = self.calendar.today
        rows = self.warehouse.rows(query, {"date": day})
        source = Source(_ATTRIBUTION, query, (("date", day.isoformat()),))
        moved = [row for row in rows if row["status"] == "known" and finite(row["contribution_change"])]
        if scored and moved:
            top = max(moved, key=lambda row: (abs(row["contribution_change"]), row["component"]))
            label = _component_label(top)
            common: dict[str, Any] = {
                "period": self.calendar.day_period(day),
                "direction": "up_is_good",
                "source": source,
                "about": top["component"],
                "tie_out": self.facts["health"].tie_out,
                "fresh_to": self.facts["health"].fresh_to,
            }
            self.add(
                Fact(
                    id="driver",
                    label=label,
                    unit="score",
                    value=finite(top["contribution_change"]),
                    change=True,
                    **common,
                )
            )
            attainment = finite(top["attainment"])
            if attainment is not None:
                previous = finite(top["previous_attainment"])
                self.add(
                    Fact(
                        id="driver_attainment",
                        label=f"{label} attainment",
                        unit="ratio",
                        value=attainment,
                        comparisons=(Comparison.between("day_before", "the day before", attainment, previous),),
                        **common,
                    )
                )
        unknown = []
        for row in rows:
            if row["status"] == "known":
                continue
            fact_id = f"health_{_slug(row['component'])}"
            self.add(
                Fact(
                    id=fact_id,
                    label=_component_label(row),
                    unit="score",
                    status="unknown",
                    unknown_since=self.calendar.start_of(row["unknown_since"]) if row["unknown_since"] else None,
                    source=source,
                    about=row["component"],
                )
            )
            unknown.append(Row({}, {"component": fact_id}, "unknown"))
        self.lists["health_unknown"] = tuple(unknown)

    # Orders ----------------------------------------------------------------------------------------------

    def late_orders(self) -> None:
        """Late orders by age. A bucket without a row is zero only where the total is known and has buckets."""
        metric = self.metric("late_orders")
        total = self.facts["late_orders"]
        day = self.reader.day_read(metric)
        rows = []
        for bucket in LATE_BUCKETS:
            if total.status == "unknown" or self.reader.reading(metric.id, day, "bucket", bucket) is None:
                continue
            fact = self.reader.fact(
                metric,
                fact_id=f"late_{bucket}",
                label=f"Late orders, {bucket}",
                dimension="bucket",
                dimension_value=bucket,
            )
            if fact.value:
                self.add(fact)
                rows.append(Row({}, {"orders": fact.id}, bucket))
        self.lists["late"] = tuple(rows)

    # Inventory -------------------------------------------------------------------------------------------

    def inventory(self) -> None:
        """The SKUs that need a decision first: critical, then warning, the fastest sellers first; what an open
        purchase order already covers is left out."""
        if not self.warehouse.has(_INVENTORY) or not self.facts["skus_stock_critical"].known:
            return
        query = (
            f"select sku, severity, available, days_of_supply from {_INVENTORY}"
            " where severity in ('critical', 'warning') and not coalesce(covered_by_po, false)"
            " order by severity, velocity_30d desc nulls last, sku limit %(rows)s"
        )
        anchor = self.facts["skus_stock_critical"]
        rows = []
        for number, row in enumerate(self.warehouse.rows(query, {"rows": INVENTORY_ROWS}), start=1):
            sku = minimise(row["sku"] or "", 40)
            common: dict[str, Any] = {
                "period": anchor.period,
                "fresh_to": anchor.fresh_to,
                "tie_out": anchor.tie_out,
                "status": anchor.status,
                "direction": "up_is_good",
                "about": sku,
                "source": Source(
                    _INVENTORY,
                    f"select available, days_of_supply from {_INVENTORY} where sku = %(sku)s",
                    (("sku", row["sku"] or ""),),
                    anchor.source.sync_ids,
                ),
            }
            facts = {}
            units, days = finite(row["available"]), finite(row["days_of_supply"])
            if units is not None:
                facts["available"] = f"stock_{number}_available"
                self.add(Fact(id=facts["available"], label="Units available", unit="count", value=units, **common))
            if days is not None:
                facts["days"] = f"stock_{number}_days"
                self.add(Fact(id=facts["days"], label="Days of supply", unit="days", value=days, **common))
            rows.append(Row({"sku": sku}, facts, row["severity"]))
        self.lists["inventory"] = tuple(rows)

    # Messages --------------------------------------------------------------------------------------------

    def messages(self) -> None:
        """Overnight messages of factories and partners that nobody has answered. Names of people stay behind."""
        query = (
            "select channel, partner, text, extract(epoch from %(as_of)s - posted_at) / 3600 as hours"
            f" from {_MESSAGES} where posted_at <= %(as_of)s order by posted_at, channel"
        )
        fresh_to = self._fresh_to("slack")
        fresh = fresh_to is not None and self.calendar.as_of - fresh_to <= timedelta(hours=self._limit("slack"))
        source = Source(_MESSAGES, query, (("as_of", self.calendar.as_of.astimezone(UTC).isoformat()),))
        common: dict[str, Any] = {"direction": "down_is_good", "fresh_to": fresh_to, "source": source}
        if not self.warehouse.has(_MESSAGES) or not fresh or self.unproven_since is not None:
            self.add(
                Fact(
                    id="messages_waiting",
                    label="Messages waiting for an answer",
                    unit="count",
                    status="unknown",
                    unknown_since=fresh_to,
                    **common,
                )
            )
            return
        found = self.warehouse.rows(query, {"as_of": self.calendar.as_of})
        assert fresh_to is not None
        stale = fresh_to < self.calendar.start_of(self.calendar.today)
        common["status"] = "stale" if stale else "known"
        self.add(
            Fact(
                id="messages_waiting",
                label="Messages waiting for an answer",
                unit="count",
                value=Decimal(len(found)),
                **common,
            )
        )
        if found:
            oldest = finite(found[0]["hours"])
            self.add(Fact(id="messages_oldest_wait", label="Oldest message wait", unit="hours", value=oldest, **common))
        rows = []
        for number, row in enumerate(found[:MESSAGE_ROWS], start=1):
            wait = self.add(
                Fact(
                    id=f"message_{number}_wait",
                    label="Message wait",
                    unit="hours",
                    value=finite(row["hours"]),
                    **common,
                )
            )
            texts = {
                "partner": minimise(row["partner"] or row["channel"] or "", 40),
                "channel": minimise(row["channel"] or "", 40),
                "text": minimise(row["text"] or "", MESSAGE_LENGTH),
            }
            rows.append(Row(texts, {"wait": wait.id}))
        self.lists["messages"] = tuple(rows)

    # Footer ----------------------------------------------------------------------------------------------

    def _limit(self, vendor: str) -> int:
        return next((s.stale_after_hours for s in self.company.sources if s.vendor == vendor), 26)

    def _fresh_to(self, vendor: str) -> datetime | None:
        """A vendor is as fresh as its stalest stream; None when a stream never succeeded or none is known."""
        if not self.warehouse.has("ops.cursors"):
            return None
        query = "select min(fresh_to) as fresh_to, bool_or(fresh_to is null) as gap from ops.cursors where vendor = %s"
        row = self.warehouse.rows(query, (vendor,))[0]
        return None if row["gap"] else row["fresh_to"]

    def sources(self) -> None:
        """Each source with its freshness. A source without credentials is not connected: it is named, and does not
        count as expected."""
        if self.warehouse.has("ops.connections"):
            query = "select vendor, connected from ops.connections"
            self.connected = {row["vendor"]: row["connected"] for row in self.warehouse.rows(query)}
        rows, synced, expected = [], 0, 0
        for source in self.company.sources:
            fresh_to = self._fresh_to(source.vendor)
            connected = self.connected.get(source.vendor, fresh_to is not None)
            self.connected[source.vendor] = connected
            age = self.calendar.as_of - fresh_to if fresh_to is not None else None
            failing = self._failing(source.vendor) if connected else []
            recent = age is not None and age <= timedelta(hours=source.stale_after_hours)
            current = connected and recent and not failing
            hours = Decimal(int(age.total_seconds())) / 3600 if age is not None and current else None
            fact = self.add(
                Fact(
                    id=f"source_{_slug(source.vendor)}",
                    label=source.label,
                    unit="hours",
                    value=hours,
                    status="known" if hours is not None else "unknown",
                    unknown_since=fresh_to if hours is None else None,
                    fresh_to=fresh_to,
                    direction="down_is_good",
                    source=Source(
                        "ops.cursors",
                        "select min(fresh_to) from ops.cursors where vendor = %(vendor)s",
                        (("vendor", source.vendor),),
                    ),
                    about=source.vendor,
                )
            )
            expected += connected
            synced += current
            mark = "synced" if current else "not_synced" if connected else "not_connected"
            if failing:
                rows.append(self._failing_row(fact, failing))
            else:
                rows.append(Row({}, {"freshness": fact.id}, mark))
        self.lists["sources"] = tuple(rows)
        self._new_fields()
        origin = Source("ops.connections", "select vendor from ops.connections where connected")
        self.add(Fact(id="sources_synced", label="Sources synced", unit="count", value=Decimal(synced), source=origin))
        self.add(
            Fact(id="sources_expected", label="Sources connected", unit="count", value=Decimal(expected), source=origin)
        )

    def _failing(self, vendor: str) -> list[dict[str, Any]]:
        if not self.warehouse.has("ops.sync_runs"):
            return []
        return self.warehouse.rows(_FAILING, {"vendor": vendor, "as_of": self.calendar.as_of})

    def _failing_row(self, fact: Fact, failing: list[dict[str, Any]]) -> Row:
        """A source that does not sync, however young its last good data are. `failing` has the oldest first."""
        names = [str(row["stream"]).replace("_", " ") for row in failing]
        more = len(names) - STREAMS_NAMED
        streams = ", ".join(names[:STREAMS_NAMED]) + (" and others" if more > 0 else "")
        since = self.add(
            Fact(
                id=f"{fact.id}_failing",
                label=f"{fact.label} failing",
                unit="hours",
                status="unknown",
                unknown_since=failing[0]["since"],
                fresh_to=fact.fresh_to,
                source=Source("ops.sync_runs", "select stream, status, started_at from ops.sync_runs"
                              " where vendor = %(vendor)s order by id desc", (("vendor", str(fact.about)),)),
                about=fact.about,
            )
        )  # fmt: skip
        mark = "paused" if all(row["status"] == "paused" for row in failing) else "failed"
        return Row({"streams": minimise(streams, 60)}, {"freshness": fact.id, "since": since.id}, mark)

    def _new_fields(self) -> None:
        """Fields that vendors began to send in the day before this document: told once, by the next document."""
        if not self.warehouse.has("ops.schema_changes"):
            return
        query = (
            "select vendor, stream, array_agg(path order by path) as paths from ops.schema_changes"
            " where change = 'added' and first_seen_at > %(start)s and first_seen_at <= %(end)s"
            " group by vendor, stream order by vendor, stream"
        )
        labels = {source.vendor: source.label for source in self.company.sources}
        rows = []
        for row in self.warehouse.rows(query, {"start": self.calendar.as_of - DAY, "end": self.calendar.as_of}):
            paths = row["paths"]
            shown = ", ".join(paths[:FIELDS_NAMED]) + (" and others" if len(paths) > FIELDS_NAMED else "")
            stream = f"{labels.get(row['vendor'], row['vendor'])} {str(row['stream']).replace('_', ' ')}"
            rows.append(Row({"stream": stream, "fields": minimise(shown, 80)}))
        if rows:
            self.lists["new_fields"] = tuple(rows)

    def operations(self, operations: Operations) -> None:
        """Jobs that ran as they should, and what the fleet's writing has cost in the day before this document."""
        query = (
            "select coalesce(sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens), 0) as tokens"
            " from ops.token_ledger where state = 'spent' and created_at >= %(start)s and created_at < %(end)s"
        )
        start, end = self.calendar.as_of - DAY, self.calendar.as_of
        used = None
        if self.warehouse.has("ops.token_ledger"):
            used = self.warehouse.rows(query, {"start": start, "end": end})[0]["tokens"]
        params = (("end", end.astimezone(UTC).isoformat()), ("start", start.astimezone(UTC).isoformat()))
        scheduler = Source("dagster", "runs and ticks of the last day")
        for fact_id, label, number, source in (
            ("jobs_due", "Jobs due", operations.jobs_due, scheduler),
            ("jobs_nominal", "Jobs nominal", operations.jobs_nominal, scheduler),
            ("tokens_used", "Tokens used", used, Source("ops.token_ledger", query, params)),
            ("tokens_budget", "Token budget", operations.tokens_budget, Source("fleet.yaml", "budget")),
        ):
            value = Decimal(number) if number is not None else None
            status: Any = "known" if value is not None else "unknown"
            self.add(Fact(id=fact_id, label=label, unit="count", value=value, status=status, source=source))
        for fact in operations.silence:
            self.add(fact)

    # Divisions -------------------------------------------------------------------------------------------

    def divisions(self) -> None:
        """One verdict a division over its metrics shown in the pulse; the worst metric leads the line."""
        self.lists["divisions"] = tuple(self._division(division) for division in self.company.divisions)

    def _division(self, division: Division) -> Row:
        names = {_slug(division.id), _slug(division.label)}
        metrics = [m for m in self.reader.metrics.values() if m.in_pulse and _slug(m.division) in names]
        facts = [(self.facts["health" if m.id == "business_health" else m.id], m) for m in metrics]
        texts = {"division": division.id}
        if not facts:
            return Row({**texts, "reason": "no_metrics"}, {}, "unknown")
        verdicts = [(judge(fact, metric), fact) for fact, metric in facts]
        attention = [pair for pair in verdicts if pair[0].state == "attention"]
        known = [pair for pair in verdicts if pair[0].state == "ok"]
        unknown = [pair for pair in verdicts if pair[0].state == "unknown"]
        shown: list[tuple[Verdict, Fact]] = []
        if attention:
            shown = sorted(attention, key=lambda pair: (-pair[0].weight, pair[1].id))
            state = "attention"
            texts["against"] = shown[0][0].against
        elif known:
            shown = sorted(known, key=lambda pair: (_UNIT_ORDER.index(pair[1].unit), pair[1].id))
            state = "ok"
        else:
            vendors = {vendor for _, metric in facts for vendor in metric.vendors}
            never = vendors and not any(self.connected.get(vendor, False) for vendor in vendors)
            texts["reason"] = "not_connected" if never else "unknown"
            shown, state = unknown, "unknown"
        roles = {"lead": shown[0][1].id}
        if len(shown) > 1:
            roles["second"] = shown[1][1].id
        if unknown and state != "unknown":
            roles["unknown"] = unknown[0][1].id
        return Row(texts, roles, state)


_UNIT_ORDER = ("money", "count", "ratio", "percent", "score", "days", "hours", "text", "date")


def _component_label(row: dict[str, Any]) -> str:
    """The component's name as it stands inside a sentence: "Order trend" becomes "order trend", "ERP gap" stays."""
    label = str(row["label"] or row["component"].replace("_", " ")).strip() or "unnamed component"
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _worst(ties: set[TieOut]) -> TieOut:
    return "mismatched" if "mismatched" in ties else "unknown" if "unknown" in ties or not ties else "matched"

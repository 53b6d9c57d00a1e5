"""The rules of `fleet.yaml` held against what the warehouse published.

Belongs here: one signal for each subject of each rule: breached, clear or unknown. Does not belong here: the rules
(`fleet.yaml`), statistical surprise (`ops_platform.watch`), what becomes of a signal (`machine.py`).

What cannot be known is unknown: a metric that is NULL or not fresh to the end of its day, a mart whose sources are
not connected or stale. A subject that was open and is no longer there (a deal closed, an order shipped) is clear. A
rule that names a metric, view or column that does not exist is a `ConfigurationError` that names them all.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.signal import Severity, Signal, Subject, SubjectKind
from ops_platform.alerts.sources import StreamState, stream_states, vanished
from ops_platform.clock import business_day
from ops_platform.evidence.calendar import DAY, Calendar
from ops_platform.evidence.metrics import METRIC_TABLE, Metric, MetricReader, Warehouse, finite
from ops_platform.evidence.model import CompanyProfile, SourceSystem
from ops_platform.failures import ConfigurationError
from ops_platform.fleet.alert_rules import LOUDEST_FIRST, AlertRule, Comparison, Level, Measure
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    import psycopg

    from ops_platform.fleet import Fleet

# What a breach is at least near: the limit itself is 1.
_BREACHED = Decimal("1.01")
_COLUMNS = """
select table_schema || '.' || table_name as relation, array_agg(column_name::text) as columns
from information_schema.columns where table_schema || '.' || table_name = any(%s) group by 1
"""
_NOT_READ = "what it is read from is not known: "


def rule_signals(
    connection: psycopg.Connection[Any], fleet: Fleet, now: datetime, *, open_subjects: Iterable[Subject] = ()
) -> list[Signal]:
    """Every rule of the fleet looked at once, as of `now` (aware).

    `open_subjects` are the subjects of incidents still open: those of a rule that it no longer finds come back clear,
    as do those of a rule that was taken out. Raises `ConfigurationError` naming what a rule wants and is not there."""
    look = _Look(connection, fleet, now)
    look.check()
    still_open = list(open_subjects)
    signals: list[Signal] = []
    for name, rule in fleet.alert_rules.items():
        of_rule = look.view_signals(name, rule) if rule.view else look.metric_signals(name, rule)
        # Unknown as a whole: who was open stays open.
        if not any(signal.found is Finding.UNKNOWN and signal.subject.dimension == "all" for signal in of_rule):
            mine = [subject for subject in still_open if subject.name == name]
            of_rule += vanished(of_rule, mine, (SubjectKind.THRESHOLD,), now, look.today, "no longer there")
        signals += of_rule
    gone = [subject for subject in still_open if subject.name not in fleet.alert_rules]
    return signals + vanished((), gone, (SubjectKind.THRESHOLD,), now, look.today, "the rule was taken out")


def problems(connection: psycopg.Connection[Any], fleet: Fleet) -> list[str]:
    """What the rules name and the warehouse does not have, each with its rule. Before the first build: nothing."""
    wanted = sorted({rule.view for rule in fleet.alert_rules.values() if rule.view})
    has = {relation: set(columns) for relation, columns in connection.execute(_COLUMNS.encode(), (wanted,))}
    warehouse = Warehouse(connection)
    warehouse.probe(("metrics.dim_metric",))
    if not warehouse.has("metrics.dim_metric"):
        return []
    known = {row["metric_id"] for row in warehouse.rows("select metric_id from metrics.dim_metric")}
    found = []
    for name, rule in fleet.alert_rules.items():
        named = dict.fromkeys((*rule.metrics(), *rule.about))
        found += [f"alert rule {name}: there is no metric {metric!r}" for metric in named if metric not in known]
        if rule.view is None:
            continue
        if rule.view not in has:
            found.append(f"alert rule {name}: there is no view {rule.view!r}")
            continue
        found += [f"alert rule {name}: {rule.view} has no column {column!r}" for column in dict.fromkeys(rule.columns())
                  if column not in has[rule.view]]  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one subject's look on one day came to. `known` False: nothing may be concluded."""

    day: date
    known: bool
    severity: Severity | None = None
    value: Decimal | None = None
    money: Decimal | None = None
    closeness: Decimal | None = None
    limit: tuple[str, Decimal] | None = None
    rows: int = 0
    because: str = ""
    named: str | None = None

    @property
    def rank(self) -> int:
        return -1 if self.severity is None else self.severity.rank


class _Look:
    """One look at the warehouse for all rules."""

    def __init__(self, connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> None:
        from zoneinfo import ZoneInfo

        self.connection, self.fleet, self.now = connection, fleet, now.astimezone(UTC)
        self.calendar = Calendar(now, ZoneInfo(fleet.company.timezone))
        self.today = business_day(now, fleet.company.timezone)
        self.limits = {name: threshold.value for name, threshold in fleet.thresholds.items()}
        self.warehouse = Warehouse(connection)
        views = [rule.view for rule in fleet.alert_rules.values() if rule.view]
        self.warehouse.probe((METRIC_TABLE, "metrics.dim_metric", *views))
        self.streams: dict[str, StreamState] = stream_states(connection, fleet)

    def check(self) -> None:
        if found := problems(self.connection, self.fleet):
            raise ConfigurationError("fleet.yaml: " + "; ".join(found))

    @cached_property
    def reader(self) -> MetricReader:
        rules = [rule for rule in self.fleet.alert_rules.values() if rule.metric]
        sources = tuple(
            SourceSystem(vendor, source.label, source.stale_after_hours)
            for vendor, source in self.fleet.sources.items()
        )
        company = self.fleet.company
        return MetricReader(
            self.warehouse,
            self.calendar,
            CompanyProfile(company.name, company.timezone, company.currency, sources=sources),
            days=max((rule.days + rule.lookback_days for rule in rules), default=1) + 1,
            dimensions=tuple({"all", *(rule.dimension for rule in rules)}),
            only=sorted({name for rule in rules for name in rule.metrics()}),
        )

    # Comparing ------------------------------------------------------------------------------------------------

    def limit_of(self, comparison: Comparison) -> tuple[str, Decimal] | None:
        found = comparison.limit()
        if found is None:
            return None
        operator, limit = found
        return operator, self.limits[limit] if isinstance(limit, str) else limit

    def holds(self, comparison: Comparison, value: Any) -> bool | None:
        """Whether it holds; None where the value is unknown."""
        if value is None:
            return None
        limit = self.limit_of(comparison)
        if limit is None:
            return value in (comparison.is_ or ())
        number = finite(value)
        if number is None:
            return None
        operator, bound = limit
        return {
            "above": number > bound,
            "at_least": number >= bound,
            "below": number < bound,
            "at_most": number <= bound,
            "beyond": abs(number) > bound,
        }[operator]

    def nearness(self, comparison: Comparison, value: Any) -> Decimal | None:
        """How near the value is to its limit, 1 being the limit; None for words and unknowns."""
        limit, number = self.limit_of(comparison), None if isinstance(value, str | bool) else finite(value)
        if limit is None or number is None:
            return None
        operator, bound = limit
        if bound == 0 and operator in ("above", "at_least", "beyond"):
            # Nothing is a share of nothing: how many times as many as none.
            return number + 1 if number > 0 else Decimal(0)
        if bound <= 0:
            return None
        if operator in ("below", "at_most"):
            return _BREACHED if number <= 0 else round(bound / number, 4)
        return round((abs(number) if operator == "beyond" else max(number, Decimal(0))) / bound, 4)

    def level_of(
        self, rule: AlertRule, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[Severity | None, Level | None, bool]:
        """The loudest level that holds for the rows, and whether anything was known at all."""
        known = False
        for name in LOUDEST_FIRST:
            level = rule.levels.get(name)
            if level is None:
                continue
            fitting = 0
            for row in rows:
                found = [self.holds(comparison, row.get(column)) for column, comparison in level.when.items()]
                known = known or any(each is not None for each in found)
                holds = any(found) if level.match == "any" else all(found)
                fitting += holds
            if fitting >= level.rows:
                return Severity(name), level, True
        return None, None, known

    def closeness(
        self, rule: AlertRule, rows: Sequence[Mapping[str, Any]], severity: Severity | None
    ) -> Decimal | None:
        lowest = rule.levels[next(name for name in reversed(LOUDEST_FIRST) if name in rule.levels)]
        tests = [*(rule.near or lowest.when).items()]
        near = [self.nearness(test, row.get(column)) for row in rows for column, test in tests]
        best = max((each for each in near if each is not None), default=None)
        if best is None and rule.value.count and rule.view is not None:
            best = round(Decimal(sum(self.fits_some_level(rule, row) for row in rows)) / lowest.rows, 4)
        if severity is not None:
            return max(best or Decimal(0), _BREACHED)
        # No breach by the rule although a number alone would be one (a SKU that an order covers): it says nothing.
        return best if best is not None and best < 1 else None

    # Metrics --------------------------------------------------------------------------------------------------

    def metric_signals(self, name: str, rule: AlertRule) -> list[Signal]:
        assert rule.metric is not None
        metric = self.reader.metrics.get(rule.metric)
        if metric is None:
            return [self.unknown(name, rule, "the warehouse has not been built")]
        days = self.days_looked_at(metric, rule)
        subjects = {"all"} if rule.dimension == "all" else {
            value for day in days for value in self.reader.dimension_values(metric.id, day, rule.dimension)
        }  # fmt: skip
        if not subjects:
            return [self.unknown(name, rule, "there are no values", metric=metric)]
        return [
            self.signal(name, rule, value, [self.metric_verdict(rule, metric, value, day) for day in days], metric)
            for value in sorted(subjects)
        ]

    def days_looked_at(self, metric: Metric, rule: AlertRule) -> list[date]:
        """The days, newest first: a state from today's row where there is one, a flow from the last whole day."""
        newest = self.reader.day_read(metric)
        return [newest - offset * DAY for offset in range(rule.lookback_days)]

    def metric_verdict(self, rule: AlertRule, metric: Metric, subject: str, day: date) -> _Verdict:
        dimension = rule.dimension
        value = self.window(metric, rule.days, dimension, subject, day)
        row: dict[str, Any] = {"value": value}
        for other in dict.fromkeys(column for column, _ in rule.comparisons() if column != "value"):
            found = self.reader.metrics.get(other)
            row[other] = self.window(found, rule.days, dimension, subject, day) if found else None
        severity, level, known = self.level_of(rule, [row])
        money = self.money_of(rule, metric, value, level, dimension, subject, day)
        closeness = self.closeness(rule, [row], severity)
        if value is None or not known:
            return _Verdict(day, known=False)
        return _Verdict(day, True, severity, value, money, closeness, self.shown_limit(rule, level), 1)

    def money_of(self, rule: AlertRule, metric: Metric, value: Decimal | None, level: Level | None, dimension: str,
                 subject: str, day: date) -> Decimal | None:  # fmt: skip
        if rule.money_metric is not None:
            other = self.reader.metrics.get(rule.money_metric)
            return self.window(other, rule.days, dimension, subject, day) if other else None
        if metric.unit != "money" or value is None:
            return None
        limit = self.shown_limit(rule, level)
        return value - limit[1] if limit else value

    def window(self, metric: Metric, days: int, dimension: str, subject: str, day: date) -> Decimal | None:
        """The metric over `days` days that end with `day`; None as soon as one of them is unknown."""
        readings = [self.reader.reading(metric.id, day - back * DAY, dimension, subject) for back in range(days)]
        parts = []
        for back, reading in enumerate(readings):
            status, _ = self.reader.status_of(metric, day - back * DAY, reading)
            # A ratio of a day with nothing to divide by is undefined, not unknown: it adds nothing to the sums.
            empty = reading is not None and reading.value is None and reading.denominator == 0
            if reading is None or (status != "known" and not empty):
                return None
            parts.append(reading)
        if days == 1 or metric.is_state or metric.aggregation == "last":
            return parts[0].value
        if metric.aggregation in ("ratio", "average"):
            below = sum((part.denominator or Decimal(0) for part in parts), Decimal(0))
            above = sum((part.numerator or Decimal(0) for part in parts), Decimal(0))
            return round(above / below, 8) if below else None
        return sum((part.value or Decimal(0) for part in parts), Decimal(0))

    # Views ----------------------------------------------------------------------------------------------------

    def view_signals(self, name: str, rule: AlertRule) -> list[Signal]:
        assert rule.view is not None
        if missing := self.sources_missing(rule):
            return [self.unknown(name, rule, _NOT_READ + ", ".join(missing))]
        if not self.warehouse.has(rule.view):
            return [self.unknown(name, rule, "the warehouse has not been built")]
        by_subject: dict[str, dict[date, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        days = [self.today - (offset + 1) * DAY for offset in range(rule.lookback_days)] if rule.date else [self.today]
        for row in self.rows(rule, days):
            day = row[rule.date] if rule.date else self.today
            by_subject["all" if rule.dimension == "all" else str(row[rule.dimension])][day].append(row)
        if not by_subject:
            # Nothing to look at is a look as well: the rule as a whole is clear.
            return [self.signal(name, rule, "all", [_Verdict(days[0], known=True, value=Decimal(0))])]
        return [
            self.signal(name, rule, subject, [self.view_verdict(rule, of_day, day) for day in days])
            for subject, of_day in sorted(by_subject.items())
        ]

    def rows(self, rule: AlertRule, days: Sequence[date]) -> list[dict[str, Any]]:
        from psycopg import sql

        assert rule.view is not None
        schema, _, table = rule.view.partition(".")
        columns = sql.SQL(", ").join(sql.Identifier(column) for column in dict.fromkeys(rule.columns()))
        conditions: list[sql.Composable] = [
            sql.SQL("{} = {}").format(sql.Identifier(column), sql.Literal(value))
            for column, value in rule.where.items()
        ]
        if rule.date is not None:
            conditions.append(sql.SQL("{} = any({})").format(sql.Identifier(rule.date), sql.Literal(list(days))))
        query = sql.SQL("select {} from {}{}").format(
            columns,
            sql.Identifier(schema, table),
            sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL(""),
        )
        return self.warehouse.rows(query.as_string(self.connection))

    def view_verdict(self, rule: AlertRule, of_day: Mapping[date, list[dict[str, Any]]], day: date) -> _Verdict:
        rows = of_day.get(day, [])
        if not rows:
            # A mart of what is open now that has no row says that nothing is open; of a day, that nobody knows.
            return _Verdict(day, known=rule.date is None, value=Decimal(0), closeness=Decimal(0))
        severity, level, known = self.level_of(rule, rows)
        named = next((str(row[rule.named]) for row in rows if row[rule.named]), None) if rule.named else None
        if not known:
            return _Verdict(day, known=False, named=named)
        fitting = [row for row in rows if self.fits_some_level(rule, row)]
        told = fitting if severity is not None or rule.value.count else rows
        return _Verdict(
            day,
            True,
            severity,
            _measured(rule.value, told),
            None if rule.money is None else _measured(rule.money, told),
            self.closeness(rule, rows, severity),
            self.shown_limit(rule, level, rows),
            len(fitting),
            self.because(rule, fitting),
            named,
        )

    def fits_some_level(self, rule: AlertRule, row: Mapping[str, Any]) -> bool:
        for level in rule.levels.values():
            found = [self.holds(comparison, row.get(column)) for column, comparison in level.when.items()]
            if any(found) if level.match == "any" else all(found):
                return True
        return False

    def sources_missing(self, rule: AlertRule) -> list[str]:
        """The streams without which nothing may be concluded."""
        unusable = [name for name in rule.sources if not self._usable(name)]
        if rule.any_source and not any(self._usable(name) for name in rule.any_source):
            unusable += rule.any_source
        return unusable

    def _usable(self, name: str) -> bool:
        state = self.streams.get(name)
        return state is not None and state.usable(self.now)

    # Signals --------------------------------------------------------------------------------------------------

    def shown_limit(
        self, rule: AlertRule, level: Level | None, rows: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[str, Decimal] | None:
        """The limit a reader is told: of the level that held, else the first there is. One of `near` only where it is
        overstepped too: a SKU below its reorder point may have many days of supply."""
        tests = list(level.when.values()) if level else [
            test for name in reversed(LOUDEST_FIRST) if name in rule.levels for test in rule.levels[name].when.values()
        ]  # fmt: skip
        for column, test in rule.near.items():
            if level is None or any(self.holds(test, row.get(column)) for row in rows):
                tests.append(test)
        return next((limit for limit in map(self.limit_of, tests) if limit is not None), None)

    def because(self, rule: AlertRule, rows: Sequence[Mapping[str, Any]]) -> str:
        """What the mart itself says is the reason, in its words without underscores."""
        if rule.because is None:
            return ""
        found = sorted({str(row[rule.because]).replace("_", " ") for row in rows if row[rule.because] is not None})
        return ", ".join(found)

    def signal(
        self, name: str, rule: AlertRule, subject: str, verdicts: Sequence[_Verdict], metric: Metric | None = None
    ) -> Signal:
        known = [verdict for verdict in verdicts if verdict.known]
        if not known:
            named = next((verdict.named for verdict in verdicts if verdict.named), None)
            return self.unknown(name, rule, "its value is not known", subject, metric, named)
        worst = max(known, key=lambda verdict: (verdict.rank, verdict.day))
        small = (
            worst.severity is not None
            and rule.minimum_money is not None
            and worst.money is not None
            and abs(worst.money) < rule.minimum_money
        )
        breached = worst.severity is not None and not small
        limit = worst.limit
        low = limit[1] if limit and limit[0] in ("below", "at_most") else None
        high = limit[1] if limit and limit[0] in ("above", "at_least", "beyond") else None
        bound = low if low is not None else high
        effect = worst.value - bound if breached and worst.value is not None and bound is not None else None
        return Signal(
            subject=self.subject(name, rule, subject),
            found=Finding.BREACHED if breached else Finding.CLEAR,
            # The newest day looked at, not the worst: a later look is never of an earlier day.
            period=verdicts[0].day,
            observed_at=self.now,
            label=rule.label.format(subject=worst.named or subject.replace("_", " ")),
            severity=worst.severity or Severity.WATCH,
            unit=metric.unit if metric else rule.unit,
            value=worst.value,
            expected_low=low,
            expected_high=high,
            effect=effect,
            effect_money=worst.money if breached else None,
            closeness=None if small else worst.closeness,
            adverse=rule.adverse,
            since=min(verdict.day for verdict in known if verdict.severity) if breached else None,
            depends_on=self.depends_on(rule, metric),
            division=rule.division or (metric.division if metric else None),
            owner=rule.owner or self.owner_of(metric),
            explanation=self.explanation(rule, worst, small),
        )

    def unknown(
        self, name: str, rule: AlertRule, why: str, subject: str = "all", metric: Metric | None = None,
        named: str | None = None,
    ) -> Signal:  # fmt: skip
        return Signal(
            subject=self.subject(name, rule, subject),
            found=Finding.UNKNOWN,
            period=self.calendar.yesterday if rule.metric or rule.date else self.today,
            observed_at=self.now,
            label=rule.label.format(subject=named or subject.replace("_", " ")),
            severity=Severity.WATCH,
            unit=metric.unit if metric else rule.unit,
            adverse=rule.adverse,
            depends_on=self.depends_on(rule, metric),
            division=rule.division or (metric.division if metric else None),
            owner=rule.owner or self.owner_of(metric),
            explanation=why,
        )

    def subject(self, name: str, rule: AlertRule, value: str) -> Subject:
        if rule.dimension == "all" or value == "all":
            return Subject(SubjectKind.THRESHOLD, name)
        return Subject(SubjectKind.THRESHOLD, name, rule.dimension, value)

    def depends_on(self, rule: AlertRule, metric: Metric | None) -> tuple[str, ...]:
        if metric is None:
            return (*rule.sources, *(name for name in rule.any_source if self._usable(name)))
        return self.catalogue[metric.id][0] or metric.sources

    @cached_property
    def catalogue(self) -> dict[str, tuple[tuple[str, ...], str | None]]:
        """Metric id → the sources it cannot do without, its owner."""
        rows = self.warehouse.rows("select metric_id, required_sources, owner from metrics.dim_metric")
        return {row["metric_id"]: (tuple(row["required_sources"] or ()), row["owner"]) for row in rows}

    def owner_of(self, metric: Metric | None) -> str | None:
        return None if metric is None else self.catalogue[metric.id][1]

    def explanation(self, rule: AlertRule, worst: _Verdict, small: bool) -> str:
        parts = [worst.because] if worst.because and worst.severity is not None else []
        if worst.limit is not None and rule.metric is not None:
            days = f" over {rule.days} days" if rule.days > 1 else ""
            parts.append(f"limit: {worst.limit[0].replace('_', ' ')} {worst.limit[1].normalize():f}{days}")
        if rule.view is not None and rule.dimension == "all" and worst.severity is not None:
            parts.append(f"{worst.rows} of them")
        if rule.money_is and worst.severity is not None:
            parts.append(f"money: {rule.money_is}")
        if small:
            parts.append("below the amount worth a word")
        return "; ".join(parts)


def _measured(measure: Measure, rows: Sequence[Mapping[str, Any]]) -> Decimal | None:
    """The measure over the rows; None as soon as one of the numbers is unknown."""
    if measure.count:
        return Decimal(len(rows))
    column = measure.column
    assert column is not None
    numbers: list[Decimal] = []
    for row in rows:
        number = finite(row[column])
        if number is not None and measure.less is not None:
            less = finite(row[measure.less])
            number = None if less is None else number - less
        if number is not None:
            numbers.append(number)
        elif measure.sum:
            return None
    if measure.sum:
        return sum(numbers, Decimal(0))
    if not numbers:
        return None
    return min(numbers) if measure.min else max(numbers)

"""Metrics by calendar month, quarter and year to date, put together as each metric says its days combine.

Belongs here: the months a monthly document speaks of, and reading `metrics.fct_metric_daily` in months. Does not belong
here: which metrics a document shows (`evidence.board_pack`), single days (`evidence.metrics`).

The rules. A sum is known when every day of the period has a value from a source that was fresh to the end of that day:
one unknown day makes it unknown. A ratio is the ratio of the sums, never a mean of ratios. A state is that of the last
day of the period; a metric that is only seen on the day itself and was not seen then is read where it was first seen
in the month after, and its period says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.calendar import DAY, MONTHS
from ops_platform.evidence.metrics import METRIC_TABLE, Metric, as_tie_out, finite
from ops_platform.evidence.model import Comparison, Fact, Period, Point, Series, Source, TieOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ops_platform.evidence.calendar import Calendar
    from ops_platform.evidence.metrics import MetricReader, Warehouse

ROUNDING = Decimal("0.00000001")
_TIES: tuple[TieOut, ...] = ("matched", "unknown", "mismatched")
_MONTHLY = f"""
select metric_id, dimension, dimension_value, date_trunc('month', date)::date as month,
       count(*) as days, count(value) as valued, count(numerator) as uppers, count(denominator) as lowers,
       sum(value) as total, sum(numerator) as upper, sum(denominator) as lower, max(date) as last_day,
       (array_agg(value order by date desc))[1] as last_value,
       (array_agg(denominator order by date desc))[1] as last_lower,
       (array_agg(fresh_to order by date desc))[1] as last_fresh,
       max(date) filter (where value is not null) as known_to,
       min(fresh_to) filter (where fresh_to < (date + 1)::timestamp at time zone %(zone)s) as short_of,
       max(case tie_out when 'matched' then 0 when 'mismatched' then 2 else 1 end) as tie
from {METRIC_TABLE}
where date between %(start)s and %(end)s and (dimension = 'all' or metric_id = any(%(apart)s))
group by 1, 2, 3, 4
"""
_FIRST_SINCE = f"""
select distinct on (metric_id) metric_id, date, value, fresh_to, tie_out from {METRIC_TABLE}
where date between %(start)s and %(end)s and dimension = 'all' and metric_id = any(%(metrics)s) and value is not null
order by metric_id, date
"""
_SUM = (
    f"select sum(value) from {METRIC_TABLE} where metric_id = %(metric_id)s and dimension = %(dimension)s"
    " and dimension_value = %(dimension_value)s and date between %(start)s and %(end)s"
)
_RATIO = _SUM.replace("sum(value)", "round(sum(numerator) / nullif(sum(denominator), 0), 8)")
_ENDS = (
    f"select date, value from {METRIC_TABLE} where metric_id = %(metric_id)s and dimension = %(dimension)s"
    " and dimension_value = %(dimension_value)s and date between %(start)s and %(end)s"
    " and extract(day from date + 1) = 1 order by date"
)
_STATE = (
    f"select value from {METRIC_TABLE} where metric_id = %(metric_id)s and dimension = %(dimension)s"
    " and dimension_value = %(dimension_value)s and date = %(end)s"
)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month by its first day."""

    start: date

    @property
    def end(self) -> date:
        return self.later(1).start - DAY

    @property
    def label(self) -> str:
        return f"{MONTHS[self.start.month - 1]} {self.start.year}"

    @property
    def short(self) -> str:
        return f"{MONTHS[self.start.month - 1][:3]} {self.start.year}"

    def later(self, months: int) -> Month:
        number = self.start.year * 12 + self.start.month - 1 + months
        return Month(date(number // 12, number % 12 + 1, 1))

    def back(self, months: int) -> tuple[Month, ...]:
        """The `months` months that end with this one, in order."""
        return tuple(self.later(-n) for n in reversed(range(months)))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole months in a row, and how a reader is told of them."""

    months: tuple[Month, ...]
    label: str

    @property
    def period(self) -> Period:
        return Period(self.months[0].start, self.months[-1].end, self.label)

    def year_before(self) -> Stretch:
        return Stretch.of(tuple(month.later(-12) for month in self.months))

    @classmethod
    def of(cls, months: tuple[Month, ...]) -> Stretch:
        first, last = months[0], months[-1]
        if first == last:
            return cls(months, last.label)
        year = "" if first.start.year == last.start.year else f" {first.start.year}"
        return cls(months, f"{MONTHS[first.start.month - 1]}{year} to {last.label}")

    @classmethod
    def to_date(cls, month: Month, year_starts: int, months: int) -> Stretch:
        """The quarter (`months` 3) or fiscal year (12) that `month` lies in, from its start to the end of `month`."""
        since = (month.start.month - year_starts) % months
        return cls.of(month.back(since + 1))


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric's number for some months. `value` None is unknown since `since` (None: there is nothing to say it of,
    as a ratio of nothing). `upper` and `lower` are the parts of a ratio; `day` is set for a state read on a later day
    than the period's last."""

    value: Decimal | None
    tie_out: TieOut = "unknown"
    since: datetime | None = None
    fresh_to: datetime | None = None
    upper: Decimal | None = None
    lower: Decimal | None = None
    day: date | None = None


class MonthReader:
    """The published metrics in months, from `first` to `last`, and facts made of them.

    `apart` are the metrics that are read by their dimensions too. Whole months only."""

    def __init__(
        self, warehouse: Warehouse, reader: MetricReader, calendar: Calendar, first: Month, last: Month,
        apart: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.reader = reader
        self.calendar = calendar
        self.metrics = dict(reader.metrics)
        self.last = last
        self._rows: dict[tuple[str, str, str, Month], dict[str, Any]] = {}
        self._first_since: dict[str, dict[str, Any]] = {}
        if not warehouse.has(METRIC_TABLE):
            return
        span = {"start": first.start, "end": last.end, "apart": list(apart), "zone": calendar.zone.key}
        for row in warehouse.rows(_MONTHLY, span):
            key = (row["metric_id"], row["dimension"], row["dimension_value"], Month(row["month"]))
            self._rows[key] = row
        states = [metric.id for metric in self.metrics.values() if metric.is_state]
        since = {"start": last.end + DAY, "end": min(calendar.today, last.later(1).end), "metrics": states}
        for row in warehouse.rows(_FIRST_SINCE, since):
            self._first_since[row["metric_id"]] = row

    # Figures ---------------------------------------------------------------------------------------------

    def figure(self, metric: Metric, months: Sequence[Month], dimension: str = "all", part: str = "all") -> Figure:
        """The metric's number for `months`, which follow each other."""
        rows = [self._rows.get((metric.id, dimension, part, month)) for month in months]
        if metric.aggregation == "last":
            return self._state(metric, months[-1], rows[-1], dimension)
        present = [row for row in rows if row is not None]
        tie = _TIES[max((int(row["tie"]) for row in present), default=1)]
        short = [row["short_of"] for row in present if row["short_of"] is not None]
        ratio = metric.aggregation in ("ratio", "average")
        whole = len(present) == len(months) and all(
            row["days"] == (month.end - month.start).days + 1
            and row["days"] == row["uppers" if ratio else "valued"]
            and (not ratio or row["days"] == row["lowers"])
            for row, month in zip(present, months, strict=False)
        )
        if not whole or short:
            return Figure(None, tie, min(short, default=None) or self._since(metric, months[-1], dimension, part))
        fresh = present[-1]["last_fresh"]
        if not ratio:
            return Figure(_total(row["total"] for row in present), tie, None, fresh)
        upper, lower = _total(row["upper"] for row in present), _total(row["lower"] for row in present)
        if upper is None or lower is None:
            return Figure(None, tie)
        value = (upper / lower).quantize(ROUNDING, ROUND_HALF_UP) if lower else None
        return Figure(value, tie, None, fresh, upper, lower)

    def _state(self, metric: Metric, month: Month, row: dict[str, Any] | None, dimension: str) -> Figure:
        if row is not None and row["last_day"] == month.end and finite(row["last_value"]) is not None:
            tie = _TIES[int(row["tie"])]
            fresh = row["last_fresh"]
            if metric.is_state and fresh is not None and fresh < self.calendar.start_of(month.end):
                return Figure(None, tie, fresh)
            return Figure(finite(row["last_value"]), tie, None, fresh, lower=finite(row["last_lower"]))
        seen = self._first_since.get(metric.id)
        # Seen on the day only: the first picture of a new warehouse is later than the month it reports.
        if row is None and seen and metric.kind == "snapshot" and dimension == "all" and month == self.last:
            return Figure(finite(seen["value"]), as_tie_out(seen["tie_out"]), None, seen["fresh_to"], day=seen["date"])
        lower = finite(row["last_lower"]) if row is not None and row["last_day"] == month.end else None
        return Figure(None, "unknown", self._since(metric, month, dimension, "all"), lower=lower)

    def _since(self, metric: Metric, month: Month, dimension: str, part: str) -> datetime | None:
        known = [
            row["known_to"]
            for key, row in self._rows.items()
            if key[:3] == (metric.id, dimension, part) and key[3] <= month and row["known_to"] is not None
        ]
        return self.calendar.end_of(max(known)) if known else None

    def parts(self, metric: Metric, dimension: str, months: Iterable[Month]) -> dict[str, list[Decimal | None]]:
        """The metric by the values of `dimension`, month by month. A value without a row in a month whose whole is
        known had nothing in it; where the whole is unknown, so is every part."""
        wanted = list(months)
        names = sorted({key[2] for key in self._rows if key[:2] == (metric.id, dimension) and key[3] in wanted})
        found: dict[str, list[Decimal | None]] = {name: [] for name in names}
        for month in wanted:
            whole = self.figure(metric, [month])
            for name in names:
                row = self._rows.get((metric.id, dimension, name, month))
                if whole.value is None:
                    found[name].append(None)
                elif metric.aggregation == "last":
                    found[name].append(
                        finite(row["last_value"]) if row and row["last_day"] == month.end else Decimal(0)
                    )
                elif row is None:
                    found[name].append(Decimal(0))
                else:
                    found[name].append(finite(row["total"]) if row["days"] == row["valued"] else None)
        return found

    # Facts -----------------------------------------------------------------------------------------------

    def fact(
        self, metric: Metric, stretch: Stretch, fact_id: str, label: str, more: Iterable[Comparison] = (),
        *, month_before: bool = True,
    ) -> Fact:  # fmt: skip
        """The metric's fact for `stretch`: against the month before (of a single month), the same months a year
        before, `more`, and its target."""
        found = self.figure(metric, stretch.months)
        value = found.value
        comparisons = []
        end = "the end of " if metric.aggregation == "last" else ""
        # A state read later than the period has nothing of its own kind before it.
        if found.day is None:
            if month_before and len(stretch.months) == 1:
                before = stretch.months[0].later(-1)
                base = self.figure(metric, [before]).value
                comparisons.append(Comparison.between("month_before", end + before.label, value, base))
            earlier = stretch.year_before()
            base = self.figure(metric, earlier.months).value
            comparisons.append(Comparison.between("year_before", end + earlier.label, value, base))
        comparisons += more
        if metric.target is not None:
            comparisons.append(Comparison.between("target", "target", value, metric.target))
        period = stretch.period
        if metric.is_state:
            period = self.calendar.day_period(found.day or period.end)
        return Fact(
            id=fact_id,
            label=label,
            unit=metric.unit,
            value=value,
            currency=self.currency(metric),
            period=period,
            comparisons=tuple(comparisons),
            direction=metric.direction,
            status="known" if value is not None else "unknown",
            unknown_since=found.since if value is None else None,
            fresh_to=found.fresh_to,
            tie_out=found.tie_out,
            source=self.source(metric, stretch, found.day),
        )

    def currency(self, metric: Metric) -> str | None:
        return (metric.currency or self.reader.company.currency) if metric.unit == "money" else None

    def source(
        self, metric: Metric, stretch: Stretch, day: date | None = None, dimension: str = "all", part: str = "all"
    ) -> Source:
        query = _STATE if metric.aggregation == "last" else _SUM if metric.aggregation == "sum" else _RATIO
        params = {
            "metric_id": metric.id, "dimension": dimension, "dimension_value": part,
            "start": stretch.period.start.isoformat(), "end": (day or stretch.period.end).isoformat(),
        }  # fmt: skip
        return self.reader.source(metric, query, params)

    def monthly_source(
        self, metric: Metric, months: Sequence[Month], dimension: str = "all", part: str = "all", column: str = "value"
    ) -> Source:
        """The source of a number a month; of states and of `column` other than the value, that of the months' ends."""
        source = self.source(metric, Stretch.of(tuple(months)), None, dimension, part)
        if metric.aggregation == "last":
            return replace(source, query=_ENDS.replace("date, value", f"date, {column}"))
        return replace(source, query=_by_month(source.query))

    def trend(self, metric: Metric, months: Sequence[Month], series_id: str) -> Series:
        """The metric month by month."""
        found = [self.figure(metric, [month]) for month in months]
        points = tuple(Point(month.short, one.value) for month, one in zip(months, found, strict=True))
        tie = worst([one.tie_out for one in found if one.value is not None])
        source = self.monthly_source(metric, months)
        return Series(series_id, metric.label, metric.unit, points, self.currency(metric), source, tie)


def worst(ties: Sequence[TieOut]) -> TieOut:
    """The worst of some tie-outs; of none, unknown."""
    return _TIES[max((_TIES.index(tie) for tie in ties), default=1)]


def previous_month(today: date) -> Month:
    """The month that was over last on `today`."""
    return Month((today.replace(day=1) - timedelta(days=1)).replace(day=1))


def _total(values: Iterable[Any]) -> Decimal | None:
    numbers = [finite(value) for value in values]
    known = [number for number in numbers if number is not None]
    return sum(known, Decimal(0)) if len(known) == len(numbers) else None


def _by_month(query: str) -> str:
    """The same for each month of a stretch."""
    return query.replace("select ", "select date_trunc('month', date)::date as month, ", 1) + " group by 1 order by 1"

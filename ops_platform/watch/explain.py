"""Where a metric's change lies: in which parts, in which values of a dimension, in which slices.

Belongs here: reading the published numbers an explanation needs, and putting decomposition and search together. Does
not belong here: the arithmetic (`decomposition.py`), the search itself (`search.py`), the tree (`tree.py`), layout for
people (`ops_platform.commands.explain`, documents).

It says where a change lies and how much of it, never what brought it about. What the parts do not make up, and what
lies in no slice, is stated. A number that is not known on one of the two sides ends the question with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.watch.decomposition import (
    Decomposition,
    Effect,
    MixEffect,
    PriceVolumeMix,
    Undecidable,
    by_value,
    decompose,
    mix_and_rate,
    price_volume_mix,
    scale,
)
from ops_platform.watch.search import Found, search
from ops_platform.watch.tree import Breakdown, Kind, Leaves, MetricTree

if TYPE_CHECKING:
    import psycopg

# `expected` of what was not judged: the mean of so many of the same weekdays before.
USUAL_WEEKS = 4
_DEEPEST = 4  # levels of the tree that are told
_SMALLEST_SLICE = 0.05  # a slice with less of all movement is not worth a line

_METRICS = "select metric_id, label, unit, currency, aggregation, kind from metrics.dim_metric"
_ROWS = """
select metric_id, date, dimension, dimension_value, value, numerator, denominator
from metrics.fct_metric_daily
where metric_id = any(%(metrics)s) and date = any(%(days)s) and (dimension = 'all' or metric_id = any(%(dimensional)s))
"""
_FLOWS = """
select metric_id, count(*) as days, count(value) as known, sum(value) as value
from metrics.fct_metric_daily
where metric_id = any(%(metrics)s) and date > %(start)s and date <= %(end)s and dimension = 'all'
group by metric_id
"""
_EXPECTED = """
select metric_id, dimension, dimension_value, expected
from ops.judgements
where metric_id = any(%(metrics)s) and date = %(day)s and expected is not null
"""
_LAST_DAY = """
select min(days.last) as day
from (
    select max(date) as last from metrics.fct_metric_daily
    where metric_id = any(%s) and dimension = 'all' group by metric_id
) as days
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a metric is called and counted in."""

    id: str
    label: str
    unit: str
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A part in the tree: its own values in its own unit, and its effect on the explained metric, in that one's unit.

    `share` is the effect over the whole change, None where that is zero."""

    metric: Measured
    before: Decimal | None
    after: Decimal | None
    effect: Decimal
    share: Decimal | None
    depth: int
    formula: str = ""
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterable[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class ByDimension:
    """The change by the values of one dimension, the largest first; `effect` of each, or for a ratio `rate` and `mix`
    that add up to it. `unexplained` is what the values do not make up."""

    dimension: str
    effects: tuple[Effect, ...]
    mix: tuple[MixEffect, ...] = ()
    volume: tuple[PriceVolumeMix, ...] = ()
    volume_of: Measured | None = None
    unexplained: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where the change of a metric lies. `before` is what it is held against, `against` names that."""

    metric: Measured
    day: date
    against: str
    before: Decimal
    after: Decimal
    tree: tuple[Node, ...] = ()
    formula: str = ""
    method: str = ""
    unexplained: Decimal = Decimal(0)
    dimensions: tuple[ByDimension, ...] = ()
    slices: Found | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def change(self) -> Decimal:
        return self.after - self.before

    def foremost(self, most: int = 3) -> list[tuple[str, Decimal, Decimal | None]]:
        """The parts and dimension values that carry most, as (label, effect, share), for a line of an alert: the
        lowest parts of the tree, or where it has none, the values of the dimension that tells most apart."""
        # A metric that is part of two parts is told once, with what it carries in both.
        carried: dict[str, Decimal] = {}
        for top in self.tree:
            for node in top.walk():
                if not node.children and node.effect:
                    carried[node.metric.label] = carried.get(node.metric.label, Decimal(0)) + node.effect
        lines = [(label, effect, _share(effect, self.change)) for label, effect in carried.items()]
        if not lines and self.dimensions:
            told = max(self.dimensions, key=lambda one: max((abs(e.effect) for e in one.effects), default=Decimal(0)))
            lines = [(f"{told.dimension} {e.part}", e.effect, _share(e.effect, self.change)) for e in told.effects]
        return sorted((line for line in lines if line[1]), key=lambda line: (-abs(line[1]), line[0]))[:most]


def explain(
    connection: psycopg.Connection[Any],
    metric: str,
    day: date | None = None,
    against: str = "expected",
    *,
    dimension: str | None = None,
    tree: MetricTree | None = None,
    with_slices: bool = True,
) -> Explanation:
    """Where the change of `metric` on `day` lies (default: its last day).

    `against`: `expected` (what it was judged against; else the mean of the same weekday of four weeks), `week` (the
    same weekday a week before), `year` (364 days before: the same weekday) or a day as YYYY-MM-DD. `dimension` limits
    what is told by dimension to one. Raises ConfigurationError for a metric, dimension or comparison that is not there,
    Undecidable where the metric is not known on a side."""
    known = _measured(connection)
    if metric not in known:
        raise ConfigurationError(f"there is no published metric {metric!r}{_like(metric, known)}: `ops metric list`")
    said = tree or MetricTree.load()
    reading = _Reading.read(connection, metric, day, against, said, known)
    after = reading.must(metric, reading.new, str(reading.day))
    before = reading.must(metric, reading.old, reading.against)
    there = reading.dimensions(metric)
    if dimension is not None and dimension not in there:
        has = f"it has {', '.join(there)}" if there else "it has none"
        raise ConfigurationError(f"{metric} has no dimension {dimension!r}: {has}")

    notes = list(reading.notes)
    nodes, formula, method, unexplained = _down(metric, before, after, said, reading, notes)
    wanted = there if dimension is None else [dimension]
    told = []
    for name in wanted:
        try:
            told.append(_by_dimension(metric, name, before, after, said, reading))
        except Undecidable as problem:
            notes.append(f"not by {name}: {problem}")
    slices = None
    if with_slices and dimension is None and metric in said.leaves:
        slices = _slices(connection, metric, said.leaves[metric], reading, notes)
    if not nodes and not told and not said.breakdowns(metric):
        notes.append(f"{metric} has no parts" + ("" if there else " and no dimensions") + ": nothing to take apart")
    return Explanation(
        known[metric], reading.day, reading.against, before, after, nodes, formula, method, unexplained,
        tuple(told), slices, tuple(dict.fromkeys(notes)),
    )  # fmt: skip


@dataclass(slots=True)
class _Reading:
    """The numbers of both sides: by metric, dimension and value, as (value, numerator, denominator)."""

    day: date
    against: str
    known: Mapping[str, Measured]
    ratios: frozenset[str]
    new: dict[tuple[str, str, str], tuple[Decimal | None, Decimal | None, Decimal | None]]
    old: dict[tuple[str, str, str], tuple[Decimal | None, Decimal | None, Decimal | None]]
    flows: dict[str, Decimal | None]
    base_days: list[date]
    notes: list[str]

    @classmethod
    def read(
        cls,
        connection: psycopg.Connection[Any],
        metric: str,
        day: date | None,
        against: str,
        tree: MetricTree,
        known: Mapping[str, Measured],
    ) -> _Reading:
        family = [metric, *sorted(tree.descendants(metric))]
        if day is None:
            # A state has a row of the clock's day, what moves it ends the day before: the last day both have.
            found = _rows(connection, _LAST_DAY, (family,))[0]["day"]
            if found is None:
                raise Undecidable(f"{metric} has no day in the published table yet")
            day = found
        bases, label = _bases(day, against)
        rows = _rows(connection, _ROWS, {"metrics": family, "days": [day, *bases], "dimensional": family})
        sides: dict[date, dict[tuple[str, str, str], tuple[Any, Any, Any]]] = {}
        for row in rows:
            key = (row["metric_id"], row["dimension"], row["dimension_value"])
            sides.setdefault(row["date"], {})[key] = (row["value"], row["numerator"], row["denominator"])
        notes: list[str] = []
        ratios = frozenset(key[0] for side in sides.values() for key, cell in side.items() if cell[2] is not None)
        old = sides.get(bases[0], {}) if len(bases) == 1 else _mean([sides.get(one, {}) for one in bases])
        flows: dict[str, Decimal | None] = {}
        if len(bases) == 1:
            wanted = sorted(
                {n for m in family for way in tree.breakdowns(m) if way.kind is Kind.MOVED_BY for n in way.names}
            )
            first, last = sorted((bases[0], day))
            for row in _rows(connection, _FLOWS, {"metrics": wanted, "start": first, "end": last}) if wanted else []:
                whole = row["known"] == row["days"] == (last - first).days
                sign = 1 if day > bases[0] else -1
                flows[row["metric_id"]] = sign * row["value"] if whole else None
        else:
            judged = _judged(connection, family, day)
            if (metric, "all", "all") in judged:
                label = "what was expected"
                for key, expected in judged.items():
                    old[key] = (expected, *old.get(key, (None, None, None))[1:])
            else:
                notes.append(f"{metric} was not judged for {day}: held against {label}")
        return cls(day, label, known, ratios, sides.get(day, {}), old, flows, bases, notes)

    def must(self, metric: str, side: Mapping[tuple[str, str, str], tuple[Any, ...]], where: str) -> Decimal:
        cell = side.get((metric, "all", "all"))
        value = _finite(cell[0]) if cell else None
        if value is None:
            why = "has no value" if cell is None else "is unknown"
            if cell is not None and cell[1] is not None and not cell[2]:
                why = "has nothing to divide by"
            raise Undecidable(f"{metric} {why} for {where}")
        return value

    def whole(self, metric: str, side: Mapping[tuple[str, str, str], tuple[Any, ...]]) -> Decimal | None:
        cell = side.get((metric, "all", "all"))
        return _finite(cell[0]) if cell else None

    def dimensions(self, metric: str) -> list[str]:
        return sorted({k[1] for side in (self.old, self.new) for k in side if k[0] == metric and k[1] != "all"})

    def cells(
        self, metric: str, dimension: str, side: Mapping[tuple[str, str, str], tuple[Any, ...]]
    ) -> dict[str, tuple[Decimal | None, Decimal | None, Decimal | None]]:
        return {
            k[2]: (_finite(c[0]), _finite(c[1]), _finite(c[2]))
            for k, c in side.items()
            if k[0] == metric and k[1] == dimension
        }


def _down(
    metric: str, before: Decimal, after: Decimal, tree: MetricTree, reading: _Reading, notes: list[str]
) -> tuple[tuple[Node, ...], str, str, Decimal]:
    """The metric's first way that can be taken apart, and that of each part below it."""
    found = _first_way(metric, before, after, tree, reading, notes)
    if found is None:
        return (), "", "", Decimal(0)
    way, apart = found
    change = after - before
    nodes = tuple(_node(effect, effect.effect, change, 1, tree, reading) for effect in apart.effects)
    return nodes, way.formula_of(lambda name: _label(reading, name)), apart.method, apart.unexplained


def _node(effect: Effect, on_whole: Decimal, change: Decimal, depth: int, tree: MetricTree, reading: _Reading) -> Node:
    name = effect.part
    before, after = reading.whole(name, reading.old), reading.whole(name, reading.new)
    children: tuple[Node, ...] = ()
    formula = ""
    if depth < _DEEPEST and before is not None and after is not None:
        found = _first_way(name, before, after, tree, reading, [])
        if found is not None and not found[1].unexplained:
            way, apart = found
            formula = way.formula_of(lambda part: _label(reading, part))
            brought = scale([one.effect for one in apart.effects], on_whole) if after != before else []
            children = tuple(
                _node(one, part, change, depth + 1, tree, reading)
                for one, part in zip(apart.effects, brought, strict=False)
            )
    shown_before = effect.before if before is None else before
    shown_after = effect.after if after is None else after
    return Node(
        reading.known.get(name, Measured(name, name, "count")), shown_before, shown_after, on_whole,
        _share(on_whole, change), depth, formula, children,
    )  # fmt: skip


def _first_way(
    metric: str, before: Decimal, after: Decimal, tree: MetricTree, reading: _Reading, notes: list[str]
) -> tuple[Breakdown, Decomposition] | None:
    for way in tree.breakdowns(metric):
        try:
            if way.kind is Kind.MOVED_BY:
                if len(reading.base_days) != 1:
                    raise Undecidable("a state is moved from one day to another, not from what was expected")
                return way, decompose(way, {}, reading.flows, before, after)
            old = {name: reading.whole(name, reading.old) for name in way.names}
            new = {name: reading.whole(name, reading.new) for name in way.names}
            return way, decompose(way, old, new, before, after)
        except Undecidable as problem:
            notes.append(f"not taken apart as {way.formula}: {problem}")
    return None


def _by_dimension(
    metric: str, dimension: str, before: Decimal, after: Decimal, tree: MetricTree, reading: _Reading
) -> ByDimension:
    old, new = reading.cells(metric, dimension, reading.old), reading.cells(metric, dimension, reading.new)
    if metric in reading.ratios:
        pairs: list[dict[str, tuple[Decimal, Decimal]]] = []
        for side, cells in (("before", old), ("after", new)):
            # A value on a day without any of it has neither; one whose amounts are unknown ends the question.
            lost = sorted(v for v, c in cells.items() if c[1] is None or c[2] is None)
            if lost:
                raise Undecidable(f"{', '.join(lost)} unknown {side}")
            pairs.append({v: (c[1] or Decimal(0), c[2] or Decimal(0)) for v, c in cells.items()})
        mix = sorted(mix_and_rate(pairs[0], pairs[1]), key=lambda one: (-abs(one.rate + one.mix), one.value))
        effects = tuple(
            Effect(one.value, old.get(one.value, (None,))[0], new.get(one.value, (None,))[0], one.rate + one.mix)
            for one in mix
        )
        left = (after - before) - sum((one.effect for one in effects), Decimal(0))
        return ByDimension(dimension, effects, tuple(mix), unexplained=_beyond_rounding(left))
    lost = sorted({v for cells in (old, new) for v, c in cells.items() if c[0] is None})
    if lost:
        raise Undecidable(f"{', '.join(lost)} unknown on one side")
    apart = by_value(
        {v: c[0] for v, c in old.items() if c[0] is not None}, {v: c[0] for v, c in new.items() if c[0] is not None}
    )
    effects = tuple(sorted(apart.effects, key=lambda one: (-abs(one.effect), one.part)))
    left = (after - before) - sum((one.effect for one in effects), Decimal(0))
    volume, counted = _volume(metric, dimension, old, new, tree, reading)
    return ByDimension(dimension, effects, (), volume, counted, left)


def _volume(
    metric: str,
    dimension: str,
    old: Mapping[str, tuple[Decimal | None, ...]],
    new: Mapping[str, tuple[Decimal | None, ...]],
    tree: MetricTree,
    reading: _Reading,
) -> tuple[tuple[PriceVolumeMix, ...], Measured | None]:
    """Volume, mix and price by the values of a dimension, where the metric is a quantity times a price and the quantity
    is published by the same dimension."""
    for way in tree.breakdowns(metric):
        if way.kind is not Kind.PRODUCT or len(way.parts) != 2:
            continue
        quantity = way.names[0]
        counts = [reading.cells(quantity, dimension, side) for side in (reading.old, reading.new)]
        if not all(counts):
            continue
        sides = [
            {v: (amount[0], count[v][0]) for v, amount in cells.items() if v in count}
            for cells, count in zip((old, new), counts, strict=True)
        ]
        if any(a is None or q is None for side in sides for a, q in side.values()):
            continue
        if any(set(side) != set(cells) for side, cells in zip(sides, (old, new), strict=True)):
            continue
        try:
            told = price_volume_mix(*sides)  # type: ignore[arg-type]
        except Undecidable:
            continue
        ordered = sorted(told, key=lambda one: (-abs(one.volume + one.mix + one.price), one.value))
        return tuple(ordered), reading.known.get(quantity)
    return (), None


def _slices(
    connection: psycopg.Connection[Any], metric: str, leaves: Leaves, reading: _Reading, notes: list[str]
) -> Found | None:
    """The slices of one or two dimensions that moved apart from the rest, from the metric's mart."""
    import numpy as np

    columns = ", ".join(f"coalesce({column}::text, '(unknown)')" for _, column in leaves.by)
    names = ", ".join(str(n + 1) for n in range(len(leaves.by)))
    days = [reading.day, *reading.base_days]
    there = _rows(connection, "select to_regclass(%s) is not null as there", (f"marts.{leaves.mart}",))[0]["there"]
    if not there:
        notes.append(f"no slices: marts.{leaves.mart} was not published yet")
        return None
    query = f"""
        select {columns}, sum({leaves.measure}) filter (where {leaves.day} = %(day)s) as actual,
               sum({leaves.measure}) filter (where {leaves.day} <> %(day)s) / %(sides)s as base,
               count(*) - count({leaves.measure}) as unknown
        from marts.{leaves.mart} where {leaves.day} = any(%(days)s) group by {names}
    """
    with connection.cursor() as cursor:
        rows = cursor.execute(
            query.encode(), {"day": reading.day, "days": days, "sides": len(reading.base_days)}
        ).fetchall()
    if not rows:
        notes.append(f"no slices: marts.{leaves.mart} has no rows of these days")
        return None
    if any(row[-1] for row in rows):
        notes.append("some amounts of single rows are unknown; slices are told of the others")
    table = {name: [row[n] for row in rows] for n, (name, _) in enumerate(leaves.by)}
    actual, expected = (np.array([float(row[n] or 0) for row in rows]) for n in (-3, -2))
    return search(table, actual, expected, depth=2, most=5, smallest_share=_SMALLEST_SLICE)


@dataclass(frozen=True, slots=True)
class TableSearch:
    """The answer about a file: what was found, rows set aside, and what `real` and `predict` were taken to be."""

    found: Found
    rows: int
    set_aside: int


_MISSING = "(missing)"


def explain_csv(file: Path, *, depth: int | None = None, most: int = 10) -> TableSearch:
    """Search a file: columns are dimensions, then `real` and `predict`.

    Where it holds the two parts of a ratio (`real_a`, `predict_a` divided by `real_b`, `predict_b`), those are
    searched: how much of the numerator, or of what is missing to the denominator, lies beyond the expected ratio. Rows
    without two finite numbers are set aside and counted. Raises ConfigurationError where columns are missing,
    DataFailure where no row is left."""
    import numpy as np
    import pandas as pd

    try:
        # Without a header of its own pandas would quietly rename a column that is there twice.
        table = pd.read_csv(
            file, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True, header=None
        ).fillna("")
    except FileNotFoundError:
        raise ConfigurationError(f"{file}: there is no such file") from None
    except pd.errors.EmptyDataError:
        raise DataFailure(f"{file} is empty: wanted are columns of dimensions, then real, predict") from None
    except UnicodeDecodeError as problem:
        raise ConfigurationError(f"{file} is no text in UTF-8 (byte {problem.start})") from None
    except (pd.errors.ParserError, OSError) as problem:
        raise ConfigurationError(f"{file}: not read as CSV: {problem}") from None
    table.columns = [str(name).strip() for name in table.iloc[0]]
    table = table.iloc[1:]
    if table.columns.duplicated().any():
        twice = sorted(set(table.columns[table.columns.duplicated()]))
        raise ConfigurationError(f"{file}: the column {', '.join(twice)} is there twice")
    parts = ["real_a", "predict_a", "real_b", "predict_b"]
    ratio = set(parts) <= set(table.columns)
    measures = [*parts, *({"real", "predict"} & set(table.columns))] if ratio else ["real", "predict"]
    missing = [name for name in measures if name not in table.columns]
    if missing:
        raise ConfigurationError(f"{file}: no column {', '.join(missing)}: wanted are dimensions, then real, predict")
    # A column without a name is the row numbers some programs write.
    names = [name for name in table.columns if name and name not in measures]
    if not names:
        raise ConfigurationError(f"{file}: no column of a dimension beside real and predict: nothing to search")
    if table.empty:
        raise DataFailure(f"{file} has no rows")
    numbers = {name: pd.to_numeric(table[name].str.strip(), errors="coerce").to_numpy(float) for name in measures}
    asked = parts if ratio else measures
    whole = np.all([np.isfinite(numbers[name]) for name in asked], axis=0)
    if not whole.any():
        raise DataFailure(f"{file}: no row has two finite numbers in real and predict")
    kept = {name: column[whole] for name, column in numbers.items()}
    if ratio:
        actual, expected = _beyond_ratio(*(kept[name] for name in parts))
    else:
        actual, expected = kept["real"], kept["predict"]
    dimensions = table.loc[whole, names].apply(lambda column: column.str.strip())
    columns = {name: dimensions[name].replace("", _MISSING).to_numpy(object) for name in names}
    found = search(columns, actual, expected, depth=depth, most=most)
    found = replace(found, notes=(*found.notes, *_remarks(dimensions)))
    return TableSearch(found, len(table), int((~whole).sum()))


def _remarks(dimensions: Any) -> list[str]:
    """What a reader should know of a file's dimensions before trusting what was found in them."""
    remarks = []
    empty, repeated = int((dimensions == "").sum().sum()), int(dimensions.duplicated().sum())
    if empty:
        remarks.append(f"{empty} cells of dimensions are empty: taken as the value {_MISSING}")
    if repeated:
        remarks.append(f"{repeated} rows repeat the dimensions of another: added to it")
    return remarks


def _beyond_ratio(real_a: Any, predict_a: Any, real_b: Any, predict_b: Any) -> tuple[Any, Any]:
    """Numerators, and what they would be at the expected ratio and the actual denominator. Where the ratio is mostly
    one (a success rate), what is missing to it: there a change is seen best."""
    import numpy as np

    whole = predict_b.sum()
    overall = predict_a.sum() / whole if whole else 0.0
    rate = np.divide(predict_a, predict_b, out=np.full_like(predict_a, overall), where=predict_b != 0)
    if 0.5 < overall <= 1 and rate.max(initial=0) <= 1 + 1e-9:
        return real_b - real_a, real_b * (1 - rate)
    return real_a, real_b * rate


def _bases(day: date, against: str) -> tuple[list[date], str]:
    if against == "expected":
        days = [day - timedelta(weeks=n) for n in range(1, USUAL_WEEKS + 1)]
        return days, f"the mean of the same weekday of {USUAL_WEEKS} weeks"
    if against == "week":
        return [day - timedelta(weeks=1)], f"the same weekday a week before, {day - timedelta(weeks=1)}"
    if against == "year":
        return [day - timedelta(days=364)], f"the same weekday a year before, {day - timedelta(days=364)}"
    try:
        other = date.fromisoformat(against)
    except ValueError:
        raise ConfigurationError(f"against {against!r}: say expected, week, year or a day as 2026-11-19") from None
    if other == day:
        raise ConfigurationError(f"{day} against itself: nothing changed")
    return [other], str(other)


def _mean(
    sides: list[dict[tuple[str, str, str], tuple[Any, Any, Any]]],
) -> dict[tuple[str, str, str], tuple[Any, Any, Any]]:
    """The mean of several days, cell by cell. A sum is the mean over the days, a value without a row on a known day
    being zero; a ratio is the ratio of the sums. A cell unknown on one of the days is left to the others; so is a day
    without the whole."""
    cells: dict[tuple[str, str, str], tuple[Any, Any, Any]] = {}
    for key in dict.fromkeys(key for side in sides for key in side):
        # Days on which the metric as a whole is known: there a missing value was nothing.
        days = [s for s in sides if _finite(s.get((key[0], "all", "all"), (None,))[0]) is not None or key in s]
        found = [s.get(key, (Decimal(0), None, None)) for s in days]
        values = [_finite(cell[0]) for cell in found]
        uppers = [_finite(cell[1]) for cell in found]
        lowers = [_finite(cell[2]) for cell in found]
        if any(lower is not None for lower in lowers):
            pairs = [(u, w) for u, w in zip(uppers, lowers, strict=True) if u is not None and w is not None]
            upper = sum((u for u, _ in pairs), Decimal(0)) / len(days)
            lower = sum((w for _, w in pairs), Decimal(0)) / len(days)
            cells[key] = (_rounded(upper / lower) if lower else None, upper, lower)
            continue
        known = [value for value in values if value is not None]
        mean = _rounded(sum(known, Decimal(0)) / len(known)) if known else None
        cells[key] = (mean, mean, None)
    return cells


def _judged(connection: psycopg.Connection[Any], metrics: list[str], day: date) -> dict[tuple[str, str, str], Decimal]:
    if not _rows(connection, "select to_regclass('ops.judgements') is not null as there")[0]["there"]:
        return {}
    return {
        (row["metric_id"], row["dimension"], row["dimension_value"]): row["expected"]
        for row in _rows(connection, _EXPECTED, {"metrics": metrics, "day": day})
    }


def _measured(connection: psycopg.Connection[Any]) -> dict[str, Measured]:
    there = "select to_regclass('metrics.fct_metric_daily') is not null as there"
    if not _rows(connection, there)[0]["there"]:
        raise ConfigurationError("no metric was published yet: `ops dbt build`")
    return {
        row["metric_id"]: Measured(row["metric_id"], row["label"], row["unit"], row["currency"])
        for row in _rows(connection, _METRICS)
    }


def _rows(connection: psycopg.Connection[Any], query: str, params: Any = None) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), params).fetchall()


def _finite(value: Any) -> Decimal | None:
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _rounded(value: Decimal) -> Decimal:
    return round(value, 8).normalize() if value else Decimal(0)


def _beyond_rounding(left: Decimal) -> Decimal:
    """What is more than the rounding of two published quotients."""
    return left if abs(left) > Decimal("2e-8") else Decimal(0)


def _share(effect: Decimal, change: Decimal) -> Decimal | None:
    return effect / change if change else None


def _label(reading: _Reading, name: str) -> str:
    found = reading.known.get(name)
    return found.label.lower() if found else name


def _like(name: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, list(known), n=3)
    return f" (like {', '.join(close)}?)" if close else ""

"""Sales in the board pack: each channel by month, and where the change of sales lies.

Belongs here: the facts and series of the pages on sales. Does not belong here: every other page
(`evidence.board_pack`), taking a change apart (`evidence.month_change`).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.evidence.board_figures import PLANNED, REVENUE
from ops_platform.evidence.model import Comparison, Point, Row, Series, Source
from ops_platform.evidence.month_change import MonthChange, by_dimension, by_parts, distinct, spoken
from ops_platform.evidence.months import Month

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.evidence.board_figures import Gathering


def channels(pack: Gathering) -> None:
    """Sales of all channels, each with its months."""
    metric = pack.metrics[REVENUE]
    earliest = min(pack.year.months[0].later(-12), pack.trend[0].later(-12))
    months = [earliest.later(n) for n in range(60) if earliest.later(n) <= pack.month]
    parts = {
        name: dict(zip(months, values, strict=True))
        for name, values in pack.months.parts(metric, "channel", months).items()
    }
    rows = []
    whole = pack.facts[REVENUE]
    for number, name in enumerate(sorted(parts, key=lambda p: (-(parts[p][pack.month] or Decimal(0)), p)), start=1):
        facts = {}
        for role, stretch in (("figure", pack.whole), ("qtd", pack.quarter), ("ytd", pack.year)):
            value = _sum(parts[name][month] for month in stretch.months)
            comparisons = []
            if role == "figure":
                before = pack.month.later(-1)
                comparisons.append(Comparison.between("month_before", before.label, value, parts[name][before]))
            earlier = stretch.year_before()
            base = _sum(parts[name][month] for month in earlier.months)
            comparisons.append(Comparison.between("year_before", earlier.label, value, base))
            facts[role] = pack.number(
                f"channel_{number}" if role == "figure" else f"channel_{number}_{role}", spoken(name), "money",
                value, _of_part(pack.months.source(metric, stretch, None, "channel", name)), period=stretch.period,
                direction="up_is_good", tie_out=whole.tie_out, fresh_to=whole.fresh_to, about=name,
                comparisons=tuple(comparisons),
            ).id  # fmt: skip
        rows.append(Row({}, facts))
        source = pack.months.monthly_source(metric, pack.trend, "channel", name)
        points = tuple(Point(month.short, parts[name][month]) for month in pack.trend)
        pack.add_series(
            Series(f"channel_{number}_trend", spoken(name), "money", points, whole.currency, source, whole.tie_out)
        )
    pack.lists["channels"] = tuple(rows)


def _of_part(source: Source) -> Source:
    """The source of a part whose whole is known: where it has no row, nothing was sold."""
    return replace(source, query=source.query.replace("sum(value)", "coalesce(sum(value), 0)"))


def changes(pack: Gathering) -> None:
    """Where the change of sales lies: since the month before by its parts, since the year before by channel."""
    tree = pack.context.tree
    if tree is None or REVENUE not in pack.months.metrics or pack.context.unproven_since is not None:
        return
    parts = by_parts(pack.months, pack.metrics[PLANNED], pack.month, pack.month.later(-1), tree)
    channels = by_dimension(pack.months, pack.metrics[REVENUE], pack.month, pack.month.later(-12), "channel")
    for name, found, base in (("", parts, pack.month.later(-1)), ("_year", channels, pack.month.later(-12))):
        if found is not None:
            _bridge(pack, name, found, base)


def _bridge(pack: Gathering, name: str, found: MonthChange, base: Month) -> None:
    whole = pack.facts[found.metric.id]
    rows, steps = [], [(base.short, found.before)]
    for number, one in enumerate(found.effects, start=1):
        fact = pack.number(
            f"why{name}_{number}", f"Effect of {_lower(one.label)}", "money", one.effect,
            replace(whole.source, query=""), period=whole.period, direction="up_is_good", tie_out=whole.tie_out,
            about=one.part, change=True,
        )  # fmt: skip
        rows.append(Row({"part": one.label}, {"effect": fact.id, "whole": whole.id}))
        steps.append((one.label, one.effect))
    if found.unexplained:
        steps.append(("Unexplained", found.unexplained))
    steps.append((pack.month.short, found.after))
    labels = distinct(label for label, _ in steps)
    points = tuple(Point(label, value) for label, (_, value) in zip(labels, steps, strict=True))
    pack.lists[f"why{name}"] = tuple(rows)
    pack.add_series(
        Series(
            f"bridge{name}",
            whole.label,
            "money",
            points,
            whole.currency,
            replace(whole.source, query=""),
            whole.tie_out,
        )
    )


def _lower(label: str) -> str:
    """A label inside another: "Net sales" becomes "net sales", "ERP revenue" stays."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    """The sum, unknown as soon as one of them is."""
    total = Decimal(0)
    for value in values:
        if value is None:
            return None
        total += value
    return total

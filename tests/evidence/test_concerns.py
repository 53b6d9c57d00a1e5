"""Which figures of a period deserve a line: the rule, on facts made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ops_platform.evidence.concerns import Judged, Point, points, select, standing
from ops_platform.evidence.metrics import Metric
from ops_platform.evidence.model import Comparison, Fact
from ops_platform.evidence.spans import Span, Tier, comparison_names, span_of
from ops_platform.watch.tree import MetricTree

FLAT = MetricTree.of({})


def metric(metric_id: str = "refunds", **more: Any) -> Metric:
    given: dict[str, Any] = {
        "unit": "money", "direction": "down_is_good", "minimum_effect": Decimal(100), "kind": "flow",
        "division": "sales",
    }  # fmt: skip
    return Metric(id=metric_id, label=metric_id.capitalize(), **(given | more))


def fact(of: Metric, span: Span, value: Any, base: Any, target: Any = None) -> Fact:
    number = None if value is None else Decimal(value)
    name, label, _ = comparison_names(span)["before"]
    against = [Comparison.between(name, label, number, None if base is None else Decimal(base))]
    if target is not None:
        against.append(Comparison.between("target", "target", number, Decimal(target)))
    return Fact(
        id=of.id, label=of.label, unit=of.unit, value=number, currency="USD" if of.unit == "money" else None,
        period=span.period, comparisons=tuple(against), direction=of.direction,
        status="unknown" if number is None else "known",
    )  # fmt: skip


def found(
    tier: Tier, value: Any, base: Any, *, target: Any = None, eve: Any = None, judged: Judged | None = None, **more: Any
) -> list[tuple[bool, str]]:
    """(good, why) of a single metric's point."""
    span, one = span_of(tier, date(2026, 11, 10)), metric(**more)
    told = points(
        {one.id: fact(one, span, value, base, target)}, {one.id: one}, span, {one.id: judged} if judged else {},
        Decimal("0.1"), {one.id: None if eve is None else Decimal(eve)},
    )  # fmt: skip
    return [(point.good, point.why) for point in told]


@pytest.mark.parametrize(
    ("value", "base", "expected"),
    [
        # The minimum effect is 100 a day: of seven days its root of seven, 264.58.
        (2265, 2000, [(False, "change")]),
        (2264, 2000, []),
        (1735, 2000, [(True, "change")]),
        (10_500, 10_000, []),  # beyond the effect, and a twentieth of what it was
        (11_000, 10_000, [(False, "change")]),
        (None, 2000, []),
        (2000, None, []),
    ],
)
def test_a_week_counts_from_the_effect_and_the_share(value: Any, base: Any, expected: list[tuple[bool, str]]) -> None:
    assert found("weekly", value, base) == expected


def test_a_share_has_no_share_of_itself() -> None:
    rate: dict[str, Any] = {"unit": "ratio", "aggregation": "ratio", "minimum_effect": Decimal("0.02")}
    assert found("weekly", "0.63", "0.60", **rate) == [(False, "change")]
    assert found("weekly", "0.61", "0.60", **rate) == []


def test_what_has_no_good_direction_or_no_effect_is_never_a_point() -> None:
    assert found("weekly", 9000, 1000, direction="neutral") == []
    assert found("weekly", 9000, 1000, minimum_effect=None) == []


def test_a_target_newly_missed_or_met_again() -> None:
    late: dict[str, Any] = {"unit": "count", "minimum_effect": Decimal(3), "kind": "level", "aggregation": "last"}
    assert found("daily", 9, 9, target=0, eve=2, **late) == [(False, "target")]
    assert found("daily", 9, 9, target=0, eve=9, **late) == []
    assert found("daily", 0, 9, target=0, eve=9, **late) == [(True, "target")]
    assert found("weekly", 9, 2, target=0, eve=2, **late) == [(False, "target")]
    # Nobody knows what it was: that it was met cannot be said.
    assert found("daily", 9, None, target=0, **late) == []


def test_the_ratio_of_one_day_is_chance_unless_people_look_at_it() -> None:
    roas: dict[str, Any] = {
        "unit": "ratio", "direction": "up_is_good", "aggregation": "ratio", "minimum_effect": Decimal("0.3"),
    }  # fmt: skip
    assert found("daily", "2", "3.5", target=3, eve="3.5", **roas) == []
    assert found("daily", "2", "3.5", target=3, eve="3.5", in_pulse=True, **roas) == [(False, "target")]
    assert found("weekly", "2", "3.5", target=3, eve="3.5", **roas) == [(False, "target")]


def test_what_meets_its_target_is_no_concern_however_much_better_it_was() -> None:
    plan: dict[str, Any] = {
        "unit": "ratio", "direction": "up_is_good", "aggregation": "ratio", "minimum_effect": Decimal("0.02"),
    }  # fmt: skip
    assert found("weekly", "1.15", "1.54", target=1, eve="1.54", **plan) == []
    assert found("weekly", "0.90", "0.97", target=1, eve="0.97", **plan) == [(False, "change")]


def test_the_watch_speaks_for_a_day_either_way() -> None:
    assert found("daily", 900, 100, judged=Judged(adverse_days=1)) == [(False, "breached")]
    assert found("daily", 100, 900, judged=Judged(favourable_days=1)) == [(True, "breached")]
    # A day that is merely worse than a week ago is no concern of the day; a better one people look at is a highlight.
    assert found("daily", 900, 100) == []
    assert found("daily", 100, 900, in_pulse=True) == [(True, "change")]


def test_what_became_unknown_is_a_concern_where_people_look_at_it() -> None:
    assert found("daily", None, 100, eve=100, in_pulse=True) == [(False, "unknown")]
    assert found("daily", None, 100, eve=100) == []
    assert found("daily", None, 100, in_pulse=True) == []


def point(
    metric_id: str, weight: int, *, division: str = "sales", why: Any = "change", in_pulse: bool = False
) -> Point:
    span, one = span_of("weekly", date(2026, 11, 10)), metric(metric_id, division=division, in_pulse=in_pulse)
    return Point(one, fact(one, span, 2000, 1000), False, why, "week_before", Decimal(weight))


def chosen(told: list[Point], most: int = 5, tree: MetricTree = FLAT) -> list[str]:
    return [each.metric.id for each in select(told, most, tree)]


def test_what_people_look_at_comes_first_then_the_heavier() -> None:
    told = [point("a", 3), point("b", 9), point("c", 2, in_pulse=True, division="x")]
    assert chosen(told) == ["c", "b", "a"] and chosen(told, 1) == ["c"]


def test_of_metrics_made_of_each_other_one_is_told() -> None:
    tree = MetricTree.of({"sales": [{"product": ["orders", "value"]}], "orders": [{"sum": ["web", "shop"]}]})
    told = [point("sales", 9), point("orders", 8, division="b"), point("web", 7, division="c"), point("z", 1)]
    assert chosen(told, tree=tree) == ["sales", "z"]


def test_a_division_does_not_fill_the_page_and_one_unknown_stands_for_all() -> None:
    assert chosen([point(name, 9) for name in "abc"] + [point("d", 1, division="x")]) == ["a", "b", "d"]
    unknown = [point(name, 1, division=name, why="unknown", in_pulse=True) for name in "abc"]
    assert chosen([*unknown, point("d", 1)]) == ["a", "d"]


def test_what_stands_off_its_target_and_is_told_nowhere_else() -> None:
    span, one = span_of("daily", date(2026, 11, 10)), metric("late", unit="count", minimum_effect=Decimal(3))
    other = replace(one, id="samples", label="Samples")
    facts = {"late": fact(one, span, 9, 9, 0), "samples": fact(other, span, 40, 40, 0)}
    metrics = {"late": one, "samples": other}
    assert [each.metric.id for each in standing(facts, metrics, span, [])] == ["samples", "late"]
    told = [Point(one, facts["late"], False, "target", "target", Decimal(3))]
    assert [each.metric.id for each in standing(facts, metrics, span, told)] == ["samples"]

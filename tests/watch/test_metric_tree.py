"""The metric tree: what the project declares, what is refused, and which metric explains which."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_platform.failures import ConfigurationError
from ops_platform.watch.tree import Kind, Leaves, MetricTree, tree_problems

COMPANY = MetricTree.of(
    {
        "net": [{"sum": ["sales", "-refunds"]}],
        "sales": [{"product": ["orders", "order_value"]}, {"sum": ["gross", "-discounts"]}],
        "order_value": [{"product": ["units_per_order", "price"]}],
        "refund_rate": [{"ratio": ["refunds", "sales"]}],
        "tickets_per_100": [{"ratio": ["tickets", "orders"], "times": 100}],
        "balance": [{"moved_by": ["received", "-paid"]}],
    }
)


def test_the_project_declares_a_tree_that_hangs_together() -> None:
    tree = MetricTree.load()
    assert tree.parts("net_sales") == ("sales_before_refunds", "refunds")
    assert tree.parts("sales_before_refunds")[:2] == ("orders", "average_order_value")
    assert "sales_before_refunds" in tree.parents("orders")
    assert {"orders", "units_per_order", "refunds"} <= tree.descendants("net_sales")
    assert "net_sales" in tree.ancestors("average_unit_price")
    assert tree.leaves["net_sales"] == Leaves(
        "fct_sales_daily", "date", "net_amount", (("channel", "channel"), ("country", "country_name"))
    )
    assert MetricTree.load() is tree


def test_parts_signs_and_formulas() -> None:
    way = COMPANY.breakdowns("net")[0]
    assert (way.kind, way.names, [part.sign for part in way.parts]) == (Kind.SUM, ("sales", "refunds"), [1, -1])
    assert way.formula == "sales − refunds"
    assert COMPANY.breakdowns("tickets_per_100")[0].formula == "100 × tickets ÷ orders"
    assert COMPANY.breakdowns("balance")[0].formula == "the day before + received − paid"
    assert COMPANY.breakdowns("nobody") == () == COMPANY.parts("nobody") == COMPANY.parents("nobody")


@pytest.mark.parametrize(
    ("breached", "lowest"),
    [
        ({"net", "sales", "orders"}, {"net": "orders", "sales": "orders"}),
        ({"net", "orders"}, {"net": "orders"}),  # through a part that is not breached itself
        ({"net", "price"}, {"net": "price"}),
        ({"net", "sales", "orders", "order_value"}, {"net": "sales"}),  # two factors at once: their product
        ({"net", "orders", "order_value"}, {}),
        ({"net", "orders", "gross"}, {"net": "orders"}),  # the first way of a metric decides
        ({"net", "gross"}, {"net": "gross"}),
        ({"orders", "refunds"}, {}),
        (set(), {}),
        ({"unheard_of"}, {}),
    ],
)
def test_the_lowest_metric_that_explains(breached: set[str], lowest: dict[str, str]) -> None:
    assert COMPANY.lowest_explaining(breached) == lowest


@pytest.mark.parametrize(
    ("breached", "groups"),
    [
        ({"net", "sales", "orders"}, [{"net", "sales", "orders"}]),
        ({"net", "orders", "gross", "tickets_per_100"}, [{"net", "orders", "gross", "tickets_per_100"}]),
        ({"net", "orders", "order_value"}, [{"net", "orders", "order_value"}]),
        ({"tickets", "price"}, [{"tickets"}, {"price"}]),
        ({"balance", "paid", "net"}, [{"balance", "paid"}, {"net"}]),
    ],
)
def test_metrics_that_moved_together_make_one_group(breached: set[str], groups: list[set[str]]) -> None:
    found = COMPANY.group_of(breached)
    assert set(found) == breached
    assert sorted(map(sorted, groups)) == sorted(
        sorted(name for name in found if found[name] == end) for end in set(found.values())
    )


def test_groups_in_a_ring_of_ways_come_to_one_end() -> None:
    tree = MetricTree.of(
        {"a": [{"sum": ["n", "x"]}, {"sum": ["m", "x"]}], "b": [{"sum": ["m", "y"]}, {"sum": ["n", "y"]}]}
    )
    assert len(set(tree.group_of({"a", "b", "m", "n"}).values())) == 1


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("orders", "no list of ways"),
        ([["orders"]], "is no way"),
        ([{"average": ["a", "b"]}], "a way is one of sum, product, ratio, moved_by"),
        ([{"sum": ["a", "b"], "product": ["a", "b"]}], "a way is one of"),
        ([{"sum": "a"}], "no list of metrics"),
        ([{"sum": ["a"]}], "two parts or more"),
        ([{"sum": ["a", "-a"]}], "named twice"),
        ([{"ratio": ["a", "b", "c"]}], "a ratio has two parts"),
        ([{"product": ["a", "-b"]}], "has no sign"),
        ([{"sum": ["a", "ghost"]}], "ghost is no metric"),
        ([{"sum": ["a", "whole"]}], "made of itself"),
        ([{"ratio": ["a", "b"], "times": "many"}], "not a number"),
        ([{"ratio": ["a", "b"], "times": -1}], "above zero"),
        ([{"sum": ["a", "b"], "times": 100}], "for a product or a ratio"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_reason(said: object, problem: str) -> None:
    (found,) = tree_problems("whole", {"made_of": said}, ["a", "b", "c", "whole"])
    assert problem in found


def test_wrong_leaves_are_refused() -> None:
    good = {"mart": "fct_sales_daily", "day": "date", "measure": "orders", "by": {"channel": "channel"}}
    assert tree_problems("whole", {"leaves": good}, []) == []
    for wrong in ({**good, "by": {}}, {**good, "mart": "x; drop table y"}, {"mart": "m"}, {**good, "where": "true"}):
        assert tree_problems("whole", {"leaves": wrong}, [])


def test_a_metric_made_of_itself_by_way_of_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="made of itself"):
        MetricTree.of({"a": [{"sum": ["b", "c"]}], "b": [{"sum": ["a", "d"]}]})
    with pytest.raises(ConfigurationError, match="no metrics there"):
        MetricTree.load(tmp_path)

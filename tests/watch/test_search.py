"""The search: planted slices are found, nothing is found where nothing is, and what it says adds up."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ops_platform.watch.search import Found, search
from tests.watch.evaluation_data import Case, Score, cases, many_leaves, monitoring


def look(case: Case, **options: int) -> Found:
    columns = {name: case.table[name].to_numpy() for name in case.table.columns if name not in ("real", "predict")}
    return search(columns, case.table["real"].to_numpy(), case.table["predict"].to_numpy(), **options)


def measure(family: str, seeds: range) -> tuple[Score, float]:
    score, slowest = Score(), 0.0
    for case in cases(family, seeds):
        began = time.perf_counter()
        score.add([part.element for part in look(case).slices], case.truth)
        slowest = max(slowest, time.perf_counter() - began)
    return score, slowest


def grid(sizes: dict[str, int]) -> dict[str, np.ndarray]:
    indices = np.indices(tuple(sizes.values())).reshape(len(sizes), -1)
    return {name: np.array([f"{name}{n}" for n in column]) for name, column in zip(sizes, indices, strict=True)}


def test_one_slice_of_two_dimensions_in_full() -> None:
    columns = grid({"category": 5, "country": 6, "channel": 4})
    rng = np.random.default_rng(1)
    expected = rng.uniform(50, 200, 120)
    actual = expected * rng.normal(1, 0.03, 120)
    inside = (columns["category"] == "category2") & (columns["country"] == "country4")
    actual[inside] = expected[inside] * 0.5
    found = search(columns, actual, expected)
    (part,) = found.slices
    assert part.element == "category=category2&country=country4"
    assert part.leaves == 4
    assert part.effect == pytest.approx(-expected[inside].sum() / 2)
    assert part.shift == pytest.approx(-0.5 / 0.75, abs=0.02)
    assert found.effect == pytest.approx(actual.sum() - expected.sum())
    assert found.unexplained == pytest.approx(found.effect - part.effect)
    assert part.share is not None and found.unexplained_share is not None
    assert part.share + found.unexplained_share == pytest.approx(1)


def test_slices_that_moved_apart_in_both_directions_the_larger_first() -> None:
    columns = grid({"a": 6, "b": 8, "c": 5})
    rng = np.random.default_rng(2)
    expected = rng.uniform(50, 200, 240)
    actual = expected * rng.normal(1, 0.05, 240)
    actual[columns["a"] == "a3"] *= 1.6
    actual[(columns["b"] == "b5") & (columns["a"] != "a3")] *= 0.7
    assert [part.element for part in search(columns, actual, expected).slices] == ["a=a3", "b=b5"]


@pytest.mark.parametrize("seed", range(8))
def test_noise_alone_is_no_slice(seed: int) -> None:
    columns = grid({"a": 8, "b": 10, "c": 6, "d": 3})
    rng = np.random.default_rng(seed)
    expected = rng.lognormal(3, 1.5, 1440)
    actual = rng.poisson(expected).astype(float) if seed % 2 else expected * rng.lognormal(0, 0.2, 1440)
    assert search(columns, actual, expected).slices == ()


def test_the_order_of_rows_and_columns_does_not_matter() -> None:
    case = monitoring(4)
    turned = case.table.sample(frac=1, random_state=3)[list(reversed(case.table.columns))]
    elements = [part.element for part in look(case).slices]
    assert elements == [part.element for part in look(Case(turned, case.truth)).slices]
    assert set(elements) == case.truth


def test_rows_of_one_leaf_are_added_up() -> None:
    columns = grid({"a": 6, "b": 8})
    expected = np.full(48, 100.0)
    actual = expected * np.random.default_rng(5).normal(1, 0.02, 48)
    actual[columns["a"] == "a2"] = 60
    doubled = {name: np.concatenate([column, column]) for name, column in columns.items()}
    once = search(columns, actual, expected)
    twice = search(doubled, np.concatenate([actual / 4, 3 * actual / 4]), np.concatenate([expected, 0 * expected]))
    assert [part.element for part in once.slices] == [part.element for part in twice.slices] == ["a=a2"]
    assert twice.leaves == 48


def test_tables_with_nothing_to_tell() -> None:
    one = np.array([1.0, 2.0])
    assert search({}, one, one).slices == ()
    assert search({"a": np.array([], dtype=object)}, one[:0], one[:0]).effect == 0
    same = search({"a": np.array(["x", "x"])}, one, one)
    assert same.slices == () and same.notes == ("a has one value only and tells nothing apart",)
    assert search({"a": np.array(["x", "y"])}, one, one).slices == ()
    zero = search({"a": np.array(["x", "y"])}, 0 * one, 0 * one)
    assert zero.leaves == 0 and zero.unexplained_share is None
    single = search({"a": np.array(["x"])}, one[:1], one[1:])
    assert single.slices == () and single.unexplained == -1


def test_what_cannot_be_searched_is_refused() -> None:
    one = np.array([1.0, 2.0])
    with pytest.raises(ValueError, match="differ in length"):
        search({"a": np.array(["x"])}, one, one)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            search({"a": np.array(["x", "y"])}, np.array([1.0, bad]), one)


def test_values_below_zero_and_leaves_that_come_and_go() -> None:
    columns = grid({"a": 6, "b": 10})
    rng = np.random.default_rng(6)
    expected = -rng.uniform(50, 200, 60)
    actual = expected * rng.normal(1, 0.05, 60)
    actual[columns["a"] == "a1"] = 0
    (part,) = search(columns, actual, expected).slices
    assert part.element == "a=a1" and part.effect > 0


def test_depth_and_number_are_limited() -> None:
    case = many_leaves(0)
    assert all(len(part.pairs) <= 2 for part in look(case, depth=2).slices)
    assert len(look(many_leaves(2), most=1).slices) == 1


def test_a_few_cases_of_both_families() -> None:
    failures, _ = measure("failures", range(100, 140))
    leaves, _ = measure("many_leaves", range(100, 103))
    assert failures.f1 > 0.75
    assert leaves.precision > 0.8


def test_a_hundred_thousand_leaves_within_seconds() -> None:
    case = many_leaves(7, (20, 25, 20, 10))
    began = time.perf_counter()
    assert {part.element for part in look(case).slices} == case.truth
    assert time.perf_counter() - began < 20  # about two where nothing else runs


def test_many_dimensions_and_leaves_do_not_make_slices_of_noise() -> None:
    rng = np.random.default_rng(1)
    columns = {f"d{n}": rng.choice([f"v{k}" for k in range(4 + 3 * n)], 20_000) for n in range(5)}
    expected = rng.lognormal(3, 1, 20_000)
    actual = expected * rng.normal(1, 0.15, 20_000)
    actual[(columns["d1"] == "v2") & (columns["d3"] == "v7")] *= 0.6
    assert [part.element for part in search(columns, actual, expected).slices] == ["d1=v2&d3=v7"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "seeds", "f1"),
    [
        ("many_leaves", range(60), 0.80),
        ("failures", range(300), 0.80),
        ("success_rate", range(300), 0.60),
    ],
)
def test_f1_on_both_families(family: str, seeds: range, f1: float) -> None:
    score, slowest = measure(family, seeds)
    print(f"{family}: F1 {score.f1:.3f}, precision {score.precision:.3f}, recall {score.recall:.3f}, {slowest:.1f} s")
    assert score.f1 > f1
    assert slowest < 30

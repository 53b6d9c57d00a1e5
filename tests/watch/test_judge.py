"""Judging: minimum effects, persistence, closeness, adverse and favourable, and what cannot be judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from ops_platform.failures import ConfigurationError
from ops_platform.watch.judge import is_adverse, judge, judgements, panel_of, persistent
from ops_platform.watch.judgement import Finding, Judgement, Reason
from ops_platform.watch.series import Panel, Persistence, WatchedMetric

NOW = datetime(2024, 10, 1, 10, tzinfo=UTC)
START = date(2024, 1, 1)
DAYS = [START + timedelta(days=number) for number in range(200)]
SALES = WatchedMetric("sales", "Sales", "money", "up_is_good", "sum", "flow", Decimal(30))


def series(seed: int = 1) -> np.ndarray:
    return 1000 + np.random.default_rng(seed).normal(0, 10, len(DAYS))


def judged(values: np.ndarray, metric: WatchedMetric = SALES, days: int = 1) -> list[Judgement]:
    panel = panel_of([metric], DAYS[: len(values)], values[None, :])
    return judgements(judge(panel), DAYS[len(values) - days : len(values)], NOW)


def test_an_ordinary_day_is_clear() -> None:
    (found,) = judged(series())
    assert found.found is Finding.CLEAR
    assert found.reason is None
    assert found.closeness is not None and found.closeness < 1
    assert found.expected_low is not None and found.expected_high is not None
    assert found.expected_low < Decimal(1000) < found.expected_high
    assert found.since is None


def test_a_day_outside_is_a_breach_with_its_effect() -> None:
    values = series()
    values[-1] = 600
    (found,) = judged(values)
    assert found.found is Finding.BREACHED
    assert found.value == Decimal("600.00")
    assert found.expected == pytest.approx(Decimal(1000), abs=10)
    assert found.expected is not None
    assert found.effect == found.effect_money == found.value - found.expected
    assert found.closeness is not None and found.closeness > 5
    assert found.adverse
    assert found.since == DAYS[-1]
    assert "worth a word from 30" in found.explanation


def test_a_good_day_is_a_breach_that_is_not_adverse() -> None:
    values = series()
    values[-1] = 1500
    (found,) = judged(values)
    assert (found.found, found.adverse) == (Finding.BREACHED, False)


@pytest.mark.parametrize(
    ("direction", "effect", "adverse"),
    [("up_is_good", -1, True), ("up_is_good", 1, False), ("down_is_good", 1, True), ("neutral", 1, True)],
)
def test_what_is_adverse(direction: str, effect: int, adverse: bool) -> None:
    assert is_adverse(direction, Decimal(effect)) is adverse


def test_less_than_the_minimum_effect_is_no_breach() -> None:
    values = series()
    values[-1] = 900
    (found,) = judged(values, replace(SALES, minimum_effect=Decimal(150)))
    assert found.found is Finding.CLEAR
    assert found.closeness is not None and Decimal("0.6") < found.closeness < Decimal("0.75")
    (found,) = judged(values, replace(SALES, minimum_effect=Decimal(90)))
    assert found.found is Finding.BREACHED


def test_closeness_is_one_at_the_edge() -> None:
    (found,) = judged(series())
    assert found.expected_high is not None
    values = series()
    values[-1] = float(found.expected_high)
    (at_edge,) = judged(values)
    assert at_edge.closeness == pytest.approx(Decimal(1), abs=Decimal("0.001"))


def test_a_breach_waits_until_it_persists() -> None:
    metric = replace(SALES, persistence=Persistence(2, 3))
    values = series()
    values[-4:] = [600, 1000, 600, 600]
    found = judged(values, metric, days=4)
    assert [each.found for each in found] == [Finding.CLEAR, Finding.CLEAR, Finding.BREACHED, Finding.BREACHED]
    assert found[0].reason is Reason.NOT_PERSISTENT
    assert found[0].closeness is not None and found[0].closeness > 1
    # The day between is within what 2 of 3 allows: one breach, from its first day.
    assert [each.since for each in found[2:]] == [DAYS[-4], DAYS[-4]]


def test_persistence_counts_known_days_on_one_side() -> None:
    outside = np.array([1, 0, -1, 1, 1, 0, 1])
    known = np.array([True, False, True, True, True, True, True])
    found = persistent(outside, known, Persistence(2, 3))
    assert found.tolist() == [False, False, False, True, True, False, True]
    assert persistent(outside, known, Persistence()).tolist() == [bool(each) for each in outside]


@pytest.mark.parametrize(("text", "meant"), [(None, (1, 1)), ("2 of 3", (2, 3)), ("5 of 5", (5, 5))])
def test_persistence_is_read(text: str | None, meant: tuple[int, int]) -> None:
    assert Persistence.parse(text) == Persistence(*meant)


@pytest.mark.parametrize("text", ["", "2", "2/3", "3 of 2", "0 of 2", "2 of 40", "two of three"])
def test_a_wrong_persistence_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Persistence.parse(text)


def test_short_history_says_so() -> None:
    (found,) = judged(series()[:30])
    assert (found.found, found.reason) == (Finding.UNKNOWN, Reason.TOO_LITTLE_HISTORY)
    assert "too little history" in found.explanation
    assert found.closeness is None
    assert found.value is not None


def test_an_unknown_day_is_unknown_and_the_days_after_it_are_judged() -> None:
    values = series()
    values[[-3, 90, 91, 92]] = np.nan
    found = judged(values, days=3)
    assert [each.found for each in found] == [Finding.UNKNOWN, Finding.CLEAR, Finding.CLEAR]
    assert found[0].reason is Reason.NO_ROW


def test_what_never_moved_is_a_breach_only_when_it_moves_enough() -> None:
    still = np.full(200, 5.0)
    metric = WatchedMetric("open", "Open", "count", "down_is_good", "last", "level", Decimal(2))
    (found,) = judged(still, metric)
    assert (found.found, found.closeness) == (Finding.CLEAR, 0)
    still[-1] = 7
    assert judged(still, metric)[0].found is Finding.CLEAR
    still[-1] = 8
    assert judged(still, metric)[0].found is Finding.BREACHED


def test_a_panel_says_what_is_wrong_with_its_shape() -> None:
    with pytest.raises(ValueError, match="a panel of 1 series"):
        panel_of([SALES], DAYS, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="consecutive"):
        panel_of([SALES], [START, START + timedelta(days=2)], np.zeros((1, 2)))


def test_two_hundred_metrics_of_three_years_take_seconds() -> None:
    import time

    chance = np.random.default_rng(1)
    days = [START + timedelta(days=number) for number in range(3 * 365)]
    metrics = [replace(SALES, id=f"m{number}") for number in range(50)]
    values = chance.lognormal(5, 0.2, (50, len(days)))
    panel: Panel = panel_of(metrics, days, values)
    began = time.process_time()
    judge(panel)
    # A quarter of it here; `make bench` has the whole.
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("watch", "words"),
    [
        (None, None),
        ({"persistence": "2 of 3"}, None),
        ({"judged": False}, None),
        ({"persistence": "3 of 2"}, "not as `2 of 3`"),
        ({"persistence": 2}, "not as `2 of 3`"),
        ({"judged": "no"}, "neither true nor false"),
        ({"off": True}, "watch.off is unknown"),
        ("2 of 3", "not a mapping"),
    ],
)
def test_what_a_metric_says_of_its_watch_is_checked(watch: object, words: str | None) -> None:
    from ops_platform.warehouse.rules import entry_problems

    metric = {
        "label": "Sales", "unit": "money", "direction": "up_is_good", "aggregation": "sum", "kind": "flow",
        "owner": "sales", "division": "sales", "sources": ["shopify.orders"], "watch": watch,
    }  # fmt: skip
    found = entry_problems(metric, {"shopify.orders"}, {"sales"}, {"sales"})
    assert (found == []) if words is None else any(words in problem for problem in found)

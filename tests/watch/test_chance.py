"""What chance alone brings: counts and shares of counts are not judged more narrowly than that."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from ops_platform.watch.chance import chance_limits, quantiles
from ops_platform.watch.judge import judge, panel_of
from ops_platform.watch.series import WatchedMetric

START = date(2024, 1, 1)


def poisson_above(count: int, mean: float) -> float:
    """The chance of more than `count`."""
    term = total = np.exp(-mean)
    for number in range(1, count + 1):
        term *= mean / number
        total += term
    return float(1 - total)


@pytest.mark.parametrize("mean", [0.1, 0.6, 1, 2, 6, 12, 30, 200])
def test_a_count_beyond_the_limits_comes_once_in_twenty_years(mean: float) -> None:
    low, high = (float(each[0]) for each in quantiles(np.array([mean]), np.array([mean]), np.ones(1)))
    most = int(np.floor(high))
    assert poisson_above(most, mean) <= 1 / 4000
    assert poisson_above(most - 2, mean) >= 1 / 20_000  # and the limit is no wider than it must be
    if low > 0:
        assert 1 - poisson_above(int(np.ceil(low)) - 1, mean) <= 1 / 2500


def one(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    counted = weights is None
    low, high = chance_limits(
        values[None, :], np.full((1, len(values)), np.nan) if weights is None else weights[None, :],
        np.full((1, len(values)), np.nan), counted=np.array([counted]), rates=np.array([not counted]),
        amounts=np.zeros(1, dtype=bool), balances=np.zeros(1, dtype=bool),
    )  # fmt: skip
    return low[0], high[0]


def test_a_count_is_known_from_earlier_days_only() -> None:
    values = np.random.default_rng(1).poisson(3, 200).astype(float)
    changed = values.copy()
    changed[150:] = 50
    for before, after in zip(one(values), one(changed), strict=True):
        assert np.array_equal(before[:151], after[:151], equal_nan=True)
    assert np.isnan(one(values)[1][:28]).all()


def test_three_days_of_nothing_are_out_where_one_is_not() -> None:
    values = np.full(120, 4.0)
    values[110:113] = 0
    low, _ = one(values)
    assert [bool(value < limit) for value, limit in zip(values[110:113], low[110:113], strict=True)] == [
        False, False, True,
    ]  # fmt: skip


def test_a_share_of_few_may_be_anything_and_of_many_may_not() -> None:
    weights = np.full(120, 20.0)
    values = np.full(120, 0.1)
    weights[100], values[100] = 2, 1.0
    weights[110], values[110] = 500, 0.2
    _, high = one(values, weights)
    assert high[100] >= 0.9
    assert high[110] < 0.2


def test_a_quotient_of_money_is_no_share_of_counts() -> None:
    low, high = one(np.full(120, 0.1234), np.full(120, 1234.56))
    assert np.isnan(low).all() and np.isnan(high).all()


def test_a_rare_thing_that_comes_three_times_in_a_day_is_judged_by_chance() -> None:
    chance = np.random.default_rng(3)
    values = (chance.random(400) < 0.3).astype(float)
    values[-1] = 3
    metric = WatchedMetric("deals_lost", "Deals lost", "count", "down_is_good", "sum", "flow", Decimal(2))
    days = [START + timedelta(days=number) for number in range(len(values))]
    assert not judge(panel_of([metric], days, values[None, :])).breached[0, -1]
    values[-1] = 8
    assert judge(panel_of([metric], days, values[None, :])).breached[0, -1]


def judged(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """On which days a flow of money is in breach, and how high it may be."""
    metric = WatchedMetric("churned_mrr", "Churned MRR", "money", "down_is_good", "sum", "flow", Decimal(20))
    days = [START + timedelta(days=number) for number in range(len(values))]
    found = judge(panel_of([metric], days, values[None, :]))
    return found.breached[0], found.high[0]


def test_money_that_comes_in_a_few_pieces_is_judged_as_a_count_of_them() -> None:
    """Two years of cancellations, one in two days, of five or ten dollars: how many companies hear of chance."""
    heard = 0
    for seed in range(30):
        chance = np.random.default_rng(seed)
        pieces = chance.poisson(0.4, 730)
        values = np.array([chance.choice([4.99, 4.99, 9.99, 14.99], size=number).sum() for number in pieces])
        breached, _ = judged(values)
        heard += int(breached[60:].sum())
    assert heard <= 6  # of fifty-five years: once in ten years at most
    values[-1] = 120.0
    assert judged(values)[0][-1]


def test_an_incident_among_pieces_does_not_become_one() -> None:
    chance = np.random.default_rng(5)
    values = np.where(chance.random(400) < 0.3, 10.0, 0.0)
    _, quiet = judged(values)
    values[350] = 500.0
    breached, high = judged(values)
    assert breached[350]
    assert high[399] <= 1.5 * quiet[399]


def test_money_that_flows_every_day_is_no_sum_of_pieces() -> None:
    chance = np.random.default_rng(6)
    flat, none, one_ = np.full((1, 300), np.nan), np.zeros(1, dtype=bool), np.ones(1, dtype=bool)
    rare = np.where(np.arange(300) % 40 == 0, 700.0, 0.0)
    for values in (chance.normal(1000, 50, 300), rare, chance.normal(0, 5, 300)):
        low, high = chance_limits(values[None, :], flat, flat, counted=none, rates=none, amounts=one_, balances=none)
        assert np.isnan(low).all() and np.isnan(high).all()


def owed(seed: int, days: int = 730) -> np.ndarray:
    """What is owed to suppliers: a bill every sixth day or so, of a size that varies, each paid after thirty days."""
    chance = np.random.default_rng(seed)
    moves = np.zeros(days + 60)
    for day in np.flatnonzero(chance.random(days + 60) < 0.16):
        bill = chance.exponential(8_000)
        moves[day] += bill
        if day + 30 < len(moves):
            moves[day + 30] -= bill
    return 20_000 + np.cumsum(moves)[60:]


def told(values: np.ndarray) -> np.ndarray:
    metric = WatchedMetric("payables_open", "Payables open", "money", "neutral", "last", "level", Decimal(25_000))
    days = [START + timedelta(days=number) for number in range(len(values))]
    return np.asarray(judge(panel_of([metric], days, values[None, :])).breached[0])


def test_a_balance_is_held_against_how_bills_move_it() -> None:
    """Thirty companies for two years: a larger bill than usual, and its payment, are hardly ever news."""
    assert sum(int(told(owed(seed))[60:].sum()) for seed in range(30)) <= 20


def test_a_balance_that_leaps_or_creeps_away_is_told() -> None:
    leap, creep = owed(4), owed(4)
    leap[700:] += 150_000
    creep[700:] += np.minimum(np.arange(30) * 25_000, 250_000)
    assert told(leap)[700]
    assert told(creep)[700:712].any()

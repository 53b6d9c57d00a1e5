"""Expected ranges: what is expected, how wide, and that no day knows what comes after it."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from ops_platform.watch.baseline import LONG_DAYS, calendar_places, level, median, month_day_places
from ops_platform.watch.expectation import BASELINES, expect, from_scale, to_scale

START = date(2024, 1, 1)  # a Monday
Floats = np.ndarray


def days(count: int) -> list[date]:
    return [START + timedelta(days=number) for number in range(count)]


def weekly(count: int, seed: int = 1) -> Floats:
    """Mondays 100, Tuesdays 110, … Sundays 160, with noise of 3."""
    chance = np.random.default_rng(seed)
    return np.array([100.0 + 10 * (number % 7) for number in range(count)]) + chance.normal(0, 3, count)


def test_median_leaves_unknown_out() -> None:
    stacked = np.array([[3.0, np.nan, 1.0, 2.0], [np.nan, np.nan, np.nan, 5.0]])
    assert median(stacked, 1).tolist() == [2.0, 5.0]
    assert np.isnan(median(stacked, 2)[1])


def test_a_level_is_of_earlier_days_only() -> None:
    values = np.arange(60, dtype=float)[None, :]
    # Day 40: the median of days 12 to 39.
    assert level(values, LONG_DAYS)[0, 40] == 25.5
    assert level(values, 7)[0, 40] == 36.0
    assert level(values, 1)[0, 40] == 39.0


def test_the_last_days_of_a_month_are_the_same_day() -> None:
    listed = days(120)
    places = month_day_places(listed)
    on = {day: number for number, day in enumerate(listed)}
    assert listed[places[on[date(2024, 2, 29)], 0]] == date(2024, 1, 31)
    assert listed[places[on[date(2024, 4, 29)], 0]] == date(2024, 3, 30)
    assert listed[places[on[date(2024, 4, 12)], 0]] == date(2024, 3, 12)
    assert (places[on[date(2024, 1, 31)]] == -1).all()


def test_days_of_one_label_find_each_other() -> None:
    places = calendar_places(["", "a", "b", "a", "", "a"])
    assert places[5].tolist() == [1, 3, -1, -1]
    assert places[2].tolist() == [-1, -1, -1, -1]


def test_scales_give_back_what_they_took() -> None:
    values = np.array([[-50.0, 0.0, 3.0, 1e7], [-1.0, 0.0, 0.5, 2.0]])
    offsets = np.array([5.0, np.nan])
    assert np.allclose(from_scale(to_scale(values, offsets), offsets), values)


def test_weekdays_are_learned() -> None:
    found = expect(weekly(200)[None, :], days(200), offsets=np.array([1.0]))
    assert BASELINES[found.baseline[0, 199]].startswith("weekday")
    # Day 199 is the fourth of its week: a Thursday, 130.
    assert found.expected[0, 199] == pytest.approx(130, abs=3)
    assert 110 < found.low[0, 199] < 125 < 135 < found.high[0, 199] < 152


def test_the_first_of_the_month_is_learned() -> None:
    chance = np.random.default_rng(2)
    listed = days(400)
    values = np.array([900.0 if day.day == 1 else 100.0 for day in listed]) + chance.normal(0, 5, 400)
    found = expect(values[None, :], listed, offsets=np.array([1.0]))
    first = listed.index(date(2025, 1, 1))
    assert "month day" in BASELINES[found.baseline[0, first]]
    assert found.low[0, first] < 900 < found.high[0, first]
    # A first of the month without it is as surprising as a Tuesday with it.
    assert found.low[0, first] > 150
    assert found.high[0, first + 1] < 300


def test_a_holiday_seen_before_is_expected() -> None:
    listed = days(800)
    values = weekly(800)
    labels = ["holiday:Fest" if (day.month, day.day) == (3, 5) else "" for day in listed]
    feasts = [number for number, label in enumerate(labels) if label]
    values[feasts] *= 3
    found = expect(values[None, :], listed, offsets=np.array([1.0]), labels=labels)
    plain = expect(values[None, :], listed, offsets=np.array([1.0]))
    last = feasts[-1]
    assert found.precedents[0, last] == len(feasts) - 1
    assert values[last] > plain.high[0, last]
    assert found.low[0, last] < values[last] < found.high[0, last]


def test_the_day_itself_is_left_out_of_its_range() -> None:
    values = weekly(200)
    shocked = values.copy()
    shocked[199] = 1e6
    calm = expect(values[None, :], days(200), offsets=np.array([1.0]))
    after = expect(shocked[None, :], days(200), offsets=np.array([1.0]))
    assert after.high[0, 199] == calm.high[0, 199]
    assert after.expected[0, 199] == calm.expected[0, 199]


@pytest.mark.parametrize("end", [120, 183, 250, 299])
def test_no_day_knows_what_comes_after_it(end: int) -> None:
    chance = np.random.default_rng(3)
    values = np.stack([weekly(300), chance.poisson(2, 300).astype(float), np.cumsum(chance.normal(0, 1, 300))])
    values[0, 100:130] *= 0.4
    values[1, 50:60] = np.nan
    labels = ["promotion:Sale" if 5 < number % 90 < 12 else "" for number in range(300)]
    offsets = np.array([5.0, 1.0, np.nan])
    whole = expect(values, days(300), offsets=offsets, labels=labels)
    cut = expect(values[:, :end], days(end), offsets=offsets, labels=labels[:end])
    for name in ("expected", "low", "high", "baseline", "residuals", "precedents"):
        assert np.array_equal(getattr(whole, name)[:, :end], getattr(cut, name), equal_nan=True), name


def test_a_bounded_window_judges_as_all_of_history_does() -> None:
    values = np.stack([weekly(1500, seed) for seed in range(8)])
    whole = expect(values, days(1500), offsets=np.full(8, 2.0))
    window = expect(values[:, -900:], days(1500)[-900:], offsets=np.full(8, 2.0))
    # A day at the edge of its range, long ago, may have been judged with less before it: that is all that may differ.
    for name in ("expected", "low", "high"):
        assert np.allclose(getattr(whole, name)[:, -7:], getattr(window, name)[:, -7:], rtol=0.02), name


def test_an_incident_does_not_hide_the_next() -> None:
    values = weekly(400)
    values[300:304] *= 0.5
    values[340:344] *= 0.5
    found = expect(values[None, :], days(400), offsets=np.array([1.0]))
    assert (values[300:303] < found.low[0, 300:303]).all()
    assert values[340] < found.low[0, 340]
    # Back to normal is no surprise.
    assert (values[304:312] > found.high[0, 304:312]).sum() <= 1


def test_a_rate_of_few_has_a_wider_range_than_one_of_many() -> None:
    chance = np.random.default_rng(4)
    counts = np.full(300, 400.0)
    values = chance.binomial(400, 0.1, 300) / 400
    counts[298], counts[299] = 4, 400
    found = expect(values[None, :], days(300), offsets=np.array([np.nan]), weights=counts[None, :])
    assert found.high[0, 298] - found.expected[0, 298] > 3 * (found.high[0, 299] - found.expected[0, 299])


def test_rare_jumps_are_held_against_the_largest_of_the_year() -> None:
    values = np.zeros(300)
    values[[110, 140, 160, 200]] = [4, 5, 5, 4]
    found = expect(values[None, :], days(300), offsets=np.array([1.0]))
    assert found.high[0, 250] == pytest.approx(5, rel=0.01)


@pytest.mark.parametrize(
    "values", [np.full(200, np.nan), np.zeros(200), np.full(200, 7.0), np.full(200, 1e300), np.array([])]
)
def test_series_without_anything_to_learn_do_not_fail(values: Floats) -> None:
    found = expect(values[None, :], days(len(values)), offsets=np.array([1.0]))
    assert found.expected.shape == (1, len(values))
    if len(values) and np.isfinite(values).all() and values[0] < 1e9:
        assert found.low[0, -1] == pytest.approx(values[0])
        assert found.high[0, -1] == pytest.approx(values[0])


def test_too_few_days_have_no_range() -> None:
    found = expect(weekly(30)[None, :], days(30), offsets=np.array([1.0]))
    assert np.isnan(found.expected).all()
    assert (found.baseline == -1).all()
    assert expect(np.empty((0, 5)), days(5), offsets=np.array([])).expected.shape == (0, 5)


def test_a_holiday_says_nothing_of_a_state() -> None:
    # A stock of customers that rose fast over the new year, and stands still a year later.
    count = 400
    rise = np.clip(np.arange(count) - 340, 0, 40) * 5.0
    values = 300 + np.concatenate([rise[335:], rise[:335] * 0]) + np.random.default_rng(4).normal(0, 2, count)
    labels = [""] * count
    labels[20], labels[385] = "holiday:New Year", "holiday:New Year"
    both = np.stack([values, values])
    found = expect(both, days(count), offsets=np.full(2, 10.0), labels=labels, states=np.array([False, True]))
    assert found.precedents[1, 385] == -1
    assert abs(found.expected[1, 385] - found.expected[1, 384]) < 10
    assert found.low[1, 385] > found.low[0, 385] or found.high[1, 385] < found.high[0, 385]


def test_what_comes_on_a_day_of_the_month_is_no_holiday_effect() -> None:
    # Wages of 40,000 on every 15th, one of which falls into a promotion.
    listed = days(420)
    values = np.where([day.day == 15 for day in listed], 40_000.0, 300.0)
    values = values * np.random.default_rng(5).normal(1, 0.02, len(values))
    labels = ["promotion:Fall" if day.month in (10, 1) and 14 <= day.day <= 18 else "" for day in listed]
    found = expect(values[None, :], listed, offsets=np.array([100.0]), labels=labels)
    quiet, wages = listed.index(date(2025, 1, 16)), listed.index(date(2025, 1, 15))
    assert found.high[0, quiet] < 40_000
    assert found.low[0, wages] < values[wages] < found.high[0, wages]


def test_waves_of_a_state_do_not_hide_the_next() -> None:
    # A backlog of about thirteen that rises to thirty for nine days, three times a year.
    chance = np.random.default_rng(6)
    values = 13 + chance.normal(0, 1.2, 500)
    for start in (150, 270, 390):
        values[start] += 9
        values[start + 1 : start + 9] += 17
    found = expect(values[None, :], days(500), offsets=np.array([3.0]), states=np.array([True]))
    for start in (150, 270, 390):
        assert (values[start : start + 2] > found.high[0, start : start + 2]).any(), start


def test_a_heavy_tail_is_given_its_reach() -> None:
    chance = np.random.default_rng(7)
    values = 1000 + 50 * chance.standard_t(2, (40, 700))
    found = expect(values, days(700), offsets=np.full(40, np.nan))
    outside = (values > found.high) | (values < found.low)
    # A year, both sides, of so wild a series; by the multiple of the tail's edge alone it would be seven days.
    assert outside[:, 350:].sum() / 40 <= 5


def test_incidents_that_come_back_all_the_time_set_no_range_where_that_is_said() -> None:
    # A backlog of about thirteen that rises to thirty for six days every month: a fifth of all days.
    values = 13 + np.random.default_rng(8).normal(0, 1.2, 500)
    for start in range(20, 490, 30):
        values[start : start + 6] += 17
    found = {
        share: expect(
            values[None, :], days(500), offsets=np.array([3.0]), states=np.array([True]), usual=np.array([share])
        )
        for share in (1.0, 0.75)
    }
    assert found[1.0].high[0, 470] > values[470]
    assert found[0.75].high[0, 470] < values[470]


def test_the_fewer_days_there_are_the_farther_a_range_reaches() -> None:
    values = np.random.default_rng(9).normal(0, 1, (8, 420))
    found = expect(values, days(420), offsets=np.full(8, np.nan))
    young, old = (float(np.median((found.high - found.low)[:, place])) for place in (75, 415))
    # Farther, but not so far that a fall of a young series goes unseen.
    assert 1.05 * old < young < 1.5 * old
    # And once there is a year of them, noise of one deviation is outside of four to five and a half.
    assert 8 < old < 11


@pytest.mark.parametrize(("place", "factor", "most"), [(90, 0.5, 0.2), (150, 0.5, 0.1), (400, 0.6, 0.3)])
def test_a_fall_is_seen_in_most_series_of_weekly_sales(place: int, factor: float, most: float) -> None:
    """Sixty series of 2,000 a day with 8 % of noise: how many are still inside their range when they fall."""
    noise = np.random.default_rng(5).normal(0, 0.08, (60, 430))
    week = np.array([1, 1.1, 1.2, 1.3, 1.2, 0.8, 0.7])[np.arange(430) % 7]
    values = 2000 * week * np.exp(noise)
    found = expect(values, days(430), offsets=np.full(60, 1.0))
    fallen = values[:, place] * factor
    assert np.mean((fallen > found.low[:, place]) & (fallen < found.high[:, place])) <= most


def test_a_lone_day_of_a_promotion_is_no_effect_of_it() -> None:
    values = 100 + np.random.default_rng(10).normal(0, 5, 300)
    values[200] = 94
    labels = ["promotion:Fall" if place in (200, 201) else "" for place in range(300)]
    found = expect(values[None, :], days(300), offsets=np.array([1.0]), labels=labels)
    assert found.expected[0, 201] > 96

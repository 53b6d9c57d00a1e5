"""The calendar: edge dates worked out by hand, and every day counted a second time in Python."""

from __future__ import annotations

import csv
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DBT_PROJECT, DbtWarehouse

CLOCK = datetime(2025, 3, 20, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def calendar(make_warehouse: MakeWarehouse) -> dict[date, dict[str, Any]]:
    made: DbtWarehouse = make_warehouse()
    made.clock(CLOCK)
    made.connection.execute("insert into ops.thresholds values ('fiscal_year_start_month', 7, 'month')")
    made.land("shopify", "orders", [FIRST], CLOCK, ids=[FIRST["id"]])
    made.build("--select", "+dim_date", "--indirect-selection", "cautious")
    cursor = made.connection.execute("select * from marts.dim_date")
    names = [column.name for column in cursor.description or ()]
    return {row[0]: dict(zip(names, row, strict=True)) for row in cursor.fetchall()}


FIRST: dict[str, Any] = {"id": "gid://shopify/Order/1", "name": "#1", "createdAt": "2023-12-15T12:00:00Z",
    "processedAt": "2023-12-15T12:00:00Z", "lineItems": [], "refunds": [], "fulfillments": []}  # fmt: skip


def retail_start(year: int) -> date:
    """The day after the Saturday nearest to 31 January."""
    saturdays = [date(year, 1, 31) + timedelta(days=n) for n in range(-3, 4)]
    return next(day for day in saturdays if day.weekday() == 5) + timedelta(days=1)


def test_years_of_the_retail_federation(calendar: dict[date, dict[str, Any]]) -> None:
    starts = {row["retail_year"]: (row["retail_year_start"], row["weeks_in_retail_year"]) for row in calendar.values()}
    assert starts[2022] == (date(2022, 1, 30), 52)
    assert starts[2023] == (date(2023, 1, 29), 53)
    assert starts[2024] == (date(2024, 2, 4), 52)
    assert starts[2025] == (date(2025, 2, 2), 52)
    last = calendar[date(2024, 2, 3)]
    assert (last["retail_year"], last["retail_week"], last["retail_month"], last["retail_quarter"]) == (2023, 53, 12, 4)
    assert (last["retail_month_start"], last["retail_month_end"]) == (date(2023, 12, 31), date(2024, 2, 3))
    assert last["same_retail_day_last_year"] is None
    first = calendar[date(2024, 2, 4)]
    assert (first["retail_year"], first["retail_week"], first["retail_month"]) == (2024, 1, 1)
    assert first["same_retail_day_last_year"] == date(2023, 1, 29)
    assert first["same_weekday_last_year"] == date(2023, 2, 5)


def test_every_day_of_the_retail_year(calendar: dict[date, dict[str, Any]]) -> None:
    pattern = [month for month, weeks in enumerate((4, 5, 4) * 4, 1) for _ in range(weeks)] + [12]
    for day, row in calendar.items():
        year = day.year if day >= retail_start(day.year) else day.year - 1
        week = (day - retail_start(year)).days // 7 + 1
        assert (row["retail_year"], row["retail_week"]) == (year, week), day
        assert row["retail_month"] == pattern[week - 1], day
        assert row["retail_quarter"] == (pattern[week - 1] + 2) // 3, day
        assert row["retail_month_start"] <= day <= row["retail_month_end"], day


def test_every_day_of_the_year(calendar: dict[date, dict[str, Any]]) -> None:
    days = sorted(calendar)
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    assert days[-1] == date(2026, 12, 31)
    for day, row in calendar.items():
        iso = day.isocalendar()
        assert (row["iso_year"], row["iso_week"], row["iso_weekday"]) == (iso.year, iso.week, iso.weekday)
        length = monthrange(day.year, day.month)[1]
        assert (row["day_of_month"], row["days_in_month"]) == (day.day, length)
        assert row["month_elapsed_share"] == round(Decimal(day.day) / length, 8)
        assert (row["month_elapsed_share"] == 1) == (day == row["month_end"])
        assert (row["quarter_elapsed_share"] == 1) == (day == row["quarter_end"])
        assert (row["year_elapsed_share"] == 1) == (day == row["year_end"])
        # From July on; named after the year it ends in.
        assert row["fiscal_year"] == day.year + (day.month >= 7)
        assert row["fiscal_year_start"] == date(row["fiscal_year"] - 1, 7, 1)
        assert row["fiscal_year_end"] == date(row["fiscal_year"], 6, 30)
        assert row["fiscal_month"] == (day.month - 7) % 12 + 1
        assert row["fiscal_quarter"] == (row["fiscal_month"] + 2) // 3
        assert row["is_complete"] == (day < date(2025, 3, 20))
        assert row["same_weekday_last_year"].weekday() == day.weekday()


def test_comparisons_at_the_edges(calendar: dict[date, dict[str, Any]]) -> None:
    leap, end = calendar[date(2024, 2, 29)], calendar[date(2024, 3, 31)]
    assert leap["same_date_last_year"] == date(2023, 2, 28)
    assert leap["same_day_prior_month"] == date(2024, 1, 29)
    # The end of February is as far gone as the end of January.
    assert leap["paced_day_prior_month"] == date(2024, 1, 31)
    assert (end["same_day_prior_month"], end["same_day_prior_quarter"]) == (date(2024, 2, 29), date(2023, 12, 31))
    assert end["paced_day_prior_month"] == date(2024, 2, 29)
    # 15.5 of 31 days are 14 of 28; the sixteenth is 14.45 of them.
    assert calendar[date(2025, 3, 16)]["paced_day_prior_month"] == date(2025, 2, 14)
    assert calendar[date(2025, 3, 1)]["paced_day_prior_month"] == date(2025, 2, 1)
    # Day 45 of 90 is 46 of 92.
    assert calendar[date(2025, 2, 14)]["paced_day_prior_quarter"] == date(2024, 11, 15)
    assert (calendar[date(2024, 12, 30)]["iso_year"], calendar[date(2024, 12, 30)]["iso_week"]) == (2025, 1)
    # The clocks change on 9 March and 2 November 2025: the days are there once like all others.
    assert calendar[date(2025, 3, 9)]["same_weekday_last_week"] == date(2025, 3, 2)


def test_holidays_and_promotions(calendar: dict[date, dict[str, Any]]) -> None:
    assert calendar[date(2024, 11, 28)]["holiday_name"] == "Thanksgiving Day"
    assert calendar[date(2024, 11, 28)]["is_public_holiday"] is True
    friday = calendar[date(2025, 11, 28)]
    assert (friday["holiday_name"], friday["is_holiday"], friday["is_public_holiday"]) == ("Black Friday", True, False)
    assert (calendar[date(2025, 3, 20)]["holiday_name"], calendar[date(2025, 3, 20)]["is_holiday"]) == (None, False)
    assert [calendar[date(2025, 3, day)]["is_promotion"] for day in (16, 17, 24, 25)] == [False, True, True, False]
    assert calendar[date(2025, 3, 17)]["promotion_name"] == "Spring 2025"


def test_the_holidays_follow_their_rules() -> None:
    with (DBT_PROJECT / "seeds" / "company" / "holidays.csv").open() as file:
        rows = [(date.fromisoformat(row["date"]), row["holiday_name"]) for row in csv.DictReader(file)]
    years = range(2023, 2029)
    assert {day.year for day, _ in rows} == set(years)
    by_name: dict[str, list[date]] = {}
    for day, name in rows:
        by_name.setdefault(name, []).append(day)
    assert all(len(days) == len(years) for days in by_name.values())
    # Name: month, weekday (0 Monday), the days of the month it may fall on.
    rules = {
        "Martin Luther King Jr. Day": (1, 0, 15, 21), "Washington's Birthday": (2, 0, 15, 21),
        "Memorial Day": (5, 0, 25, 31), "Labor Day": (9, 0, 1, 7), "Columbus Day": (10, 0, 8, 14),
        "Thanksgiving Day": (11, 3, 22, 28), "Black Friday": (11, 4, 23, 29), "Mother's Day": (5, 6, 8, 14),
        "Father's Day": (6, 6, 15, 21),
    }  # fmt: skip
    for name, (month, weekday, low, high) in rules.items():
        for day in by_name[name]:
            assert (day.month, day.weekday()) == (month, weekday) and low <= day.day <= high, (name, day)
    for name, month_day in (
        ("New Year's Day", (1, 1)), ("Juneteenth", (6, 19)), ("Independence Day", (7, 4)),
        ("Veterans Day", (11, 11)), ("Christmas Day", (12, 25)),
    ):  # fmt: skip
        assert {(day.month, day.day) for day in by_name[name]} == {month_day}
    for thanks, monday in zip(by_name["Thanksgiving Day"], by_name["Cyber Monday"], strict=True):
        assert monday - thanks == timedelta(days=4)

"""The board pack's evidence from a small company by month: every expectation below was worked out on paper."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ops_platform.evidence.board_pack import build_board_pack_bundle
from ops_platform.evidence.encoding import canonical
from ops_platform.evidence.model import Bundle, Division, Period, Point, Series
from ops_platform.evidence.months import Month, Stretch, previous_month
from ops_platform.evidence.pack_context import OpenAction, OpenAlert
from ops_platform.evidence.store import load_bundle, save_bundle
from ops_platform.failures import DataFailure
from tests.database.fresh_database import fresh_database
from tests.evidence.board_company import AS_OF, COMPANY, CONTEXT, NEW_YORK, SQL, Connection, build

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def company(server_home: Path, migrated: str) -> Iterator[Connection]:
    """The company's warehouse, made once: every test leaves it as it was."""
    with fresh_database(server_home, migrated, "board") as connect, connect() as opened:
        opened.execute(SQL.encode())
        opened.commit()
        yield opened


@pytest.fixture
def filled(company: Connection) -> Iterator[Connection]:
    yield company
    company.rollback()


@pytest.fixture
def connection(filled: Connection) -> Connection:
    """The warehouse before its first build."""
    filled.execute("drop schema metrics cascade")
    return filled


def against(bundle: Bundle, name: str) -> dict[str, tuple[str, Decimal | None]]:
    return {each.name: (each.label, each.value) for each in bundle.fact(name).comparisons}


# Months -----------------------------------------------------------------------------------------------------


def test_a_month_is_held_against_the_month_before_the_year_before_and_plan(filled: Connection) -> None:
    bundle = build(filled)
    assert bundle.period == Period(date(2026, 10, 1), date(2026, 10, 31), "October 2026")
    sales = bundle.fact("net_sales")
    assert (sales.value, sales.currency, sales.tie_out, sales.period) == (31 * 130, "USD", "matched", bundle.period)
    assert against(bundle, "net_sales") == {
        "month_before": ("September 2026", 30 * 120), "year_before": ("October 2025", 31 * 100), "plan": ("plan", 3900),
    }  # fmt: skip


def test_quarter_and_year_to_date_are_the_months_together(filled: Connection) -> None:
    bundle = build(filled)
    year = bundle.fact("net_sales_ytd")
    # 273 days to the end of September at 120, then October.
    assert (year.value, year.period) == (
        273 * 120 + 31 * 130, Period(date(2026, 1, 1), date(2026, 10, 31), "January to October 2026"),
    )  # fmt: skip
    assert against(bundle, "net_sales_ytd") == {
        "year_before": ("January to October 2025", 304 * 100), "plan": ("plan", 39_000),
    }  # fmt: skip
    assert bundle.fact("net_sales_qtd").value == 31 * 130
    other = build(filled, fiscal_year_starts=9)
    assert other.fact("net_sales_ytd").value == 30 * 120 + 31 * 130
    assert other.fact("net_sales_qtd").period == Period(
        date(2026, 9, 1), date(2026, 10, 31), "September to October 2026"
    )


def test_a_ratio_is_the_ratio_of_sums_and_a_quotient_that_is_no_share_is_a_number(filled: Connection) -> None:
    bundle = build(filled)
    assert bundle.fact("refund_rate").value == Decimal("0.3")
    roas = bundle.fact("roas")
    assert (roas.value, roas.unit) == (Decimal("2.5"), "count")


def test_one_day_that_is_missing_or_short_makes_the_month_unknown(filled: Connection) -> None:
    bundle = build(filled)
    spend, email = bundle.fact("ad_spend"), bundle.fact("email_revenue")
    assert (spend.status, spend.unknown_since) == ("unknown", datetime(2026, 10, 31, tzinfo=NEW_YORK))
    assert (email.status, email.unknown_since) == ("unknown", datetime(2026, 10, 21, 1, tzinfo=UTC))
    assert bundle.fact("email_revenue").comparison("month_before").value == 30 * 15  # type: ignore[union-attr]
    assert bundle.line("trend_email_revenue").values[-1] is None  # type: ignore[union-attr]
    assert {row.facts["figure"] for row in bundle.rows("unknown")} >= {"ad_spend", "email_revenue", "csat"}


def test_the_machines_health_is_the_mean_of_all_looks_of_the_month(filled: Connection) -> None:
    unknown = build(filled).fact("fleet_health")
    assert (unknown.status, unknown.unit) == ("unknown", "score")
    for at, score in (
        ("2026-10-01T03:59:59Z", 10), ("2026-10-01T04:00:00Z", 96), ("2026-10-20T12:00:00Z", None),
        ("2026-11-01T03:59:00Z", 91), ("2026-11-01T04:00:00Z", 11),
    ):  # fmt: skip
        filled.execute(
            "insert into ops.fleet_health (at, version, score, low, high, coverage, band)"
            " values (%s, 1, %s, 0, 100, 1, %s)", (at, score, "unknown" if score is None else "fair"),
        )  # fmt: skip
    bundle = build(filled)
    health = bundle.fact("fleet_health")
    assert (health.value, health.period, health.source.relation) == (Decimal("93.5"), bundle.period, "ops.fleet_health")
    assert against(bundle, "fleet_health") == {"month_before": ("September 2026", 10)}


def test_a_state_is_of_the_last_day_and_one_seen_later_says_so(filled: Connection) -> None:
    bundle = build(filled)
    late, stock = bundle.fact("late_orders"), bundle.fact("skus_out_of_stock")
    assert (late.value, late.period) == (9, Period(date(2026, 10, 31), date(2026, 10, 31), "Saturday 31 October"))
    assert against(bundle, "late_orders")["month_before"] == ("the end of September 2026", 4)
    assert (stock.value, stock.period) == (4, Period(date(2026, 11, 1), date(2026, 11, 1), "Sunday 1 November"))
    assert [each.name for each in stock.comparisons] == ["target"]
    # Of an earlier month no later picture stands in.
    assert build(filled, date(2026, 9, 15)).fact("skus_out_of_stock").status == "unknown"


def test_the_worst_tie_out_of_the_days_is_the_months(filled: Connection) -> None:
    bundle = build(filled)
    assert bundle.fact("refunds").tie_out == "mismatched"
    assert [row.facts["figure"] for row in bundle.rows("loose")] == ["refunds"]
    assert bundle.fact("figures_loose").value == 1


def test_the_operating_result_is_margin_less_expenses(filled: Connection) -> None:
    bundle = build(filled)
    assert (bundle.fact("operating_result").value, bundle.fact("operating_result_ytd").value) == (31 * 20, 304 * 20)


def test_every_query_gives_its_number_again(filled: Connection) -> None:
    bundle = build(filled)
    asked = 0
    for fact in bundle.facts:
        if fact.source.relation == "metrics.fct_metric_daily" and fact.source.query and fact.known:
            row = filled.execute(fact.source.query.encode(), dict(fact.source.params)).fetchone()
            assert row == (fact.value,), fact.id
            asked += 1
    assert asked >= 20
    for series in bundle.series:
        if "trend" in series.id:
            rows = filled.execute(series.source.query.encode(), dict(series.source.params)).fetchall()
            known = {f"{month:%b %Y}": value for month, value in rows}
            for point in series.points:
                if point.value is not None and not series.id.endswith("_before"):
                    assert known[point.label] == point.value, series.id


# What follows -----------------------------------------------------------------------------------------------


def test_what_is_off_is_a_risk_and_asks_its_question(filled: Connection) -> None:
    bundle = build(filled)
    marks = {row.facts["figure"]: (row.mark, row.texts["against"]) for row in bundle.rows("standing")}
    assert marks["net_sales"] == ("ok", "plan")  # 130 ahead
    assert marks["late_orders"] == ("attention", "target")
    assert marks["refund_rate"] == ("attention", "target")
    assert marks["roas"] == ("attention", "target")
    assert marks["csat"] == ("unknown", "") or "csat" not in marks
    assert [row.facts["figure"] for row in bundle.rows("risks")][:2] == ["refund_rate", "late_orders"]
    assert [row.texts["ask"] for row in bundle.rows("decisions")] == ["Approve extra shifts?"]
    assert bundle.fact("figures_off").value == len(bundle.rows("risks"))


def test_where_the_change_lies_adds_up_to_it(filled: Connection) -> None:
    bundle = build(filled)
    effects = {row.texts["part"]: bundle.fact(row.facts["effect"]).value for row in bundle.rows("why")}
    # October has a day more: sales before refunds 31 × 140 − 30 × 130, refunds 31 × 10 − 30 × 10.
    assert effects == {"Sales before refunds": 440, "Refunds": -10}
    by_channel = {row.texts["part"]: bundle.fact(row.facts["effect"]).value for row in bundle.rows("why_year")}
    assert by_channel == {"Web": 930, "Wholesale": 0}
    for name in ("bridge", "bridge_year"):
        values = bundle.line(name).values  # type: ignore[union-attr]
        assert sum(values[:-1]) == values[-1]


def test_channels_add_up_to_all_channels(filled: Connection) -> None:
    bundle = build(filled)
    channels = [bundle.fact(row.facts["figure"]) for row in bundle.rows("channels")]
    assert [(each.label, each.value) for each in channels] == [("Web", 4030), ("Wholesale", 1550)]
    assert sum(each.value or 0 for each in channels) == bundle.fact("channel_net_sales").value
    assert bundle.fact("channel_2_ytd").value == 304 * 50
    assert bundle.line("channel_1_trend").labels[-1] == "Oct 2026"  # type: ignore[union-attr]


def test_every_division_shows_its_own_metrics(filled: Connection) -> None:
    bundle = build(filled)
    shown = {row.facts["figure"] for row in bundle.rows("division_marketing")}
    assert shown == {"roas", "ad_spend", "email_revenue"}
    assert bundle.rows("division_design") == ()
    assert [row.texts["series"] for row in bundle.rows("division_supply_chain_charts")] == ["trend_late_orders"]


def test_a_division_that_is_new_needs_no_code(filled: Connection) -> None:
    filled.execute("update metrics.dim_metric set division = 'repairs' where metric_id = 'refunds'")
    company = replace(COMPANY, divisions=(*COMPANY.divisions, Division("repairs", "Repairs")))
    bundle = build_board_pack_bundle(filled, AS_OF, company, CONTEXT)
    assert [row.facts["figure"] for row in bundle.rows("division_repairs")] == ["refunds"]


# The last pack ----------------------------------------------------------------------------------------------


def test_a_published_number_that_moved_is_restated(filled: Connection) -> None:
    before = build(filled, date(2026, 9, 1))
    assert before.fact("net_sales").value == 3600
    filled.execute(
        "update metrics.fct_metric_daily set value = value + 50 where metric_id = 'net_sales' and dimension = 'all'"
        " and date = '2026-09-12'"
    )
    bundle = build(filled, previous=before, published=frozenset({"net_sales", "net_sales_ytd", "refunds", "roas"}))
    moved = [bundle.fact(row.facts["figure"]) for row in bundle.rows("restated")]
    assert [(each.label, each.period.label, each.value) for each in moved if each.period] == [
        ("Net sales, own shop", "September 2026", 3650),
        ("Net sales, own shop year to date", "January to September 2026", 32_810),
    ]  # fmt: skip
    published = moved[0].comparison("as_published")
    assert published is not None
    assert (published.value, published.delta) == (3600, 50)
    assert (bundle.fact("restated").value, bundle.fact("restated_checked").value) == (2, 4)


def test_a_published_number_that_is_lost_is_restated_as_unknown(filled: Connection) -> None:
    before = build(filled, date(2026, 9, 1))
    filled.execute("delete from metrics.fct_metric_daily where metric_id = 'refunds' and date = '2026-09-12'")
    bundle = build(filled, previous=before, published=frozenset({"refunds"}))
    (row,) = bundle.rows("restated")
    assert bundle.fact(row.facts["figure"]).status == "unknown"


def test_what_has_turned_since_the_last_pack_is_told(filled: Connection) -> None:
    before = build(filled, date(2026, 9, 1))
    bundle = build(filled, previous=before)
    turned = {row.facts["figure"]: (row.texts["was"], row.mark) for row in bundle.rows("turned")}
    assert turned["net_sales"] == ("attention", "ok")  # September was 300 behind its plan
    assert turned["email_revenue"] == ("ok", "unknown")
    assert "late_orders" not in turned


def test_without_a_last_pack_nothing_is_said_of_it(filled: Connection) -> None:
    bundle = build(filled)
    assert bundle.get("restated") is None
    assert bundle.rows("turned") == ()


# Bad input --------------------------------------------------------------------------------------------------


def test_an_empty_warehouse_gives_a_pack_of_unknowns(connection: Connection) -> None:
    bundle = build(connection)
    assert "empty_warehouse" in bundle.notes
    assert not bundle.fact("net_sales").known
    assert not bundle.series


def test_an_unproven_warehouse_publishes_no_number_of_its_own(filled: Connection) -> None:
    since = datetime(2026, 10, 30, 6, 0, tzinfo=UTC)
    bundle = build(filled, unproven_since=since)
    numbers = [fact for fact in bundle.facts if fact.source.relation == "metrics.fct_metric_daily" and fact.comparisons]
    assert not numbers
    assert bundle.fact("net_sales").unknown_since == since
    assert not bundle.series
    assert "warehouse_unproven" in bundle.notes


def test_texts_of_others_are_minimised(filled: Connection) -> None:
    hostile = OpenAlert("Pay <https://evil.example|now> @channel " + "x" * 300, "alert", date(2026, 10, 2), "sales")
    action = OpenAction("mailto:a@b.example \u202e act", "Sales", None)
    bundle = build(filled, alerts=[hostile], actions=[action])
    text = bundle.rows("alerts")[0].texts["label"]
    assert "https" not in text
    assert len(text) <= 90
    assert "\u202e" not in bundle.rows("actions")[0].texts["text"]


def test_a_month_that_is_not_over_and_a_moment_without_zone_are_refused(connection: Connection) -> None:
    with pytest.raises(DataFailure, match="not over"):
        build(connection, date(2026, 11, 1))
    with pytest.raises(DataFailure, match="time zone"):
        build_board_pack_bundle(connection, datetime(2026, 11, 1), COMPANY)


# The model --------------------------------------------------------------------------------------------------


def test_a_bundle_is_stored_with_its_series_and_keeps_its_digest(filled: Connection) -> None:
    bundle = build(filled)
    assert bundle.series
    digest = save_bundle(filled, bundle)
    assert load_bundle(filled, digest) == bundle
    assert build(filled).digest == digest


def test_a_bundle_without_series_is_what_it_was_before_there_were_any() -> None:
    bundle = Bundle("pulse", Period(date(2026, 1, 1), date(2026, 1, 1), "a day"), AS_OF, COMPANY)
    assert b"series" not in canonical(bundle)
    assert Bundle.from_json(bundle.to_json()) == bundle


def test_a_series_refuses_what_cannot_be_drawn() -> None:
    with pytest.raises(DataFailure, match="without a currency"):
        Series("a", "A", "money", ())
    with pytest.raises(DataFailure, match="two points"):
        Series("a", "A", "count", (Point("x", None), Point("x", None)))
    with pytest.raises(DataFailure, match="no number"):
        Series("a", "A", "text", ())


def test_months_and_stretches() -> None:
    december = Month(date(2026, 12, 1))
    assert (december.end, december.later(1).start, december.later(-12).label) == (
        date(2026, 12, 31), date(2027, 1, 1), "December 2025",
    )  # fmt: skip
    assert previous_month(date(2026, 3, 1)) == Month(date(2026, 2, 1))
    assert previous_month(date(2026, 3, 31)).end == date(2026, 2, 28)
    assert Stretch.to_date(Month(date(2026, 2, 1)), 12, 12).label == "December 2025 to February 2026"
    assert Stretch.to_date(Month(date(2026, 4, 1)), 1, 3).label == "April 2026"

"""How a number is written. Expectations by hand; properties by a second, independent reading of the text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_platform.documents.claims import (
    MINUS,
    change_text,
    claim,
    day_text,
    fill,
    measure,
    moment_text,
    money_text,
    percent_text,
    tokens,
    value_text,
)
from ops_platform.documents.model import Words, plain
from ops_platform.evidence.model import Comparison
from ops_platform.failures import DataFailure
from tests.evidence.bundles import AS_OF, EVE, WEEK, fact, morning

NEW_YORK = ZoneInfo("America/New_York")
D = Decimal


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("0", "USD", "$0.00"),
        ("-0", "USD", "$0.00"),
        ("0.005", "USD", "$0.01"),
        ("-0.005", "USD", "−$0.01"),
        ("0.0049", "USD", "$0.00"),
        ("-0.0049", "USD", "$0.00"),
        ("185.2", "USD", "$185.20"),
        ("999.994", "USD", "$999.99"),
        ("999.995", "USD", "$1,000"),
        ("1000", "USD", "$1,000"),
        ("11234.5", "USD", "$11,235"),
        ("11233.5", "USD", "$11,234"),
        ("112141.11", "GBP", "£112,141"),
        ("-1566.23", "GBP", "−£1,566"),
        ("9747747.934", "GBP", "£9,747,748"),
        ("500", "EUR", "€500.00"),
        ("999.5", "JPY", "¥1,000"),
        ("12.4", "JPY", "¥12"),
        ("1234.5", "CHF", "CHF 1,235"),
        ("-12.5", "CHF", "−CHF 12.50"),
        ("123456789012345678901234567890.5", "USD", "$123,456,789,012,345,678,901,234,567,891"),
    ],
)
def test_money(amount: str, currency: str, text: str) -> None:
    assert money_text(D(amount), currency) == text


@pytest.mark.parametrize(
    ("amount", "style", "text"),
    [
        ("112141.114", "exact", "£112,141.11"),
        ("-1566.23", "exact", "−£1,566.23"),
        ("999.4", "compact", "£999"),
        ("999.5", "compact", "£1.0K"),
        ("12345", "compact", "£12.3K"),
        ("99949", "compact", "£99.9K"),
        ("99950", "compact", "£100K"),
        ("999499", "compact", "£999K"),
        ("999500", "compact", "£1.0M"),
        ("9747747.934", "compact", "£9.7M"),
        ("-4100000", "compact", "−£4.1M"),
        ("2500000000", "compact", "£2.5B"),
        ("0", "compact", "£0"),
    ],
)
def test_money_in_a_stated_style(amount: str, style: Any, text: str) -> None:
    assert money_text(D(amount), "GBP", style=style) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("61", "count", "61"),
        ("1234567", "count", "1,234,567"),
        ("2.5", "count", "2.5"),
        ("12.5", "count", "13"),
        ("0.04", "count", "0"),
        ("0.0314", "ratio", "3.1%"),
        ("0.0995", "ratio", "10%"),
        ("0.09949", "ratio", "9.9%"),
        ("0.417", "ratio", "42%"),
        ("12", "ratio", "1,200%"),
        ("3.14", "percent", "3.1%"),
        ("-0.0004", "ratio", "0.0%"),
        ("1", "days", "1 day"),
        ("0", "days", "0 days"),
        ("4.25", "days", "4.3 days"),
        ("0.97", "days", "1 day"),
        ("31.4", "days", "31 days"),
        ("9.44", "hours", "9.4 h"),
        ("26.5", "hours", "27 h"),
        ("0.75", "hours", "45 min"),
        ("0.999", "hours", "1 h"),
        ("0", "hours", "0 h"),
        ("71.9", "hours", "72 h"),
        ("72", "hours", "3 days"),
        ("77.5", "score", "78"),
        ("99.6", "score", "100"),
    ],
)
def test_levels(value: str, unit: Any, text: str) -> None:
    assert value_text(D(value), unit) == text


@pytest.mark.parametrize(
    ("delta", "unit", "text"),
    [
        ("1005.54", "money", "+$1,006"),
        ("-1005.5", "money", "−$1,006"),
        ("0", "money", "$0.00"),
        ("3", "count", "+3"),
        ("-3", "count", "−3"),
        ("0.012", "ratio", "+1.2 points"),
        ("-0.01", "ratio", "−1 point"),
        ("1.2", "percent", "+1.2 points"),
        ("-3.3", "score", "−3.3 points"),
        ("-1", "days", "−1 day"),
        ("2.5", "hours", "+2.5 h"),
    ],
)
def test_changes(delta: str, unit: Any, text: str) -> None:
    assert change_text(D(delta), unit, "USD") == text


def read_back(text: str) -> Decimal:
    """The number a reader takes from a text, by another way than the one that wrote it."""
    sign = -1 if MINUS in text else 1
    figure = re.sub(r"[^\d.]", "", text.replace("CHF", ""))
    scale = {"K": 3, "M": 6, "B": 9}.get(text[-1], 0)
    return sign * Decimal(figure).scaleb(scale)


amounts = st.decimals(-(10**15), 10**15, allow_nan=False, allow_infinity=False, places=4) | st.decimals(
    -2, 2, allow_nan=False, allow_infinity=False, places=6
)


@given(amounts, st.sampled_from(("USD", "GBP", "JPY", "CHF")), st.booleans())
def test_money_reads_back_to_its_rounded_self(amount: Decimal, currency: str, signed: bool) -> None:
    text = money_text(amount, currency, signed=signed)
    minor = D(1) if currency == "JPY" else D("0.01")
    places = minor if abs(amount).quantize(minor, ROUND_HALF_UP) < 1000 else D(1)
    assert read_back(text) == amount.quantize(places, ROUND_HALF_UP)
    assert ("+" in text) == (signed and read_back(text) > 0)
    assert re.search(r"\d{4}", text) is None


@given(amounts)
def test_exact_money_is_never_more_than_half_a_cent_off(amount: Decimal) -> None:
    assert abs(read_back(money_text(amount, "USD", style="exact")) - amount) <= D("0.005")


@given(st.decimals(0, 10**14, allow_nan=False, allow_infinity=False, places=2))
def test_compact_money_is_within_half_of_its_last_place(amount: Decimal) -> None:
    text = money_text(amount, "USD", style="compact")
    if amount < 999:
        assert abs(read_back(text) - amount) <= D("0.5")
    elif amount < 10**11:
        assert abs(read_back(text) - amount) / amount <= D("0.05")
    assert len(text) <= 9 or amount >= 10**12


@given(st.decimals(-(10**6), 10**6, allow_nan=False, allow_infinity=False, places=5))
def test_percent_reads_back(points: Decimal) -> None:
    text = percent_text(points, signed=True)
    tenth = points.quantize(D("0.1"), ROUND_HALF_UP)
    expected = tenth if abs(tenth) < 10 else points.quantize(D(1), ROUND_HALF_UP)
    assert read_back(text) == expected


@given(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from(("money", "count", "ratio", "days", "hours", "score", "percent")),
)
def test_no_finite_number_breaks_formatting(value: Decimal, unit: Any) -> None:
    with localcontext() as context:
        context.prec = 6  # a caller's context must not matter
        if abs(value.adjusted()) > 400:
            return
        assert value_text(value, unit, "USD")
        assert change_text(value, unit, "USD")
        if unit in ("money", "count"):
            assert value_text(value, unit, "USD", style="compact")


@given(amounts)
def test_a_change_and_its_opposite_differ_only_in_sign(delta: Decimal) -> None:
    up, down = change_text(delta, "money", "USD"), change_text(-delta, "money", "USD")
    assert up.lstrip("+" + MINUS) == down.lstrip("+" + MINUS)


def test_moments_in_the_companys_zone_and_days_with_their_year_when_it_is_another() -> None:
    assert moment_text(datetime(2026, 11, 20, 10, 41, tzinfo=UTC), NEW_YORK, AS_OF) == "05:41"
    assert moment_text(datetime(2026, 11, 20, 3, 0, tzinfo=UTC), NEW_YORK, AS_OF) == "Thu 19 Nov 22:00"
    assert moment_text(datetime(2025, 3, 1, 12, 5, tzinfo=UTC), NEW_YORK, AS_OF) == "Sat 1 Mar 2025 07:05"
    assert day_text(date(2026, 1, 5)) == "Mon 5 Jan"


# Tokens -----------------------------------------------------------------------------------------------------


def test_a_text_is_filled_with_the_numbers_of_the_bundle() -> None:
    text = (
        "Net sales {{c:net_sales}} ({{c:net_sales.value|exact}}, {{c:net_sales.value|compact}}), "
        "{{c:net_sales.delta_pct}} or {{c:net_sales.abs_delta}} against {{c:net_sales.comparison.same_weekday.label}}; "
        "{{c:net_sales.comparison.day_before.delta}} on {{c:net_sales.comparison.day_before.value}}; "
        "{{c:driver.label}} {{c:driver.value}}, that is {{c:driver.abs_value}}; {{c:net_sales.period}}, "
        "fresh to {{c:net_sales.fresh_to}}"
    )
    assert plain(fill(text, morning())) == (
        "Net sales $11,235 ($11,234.56, $11.2K), −8.2% or $1,006 against Thursday last week; "
        "+$234.56 on $11,000; revenue velocity −3.1 points, that is 3.1 points; Thursday 19 November, fresh to 05:41"
    )


@pytest.mark.parametrize(
    "text",
    [
        "{{c:nope}}",
        "{{c:net_sales.nope}}",
        "{{c:net_sales.comparison.nope.value}}",
        "{{c:net_sales.comparison.same_weekday}}",
        "{{c:net_sales.comparison.same_weekday.nope}}",
        "{{c:net_sales.unknown_since}}",
        "{{c:net_sales.abs_value}}",
        "{{c:refunds.comparison.plan.value}}",
        "{{c:messages_waiting.delta}}",
        "{{c:messages_waiting.period}}",
        "{{c:net_sales|loud}}",
        "{{c: net_sales}}",
        "{{net_sales}}",
        "{{c:Net_Sales}}",
        "{{",
        "}}",
        "{{c:net_sales}}}}",
        "{{c:net_sales",
    ],
)
def test_a_token_that_does_not_resolve_is_an_error(text: str) -> None:
    with pytest.raises(DataFailure):
        fill(text, morning())


def test_a_change_against_an_unknown_or_zero_base_has_no_figure() -> None:
    bundle = morning(
        orders=fact("orders", "Orders", "count", "61", (*WEEK, None), (*EVE, "0")),
    )
    for path in ("delta", "abs_delta_pct", "comparison.same_weekday.value", "comparison.day_before.delta_pct"):
        with pytest.raises(DataFailure, match="missing"):
            claim(bundle, "orders", path)
    assert claim(bundle, "orders", "comparison.day_before.delta").text == "+61"


def test_an_unknown_number_shows_since_when() -> None:
    since = datetime(2026, 11, 19, 3, 0, tzinfo=UTC)
    bundle = morning(
        orders=fact("orders", "Orders", "count", None, unknown_since=since),
        refunds=fact("refunds", "Refunds", "money", None),
    )
    assert claim(bundle, "orders").text == "unknown since Wed 18 Nov 22:00"
    assert claim(bundle, "orders", "unknown_since").text == "Wed 18 Nov 22:00"
    assert claim(bundle, "refunds").text == "unknown (never loaded)"
    with pytest.raises(DataFailure):
        claim(bundle, "refunds", "unknown_since")


def test_a_number_carries_the_mark_of_its_tie_out_and_its_age() -> None:
    stopped = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
    bundle = morning(
        orders=fact("orders", "Orders", "count", "61", (*WEEK, "66"), tie_out="mismatched"),
        late_orders=fact("late_orders", "Late orders", "count", "9", status="stale", fresh_to=stopped),
        refunds=fact("refunds", "Refunds", "money", "5", status="stale", fresh_to=stopped, tie_out="mismatched"),
    )
    assert plain((claim(bundle, "orders"),)) == "61 (⚠ not tied out)"
    assert plain((claim(bundle, "orders", "delta_pct"),)) == "−7.6% ≠"
    assert plain((claim(bundle, "orders", "label"),)) == "Orders"
    assert plain((claim(bundle, "late_orders"),)) == "9 (as of Thu 19 Nov 22:00)"
    assert plain((claim(bundle, "refunds"),)) == "$5.00 (⚠ not tied out) (as of Thu 19 Nov 22:00)"
    assert plain((claim(bundle, "net_sales"),)) == "$11,235"


@given(st.text(max_size=60))
def test_text_without_braces_is_left_as_it_is(text: str) -> None:
    if "{{" in text or "}}" in text:
        return
    assert plain(fill(text, morning())) == text
    assert tokens(text) == []


def test_a_text_fact_and_a_date_fact() -> None:
    from dataclasses import replace

    base = fact("orders", "Orders", "count", "1")
    bundle = morning(
        orders=replace(base, unit="text", value=None, text="as written"),
        refunds=replace(base, id="refunds", unit="date", value=None, day=date(2025, 2, 3), tie_out="mismatched"),
    )
    assert claim(bundle, "orders").text == "as written"
    assert plain((claim(bundle, "refunds"),)) == "Mon 3 Feb 2025 (⚠ not tied out)"


def test_measure_tells_the_change_behind_any_change_path() -> None:
    sales = morning().fact("net_sales")
    for path in ("delta", "abs_delta", "delta_pct", "abs_delta_pct", "comparison.same_weekday.abs_delta"):
        found = measure(sales, path, NEW_YORK, AS_OF)
        assert found.change == D("-1005.54")
        assert isinstance(found.comparison, Comparison)
    assert measure(sales, "value", NEW_YORK, AS_OF).change is None
    assert isinstance(fill("no tokens", morning())[0], Words)

"""Charts as data: numbers written alike, axes that hold them, gaps that are said, nothing without evidence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ops_platform.documents import html, markdown, slack, terminal
from ops_platform.documents.chart_text import chart_rows, described, sparkline
from ops_platform.documents.charts import Numbers, gap_note, notes, proven, scale, waterfall
from ops_platform.documents.finish import finished
from ops_platform.documents.layout import pages
from ops_platform.documents.model import Chart, ChartSeries, Document, Page, Quoted, rich
from ops_platform.failures import DataFailure
from tests.documents.deck import CHANNELS, MONTHS, bundle, charts, deck
from tests.documents.test_slack import assert_harmless, assert_within_limits, document, everything
from tests.evidence.bundles import HOSTILE
from tests.sizes import examples

D = Decimal


def chart(kind: Any, *values: str | None, unit: Any = "money", currency: str | None = "USD", **more: Any) -> Chart:
    numbers = tuple(None if value is None else D(value) for value in values)
    names = tuple(f"c{index}" for index in range(len(values)))
    series = ChartSeries("Net sales", numbers)
    return Chart(kind, rich("Message"), names, (series,), unit, currency if unit == "money" else None, **more)


# Writing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "values", "texts", "code"),
    [
        ("money", ("412380.55", "-18240", "0"), ("$412K", "−$18K", "$0"), '"$"#,##0,"K";"−$"#,##0,"K";"$0"'),
        ("money", ("1284300", "99999"), ("$1.3M", "$0.1M"), '"$"#,##0.0,,"M";"−$"#,##0.0,,"M";"$0"'),
        ("money", ("9999.5", "12"), ("$10,000", "$12"), '"$"#,##0;"−$"#,##0;"$0"'),
        ("money", ("9.5", "0.25"), ("$9.50", "$0.25"), '"$"#,##0.00;"−$"#,##0.00;"$0"'),
        ("ratio", ("0.4131", "-0.005"), ("41.3%", "−0.5%"), '#,##0.0%;"−"#,##0.0%;"0%"'),
        ("percent", ("3.14", "150"), ("3%", "150%"), '#,##0"%";"−"#,##0"%";"0%"'),
        ("count", ("212", "9"), ("212", "9"), '#,##0;"−"#,##0;"0"'),
        ("count", ("3.4", "2"), ("3.4", "2.0"), '#,##0.0;"−"#,##0.0;"0"'),
        ("count", ("21200", "900"), ("21.2K", "0.9K"), '#,##0.0,"K";"−"#,##0.0,"K";"0"'),
        ("days", ("61", "0.5"), ("61.0", "0.5"), '#,##0.0;"−"#,##0.0;"0"'),
    ],
)
def test_all_numbers_of_a_chart_are_written_alike(unit: Any, values: Any, texts: Any, code: str) -> None:
    made = chart("column", *values, unit=unit)
    numbers = Numbers.of(made)
    assert tuple(numbers.text(D(value)) for value in values) == texts
    assert numbers.code() == code


def test_steps_of_a_waterfall_carry_their_sign() -> None:
    made = chart("waterfall", "371020.10", "41360.45", "412380.55")
    numbers = Numbers.of(made)
    assert numbers.text(D("41360.45"), signed=True) == "+$41.4K"
    assert numbers.text(D("-3130"), signed=True) == "−$3.1K"
    assert numbers.code("−") == '"−$"#,##0.0,"K";"−$"#,##0.0,"K";"$0"'


def test_an_axis_has_as_many_decimals_as_its_ticks_need() -> None:
    made = chart("line", "0.4252", "0.4131", unit="ratio")
    axis = scale(made)
    assert axis.step == D("0.0050")
    assert [Numbers.of(made).axis(axis.step).text(tick) for tick in axis.ticks[:3]] == ["41.0%", "41.5%", "42.0%"]
    wide = chart("column", "588130")
    assert [Numbers.of(wide).axis(scale(wide).step).text(tick) for tick in scale(wide).ticks] == [
        "$0", "$200K", "$400K", "$600K"]  # fmt: skip


# Scale ------------------------------------------------------------------------------------------------------

amounts = st.none() | st.decimals(-(10**12), 10**12, places=2, allow_nan=False, allow_infinity=False)
kinds: st.SearchStrategy[Any] = st.sampled_from(("line", "column", "bar", "stacked"))


@settings(max_examples=examples(150), deadline=None)
@given(kinds, st.lists(st.tuples(amounts, amounts), min_size=1, max_size=14))
@example("line", [(D("0"), D("0"))])
@example("line", [(None, None)])
@example("column", [(D("0.01"), D("-1000000000000"))])
def test_an_axis_holds_every_value_on_few_round_ticks(kind: Any, rows: Any) -> None:
    series = tuple(ChartSeries(name, tuple(row[index] for row in rows)) for index, name in enumerate(("a", "b")))
    made = Chart(kind, rich("m"), tuple(str(index) for index in range(len(rows))), series, "count")
    axis = scale(made)
    assert axis.low < axis.high
    assert 2 <= len(axis.ticks) <= 9
    assert axis.ticks[-1] == axis.high
    assert axis.step.normalize().as_tuple().digits in ((1,), (2,), (5,), (2, 5))
    known = [value for one in series for value in one.values if value is not None]
    if kind == "stacked":
        known = [sum((v for v in row if v is not None and v > 0), D(0)) for row in rows]
    assert all(axis.low <= value <= axis.high for value in known)
    if kind != "line":
        assert axis.low <= 0 <= axis.high


# Waterfall --------------------------------------------------------------------------------------------------


def test_a_waterfall_walks_from_level_to_level() -> None:
    bars = waterfall(chart("waterfall", "100", "30", "-50", "80"))
    assert [(bar.start, bar.end, bar.level) for bar in bars if bar] == [
        (D(0), D(100), True), (D(100), D(130), False), (D(130), D(80), False), (D(0), D(80), True)]  # fmt: skip


def test_an_unknown_step_leaves_a_gap_of_its_size() -> None:
    bars = waterfall(chart("waterfall", "100", "30", None, "-20", "90"))
    assert bars[2] is None
    assert [(bar.start, bar.end) for bar in bars if bar] == [(0, 100), (100, 130), (110, 90), (0, 90)]


def test_an_unknown_level_does_not_invent_one() -> None:
    bars = waterfall(chart("waterfall", "100", "30", None))
    assert bars[2] is None
    assert [(bar.start, bar.end) for bar in bars if bar] == [(0, 100), (100, 130)]


@pytest.mark.parametrize("wrong", ["0.01", "-100"])
def test_a_waterfall_that_does_not_add_up_is_refused(wrong: str) -> None:
    with pytest.raises(DataFailure, match="leads to"):
        chart("waterfall", "100", wrong, "100")


# Evidence ---------------------------------------------------------------------------------------------------


def test_every_number_drawn_is_a_number_of_the_document() -> None:
    made = deck()
    drawn = [block for block in made.blocks if isinstance(block, Chart)]
    assert len(drawn) == 7
    used = {(claim.fact, claim.path) for claim in made.claims}
    for one in drawn:
        for series in one.series:
            for index, value in enumerate(series.values):
                expected = (series.evidence, f"points.{index}") if series.evidence else (series.facts[index], "value")
                assert (expected in used) == (value is not None)
    by_path = {(claim.fact, claim.path): claim for claim in made.claims}
    assert by_path["sales_by_month", "points.11"].text == "$412K"
    assert by_path["sales_by_month", "points.11"].label == "Net sales, Oct 2026"
    assert by_path["sales_by_month", "points.11"].source.relation == "metrics.fct_metric_daily"


def mutations(made: Chart) -> list[Chart]:
    """A chart with one number changed, in several ways a careless or hostile hand might."""
    first = made.series[0]
    wrong: list[tuple[Decimal | None, ...]] = []
    for index, value in enumerate(first.values):
        if value:
            for other in (-value, value * 10, value + D("0.01"), value.scaleb(3)):
                wrong.append((*first.values[:index], other, *first.values[index + 1 :]))
        elif value is None:
            wrong.append((*first.values[:index], D(1), *first.values[index + 1 :]))
    if made.kind != "waterfall":
        wrong.append(tuple(reversed(first.values)))
    out = []
    for values in wrong:
        try:
            out.append(replace(made, series=(replace(first, values=values), *made.series[1:])))
        except DataFailure:  # a waterfall that no longer adds up is refused even earlier
            continue
    return out


@pytest.mark.parametrize("name", ["months", "margin", "tickets", "pairs", "parts", "channels"])
def test_a_number_that_is_not_the_evidence_s_is_refused(name: str) -> None:
    held = bundle()
    changed = mutations(charts(held)[name])
    assert len(changed) >= 4
    for one in changed:
        with pytest.raises(DataFailure, match="no evidence"):
            finished("board_pack", held, [one], rich("s"), writer="rules")


@pytest.mark.parametrize(
    "wrong",
    [
        {"categories": MONTHS[1:] + MONTHS[:1]},
        {"unit": "count", "currency": None},
        {"currency": "EUR"},
    ],
)
def test_a_right_number_under_a_wrong_name_or_unit_is_refused(wrong: Any) -> None:
    held = bundle()
    with pytest.raises(DataFailure, match="no evidence"):
        list(proven(replace(charts(held)["months"], **wrong), held))


def test_doubt_about_a_number_is_said_and_cannot_be_left_out() -> None:
    held = bundle()
    series = tuple(replace(s, tie_out="mismatched") if s.id == "sales_plan" else s for s in held.series)
    stale: Any = {"status": "stale", "fresh_to": held.as_of}
    facts = tuple(
        replace(f, tie_out="mismatched") if f.id == "channel_1" else replace(f, **stale) if f.id == "channel_2" else f
        for f in held.facts
    )
    held = replace(held, series=series, facts=facts)
    drawn = charts(held)
    assert notes(drawn["months"]) == "Unknown: Net sales May 2026. ≠ Not tied out: Plan."
    assert notes(drawn["channels"]) == (
        "Unknown: Partner retail. ≠ Not tied out: Amazon. Of an earlier day: Wholesale."
    )
    for name, less in (("months", {"doubtful": ()}), ("channels", {"doubtful": ()}), ("channels", {"old": ()})):
        shown: Any = less
        with pytest.raises(DataFailure, match="without its doubt"):
            list(proven(replace(drawn[name], **shown), held))
    assert "≠ Not tied out: Plan." in terminal.render(document(drawn["months"]))
    assert [leaf for leaf in pages(document(drawn["months"])) if "Not tied out" in str(leaf.shapes)]


def test_a_chart_without_evidence_is_refused() -> None:
    with pytest.raises(DataFailure, match="no evidence"):
        list(proven(chart("column", "1", "2"), bundle()))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Chart("line", rich("m"), (), (), "count"),
        lambda: Chart("line", rich("m"), ("a",), (ChartSeries("s", (D(1), D(2))),), "count"),
        lambda: Chart("line", rich("m"), ("a",), (ChartSeries("s", (D(1),)),), "money"),
        lambda: Chart("line", rich("m"), ("a",), (ChartSeries("s", (D(1),)),), "text"),
        lambda: Chart("line", rich("m"), ("a",), (ChartSeries("s", (D(1),), facts=("a", "b")),), "count"),
    ],
)
def test_a_chart_that_cannot_be_drawn_is_refused(wrong: Any) -> None:
    with pytest.raises(DataFailure):
        wrong()


def test_a_deck_round_trips_as_json() -> None:
    made = deck()
    again = Document.from_json(json.loads(json.dumps(made.to_json())))
    assert again == made
    assert again.digest == made.digest


# Text -------------------------------------------------------------------------------------------------------


def test_what_is_unknown_is_said() -> None:
    drawn = charts(bundle())
    assert gap_note(drawn["months"]) == "Unknown: Net sales May 2026."
    assert gap_note(drawn["channels"]) == "Unknown: Partner retail."
    assert gap_note(drawn["tickets"]) == ""
    assert gap_note(chart("line", None, None)) == "Unknown: no value has arrived."
    assert gap_note(chart("column", "1", *[None] * 8)) == "Unknown: c1, c2, c3, c4, c5, c6 and 2 more."


def test_a_chart_reads_as_a_list_in_channels_of_text() -> None:
    rows = chart_rows(charts(bundle())["bridge"])
    assert [(row[0], row[1]) for row in rows[1:]] == [
        ("Oct 2025", "$371.0K"), ("More orders", "+$16.5K"), ("Average order", "+$31.3K"), ("Refunds", "−$3.1K"),
        ("Discounts", "−$3.3K"), ("Oct 2026", "$412.4K"),
    ]  # fmt: skip
    assert rows[-1][2].count("█") == 16
    assert "Partner retail unknown" in described(charts(bundle())["channels"])


def test_a_long_chart_is_a_small_line_and_its_last_value() -> None:
    values = [str(number) for number in range(30)]
    rows = chart_rows(chart("line", *values, unit="count"))
    assert rows[1][:2] == ["Net sales", "29"]
    assert rows[1][2].startswith("▁▁")
    assert rows[1][2].endswith("█")
    assert sparkline(ChartSeries("s", (D(1), None, D(3)))) == "▁ █"


@pytest.mark.parametrize(
    "render", [terminal.render, markdown.render, lambda d: everything(slack.render(d)), html.render]
)
def test_every_channel_shows_every_chart_and_page(render: Any) -> None:
    made = deck()
    text = render(made).replace("\\", "").replace("\u2060", "")
    for name in ("Net sales by channel in October", "Gross margin has slipped", "Unknown: Partner retail.", *CHANNELS):
        assert name in text, name
    for figure in ("$412.4K", "+$31.3K", "41.3%", "340", "unknown", MONTHS[0]):
        assert figure in text, figure
    for block in made.blocks:
        if isinstance(block, Page):
            assert "".join(span.text for span in block.title) in text


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if text])
def test_a_hostile_name_on_an_axis_does_nothing(hostile: str) -> None:
    series = (ChartSeries(hostile, (D(1), None)),)
    made = Chart("bar", rich(Quoted(hostile)), (hostile, hostile + "2"), series, "count", None, rich(Quoted(hostile)))
    page = Page(rich(Quoted(hostile)), rich(Quoted(hostile)))
    messages = slack.render(document(page, made))
    assert_within_limits(messages)
    assert_harmless(everything(messages))
    marked = markdown.render(document(page, made))
    assert re.search(r"(?<!\\)<(?!/?sub>)", marked) is None
    assert re.search(r"(?<!\\)\]\(", marked) is None
    assert "\x1b" not in terminal.render(document(page, made))

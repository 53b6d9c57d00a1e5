"""Pages: everything stands on one, nothing over another or over the edge, and the same document gives the same PDF."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_platform.documents import images, pdf
from ops_platform.documents.blocks import Box, Cells, Placed, Plot, Text
from ops_platform.documents.grids import column_align, measured_grid
from ops_platform.documents.layout import Leaf, pages
from ops_platform.documents.model import (
    Block,
    Bullets,
    Chart,
    ChartSeries,
    Claim,
    Footer,
    Heading,
    KeyFigure,
    KeyFigures,
    Page,
    Paragraph,
    Table,
    Title,
    Verdict,
    Words,
    rich,
)
from ops_platform.documents.theme import BODY_BOTTOM, HEIGHT, MARGIN, WIDTH
from ops_platform.documents.typeset import Para, Run, inked, lines, natural_width, para, width
from tests.documents.deck import bundle, charts, deck
from tests.documents.test_slack import blocks as any_block
from tests.documents.test_slack import document, riches, texts
from tests.sizes import examples

D = Decimal


def said(leaf: Leaf) -> str:
    """All text of a page, plots aside."""
    parts = [leaf.title.text, leaf.subtitle.text if leaf.subtitle else "", *(one.text for one in leaf.small)]
    for shape in leaf.shapes:
        if isinstance(shape, Text):
            parts += [one.text for one in shape.paras]
        elif isinstance(shape, Cells):
            parts += [cell.text for row in shape.grid.rows for cell in row]
    return "\n".join(parts)


def reach(shape: Placed) -> tuple[float, float, float, float]:
    if isinstance(shape, Cells):
        return shape.x, shape.y, shape.x + shape.grid.width, shape.y + shape.grid.height
    return shape.x, shape.y, shape.x + shape.w, shape.y + shape.h


# The deck ---------------------------------------------------------------------------------------------------


def test_each_page_block_is_a_page() -> None:
    made = pages(deck())
    assert [leaf.title.text for leaf in made] == [
        "Board pack, October 2026",
        "October was ahead of plan: net sales $412,381",
        "Three of five measures are ahead of plan",
        "Net sales grew every month since July",
        "Price rather than volume brought the growth",
        "The company in four pictures",
        "Two risks need an owner",
    ]
    assert [leaf.cover for leaf in made] == [True] + [False] * 6
    assert [sum(isinstance(shape, Plot) for shape in leaf.shapes) for leaf in made] == [0, 0, 0, 1, 2, 4, 0]
    assert all(leaf.run == "Board pack, October 2026" for leaf in made)


def test_nothing_stands_on_anything_else() -> None:
    for leaf in pages(deck()):
        shapes = [shape for shape in leaf.shapes if not isinstance(shape, Box)]
        for one, other in combinations(shapes, 2):
            a, b = reach(one), reach(other)
            apart = a[2] <= b[0] + 0.1 or b[2] <= a[0] + 0.1 or a[3] <= b[1] + 0.1 or b[3] <= a[1] + 0.1
            assert apart, (leaf.title.text, one, other)


def test_a_chart_stands_beside_the_text_that_follows_it() -> None:
    leaf = pages(deck())[3]
    plot = next(shape for shape in leaf.shapes if isinstance(shape, Plot))
    beside = next(s for s in leaf.shapes if isinstance(s, Text) and s.paras[0].text == "What changed")
    assert plot.x == MARGIN
    assert beside.x > plot.x + plot.w
    assert plot.h > 250


def test_a_page_s_notes_say_where_its_numbers_come_from() -> None:
    leaf = pages(deck())[1]
    assert "$412,381: Net sales (net_sales.value), metrics.fct_metric_daily, tied out" in leaf.sources
    assert "$1,284,300: Cash (cash.value), metrics.fct_metric_daily, not tied out" in leaf.sources
    chart = pages(deck())[3].sources[-1]
    assert "sales_by_month" in chart
    assert "metrics.fct_metric_daily, tied out" in chart


def test_a_figure_that_did_not_tie_out_says_so_on_its_card() -> None:
    words = said(pages(deck())[1])
    assert "$1,284,300\n▲ not tied out" in words
    assert "unknown\nsince Sat 3 Oct 04:00" in words


def test_what_is_longer_than_a_page_goes_on_to_the_next() -> None:
    rows = tuple((rich(f"row {number}"), rich(str(number))) for number in range(90))
    made = pages(document(Page(rich("Long")), Table(("name", "number"), rows)))
    assert [leaf.title.text for leaf in made] == ["Long", *["Long (continued)"] * (len(made) - 1)]
    assert len(made) > 2
    grids = [shape.grid for leaf in made for shape in leaf.shapes if isinstance(shape, Cells)]
    assert all([cell.text for cell in grid.rows[0]] == ["name", "number"] for grid in grids)
    assert [row[0].text for grid in grids for row in grid.rows[1:]] == [f"row {number}" for number in range(90)]
    assert all(
        shape.y + shape.grid.height <= BODY_BOTTOM + 0.1
        for leaf in made
        for shape in leaf.shapes
        if isinstance(shape, Cells)
    )


def test_a_heading_stays_with_what_it_heads() -> None:
    body: list[Block] = [Paragraph(rich("word " * 60))] * 9
    made = pages(document(Page(rich("T")), *body, Heading(rich("Last")), Bullets((rich("one " * 90),))))
    for leaf in made:
        ends = [shape for shape in leaf.shapes if isinstance(shape, Text)]
        assert ends[-1].paras[-1].text != "Last"


def test_a_document_without_pages_is_laid_out_too() -> None:
    made = pages(document(Title(rich("Pulse")), Paragraph(rich("All is well."))))
    assert len(made) == 1
    assert not made[0].cover
    assert made[0].title.text == "Pulse"


# Any document -----------------------------------------------------------------------------------------------

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
numbers = st.none() | st.decimals(-(10**7), 10**7, places=2, allow_nan=False, allow_infinity=False)


@st.composite
def any_chart(draw: st.DrawFn) -> Chart:
    count = draw(st.integers(1, 26))
    kind: Any = draw(st.sampled_from(("line", "column", "bar", "stacked")))
    rows = draw(st.lists(st.lists(numbers, min_size=count, max_size=count), min_size=1, max_size=4))
    roles: list[Any] = ["main", "before", "plan", "other"]
    series = tuple(ChartSeries(draw(texts), tuple(row), roles[index]) for index, row in enumerate(rows))
    names = tuple(draw(st.lists(texts, min_size=count, max_size=count)))
    unit: Any = draw(st.sampled_from(("money", "ratio", "count", "days")))
    return Chart(kind, draw(riches), names, series, unit, "USD" if unit == "money" else None, draw(riches))


page_blocks = any_block | any_chart() | st.builds(Page, riches, riches)
page_documents = st.lists(page_blocks, max_size=10).map(lambda made: document(Title(rich("Title")), *made))


@settings(max_examples=examples(40), derandomize=True, deadline=None, suppress_health_check=SLOW)
@given(page_documents)
def test_any_document_has_all_its_words_on_pages_and_none_over_the_edge(made: Any) -> None:
    leaves = pages(made)
    words = Counter("".join(said(leaf) for leaf in leaves).replace(" ", ""))
    for block in made.blocks:
        for text in told(block):
            wanted = Counter(inked(text).replace(" ", ""))
            assert not wanted - words, (block, wanted - words)
    for leaf in leaves:
        for shape in leaf.shapes:
            x, y, right, low = reach(shape)
            assert x >= MARGIN - 0.1
            assert right <= WIDTH - MARGIN + 0.1
            assert low > y - 0.01
            if not any(isinstance(block, KeyFigures) for block in made.blocks):  # a card is never divided
                assert low <= BODY_BOTTOM + 1, shape


@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=SLOW)
@given(page_documents)
def test_any_document_becomes_a_pdf(made: Any) -> None:
    assert pdf.render(made).startswith(b"%PDF")


def told(block: Block) -> list[str]:
    """Texts of a block that must be found on a page."""
    if isinstance(block, Paragraph | Heading):
        return ["".join(span.text for span in block.text)]
    if isinstance(block, Bullets):
        return ["".join(span.text for span in item) for item in block.items]
    if isinstance(block, Footer):
        return ["".join(span.text for span in item) for item in block.items]
    if isinstance(block, Page):
        return ["".join(span.text for span in block.title)]
    if isinstance(block, Table):
        return ["".join(span.text for span in cell) for row in block.rows for cell in row]
    if isinstance(block, Chart):
        return ["".join(span.text for span in block.message)]
    return []


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), st.floats(20, 900), st.floats(6, 40))
def test_lines_keep_to_their_room_and_lose_nothing(parts: list[str], room: float, size: float) -> None:
    made = Para(tuple(Run(inked(text), bool(index % 2)) for index, text in enumerate(parts)), size)
    broken = lines(made, room)
    shown = "".join(run.text for line in broken for run in line)
    assert shown.replace(" ", "") == made.text.replace(" ", "")
    for line in broken:
        long = sum(width(run.text, size, "bold" if run.bold else "regular") for run in line)
        assert long <= max(room, size) + 0.1 or len("".join(run.text for run in line)) == 1


# Type -------------------------------------------------------------------------------------------------------


def test_widths_are_those_of_the_office_face() -> None:
    # Helvetica's and Arial's widths, in thousandths: H 722, e 556, l 222, o 556, space 278, 1 556.
    assert width("Hello", 10) == pytest.approx((722 + 556 + 222 + 222 + 556) / 100, abs=0.01)
    assert width("$1,234", 10) == pytest.approx((556 * 5 + 278) / 100, abs=0.01)
    assert width("−", 10) == pytest.approx(5.84, abs=0.01)


def test_signs_and_scripts_that_the_face_lacks() -> None:
    assert inked("⚠ not tied out ✓ 🎉 done") == "▲ not tied out ●  done"
    assert inked("a\x00b\x1b[31m\u202ec") == "ab[31mc"
    assert natural_width(para("漢字", 10)) == 20
    assert not any(unicodedata.category(char) == "Cc" for char in inked("".join(map(chr, range(160)))))


def test_columns_of_figures_stand_to_the_right_and_of_signs_in_the_middle() -> None:
    grid = next(s for leaf in pages(deck()) for s in leaf.shapes if isinstance(s, Cells)).grid
    assert [cell.align for cell in grid.rows[2]] == ["left", *["right"] * 5, "center", "left"]
    assert grid.kinds[:3] == ("header", "group", "row")


def test_a_wide_table_breaks_in_its_words_not_in_its_numbers() -> None:
    row = (rich("A measure with quite a long name indeed"), *(rich("$1,234,567") for _ in range(9)))
    grid = measured_grid(Table(("Measure", *("Column",) * 9), (row,) * 3), 860, 1.0)
    assert grid.width == pytest.approx(860, abs=0.5)
    assert all(len(lines(cell, wide - 14)) == 1 for cell, wide in zip(grid.rows[1][1:], grid.widths[1:], strict=True))


def test_an_endless_word_does_not_starve_the_other_columns() -> None:
    rows = ((rich("short words here"), rich("a" * 400), rich("$1,234")),)
    grid = measured_grid(Table(("a", "b", "c"), rows), 860, 1.0)
    assert sum(grid.widths) == pytest.approx(860)
    assert [len(lines(cell, wide - 16)) == 1 for cell, wide in zip(grid.rows[1], grid.widths, strict=True)] == [
        False, False, True]  # fmt: skip
    assert grid.height < 120


def test_a_long_figure_is_set_smaller_on_its_card() -> None:
    rows = tuple(KeyFigure("Label", rich("$1,234,567,890.12")) for _ in range(6))
    made = pages(document(Page(rich("T")), KeyFigures(rows)))
    cards = [shape for shape in made[0].shapes if isinstance(shape, Text)]
    assert all(len(lines(card.paras[1], card.w)) == 1 for card in cards)


# Bytes ------------------------------------------------------------------------------------------------------

OTHER_PROCESS = """
import hashlib
from ops_platform.documents import images, pdf, pptx, xlsx
from tests.documents.deck import bundle, charts, deck
picture = images.chart_png(charts(bundle())["bridge"])
for data in (pdf.render(deck()), pptx.render(deck()), xlsx.render(deck(), bundle()), picture):
    print(hashlib.sha256(data).hexdigest())
"""


@pytest.mark.slow
def test_another_process_at_another_time_makes_the_same_bytes() -> None:
    from ops_platform.documents import pptx, xlsx

    here = [pdf.render(deck()), pptx.render(deck()), xlsx.render(deck(), bundle())]
    here.append(images.chart_png(charts(bundle())["bridge"]))
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Kolkata", "LC_ALL": "C"}
    there = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS], capture_output=True, text=True, check=True, env=environment
    )
    assert there.stdout.split() == [hashlib.sha256(data).hexdigest() for data in here]


def test_the_same_document_makes_the_same_bytes() -> None:
    assert pdf.render(deck()) == pdf.render(deck())


def test_the_pdf_holds_its_text_and_its_outline() -> None:
    import pypdfium2

    with pypdfium2.PdfDocument(pdf.render(deck())) as read:
        assert len(read) == 7
        assert [mark.get_title() for mark in read.get_toc()][1].startswith("October was ahead of plan")
        text = read[4].get_textpage().get_text_range()
        assert "−$3.1K" in text
        assert "Partner retail" in text
        assert "unknown" in text
        assert (read[0].get_width(), read[0].get_height()) == (WIDTH, HEIGHT)
        assert "evidence" in read[1].get_textpage().get_text_range()


def test_a_chart_s_picture_is_a_picture_of_that_chart() -> None:
    import io

    from PIL import Image

    drawn = charts(bundle())
    for name, chart in drawn.items():
        made = Image.open(io.BytesIO(images.chart_png(chart)))
        assert made.size == (1280, 640)
        colours = {colour for _, colour in made.convert("RGB").getcolors(1 << 20) or []}
        assert (255, 255, 255) in colours, name
        assert (60, 90, 120) in colours if name == "bridge" else (15, 92, 168) in colours, name
    assert [name for name, _ in images.charts_of(deck())][:2] == [
        "chart-01-net-sales-by-month-412-381-in-october.png",
        "chart-02-from-371-020-to-412-381-price-more-than-volume.png",
    ]


def test_a_chart_of_nothing_known_has_no_numbers() -> None:
    import pypdfium2

    empty = Chart("column", rich("Message"), ("a", "b"), (ChartSeries("s", (None, None)),), "money", "USD")
    with pypdfium2.PdfDocument(pdf.render(document(Page(rich("T")), empty))) as read:
        text = read[0].get_textpage().get_text_range()
    assert "$" not in text
    assert "Unknown: no value has arrived." in text


def test_words_are_never_markup() -> None:
    made = pdf.render(document(Page(rich("<b>no</b> &amp; no")), Paragraph(rich(Words("<font size=90>x</font>")))))
    import pypdfium2

    with pypdfium2.PdfDocument(made) as read:
        text = read[0].get_textpage().get_text_range()
    assert "<b>no</b> &amp; no" in text
    assert "<font size=90>x</font>" in text


def test_a_title_stays_on_one_line_where_a_smaller_type_does_it() -> None:
    for words, line, size in (("Cash", 1, 24.0), ("Tickets open 97, up 7.8% against the end of " * 2, 1, 20.0),
                              ("A title of far too many words " * 6, 3, 24.0)):  # fmt: skip
        (leaf,) = pages(document(Page(rich(words.strip())), Paragraph(rich("."))))
        assert len(lines(leaf.title, WIDTH - 2 * MARGIN)) == line
        assert leaf.title.size == size


def test_verdicts_stand_left_however_many_figures_have_none() -> None:
    verdict = rich(Verdict("ok"), " fine")
    rows = tuple((rich(name), rich(Claim("cash", "value", "$1")), cell) for name, cell in
                 (("a", verdict), ("b", rich("–")), ("c", rich("–")), ("d", rich("–"))))  # fmt: skip
    assert [column_align(rows, index) for index in range(3)] == ["left", "right", "left"]
    # A column of nothing but dashes is one of figures that are not there.
    assert column_align(tuple((rich("a"), rich("–")) for _ in range(3)), 1) == "right"


def test_a_table_that_nearly_fills_the_page_fills_it() -> None:
    for count, full in ((2, False), (6, True)):
        row = tuple(rich("a word or two") for _ in range(count))
        grid = measured_grid(Table(("column",) * count, (row,)), 860, 1.0)
        assert (abs(grid.width - 860) < 0.1) == full


def test_what_a_row_is_about_is_not_broken_while_there_is_room() -> None:
    rows = tuple((rich("Net sales, all channels"), rich("what it counts, at some length " * 12)) for _ in range(3))
    grid = measured_grid(Table(("Figure", "What it counts"), rows), 860, 1.0)
    assert all(len(lines(row[0], grid.widths[0] - 16)) == 1 for row in grid.rows)

"""Slides and workbooks: native charts with the right numbers, real placeholders, text that is never a formula."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest

from ops_platform.documents import pptx, xlsx
from ops_platform.documents.blocks import Box, Cells, Plot, Text
from ops_platform.documents.finish import finished
from ops_platform.documents.layout import pages
from ops_platform.documents.model import Block, Bullets, Chart, ChartSeries, Footer, Page, Quoted, Table, Title, rich
from ops_platform.documents.sealing import EPOCH, sealed
from ops_platform.evidence.model import Bundle, Fact, Row, Source
from tests.documents.deck import AS_OF, OCTOBER, bundle, charts, deck
from tests.documents.test_slack import document
from tests.evidence.bundles import COMPANY, HOSTILE

D = Decimal
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
INJECTIONS = (
    "=1+1",
    '=HYPERLINK("https://evil.example","click")',
    "+1234",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    "\t=1",
    "\r=1",
    "%0A=1",
    "https://evil.example",
    "{=1}",
    "=\x00cmd",
)
STORABLE = tuple(text for text in INJECTIONS if "\x00" not in text)


def slides(data: bytes) -> list[Any]:
    from pptx import Presentation

    return list(Presentation(io.BytesIO(data)).slides)


def native(data: bytes) -> list[Any]:
    return [shape.chart for slide in slides(data) for shape in slide.shapes if shape.has_chart]


@pytest.fixture(scope="module")
def made() -> bytes:
    return pptx.render(deck())


# Slides -----------------------------------------------------------------------------------------------------


def test_each_page_is_a_slide_with_its_title_in_the_placeholder(made: bytes) -> None:
    found = slides(made)
    assert [slide.shapes.title.text_frame.text for slide in found] == [leaf.title.text for leaf in pages(deck())]
    assert [slide.slide_layout.name for slide in found] == ["Cover"] + ["Page"] * 6
    for number, slide in enumerate(found[1:], start=2):
        kinds = {shape.placeholder_format.type.name: shape for shape in slide.placeholders}
        assert kinds["SLIDE_NUMBER"].text_frame.text == str(number) or "slidenum" in kinds["SLIDE_NUMBER"]._element.xml
        assert kinds["FOOTER"].text_frame.text == "Board pack, October 2026"


def test_shapes_stand_where_the_page_has_them(made: bytes) -> None:
    for slide, leaf in zip(slides(made), pages(deck()), strict=True):
        placed = [(round(s.x), round(s.y)) for s in leaf.shapes if isinstance(s, Text | Plot | Box | Cells)]
        found = {(round(shape.left.pt), round(shape.top.pt)) for shape in slide.shapes}
        assert set(placed) <= found
        for shape in slide.shapes:
            assert shape.left.pt >= 0
            assert shape.left.pt + shape.width.pt <= 960
            assert shape.top.pt + shape.height.pt <= 540


def test_charts_are_native_and_hold_the_numbers_of_the_specification(made: bytes) -> None:
    drawn = [block for block in deck().blocks if isinstance(block, Chart)]
    found = native(made)
    assert [chart.chart_type.name for chart in found] == [
        "LINE", "COLUMN_STACKED", "BAR_CLUSTERED", "LINE", "COLUMN_CLUSTERED", "COLUMN_CLUSTERED", "COLUMN_STACKED",
    ]  # fmt: skip
    for chart, spec in zip(found, drawn, strict=True):
        plot = chart.plots[0]
        assert list(plot.categories) == list(spec.categories)
        if spec.kind == "waterfall":
            continue
        assert [series.name for series in plot.series] == [series.label for series in spec.series]
        for series, given in zip(plot.series, spec.series, strict=True):
            assert list(series.values) == [None if value is None else float(value) for value in given.values]


def test_an_unknown_value_is_a_gap_not_a_zero(made: bytes) -> None:
    chart = native(made)[0]
    assert chart.plots[0].series[0].values[6] is None
    assert 'dispBlanksAs val="gap"' in chart._chartSpace.xml
    assert "0" not in [str(value) for value in chart.plots[0].series[0].values]


def test_a_waterfall_is_stacked_on_an_invisible_base_and_labelled_by_its_steps(made: bytes) -> None:
    rows = {series.name: list(series.values) for series in native(made)[1].plots[0].series}
    assert rows["Base"] == [None, 371020.10, 387540.55, 415660.55, 412380.55, None]
    assert rows["Level"] == [371020.10, None, None, None, None, 412380.55]
    assert rows["Rise"] == [None, 16520.45, 31250.0, None, None, None]
    assert rows["Fall"] == [None, None, None, 3130.0, 3280.0, None]
    words = re.findall(r"<a:t>([^<]*)</a:t>", native(made)[1]._chartSpace.xml)
    assert words == ["$371.0K", "+$16.5K", "+$31.3K", "−$3.1K", "−$3.3K", "$412.4K"]


def test_a_waterfall_through_nought_has_its_parts_on_either_side() -> None:
    spec = Chart("waterfall", rich("m"), ("a", "b", "c"), (ChartSeries("s", (D(20), D(-50), D(-30))),), "count")
    rows = {
        series.name: list(series.values)
        for series in native(pptx.render(document(Page(rich("T")), spec)))[0].plots[0].series
    }
    assert rows["Level"] == [20.0, None, -30.0]
    assert rows["Fall"] == [None, 20.0, None]
    assert rows["Fall below nought"] == [None, -30.0, None]


def test_the_data_behind_a_chart_is_the_chart_s(made: bytes) -> None:
    blob = native(made)[0].part.chart_workbook.xlsx_part.blob
    cells = read_sheet(blob, 1)
    assert cells["A2"] == "Nov 2025"
    assert cells["B1"] == "Net sales"
    assert D(cells["B13"]) == D("412380.55")
    assert "B8" not in cells
    assert D(cells["C8"]) == D(305000)


def test_a_chart_is_described_for_who_cannot_see_it(made: bytes) -> None:
    frames = [shape for slide in slides(made) for shape in slide.shapes if shape.has_chart]
    described = frames[0]._element.nvGraphicFramePr.cNvPr.get("descr")
    assert described.startswith("Net sales by month: $412,381 in October.")
    assert "May 2026 unknown" in described


def test_notes_say_where_the_numbers_come_from(made: bytes) -> None:
    notes = slides(made)[1].notes_slide.notes_text_frame.text
    assert notes.startswith("Where the numbers come from")
    assert "$412,381: Net sales (net_sales.value), metrics.fct_metric_daily, tied out" in notes


def test_the_deck_carries_no_clock_and_nothing_of_the_template(made: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(made)) as read:
        assert {entry.date_time for entry in read.infolist()} == {EPOCH}
        names = set(read.namelist())
        assert not [name for name in names if "thumbnail" in name or "printerSettings" in name]
        assert len([name for name in names if re.match(r"ppt/slideLayouts/slideLayout\d+\.xml", name)]) == 2
        core = read.read("docProps/core.xml").decode()
        assert "2026-11-01T12:00:00Z" in core
        assert "2013" not in core
        for name in names:
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(read.read(name))
    assert pptx.render(deck()) == made


def test_sealing_changes_no_part() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as write:
        write.writestr("a.txt", "one")
        write.writestr("b/c.txt", b"\x00two")
    with zipfile.ZipFile(io.BytesIO(sealed(out.getvalue()))) as read:
        assert [(name, read.read(name)) for name in read.namelist()] == [("a.txt", b"one"), ("b/c.txt", b"\x00two")]


@pytest.mark.parametrize("hostile", [*HOSTILE, *INJECTIONS])
def test_hostile_text_is_text_on_a_slide_and_in_its_charts(hostile: str) -> None:
    series = (ChartSeries(hostile, (D(1), D(2))),)
    chart = Chart("column", rich(Quoted(hostile)), (hostile, "b"), series, "count")
    table = Table((hostile, "b"), ((rich(Quoted(hostile)), rich("x")),))
    data = pptx.render(document(Page(rich(Quoted(hostile))), Bullets((rich(Quoted(hostile)),)), table, chart))
    (slide,) = slides(data)[:1]
    assert len(slide.shapes.title.text_frame.paragraphs) == 1
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        for name in read.namelist():
            if name.endswith(".xml"):
                assert b"hlinkClick" not in read.read(name)
            if name.endswith(".xlsx"):
                assert_inert(read.read(name))


# The workbook -----------------------------------------------------------------------------------------------


def read_sheet(data: bytes, number: int) -> dict[str, str]:
    """The cells of a sheet by reference, numbers as they are written."""
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        strings = []
        if "xl/sharedStrings.xml" in read.namelist():
            for item in ElementTree.fromstring(read.read("xl/sharedStrings.xml")):
                strings.append("".join(part.text or "" for part in item.iter(f"{MAIN}t")))
        sheet = ElementTree.fromstring(read.read(f"xl/worksheets/sheet{number}.xml"))
    cells = {}
    for cell in sheet.iter(f"{MAIN}c"):
        value = cell.find(f"{MAIN}v")
        if value is not None and value.text is not None:
            cells[cell.get("r", "")] = strings[int(value.text)] if cell.get("t") == "s" else value.text
    return cells


def names(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        book = ElementTree.fromstring(read.read("xl/workbook.xml"))
    return [sheet.get("name", "") for sheet in book.iter(f"{MAIN}sheet")]


def assert_inert(data: bytes) -> None:
    """No formula, no link, and what looks like a formula is marked as text."""
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        for name in read.namelist():
            assert "externalLink" not in name
            body = read.read(name)
            if name.startswith("xl/worksheets/sheet"):
                assert b"<f>" not in body
                assert b"<f " not in body
                assert b"hyperlink" not in body
        styles = ElementTree.fromstring(read.read("xl/styles.xml"))
        cell_styles = styles.find(f"{MAIN}cellXfs")
        assert cell_styles is not None
        quoted = {str(index) for index, xf in enumerate(cell_styles) if xf.get("quotePrefix") == "1"}
        strings = ["".join(part.text or "" for part in item.iter(f"{MAIN}t"))
                   for item in ElementTree.fromstring(read.read("xl/sharedStrings.xml"))]  # fmt: skip
        for name in read.namelist():
            if name.startswith("xl/worksheets/sheet"):
                for cell in ElementTree.fromstring(read.read(name)).iter(f"{MAIN}c"):
                    value = cell.find(f"{MAIN}v")
                    if cell.get("t") == "s" and value is not None and value.text:
                        text = strings[int(value.text)]
                        if text[:1] in ("=", "+", "-", "@", "\t", "\r"):
                            assert cell.get("s") in quoted, text


def test_the_appendix_holds_every_number_with_its_source() -> None:
    data = xlsx.render(deck(), bundle())
    assert names(data) == [
        "Contents",
        "Published",
        "Facts",
        "Comparisons",
        "Series",
        *(f"Chart {n}" for n in range(1, 8)),
        "Tables",
    ]
    facts = read_sheet(data, 3)
    by_id = {facts[f"A{row}"]: row for row in range(2, 40) if f"A{row}" in facts}
    assert len(by_id) == len(bundle().facts)
    row = by_id["net_sales"]
    assert D(facts[f"C{row}"]) == D("412380.55")
    assert (facts[f"D{row}"], facts[f"E{row}"], facts[f"F{row}"]) == ("money", "USD", "2026-10-01")
    assert facts[f"M{row}"] == "select sum(value) from metrics.fct_metric_daily"
    unknown = by_id["csat"]
    assert f"C{unknown}" not in facts
    assert facts[f"H{unknown}"] == "unknown"
    assert facts[f"I{unknown}"] == "2026-10-03T08:00:00+00:00"
    published = read_sheet(data, 2)
    texts = {published[f"A{number}"] for number in range(2, len(deck().claims) + 2)}
    assert {"$412,381", "+3.1%", "$1,284,300"} <= texts
    assert sum(1 for key in published if re.fullmatch(r"C\d+", key)) == len(deck().claims) + 1


def test_the_appendix_has_each_chart_s_numbers_and_leaves_gaps_empty() -> None:
    data = xlsx.render(deck(), bundle())
    chart = read_sheet(data, 6)
    assert chart["A1"] == "Net sales by month: $412,381 in October"
    assert D(chart["B13"]) == D("412380.55")
    assert "B8" not in chart
    assert D(chart["C8"]) == D(305000)
    series = read_sheet(data, 5)
    assert series["A2"] == "sales_by_month"
    assert D(series["D2"]) == D("371020.10")


def test_the_appendix_is_written_without_a_bundle_too() -> None:
    assert names(xlsx.render(deck()))[:2] == ["Contents", "Published"]
    assert "Facts" not in names(xlsx.render(deck()))


def test_the_appendix_carries_no_clock() -> None:
    data = xlsx.render(deck(), bundle())
    assert data == xlsx.render(deck(), bundle())
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        assert {entry.date_time for entry in read.infolist()} == {EPOCH}
        assert "2026-11-01T12:00:00Z" in read.read("docProps/core.xml").decode()


def test_no_text_in_the_appendix_is_a_formula() -> None:
    facts = tuple(
        Fact(f"f_{index}", text or "-", "text", text=text or "-", source=Source(text, text, ((text, text),)))
        for index, text in enumerate((*STORABLE, *HOSTILE))
    )
    held = Bundle("board_pack", OCTOBER, AS_OF, COMPANY, facts, {"l": (Row({"t": "=1"}),)})
    cells = tuple(rich(Quoted(text)) for text in STORABLE)
    blocks: list[Block] = [
        Title(rich(Quoted("=1+1"))),
        Page(rich(Quoted("@x"))),
        Table(STORABLE, (cells,)),
        Footer(cells),
    ]
    made = finished("board_pack", held, blocks, rich(Quoted("=2")), writer="rules")
    assert_inert(xlsx.render(made, held))


def test_a_number_beyond_what_a_spreadsheet_keeps_is_text() -> None:
    fact = Fact("big", "Big", "count", D("12345678901234567.89"))
    held = Bundle("board_pack", OCTOBER, AS_OF, COMPANY, (fact,))
    data = xlsx.render(finished("board_pack", held, [Title(rich("t"))], rich("s"), writer="rules"), held)
    assert read_sheet(data, 3)["C2"] == "12345678901234567.89"


@pytest.mark.parametrize(
    ("unit", "currency", "code"),
    [
        ("money", "USD", '"$"#,##0.00;"−$"#,##0.00'),
        ("money", "JPY", '"¥"#,##0;"−¥"#,##0'),
        ("ratio", None, "0.0%"),
        ("percent", None, '0.0"%"'),
        ("count", None, "#,##0.0##"),
    ],
)
def test_numbers_keep_their_unit_as_format(unit: str, currency: str | None, code: str) -> None:
    assert xlsx.code(unit, currency, D("2.5")) == code
    assert xlsx.code("count", None, D("3120"), None) == "#,##0"


def test_charts_of_the_deck_are_those_of_the_specification() -> None:
    assert set(charts(bundle())) == {"months", "margin", "tickets", "pairs", "parts", "channels", "bridge"}


def test_nothing_heavy_is_loaded_before_a_file_is_made() -> None:
    code = (
        "import sys; import ops_platform.documents.pdf, ops_platform.documents.pptx, ops_platform.documents.xlsx, "
        "ops_platform.documents.images, ops_platform.documents.slack\n"
        "print(sorted({'pptx', 'reportlab', 'xlsxwriter', 'pypdfium2', 'PIL', 'lxml', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

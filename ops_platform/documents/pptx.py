"""A document as slides: the pages of the deck, with native charts and tables that a person can go on working on.

Belongs here: placed shapes as those of the office format, placeholders, notes, alternative texts. Does not belong here:
what stands where (`documents.layout`), charts (`documents.pptx_charts`), the master (`documents.pptx_master`).

The same document gives the same bytes. Under each slide, in its notes, stands where its numbers come from.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ops_platform.documents.blocks import Box, Cells, Plot, Text
from ops_platform.documents.chart_text import described
from ops_platform.documents.grids import PAD_X, PAD_Y, Grid
from ops_platform.documents.layout import ROOM, Leaf, pages, subtitle_top
from ops_platform.documents.model import plain
from ops_platform.documents.pptx_charts import add_chart
from ops_platform.documents.pptx_master import (
    COVER,
    COVER_SPLIT,
    EMU,
    FOOT_LEFT,
    FOOT_RIGHT,
    FOOTER_INDEX,
    NUMBER_INDEX,
    PAGE,
    SUBTITLE_INDEX,
    empty_presentation,
    frame_xml,
)
from ops_platform.documents.sealing import sealed
from ops_platform.documents.theme import (
    ACCENT,
    DEEP,
    FOOTER_TOP,
    HEIGHT,
    INK,
    MARGIN,
    PANEL,
    PAPER,
    RULE,
    SMALL_SIZE,
    SOFT,
    TITLE_TOP,
    WIDTH,
)
from ops_platform.documents.typeset import Para, height_of, inked, para

if TYPE_CHECKING:
    from ops_platform.documents.blocks import Placed
    from ops_platform.documents.model import Document

NO_STYLE = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"
"""The table style without lines and fills: ours are on the cells."""
SLACK = 2.0
"""Points a text box is wider than its text was broken for, so that rounding never breaks a line earlier."""
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"


def render(document: Document) -> bytes:
    """The document's pages as PPTX bytes."""
    deck = empty_presentation()
    leaves = pages(document)
    _properties(deck, document, leaves[0].run if leaves else document.kind)
    for number, leaf in enumerate(leaves, start=1):
        slide = deck.slides.add_slide(deck.slide_layouts[COVER if leaf.cover else PAGE])
        if leaf.cover:
            _cover(slide, leaf)
        else:
            _head(slide, leaf, number, document)
        for shape in leaf.shapes:
            _shape(slide, shape)
        if leaf.sources:
            slide.notes_slide.notes_text_frame.text = "Where the numbers come from\n" + "\n".join(leaf.sources)
    out = io.BytesIO()
    deck.save(out)
    return sealed(out.getvalue())


def _properties(deck: Any, document: Document, title: str) -> None:
    made = deck.core_properties
    moment = document.as_of.replace(microsecond=0, tzinfo=None)
    made.title, made.subject = title, inked(plain(document.summary))
    made.author = made.last_modified_by = "Operations platform"
    made.comments = f"evidence {document.evidence}"
    made.keywords, made.category, made.language = document.kind, "", document.language
    made.created = made.modified = made.last_printed = moment
    made.revision = 1


# What every slide has ---------------------------------------------------------------------------------------


def _cover(slide: Any, leaf: Leaf) -> None:
    title, under = slide.shapes.title, slide.placeholders[1]
    tall = height_of((leaf.title,), 800)
    low = height_of((leaf.subtitle,), 800) + 12 if leaf.subtitle else 0.0
    top = COVER_SPLIT - 50 - tall - low
    _fill_placeholder(title, leaf.title, (MARGIN + 8, top, 800, tall))
    if leaf.subtitle:
        _fill_placeholder(under, leaf.subtitle, (MARGIN + 8, top + tall + 12, 800, low))
    else:
        under._element.getparent().remove(under._element)
    if leaf.small:
        small = height_of(leaf.small, 800)
        _text(slide, Text(MARGIN + 8, HEIGHT - 34 - small, 800, small, leaf.small))


def _head(slide: Any, leaf: Leaf, number: int, document: Document) -> None:
    _fill_placeholder(slide.shapes.title, leaf.title, (MARGIN, TITLE_TOP, ROOM, height_of((leaf.title,), ROOM)))
    under = slide.placeholders[SUBTITLE_INDEX]
    if leaf.subtitle:
        box = (MARGIN, subtitle_top(leaf), ROOM, height_of((leaf.subtitle,), ROOM))
        _fill_placeholder(under, leaf.subtitle, box)
    else:
        under._element.getparent().remove(under._element)
    if leaf.small:
        tall = height_of(leaf.small, ROOM)
        _text(slide, Text(MARGIN, FOOTER_TOP - 10 - tall, ROOM, tall, leaf.small))
    look = (
        f"<a:rPr lang='en-US' sz='{round(SMALL_SIZE * 100)}'><a:solidFill><a:srgbClr val='{SOFT}'/></a:solidFill>"
        "<a:latin typeface='+mn-lt'/></a:rPr>"
    )
    _footer(slide, "ftr", FOOTER_INDEX, "Footer", FOOT_LEFT, f"<a:r>{look}<a:t>{_xml(leaf.run)}</a:t></a:r>")
    field = f"<a:fld id='{{C1FF6DA9-008F-8B48-92A6-B652298478BF}}' type='slidenum'>{look}<a:t>{number}</a:t></a:fld>"
    _footer(slide, "sldNum", NUMBER_INDEX, "Slide Number", FOOT_RIGHT, field, "r")
    mark = para(f"evidence {document.evidence[:12]}", SMALL_SIZE - 1, colour=SOFT, align="right")
    _text(slide, Text(WIDTH - MARGIN - 190, FOOTER_TOP + 1, 160, 12, (mark,)), name="Evidence")


def _footer(
    slide: Any, kind: str, index: int, name: str, box: tuple[float, float, float, float], inner: str, align: str = "l"
) -> None:
    """A placeholder of the layout's foot; the library does not bring these onto a slide. It says its place and look
    again: LibreOffice takes neither from the layout."""
    from pptx.oxml import parse_xml

    tree = slide.shapes._spTree
    number = max(int(found) for found in tree.xpath("//@id") if found.isdigit()) + 1
    tree.append(
        parse_xml(
            f"<p:sp xmlns:a='{_A}' xmlns:p='{_P}'><p:nvSpPr><p:cNvPr id='{number}' name='{name}'/>"
            "<p:cNvSpPr><a:spLocks noGrp='1'/></p:cNvSpPr>"
            f"<p:nvPr><p:ph type='{kind}' sz='quarter' idx='{index}'/></p:nvPr></p:nvSpPr>"
            f"<p:spPr>{frame_xml(box)}</p:spPr>"
            "<p:txBody><a:bodyPr lIns='0' tIns='0' rIns='0' bIns='0' anchor='t'><a:noAutofit/></a:bodyPr><a:lstStyle/>"
            f"<a:p><a:pPr algn='{align}'/>{inner}</a:p></p:txBody></p:sp>"
        )
    )


def _xml(text: str) -> str:
    from xml.sax.saxutils import escape

    return escape(text)


def _fill_placeholder(shape: Any, paragraph: Para, box: tuple[float, float, float, float]) -> None:
    _set_box(shape, *box)
    frame = shape.text_frame
    _write(frame.paragraphs[0], paragraph, plain_colour=True)


# Shapes -----------------------------------------------------------------------------------------------------


def _shape(slide: Any, shape: Placed) -> None:
    match shape:
        case Box():
            _box(slide, shape)
        case Text():
            _text(slide, shape)
        case Plot(x, y, w, h, chart):
            add_chart(slide, chart, x, y, w, h, described(chart))
        case Cells(x, y, grid):
            _table(slide, grid, x, y)


def _box(slide: Any, box: Box) -> None:
    from pptx.enum.shapes import MSO_SHAPE

    made = slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, *(_emu(value) for value in (box.x, box.y, box.w, box.h)))
    made.fill.solid()
    _colour(made.fill.fore_color, box.fill)
    made.line.fill.background()
    style = made._element.find(f"{{{_P}}}style")
    if style is not None:  # outlines and shadows of the theme, which some programs draw all the same
        made._element.remove(style)
    # Decoration: nothing to read out.
    made._element.nvSpPr.cNvPr.set("descr", "")


def _text(slide: Any, text: Text, *, name: str = "") -> None:
    from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE

    made = slide.shapes.add_textbox(*(_emu(value) for value in (text.x, text.y, text.w + SLACK, text.h)))
    if name:
        made.name = name
    frame = made.text_frame
    frame.word_wrap, frame.auto_size = True, MSO_AUTO_SIZE.NONE
    frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
    frame.vertical_anchor = MSO_ANCHOR.MIDDLE if text.anchor == "middle" else MSO_ANCHOR.TOP
    for index, paragraph in enumerate(text.paras):
        _write(frame.paragraphs[0] if not index else frame.add_paragraph(), paragraph)


def _table(slide: Any, grid: Grid, x: float, y: float) -> None:
    count = len(grid.widths)
    frame = slide.shapes.add_table(len(grid.rows), count, *(_emu(v) for v in (x, y, grid.width, grid.height)))
    table = frame.table
    properties = table._tbl.tblPr
    properties.find(f"{{{_A}}}tableStyleId").text = NO_STYLE
    properties.attrib.pop("bandRow", None)
    for index, wide in enumerate(grid.widths):
        table.columns[index].width = _emu(wide)
    for number, (row, tall, kind) in enumerate(zip(grid.rows, grid.heights, grid.kinds, strict=True)):
        table.rows[number].height = _emu(tall)
        for index, paragraph in enumerate(row):
            cell = table.cell(number, index)
            cell.margin_left = cell.margin_right = _emu(PAD_X - SLACK / 2)
            cell.margin_top = cell.margin_bottom = _emu(PAD_Y)
            if kind != "group" or index == 0:
                _write(cell.text_frame.paragraphs[0], paragraph)
            _edge(cell, kind, paragraph.size)
        if kind == "group" and count > 1:
            table.cell(number, 0).merge(table.cell(number, count - 1))


def _edge(cell: Any, kind: str, size: float) -> None:
    """The line under a cell, and the ground of a group's heading."""
    from pptx.enum.text import MSO_ANCHOR
    from pptx.oxml import parse_xml

    cell.vertical_anchor = MSO_ANCHOR.BOTTOM if kind == "header" else MSO_ANCHOR.TOP
    if kind == "group":
        cell.fill.solid()
        _colour(cell.fill.fore_color, PANEL)
    else:
        cell.fill.background()
    colour, thick = (INK, 1.0) if kind == "header" else (RULE, 0.5)
    line = parse_xml(
        f"<a:lnB xmlns:a='{_A}' w='{round(thick * EMU)}'><a:solidFill><a:srgbClr val='{colour}'/></a:solidFill></a:lnB>"
    )
    cell._tc.get_or_add_tcPr().insert(0, line)  # lines come before fills in the format's order
    for paragraph in cell.text_frame.paragraphs:
        if not paragraph.runs:
            paragraph.font.size = _points(size)  # an empty cell would otherwise stretch its row


# Text -------------------------------------------------------------------------------------------------------


def _write(target: Any, paragraph: Para, *, plain_colour: bool = False) -> None:
    """A paragraph's runs. `plain_colour` leaves the colour of ordinary words to the layout."""
    from pptx.enum.text import PP_ALIGN

    aligns = {"left": PP_ALIGN.LEFT, "right": PP_ALIGN.RIGHT, "center": PP_ALIGN.CENTER}
    if paragraph.align != "left":
        target.alignment = aligns[paragraph.align]
    if paragraph.after:
        target.space_after = _points(paragraph.after)
    if paragraph.bullet:
        _bullet(target, paragraph)
    for run in paragraph.runs:
        made = target.add_run()
        made.text = run.text
        made.font.size = _points(paragraph.size)
        if run.bold:
            made.font.bold = True
        if run.italic:
            made.font.italic = True
        if not (plain_colour and run.colour in (INK, PAPER)):
            _colour(made.font.color, run.colour)
    if not paragraph.runs:
        target.font.size = _points(paragraph.size)


def _bullet(target: Any, paragraph: Para) -> None:
    from pptx.oxml import parse_xml

    properties = target._p.get_or_add_pPr()
    indent = round(paragraph.indent * EMU)
    properties.set("marL", str(indent))
    properties.set("indent", str(-indent))
    properties.append(parse_xml(f"<a:buClr xmlns:a='{_A}'><a:srgbClr val='{ACCENT}'/></a:buClr>"))
    properties.append(parse_xml(f"<a:buFont xmlns:a='{_A}' typeface='Arial'/>"))
    properties.append(parse_xml(f"<a:buChar xmlns:a='{_A}' char='•'/>"))


def _colour(target: Any, colour: str) -> None:
    """A colour of the theme where it is one."""
    from pptx.dml.color import RGBColor
    from pptx.enum.dml import MSO_THEME_COLOR

    slots = {
        INK: MSO_THEME_COLOR.TEXT_1,
        PAPER: MSO_THEME_COLOR.BACKGROUND_1,
        DEEP: MSO_THEME_COLOR.TEXT_2,
        PANEL: MSO_THEME_COLOR.BACKGROUND_2,
        ACCENT: MSO_THEME_COLOR.ACCENT_1,
    }
    if colour in slots:
        target.theme_color = slots[colour]
    else:
        target.rgb = RGBColor.from_string(colour)


def _set_box(shape: Any, x: float, y: float, w: float, h: float) -> None:
    shape.left, shape.top, shape.width, shape.height = (_emu(value) for value in (x, y, w + SLACK, h))


def _emu(points: float) -> int:
    return round(points * EMU)


def _points(size: float) -> int:
    """A size in the format's unit, to a tenth of a point."""
    return round(size * 10) * EMU // 10

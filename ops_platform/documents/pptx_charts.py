"""Charts as the office program's own: a person can click on one, edit its data and restyle it.

Belongs here: a `Chart` as a native chart with its workbook. Does not belong here: where it stands (`documents.layout`),
its message and small print, which are text beside it.

A native waterfall needs an extension that only one program draws; ours is stacked columns on an invisible base, as
those who draw them by hand make it, and every program shows it. Its labels are text: they say the change, not the
height of a column.
"""

from __future__ import annotations

import io
from collections.abc import Set
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.documents.charts import Numbers, Scale, scale, waterfall
from ops_platform.documents.plot import LABELLED, ends_told, frame_share, known, named_every, series_colours
from ops_platform.documents.theme import CHART_SIZE, FALL, INK, LEVEL, RISE, RULE, SERIES, SOFT
from ops_platform.documents.typeset import inked

if TYPE_CHECKING:
    from ops_platform.documents.model import Chart

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of numbers as the office chart has it. `colour` "" is invisible."""

    label: str
    values: tuple[Decimal | None, ...]
    colour: str
    code: str


def add_chart(slide: Any, chart: Chart, x: float, y: float, w: float, h: float, described: str) -> None:
    """Puts the chart on the slide; `described` is what is read out in its place."""
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Pt

    kinds = {
        "line": XL_CHART_TYPE.LINE_MARKERS,
        "column": XL_CHART_TYPE.COLUMN_CLUSTERED,
        "bar": XL_CHART_TYPE.BAR_CLUSTERED,
        "stacked": XL_CHART_TYPE.COLUMN_STACKED,
        "waterfall": XL_CHART_TYPE.COLUMN_STACKED,
    }
    code = Numbers.of(chart).code()
    rows = _waterfall_rows(chart) if chart.kind == "waterfall" else _rows(chart, code)
    data = CategoryChartData(number_format=code)
    data.categories = [inked(name) for name in chart.categories]
    for row in rows:
        data.add_series(row.label, [None if value is None else float(value) for value in row.values], row.code)
    frame = slide.shapes.add_chart(kinds[chart.kind], Pt(x), Pt(y), Pt(w), Pt(h), data)
    frame._element.nvGraphicFramePr.cNvPr.set("descr", inked(described))
    native = frame.chart
    native.part.chart_workbook.update_from_xlsx_blob(_workbook([inked(name) for name in chart.categories], rows))
    share = frame_share(chart, w, h)
    _dress(native, chart, rows, tall=share[3] * h)
    if chart.kind != "bar":
        _place_plot(native, share)
        _name_every(native, named_every(chart, share[2] * w / len(chart.categories)))


def _rows(chart: Chart, code: str) -> list[_Row]:
    paint = series_colours(chart)
    return [_Row(inked(s.label), s.values, colour, code) for s, colour in zip(chart.series, paint, strict=True)]


def _waterfall_rows(chart: Chart) -> list[_Row]:
    """An invisible base, then levels, rises and falls on it; a bar that crosses nought has a part on either side."""
    numbers = Numbers.of(chart)
    zero = Decimal(0)
    bars = waterfall(chart)
    parts: dict[str, list[Decimal | None]] = {}

    def put(name: str, index: int, value: Decimal) -> None:
        if value:
            parts.setdefault(name, [None] * len(bars))[index] = value

    parts["Base"] = [None] * len(bars)
    for index, bar in enumerate(bars):
        if bar is None:
            continue
        low, high = min(bar.start, bar.end), max(bar.start, bar.end)
        put("Base", index, low if low > 0 else min(high, zero))
        name = "Level" if bar.level else "Rise" if bar.value > 0 else "Fall"
        above, below = max(high, zero) - max(low, zero), min(low, zero) - min(high, zero)
        put(name, index, above or below)
        if above and below:
            put(f"{name} below nought", index, below)
    colours = {"Base": "", "Room": "", "Level": LEVEL, "Rise": RISE, "Fall": FALL}
    codes = {"Rise": numbers.code("+"), "Fall": numbers.code("−")}
    order = (
        "Base",
        "Level",
        "Rise",
        "Fall",
        "Level below nought",
        "Rise below nought",
        "Fall below nought",
        "Room for labels",
    )
    parts["Room for labels"] = [None if bar is None else scale(chart).step / 2 for bar in bars]
    return [
        _Row(name, tuple(parts[name]), colours[name.split(" ")[0]], codes.get(name.split(" ")[0], numbers.code()))
        for name in order
        if name in parts
    ]


def _workbook(categories: list[str], rows: list[_Row]) -> bytes:
    """The chart's data as a person finds it under "edit data": no text of it is ever a formula."""
    import xlsxwriter

    out = io.BytesIO()
    plain = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(out, plain)
    sheet = book.add_worksheet("Sheet1")
    quoted = book.add_format({"quote_prefix": True})
    bold = book.add_format({"bold": True, "quote_prefix": True})
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, len(rows), 16)
    for index, name in enumerate(categories, start=1):
        sheet.write_string(index, 0, name, quoted)
    for column, row in enumerate(rows, start=1):
        shape = book.add_format({"num_format": row.code})
        sheet.write_string(0, column, row.label, bold)
        for index, value in enumerate(row.values, start=1):
            if value is not None:
                sheet.write_number(index, column, float(value), shape)
    book.close()
    return out.getvalue()


# Looks ------------------------------------------------------------------------------------------------------


def _dress(native: Any, chart: Chart, rows: list[_Row], tall: float) -> None:
    from pptx.enum.chart import XL_LEGEND_POSITION, XL_TICK_LABEL_POSITION, XL_TICK_MARK
    from pptx.oxml import parse_xml
    from pptx.util import Pt

    corners = parse_xml(f'<c:roundedCorners xmlns:c="{_C[1:-1]}" val="0"/>')
    native._chartSpace.insert(1, corners)  # without it some programs round the frame
    native.has_title = False
    native.font.size = Pt(CHART_SIZE)
    native.font.color.rgb = _rgb(SOFT)
    native.has_legend = len(chart.series) > 1
    if native.has_legend:
        native.legend.position = XL_LEGEND_POSITION.TOP
        native.legend.include_in_layout = False
    axis = scale(chart)
    numbers = Numbers.of(chart)
    value = native.value_axis
    low, high = _reach(chart, axis)
    value.minimum_scale, value.maximum_scale, value.major_unit = float(low), float(high), float(axis.step)
    value.tick_labels.number_format, value.tick_labels.number_format_is_linked = numbers.axis(axis.step).code(), False
    value.major_tick_mark = value.minor_tick_mark = XL_TICK_MARK.NONE
    value.format.line.fill.background()
    value.has_major_gridlines = chart.kind != "bar"
    if value.has_major_gridlines:
        value.major_gridlines.format.line.color.rgb = _rgb(RULE)
        value.major_gridlines.format.line.width = Pt(0.5)
    else:
        value.visible = False
    if not known(chart):  # an axis would show numbers where there are none
        value.visible = value.has_major_gridlines = False
    names = native.category_axis
    names.major_tick_mark = names.minor_tick_mark = XL_TICK_MARK.NONE
    names.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    names.format.line.color.rgb = _rgb(SOFT)
    names.format.line.width = Pt(0.75)
    names.has_major_gridlines = False
    if chart.kind == "bar":
        names.reverse_order = True
    if chart.kind == "line":
        _dress_lines(native, chart, ends_told(chart, tall))
        return
    plot = native.plots[0]
    single = len(chart.series) == 1
    plot.gap_width = 55 if single or chart.kind == "stacked" else 40
    plot.overlap = 100 if chart.kind in ("stacked", "waterfall") else 0
    for made, row in zip(plot.series, rows, strict=True):
        made.invert_if_negative = False
        if row.colour:
            made.format.fill.solid()
            _paint(made.format.fill, row.colour)
        else:
            made.format.fill.background()
            made.format.line.fill.background()
    if chart.kind == "waterfall":
        _label_steps(native, chart, rows)
    elif chart.kind != "stacked":
        _label_bars(native, chart)


def _reach(chart: Chart, axis: Scale) -> tuple[Decimal, Decimal]:
    """The axis from where to where: that of the page, and room for labels where they would otherwise be cut off."""
    if chart.kind == "bar":
        margin = (axis.high - axis.low) / 8
        return axis.low - margin if axis.low < 0 else axis.low, axis.high + margin
    if chart.kind == "waterfall":
        top = max((max(bar.start, bar.end) for bar in waterfall(chart) if bar is not None), default=axis.high)
        return axis.low, axis.high + (axis.step if top + axis.step / 2 > axis.high else 0)
    return axis.low, axis.high


def _dress_lines(native: Any, chart: Chart, told: Set[int]) -> None:
    """`told` are the lines whose last number has room beside it."""
    from pptx.enum.chart import XL_LABEL_POSITION, XL_MARKER_STYLE
    from pptx.enum.dml import MSO_LINE
    from pptx.util import Pt

    paint = series_colours(chart)
    for number, (made, series) in enumerate(zip(native.plots[0].series, chart.series, strict=True)):
        main, colour = series.role == "main", paint[number]
        made.smooth = False
        made.format.line.width = Pt(2.5 if main else 1.75)
        _paint(made.format.line, colour)
        if series.role == "plan":
            made.format.line.dash_style = MSO_LINE.DASH
        made.marker.style = XL_MARKER_STYLE.NONE
        known = [index for index, value in enumerate(series.values) if value is not None]
        alone = [i for i in known if i - 1 not in known and i + 1 not in known]
        for index in alone:  # a value between gaps has no line to be seen by
            _dot(made, index, colour, 4)
        if not known or known[-1] < len(series.values) - 2 or not (main or len(chart.series) <= 2):
            continue
        _dot(made, known[-1], colour, 6)
        if number not in told and known[-1] == len(series.values) - 1:
            continue
        label = made.points[known[-1]].data_label
        label.position = XL_LABEL_POSITION.RIGHT
        label.font.size, label.font.bold = Pt(CHART_SIZE), main
        label.font.color.rgb = _rgb(colour if series.role != "before" else SOFT)


def _dot(series: Any, index: int, colour: str, size: int) -> None:
    """A mark on one point. Its piece of the line is given the line's look again: a point with a format of its own does
    not take it from the series in every program."""
    from pptx.enum.chart import XL_MARKER_STYLE

    point = series.points[index]
    point.format.line.width = series.format.line.width
    _paint(point.format.line, colour)
    if series.format.line.dash_style is not None:
        point.format.line.dash_style = series.format.line.dash_style
    point.marker.style, point.marker.size = XL_MARKER_STYLE.CIRCLE, size
    point.marker.format.fill.solid()
    _paint(point.marker.format.fill, colour)
    point.marker.format.line.fill.background()


def _label_bars(native: Any, chart: Chart) -> None:
    """Numbers at the ends of bars, while there are few enough to read."""
    from pptx.enum.chart import XL_LABEL_POSITION
    from pptx.util import Pt

    if chart.kind == "column" and len(chart.categories) * len(chart.series) > LABELLED:
        return
    for made in native.plots[0].series:
        labels = made.data_labels
        labels.show_value = True
        labels.position = XL_LABEL_POSITION.OUTSIDE_END
        labels.font.size = Pt(CHART_SIZE - 1)
        labels.font.color.rgb = _rgb(INK)


def _label_steps(native: Any, chart: Chart, rows: list[_Row]) -> None:
    """The change over each bar: an invisible series on top of it carries the words, since a stacked column cannot have
    a label outside."""
    from pptx.enum.chart import XL_LABEL_POSITION
    from pptx.util import Pt

    numbers = Numbers.of(chart)
    room = next(made for row, made in zip(rows, native.plots[0].series, strict=True) if row.label.startswith("Room"))
    for index, bar in enumerate(waterfall(chart)):
        if bar is None:
            continue
        label = room.points[index].data_label
        label.position = XL_LABEL_POSITION.INSIDE_BASE
        run = label.text_frame.paragraphs[0].add_run()
        run.text = numbers.text(bar.value, signed=not bar.level)
        run.font.size, run.font.bold = Pt(CHART_SIZE), bar.level
        run.font.color.rgb = _rgb(INK)


def _name_every(native: Any, every: int) -> None:
    """Level names; every so many of them where not all have room."""
    from pptx.oxml import parse_xml
    from pptx.util import Pt

    axis = native.category_axis
    if every > 1:
        skip = parse_xml(f'<c:tickLblSkip xmlns:c="{_C[1:-1]}" val="{every}"/>')
        axis._element.find(f"{_C}noMultiLvlLbl").addprevious(skip)  # after it in the schema stands nothing else
        return
    # Left to itself, a program may turn them.
    axis.tick_labels.font.size = Pt(CHART_SIZE)
    axis.tick_labels.font.color.rgb = _rgb(SOFT)
    body = axis._element.find(f"{_C}txPr/{_A}bodyPr")
    body.set("rot", "0")
    body.set("vert", "horz")


def _place_plot(native: Any, share: tuple[float, float, float, float]) -> None:
    """The plot's inner area where the PDF has it, so that labels beside it have room."""
    from pptx.oxml import parse_xml

    area = native._chartSpace.chart.plotArea
    for old in area.findall(f"{_C}layout"):
        area.remove(old)
    names = ("x", "y", "w", "h")
    values = "".join(f'<c:{name} val="{value:.4f}"/>' for name, value in zip(names, share, strict=True))
    layout = (
        f'<c:layout xmlns:c="{_C[1:-1]}"><c:manualLayout><c:layoutTarget val="inner"/><c:xMode val="edge"/>'
        f'<c:yMode val="edge"/>{values}</c:manualLayout></c:layout>'
    )
    area.insert(0, parse_xml(layout))


def _paint(target: Any, colour: str) -> None:
    """A colour of the theme where it is one, so that another theme recolours the deck. `target` is a fill or a line."""
    from pptx.enum.dml import MSO_THEME_COLOR

    accents = (
        MSO_THEME_COLOR.ACCENT_1, MSO_THEME_COLOR.ACCENT_2, MSO_THEME_COLOR.ACCENT_3,
        MSO_THEME_COLOR.ACCENT_4, MSO_THEME_COLOR.ACCENT_5, MSO_THEME_COLOR.ACCENT_6,
    )  # fmt: skip
    slot = target.color if hasattr(target, "color") else target.fore_color
    if colour in SERIES[:6]:
        slot.theme_color = accents[SERIES.index(colour)]
    else:
        slot.rgb = _rgb(colour)


def _rgb(colour: str) -> Any:
    from pptx.dml.color import RGBColor

    return RGBColor.from_string(colour)

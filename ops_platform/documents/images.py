"""Pictures of charts and pages as PNG: for Slack, e-mail and the eye.

Belongs here: a chart as a picture, pages as pictures. Does not belong here: how a chart is drawn (`documents.plot`);
sending a picture (`resources.slack_posting`, `documents.email`).

The picture is made from the PDF's own vectors, so a chart looks the same wherever it is met.
"""

from __future__ import annotations

import io
import re
import threading
from typing import TYPE_CHECKING

from ops_platform.documents.blocks import sized
from ops_platform.documents.model import Chart, plain

if TYPE_CHECKING:
    from ops_platform.documents.model import Document

_one_at_a_time = threading.Lock()  # the library that draws is not made for several threads
CHART_WIDTH, CHART_HEIGHT, EDGE = 640.0, 320.0, 16.0


def chart_png(chart: Chart, *, pixels: int = 1280) -> bytes:
    """The chart with its message and small print, `pixels` wide and half as high, on white."""
    from reportlab.pdfgen.canvas import Canvas

    from ops_platform.documents.ink import Ink
    from ops_platform.documents.pdf import draw_shape

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(CHART_WIDTH, CHART_HEIGHT), invariant=1)
    ink = Ink(canvas, CHART_HEIGHT)
    for shape in sized(chart, CHART_WIDTH - 2 * EDGE, 1.0).place(EDGE, EDGE, CHART_HEIGHT - 2 * EDGE):
        draw_shape(ink, shape)
    canvas.showPage()
    canvas.save()
    return pdf_pngs(out.getvalue(), pixels=pixels)[0]


def charts_of(document: Document) -> tuple[tuple[str, Chart], ...]:
    """The document's charts in order, each with a name for its file: `chart-03-net-sales-by-month.png`."""
    charts = [block for block in document.blocks if isinstance(block, Chart)]
    return tuple((_name(number, chart), chart) for number, chart in enumerate(charts, start=1))


def _name(number: int, chart: Chart) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", plain(chart.message).lower()).strip("-")[:48].rstrip("-")
    return f"chart-{number:02d}-{words or chart.kind}.png"


def page_pngs(document: Document, *, pixels: int = 1600) -> list[bytes]:
    """The document's pages as pictures, `pixels` wide."""
    from ops_platform.documents.pdf import render

    return pdf_pngs(render(document), pixels=pixels)


def pdf_pngs(pdf: bytes, *, pixels: int) -> list[bytes]:
    """Each page of a PDF as a PNG, `pixels` wide."""
    import pypdfium2

    made = []
    with _one_at_a_time, pypdfium2.PdfDocument(pdf) as read:
        for page in read:
            bitmap = page.render(scale=pixels / page.get_width())
            out = io.BytesIO()
            bitmap.to_pil().save(out, "PNG", optimize=True)
            made.append(out.getvalue())
    return made

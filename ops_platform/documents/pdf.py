"""A document as a PDF: the pages of the deck, for reading and printing.

Belongs here: drawing placed shapes, the cover, what stands at the foot of each page, the outline. Does not belong here:
what stands where (`documents.layout`), charts (`documents.plot`).

The same document gives the same bytes: no clock, no random id; the faces are our own and embedded.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ops_platform.documents.blocks import Box, Cells, Plot, Text
from ops_platform.documents.grids import PAD_X, PAD_Y, Grid
from ops_platform.documents.ink import Ink
from ops_platform.documents.layout import ROOM, Leaf, pages, subtitle_top
from ops_platform.documents.model import plain
from ops_platform.documents.plot import draw
from ops_platform.documents.theme import (
    ACCENT,
    DEEP,
    FOOTER_TOP,
    HEIGHT,
    INK,
    MARGIN,
    PANEL,
    RULE,
    SMALL_SIZE,
    SOFT,
    TITLE_TOP,
    WIDTH,
)
from ops_platform.documents.typeset import height_of, inked

if TYPE_CHECKING:
    from ops_platform.documents.blocks import Placed
    from ops_platform.documents.model import Document

COVER_SPLIT = 300.0


def render(document: Document) -> bytes:
    """The document's pages as PDF bytes."""
    from reportlab.pdfgen.canvas import Canvas

    leaves = pages(document)
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(WIDTH, HEIGHT), invariant=1, pageCompression=1)
    canvas.setTitle(leaves[0].run if leaves else document.kind)
    canvas.setSubject(inked(plain(document.summary)))
    canvas.setAuthor("Operations platform")
    canvas.setCreator(f"evidence {document.evidence}")
    canvas.setLang(document.language) if hasattr(canvas, "setLang") else None
    for number, leaf in enumerate(leaves, start=1):
        canvas.bookmarkPage(f"page{number}")
        canvas.addOutlineEntry(leaf.title.text, f"page{number}", 0)
        draw_leaf(Ink(canvas, HEIGHT), leaf, number, document)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def draw_leaf(ink: Ink, leaf: Leaf, number: int, document: Document) -> None:
    """One page."""
    if leaf.cover:
        _cover(ink, leaf)
    else:
        ink.box(0, 0, WIDTH, 5, DEEP)
        ink.paragraphs(MARGIN, TITLE_TOP, ROOM, (leaf.title,))
        if leaf.subtitle:
            ink.paragraphs(MARGIN, subtitle_top(leaf), ROOM, (leaf.subtitle,))
        if leaf.small:
            ink.paragraphs(MARGIN, FOOTER_TOP - 10 - height_of(leaf.small, ROOM), ROOM, leaf.small)
        ink.line(MARGIN, FOOTER_TOP - 4, WIDTH - MARGIN, FOOTER_TOP - 4, RULE, 0.6)
        ink.text(MARGIN, FOOTER_TOP + 2, leaf.run, SMALL_SIZE, SOFT)
        ink.text(WIDTH - MARGIN, FOOTER_TOP + 2, str(number), SMALL_SIZE, SOFT, align="right")
        ink.text(
            WIDTH - MARGIN - 30,
            FOOTER_TOP + 2,
            f"evidence {document.evidence[:12]}",
            SMALL_SIZE - 1,
            SOFT,
            align="right",
        )
    for shape in leaf.shapes:
        draw_shape(ink, shape)


def _cover(ink: Ink, leaf: Leaf) -> None:
    ink.box(0, 0, WIDTH, COVER_SPLIT, DEEP)
    ink.box(MARGIN + 8, COVER_SPLIT - 6, 96, 6, ACCENT)
    tall = height_of((leaf.title,), 800)
    under = height_of((leaf.subtitle,), 800) + 12 if leaf.subtitle else 0
    top = COVER_SPLIT - 50 - tall - under
    ink.paragraphs(MARGIN + 8, top, 800, (leaf.title,))
    if leaf.subtitle:
        ink.paragraphs(MARGIN + 8, top + tall + 12, 800, (leaf.subtitle,))
    if leaf.small:
        ink.paragraphs(MARGIN + 8, HEIGHT - 34 - height_of(leaf.small, 800), 800, leaf.small)


def draw_shape(ink: Ink, shape: Placed) -> None:
    """A placed shape."""
    match shape:
        case Box(x, y, w, h, fill):
            ink.box(x, y, w, h, fill)
        case Text(x, y, w, h, paras, anchor):
            top = y if anchor == "top" else y + (h - height_of(paras, w)) / 2
            ink.paragraphs(x, top, w, paras)
        case Plot(x, y, w, h, chart):
            draw(ink, chart, x, y, w, h)
        case Cells(x, y, grid):
            _cells(ink, grid, x, y)


def _cells(ink: Ink, grid: Grid, x: float, y: float) -> None:
    for row, tall, kind in zip(grid.rows, grid.heights, grid.kinds, strict=True):
        if kind == "group":
            ink.box(x, y, grid.width, tall, PANEL)
            ink.paragraphs(x + PAD_X, y + PAD_Y, grid.width - 2 * PAD_X, row[:1])
        else:
            left = x
            for cell, wide in zip(row, grid.widths, strict=True):
                low = max(tall - 2 * PAD_Y - height_of((cell,), wide - 2 * PAD_X), 0) if kind == "header" else 0
                ink.paragraphs(left + PAD_X, y + PAD_Y + low, wide - 2 * PAD_X, (cell,))
                left += wide
        y += tall
        ink.line(x, y, x + grid.width, y, INK if kind == "header" else RULE, 0.9 if kind == "header" else 0.5)

"""Drawing on a PDF page from its top left corner: rectangles, lines, circles and text in the page's faces.

Belongs here: the few strokes that pages and charts are made of. Does not belong here: what is drawn (`documents.pdf`,
`documents.plot`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ops_platform.documents.theme import FACES, FONTS, INK, LEADING
from ops_platform.documents.typeset import (
    Align,
    Para,
    Run,
    embeddable,
    face_of,
    lines,
    wide,
    width,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ASCENT = 0.94
"""From the top of a line to its baseline, over the size of the letters."""
EAST_ASIAN = "STSong-Light"
"""A face of the PDF standard that readers bring along; what uses it is not embedded."""


@functools.cache
def _faces() -> dict[str, str]:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.ttfonts import TTFont

    names = {face: f"Arimo-{face}" for face in FACES}
    for face, name in names.items():
        pdfmetrics.registerFont(TTFont(name, str(FONTS / FACES[face])))
    pdfmetrics.registerFont(UnicodeCIDFont(EAST_ASIAN))
    return names


@dataclass(frozen=True)
class Ink:
    """A reportlab canvas `tall` points high, measured from its top. Colours are RRGGBB."""

    canvas: Any
    tall: float

    def box(self, x: float, y: float, w: float, h: float, fill: str) -> None:
        self.canvas.setFillColor(_colour(fill))
        self.canvas.rect(x, self.tall - y - h, w, h, stroke=0, fill=1)

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str, thick: float = 0.6, *, dashed: bool = False
    ) -> None:
        self.path([(x1, y1), (x2, y2)], colour, thick, dashed=dashed)

    def path(self, points: Sequence[tuple[float, float]], colour: str, thick: float, *, dashed: bool = False) -> None:
        self.canvas.setStrokeColor(_colour(colour))
        self.canvas.setLineWidth(thick)
        self.canvas.setLineJoin(1)
        self.canvas.setLineCap(0 if dashed else 1)
        self.canvas.setDash([4, 3] if dashed else [])
        path = self.canvas.beginPath()
        path.moveTo(points[0][0], self.tall - points[0][1])
        for x, y in points[1:]:
            path.lineTo(x, self.tall - y)
        self.canvas.drawPath(path, stroke=1, fill=0)

    def circle(self, x: float, y: float, radius: float, fill: str) -> None:
        self.canvas.setFillColor(_colour(fill))
        self.canvas.circle(x, self.tall - y, radius, stroke=0, fill=1)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: str = INK,
        *,
        bold: bool = False,
        align: Align = "left",
    ) -> None:
        """One line whose top is at `y`; `x` is its left, right or middle."""
        run = Run(text, bold, False, colour)
        self._runs(x - _shift(width(embeddable(text), size, face_of(run)), align), y + ASCENT * size, (run,), size)

    def upright(self, x: float, y: float, text: str, size: float, colour: str) -> None:
        """One line that runs upward from (x, y), its middle on `x`."""
        self.canvas.saveState()
        self.canvas.translate(x, self.tall - y)
        self.canvas.rotate(90)
        self.canvas.setFillColor(_colour(colour))
        self.canvas.setFont(_faces()["regular"], size)
        self.canvas.drawString(0, -size * 0.35, embeddable(text))
        self.canvas.restoreState()

    def paragraphs(self, x: float, y: float, room: float, paras: Sequence[Para]) -> float:
        """Paragraphs from `y` downward in `room` points; returns where they end."""
        for paragraph in paras:
            if paragraph.bullet:
                self.circle(x + paragraph.size * 0.28, y + paragraph.size * 0.62, paragraph.size * 0.14, "0F5CA8")
            for line in lines(paragraph, room):
                size = sum(width(embeddable(run.text), paragraph.size, face_of(run)) for run in line)
                left = {"left": x + paragraph.indent, "right": x + room - size, "center": x + (room - size) / 2}[
                    paragraph.align
                ]
                self._runs(left, y + ASCENT * paragraph.size, line, paragraph.size)
                y += paragraph.size * LEADING
            y += paragraph.after
        return y

    def _runs(self, x: float, baseline: float, runs: Sequence[Run], size: float) -> None:
        faces = _faces()
        for run in runs:
            self.canvas.setFillColor(_colour(run.colour))
            for east, letters in groupby(embeddable(run.text), key=wide):
                piece = "".join(letters)
                self.canvas.setFont(EAST_ASIAN if east else faces[face_of(run)], size)
                self.canvas.drawString(x, self.tall - baseline, piece)
                x += width(piece, size, face_of(run))


def _shift(size: float, align: Align) -> float:
    return {"left": 0.0, "right": size, "center": size / 2}[align]


@functools.cache
def _colour(rgb: str) -> Any:
    from reportlab.lib.colors import HexColor

    return HexColor(f"#{rgb}")

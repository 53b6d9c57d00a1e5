"""Tables on a page: the widths of their columns, the heights of their rows, how they go on to a next page.

Belongs here: measuring a `Table`. Does not belong here: drawing it (`documents.pdf`, `documents.pptx`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ops_platform.documents.model import Claim, Table, Verdict, plain
from ops_platform.documents.theme import INK, SOFT, TABLE_SIZE
from ops_platform.documents.typeset import Align, Para, height, natural_width, para, widest_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops_platform.documents.model import RichText

PAD_X, PAD_Y = 8.0, 4.2
STRETCH = 1.7
NAMED = 0.25  # of the page's width, at most, for the first column of a table whose cells are broken
NEARLY = 0.9  # of the page's width: a table that comes so near its edge goes to it
RowKind = Literal["header", "group", "row"]


@dataclass(frozen=True, slots=True)
class Grid:
    """A measured table: one width a column, one height a row, the cells as paragraphs; the first row is its
    header. It is `tight` where cells had to be broken."""

    widths: tuple[float, ...]
    heights: tuple[float, ...]
    rows: tuple[tuple[Para, ...], ...]
    kinds: tuple[RowKind, ...]
    tight: bool = False

    @property
    def width(self) -> float:
        return sum(self.widths)

    @property
    def height(self) -> float:
        return sum(self.heights)

    def divided(self, room: float) -> tuple[Grid, Grid] | None:
        """The table in two, each with the header, the first at most `room` tall. A group's heading is not left last."""
        used, count = self.heights[0], 1
        while count < len(self.rows) and used + self.heights[count] <= room:
            used += self.heights[count]
            count += 1
        while count > 1 and self.kinds[count - 1] == "group":
            count -= 1
        if count <= 1 or count >= len(self.rows):
            return None
        first = replace(self, heights=self.heights[:count], rows=self.rows[:count], kinds=self.kinds[:count])
        rest = replace(
            self,
            heights=(self.heights[0], *self.heights[count:]),
            rows=(self.rows[0], *self.rows[count:]),
            kinds=(self.kinds[0], *self.kinds[count:]),
        )
        return first, rest


def measured_grid(table: Table, room: float, scale: float) -> Grid:
    """The table in at most `room` points, as wide as it reads well."""
    count = max(len(table.header), max((len(row) for row in table.rows), default=0), 1)
    size = TABLE_SIZE * scale
    aligns = [column_align(table.rows, index) for index in range(count)]
    rows: list[tuple[Para, ...]] = []
    kinds: list[RowKind] = []
    header = [*table.header, *[""] * (count - len(table.header))]
    rows.append(tuple(para(cell, size, bold=True, colour=SOFT, align=aligns[i]) for i, cell in enumerate(header)))
    kinds.append("header")
    for row in table.rows:
        group = count > 1 and not any(plain(cell).strip() for cell in row[1:])
        cells = [*row, *[()] * (count - len(row))]
        rows.append(tuple(para(c, size, bold=group, colour=INK, align=aligns[i]) for i, c in enumerate(cells)))
        kinds.append("group" if group else "row")
    widths, tight = _widths(rows, kinds, count, room)
    heights = tuple(_height(row, kind, widths) for row, kind in zip(rows, kinds, strict=True))
    return Grid(widths, heights, tuple(rows), tuple(kinds), tight)


def column_align(rows: Sequence[tuple[RichText, ...]], index: int) -> Align:
    """Figures to the right, signs in the middle, words and verdicts to the left; the first column is words. A dash for
    what is not there stands as the others of its column do."""
    if index == 0:
        return "left"
    cells = [row[index] for row in rows if index < len(row) and plain(row[index]).strip()]
    if cells and all(len(cell) == 1 and isinstance(cell[0], Verdict) for cell in cells):
        return "center"
    cells = [cell for cell in cells if any(char.isalnum() for char in plain(cell))] or cells
    figures = [cell for cell in cells if _figure(cell)]
    words = [cell for cell in cells if len(plain(cell)) > 24]
    return "right" if cells and len(figures) * 2 >= len(cells) >= len(words) * 2 else "left"


def _figure(cell: RichText) -> bool:
    """A number, or the dash that stands for one that is not there."""
    return any(isinstance(span, Claim) for span in cell) or not any(char.isalpha() for char in plain(cell))


def _widths(
    rows: list[tuple[Para, ...]], kinds: list[RowKind], count: int, room: float
) -> tuple[tuple[float, ...], bool]:
    held = [row for row, kind in zip(rows, kinds, strict=True) if kind != "group"]
    pad = 2 * PAD_X + 0.5
    natural = [max(natural_width(row[i]) for row in held) + pad for i in range(count)]
    least = [max(widest_word(row[i]) for row in held) + pad for i in range(count)]
    total = sum(natural)
    if total <= room:
        # Room to breathe, but a figure stays near the words it belongs to.
        wide = total * STRETCH if total * STRETCH < room * NEARLY else room
        return tuple(size + (wide - total) / count for size in natural), False
    if sum(least) >= room:
        return _shared(least, room), True
    # What a row is about stays on one line where there is room for it.
    named = max(least[0], min(natural[0], room * NAMED))
    if named + sum(least[1:]) < room:
        least[0] = named
    # Columns that ask for more than their words share what is left by how much more they ask for.
    spare = room - sum(least)
    asked = sum(n - low for n, low in zip(natural, least, strict=True))
    return tuple(low + spare * (n - low) / asked for n, low in zip(natural, least, strict=True)), True


def _shared(wanted: list[float], room: float) -> tuple[float, ...]:
    """Room for columns that want more than there is: who wants less than an equal share gets it whole, so that one
    endless word does not starve the others."""
    given = [0.0] * len(wanted)
    left = room
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for done, index in enumerate(order):
        given[index] = min(wanted[index], left / (len(order) - done))
        left -= given[index]
    return tuple(given)


def _height(row: tuple[Para, ...], kind: RowKind, widths: tuple[float, ...]) -> float:
    if kind == "group":
        return height(row[0], sum(widths) - 2 * PAD_X) + 2 * PAD_Y
    return max(height(cell, width - 2 * PAD_X) for cell, width in zip(row, widths, strict=True)) + 2 * PAD_Y

"""One block on a page: how tall it is in a given width, which shapes it becomes, how it is divided between two pages.

Belongs here: shapes, and the look of each kind of block. Does not belong here: which blocks stand beside each other
(`documents.layout`), the columns of a table (`documents.grids`), what a shape is in a file (`documents.pdf`,
`documents.pptx`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ops_platform.documents.charts import axis_note, notes, unit_words
from ops_platform.documents.grids import Grid, measured_grid
from ops_platform.documents.model import (
    Bullets,
    Chart,
    Claim,
    Heading,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quote,
    Quoted,
    ScoreBar,
    StatusLine,
    StatusLines,
    Table,
    Verdict,
    Words,
    joined,
    rich,
    shown,
)
from ops_platform.documents.theme import (
    ACCENT,
    BODY_SIZE,
    CARD_LABEL_SIZE,
    CARD_NOTE_SIZE,
    CARD_VALUE_SIZE,
    CHART_TITLE_SIZE,
    DEEP,
    HEADING_SIZE,
    INK,
    LEADING,
    PANEL,
    RULE,
    SMALL_SIZE,
    SOFT,
    WARN,
)
from ops_platform.documents.typeset import Para, divided, height_of, natural_width, para

if TYPE_CHECKING:
    from decimal import Decimal

    from ops_platform.documents.model import Block, RichText

CARDS_IN_A_ROW = 6
CARD_GAP = 12.0
CARD_PAD = 12.0
LEAST_CHART = 170.0
WIDEST_SCORE = 560.0
SMALLEST_FIGURE = 10.5


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    w: float
    h: float
    fill: str


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs in a box, from its top or from its middle."""

    x: float
    y: float
    w: float
    h: float
    paras: tuple[Para, ...]
    anchor: Literal["top", "middle"] = "top"


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart's drawing, without its message and small print."""

    x: float
    y: float
    w: float
    h: float
    chart: Chart


@dataclass(frozen=True, slots=True)
class Cells:
    """A table with its top left corner."""

    x: float
    y: float
    grid: Grid


Placed = Box | Text | Plot | Cells
Place = Callable[[float, float, float], list[Placed]]


@dataclass(frozen=True, slots=True)
class Sized:
    """A block in a width: its (least) height, the shapes it becomes at (x, y, height), and whether it grows
    (`elastic`), belongs to what follows it (`leads`) or had to break cells (`tight`). `split` divides it so that the
    first part fits into a height."""

    height: float
    place: Place
    elastic: bool = False
    leads: bool = False
    tight: bool = False
    split: Callable[[float], tuple[Sized, Sized] | None] | None = None

    def divided(self, room: float) -> tuple[Sized, Sized] | None:
        return self.split(room) if self.split else None


def sized(block: Block, width: float, scale: float) -> Sized:
    """The block in `width` points with type `scale` times its size."""
    match block:
        case Heading(text, _):
            lead = para(text, HEADING_SIZE * scale, bold=True, colour=ACCENT, after=5 * scale)
            return _texts((lead,), width, leads=True)
        case Paragraph(text):
            return _texts((para(text, BODY_SIZE * scale, after=9 * scale),), width)
        case Bullets(items):
            return _texts([para(item, BODY_SIZE * scale, after=7 * scale, bullet=True) for item in items], width)
        case StatusLines(lines):
            return _texts([_status(line, scale) for line in lines], width)
        case Quote(text, by):
            return _quote(text, rich(by), width, scale)
        case KeyFigures(rows):
            return _cards(rows, width, scale)
        case ScoreBar():
            return _score(block, width, scale)
        case Table():
            return _table(measured_grid(block, width, scale))
        case Chart():
            return _chart(block, width, scale)
    raise ValueError(f"A page has no place for a {type(block).__name__}.")


# Text -------------------------------------------------------------------------------------------------------


def _texts(paras: Iterable[Para], width: float, *, leads: bool = False) -> Sized:
    """Paragraphs in one box; divided between paragraphs, and a long one between its lines."""
    held = tuple(paras)

    def place(x: float, y: float, h: float) -> list[Placed]:
        return [Text(x, y, width, h, held)] if held else []

    def split(room: float) -> tuple[Sized, Sized] | None:
        for count in range(len(held) - 1, 0, -1):
            if height_of(held[:count], width) <= room:
                return _texts(held[:count], width), _texts(held[count:], width)
        halves = divided(held[0], width, room) if held else None
        return (_texts(halves[:1], width), _texts((halves[1], *held[1:]), width)) if halves else None

    return Sized(height_of(held, width), place, leads=leads, split=split)


def _status(line: StatusLine, scale: float) -> Para:
    label = rich(Verdict(line.state), "  ", Words(line.label, bold=True))
    text = rich(label, " — ", line.text) if line.text else label
    return para(text, BODY_SIZE * scale, after=7 * scale)


def _quote(text: str, by: RichText, width: float, scale: float) -> Sized:
    said = para(rich("“", Quoted(" ".join(text.split())), "”"), BODY_SIZE * scale, colour=SOFT, after=3 * scale)
    whose = para(rich("— ", by), SMALL_SIZE * scale, colour=SOFT) if by else None
    held = (said, whose) if whose else (said,)
    tall = height_of(held, width - 14)

    def place(x: float, y: float, h: float) -> list[Placed]:
        return [Box(x, y + 1, 2.5, tall - 2, RULE), Text(x + 14, y, width - 14, tall, held)]

    return Sized(tall + 8 * scale, place)


# Figures ----------------------------------------------------------------------------------------------------


def _cards(rows: tuple[KeyFigure, ...], width: float, scale: float) -> Sized:
    lines = max(1, -(-len(rows) // CARDS_IN_A_ROW))
    across = max(1, -(-len(rows) // lines))
    card = (width - CARD_GAP * (across - 1)) / across
    room = card - 2 * CARD_PAD
    paras = [_card(row, room, scale) for row in rows]
    tall = max((height_of(held, room) for held in paras), default=0.0) + 2 * CARD_PAD * 0.8

    def place(x: float, y: float, h: float) -> list[Placed]:
        made: list[Placed] = []
        for index, held in enumerate(paras):
            left = x + (index % across) * (card + CARD_GAP)
            top = y + (index // across) * (tall + CARD_GAP)
            made.append(Box(left, top, card, tall, PANEL))
            made.append(Box(left, top, 3, tall, ACCENT))
            made.append(Text(left + CARD_PAD, top + CARD_PAD * 0.8, room, tall - CARD_PAD * 1.6, held))
        return made

    return Sized(lines * tall + (lines - 1) * CARD_GAP, place)


def _card(row: KeyFigure, room: float, scale: float) -> tuple[Para, ...]:
    label = para(row.label, CARD_LABEL_SIZE * scale, colour=SOFT, after=3)
    figure, aside = _apart(row.value)
    value = para(figure, CARD_VALUE_SIZE * scale, bold=True, after=4)
    natural = natural_width(value)
    if natural > room:
        # A long figure is set smaller rather than broken, as far as it can be read; "unknown since …" is a sentence.
        size = max(value.size * room / natural, SMALLEST_FIGURE * scale)
        value = para(figure, size, bold=True, after=4 + (value.size - size) * LEADING)
    notes = [para(note, CARD_NOTE_SIZE * scale, colour=SOFT, after=1) for note in row.notes]
    warned = [para(aside, CARD_NOTE_SIZE * scale, colour=WARN, after=1)] if aside else []
    return (label, value, *warned, *notes)


def _apart(value: RichText) -> tuple[RichText, str]:
    """A figure, and what is to be said of it: that it did not tie out, is old, or since when it is unknown."""
    if len(value) != 1 or not isinstance(claim := value[0], Claim):
        return value, ""
    head, _, tail = claim.text.partition(" ")
    if head == "unknown":
        return (replace(claim, text=head, mark="", as_of=None),), tail
    bare = replace(claim, mark="", as_of=None)
    return (bare,), shown(claim)[len(claim.text) :].strip(" ()")


def _score(block: ScoreBar, width: float, scale: float) -> Sized:
    head = para(rich(Words(block.label, bold=True), "  ", block.score), HEADING_SIZE * scale * 1.1, after=5)
    notes = para(block.notes, CARD_NOTE_SIZE * scale, colour=SOFT) if block.notes else None
    lead = height_of((head,), width)
    tail = height_of((notes,), width) + 5 if notes else 0.0
    thick = 10 * scale
    width = min(width, WIDEST_SCORE)

    def share(value: Decimal) -> float:
        return min(max(float(value), 0.0), 1.0)

    def place(x: float, y: float, h: float) -> list[Placed]:
        made: list[Placed] = [Text(x, y, width, lead, (head,)), Box(x, y + lead, width, thick, RULE)]
        if block.fraction is not None:
            made.append(Box(x, y + lead, width * share(block.fraction), thick, ACCENT))
        if block.low is not None and block.high is not None:
            # The band lies over the bar's end: from where it may be to where it may be.
            low, high = share(block.low), share(block.high)
            made.append(Box(x + width * low, y + lead + thick / 3, width * (high - low), thick / 3, DEEP))
        if notes:
            made.append(Text(x, y + lead + thick + 5, width, tail - 5, (notes,)))
        return made

    return Sized(lead + thick + tail, place)


# Tables and charts ------------------------------------------------------------------------------------------


def _table(grid: Grid) -> Sized:
    def place(x: float, y: float, h: float) -> list[Placed]:
        return [Cells(x, y, grid)]

    def split(room: float) -> tuple[Sized, Sized] | None:
        halves = grid.divided(room)
        return (_table(halves[0]), _table(halves[1])) if halves else None

    return Sized(grid.height + 4, place, tight=grid.tight, split=split)


def _chart(chart: Chart, width: float, scale: float) -> Sized:
    words = unit_words(chart)
    message = rich(chart.message, f" ({words})") if words else chart.message
    head = para(message, CHART_TITLE_SIZE * scale, bold=True, after=4)
    small = [para(said, SMALL_SIZE, colour=INK)] if (said := notes(chart)) else []
    prints = joined((chart.source, rich(axis_note(chart))), " ")
    small += [para(prints, SMALL_SIZE, colour=SOFT)] if prints else []
    lead, tail = height_of((head,), width), height_of(small, width)

    def place(x: float, y: float, h: float) -> list[Placed]:
        made: list[Placed] = [Text(x, y, width, lead, (head,)), Plot(x, y + lead, width, h - lead - tail - 2, chart)]
        if small:
            made.append(Text(x, y + h - tail, width, tail, tuple(small)))
        return made

    return Sized(lead + LEAST_CHART * scale + tail + 2, place, elastic=True)

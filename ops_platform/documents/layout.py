"""From a document to pages: what stands where, in points. PDF and slides draw what this places, so they are alike.

Belongs here: pages and the shapes on them, how blocks share a page, what goes on to a next one. Does not belong here:
how wide a word is (`documents.typeset`), the size of one block (`documents.blocks`), drawing (`documents.pdf`,
`documents.pptx`).

A page's blocks are bands from top to bottom. Key figures are a row of cards. A chart shares its band with the charts
beside it, or with the text that follows it; sections of text that each have a heading stand side by side. What does not
fit is first set smaller, then goes on to a page "(continued)": nothing is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ops_platform.documents.blocks import Placed, Sized, sized
from ops_platform.documents.model import (
    Actions,
    Chart,
    Claim,
    Divider,
    Footer,
    Heading,
    KeyFigures,
    Page,
    Paragraph,
    ScoreBar,
    Table,
    Title,
    plain,
    rich,
    spans_of,
)
from ops_platform.documents.theme import (
    BAND_GAP,
    BODY_BOTTOM,
    BODY_GAP,
    GUTTER,
    HEIGHT,
    MARGIN,
    PAPER,
    SMALL_SIZE,
    SMALLER_TITLES,
    SOFT,
    SUBTITLE_SIZE,
    TITLE_SIZE,
    TITLE_TOP,
    WIDTH,
)
from ops_platform.documents.typeset import Para, height, height_of, inked, natural_width, para

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops_platform.documents.model import Block, Document, RichText, UsedClaim

SCALES = (1.0, 0.93, 0.86)
ROOMY = (1.15, 1.08)
"""Type of a page that has room to spare and no chart to fill it."""
ROOM = WIDTH - 2 * MARGIN
CHART_SHARE = 0.6
CHARTS_IN_A_ROW = 3
TALLEST_CHART = 400.0
TALLEST_PRINT = 60.0
COVER_TEXT, COVER_WIDTH = 326.0, 800.0


@dataclass(frozen=True, slots=True)
class Leaf:
    """A finished page. `title` is at `MARGIN`, `TITLE_TOP`; `shapes` are placed; `small` is print above the footer;
    `run` names the document at its foot; `sources` say where each number on it comes from, a line each."""

    title: Para
    subtitle: Para | None
    shapes: tuple[Placed, ...]
    small: tuple[Para, ...] = ()
    cover: bool = False
    run: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Band:
    """Columns of blocks beside each other, by weight of width."""

    columns: tuple[tuple[float, tuple[Block, ...]], ...]


def pages(document: Document) -> tuple[Leaf, ...]:
    """The pages of a document. One without `Page` blocks is laid out as a report of its own accord."""
    run = _run(document)
    made: list[Leaf] = []
    for head, body in _chapters(document):
        if isinstance(head, Title):
            cover, rest = _cover(head, body, run)
            made += [cover, *(_leaves(Page(head.text), rest, run) if rest else ())]
        else:
            first, *more = _leaves(head, body, run)
            made += [replace(first, sources=_sources(document, (head, *body))), *more]
    return tuple(made)


def _sources(document: Document, blocks: tuple[Block, ...]) -> tuple[str, ...]:
    """For each number of a chapter, and each chart: what it is, where it comes from, whether it tied out."""
    used = {(c.fact, c.path, c.text): c for c in document.claims}
    made: dict[str, None] = {}
    for span in spans_of(blocks):
        found = used.get((span.fact, span.path, span.text)) if isinstance(span, Claim) else None
        if found is not None:
            made[inked(f"{found.text}: {found.label} ({found.fact}.{found.path}), {_origin(found)}")] = None
    for chart in (block for block in blocks if isinstance(block, Chart)):
        names = {name for series in chart.series for name in (series.evidence, *series.facts) if name}
        origins = dict.fromkeys(_origin(c) for c in document.claims if c.fact in names)
        made[inked(f"Chart “{plain(chart.message)}”: {', '.join(sorted(names))}; {'; '.join(origins)}")] = None
    return tuple(made)


def _origin(used: UsedClaim) -> str:
    tied = {"matched": "tied out", "mismatched": "not tied out", "unknown": "tie-out unknown"}[used.tie_out]
    return f"{used.source.relation or 'no relation'}, {tied}"


def _run(document: Document) -> str:
    title = next((plain(block.text) for block in document.blocks if isinstance(block, Title)), document.kind)
    label = document.period.label
    # A sentence in the middle of a footer begins small everywhere else; here it stands alone.
    return inked(title if label.lower() in title.lower() else f"{title} · {label[:1].upper()}{label[1:]}").strip()


def _chapters(document: Document) -> Iterator[tuple[Title | Page, list[Block]]]:
    """What begins a page, with what stands on it. A title is a cover only where pages follow."""
    paged = any(isinstance(block, Page) for block in document.blocks)
    head: Title | Page | None = None
    body: list[Block] = []
    for block in document.blocks:
        if isinstance(block, Page | Title):
            if head is not None or body:
                yield head or Page(rich(document.kind)), body
            head = block if paged or isinstance(block, Page) else Page(block.text)
            body = []
        elif not isinstance(block, Actions | Divider):  # what can be pressed has no place on paper
            body.append(block)
    if head is not None or body:
        yield head or Page(rich(document.kind)), body


# A page -----------------------------------------------------------------------------------------------------


def _cover(head: Title, body: Sequence[Block], run: str) -> tuple[Leaf, list[Block]]:
    """The cover with its first paragraphs and its small print, and what has no place on it."""
    title = para(head.text, 40.0, bold=True, colour=PAPER)
    under: Para | None = None
    placed: list[Placed] = []
    small: list[Para] = []
    rest: list[Block] = []
    top = COVER_TEXT
    for block in body:
        if isinstance(block, Footer):
            small += [para(item, 10.5, colour=SOFT) for item in block.items]
        elif isinstance(block, Paragraph) and under is None and not rest:
            under = para(block.text, 18.0, colour="D5E3F1")
        elif isinstance(block, Paragraph) and not rest and (size := sized(block, COVER_WIDTH, 1.0)).height < 60:
            placed += size.place(MARGIN + 8, top, size.height)
            top += size.height + 6
        else:
            rest.append(block)
    if height_of(small, COVER_WIDTH) > HEIGHT - 40 - top:
        rest += [block for block in body if isinstance(block, Footer)]
        small = []
    return Leaf(title, under, tuple(placed), tuple(small), True, run), rest


def _leaves(head: Page, body: list[Block], run: str) -> Iterator[Leaf]:
    prints = [item for block in body if isinstance(block, Footer) for item in block.items]
    small = tuple(para(item, SMALL_SIZE, colour=SOFT) for item in prints)
    if height_of(small, ROOM) > TALLEST_PRINT:  # more than small print is text
        small, body = (), [*body, *(Paragraph(item) for item in prints)]
    title = _title(head.title)
    subtitle = para(head.subtitle, SUBTITLE_SIZE, colour=SOFT) if head.subtitle else None
    bands = _bands([block for block in body if not isinstance(block, Footer)])
    top = TITLE_TOP + height(title, ROOM) + (4 + height(subtitle, ROOM) if subtitle else 0) + BODY_GAP
    bottom = BODY_BOTTOM - (height_of(small, ROOM) + 6 if small else 0)
    drawn = any(isinstance(block, Chart) for block in body)
    scales = SCALES if drawn else ROOMY + SCALES
    scale = next((s for s in scales if _suits(_measured(bands, s), bottom - top, s)), SCALES[1])
    rest = _measured(bands, scale)
    number = 0
    while rest or not number:
        here, rest = _filled(rest, bottom - top)
        shown = title if not number else _title(rich(head.title, " (continued)"))
        yield Leaf(shown, subtitle, tuple(_placed(here, top, bottom)), small, False, run)
        number += 1


def _title(text: RichText) -> Para:
    """A page's title on one line where a smaller type does it: a word alone on a second line is no title."""
    sizes = (TITLE_SIZE, *SMALLER_TITLES)
    made = [para(text, size, bold=True) for size in sizes]
    return next((one for one in made if natural_width(one) <= ROOM), made[0])


# Bands ------------------------------------------------------------------------------------------------------


def _bands(blocks: list[Block]) -> list[_Band]:
    made: list[_Band] = []
    index = 0
    while index < len(blocks):
        block = blocks[index]
        if isinstance(block, Chart):
            charts = _while(blocks, index, Chart)
            index += len(charts)
            texts: list[Block] = []
            if len(charts) == 1:
                while index < len(blocks) and not isinstance(blocks[index], Chart | KeyFigures | ScoreBar):
                    if isinstance(blocks[index], Table) and not _slim(blocks[index]):
                        break
                    texts.append(blocks[index])
                    index += 1
            if texts:
                made.append(_Band(((CHART_SHARE, (charts[0],)), (1 - CHART_SHARE, tuple(texts)))))
            else:
                made += _rows_of(charts)
        elif isinstance(block, KeyFigures | ScoreBar | Table):
            made.append(_Band(((1.0, (block,)),)))
            index += 1
        else:
            run: list[Block] = []
            while index < len(blocks) and not isinstance(blocks[index], Chart | KeyFigures | ScoreBar | Table):
                run.append(blocks[index])
                index += 1
            if index < len(blocks) and isinstance(blocks[index], Table) and isinstance(run[-1], Heading):
                # A table's heading stays with it.
                if run[:-1]:
                    made.append(_sections(run[:-1]))
                made.append(_Band(((1.0, (run[-1], blocks[index])),)))
                index += 1
            else:
                made.append(_sections(run))
    return made


def _while(blocks: list[Block], index: int, kind: type[Chart]) -> list[Chart]:
    found: list[Chart] = []
    while index < len(blocks) and isinstance(block := blocks[index], kind):
        found.append(block)
        index += 1
    return found


def _slim(block: Block) -> bool:
    """A table that fits beside a chart."""
    return isinstance(block, Table) and len(block.header) <= 3 and len(block.rows) <= 12


def _rows_of(charts: list[Chart]) -> Iterator[_Band]:
    """Charts in rows of alike length: four are two and two, three stand in one row."""
    rows = -(-len(charts) // CHARTS_IN_A_ROW)
    each = -(-len(charts) // rows)
    for start in range(0, len(charts), each):
        row = charts[start : start + each]
        yield _Band(tuple((1.0 / len(row), (chart,)) for chart in row))


def _sections(blocks: list[Block]) -> _Band:
    """Two or three sections with headings side by side; else one column."""
    starts = [index for index, block in enumerate(blocks) if isinstance(block, Heading)]
    if starts and starts[0] == 0 and 2 <= len(starts) <= 3:
        ends = [*starts[1:], len(blocks)]
        parts = [tuple(blocks[start:end]) for start, end in zip(starts, ends, strict=True)]
        return _Band(tuple((1.0 / len(parts), part) for part in parts))
    return _Band(((1.0, tuple(blocks)),))


# Measuring and filling ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Column:
    left: float
    parts: tuple[Sized, ...]

    @property
    def height(self) -> float:
        return sum(part.height for part in self.parts)

    @property
    def elastic(self) -> bool:
        return any(part.elastic for part in self.parts)


_Measured = tuple[_Column, ...]


def _measured(bands: list[_Band], scale: float) -> list[_Measured]:
    made = []
    for band in bands:
        room = ROOM - GUTTER * (len(band.columns) - 1)
        left = MARGIN
        columns = []
        for weight, blocks in band.columns:
            columns.append(_Column(left, tuple(sized(block, room * weight, scale) for block in blocks)))
            left += room * weight + GUTTER
        made.append(tuple(columns))
    return made


def _band_height(band: _Measured) -> float:
    return max(column.height for column in band)


def _height(bands: list[_Measured]) -> float:
    return sum(_band_height(band) for band in bands) + BAND_GAP * max(len(bands) - 1, 0)


def _suits(bands: list[_Measured], room: float, scale: float) -> bool:
    """True where the page fits; type is not made larger at the price of broken cells."""
    tight = scale > 1 and any(part.tight for band in bands for column in band for part in column.parts)
    return _height(bands) <= room and not tight


def _filled(bands: list[_Measured], room: float) -> tuple[list[_Measured], list[_Measured]]:
    """The bands that fit into `room`, and those for the next page; a band is divided where it can be."""
    here: list[_Measured] = []
    used = 0.0
    for number, band in enumerate(bands):
        left = room - used - (BAND_GAP if here else 0)
        if _band_height(band) <= left + 0.01:
            here.append(band)
            used += _band_height(band) + (BAND_GAP if len(here) > 1 else 0)
            continue
        head, tail = _divided(band, left, must=not here)
        if head:
            here.append(head)
        return here, ([tail] if tail else []) + bands[number + 1 :]
    return here, []


def _divided(band: _Measured, room: float, *, must: bool) -> tuple[_Measured, _Measured]:
    """The band in two. Where nothing can be divided it moves whole, or (`must`) stays and is cut by no one."""
    heads, tails = [], []
    for column in band:
        head: list[Sized] = []
        rest = list(column.parts)
        left = room
        while rest and rest[0].height <= left + 0.01:
            left -= rest[0].height
            head.append(rest.pop(0))
        if rest and (halves := rest[0].divided(left)):
            head.append(halves[0])
            rest[0] = halves[1]
        elif rest and must and not head:
            head.append(rest.pop(0))
        while len(head) > 1 and head[-1].leads and rest:
            rest.insert(0, head.pop())  # a heading never ends a page
        heads.append(_Column(column.left, tuple(head)))
        tails.append(_Column(column.left, tuple(rest)))
    if not must and (not any(column.parts for column in heads) or any(column.elastic for column in band)):
        return (), band
    return tuple(heads), tuple(tails) if any(column.parts for column in tails) else ()


def _placed(bands: list[_Measured], top: float, bottom: float) -> Iterator[Placed]:
    """Everything at its place; charts share the room that is left over."""
    spare = max(bottom - top - _height(bands), 0.0)
    elastic = [band for band in bands if any(column.elastic for column in band)]
    y = top
    for band in bands:
        size = _band_height(band)
        if band in elastic:
            size = min(size + spare / len(elastic), max(TALLEST_CHART, size))
        for column in band:
            at = y
            for part in column.parts:
                tall = part.height
                if part.elastic:
                    tall += size - column.height
                yield from part.place(column.left, at, tall)
                at += tall
        y += size + BAND_GAP


def subtitle_top(leaf: Leaf) -> float:
    """Where the subtitle stands under the title."""
    return TITLE_TOP + height(leaf.title, ROOM) + 4

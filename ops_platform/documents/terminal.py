"""A document for a terminal: as Slack shows it, in plain Unicode with optional ANSI colour.

Belongs here: wrapping by display width, columns, ANSI. Does not belong here: Slack's limits, composing.

Nothing in a document can steer the terminal: control and escape characters are dropped, and vendor text, which may
run right to left, is isolated so that it cannot reorder the line around it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from ops_platform.documents.glyphs import MARKS, bar
from ops_platform.documents.model import (
    Actions,
    Block,
    Bullets,
    Chart,
    Claim,
    Divider,
    Document,
    Footer,
    Heading,
    KeyFigure,
    KeyFigures,
    Page,
    Paragraph,
    Quote,
    Quoted,
    RichText,
    ScoreBar,
    Span,
    StatusLine,
    StatusLines,
    Table,
    Title,
    Words,
    plain,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLOURS = {"ok": "32", "attention": "33", "unknown": "35", "info": "0"}
_FSI, _PDI = "\u2068", "\u2069"
_LABEL = 14
_STYLE = re.compile(r"\x1b\[\d+m")


def render(document: Document, *, width: int = 78, colour: bool = False) -> str:
    """The document as lines no wider than `width` columns (a single longer word is cut). Ends with a newline."""
    paint = _Paint(colour)
    lines = [line for block in document.blocks for line in _block(block, max(width, 24), paint)]
    return "\n".join(lines).rstrip("\n") + "\n"


def plain_lines(document: Document) -> Iterator[str]:
    """The document as unwrapped, unstyled lines, without its title and rules."""
    for block in document.blocks:
        if not isinstance(block, Title | Divider):
            yield from _block(block, 10_000, _Paint(False))


def display_width(text: str) -> int:
    """Columns the text takes in a terminal: wide and emoji characters two, combining and joined ones none."""
    width = 0
    joined = False
    previous = 0
    for char in text:
        if char == "\ufe0f":
            # The emoji selector widens a character that is narrow without it (⚠ and ⚠️).
            width += 2 - previous if previous == 1 else 0
            previous = 2
            continue
        size = 0 if joined else _char_width(char)
        joined = char == "\u200d"
        width += size
        previous = size or previous
    return width


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf", "Cc") or 0x1F3FB <= ord(char) <= 0x1F3FF:
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def clean(text: str) -> str:
    """Without control, escape and direction characters; line breaks become spaces."""
    return "".join(_cleaned(char) for char in text)


def _cleaned(char: str) -> str:
    if char in "\n\r\t\u2028\u2029":
        return " "
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    if category in ("Cc", "Cs") or (category == "Cf" and char not in "\u200c\u200d"):
        return ""
    return char


def columns(rows: list[list[str]]) -> list[str]:
    """Rows of cells as aligned lines: the first column to the left, the others to the right."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cleaned), default=0)
    widths = [max((display_width(row[i]) for row in cleaned if i < len(row)), default=0) for i in range(count)]
    lines = []
    for row in cleaned:
        cells = []
        for index, cell in enumerate(row):
            gap = " " * (widths[index] - display_width(cell))
            cells.append(cell + gap if index == 0 else gap + cell)
        lines.append("  ".join(cells).rstrip())
    return lines


class _Paint:
    """ANSI styles, or nothing."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text and code != "0" else text


def _span(span: Span, paint: _Paint) -> str:
    text = clean(shown(span))
    if isinstance(span, Quoted) and any(unicodedata.bidirectional(char) in ("R", "AL") for char in text):
        text = f"{_FSI}{text}{_PDI}"
    if isinstance(span, Words | Claim | Quoted) and span.bold:
        return _each_word(text, "1", paint)
    if isinstance(span, Words) and span.italic:
        return _each_word(text, "3", paint)
    return text


def _each_word(text: str, code: str, paint: _Paint) -> str:
    """Styled word by word, so that a style never spans a line break."""
    return " ".join(paint(word, code) for word in text.split(" ")) if paint.colour else text


def _inline(text: RichText, paint: _Paint) -> str:
    return "".join(_span(span, paint) for span in text)


def _block(block: Block, width: int, paint: _Paint) -> Iterator[str]:
    match block:
        case Title(text):
            yield from (_each_word(line, "1", paint) for line in wrapped(clean(plain(text)), width))
        case Page(text, subtitle):
            yield ""
            yield paint("─" * min(width, 78), "2")
            yield from (_each_word(line, "1", paint) for line in wrapped(clean(plain(text)), width))
            for line in wrapped(_inline(subtitle, paint), width) if subtitle else ():
                yield _each_word(line, "2", paint)
        case Heading(text, icon):
            yield from wrapped(f"{icon} {_each_word(clean(plain(text)), '1', paint)}".strip(), width)
        case ScoreBar():
            yield from _score(block, width, paint)
        case KeyFigures(rows):
            for row in rows:
                yield from _figure(row, width, paint)
        case Paragraph(text):
            yield from wrapped(_inline(text, paint), width)
        case Bullets(items):
            for item in items:
                yield from wrapped(_inline(item, paint), width, first="• ", rest="  ")
        case Quote(text, by):
            signed = f"“{_span(Quoted(' '.join(text.split())), paint)}”" + (f" — {_inline(by, paint)}" if by else "")
            yield from wrapped(signed, width, first="   │ ", rest="   │ ")
        case StatusLines(lines):
            yield from _statuses(lines, width, paint)
        case Table(header, rows):
            yield from columns([list(header), *([plain(cell) for cell in row] for row in rows)])
        case Chart():
            yield from _chart(block, width, paint)
        case Actions(_, buttons):
            doable = [clean(button.command or button.url) for button in buttons if button.command or button.url]
            yield from wrapped(" · ".join(doable), width, first="→ ", rest="  ")
        case Divider():
            yield paint("─" * min(width, 78), "2")
        case Footer(items):
            for item in items:
                for line in wrapped(_inline(item, paint), width):
                    yield _each_word(line, "2", paint)


def _chart(chart: Chart, width: int, paint: _Paint) -> Iterator[str]:
    from ops_platform.documents.chart_text import chart_rows
    from ops_platform.documents.charts import notes

    yield from (_each_word(line, "1", paint) for line in wrapped(clean(plain(chart.message)), width))
    lines = columns(chart_rows(chart))
    if max(display_width(line) for line in lines) > width:
        lines = columns(chart_rows(chart, bars=False))
    yield from lines
    for small in (clean(notes(chart)), _inline(chart.source, paint)):
        for line in wrapped(small, width) if small else ():
            yield _each_word(line, "2", paint)


def _score(block: ScoreBar, width: int, paint: _Paint) -> Iterator[str]:
    lead = f"{_each_word(clean(block.label), '1', paint)}  {_inline(block.score, paint)}  {bar(block.fraction)}"
    notes = _inline(block.notes, paint)
    whole = f"{lead}  {notes}".rstrip(" ")
    if visible_width(whole) <= width:
        yield whole
        return
    yield from wrapped(lead, width)
    if notes:
        yield from wrapped(notes, width, first="  ", rest="  ")


def _statuses(lines: tuple[StatusLine, ...], width: int, paint: _Paint) -> Iterator[str]:
    size = min(max((display_width(clean(line.label)) for line in lines), default=0), 18)
    for line in lines:
        label = clean(line.label)
        gap = " " * (size - display_width(label))
        lead = f"{paint(MARKS[line.state], _COLOURS[line.state])} {_each_word(label, '1', paint)}{gap}  "
        indent = " " * (min(visible_width(lead), width // 2) if width >= 60 else 4)
        yield from wrapped(_inline(line.text, paint), width, first=lead, rest=indent)


def _figure(row: KeyFigure, width: int, paint: _Paint) -> Iterator[str]:
    label = clean(row.label)
    icon = f"{row.icon} " if row.icon else "   "
    icon += " " * (3 - display_width(icon))
    lead = f"{icon}{_each_word(label, '1', paint) if row.icon else label}" + " " * max(_LABEL - display_width(label), 1)
    body = " · ".join(_inline(part, paint) for part in (row.value, *row.notes))
    indent = " " * (3 + _LABEL) if width >= 60 else "     "
    yield from wrapped(body, width, first=lead, rest=indent)


# Wrapping ---------------------------------------------------------------------------------------------------


def visible_width(text: str) -> int:
    """Display width without ANSI sequences."""
    return display_width(_STYLE.sub("", text))


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> Iterator[str]:
    """The text in lines of at most `width` columns, the first led by `first`, the others by `rest`."""
    if visible_width(first) > width:
        first, text = "", f"{first} {text}"
    line, used, empty = first, visible_width(first), True
    for word in (word for word in text.split(" ") if word):
        size = visible_width(word)
        if not empty and used + 1 + size > width:
            yield line.rstrip(" ")
            line, used, empty = rest, visible_width(rest), True
        while used + size > width and width > visible_width(rest) + 1:
            if not empty or used > visible_width(rest):
                # A long lead with no room: the word begins on the next line.
                yield line.rstrip(" ")
                line, used, empty = rest, visible_width(rest), True
                continue
            head, word = _split(word, width - used)
            yield line + head
            line, used, size = rest, visible_width(rest), visible_width(word)
        line += word if empty else f" {word}"
        used += size if empty else size + 1
        empty = False
    if line.strip(" ") or not text.strip(" "):
        yield line.rstrip(" ")


def _split(word: str, width: int) -> tuple[str, str]:
    """The word cut so that its head takes at most `width` columns (a styled word loses its style)."""
    word = _STYLE.sub("", word)
    cut = 1
    while cut < len(word) and display_width(word[: cut + 1]) <= width:
        cut += 1
    while cut < len(word) and cut > 1 and (word[cut] in "\u200d\ufe0f" or word[cut - 1] == "\u200d"):
        cut -= 1
    return word[:cut], word[cut:]

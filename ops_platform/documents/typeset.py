"""Text for pages: spans as styled runs, measured and broken into lines by the true widths of the letters.

Belongs here: runs and paragraphs, which letters the page's face has and what stands for those it has not, widths, line
breaks, heights. Does not belong here: where text stands (`documents.layout`), drawing it (`documents.pdf`,
`documents.pptx`).
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ops_platform.documents.model import Claim, Quoted, Verdict, Words, shown
from ops_platform.documents.terminal import clean
from ops_platform.documents.theme import FACES, FONTS, INK, LEADING, SOFT, STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.documents.model import RichText

Align = Literal["left", "right", "center"]

DOT = "●"
# Signs the face has not: the nearest it has.
_STAND_INS = {
    "⚠": "▲",
    "✓": DOT,
    "✔": DOT,
    "✗": "×",
    "◌": "○",
    "\u2011": "-",
    "\u2060": "",
    "\ufe0f": "",
    "\u202f": "\u00a0",
}
_MISSING = "□"


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one style. `colour` is RRGGBB."""

    text: str
    bold: bool = False
    italic: bool = False
    colour: str = INK


@dataclass(frozen=True, slots=True)
class Para:
    """A paragraph of runs. `after` is the space under it in points; a `bullet` hangs to the left of its lines."""

    runs: tuple[Run, ...]
    size: float
    align: Align = "left"
    after: float = 0.0
    bullet: bool = False

    @property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)

    @property
    def indent(self) -> float:
        return self.size * 1.0 if self.bullet else 0.0


def inked(text: str) -> str:
    """Text as pages can show it: no control characters, emoji dropped, a few signs replaced by their like."""
    kept = []
    for char in clean(text):
        stand_in = _STAND_INS.get(char)
        if stand_in is not None:
            kept.append(stand_in)
        elif not _pictorial(char):
            kept.append(char)
    return "".join(kept)


def _pictorial(char: str) -> bool:
    code = ord(char)
    return (code >= 0x1F000 and unicodedata.category(char) in ("So", "Sk", "Cn")) or (
        0x2600 <= code <= 0x27BF and not drawable(char)
    )


def runs(text: RichText, *, bold: bool = False, colour: str = INK) -> tuple[Run, ...]:
    """Rich text as runs; `bold` and `colour` are those of what has none of its own."""
    made: list[Run] = []
    for span in text:
        if isinstance(span, Verdict):
            made.append(Run(DOT, False, False, STATES[span.state]))
            continue
        words = inked(shown(span))
        shade = SOFT if isinstance(span, Claim) and span.text.startswith("unknown") else colour
        own_bold = isinstance(span, Words | Claim | Quoted) and span.bold
        italic = isinstance(span, Words) and span.italic
        if words:
            made.append(Run(words, bold or own_bold, italic, shade))
    return tuple(made)


def para(text: RichText | str, size: float, *, bold: bool = False, colour: str = INK, align: Align = "left",
         after: float = 0.0, bullet: bool = False) -> Para:  # fmt: skip
    """A paragraph of rich text, or of our own words."""
    made = (Run(inked(text), bold, False, colour),) if isinstance(text, str) else runs(text, bold=bold, colour=colour)
    return Para(made, size, align, after, bullet)


# Measuring --------------------------------------------------------------------------------------------------


@functools.cache
def _widths(face: str) -> tuple[dict[int, float], float]:
    """The width of each letter in thousandths of the size, and that of a letter the face has not."""
    from reportlab.pdfbase.ttfonts import TTFontFile

    font = TTFontFile(str(FONTS / FACES[face]))
    return dict(font.charWidths), font.defaultWidth


def face_of(run: Run) -> str:
    return "bold" if run.bold else "italic" if run.italic else "regular"


def drawable(char: str) -> bool:
    """True where the face has the letter."""
    return ord(char) in _widths("regular")[0]


def wide(char: str) -> bool:
    """True for letters of East Asian scripts, which a face of their own draws."""
    return not drawable(char) and unicodedata.east_asian_width(char) in ("W", "F")


def embeddable(text: str) -> str:
    """Text with a box for each letter that neither the face nor the East Asian one has."""
    return "".join(char if drawable(char) or wide(char) else _MISSING for char in text)


def width(text: str, size: float, face: str = "regular") -> float:
    """Width in points."""
    widths, default = _widths(face)
    total = sum(1000.0 if wide(char) else widths.get(ord(char), default) for char in text)
    return total * size / 1000.0


def natural_width(paragraph: Para) -> float:
    """Width of the paragraph on one line."""
    return paragraph.indent + sum(width(run.text, paragraph.size, face_of(run)) for run in paragraph.runs)


def widest_word(paragraph: Para) -> float:
    return paragraph.indent + max((_extent(word, paragraph.size) for word in _words(paragraph)), default=0.0)


# Breaking ---------------------------------------------------------------------------------------------------

Line = tuple[Run, ...]


def lines(paragraph: Para, room: float) -> list[Line]:
    """The paragraph in lines of at most `room` points, broken at spaces, a longer word anywhere. Never empty."""
    room = max(room - paragraph.indent, paragraph.size)
    made: list[list[Run]] = [[]]
    used = 0.0
    for word in _words(paragraph):
        size = _extent(word, paragraph.size)
        gap = width(" ", paragraph.size, face_of(word[0])) if made[-1] else 0.0
        if made[-1] and used + gap + size > room + 0.01:
            made.append([])
            used, gap = 0.0, 0.0
        while size > room and (cut := _cut(word, room, paragraph.size)):
            head, word = cut
            made[-1] += head
            made.append([])
            size = _extent(word, paragraph.size)
        if gap:
            made[-1].append(replace(word[0], text=" "))
        made[-1] += word
        used += gap + size
    return [_merged(line) for line in made]


def height(paragraph: Para, room: float) -> float:
    """Height in points, the space after it included."""
    return len(lines(paragraph, room)) * paragraph.size * LEADING + paragraph.after


def height_of(paragraphs: Iterable[Para], room: float) -> float:
    return sum(height(paragraph, room) for paragraph in paragraphs)


def divided(paragraph: Para, room: float, tall: float, least: int = 6) -> tuple[Para, Para] | None:
    """A paragraph in two, the first at most `tall`; None where a few lines would be torn off it."""
    broken = lines(paragraph, room)
    count = int(tall / (paragraph.size * LEADING))
    if count < least or count >= len(broken):
        return None
    space = (Run(" "),)
    first = tuple(run for line in broken[:count] for run in (*line, *space))[:-1]
    rest = tuple(run for line in broken[count:] for run in (*line, *space))[:-1]
    return replace(paragraph, runs=first, after=0.0), replace(paragraph, runs=rest, bullet=False)


def _words(paragraph: Para) -> list[list[Run]]:
    """Words between spaces; a word may change its style on the way."""
    found: list[list[Run]] = [[]]
    for run in paragraph.runs:
        for number, piece in enumerate(run.text.split(" ")):
            if number and found[-1]:
                found.append([])
            if piece:
                found[-1].append(replace(run, text=piece))
    return [word for word in found if word]


def _extent(word: Iterable[Run], size: float) -> float:
    return sum(width(run.text, size, face_of(run)) for run in word)


def _cut(word: list[Run], room: float, size: float) -> tuple[list[Run], list[Run]] | None:
    """The word in two so that the first part fits; None where not even a letter can be split off."""
    used = 0.0
    for index, run in enumerate(word):
        for at, char in enumerate(run.text):
            used += width(char, size, face_of(run))
            if used > room and (index or at):
                head = [*word[:index], replace(run, text=run.text[:at])] if at else word[:index]
                return list(head), [replace(run, text=run.text[at:]), *word[index + 1 :]]
    return None


def _merged(line: list[Run]) -> Line:
    made: list[Run] = []
    for run in line:
        if made and replace(made[-1], text="") == replace(run, text=""):
            made[-1] = replace(run, text=made[-1].text + run.text)
        else:
            made.append(run)
    return tuple(made)

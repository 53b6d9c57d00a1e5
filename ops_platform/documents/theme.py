"""How pages and charts look: colours, type, measures. One place, so that slides, PDF and images are one deck.

Belongs here: what a designer would decide. Does not belong here: what stands on a page (`documents.layout`), drawing
(`documents.pdf`, `documents.pptx`, `documents.plot`).

Arimo has the widths of Arial, which every office program has: the PDF embeds the one, the slides name the other, and
a line breaks at the same word in both. Measures are points; a page is a 16:9 slide of 960 by 540.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops_platform.documents.model import Role, State

FONTS = Path(__file__).parent / "fonts"
FACES = {"regular": "Arimo-Regular.ttf", "bold": "Arimo-Bold.ttf", "italic": "Arimo-Italic.ttf"}
OFFICE_FONT = "Arial"

WIDTH, HEIGHT = 960.0, 540.0
MARGIN = 44.0
TITLE_TOP = 30.0
BODY_GAP = 16.0
BODY_BOTTOM = 498.0
FOOTER_TOP = 512.0
GUTTER = 26.0
BAND_GAP = 16.0

INK = "1B2733"
SOFT = "5A6774"
FAINT = "8D98A4"
RULE = "D8DEE4"
PANEL = "F3F6F9"
PAPER = "FFFFFF"
DEEP = "10304F"
ACCENT = "0F5CA8"
GOOD = "1E8A5A"
BAD = "C43D2C"
WARN = "D08700"

SERIES = (ACCENT, "17A2A2", "E39B2D", "7B5EA7", "D9603B", "6B7C8D", "9BBF4A", "B05C8C")
"""Colours of series of equal standing, in order; also the accents of the slides' theme."""
ROLES: dict[Role, str] = {"main": ACCENT, "before": "A8B5C2", "plan": "3C4A58", "other": "17A2A2"}
STATES: dict[State, str] = {"ok": GOOD, "attention": BAD, "unknown": FAINT, "info": SOFT}
LEVEL, RISE, FALL = "3C5A78", "4F8FCB", "E39B2D"
"""The bars of a waterfall: levels, what adds, what takes away. Not green and red: more cost is no good news."""

TITLE_SIZE = 24.0
SMALLER_TITLES = (22.0, 20.0)  # of a title that is a little too long for one line
SUBTITLE_SIZE = 13.0
BODY_SIZE = 13.0
HEADING_SIZE = 13.0
TABLE_SIZE = 11.0
CARD_LABEL_SIZE = 10.5
CARD_VALUE_SIZE = 23.0
CARD_NOTE_SIZE = 10.0
CHART_TITLE_SIZE = 12.5
CHART_SIZE = 10.0
SMALL_SIZE = 9.0
LEADING = 1.15
"""Height of a line over the size of its letters: what office programs make of single spacing in this face."""


def colours(roles: tuple[Role, ...]) -> tuple[str, ...]:
    """A colour for each series: by role where roles tell them apart, else by order."""
    if len(set(roles)) == len(roles):
        return tuple(ROLES[role] for role in roles)
    return tuple(SERIES[index % len(SERIES)] for index in range(len(roles)))

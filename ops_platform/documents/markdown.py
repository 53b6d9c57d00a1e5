"""A document as Markdown (CommonMark, tables as GitHub has them): for archives and issue trackers.

Belongs here: Markdown and its escaping. Does not belong here: front matter, files.

Everything that is not our own emphasis is escaped, so a vendor's text makes no link, image, heading, HTML or mention.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops_platform.documents.chart_text import chart_rows
from ops_platform.documents.charts import notes
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
    KeyFigures,
    Page,
    Paragraph,
    Quote,
    Quoted,
    RichText,
    ScoreBar,
    Span,
    StatusLines,
    Table,
    Title,
    Words,
    shown,
)
from ops_platform.documents.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~^$-])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_AT = re.compile(r"@(?=\w)")
_SCHEME = re.compile(r"(?i)\b(https?|ftp|mailto|www)([:.])")
_ORDERED = re.compile(r"^(\d+)([.)])")


def render(document: Document) -> str:
    """The document as Markdown text, ending with a newline."""
    chunks = ["\n".join(_block(block)) for block in document.blocks]
    return "\n\n".join(chunk for chunk in chunks if chunk) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is: on one line, no markup, no HTML, no autolink, no mention."""
    text = _SPECIAL.sub(r"\\\1", clean(text))
    text = _ENTITY.sub("&amp;", text)
    text = _SCHEME.sub("\\1\u200b\\2", text)
    text = _AT.sub("@\u200b", text)
    return _ORDERED.sub(r"\1\\\2", text)


def _span(span: Span) -> str:
    words = escape(shown(span))
    if isinstance(span, Words) and span.italic:
        return _wrapped(words, "*")
    if isinstance(span, Words | Claim | Quoted) and span.bold:
        return _wrapped(words, "**")
    return words


def _wrapped(words: str, mark: str) -> str:
    core = words.strip()
    if not core:
        return words
    lead = words[: len(words) - len(words.lstrip())]
    return f"{lead}{mark}{core}{mark}{words[len(words.rstrip()) :]}"


def _inline(text: RichText) -> str:
    return "".join(_span(span) for span in text)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Title(text):
            yield f"# {_inline(text)}"
        case Page(text, subtitle):
            yield f"# {_inline(text)}"
            if subtitle:
                yield f"\n{_inline(subtitle)}"
        case Heading(text, icon):
            yield f"## {icon} {_inline(text)}" if icon else f"## {_inline(text)}"
        case ScoreBar(label, score, fraction, _, _, notes):
            yield f"**{escape(label)}** {_inline(score)} {bar(fraction)}" + (f"  \n{_inline(notes)}" if notes else "")
        case KeyFigures(rows):
            for row in rows:
                lead = f"{row.icon} " if row.icon else ""
                label = f"**{escape(row.label)}**" if row.icon else escape(row.label)
                figures = " · ".join(_inline(part) for part in (row.value, *row.notes))
                yield f"{'' if row.icon else '  '}- {lead}{label} {figures}"
        case Paragraph(text):
            yield _inline(text)
        case Bullets(items):
            yield from (f"- {_inline(item)}" for item in items)
        case Quote(text, by):
            yield f"> “{escape(' '.join(text.split()))}”" + (f" — {_inline(by)}" if by else "")
        case StatusLines(lines):
            for line in lines:
                verdict = f"- {MARKS[line.state]} **{escape(line.label)}**"
                yield f"{verdict} — {_inline(line.text)}" if line.text else verdict
        case Table(header, rows):
            yield "| " + " | ".join(escape(cell) for cell in header) + " |"
            yield "|" + "---|" * len(header)
            yield from ("| " + " | ".join(_inline(cell) for cell in row) + " |" for row in rows)
        case Chart():
            yield from _chart(block)
        case Actions(_, buttons):
            # A command stands in a code span, where nothing is parsed; our own link stays one.
            doable = [f"<{b.url}>" if b.kind == "link" else f"`{clean(b.command)}`" for b in buttons]
            yield " · ".join(item for item in doable if item not in ("``", "<>"))
        case Divider():
            yield "---"
        case Footer(items):
            yield "  \n".join(f"<sub>{_inline(item)}</sub>" for item in items)


def _chart(chart: Chart) -> Iterator[str]:
    header, *rows = chart_rows(chart, bars=False)
    yield f"**{_inline(chart.message).strip()}**"
    yield ""
    yield "| " + " | ".join(escape(cell) for cell in header) + " |"
    yield "|---|" + "---:|" * (len(header) - 1)
    yield from ("| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows)
    for small in (escape(notes(chart)), _inline(chart.source)):
        if small:
            yield f"\n<sub>{small}</sub>"

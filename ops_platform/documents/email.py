"""A document as an e-mail: HTML that survives a plain client and a telephone, and the same in plain text.

Belongs here: what any document looks like in a mail, its pictures, its plain part. Does not belong here: MIME, servers
and addresses (`resources/email.py`), who gets which document (`fleet.yaml`, delivery), drawing (`documents.images`).

HTML for mail is HTML of long ago: tables, styles on each element, nothing from outside. Charts are pictures that travel
with the mail and are named by their content-id; what they show is said in words too, for clients that show none.

Nothing in a document becomes a link, whatever a client makes of text by itself: addresses, domains and mentions in it
are broken with a character that has no width. The only links are our own buttons.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.documents import terminal
from ops_platform.documents.chart_text import described
from ops_platform.documents.charts import notes
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
    Verdict,
    Words,
    plain,
    shown,
)
from ops_platform.documents.terminal import clean
from ops_platform.documents.theme import ACCENT, DEEP, FAINT, GOOD, INK, PANEL, PAPER, RULE, SOFT, STATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 640
#: What phones and lists of mails show whole.
MOST_SUBJECT = 120
CHART_PIXELS = 1120
WIDE_TABLE = 4
_FONT = "font-family:Arial,Helvetica,sans-serif"
_GAP = "\u200b"
# What mail clients turn into a link by themselves: schemes, www, domains, addresses; and what rings a phone elsewhere.
_SCHEME = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}):(?=//|[a-z0-9._%+-]+@)")
_WWW = re.compile(r"(?i)\bwww(?=\.)")
_DOT = re.compile(r"(?<=[^\W_])\.(?=[^\W\d_]{2})")
_AT = re.compile(r"@(?=\w)")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the mail: the content-id by which the HTML shows it, a name for clients that list it, the PNG."""

    cid: str
    name: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A document as a mail says it. `text` says all that `html` says."""

    subject: str
    text: str
    html: str
    pictures: tuple[Picture, ...] = ()


def render(document: Document, *, sender: str, attached: Sequence[str] = (), elsewhere: str = "") -> Mail:
    """The document as a mail. `sender` is who it is from (the company); `attached` are the names of files that go with
    it; `elsewhere` says where files are that could not."""
    from ops_platform.documents.images import chart_png, charts_of

    pictures = [
        Picture(f"{name[:-4]}@ops", name, chart_png(chart, pixels=CHART_PIXELS)) for name, chart in charts_of(document)
    ]
    with_files = f"Attached: {', '.join(attached)}." if attached else elsewhere
    left = iter(pictures)
    rows = "\n".join(_row(_block(block, left), top=_above(block)) for block in document.blocks)
    if with_files:
        rows += "\n" + _row(_note(escape(with_files)), top=14)
    summary = clean(plain(document.summary))
    title = next((clean(plain(block.text)) for block in document.blocks if isinstance(block, Title)), summary).strip()
    title = title or summary or sender  # a mail without a subject looks like something else
    return Mail(
        subject=_cut(disarmed(title), MOST_SUBJECT),
        text=_plain(document, sender, with_files),
        html=_PAGE.format(
            language=html.escape(document.language), title=escape(title), preview=escape(summary), rows=rows,
            sender=escape(sender), width=WIDTH, font=_FONT, panel=PANEL, paper=PAPER, ink=INK, deep=DEEP, soft=SOFT,
            rule=RULE,
        ),
        pictures=tuple(pictures),
    )  # fmt: skip


def disarmed(text: str) -> str:
    """The text with nothing in it that a client would make a link, an address or a mention of by itself."""
    text = _SCHEME.sub(rf"\1{_GAP}:", text)
    text = _WWW.sub(rf"www{_GAP}", text)
    text = _DOT.sub(f".{_GAP}", text)
    return _AT.sub(f"@{_GAP}", text)


def escape(text: str) -> str:
    """Text as HTML that shows it as it is, on one line, and makes no link of it."""
    return html.escape(disarmed(clean(text)), quote=True)


# The plain part ---------------------------------------------------------------------------------------------


def _plain(document: Document, sender: str, with_files: str) -> str:
    sections: list[list[Block]] = [[]]
    for block in document.blocks:
        if isinstance(block, Heading | Page):
            sections.append([])
        sections[-1].append(block)
    shown = [terminal.render(replace(document, blocks=tuple(held)), width=72).strip("\n") for held in sections if held]
    lines = ["\n\n".join(shown)]
    if with_files:
        lines += ["", clean(with_files)]
    lines += ["", f"-- \n{clean(sender)}, sent by machine: no reply is read."]
    return disarmed("\n".join(lines)) + "\n"


# HTML -------------------------------------------------------------------------------------------------------

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<meta name="supported-color-schemes" content="light">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">
<meta name="x-apple-disable-message-reformatting">
<title>{title}</title>
<style>@media only screen and (max-width:480px) {{
.out {{ padding:0 !important; }} .edge {{ padding-left:16px !important; padding-right:16px !important; }}
.wide thead {{ display:none !important; }} .wide .named {{ display:inline !important; }}
.wide, .wide tbody, .wide tr, .wide .first {{ display:block !important; width:auto !important; }}
.wide td {{ display:inline-block; border:0 !important; padding:1px 14px 1px 0 !important; font-size:14px; }}
.wide .first {{ font-weight:bold; }}
.wide tr {{ padding:7px 0; border-bottom:1px solid #{rule}; }}
}}</style>
</head>
<body style="margin:0;padding:0;background:#{panel};color:#{ink};-webkit-text-size-adjust:100%;{font}">
<div style="display:none;max-height:0;overflow:hidden;font-size:1px;line-height:1px;color:#{panel}">{preview}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#{panel}"><tr>
<td class="out" align="center" style="padding:20px 8px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#{paper}" style="max-width:{width}px;table-layout:fixed;overflow-wrap:break-word;text-align:left;{font};font-size:15px;line-height:1.45;color:#{ink}">
<tr><td height="4" bgcolor="#{deep}" style="font-size:0;line-height:0">&nbsp;</td></tr>
{rows}
<tr><td class="edge" style="padding:18px 28px 22px;font-size:12px;line-height:1.4;color:#{soft}">{sender}, sent by machine: no reply is read.</td></tr>
</table>
</td></tr></table>
</body>
</html>
"""  # noqa: E501


def _row(content: str, *, top: int) -> str:
    return f'<tr><td class="edge" style="padding:{top}px 28px 0">{content}</td></tr>' if content else ""


def _above(block: Block) -> int:
    """Room over a block, in pixels."""
    if isinstance(block, Title | Page):
        return 24
    if isinstance(block, Heading):
        return 20
    return 6 if isinstance(block, Quote) else 12


def _span(span: Span) -> str:
    words = escape(shown(span))
    if isinstance(span, Verdict):
        return f'<span style="color:#{STATES[span.state]};font-weight:bold">{words}</span>'
    if isinstance(span, Quoted):
        words = f"<bdi>{words}</bdi>"  # it may run the other way
    if isinstance(span, Words) and span.italic:
        return f"<em>{words}</em>"
    if isinstance(span, Words | Claim | Quoted) and span.bold:
        return f"<strong>{words}</strong>"
    return words


def _inline(text: RichText) -> str:
    return "".join(_span(span) for span in text)


def _block(block: Block, pictures: Iterable[Picture]) -> str:
    match block:
        case Title(text):
            return f'<h1 style="margin:0;font-size:22px;line-height:1.25;color:#{DEEP}">{_inline(text)}</h1>'
        case Page(text, subtitle):
            under = (
                f'<div style="color:#{SOFT};font-size:13px;padding-top:4px">{_inline(subtitle)}</div>'
                if subtitle
                else ""
            )
            return f'<h2 style="margin:0;font-size:19px;line-height:1.25;color:#{DEEP}">{_inline(text)}</h2>{under}'
        case Heading(text, icon):
            lead = f"{html.escape(icon)}&nbsp; " if icon else ""
            return f'<h3 style="margin:0;font-size:15px;line-height:1.3;color:#{ACCENT}">{lead}{_inline(text)}</h3>'
        case ScoreBar():
            return _score(block)
        case KeyFigures(rows):
            return _table("".join(_figure(row) for row in rows))
        case Paragraph(text):
            return f'<p style="margin:0">{_inline(text)}</p>'
        case Bullets(items):
            return _table("".join(_bullet(_inline(item)) for item in items))
        case Quote(text, by):
            return _quote(text, by)
        case StatusLines(lines):
            return _table("".join(_status(line) for line in lines))
        case Table():
            return _grid(block)
        case Chart():
            return _chart(block, next(iter(pictures)))
        case Actions():
            return _actions(block)
        case Divider():
            return f'<div style="border-top:1px solid #{RULE};font-size:0;line-height:0;height:1px">&nbsp;</div>'
        case Footer(items):
            return "".join(_note(_inline(item)) for item in items)


def _note(words: str) -> str:
    return f'<div style="font-size:12px;line-height:1.45;color:#{SOFT};padding-bottom:3px">{words}</div>'


def _table(rows: str, style: str = "") -> str:
    shape = 'role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"'
    return f'<table {shape} style="font-size:15px;line-height:1.4;{style}">{rows}</table>' if rows else ""


def _bullet(words: str) -> str:
    dot = f'<td width="18" valign="top" style="padding:3px 0;color:#{ACCENT}">&bull;</td>'
    return f'<tr>{dot}<td valign="top" style="padding:3px 0">{words}</td></tr>'


def _figure(row: KeyFigure) -> str:
    icon = f"{html.escape(row.icon)}&nbsp;" if row.icon else ""
    label = f'<td width="34%" valign="top" style="padding:6px 10px 6px 0;color:#{SOFT}">{icon}{escape(row.label)}</td>'
    value = f'<strong style="color:#{INK}">{_inline(row.value)}</strong>'
    aside = "".join(f' <span style="color:#{FAINT}">&middot;</span> {_inline(part)}' for part in row.notes)
    rule = f"border-bottom:1px solid #{PANEL}"
    label = label.replace('style="', f'style="{rule};', 1)
    return f'<tr>{label}<td valign="top" style="{rule};padding:6px 0">{value}{aside}</td></tr>'


def _status(line: StatusLine) -> str:
    mark = f'<td width="22" valign="top" style="padding:3px 0">{_span(Verdict(line.state))}</td>'
    text = f' <span style="color:#{FAINT}">&mdash;</span> {_inline(line.text)}' if line.text else ""
    return f'<tr>{mark}<td valign="top" style="padding:3px 0"><strong>{escape(line.label)}</strong>{text}</td></tr>'


def _quote(text: str, by: RichText) -> str:
    whose = f'<div style="font-size:13px;color:#{SOFT}">&mdash; {_inline(by)}</div>' if by else ""
    said = f"&ldquo;{_span(Quoted(' '.join(text.split())))}&rdquo;{whose}"
    cell = f'<td style="border-left:3px solid #{RULE};padding:2px 0 2px 12px;color:#{SOFT}">{said}</td>'
    return _table(f"<tr>{cell}</tr>")


def _score(block: ScoreBar) -> str:
    lead = f'<div style="padding-bottom:6px"><strong>{escape(block.label)}</strong>&nbsp; {_inline(block.score)}</div>'
    after = (
        f'<div style="font-size:13px;color:#{SOFT};padding-top:5px">{_inline(block.notes)}</div>' if block.notes else ""
    )
    if block.fraction is None:
        return f'{lead}<div style="border:1px dashed #{RULE};height:8px;font-size:0;line-height:0">&nbsp;</div>{after}'
    # Never full below one nor empty above nothing: rounding must not mislead.
    full = min(max(block.fraction, Decimal(0)), Decimal(1))
    share = int(full * 100) if full in (0, 1) else min(max(round(full * 100), 1), 99)
    cell = '<td height="10" width="{0}%" bgcolor="#{1}" style="font-size:0;line-height:0">&nbsp;</td>'
    colour = GOOD if full >= Decimal("0.7") else ACCENT
    cells = (cell.format(share, colour) if share else "") + (cell.format(100 - share, RULE) if share < 100 else "")
    return f"{lead}{_table(f'<tr>{cells}</tr>')}{after}"


def _grid(table: Table) -> str:
    from ops_platform.documents.grids import column_align

    count = max(len(table.header), max((len(row) for row in table.rows), default=0), 1)
    aligns = [column_align(table.rows, index) for index in range(count)]
    wide = count > WIDE_TABLE
    small = "font-size:12px;line-height:1.35" if wide else "font-size:13px;line-height:1.4"
    head = "".join(
        f'<th scope="col" align="{aligns[index]}" valign="bottom" style="padding:5px 6px;color:#{SOFT};'
        f'border-bottom:2px solid #{RULE}">{escape(cell)}</th>'
        for index, cell in enumerate([*table.header, *[""] * (count - len(table.header))])
    )
    body = []
    for row in table.rows:
        if len(row) == 1 and count > 1:
            style = f"padding:9px 6px 4px;color:#{ACCENT};font-weight:bold"
            body.append(f'<tr><td colspan="{count}" style="{style}">{_inline(row[0])}</td></tr>')
            continue
        cells = [*row, *[()] * (count - len(row))]
        body.append(
            f"<tr>{''.join(_cell(cell, aligns[at], table, at, wide=wide) for at, cell in enumerate(cells))}</tr>"
        )
    # Not for show: a reader's programme announces what stands under which heading.
    shape = f'{_WIDE if wide else ""}width="100%" cellpadding="0" cellspacing="0" border="0"'
    return f'<table {shape} style="{small}"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


# On a telephone a row of many columns becomes lines of named figures: the rules for it are in the page's head, and a
# client that knows none shows the table.
_WIDE = 'class="wide" '


def _cell(cell: RichText, align: str, table: Table, at: int, *, wide: bool) -> str:
    words = _inline(cell)
    named = table.header[at] if wide and 0 < at < len(table.header) else ""
    if named and words:
        words = f'<span class="named" style="display:none;color:#{SOFT}">{escape(named)}: </span>{words}'
    first = ' class="first"' if wide and at == 0 else ""
    return (
        f'<td{first} align="{align}" valign="top" style="padding:5px 6px;border-bottom:1px solid #{RULE}">{words}</td>'
    )


def _chart(chart: Chart, picture: Picture) -> str:
    image = (
        f'<img src="cid:{html.escape(picture.cid)}" alt="{escape(described(chart))}" width="{WIDTH - 56}" '
        f'style="display:block;width:100%;max-width:{WIDTH - 56}px;height:auto;border:0;font-size:13px;color:#{SOFT}">'
    )
    said = notes(chart)
    return image + (_note(escape(said)) if said else "")


def _actions(block: Actions) -> str:
    links = [
        f'<a href="{html.escape(one.url, quote=True)}" style="display:inline-block;padding:8px 14px;margin:0 8px 6px 0;'
        f'background:#{ACCENT};color:#{PAPER};text-decoration:none;font-size:14px">{escape(one.label)}</a>'
        for one in block.buttons
        if one.kind == "link" and one.url.startswith(("https://", "http://"))
    ]
    commands = [escape(one.command) for one in block.buttons if one.command]
    typed = " &middot; ".join(f"<code>{one}</code>" for one in commands)
    return "".join(links) + (_note(f"At a terminal: {typed}") if typed else "")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

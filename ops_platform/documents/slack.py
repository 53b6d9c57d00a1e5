"""A document as Slack messages in Block Kit.

Belongs here: blocks within Slack's limits, escaping for Slack, splitting what is too long. Does not belong here:
posting (`ops_platform.delivery`), composing.

Safety. Every text is escaped (`&` `<` `>`), so no mention, link or date token can be made; `verbatim` stops Slack
from making links and mentions of plain words; the formatting characters of anything but our own emphasis are
replaced by look-alikes; a quote stands in `plain_text`, where nothing is parsed.

Limits (docs.slack.dev, Block Kit): 50 blocks a message, 3,000 characters a section, 150 a header, 10 elements a
context, 25 an actions block, 75 characters on a button. Characters are counted as UTF-16 units, the stricter reading.
A document that needs more becomes several messages: the first for the channel, the rest for its thread. Nothing is
dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops_platform.documents.charts import notes
from ops_platform.documents.claims import MINUS
from ops_platform.documents.glyphs import MARKS, bar
from ops_platform.documents.model import (
    Actions,
    Block,
    Bullets,
    Button,
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
    present,
    rich,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_BLOCKS = 50
MAX_SECTION = 3000
MAX_HEADER = 150
MAX_ELEMENTS = 10
MAX_ELEMENT = 2000
MAX_BUTTONS = 25
MAX_BUTTON_TEXT = 75
MAX_ID = 255
MAX_URL = 3000
MAX_QUESTION = 300
MAX_TEXT = 3900
MAX_MESSAGE = 12_000

_LOOKALIKES = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ"})
_SIGN = re.compile(rf"{MINUS}(?!\d)")
_EDGE_UNDERSCORE = re.compile(r"(?<!\w)_+|_+(?!\w)")

SlackBlock = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """What one `chat.postMessage` carries. `text` is the notification, and the whole message where blocks
    cannot be shown."""

    text: str
    blocks: tuple[SlackBlock, ...]

    def payload(self) -> dict[str, Any]:
        """The arguments for the Slack client, besides the channel."""
        shown = {"blocks": list(self.blocks)} if self.blocks else {}
        return {"text": self.text, **shown, "unfurl_links": False, "unfurl_media": False}


def render(document: Document) -> tuple[SlackMessage, ...]:
    """The document as one message, or as several when it exceeds Slack's limits (the rest goes in the thread)."""
    blocks = [made for block in document.blocks for made in _render_block(block)]
    parts = list(_parts(blocks))
    text = _fallback(document)
    headline = _cut(escape(plain(document.summary)), MAX_TEXT - 20)
    return tuple(
        SlackMessage(text if number == 0 else f"{headline} ({number + 1}/{len(parts)})", tuple(part))
        for number, part in enumerate(parts)
    )


def escape(text: str) -> str:
    """Escaped as Slack asks: exactly `&`, `<` and `>`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def inert(text: str) -> str:
    """Escaped, on one line, and with nothing Slack would format."""
    text = " ".join(text.split("\n")).translate(_LOOKALIKES)
    return escape(_EDGE_UNDERSCORE.sub(lambda match: "\uff3f" * len(match.group()), text))


# Spans ------------------------------------------------------------------------------------------------------


def _mrkdwn(text: RichText) -> str:
    return "".join(_span(span) for span in text)


def _span(span: Span) -> str:
    words = inert(shown(span))
    if isinstance(span, Claim):
        # A browser may break a line between the sign and the currency: "−" alone at the end of a line is lost.
        words = _SIGN.sub(f"{MINUS}\u2060", words)
    if isinstance(span, Words) and span.italic:
        return _wrapped(words, "_")
    if isinstance(span, Words | Claim | Quoted) and span.bold:
        return _wrapped(words, "*")
    return words


def _wrapped(words: str, mark: str) -> str:
    """Emphasis must touch its words, or Slack shows the mark itself."""
    core = words.strip()
    if not core:
        return words
    lead = words[: len(words) - len(words.lstrip())]
    tail = words[len(words.rstrip()) :]
    return f"{lead}{mark}{core}{mark}{tail}"


# Blocks -----------------------------------------------------------------------------------------------------


def _render_block(block: Block) -> Iterator[SlackBlock]:
    match block:
        case Title(text):
            yield {"type": "header", "text": _plain_text(_cut(escape(plain(text)), MAX_HEADER))}
        case Page(text, subtitle):
            yield {"type": "header", "text": _plain_text(_cut(escape(plain(text)), MAX_HEADER))}
            if subtitle:
                yield from _contexts(_mrkdwn_object(part) for part in _pieces(_mrkdwn(subtitle), MAX_ELEMENT))
        case Heading(text, icon):
            yield from _sections([f"{icon} {_wrapped(_mrkdwn(text), '*')}".strip()])
        case ScoreBar():
            yield from _sections(_score(block))
        case KeyFigures(rows):
            yield from _sections(_figure(row) for row in rows)
        case Paragraph(text):
            yield from _sections([_mrkdwn(text)])
        case Bullets(items):
            yield from _sections(f"• {_mrkdwn(item)}" for item in items)
        case Quote(text, by):
            yield from _quote(text, by)
        case StatusLines(lines):
            yield from _sections(
                f"{MARKS[line.state]} {_wrapped(inert(line.label), '*')}"
                + (f" — {_mrkdwn(line.text)}" if line.text else "")
                for line in lines
            )
        case Table():
            yield from _sections(_table(block), wrap="```")
        case Chart():
            yield from _chart(block)
        case Actions(subject, buttons):
            yield from _actions(subject, buttons)
        case Divider():
            yield {"type": "divider"}
        case Footer(items):
            yield from _contexts(_mrkdwn_object(part) for item in items for part in _pieces(_mrkdwn(item), MAX_ELEMENT))


def _score(block: ScoreBar) -> Iterator[str]:
    yield f"{_wrapped(inert(block.label), '*')}  {_mrkdwn(block.score)}  {bar(block.fraction)}"
    if block.notes:
        yield _mrkdwn(block.notes)


def _figure(row: KeyFigure) -> str:
    lead = f"{row.icon} " if row.icon else "↳ "
    label = _wrapped(inert(row.label), "*") if row.icon else inert(row.label)
    return " · ".join([f"{lead}{label}  {_mrkdwn(row.value)}", *(_mrkdwn(note) for note in row.notes)])


def _status(line: StatusLine) -> str:
    lead = f"{MARKS[line.state]} {_wrapped(inert(line.label), '*')}"
    return f"{lead} — {_mrkdwn(line.text)}" if line.text else lead


def _quote(text: str, by: RichText) -> Iterator[SlackBlock]:
    words = " ".join(text.split())
    signed = f"“{words}”" + (f" — {plain(by)}" if by else "")
    yield from _contexts(_plain_text(piece) for piece in _pieces(escape(signed), MAX_ELEMENT))


def _table(block: Table) -> Iterator[str]:
    """Monospaced columns; a code block formats nothing, so only the fence itself must not occur within."""
    from ops_platform.documents.terminal import columns

    rows = [list(block.header), *([plain(cell) for cell in row] for row in block.rows)]
    for line in columns(rows):
        yield escape(line.replace("`", "ˋ"))


def _chart(block: Chart) -> Iterator[SlackBlock]:
    """What the chart shows and its numbers in columns: whole without a picture, which may follow as a file."""
    from ops_platform.documents.chart_text import chart_rows
    from ops_platform.documents.terminal import columns

    yield from _sections([_wrapped(_mrkdwn(block.message), "*")])
    yield from _sections([escape(line.replace("`", "ˋ")) for line in columns(chart_rows(block))], wrap="```")
    small = present((rich(notes(block)), block.source))
    yield from _contexts(_mrkdwn_object(part) for item in small for part in _pieces(_mrkdwn(item), MAX_ELEMENT))


def _actions(subject: str, buttons: tuple[Button, ...]) -> Iterator[SlackBlock]:
    """Buttons, as many blocks as they need. An id that Slack would refuse is an error of ours, not a reader's."""
    for start in range(0, len(buttons), MAX_BUTTONS):
        block_id = subject if start == 0 else f"{subject}:{start}"
        if len(block_id) > MAX_ID:
            raise ValueError(f"a block's id of more than {MAX_ID} characters: {block_id[:60]}…")
        elements = [_button(button) for button in buttons[start : start + MAX_BUTTONS]]
        yield {"type": "actions", "block_id": block_id, "elements": elements}


def _button(button: Button) -> SlackBlock:
    words = _plain_text(_cut(escape(button.label), MAX_BUTTON_TEXT))
    question = {"confirm": _question(button)} if button.ask else {}
    if button.kind == "date":
        return {"type": "datepicker", "action_id": button.act, "placeholder": words, **question}
    made: SlackBlock = {"type": "button", "action_id": button.act, "text": words, **question}
    if button.style:
        made["style"] = button.style
    if button.kind == "link":
        if not button.url.startswith(("https://", "http://")) or len(button.url) > MAX_URL:
            raise ValueError(f"not a link that a button can open: {button.url[:80]!r}")
        made["url"] = button.url
    return made


def _question(button: Button) -> SlackBlock:
    return {
        "title": _plain_text(_cut(escape(button.label.rstrip(" …")), 100)),
        "text": _plain_text(_cut(escape(button.ask), MAX_QUESTION)),
        "confirm": _plain_text("Yes"),
        "deny": _plain_text("No"),
    }


def _plain_text(text: str) -> SlackBlock:
    return {"type": "plain_text", "text": text or " ", "emoji": False}


def _mrkdwn_object(text: str) -> SlackBlock:
    return {"type": "mrkdwn", "text": text or " ", "verbatim": True}


def _sections(lines: Iterable[str], wrap: str = "") -> Iterator[SlackBlock]:
    """Lines packed into as few sections as their limit allows, cut between lines where possible."""
    limit = MAX_SECTION - 2 * (len(wrap) + 1)
    held: list[str] = []
    size = 0
    for line in lines:
        for piece in _pieces(line, limit):
            width = _width(piece) + 1
            if held and size + width > limit:
                yield _section(held, wrap)
                held, size = [], 0
            held.append(piece)
            size += width
    if held:
        yield _section(held, wrap)


def _section(lines: list[str], wrap: str) -> SlackBlock:
    body = "\n".join(lines)
    return {"type": "section", "text": _mrkdwn_object(f"{wrap}\n{body}\n{wrap}" if wrap else body)}


def _contexts(elements: Iterable[SlackBlock]) -> Iterator[SlackBlock]:
    held: list[SlackBlock] = []
    for element in elements:
        held.append(element)
        if len(held) == MAX_ELEMENTS:
            yield {"type": "context", "elements": held}
            held = []
    if held:
        yield {"type": "context", "elements": held}


# Limits -----------------------------------------------------------------------------------------------------


def _width(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _pieces(text: str, limit: int) -> Iterator[str]:
    """The text in pieces of at most `limit` units, cut at a space where there is one, never inside an entity or
    a character."""
    while _width(text) > limit:
        cut = len(_head(text, limit))
        space = text.rfind(" ", cut // 2, cut)
        if space > 0:
            cut = space
        entity = text.rfind("&", max(0, cut - 4), cut)
        if entity > 0 and ";" not in text[entity:cut]:
            cut = entity
        yield text[:cut]
        text = text[cut:].lstrip(" ")
    yield text


def _head(text: str, limit: int) -> str:
    """The longest beginning of at most `limit` units that ends between characters, joined emoji kept whole."""
    head = text.encode("utf-16-le")[: 2 * limit].decode("utf-16-le", "ignore")
    while len(head) > 1 and len(head) < len(text) and (text[len(head)] in "\u200d\ufe0f" or head[-1] == "\u200d"):
        head = head[:-1]
    return head


def _cut(text: str, limit: int) -> str:
    if _width(text) <= limit:
        return text
    return next(_pieces(text, limit - 1)) + "…"


def _parts(blocks: list[SlackBlock]) -> Iterator[list[SlackBlock]]:
    """Blocks by message: at most 50, and no more text than Slack takes in one."""
    held: list[SlackBlock] = []
    size = 0
    for block in blocks:
        width = _text_width(block)
        if held and (len(held) == MAX_BLOCKS or size + width > MAX_MESSAGE):
            yield held
            held, size = [], 0
        held.append(block)
        size += width
    yield held


def _text_width(block: SlackBlock) -> int:
    if block["type"] == "actions":
        return sum(_width((item.get("text") or item["placeholder"])["text"]) for item in block["elements"])
    texts = [block["text"]] if "text" in block else block.get("elements", [])
    return sum(_width(text["text"]) for text in texts)


def _fallback(document: Document) -> str:
    """Summary first, then the document as plain lines, for screen readers and where blocks are refused."""
    from ops_platform.documents.terminal import plain_lines

    lines = [inert(line) for line in (plain(document.summary), *plain_lines(document)) if line.strip()]
    return _cut("\n".join(lines) or inert(document.kind), MAX_TEXT)

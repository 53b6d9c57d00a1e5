"""A document as an e-mail: well formed, nothing from outside, no link of a stranger's, all said in plain text too."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings

from ops_platform.documents import email
from ops_platform.documents.model import (
    Actions,
    Bullets,
    Button,
    Document,
    Footer,
    Heading,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quote,
    Quoted,
    StatusLine,
    StatusLines,
    Table,
    Title,
    rich,
)
from tests.documents.deck import deck
from tests.documents.test_slack import document, documents
from tests.evidence.bundles import HOSTILE, morning
from tests.sizes import examples

TRICKS = (
    *HOSTILE,
    "https://evil.example/a?b=c",
    "HTTP://EVIL.EXAMPLE",
    "www.evil.example",
    "pay at evil.com/now today",
    "mail me@evil.example or mailto:me@evil.example",
    "javascript:alert(1) data:text/html,x file:///etc/passwd",
    '"><img src=https://evil.example/x.png onerror=alert(1)>',
    "<style>body{display:none}</style><a href=//evil.example>x</a>",
    "cid:chart-01@ops &#104;ttps&colon;//evil.example",
    "line\r\nBcc: all@evil.example\r\n\r\nbody",
    "tel:+15551234567 call 1-900-555-0199",
    "{panel} {0} {sender!r} %s %(x)s",
)
VOID = {"meta", "img", "br"}
TAGS = {
    "html", "head", "title", "style", "body", "div", "table", "tr", "td", "th", "thead", "tbody", "h1", "h2", "h3", "p",
    "strong", "em", "span", "bdi", "a", "code", *VOID,
}  # fmt: skip
# What the usual clients make a link of by themselves.
LINKED = re.compile(r"(?i)\b(?:[a-z][a-z0-9+.-]+://|mailto:|www\.)\w|[\w.+-]+@\w+\.\w|\b[a-z0-9-]+\.[a-z]{2,}\b")


class Reader(HTMLParser):
    """A strict reader: every tag known and closed in order; collects text, addresses and pictures."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert not name.startswith("on") and name not in ("background", "srcset", "action"), name
            assert name != "style" or "url(" not in (value or "")
            self.addresses += [value or ""] if name == "href" else []
            self.pictures += [value or ""] if name == "src" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def read(mail: email.Mail) -> Reader:
    reader = Reader()
    reader.feed(mail.html)
    reader.close()
    assert reader.open == []
    # Nothing from outside: pictures are the mail's own.
    assert reader.pictures == [f"cid:{picture.cid}" for picture in mail.pictures]
    assert "@import" not in mail.html and "<script" not in mail.html and "<link" not in mail.html
    return reader


def sent(made: Document, **changes: object) -> email.Mail:
    return email.render(made, sender="Northbeam", **changes)  # type: ignore[arg-type]


@settings(max_examples=examples(60), deadline=None)
@given(documents)
def test_any_document_is_a_mail(made: Document) -> None:
    mail = sent(made)
    reader = read(mail)
    assert reader.addresses == []
    assert mail.text.endswith("\n") and "\x1b" not in mail.text and "\x00" not in mail.text + mail.html
    assert "\n" not in mail.subject and 0 < len(mail.subject) <= email.MOST_SUBJECT


@pytest.mark.parametrize("hostile", [text for text in TRICKS if text])
def test_hostile_text_is_text_and_becomes_no_link(hostile: str) -> None:
    quoted = rich(Quoted(hostile))
    made = document(
        Title(quoted), Heading(quoted), Quote(hostile, quoted), Paragraph(rich("see ", Quoted(hostile, bold=True))),
        Bullets((quoted,)), KeyFigures((KeyFigure(hostile, quoted, (quoted,)),)),
        StatusLines((StatusLine("ok", hostile, quoted),)), Table((hostile, "b", "c", "d", "e"), ((quoted,) * 5,)),
        Footer((quoted,)), Actions("alert:1", (Button("x", hostile, command=hostile, url=hostile),)),
    )  # fmt: skip
    mail = sent(made)
    reader = read(mail)
    assert reader.addresses == []
    for said in (mail.subject, mail.text, reader.text):
        assert LINKED.search(said) is None, LINKED.search(said)
        assert re.search(r"@\w", said) is None
        assert not any(char in said for char in "\u202e\u2066\r\x00")
    if "<style>" in hostile:
        assert "<style>body{display:none}</style>" in reader.text.replace("\u200b", "")


def test_only_our_own_buttons_are_links() -> None:
    buttons = (
        Button("open", "Open", kind="link", url="https://ops.northbeam.example/alerts/12?x=1&y=2"),
        Button("bad", "Bad", kind="link", url="javascript:alert(1)"),
        Button("ack", "Acknowledge", command="ops alert ack 12"),
    )
    reader = read(sent(document(Actions("alert:12", buttons))))
    assert reader.addresses == ["https://ops.northbeam.example/alerts/12?x=1&y=2"]
    assert urlsplit(reader.addresses[0]).scheme == "https"
    assert "At a terminal: ops alert ack 12" in reader.text


def test_the_plain_part_says_what_the_page_says() -> None:
    mail = sent(deck(), attached=("pack.pdf", "pack.xlsx"))
    for number in ("$412,381", "41%", "+3.1%", "unknown since Sat 3 Oct 04:00", "Attached: pack"):
        assert number in mail.text, number
        assert number in read(mail).text, number
    assert max(len(line) for line in mail.text.splitlines() if "http" not in line) < 200


def test_charts_travel_with_the_mail_and_are_said_in_words() -> None:
    mail = sent(deck())
    assert len(mail.pictures) == 7
    assert all(picture.png.startswith(b"\x89PNG") for picture in mail.pictures)
    assert len({picture.cid for picture in mail.pictures}) == 7
    alternatives = re.findall(r'<img [^>]*alt="([^"]+)"', mail.html)
    assert len(alternatives) == 7
    assert "Oct 2026 $412" in alternatives[0].replace("\u200b", "")


def test_the_same_document_is_the_same_mail() -> None:
    assert sent(deck()) == sent(deck())


def test_a_wide_table_can_be_read_on_a_telephone() -> None:
    """Its columns' names stand in each cell, shown where the rules of the page's head turn rows into lines."""
    row = tuple(rich(str(number)) for number in range(6))
    mail = sent(document(Table(("SKU", "Mon", "Tue", "Wed", "Thu", "Fri"), (row,))))
    assert mail.html.count('class="named"') == 5
    assert 'class="wide"' in mail.html and ".wide .named" in mail.html
    small = sent(document(Table(("SKU", "Units"), (row[:2],))))
    assert 'class="named"' not in small.html and 'class="wide"' not in small.html


def test_the_pulse_fits_a_mail() -> None:
    from ops_platform.documents.kinds import compose
    from ops_platform.writing.briefs import brief_for
    from ops_platform.writing.rules import RulesWriter

    bundle = morning()
    mail = sent(compose(bundle, RulesWriter().write(bundle, brief_for(bundle))))
    assert mail.subject == "Friday, 20 November 2026 — morning pulse"
    # Gmail cuts a mail off at 102 kB.
    assert len(mail.html.encode()) < 30_000
    assert "−8.2%" in read(mail).text and "−8.2%" in mail.text

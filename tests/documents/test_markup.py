"""Markdown and HTML: what is shown is what was meant, hostile text included."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from ops_platform.documents import html, markdown
from ops_platform.documents.model import (
    Bullets,
    Document,
    Footer,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quote,
    Quoted,
    StatusLine,
    StatusLines,
    Table,
    Title,
    bold,
    rich,
)
from tests.documents.test_slack import document, documents
from tests.evidence.bundles import HOSTILE
from tests.sizes import examples

ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "article", "div", "i", "small", "h1", "p", "pre", "hr",
    "span", "bdi", "b", "em", "br",
}  # fmt: skip
VOID = {"meta", "hr", "br"}


class Reader(HTMLParser):
    """A strict reader: every tag known, closed in order; collects text and attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED, tag
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert reader.attributes <= {"lang", "charset", "name", "content", "http-equiv", "class", "aria-hidden"}
    return reader


@settings(max_examples=examples(80), deadline=None)
@given(documents)
def test_any_page_is_well_formed_and_has_only_our_tags(made: Document) -> None:
    page = html.render(made)
    read(page)
    assert "default-src 'none'" in page
    assert "width=device-width" in page
    assert "<script" not in page
    assert re.search(r"(?:src|href)\s*=", re.sub(r"&[^;]+;", "", page)) is None or "&quot;" in page


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_text_on_the_page(hostile: str) -> None:
    made = document(
        Title(rich(Quoted(hostile))), Quote(hostile), Paragraph(rich("see ", Quoted(hostile))),
        Footer((rich(Quoted(hostile)),)), Table(("h",), ((rich(Quoted(hostile)),),)),
    )  # fmt: skip
    shown = read(html.render(made)).text
    if "script" in hostile:
        assert "<script>alert(1)</script>&amp;" in shown


def test_the_picture_shows_bold_and_line_breaks_as_slack_does() -> None:
    rows = (KeyFigure("Net sales", rich(bold("$5.00")), (rich("up"),), "💰"), KeyFigure("Month", rich("x")))
    page = html.render(document(KeyFigures(rows)), sender="Ops <b>", at="6:00 AM")
    assert "<p><bdi>💰 <b>Net sales</b>  <b>$5.00</b> · up<br>↳ Month  x</bdi></p>" in page
    assert "Ops &lt;b&gt;" in page
    assert "6:00 AM" in page


def test_a_document_in_parts_is_a_page_with_its_thread() -> None:
    page = html.render(document(*(Paragraph(rich(f"p{number}")) for number in range(60))))
    assert page.count("<article>") == 2


# Markdown ---------------------------------------------------------------------------------------------------

_UNESCAPED = re.compile(r"(?<!\\)(?:\\\\)*([*_`\[\]<>|#~])")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_makes_no_markdown(hostile: str) -> None:
    shown = markdown.escape(hostile)
    assert "\n" not in shown
    assert _UNESCAPED.search(shown) is None
    assert re.search(r"https?:", shown) is None
    assert re.search(r"@\w", shown) is None


@settings(max_examples=examples(80), deadline=None)
@given(documents)
def test_any_document_has_a_markdown_form(made: Document) -> None:
    text = markdown.render(made)
    assert text.endswith("\n")
    assert "\x00" not in text
    assert re.search(r"(?<!\\)<(?!/?sub>)", text) is None


def test_markdown_of_each_block() -> None:
    made = document(
        Title(rich("Pulse")),
        Bullets((rich("a", bold("b")),)),
        Quote("1. <x>", rich("me")),
        StatusLines((StatusLine("ok", "Sales", rich("fine")), StatusLine("unknown", "Design"))),
        Table(("SKU", "units"), ((rich(Quoted("A|B")), rich("5")),)),
        Footer((rich("small"),)),
    )
    assert markdown.render(made).split("\n\n") == [
        "# Pulse",
        "- a**b**",
        "> “1\\. \\<x\\>” — me",
        "- ✓ **Sales** — fine\n- ◌ **Design**",
        "| SKU | units |\n|---|---|\n| A\\|B | 5 |",
        "<sub>small</sub>\n",
    ]

"""The terminal rendering: widths that hold, text that cannot steer."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.documents import terminal
from ops_platform.documents.model import Document, Paragraph, Quote, Quoted, StatusLine, StatusLines, Words, bold, rich
from ops_platform.documents.terminal import clean, columns, display_width, visible_width, wrapped
from tests.documents.test_slack import document, documents
from tests.evidence.bundles import HOSTILE
from tests.sizes import examples

ANSI = re.compile(r"\x1b\[\d+m")


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("日本", 4),
        ("💰", 2),
        ("⚠", 1),
        ("⚠\ufe0f", 2),
        ("🏷\ufe0f", 2),
        ("👩‍👩‍👧‍👦", 2),
        ("👍🏽", 2),
        ("a\u200bb", 2),
        ("\u2068שלום\u2069", 4),
        ("▰▱", 2),
    ],
)
def test_display_width(text: str, width: int) -> None:
    assert display_width(text) == width


@settings(max_examples=examples(100), deadline=None)
@given(documents, st.integers(24, 120), st.booleans())
def test_no_line_is_wider_than_asked_and_none_steers(made: Document, width: int, colour: bool) -> None:
    text = terminal.render(made, width=width, colour=colour)
    bare = ANSI.sub("", text)
    assert "\x1b" not in bare
    assert text.endswith("\n")
    in_table = {line for block in made.blocks if type(block).__name__ == "Table" for line in _table_lines(block)}
    for line in bare.split("\n"):
        assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in line)
        if line not in in_table:
            assert display_width(line) <= width, line


def _table_lines(block: object) -> list[str]:
    return list(terminal._block(block, 80, terminal._Paint(False)))  # type: ignore[arg-type]


@settings(deadline=None)
@given(documents)
def test_colour_only_adds_colour(made: Document) -> None:
    assert ANSI.sub("", terminal.render(made, width=60, colour=True)) == terminal.render(made, width=60)


@given(st.text(st.characters(codec="utf-8"), max_size=300), st.integers(8, 60))
def test_wrapping_keeps_every_word_and_its_order(text: str, width: int) -> None:
    text = " ".join(clean(text).split(" "))
    lines = list(wrapped(text, width, first="> ", rest="  "))
    assert all(visible_width(line) <= width for line in lines)
    body = [line[2:] for line in lines]
    assert "".join("".join(body).split(" ")) == "".join(text.split(" "))


def test_vendor_text_cannot_clear_the_screen_or_turn_the_line_round() -> None:
    text = terminal.render(document(Quote("\x1b[2J\x07ding \u202egnp.exe", rich(Quoted("שלום")))))
    assert text == "   │ “[2Jding gnp.exe” — \u2068שלום\u2069\n"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_shown(hostile: str) -> None:
    text = terminal.render(document(Paragraph(rich("SKU ", Quoted(hostile)))), width=78)
    assert text.startswith("SKU")
    assert "\u202e" not in text


def test_status_lines_align_and_emphasis_is_painted_word_by_word() -> None:
    made = document(
        StatusLines((StatusLine("ok", "Sales", rich("fine")), StatusLine("attention", "Supply Chain", rich("late")))),
        Paragraph(rich(bold("two words"), Words(" here", italic=True))),
    )
    assert terminal.render(made) == "✓ Sales         fine\n⚠ Supply Chain  late\ntwo words here\n"
    painted = terminal.render(made, colour=True)
    assert "\x1b[1mtwo\x1b[0m \x1b[1mwords\x1b[0m" in painted
    assert "\x1b[33m⚠\x1b[0m" in painted


def test_columns_align_by_display_width() -> None:
    assert columns([["SKU", "units"], ["日本-1", "5"], ["A", "1,200"]]) == [
        "SKU     units",
        "日本-1      5",
        "A       1,200",
    ]

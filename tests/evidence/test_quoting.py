"""Vendor text on its way into a bundle: short, one line, nothing personal, nothing that steers."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_platform.evidence.encoding import canonical
from ops_platform.evidence.model import Row
from ops_platform.evidence.quoting import minimise, whole_sentences


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("  two\n\tlines\r\n here ", "two lines here"),
        ("see <https://x.example/a?b=1|the sheet> now", "see the sheet now"),
        ("see <https://x.example/a> now", "see [link] now"),
        ("https://x.example/a www.x.example ftp://h/f", "[link] [link] [link]"),
        ("<!channel> <@U123|bob> <#C1|general>", "[mention] [mention] [mention]"),
        ("&lt;!channel&gt; hello", "[mention] hello"),
        ("write to li.wei+x@factory.example.cn please", "write to [e-mail] please"),
        ("call +86 755 1234 5678 or 0049 (30) 123456", "call [phone] or [phone]"),
        ("order 1001 of 2026-11-19, 12 500 units", "order 1001 of 2026-11-19, 12 500 units"),
        ("data: 45 units", "data: 45 units"),
        ("\u202egnp.exe\u2066 \u200b\ufeffok\x1b[31m\x00", "gnp.exe ok[31m"),
        ("עברית and العربية", "עברית and العربية"),
        ("👩‍👩‍👧 ⚠️ ok", "👩‍👩‍👧 ⚠️ ok"),
        ("A & B <3", "A & B <3"),
        ("", ""),
    ],
)
def test_what_is_kept(given_text: str, kept: str) -> None:
    assert minimise(given_text) == kept


def test_long_text_is_cut_at_a_word_with_an_ellipsis() -> None:
    cut = minimise("the quick brown fox jumps over the lazy dog", 20)
    assert cut == "the quick brown fox…"
    assert minimise("x" * 50, 10) == "x" * 9 + "…"


@given(st.text(max_size=400), st.integers(10, 200))
def test_any_text_becomes_one_short_storable_line(text: str, limit: int) -> None:
    kept = minimise(text, limit)
    assert len(kept) <= limit
    assert "\n" not in kept
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in kept)
    canonical(Row({"text": kept}))


@given(st.text(max_size=200))
def test_minimising_twice_changes_nothing_more(text: str) -> None:
    once = minimise(text)
    assert len(minimise(once)) <= len(once)


def test_a_text_is_cut_at_the_end_of_a_sentence() -> None:
    text = "Orders of the day. Test orders left out, e.g. those of staff. A cancelled one stays."
    assert whole_sentences(text, 200) == text
    assert whole_sentences(text, 70) == "Orders of the day. Test orders left out, e.g. those of staff."
    assert whole_sentences(text, 30) == "Orders of the day."
    assert whole_sentences(text, 12) == "Orders of…"

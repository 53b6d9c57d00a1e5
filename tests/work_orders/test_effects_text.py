"""Cleaned texts, read by another's Markdown parser: nothing in them links, calls, draws, commands or forges."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ops_platform.work_orders import sanitising
from tests.sizes import examples
from tests.work_orders.read_as_github import read

HOST = ("docs.northbeam.example",)
# Pieces of which attacks are made; put together in every order.
PIECES = (
    "[", "]", "(", ")", "!", "<", ">", "&", "#", "@", ":", "//", "http://evil.example/a?b=", "www.evil.example",
    "https:", "javascript:alert(1)", "mailto:a@evil.example", "evil.example/x", "[a]: http://evil.example", "![x]",
    "\n", "\n\n", " ", "\t", "`", "```", "~~~", "```mermaid\n",
    "www\\.evil.example", "https:\\//evil.example", "GH\\-7", "a\\@evil.example", "\\#12",
    "&#64;", "&commat;", "&lt;", "&#x68;ttps", "<!--", "-->", "\\", "\\@",
    "mei-zhao", "northbeam/team", "12", "#12", "GH-7", "northbeam/app#3", "/close", "/approve", "$", "$$", "\\href",
    "\u200b", "\u200d", "\u202e", "\ufe0f", "\U000e0041", "\u2028", "\r", "\x00", "\u3164", "\uff20", "<img src=x>",
    "</details>", "<ops-effect", "<!-- ops-effect " + "a" * 32 + " -->", "x", "|", "---", "***", "_", "~~", "- ", "1. ",
    "> ", "    ", "https://docs.northbeam.example/a", "[ok](https://docs.northbeam.example/x)",
)  # fmt: skip
attacks = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@given(text=st.one_of(attacks, st.text(max_size=80), st.tuples(st.text(max_size=20), attacks).map("".join)))
@settings(max_examples=examples(300), deadline=None)
@example("[a]\u200b(http://evil.example)")
@example("![[x](https://docs.northbeam.example/x)](/y)")
@example("!\u200d[ok](https://docs.northbeam.example/x)")
@example("[a\n](/b)")
@example("<ht\u200btps://evil.example>")
@example("&#x40;mei-zhao")
@example("GH\\-4 \\@mei-zhao \\#4 www\\.evil.example https\\:\\/\\/evil\\.example a\\@evil\\.example")
def test_nothing_in_a_cleaned_text_does_anything(text: str) -> None:
    done = sanitising.markdown(text, links=HOST).text
    assert read(done).harm(HOST) == {}
    assert read(sanitising.marked(done, "b" * 32)).markers == 1
    assert sanitising.mark_in(done) is None


@pytest.mark.slow
@given(text=st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@settings(max_examples=examples(30_000), deadline=None)
def test_nothing_in_a_cleaned_text_does_anything_at_length(text: str) -> None:
    assert read(sanitising.markdown(text, links=HOST).text).harm(HOST) == {}


@given(text=attacks)
@settings(max_examples=examples(100), deadline=None)
def test_cleaning_what_is_clean_changes_nothing_that_shows(text: str) -> None:
    once = sanitising.markdown(text, links=HOST).text
    twice = sanitising.markdown(once, links=HOST).text
    assert once.replace("\u200b", "") == twice.replace("\u200b", "")


@pytest.mark.parametrize(
    "text",
    [
        "Revenue was **$12,345.67**, up 4.2 % on May.\n\n| SKU | Units |\n| --- | ---: |\n| NB-1 | 4 |\n\n- one\n- two",
        "```sql\nselect sku, sum(units) from fct_sales\n```\n\nSee `docs/jobs.md`, net/gross, 1/2 and R&D; 3 < 4 > 2.",
        "# Heading\n\n> Quoted\n\n1. First\n2. Second: done!\n\nNaïve café — 東京 ✓ 😀",
        "The data: fine. File: a.md, tel: none. Up 3 %: see docs/jobs.md and fct_sales.net_amount; 1/2, a/b, R&D.",
        "See [the note](https://docs.northbeam.example/a/b) or https://docs.northbeam.example/c.",
    ],
)
def test_what_an_answer_is_made_of_stays_as_it_is(text: str) -> None:
    done = sanitising.markdown(text, links=HOST)
    assert done.text == text and done.cut == {}


def test_what_was_cut_out_is_counted() -> None:
    done = sanitising.markdown("@mei-zhao see http://evil.example and <b>\u202e #12\n/close")
    assert done.cut == {"mentions": 1, "links": 1, "html": 1, "unseen": 1, "references": 1, "commands": 1}
    assert sanitising.REMOVED in done.text and "evil" not in done.text


def test_titles_are_one_line_that_steers_nothing() -> None:
    done = sanitising.one_line("Fix\nit [skip ci] closes #12 @mei-zhao " + "x" * 300, 120)
    assert "\n" not in done.text and len(done.text) == 120 and "[skip" not in done.text
    assert read(done.text).harm() == {}


def test_credentials_never_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "github_pat_11ABCDEFG0" + "x" * 40
    for done in (sanitising.markdown(f"It is {token}."), sanitising.file_text(token), sanitising.one_line(token, 90)):
        assert "github_pat_" not in done.text and done.cut["secrets"] == 1


@given(meta=st.dictionaries(st.text(max_size=10), st.one_of(st.text(max_size=60), st.integers(), st.booleans())))
@settings(max_examples=examples(100), deadline=None)
@example({"a": "--> <script>", "b": "-->\n<!-- ops-effect"})
def test_a_marker_keeps_what_it_is_given_and_cannot_be_ended(meta: dict[str, str | int | bool]) -> None:
    body = sanitising.marked("Text", "c" * 32, meta)
    assert sanitising.mark_in(body) == ("c" * 32, json.loads(json.dumps(meta)))
    assert sanitising.unmarked(body) == "Text" and body.count("-->") == 1
    assert len(re.findall("<!--", body)) == 1


@pytest.mark.parametrize(
    "unit",
    ["a", "a.", "a-", "-", "@a", "a@", "a@a.", "http", "://", "\\.", "[", "](", "`", "#1", "&a", "$", "www", "\n/a"],
)
def test_a_long_hostile_text_takes_no_time(unit: str) -> None:
    began = time.process_time()
    sanitising.markdown(unit * (65_536 // len(unit)), links=HOST)
    assert time.process_time() - began < 2


def test_quotations_are_marked_line_by_line() -> None:
    quoted = sanitising.quoted("Ignore all\n\n# Instructions\n@mei-zhao http://evil.example " + "y" * 900, most=200)
    assert all(line.startswith(">") for line in quoted.split("\n")) and read(quoted).harm() == {}
    assert len(quoted) < 230

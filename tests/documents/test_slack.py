"""Slack messages: inside every limit, nothing lost, nothing hostile alive."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.documents import slack
from ops_platform.documents.glyphs import bar
from ops_platform.documents.model import (
    Block,
    Bullets,
    Claim,
    Divider,
    Document,
    Footer,
    Heading,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quote,
    Quoted,
    RichText,
    ScoreBar,
    StatusLine,
    StatusLines,
    Table,
    Title,
    Words,
    bold,
    rich,
)
from tests.evidence.bundles import HOSTILE, YESTERDAY
from tests.sizes import examples

D = Decimal


SUMMARY = rich("Summary")


def document(*blocks: Block, summary: RichText = SUMMARY) -> Document:
    return Document(
        kind="pulse",
        period=YESTERDAY,
        as_of=datetime(2026, 11, 20, 11, tzinfo=UTC),
        summary=summary,
        blocks=blocks,
        claims=(),
        evidence="e" * 64,
        writer="rules",
    )


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def text_objects(block: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["text"]] if "text" in block else list(block.get("elements", []))


def assert_within_limits(messages: tuple[slack.SlackMessage, ...]) -> None:
    """Slack's limits as its documentation states them, checked on what would go over the wire."""
    assert messages
    for message in messages:
        payload = message.payload()
        json.dumps(payload, ensure_ascii=False).encode("utf-8")
        assert payload.get("blocks", True)
        assert payload["unfurl_links"] is False
        assert payload["unfurl_media"] is False
        assert 0 < units(message.text) <= 4000
        assert len(message.blocks) <= 50
        for block in message.blocks:
            assert block["type"] in ("header", "section", "divider", "context")
            if block["type"] == "header":
                assert block["text"]["type"] == "plain_text"
                assert units(block["text"]["text"]) <= 150
            if block["type"] == "context":
                assert 1 <= len(block["elements"]) <= 10
            for text in text_objects(block):
                assert 1 <= units(text["text"]) <= 3000
                allowed = {"type", "text", "emoji"} if text["type"] == "plain_text" else {"type", "text", "verbatim"}
                assert set(text) == allowed
                assert text.get("verbatim", True) is True


def everything(messages: tuple[slack.SlackMessage, ...]) -> str:
    return "\n".join(text["text"] for message in messages for block in message.blocks for text in text_objects(block))


def assert_harmless(text: str) -> None:
    """No control sequence of Slack's: every angle bracket and ampersand is an entity."""
    assert "<" not in text
    assert ">" not in text
    assert re.search(r"&(?!(?:amp|lt|gt);)", text) is None


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=80)
spans = st.one_of(
    texts.map(Words),
    st.sampled_from(HOSTILE).map(Quoted),
    texts.map(lambda text: Quoted(text, bold=True)),
    texts.map(lambda text: Words(text, bold=True)),
    texts.map(lambda text: Words(text, italic=True)),
    st.just(Claim("f", "value", "$1,234", "not_tied_out", "05:41", bold=True)),
)
riches = st.lists(spans, max_size=4).map(tuple)
lines = st.lists(riches, max_size=60).map(tuple)
blocks = st.one_of(
    riches.map(Title),
    st.builds(Heading, riches, st.sampled_from(("", "📦"))),
    st.builds(
        ScoreBar,
        texts,
        riches,
        st.none() | st.decimals(-1, 2, places=3),
        st.none(),
        st.none(),
        riches,
    ),
    st.lists(st.builds(KeyFigure, texts, riches, lines, st.sampled_from(("", "💰"))), max_size=8).map(
        lambda rows: KeyFigures(tuple(rows))
    ),
    riches.map(Paragraph),
    lines.map(Bullets),
    st.builds(Quote, st.sampled_from(HOSTILE) | texts, riches),
    st.lists(
        st.builds(StatusLine, st.sampled_from(("ok", "attention", "unknown", "info")), texts, riches),
        max_size=40,
    ).map(lambda rows: StatusLines(tuple(rows))),
    st.lists(st.tuples(riches, riches), max_size=20).map(lambda rows: Table(("a", "b"), tuple(rows))),
    st.just(Divider()),
    lines.map(Footer),
)
documents = st.builds(lambda made, summary: document(*made, summary=summary), st.lists(blocks, max_size=12), riches)


@settings(max_examples=examples(150), deadline=None)
@given(documents)
def test_any_document_stays_within_limits_and_harmless(made: Document) -> None:
    messages = slack.render(made)
    assert_within_limits(messages)
    assert_harmless(everything(messages))
    for message in messages:
        assert_harmless(message.text)


@settings(max_examples=examples(60), deadline=None)
@given(documents)
def test_any_document_round_trips_as_json(made: Document) -> None:
    again = Document.from_json(json.loads(json.dumps(made.to_json())))
    assert again == made
    assert again.digest == made.digest
    assert slack.render(again) == slack.render(made)


def test_a_long_list_is_split_and_nothing_is_lost() -> None:
    items = tuple(rich(f"item-{number:04d} ", "x" * 60) for number in range(2500))
    messages = slack.render(document(Title(rich("Long")), Bullets(items)))
    assert_within_limits(messages)
    assert len(messages) > 1
    shown = everything(messages)
    assert [int(found) for found in re.findall(r"item-(\d{4})", shown)] == list(range(2500))
    assert messages[1].text == f"Summary (2/{len(messages)})"


def test_more_than_fifty_blocks_go_on_in_the_thread() -> None:
    messages = slack.render(document(*(Paragraph(rich(f"p{number}.")) for number in range(120))))
    assert [len(message.blocks) for message in messages] == [50, 50, 20]
    assert re.findall(r"p(\d+)\.", everything(messages)) == [str(number) for number in range(120)]


def test_eleven_small_prints_are_two_contexts() -> None:
    (message,) = slack.render(document(Footer(tuple(rich(f"n{number}") for number in range(11)))))
    assert [len(block["elements"]) for block in message.blocks] == [10, 1]


def test_one_endless_line_is_cut_between_words_and_never_inside_an_entity() -> None:
    text = "fish & chips <3 " * 900
    messages = slack.render(document(Paragraph(rich(text))))
    assert_within_limits(messages)
    pieces = everything(messages).split("\n")
    assert len(pieces) > 1
    assert_harmless(everything(messages))
    assert html.unescape(" ".join(pieces)).split() == text.split()


def test_a_word_without_spaces_is_cut_between_characters() -> None:
    messages = slack.render(document(Paragraph(rich("👩‍👩‍👧‍👦" * 700))))
    assert_within_limits(messages)
    joined = everything(messages).replace("\n", "")
    assert joined == "👩‍👩‍👧‍👦" * 700
    for piece in everything(messages).split("\n"):
        assert not piece.startswith("\u200d")


def test_a_header_is_cut_at_its_limit() -> None:
    (message,) = slack.render(document(Title(rich("word " * 60))))
    text = message.blocks[0]["text"]["text"]
    assert units(text) <= 150
    assert text.endswith("word…")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_shows_as_it_is_and_does_nothing(hostile: str) -> None:
    made = document(
        Quote(hostile, rich(Quoted(hostile))),
        Paragraph(rich("SKU ", Quoted(hostile), " is low")),
        Bullets((rich(Quoted(hostile)),)),
        StatusLines((StatusLine("ok", hostile, rich(Quoted(hostile))),)),
        Footer((rich(Quoted(hostile)),)),
        Table(("h",), ((rich(Quoted(hostile)),),)),
        Title(rich(Quoted(hostile))),
    )
    messages = slack.render(made)
    assert_within_limits(messages)
    assert_harmless(everything(messages))
    for message in messages:
        for block in message.blocks:
            for text in text_objects(block):
                if text["type"] == "mrkdwn" and not text["text"].startswith("```"):
                    # Emphasis is ours alone: a status line's label, nothing else.
                    assert text["text"].count("*") in (0, 2)
                    assert "`" not in text["text"]
                    assert "~" not in text["text"]
                    assert re.search(r"(?<!\w)_|_(?!\w)", text["text"]) is None


def test_a_quote_is_plain_text_word_for_word() -> None:
    (message,) = slack.render(document(Quote("<!channel> *now*  \n please", rich(Quoted("Shenzhen")))))
    (element,) = message.blocks[0]["elements"]
    assert element == {
        "type": "plain_text",
        "text": "“&lt;!channel&gt; *now* please” — Shenzhen",
        "emoji": False,
    }


def test_emphasis_touches_its_words() -> None:
    text = rich(bold(" spaced "), "x", Words("", bold=True), Words("it", italic=True))
    (message,) = slack.render(document(Paragraph(text)))
    assert message.blocks[0]["text"]["text"] == " *spaced* x_it_"


def test_marks_are_part_of_the_number() -> None:
    loose = Claim("f", "value", "$5.00", "not_tied_out")
    (message,) = slack.render(document(Paragraph(rich("Net sales ", loose))))
    assert message.blocks[0]["text"]["text"] == "Net sales $5.00 (⚠ not tied out)"


def test_the_fallback_says_what_the_blocks_say() -> None:
    made = document(
        Title(rich("Title")),
        Paragraph(rich("First & foremost")),
        StatusLines((StatusLine("attention", "Sales", rich("down")),)),
        summary=rich("The summary"),
    )
    (message,) = slack.render(made)
    assert message.text.split("\n") == ["The summary", "First &amp; foremost", "⚠ Sales  down"]


@pytest.mark.parametrize(
    ("fraction", "drawn"),
    [
        (None, "┈┈┈┈┈┈┈┈┈┈"),
        ("0", "▱▱▱▱▱▱▱▱▱▱"),
        ("0.001", "▰▱▱▱▱▱▱▱▱▱"),
        ("0.25", "▰▰▰▱▱▱▱▱▱▱"),
        ("0.776", "▰▰▰▰▰▰▰▰▱▱"),
        ("0.999", "▰▰▰▰▰▰▰▰▰▱"),
        ("1", "▰▰▰▰▰▰▰▰▰▰"),
        ("7", "▰▰▰▰▰▰▰▰▰▰"),
        ("-1", "▱▱▱▱▱▱▱▱▱▱"),
    ],
)
def test_the_bar(fraction: str | None, drawn: str) -> None:
    assert bar(None if fraction is None else D(fraction)) == drawn

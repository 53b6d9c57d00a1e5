"""The pulse as a document: the golden morning by hand, and what holds on any morning."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ops_platform.documents import html, markdown, slack, terminal
from ops_platform.documents.model import (
    Claim,
    Document,
    Footer,
    KeyFigures,
    Quoted,
    ScoreBar,
    StatusLines,
    Title,
    Words,
    plain,
    shown,
    spans_of,
)
from ops_platform.documents.pulse import compose_pulse
from ops_platform.evidence.model import Bundle, Fact, Row
from ops_platform.failures import DataFailure
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.draft import Draft
from ops_platform.writing.rules import RulesWriter
from tests.documents.test_slack import assert_harmless, assert_within_limits, everything
from tests.evidence.bundles import AS_OF, EVE, TODAY, WEEK, fact, morning, pulse_bundles
from tests.sizes import examples

GOLDEN = Path(__file__).parent / "golden"
DRAFT = Draft(
    slots={
        "headline": "Net sales fell {{c:net_sales.abs_delta_pct}} on {{c:net_sales.comparison.same_weekday.label}} to"
        " {{c:net_sales.value}}; {{c:skus_stock_critical.value}} SKUs at critical stock.",
        "driver": "The main driver is {{c:driver.label}}, which lowered the score by {{c:driver.abs_value}}.",
    },
)


def written(bundle: Bundle) -> Draft:
    return RulesWriter().write(bundle, brief_for(bundle))


@pytest.mark.parametrize(("name", "width"), [("pulse_desktop.txt", 78), ("pulse_phone.txt", 44)])
def test_the_golden_morning_in_a_terminal(name: str, width: int) -> None:
    document = compose_pulse(morning(), DRAFT)
    assert terminal.render(document, width=width) == (GOLDEN / name).read_text(encoding="utf-8")


def test_the_golden_morning_in_slack() -> None:
    (message,) = slack.render(compose_pulse(morning(), DRAFT))
    assert message.payload() == json.loads((GOLDEN / "pulse_slack.json").read_text(encoding="utf-8"))


def test_the_golden_morning_in_markdown() -> None:
    document = compose_pulse(morning(), DRAFT)
    assert markdown.render(document) == (GOLDEN / "pulse.md").read_text(encoding="utf-8")


def test_it_is_read_on_a_phone_in_half_a_minute() -> None:
    # A reader takes in about 240 words a minute; the small print is not for reading.
    document = compose_pulse(morning(), DRAFT)
    read = replace(document, blocks=tuple(block for block in document.blocks if not isinstance(block, Footer)))
    lines = [line for line in terminal.render(read, width=120).split("\n") if line.strip("─ ")]
    assert len(lines) <= 20
    assert len([word for word in " ".join(lines).split() if re.search(r"\w", word)]) <= 150


# What is unknown, stale or untied ---------------------------------------------------------------------------

STOPPED = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
UNKNOWN: Any = {"unknown_since": STOPPED}


def text_of(document: Document) -> str:
    return terminal.render(document, width=400)


def test_unknown_numbers_say_since_when_and_are_never_zero() -> None:
    bundle = morning(
        net_sales=fact("net_sales", "Net sales", "money", None, (*WEEK, "12240"), **UNKNOWN),
        net_sales_mtd=fact("net_sales_mtd", "Net sales month to date", "money", None, ("plan", "plan", "1"), **UNKNOWN),
        orders=fact("orders", "Orders", "count", None, **UNKNOWN),
        late_orders=fact("late_orders", "Late orders", "count", None, **UNKNOWN),
        health=fact("health", "Business health", "score", None, (*EVE, "80"), **UNKNOWN),
        skus_stock_critical=fact("skus_stock_critical", "SKUs critical", "count", None, **UNKNOWN),
        messages_waiting=fact("messages_waiting", "Messages waiting for an answer", "count", None),
    )
    lines = text_of(compose_pulse(bundle, written(bundle))).split("\n")
    since = "unknown since Thu 19 Nov 22:00"
    assert f"Business health  {since}  ┈┈┈┈┈┈┈┈┈┈" in lines
    assert f"💰 Net sales     {since}" in lines
    assert f"   Month to date {since}" in lines
    assert f"📦 Orders        {since} · 143 pending · late {since}" in lines
    assert f"🏷️ Inventory     critical {since} · 3 warning · 5 to watch" in lines
    assert "🌏 Overnight     messages unknown (never loaded)" in lines
    assert "$0" not in text_of(compose_pulse(bundle, written(bundle)))


def test_all_healthy_is_said_only_when_every_level_is_known_to_be_zero() -> None:
    def stock(name: str, value: str | None, **more: Any) -> Fact:
        return fact(name, name, "count", value, direction="down_is_good", period=TODAY, **more)

    none = {name: stock(name, "0") for name in ("skus_stock_critical", "skus_stock_warning", "skus_stock_watch")}
    assert "🏷️ Inventory     all healthy" in text_of(compose_pulse(morning(**none), DRAFT)).split("\n")
    unknown = {**none, "skus_stock_watch": stock("skus_stock_watch", None, **UNKNOWN)}
    assert "healthy" not in text_of(compose_pulse(morning(**unknown), DRAFT))
    old = {**none, "skus_stock_critical": stock("skus_stock_critical", "0", status="stale", fresh_to=STOPPED)}
    assert "all healthy (as of Thu 19 Nov 22:00)" in text_of(compose_pulse(morning(**old), DRAFT))


def test_a_number_that_did_not_tie_out_is_marked_wherever_it_stands_and_in_the_small_print() -> None:
    loose = replace(morning().fact("net_sales"), tie_out="mismatched")
    text = text_of(compose_pulse(morning(net_sales=loose), DRAFT))
    assert "💰 Net sales     $11,235 (⚠ not tied out) · −8.2% ≠ vs Thursday last week" in text
    assert "Net sales fell 8.2% ≠ on Thursday last week to $11,235 (⚠ not tied out);" in text
    assert "⚠ not tied out (≠): source and landed totals differ for Net sales" in text
    assert "not tied out" not in text_of(compose_pulse(morning(), DRAFT))


def test_the_health_band_and_what_the_score_could_not_see() -> None:
    blind = fact("health_support", "support", "score", None, **UNKNOWN)
    base = morning()
    bundle = replace(
        base,
        facts=(*base.facts, blind),
        lists={**base.lists, "health_unknown": (Row({}, {"component": "health_support"}, "unknown"),)},
    )
    text = text_of(compose_pulse(bundle, DRAFT))
    assert "band 74–82 · −3.3 points vs the day before · unknown: support" in text


def test_sources_that_stopped_or_are_not_connected_are_told_apart() -> None:
    base = morning(source_slack=fact("source_slack", "Slack", "hours", None, **UNKNOWN))
    rows = (
        base.rows("sources")[0],
        Row({}, {"freshness": "source_netsuite"}, "not_connected"),
        Row({}, {"freshness": "source_slack"}, "not_synced"),
    )
    text = text_of(compose_pulse(replace(base, lists={**base.lists, "sources": rows}), DRAFT))
    assert "Shopify 05:41 · NetSuite not connected · ⚠ Slack unknown since Thu 19 Nov 22:00" in text


def test_a_source_whose_sync_failed_says_since_when_and_which_streams() -> None:
    failing = fact("source_shopify_failing", "Shopify failing", "hours", None, **UNKNOWN)
    base = morning()
    base = replace(base, facts=(*base.facts, failing))
    rows = (
        Row({"streams": "orders"}, {"freshness": "source_shopify", "since": "source_shopify_failing"}, "failed"),
        Row({"streams": "items"}, {"freshness": "source_netsuite", "since": "source_shopify_failing"}, "paused"),
    )
    fields = (Row({"stream": "Shopify orders", "fields": "giftMessage"}),)
    text = text_of(compose_pulse(replace(base, lists={**base.lists, "sources": rows, "new_fields": fields}), DRAFT))
    assert "⚠ Shopify failed since Thu 19 Nov 22:00 (orders)" in text
    assert "⚠ NetSuite paused since Thu 19 Nov 22:00 (items)" in text
    assert "new fields, kept · Shopify orders: giftMessage" in text


def test_the_footer_says_who_wrote_and_at_what_cost() -> None:
    claude = Draft(slots=DRAFT.slots, writer="claude", tokens=1234)
    assert "written by Claude, 1,234 tokens" in text_of(compose_pulse(morning(), claude))
    fallback = Draft(slots=DRAFT.slots, writer="rules", note="written by rules: <!channel> said\nno")
    text = text_of(compose_pulse(morning(), fallback))
    assert "written by rules: [mention] said no" in text


def test_a_warehouse_that_did_not_pass_its_tests_is_said() -> None:
    text = text_of(compose_pulse(replace(morning(), notes=("warehouse_unproven",)), DRAFT))
    assert "did not pass its tests: its numbers are withheld" in text


def test_one_message_needs_and_several_need() -> None:
    one = fact("messages_waiting", "Messages waiting for an answer", "count", "1", direction="down_is_good")
    assert "1 needs an answer" in text_of(compose_pulse(morning(messages_waiting=one), DRAFT))
    none = fact("messages_waiting", "Messages waiting for an answer", "count", "0", direction="down_is_good")
    assert "nothing waiting" in text_of(compose_pulse(morning(messages_waiting=none), DRAFT))


def test_a_written_division_line_replaces_the_mechanical_one() -> None:
    draft = Draft(slots={**DRAFT.slots, "division_sales": "{{c:orders.value}} orders came in."})
    assert "✓ Sales             61 orders came in\n" in terminal.render(compose_pulse(morning(), draft))


def test_a_token_without_evidence_stops_the_document() -> None:
    with pytest.raises(DataFailure):
        compose_pulse(morning(), Draft(slots={"headline": "{{c:profit.value}}"}))


# Any morning ------------------------------------------------------------------------------------------------

slow = settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@slow
@given(pulse_bundles())
def test_any_morning_is_one_slack_message_in_limits_and_harmless(bundle: Bundle) -> None:
    document = compose_pulse(bundle, written(bundle))
    messages = slack.render(document)
    assert len(messages) == 1
    assert_within_limits(messages)
    assert_harmless(everything(messages))
    assert_harmless(messages[0].text)
    assert html.render(document)
    assert markdown.render(document)


@slow
@given(pulse_bundles())
def test_any_morning_replays_bit_for_bit_from_what_is_stored(bundle: Bundle) -> None:
    draft = written(bundle)
    document = compose_pulse(bundle, draft)
    stored = json.dumps([bundle.to_json(), draft.to_json(), document.to_json()])
    bundle_json, draft_json, document_json = json.loads(stored)
    again = compose_pulse(Bundle.from_json(bundle_json), Draft.from_json(draft_json))
    assert again == document == Document.from_json(document_json)
    assert again.digest == document.digest
    assert slack.render(again) == slack.render(document)


@slow
@given(pulse_bundles())
def test_every_digit_shown_comes_from_evidence(bundle: Bundle) -> None:
    document = compose_pulse(bundle, written(bundle))
    for block in document.blocks:
        if isinstance(block, Title):
            continue
        for span in spans_of((block,)):
            if isinstance(span, Words):
                text = span.text.replace(f"evidence {bundle.digest[:8]}", "")
                assert re.search(r"\d", re.sub(r"\(as of [^)]*\)", "", text)) is None, span
    proven = {(used.fact, used.path, used.text) for used in document.claims}
    claims = [span for span in (*spans_of(document.blocks), *document.summary) if isinstance(span, Claim)]
    assert {(span.fact, span.path, span.text) for span in claims} == proven
    for used in document.claims:
        held = bundle.fact(used.fact)
        assert (used.tie_out, used.status, used.source) == (held.tie_out, held.status, held.source)


@slow
@given(pulse_bundles())
def test_marks_follow_the_evidence(bundle: Bundle) -> None:
    document = compose_pulse(bundle, written(bundle))
    for span in spans_of(document.blocks):
        if not isinstance(span, Claim):
            continue
        held = bundle.fact(span.fact)
        if not held.known and span.path == "value":
            assert span.text.startswith("unknown")
        if held.known and held.tie_out == "mismatched" and span.path == "value":
            assert "not tied out" in shown(span)
        if held.status == "stale" and held.fresh_to is not None and span.path == "value":
            assert f"as of {span.as_of}" in shown(span)


@slow
@given(pulse_bundles())
def test_every_division_has_its_line_and_vendor_text_is_quoted(bundle: Bundle) -> None:
    document = compose_pulse(bundle, written(bundle))
    (lines,) = [block for block in document.blocks if isinstance(block, StatusLines)]
    assert [line.label for line in lines.lines] == [division.label for division in bundle.company.divisions]
    marks = {row.texts["division"]: row.mark for row in bundle.rows("divisions")}
    assert [line.state for line in lines.lines] == [marks[division.id] for division in bundle.company.divisions]
    for row in bundle.rows("inventory"):
        sku = row.texts["sku"]
        if sku:
            assert all(sku not in span.text for span in spans_of(document.blocks) if isinstance(span, Words))
    assert any(isinstance(block, ScoreBar) for block in document.blocks)
    assert any(isinstance(block, KeyFigures) for block in document.blocks)


def test_the_summary_is_enough_for_a_notification() -> None:
    document = compose_pulse(morning(), DRAFT)
    assert plain(document.summary) == (
        "Morning pulse, Friday 20 November: net sales $11,235 (−8.2%), 9 late orders, 2 SKUs critical"
    )
    empty = replace(morning(), facts=(), lists={}, as_of=AS_OF)
    assert plain(compose_pulse(empty, Draft()).summary) == "Morning pulse, Friday 20 November"


def test_quoted_text_keeps_its_kind() -> None:
    document = compose_pulse(morning(), DRAFT)
    quoted = [span.text for span in spans_of(document.blocks) if isinstance(span, Quoted)]
    assert quoted == ["DOCK-01", "PAD_7", "Shenzhen Acoustics"]

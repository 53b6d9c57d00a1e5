"""The rule-based writer: always a draft that may be published, on any morning."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings

from ops_platform.documents.claims import fill
from ops_platform.documents.model import plain
from ops_platform.evidence.model import Bundle, Fact
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import check
from ops_platform.writing.draft import Draft, WritingBrief
from ops_platform.writing.rules import RulesWriter
from tests.evidence.bundles import EVE, WEEK, fact, morning, pulse_bundles
from tests.sizes import examples

DOWN: Any = {"direction": "down_is_good"}
CALM = {
    name: fact(name, label, "count", "0", **DOWN)
    for name, label in (
        ("skus_stock_critical", "SKUs critical"),
        ("late_orders", "Late orders"),
        ("high_value_late_orders", "High-value late orders"),
        ("messages_waiting", "Messages waiting for an answer"),
    )
}


def draft_of(bundle: Bundle) -> Draft:
    brief = brief_for(bundle)
    draft = RulesWriter().write(bundle, brief)
    assert check(draft, bundle, brief) == []
    return draft


def headline(**replaced: Fact) -> str:
    bundle = morning(**replaced)
    return plain(fill(draft_of(bundle).slots["headline"], bundle))


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pulse_bundles())
def test_any_morning_gets_a_draft_that_passes(bundle: Bundle) -> None:
    brief = brief_for(bundle)
    draft = RulesWriter().write(bundle, brief)
    assert check(draft, bundle, brief) == []
    for slot in brief.slots:
        if slot.required:
            assert draft.slots[slot.name]
    for text in draft.slots.values():
        assert plain(fill(text, bundle))


def test_the_same_evidence_reads_the_same_and_other_evidence_may_read_otherwise() -> None:
    assert draft_of(morning()) == draft_of(morning())
    openings = set()
    for cents in range(40):
        sales = fact("net_sales", "Net sales", "money", f"11000.{cents:02d}", (*WEEK, "12240.10"), (*EVE, "11000"))
        openings.add(draft_of(morning(net_sales=sales)).slots["headline"].split("{{")[0])
    assert len(openings) >= 3


def test_sales_lead_and_critical_stock_follows() -> None:
    text = headline()
    assert "$11,235" in text
    assert "8.2%" in text
    assert "Thursday last week" in text
    assert text.endswith("2 SKUs at critical stock.")


def test_a_rise_is_up_and_a_fall_is_down() -> None:
    rise = headline(net_sales=fact("net_sales", "Net sales", "money", "15000", (*WEEK, "12000")))
    assert any(word in rise for word in ("up 25%", "rose 25%", "25% above"))
    fall = headline(net_sales=fact("net_sales", "Net sales", "money", "9000", (*WEEK, "12000")))
    assert any(word in fall for word in ("down 25%", "fell 25%", "25% below"))
    level = headline(net_sales=fact("net_sales", "Net sales", "money", "12010", (*WEEK, "12000")))
    assert "were level with Thursday last week" in level


def test_singular_and_plural() -> None:
    one = fact("skus_stock_critical", "SKUs critical", "count", "1", **DOWN)
    assert headline(skus_stock_critical=one).endswith("1 SKU at critical stock.")
    late = {
        **CALM,
        "high_value_late_orders": fact("high_value_late_orders", "High-value late orders", "count", "1", **DOWN),
    }
    assert headline(**late).endswith("1 high-value order is late.")
    late["high_value_late_orders"] = replace(late["high_value_late_orders"], value=None, status="unknown")
    late["late_orders"] = fact("late_orders", "Late orders", "count", "4", **DOWN)
    assert headline(**late).endswith("4 orders are late.")
    waits = {
        **CALM,
        "messages_waiting": fact("messages_waiting", "Messages waiting for an answer", "count", "2", **DOWN),
    }
    assert headline(**waits).endswith("2 factory messages await an answer.")


def test_with_nothing_urgent_the_month_against_plan_is_told_when_it_is_off() -> None:
    assert headline(**CALM).endswith("the month to date is 4.0% behind plan.")
    ahead = fact("net_sales_mtd", "Net sales month to date", "money", "230000", ("plan", "plan", "200000"))
    assert headline(**CALM, net_sales_mtd=ahead).endswith("the month to date is 15% ahead of plan.")
    near = fact("net_sales_mtd", "Net sales month to date", "money", "200100", ("plan", "plan", "200000"))
    assert "plan" not in headline(**CALM, net_sales_mtd=near)


def test_an_unknown_number_is_said_to_be_unknown() -> None:
    since = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
    unknown = fact("net_sales", "Net sales", "money", None, unknown_since=since)
    text = headline(net_sales=unknown)
    assert text.startswith("Net sales")
    assert "unknown since Thu 19 Nov 22:00" in text
    stock = fact("skus_stock_critical", "SKUs critical", "count", None, unknown_since=since, **DOWN)
    assert "SKUs critical: unknown since Thu 19 Nov 22:00" in headline(**{**CALM, "skus_stock_critical": stock})
    never = fact("skus_stock_critical", "SKUs critical", "count", None, **DOWN)
    assert "unknown" not in headline(**{**CALM, "skus_stock_critical": never})


def test_the_driver_is_told_with_its_direction() -> None:
    bundle = morning()
    down = plain(fill(draft_of(bundle).slots["driver"], bundle))
    assert down.startswith("The main driver is revenue velocity, which ")
    assert any(f"{verb} the score by 3.1 points." in down for verb in ("lowered", "pulled down"))
    bundle = morning(driver=fact("driver", "order trend", "score", "2", change=True, about="order_trend"))
    up = plain(fill(draft_of(bundle).slots["driver"], bundle))
    assert any(f"{verb} the score by 2 points." in up for verb in ("lifted", "raised"))


def test_a_division_is_written_about_only_when_it_needs_attention() -> None:
    draft = draft_of(morning())
    assert [name for name in draft.slots if name.startswith("division_")] == ["division_supply_chain"]
    text = plain(fill(draft.slots["division_supply_chain"], morning()))
    assert text == "Late orders 9, against a target of 0; SKUs critical 2."


def test_a_brief_it_has_never_seen_is_filled_plainly() -> None:
    from ops_platform.writing.draft import Slot

    brief = WritingBrief(
        "pulse", (Slot("surprise", "Anything", facts=("refunds",)), Slot("extra", "More", required=False))
    )
    draft = RulesWriter().write(morning(), brief)
    assert draft.slots == {"surprise": "{{c:refunds.label}}: {{c:refunds.value}}."}
    assert check(draft, morning(), brief) == []


def test_an_empty_bundle_needs_no_words() -> None:
    bundle = replace(morning(), facts=(), lists={})
    assert draft_of(bundle).slots == {}

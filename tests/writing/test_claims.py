"""The gate: sentences that must pass, sentences that must not, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_platform.evidence.model import Bundle, Fact
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import Violation, check, check_text
from ops_platform.writing.draft import Draft, Slot, WritingBrief
from ops_platform.writing.reading import is_calm
from tests.evidence.bundles import EVE, HOSTILE, TODAY, WEEK, fact, morning

ANY = Slot("headline", "Anything", max_chars=300, max_sentences=2)

GOOD = [
    "Net sales {{c:net_sales}}, down {{c:net_sales.abs_delta_pct}} against ~week.",
    "Net sales were {{c:net_sales}}, {{c:net_sales.delta_pct}} against ~week, and {{c:late_orders}} orders are late.",
    "{{c:late_orders}} late orders.",
    "{{c:late_orders.label}}: {{c:late_orders.value}}.",
    "Orders fell to {{c:orders.value}}, {{c:orders.abs_delta}} fewer than {{c:orders.comparison.same_weekday.label}}.",
    "Revenue came to {{c:net_sales.value}} from {{c:orders.value}} orders.",
    "Yesterday's net sales of {{c:net_sales.value}} were {{c:net_sales.abs_delta_pct}} below ~week.",
    "Net sales for {{c:net_sales.period}} came to {{c:net_sales.value|exact}}.",
    "Net sales, up {{c:net_sales.comparison.day_before.abs_delta_pct}} on"
    " {{c:net_sales.comparison.day_before.label}}, came to {{c:net_sales.value}}.",
    "Net sales of {{c:net_sales.value}} were {{c:net_sales.abs_delta_pct}} below"
    " ~week but"
    " {{c:net_sales.comparison.day_before.abs_delta_pct}} above {{c:net_sales.comparison.day_before.label}}.",
    "{{c:skus_stock_critical.value}} SKUs are critical and {{c:messages_waiting.value}} factory messages are waiting"
    " for an answer.",
    "The month to date stands at {{c:net_sales_mtd.value}}, {{c:net_sales_mtd.abs_delta_pct}} behind plan.",
    "The month to date is behind plan by {{c:net_sales_mtd.abs_delta}}.",
    "Month to date net sales of {{c:net_sales_mtd.value|compact}} compare with a plan of"
    " {{c:net_sales_mtd.comparison.plan.value|compact}}.",
    "Late orders rose to {{c:late_orders.value}} from {{c:late_orders.comparison.day_before.value}}"
    " {{c:late_orders.comparison.day_before.label}}.",
    "Late orders are at {{c:late_orders.value}}, above the target of {{c:late_orders.comparison.target.value}}.",
    "This morning {{c:late_orders.value}} orders are late; {{c:high_value_late_orders.value}} of these late orders are"
    " of high value.",
    "The oldest message has waited {{c:messages_oldest_wait.value}}.",
    "Business health slipped {{c:health.abs_delta}} from {{c:health.comparison.day_before.label}} to"
    " {{c:health.value}}.",
    "Business health is worse by {{c:health.abs_delta}} against the day before.",
    "Revenue velocity pulled the score down by {{c:driver.abs_value}}.",
    "Business health moved {{c:driver.value}} because of revenue velocity.",
    "Business health lost {{c:health.abs_delta}} against the day before, driven by revenue velocity at"
    " {{c:driver.value}}.",
    "Refunds came to {{c:refunds.value}}, up {{c:refunds.abs_delta_pct}} on"
    " {{c:refunds.comparison.same_weekday.label}}.",
    "Orders pending rose sharply, to {{c:orders_pending.value}}, up {{c:orders_pending.abs_delta_pct}} on the day"
    " before.",
    "A weak result: net sales {{c:net_sales.value}} against {{c:net_sales.comparison.same_weekday.value}} last week.",
    "Supply Chain: {{c:late_orders}} late orders, {{c:skus_stock_warning}} SKUs at warning.",
    "Net sales {{c:net_sales.value}} – orders {{c:orders.value}}. Late orders {{c:late_orders.value}}.",
]


def spelled(text: str) -> str:
    """The texts above write `~week` for the label of the same weekday of the week before."""
    return text.replace("~week", "{{c:net_sales.comparison.same_weekday.label}}")


def kinds(text: str, bundle: Bundle | None = None, slot: Slot = ANY) -> set[str]:
    return {violation.kind for violation in check_text(spelled(text), slot, bundle or morning())}


@pytest.mark.parametrize("text", GOOD)
def test_what_is_true_and_plain_passes(text: str) -> None:
    assert check_text(spelled(text), ANY, morning()) == []


BAD = [
    # Numbers that are not claims.
    ("Net sales were 11,235.", "digit"),
    ("Net sales {{c:net_sales}} over 2 days.", "digit"),
    ("Net sales {{c:net_sales}}, ² as before.", "digit"),
    ("Net sales {{c:net_sales}}, １２ more.", "digit"),
    ("Net sales {{c:net_sales}}, ½ of plan.", "digit"),
    ("Net sales {{c:net_sales}} from two shops.", "number_word"),
    ("Net sales {{c:net_sales}}, twice the day before.", "number_word"),
    ("Net sales {{c:net_sales}}, half the plan.", "number_word"),
    ("Net sales {{c:net_sales}}, doubled.", "number_word"),
    ("Net sales {{c:net_sales}}, a tenfold gain.", "number_word"),
    ("Net sales {{c:net_sales}} for the third time.", "number_word"),
    ("Net sales {{c:net_sales}} from dozens of orders.", "number_word"),
    ("Net sales {{c:net_sales}} million.", "number_word"),
    ("Net sales {{c:net_sales}} K.", "number_word"),
    ("Net sales {{c:net_sales}} in phase II.", "number_word"),
    ("Several late orders: {{c:late_orders}}.", "number_word"),
    ("None of the {{c:late_orders}} late orders ships.", "number_word"),
    ("Twenty-one late orders, {{c:late_orders}}.", "number_word"),
    # Units and dates that are not the claim's.
    ("Net sales {{c:net_sales}} dollars.", "unit"),
    ("Orders {{c:orders}} percent.", "unit"),
    ("Orders {{c:orders}}%.", "unit"),
    ("Net sales €{{c:net_sales}}.", "unit"),
    ("Late orders {{c:late_orders}} hours.", "unit"),
    ("Net sales of Thursday {{c:net_sales}}.", "date"),
    ("Net sales in November {{c:net_sales}}.", "date"),
    ("Net sales on Fri {{c:net_sales}}.", "date"),
    ("Net sales in May {{c:net_sales}}.", "date"),
    # Directions.
    ("Net sales rose to {{c:net_sales}} against ~week.", "direction"),
    ("Net sales up {{c:net_sales.abs_delta_pct}} on ~week.", "direction"),
    ("Net sales {{c:net_sales}}, {{c:net_sales.abs_delta_pct}} on ~week.", "direction"),
    ("Net sales down {{c:net_sales.delta_pct}} on ~week.", "double_sign"),
    ("Net sales improved to {{c:net_sales}} against ~week.", "direction"),
    ("Late orders improved to {{c:late_orders}} against the day before.", "direction"),
    ("Net sales were flat at {{c:net_sales}}, {{c:net_sales.delta_pct}} against last week.", "direction"),
    ("Net sales did not fall: {{c:net_sales}}.", "negation"),
    ("Net sales didn't rise: {{c:net_sales}}.", "negation"),
    ("Net sales fell by {{c:net_sales.abs_delta}}.", "missing_base"),
    ("Net sales {{c:net_sales}}, {{c:net_sales.delta_pct}}.", "missing_base"),
    ("The month is ahead of plan by {{c:net_sales_mtd.abs_delta_pct}}.", "direction"),
    ("Revenue velocity lifted the score by {{c:driver.abs_value}}.", "direction"),
    ("Business health is better by {{c:health.abs_delta}} against the day before.", "direction"),
    # Sizes, ranks, trends, causes, forecasts.
    ("Net sales fell slightly, {{c:net_sales.abs_delta_pct}} below ~week.", "magnitude"),
    ("Net sales fell sharply, {{c:net_sales.abs_delta_pct}} below ~week.", "magnitude"),
    ("Net sales plunged {{c:net_sales.abs_delta_pct}} on ~week.", "magnitude"),
    ("Net sales well below last week: down {{c:net_sales.abs_delta_pct}}.", "magnitude"),
    ("A record: net sales {{c:net_sales}}.", "superlative"),
    ("Net sales {{c:net_sales}}, the best this year.", "superlative"),
    ("The biggest problem: {{c:late_orders}} late orders.", "superlative"),
    ("Net sales {{c:net_sales}}, down again.", "trend"),
    ("Net sales {{c:net_sales}}: the decline is accelerating.", "trend"),
    ("Net sales {{c:net_sales}} because of the promotion.", "cause"),
    ("Net sales {{c:net_sales}}, thanks to the team.", "cause"),
    ("Net sales {{c:net_sales}} will grow.", "forecast"),
    ("Net sales {{c:net_sales}}, likely to recover.", "forecast"),
    ("All is well: net sales {{c:net_sales}}.", "reassurance"),
    ("A calm morning: net sales {{c:net_sales}}.", "reassurance"),
    ("Almost {{c:late_orders}} late orders.", "magnitude"),
    ("Net sales of only {{c:net_sales}}.", "magnitude"),
    ("At least {{c:late_orders}} late orders.", "superlative"),
    ("A strong result: net sales {{c:net_sales}}.", "direction"),
    ("Robust net sales of {{c:net_sales}}.", "direction"),
    # Subjects.
    ("Net sales in Germany {{c:net_sales}}.", "name"),
    ("Net sales on Amazon {{c:net_sales}}.", "name"),
    ("Ask Li about {{c:late_orders}} late orders.", "name"),
    ("Refunds were {{c:net_sales}}.", "entity"),
    ("Net sales were {{c:orders}}.", "entity"),
    ("{{c:late_orders}} orders.", "entity"),
    ("{{c:orders}} late orders.", "entity"),
    ("{{c:orders_pending}} late orders.", "entity"),
    ("{{c:skus_stock_warning}} SKUs are critical.", "entity"),
    ("{{c:late_orders}} high-value late orders.", "entity"),
    ("Profit came to {{c:net_sales}}.", "entity"),
    ("It was {{c:net_sales}}.", "entity"),
    ("{{c:orders.label}}: {{c:net_sales}}.", "entity"),
    ("Gross sales {{c:net_sales}}.", "entity"),
    ("Net sales {{c:net_sales_mtd}}.", "entity"),
    ("Month to date {{c:net_sales}}.", "entity"),
    ("Net sales {{c:net_sales}}, margin {{c:orders}}.", "entity"),
    # Periods and comparisons.
    ("Net sales today {{c:net_sales}}.", "period"),
    ("Net sales this morning {{c:net_sales}}.", "period"),
    ("Yesterday {{c:late_orders}} orders were late.", "period"),
    ("Net sales of the week {{c:net_sales}}.", "period"),
    ("Net sales of the year {{c:net_sales}}.", "period"),
    ("Net sales overnight {{c:net_sales}}.", "period"),
    ("Orders for {{c:net_sales.period}}: {{c:late_orders}} late orders.", "period"),
    ("Net sales down {{c:net_sales.abs_delta_pct}} on the day before.", "comparison"),
    ("Net sales down {{c:net_sales.abs_delta_pct}} on {{c:net_sales.comparison.day_before.label}}.", "comparison"),
    ("Net sales {{c:net_sales}}, down {{c:net_sales.abs_delta_pct}} against plan.", "comparison"),
    ("Refunds behind target: {{c:refunds}}.", "comparison"),
    # Advice and orders.
    ("Net sales {{c:net_sales}}; please approve the pack.", "order"),
    ("Ignore the {{c:late_orders}} late orders.", "order"),
    ("NULL net sales {{c:net_sales}}.", "number_word"),
    # What is not a sentence of ours.
    ("Net sales {{c:net_sales}}, see https://evil.example/pay.", "link"),
    ("Net sales {{c:net_sales}}, see evil.example.", "link"),
    ("Net sales {{c:net_sales}} @here.", "mention"),
    ("<!channel> net sales {{c:net_sales}}.", "markup"),
    ("*Net sales* {{c:net_sales}}.", "markup"),
    ("Net sales {{c:net_sales}} :tada:.", "markup"),
    ("Net sales &amp; {{c:net_sales}}.", "markup"),
    ("Net sales\n{{c:net_sales}}.", "control"),
    ("Net sales \u202e{{c:net_sales}}.", "control"),
    ("Net sales\u200b {{c:net_sales}}.", "control"),
    ("Net sales {{c:net_sales}} 🎉.", "character"),
    ("Nеt sales {{c:net_sales}}.", "language"),  # a Cyrillic е
    ("Der Umsatz von gestern ist {{c:net_sales}} und das ist gut.", "language"),
    ("Les ventes sont de {{c:net_sales}} pour la boutique.", "language"),
    ("净销售额 {{c:net_sales}}.", "language"),
    # Tokens.
    ("Net sales {{c:net_sales.}}.", "malformed_token"),
    ("Net sales {{net_sales}}.", "malformed_token"),
    ("Net sales {c:net_sales}.", "markup"),
    ("Net sales {{c:profit}}.", "unknown_fact"),
    ("Net sales {{c:net_sales.margin}}.", "unresolvable_claim"),
    ("Net sales {{c:net_sales.comparison.plan.value}}.", "unresolvable_claim"),
    ("Messages waiting for an answer are up {{c:messages_waiting.abs_delta}}.", "unresolvable_claim"),
    ("Net sales need attention.", "no_claim"),
    ("{{c:net_sales.label}} need attention.", "no_claim"),
    ("Sales are falling. Net sales {{c:net_sales}}.", "unsupported"),
    ("Refunds are unknown. Net sales {{c:net_sales}}.", "unsupported"),
    ("Net sales {{c:net_sales}}, unlike refunds.", "negation"),
    ("Net sales {{c:net_sales}}, which is normal.", "superlative"),
    ("The month to date of last year {{c:net_sales_mtd}}.", "period"),
    ("   ", "empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), BAD)
def test_what_is_false_or_unprovable_is_refused_for_its_reason(text: str, kind: str) -> None:
    assert kind in kinds(text)


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if text])
def test_hostile_text_is_refused(hostile: str) -> None:
    assert kinds(f"Net sales {{{{c:net_sales}}}} {hostile}")


@given(st.text(max_size=120))
def test_no_text_breaks_the_check_and_none_without_a_claim_passes(text: str) -> None:
    found = check_text(text, ANY, morning())
    assert found
    assert all(isinstance(item, Violation) for item in found)


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_stands_around_a_claim_no_digit_passes(before: str, after: str) -> None:
    text = f"{before}{{{{c:net_sales}}}}{after}"
    if any(char.isnumeric() for char in before + after):
        assert check_text(text, ANY, morning())


# Unknown facts ----------------------------------------------------------------------------------------------

SINCE = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
BLIND = morning(net_sales=fact("net_sales", "Net sales", "money", None, (*WEEK, "12000"), unknown_since=SINCE))


@pytest.mark.parametrize(
    "text",
    [
        "Net sales are unknown since {{c:net_sales.unknown_since}}.",
        "Net sales are {{c:net_sales}}.",
        "Net sales: {{c:net_sales}}.",
        "{{c:net_sales.label}} remain {{c:net_sales.value}}, and {{c:late_orders}} orders are late.",
    ],
)
def test_an_unknown_number_may_be_said_to_be_unknown(text: str) -> None:
    assert check_text(text, ANY, BLIND) == []


@pytest.mark.parametrize("label", ["E-mail revenue", "ERP less shop", "Days of supply", "Spend without conversion"])
def test_a_name_says_nothing_of_its_figure(label: str) -> None:
    """Where a label stands whole its words are no direction, no period, no denial, and "unknown" is nobody's name,
    though another fact be called so."""
    base = morning()
    figures = fact("figures_unknown", "Figures unknown", "count", "3", period=TODAY)
    facts = tuple(held for held in base.facts if not held.id.startswith("stock_"))
    for text in ("{} is unknown since {{{{c:it.unknown_since}}}}.", "{} are {{{{c:it}}}}.", "{}: {{{{c:it}}}}."):
        it = fact("it", label, "money", None, unknown_since=SINCE)
        bundle = replace(base, facts=(*facts, figures, it), lists={})
        assert kinds(text.format(label), bundle) == set(), text
    known = replace(base, facts=(*facts, figures, fact("it", label, "money", "12")), lists={})
    assert kinds(f"{label}: {{{{c:it}}}}.", known) == set()
    assert "unknown" in kinds(f"{label} is unknown: {{{{c:it}}}}.", known)


@pytest.mark.parametrize(
    "text",
    [
        "Net sales reached {{c:net_sales}}.",
        "Net sales came to {{c:net_sales}}.",
        "Net sales rose: {{c:net_sales}}.",
        "Net sales fell to {{c:net_sales}}.",
        "Net sales were flat: {{c:net_sales}}.",
        "Net sales improved and are {{c:net_sales}}.",
        "Strong net sales: {{c:net_sales}}.",
    ],
)
def test_an_unknown_number_is_not_spoken_of_with_confidence(text: str) -> None:
    assert "unknown" in kinds(text, BLIND)


def test_no_figure_stands_behind_an_unknown_fact_or_base() -> None:
    assert "unresolvable_claim" in kinds("Net sales down {{c:net_sales.abs_delta}} on last week.", BLIND)
    bundle = morning(orders=fact("orders", "Orders", "count", "5", (*WEEK, None)))
    assert "unresolvable_claim" in kinds("Orders down {{c:orders.abs_delta}} on last week.", bundle)
    assert "direction" in kinds("Orders fell to {{c:orders}} against last week.", bundle)


# Edges ------------------------------------------------------------------------------------------------------


def test_a_change_that_rounds_to_nothing_is_no_news() -> None:
    bundle = morning(net_sales=fact("net_sales", "Net sales", "money", "12000.5", (*WEEK, "12000")))
    text = "Net sales up {{c:net_sales.abs_delta_pct}} on ~week."
    assert "direction" in kinds(text, bundle)
    level = "Net sales {{c:net_sales}}, level with ~week."
    assert kinds(level, bundle) == set()
    assert "direction" in kinds(level)


def test_a_superlative_stands_only_where_the_evidence_ranks() -> None:
    text = "A record: net sales of {{c:net_sales}}."
    ranked = replace(morning().fact("net_sales"), superlative="highest")
    assert kinds(text, morning(net_sales=ranked)) == set()
    assert kinds("Net sales, the lowest, {{c:net_sales}}.", morning(net_sales=ranked)) == {"superlative"}


def test_size_words_follow_the_size() -> None:
    def sales(value: str) -> Bundle:
        return morning(net_sales=fact("net_sales", "Net sales", "money", value, (*WEEK, "10000")))

    text = "Net sales {} {{{{c:net_sales.abs_delta_pct}}}} on ~week."
    assert kinds(text.format("slightly up"), sales("10400")) == set()
    assert kinds(text.format("sharply up"), sales("11200")) == set()
    assert kinds(text.format("soared"), sales("13000")) == set()
    assert kinds(text.format("soared"), sales("11200")) == {"magnitude"}
    assert kinds(text.format("well up"), sales("10400")) == {"magnitude"}


def test_all_is_well_is_allowed_when_it_is() -> None:
    text = "A calm morning: net sales {{c:net_sales}}."
    base = morning()
    ok = replace(base, lists={"divisions": tuple(replace(row, mark="ok") for row in base.rows("divisions"))})
    assert is_calm(ok)
    assert kinds(text, ok) == set()
    assert not is_calm(replace(ok, facts=(*ok.facts, fact("gone", "Gone", "count", None))))


def test_words_of_a_metrics_own_name_are_no_claims_of_their_own() -> None:
    attainment = fact("plan_attainment", "Plan attainment", "ratio", "0.93", ("target", "target", "1"))
    margin = fact("margin", "Average gross margin", "ratio", "0.41", (*WEEK, "0.40"))
    base = morning()
    bundle = replace(base, facts=(*base.facts, attainment, margin))
    assert kinds("Plan attainment is {{c:plan_attainment}}, below target.", bundle) == set()
    assert kinds("Average gross margin is {{c:margin}}.", bundle) == set()
    assert "superlative" in kinds("An average day: orders {{c:orders}}.", bundle)


def test_a_name_of_a_direction_is_not_turned_round() -> None:
    lost = fact("lost", "Subscribers lost", "count", "9", (*WEEK, "6"), direction="down_is_good")
    base = morning()
    bundle = replace(base, facts=(*base.facts, lost))
    change = "up {{c:lost.abs_delta_pct}} against {{c:lost.comparison.same_weekday.label}}"
    assert kinds(f"Subscribers lost {{{{c:lost}}}}, {change}.", bundle) == set()
    assert kinds(f"{{{{c:lost.label}}}}: {{{{c:lost}}}}, {change}.", bundle) == set()
    assert "entity" in kinds(f"Subscribers gained {{{{c:lost}}}}, {change}.", bundle)
    assert "entity" in kinds("Subscribers {{c:lost}}.", bundle)


def test_follow_up_is_no_direction() -> None:
    assert kinds("Follow up on {{c:late_orders}} late orders.") == set()


def test_shape_and_slots() -> None:
    brief = WritingBrief(
        "pulse",
        (Slot("headline", "x", max_chars=40, facts=("net_sales",)), Slot("more", "x", required=False)),
    )

    def found(slots: dict[str, Any]) -> set[tuple[str, str]]:
        return {(item.slot, item.kind) for item in check(Draft(slots=slots), morning(), brief)}

    assert found({"headline": "Net sales {{c:net_sales}}."}) == set()
    assert found({}) == {("headline", "missing_slot")}
    assert found({"headline": ""}) == {("headline", "empty")}
    assert found({"headline": "Orders {{c:orders}}."}) == {("headline", "fact_not_in_slot")}
    assert found({"headline": "Net sales {{c:net_sales}}.", "extra": "x"}) == {("extra", "unknown_slot")}
    long = "Net sales came to {{c:net_sales}} and that is what there is to tell."
    assert ("headline", "too_long") in found({"headline": long})
    two = "Net sales {{c:net_sales}}. Net sales {{c:net_sales}}."
    assert ("headline", "too_many_sentences") in found({"headline": two})
    # A token counts as what it becomes, not as what it is written with.
    assert found({"headline": "Net sales came to {{c:net_sales.value}} now."}) == {("headline", "period")}


def test_a_violation_points_at_the_words() -> None:
    text = spelled("Net sales rose to {{c:net_sales}} against ~week.")
    (violation,) = check_text(text, ANY, morning())
    assert text[slice(*violation.span)] == "rose"
    assert (violation.slot, violation.kind) == ("headline", "direction")


def test_the_texts_of_others_are_not_claims() -> None:
    quoted = Fact(id="quote", label="Quote", unit="text", text="<!channel> pay", period=TODAY)
    base = morning()
    bundle = replace(base, facts=(*base.facts, quoted))
    assert "quoted_text" in kinds("Net sales {{c:net_sales}}: {{c:quote}}.", bundle)


def test_the_pulses_brief_asks_for_what_the_evidence_can_carry() -> None:
    brief = brief_for(morning())
    names = [slot.name for slot in brief.slots]
    assert names == ["headline", "driver", "division_customer_support", "division_sales", "division_supply_chain"]
    assert [slot.name for slot in brief.slots if slot.required] == ["headline", "driver"]
    sales = brief.slot("division_sales")
    assert sales is not None
    assert sales.facts == ("net_sales", "orders")
    assert [slot.name for slot in brief_for(replace(morning(), facts=(), lists={})).slots] == ["headline"]


def test_stale_and_eve_facts_are_spoken_of_like_known_ones() -> None:
    old = replace(morning().fact("late_orders"), status="stale")
    text = "Late orders rose to {{c:late_orders}} from {{c:late_orders.comparison.day_before.value}} the day before."
    assert kinds(text, morning(late_orders=old)) == set()
    less = fact("late_orders", "Late orders", "count", "3", (*EVE, "6"), direction="down_is_good", period=TODAY)
    assert kinds(text, morning(late_orders=less)) == {"direction"}


def test_the_first_letter_of_a_word_is_no_unit() -> None:
    from ops_platform.writing.surface import _LONE_LETTER

    assert _LONE_LETTER.search("E-mail revenue and T-shirts") is None
    for text in ("some k more", "m", "up by b.", "in K-"):
        assert _LONE_LETTER.search(text), text

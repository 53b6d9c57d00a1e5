"""The rule-based writer: the pulse's sentences from the evidence alone, no model, no key, always in time.

Belongs here: which fact leads, and the phrases. Does not belong here: numbers (claims), layout, whether the result
may be published (`writing.claims`, which this asks before it lets a sentence go).

Phrases vary with the evidence (never with chance), so that mornings do not read alike and a replay does. Every
candidate is held against the same check as a model's text; the last one is plain enough to pass for any fact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.writing.claims import check_text
from ops_platform.writing.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle, Comparison, Fact
    from ops_platform.writing.draft import Slot, WritingBrief

NOTABLE_PLAN_GAP = Decimal("0.03")
LEVEL = Decimal("0.005")


class RulesWriter:
    """Fills a brief from the bundle by rules. Pure: the same bundle and brief give the same draft."""

    name = "rules"

    def write(self, bundle: Bundle, brief: WritingBrief) -> Draft:
        """A draft that passes `claims.check`; an optional slot with nothing to add is left out."""
        slots = {}
        for slot in brief.slots:
            text = _first_allowed(_candidates(bundle, slot), slot, bundle, brief.language)
            if text is not None:
                slots[slot.name] = text
        return Draft(slots=slots, writer="rules")


def _first_allowed(texts: Iterator[str], slot: Slot, bundle: Bundle, language: str) -> str | None:
    return next((text for text in texts if not check_text(text, slot, bundle, language=language)), None)


def _candidates(bundle: Bundle, slot: Slot) -> Iterator[str]:
    if slot.name == "headline":
        yield from _headline(bundle)
    elif slot.name == "driver":
        yield from _driver(bundle)
    elif slot.name.startswith("division_"):
        yield from _division(bundle, slot)
        return
    if slot.required:
        yield from _plain(bundle, slot)


def _plain(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """A label and its figure: true of every fact, whatever it is called."""
    for fact_id in slot.facts:
        fact = bundle.get(fact_id)
        if fact is not None and fact.unit not in ("text", "date"):
            yield f"{_label(fact)}: {_value(fact)}."
    for fact in bundle.facts:
        if not slot.facts and fact.unit not in ("text", "date"):
            yield f"{_label(fact)}: {_value(fact)}."


# Headline ---------------------------------------------------------------------------------------------------


def _headline(bundle: Bundle) -> Iterator[str]:
    """How yesterday went, then the one thing that most needs somebody; shorter when both do not fit."""
    leads = list(_leads(bundle))
    issues = list(_issues(bundle))
    for lead in leads:
        for issue in issues:
            yield f"{_capital(lead)}; {issue}."
    for lead in leads:
        yield f"{_capital(lead)}."
    for issue in issues:
        yield f"{_capital(issue)}."


def _leads(bundle: Bundle) -> Iterator[str]:
    sales = bundle.get("net_sales")
    if sales is None:
        return
    if not sales.known:
        yield _pick(
            bundle,
            f"net sales for {_claim(sales, 'period')} are {_value(sales)}",
            f"net sales are {_value(sales)}",
        )
        yield f"net sales are {_value(sales)}"
        return
    week = sales.comparison("same_weekday")
    if week is not None and week.delta is not None:
        if _is_level(week):
            yield f"net sales of {_value(sales)} were level with {_against(sales, week)}"
        size = _size(sales, week)
        if week.delta > 0:
            yield _pick(
                bundle,
                f"net sales came to {_value(sales)}, up {size} on {_against(sales, week)}",
                f"net sales rose {size} on {_against(sales, week)} to {_value(sales)}",
                f"net sales of {_value(sales)}, {size} above {_against(sales, week)}",
            )
        elif week.delta < 0:
            yield _pick(
                bundle,
                f"net sales came to {_value(sales)}, down {size} on {_against(sales, week)}",
                f"net sales fell {size} on {_against(sales, week)} to {_value(sales)}",
                f"net sales of {_value(sales)}, {size} below {_against(sales, week)}",
            )
    yield f"net sales came to {_value(sales)}"


def _issues(bundle: Bundle) -> Iterator[str]:
    """What needs somebody, the most pressing first."""
    critical = bundle.get("skus_stock_critical")
    if _some(critical):
        assert critical is not None
        yield f"{_value(critical)} {_noun(critical, 'SKU', 'SKUs')} at critical stock"
        yield f"{_label(critical)}: {_value(critical)}"
    high = bundle.get("high_value_late_orders")
    late = bundle.get("late_orders")
    if _some(high):
        assert high is not None
        yield f"{_value(high)} high-value {_noun(high, 'order is', 'orders are')} late"
    if _some(late):
        assert late is not None
        yield f"{_value(late)} {_noun(late, 'order is', 'orders are')} late"
        yield f"{_label(late)}: {_value(late)}"
    waiting = bundle.get("messages_waiting")
    if _some(waiting):
        assert waiting is not None
        yield f"{_value(waiting)} factory {_noun(waiting, 'message awaits', 'messages await')} an answer"
    for fact in (critical, late, waiting):
        # What was never there is in the small print; what was there and is gone is news.
        if fact is not None and not fact.known and fact.unknown_since is not None:
            yield f"{_label(fact)}: {_value(fact)}"
    month = bundle.get("net_sales_mtd")
    plan = month.comparison("plan") if month is not None else None
    share = plan.delta_pct if plan is not None else None
    if month is not None and share is not None and share.copy_abs() >= NOTABLE_PLAN_GAP:
        way = "behind" if share < 0 else "ahead of"
        yield f"the month to date is {_claim(month, 'comparison.plan.abs_delta_pct')} {way} plan"


# Driver and divisions ---------------------------------------------------------------------------------------


def _driver(bundle: Bundle) -> Iterator[str]:
    driver = bundle.get("driver")
    if driver is None or not driver.value:
        return
    verb = _pick(bundle, "lifted", "raised") if driver.value > 0 else _pick(bundle, "lowered", "pulled down")
    size = _claim(driver, "abs_value")
    yield f"The main driver is {_label(driver)}, which {verb} the score by {size}."
    yield f"{_label(driver)}: {_claim(driver, 'value')}."


def _division(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """A line only where a change says more than the figures that stand there anyway."""
    row = next((r for r in bundle.rows("divisions") if f"division_{r.texts.get('division')}" == slot.name), None)
    if row is None or row.mark != "attention" or "lead" not in row.facts:
        return
    lead = bundle.fact(row.facts["lead"])
    against = lead.comparison(row.texts.get("against", ""))
    if against is None or against.delta is None or not against.delta or not lead.known:
        return
    way = "above" if against.delta > 0 else "below"
    size = _size(lead, against)
    base = _claim(lead, f"comparison.{against.name}.label")
    ending = "" if "second" not in row.facts else _second(bundle, bundle.fact(row.facts["second"]))
    if against.name == "target":
        target = f"against a target of {_claim(lead, 'comparison.target.value')}"
        yield f"{_label(lead)} {_value(lead)}, {target}{ending}."
        yield f"{_label(lead)} {_value(lead)}, {target}."
    yield f"{_label(lead)} {_value(lead)}, {size} {way} {base}{ending}."
    yield f"{_label(lead)} {_value(lead)}, {size} {way} {base}."


def _second(bundle: Bundle, fact: Fact) -> str:
    return f"; {_label(fact)} {_value(fact)}" if fact.known else ""


# Phrases ----------------------------------------------------------------------------------------------------


def _claim(fact: Fact, path: str) -> str:
    return f"{{{{c:{fact.id}.{path}}}}}"


def _value(fact: Fact) -> str:
    return _claim(fact, "value")


def _label(fact: Fact) -> str:
    return _claim(fact, "label")


def _against(fact: Fact, comparison: Comparison) -> str:
    return _claim(fact, f"comparison.{comparison.name}.label")


def _size(fact: Fact, comparison: Comparison) -> str:
    """The change without its sign: in percent where there is one, else in the fact's unit."""
    share = comparison.delta_pct is not None and fact.unit in ("money", "count")
    return _claim(fact, f"comparison.{comparison.name}.{'abs_delta_pct' if share else 'abs_delta'}")


def _is_level(comparison: Comparison) -> bool:
    return comparison.delta == 0 or (comparison.delta_pct is not None and comparison.delta_pct.copy_abs() < LEVEL)


def _some(fact: Fact | None) -> bool:
    return fact is not None and fact.known and fact.value is not None and fact.value > 0


def _noun(fact: Fact, one: str, many: str) -> str:
    return one if fact.value == 1 else many


def _pick(bundle: Bundle, *texts: str) -> str:
    """One of the phrases, by the evidence itself: the same bundle always reads the same."""
    return texts[int(bundle.digest[:8], 16) % len(texts)]


def _capital(text: str) -> str:
    return text if text.startswith("{{") else text[:1].upper() + text[1:]

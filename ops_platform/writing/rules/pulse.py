"""The pulse's sentences: which fact leads, and how it is said.

Belongs here: the pulse. Does not belong here: phrases every document shares (`phrases.py`), whether a sentence may be
published (`RulesWriter` asks before it lets one go).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ops_platform.writing.rules import phrases as say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle, Fact
    from ops_platform.writing.draft import Slot

NOTABLE_PLAN_GAP = Decimal("0.03")


def candidates(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """Sentences for `slot`, the best first."""
    if slot.name == "headline":
        yield from _headline(bundle)
    elif slot.name == "driver":
        yield from _driver(bundle)
    elif slot.name.startswith("division_"):
        yield from _division(bundle, slot)
        return
    if slot.required:
        yield from say.plain(bundle, slot)


# Headline ---------------------------------------------------------------------------------------------------


def _headline(bundle: Bundle) -> Iterator[str]:
    """How yesterday went, then the one thing that most needs somebody; shorter when both do not fit."""
    leads = list(_leads(bundle))
    issues = list(_issues(bundle))
    for lead in leads:
        for issue in issues:
            yield f"{say.capital(lead)}; {issue}."
    for lead in leads:
        yield f"{say.capital(lead)}."
    for issue in issues:
        yield f"{say.capital(issue)}."


def _leads(bundle: Bundle) -> Iterator[str]:
    sales = bundle.get("net_sales")
    if sales is None:
        return
    if not sales.known:
        yield say.pick(
            bundle,
            f"net sales for {say.claim(sales, 'period')} are {say.value(sales)}",
            f"net sales are {say.value(sales)}",
        )
        yield f"net sales are {say.value(sales)}"
        return
    week = sales.comparison("same_weekday")
    if week is not None and week.delta is not None:
        if say.is_level(week):
            yield f"net sales of {say.value(sales)} were level with {say.against(sales, week)}"
        size = say.size(sales, week)
        if week.delta > 0:
            yield say.pick(
                bundle,
                f"net sales came to {say.value(sales)}, up {size} on {say.against(sales, week)}",
                f"net sales rose {size} on {say.against(sales, week)} to {say.value(sales)}",
                f"net sales of {say.value(sales)}, {size} above {say.against(sales, week)}",
            )
        elif week.delta < 0:
            yield say.pick(
                bundle,
                f"net sales came to {say.value(sales)}, down {size} on {say.against(sales, week)}",
                f"net sales fell {size} on {say.against(sales, week)} to {say.value(sales)}",
                f"net sales of {say.value(sales)}, {size} below {say.against(sales, week)}",
            )
    yield f"net sales came to {say.value(sales)}"


def _issues(bundle: Bundle) -> Iterator[str]:
    """What needs somebody, the most pressing first."""
    critical = bundle.get("skus_stock_critical")
    if say.some(critical):
        assert critical is not None
        yield f"{say.value(critical)} {say.noun(critical, 'SKU', 'SKUs')} at critical stock"
        yield f"{say.label(critical)}: {say.value(critical)}"
    high = bundle.get("high_value_late_orders")
    late = bundle.get("late_orders")
    if say.some(high):
        assert high is not None
        yield f"{say.value(high)} high-value {say.noun(high, 'order is', 'orders are')} late"
    if say.some(late):
        assert late is not None
        yield f"{say.value(late)} {say.noun(late, 'order is', 'orders are')} late"
        yield f"{say.label(late)}: {say.value(late)}"
    waiting = bundle.get("messages_waiting")
    if say.some(waiting):
        assert waiting is not None
        yield f"{say.value(waiting)} factory {say.noun(waiting, 'message awaits', 'messages await')} an answer"
    for fact in (critical, late, waiting):
        # What was never there is in the small print; what was there and is gone is news.
        if fact is not None and not fact.known and fact.unknown_since is not None:
            yield f"{say.label(fact)}: {say.value(fact)}"
    month = bundle.get("net_sales_mtd")
    plan = month.comparison("plan") if month is not None else None
    share = plan.delta_pct if plan is not None else None
    if month is not None and share is not None and share.copy_abs() >= NOTABLE_PLAN_GAP:
        way = "behind" if share < 0 else "ahead of"
        yield f"the month to date is {say.claim(month, 'comparison.plan.abs_delta_pct')} {way} plan"


# Driver and divisions ---------------------------------------------------------------------------------------


def _driver(bundle: Bundle) -> Iterator[str]:
    driver = bundle.get("driver")
    if driver is None or not driver.value:
        return
    verb = say.pick(bundle, "lifted", "raised") if driver.value > 0 else say.pick(bundle, "lowered", "pulled down")
    size = say.claim(driver, "abs_value")
    yield f"The main driver is {say.label(driver)}, which {verb} the score by {size}."
    yield f"{say.label(driver)}: {say.claim(driver, 'value')}."


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
    size = say.size(lead, against)
    base = say.claim(lead, f"comparison.{against.name}.label")
    ending = "" if "second" not in row.facts else _second(bundle, bundle.fact(row.facts["second"]))
    if against.name == "target":
        target = f"against a target of {say.claim(lead, 'comparison.target.value')}"
        yield f"{say.label(lead)} {say.value(lead)}, {target}{ending}."
        yield f"{say.label(lead)} {say.value(lead)}, {target}."
    yield f"{say.label(lead)} {say.value(lead)}, {size} {way} {base}{ending}."
    yield f"{say.label(lead)} {say.value(lead)}, {size} {way} {base}."


def _second(bundle: Bundle, fact: Fact) -> str:
    return f"; {say.label(fact)} {say.value(fact)}" if fact.known else ""

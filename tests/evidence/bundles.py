"""Bundles for tests: one fixed morning with figures chosen by hand, and a strategy for any morning."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from ops_platform.evidence.model import (
    Bundle,
    CompanyProfile,
    Comparison,
    Division,
    Fact,
    Period,
    Row,
    Source,
    SourceSystem,
)

AS_OF = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)  # 06:00 in New York
FRESH = datetime(2026, 11, 20, 10, 41, tzinfo=UTC)
YESTERDAY = Period(date(2026, 11, 19), date(2026, 11, 19), "Thursday 19 November")
TODAY = Period(date(2026, 11, 20), date(2026, 11, 20), "Friday 20 November")
MONTH = Period(date(2026, 11, 1), date(2026, 11, 19), "1–19 November")
COMPANY = CompanyProfile(
    name="Northlight Audio",
    timezone="America/New_York",
    currency="USD",
    divisions=(
        Division("customer_support", "Customer Support"),
        Division("sales", "Sales"),
        Division("supply_chain", "Supply Chain"),
        Division("design", "Design"),
    ),
    sources=(
        SourceSystem("shopify", "Shopify"),
        SourceSystem("netsuite", "NetSuite"),
        SourceSystem("slack", "Slack"),
    ),
)
WEEK = ("same_weekday", "Thursday last week")
EVE = ("day_before", "the day before")


def fact(
    fact_id: str, label: str, unit: Any, value: str | Decimal | None, *bases: tuple[str, str, Any], **more: Any
) -> Fact:
    """A fact with `bases` as (name, label, value) comparisons; value None makes it unknown."""
    number = None if value is None else Decimal(value)
    more.setdefault("period", YESTERDAY)
    more.setdefault("fresh_to", FRESH)
    more.setdefault("tie_out", "matched")
    more.setdefault("direction", "up_is_good")
    more.setdefault("status", "known" if number is not None else "unknown")
    return Fact(
        id=fact_id,
        label=label,
        unit=unit,
        value=number,
        currency="USD" if unit == "money" else None,
        comparisons=tuple(
            Comparison.between(name, text, number, None if base is None else Decimal(base))
            for name, text, base in bases
        ),
        source=Source("metrics.fct_metric_daily", "select value from …", (("metric_id", fact_id),), (12,)),
        **more,
    )


def morning(**replaced: Fact) -> Bundle:
    """Friday 20 November 2026, 06:00: sales down on the week, two SKUs critical, three messages, Slack healthy."""
    down: Any = {"direction": "down_is_good"}
    state: Any = {**down, "period": TODAY}
    facts = [
        fact("net_sales", "Net sales", "money", "11234.56", (*WEEK, "12240.10"), (*EVE, "11000")),
        fact("orders", "Orders", "count", "61", (*WEEK, "66"), (*EVE, "59")),
        fact("orders_pending", "Orders pending", "count", "143", (*EVE, "120"), (*WEEK, "101"), **state),
        fact("late_orders", "Late orders", "count", "9", (*EVE, "6"), (*WEEK, "2"), ("target", "target", "0"), **state),
        fact("high_value_late_orders", "High-value late orders", "count", "2", (*EVE, "2"), **state),
        fact("skus_stock_critical", "SKUs critical", "count", "2", (*EVE, "1"), ("target", "target", "0"), **state),
        fact("skus_stock_warning", "SKUs at warning", "count", "3", (*EVE, "3"), **state),
        fact("skus_stock_watch", "SKUs to watch", "count", "5", (*EVE, "3"), **state),
        fact("refunds", "Refunds", "money", "412.2", (*WEEK, "380"), (*EVE, "400"), **down),
        fact("net_sales_mtd", "Net sales month to date", "money", "198200", ("plan", "plan", "206400"), period=MONTH),
        fact("health", "Business health", "score", "77.6", (*EVE, "80.9"), period=TODAY),
        fact("health_low", "Low end of the health band", "score", "74", period=TODAY),
        fact("health_high", "High end of the health band", "score", "82", period=TODAY),
        fact("driver", "revenue velocity", "score", "-3.1", change=True, about="revenue_velocity", period=TODAY),
        fact("late_watch", "Late orders, watch", "count", "5", **state),
        fact("late_warning", "Late orders, warning", "count", "4", **state),
        fact("stock_1_available", "Units available", "count", "0", period=TODAY, about="DOCK-01"),
        fact("stock_1_days", "Days of supply", "days", "0", period=TODAY, about="DOCK-01"),
        fact("stock_2_available", "Units available", "count", "31", period=TODAY, about="PAD_7"),
        fact("stock_2_days", "Days of supply", "days", "4.2", period=TODAY, about="PAD_7"),
        fact("messages_waiting", "Messages waiting for an answer", "count", "3", **{**down, "period": None}),
        fact("messages_oldest_wait", "Oldest message wait", "hours", "9.4", **{**down, "period": None}),
        fact("message_1_wait", "Message wait", "hours", "9.4", **{**down, "period": None}),
        fact("source_shopify", "Shopify", "hours", "0.3", period=None),
        fact("source_netsuite", "NetSuite", "hours", "0.3", period=None),
        fact("source_slack", "Slack", "hours", "0.3", period=None),
        fact("sources_synced", "Sources synced", "count", "3", period=None),
        fact("sources_expected", "Sources connected", "count", "3", period=None),
        fact("jobs_due", "Jobs due", "count", "1", period=None),
        fact("jobs_nominal", "Jobs nominal", "count", "1", period=None),
        fact("tokens_used", "Tokens used", "count", "1840", period=None),
        fact("tokens_budget", "Token budget", "count", "20000", period=None),
    ]
    lists = {
        "late": (Row({}, {"orders": "late_watch"}, "watch"), Row({}, {"orders": "late_warning"}, "warning")),
        "inventory": (
            Row({"sku": "DOCK-01"}, {"available": "stock_1_available", "days": "stock_1_days"}, "critical"),
            Row({"sku": "PAD_7"}, {"available": "stock_2_available", "days": "stock_2_days"}, "critical"),
        ),
        "messages": (
            Row(
                {"partner": "Shenzhen Acoustics", "channel": "factory-shenzhen", "text": "Please confirm the box size"},
                {"wait": "message_1_wait"},
            ),
        ),
        "divisions": (
            Row({"division": "customer_support"}, {"lead": "refunds"}, "ok"),
            Row({"division": "sales"}, {"lead": "net_sales", "second": "orders"}, "ok"),
            Row(
                {"division": "supply_chain", "against": "target"},
                {"lead": "late_orders", "second": "skus_stock_critical"},
                "attention",
            ),
            Row({"division": "design", "reason": "no_metrics"}, {}, "unknown"),
        ),
        "sources": tuple(
            Row({}, {"freshness": f"source_{vendor}"}, "synced") for vendor in ("shopify", "netsuite", "slack")
        ),
    }
    return Bundle(
        kind="pulse",
        period=YESTERDAY,
        as_of=AS_OF,
        company=COMPANY,
        facts=tuple(replaced.get(item.id, item) for item in facts),
        lists=lists,
    )


# Any morning ------------------------------------------------------------------------------------------------

# Includes what breaks naive checks: markup, mentions, tokens, right-to-left, emoji, empty.
HOSTILE = (
    "<!channel> wake up",
    "<https://evil.example|click>",
    "*bold* _it_ ~no~ `code` ```fence```",
    "{{c:net_sales.value}} {{ }} {{c:nope}}",
    "שלום עולם مرحبا",
    "\u202e\u2066reversed\u2069",
    "👩‍👩‍👧‍👦⚠️🏷️ ok",
    "<script>alert(1)</script>&amp;",
    "| a | b |\n# head\n- [x](http://x)",
    "@here @channel #general",
    "a" * 400,
    "",
)


def amounts(*, low: int = -(10**7), high: int = 10**8) -> st.SearchStrategy[Decimal]:
    """Money as it comes: cents, thirds of cents, zero, negative, large."""
    return st.one_of(
        st.decimals(min_value=low, max_value=high, places=2, allow_nan=False, allow_infinity=False),
        st.decimals(min_value=-1, max_value=1, places=6, allow_nan=False, allow_infinity=False),
        st.just(Decimal(0)),
    )


def counts() -> st.SearchStrategy[Decimal]:
    return st.integers(0, 5000).map(Decimal) | st.integers(0, 3).map(Decimal)


@st.composite
def metric_facts(draw: st.DrawFn, fact_id: str, label: str, unit: str, **more: Any) -> Fact:
    values = amounts() if unit == "money" else counts()
    if unit == "score":
        values = st.decimals(0, 100, places=1)
    if unit == "hours":
        values = st.decimals(0, 200, places=2)
    status = draw(st.sampled_from(("known",) * 5 + ("unknown", "unknown", "stale")))
    value = None if status == "unknown" else draw(values)
    state = more.pop("state", False)
    names = (EVE, WEEK) if state else (WEEK, EVE)
    bases = [(*name, draw(st.none() | values)) for name in names]
    if draw(st.booleans()):
        bases.append(("target", "target", draw(values)))
    if unit == "hours" or more.pop("bare", False):
        bases = []
    since = draw(st.none() | st.just(datetime(2026, 11, 19, 3, 0, tzinfo=UTC)) | st.just(AS_OF - timedelta(days=400)))
    return fact(
        fact_id,
        label,
        unit,
        value,
        *bases,
        status=status,
        unknown_since=since if status == "unknown" else None,
        tie_out=draw(st.sampled_from(("matched", "matched", "mismatched", "unknown"))),
        period=TODAY if state else YESTERDAY,
        **more,
    )


def _named(spec: tuple[str, str, str, dict[str, Any]]) -> st.SearchStrategy[Fact]:
    fact_id, label, unit, more = spec
    return metric_facts(fact_id, label, unit, **more)


_DOWN: dict[str, Any] = {"direction": "down_is_good", "state": True}
METRICS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("net_sales", "Net sales", "money", {}),
    ("orders", "Orders", "count", {}),
    ("orders_pending", "Orders pending", "count", _DOWN),
    ("late_orders", "Late orders", "count", _DOWN),
    ("high_value_late_orders", "High-value late orders", "count", _DOWN),
    ("skus_stock_critical", "SKUs critical", "count", _DOWN),
    ("skus_stock_warning", "SKUs at warning", "count", _DOWN),
    ("skus_stock_watch", "SKUs to watch", "count", _DOWN),
    ("refunds", "Refunds", "money", {"direction": "down_is_good"}),
    ("average_order_value", "Average order value", "money", {}),
    ("order_to_ship_hours", "Order-to-ship time", "hours", {"direction": "down_is_good"}),
    ("factory_messages_unanswered", "Factory questions open", "count", _DOWN),
    ("messages_waiting", "Messages waiting for an answer", "count", {**_DOWN, "bare": True}),
    ("messages_oldest_wait", "Oldest message wait", "hours", _DOWN),
    ("health", "Business health", "score", {"state": True}),
)


@st.composite
def pulse_bundles(draw: st.DrawFn) -> Bundle:
    """Any bundle a pulse may have to be made of: facts missing, unknown, stale, untied, hostile texts."""
    kept = [spec for spec in METRICS if draw(st.integers(0, 9)) > 0]
    facts = {item.id: item for item in (draw(_named(spec)) for spec in kept)}
    if "net_sales" in facts and draw(st.booleans()):
        total = draw(st.none() | amounts())
        plan = ("plan", "plan", draw(st.none() | amounts()))
        facts["net_sales_mtd"] = fact("net_sales_mtd", "Net sales month to date", "money", total, plan, period=MONTH)
    if draw(st.booleans()):
        size = draw(st.decimals(-40, 40, places=2).filter(bool))
        label = draw(st.sampled_from(("revenue velocity", "order trend", "stock on key SKUs", "Plan", "ERP gap")))
        facts["driver"] = fact("driver", label, "score", size, change=True, about="component", period=TODAY)
    metric_ids = [name for name in facts if name not in ("driver", "net_sales_mtd")]
    rows = []
    for division in COMPANY.divisions:
        if not metric_ids or draw(st.integers(0, 3)) == 0:
            rows.append(
                Row(
                    {"division": division.id, "reason": draw(st.sampled_from(("no_metrics", "not_connected")))},
                    {},
                    "unknown",
                )
            )
            continue
        chosen = draw(st.lists(st.sampled_from(metric_ids), min_size=1, max_size=3, unique=True))
        roles = dict(zip(("lead", "second", "unknown"), chosen, strict=False))
        lead = facts[chosen[0]]
        mark = "unknown" if not lead.known else draw(st.sampled_from(("ok", "attention")))
        texts = {"division": division.id}
        if mark == "attention":
            texts["against"] = draw(st.sampled_from(("target", "same_weekday", "day_before", "")))
        rows.append(Row(texts, roles, mark))
    lists: dict[str, tuple[Row, ...]] = {"divisions": tuple(rows)}
    messages = []
    for number in range(1, draw(st.integers(0, 3)) + 1):
        wait = fact(f"message_{number}_wait", "Message wait", "hours", draw(st.decimals(0, 90, places=2)), period=None)
        facts[wait.id] = wait
        texts = {"partner": draw(st.sampled_from(HOSTILE)), "text": draw(st.sampled_from(HOSTILE))}
        messages.append(Row(texts, {"wait": wait.id}))
    lists["messages"] = tuple(messages)
    stock = []
    for number in range(1, draw(st.integers(0, 5)) + 1):
        units = fact(f"stock_{number}_available", "Units available", "count", draw(counts()), about="SKU")
        facts[units.id] = units
        stock.append(Row({"sku": draw(st.sampled_from(HOSTILE))}, {"available": units.id}, "critical"))
    lists["inventory"] = tuple(stock)
    return Bundle("pulse", YESTERDAY, AS_OF, COMPANY, tuple(facts.values()), lists)

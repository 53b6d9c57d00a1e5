"""A deck with every kind of block and chart, of numbers chosen by hand, for the tests of pages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from ops_platform.documents.charts import chart_of_facts, chart_of_series
from ops_platform.documents.claims import claim
from ops_platform.documents.finish import finished
from ops_platform.documents.model import (
    Block,
    Bullets,
    Chart,
    Claim,
    Document,
    Footer,
    Heading,
    KeyFigure,
    KeyFigures,
    Page,
    Paragraph,
    Quote,
    Quoted,
    RichText,
    ScoreBar,
    State,
    StatusLine,
    StatusLines,
    Table,
    Title,
    Verdict,
    bold,
    rich,
)
from ops_platform.evidence.model import (
    Bundle,
    CompanyProfile,
    Comparison,
    Division,
    Fact,
    Period,
    Point,
    Series,
    Source,
)

MONTHS = ("Nov 2025", "Dec 2025", *(f"{m} 2026" for m in "Jan Feb Mar Apr May Jun Jul Aug Sep Oct".split()))
OCTOBER = Period(date(2026, 10, 1), date(2026, 10, 31), "October 2026")
AS_OF = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SOURCE = Source("metrics.fct_metric_daily", "select sum(value) from metrics.fct_metric_daily")
CHANNELS = ("Own shop", "Amazon", "Wholesale", "Partner retail")


def line(name: str, label: str, unit: Any, values: str) -> Series:
    """A series of twelve months; `-` is unknown."""
    numbers = [None if value == "-" else Decimal(value) for value in values.split()]
    points = tuple(Point(at, value) for at, value in zip(MONTHS, numbers, strict=True))
    return Series(name, label, unit, points, "USD" if unit == "money" else None, SOURCE, "matched")


def fact(name: str, label: str, unit: Any, value: str | None, before: str = "", plan: str = "", **more: Any) -> Fact:
    number = None if value is None else Decimal(value)
    against = [("last_year", "October 2025", before), ("plan", "plan", plan)]
    bases = tuple(Comparison.between(key, text, number, Decimal(base)) for key, text, base in against if base)
    state = {"status": "unknown" if number is None else "known", "tie_out": "matched", **more}
    currency = "USD" if unit == "money" else None
    return Fact(name, label, unit, number, None, None, currency, OCTOBER, bases, source=SOURCE, **state)


def bundle() -> Bundle:
    since = datetime(2026, 10, 3, 8, 0, tzinfo=UTC)
    channels = (("221300.10", "190000"), ("118200", "121000"), ("61880.45", "48000"), (None, "12000"))
    facts = (
        fact("net_sales", "Net sales", "money", "412380.55", "371020.10", "400000"),
        fact("orders", "Orders", "count", "3120", "2987", "3000"),
        fact("gross_margin", "Gross margin", "ratio", "0.4131", "0.4252", "0.42"),
        fact("cash", "Cash", "money", "1284300", tie_out="mismatched"),
        fact("roas", "Return on ad spend", "count", "3.4", "2.9", "3.0"),
        fact("csat", "Customer satisfaction", "ratio", None, unknown_since=since),
        fact("score", "Business health", "score", "74"),
        fact("days_of_supply", "Days of supply", "days", "61", "55"),
        fact("sales_before", "October 2025", "money", "371020.10"),
        fact("from_volume", "More orders", "money", "16520.45", change=True),
        fact("from_price", "Higher average order", "money", "31250", change=True),
        fact("from_refunds", "Refunds", "money", "-3130", change=True),
        fact("from_discounts", "Discounts", "money", "-3280", change=True),
        *(fact(f"channel_{i}", CHANNELS[i], "money", value, before) for i, (value, before) in enumerate(channels)),
    )
    this_year = "371020.10 588130 301220 288400 310500 322410 - 340200 351000 362800 389900 412380.55"
    year_before = "352000 541000 290400 274800 295000 301100 305000 318700 320400 339100 350800 371020.10"
    plan = "360000 560000 300000 290000 310000 320000 330000 340000 350000 360000 380000 400000"
    margin = ".4252 .4301 .428 .4222 .4199 .4170 .4181 .4160 .4155 .4149 .4140 .4131"
    grown = ((180000, 3800), (100000, 1600), (40000, 1900), (9000, 300))
    lines = (
        line("sales_by_month", "Net sales", "money", this_year),
        line("sales_year_before", "Year before", "money", year_before),
        line("sales_plan", "Plan", "money", plan),
        line("margin_by_month", "Gross margin", "ratio", margin),
        line("tickets", "Tickets", "count", "212 340 298 221 214 208 199 205 231 240 228 219"),
        *(
            line(f"channel_month_{i}", CHANNELS[i], "money", " ".join(str(start + step * n) for n in range(12)))
            for i, (start, step) in enumerate(grown)
        ),
    )
    company = CompanyProfile("Northbeam Audio", "America/New_York", "USD", (Division("sales", "Sales"),))
    return Bundle("board_pack", OCTOBER, AS_OF, company, facts, {}, (), lines)


def charts(held: Bundle) -> dict[str, Chart]:
    """One of each kind, by name."""

    def c(name: str) -> Claim:
        return claim(held, name)

    shown = rich("Net sales by month: ", c("net_sales"), " in October")
    against = [("sales_by_month", "main"), ("sales_year_before", "before"), ("sales_plan", "plan")]
    parts = [(f"channel_month_{i}", "main") for i in range(4)]
    steps = [
        ("Oct 2025", "sales_before"),
        ("More orders", "from_volume"),
        ("Average order", "from_price"),
        ("Refunds", "from_refunds"),
        ("Discounts", "from_discounts"),
        ("Oct 2026", "net_sales"),
    ]
    bridged = rich("From ", c("sales_before"), " to ", c("net_sales"), ": price more than volume")
    split = [(name, f"channel_{i}") for i, name in enumerate(CHANNELS)]
    source = "Net sales, metrics.fct_metric_daily; records tied out with the shop."
    return {
        "months": chart_of_series(held, "line", shown, against, source=source),  # type: ignore[arg-type]
        "margin": chart_of_series(held, "line", "Gross margin has slipped", [("margin_by_month", "main")]),
        "tickets": chart_of_series(held, "column", "Tickets opened by month", [("tickets", "main")]),
        "pairs": chart_of_series(held, "column", "Sales against the year before", against[:2]),  # type: ignore[arg-type]
        "parts": chart_of_series(held, "stacked", "Net sales by channel", parts),  # type: ignore[arg-type]
        "channels": chart_of_facts(held, "bar", "Net sales by channel in October", split, label="October"),
        "bridge": chart_of_facts(held, "waterfall", bridged, steps, label="Net sales"),
    }


def scorecard(held: Bundle) -> Table:
    def row(label: str, name: str, state: State, owner: str) -> tuple[RichText, ...]:
        found = held.fact(name)
        cells = [rich(label), rich(claim(held, name))]
        for against in ("plan", "last_year"):
            for part in ("value", "delta_pct"):
                known = found.known and found.comparison(against)
                cells.append(rich(claim(held, name, f"comparison.{against}.{part}")) if known else rich("—"))
        return (*cells, rich(Verdict(state)), rich(owner))

    header = ("Measure", "October", "Plan", "vs plan", "Last year", "vs last year", "", "Owner")
    rows = (
        (rich("Growth"),),
        row("Net sales", "net_sales", "ok", "Sales"),
        row("Orders", "orders", "ok", "Sales"),
        (rich("Efficiency"),),
        row("Gross margin", "gross_margin", "attention", "Finance"),
        row("Return on ad spend", "roas", "ok", "Marketing"),
        row("Customer satisfaction", "csat", "unknown", "Customer Support"),
        row("Days of supply", "days_of_supply", "info", "Supply Chain"),
    )
    return Table(header, rows)


def blocks(held: Bundle) -> list[Block]:
    def c(name: str, path: str = "value", **options: Any) -> Claim:
        return claim(held, name, path, **options)

    drawn = charts(held)
    small = Footer((rich("Net sales: line amounts after discounts less refunds. Source: metrics.fct_metric_daily."),))
    last_year = " vs October 2025"
    figures = (
        KeyFigure(
            "Net sales",
            rich(c("net_sales")),
            (
                rich(Verdict("ok"), " ", c("net_sales", "delta_pct"), last_year),
                rich(c("net_sales", "comparison.plan.delta_pct"), " vs plan"),
            ),
        ),
        KeyFigure("Orders", rich(c("orders")), (rich(c("orders", "delta_pct"), last_year),)),
        KeyFigure(
            "Gross margin",
            rich(c("gross_margin")),
            (rich(Verdict("attention"), " ", c("gross_margin", "delta"), last_year),),
        ),
        KeyFigure("Cash", rich(c("cash"))),
        KeyFigure("Customer satisfaction", rich(c("csat"))),
    )
    up = c("net_sales", "abs_delta_pct")
    title = rich("October was ahead of plan: net sales ", c("net_sales"))
    states = (
        StatusLine("attention", "Stock", rich("Two key products run out before the next delivery.")),
        StatusLine("ok", "Receivables", rich("Nothing past due.")),
        StatusLine("unknown", "Satisfaction", rich("No survey has arrived.")),
    )
    return [
        Title(rich("Board pack, October 2026")),
        Paragraph(rich("Northbeam Audio · draft for review")),
        Footer((rich("Every number is taken from a source named in the appendix."), rich("Confidential"))),
        Page(title, rich("Executive summary · October 2026")),
        KeyFigures(figures),
        Heading(rich("Highlights"), "🎉"),
        Bullets(
            (
                rich("Net sales were ", c("net_sales", bold=True), ", up ", up, " on the year before."),
                rich("Return on ad spend reached ", c("roas"), "."),
            )
        ),
        Heading(rich("Concerns")),
        Bullets(
            (
                rich("Gross margin fell to ", c("gross_margin"), ", below plan."),
                rich("Customer satisfaction is ", c("csat"), "."),
            )
        ),
        Heading(rich("Decisions asked")),
        Bullets((rich("Approve the purchase order for spring."), rich("Agree on the price of the new model."))),
        Page(rich("Three of five measures are ahead of plan"), rich("Scorecard against plan and last year")),
        scorecard(held),
        small,
        Page(rich("Net sales grew every month since July"), rich("Sales · twelve months to October 2026")),
        drawn["months"],
        Heading(rich("What changed")),
        Bullets((rich("Own shop sold ", c("channel_0"), "."), rich("Wholesale sold ", c("channel_2"), "."))),
        Quote("The new colour sells twice as fast, please send more", rich("Partner in ", Quoted("深圳 Shenzhen"))),
        small,
        Page(rich("Price rather than volume brought the growth"), rich("What changed and why")),
        drawn["bridge"],
        drawn["channels"],
        Page(rich("The company in four pictures"), rich("Twelve months")),
        drawn["margin"],
        drawn["tickets"],
        drawn["pairs"],
        drawn["parts"],
        Page(rich("Two risks need an owner"), rich("Risks and open alerts")),
        ScoreBar(
            "Business health",
            rich(c("score")),
            Decimal("0.74"),
            Decimal("0.68"),
            Decimal("0.79"),
            rich("main driver: stock on key products"),
        ),
        StatusLines(states),
        Paragraph(rich(bold("Note. "), "Cash is ", c("cash"), " and has not been reconciled with the bank.")),
    ]


def deck(*more: Block) -> Document:
    held = bundle()
    summary = rich("Board pack October 2026: net sales ", claim(held, "net_sales"))
    return finished("board_pack", held, [*blocks(held), *more], summary, writer="rules")

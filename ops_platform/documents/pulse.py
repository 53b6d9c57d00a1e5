"""The morning pulse: from a bundle and a draft to a document. Pure: the same two give the same bytes for ever.

Belongs here: the order, labels and shape of the pulse's blocks. Does not belong here: sentences (the draft),
formatting of numbers (`documents.claims`), what a channel makes of a block (the renderers).

Made to be read in thirty seconds on a telephone: a headline, the score and what moved it, four figures, what is
waiting, a line a division, the small print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ops_platform.documents.claims import claim, fill
from ops_platform.documents.finish import finished, not_tied_out_line
from ops_platform.documents.model import (
    Block,
    Claim,
    Divider,
    Document,
    Footer,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quote,
    Quoted,
    RichText,
    ScoreBar,
    Span,
    State,
    StatusLine,
    StatusLines,
    Title,
    Words,
    joined,
    plain,
    present,
    rich,
)
from ops_platform.documents.silence import silence_line
from ops_platform.evidence.calendar import MONTHS, WEEKDAYS
from ops_platform.evidence.quoting import minimise

if TYPE_CHECKING:
    from datetime import date

    from ops_platform.documents.finish import WrittenText
    from ops_platform.evidence.model import Bundle, Comparison, Division, Fact, Row

KIND = "pulse"
SKUS_SHOWN = 3
QUOTES_SHOWN = 2
NEW_FIELDS_SHOWN = 3
_STOCK_LEVELS = (
    ("skus_stock_critical", " critical"),
    ("skus_stock_warning", " warning"),
    ("skus_stock_watch", " to watch"),
)


def compose_pulse(bundle: Bundle, draft: WrittenText) -> Document:
    """The pulse of the morning of `bundle.as_of`. Raises `DataFailure` on a token the bundle cannot resolve."""
    blocks: list[Block] = [Title(rich(_headline_date(bundle)))]
    if draft.slots.get("headline"):
        blocks.append(Paragraph(fill(draft.slots["headline"], bundle)))
    blocks.append(_health(bundle))
    if draft.slots.get("driver"):
        # A writer may say so himself; otherwise the line needs its heading to be understood.
        line = fill(draft.slots["driver"], bundle)
        said = "driver" in plain(line).lower()
        blocks.append(Paragraph(rich("" if said else "Main driver: ", line)))
    blocks += [Divider(), KeyFigures((*_sales(bundle), *_orders(bundle), *_inventory(bundle), _messages(bundle)))]
    blocks += _quotes(bundle)
    lines = _divisions(bundle, draft)
    if lines:
        blocks += [Divider(), StatusLines(lines)]
    summary = _summary(bundle)
    blocks += [Divider(), Footer(_footer(bundle, draft, tuple(blocks)))]
    return finished(KIND, bundle, blocks, summary, writer=draft.writer)


def _headline_date(bundle: Bundle) -> str:
    today = bundle.as_of.astimezone(ZoneInfo(bundle.company.timezone)).date()
    return f"{WEEKDAYS[today.weekday()]}, {_long_date(today)} — morning pulse"


def _long_date(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _summary(bundle: Bundle) -> RichText:
    """The line of the notification: enough to know whether to open it."""
    parts: list[RichText] = []
    sales = bundle.get("net_sales")
    if sales is not None:
        parts.append(rich("net sales ", claim(bundle, sales.id), _parenthesis(_change(bundle, sales, "same_weekday"))))
    for fact_id, words in (("late_orders", " late orders"), ("skus_stock_critical", " SKUs critical")):
        fact = bundle.get(fact_id)
        if fact is not None and fact.value:
            parts.append(rich(claim(bundle, fact_id), words))
    today = bundle.as_of.astimezone(ZoneInfo(bundle.company.timezone)).date()
    date_words = f"{WEEKDAYS[today.weekday()]} {today.day} {MONTHS[today.month - 1]}"
    return rich(f"Morning pulse, {date_words}", ": " if parts else "", joined(parts, ", "))


# Health -----------------------------------------------------------------------------------------------------


def _health(bundle: Bundle) -> ScoreBar:
    fact = bundle.get("health")
    if fact is None or fact.value is None:
        score = rich(claim(bundle, "health")) if fact else rich("unknown")
        return ScoreBar("Business health", score, None, notes=_unseen(bundle))
    low, high = bundle.get("health_low"), bundle.get("health_high")
    notes: list[RichText] = []
    if low and high and low.value is not None and high.value is not None and low.value != high.value:
        notes.append(rich("band ", claim(bundle, "health_low"), "–", claim(bundle, "health_high")))
    change = _change(bundle, fact, "day_before", share=False)
    if change:
        notes.append(rich(change, " vs the day before"))
    unseen = _unseen(bundle)
    if unseen:
        notes.append(unseen)
    return ScoreBar(
        "Business health",
        rich(claim(bundle, "health", bold=True)),
        fact.value / 100,
        low.value / 100 if low and low.value is not None else None,
        high.value / 100 if high and high.value is not None else None,
        joined(notes, " · "),
    )


def _unseen(bundle: Bundle) -> RichText:
    """The inputs the score could not see: they widen the band, they do not move the score."""
    names = [bundle.fact(row.facts["component"]).label for row in bundle.rows("health_unknown")]
    return rich("unknown: " + ", ".join(names)) if names else ()


# The four figures -------------------------------------------------------------------------------------------


def _sales(bundle: Bundle) -> list[KeyFigure]:
    rows = []
    sales = bundle.get("net_sales")
    if sales is not None:
        notes = [_versus(bundle, sales, "same_weekday")]
        rows.append(KeyFigure("Net sales", _value(bundle, sales.id), present(notes), "💰"))
    month = bundle.get("net_sales_mtd")
    if month is not None:
        rows.append(KeyFigure("Month to date", _value(bundle, month.id), present([_versus(bundle, month, "plan")])))
    return rows


def _orders(bundle: Bundle) -> list[KeyFigure]:
    new = bundle.get("orders")
    if new is None:
        return []
    value = rich(claim(bundle, "orders", bold=True), " new" if new.known else "")
    notes = []
    for fact_id, words, name in (("orders_pending", " pending", "pending "), ("late_orders", " late", "late ")):
        fact = bundle.get(fact_id)
        if fact is not None:
            figure = claim(bundle, fact_id)
            notes.append(rich(figure, words) if fact.known else rich(name, figure))
    rows = [KeyFigure("Orders", value, tuple(notes), "📦")]
    ages = [rich(claim(bundle, row.facts["orders"]), f" {row.mark}") for row in bundle.rows("late")]
    high = bundle.get("high_value_late_orders")
    if high is not None and high.value:
        ages.append(rich(claim(bundle, high.id), " high value"))
    if ages:
        rows.append(KeyFigure("Late by age", ages[0], tuple(ages[1:])))
    return rows


def _inventory(bundle: Bundle) -> list[KeyFigure]:
    """Alerts by severity with the SKUs to act on first, or that all is healthy: said only when all is known."""
    facts = [(fact, words) for fact_id, words in _STOCK_LEVELS if (fact := bundle.get(fact_id)) is not None]
    if not facts:
        return []
    if all(fact.known and fact.value == 0 for fact, _ in facts):
        healthy = rich(Words("all healthy", bold=True), *_traced(bundle, [fact for fact, _ in facts]))
        return [KeyFigure("Inventory", healthy, icon="🏷️")]
    parts = []
    for fact, words in facts:
        if fact.known and fact.value:
            parts.append(rich(claim(bundle, fact.id), words))
        elif not fact.known:
            parts.append(rich(words.strip() + " ", claim(bundle, fact.id)))
    if not any(fact.known for fact, _ in facts):
        parts = [rich(claim(bundle, facts[0][0].id))]
    rows = [KeyFigure("Inventory", _emphasised(parts[0]), tuple(parts[1:]), "🏷️")]
    skus = [_sku(bundle, row) for row in bundle.rows("inventory")[:SKUS_SHOWN]]
    if skus:
        rows.append(KeyFigure("Act first", skus[0], tuple(skus[1:])))
    return rows


def _traced(bundle: Bundle, facts: list[Fact]) -> RichText:
    """The age of counts that stand behind words: "all healthy" from old data says how old."""
    marked = [claim(bundle, fact.id) for fact in facts]
    old = next((span.as_of for span in marked if span.as_of), None)
    loose = any(span.mark == "not_tied_out" for span in marked)
    return rich(f" (as of {old})" if old else "", " (⚠ not tied out)" if loose else "")


def _sku(bundle: Bundle, row: Row) -> RichText:
    """A SKU and the one figure that says how urgent it is: no stock, or how long it lasts."""
    units = bundle.get(row.facts.get("available", ""))
    name: Span = Quoted(row.texts.get("sku", ""))
    if units is not None and units.value is not None and (units.value <= 0 or "days" not in row.facts):
        return rich(name, " ", claim(bundle, units.id), " units")
    if "days" in row.facts:
        return rich(name, " ", claim(bundle, row.facts["days"]))
    return rich(name)


def _messages(bundle: Bundle) -> KeyFigure:
    fact = bundle.get("messages_waiting")
    if fact is None:
        return KeyFigure("Overnight", rich("unknown"), icon="🌏")
    if fact.known and fact.value == 0:
        return KeyFigure("Overnight", rich("nothing waiting", *_traced(bundle, [fact])), icon="🌏")
    if not fact.known:
        return KeyFigure("Overnight", rich("messages ", claim(bundle, fact.id)), icon="🌏")
    need = " needs an answer" if fact.value == 1 else " need an answer"
    oldest = bundle.get("messages_oldest_wait")
    notes = (rich("oldest ", claim(bundle, oldest.id)),) if oldest is not None and oldest.known else ()
    return KeyFigure("Overnight", rich(claim(bundle, fact.id, bold=True), need), notes, "🌏")


def _quotes(bundle: Bundle) -> list[Block]:
    quotes: list[Block] = []
    for row in bundle.rows("messages")[:QUOTES_SHOWN]:
        wait = (rich(" · ", claim(bundle, row.facts["wait"]), " ago"),) if "wait" in row.facts else ()
        quotes.append(Quote(row.texts.get("text", ""), rich(Quoted(row.texts.get("partner", "")), *wait)))
    return quotes


# Divisions --------------------------------------------------------------------------------------------------


def _divisions(bundle: Bundle, draft: WrittenText) -> tuple[StatusLine, ...]:
    rows = {row.texts.get("division", ""): row for row in bundle.rows("divisions")}
    lines = []
    for division in bundle.company.divisions:
        row = rows.get(division.id)
        if row is None:
            lines.append(StatusLine("unknown", division.label, rich("no figures yet")))
            continue
        written = draft.slots.get(division_slot(division))
        text = fill(written.rstrip(" ."), bundle) if written else _division_text(bundle, row)
        lines.append(StatusLine(_STATES[row.mark], division.label, text))
    return tuple(lines)


_STATES: dict[str, State] = {"ok": "ok", "attention": "attention", "unknown": "unknown"}


def division_slot(division: Division) -> str:
    """The name of the draft's slot for a division's line."""
    return f"division_{division.id}"


def _division_text(bundle: Bundle, row: Row) -> RichText:
    """The line when nobody wrote one: the deciding metric and what it was held against."""
    if row.texts.get("reason") == "no_metrics":
        return rich("no figures yet")
    if row.texts.get("reason") == "not_connected":
        return rich("source not connected")
    lead = bundle.fact(row.facts["lead"])
    parts: list[RichText] = [rich(f"{lead.label} ", claim(bundle, lead.id))]
    if row.mark == "attention":
        parts.append(_against(bundle, lead, row.texts.get("against", "")))
    elif row.mark == "ok" and "second" in row.facts:
        second = bundle.fact(row.facts["second"])
        parts.append(rich(f"{second.label.lower()} ", claim(bundle, second.id)))
    if "unknown" in row.facts:
        missing = bundle.fact(row.facts["unknown"])
        parts.append(rich(f"{missing.label.lower()} ", claim(bundle, missing.id)))
    return joined(parts, " · ")


def _against(bundle: Bundle, fact: Fact, name: str) -> RichText:
    comparison = fact.comparison(name)
    if comparison is None or comparison.value is None:
        return ()
    if name == "target":
        return rich("target ", claim(bundle, fact.id, "comparison.target.value"))
    return _versus(bundle, fact, name)


# Footer -----------------------------------------------------------------------------------------------------


def _footer(bundle: Bundle, draft: WrittenText, blocks: tuple[Block, ...]) -> tuple[RichText, ...]:
    items: list[RichText] = [*present([not_tied_out_line(bundle, blocks)])]
    if bundle.get("sources_synced") and bundle.get("sources_expected"):
        counted = rich(claim(bundle, "sources_synced"), " of ", claim(bundle, "sources_expected"), " sources synced")
        items.append(joined([counted, *(_source(bundle, row) for row in bundle.rows("sources"))], " · "))
    new = [rich(f"{row.texts['stream']}: ", Quoted(row.texts["fields"])) for row in bundle.rows("new_fields")]
    if new:
        items.append(joined([rich("new fields, kept"), *new[:NEW_FIELDS_SHOWN]], " · "))
    if bundle.get("silence_runs") is not None:
        items.append(silence_line(bundle))
    items.append(_operations(bundle, draft))
    items += [rich(note) for note in bundle.notes if note.startswith(("not readable", "metric "))]
    if "warehouse_unproven" in bundle.notes:
        items.append(rich("⚠ the last build of the warehouse did not pass its tests: its numbers are withheld"))
    if "empty_warehouse" in bundle.notes:
        items.append(rich("the warehouse has not been built yet"))
    return tuple(items)


def _source(bundle: Bundle, row: Row) -> RichText:
    fact = bundle.fact(row.facts["freshness"])
    if row.mark == "not_connected":
        return rich(f"{fact.label} not connected")
    if row.mark == "synced":
        return rich(f"{fact.label} ", claim(bundle, fact.id, "fresh_to"))
    if row.mark in ("failed", "paused"):
        # However young the last good data are: what changed since is not in them.
        since = rich(f"⚠ {fact.label} {row.mark} since ", claim(bundle, row.facts["since"], "unknown_since"))
        return rich(since, " (", Quoted(row.texts.get("streams", "")), ")")
    return rich(f"⚠ {fact.label} ", claim(bundle, fact.id))


def _operations(bundle: Bundle, draft: WrittenText) -> RichText:
    due, nominal = bundle.get("jobs_due"), bundle.get("jobs_nominal")
    parts = []
    if due is not None and nominal is not None and due.known and nominal.known:
        parts.append(rich(claim(bundle, nominal.id), " of ", claim(bundle, due.id), " jobs nominal"))
    else:
        parts.append(rich("jobs unknown"))
    used, budget = bundle.get("tokens_used"), bundle.get("tokens_budget")
    if used is not None and used.known:
        bound = rich(" of ", claim(bundle, budget.id)) if budget is not None and budget.known else ()
        parts.append(rich(claim(bundle, used.id), bound, " tokens in the day before"))
    else:
        parts.append(rich("tokens unknown"))
    cost = f", {draft.tokens:,} tokens" if draft.tokens else ""
    written = "Claude" if draft.writer == "claude" else draft.writer
    # A note may carry what a vendor answered, so it is shown as somebody else's text.
    by = Quoted(minimise(draft.note, 120)) if draft.note else Words(f"written by {written}")
    parts.append(rich(by, cost))
    parts.append(rich(f"evidence {bundle.digest[:8]}"))
    return joined(parts, " · ")


# Phrases ----------------------------------------------------------------------------------------------------


def _value(bundle: Bundle, fact_id: str) -> RichText:
    return rich(claim(bundle, fact_id, bold=True))


def _change(bundle: Bundle, fact: Fact, name: str, *, share: bool = True) -> RichText:
    """The change against a comparison as a claim: in percent, or in the unit when there is no percentage."""
    comparison = fact.comparison(name)
    if comparison is None or comparison.delta is None:
        return ()
    part = "delta_pct" if share and comparison.delta_pct is not None and fact.unit in ("money", "count") else "delta"
    return rich(claim(bundle, fact.id, f"comparison.{name}.{part}"))


def _versus(bundle: Bundle, fact: Fact, name: str) -> RichText:
    comparison = fact.comparison(name)
    if comparison is None or not fact.known:
        return ()
    change = _change(bundle, fact, name)
    return rich(change, f" vs {comparison.label}") if change else _no_base(comparison)


def _no_base(comparison: Comparison) -> RichText:
    return rich(f"{comparison.label}: unknown") if comparison.value is None else ()


def _parenthesis(text: RichText) -> RichText:
    return rich(" (", text, ")") if text else ()


def _emphasised(text: RichText) -> RichText:
    return tuple(
        Claim(s.fact, s.path, s.text, s.mark, s.as_of, True) if isinstance(s, Claim) and index == 0 else s
        for index, s in enumerate(text)
    )

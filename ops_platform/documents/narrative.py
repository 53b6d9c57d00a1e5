"""A narrative: the day, the week or the month in review. Pure: the same evidence and draft give the same bytes.

Belongs here: the order, labels and shape of its blocks. Does not belong here: sentences (the draft), formatting of
numbers (`documents.claims`), what a channel makes of a block (the renderers).

What is the matter comes before what went well, and what has to be done before the tables. A line nobody wrote is made
of the figure and what it was held against; what an action or an alert is about stands there in its source's words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ops_platform.documents.claims import claim, fill
from ops_platform.documents.finish import finished, not_tied_out_line
from ops_platform.documents.model import (
    Block,
    Bullets,
    Document,
    Footer,
    Heading,
    Paragraph,
    Quoted,
    RichText,
    State,
    StatusLine,
    StatusLines,
    Table,
    Title,
    Words,
    joined,
    present,
    rich,
)
from ops_platform.documents.silence import silence_line
from ops_platform.evidence.calendar import MONTHS
from ops_platform.evidence.quoting import minimise

if TYPE_CHECKING:
    from ops_platform.documents.finish import WrittenText
    from ops_platform.evidence.model import Bundle, Fact, Row

REVIEWS = {
    "narrative_daily": "day in review", "narrative_weekly": "week in review", "narrative_monthly": "month in review",
}  # fmt: skip
PARTS = {"narrative_weekly": ("Day by day", "days"), "narrative_monthly": ("Week by week", "weeks")}
SPANS = {"narrative_weekly": "Week", "narrative_monthly": "Month"}
AGAINST = {"week_before": "vs before", "month_before": "vs before", "last_year": "vs last year"}
_STATES: dict[str, State] = {"ok": "ok", "attention": "attention", "unknown": "unknown"}


def compose_narrative(bundle: Bundle, draft: WrittenText) -> Document:
    """The narrative of `bundle.period`. Raises `DataFailure` on a token the bundle cannot resolve."""
    blocks: list[Block] = [Title(rich(f"{_period(bundle)} — {REVIEWS[bundle.kind]}"))]
    if draft.slots.get("lead"):
        blocks.append(Paragraph(fill(draft.slots["lead"], bundle)))
    blocks += _driver(bundle)
    blocks += _concerns(bundle, draft)
    blocks += _incidents(bundle)
    blocks += _actions(bundle)
    blocks += _highlights(bundle, draft)
    blocks += _figures(bundle)
    blocks += _divisions(bundle)
    blocks += _parts(bundle)
    blocks.append(Footer(_footer(bundle, draft, tuple(blocks))))
    return finished(bundle.kind, bundle, blocks, _summary(bundle), writer=draft.writer)


def _period(bundle: Bundle) -> str:
    year = bundle.period.end.year
    label = bundle.period.label
    return label if str(year) in label else f"{label} {year}"


def _summary(bundle: Bundle) -> RichText:
    """The line of the notification: what it is, and whether there is anything the matter."""
    parts: list[RichText] = []
    found = bundle.get("concerns_found")
    if found is not None and found.value:
        parts.append(rich(claim(bundle, found.id), " concern" if found.value == 1 else " concerns"))
    sales = bundle.get("net_sales")
    if sales is not None:
        change = _change(bundle, sales)
        parts.append(rich("net sales ", claim(bundle, sales.id), *((" (", *change, ")") if change else ())))
    name = f"{REVIEWS[bundle.kind].capitalize()}, {bundle.period.label}"
    return rich(name, ": " if parts else "", joined(parts, ", "))


# Points -----------------------------------------------------------------------------------------------------


def _driver(bundle: Bundle) -> list[Block]:
    """What carries most of the change of the first figure, and its channels."""
    parts: list[RichText] = []
    leads = bundle.rows("lead")
    driver = bundle.get(f"{leads[0].facts['figure']}_driver") if leads else None
    if driver is not None:
        parts.append(rich(f"Main driver: {driver.label.lower()} ", claim(bundle, driver.id)))
    channels = [
        rich(Quoted(row.texts["value"]), " ", claim(bundle, row.facts["change"])) for row in bundle.rows("channels")
    ]
    if channels:
        parts.append(rich("by channel: ", joined(channels, ", ")))
    return [Paragraph(joined(parts, " · "))] if parts else []


def _concerns(bundle: Bundle, draft: WrittenText) -> list[Block]:
    items = [_point(bundle, draft, "concern", number, row) for number, row in enumerate(bundle.rows("concerns"), 1)]
    items += [_recurring(bundle, row) for row in bundle.rows("recurring")]
    blocks: list[Block] = [Heading(rich("Concerns"), "⚠️")]
    if items:
        blocks.append(Bullets(tuple(items)))
    else:
        looked = bundle.get("metrics_looked_at")
        among = rich(" among ", claim(bundle, looked.id), " metrics") if looked is not None else ()
        blocks.append(Paragraph(rich("No new concern", among, ".")))
    lines = []
    standing = bundle.rows("standing")
    if standing:
        told = [_against_target(bundle, row) for row in standing]
        lines.append(rich("Also off target: ", joined(told, " · ")))
    unknown = dict.fromkeys(
        row.facts["figure"] for row in bundle.rows("figures") if not bundle.fact(row.facts["figure"]).known
    )
    # A source that stops takes many figures with it: they are told together, by the moment they are missing from.
    since: dict[str, list[str]] = {}
    for name in unknown:
        since.setdefault(claim(bundle, name).text, []).append(name)
    if since:
        groups = since.values()
        told = [rich(", ".join(bundle.fact(n).label for n in names), " ", claim(bundle, names[0])) for names in groups]
        lines.append(rich("Not known: ", joined(told, " · ")))
    return [*blocks, *(Paragraph(line) for line in lines)]


def _highlights(bundle: Bundle, draft: WrittenText) -> list[Block]:
    rows = bundle.rows("highlights")
    if not rows:
        return []
    items = tuple(_point(bundle, draft, "highlight", number, row) for number, row in enumerate(rows, 1))
    return [Heading(rich("Highlights"), "✨"), Bullets(items)]


def _point(bundle: Bundle, draft: WrittenText, name: str, number: int, row: Row) -> RichText:
    """The line somebody wrote, or the figure and what it was held against; then what carries the change."""
    fact = bundle.fact(row.facts["figure"])
    written = draft.slots.get(f"{name}_{number}")
    if written:
        line = fill(written.rstrip(" ."), bundle)
    else:
        line = rich(f"{fact.label} ", claim(bundle, fact.id, bold=True), *_held_against(bundle, fact, row))
    marks = [rich("outside its expected range")] if row.texts.get("why") == "breached" else []
    if "driver" in row.facts:
        driver = bundle.fact(row.facts["driver"])
        marks.append(rich(f"mostly {driver.label.lower()}, ", claim(bundle, driver.id)))
    return rich(line, *((" — ", joined(marks, "; ")) if marks else ()))


def _held_against(bundle: Bundle, fact: Fact, row: Row) -> RichText:
    against = fact.comparison(row.texts.get("against", ""))
    if against is None or against.value is None:
        return ()
    if against.name == "target":
        return rich(", target ", claim(bundle, fact.id, "comparison.target.value"))
    change = _change(bundle, fact, against.name)
    return rich(" (", change, f" vs {against.label})") if change else ()


def _against_target(bundle: Bundle, row: Row) -> RichText:
    fact = bundle.fact(row.facts["figure"])
    target = rich(" (target ", claim(bundle, fact.id, "comparison.target.value"), ")")
    return rich(f"{fact.label.lower() if fact.label[1:2].islower() else fact.label} ", claim(bundle, fact.id), target)


def _recurring(bundle: Bundle, row: Row) -> RichText:
    label = Quoted(row.texts["label"]) if row.texts.get("whose") == "quoted" else Words(row.texts["label"])
    return rich(
        label, ": a concern in ", claim(bundle, row.facts["times"]), " of ", claim(bundle, "parts_told"),
        f" {PARTS[bundle.kind][1]}",
    )  # fmt: skip


def _incidents(bundle: Bundle) -> list[Block]:
    rows = bundle.rows("incidents")
    if not rows:
        return []
    items = []
    for row in rows:
        sign = {"critical": "🔴 ", "alert": "🟠 "}.get(row.mark, "")
        state = " — over" if row.texts["state"] == "over" else ""
        owner = row.texts.get("owner", "")
        items.append(
            rich(sign, Quoted(row.texts["label"]), " (since ", claim(bundle, row.facts["since"]), f", {owner})", state)
        )
    open_now = bundle.get("incidents_open")
    hidden = int(open_now.value or 0) - sum(row.texts["state"] == "open" for row in rows) if open_now else 0
    if hidden > 0 and open_now is not None:
        items.append(rich("open in all: ", claim(bundle, open_now.id)))
    return [Heading(rich("Alerts"), "🔔"), Bullets(tuple(items))]


# Actions ----------------------------------------------------------------------------------------------------


def _actions(bundle: Bundle) -> list[Block]:
    rows, done = bundle.rows("actions"), bundle.rows("done")
    if not rows and not done:
        return []
    items = [_action(bundle, row) for row in rows]
    hidden = bundle.get("actions_hidden")
    if hidden is not None:
        items.append(rich("and ", claim(bundle, hidden.id), " more: ", Words("ops action list", italic=True)))
    blocks: list[Block] = [Heading(rich("Actions"), "☑️")]
    if items:
        blocks.append(Bullets(tuple(items)))
    if done:
        told = [
            rich(
                claim(bundle, row.facts["number"]), f" {row.texts['what']} ", Quoted(row.texts["about"]), " (",
                "dropped, " if row.mark == "dropped" else "", claim(bundle, row.facts["on"]), ")",
            )
            for row in done
        ]  # fmt: skip
        blocks.append(Paragraph(rich("Settled: ", joined(told, " · "))))
    return blocks


def _action(bundle: Bundle, row: Row) -> RichText:
    late = row.mark == "late"
    about = rich(" ", Quoted(row.texts["about"])) if row.texts.get("about") else ()
    carried = rich(", carried over since ", claim(bundle, row.facts["opened"])) if "opened" in row.facts else ()
    cleared = ", no longer a concern" if row.texts.get("cleared") == "yes" and carried else ""
    owner = Quoted(row.texts["owner"], bold=True)
    return rich(
        claim(bundle, row.facts["number"]), f" {row.texts['what']}", about, " — ", owner, ", ",
        "⚠ was due " if late else "due ", claim(bundle, row.facts["due"]), carried, cleared,
    )  # fmt: skip


# Tables -----------------------------------------------------------------------------------------------------


def _figures(bundle: Bundle) -> list[Block]:
    """What people look at every morning, over the week or month; the day's stand in the pulse."""
    if bundle.kind == "narrative_daily":
        return []
    facts = [bundle.fact(row.facts["figure"]) for row in bundle.rows("figures")]
    names = [c.name for fact in facts[:1] for c in fact.comparisons if c.name not in ("target", "plan")]
    if not names:
        return []
    # Short, for a telephone; the sentences say which week or month "before" is.
    header = ("Figure", SPANS[bundle.kind], *(AGAINST.get(name, name) for name in names), "Aim")
    rows = []
    for fact in facts:
        aims = [c for c in fact.comparisons if c.name in ("plan", "target") and c.value is not None]
        aim = rich(claim(bundle, fact.id, f"comparison.{aims[0].name}.value")) if aims else rich("–")
        changes = [_change(bundle, fact, name) or rich("–") for name in names]
        rows.append((rich(fact.label), rich(claim(bundle, fact.id)), *changes, aim))
    return [Heading(rich("Figures"), "📊"), Table(header, tuple(rows))]


def _divisions(bundle: Bundle) -> list[Block]:
    rows = {row.texts.get("division", ""): row for row in bundle.rows("divisions")}
    if not rows:
        return []
    lines = []
    for division in bundle.company.divisions:
        row = rows.get(division.id)
        if row is None or "lead" not in row.facts:
            lines.append(StatusLine("unknown", division.label, rich("no figures yet")))
            continue
        fact = bundle.fact(row.facts["lead"])
        text = rich(f"{fact.label} ", claim(bundle, fact.id), *_held_against(bundle, fact, row))
        lines.append(StatusLine(_STATES[row.mark], division.label, text))
    return [Heading(rich("Divisions"), "🏢"), StatusLines(tuple(lines))]


def _parts(bundle: Bundle) -> list[Block]:
    """The narratives of the tier below that this one builds on."""
    rows = bundle.rows("parts")
    if not rows or bundle.kind not in PARTS:
        return []
    name, units = PARTS[bundle.kind]
    table, restated = [], False
    for row in rows:
        day = rich(claim(bundle, row.facts["day"]))
        if row.mark == "missing":
            table.append((day, rich("no narrative"), rich("–")))
            continue
        restated = restated or row.mark == "restated"
        sales = rich(claim(bundle, row.facts["sales"])) if "sales" in row.facts else rich("unknown")
        if row.mark == "restated":
            sales = rich(sales, " ⟲ published as ", claim(bundle, row.facts["sales"], "comparison.published.value"))
        table.append((day, sales, rich(claim(bundle, row.facts["concerns"]))))
    told, expected = claim(bundle, "parts_told"), claim(bundle, "parts_expected")
    notes = [rich("built on the narratives of ", told, " of ", expected, f" {units}")]
    if restated:
        notes.append(rich("⟲ changed since it was published"))
    return [
        Heading(rich(name), "🗓️"),
        Table(("From", "Net sales", "Concerns"), tuple(table)),
        Paragraph(joined(notes, " · ")),
    ]


# Footer -----------------------------------------------------------------------------------------------------


def _footer(bundle: Bundle, draft: WrittenText, blocks: tuple[Block, ...]) -> tuple[RichText, ...]:
    items: list[RichText] = [*present([not_tied_out_line(bundle, blocks)])]
    if bundle.get("silence_runs") is not None:
        items.append(silence_line(bundle))
    items += [rich(note) for note in bundle.notes if note.startswith(("not readable", "metric "))]
    if "warehouse_unproven" in bundle.notes:
        items.append(rich("⚠ the last build of the warehouse did not pass its tests: its numbers are withheld"))
    if "empty_warehouse" in bundle.notes:
        items.append(rich("the warehouse has not been built yet"))
    cost = f", {draft.tokens:,} tokens" if draft.tokens else ""
    # A note may carry what a vendor answered, so it is shown as somebody else's text.
    by = Quoted(minimise(draft.note, 120)) if draft.note else Words(f"written by {draft.writer}")
    never = [bundle.fact(row.facts["figure"]).label for row in bundle.rows("never")]
    if never:
        items.append(rich(f"◌ no figure of this period or before it: {', '.join(never)}"))
    day = bundle.as_of.astimezone(ZoneInfo(bundle.company.timezone)).date()
    made = f"{day.day} {MONTHS[day.month - 1]} {day.year}"
    items.append(joined([rich(by, cost), rich(f"made {made}"), rich(f"evidence {bundle.digest[:8]}")], " · "))
    return tuple(items)


def _change(bundle: Bundle, fact: Fact, name: str = "") -> RichText:
    """The change against a comparison (the first) with its sign: in percent, or in the unit where there is none."""
    comparison = fact.comparison(name) if name else fact.primary
    if comparison is None or comparison.delta is None or not fact.known:
        return ()
    part = "delta_pct" if comparison.delta_pct is not None and fact.unit in ("money", "count") else "delta"
    return rich(claim(bundle, fact.id, f"comparison.{comparison.name}.{part}"))

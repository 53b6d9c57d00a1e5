"""The answer to a work order: what stands out, what was asked about, what to do, what the agent's facts say. Pure: the
same two give the same bytes for ever.

Belongs here: the order and shape of its blocks. Does not belong here: what it stands on (`ops_platform.work_orders`),
how a number is written (`documents.claims`), a report's sections (`documents.briefing`, which draws those of an agent
too).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents.briefing import key_figure, section_blocks
from ops_platform.documents.charts import chart_of_series
from ops_platform.documents.claims import claim, fill
from ops_platform.documents.finish import finished
from ops_platform.documents.model import (
    Block,
    Bullets,
    Document,
    Footer,
    Heading,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quoted,
    RichText,
    StatusLine,
    StatusLines,
    Table,
    Title,
    bold,
    joined,
    rich,
)
from ops_platform.documents.verdicts import LIMIT, MARKS, STATES, footer, limit_of, limit_text, verdict_text

if TYPE_CHECKING:
    from ops_platform.documents.finish import WrittenText
    from ops_platform.evidence.model import Bundle, Fact, Row

KIND = "work_answer"
_LOUDEST = ("critical", "alert", "watch")


def compose_work_answer(bundle: Bundle, draft: WrittenText) -> Document:
    """The answer. Raises `DataFailure` on a token the bundle cannot resolve."""
    order = bundle.rows("order")[0].texts
    blocks: list[Block] = [
        Title(rich(f"{order['agent']}: answer to #{order['number']}")),
        Paragraph(rich("Asked: ", Quoted(order["title"] or "(no title)"))),
    ]
    if draft.slots.get("lead"):
        blocks.append(Paragraph(fill(draft.slots["lead"], bundle)))
    blocks += _asked(bundle, draft)
    blocks += _design(bundle)
    blocks += _to_do(bundle)
    blocks += _verdicts(bundle)
    for section in bundle.rows("sections"):
        blocks += section_blocks(bundle, section)
    for reading in bundle.rows("readings"):
        blocks += _reading(bundle, reading)
    blocks += _cited(bundle)
    blocks += _files(bundle)
    blocks.append(Footer(footer(bundle, draft, tuple(blocks), longest=160)))
    return finished(KIND, bundle, blocks, _summary(bundle), writer=draft.writer)


def _summary(bundle: Bundle) -> RichText:
    texts = bundle.rows("order")[0].texts
    off = [row for row in bundle.rows("checks") if row.mark == "attention"]
    begin = f"{texts['agent']}, #{texts['number']}: "
    if not bundle.rows("checks"):
        return rich(begin, "answered")
    if not off:
        return rich(begin, "no verdict needs attention")
    told = joined(
        [rich(row.texts["label"], " ", claim(bundle, row.facts["figure"])) for row in off[:3]],
        "; ",
        hidden=len(off) - 3,
    )
    return rich(begin, told)


# What was asked about -------------------------------------------------------------------------------------------


def _asked(bundle: Bundle, draft: WrittenText) -> list[Block]:
    rows = bundle.rows("asked")
    blocks: list[Block] = []
    if rows:
        over = bundle.rows("asked_over")[0].texts["label"]
        blocks.append(Heading(rich(f"What was asked about, {over}")))
        figures = [bundle.fact(row.facts["figure"]) for row in rows]
        blocks.append(KeyFigures(tuple(key_figure(bundle, fact) for fact in figures)))
        later = [row for row in rows if "over" in row.texts]
        if later:
            told = "; ".join(f"{row.texts['label']} is shown for {row.texts['over']}" for row in later)
            blocks.append(Paragraph(rich(f"The newest days have not come in yet: {told}.")))
        judged = [
            StatusLine(STATES[row.mark], f"{row.texts['label']}, {row.texts['day']}", _expected(bundle, row))
            for row in bundle.rows("judged")
        ]
        if judged:
            blocks.append(StatusLines(tuple(judged)))
        for place, row in enumerate(rows, 1):
            said = draft.slots.get(f"asked_{place}")
            if said:
                blocks.append(Paragraph(fill(said, bundle)))
            blocks += _parts(bundle, row)
            blocks += _weeks(bundle, row)
    outside = bundle.rows("outside")
    if outside:
        lines = [
            StatusLine("info", row.texts["label"], rich(_whose(row.texts["agents"]))) for row in outside
        ]  # fmt: skip
        blocks += [] if rows else [Heading(rich("What was asked about"))]
        blocks.append(StatusLines(tuple(lines)))
    return blocks


def _expected(bundle: Bundle, row: Row) -> RichText:
    """A day's value, and where the watch found it outside the range it expected, that range."""
    value = rich(claim(bundle, row.facts["value"], bold=True))
    if row.mark != "attention":
        return rich(value, ", inside the range expected of it")
    low, high = (rich(claim(bundle, row.facts[part])) for part in ("expected_low", "expected_high"))
    return rich(value, ", outside what was expected: ", low, " to ", high)


def _whose(agents: str) -> str:
    return f"is not among what this agent may read; ask {agents}" if agents else "is not among what any agent may read"


def _parts(bundle: Bundle, asked: Row) -> list[Block]:
    rows = bundle.rows(f"parts_{asked.texts['metric']}")
    if not rows:
        return []
    first = bundle.fact(rows[0].facts["figure"]).primary
    against = first.label if first is not None else "before"
    table = Table(
        (f"{asked.texts['label']} by {asked.texts['dimension']}", "", f"vs {against}"),
        tuple(
            (
                rich(Quoted(row.texts["name"])),
                rich(claim(bundle, row.facts["figure"], bold=True)),
                _change(bundle, bundle.fact(row.facts["figure"])),
            )
            for row in rows
        ),
    )
    return [table]


def _change(bundle: Bundle, fact: Fact) -> RichText:
    primary = fact.primary
    if primary is None or primary.delta is None:
        return rich("unknown")
    share = rich(" (", claim(bundle, fact.id, "delta_pct"), ")") if primary.delta_pct is not None else ()
    return rich(claim(bundle, fact.id, "delta"), share)


def _weeks(bundle: Bundle, asked: Row) -> list[Block]:
    name = asked.texts.get("series")
    if not name:
        return []
    return [chart_of_series(bundle, "column", f"{asked.texts['label']}, week by week", [(name, "main")])]


# Verdicts -------------------------------------------------------------------------------------------------------


def _to_do(bundle: Bundle) -> list[Block]:
    """What the role file says is to be done where a verdict does not hold, the loudest first."""
    rows = [row for row in bundle.rows("checks") if row.mark == "attention" and row.texts["do"]]
    rows.sort(key=lambda row: _LOUDEST.index(row.texts["severity"]))
    if not rows:
        return []
    items = []
    for row in rows:
        fact = bundle.fact(row.facts["figure"])
        who = f" — {row.texts['owner']}, {_within(row.texts['due_days'])}" if row.texts["owner"] else ""
        items.append(rich(MARKS[row.texts["severity"]], bold(row.texts["do"]), " (", claim(bundle, fact.id), ")", who))
    return [Heading(rich("What to do")), Bullets(tuple(items))]


def _within(days: str) -> str:
    return {"0": "today", "1": "within a day"}.get(days, f"within {days} days")


def _verdicts(bundle: Bundle) -> list[Block]:
    rows = bundle.rows("checks")
    if not rows:
        return []
    lines = [StatusLine(STATES[row.mark], row.texts["label"], _held(bundle, row)) for row in rows]
    return [Heading(rich("Verdicts")), StatusLines(tuple(lines))]


def _held(bundle: Bundle, row: Row) -> RichText:
    if "figure" not in row.facts:
        return rich("nothing to judge it by yet")
    fact = bundle.fact(row.facts["figure"])
    if not fact.known and fact.unknown_since is None:
        return rich("unknown: nothing was reported")
    limit = limit_of(fact)
    against = () if limit is None else rich(", ", limit_text(bundle, fact, limit))
    return rich(claim(bundle, fact.id, bold=True), against)


# Readings of the platform -----------------------------------------------------------------------------------------


def _reading(bundle: Bundle, reading: Row) -> list[Block]:
    name = reading.texts["name"]
    blocks: list[Block] = []
    if reading.texts["note"]:
        blocks.append(Paragraph(rich(reading.texts["note"])))
    figures = [bundle.fact(row.facts["figure"]) for row in bundle.rows(f"reading_figures_{name}")]
    if figures:
        blocks.append(KeyFigures(tuple(_figure(bundle, fact) for fact in figures)))
    lines = tuple(
        StatusLine(STATES[row.mark], row.texts["label"], verdict_text(bundle, row))
        for row in bundle.rows(f"reading_lines_{name}")
    )
    if lines:
        blocks.append(StatusLines(lines))
    return [Heading(rich(reading.texts["title"])), *blocks] if blocks else []


def _figure(bundle: Bundle, fact: Fact) -> KeyFigure:
    """A figure of the platform: what it is held against is a bound, no change."""
    limit = fact.primary
    if limit is None or limit.name != LIMIT:
        return key_figure(bundle, fact)
    return KeyFigure(fact.label, rich(claim(bundle, fact.id, bold=True)), (limit_text(bundle, fact, limit),))


# Plans, documents, files ------------------------------------------------------------------------------------------


def _design(bundle: Bundle) -> list[Block]:
    """The plan of a change: its parts, each a line of ours about somebody else's names."""
    blocks: list[Block] = []
    for part in bundle.rows("design"):
        blocks.append(Heading(rich(part.texts["title"])))
        items = []
        for row in bundle.rows(f"design_{part.texts['name']}"):
            figures = joined([rich(claim(bundle, row.facts[key])) for key in sorted(row.facts)], ", ")
            about = rich(Quoted(row.texts["about"])) if row.texts["about"] else ()
            items.append(
                rich(joined([rich(row.texts["label"]), about], " "), *((" (", figures, ")") if figures else ()))
            )
        blocks.append(Bullets(tuple(items)))
    return blocks


def _cited(bundle: Bundle) -> list[Block]:
    rows = bundle.rows("cited")
    if not rows:
        return []
    items = tuple(
        rich(f"Document #{row.texts['number']}, {row.texts['kind']}: ", Quoted(row.texts["headline"])) for row in rows
    )
    return [Heading(rich("Published before")), Bullets(items)]


def _files(bundle: Bundle) -> list[Block]:
    rows = bundle.rows("artefacts")
    if not rows:
        return []
    items = []
    for row in rows:
        figure = rich(" (", claim(bundle, row.facts["rows"]), " rows)") if "rows" in row.facts else ()
        items.append(rich(bold(row.texts["name"]), f": {row.texts['what']}", figure))
    return [Heading(rich("With this answer")), Bullets(tuple(items))]

"""The report of a job: what it found, one line a thing, what is new first. Pure: the same two give the same bytes for
ever.

Belongs here: the order and shape of a briefing's blocks, and its parts where each is a message of its own. Does not
belong here: which rows there are (`evidence.briefing`), formatting of numbers (`documents.claims`), what a channel
makes of a block.

Made for a telephone: no tables. A row is a bullet, its first column in bold, the others after it in the words that
`fleet.yaml` puts about them; what is new is marked where not everything is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ops_platform.documents.claims import claim, fill
from ops_platform.documents.finish import finished, not_tied_out_line
from ops_platform.documents.model import (
    Block,
    Bullets,
    Claim,
    Divider,
    Document,
    Footer,
    Heading,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quoted,
    RichText,
    Span,
    State,
    StatusLine,
    StatusLines,
    Title,
    Words,
    joined,
    present,
    rich,
)
from ops_platform.evidence.briefing import day_of
from ops_platform.evidence.calendar import MONTHS, WEEKDAYS
from ops_platform.evidence.quoting import minimise

if TYPE_CHECKING:
    from ops_platform.documents.finish import WrittenText
    from ops_platform.evidence.model import Bundle, Fact, Row

NEW = "🆕 "
LIMIT = "limit"  # what a verdict holds a figure against: no change of it
_STATES: dict[str, State] = {"ok": "ok", "attention": "attention", "unknown": "unknown"}
_PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


def compose_briefing(bundle: Bundle, draft: WrittenText) -> Document:
    """The report. Raises `DataFailure` on a token the bundle cannot resolve."""
    head = bundle.rows("head")[0].texts
    blocks: list[Block] = [Title(rich(f"{head['title']} — {_when(bundle)}"))]
    if draft.slots.get("lead"):
        blocks.append(Paragraph(fill(draft.slots["lead"], bundle)))
    if head.get("digest"):
        blocks += _contents(bundle)
    for section in bundle.rows("sections"):
        blocks += section_blocks(bundle, section)
    if head.get("closing"):
        blocks.append(Paragraph(rich(Words(head["closing"], italic=True))))
    blocks.append(Footer(_footer(bundle, draft, tuple(blocks))))
    kind = bundle.kind.partition(":")[0]
    return finished(kind, bundle, blocks, _summary(bundle), writer=draft.writer)


def parts_of(document: Document) -> tuple[Document, ...]:
    """A digest as the documents of its messages: the first up to its first section with the small print, then one for
    each section, in the first one's thread. Another document is one part, itself."""
    if not any(isinstance(block, Divider) for block in document.blocks):
        return (document,)
    parts: list[list[Block]] = [[]]
    foot: list[Block] = []
    for block in document.blocks:
        if isinstance(block, Footer):
            foot.append(block)
        elif isinstance(block, Divider):
            parts.append([])
        else:
            parts[-1].append(block)
    parts[0] += foot
    return tuple(replace(document, blocks=tuple(part)) for part in parts if part)


def _when(bundle: Bundle) -> str:
    if bundle.rows("head")[0].texts.get("over") == "week":
        return bundle.period.label
    day = day_of(bundle)
    return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"


def _summary(bundle: Bundle) -> RichText:
    """The line of the notification: what it is, and what it found."""
    parts: list[RichText] = []
    for row in bundle.rows("reasons"):
        if row.texts["why"] in ("rows", "new"):
            name = row.texts["of"]
            said = _counted(bundle, name, "new" if row.texts["why"] == "new" else "count")
            new = " new" if row.texts["why"] == "new" else ""
            parts.append(rich(said[0], new, said[1]))
        elif row.texts["why"] == "metric":
            fact = bundle.fact(row.facts["figure"])
            parts.append(rich(f"{_lower(fact.label)} ", claim(bundle, fact.id)))
    head = bundle.rows("head")[0].texts["title"]
    told = joined(parts[:3], ", ")
    return rich(f"{head}, {_when(bundle)}", *((": ", *told) if told else ()))


def _counted(bundle: Bundle, name: str, what: str) -> tuple[RichText, str]:
    """A list's number and its noun, as (7, " late orders")."""
    words = bundle.rows(f"words_{name}")[0].texts
    fact = bundle.fact(f"{name}_{what}")
    return rich(claim(bundle, fact.id)), f" {words['one'] if fact.value == 1 else words['many']}"


# Sections ---------------------------------------------------------------------------------------------------


def section_blocks(bundle: Bundle, section: Row) -> list[Block]:
    """A section's heading and what it shows; nothing where it has nothing to show."""
    blocks: list[Block] = []
    figures = [bundle.fact(section.facts[name]) for name in sorted(section.facts)]
    if figures:
        blocks.append(KeyFigures(tuple(key_figure(bundle, fact) for fact in figures)))
    if "list" in section.texts:
        blocks += _list(bundle, section.texts["list"])
    divisions = [name for name in section.texts.get("divisions", "").split(",") if name]
    if divisions:
        return [*_headed(bundle, section, blocks), *_news(bundle, divisions)]
    return _headed(bundle, section, blocks)


def _headed(bundle: Bundle, section: Row, blocks: list[Block]) -> list[Block]:
    if not blocks:
        return []
    title = section.texts.get("title")
    heading: list[Block] = [Heading(rich(title), section.texts.get("icon", ""))] if title else []
    return [*_apart(bundle), *heading, *blocks]


def _apart(bundle: Bundle) -> list[Block]:
    """In a digest each section is a message of its own: where one begins is marked."""
    return [Divider()] if bundle.rows("head")[0].texts.get("digest") else []


def key_figure(bundle: Bundle, fact: Fact) -> KeyFigure:
    notes = []
    primary, target = fact.primary, fact.comparison("target")
    if primary is not None and primary.name not in ("target", LIMIT):
        notes.append(_versus(bundle, fact, primary.name))
    if target is not None and target.value is not None and fact.known:
        notes.append(rich("target ", claim(bundle, fact.id, "comparison.target.value")))
    return KeyFigure(fact.label, rich(claim(bundle, fact.id, bold=True)), present(notes))


def _versus(bundle: Bundle, fact: Fact, name: str) -> RichText:
    against = fact.comparison(name)
    if against is None or against.delta is None or not fact.known:
        return ()
    part = "delta_pct" if against.delta_pct is not None and fact.unit in ("money", "count") else "delta"
    return rich(claim(bundle, fact.id, f"comparison.{name}.{part}"), f" vs {against.label}")


# Lists ------------------------------------------------------------------------------------------------------


def _list(bundle: Bundle, name: str) -> list[Block]:
    count = bundle.fact(f"{name}_count")
    words = bundle.rows(f"words_{name}")[0]
    if not count.known:
        return [Paragraph(rich(f"{count.label}: ", claim(bundle, count.id)))]
    rows = bundle.rows(name)
    if not count.value:
        empty = words.texts.get("empty", "")
        return [Paragraph(rich(empty, _traced(bundle, count)))] if empty else []
    blocks: list[Block] = [Paragraph(_line(bundle, name, words))]
    mixed = any(row.mark == "new" for row in rows) and any(row.mark != "new" for row in rows)
    groups = bundle.rows(f"groups_{name}")
    if groups:
        for group in groups:
            mine = [row for row in rows if row.texts[":group"] == group.texts["value"]]
            blocks += _group(bundle, group, words, mine, name, mixed)
    elif rows and not words.texts.get("draft"):
        blocks.append(Bullets(tuple(_row(bundle, name, row, mixed) for row in rows)))
    hidden = bundle.get(f"{name}_hidden")
    if hidden is not None:
        blocks.append(Paragraph(rich("and ", claim(bundle, hidden.id), " more")))
    if words.texts.get("draft"):
        blocks += [Paragraph(_draft(bundle, name, words.texts["draft"], row)) for row in rows]
    return blocks


def _line(bundle: Bundle, name: str, words: Row) -> RichText:
    """How many, how many of them new, and what they come to."""
    number, noun = _counted(bundle, name, "count")
    new = bundle.fact(f"{name}_new")
    count = bundle.fact(f"{name}_count")
    parts: list[RichText] = [rich(*(_bold(span) for span in number), Words(noun, bold=True))]
    if new.value and new.value != count.value:
        parts.append(rich(claim(bundle, new.id), " new"))
    parts += [_total(bundle, words, key, words.facts[key]) for key in sorted(words.facts)]
    return joined(parts, " · ")


def _bold(span: Span) -> Span:
    return replace(span, bold=True) if isinstance(span, Claim) else span


def _total(bundle: Bundle, words: Row, key: str, fact_id: str) -> RichText:
    return _about(words.texts.get(key, "{}"), rich(claim(bundle, fact_id)))


def _about(pattern: str, value: RichText) -> RichText:
    """Our words with the value in their place."""
    before, _, after = pattern.partition("{}")
    return rich(before, value, after)


def _group(bundle: Bundle, group: Row, words: Row, rows: list[Row], name: str, mixed: bool) -> list[Block]:
    totals = [
        _total(bundle, words, key, group.facts[key]) for key in sorted(group.facts) if key.startswith("total")
    ]  # fmt: skip
    line = rich(Words(group.texts["label"], bold=True), ": ", claim(bundle, group.facts["count"], bold=True))
    blocks: list[Block] = [Paragraph(joined([line, *totals], " · "))]
    if rows:
        blocks.append(Bullets(tuple(_row(bundle, name, row, mixed) for row in rows)))
    return blocks


def _row(bundle: Bundle, name: str, row: Row, mixed: bool) -> RichText:
    cells = []
    for place, column in enumerate(bundle.rows(f"columns_{name}")):
        cell = _cell(bundle, column, row, bold=place == 0)
        if cell:
            cells.append(cell)
    return rich(NEW if mixed and row.mark == "new" else "", joined(cells, " · "))


def _cell(bundle: Bundle, column: Row, row: Row, *, bold: bool = False) -> RichText:
    name, pattern = column.texts["column"], column.texts["as"]
    if column.texts["unit"] == "flag":
        return rich(pattern) if row.texts.get(name) else ()
    if name in row.facts:
        return _about(pattern, rich(claim(bundle, row.facts[name], bold=bold)))
    if row.texts.get(name):
        return _about(pattern, rich(Quoted(row.texts[name], bold=bold)))
    return ()


def _draft(bundle: Bundle, name: str, text: str, row: Row) -> RichText:
    """The draft for a row: our words, the vendor's names as somebody else's, numbers as claims."""
    spans: list[str | RichText] = []
    position = 0
    for place in _PLACE.finditer(text):
        spans.append(text[position : place.start()])
        column = place.group(1)
        if column in row.facts:
            spans.append(rich(claim(bundle, row.facts[column])))
        else:
            spans.append(rich(Quoted(row.texts.get(column, "…"))))
        position = place.end()
    spans.append(text[position:])
    return rich(*spans)


def _traced(bundle: Bundle, fact: Fact) -> RichText:
    """The age of a count that stands behind words: "nothing late" from old data says how old."""
    marked = claim(bundle, fact.id)
    loose = " (⚠ not tied out)" if marked.mark == "not_tied_out" else ""
    return rich(f" (as of {marked.as_of})" if marked.as_of else "", loose)


# Divisions --------------------------------------------------------------------------------------------------


def _contents(bundle: Bundle) -> list[Block]:
    """What a digest has, a line for each division it is of: the sections are in the thread."""
    lines = []
    for division in bundle.company.divisions:
        if f"news_{division.id}" not in bundle.lists:
            continue
        rows = bundle.rows(f"news_{division.id}")
        if not rows:
            lines.append(StatusLine("ok", division.label, rich("nothing new")))
            continue
        worst = rows[0]
        fact = bundle.fact(worst.facts["figure"])
        lines.append(StatusLine(_STATES[worst.mark], division.label, _news_line(bundle, fact, worst)))
    return [StatusLines(tuple(lines))] if lines else []


def _news(bundle: Bundle, divisions: list[str]) -> list[Block]:
    """A section for each division that has news."""
    labels = {division.id: division.label for division in bundle.company.divisions}
    alone = len(divisions) == 1
    blocks: list[Block] = []
    for division in divisions:
        rows = bundle.rows(f"news_{division}")
        if not rows:
            if alone:
                blocks.append(Paragraph(rich("No figure is off its target or changed much.")))
            continue
        facts = [bundle.fact(row.facts["figure"]) for row in rows]
        lines = [
            StatusLine(_STATES[row.mark], fact.label, _held(bundle, fact, row))
            for row, fact in zip(rows, facts, strict=True)
        ]
        blocks += [*_apart(bundle), Heading(rich(labels.get(division, division))), StatusLines(tuple(lines))]
    return blocks


def _news_line(bundle: Bundle, fact: Fact, row: Row) -> RichText:
    return rich(f"{_lower(fact.label)} ", _held(bundle, fact, row))


def _held(bundle: Bundle, fact: Fact, row: Row) -> RichText:
    """The figure, and what made it news."""
    value = rich(claim(bundle, fact.id, bold=True))
    against = fact.comparison(row.texts.get("against", ""))
    if against is None or against.value is None or not fact.known:
        return value
    if against.name == "target":
        change = _versus(bundle, fact, fact.primary.name) if fact.primary and fact.primary.name != "target" else ()
        return joined([value, rich("target ", claim(bundle, fact.id, "comparison.target.value")), change], " · ")
    return joined([value, _versus(bundle, fact, against.name)], " · ")


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


# Footer -----------------------------------------------------------------------------------------------------


def _footer(bundle: Bundle, draft: WrittenText, blocks: tuple[Block, ...]) -> tuple[RichText, ...]:
    items: list[RichText] = [*present([not_tied_out_line(bundle, blocks)])]
    names = [row.texts["list"] for row in bundle.rows("sections") if "list" in row.texts]
    fresh: dict[str, RichText] = {}
    for name in names:
        fact = bundle.fact(f"{name}_count")
        if fact.fresh_to is not None and fact.known:
            said = claim(bundle, fact.id, "fresh_to")
            fresh.setdefault(said.text, rich(said))
    items += [rich(note) for note in bundle.notes if note.startswith(("not readable", "metric "))]
    cost = f", {draft.tokens:,} tokens" if draft.tokens else ""
    # A note may carry what a vendor answered, so it is shown as somebody else's text.
    told = draft.writer != "rules" and draft.note
    by = rich(Quoted(minimise(draft.note or "", 120)), cost) if told else ()
    data = rich("data to ", joined(fresh.values(), " and ")) if fresh else ()
    items.append(joined([data, by, rich(f"evidence {bundle.digest[:8]}")], " · "))
    return tuple(items)

"""The report of a playbook: what stands out, what is to be done, and what each step found. Pure: the same two give the
same bytes for ever.

Belongs here: the order and shape of its blocks. Does not belong here: what a step found (`ops_platform.playbooks`), how
a number is written (`documents.claims`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents.claims import claim, day_text, fill
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
    Title,
    bold,
    joined,
    present,
    rich,
)
from ops_platform.documents.verdicts import LIMIT, MARKS, STATES, footer, limit_of, limit_text, verdict_text

if TYPE_CHECKING:
    from ops_platform.documents.finish import WrittenText
    from ops_platform.evidence.model import Bundle, Comparison, Fact, Row

KIND = "playbook_report"


def compose_playbook_report(bundle: Bundle, draft: WrittenText) -> Document:
    """The report. Raises `DataFailure` on a token the bundle cannot resolve."""
    head = bundle.rows("head")[0].texts
    day = day_text(bundle.period.end)
    blocks: list[Block] = [Title(rich(f"{head['title']} — {day}"))]
    if draft.slots.get("lead"):
        blocks.append(Paragraph(fill(draft.slots["lead"], bundle)))
    blocks += _actions(bundle)
    for section in bundle.rows("sections"):
        blocks += _section(bundle, section, draft)
    blocks.append(Footer(footer(bundle, draft, tuple(blocks), longest=120)))
    return finished(KIND, bundle, blocks, _summary(bundle, head["title"], day), writer=draft.writer)


def _summary(bundle: Bundle, title: str, day: str) -> RichText:
    off = [row for section in bundle.rows("sections") for row in _lines(bundle, section) if row.mark == "attention"]
    if not off:
        return rich(f"{title}, {day}: nothing needs attention")
    told = joined([_line(bundle, row) for row in off[:3]], "; ", hidden=len(off) - 3 if len(off) > 3 else 0)
    return rich(f"{title}, {day}: ", told)


def _actions(bundle: Bundle) -> list[Block]:
    rows = bundle.rows("actions")
    if not rows:
        return []
    items = []
    for row in rows:
        about = rich(": ", Quoted(row.texts["about"])) if row.texts["about"] else ()
        figures = joined([rich(claim(bundle, row.facts[key])) for key in sorted(row.facts)], ", ")
        by = f" — {row.texts['owner']}, within {_days(row.texts['due_days'])}"
        items.append(
            rich(
                MARKS.get(row.mark, ""), bold(row.texts["what"]), about, *((" (", figures, ")") if figures else ()), by
            )
        )
    return [Heading(rich("What to do")), Bullets(tuple(items))]


def _days(number: str) -> str:
    return "a day" if number == "1" else f"{number} days"


def _section(bundle: Bundle, section: Row, draft: WrittenText) -> list[Block]:
    name = section.texts["name"]
    blocks: list[Block] = [Heading(rich(section.texts["title"]))]
    if section.texts["missing"]:
        line = StatusLine("unknown", "Not looked at", rich(f"the step was {section.texts['missing']}"))
        return [*blocks, StatusLines((line,))]
    said = draft.slots.get(f"section_{name}")
    if said:
        blocks.append(Paragraph(fill(said, bundle)))
    figures = tuple(_figure(bundle, bundle.fact(row.facts["figure"])) for row in bundle.rows(f"figures_{name}"))
    if figures:
        blocks.append(KeyFigures(figures))
    lines = tuple(
        StatusLine(STATES[row.mark], row.texts["label"], verdict_text(bundle, row, after_about=" "))
        for row in _lines(bundle, section)
    )
    if lines:
        blocks.append(StatusLines(lines))
    return blocks if len(blocks) > 1 else []


def _lines(bundle: Bundle, section: Row) -> tuple[Row, ...]:
    return bundle.rows(f"lines_{section.texts['name']}")


def _line(bundle: Bundle, row: Row) -> RichText:
    told = verdict_text(bundle, row, after_about=" ")
    return rich(row.texts["label"], *((" ", *told) if told else ()))


def _figure(bundle: Bundle, fact: Fact) -> KeyFigure:
    notes = [_versus(bundle, fact, one) for one in fact.comparisons if one.name != LIMIT]
    limit = limit_of(fact)
    if limit is not None:
        notes.append(limit_text(bundle, fact, limit))
    return KeyFigure(fact.label, rich(claim(bundle, fact.id, bold=True)), present(notes[:2]))


def _versus(bundle: Bundle, fact: Fact, against: Comparison) -> RichText:
    if against.delta is None or not fact.known:
        return ()
    part = "delta_pct" if against.delta_pct is not None and fact.unit in ("money", "count") else "delta"
    return rich(claim(bundle, fact.id, f"comparison.{against.name}.{part}"), f" vs {against.label}")

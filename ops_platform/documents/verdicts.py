"""What documents of verdicts share: how a state looks, a figure with the limit it is held against, the footer.

Belongs here: the words and marks of reports by playbooks and answers of agents alike. Does not belong here: the order
of either document (`playbook_report.py`, `work_answer.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents.claims import claim
from ops_platform.documents.finish import not_tied_out_line
from ops_platform.documents.model import Block, Quoted, RichText, State, joined, present, rich
from ops_platform.evidence.quoting import minimise

if TYPE_CHECKING:
    from ops_platform.documents.finish import WrittenText
    from ops_platform.evidence.model import Bundle, Comparison, Fact, Row

LIMIT = "limit"
STATES: dict[str, State] = {"ok": "ok", "attention": "attention", "unknown": "unknown", "info": "info"}
MARKS = {"critical": "🔴 ", "alert": "🟠 ", "watch": "🟡 "}


def limit_of(fact: Fact) -> Comparison | None:
    """What the fact is held against; None where it or its limit is unknown."""
    limit = fact.comparison(LIMIT)
    return limit if limit is not None and limit.value is not None and fact.known else None


def limit_text(bundle: Bundle, fact: Fact, limit: Comparison) -> RichText:
    """The limit with its name before its number: "limit" where the sentence says "the limit"."""
    return rich(f"{limit.label.removeprefix('the ')} ", claim(bundle, fact.id, f"comparison.{LIMIT}.value"))


def held(bundle: Bundle, fact: Fact) -> RichText:
    """The figure, and in brackets the limit it is held against."""
    limit = limit_of(fact)
    against = () if limit is None else rich(" (", limit_text(bundle, fact, limit), ")")
    return rich(claim(bundle, fact.id, bold=True), against)


def verdict_text(bundle: Bundle, row: Row, after_about: str = " · ") -> RichText:
    """What a verdict shows: its figures, each with its limit, and what it is about. A label that ends in a colon asks
    for what it is about first, with `after_about` behind it."""
    figures = [held(bundle, bundle.fact(row.facts[key])) for key in sorted(row.facts)]
    about = rich(Quoted(row.texts["about"])) if row.texts["about"] else ()
    if row.texts["label"].endswith(":") and about:
        return joined([about, *figures], after_about)
    return joined([*figures, about], " · ")


def footer(bundle: Bundle, draft: WrittenText, blocks: tuple[Block, ...], longest: int) -> tuple[RichText, ...]:
    """Who wrote it, at what cost, on which evidence; a note of the writer up to `longest` characters."""
    cost = f", {draft.tokens:,} tokens" if draft.tokens else ""
    by = rich(Quoted(minimise(draft.note or "", longest)), cost) if draft.note else rich(f"written by {draft.writer}")
    line = joined([by, rich(f"evidence {bundle.digest[:8]}")], " · ")
    return (*present([not_tied_out_line(bundle, blocks)]), line)

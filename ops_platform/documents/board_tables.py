"""The tables and cells of the board pack: one figure a row, held against what it is held against.

Belongs here: columns, and what stands in a cell that has nothing to show. Does not belong here: which pages there are
(`documents.board_pack`), formatting of numbers (`documents.claims`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents.claims import claim
from ops_platform.documents.model import Quoted, Table, Verdict, Words, rich

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ops_platform.documents.model import RichText
    from ops_platform.evidence.model import Bundle, Fact, Row

NOTHING = "–"
_OFF = {
    "plan": "off plan",
    "target": "off target",
    "year_before": "worse on year",
    "month_before": "worse on month",
}
FIGURES = ("Figure", "Month", "On month before", "On year before", "Plan or target", "Standing")
SCORECARD = (
    "Figure", "Month", "On month before", "On year before", "Quarter to date", "Year to date", "On year before",
    "Plan or target", "Standing",
)  # fmt: skip


def standing(bundle: Bundle) -> dict[str, Row]:
    """How each judged figure stands, by its fact."""
    return {row.facts["figure"]: row for row in bundle.rows("standing")}


def scorecard(bundle: Bundle, rows: Iterable[Row]) -> Table:
    """The scorecard's figures under their headings."""
    lines: list[tuple[RichText, ...]] = []
    heading = ""
    for row in rows:
        if row.texts["heading"] != heading:
            heading = row.texts["heading"]
            lines.append((rich(heading),))
        lines.append(_line(bundle, row.facts["figure"], row.facts.get("qtd", ""), row.facts.get("ytd", "")))
    return Table(SCORECARD, tuple(lines))


def to_date(bundle: Bundle, names: Iterable[str]) -> Table:
    """Figures with their quarter and year to date."""
    return Table(SCORECARD, tuple(_line(bundle, name, f"{name}_qtd", f"{name}_ytd") for name in names))


def _line(bundle: Bundle, name: str, quarter: str, year: str) -> tuple[RichText, ...]:
    return (
        named(bundle, name), value(bundle, name), change(bundle, name, "month_before"),
        change(bundle, name, "year_before"), value(bundle, quarter), value(bundle, year),
        change(bundle, year, "year_before"), aim(bundle, name),
        verdict(standing(bundle).get(name), bundle.fact(name)),
    )  # fmt: skip


def figures(bundle: Bundle, names: Iterable[str]) -> Table:
    """Figures of the month, each held against the months before and what was aimed at."""
    held = standing(bundle)
    return Table(
        FIGURES,
        tuple(
            (
                named(bundle, name), value(bundle, name), change(bundle, name, "month_before"),
                change(bundle, name, "year_before"), aim(bundle, name), verdict(held.get(name), bundle.fact(name)),
            )
            for name in names
        ),
    )  # fmt: skip


def value(bundle: Bundle, name: str, *, bold: bool = False) -> RichText:
    """The figure itself, or that it is unknown (since when stands among what is not known); nothing where the pack has
    no such fact."""
    fact = bundle.get(name)
    if fact is None:
        return rich(NOTHING)
    return rich(claim(bundle, name, bold=bold)) if fact.known else rich("unknown")


def change(bundle: Bundle, name: str, against: str) -> RichText:
    """The change against a comparison: in percent, of shares and states of no amount in their unit."""
    fact = bundle.get(name)
    held = fact.comparison(against) if fact is not None else None
    if fact is None or held is None or held.delta is None:
        return rich(NOTHING)
    share = held.delta_pct is not None and fact.unit in ("money", "count")
    return rich(claim(bundle, name, f"comparison.{against}.{'delta_pct' if share else 'delta'}"))


def aim(bundle: Bundle, name: str) -> RichText:
    """What was planned or aimed at."""
    fact = bundle.get(name)
    for wanted in ("plan", "target"):
        held = fact.comparison(wanted) if fact is not None else None
        if held is not None and held.value is not None:
            return rich(claim(bundle, name, f"comparison.{wanted}.value"))
    return rich(NOTHING)


def verdict(row: Row | None, fact: Fact) -> RichText:
    """A sign and the same in words."""
    if not fact.known:
        return rich(Verdict("unknown"), " unknown")
    if row is None or not row.texts.get("against"):
        return rich(NOTHING)
    against = row.texts["against"]
    if row.mark == "attention":
        return rich(Verdict("attention"), f" {_OFF[against]}")
    held = fact.comparison(against)
    missed = held is not None and fact.favourable(held.delta) is False
    # Worse than what was aimed at, by less than is worth a word: not off, and not as it should be either.
    return rich(Verdict("ok"), f" near {against}" if missed and against in ("plan", "target") else " fine")


def off(row: Row) -> str:
    """What a figure is off, in words."""
    return _OFF.get(row.texts.get("against", ""), "off")


def quoted(texts: Mapping[str, str], name: str) -> RichText:
    """A text of the evidence that is not ours to vouch for."""
    return rich(Quoted(texts[name])) if texts.get(name) else rich(NOTHING)


def named(bundle: Bundle, name: str) -> RichText:
    """The figure's label; one with digits of its own comes as a claim, as every digit does."""
    fact = bundle.fact(name)
    if any(char.isdigit() for char in fact.label):
        return rich(claim(bundle, name, "label"))
    return rich(Words(fact.label))

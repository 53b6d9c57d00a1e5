"""What every page of the board pack is made with: its words, its month, its charts, how many figures are off.

Belongs here: what pages share. Does not belong here: which pages there are (`documents.board_pack`,
`documents.board_review`), tables (`documents.board_tables`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents import board_tables as cells
from ops_platform.documents.charts import chart_of_series
from ops_platform.documents.claims import claim, fill
from ops_platform.documents.model import Chart, Page, Quoted, RichText, rich

if TYPE_CHECKING:
    from ops_platform.documents.finish import WrittenText
    from ops_platform.evidence.model import Bundle, Row

Line = tuple[str, str] | tuple[str, str, str]


class PackWords:
    """One bundle and draft."""

    def __init__(self, bundle: Bundle, draft: WrittenText) -> None:
        self.bundle = bundle
        self.draft = draft
        self.held = cells.standing(bundle)

    # Words ----------------------------------------------------------------------------------------------------

    def written(self, slot: str) -> RichText:
        """What the draft says for `slot`, if anything, as a title says it: without a full stop."""
        text = self.draft.slots.get(slot)
        return fill(text.rstrip(" ."), self.bundle) if text else ()

    def page(self, slot: str, shows: str, subtitle: str | RichText = "") -> Page:
        title = self.written(slot)
        return Page(title or rich(shows), rich(f"{shows} · " if title else "", subtitle or self.month()))

    def month(self) -> RichText:
        """The month, as the period of a fact that is of it: any sum or ratio is."""
        for fact in self.bundle.facts:
            if fact.period == self.bundle.period:
                return rich(claim(self.bundle, fact.id, "period"))
        return rich("the month")

    def label(self, name: str) -> str:
        return self.bundle.fact(name).label

    def name(self, name: str) -> RichText:
        return cells.named(self.bundle, name)

    def line(self) -> RichText:
        """The line of a notification."""
        headline = self.written("headline")
        return rich("Board pack, ", self.month(), ": " if headline else "", headline)

    def trend(self, series: str, name: str, by: str = "") -> Chart:
        """A figure's months, beside those of the year before where they are on record; or `by` what it is made of."""
        if by:
            return self.chart("bar", rich(self.name(name), f" by {by}"), [(series, "main")])
        lines: list[Line] = [(series, "main", self.label(name))]
        before = self.bundle.line(f"{series}_before")
        if before is not None:
            lines.append((before.id, "before", "Year before"))
        return self.chart("line", rich(self.name(name), ", month by month"), lines)

    def chart(self, kind: str, message: RichText, lines: list[Line]) -> Chart:
        return chart_of_series(self.bundle, kind, message, lines)  # type: ignore[arg-type]

    def off(self) -> RichText:
        """How many figures are off, of those that can be judged."""
        off, judged = self.bundle.get("figures_off"), self.bundle.get("figures_judged")
        if off is None or judged is None or not judged.value:
            return ()
        are = (
            " figure is off its plan, target or year"
            if off.value == 1
            else " figures are off their plan, target or year"
        )
        words = (
            rich(claim(self.bundle, off.id), are) if off.value else rich("No figure is off its plan, target or year")
        )
        return rich(words, ", of ", claim(self.bundle, judged.id), " judged")

    def tied(self) -> RichText:
        """How many figures tied out with their sources, and how many are not known."""
        tied, shown, unknown = (self.bundle.get(f"figures_{which}") for which in ("tied", "shown", "unknown"))
        if tied is None or shown is None or unknown is None:
            return ()
        out = rich(
            claim(self.bundle, tied.id), " of ", claim(self.bundle, shown.id), " figures tied out with their sources"
        )
        return rich(out, ", ", claim(self.bundle, unknown.id), " unknown") if unknown.value else out

    def moved(self) -> RichText:
        """How many numbers of the last pack are others today."""
        moved, read = self.bundle.get("restated"), self.bundle.get("restated_checked")
        if moved is None or read is None:
            return ()
        if not moved.value:
            return rich("No number of the last pack has moved, of ", claim(self.bundle, read.id), " read again")
        are = " number" if moved.value == 1 else " numbers"
        return rich("Restatement: ", claim(self.bundle, moved.id), f"{are} of the last pack moved, of ",
                    claim(self.bundle, read.id), " read again")  # fmt: skip

    def alert(self, row: Row) -> RichText:
        texts, mark = row.texts, row.mark
        return rich(
            Quoted(texts["label"]), f" — {mark}", f", {texts['division']}" if texts.get("division") else "",
            ", open since ", claim(self.bundle, row.facts["since"]),
        )  # fmt: skip

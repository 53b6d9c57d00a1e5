"""The monthly board pack: from a bundle and a draft to pages. Pure: the same two give the same bytes for ever.

Belongs here: the order of the pages and what stands on each. Does not belong here: the pages on risks and
quality (`documents.board_review`), tables (`documents.board_tables`), sentences (the draft), numbers
(`documents.claims`), how a page looks (the renderers).

A page's title is its message; where nobody wrote one, it says what the page shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents import board_tables as cells
from ops_platform.documents.board_review import ReviewPages
from ops_platform.documents.board_words import Line
from ops_platform.documents.claims import claim
from ops_platform.documents.finish import finished
from ops_platform.documents.model import (
    Block,
    Bullets,
    Document,
    Footer,
    Heading,
    KeyFigure,
    KeyFigures,
    Page,
    Paragraph,
    Quoted,
    RichText,
    Table,
    Title,
    bold,
    joined,
    present,
    rich,
)
from ops_platform.evidence.quoting import minimise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.documents.finish import WrittenText
    from ops_platform.evidence.model import Bundle, Row

KIND = "board_pack"
REVENUE = "channel_net_sales"
PLANNED = "net_sales"
SCORECARD_LINES = 18  # figures and headings on a page of the scorecard
DIVISION_LINES = 8
CARDS = (REVENUE, PLANNED, "operating_result", "cash_balance", "business_health")
SUMMARY = (
    ("growth", "Growth"), ("profit", "Profit"), ("cash", "Cash"), ("pipeline", "Pipeline"), ("supply", "Supply"),
    ("customers", "Customers"),
)  # fmt: skip
PROFIT = ("gross_margin", "gross_margin_rate", "opex", "operating_result")
CASH = ("cash_balance", "receivables_open", "receivables_overdue", "payables_open")


def compose_board_pack(bundle: Bundle, draft: WrittenText) -> Document:
    """The pack of `bundle.period`. Raises `DataFailure` on a token the bundle cannot resolve."""
    pack = _Pack(bundle, draft)
    blocks = [
        *pack.cover(), *pack.summary(), *pack.scorecard(), *pack.revenue(), *pack.why(), *pack.divisions(),
        *pack.finance(), *pack.risks(), *pack.decisions(), *pack.since_last_pack(), *pack.quality(),
    ]  # fmt: skip
    return finished(KIND, bundle, blocks, pack.line(), writer=draft.writer)


def compose_board_summary(bundle: Bundle, draft: WrittenText) -> Document:
    """The pack in short, for a message: headline, figures, what stands out, what is off and asked. Its numbers are the
    pack's own; the pack goes with it as files."""
    pack = _Pack(bundle, draft)
    return finished(KIND, bundle, pack.short(), pack.line(), writer=draft.writer)


class _Pack(ReviewPages):
    """One bundle and draft, page by page."""

    # Pages ----------------------------------------------------------------------------------------------------

    def cover(self) -> Iterator[Block]:
        yield Title(rich(f"{self.bundle.company.name} — board pack"))
        yield Paragraph(self.month())
        counted = self.tied()
        if counted:
            yield Paragraph(rich(counted, ". Every figure carries its source."))
        yield Footer(self._footer())

    def _footer(self) -> tuple[RichText, ...]:
        written = "Claude" if self.draft.writer == "claude" else self.draft.writer
        # A note may carry what a vendor answered, so it is shown as somebody else's text.
        by = (
            rich(Quoted(minimise(self.draft.note, 120))) if self.draft.note else rich(f"sentences written by {written}")
        )
        items = [by, rich("every figure from evidence ", Quoted(self.bundle.digest[:8]))]
        if "warehouse_unproven" in self.bundle.notes:
            items.append(rich("⚠ the last build of the warehouse did not pass its tests: its numbers are withheld"))
        if "empty_warehouse" in self.bundle.notes:
            items.append(rich("the warehouse has not been built yet"))
        return (joined(items, " · "),)

    def summary(self) -> Iterator[Block]:
        yield self.page("headline", "The month in short")
        yield from self._cards()
        points = self._points()
        if points:
            yield Bullets(points)

    def _cards(self) -> Iterator[Block]:
        cards = []
        for name in CARDS:
            fact = self.bundle.get(name)
            if fact is None:
                continue
            notes = []
            for against, words in (("plan", " on plan"), ("year_before", " on the year before")):
                held = fact.comparison(against)
                if held is not None and held.delta is not None:
                    notes.append(rich(cells.change(self.bundle, name, against), words))
            cards.append(KeyFigure(fact.label, cells.value(self.bundle, name, bold=True), tuple(notes)))
        if cards:
            yield KeyFigures(tuple(cards))

    def _points(self) -> tuple[RichText, ...]:
        found = []
        for slot, heading in SUMMARY:
            text = self.written(slot)
            if text:
                found.append(rich(bold(f"{heading}: "), text, "."))
        return tuple(found)

    def scorecard(self) -> Iterator[Block]:
        for number, rows in enumerate(self._pages_of_scorecard()):
            names = ", ".join(dict.fromkeys(row.texts["heading"].lower() for row in rows))
            title = self.off() if not number else ()
            shown = rich("Scorecard: ", names)
            yield Page(title, rich(shown, " · ", self.month())) if title else Page(shown, self.month())
            yield cells.scorecard(self.bundle, rows)
            yield from self._seen_later([row.facts["figure"] for row in rows])

    def _pages_of_scorecard(self) -> list[list[Row]]:
        """Whole groups of figures, as many as a page holds."""
        groups: dict[str, list[Row]] = {}
        for row in self.bundle.rows("scorecard"):
            groups.setdefault(row.texts["heading"], []).append(row)
        made: list[list[Row]] = []
        used = SCORECARD_LINES + 1
        for rows in groups.values():
            if used + len(rows) + 1 > SCORECARD_LINES:
                made.append([])
                used = 0
            made[-1] += rows
            used += len(rows) + 1
        return made

    def _seen_later(self, names: list[str]) -> Iterator[Block]:
        """Says of figures that were not seen at the end of the month when they were seen."""
        end = self.bundle.period.end
        later = [name for name in names if (period := self.bundle.fact(name).period) is not None and period.end > end]
        if later:
            listed = joined([self.name(name) for name in later], ", ")
            seen = rich(": as seen on ", claim(self.bundle, later[0], "period"))
            yield Footer((rich(listed, seen, ", for the end of the month was not seen."),))

    def revenue(self) -> Iterator[Block]:
        if self.bundle.get(REVENUE) is None:
            return
        yield self.page("revenue", "Sales")
        channels = self.bundle.rows("channels")
        parts = [f"channel_{n}_trend" for n in range(1, len(channels) + 1) if self.bundle.line(f"channel_{n}_trend")]
        lines: list[Line] = [(name, "main") for name in parts]
        if lines:
            yield self.chart("stacked", rich("Net sales of all channels by channel"), lines)
        if self.bundle.line("trend_net_sales"):
            lines = [("trend_net_sales", "main", self.label(PLANNED))]
            if self.bundle.line("trend_net_sales_plan"):
                lines.append(("trend_net_sales_plan", "plan"))
            yield self.chart("column", rich("Net sales of the own shop and their plan"), lines)
        names = [row.facts["figure"] for row in channels]
        header = ("Net sales", "Month", "On month before", "On year before", "Quarter to date", "Year to date",
                  "On year before", "Plan")  # fmt: skip
        rows = []
        held = {row.facts["figure"]: row.facts for row in channels}
        for name in (*names, REVENUE, PLANNED):
            facts = held.get(name, {"qtd": f"{name}_qtd", "ytd": f"{name}_ytd"})
            rows.append(
                (
                    rich(Quoted(self.label(name))) if name in held else rich(bold(self.label(name))),
                    cells.value(self.bundle, name), cells.change(self.bundle, name, "month_before"),
                    cells.change(self.bundle, name, "year_before"), cells.value(self.bundle, facts["qtd"]),
                    cells.value(self.bundle, facts["ytd"]),
                    cells.change(self.bundle, facts["ytd"], "year_before"), cells.aim(self.bundle, name),
                )
            )  # fmt: skip
        yield Table(header, tuple(rows))

    def why(self) -> Iterator[Block]:
        bridges = [
            ("bridge", rich("Net sales of the own shop since the month before, by part")),
            ("bridge_year", rich("Net sales of all channels since the year before, by channel")),
        ]
        drawn = [(name, message) for name, message in bridges if self.bundle.line(name)]
        if not drawn:
            return
        message = self._carried("why")
        shows = "What changed, and where"
        yield Page(message, rich(f"{shows} · ", self.month())) if message else Page(rich(shows), self.month())
        for name, message in drawn:
            yield self.chart("waterfall", message, [(name, "main")])
        texts = present([self._carried("why_year")])
        method = "Effects add up to the change exactly. They say where it lies, not what brought it about."
        yield Paragraph(joined([*texts, rich(method)], ". "))

    def _carried(self, slot: str) -> RichText:
        """What a part carries of a change, with the name of what changed before it."""
        written, rows = self.written(slot), self.bundle.rows(slot)
        return rich(f"{self.label(rows[0].facts['whole'])}: ", written) if written and rows else written

    def divisions(self) -> Iterator[Block]:
        said = {row.facts["figure"]: row for row in self.bundle.rows("definitions")}
        for division in self.bundle.company.divisions:
            names = [row.facts["figure"] for row in self.bundle.rows(f"division_{division.id}")]
            written = self.written(f"division_{division.id}")
            yield Page(rich(f"{division.label}: ", written) if written else rich(division.label), self.month())
            if not names:
                yield Paragraph(rich("No figure of this division is known yet: its sources are not connected."))
                continue
            charts = [
                r for r in self.bundle.rows(f"division_{division.id}_charts") if self.bundle.line(r.texts["series"])
            ]
            for row in charts:
                yield self.trend(row.texts["series"], row.facts["figure"], row.texts.get("by", ""))
            mine = [row for row in self.bundle.rows("alerts") if row.texts.get("division") == division.label]
            lines = DIVISION_LINES - len(mine) - 1 if charts and mine else DIVISION_LINES
            yield cells.figures(self.bundle, names[: max(lines, 4)])
            if mine:
                yield Bullets(tuple(self.alert(row) for row in mine))
            if not charts:
                yield Heading(rich("What the figures count"))
                known = [(name, said[name].texts["definition"]) for name in names if name in said]
                yield Bullets(tuple(rich(self.name(name), ": ", Quoted(text)) for name, text in known))
            yield from self._seen_later(names[: max(lines, 4)])

    def finance(self) -> Iterator[Block]:
        names = [name for name in PROFIT if self.bundle.get(name) is not None]
        if names:
            yield self.page("finance", "Profit")
            if self.bundle.line("trend_gross_margin_rate"):
                yield self.trend("trend_gross_margin_rate", "gross_margin_rate")
            if self.bundle.line("opex_by_account"):
                yield self.chart("bar", rich("Operating expenses by account"), [("opex_by_account", "main")])
            yield cells.to_date(self.bundle, names)
        names = [name for name in CASH if self.bundle.get(name) is not None]
        if names:
            yield self.page("cash_page", "Cash, and what is owed")
            if self.bundle.line("trend_cash_balance"):
                yield self.trend("trend_cash_balance", "cash_balance")
            for name, words in (
                ("receivables_open", "What customers owe"),
                ("payables_open", "What is owed to suppliers"),
            ):
                if self.bundle.line(f"{name}_by_bucket"):
                    yield self.chart("column", rich(f"{words}, by days past due"), [(f"{name}_by_bucket", "main")])
            yield cells.figures(self.bundle, names)

    # In short -------------------------------------------------------------------------------------------------

    def short(self) -> Iterator[Block]:
        yield Title(rich(f"{self.bundle.company.name} — board pack, ", self.month()))
        headline = self.written("headline")
        if headline:
            yield Paragraph(rich(headline, "."))
        yield from self._cards()
        points = self._points()
        if points:
            yield Bullets(points)
        asked = [rich(Quoted(row.texts["ask"])) for row in self.bundle.rows("decisions")]
        if asked:
            yield Heading(rich("Decisions asked"))
            yield Bullets(tuple(asked))
        restated = self.bundle.get("restated")
        if restated is not None and restated.value:
            yield Paragraph(rich("⚠ ", self.moved(), "."))
        yield Footer(self._footer())

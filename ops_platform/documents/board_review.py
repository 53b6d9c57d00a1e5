"""The board pack on itself: risks, decisions and actions, what moved since the last pack, how sure its figures are.

Belongs here: the last pages of the pack. Does not belong here: the pages of figures (`documents.board_pack`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents import board_tables as cells
from ops_platform.documents.board_words import PackWords
from ops_platform.documents.claims import claim
from ops_platform.documents.model import (
    Block,
    Bullets,
    Heading,
    KeyFigure,
    KeyFigures,
    Page,
    Paragraph,
    Quoted,
    RichText,
    State,
    StatusLine,
    StatusLines,
    Table,
    Verdict,
    rich,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Row

PLATFORM = ("fleet_health", "hours_saved", "infrastructure_cost", "token_cost")
_STATES: dict[str, State] = {"attention": "attention", "ok": "ok", "unknown": "unknown"}
_SAID = {"attention": "off", "ok": "fine", "unknown": "unknown"}
METHOD = (
    "Every figure is read from the company's metric table and carries its source; none was written by a person or a "
    "model. A sum is known when every day of its period is. A ratio is the ratio of sums. Unknown is said, never "
    "counted as nothing. A figure is off where it is worse than its plan or target, or without these clearly worse "
    "than the same month a year before."
)


class ReviewPages(PackWords):
    """The pages after the figures."""

    def risks(self) -> Iterator[Block]:
        yield self.page("risks", "Risks and open alerts")
        rows = self.bundle.rows("risks")
        lines = tuple(
            (
                self.name(row.facts["figure"]), cells.value(self.bundle, row.facts["figure"]),
                self._held(row.facts["figure"], row.texts["against"]), rich(Verdict("attention"), f" {cells.off(row)}"),
                rich(row.texts.get("division") or "Company"),
            )
            for row in rows
        )  # fmt: skip
        if lines:
            yield Table(("Figure off", "Month", "Held against", "Standing", "Division"), lines)
        else:
            yield Paragraph(rich("No judged figure is off its plan, target or year."))
        yield Heading(rich("Open alerts"))
        alerts = self.bundle.rows("alerts")
        if alerts:
            yield Bullets(tuple(self.alert(row) for row in alerts))
        else:
            count = self.bundle.get("alerts_open")
            known = count is not None and count.known
            yield Paragraph(rich("None is open.") if known else rich("Open alerts are unknown."))

    def _held(self, name: str, against: str) -> RichText:
        return rich(
            claim(self.bundle, name, f"comparison.{against}.value"), " (",
            claim(self.bundle, name, f"comparison.{against}.label"), ")",
        )  # fmt: skip

    def decisions(self) -> Iterator[Block]:
        yield Page(rich("Decisions asked of the board, and actions"), self.month())
        yield Heading(rich("Decisions asked"))
        asked = [
            rich(
                Quoted(row.texts["ask"]),
                " ",
                self.name(name),
                " ",
                claim(self.bundle, name),
                ", ",
                cells.off(row),
                ".",
            )
            for row in self.bundle.rows("decisions")
            for name in [row.facts["figure"]]
        ]
        yield Bullets(tuple(asked)) if asked else Paragraph(rich("None: no figure is off that asks for one."))
        yield Heading(rich("Actions"))
        actions = [self._action(row) for row in self.bundle.rows("actions")]
        known = self.bundle.get("actions_open")
        nothing = "None is open." if known is not None and known.known else "No list of actions is kept yet."
        yield Bullets(tuple(actions)) if actions else Paragraph(rich(nothing))

    def _action(self, row: Row) -> RichText:
        due: RichText = ()
        if "due" in row.facts:
            words = ", overdue since " if row.mark == "overdue" else ", due "
            due = rich(words, claim(self.bundle, row.facts["due"]))
        return rich(Quoted(row.texts["text"]), " — ", Quoted(row.texts["owner"]), due)

    def since_last_pack(self) -> Iterator[Block]:
        if self.bundle.get("restated") is None:
            return
        yield Page(self.moved(), rich("What is different from the last pack · ", self.month()))
        turned = self.bundle.rows("turned")
        yield Heading(rich("What has turned"))
        if turned:
            yield Bullets(tuple(self._turn(row) for row in turned))
        else:
            yield Paragraph(rich("Every figure stands as it did."))
        yield Heading(rich("Restated numbers"))
        lines = tuple(
            (
                self.name(row.facts["figure"]), rich(claim(self.bundle, row.facts["figure"], "period")),
                rich(claim(self.bundle, row.facts["figure"], "comparison.as_published.value")),
                cells.value(self.bundle, row.facts["figure"]),
                cells.change(self.bundle, row.facts["figure"], "as_published"),
            )
            for row in self.bundle.rows("restated")
        )  # fmt: skip
        if lines:
            yield Table(("Figure", "Period", "As published", "Now", "Change"), lines)
        else:
            yield Paragraph(rich("No number of the last pack is another one today."))

    def _turn(self, row: Row) -> RichText:
        name, was = row.facts["figure"], f"; in the last pack {_SAID[row.texts['was']]}"
        figure = rich(" ", claim(self.bundle, name), ":") if row.mark != "unknown" else rich(":")
        return rich(Verdict(_STATES[row.mark]), " ", self.name(name), figure, f" {_SAID[row.mark]}", was)

    def quality(self) -> Iterator[Block]:
        yield Page(self.tied() or rich("Data quality"), rich("Data quality · ", self.month()))
        yield Heading(rich("Sources"))
        yield StatusLines(tuple(self._source(row.facts["freshness"], row.mark) for row in self.bundle.rows("sources")))
        yield Heading(rich("Not known, or not tied out"))
        unknown = [rich(self.name(name), ": ", claim(self.bundle, name)) for name in self._figures("unknown")]
        loose = [rich(self.name(name), ": source and landed totals differ") for name in self._figures("loose")]
        yield (
            Bullets((*unknown, *loose)) if unknown or loose else Paragraph(rich("All figures are known and tied out."))
        )
        yield Heading(rich("How figures are made"))
        yield Paragraph(rich(METHOD))
        cards = [
            KeyFigure(self.label(name), cells.value(self.bundle, name)) for name in PLATFORM if self.bundle.get(name)
        ]
        if cards:
            yield KeyFigures(tuple(cards))
        shown = {row.facts["figure"] for row in self.bundle.rows("scorecard")}
        rows = [row for row in self.bundle.rows("definitions") if row.facts["figure"] in shown]
        if rows:
            yield Page(rich("What the figures count"), rich("Definitions of the scorecard"))
            lines = ((rich(Quoted(row.texts["label"])), cells.quoted(row.texts, "definition")) for row in rows)
            yield Table(("Figure", "What it counts"), tuple(lines))

    def _figures(self, name: str) -> list[str]:
        return [row.facts["figure"] for row in self.bundle.rows(name)]

    def _source(self, name: str, mark: str) -> StatusLine:
        label = self.label(name)
        if mark == "not_connected":
            return StatusLine("info", label, rich("not connected"))
        if mark == "current":
            return StatusLine("ok", label, rich("complete to ", claim(self.bundle, name, "fresh_to")))
        return StatusLine("attention", label, rich(claim(self.bundle, name)))

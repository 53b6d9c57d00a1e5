"""The board pack's slots: what each page says in its title, and what stands out of the month.

Belongs here: the pack's slots and the facts each may claim. Does not belong here: sentences
(`writing.rules.board_pack`), where they stand on a page (`documents.board_pack`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.draft import Slot, WritingBrief

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.evidence.model import Bundle

TITLE = 120
# What the summary says of each side of the company, in order: slot, purpose, facts.
SUMMARY = (
    ("growth", "How net sales stand against plan or the year before.", ("net_sales", "net_sales_ytd")),
    ("profit", "What was earned, against the year before.",
     ("operating_result", "gross_margin", "gross_margin_rate")),
    ("cash", "Cash at the end of the month.", ("cash_balance", "receivables_overdue")),
    ("pipeline", "What the pipeline holds.", ("pipeline_value", "weighted_forecast")),
    ("supply", "What stock and shipping need.",
     ("skus_out_of_stock", "late_orders", "order_to_ship_hours")),
    ("customers", "How customers were served.", ("refund_rate", "tickets_opened", "first_response_hours")),
)  # fmt: skip
# The titles of the pages that are no division's: slot, purpose, facts.
PAGES = (
    ("headline", "The one thing the board should know of the month, with its figure.",
     ("channel_net_sales", "net_sales", "operating_result")),
    ("revenue", "Sales of all channels so far this year, against the year before.",
     ("channel_net_sales_ytd", "channel_net_sales")),
    ("finance", "What is left after operating expenses.",
     ("operating_result", "operating_result_ytd")),
    ("cash_page", "Cash, and what is owed.",
     ("cash_balance", "receivables_overdue")),
)  # fmt: skip


def brief(bundle: Bundle) -> WritingBrief:
    """A title for each page that has figures, and the lines of the summary."""

    def present(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in names if bundle.get(name) is not None))

    slots = []
    for name, purpose, facts in PAGES:
        if present(facts):
            slots.append(Slot(name, purpose, max_chars=TITLE + 40 * (name == "headline"), facts=present(facts)))
    for name, purpose, facts in SUMMARY:
        if present(facts):
            slots.append(Slot(name, purpose, required=False, max_chars=160, facts=present(facts)))
    for name in ("why", "why_year"):
        effects = present(row.facts["effect"] for row in bundle.rows(name))
        if effects:
            slots.append(
                Slot(name, "Which part carries most of the change, and how much.", required=False, max_chars=TITLE,
                     facts=effects[:2])
            )  # fmt: skip
    for division in bundle.company.divisions:
        shown = present(row.facts["figure"] for row in bundle.rows(f"division_{division.id}"))
        if shown:
            slots.append(
                Slot(f"division_{division.id}", f"What stands out in {division.label}.", required=False,
                     max_chars=TITLE, facts=shown[:3])
            )  # fmt: skip
    risks = present(row.facts["figure"] for row in bundle.rows("risks"))
    if risks:
        slots.append(
            Slot("risks", "The figure that is farthest off.", required=False, max_chars=TITLE, facts=risks[:2])
        )
    return WritingBrief(
        kind="board_pack",
        slots=tuple(slots),
        guidance="For a board: short, plain, exact. A title says what its page shows, with the figure that matters and "
        "what it is held against; no causes, forecasts or adjectives of size that the figures do not carry.",
    )

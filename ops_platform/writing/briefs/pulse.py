"""What is to be written for the morning pulse.

Belongs here: its slots. Does not belong here: its sentences (`writing.rules.pulse`), its layout
(`ops_platform.documents.pulse`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.draft import Slot, WritingBrief

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.evidence.model import Bundle

HEADLINE_FACTS = (
    "net_sales",
    "net_sales_mtd",
    "orders",
    "orders_pending",
    "late_orders",
    "high_value_late_orders",
    "skus_stock_critical",
    "skus_stock_warning",
    "messages_waiting",
    "messages_oldest_wait",
    "health",
    "driver",
)


def brief(bundle: Bundle) -> WritingBrief:
    """A headline; what moved the score, where something did; a line for each division that has figures."""

    def present(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if bundle.get(name) is not None)

    slots = [
        Slot(
            "headline",
            "The one thing the executive should know this morning, with its figure.",
            required=bool(present(HEADLINE_FACTS)),
            max_chars=170,
            facts=present(HEADLINE_FACTS),
        )
    ]
    if bundle.get("driver") is not None:
        slots.append(
            Slot(
                "driver",
                "Which component moved business health most since the day before, and by how much.",
                max_chars=130,
                facts=present(("driver", "driver_attainment", "health")),
            )
        )
    for row in bundle.rows("divisions"):
        names = present(dict.fromkeys(row.facts.values()))
        if names:
            slots.append(
                Slot(
                    f"division_{row.texts['division']}",
                    "What stands out in this division; leave it out when there is nothing to add to the figures.",
                    required=False,
                    max_chars=110,
                    facts=names,
                )
            )
    return WritingBrief(
        kind="pulse",
        slots=tuple(slots),
        guidance="Short, plain, exact. What happened and against what; no causes, forecasts or adjectives of size "
        "that the figures do not carry.",
    )

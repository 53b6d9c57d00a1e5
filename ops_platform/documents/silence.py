"""What silence covered: one line for a digest, and for the command line.

Belongs here: the words of that line. Does not belong here: counting (`ops_platform.alerts.receipts`), which digest
shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.documents.claims import claim
from ops_platform.documents.model import Quoted, RichText, rich

if TYPE_CHECKING:
    from ops_platform.evidence.model import Bundle


def silence_line(bundle: Bundle) -> RichText:
    """One line from the facts of `receipts.facts_of`, as: "Silence covered 7 days: 203 of 210 runs had nothing to say,
    41,160 looks, 3 out of order; closest: Refunds at 83% of its limit". A failed run, one that held something back, a
    look without a result and a day without any receipt are said, never left out. The period is the facts' own: the
    digest that shows the line may be about another."""
    runs = bundle.fact("silence_runs")
    if not runs.value:
        return rich("⚠ No receipts: nothing proves that anything ran")
    silent, days = claim(bundle, "silence_silent"), claim(bundle, "silence_days")
    one = bundle.fact("silence_days").value == 1
    parts: list[RichText] = [
        rich("Silence covered ", days, " day: " if one else " days: ", silent, " of ", claim(bundle, "silence_runs")),
        rich(" runs had nothing to say; ", claim(bundle, "silence_checks"), " looks, "),
        rich(claim(bundle, "silence_breaches"), " out of order"),
    ]
    if bundle.fact("silence_unknown").value:
        parts.append(rich(", ", claim(bundle, "silence_unknown"), " without a result"))
    closest = bundle.get("silence_closest")
    if closest is not None:
        near = claim(bundle, "silence_closest")
        parts.append(rich("; closest: ", Quoted(closest.about or ""), " at ", near, " of its limit"))
    held = bundle.get("silence_held")
    if held is not None and held.value:
        parts.append(rich("; ", claim(bundle, "silence_held"), " held something back"))
    if bundle.fact("silence_failed").value:
        parts.append(rich("; ⚠ ", claim(bundle, "silence_failed"), " failed"))
    period = runs.period or bundle.period
    expected = (period.end - period.start).days + 1
    if (bundle.fact("silence_days").value or 0) < expected:
        parts.append(rich("; ⚠ not every day has a receipt"))
    return rich(*parts)

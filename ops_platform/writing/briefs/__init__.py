"""Which slots each kind of document has: one module a kind, chosen by the bundle's kind.

Belongs here: the choice. Does not belong here: slots of any one kind (its module), how they are filled
(`writing.rules`, `writing.claude`), what may be said (`writing.claims`).

A new kind of document: a module with `brief(bundle) -> WritingBrief`, and its line in `BRIEFS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.failures import DataFailure
from ops_platform.writing.briefs import board_pack, briefing, narrative, playbook_report, pulse, work_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.draft import WritingBrief

BRIEFS: Mapping[str, Callable[[Bundle], WritingBrief]] = {
    "board_pack": board_pack.brief,
    "briefing": briefing.brief,
    "narrative_daily": narrative.brief,
    "narrative_weekly": narrative.brief,
    "narrative_monthly": narrative.brief,
    "playbook_report": playbook_report.brief,
    "pulse": pulse.brief,
    "work_answer": work_answer.brief,
}


def brief_for(bundle: Bundle) -> WritingBrief:
    """The brief of the bundle's kind of document. An unknown kind raises `DataFailure`."""
    # A briefing's kind says which job it is of: `briefing:late_orders`.
    brief = BRIEFS.get(bundle.kind.partition(":")[0])
    if brief is None:
        raise DataFailure(f"There is no writing brief for a document of kind {bundle.kind!r}.")
    return brief(bundle)

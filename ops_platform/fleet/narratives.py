"""What `fleet.yaml` says about narratives: how many points, when an action is due, how long they are kept.

Belongs here: the entry. Does not belong here: what is a concern (`ops_platform.evidence.concerns`).
"""

from __future__ import annotations

from pydantic import Field

from ops_platform.fleet.entries import Entry


class TierPolicy(Entry):
    """One of day, week, month. `highlights` and `concerns` bound their number; a change counts from `share_percent` of
    what it is held against (shares and scores: from the metric's minimum effect alone); `due_days` are the business
    days until an action is due that a concern opens, `critical_due_days` of a critical one; `keep_days` 0 is for ever.
    """

    highlights: int = Field(ge=0, le=12)
    concerns: int = Field(ge=1, le=12)
    share_percent: int = Field(ge=0, le=100)
    due_days: int = Field(ge=1, le=60)
    critical_due_days: int = Field(ge=1, le=60)
    keep_days: int = Field(ge=0)


class Narratives(Entry):
    """`action_rest_days`: so long after it was settled, a subject gets no new action. `actions` bounds how many open
    ones a document lists; the rest is counted."""

    daily: TierPolicy = TierPolicy(
        highlights=3, concerns=5, share_percent=25, due_days=2, critical_due_days=1, keep_days=90
    )
    weekly: TierPolicy = TierPolicy(
        highlights=4, concerns=5, share_percent=10, due_days=5, critical_due_days=2, keep_days=366
    )
    monthly: TierPolicy = TierPolicy(
        highlights=5, concerns=6, share_percent=5, due_days=10, critical_due_days=5, keep_days=0
    )
    action_rest_days: int = Field(default=7, ge=0, le=90)
    actions: int = Field(default=8, ge=1, le=30)

    def tier(self, name: str) -> TierPolicy:
        """The policy of `daily`, `weekly` or `monthly`."""
        return {"daily": self.daily, "weekly": self.weekly, "monthly": self.monthly}[name]

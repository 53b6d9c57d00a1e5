"""Klaviyo's API as the sandbox speaks it.

Belongs here: endpoints, filters, paging, limits, reports. Does not belong here: what the company mailed to whom
(`sandbox/company/campaigns.py`).
"""

from __future__ import annotations

from sandbox.klaviyo.side import MORE_PATHS, PATHS, SEMANTIC_FAULTS, KlaviyoSide
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "KlaviyoSide"]


def _mount(around: Surroundings) -> KlaviyoSide:
    return KlaviyoSide(
        around.company, clock=around.clock, faults=around.faults, profile=around.options.profile, ledger=around.ledger
    )


# Whole paths, not a prefix: what else is under /api/ belongs to Slack.
SIDE = VendorSide(_mount, (*PATHS, *MORE_PATHS), SEMANTIC_FAULTS)

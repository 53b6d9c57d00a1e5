"""HubSpot's CRM as the sandbox speaks it.

Belongs here: lists, searches, batches, pipelines, owners, associations; tokens, scopes, rate limits. Does not belong
here: whom the company deals with (`sandbox/company/crm.py`).
"""

from __future__ import annotations

from sandbox.hubspot.side import SEMANTIC_FAULTS, HubSpotSide
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "HubSpotSide"]


def _mount(around: Surroundings) -> HubSpotSide:
    return HubSpotSide(around.company, clock=around.clock, faults=around.faults, profile=around.options.profile)


SIDE = VendorSide(_mount, ("/crm/",), SEMANTIC_FAULTS)

"""Airtable's Web API as the sandbox speaks it: bases, schemas and records.

Belongs here: protocol, bases and cells. Does not belong here: what people wrote into them
(`sandbox/company/worktables.py`).
"""

from __future__ import annotations

from sandbox.airtable.side import SEMANTIC_FAULTS, AirtableSide
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "AirtableSide"]


def _mount(around: Surroundings) -> AirtableSide:
    return AirtableSide(around.company, clock=around.clock, faults=around.faults, profile=around.options.profile)


SIDE = VendorSide(_mount, ("/v0/",), SEMANTIC_FAULTS)

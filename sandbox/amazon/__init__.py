"""Amazon's Selling Partner API as the sandbox speaks it, with the Login with Amazon token and report downloads.

Belongs here: operations, roles, page tokens, rate plans. Does not belong here: what happened on the marketplace
(`sandbox/company/marketplace.py`).
"""

from __future__ import annotations

from sandbox.amazon.side import PREFIXES, SEMANTIC_FAULTS, AmazonSide
from sandbox.vendor_side import VendorSide

__all__ = ["SIDE", "AmazonSide"]

SIDE = VendorSide(AmazonSide, PREFIXES, SEMANTIC_FAULTS)

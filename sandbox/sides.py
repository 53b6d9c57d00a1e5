"""The vendors the sandbox plays, in the order their paths are tried.

Belongs here: the list. Adding a vendor is its package and one line here.
"""

from __future__ import annotations

from sandbox import anthropic_api, netsuite, shopify, slack
from sandbox.vendor_side import VendorSide

SIDES: dict[str, VendorSide] = {
    "shopify": shopify.SIDE,
    "netsuite": netsuite.SIDE,
    "slack": slack.SIDE,
    "anthropic": anthropic_api.SIDE,
}
_BY_LENGTH = sorted(
    ((prefix, vendor) for vendor, side in SIDES.items() for prefix in side.prefixes), key=lambda p: -len(p[0])
)


def vendor_of(path: str) -> str:
    """Whose path it is; "unknown" for none of ours."""
    return next((vendor for prefix, vendor in _BY_LENGTH if path.startswith(prefix)), "unknown")

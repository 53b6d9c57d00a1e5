"""The vendors the sandbox plays, in the order their paths are tried.

Belongs here: the list. Adding a vendor is its package and one line here.
"""

from __future__ import annotations

from sandbox import (
    airtable,
    amazon,
    anthropic_api,
    app_database,
    github,
    hubspot,
    klaviyo,
    mail,
    netsuite,
    shopify,
    slack,
)
from sandbox.vendor_side import VendorSide

SIDES: dict[str, VendorSide] = {
    "shopify": shopify.SIDE,
    "netsuite": netsuite.SIDE,
    # Before Slack, whose one route takes everything under /api/.
    "klaviyo": klaviyo.SIDE,
    "slack": slack.SIDE,
    "hubspot": hubspot.SIDE,
    "airtable": airtable.SIDE,
    "github": github.SIDE,
    "app": app_database.SIDE,
    "amazon": amazon.SIDE,
    "anthropic": anthropic_api.SIDE,
    "mail": mail.SIDE,
}
_BY_LENGTH = sorted(
    ((prefix, vendor) for vendor, side in SIDES.items() for prefix in side.prefixes), key=lambda p: -len(p[0])
)


def vendor_of(path: str) -> str:
    """Whose path it is; "unknown" for none of ours."""
    return next((vendor for prefix, vendor in _BY_LENGTH if path.startswith(prefix)), "unknown")

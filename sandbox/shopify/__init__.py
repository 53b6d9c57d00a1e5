"""Shopify's side of the sandbox: Admin GraphQL 2026-10 and 2026-07, executed on a schema.

Belongs here: everything Shopify-shaped. Does not belong here: the company, the server.
"""

from __future__ import annotations

from sandbox.hooks import Hooks
from sandbox.shopify import spoil
from sandbox.shopify.side import ShopifySide
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "ShopifySide"]


def _mount(around: Surroundings) -> ShopifySide:
    hooks = Hooks(around.clock, around.ledger, around.faults)
    return ShopifySide(
        around.company, hooks, profile=around.options.profile, directory=around.directory("shopify_bulk")
    )


SIDE = VendorSide(_mount, ("/admin",), spoil.PAGE_FAULTS | spoil.REFUSALS | spoil.BULK_FAULTS | spoil.OAUTH_FAULTS)

"""Shopify's side of the sandbox: Admin GraphQL 2026-10 and 2026-07, executed on a schema.

Belongs here: everything Shopify-shaped. Does not belong here: the company, the server.
"""

from __future__ import annotations

from sandbox.shopify.side import ShopifySide

__all__ = ["ShopifySide"]

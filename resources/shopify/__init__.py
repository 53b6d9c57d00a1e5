"""Shopify: orders, customers, products, stock, fulfilment orders and discounts of one shop.

Belongs here: turning settings into a source. Does not belong here: anything another vendor would share
(`resources/http.py`, `resources/record_checks.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from resources.shopify.client import ShopifyClient
from resources.shopify.records import ENTITIES
from resources.shopify.source import ShopifySource

if TYPE_CHECKING:
    from ops_platform.ingestion.contract import Stream
    from ops_platform.settings import Settings

__all__ = ["STREAMS", "ShopifyClient", "ShopifySource", "connect"]

STREAMS: dict[str, Stream] = {name: entity.stream for name, entity in ENTITIES.items()}


def connect(settings: Settings) -> ShopifySource | None:
    """The shop the settings name, or None when they name none. Opens no connection.

    Raises `ConfigurationError` naming what is missing when only some of the credentials are there."""
    from resources.http import HttpClient

    given = {
        "SHOPIFY_SHOP": settings.shopify_shop,
        "SHOPIFY_CLIENT_ID": settings.shopify_client_id,
        "SHOPIFY_CLIENT_SECRET": settings.shopify_client_secret,
    }
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise ConfigurationError(f"shopify: {' and '.join(missing)} not set; all of {', '.join(given)} are needed")
    client_id, secret = settings.shopify_client_id or "", settings.shopify_client_secret
    assert secret is not None
    version = settings.shopify_api_version
    if not re.fullmatch(r"20\d\d-(01|04|07|10)|unstable", version):
        raise ConfigurationError(f"shopify: SHOPIFY_API_VERSION {version!r} is not of the form 2026-10")
    shop = (settings.shopify_shop or "").removeprefix("https://").rstrip("/").removesuffix(".myshopify.com")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", shop):
        raise ConfigurationError(f"shopify: SHOPIFY_SHOP {shop!r} is not a shop name such as my-shop")
    base = settings.shopify_base_url or f"https://{shop}.myshopify.com"
    http = HttpClient("shopify", base)
    return ShopifySource(ShopifyClient(http, client_id, secret, version))

"""Amazon's Selling Partner API: orders, inventory, listings and account health of one seller in one marketplace.

Belongs here: turning settings into a source. Does not belong here: anything another vendor would share
(`resources/http.py`, `resources/record_checks.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from resources.amazon.client import CALL_RETRY, AmazonClient
from resources.amazon.marketplaces import HOSTS, MARKETPLACES
from resources.amazon.records import STREAMS, VENDOR
from resources.amazon.source import AmazonSource

if TYPE_CHECKING:
    from ops_platform.settings import Settings

__all__ = ["STREAMS", "VENDOR", "AmazonClient", "AmazonSource", "connect"]

LOGIN = "https://api.amazon.com"


def connect(settings: Settings) -> AmazonSource | None:
    """The seller the settings name, or None when they name none. Opens no connection.

    Raises `ConfigurationError` naming what is missing when only some of the credentials are there."""
    from resources.http import HttpClient

    given = {
        "AMAZON_CLIENT_ID": settings.amazon_client_id,
        "AMAZON_CLIENT_SECRET": settings.amazon_client_secret,
        "AMAZON_REFRESH_TOKEN": settings.amazon_refresh_token,
        "AMAZON_MARKETPLACE_ID": settings.amazon_marketplace_id,
    }
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise ConfigurationError(f"amazon: {' and '.join(missing)} not set; all of {', '.join(given)} are needed")
    secret, refresh = settings.amazon_client_secret, settings.amazon_refresh_token
    assert secret is not None and refresh is not None
    marketplace = MARKETPLACES.get((settings.amazon_marketplace_id or "").strip())
    if marketplace is None:
        raise ConfigurationError(
            "amazon: AMAZON_MARKETPLACE_ID is not one marketplace id such as ATVPDKIKX0DER (amazon.com); "
            "docs/connect/amazon.md lists them"
        )
    seller = (settings.amazon_seller_id or "").strip() or None
    if seller is not None and not seller.isalnum():
        raise ConfigurationError("amazon: AMAZON_SELLER_ID is not a seller id (letters and digits)")
    base = settings.amazon_base_url
    http = HttpClient(VENDOR, base or HOSTS[marketplace.region], retry=CALL_RETRY)
    login = HttpClient(VENDOR, base or LOGIN)
    client = AmazonClient(http, login, settings.amazon_client_id or "", secret, refresh)
    return AmazonSource(client, marketplace, seller)

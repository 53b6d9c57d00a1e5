"""Klaviyo: campaigns, flows, audiences, order events, totals per day and reports, read with a private key.

Belongs here: connecting. Does not belong here: anything about e-mail and text messages that is not Klaviyo's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from resources.http import HttpClient
from resources.klaviyo.client import OFFICIAL, KlaviyoClient
from resources.klaviyo.source import KlaviyoSource
from resources.klaviyo.streams import STREAMS, VENDOR

if TYPE_CHECKING:
    from ops_platform.settings import Settings

__all__ = ["STREAMS", "VENDOR", "KlaviyoSource", "connect"]


def connect(settings: Settings) -> KlaviyoSource | None:
    """The account the settings name, or None when they name none. Opens no connection."""
    if settings.klaviyo_api_key is None:
        return None
    from pydantic import SecretStr

    key = settings.klaviyo_api_key.get_secret_value().strip()
    if not key.startswith("pk_"):
        raise ConfigurationError("klaviyo: KLAVIYO_API_KEY is not a private key (they begin with pk_)")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.\w+)?", settings.klaviyo_revision):
        raise ConfigurationError("klaviyo: KLAVIYO_REVISION is not a date such as 2026-07-15")
    http = HttpClient(VENDOR, settings.klaviyo_base_url or OFFICIAL)
    client = KlaviyoClient(http, SecretStr(key), settings.klaviyo_revision)
    return KlaviyoSource(client, order_integration=settings.klaviyo_order_integration)

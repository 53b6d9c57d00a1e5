"""HubSpot: companies, contacts, deals and tickets, their stages, owners, pipelines and associations.

Belongs here: turning settings into a source. Does not belong here: anything another vendor would share
(`resources/http.py`, `resources/record_checks.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.hubspot.client import HubSpotClient
from resources.hubspot.objects import STREAMS, VENDOR
from resources.hubspot.paths import DEFAULT_VERSION, VERSIONS, Paths
from resources.hubspot.source import HubSpotSource

if TYPE_CHECKING:
    from ops_platform.settings import Settings

__all__ = [
    "DEFAULT_VERSION",
    "STREAMS",
    "VENDOR",
    "VERSIONS",
    "HubSpotClient",
    "HubSpotSource",
    "Paths",
    "connect",
]


def connect(settings: Settings) -> HubSpotSource | None:
    """The account the settings name, or None when they name none. Opens no connection.

    Raises `ConfigurationError` for a version of the API that is not known."""
    from resources.http import HttpClient

    if settings.hubspot_token is None:
        return None
    paths = Paths(settings.hubspot_api_version)
    http = HttpClient(VENDOR, settings.hubspot_base_url or "https://api.hubapi.com")
    return HubSpotSource(HubSpotClient(http, settings.hubspot_token, paths), surveys=settings.hubspot_surveys)

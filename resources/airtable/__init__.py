"""Airtable as a source: the tables in which people keep projects, content, samples, reviews, prices and spend.

Belongs here: connecting from settings. Does not belong here: requests (`client.py`), the streams (`source.py`), which
tables feed what (`airtable.yaml`, read by `mapping.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from resources.airtable.source import STREAMS, VENDOR, AirtableSource

if TYPE_CHECKING:
    from ops_platform.settings import Settings

__all__ = ["STREAMS", "VENDOR", "AirtableSource", "connect"]


def connect(settings: Settings) -> AirtableSource | None:
    """The bases the token may see, or None without a token. Opens no connection. Raises `ConfigurationError` when
    the token is none or `airtable.yaml` is wrong."""
    if settings.airtable_token is None:
        return None
    token = settings.airtable_token.get_secret_value().strip()
    if token.startswith("key"):
        raise ConfigurationError(
            "airtable: AIRTABLE_TOKEN is an API key, which Airtable no longer accepts; make a personal access token "
            "(docs/connect/airtable.md)"
        )
    from pathlib import Path

    from pydantic import SecretStr

    from ops_platform.settings import PROJECT_ROOT
    from resources.airtable.client import API, AirtableClient
    from resources.airtable.mapping import load_mapping
    from resources.http import HttpClient

    given = settings.ops_airtable_file
    mapping = load_mapping(Path(given).expanduser() if given else PROJECT_ROOT / "airtable.yaml")
    http = HttpClient(VENDOR, settings.airtable_base_url or API)
    return AirtableSource(AirtableClient(http, SecretStr(token)), mapping)

"""Which vendors there are, and how each is connected.

Belongs here: the list, in the order they are synced. Does not belong here: any protocol
(`resources/<vendor>.py`). Adding a vendor is one line here beside its module.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from ops_platform.ingestion.contract import Stream, VendorSource

if TYPE_CHECKING:
    from ops_platform.settings import Settings

VENDORS: dict[str, str] = {
    "shopify": "resources.shopify",
    "netsuite": "resources.netsuite",
    "slack": "resources.slack",
    "hubspot": "resources.hubspot",
    "airtable": "resources.airtable",
    "klaviyo": "resources.klaviyo",
    "github": "resources.github",
    "amazon": "resources.amazon",
    "app": "resources.app_database",
}


def streams(vendor: str) -> dict[str, Stream]:
    """The streams of a vendor, connected or not.

    Raises `ConfigurationError` for a vendor that does not exist, naming those that do."""
    if vendor not in VENDORS:
        raise ConfigurationError(f"there is no vendor {vendor!r}: choose among {', '.join(VENDORS)}")
    found: dict[str, Stream] = import_module(VENDORS[vendor]).STREAMS
    return found


def all_streams() -> Iterator[Stream]:
    """Every stream of every vendor."""
    for vendor in VENDORS:
        yield from streams(vendor).values()


def source_of(vendor: str, settings: Settings) -> VendorSource | None:
    """A client for `vendor`, or None when it has no credentials. Opens no connection.

    Raises `ConfigurationError` when only some of its credentials are given."""
    streams(vendor)
    source: VendorSource | None = import_module(VENDORS[vendor]).connect(settings)
    return source

"""The vendors' clients as a Dagster resource.

Belongs here: what assets are handed, and tests replace. Does not belong here: the list of vendors
(`vendors.py`, which stays free of Dagster so that the command line starts fast and small).
"""

from __future__ import annotations

from dagster import ConfigurableResource

from ops_platform.ingestion.contract import VendorSource
from resources.vendors import source_of


class VendorsResource(ConfigurableResource):
    """Connects vendors from the settings of this process."""

    def source(self, vendor: str) -> VendorSource | None:
        """A client for `vendor`, or None when it has no credentials. Raises as `source_of` does."""
        from ops_platform.settings import get_settings

        return source_of(vendor, get_settings())

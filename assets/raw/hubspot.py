"""What is landed from HubSpot: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/hubspot`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import hubspot

VENDOR = Vendor("hubspot", "HubSpot", hubspot.STREAMS, owner="sales", division="sales")

"""What is landed from Airtable: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/airtable`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import airtable

VENDOR = Vendor("airtable", "Airtable", airtable.STREAMS, owner="marketing", division="marketing")

"""What is landed from Klaviyo: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/klaviyo`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import klaviyo

VENDOR = Vendor("klaviyo", "Klaviyo", klaviyo.STREAMS, owner="marketing", division="marketing")

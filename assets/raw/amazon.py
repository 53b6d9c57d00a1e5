"""What is landed from Amazon: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/amazon`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import amazon

VENDOR = Vendor("amazon", "Amazon", amazon.STREAMS, owner="marketing", division="marketing")

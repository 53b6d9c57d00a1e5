"""What is landed from Shopify: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/shopify`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import shopify

VENDOR = Vendor("shopify", "Shopify", shopify.STREAMS, owner="coordinator", division="sales")

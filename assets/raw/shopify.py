"""What is landed from Shopify: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/shopify.py`).
"""

from __future__ import annotations

from assets.raw.vendor_sync import vendor_sync
from resources import shopify

raw_shopify = vendor_sync("shopify", shopify.STREAMS, label="Shopify", owner="coordinator", division="sales")

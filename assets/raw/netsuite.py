"""What is landed from NetSuite: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/netsuite.py`).
"""

from __future__ import annotations

from assets.raw.vendor_sync import vendor_sync
from resources import netsuite

raw_netsuite = vendor_sync("netsuite", netsuite.STREAMS, label="NetSuite", owner="logistics", division="supply_chain")

"""What is landed from NetSuite: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/netsuite`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import netsuite

VENDOR = Vendor("netsuite", "NetSuite", netsuite.STREAMS, owner="logistics", division="supply_chain")

"""What is landed from Slack: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/slack`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import slack

VENDOR = Vendor("slack", "Slack", slack.STREAMS, owner="logistics", division="supply_chain")

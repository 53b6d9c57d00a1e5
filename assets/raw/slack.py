"""What is landed from Slack: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/slack.py`).
"""

from __future__ import annotations

from assets.raw.vendor_sync import vendor_sync
from resources import slack

raw_slack = vendor_sync("slack", slack.STREAMS, label="Slack", owner="logistics", division="supply_chain")

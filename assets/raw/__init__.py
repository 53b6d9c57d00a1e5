"""Raw: vendors' records as they sent them, one asset a stream. The vendors, in the order they are declared.

Belongs here: the list. Adding a vendor is a module beside this one and its name here.
"""

from __future__ import annotations

from assets.raw import airtable, amazon, app, github, hubspot, klaviyo, netsuite, shopify, slack
from assets.raw.sync import raw_assets

raw = raw_assets(
    [
        shopify.VENDOR,
        netsuite.VENDOR,
        slack.VENDOR,
        hubspot.VENDOR,
        klaviyo.VENDOR,
        airtable.VENDOR,
        github.VENDOR,
        amazon.VENDOR,
        app.VENDOR,
    ]
)

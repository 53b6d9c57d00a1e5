"""Every stream of every vendor ties out, or says why it cannot.

Belongs here: the rule over all registered streams. Does not belong here: whether a vendor's totals are right
(its own source and sync tests).
"""

from __future__ import annotations

import pytest

from assets.raw import airtable, amazon, app, github, hubspot, klaviyo, netsuite, shopify, slack
from ops_platform.ingestion.contract import Stream

MODULES = (airtable, amazon, app, github, hubspot, klaviyo, netsuite, shopify, slack)
STREAMS = [stream for module in MODULES for stream in module.VENDOR.streams.values()]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: f"{stream.vendor}.{stream.name}")
def test_a_stream_ties_out_or_says_why_not(stream: Stream) -> None:
    assert stream.ties_out != bool(stream.no_tie_out)

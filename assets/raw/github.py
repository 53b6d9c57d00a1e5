"""What is landed from GitHub: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/github`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import github

VENDOR = Vendor("github", "GitHub", github.STREAMS, owner="sales", division="app_development")

"""What is landed from the companion app's database: one asset a stream.

Belongs here: that these streams are assets, and whose. Does not belong here: how they are read
(`resources/app_database`).
"""

from __future__ import annotations

from assets.raw.sync import Vendor
from resources import app_database

VENDOR = Vendor("app", "App database", app_database.STREAMS, owner="sales", division="app_development")

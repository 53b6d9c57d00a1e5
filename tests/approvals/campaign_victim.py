"""What a process does in the kill tests of campaigns: hand over what is approved; then it ends."""

from __future__ import annotations

import os
from typing import Any

import psycopg
from pydantic import SecretStr

import resources.http_transport  # noqa: F401  # here once, not in every life
from ops_platform.approvals.campaign_handover import hand_over
from ops_platform.settings import Settings
from resources.klaviyo import drafts
from sandbox.klaviyo.side import DRAFTS_KEY
from tests.approvals.campaign import inbox
from tests.approvals.notes import NOW


def hand_over_life(dsn: str, url: str, failpoint: str = "") -> None:
    """Make the drafts that are due at the campaign tool's side of the sandbox."""
    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint

    def connect() -> Any:
        return psycopg.connect(dsn, options="-c timezone=UTC")

    drafter = drafts.connect(Settings(klaviyo_drafts_api_key=SecretStr(DRAFTS_KEY), klaviyo_base_url=url))
    assert drafter is not None
    drafter.client.pace.enabled = False
    hand_over(connect, drafter, inbox(channel=False), NOW)

"""A process that delivers a restored outbox, for tests that kill it."""

from __future__ import annotations

import os
from typing import Any


def delivery(dsn: str, url: str, point: str) -> None:
    """Deliver what is due, killed at `point` when one is named."""
    os.environ["OPS_FAILPOINT"] = point
    os.environ["SLACK_CHANNEL_EXECUTIVE"], os.environ["SLACK_CHANNEL_ALERTS"] = "C0EXEC", "C0ALERT"
    import psycopg

    from ops_platform.delivery import deliver
    from resources.slack_posting import SlackPoster
    from tests.delivery.conftest import FAST

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(dsn)

    deliver(connect, SlackPoster("xoxb-sandbox", base_url=url, timeout=5), policy=FAST, patience=3)

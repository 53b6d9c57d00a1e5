"""What a worker process does in the kill tests: one morning of the house, from enqueue to delivered."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from ops_platform.delivery import DeliveryPolicy, deliver, enqueue
from ops_platform.delivery.reconcile import ReconcilePolicy
from resources.slack_posting import SlackPoster
from tests.delivery.conftest import THURSDAY
from tests.delivery.slack_fake import TOKEN

POLICY = DeliveryPolicy(
    pace=timedelta(0),
    lease=timedelta(seconds=30),
    settle=timedelta(seconds=0.05),
    backoff=timedelta(seconds=0.05),
    reconcile=ReconcilePolicy(retry=timedelta(seconds=0.05)),
)


def connect_to(dsn: str) -> Any:
    import psycopg

    return psycopg.connect(dsn, options="-c timezone=UTC")


def morning(dsn: str, url: str, day: str, failpoint: str = "", policy: DeliveryPolicy = POLICY) -> None:
    """Enqueue the day's pulse with an answer in its thread, then deliver."""
    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint
    with connect_to(dsn) as conn:
        common: dict[str, Any] = {"period": THURSDAY, "channel_key": "executive", "channel": "C0EXEC"}
        pulse = enqueue(conn, kind="pulse", payload={"text": f"pulse {day}"}, dedupe_key=f"pulse:{day}", **common)
        enqueue(
            conn,
            kind="detail",
            payload={"text": f"detail {day}"},
            dedupe_key=f"detail:{day}",
            thread_of=pulse.id,
            **common,
        )
    deliver(lambda: connect_to(dsn), SlackPoster(TOKEN, base_url=url, timeout=5), policy=policy, patience=5)

"""A fake Slack, the poster that talks to it, and the policy of an impatient test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_platform.delivery import DeliveryPolicy, OutboxRow, enqueue
from ops_platform.delivery.reconcile import ReconcilePolicy
from ops_platform.evidence.model import Period
from ops_platform.settings import reset_settings
from resources.slack_posting import SlackPoster
from tests.conftest import Connect
from tests.delivery.slack_fake import TOKEN, SlackFake, running_slack

THURSDAY = Period(date(2026, 11, 19), date(2026, 11, 19), "yesterday")
FAST = DeliveryPolicy(
    pace=timedelta(0),
    lease=timedelta(seconds=20),
    settle=timedelta(seconds=0.3),
    backoff=timedelta(seconds=0.1),
    reconcile=ReconcilePolicy(
        retry=timedelta(seconds=0.1), give_up=timedelta(seconds=0.5), recheck=timedelta(seconds=0.2)
    ),
)

Put = Callable[..., OutboxRow]


@pytest.fixture
def slack() -> Iterator[SlackFake]:
    with running_slack() as fake:
        yield fake


@pytest.fixture
def executive(
    warehouse: Connect, slack: SlackFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlackFake]:
    """The fake Slack as the platform's own settings name it, with the executive's channel; rules write."""
    for name, value in {
        "OPS_HOME": str(tmp_path), "OPS_WRITER": "rules", "SLACK_BOT_TOKEN": TOKEN, "SLACK_BASE_URL": slack.url,
        "SLACK_CHANNEL_EXECUTIVE": "C0EXEC",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    reset_settings()
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    yield slack
    reset_settings()


@pytest.fixture
def poster(slack: SlackFake) -> SlackPoster:
    return SlackPoster(TOKEN, base_url=slack.url, timeout=3)


@pytest.fixture
def put(warehouse: Any) -> Put:
    """Enqueue one message in a transaction of its own."""

    def put(kind: str = "pulse", **changes: Any) -> OutboxRow:
        arguments: dict[str, Any] = {
            "kind": kind,
            "period": THURSDAY,
            "channel_key": "executive",
            "channel": "C0EXEC",
            "payload": {"text": f"{kind} of Thursday"},
            **changes,
        }
        with warehouse() as conn:
            return enqueue(conn, **arguments)

    return put

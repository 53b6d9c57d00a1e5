"""From looks to Slack: what a channel shows of an incident, by the vendor's own ledger."""

from __future__ import annotations

from typing import Any

import pytest

from ops_platform.delivery import deliver
from resources.slack_posting import SlackPoster
from tests.alerts.scenes import fleet, signal, turn
from tests.delivery.conftest import FAST
from tests.delivery.slack_fake import TOKEN, SlackFake, running_slack


def post(desk: Any, slack: SlackFake) -> None:
    deliver(desk, SlackPoster(TOKEN, base_url=slack.url, timeout=3), policy=FAST, patience=5)


@pytest.mark.parametrize("lost", [False, True])
def test_one_thread_in_the_alert_channel_whatever_the_network_does(desk: Any, lost: bool) -> None:
    with running_slack() as slack:
        for day, (found, closeness) in enumerate(
            [("breached", "2"), ("breached", "5"), ("clear", "0.1"), ("clear", "0.1")]
        ):
            for _ in range(2):  # every turn and every delivery twice
                turn(desk, signal(day=day, found=found, closeness=closeness), at=day)
                if lost:
                    slack.fault("chat.postMessage", "accept_then_drop")
                post(desk, slack)
                slack.faults.clear()
        posts = slack.posts()
        assert [message["text"].split()[0] for message in posts] == ["opened", "worsened", "recovering", "resolved"]
        first, *answers = posts
        assert "thread_ts" not in first or first["thread_ts"] is None
        assert {message["thread_ts"] for message in answers} == {first["ts"]}
        assert {message["channel"] for message in posts} == {"C0ALERT"}


def test_a_storm_is_one_message_in_the_channel(desk: Any) -> None:
    company = fleet(storm={"after": 5, "interval_minutes": 60})
    with running_slack() as slack:
        turn(desk, *(signal(f"metric_{number}") for number in range(60)), company=company)
        post(desk, slack)
        for day in (1, 2):
            turn(desk, *(signal(f"metric_{number}", "clear", day) for number in range(60)), at=day, company=company)
            post(desk, slack)
        first, end = slack.posts()
        assert end["thread_ts"] == first["ts"]

"""Slack as a source against the sandbox."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops_platform.failures import PermanentFailure
from resources.slack import moment_of
from tests.connectors.conftest import NOW, World, read


def test_channels_people_and_messages_of_partners(world: World) -> None:
    source = world.slack()
    channels = read(source, "channels").payloads
    assert channels and all(row["name"].startswith(("factory-", "partner-")) for row in channels.values())
    people = read(source, "users").payloads
    assert people and all(set(row.get("profile", {})) <= {"title"} for row in people.values())
    assert people["U0LIWEI"]["profile"] == {"title": "Lumitek"}
    # Of another workspace, in a channel shared with it: no list of ours names them.
    assert people["U0LIN"]["is_foreign"] and people["U0LIN"]["profile"] == {"title": "Jing Yi"}
    messages = read(source, "messages")
    assert messages.payloads and not messages.rejected
    for key, row in messages.payloads.items():
        assert key == f"{row['channel']}:{row['ts']}" and row["channel"] in channels
        assert NOW - timedelta(days=15) < moment_of(row.get("thread_ts", row["ts"])) <= NOW
    replies = [row for row in messages.payloads.values() if row.get("thread_ts", row["ts"]) != row["ts"]]
    parents = [row for row in messages.payloads.values() if row.get("reply_count")]
    assert len(replies) == sum(row["reply_count"] for row in parents) > 0


def test_news_edits_and_replies_arrive(own_world: World) -> None:
    source = own_world.slack()
    first = read(source, "messages")
    channel = next(iter(first.payloads.values()))["channel"]
    parent = next(row for row in first.payloads.values() if row.get("reply_count") and row["channel"] == channel)
    plain = next(row for row in first.payloads.values() if row["channel"] == channel and row is not parent)
    later = NOW + timedelta(hours=5)
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("slack", "add_message", channel=channel, user=plain["user"], text="brand new 🚚")
    own_world.mutate("slack", "add_message", channel=channel, user=plain["user"], text="late", thread_ts=parent["ts"])
    own_world.mutate("slack", "edit_message", channel=channel, ts=plain["ts"], text="put right")
    second = read(source, "messages", first.cursor, later)
    texts = {row["text"] for row in second.payloads.values()}
    assert {"brand new 🚚", "late"} <= texts
    assert second.payloads[f"{channel}:{plain['ts']}"]["text"] == "put right"


def test_a_channel_the_bot_is_not_in_is_told_and_the_others_are_read(own_world: World) -> None:
    source = own_world.slack()
    first = read(source, "messages")
    own_world.mutate("slack", "add_channel", id="C0OUTSIDE", name="factory-outside", member=False)
    second = read(source, "messages")
    assert source.skipped == {"factory-outside": "not_in_channel"}
    assert second.payloads == first.payloads
    probes = {probe.endpoint: probe for probe in source.probe()}
    assert not probes["channels"].ok and "factory-outside" in probes["channels"].remedy
    assert probes["messages"].ok and probes["scopes"].ok


def test_under_the_restricted_limits_a_sync_ends_in_time_and_says_how_far_it_is_whole(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources import slack

    wanted = read(own_world.slack(), "messages").payloads
    monkeypatch.setattr(slack, "READING_SECONDS", 1.0)
    own_world.control("/profile", {"profile": "restricted"})
    source = own_world.slack()
    first = read(source, "messages")
    assert 0 < len(first.payloads) < len(wanted) and first.payloads.items() <= wanted.items()
    assert source.reached(source.streams["messages"]) == NOW - source.history
    own_world.control("/profile", {"profile": "generous"})
    rest = read(source, "messages", first.cursor)
    assert source.reached(source.streams["messages"]) is None
    assert {**first.payloads, **rest.payloads} == wanted
    assert first.cursor is not None and rest.cursor is not None and rest.cursor > first.cursor


@pytest.mark.parametrize("fault", ["http_429", "http_500", "html_200", "truncate", "reset", "accept_then_drop"])
def test_one_fault_costs_nothing_but_time(world: World, fault: str) -> None:
    wanted = read(world.slack(), "messages").payloads
    world.fault("slack", fault, after=2)
    assert read(world.slack(), "messages").payloads == wanted


def test_a_wrong_token(own_world: World) -> None:
    from pydantic import SecretStr

    wrong = own_world.settings.model_copy(update={"slack_bot_token": SecretStr("xoxb-wrong")})
    with pytest.raises(PermanentFailure, match="SLACK_BOT_TOKEN"):
        read(World(own_world.url, wrong, own_world.control_client).slack(), "channels")

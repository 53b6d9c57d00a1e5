"""Slack as a source: pages, threads, refusals, channels the bot is not in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import Page
from ops_platform.settings import Settings
from resources import slack
from resources.slack import SlackSource, moment_of
from tests.connectors.fake import Asked, FakeVendor, Said, StillClock, client_of, fake_vendor, said

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
Message = dict[str, Any]


def ts(ago: timedelta, micro: int = 100) -> str:
    return f"{int((NOW - ago).timestamp())}.{micro:06d}"


def message(ago: timedelta, text: str = "x", micro: int = 100, **more: Any) -> Message:
    return {"type": "message", "user": "U1", "text": text, "ts": ts(ago, micro), **more}


class Workspace:
    """Channels, members and messages, paged as Slack pages them, two at a time."""

    def __init__(self) -> None:
        self.channels: list[Message] = [
            {"id": "C1", "name": "factory-shenzhen", "is_member": True},
            {"id": "C2", "name": "general", "is_member": True},
            {"id": "C3", "name": "partner-logistics", "is_member": False},
        ]
        self.users: list[Message] = [
            {
                "id": f"U{number}",
                "name": f"n{number}",
                "real_name": "N",
                "tz": "Asia/Shanghai",
                "is_bot": False,
                "profile": {"email": "secret@example.com"},
            }
            for number in range(5)
        ]
        self.history: dict[str, list[Message]] = {"C1": [], "C2": []}
        self.replies: dict[str, list[Message]] = {}
        self.override: Callable[[Asked], Said | None] = lambda _: None
        self.size = 2

    def __call__(self, asked: Asked) -> Said:
        assert asked.method == "GET"
        special = self.override(asked)
        if special is not None:
            return special
        if asked.headers.get("authorization") != "Bearer xoxb-token":
            return said({"ok": False, "error": "invalid_auth"})
        method = asked.path.removeprefix("/api/")
        query = asked.query
        if method == "auth.test":
            return said({"ok": True, "user": "bot", "team": "T"})
        if method == "conversations.list":
            return self.page("channels", self.channels, query)
        if method == "users.list":
            return self.page("members", self.users, query)
        if method == "conversations.history":
            if query["channel"] == "C3":
                return said({"ok": False, "error": "not_in_channel"})
            found = [each for each in self.history[query["channel"]] if float(each["ts"]) > float(query["oldest"])]
            return self.page("messages", sorted(found, key=lambda each: each["ts"], reverse=True), query)
        assert method == "conversations.replies"
        parent = next(each for each in self.history[query["channel"]] if each["ts"] == query["ts"])
        return self.page("messages", [parent, *self.replies[query["ts"]]], query, parent=parent)

    def page(self, key: str, items: list[Message], query: dict[str, str], parent: Message | None = None) -> Said:
        assert int(query["limit"]) == 200
        start = int(query.get("cursor") or 0)
        found = items[start : start + self.size]
        if parent is not None and start:
            found = [parent, *found]
        more = start + self.size < len(items)
        reply = {"ok": True, key: found, "response_metadata": {"next_cursor": str(start + self.size) if more else ""}}
        return said({**reply, "has_more": more} if key == "messages" else reply)

    def thread(self, ago: timedelta, replies: list[timedelta]) -> Message:
        parent = message(ago, "question?", thread_ts=ts(ago), reply_count=len(replies), latest_reply=ts(min(replies)))
        self.history["C1"].append(parent)
        self.replies[parent["ts"]] = [message(each, "answer", thread_ts=parent["ts"]) for each in replies]
        return parent


@contextmanager
def source_for(workspace: Workspace, clock: StillClock | None = None) -> Iterator[tuple[SlackSource, FakeVendor]]:
    with fake_vendor(workspace) as vendor:
        http = client_of(vendor, clock or StillClock(), "slack")
        yield SlackSource(http, SecretStr("xoxb-token")), vendor


def read(source: SlackSource, stream: str, cursor: str | None = None) -> list[Page]:
    return list(source.pages(source.streams[stream], cursor, now=NOW))


def ids(pages: list[Page]) -> list[str]:
    return [record.id for page in pages for record in page.records]


def test_only_wanted_channels_and_only_what_names_a_person() -> None:
    with source_for(Workspace()) as (source, _):
        assert ids(read(source, "channels")) == ["C1", "C3"]
        people = [record.payload for page in read(source, "users") for record in page.records]
    assert len(people) == 5
    assert people[0] == {"id": "U0", "name": "n0", "real_name": "N", "tz": "Asia/Shanghai", "is_bot": False}


def test_messages_of_the_window_with_replies_and_a_skipped_channel_told() -> None:
    workspace = Workspace()
    hour = timedelta(hours=1)
    workspace.history["C1"] += [message(each * hour, micro=each) for each in range(1, 8)]
    workspace.history["C1"].append(message(timedelta(days=15), "too old"))
    workspace.history["C2"].append(message(hour, "not a partner's channel"))
    parent = workspace.thread(timedelta(days=3), [timedelta(days=2), 2 * hour, 3 * hour])
    with source_for(workspace) as (source, _):
        pages = read(source, "messages")
    wanted = {f"C1:{each['ts']}" for each in workspace.history["C1"] if each["text"] != "too old"}
    wanted |= {f"C1:{each['ts']}" for each in workspace.replies[parent["ts"]]}
    assert set(ids(pages)) == wanted
    assert len(ids(pages)) == len(wanted)
    assert all(record.payload["channel"] == "C1" for page in pages for record in page.records)
    assert source.skipped == {"partner-logistics": "not_in_channel"}
    assert max(page.cursor for page in pages if page.cursor) == "2026-11-20T10:00:00Z"


def test_only_threads_with_news_are_read_again() -> None:
    workspace = Workspace()
    old = workspace.thread(timedelta(days=5), [timedelta(days=4)])
    fresh = workspace.thread(timedelta(days=6), [timedelta(minutes=30)])
    with source_for(workspace) as (source, vendor):
        pages = read(source, "messages", "2026-11-20T10:00:00Z")
        asked = [each.query["ts"] for each in vendor.asked if each.path.endswith("replies")]
    assert asked == [fresh["ts"]]
    assert f"C1:{old['ts']}" in ids(pages)


def test_a_long_absence_reaches_back_further_than_the_window() -> None:
    workspace = Workspace()
    workspace.history["C1"].append(message(timedelta(days=30), "while away"))
    with source_for(workspace) as (source, _):
        assert len(ids(read(source, "messages", "2026-10-15T00:00:00Z"))) == 1


def test_a_reply_also_sent_to_the_channel_comes_once() -> None:
    workspace = Workspace()
    parent = workspace.thread(timedelta(hours=5), [timedelta(hours=2)])
    reply = workspace.replies[parent["ts"]][0]
    workspace.history["C1"].append({**reply, "subtype": "thread_broadcast"})
    with source_for(workspace) as (source, _):
        found = ids(read(source, "messages"))
    assert sorted(found) == sorted({f"C1:{parent['ts']}", f"C1:{reply['ts']}"})


def test_time_of_a_message_keeps_its_digits_and_edits_count() -> None:
    assert moment_of("1732146000.000100") == datetime(2024, 11, 20, 23, 40, 0, 100, tzinfo=UTC)
    workspace = Workspace()
    workspace.history["C1"] = [
        message(timedelta(hours=9), "שלום 🏭 <script>", edited={"user": "U1", "ts": ts(timedelta(hours=1), 0)}),
        message(timedelta(hours=8), "x", micro=999999),
    ]
    with source_for(workspace) as (source, _):
        (page,) = read(source, "messages")
    edited, plain = sorted(page.records, key=lambda record: record.id)
    assert edited.updated_at == NOW - timedelta(hours=1)
    assert edited.payload["text"] == "שלום 🏭 <script>"
    assert plain.id.endswith(".999999") and plain.updated_at is not None and plain.updated_at.microsecond == 999999


def test_messages_without_an_id_are_set_aside() -> None:
    workspace = Workspace()
    workspace.history["C1"] = [message(timedelta(hours=1))]
    broken = said(
        {
            "ok": True,
            "has_more": False,
            "messages": [
                {"text": "no ts"},
                "text",
                message(timedelta(hours=2)),
                {**message(timedelta(hours=3)), "text": [1]},
            ],
        }
    )
    workspace.override = lambda asked: broken if asked.path.endswith("history") else None
    workspace.channels = workspace.channels[:1]
    with source_for(workspace) as (source, _):
        (page,) = read(source, "messages")
    assert len(page.records) == 1
    assert sorted(refused.reason for refused in page.rejected) == ["invalid_shape", "invalid_shape", "missing_id"]


@pytest.mark.parametrize(
    ("reply", "failure", "told"),
    [
        ({"ok": False, "error": "invalid_auth"}, PermanentFailure, "SLACK_BOT_TOKEN"),
        ({"ok": False, "error": "token_revoked"}, PermanentFailure, "SLACK_BOT_TOKEN"),
        (
            {"ok": False, "error": "missing_scope", "needed": "channels:history", "provided": "chat:write"},
            PermanentFailure,
            "channels:history",
        ),
        ({"ok": False, "error": "some_new_error"}, PermanentFailure, "some_new_error"),
        ({"ok": False, "error": "internal_error"}, TransientFailure, "internal_error"),
        ({"messages": []}, TransientFailure, "without ok"),
        ({"ok": True}, TransientFailure, "without messages"),
        ({"ok": True, "messages": [], "has_more": True}, TransientFailure, "announces more"),
    ],
)
def test_refusals(reply: Any, failure: type[Exception], told: str) -> None:
    workspace = Workspace()
    workspace.override = lambda asked: said(reply) if asked.path.endswith("history") else None
    with source_for(workspace) as (source, _), pytest.raises(failure, match=told) as raised:
        read(source, "messages")
    assert "xoxb-token" not in str(raised.value)


def test_a_cursor_that_goes_round_fails() -> None:
    workspace = Workspace()
    round_ = said({"ok": True, "members": [], "response_metadata": {"next_cursor": "same"}})
    workspace.override = lambda asked: round_ if asked.path.endswith("users.list") else None
    with source_for(workspace) as (source, _), pytest.raises(TransientFailure, match="already read"):
        read(source, "users")


def test_a_page_that_comes_for_ever_with_new_cursors_fails() -> None:
    workspace, asked_for = Workspace(), []

    def for_ever(asked: Asked) -> Said | None:
        if not asked.path.endswith("users.list"):
            return None
        asked_for.append(asked)
        cursor = {"next_cursor": f"c{len(asked_for)}"}
        return said({"ok": True, "members": workspace.users[:2], "response_metadata": cursor})

    workspace.override = for_ever
    with source_for(workspace) as (source, _), pytest.raises(TransientFailure, match="a page again"):
        read(source, "users")
    assert len(asked_for) < 15


def test_the_rate_limit_is_obeyed() -> None:
    workspace, clock = Workspace(), StillClock()
    limits = [said({"ok": False, "error": "ratelimited"}, 429, Retry_After="30") for _ in range(2)]
    workspace.override = lambda asked: limits.pop() if limits and asked.path.endswith("users.list") else None
    with source_for(workspace, clock) as (source, _):
        assert len(ids(read(source, "users"))) == 5
    assert clock.slept == [31.0, 31.0]


def test_private_channels_are_given_up_before_the_public_ones() -> None:
    workspace = Workspace()
    lacking = said({"ok": False, "error": "missing_scope", "needed": "groups:read", "provided": "channels:read"})
    workspace.override = lambda asked: lacking if "private" in asked.query.get("types", "") else None
    with source_for(workspace) as (source, _):
        assert ids(read(source, "channels")) == ["C1", "C3"]


def test_a_thread_deleted_meanwhile_is_no_failure() -> None:
    workspace = Workspace()
    workspace.thread(timedelta(hours=5), [timedelta(hours=2)])
    gone = said({"ok": False, "error": "thread_not_found"})
    workspace.override = lambda asked: gone if asked.path.endswith("replies") else None
    with source_for(workspace) as (source, _):
        assert len(ids(read(source, "messages"))) == 1


def test_connecting() -> None:
    assert slack.connect(Settings()) is None
    with pytest.raises(ConfigurationError, match="bot token"):
        slack.connect(Settings(slack_bot_token="xoxp-user"))
    source = slack.connect(Settings(slack_bot_token="xoxb-1"), prefixes=("x-",))
    assert source is not None and source.prefixes == ("x-",)


def test_the_probe_names_channels_to_join() -> None:
    with source_for(Workspace()) as (source, _):
        probes = {probe.endpoint: probe for probe in source.probe()}
    assert probes["credentials"].ok and probes["credentials"].said == "bot in T"
    assert not probes["channels"].ok and "partner-logistics" in probes["channels"].remedy
    assert probes["channels"].streams == ("messages",)
    assert probes["users"].ok and probes["messages"].ok


def test_the_probe_names_scopes_by_the_header_and_by_the_refusal() -> None:
    workspace = Workspace()

    def answer(asked: Asked) -> Said | None:
        if asked.path.endswith("auth.test"):
            scopes = {"x-oauth-scopes": "chat:write,channels:read,channels:history,groups:read,groups:history"}
            return Said(b'{"ok": true, "user": "bot", "team": "T"}', 200, scopes)
        if asked.path.endswith("users.list"):
            return said({"ok": False, "error": "missing_scope", "needed": "users:read", "provided": "chat:write"})
        return None

    workspace.override = answer
    with source_for(workspace) as (source, _):
        probes = {probe.endpoint: probe for probe in source.probe()}
    assert (
        not probes["scopes"].ok and probes["scopes"].streams == ("users",) and "users:read" in probes["scopes"].remedy
    )
    assert not probes["users"].ok and "users:read" in probes["users"].remedy


def test_the_probe_ends_at_a_refused_token() -> None:
    workspace = Workspace()
    workspace.override = lambda asked: said({"ok": False, "error": "token_revoked"})
    with source_for(workspace) as (source, _):
        (probe,) = source.probe()
    assert not probe.ok and "SLACK_BOT_TOKEN" in probe.remedy and set(probe.streams) == set(source.streams)


def test_of_the_profile_only_the_title_is_kept() -> None:
    workspace = Workspace()
    workspace.users[0]["profile"] = {"title": "Lumitek", "email": "secret@example.com", "phone": "+86"}
    with source_for(workspace) as (source, _):
        people = [record.payload for page in read(source, "users") for record in page.records]
    assert people[0]["profile"] == {"title": "Lumitek"} and "profile" not in people[1]


# A workspace that lets one request of a kind a minute through, with fifteen messages -------------------------------


NUMBERS = (1, 2, 4, 5, 6)  # the bot is not in C3


class Restricted(Workspace):
    """Slack's limits for distributed apps outside its marketplace, by the clock of the client."""

    def __init__(self, clock: StillClock) -> None:
        super().__init__()
        self.size = 15
        self.channels = [{"id": f"C{n}", "name": f"factory-{n}", "is_member": True} for n in NUMBERS]
        self.history = {f"C{n}": [] for n in NUMBERS}
        self.last: dict[str, float] = {}
        self.served: list[str] = []

        def limited(asked: Asked) -> Said | None:
            method = asked.path.removeprefix("/api/")
            if method not in ("conversations.history", "conversations.replies"):
                return None
            since = clock.now - self.last.get(method, -60.0)
            if since < 60:
                body = b'{"ok": false, "error": "ratelimited"}'
                return Said(body, 429, {"retry-after": str(int(60 - since) or 1)})
            self.last[method] = clock.now
            self.served.append(method)
            return None

        self.override = limited

    def __call__(self, asked: Asked) -> Said:
        if asked.query.get("latest") and asked.path.endswith("history"):
            kept = self.history[asked.query["channel"]]
            below = [each for each in kept if float(each["ts"]) < float(asked.query["latest"])]
            self.history[asked.query["channel"]] = below
            try:
                return super().__call__(asked)
            finally:
                self.history[asked.query["channel"]] = kept
        return super().__call__(asked)


def test_a_restricted_workspace_is_read_in_several_syncs_each_of_which_says_how_far_it_came() -> None:
    clock = StillClock()
    workspace = Restricted(clock)
    for number in NUMBERS:
        workspace.history[f"C{number}"] = [message(timedelta(hours=h), micro=number * 1000 + h) for h in range(1, 61)]
    parent = workspace.thread(timedelta(hours=70), [timedelta(hours=2)])
    wanted = {f"{c}:{each['ts']}" for c, kept in workspace.history.items() for each in kept}
    wanted |= {f"C1:{each['ts']}" for each in workspace.replies[parent["ts"]]}
    landed: set[str] = set()
    cursor: str | None = None
    cursors: list[str] = []
    with source_for(workspace, clock) as (source, _):
        for turn in range(6):
            began = clock.now
            found = read(source, "messages", cursor)
            assert clock.now - began <= slack.READING_SECONDS
            landed |= set(ids(found))
            if turn == 0:
                # Every channel's newest messages came with the first sync.
                assert {f"C{n}:{ts(timedelta(hours=1), n * 1000 + 1)}" for n in NUMBERS} <= landed
            cursor = max(page.cursor for page in found if page.cursor is not None)
            cursors.append(cursor)
            reached = source.reached(source.streams["messages"])
            if reached is None:
                break
            assert reached == NOW - source.history
            clock.now += 600
    assert landed == wanted and 1 < len(cursors) < 6
    assert cursors == sorted(cursors)
    # A page of fifteen a minute, and nothing read twice but where a sync broke off.
    pages = 4 * 5 + 1
    assert workspace.served.count("conversations.history") <= pages + len(cursors) * 5


def test_the_next_round_begins_with_what_is_new() -> None:
    clock = StillClock()
    workspace = Restricted(clock)
    workspace.channels = workspace.channels[:1]
    workspace.history["C1"] = [message(timedelta(hours=h), micro=h) for h in range(1, 400)]
    with source_for(workspace, clock) as (source, _):
        first = read(source, "messages")
        assert source.reached(source.streams["messages"]) is not None
        cursor = max(page.cursor for page in first if page.cursor is not None)
        workspace.history["C1"].append(message(timedelta(minutes=1), "overnight"))
        clock.now += 60
        second = list(source.pages(source.streams["messages"], cursor, now=NOW + timedelta(hours=1)))
    texts = [record.payload["text"] for record in second[0].records]
    assert texts == ["overnight"]

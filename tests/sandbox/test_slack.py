"""Slack over HTTP, by hand and through slack_sdk, held against Slack's own JSON schemas."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sandbox.slack.blocks import check_blocks
from tests.sandbox.conftest import Served, official

BOT = {"Authorization": "Bearer xoxb-sandbox"}
NOW = "1795172400"  # 2026-11-20T11:00:00Z


def sdk(served: Served, token: str = "xoxb-sandbox") -> WebClient:
    return WebClient(token=token, base_url=f"{served.url}/api/", retry_handlers=[])


def get(served: Served, method: str, headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
    answer = served.http.get(f"/api/{method}", params=query, headers=BOT if headers is None else headers)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def post(served: Served, method: str, **body: Any) -> dict[str, Any]:
    answer = served.http.post(f"/api/{method}", json=body, headers=BOT)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def pages(served: Served, method: str, key: str, **query: Any) -> list[list[Any]]:
    found, cursor = [], ""
    while True:
        answer = get(served, method, **(query | {"cursor": cursor} if cursor else query))
        assert answer["ok"], answer
        found.append(answer[key])
        cursor = answer.get("response_metadata", {}).get("next_cursor", "")
        if not cursor:
            return found


# Who may do what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (None, "not_authed"),
        ("xoxb-wrong", "invalid_auth"),
        ("xoxb-sandbox-revoked", "token_revoked"),
        ("xoxb-sandbox-expired", "token_expired"),
        ("xapp-sandbox", "not_allowed_token_type"),
    ],
)
def test_a_wrong_token_is_refused_with_status_200(served: Served, token: str | None, error: str) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    assert get(served, "users.list", headers=headers) == {"ok": False, "error": error}


def test_a_missing_scope_names_what_is_needed(served: Served) -> None:
    with pytest.raises(SlackApiError) as refused:
        sdk(served, "xoxb-sandbox-readonly").chat_postMessage(channel="C0EXEC", text="x")
    answer = refused.value.response
    assert answer["error"] == "missing_scope"
    assert answer["needed"] == "chat:write"
    assert "channels:history" in answer["provided"]
    assert answer.headers["x-oauth-scopes"].startswith("channels:history")


def test_auth_test_says_who_it_is(served: Served) -> None:
    answer = sdk(served).auth_test()
    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == ("T0SANDBOX", "U0OPSBOT", "B0OPSBOT")
    # Also by form and by query, as old clients send it.
    by_form = served.http.post("/api/auth.test", data={"token": "xoxb-sandbox"})
    assert by_form.json()["ok"]


def test_an_unknown_method(served: Served) -> None:
    assert get(served, "chat.explode") == {"ok": False, "error": "unknown_method", "req_method": "chat.explode"}


def test_socket_mode_is_for_an_app_level_token(served: Served) -> None:
    assert post(served, "apps.connections.open")["error"] == "not_allowed_token_type"
    app = {"Authorization": "Bearer xapp-sandbox"}
    answer = served.http.post("/api/apps.connections.open", headers=app).json()
    assert answer["url"].startswith(f"ws://{served.http.base_url.netloc.decode()}/link/?ticket=")
    said = served.http.post("/api/chat.postMessage", headers=app, json={"channel": "C0EXEC", "text": "x"}).json()
    assert said["error"] == "not_allowed_token_type"


@pytest.mark.parametrize(
    ("token", "error"),
    [
        ("xapp-sandbox-unscoped", "missing_scope"), ("xapp-sandbox-revoked", "token_revoked"),
        ("xapp-unknown", "invalid_auth"), ("xoxb-sandbox", "not_allowed_token_type"),
    ],
)  # fmt: skip
def test_socket_mode_is_refused_with_the_reason(served: Served, token: str, error: str) -> None:
    answer = served.http.post("/api/apps.connections.open", headers={"Authorization": f"Bearer {token}"}).json()
    assert (answer["ok"], answer["error"]) == (False, error)


def test_socket_mode_takes_its_token_from_the_header_of_a_post_alone(served: Served) -> None:
    in_body = served.http.post("/api/apps.connections.open", data={"token": "xapp-sandbox"}).json()
    assert in_body["error"] == "invalid_auth"
    app = {"Authorization": "Bearer xapp-sandbox"}
    assert served.http.get("/api/apps.connections.open", headers=app).json()["error"] == "insecure_request"


# How arguments are sent --------------------------------------------------------------------------------------------


def test_read_methods_take_no_json(served: Served) -> None:
    answer = post(served, "conversations.history", channel="C0EXEC")
    assert answer["error"] == "invalid_arguments"
    assert "missing required field: channel" in answer["response_metadata"]["messages"][0]
    by_form = served.http.post("/api/conversations.history", data={"channel": "C0EXEC"}, headers=BOT).json()
    assert by_form["ok"]


def test_write_methods_take_json_or_a_form(served: Served) -> None:
    blocks = [{"type": "divider"}]
    by_form = served.http.post(
        "/api/chat.postMessage",
        data={"channel": "C0TEAM", "text": "by form", "blocks": json.dumps(blocks)},
        headers=BOT,
    ).json()
    assert by_form["message"]["blocks"][0]["type"] == "divider"
    raw = served.http.post(
        "/api/chat.postMessage",
        content=json.dumps({"channel": "C0TEAM", "text": "no charset"}),
        headers={**BOT, "Content-Type": "application/json"},
    ).json()
    assert raw["warning"] == "missing_charset"
    with_charset = served.http.post(
        "/api/chat.postMessage",
        content=json.dumps({"channel": "C0TEAM", "text": "charset"}),
        headers={**BOT, "Content-Type": "application/json; charset=utf-8"},
    ).json()
    assert "warning" not in with_charset
    broken = served.http.post(
        "/api/chat.postMessage", content="{", headers={**BOT, "Content-Type": "application/json"}
    ).json()
    assert broken["error"] == "invalid_json"
    text = served.http.post("/api/chat.postMessage", content="x", headers={**BOT, "Content-Type": "text/plain"}).json()
    assert text["error"] == "invalid_post_type"


# Reading ------------------------------------------------------------------------------------------------------------


def test_channels_and_people_come_by_pages(served: Served) -> None:
    check = official("slack", "ListResponse.schema.json")
    for answer in (get(served, "conversations.list"), get(served, "conversations.list", limit=2)):
        check(answer)
    public = [c for page in pages(served, "conversations.list", "channels", limit=2) for c in page]
    assert {"C0EXEC", "C0TEAM", "C0ALERT"} <= {channel["id"] for channel in public}
    assert not any(channel["is_private"] for channel in public)
    both = [
        c
        for page in pages(served, "conversations.list", "channels", types="public_channel,private_channel", limit=3)
        for c in page
    ]
    assert len({channel["id"] for channel in both}) == len(both)
    assert {"factory-shenzhen", "partner-logistics"} <= {channel["name"] for channel in both}
    check_users = official("slack", "UsersResponse.schema.json")
    everybody = get(served, "users.list")
    check_users(everybody)
    assert everybody["response_metadata"]["next_cursor"] == ""
    paged = [user["id"] for page in pages(served, "users.list", "members", limit=3) for user in page]
    assert paged == [user["id"] for user in everybody["members"]]
    li = get(served, "users.info", user="U0LIWEI")["user"]
    assert (li["tz"], li["tz_offset"]) == ("Asia/Shanghai", 28_800)
    assert get(served, "users.info", user="U0NOBODY")["error"] == "user_not_found"
    members = get(served, "conversations.members", channel="C0FSZ")["members"]
    assert {"U0LIWEI", "U0OPSBOT"} <= set(members)
    assert get(served, "conversations.list", cursor="nonsense")["error"] == "invalid_cursor"
    assert get(served, "conversations.list", types="rooms")["error"] == "invalid_types"


def test_history_is_the_companys_newest_first_without_replies(served: Served) -> None:
    said = [m for m in served.sandbox.company.factory_messages if m.channel_id == "C0FSZ"]
    check = official("slack", "HistoryResponse.schema.json")
    found: list[dict[str, Any]] = []
    for page in pages(served, "conversations.history", "messages", channel="C0FSZ", limit=200):
        check({"ok": True, "messages": page})
        found += page
    assert [message["ts"] for message in found] == sorted((m.ts for m in said), reverse=True)
    by_ts = {message["ts"]: message for message in found}
    for message in said:
        assert by_ts[message.ts]["text"] == message.text
        if message.replies:
            assert by_ts[message.ts]["reply_count"] == len(message.replies)
            assert by_ts[message.ts]["latest_reply"] == message.replies[-1].ts
        else:
            assert "reply_count" not in by_ts[message.ts]


def test_the_windows_ends_are_outside_unless_asked_for(served: Served) -> None:
    newest = [m["ts"] for m in get(served, "conversations.history", channel="C0FSZ", limit=5)["messages"]]
    oldest, latest = newest[4], newest[0]

    def window(**more: Any) -> list[str]:
        answer = get(served, "conversations.history", channel="C0FSZ", oldest=oldest, latest=latest, **more)
        return [message["ts"] for message in answer["messages"]]

    assert window() == newest[1:4]
    assert window(inclusive="true") == newest
    assert window(inclusive="1", limit=2) == newest[:2]
    for limit in (1000, "many"):
        assert get(served, "conversations.history", channel="C0FSZ", limit=limit)["error"] == "invalid_limit"
    assert get(served, "conversations.history", channel="C0FSZ", oldest="yesterday")["error"] == "invalid_ts_oldest"


def test_a_thread_opens_every_page_with_its_parent(served: Served) -> None:
    said = next(m for m in served.sandbox.company.factory_messages if len(m.replies) >= 1)
    check = official("slack", "RepliesResponse.schema.json")
    answer = get(served, "conversations.replies", channel=said.channel_id, ts=said.ts)
    check(answer)
    assert [m["ts"] for m in answer["messages"]] == [said.ts, *(reply.ts for reply in said.replies)]
    assert answer["messages"][1]["thread_ts"] == said.ts
    for number in range(4):
        data = {"channel": said.channel_id, "user": "U0NORA", "text": f"more {number}", "thread_ts": said.ts}
        served.control("/mutate", {"vendor": "slack", "op": "add_message", "data": data})
    by_two = pages(served, "conversations.replies", "messages", channel=said.channel_id, ts=said.ts, limit=2)
    assert all(page[0]["ts"] == said.ts for page in by_two)
    replies = [message["text"] for page in by_two for message in page[1:]]
    assert replies[-4:] == [f"more {number}" for number in range(4)]
    missing = get(served, "conversations.replies", channel=said.channel_id, ts="1600000000.000000")
    assert missing["error"] == "thread_not_found"


def test_channels_the_bot_is_not_in(early: Served) -> None:
    early.control("/mutate", {"vendor": "slack", "op": "add_channel",
                              "data": {"id": "C0OTHER", "name": "other", "member": False}})  # fmt: skip
    assert get(early, "conversations.history", channel="C0OTHER")["error"] == "not_in_channel"
    assert post(early, "chat.postMessage", channel="C0OTHER", text="x")["error"] == "not_in_channel"
    assert post(early, "conversations.join", channel="C0OTHER")["channel"]["is_member"]
    assert post(early, "chat.postMessage", channel="C0OTHER", text="x")["ok"]
    assert post(early, "conversations.join", channel="C0OTHER")["warning"].endswith("already_in_channel")
    assert get(early, "conversations.history", channel="C0NOWHERE")["error"] == "channel_not_found"
    assert post(early, "chat.postMessage", channel="#executive", text="x")["error"] == "channel_not_found"
    early.control("/mutate", {"vendor": "slack", "op": "archive_channel", "data": {"channel": "C0OTHER"}})
    assert post(early, "chat.postMessage", channel="C0OTHER", text="x")["error"] == "is_archived"


# Posting ------------------------------------------------------------------------------------------------------------


def test_a_message_is_kept_as_it_was_posted(served: Served) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Pulse ☀️ صباح"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Net sales* $1 & more"}},
    ]
    metadata = {"event_type": "ops_outbox", "event_payload": {"outbox_id": "abc"}}
    answer = sdk(served).chat_postMessage(
        channel="C0EXEC", text="Pulse <https://x.example|x> 1 < 2 & 3", blocks=blocks, metadata=metadata
    )
    # The published shape of an answer, made from recorded ones, knows no header block.
    whole = answer.data
    assert isinstance(whole, dict)
    shown = {**answer["message"], "blocks": answer["message"]["blocks"][1:]}
    official("slack", "PostMessageResponse.schema.json")({**whole, "message": shown})
    assert answer["ts"].split(".")[0] == NOW
    message = answer["message"]
    assert message["text"] == "Pulse <https://x.example|x> 1 &lt; 2 &amp; 3"
    assert message["blocks"][1]["text"] == {
        "type": "mrkdwn", "text": "*Net sales* $1 &amp; more", "verbatim": False,
    }  # fmt: skip
    assert all(block["block_id"] for block in message["blocks"])
    plain = get(served, "conversations.history", channel="C0EXEC", limit=1)["messages"][0]
    assert plain["ts"] == answer["ts"]
    assert "metadata" not in plain
    full = get(served, "conversations.history", channel="C0EXEC", limit=1, include_all_metadata="true")["messages"][0]
    assert full["metadata"] == metadata
    effect = served.ledger(vendor="slack", kind="message_posted")[-1]["detail"]
    assert (effect["channel"], effect["channel_name"], effect["ts"]) == ("C0EXEC", "executive", answer["ts"])
    assert effect["metadata"] == metadata


def test_every_ts_is_unique_and_ascending(served: Served) -> None:
    given = [post(served, "chat.postMessage", channel=channel, text="x")["ts"] for channel in ("C0EXEC", "C0TEAM") * 10]
    assert len(set(given)) == 20
    assert given == sorted(given)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": "not json"}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [{"type": "banner"}]}, "invalid_blocks"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "a", "event_payload": {"b": "c" * 9000}}}, "metadata_too_large"),
        ({"text": "x", "thread_ts": "1600000000.000001"}, "thread_not_found"),
        ({"text": "x", "thread_ts": "now-ish"}, "invalid_ts"),
    ],
)
def test_a_message_slack_would_refuse(served: Served, body: dict[str, Any], error: str) -> None:
    before = len(served.ledger(kind="message_posted"))
    assert post(served, "chat.postMessage", channel="C0EXEC", **body)["error"] == error
    assert len(served.ledger(kind="message_posted")) == before


def text(length: int, kind: str = "plain_text") -> dict[str, Any]:
    return {"type": kind, "text": "x" * length}


CONFIRM = {"title": text(100), "text": text(300), "confirm": text(30), "deny": text(30)}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ([{"type": "divider"}] * 50, [{"type": "divider"}] * 51),
        ([{"type": "header", "text": text(150)}], [{"type": "header", "text": text(151)}]),
        ([{"type": "section", "text": text(3000, "mrkdwn")}], [{"type": "section", "text": text(3001, "mrkdwn")}]),
        ([{"type": "section", "text": text(1)}], [{"type": "section", "text": text(0)}]),
        ([{"type": "section", "fields": [text(2000)] * 10}], [{"type": "section", "fields": [text(1)] * 11}]),
        ([{"type": "section", "fields": [text(2000)]}], [{"type": "section", "fields": [text(2001)]}]),
        ([{"type": "context", "elements": [text(1)] * 10}], [{"type": "context", "elements": [text(1)] * 11}]),
        (
            [
                {
                    "type": "actions",
                    "elements": [{"type": "button", "text": text(75), "action_id": f"a{n}"} for n in range(25)],
                }
            ],
            [{"type": "actions", "elements": [{"type": "button", "text": text(1)}] * 26}],
        ),
        (
            [{"type": "actions", "elements": [{"type": "button", "text": text(75)}]}],
            [{"type": "actions", "elements": [{"type": "button", "text": text(76)}]}],
        ),
        (
            [{"type": "actions", "elements": [{"type": "datepicker", "action_id": "a", "placeholder": text(150)}]}],
            [{"type": "actions", "elements": [{"type": "datepicker", "action_id": "a", "value": "x"}]}],
        ),
        (
            [{"type": "actions", "elements": [{"type": "button", "text": text(1), "confirm": CONFIRM}]}],
            [{"type": "actions", "elements": [{"type": "button", "text": text(1), "confirm": {"title": text(101)}}]}],
        ),
        (
            [{"type": "actions", "elements": [{"type": "button", "text": text(1), "action_id": "a"}]}],
            [{"type": "actions", "elements": [{"type": "button", "text": text(1), "action_id": "a"}] * 2}],
        ),
        ([{"type": "markdown", "text": "x" * 12_000}], [{"type": "markdown", "text": "x" * 6_001}] * 2),
        (
            [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 20] * 100}],
            [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]}],
        ),
        (
            [{"type": "image", "image_url": "https://x.example/a.png", "alt_text": "a"}],
            [{"type": "image", "image_url": "https://x.example/a.png"}],
        ),
        ([{"type": "divider", "block_id": "a"}], [{"type": "divider", "block_id": "a"}] * 2),
        ([{"type": "divider"}], [{"type": "divider", "colour": "red"}]),
        ([{"type": "divider"}], [{"type": "section"}]),
        ([{"type": "divider"}], [{"type": "section", "text": {"type": "html", "text": "x"}}]),
        ([{"type": "divider"}], [{"text": "x"}]),
    ],
)
def test_block_kits_limits(good: list[Any], bad: list[Any]) -> None:
    assert check_blocks(good) == []
    assert check_blocks(bad) != []


def test_good_blocks_satisfy_slacks_own_schema_too() -> None:
    check = official("slack", "BlockKitMessage.schema.json")
    blocks = [
        {"type": "header", "text": text(10)},
        {"type": "section", "text": text(10, "mrkdwn"), "fields": [text(5)]},
        {"type": "context", "elements": [text(5, "mrkdwn")]},
        {"type": "actions", "elements": [{"type": "button", "text": text(5), "action_id": "a", "value": "v"}]},
        {"type": "divider"},
    ]
    check({"blocks": blocks})
    assert check_blocks(blocks) == []


def test_invalid_blocks_say_where(served: Served) -> None:
    answer = post(served, "chat.postMessage", channel="C0EXEC", blocks=[{"type": "header", "text": text(151)}])
    assert answer["errors"] == ["[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]"]


def test_replies_stay_out_of_the_channel_unless_broadcast(served: Served) -> None:
    parent = post(served, "chat.postMessage", channel="C0ALERT", text="incident")["ts"]
    reply = post(served, "chat.postMessage", channel="C0ALERT", text="detail", thread_ts=parent)["ts"]
    shout = post(
        served, "chat.postMessage", channel="C0ALERT", text="over", thread_ts=parent, reply_broadcast=True
    )["ts"]  # fmt: skip
    history = {m["ts"]: m for m in get(served, "conversations.history", channel="C0ALERT")["messages"]}
    assert reply not in history
    assert history[shout]["subtype"] == "thread_broadcast"
    assert (history[parent]["reply_count"], history[parent]["latest_reply"]) == (2, shout)
    nested = post(served, "chat.postMessage", channel="C0ALERT", text="x", thread_ts=reply)
    assert nested["error"] == "thread_not_found"


def test_update_delete_and_permalink(served: Served) -> None:
    ts = post(served, "chat.postMessage", channel="C0TEAM", text="first")["ts"]
    updated = post(served, "chat.update", channel="C0TEAM", ts=ts, text="second")
    assert (updated["ts"], updated["text"]) == (ts, "second")
    (message,) = (m for m in get(served, "conversations.history", channel="C0TEAM")["messages"] if m["ts"] == ts)
    assert message["text"] == "second"
    assert message["edited"]["user"] == "U0OPSBOT"
    link = get(served, "chat.getPermalink", channel="C0TEAM", message_ts=ts)["permalink"]
    assert link == f"https://sandbox.slack.com/archives/C0TEAM/p{ts.replace('.', '')}"
    assert post(served, "chat.update", channel="C0TEAM", ts=ts, text="x" * 4001)["error"] == "msg_too_long"
    theirs = get(served, "conversations.history", channel="C0FSZ", limit=1)["messages"][0]["ts"]
    assert post(served, "chat.update", channel="C0FSZ", ts=theirs, text="x")["error"] == "cant_update_message"
    assert post(served, "chat.delete", channel="C0FSZ", ts=theirs)["error"] == "cant_delete_message"
    assert post(served, "chat.delete", channel="C0TEAM", ts=ts)["ok"]
    assert post(served, "chat.delete", channel="C0TEAM", ts=ts)["error"] == "message_not_found"
    kinds = [entry["kind"] for entry in served.ledger(vendor="slack") if entry.get("detail", {}).get("ts") == ts]
    assert kinds == ["message_posted", "message_updated", "message_deleted"]


def test_reactions(served: Served) -> None:
    ts = post(served, "chat.postMessage", channel="C0TEAM", text="react")["ts"]
    assert post(served, "reactions.add", channel="C0TEAM", timestamp=ts, name="eyes")["ok"]
    assert post(served, "reactions.add", channel="C0TEAM", timestamp=ts, name="eyes")["error"] == "already_reacted"
    shown = get(served, "reactions.get", channel="C0TEAM", timestamp=ts)["message"]
    assert shown["reactions"] == [{"name": "eyes", "users": ["U0OPSBOT"], "count": 1}]
    assert post(served, "reactions.remove", channel="C0TEAM", timestamp=ts, name="eyes")["ok"]


def test_files_go_up_and_are_shared(served: Served) -> None:
    content = "pulse ☕".encode()
    answer = sdk(served).files_upload_v2(
        channel="C0EXEC", filename="pulse.md", content=content, title="Pulse", initial_comment="the file"
    )
    whole = answer.data
    assert isinstance(whole, dict)
    whole.pop("file", None)  # the SDK's own addition
    official("slack", "CompleteUpload.schema.json")(whole)
    message = get(served, "conversations.history", channel="C0EXEC", limit=1)["messages"][0]
    assert message["text"] == "the file"
    assert message["files"][0]["title"] == "Pulse"
    kept = served.state / "slack_files" / message["files"][0]["id"]
    assert kept.read_bytes() == content
    effect = served.ledger(kind="file_shared")[-1]["detail"]
    assert list(effect["sha256"]) == [message["files"][0]["id"]]


def test_an_upload_of_another_size_is_refused(served: Served) -> None:
    answer = get(served, "files.getUploadURLExternal", filename="a.txt", length=5)
    official("slack", "GetUploadURL.schema.json")(answer)
    assert served.http.post(answer["upload_url"], content=b"123456").status_code == 400
    files = json.dumps([{"id": answer["file_id"]}])
    assert post(served, "files.completeUploadExternal", files=files)["error"] == "file_not_found"


# Limits and faults ----------------------------------------------------------------------------------------------------


def test_the_default_profile_never_refuses(served: Served) -> None:
    assert all(post(served, "chat.postMessage", channel="C0TEAM", text=str(n))["ok"] for n in range(30))


def test_one_message_a_second_and_channel(served: Served) -> None:
    served.control("/profile", {"profile": "standard"})
    assert post(served, "chat.postMessage", channel="C0EXEC", text="1")["ok"]
    assert post(served, "chat.postMessage", channel="C0TEAM", text="1")["ok"]
    refused = served.http.post("/api/chat.postMessage", json={"channel": "C0EXEC", "text": "2"}, headers=BOT)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json() == {"ok": False, "error": "ratelimited"}


def test_tiers(served: Served) -> None:
    served.control("/profile", {"profile": "standard"})
    codes = [served.http.get("/api/users.list", params={"limit": 1}, headers=BOT).status_code for _ in range(25)]
    assert codes.count(200) in (20, 21)
    assert codes[-1] == 429


def test_the_restricted_profile_reads_fifteen_a_minute(served: Served) -> None:
    served.control("/profile", {"profile": "restricted"})
    answer = get(served, "conversations.history", channel="C0FSZ", limit=200)
    assert len(answer["messages"]) == 15
    assert answer["has_more"]
    again = served.http.get("/api/conversations.history", params={"channel": "C0FSZ"}, headers=BOT)
    assert again.status_code == 429
    assert int(again.headers["retry-after"]) > 30


def test_pages_that_repeat_and_pages_that_are_empty(served: Served) -> None:
    served.fault("slack", "repeat_page", match={"path_contains": "conversations.history"})
    first, second, *_ = pages(served, "conversations.history", "messages", channel="C0FSZ", limit=200)
    assert first == second
    served.fault("slack", "empty_page", match={"path_contains": "conversations.history"})
    first, second, *_ = pages(served, "conversations.history", "messages", channel="C0FSZ", limit=200)
    assert first == []
    assert second != []


def test_an_error_on_demand(served: Served) -> None:
    served.fault("slack", "error", error="account_inactive", match={"path_contains": "users.list"})
    assert get(served, "users.list") == {"ok": False, "error": "account_inactive"}
    assert get(served, "users.list")["ok"]


def test_people_speak_edit_and_delete(early: Served) -> None:
    def change(op: str, **data: Any) -> dict[str, Any]:
        answer: dict[str, Any] = early.control("/mutate", {"vendor": "slack", "op": op, "data": data})["result"]
        return answer

    change("add_user", id="U0NEW", name="new", real_name="New Person", timezone="Asia/Taipei")
    said = change("add_message", channel="C0FDG", user="U0NEW", text="urgent?", at="2024-12-05T03:00:00+08:00")
    newest = get(early, "conversations.history", channel="C0FDG", oldest="1733338800", inclusive="true")["messages"]
    assert said["ts"] in {message["ts"] for message in newest}
    change("edit_message", channel="C0FDG", ts=said["ts"], text="not urgent")
    (edited,) = get(
        early, "conversations.history", channel="C0FDG", oldest=said["ts"], latest=said["ts"], inclusive="true"
    )["messages"]  # fmt: skip
    assert edited["text"] == "not urgent"
    assert "edited" in edited
    change("delete_message", channel="C0FDG", ts=said["ts"])
    gone = get(early, "conversations.replies", channel="C0FDG", ts=said["ts"])
    assert gone["error"] == "thread_not_found"
    refused = early.http.post(
        "/_sandbox/mutate", json={"vendor": "slack", "op": "add_message", "data": {"channel": "C0FDG", "user": "U0X"}}
    )
    assert refused.status_code == 400


def test_the_sdk_is_not_retried_behind_our_back(served: Served) -> None:
    served.fault("slack", "accept_then_drop", match={"path_contains": "chat.postMessage"})
    before = len(served.ledger(kind="message_posted"))
    with pytest.raises((OSError, httpx.HTTPError, Exception)):
        sdk(served).chat_postMessage(channel="C0TEAM", text="once")
    assert len(served.ledger(kind="message_posted")) == before + 1

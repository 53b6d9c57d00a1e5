"""Slack's methods: arguments in, answer or error code out.

Belongs here: one function a method, and the argument rules they share. Does not belong here: HTTP, tokens,
rate limits (`side.py`), state (`workspace.py`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from sandbox.exchange import note
from sandbox.slack.blocks import check_blocks
from sandbox.slack.interactivity import Interactivity
from sandbox.slack.workspace import APP_ID, BOT_ID, BOT_USER, TEAM_ID, TEAM_NAME, TEAM_URL, Message, Workspace

MAX_TEXT = 40_000
MAX_UPDATE_TEXT = 4_000
MAX_METADATA_BYTES = 8_000
_TS = re.compile(r"\d{9,11}\.\d{1,6}")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")
_TOKEN = re.compile(r"<(?:[@#!][^<>\s|]+|(?:https?|mailto|tel):[^<>\s|]+)(?:\|[^<>]*)?>")

Answer = dict[str, Any]


class SlackError(Exception):
    """An answer with `ok` false. `extra` are further keys of the body."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


@dataclass(slots=True)
class Call:
    """One call. `page_fault` is the semantic fault to apply to a listing; `most` caps its objects."""

    workspace: Workspace
    arguments: Mapping[str, Any]
    base_url: str
    interactivity: Interactivity | None = None
    most: int = 1000
    page_fault: str | None = None
    warnings: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        value = self.arguments.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name)
        return default if not value else value.lower() in ("1", "true")

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise SlackError(
                "invalid_arguments",
                response_metadata={"messages": [f"[ERROR] missing required field: {name}"]},
            )
        return value

    def ts(self, name: str) -> str:
        """A timestamp argument, padded to six decimals so that it compares as a string; '' when absent."""
        value = self.text(name)
        if not value or value in ("0", "now"):
            return ""
        if value.isdigit():
            return f"{value}.000000"
        if not _TS.fullmatch(value):
            raise SlackError(f"invalid_ts_{name}" if name in ("oldest", "latest") else "invalid_ts")
        seconds, _, micro = value.partition(".")
        return f"{seconds}.{micro:0<6}"

    def limit(self, default: int, most: int) -> int:
        value = self.text("limit")
        if not value:
            return min(default, self.most)
        if not value.isdigit() or int(value) > most:
            raise SlackError("invalid_limit")
        return min(int(value) or default, self.most)

    def structure(self, name: str, code: str) -> Any:
        """A nested argument: JSON itself, or a string that holds JSON. None when absent."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise SlackError(code) from None

    def channel(self, *, member: bool = False, name: str = "channel") -> dict[str, Any]:
        channel = self.workspace.channels.get(self.required(name))
        if channel is None:
            raise SlackError("channel_not_found")
        if member and not channel["is_member"]:
            raise SlackError("not_in_channel")
        return channel


# Reading ------------------------------------------------------------------------------------------------------


def auth_test(call: Call) -> Answer:
    return {
        "url": TEAM_URL,
        "team": TEAM_NAME,
        "user": "ops",
        "team_id": TEAM_ID,
        "user_id": BOT_USER,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def team_info(call: Call) -> Answer:
    return {"team": {"id": TEAM_ID, "name": TEAM_NAME, "domain": "sandbox", "email_domain": "", "icon": {}}}


def conversations_list(call: Call) -> Answer:
    types = {kind.strip() for kind in call.text("types", "public_channel").split(",")}
    if types - {"public_channel", "private_channel", "im", "mpim"}:
        raise SlackError("invalid_types")
    wanted = [
        channel
        for channel in call.workspace.channels.values()
        if ("private_channel" if channel["is_private"] else "public_channel") in types
        and not (channel["is_archived"] and call.flag("exclude_archived"))
        # A bot sees private channels only from the inside.
        and (channel["is_member"] or not channel["is_private"])
    ]
    page, cursor = _page(call, wanted, "channel", default=100, most=1000)
    note(records=len(page))
    return {"channels": page, "response_metadata": {"next_cursor": cursor}}


def conversations_info(call: Call) -> Answer:
    channel = dict(call.channel())
    if not call.flag("include_num_members"):
        channel.pop("num_members")
    return {"channel": channel}


def conversations_members(call: Call) -> Answer:
    channel = call.channel()
    page, cursor = _page(call, call.workspace.members(channel["id"]), "member", default=100, most=1000)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def conversations_history(call: Call) -> Answer:
    channel = call.channel(member=True)["id"]
    oldest, latest = call.ts("oldest"), call.ts("latest")
    limit = call.limit(100, 999)
    found = call.workspace.history(channel, oldest, latest, call.flag("inclusive"))
    cursor = call.text("cursor")
    if cursor:
        before = _cursor(cursor, "next_ts")
        found = [ts for ts in found if ts <= before]
    page = found[::-1][:limit]
    more = len(found) > limit
    following = _encode("next_ts", found[::-1][limit]) if more else ""
    if call.page_fault == "empty_page":
        page, more, following = [], bool(found), _encode("next_ts", found[-1]) if found else ""
    elif call.page_fault == "repeat_page" and page:
        more, following = True, _encode("next_ts", page[0])
    metadata = call.flag("include_all_metadata")
    answer: Answer = {
        "messages": [call.workspace.shown(channel, ts, metadata=metadata) for ts in page],
        "has_more": more,
        "pin_count": 0,
        "channel_actions_ts": None,
        "channel_actions_count": 0,
    }
    if oldest:
        answer["oldest"] = oldest
    if latest:
        answer["latest"] = latest
    if more:
        answer["response_metadata"] = {"next_cursor": following}
    note(records=len(page))
    return answer


def conversations_replies(call: Call) -> Answer:
    workspace = call.workspace
    channel = call.channel(member=True)["id"]
    call.required("ts")
    ts = call.ts("ts")
    message = workspace.get(channel, ts)
    if message is None:
        raise SlackError("thread_not_found")
    parent = message.get("thread_ts", ts)
    if workspace.get(channel, parent) is None:
        raise SlackError("thread_not_found")
    oldest, latest, inclusive = call.ts("oldest"), call.ts("latest"), call.flag("inclusive")
    replies = [
        reply
        for reply in workspace.thread(channel, parent)
        if (not oldest or reply > oldest or (inclusive and reply == oldest))
        and (not latest or reply < latest or (inclusive and reply == latest))
    ]
    limit = call.limit(1000, 1000)
    cursor = call.text("cursor")
    if cursor:
        after = _cursor(cursor, "next_ts")
        replies = [reply for reply in replies if reply >= after]
    page = replies[: max(1, limit - 1)]
    more = len(replies) > len(page)
    metadata = call.flag("include_all_metadata")
    answer: Answer = {
        # The parent opens every page.
        "messages": [workspace.shown(channel, each, metadata=metadata) for each in [parent, *page]],
        "has_more": more,
    }
    if more:
        answer["response_metadata"] = {"next_cursor": _encode("next_ts", replies[len(page)])}
    note(records=len(page) + 1)
    return answer


def users_list(call: Call) -> Answer:
    # People of a connected workspace are in no list of ours.
    everybody = [user for user in call.workspace.users.values() if user["team_id"] == TEAM_ID]
    page, cursor = _page(call, everybody, "user", default=len(everybody), most=1000)
    note(records=len(page))
    at = int(call.workspace.clock.now().timestamp())
    return {"members": page, "cache_ts": at, "response_metadata": {"next_cursor": cursor}}


def users_info(call: Call) -> Answer:
    user = call.workspace.users.get(call.required("user"))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": user}


def chat_permalink(call: Call) -> Answer:
    channel = call.channel()["id"]
    ts = call.required("message_ts")
    if call.workspace.get(channel, ts) is None:
        raise SlackError("message_not_found")
    return {"channel": channel, "permalink": f"{TEAM_URL}archives/{channel}/p{ts.replace('.', '')}"}


# Writing ------------------------------------------------------------------------------------------------------


def chat_post(call: Call) -> Answer:
    channel = call.channel(member=True)
    if channel["is_archived"]:
        raise SlackError("is_archived")
    message = _composed(call, longest=MAX_TEXT)
    workspace = call.workspace
    thread = call.ts("thread_ts")
    if thread:
        parent = workspace.get(channel["id"], thread)
        if parent is None or parent.get("thread_ts", thread) != thread:
            raise SlackError("thread_not_found")
        message["thread_ts"] = thread
        message["parent_user_id"] = parent["user"]
        if call.flag("reply_broadcast"):
            message["subtype"] = "thread_broadcast"
    message["ts"] = workspace.next_ts()
    workspace.post(channel["id"], message)
    return {"channel": channel["id"], "ts": message["ts"], "message": message}


def chat_update(call: Call) -> Answer:
    channel = call.channel()["id"]
    ts = call.required("ts")
    before = _own(call, channel, ts, "cant_update_message")
    message = {**before, **_composed(call, longest=MAX_UPDATE_TEXT, before=before)}
    message["edited"] = {"user": BOT_USER, "ts": f"{call.workspace.next_ts().split('.')[0]}.000000"}
    call.workspace.rewrite(channel, ts, message)
    return {"channel": channel, "ts": ts, "text": message["text"], "message": message}


def chat_post_ephemeral(call: Call) -> Answer:
    """Shown to one person of the channel, kept nowhere; the ledger tells."""
    channel = call.channel(member=True)
    user = call.required("user")
    if user not in call.workspace.members(channel["id"]):
        raise SlackError("user_not_in_channel")
    message = _composed(call, longest=MAX_TEXT)
    call.workspace.whisper(channel["id"], user, message["text"])
    return {"message_ts": call.workspace.next_ts()}


def chat_delete(call: Call) -> Answer:
    channel = call.channel()["id"]
    ts = call.required("ts")
    _own(call, channel, ts, "cant_delete_message")
    call.workspace.delete(channel, ts)
    return {"channel": channel, "ts": ts}


def conversations_join(call: Call) -> Answer:
    channel = call.channel()
    if channel["is_private"]:
        raise SlackError("method_not_supported_for_channel_type")
    if channel["is_archived"]:
        raise SlackError("is_archived")
    if channel["is_member"]:
        call.warnings.append("already_in_channel")
    else:
        call.workspace.join(channel["id"], True)
    return {"channel": channel}


def reactions_add(call: Call) -> Answer:
    given, name = _reactions(call)
    users = given.setdefault(name, [])
    if BOT_USER in users:
        raise SlackError("already_reacted")
    users.append(BOT_USER)
    return {}


def reactions_remove(call: Call) -> Answer:
    given, name = _reactions(call)
    if BOT_USER not in given.get(name, []):
        raise SlackError("no_reaction")
    given[name].remove(BOT_USER)
    if not given[name]:
        del given[name]
    return {}


def reactions_get(call: Call) -> Answer:
    channel = call.channel()["id"]
    ts = call.required("timestamp")
    if call.workspace.get(channel, ts) is None:
        raise SlackError("message_not_found")
    return {"type": "message", "channel": channel, "message": call.workspace.shown(channel, ts)}


def files_upload_url(call: Call) -> Answer:
    name, length = call.required("filename"), call.required("length")
    if not length.isdigit() or int(length) < 1:
        raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] invalid length"]})
    file_id = f"F{hashlib.sha256(f'{name}{length}{secrets.token_hex(8)}'.encode()).hexdigest()[:10].upper()}"
    call.workspace.files[file_id] = {"name": name, "length": int(length), "received": None, "shared": False}
    return {"upload_url": f"{call.base_url}/upload/v1/{file_id}", "file_id": file_id}


def files_complete(call: Call) -> Answer:
    wanted = call.structure("files", "invalid_arguments")
    if not isinstance(wanted, list) or not wanted:
        raise SlackError("invalid_arguments")
    workspace = call.workspace
    done = []
    for item in wanted:
        kept = workspace.files.get(str(item.get("id"))) if isinstance(item, dict) else None
        if kept is None or kept["received"] is None:
            raise SlackError("file_not_found")
        done.append((str(item["id"]), kept, str(item.get("title") or kept["name"])))
    target = call.text("channel_id")
    channel = call.channel(member=True, name="channel_id")["id"] if target else None
    shown = [_file_object(call, file_id, kept, title, channel) for file_id, kept, title in done]
    for _, kept, _ in done:
        kept["shared"] = True
    if channel is not None:
        message = _authored({"text": escape(call.text("initial_comment")), "files": shown, "upload": True})
        thread = call.ts("thread_ts")
        if thread:
            if workspace.get(channel, thread) is None:
                raise SlackError("thread_not_found")
            message["thread_ts"] = thread
        message["ts"] = workspace.next_ts()
        sums = {file_id: kept["received"] for file_id, kept, _ in done}
        workspace.post(channel, message, kind="file_shared", sha256=sums)
    return {"files": shown}


def connections_open(call: Call) -> Answer:
    if call.interactivity is None:
        raise SlackError("internal_error")
    return {"url": call.interactivity.ticket(call.base_url)}


# Shared -------------------------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """Text as Slack keeps it: & < > escaped, except in the <…> forms that mean a link or a mention."""
    out, at = [], 0
    for found in _TOKEN.finditer(text):
        out += [_escape_plain(text[at : found.start()]), found.group()]
        at = found.end()
    out.append(_escape_plain(text[at:]))
    return "".join(out)


def _escape_plain(text: str) -> str:
    return _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def _composed(call: Call, *, longest: int, before: Message | None = None) -> Message:
    text = call.text("text")
    blocks = call.structure("blocks", "invalid_blocks_format")
    attachments = call.structure("attachments", "invalid_attachments_format")
    metadata = call.structure("metadata", "invalid_metadata_format")
    if not text and not blocks and not attachments:
        raise SlackError("no_text")
    if len(text) > longest:
        raise SlackError("msg_too_long")
    message: Message = {"text": escape(text)}
    if blocks is not None:
        errors = check_blocks(blocks)
        if errors:
            raise SlackError("invalid_blocks", errors=errors, response_metadata={"messages": errors})
        message["blocks"] = [_kept_block(block, index) for index, block in enumerate(blocks)]
        if not text:
            call.warnings.append("missing_text_in_message")
    if attachments is not None:
        if not isinstance(attachments, list) or len(attachments) > 100:
            raise SlackError("too_many_attachments" if isinstance(attachments, list) else "invalid_attachments_format")
        message["attachments"] = attachments
    if metadata is not None:
        if (
            not isinstance(metadata, dict)
            or not isinstance(metadata.get("event_type"), str)
            or not isinstance(metadata.get("event_payload"), dict)
        ):
            raise SlackError("invalid_metadata_format")
        if len(orjson.dumps(metadata)) > MAX_METADATA_BYTES:
            raise SlackError("metadata_too_large")
        message["metadata"] = {key: metadata[key] for key in ("event_type", "event_payload")}
    return message if before is not None else _authored(message)


def _authored(message: Message) -> Message:
    return {
        "type": "message",
        "user": BOT_USER,
        "bot_id": BOT_ID,
        "app_id": APP_ID,
        "team": TEAM_ID,
        "bot_profile": {
            "id": BOT_ID,
            "app_id": APP_ID,
            "user_id": BOT_USER,
            "name": "ops",
            "deleted": False,
            "updated": 0,
            "team_id": TEAM_ID,
        },
        **message,
    }


def _kept_block(block: dict[str, Any], index: int) -> dict[str, Any]:
    kept: dict[str, Any] = _kept(block)
    if "block_id" not in kept:
        seed = orjson.dumps(block, option=orjson.OPT_SORT_KEYS) + str(index).encode()
        kept = {**kept, "block_id": base64.b64encode(hashlib.sha256(seed).digest())[:5].decode()}
    return kept


def _kept(value: Any) -> Any:
    """A block as Slack gives it back: text objects complete and escaped."""
    if isinstance(value, list):
        return [_kept(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _kept(item) for key, item in value.items()}
    if value.get("type") == "plain_text" and isinstance(value.get("text"), str):
        kept.setdefault("emoji", True)
        kept["text"] = _escape_plain(value["text"])
    elif value.get("type") == "mrkdwn" and isinstance(value.get("text"), str):
        kept.setdefault("verbatim", False)
        kept["text"] = escape(value["text"])
    return kept


def _own(call: Call, channel: str, ts: str, code: str) -> Message:
    message = call.workspace.get(channel, ts)
    if message is None:
        raise SlackError("message_not_found")
    if message.get("bot_id") != BOT_ID:
        raise SlackError(code)
    return message


def _reactions(call: Call) -> tuple[dict[str, list[str]], str]:
    channel = call.channel()["id"]
    ts, name = call.required("timestamp"), call.required("name").strip(":")
    if call.workspace.get(channel, ts) is None:
        raise SlackError("message_not_found")
    if not re.fullmatch(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?", name):
        raise SlackError("invalid_name")
    return call.workspace.reactions.setdefault((channel, ts), {}), name


def _file_object(call: Call, file_id: str, kept: dict[str, Any], title: str, channel: str | None) -> dict[str, Any]:
    suffix = kept["name"].rsplit(".", 1)[-1].lower()
    return {
        "id": file_id,
        "created": int(call.workspace.clock.now().timestamp()),
        "name": kept["name"],
        "title": title,
        "filetype": suffix,
        "pretty_type": suffix.upper(),
        "size": kept["length"],
        "user": BOT_USER,
        "mode": "hosted",
        "is_external": False,
        "channels": [channel] if channel else [],
        "permalink": f"{TEAM_URL}files/{BOT_USER}/{file_id}/{kept['name']}",
    }


def _page(call: Call, found: list[Any], kind: str, *, default: int, most: int) -> tuple[list[Any], str]:
    cursor = call.text("cursor")
    start = int(_cursor(cursor, kind)) if cursor else 0
    limit = call.limit(default, most)
    page = found[start : start + limit]
    following = _encode(kind, str(start + limit)) if start + limit < len(found) else ""
    if call.page_fault == "empty_page":
        return [], _encode(kind, str(start)) if found else ""
    if call.page_fault == "repeat_page":
        return page, _encode(kind, str(start))
    return page, following


def _encode(kind: str, value: str) -> str:
    return base64.b64encode(f"{kind}:{value}".encode()).decode()


def _cursor(cursor: str, kind: str) -> str:
    try:
        name, _, value = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SlackError("invalid_cursor") from None
    if name != kind or not value.replace(".", "").isdigit():
        raise SlackError("invalid_cursor")
    return value


@dataclass(frozen=True, slots=True)
class Method:
    """`scopes`: any one of them is enough. `json_body`: whether a JSON body is read at all."""

    run: Callable[[Call], Answer]
    scopes: tuple[str, ...] = ()
    json_body: bool = False
    listing: bool = False


METHODS: dict[str, Method] = {
    "api.test": Method(lambda call: {"args": {k: str(v) for k, v in call.arguments.items()}}, json_body=True),
    "apps.connections.open": Method(connections_open, ("connections:write",), json_body=True),
    "auth.test": Method(auth_test, json_body=True),
    "chat.delete": Method(chat_delete, ("chat:write",), json_body=True),
    "chat.getPermalink": Method(chat_permalink),
    "chat.postEphemeral": Method(chat_post_ephemeral, ("chat:write",), json_body=True),
    "chat.postMessage": Method(chat_post, ("chat:write",), json_body=True),
    "chat.update": Method(chat_update, ("chat:write",), json_body=True),
    "conversations.history": Method(conversations_history, ("channels:history", "groups:history"), listing=True),
    "conversations.info": Method(conversations_info, ("channels:read", "groups:read")),
    "conversations.join": Method(conversations_join, ("channels:join",), json_body=True),
    "conversations.list": Method(conversations_list, ("channels:read", "groups:read"), listing=True),
    "conversations.members": Method(conversations_members, ("channels:read", "groups:read"), listing=True),
    "conversations.replies": Method(conversations_replies, ("channels:history", "groups:history")),
    "files.completeUploadExternal": Method(files_complete, ("files:write",), json_body=True),
    "files.getUploadURLExternal": Method(files_upload_url, ("files:write",)),
    "reactions.add": Method(reactions_add, ("reactions:write",), json_body=True),
    "reactions.get": Method(reactions_get, ("reactions:read",)),
    "reactions.remove": Method(reactions_remove, ("reactions:write",), json_body=True),
    "team.info": Method(team_info, ("team:read",)),
    "users.info": Method(users_info, ("users:read",)),
    "users.list": Method(users_list, ("users:read",), listing=True),
}

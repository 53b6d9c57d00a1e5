"""The workspace: channels, people, messages and their threads, files and reactions.

Belongs here: state, and keeping what clients made on disk. Does not belong here: method names, arguments,
error codes (`methods.py`).

What the company said is in memory and comes anew with every company; what a client posts, edits, deletes or
uploads is a document in the ledger, so it is still there after a restart. Every `ts` is unique in the
workspace, and because seconds have ten digits until 2286, comparing `ts` as strings compares instants.
"""

from __future__ import annotations

import bisect
import hashlib
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.company import Company
from sandbox.company.model import slack_ts
from sandbox.hooks import Clock
from sandbox.ledger import SqliteLedger

TEAM_ID = "T0SANDBOX"
TEAM_NAME = "Sandbox"
TEAM_URL = "https://sandbox.slack.com/"
BOT_USER = "U0OPSBOT"
BOT_ID = "B0OPSBOT"
APP_ID = "A0OPSAPP"
MESSAGES = "slack_message"
GONE = "slack_deleted"
MEMBERS = "slack_membership"

# The three channels of the fleet, and one the bot was never invited to.
_OWN_CHANNELS = (
    ("C0EXEC", "executive", "Morning pulse and the board"),
    ("C0TEAM", "team", "Divisions"),
    ("C0ALERT", "alerts", "Alerts that need somebody"),
    ("C0RANDOM", "random", "Everything else"),
)
_NOT_INVITED = frozenset({"C0RANDOM"})
# Partners with a workspace of their own, whose channel is shared by Slack Connect; the others' people are guests.
_CONNECTED = {"Jing Yi": "T0JINGYI"}

Message = dict[str, Any]


class Workspace:
    """All of it. Not thread-safe: the server calls it from its event loop alone."""

    def __init__(self, company: Company, ledger: SqliteLedger, clock: Clock) -> None:
        self._ledger = ledger
        self.clock = clock
        self.files: dict[str, dict[str, Any]] = {}
        self.reactions: dict[tuple[str, str], dict[str, list[str]]] = {}
        self.load(company)

    def load(self, company: Company) -> None:
        """Take the company's side anew; what clients made stays."""
        self.channels: dict[str, dict[str, Any]] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self._messages: dict[str, dict[str, Message]] = {}
        self._top: dict[str, list[str]] = {}
        self._threads: dict[tuple[str, str], list[str]] = {}
        self._used: set[str] = set()
        self._next: dict[int, int] = {}
        self._load_users(company)
        self._load_channels(company)
        for channel, joined in self._ledger.documents(MEMBERS).items():
            if channel in self.channels:
                self.channels[channel]["is_member"] = joined
        deleted = self._ledger.documents(GONE)
        for said in company.factory_messages:
            if said.channel_id not in self.channels or f"{said.channel_id}/{said.ts}" in deleted:
                continue
            self._add(said.channel_id, self.spoken(said.author_id, said.ts, said.text))
            if said.edited_at is not None:
                self._messages[said.channel_id][said.ts]["edited"] = {
                    "user": said.author_id,
                    "ts": slack_ts(said.edited_at),
                }
            for reply in said.replies:
                message = self.spoken(reply.author_id, reply.ts, reply.text)
                message["thread_ts"] = said.ts
                message["parent_user_id"] = said.author_id
                self._add(said.channel_id, message)
        for key, message in self._ledger.documents(MESSAGES).items():
            channel = key.split("/", 1)[0]
            if channel in self.channels:
                self._add(channel, message)

    def spoken(self, user: str, ts: str, text: str) -> Message:
        """A message typed by a person."""
        client_id = hashlib.sha256(f"{user}{ts}".encode()).hexdigest()
        parts = (client_id[:8], client_id[8:12], client_id[12:16], client_id[16:20], client_id[20:32])
        return {
            "client_msg_id": "-".join(parts),
            "type": "message",
            "user": user,
            "team": self.users[user]["team_id"] if user in self.users else TEAM_ID,
            "text": text,
            "ts": ts,
        }

    # Reading ----------------------------------------------------------------------------------------------

    def get(self, channel: str, ts: str) -> Message | None:
        return self._messages.get(channel, {}).get(ts)

    def history(self, channel: str, oldest: str, latest: str, inclusive: bool) -> list[str]:
        """The ts of top-level messages in the window, oldest first. '' leaves an end open."""
        order = self._top.get(channel, [])
        low = 0
        if oldest:
            low = (bisect.bisect_left if inclusive else bisect.bisect_right)(order, oldest)
        high = len(order)
        if latest:
            high = (bisect.bisect_right if inclusive else bisect.bisect_left)(order, latest)
        return order[low:high]

    def thread(self, channel: str, ts: str) -> list[str]:
        """The replies to a message, oldest first, without the message itself."""
        return self._threads.get((channel, ts), [])

    def shown(self, channel: str, ts: str, *, metadata: bool = False) -> Message:
        """The message as a reader gets it: with its thread's counts and, on demand, its metadata."""
        message = dict(self._messages[channel][ts])
        if not metadata:
            message.pop("metadata", None)
        replies = self._threads.get((channel, ts))
        if replies:
            people = list(dict.fromkeys(self._messages[channel][reply]["user"] for reply in replies))
            message.update(
                thread_ts=ts,
                reply_count=len(replies),
                reply_users_count=len(people),
                latest_reply=replies[-1],
                reply_users=people[:5],
                is_locked=False,
                subscribed=False,
            )
        given = self.reactions.get((channel, ts))
        if given:
            message["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in given.items()
            ]
        return message

    # Writing ----------------------------------------------------------------------------------------------

    def next_ts(self) -> str:
        """A ts at the sandbox clock that nothing in the workspace has."""
        return self.free_ts(self.clock.now())

    def free_ts(self, at: datetime) -> str:
        """The first ts at or after `at` that nothing in the workspace has."""
        seconds = int(at.timestamp())
        micro = max(self._next.get(seconds, 0), at.microsecond, 1)
        while f"{seconds}.{micro:06d}" in self._used:
            micro += 1
            if micro > 999_999:
                seconds, micro = seconds + 1, self._next.get(seconds + 1, 0)
        self._next[seconds] = micro + 1
        return f"{seconds}.{micro:06d}"

    def post(self, channel: str, message: Message, *, kind: str = "message_posted", **detail: Any) -> None:
        """Keep a client's message: on disk, with its ledger entry, before anybody hears of it."""
        self._add(channel, message)
        self._ledger.record_with(
            "slack",
            kind,
            {"channel": channel, "channel_name": self.channels[channel]["name"], **message, **detail},
            {(MESSAGES, f"{channel}/{message['ts']}"): message},
        )

    def whisper(self, channel: str, user: str, text: str) -> None:
        """Something only one person sees."""
        self._ledger.record("slack", "ephemeral_shown", {"channel": channel, "user": user, "text": text})

    def rewrite(self, channel: str, ts: str, message: Message) -> None:
        """Replace a client's message."""
        self._messages[channel][ts] = message
        self._ledger.record_with(
            "slack",
            "message_updated",
            {"channel": channel, "channel_name": self.channels[channel]["name"], **message},
            {(MESSAGES, f"{channel}/{ts}"): message},
        )

    def delete(self, channel: str, ts: str) -> None:
        """Take a message away, for good."""
        self.forget(channel, ts)
        self._ledger.record_with(
            "slack",
            "message_deleted",
            {"channel": channel, "ts": ts},
            {(MESSAGES, f"{channel}/{ts}"): None, (GONE, f"{channel}/{ts}"): {"ts": ts}},
        )

    def join(self, channel: str, joined: bool) -> None:
        self.channels[channel]["is_member"] = joined
        self._ledger.record_with(
            "slack",
            "channel_joined" if joined else "channel_left",
            {"channel": channel},
            {(MEMBERS, channel): joined},
        )

    def say(self, channel: str, message: Message) -> None:
        """Something a person says while the sandbox runs (tests): in memory only."""
        self._add(channel, message)

    def forget(self, channel: str, ts: str) -> None:
        """Take a message out of memory, with no entry in the ledger."""
        message = self._messages[channel].pop(ts)
        parent = message.get("thread_ts")
        if parent in (None, ts) or message.get("subtype") == "thread_broadcast":
            self._top[channel].remove(ts)
        if parent not in (None, ts):
            self._threads[(channel, str(parent))].remove(ts)

    def _add(self, channel: str, message: Message) -> None:
        ts = message["ts"]
        self._used.add(ts)
        self._messages.setdefault(channel, {})[ts] = message
        parent = message.get("thread_ts")
        if parent in (None, ts):
            bisect.insort(self._top.setdefault(channel, []), ts)
        else:
            bisect.insort(self._threads.setdefault((channel, str(parent)), []), ts)
            if message.get("subtype") == "thread_broadcast":
                bisect.insort(self._top.setdefault(channel, []), ts)

    # The company's side -----------------------------------------------------------------------------------

    def add_user(
        self,
        user_id: str,
        name: str,
        real_name: str,
        zone: str,
        is_bot: bool = False,
        partner: str | None = None,
        team: str = TEAM_ID,
    ) -> None:
        local = datetime.now(UTC).astimezone(ZoneInfo(zone))
        offset = local.utcoffset()
        self.users[user_id] = {
            "id": user_id,
            "team_id": team,
            "name": name,
            "deleted": False,
            "color": hashlib.sha256(user_id.encode()).hexdigest()[:6],
            "real_name": real_name,
            "tz": zone,
            "tz_label": local.tzname() or zone,
            "tz_offset": int(offset.total_seconds()) if offset is not None else 0,
            "profile": {
                "real_name": real_name,
                "real_name_normalized": real_name,
                "display_name": name,
                "display_name_normalized": name,
                "title": partner or "",
                "status_text": "",
                "status_emoji": "",
                "avatar_hash": "sandbox",
                "team": team,
            },
            "is_admin": False,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": partner is not None and team == TEAM_ID,
            "is_ultra_restricted": False,
            "is_bot": is_bot,
            "is_app_user": False,
            "updated": int(self.clock.now().timestamp()),
        }
        if team != TEAM_ID:
            self.users[user_id]["is_stranger"] = True

    def add_channel(
        self,
        channel_id: str,
        name: str,
        topic: str,
        created: datetime,
        *,
        private: bool = False,
        member: bool = True,
        shared_with: str | None = None,
    ) -> None:
        at = int(created.timestamp())
        words = {"value": topic, "creator": BOT_USER, "last_set": at}
        self.channels[channel_id] = {
            "id": channel_id,
            "name": name,
            "is_channel": not private,
            "is_group": private,
            "is_im": False,
            "is_mpim": False,
            "is_private": private,
            "created": at,
            "is_archived": False,
            "is_general": False,
            "unlinked": 0,
            "name_normalized": name,
            "is_shared": shared_with is not None,
            "is_org_shared": False,
            "is_pending_ext_shared": False,
            "pending_shared": [],
            "context_team_id": TEAM_ID,
            "updated": at * 1000,
            "creator": BOT_USER,
            "is_ext_shared": shared_with is not None,
            "shared_team_ids": [TEAM_ID] if shared_with is None else [TEAM_ID, shared_with],
            "pending_connected_team_ids": [],
            "is_member": member,
            "topic": words,
            "purpose": dict(words),
            "previous_names": [],
            "num_members": 0,
        }

    def _load_users(self, company: Company) -> None:
        self.add_user("USLACKBOT", "slackbot", "Slackbot", "America/Los_Angeles")
        for person in company.users:
            self.add_user(
                person.id,
                person.name,
                person.real_name,
                person.timezone,
                person.is_bot,
                person.partner,
                _CONNECTED.get(person.partner or "", TEAM_ID),
            )
        self.add_user(BOT_USER, "ops", "Operations", company.shop.timezone, is_bot=True)
        self.users[BOT_USER]["profile"].update(api_app_id=APP_ID, bot_id=BOT_ID)

    def _load_channels(self, company: Company) -> None:
        for channel in company.slack_channels:
            self.add_channel(
                channel.id,
                channel.name,
                channel.topic,
                channel.created_at,
                private=channel.private,
                shared_with=_CONNECTED.get(channel.partner or ""),
            )
        taken = {channel["name"] for channel in self.channels.values()}
        for channel_id, name, topic in _OWN_CHANNELS:
            if channel_id not in self.channels and name not in taken:
                self.add_channel(
                    channel_id, name, topic, company.shop.created_at, member=channel_id not in _NOT_INVITED
                )
        for kept in self.channels.values():
            kept["num_members"] = len(self.members(kept["id"]))

    def members(self, channel: str) -> list[str]:
        """Everybody in a channel: our people, and those who ever spoke there."""
        spoke = {message["user"] for message in self._messages.get(channel, {}).values()}
        people = [
            user_id
            for user_id, user in self.users.items()
            if user_id in spoke
            or (
                not user["is_bot"]
                and not user["is_restricted"]
                and user["team_id"] == TEAM_ID
                and user_id != "USLACKBOT"
            )
        ]
        if self.channels[channel]["is_member"] and BOT_USER not in people:
            people.append(BOT_USER)
        return people

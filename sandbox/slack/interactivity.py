"""Buttons that are pressed: how Slack tells the app, by Socket Mode or over signed HTTP, and what the app may answer.

Belongs here: WebSockets and their tickets, envelopes, signed requests, response URLs. Does not belong here: methods
(`methods.py`), what a message holds (`workspace.py`).

As at Slack: an app with an open WebSocket is told there and nowhere else; a press nobody acknowledges within three
seconds shows the presser a warning; a response URL serves five times in half an hour.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.exchange import note
from sandbox.ledger import SqliteLedger
from sandbox.mutation import MutationRefused, required
from sandbox.slack.blocks import check_blocks
from sandbox.slack.workspace import APP_ID, BOT_ID, BOT_USER, TEAM_ID, Message, Workspace

SIGNING_SECRET = "5a4db0c5519a15ec2e7fa11ed0e5ca9e"  # noqa: S105  (shaped as Slack's are)
ACK_SECONDS = 3.0
TICKET_SECONDS = 60.0
MOST_SOCKETS = 10
URL_USES = 5
URL_SECONDS = 1800.0
_EPHEMERAL_TEXT = 40_000


class Interactivity:
    """All of it. Not thread-safe: the server calls it from its event loop alone."""

    def __init__(self, workspace: Workspace, ledger: SqliteLedger) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self.base_url = ""
        self.request_url: str | None = None
        self._tickets: dict[str, float] = {}
        self._sockets: dict[str, WebSocket] = {}
        self._acks: dict[str, asyncio.Event] = {}
        self._urls: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)

    # Socket Mode ------------------------------------------------------------------------------------------

    def ticket(self, base_url: str) -> str:
        """The address of a WebSocket, good once and for a minute."""
        found = secrets.token_hex(16)
        self._tickets[found] = time.monotonic() + TICKET_SECONDS
        return f"{base_url.replace('http', 'ws', 1)}/link/?ticket={found}&app_id={APP_ID}"

    async def link(self, socket: WebSocket) -> None:
        """The life of one WebSocket."""
        until = self._tickets.pop(socket.query_params.get("ticket", ""), 0.0)
        if until < time.monotonic() or len(self._sockets) >= MOST_SOCKETS:
            await socket.close(1008)  # before it is accepted: the handshake is refused
            return
        await socket.accept()
        name = secrets.token_hex(8)
        self._sockets[name] = socket
        self._ledger.record("slack", "socket_opened", {"socket": name, "open": len(self._sockets)})
        hello = {
            "type": "hello",
            "num_connections": len(self._sockets),
            "debug_info": {"host": "sandbox", "build_number": 1, "approximate_connection_time": 3600},
            "connection_info": {"app_id": APP_ID},
        }
        try:
            await socket.send_text(orjson.dumps(hello).decode())
            while True:
                self._heard(name, await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._sockets.pop(name, None)
            self._ledger.record("slack", "socket_closed", {"socket": name, "open": len(self._sockets)})

    def _heard(self, name: str, text: str) -> None:
        try:
            said = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        envelope = str(said.get("envelope_id", "")) if isinstance(said, dict) else ""
        if envelope:
            # Every acknowledgement is told, so that a test sees one that came twice.
            self._ledger.record("slack", "envelope_acknowledged", {"envelope_id": envelope, "socket": name})
            if envelope in self._acks:
                self._acks[envelope].set()

    async def disconnect(self, reason: str = "refresh_requested", *, close: bool = True) -> dict[str, Any]:
        """Tell every WebSocket to go, as Slack does about hourly, and close it."""
        sockets = list(self._sockets.values())
        for socket in sockets:
            said = {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}
            await socket.send_text(orjson.dumps(said).decode())
        if close:
            await asyncio.sleep(0.2)  # "warning" comes some seconds before; a client that listens is gone by then
            for socket in sockets:
                try:
                    await socket.close(1000)
                except RuntimeError:
                    continue
        return {"told": len(sockets)}

    @property
    def sockets(self) -> int:
        return len(self._sockets)

    # A press ----------------------------------------------------------------------------------------------

    async def press(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Press `action_id` under the message `ts` in `channel` as `user`; `selected_date` for a date. `deliveries`
        tells the app more than once; with `replay` the very same signed request. The press is the same each time.
        `typed` is what stands in the message's fields, by their action ids."""
        channel, ts = required(data, "channel"), required(data, "ts")
        message = self._workspace.get(channel, ts)
        if message is None:
            raise MutationRefused(f"There is no message {ts} in {channel}.")
        user = str(data.get("user") or self._somebody())
        if user not in self._workspace.users:
            raise MutationRefused(f"There is no user {user!r}.")
        action = self._action(message, required(data, "action_id"), data)
        payload = self._payload(channel, message, user, action)
        payload["state"] = {"values": _typed(message, data.get("typed") or {})}
        results = []
        sent: tuple[bytes, dict[str, str]] | None = None
        for number in range(max(int(data.get("deliveries", 1)), 1)):
            if self._sockets:
                results.append(await self._by_socket(payload, number))
            elif self.request_url is not None:
                if sent is None or not data.get("replay"):
                    # A later delivery is signed later: another second, another signature.
                    sent = _signed(payload, time.time() + number)
                results.append(await self._by_http(*sent))
            else:
                raise MutationRefused("The app has neither a WebSocket open nor a request URL for interactivity.")
        self._ledger.record(
            "slack", "button_pressed", {"channel": channel, "ts": ts, "user": user, **action, "results": results}
        )
        return {"payload": payload, "results": results}

    def _somebody(self) -> str:
        for name, user in self._workspace.users.items():
            if not user["is_bot"] and not user["is_restricted"] and user["team_id"] == TEAM_ID and name != "USLACKBOT":
                return name
        raise MutationRefused("Nobody is there to press it: add a user, or say which.")

    def _action(self, message: Message, action_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """The element as it stands in the message now: what is not there cannot be pressed."""
        for block in message.get("blocks", []):
            for element in [*block.get("elements", []), *([block["accessory"]] if "accessory" in block else [])]:
                if element.get("action_id") != action_id:
                    continue
                if data.get("block_id") not in (None, block["block_id"]):
                    continue
                pressed = {"type": element["type"], "action_id": action_id, "block_id": block["block_id"]}
                pressed |= {key: element[key] for key in ("text", "value", "style", "url") if key in element}
                if element["type"] == "datepicker":
                    pressed["selected_date"] = required(data, "selected_date")
                return {**pressed, "action_ts": f"{time.time():.4f}{next(self._numbers) % 100:02d}"}
        raise MutationRefused(f"The message has nothing to press called {action_id!r}.")

    def _payload(self, channel: str, message: Message, user: str, action: dict[str, Any]) -> dict[str, Any]:
        person = self._workspace.users[user]
        key = secrets.token_hex(12)
        self._urls[key] = {
            "until": time.monotonic() + URL_SECONDS, "uses": 0, "channel": channel, "ts": message["ts"], "user": user,
        }  # fmt: skip
        container = {
            "type": "message", "message_ts": message["ts"], "channel_id": channel, "is_ephemeral": False,
            **({"thread_ts": message["thread_ts"]} if "thread_ts" in message else {}),
        }  # fmt: skip
        return {
            "type": "block_actions",
            "user": {
                "id": user, "username": person["name"], "name": person["name"], "team_id": person["team_id"],
            },
            "api_app_id": APP_ID,
            "token": "sandbox-verification-token",
            "container": container,
            "trigger_id": f"{next(self._numbers)}.{int(time.time())}.{secrets.token_hex(16)}",
            "team": {"id": TEAM_ID, "domain": "sandbox"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": channel, "name": self._workspace.channels[channel]["name"]},
            "message": {key: value for key, value in message.items() if key != "metadata"},
            "state": {"values": {}},
            "response_url": f"{self.base_url}/actions/{TEAM_ID}/{next(self._numbers)}/{key}",
            "actions": [action],
        }  # fmt: skip

    async def _by_socket(self, payload: dict[str, Any], number: int) -> dict[str, Any]:
        envelope = secrets.token_hex(8)
        said = {
            "envelope_id": envelope, "type": "interactive", "accepts_response_payload": False, "payload": payload,
            **({"retry_attempt": number, "retry_reason": "timeout"} if number else {}),
        }  # fmt: skip
        heard = self._acks[envelope] = asyncio.Event()
        started = time.perf_counter()
        # One WebSocket of several is told, whichever.
        await secrets.choice(list(self._sockets.values())).send_text(orjson.dumps(said).decode())
        try:
            await asyncio.wait_for(heard.wait(), ACK_SECONDS)
        except TimeoutError:
            return {"via": "socket", "acknowledged": False, "shown": "warning"}
        return {"via": "socket", "acknowledged": True, "seconds": round(time.perf_counter() - started, 3)}

    async def _by_http(self, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        started = time.perf_counter()
        assert self.request_url is not None
        status = await asyncio.to_thread(_post, self.request_url, body, headers)
        spent = round(time.perf_counter() - started, 3)
        good = status == 200
        return {"via": "http", "acknowledged": good, "status": status, "seconds": spent} | (
            {} if good else {"shown": "warning"}
        )

    # Answers ----------------------------------------------------------------------------------------------

    async def respond(self, request: Request) -> Response:
        """A response URL: an answer to the presser alone, or in place of the message."""
        note(operation="response_url")
        kept = self._urls.get(request.path_params["key"])
        if kept is None or kept["until"] < time.monotonic():
            return _refused("expired_url")
        if kept["uses"] >= URL_USES:
            return _refused("used_url")
        try:
            said = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            return _refused("invalid_payload", 400)
        if not isinstance(said, dict):
            return _refused("invalid_payload", 400)
        text, blocks = str(said.get("text") or ""), said.get("blocks")
        if not text and not blocks and not said.get("delete_original"):
            return _refused("no_text", 400)
        if len(text) > _EPHEMERAL_TEXT or (blocks is not None and check_blocks(blocks)):
            return _refused("invalid_blocks", 400)
        kept["uses"] += 1
        channel, ts = kept["channel"], kept["ts"]
        if said.get("delete_original"):
            self._workspace.delete(channel, ts)
        elif said.get("replace_original"):
            before = self._workspace.get(channel, ts) or {}
            changed = {"text": text, **({"blocks": blocks} if blocks is not None else {})}
            self._workspace.rewrite(channel, ts, {**before, **changed})
        elif said.get("response_type") == "in_channel":
            message = {"type": "message", "user": BOT_USER, "bot_id": BOT_ID, "text": text}
            self._workspace.post(channel, {**message, "ts": self._workspace.next_ts()})
        else:
            self._ledger.record("slack", "ephemeral_shown", {"channel": channel, "user": kept["user"], "text": text})
        return Response(b'{"ok":true}', media_type="application/json")


def _typed(message: Message, typed: Mapping[str, str]) -> dict[str, Any]:
    """What Slack tells of every field of the message with each press: what stands in it, or null."""
    values: dict[str, Any] = {}
    known = set()
    for block in message.get("blocks", []):
        element = block.get("element", {}) if block["type"] == "input" else {}
        if element.get("type") == "plain_text_input":
            name = element["action_id"]
            known.add(name)
            values[block["block_id"]] = {name: {"type": "plain_text_input", "value": typed.get(name)}}
    if set(typed) - known:
        raise MutationRefused(f"The message has no field called {sorted(set(typed) - known)[0]!r}.")
    return values


def _signed(payload: dict[str, Any], now: float) -> tuple[bytes, dict[str, str]]:
    """The request as Slack signs it."""
    body = urllib.parse.urlencode({"payload": orjson.dumps(payload).decode()}).encode()
    stamp = str(int(now))
    digest = hmac.new(SIGNING_SECRET.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return body, {
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest}",
    }


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body, headers, method="POST"), timeout=ACK_SECONDS) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except OSError:
        return 0


def _refused(code: str, status: int = 404) -> Response:
    return PlainTextResponse(code, status)

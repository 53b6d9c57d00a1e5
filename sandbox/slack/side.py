"""Slack over HTTP: paths, tokens, scopes, content types, rate limits, and the envelope of every answer.

Belongs here: what is true of all methods. Does not belong here: any one method (`methods.py`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from sandbox.clock import parse_instant
from sandbox.company import Company
from sandbox.exchange import note
from sandbox.faults import FaultPlan
from sandbox.hooks import Clock
from sandbox.ledger import SqliteLedger
from sandbox.mutation import MutationRefused, required
from sandbox.refusals import refusal
from sandbox.slack.interactivity import SIGNING_SECRET, Interactivity
from sandbox.slack.limits import RateLimits
from sandbox.slack.methods import METHODS, Call, SlackError
from sandbox.slack.workspace import TEAM_ID, Workspace
from sandbox.vendor_side import Side

BOT_TOKEN = "xoxb-sandbox"  # noqa: S105
APP_TOKEN = "xapp-sandbox"  # noqa: S105
_SCOPES = (
    "channels:history channels:join channels:read chat:write files:write groups:history groups:read "
    "reactions:read reactions:write team:read users:read"
)
_READING = "channels:history channels:read groups:history groups:read team:read users:read"
# Tokens and what they may do. Any other token is refused as Slack refuses it.
TOKENS: dict[str, tuple[str, ...]] = {
    BOT_TOKEN: tuple(_SCOPES.split()),
    "xoxb-sandbox-readonly": tuple(_READING.split()),
    APP_TOKEN: ("connections:write",),
    "xapp-sandbox-unscoped": (),
}
_DEAD_TOKENS = {
    "xoxb-sandbox-revoked": "token_revoked", "xoxb-sandbox-expired": "token_expired",
    "xapp-sandbox-revoked": "token_revoked",
}  # fmt: skip
_PAGE_FAULTS = frozenset({"repeat_page", "empty_page"})
_ERROR_FAULT = frozenset({"error"})
SEMANTIC_FAULTS = _PAGE_FAULTS | _ERROR_FAULT


class SlackSide(Side):
    """The Slack side of the sandbox. `directory` keeps the bytes of uploaded files."""

    vendor = "slack"

    def __init__(
        self,
        company: Company,
        *,
        clock: Clock,
        ledger: SqliteLedger,
        faults: FaultPlan,
        directory: Path,
        profile: str = "generous",
    ) -> None:
        self.workspace = Workspace(company, ledger, clock)
        self.interactivity = Interactivity(self.workspace, ledger)
        self.limits = RateLimits(profile)
        self._ledger = ledger
        self._faults = faults
        self._directory = directory

    def at(self, url: str) -> None:
        self.interactivity.base_url = url

    def load(self, company: Company) -> None:
        """Serve another company (the clock moved); what clients posted stays."""
        self.workspace.load(company)

    @property
    def profile(self) -> str:
        return self.limits.profile

    @profile.setter
    def profile(self, name: str) -> None:
        self.limits.profile = name

    def environment(self, url: str) -> dict[str, str]:
        return {
            "SLACK_BASE_URL": url,
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "SLACK_CHANNEL_EXECUTIVE": "C0EXEC",
            "SLACK_CHANNEL_TEAM": "C0TEAM",
            "SLACK_CHANNEL_ALERTS": "C0ALERT",
        }

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/{method:path}", self._method, methods=["GET", "POST"]),
            Route("/upload/v1/{file_id}", self._upload, methods=["POST"]),
            Route("/actions/{team}/{number}/{key}", self.interactivity.respond, methods=["POST"]),
            WebSocketRoute("/link/", self.interactivity.link),
        ]

    # HTTP -------------------------------------------------------------------------------------------------

    async def _method(self, request: Request) -> Response:
        name = request.path_params["method"]
        note(operation=name)
        headers = {"x-slack-req-id": secrets.token_hex(16)}
        status, extra = 200, {}
        try:
            method = METHODS.get(name)
            if method is None:
                raise SlackError("unknown_method", req_method=name)
            arguments, warnings, token = await _arguments(request, method.json_body)
            if name == "apps.connections.open":
                _only_as_slack_says(request)
            granted = self._authorise(name, token)
            headers["x-oauth-scopes"] = ",".join(granted)
            headers["x-accepted-oauth-scopes"] = ",".join(method.scopes)
            if method.scopes and not set(method.scopes) & set(granted):
                raise SlackError("missing_scope", needed=method.scopes[0], provided=",".join(granted))
            armed = self._faults.take_fault("slack", name, _ERROR_FAULT)
            if armed is not None:
                raise SlackError(str(armed.options.get("error", "fatal_error")))
            wait = self.limits.refuse(token, name, str(arguments.get("channel", "")))
            if wait is not None:
                refused, body = refusal("slack", 429, {"retry_after": wait})
                return Response(body, 429, headers={**headers, **dict(refused)})
            base_url = str(request.base_url).rstrip("/")
            call = Call(
                self.workspace,
                arguments,
                base_url=base_url,
                interactivity=self.interactivity,
                most=self.limits.most_objects(name, 1000),
                warnings=warnings,
            )
            if method.listing:
                call.page_fault = self._page_fault(name)
            answer: dict[str, Any] = {"ok": True, **method.run(call)}
            warnings = call.warnings
            if warnings:
                answer["warning"] = ",".join(warnings)
                metadata = {**answer.get("response_metadata", {}), "warnings": warnings}
                answer["response_metadata"] = metadata
        except SlackError as error:
            extra = error.extra
            answer = {"ok": False, "error": error.code, **extra}
        return Response(orjson.dumps(answer), status, headers=headers, media_type="application/json; charset=utf-8")

    async def _upload(self, request: Request) -> Response:
        file_id = request.path_params["file_id"]
        note(operation="upload")
        kept = self.workspace.files.get(file_id)
        if kept is None:
            return PlainTextResponse("not found", 404)
        content = await request.body()
        if "multipart/form-data" in request.headers.get("content-type", ""):
            # A multipart body holds the file between its first blank line and its last boundary.
            content = content.split(b"\r\n\r\n", 1)[-1].rsplit(b"\r\n--", 1)[0]
        if len(content) != kept["length"]:
            return PlainTextResponse("size mismatch", 400)
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / file_id).write_bytes(content)
        kept["received"] = hashlib.sha256(content).hexdigest()
        return PlainTextResponse(f"OK - {len(content)}")

    def _authorise(self, method: str, token: str) -> tuple[str, ...]:
        if not token:
            raise SlackError("not_authed")
        if token in _DEAD_TOKENS:
            raise SlackError(_DEAD_TOKENS[token])
        if token not in TOKENS:
            raise SlackError("invalid_auth")
        app_level = token.startswith("xapp-")
        if app_level != (method == "apps.connections.open") and method not in ("api.test", "auth.test"):
            raise SlackError("not_allowed_token_type")
        return TOKENS[token]

    def _page_fault(self, method: str) -> str | None:
        armed = self._faults.take_fault("slack", method, _PAGE_FAULTS)
        return armed.name if armed else None

    # Changes made by tests --------------------------------------------------------------------------------

    def mutate(self, op: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Change the workspace from outside. Operations: `add_message` (channel, user, text; at, thread_ts),
        `edit_message` (channel, ts, text), `delete_message` (channel, ts), `add_channel` (id, name),
        `archive_channel`, `leave_channel` (channel), `add_user` (id, name; real_name, timezone, partner: whose
        guest, team: of a connected workspace)."""
        workspace = self.workspace
        if op == "add_user":
            name = required(data, "name")
            zone = str(data.get("timezone", "UTC"))
            workspace.add_user(
                required(data, "id"),
                name,
                str(data.get("real_name", name)),
                zone,
                bool(data.get("is_bot", False)),
                data.get("partner"),
                str(data.get("team", TEAM_ID)),
            )
            return {"user": workspace.users[data["id"]]}
        if op == "add_channel":
            workspace.add_channel(
                required(data, "id"),
                required(data, "name"),
                str(data.get("topic", "")),
                self._at(data),
                private=bool(data.get("private", False)),
                member=bool(data.get("member", True)),
            )
            return {"channel": workspace.channels[data["id"]]}
        channel = required(data, "channel")
        if channel not in workspace.channels:
            raise MutationRefused(f"There is no channel {channel!r}.")
        if op == "archive_channel":
            workspace.channels[channel]["is_archived"] = True
            return {"channel": workspace.channels[channel]}
        if op == "leave_channel":
            workspace.join(channel, False)
            return {"channel": workspace.channels[channel]}
        if op == "add_message":
            return self._add_message(channel, data)
        if op in ("edit_message", "delete_message"):
            message = workspace.get(channel, required(data, "ts"))
            if message is None:
                raise MutationRefused(f"There is no message {data['ts']} in {channel}.")
            if op == "delete_message":
                workspace.forget(channel, data["ts"])
                return {"ts": data["ts"]}
            message["text"] = required(data, "text")
            message["edited"] = {"user": message["user"], "ts": workspace.next_ts()}
            return {"ts": data["ts"], "message": message}
        raise MutationRefused(f"Slack knows no operation {op!r}.")

    def _add_message(self, channel: str, data: Mapping[str, Any]) -> dict[str, Any]:
        workspace = self.workspace
        user = required(data, "user")
        if user not in workspace.users:
            raise MutationRefused(f"There is no user {user!r}.")
        ts = str(data["ts"]) if data.get("ts") else workspace.free_ts(self._at(data))
        message = workspace.spoken(user, ts, str(data.get("text", "")))
        thread = data.get("thread_ts")
        if thread is not None:
            parent = workspace.get(channel, str(thread))
            if parent is None:
                raise MutationRefused(f"There is no message {thread} in {channel} to reply to.")
            message["thread_ts"] = str(thread)
            message["parent_user_id"] = parent["user"]
        workspace.say(channel, message)
        return {"ts": ts, "message": message}

    def _at(self, data: Mapping[str, Any]) -> datetime:
        at = data.get("at")
        return parse_instant(str(at)) if at else self.workspace.clock.now()


def _only_as_slack_says(request: Request) -> None:
    """Socket Mode is opened by POST alone, and its token is read from the header alone."""
    if request.method != "POST":
        raise SlackError("insecure_request")
    if "authorization" not in request.headers:
        raise SlackError("invalid_auth")


async def _arguments(request: Request, json_body: bool) -> tuple[dict[str, Any], list[str], str]:
    """The arguments, warnings about how they were sent, and the token."""
    arguments: dict[str, Any] = dict(request.query_params)
    warnings: list[str] = []
    kind = request.headers.get("content-type", "")
    bare = kind.split(";", 1)[0].strip().lower()
    body = await request.body() if request.method == "POST" else b""
    token = ""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token = given.strip()
    if bare == "application/json":
        # A method that reads no JSON takes the body for no arguments at all, without a word.
        if json_body and body.strip():
            try:
                read = orjson.loads(body)
            except orjson.JSONDecodeError:
                raise SlackError("invalid_json") from None
            if not isinstance(read, dict):
                raise SlackError("json_not_object")
            arguments.update(read)
            if "charset" not in kind.lower():
                warnings.append("missing_charset")
    elif bare == "application/x-www-form-urlencoded" or (not bare and body):
        arguments.update(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    elif bare == "multipart/form-data":
        arguments.update(_multipart(body))
    elif body:
        raise SlackError("invalid_post_type")
    if not token:
        token = str(arguments.get("token", ""))
    arguments.pop("token", None)
    return arguments, warnings, token


def _multipart(body: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    boundary = body.split(b"\r\n", 1)[0]
    for part in body.split(boundary)[1:]:
        head, _, value = part.partition(b"\r\n\r\n")
        if b'name="' in head and b"filename=" not in head:
            name = head.split(b'name="', 1)[1].split(b'"', 1)[0]
            fields[name.decode()] = value.removesuffix(b"\r\n").decode("utf-8", "replace")
    return fields

"""Presses of buttons, as Slack delivers them: signed HTTP requests, and Socket Mode.

Belongs here: Slack's protocol for interactions (signatures, envelopes, acknowledgement, answers to one person) and who
in the workspace may press. Does not belong here: keeping and doing a press (`ops_platform.alerts.presses`), posting.

A press is kept in the database before Slack hears that it arrived, and done afterwards by one worker: so Slack is
answered well within its three seconds, a killed process loses no press, and one that Slack delivers twice is done once.
HTTP is for workspaces that forbid Socket Mode; it listens on this machine alone, and a proxy with a certificate stands
before it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ops_platform.alerts.presses import (
    About,
    Action,
    Handler,
    Kept,
    Person,
    Press,
    Settled,
    answered,
    keep,
    settle,
    waiting,
)
from ops_platform.approvals import message as approval
from ops_platform.deadlines import within
from ops_platform.documents import alert as document
from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from resources.small_server import Listener, SmallHandler

if TYPE_CHECKING:
    import psycopg
    from slack_sdk import WebClient
    from slack_sdk.socket_mode.builtin import SocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest

log = logging.getLogger(__name__)

PATH = "/slack/interactions"
WINDOW_SECONDS = 300
LONGEST_BODY = 1_000_000
READ_SECONDS = 5.0
KEEP_SECONDS = 2.0
CONNECTIONS = 8
PEOPLE_SECONDS = 600.0
ACTIONS: dict[str, Action] = {
    document.ACKNOWLEDGE: "acknowledge", document.ASSIGN: "assign", document.SNOOZE: "snooze",
    document.MUTE: "mute", document.USEFUL: "useful", document.NOISE: "noise",
    approval.APPROVE: "approve", approval.REJECT: "reject", approval.ASK: "ask",
}  # fmt: skip
#: What a button may be about, by how the id of its block begins, and what follows the number: the edition of an alert's
#: message and the group of buttons, or the version of a request and the fingerprint that was shown.
_SUBJECTS: dict[About, re.Pattern[str]] = {
    "alert": re.compile(r"alert:(\d{1,18}):(\d{1,9}:[a-z]{1,20})(?::\d+)?"),
    "approval": re.compile(r"approval:(\d{1,18}):\d{1,9}:([0-9a-f]{64})"),
}
_ABOUT: dict[Action, About] = {"approve": "approval", "reject": "approval", "ask": "approval"}
DATED: frozenset[Action] = frozenset({"snooze", "mute"})
#: Slack's answers to `apps.connections.open` that pass.
TRANSIENT = frozenset({"ratelimited", "internal_error", "fatal_error", "service_unavailable", "no answer"})
_MAKE_ANOTHER = (
    "make a new one (Basic Information → App-Level Tokens, scope connections:write), and see that Socket Mode is on"
)
_REMEDIES = {
    "not_allowed_token_type": "take an app-level token (xapp-…): Basic Information → App-Level Tokens",
    "missing_scope": "give the app-level token the scope connections:write, or make a new one with it",
    "account_inactive": "the app was removed from the workspace: install it again",
}
_ID = re.compile(r"[A-Z0-9]{2,32}")
_TS = re.compile(r"\d{1,12}\.\d{1,6}")

Connect = Callable[[], "psycopg.Connection[Any]"]


class SignatureRefused(PermanentFailure):
    """The request is not Slack's, or is too old to be believed."""


class SocketModeRefused(PermanentFailure):
    """Slack does not open Socket Mode for this token. `remedy` is what a person does about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


# What Slack says --------------------------------------------------------------------------------------------


def verify(secret: str, timestamp: str | None, signature: str | None, body: bytes, now: float) -> str:
    """The signature of a request that Slack signed with `secret`, no more than five minutes from `now` (Unix seconds).
    Raises `SignatureRefused` otherwise; comparing takes the same time whatever is wrong."""
    if timestamp is None or signature is None:
        raise SignatureRefused("the request is not signed")
    if not re.fullmatch(r"\d{1,12}", timestamp, re.ASCII) or abs(now - int(timestamp)) > WINDOW_SECONDS:
        raise SignatureRefused("the request is too old, or from the future")
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"v0={digest}".encode(), signature.encode("utf-8", "replace")):
        raise SignatureRefused("the signature does not fit")
    return signature


def presses_of(payload: Mapping[str, Any]) -> list[Press]:
    """The presses on our buttons in a `block_actions` payload; none in anything else (a link that was opened, a form).

    Raises `PermanentFailure` where the payload is of ours and not as Slack makes it."""
    if payload.get("type") != "block_actions":
        return []
    found = []
    for item in payload.get("actions") or []:
        action = ACTIONS.get(str(item.get("action_id"))) if isinstance(item, Mapping) else None
        if action is not None:
            found.append(_press(payload, item, action))
    return found


def _press(payload: Mapping[str, Any], item: Mapping[str, Any], action: Action) -> Press:
    about = _ABOUT.get(action, "alert")
    subject = _SUBJECTS[about].fullmatch(str(item.get("block_id")))
    user, team = _mapping(payload, "user"), _mapping(payload, "team")
    container = _mapping(payload, "container")
    person = str(user.get("id") or "")
    channel = str(_mapping(payload, "channel").get("id") or container.get("channel_id") or "")
    message = str(container.get("message_ts") or _mapping(payload, "message").get("ts") or "")
    if subject is None or not _ID.fullmatch(person) or not _ID.fullmatch(channel) or not _TS.fullmatch(message):
        raise PermanentFailure("a press without a subject, a person, a channel or a message")
    day = None
    if action in DATED:
        picked = item.get("selected_date")
        if picked is None:
            raise PermanentFailure("a day was to be picked and none was")
        try:
            day = date.fromisoformat(str(picked))
        except ValueError:
            raise PermanentFailure("the day that was picked is no day") from None
    home = str(user.get("team_id") or team.get("id") or "")
    # What makes two deliveries the same press: who pressed what in which message, at which instant.
    same = json.dumps(
        [home, person, channel, message, str(item.get("action_id")), str(item.get("action_ts")), str(day)]
    )
    return Press(
        key=f"slack:{hashlib.sha256(same.encode()).hexdigest()}",
        action=action,
        number=int(subject.group(1)),
        person=person,
        team=home,
        name=str(user.get("name") or user.get("username") or person)[:80],
        channel=channel,
        message=message,
        about=about,
        shown=subject.group(2) if about == "approval" else "",
        day=day,
        words=_words(payload),
        answer_to=str(payload["response_url"]) if payload.get("response_url") else None,
    )


def _words(payload: Mapping[str, Any]) -> str:
    """What stands in the message's field for a word; nothing where it has none, or it is empty."""
    for block in _mapping(_mapping(payload, "state"), "values").values():
        field_ = block.get(approval.FIELD) if isinstance(block, Mapping) else None
        if isinstance(field_, Mapping) and isinstance(field_.get("value"), str):
            return str(field_["value"]).replace("\x00", "").strip()[: approval.FIELD_MOST]
    return ""


def _mapping(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    return value if isinstance(value, Mapping) else {}


# Who may press ----------------------------------------------------------------------------------------------


class SlackPeople:
    """Who a presser is, and whether that person may: a full member of the workspace, neither guest nor of a connected
    one, and where `allowed` names people, one of them. Looked up at Slack, kept for ten minutes."""

    def __init__(self, call: Callable[..., dict[str, Any]], allowed: frozenset[str] = frozenset()) -> None:
        self._call = call
        self._allowed = allowed
        self._team = ""
        self._known: dict[str, tuple[float, Person]] = {}

    def __call__(self, press: Press) -> Person:
        kept = self._known.get(press.person)
        if kept is not None and time.monotonic() - kept[0] < PEOPLE_SECONDS:
            return kept[1]
        if not self._team:
            self._team = str(self._call("auth.test", {}).get("team_id") or "")
        try:
            user = self._call("users.info", {"user": press.person}).get("user")
        except PermanentFailure as error:
            if "user_not_found" not in str(error) and "user_not_visible" not in str(error):
                raise
            return Person(press.name, allowed=False, why="you are not a member of this workspace")
        person = self._judged(press, user if isinstance(user, dict) else {})
        if len(self._known) > 1000:
            self._known.clear()
        self._known[press.person] = (time.monotonic(), person)
        return person

    def _judged(self, press: Press, user: Mapping[str, Any]) -> Person:
        profile = _mapping(user, "profile")
        name = str(profile.get("real_name") or user.get("real_name") or user.get("name") or press.name)
        name = " ".join("".join(char if char.isprintable() else " " for char in name).split())[:80] or press.person
        why = ""
        if not self._team or user.get("team_id") != self._team or press.team != self._team or user.get("is_stranger"):
            why = "you are not a member of this workspace"
        elif user.get("deleted") or user.get("is_bot") or press.person == "USLACKBOT":
            why = "only people of this workspace may do this"
        elif user.get("is_restricted") or user.get("is_ultra_restricted"):
            why = "guests may not do this"
        elif self._allowed and press.person not in self._allowed:
            why = "you are not among those who may (SLACK_ALERT_USERS)"
        return Person(name, allowed=not why, why=why)


# Doing it ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Desk:
    """Takes presses in and has them done, one after the other, in a thread of its own.

    `after` is called with each press that was settled: it shows the message anew and delivers what the press made."""

    connect: Connect
    act: Handler
    people: Callable[[Press], Person]
    now: Callable[[], datetime]
    answer: Callable[[Settled], None]
    after: Callable[[Settled], None]
    idle_seconds: float = 15.0
    _wake: threading.Event = field(default_factory=threading.Event)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def take(self, payload: Mapping[str, Any], *, via: str, signature: str | None = None) -> Kept:
        """Keep what was pressed. Raises `PermanentFailure` for a payload that makes no sense
        and whatever the database raises, within two seconds: then nothing was kept."""
        pressed = presses_of(payload)
        if not pressed:
            return "kept"

        def kept() -> Kept:
            with self.connect() as connection:
                connection.execute(f"set statement_timeout = {int(1000 * KEEP_SECONDS)}".encode())
                new = [
                    keep(connection, press, via=via, at=_wall(), signature=signature if number == 0 else None)
                    for number, press in enumerate(pressed)
                ]
            return new[0]

        # A database that does not answer must not keep Slack waiting: then nothing is acknowledged.
        new = within(KEEP_SECONDS, kept, name="keeping a press")
        self._wake.set()
        return new

    def work(self) -> int:
        """Settle every press that waits; how many were settled."""
        count = 0
        with self.connect() as connection:
            keys = waiting(connection)
            connection.commit()
            for key in keys:
                settled = settle(
                    connection, key, act=self.act, person_of=self.people, now=self.now, wall=_wall
                )  # fmt: skip
                connection.commit()
                if settled is not None:
                    count += 1
                    self._finish(connection, settled)
        return count

    def _finish(self, connection: psycopg.Connection[Any], settled: Settled) -> None:
        """The answer and the message: what fails here is shown later, and undoes nothing."""
        for step in (self.answer, self.after):
            try:
                step(settled)
            except Exception:
                log.exception("after a press on %s %s", settled.press.about, settled.press.number)
        answered(connection, settled.press.key)
        connection.commit()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="presses", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.work()
            except Exception as error:
                # A database that is away comes back; the presses are in it.
                log.warning("presses wait: %s", error)
            self._wake.wait(self.idle_seconds)


def answer_privately(settled: Settled, *, base_url: str | None, timeout: float = 5.0) -> None:
    """Say to the presser alone what came of it, where nothing in the channel shows it: refused, failed.

    Only an address of Slack's (or of `base_url`) is called: a payload is no reason to call anybody else."""
    url = settled.press.answer_to
    if settled.state == "done" or not url:
        return
    if not _of_slack(url, base_url):
        log.warning("an answer was asked for at a place that is not Slack's")
        return
    loopback = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    body = {"response_type": "ephemeral", "replace_original": False, "text": _inert(settled.words)}
    request = urllib.request.Request(  # noqa: S310  (the scheme and host were checked)
        url, json.dumps(body).encode(), {"content-type": "application/json; charset=utf-8"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({} if loopback else None), _NoRedirect)
    with opener.open(request, timeout=timeout) as response:
        response.read(10_000)


def _of_slack(url: str, base_url: str | None) -> bool:
    parts = urlsplit(url)
    if base_url and parts[:2] == urlsplit(base_url)[:2]:
        return True
    return parts.scheme == "https" and (parts.hostname or "").endswith(".slack.com") and parts.port in (None, 443)


def _inert(text: str) -> str:
    from ops_platform.documents.slack import inert

    return inert(text)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An answer goes where it was asked for and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


# HTTP -------------------------------------------------------------------------------------------------------


class HttpListener(Listener):
    """The signed listener, on this machine alone. `port` 0 takes a free one; `url` tells which."""

    path = PATH

    def __init__(self, desk: Desk, secret: str, *, port: int = 0, host: str = "127.0.0.1") -> None:
        if not secret.strip():
            raise ConfigurationError("SLACK_SIGNING_SECRET is empty.")
        self.desk, self.secret = desk, secret
        self.clock: Callable[[], float] = time.time
        super().__init__(
            _handler(self), host, port, what="interactions", connections=CONNECTIONS, patience=READ_SECONDS
        )

    def receive(self, timestamp: str | None, signature: str | None, body: bytes) -> tuple[int, str]:
        """Status and words for a request. Nothing of the body is looked at before the signature is right."""
        try:
            signature = verify(self.secret, timestamp, signature, body, self.clock())
        except SignatureRefused as error:
            log.warning("an interaction was refused: %s", error)
            return 401, "not authorised"
        try:
            payload = _payload(body)
        except ValueError:
            return 400, "not an interaction"
        if payload is None:
            return 200, ""
        try:
            kept = self.desk.take(payload, via="http", signature=signature)
        except PermanentFailure as error:
            log.warning("an interaction makes no sense: %s", error)
            return 400, "not an interaction"
        except Exception as error:
            # Nothing was kept: Slack shows the presser that it did not work.
            log.warning("an interaction could not be kept: %s", error)
            return 503, "try again"
        # What Slack delivers twice is well received; the same signed request twice is not Slack's.
        return (409, "received before") if kept == "replayed" else (200, "")


def _payload(body: bytes) -> Mapping[str, Any] | None:
    """The JSON in the form's one field; None for Slack's own check of the certificate."""
    fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=10)
    if "ssl_check" in fields:
        return None
    if len(fields.get("payload", ())) != 1:
        raise ValueError("no payload")
    payload = json.loads(fields["payload"][0])
    if not isinstance(payload, dict):
        raise ValueError("the payload is not an object")
    return payload


def _handler(listener: HttpListener) -> type[SmallHandler]:
    class Handler(SmallHandler):
        timeout = READ_SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path.split("?", 1)[0] != PATH:
                return self._say(404, "not found")
            if not length.isdigit():
                return self._say(411, "how long is it?")
            if int(length) > LONGEST_BODY:
                return self._say(413, "too long")
            body = self.rfile.read(int(length))
            if len(body) != int(length):
                return self._say(400, "cut off")
            stamp, signature = self.headers.get("X-Slack-Request-Timestamp"), self.headers.get("X-Slack-Signature")
            return self._say(*listener.receive(stamp, signature, body))

        def do_GET(self) -> None:
            self._say(200 if self.path == "/health" else 404, "listening" if self.path == "/health" else "not found")

        def _say(self, status: int, words: str) -> None:
            self.answer(status, words.encode(), "text/plain; charset=utf-8")

    return Handler


# Socket Mode ------------------------------------------------------------------------------------------------


class SocketListener:
    """A WebSocket to Slack that is opened from here, so that nothing has to be reachable from outside. It is renewed
    when Slack says so (about hourly) and when it falls silent; an envelope is acknowledged once its press is kept."""

    def __init__(self, desk: Desk, app_token: str, *, base_url: str | None = None, timeout: float = 15.0) -> None:
        if not app_token.startswith("xapp-"):
            raise ConfigurationError("SLACK_APP_TOKEN is not an app-level token: it begins with xapp-.")
        self.desk = desk
        self._token, self._base_url, self._timeout = app_token, base_url, timeout
        self._client: SocketModeClient | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._begin, name="socket mode", daemon=True)
        self.failed: str | None = None

    @property
    def connected(self) -> bool:
        return self._client is not None and bool(self._client.is_connected())

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(self._timeout + 5)
        client = self._client
        if client is not None:
            client.auto_reconnect_enabled = False
            session = client.current_session
            with contextlib.suppress(OSError, AttributeError):
                # Its reader sits in recv for up to three seconds; this wakes it.
                session.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
            client.close()

    def _begin(self) -> None:
        """Connect, however long Slack is away; a token that Slack refuses is told and not tried again."""
        from slack_sdk.errors import SlackApiError
        from slack_sdk.socket_mode.builtin import SocketModeClient

        self._client = client = SocketModeClient(
            self._token, logger=_quiet_logger(), web_client=self._web_client(), concurrency=2, receive_buffer_size=16384
        )
        if (urlsplit(self._base_url or "").hostname or "") in ("127.0.0.1", "localhost", "::1"):
            client.proxy = None  # a proxy of the environment is for the outside world
        client.socket_mode_request_listeners.append(self._receive)
        wait = 1.0
        while not self._stopping.is_set():
            try:
                client.connect()
                if client.is_connected():
                    return  # from here on the client renews the connection by itself
                why = "the WebSocket was refused"
            except SlackApiError as error:
                code = str(error.response.get("error") if isinstance(error.response.data, dict) else "no answer")
                if code not in TRANSIENT:
                    self.failed = f"Slack refuses Socket Mode: {code} (SLACK_APP_TOKEN, scope connections:write)"
                    log.error(self.failed)
                    return
                why = code
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
            client.wss_uri = None  # an address is good for one attempt
            log.warning("Socket Mode is not connected yet: %s", why)
            self._stopping.wait(wait)
            wait = min(wait * 2, 60.0)

    def _receive(self, client: Any, request: SocketModeRequest) -> None:
        from slack_sdk.socket_mode.response import SocketModeResponse

        if request.type == "interactive":
            try:
                self.desk.take(request.payload, via="socket")
            except PermanentFailure as error:
                log.warning("an interaction makes no sense: %s", error)  # acknowledged: it will not make more later
            except Exception as error:
                # Not acknowledged: Slack delivers it again, or tells the presser that it did not work.
                log.warning("an interaction could not be kept: %s", error)
                return
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    def _web_client(self) -> WebClient:
        from resources.slack_posting import SLACK_URL, one_attempt_client

        return one_attempt_client(self._token, (self._base_url or SLACK_URL).rstrip("/") + "/api/", self._timeout)


def socket_mode_address(app_token: str, *, base_url: str | None = None, timeout: float = 15.0) -> str:
    """The address of a WebSocket, as Slack gives it for this token; it is not connected to, and nothing is changed by
    asking. Raises `SocketModeRefused` with what to do, or `TransientFailure` where Slack does not answer."""
    from slack_sdk.errors import SlackApiError

    from resources.slack_posting import SLACK_URL, one_attempt_client

    if not app_token.startswith("xapp-"):
        raise SocketModeRefused(
            "SLACK_APP_TOKEN is not an app-level token: it begins with xapp-",
            "take it from Basic Information → App-Level Tokens",
        )
    client = one_attempt_client(app_token, (base_url or SLACK_URL).rstrip("/") + "/api/", timeout)
    try:
        answer = within(
            timeout, lambda: client.apps_connections_open(app_token=app_token), name="apps.connections.open"
        )
    except SlackApiError as error:
        data = error.response.data if isinstance(error.response.data, dict) else {}
        code = str(data.get("error") or "no answer")
        if code in TRANSIENT:
            raise TransientFailure(f"apps.connections.open: {code}") from None
        raise SocketModeRefused(f"apps.connections.open: {code}", _REMEDIES.get(code, _MAKE_ANOTHER)) from None
    except Exception as error:
        raise TransientFailure(f"apps.connections.open: {type(error).__name__}: {error}") from None
    return str(answer["url"])


def _quiet_logger() -> logging.Logger:
    """slack_sdk logs bodies at DEBUG; what matters is said at WARNING."""
    logger = logging.getLogger(f"{__name__}.socket")
    logger.setLevel(logging.WARNING)
    return logger


def _wall() -> datetime:
    return datetime.now(UTC)

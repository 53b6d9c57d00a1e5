"""The guard before Dagster's web: hosts, origins, content types, who asks, and what a request would change.

Belongs here: deciding whether a request passes. Does not belong here: keys and sessions (`access.py`), the web itself.

Dagster's web has no authentication, runs mutations sent by GET, as a form or as plain text, and asks neither for Origin
nor for Host: a page that somebody opens anywhere could start runs on it. So nothing passes without a key or a session;
a change passes only as a POST of JSON from a page of our own (or from a script that shows its key); what is named by
another Host is not for us, which also ends DNS rebinding; a websocket is asked the same and may only subscribe.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ops_platform.web_guard.access import SESSION_SECONDS, Access, Role
from ops_platform.web_guard.operations import CHANGE, SUBSCRIBE, NotGraphqlError, operations_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ALIVE, LOGIN, LOGOUT = "/ops/alive", "/ops/login", "/ops/logout"
GRAPHQL = "/graphql"
LARGEST_BODY = 4 * 1024 * 1024
_CLOSED_POLICY = 1008
_OPERATION, _NOTHING = re.compile(rb"(?:op=\w{0,100})?"), re.compile(rb"")
# Beside what the page itself declares: browsers apply every policy they are given.
_HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"frame-ancestors 'none'; base-uri 'self'; form-action 'self'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)


class Refused(Exception):
    """The request does not pass: the status of the answer and why, for a person."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Guard:
    """ASGI in, ASGI out. `origins` are the addresses under which people reach the page, as `scheme://host[:port]`."""

    def __init__(self, app: App, access: Access, origins: Iterable[str]) -> None:
        self.app = app
        self.access = access
        self.origins = frozenset(_normal(origin) for origin in origins)
        self.hosts = frozenset(urlsplit(origin).netloc for origin in self.origins)
        self.https_hosts = frozenset(urlsplit(origin).netloc for origin in self.origins if origin.startswith("https:"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._websocket(scope, receive, send)

    # -- http -----------------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        path, method = scope["path"], scope["method"]
        try:
            self._host(headers)
            if path == ALIVE and method in ("GET", "HEAD"):
                await _answer(send, 200, b"ok", "text/plain")
                return
            if path in (LOGIN, LOGOUT):
                await self._door(scope, headers, receive, send)
                return
            role, by_key = self._who(headers)
            if method in ("GET", "HEAD"):
                self._read(scope, headers)
            elif method == "POST":
                body = await _body(receive)
                self._change(scope, headers, body, role, by_key=by_key)
                receive = _replay(body, receive)
            else:
                raise Refused(405, f"{method} is not used here")
        except Refused as refused:
            await self._refuse(scope, headers, refused, send)
            return
        await self.app(scope, receive, _with_headers(send))

    def _host(self, headers: dict[str, str]) -> None:
        if headers.get("host", "").lower() not in self.hosts:
            raise Refused(421, "this is not the address of this page: see OPS_DAGSTER_URL")

    def _who(self, headers: dict[str, str]) -> tuple[Role, bool]:
        """Who asks, and whether by a key of its own rather than by a browser's cookie."""
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            role = self.access.role_of_key(shown.strip())
            if role is None:
                raise Refused(401, "this key is not known here")
            return role, True
        session = _cookies(headers).get(self._cookie_name(headers))
        role = None if session is None else self.access.role_of_session(session)
        if role is None:
            raise Refused(401, "sign in first: `ops web` prints a link")
        return role, False

    def _read(self, scope: Scope, headers: dict[str, str]) -> None:
        if _is_graphql(scope) and scope.get("query_string"):
            raise Refused(405, "GraphQL is taken as a POST of JSON only")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
            raise Refused(403, "another site's page asks for this")

    def _change(self, scope: Scope, headers: dict[str, str], body: bytes, role: Role, *, by_key: bool) -> None:
        self._origin(headers, needed=not by_key)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "only JSON is taken")
        # The page names its operation in the address, for whoever reads access logs; nothing else may stand there.
        if not (_OPERATION if _is_graphql(scope) else _NOTHING).fullmatch(scope.get("query_string") or b""):
            raise Refused(400, "a POST has its parameters in its body")
        if not _is_graphql(scope):
            if role is not Role.OPERATOR:
                raise Refused(403, "a viewer changes nothing")
            return
        try:
            operations = operations_of(json.loads(body))
        except (ValueError, RecursionError) as error:
            raise Refused(400, str(error)) from None
        if CHANGE in operations and role is not Role.OPERATOR:
            raise Refused(403, "a viewer changes nothing")

    def _origin(self, headers: dict[str, str], *, needed: bool) -> None:
        origin = headers.get("origin")
        if origin is None and needed:
            raise Refused(403, "a browser says from which page a change is asked; this request does not")
        if origin is not None and _normal(origin) not in self.origins:
            raise Refused(403, "another site's page asks for this")

    # -- the door -----------------------------------------------------------------------------------------

    async def _door(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        secure = headers["host"].lower() in self.https_hosts
        name = self._cookie_name(headers)
        if scope["method"] == "POST":
            self._origin(headers, needed=True)
            if scope["path"] == LOGOUT:
                gone = f"{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
                await _answer(send, 303, b"", "text/plain", ("location", LOGIN), ("set-cookie", gone))
                return
            form = parse_qs((await _body(receive)).decode("utf-8", "replace"))
            shown = form.get("ticket", [""])[0].strip()
            role = self.access.redeem(shown) or self.access.role_of_key(shown)
            if role is None:
                raise Refused(401, "this link was used, is older than ten minutes, or is not known here")
            cookie = f"{name}={self.access.session(role)}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Lax"
            cookie += "; Secure" if secure else ""
            await _answer(send, 303, b"", "text/plain", ("location", "/"), ("set-cookie", cookie))
        elif scope["method"] in ("GET", "HEAD") and scope["path"] == LOGIN:
            # A link is fetched by whoever previews it, so opening it does nothing: the button does.
            ticket = parse_qs(scope.get("query_string", b"").decode("ascii", "replace")).get("ticket", [""])[0]
            await _answer(send, 200, _page("", ticket), "text/html")
        else:
            raise Refused(405, "not used here")

    async def _refuse(self, scope: Scope, headers: dict[str, str], refused: Refused, send: Send) -> None:
        asks_page = "text/html" in headers.get("accept", "") and scope["method"] in ("GET", "POST")
        if refused.status == 401 and asks_page:
            await _answer(send, 401, _page(refused.why, ""), "text/html")
            return
        body = json.dumps({"errors": [{"message": refused.why}]}).encode()
        await _answer(send, refused.status, body, "application/json")

    def _cookie_name(self, headers: dict[str, str]) -> str:
        # With the prefix a browser takes the cookie only from this very host, and only over TLS.
        return "__Host-ops_session" if headers.get("host", "").lower() in self.https_hosts else "ops_session"

    # -- websocket ------------------------------------------------------------------------------------------

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        try:
            self._host(headers)
            _, by_key = self._who(headers)
            self._origin(headers, needed=not by_key)
            if scope.get("query_string"):
                raise Refused(400, "no parameters here")
        except Refused:
            await receive()  # the handshake
            await send({"type": "websocket.close", "code": _CLOSED_POLICY})
            return
        ended = False

        async def watched() -> Message:
            nonlocal ended
            message = await receive()
            if message["type"] == "websocket.receive" and not _only_subscribes(message):
                ended = True
                await send({"type": "websocket.close", "code": _CLOSED_POLICY})
                return {"type": "websocket.disconnect", "code": _CLOSED_POLICY}
            return message

        async def quiet(message: Message) -> None:
            if not ended:
                await send(message)

        await self.app(scope, watched, quiet)


def _only_subscribes(message: Message) -> bool:
    """Whether a message of the `graphql-ws` protocol starts nothing but a subscription."""
    text = message.get("text")
    if not isinstance(text, str) or len(text) > LARGEST_BODY:
        return False
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            return False
        if content.get("type") != "start":
            return "payload" not in content or content.get("type") == "connection_init"
        return operations_of(content.get("payload")) == {SUBSCRIBE}
    except (NotGraphqlError, ValueError, RecursionError):
        return False


def _is_graphql(scope: Scope) -> bool:
    return str(scope["path"]).rstrip("/").endswith(GRAPHQL)


def _normal(origin: str) -> str:
    parts = urlsplit(origin.strip().lower())
    standard = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return f"{parts.scheme}://{parts.netloc.removesuffix(standard) if standard else parts.netloc}"


def _headers(scope: Scope) -> dict[str, str]:
    """The headers; one that is given twice is not taken (two Hosts, two Origins: nobody knows which counts)."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key == "cookie" and key in found:
            found[key] += "; " + value.decode("latin-1")
        elif key in found:
            found[key] = "\x00twice"
        else:
            found[key] = value.decode("latin-1")
    return found


def _cookies(headers: dict[str, str]) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request ended early")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_BODY:
            raise Refused(413, "too large")
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """What `receive` gave, given again: the body was read to be looked at."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send) -> Send:
    async def more(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = message.get("headers", [])
            names = {bytes(name).lower() for name, _ in own} - {b"content-security-policy"}
            message["headers"] = [*own, *(pair for pair in _HEADERS if pair[0] not in names)]
        await send(message)

    return more


async def _answer(send: Send, status: int, body: bytes, kind: str, *more: tuple[str, str]) -> None:
    headers = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        # Nothing to other sites; "no-referrer" would have a browser send the form from nowhere (Origin: null).
        (b"referrer-policy", b"same-origin"),
        *_HEADERS,
        *((name.encode(), value.encode("latin-1")) for name, value in more),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _page(said: str, ticket: str) -> bytes:
    field = (
        f'<input type="hidden" name="ticket" value="{html.escape(ticket)}">'
        if ticket
        else '<p><input type="password" name="ticket" size="50" autofocus placeholder="key, or ticket"></p>'
    )
    return f"""<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in</title><body style="font:16px sans-serif;max-width:32em;margin:15vh auto;padding:0 1em">
<h1>Operations</h1><p>{html.escape(said)}</p><form method="post" action="{LOGIN}">{field}
<p><button style="font:inherit;padding:.5em 1.5em">Sign in</button></p></form>
<p style="color:#666">On the server, <code>ops web</code> prints a link that is good once.</p></body>""".encode()

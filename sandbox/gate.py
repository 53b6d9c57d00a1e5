"""The door every request goes through: recorded, matched against the armed faults, then handled.

Belongs here: the ASGI middleware, and how a connection is reset or dropped. Does not belong here: which
faults exist (`faults.py`), what a vendor answers.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.exchange import Exchange, enter
from sandbox.faults import Fault, FaultPlan, status_of
from sandbox.ledger import SqliteLedger
from sandbox.refusals import html_page, refusal
from sandbox.sides import vendor_of

MAX_BODY_BYTES = 64 * 1024 * 1024
# The operation of a GraphQL document, for requests whose vendor side left no note of its own.
_GRAPHQL_NAME = re.compile(rb'"operationName"\s*:\s*"(\w+)"|\b(?:query|mutation)\s+(\w+)')

Connections = Callable[[], Any]


class Gate:
    """Wraps the application. `connections` yields the server's open protocol objects, by which a request's
    own connection is found when it has to be broken."""

    def __init__(self, app: ASGIApp, ledger: SqliteLedger, faults: FaultPlan, connections: Connections) -> None:
        self._app = app
        self._ledger = ledger
        self._faults = faults
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith("/_sandbox"):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            return
        exchange = Exchange(
            vendor=vendor_of(scope["path"]),
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            body=body,
        )
        enter(exchange)
        entry = _Entry(self._ledger, exchange)
        answer = _Answer(send)
        try:
            await self._serve(scope, exchange, answer, entry)
        except Exception:
            entry.write(answer.status or 500, answer.size)
            raise
        finally:
            entry.write(answer.status, answer.size)

    async def _serve(self, scope: Scope, exchange: Exchange, answer: _Answer, entry: _Entry) -> None:
        fault = self._faults.take_transport(exchange)
        if fault is None:
            await self._app(scope, _replay(exchange.body), answer)
            return
        exchange.fault = fault.name
        await self._spoil(fault, scope, exchange, answer, entry)

    async def _spoil(self, fault: Fault, scope: Scope, exchange: Exchange, answer: _Answer, entry: _Entry) -> None:
        status = status_of(fault.name)
        if status is not None:
            await answer.whole(status, *refusal(exchange.vendor, status, fault.options))
        elif fault.name in ("http_502_html", "html_200"):
            await answer.whole(502 if fault.name == "http_502_html" else 200, *html_page())
        elif fault.name == "slow":
            await asyncio.sleep(float(fault.options.get("seconds", 1)))
            await self._app(scope, _replay(exchange.body), answer)
        elif fault.name == "reset":
            entry.write(0, 0)
            await self._drop(scope, reset=True)
        else:
            caught = _Caught()
            await self._app(scope, _replay(exchange.body), caught)
            if fault.name == "accept_then_drop":
                entry.write(0, 0)
                await self._drop(scope, reset=False)
                return
            body = bytes(caught.body)
            # The middle of the second half: far enough in that a lenient parser sees real records first.
            cut = body[: max(1, len(body) * 3 // 4)]
            promised = len(body) if fault.name == "truncate_short" else len(cut)
            headers = [(k, v) for k, v in caught.headers if k.lower() != b"content-length"]
            headers.append((b"content-length", str(promised).encode()))
            await answer({"type": "http.response.start", "status": caught.status, "headers": headers})
            if fault.name == "truncate":
                await answer({"type": "http.response.body", "body": cut, "more_body": False})
            else:
                await answer({"type": "http.response.body", "body": cut, "more_body": True})
                entry.write(answer.status, answer.size)
                await self._drop(scope, reset=False)

    async def _drop(self, scope: Scope, *, reset: bool) -> None:
        """Close the request's connection under it. `reset` sends RST instead of FIN."""
        for connection in list(self._connections()):
            if connection.scope is scope:
                transport = connection.transport
                if reset:
                    linger = struct.pack("ii", 1, 0)
                    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    transport.abort()
                else:
                    transport.close()
        # The server notices the loss on the next turns of the loop; returning before that would make it
        # answer 500 on a connection that is not quite gone.
        await asyncio.sleep(0.02)


class _Entry:
    """The request's line in the ledger, written once: before a connection breaks, else after the answer."""

    def __init__(self, ledger: SqliteLedger, exchange: Exchange) -> None:
        self._ledger = ledger
        self._exchange = exchange
        self._started = time.perf_counter()
        self._written = False

    def write(self, status: int, size: int) -> None:
        if self._written:
            return
        self._written = True
        if not self._exchange.operation:
            self._exchange.operation = _operation(self._exchange)
        spent = (time.perf_counter() - self._started) * 1000
        self._ledger.request(self._exchange, status=status, bytes_out=size, milliseconds=spent)


class _Answer:
    """Passes the answer on while counting it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
        await self._send(message)

    async def whole(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """A complete answer in one go."""
        raw = [(name.encode(), value.encode()) for name, value in headers]
        raw.append((b"content-length", str(len(body)).encode()))
        await self({"type": "http.response.start", "status": status, "headers": raw})
        await self({"type": "http.response.body", "body": body, "more_body": False})


class _Caught:
    """Keeps an answer instead of sending it."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


async def _read(receive: Receive) -> bytes | None:
    """The whole request body, or None where the client went away."""
    chunks = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks += message.get("body", b"")
        if len(chunks) > MAX_BODY_BYTES or not message.get("more_body", False):
            return bytes(chunks)


def _replay(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            # A handler that waits for the client to leave waits for as long as it runs.
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _operation(exchange: Exchange) -> str:
    if exchange.path.endswith("graphql.json"):
        found = _GRAPHQL_NAME.search(exchange.body)
        if found:
            return (found.group(1) or found.group(2)).decode()
    return exchange.path.rsplit("/", 1)[-1]

"""The mail server as a side of the sandbox: mailboxes, login, sizes, and everything it accepted.

Belongs here: what it takes and refuses, its ledger entries, changes made by tests. Does not belong here: SMTP itself
(`aiosmtpd`), the client. It speaks no HTTP: it has a port of its own.

It is a submission server as providers have them: no login and no mail without STARTTLS (530), no mail without login,
no sender that is not the account's (553), no mailbox that does not exist in its own domain (550), no mail beyond its
size (552). Mail to other domains is taken and goes nowhere.

Faults (`point` says where: `connect`, `login`, `mail`, `rcpt`, `data`, `end`; `end` is the line that ends a mail):
  refuse             answers `code` (451 by default) and `text` there; with times=2 and rcpt this is greylisting
  drop               the connection closes there, nothing was taken
  take_then_drop   (end) the mail is taken, the connection closes without an answer
  late               (end) the mail is taken, the answer comes after `seconds`
  no_starttls        the server offers no encryption

Changes (`POST /_sandbox/mutate`, vendor "mail"):
  add_mailbox, remove_mailbox {"address"}    set_size {"bytes"}    set_password {"password"}
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sandbox.exchange import Exchange, enter
from sandbox.mail.certificate import certificate
from sandbox.mutation import MutationRefused, required
from sandbox.vendor_side import Side

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from sandbox.clock import SandboxClock
    from sandbox.faults import Fault, FaultPlan
    from sandbox.ledger import SqliteLedger

VENDOR = "mail"
DOMAIN = "northbeam.example"
USER, PASSWORD = f"ops@{DOMAIN}", "sandbox mail"
MAILBOXES = ("ops", "leadership", "board", "on-call", "executive", "cto")
MOST_BYTES = 10 * 1024 * 1024
SEMANTIC_FAULTS = frozenset({"refuse", "drop", "take_then_drop", "late", "no_starttls"})


class MailSide(Side):
    """Listens from the beginning, in a thread of its own."""

    vendor = VENDOR

    def __init__(self, *, clock: SandboxClock, ledger: SqliteLedger, faults: FaultPlan, directory: Path) -> None:
        self.faults = faults
        self.password = PASSWORD
        self.most_bytes = MOST_BYTES
        self.mailboxes = {f"{name}@{DOMAIN}" for name in MAILBOXES}
        self._clock = clock
        self._ledger = ledger
        self._directory = directory
        self._certificate, key = certificate(directory)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self._certificate, key)
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)
        self._thread.start()

    def routes(self) -> Sequence[BaseRoute]:
        return ()

    def environment(self, url: str) -> dict[str, str]:
        login = f"{quote(USER, safe='')}:{quote(self.password, safe='')}"
        return {
            "SMTP_URL": f"smtp://{login}@127.0.0.1:{self.port}?ca={quote(str(self._certificate), safe='')}",
            "SMTP_FROM": f"Northbeam Audio Operations <{USER}>",
        }

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def mutate(self, op: str, data: Mapping[str, Any]) -> Any:
        if op == "add_mailbox":
            self.mailboxes.add(required(data, "address").lower())
        elif op == "remove_mailbox":
            self.mailboxes.discard(required(data, "address").lower())
        elif op == "set_size":
            self.most_bytes = int(data["bytes"])
        elif op == "set_password":
            self.password = required(data, "password")
        else:
            raise MutationRefused(f"mail has no operation {op!r}.")
        return {}

    # Taking mail ------------------------------------------------------------------------------------------

    def keep(self, envelope: Envelope) -> None:
        """A mail is taken: whole on disk, and as an entry that tests read."""
        raw = bytes(envelope.original_content or b"")
        digest = hashlib.sha256(raw).hexdigest()
        (self._directory / f"{digest[:24]}.eml").write_bytes(raw)
        self._ledger.record(VENDOR, "mail_accepted", {**_read(raw), "from": envelope.mail_from,
            "to": list(envelope.rcpt_tos), "size": len(raw), "file": f"{digest[:24]}.eml"})  # fmt: skip

    def note(self, operation: str, status: int, fault: Fault | None = None) -> None:
        exchange = Exchange(VENDOR, "SMTP", "/mail", operation=operation)
        exchange.fault = fault.name if fault else None
        self._ledger.request(exchange, status=status, bytes_out=0, milliseconds=0)

    def login(self, mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (
            USER.encode(), self.password.encode(),
        )  # fmt: skip
        self.note("login", 235 if right else 535)
        return AuthResult(success=right, handled=right, auth_data=USER if right else None,
            message=None if right else "535 5.7.8 Error: authentication failed")  # fmt: skip

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(loop.create_server(lambda: _Conversation(self, loop), sock=self._listener))
        try:
            loop.run_forever()
        finally:
            server.close()
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.close()

    @property
    def context(self) -> ssl.SSLContext:
        return self._context


class _Conversation(SMTP):
    """One connection. What it refuses by itself is the protocol's; the rest is the side's."""

    def __init__(self, side: MailSide, loop: asyncio.AbstractEventLoop) -> None:
        self._side = side
        enter(Exchange(VENDOR, "SMTP", "/mail"))
        plain = side.faults.take_fault(VENDOR, "connect", frozenset({"no_starttls"})) is not None
        super().__init__(
            _Handler(side), data_size_limit=side.most_bytes, hostname="mail.northbeam.example", ident="ESMTP sandbox",
            tls_context=None if plain else side.context, require_starttls=not plain, auth_required=not plain,
            auth_require_tls=not plain,
            authenticator=lambda server, session, envelope, mechanism, data: side.login(mechanism, data), loop=loop,
        )  # fmt: skip

    async def _handle_client(self) -> None:
        if not await self.spoilt("connect"):
            await super()._handle_client()
        elif self.transport is not None:
            self.transport.close()

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        if not await self.spoilt("login"):
            await super().smtp_AUTH(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if not await self.spoilt("data"):
            await super().smtp_DATA(arg)

    async def spoilt(self, point: str) -> bool:
        """Whether a fault answered in place of the server."""
        answer = self.spoilt_answer(point)
        if answer is not None:
            await self.push(answer)
        return answer is not None

    def spoilt_answer(self, point: str, body: bytes = b"") -> str | None:
        """What a fault answers in place of the server. One that ends the connection ends this task with it."""
        enter(Exchange(VENDOR, "SMTP", "/mail", body=body))
        fault = self._side.faults.take_fault(VENDOR, point, frozenset({"refuse", "drop"}))
        if fault is None:
            return None
        self._side.note(point, 0 if fault.name == "drop" else _code(fault), fault)
        if fault.name == "drop":
            self.drop()
            raise asyncio.CancelledError
        return _refusal(fault)

    def drop(self) -> None:
        """The connection closes without a word."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()


class _Handler:
    """The hooks of `aiosmtpd`."""

    def __init__(self, side: MailSide) -> None:
        self._side = side

    async def handle_MAIL(  # noqa: N802
        self, server: _Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = server.spoilt_answer("mail")
        if answer is not None:
            return answer
        if address.lower() != USER:
            return "553 5.7.1 Sender address rejected: not owned by user"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, server: _Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = server.spoilt_answer("rcpt", address.encode())
        if answer is not None:
            return answer
        local = address.lower()
        if local.endswith(f"@{DOMAIN}") and local not in self._side.mailboxes:
            self._side.note("rcpt", 550)
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802
        self, server: _Conversation, session: Session, envelope: Envelope
    ) -> str:
        enter(Exchange(VENDOR, "SMTP", "/mail", body=bytes(envelope.original_content or b"")[:100_000]))
        fault = self._side.faults.take_fault(VENDOR, "end", SEMANTIC_FAULTS)
        if fault is not None and fault.name == "refuse":
            self._side.note("end", _code(fault), fault)
            return _refusal(fault)
        if fault is not None and fault.name == "drop":
            self._side.note("end", 0, fault)
            server.drop()
            raise asyncio.CancelledError
        self._side.keep(envelope)
        self._side.note("end", 0 if fault is not None else 250, fault)
        if fault is not None and fault.name == "late":
            await asyncio.sleep(float(fault.options.get("seconds", 1)))
        elif fault is not None:
            server.drop()
            raise asyncio.CancelledError
        return f"250 2.0.0 Ok: queued as {int(time.time() * 1000):X}"


def _code(fault: Fault) -> int:
    return int(fault.options.get("code", 451))


def _refusal(fault: Fault) -> str:
    return f"{_code(fault)} {fault.options.get('text', '4.7.1 Greylisted, try again later')}"


def _read(raw: bytes) -> dict[str, Any]:
    """A mail as its reader gets it."""
    mail = message_from_bytes(raw, policy=policy.default)
    text, shown = mail.get_body(("plain",)), mail.get_body(("html",))
    parts = []
    for part in mail.walk():
        if part.is_multipart() or part in (text, shown):
            continue
        content = part.get_payload(decode=True)
        body = content if isinstance(content, bytes) else b""
        parts.append({
            "name": part.get_filename(), "type": part.get_content_type(), "size": len(body),
            "disposition": part.get_content_disposition(), "cid": (part["Content-ID"] or "").strip("<>"),
            "sha256": hashlib.sha256(body).hexdigest(),
        })  # fmt: skip
    named = {"subject": "Subject", "message_id": "Message-ID", "in_reply_to": "In-Reply-To",
             "auto_submitted": "Auto-Submitted", "sender": "From"}  # fmt: skip
    return {
        **{key: str(mail[header] or "") for key, header in named.items()}, "parts": parts,
        "text": "" if text is None else text.get_content(), "html": "" if shown is None else shown.get_content(),
    }  # fmt: skip

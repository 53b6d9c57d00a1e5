"""E-mail as a place where messages are sent: one address, one mail, one attempt.

Belongs here: SMTP for `ops_platform.delivery.Poster`, MIME, and which of a server's answers mean "sent", "not sent" and
"nobody knows". Does not belong here: what a mail says (`ops_platform.documents.email`), who gets it (`fleet.yaml`).

A server takes a mail over when it answers the line that ends it, and at no other step. So everything before that line
is "not sent" however it ends; the line itself is noted first (`hand_over`), and only an answer to it that never came is
unclear. SMTP knows no look-up: such a mail is held and never repeated unseen. Its Message-ID is made of the outbox id,
so that a person finds it in a log or a mailbox, and most systems show a mail that came twice once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ops_platform.deadlines import DeadlineExceededError, within
from ops_platform.delivery.files import Carried, carried_by
from ops_platform.delivery.poster import ContentRefused, HandOver, Lookup, not_noted
from ops_platform.failpoints import failpoint
from ops_platform.failures import AmbiguousFailure, ConfigurationError, PermanentFailure, TransientFailure

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage
    from uuid import UUID

    from ops_platform.settings import Settings

Contents = Callable[[Sequence[Carried]], list[bytes]]
#: A whole attempt; less than the outbox waits before it looks at an unclear one (`DeliveryPolicy.settle`).
ATTEMPT_SECONDS = 35.0
#: A server that asks for patience (greylisting) means minutes.
PATIENCE_SECONDS = 120.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_DOTS = re.compile(rb"(?m)^\.")
_GUIDE = "see docs/connect/email.md"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `tls` is `starttls`, `implicit` or `none`; `authority` the file of a certificate
    authority of one's own. `sender` is an address, with or without a name before it."""

    host: str
    port: int
    sender: str
    tls: str = "starttls"
    user: str = ""
    password: str = ""
    authority: str = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> MailServer | None:
        """The server of `SMTP_URL`, None without one. Raises `ConfigurationError` that says what is wrong with it, and
        never what it is."""
        if settings.smtp_url is None:
            return None
        try:
            parts = urlsplit(settings.smtp_url.get_secret_value())
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            raise ConfigurationError(f"SMTP_URL is not an address: {_GUIDE}") from None
        options = dict(parse_qsl(parts.query))
        if parts.scheme not in ("smtp", "smtps") or not host or set(options) - {"tls", "ca"}:
            raise ConfigurationError(
                "SMTP_URL must begin with smtp:// (STARTTLS) or smtps:// (TLS), then user, password and host;"
                f" after them only ?tls=none and ?ca=FILE: {_GUIDE}"
            )
        tls = options.get("tls", "implicit" if parts.scheme == "smtps" else "starttls")
        if tls not in ("starttls", "implicit", "none") or (tls == "implicit") != (parts.scheme == "smtps"):
            raise ConfigurationError(f"SMTP_URL: tls={tls} does not go with {parts.scheme}: {_GUIDE}")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if tls == "none" and user and host not in _LOOPBACK:
            raise ConfigurationError("SMTP_URL would send its password in the clear: leave ?tls=none out")
        sender = settings.smtp_from or user
        if not _ADDRESS.fullmatch(_bare(sender)) or not sender.isprintable():
            raise ConfigurationError("set SMTP_FROM to the address mail is sent from: Operations <ops@your.company>")
        default = {"implicit": 465, "starttls": 587, "none": 25}[tls]
        return cls(host, port or default, sender, tls, user, password, options.get("ca", ""))


class EmailPoster:
    """Implements `Poster` for addresses. Thread-safe; opens a connection per mail."""

    def __init__(self, server: MailServer, contents: Contents, *, timeout: float = ATTEMPT_SECONDS) -> None:
        """`contents` gives the bytes of files that mails carry. `timeout` (seconds) bounds an attempt as a whole."""
        self.server = server
        self.timeout = timeout
        self._contents = contents

    def post(
        self,
        channel: str,
        payload: Mapping[str, Any],
        *,
        outbox_id: UUID,
        thread_of: str | None,
        hand_over: HandOver = not_noted,
    ) -> str:
        """See `Poster.post`: `channel` is an address. Returns the Message-ID."""
        name = message_id(outbox_id, self.server.sender)
        mail = mime(payload, self._contents, self.server.sender, channel, name, thread_of)
        step = _LastStep(lambda: hand_over(name))
        try:
            within(self.timeout, lambda: self._send(channel, mail, step, bool(payload.get("files"))), name="SMTP")
        except DeadlineExceededError as error:
            # Whoever comes first keeps the other out: either the step is taken and nobody knows, or it never is.
            if step.prevented():
                raise TransientFailure(str(error)) from None
            raise AmbiguousFailure(f"{error}, after the mail was handed over") from None
        return name

    def find(
        self,
        channel: str,
        *,
        outbox_id: UUID,
        after: str | None,
        thread_of: str | None,
        handed_over: str | None = None,
    ) -> Lookup:
        """See `Poster.find`. What was never handed over was not sent; what was, nobody can be asked about."""
        if handed_over is None:
            return Lookup(None, complete=True)
        raise PermanentFailure(
            f"SMTP knows no look-up. Look for {handed_over} in the mail server's log or with {channel}, then"
            " `ops outbox confirm` or `ops outbox resend`"
        )

    def identity(self) -> str:
        """Log in and out again: the check that `ops doctor` makes. Says what the server is and takes."""

        def ask() -> str:
            with _session(self.server, self.timeout) as client:
                _accepted(client.mail(_bare(self.server.sender)), f"sending as {_bare(self.server.sender)}")
                client.rset()
                size = client.esmtp_features.get("size", "")
            how = {"starttls": "STARTTLS", "implicit": "TLS", "none": "no encryption"}[self.server.tls]
            who = f"logged in as {self.server.user}" if self.server.user else "no login"
            most = f", mails up to {int(size) / 1e6:,.0f} MB" if size.isdigit() and int(size) else ""
            return f"{self.server.host}:{self.server.port}, {how}, {who}, from {self.server.sender}{most}"

        try:
            return within(self.timeout, ask, name="SMTP")
        except DeadlineExceededError as error:
            raise TransientFailure(str(error)) from None

    def _send(self, address: str, mail: bytes, step: _LastStep, has_files: bool) -> None:
        with _session(self.server, self.timeout) as client:
            most = client.esmtp_features.get("size", "")
            if most.isdigit() and 0 < int(most) < len(mail):
                _too_large(f"{len(mail):,} bytes, the server takes {int(most):,}", has_files)
            options = [f"SIZE={len(mail)}"] if client.has_extn("size") else []
            _accepted(client.mail(_bare(self.server.sender), options), "the sender", has_files)
            _accepted(client.rcpt(address), address)
            client.putcmd("data")
            _accepted(client.getreply(), "the mail", has_files, want=3)
            client.send(_DOTS.sub(b"..", mail))
            failpoint("email.sent_body")
            step.take()
            try:
                client.send(b".\r\n")
                failpoint("email.handed_over")
                answer = client.getreply()
            except OSError as error:  # smtplib's own failures are of this kind, too
                raise AmbiguousFailure(f"SMTP: no answer to the end of the mail: {error}") from None
            if not 200 <= answer[0] < 600:
                raise AmbiguousFailure(f"SMTP: no usable answer to the end of the mail: {_words(*answer)}")
            _accepted(answer, "the mail", has_files)


class _LastStep:
    """The one step that counts: taken or prevented, never both."""

    def __init__(self, note: Callable[[], None]) -> None:
        self._note = note
        self._lock = threading.Lock()
        self._taken = False
        self._over = False

    def take(self) -> None:
        """Note it and let it be taken. Raises `TransientFailure` where it was prevented."""
        with self._lock:
            if self._over:
                raise TransientFailure("SMTP: too late to hand the mail over")
            self._note()
            self._taken = True

    def prevented(self) -> bool:
        """Whether it has not been taken; then it never will be."""
        with self._lock:
            self._over = True
            return not self._taken


def message_id(outbox_id: UUID, sender: str) -> str:
    """The mail's name for ever, the same at every attempt."""
    return f"<{outbox_id}@{_bare(sender).rsplit('@', 1)[1]}>"


def mime(payload: Mapping[str, Any], contents: Contents, sender: str, to: str, name: str, answers: str | None) -> bytes:
    """The mail as it goes over the wire. `answers` is the Message-ID of the mail it answers.

    Raises `PermanentFailure` for an address that is none and for a file that is not kept any more."""
    from email import policy
    from email.message import EmailMessage
    from email.utils import format_datetime

    if not _ADDRESS.fullmatch(to):
        raise PermanentFailure(f"{to!r} is not an address")
    mail: EmailMessage = EmailMessage(policy=policy.SMTP.clone(cte_type="7bit"))
    mail["From"], mail["To"] = sender, to
    mail["Subject"] = " ".join(str(payload.get("subject") or payload["text"].split("\n", 1)[0]).split())[:200]
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = name
    if answers:
        mail["In-Reply-To"] = mail["References"] = answers
    # No machine answers a machine: no out-of-office notes.
    mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"] = "auto-generated", "All"
    mail.set_content(payload["text"], cte="quoted-printable")
    files = carried_by(payload)
    held = dict(zip(files, contents(files), strict=True)) if files else {}
    if payload.get("html"):
        mail.add_alternative(payload["html"], subtype="html", cte="quoted-printable")
        shown = mail.get_payload()[-1]  # type: ignore[index]
        for file, content in held.items():
            if file.inline:
                main, _, sub = file.type.partition("/")
                shown.add_related(  # type: ignore[union-attr]
                    content, main, sub, cid=f"<{file.inline}>", filename=file.name, disposition="inline"
                )
    for file, content in held.items():
        if not file.inline:
            main, _, sub = file.type.partition("/")
            mail.add_attachment(content, main, sub, filename=file.name)
    return mail.as_bytes()


# The conversation -------------------------------------------------------------------------------------------


@contextmanager
def _session(server: MailServer, timeout: float) -> Iterator[smtplib.SMTP]:
    """Connected, encrypted and logged in. Every failure in it is one of ours, and means that nothing was sent."""
    import smtplib
    import socket
    import ssl

    client: smtplib.SMTP | None = None
    where = f"SMTP {server.host}:{server.port}"
    try:
        context = ssl.create_default_context(cafile=server.authority or None)
        if server.tls == "implicit":
            client = smtplib.SMTP_SSL(server.host, server.port, timeout=timeout / 2, context=context)
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=timeout / 2)
        client.ehlo()
        if server.tls == "starttls":
            if not client.has_extn("starttls"):
                raise PermanentFailure(f"{where} offers no encryption: nothing is sent in the clear ({_GUIDE})")
            client.starttls(context=context)
            client.ehlo()
        if server.user:
            client.login(server.user, server.password)
        yield client
    except smtplib.SMTPAuthenticationError as error:
        said = f"{where} refuses the login: {_words(error.smtp_code, error.smtp_error)}"
        raise (TransientFailure if error.smtp_code < 500 else PermanentFailure)(said) from None
    except smtplib.SMTPNotSupportedError as error:
        raise PermanentFailure(f"{where}: {error}") from None
    except smtplib.SMTPResponseException as error:
        said = f"{where}: {_words(error.smtp_code, error.smtp_error)}"
        raise (PermanentFailure if 500 <= error.smtp_code < 600 else TransientFailure)(said) from None
    except ssl.SSLCertVerificationError as error:
        raise PermanentFailure(f"{where}: its certificate is not trusted: {error.verify_message}") from None
    except FileNotFoundError:
        raise PermanentFailure(f"SMTP_URL: there is no file {server.authority}") from None
    except (smtplib.SMTPException, socket.gaierror, OSError) as error:
        raise TransientFailure(f"{where}: {error or type(error).__name__}") from None
    finally:
        if client is not None:
            _leave(client)


def _leave(client: smtplib.SMTP) -> None:
    """Say goodbye; what was said before counts, whatever becomes of this."""
    import contextlib
    import smtplib

    with contextlib.suppress(smtplib.SMTPException, OSError):
        if client.sock is not None:
            client.sock.settimeout(2)
            client.quit()
    client.close()


def _accepted(answer: tuple[int, bytes], what: str, has_files: bool = False, *, want: int = 2) -> None:
    """Nothing where the server said yes. Its no is for good (5xx), for now (4xx), or to the size of the mail."""
    code, words = answer
    if code // 100 == want:
        return
    said = f"SMTP refuses {what}: {_words(code, words)}"
    if code == 552 or (code == 554 and b"5.3.4" in words):
        _too_large(_words(code, words), has_files)
    if not 500 <= code < 600:
        raise TransientFailure(said, retry_after=PATIENCE_SECONDS)
    raise PermanentFailure(said)


def _too_large(said: str, has_files: bool) -> None:
    message = f"SMTP: the mail is too large: {said}"
    raise ContentRefused(message) if has_files else PermanentFailure(message)


def _words(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {' '.join(text.split())[:200]}"


def _bare(address: str) -> str:
    """The address in `Name <address>`."""
    from email.utils import parseaddr

    return parseaddr(address)[1]

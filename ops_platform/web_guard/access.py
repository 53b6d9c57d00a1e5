"""Keys, tickets and sessions: how a browser or a script shows that it may.

Belongs here: making and checking them. Does not belong here: which request needs which (`guard.py`).

Two keys lie in the platform's home, readable by its account alone: the operator's and the viewer's (who only reads). A
script sends a key as a bearer token. A person opens a link with a ticket (`ops web`), good once and for ten minutes,
and gets a session in a cookie. Tickets and sessions are signed with the key they stand for, so a new key ends them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from ops_platform.failures import ConfigurationError

TICKET_SECONDS = 600
SESSION_SECONDS = 12 * 3600
_KEY_BYTES = 32


class Role(StrEnum):
    """`operator` may start and change things, `viewer` may look."""

    OPERATOR = "operator"
    VIEWER = "viewer"


class Access:
    """The keys of one home, and what is signed with them. Reads a key again when its file changed."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self.directory = directory
        self._clock = clock
        self._keys: dict[Role, tuple[int, bytes]] = {}
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()

    # -- keys -----------------------------------------------------------------------------------------

    def path(self, role: Role) -> Path:
        return self.directory / f"{role.value}.key"

    def key(self, role: Role) -> bytes:
        """The key of `role`, made when there is none. Raises `ConfigurationError` when others may read it."""
        path = self.path(role)
        try:
            status = path.stat()
        except FileNotFoundError:
            self.renew(role)
            status = path.stat()
        if status.st_mode & 0o077:
            raise ConfigurationError(f"{path} may be read by others: `chmod 600` it, then `ops web --new-key {role}`")
        known = self._keys.get(role)
        if known is None or known[0] != status.st_mtime_ns:
            known = self._keys[role] = (status.st_mtime_ns, path.read_bytes().strip())
        if len(known[1]) < _KEY_BYTES:
            raise ConfigurationError(f"{path} holds no key: `ops web --new-key {role}` makes one")
        return known[1]

    def renew(self, role: Role) -> None:
        """Make a new key; whoever came in with the old one is out."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.directory / f".{role.value}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            output.write(secrets.token_urlsafe(_KEY_BYTES).encode())
        temporary.replace(self.path(role))

    def role_of_key(self, shown: str) -> Role | None:
        """Whose key `shown` is, compared in constant time."""
        found = None
        for role in Role:
            if hmac.compare_digest(self.key(role), shown.encode("utf-8", "replace")):
                found = role
        return found

    # -- tickets and sessions -----------------------------------------------------------------------------

    def ticket(self, role: Role) -> str:
        """A text for a link: good once, for `TICKET_SECONDS`."""
        return self._signed("ticket", role, TICKET_SECONDS)

    def session(self, role: Role) -> str:
        """A text for a cookie, good for `SESSION_SECONDS`."""
        return self._signed("session", role, SESSION_SECONDS)

    def redeem(self, ticket: str) -> Role | None:
        """The role of a good ticket, which is used up by it."""
        role = self._role_of("ticket", ticket)
        if role is None:
            return None
        now = self._clock()
        with self._lock:
            self._used = {text: until for text, until in self._used.items() if until > now}
            if ticket in self._used:
                return None
            self._used[ticket] = now + TICKET_SECONDS
        return role

    def role_of_session(self, session: str) -> Role | None:
        """The role of a session that is still good."""
        return self._role_of("session", session)

    def _signed(self, purpose: str, role: Role, seconds: int) -> str:
        words = f"{role.value}.{int(self._clock()) + seconds}.{secrets.token_urlsafe(12)}"
        return f"{words}.{self._signature(purpose, role, words)}"

    def _role_of(self, purpose: str, text: str) -> Role | None:
        words, _, signature = text.rpartition(".")
        name, _, rest = words.partition(".")
        until = rest.partition(".")[0]
        if name not in {role.value for role in Role} or not until.isascii() or not until.isdigit() or len(until) > 12:
            return None
        role = Role(name)
        if not hmac.compare_digest(
            self._signature(purpose, role, words).encode(), signature.encode("utf-8", "replace")
        ):
            return None
        return role if int(until) > self._clock() else None

    def _signature(self, purpose: str, role: Role, words: str) -> str:
        digest = hmac.new(self.key(role), f"{purpose}:{words}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

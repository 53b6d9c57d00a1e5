"""Who may call: the client-credentials grant, tokens that live a day, API versions.

Belongs here: granting and checking. Does not belong here: scopes of single fields (`root_fields.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.shopify.root_fields import VERSIONS

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - the sandbox's own, known to all
LIFE = timedelta(hours=24)
_VERSION = re.compile(r"(20\d\d)-(01|04|07|10)")


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    scopes: frozenset[str]
    until: datetime


class Refused(Exception):
    """The grant is refused; `error` is the OAuth code."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


class Tokens:
    """Tokens by their text. They end with the sandbox's clock, and all at once when a test says so."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    def grant(
        self, form: Mapping[str, str], now: datetime, scopes: frozenset[str], *, fault: str | None = None
    ) -> tuple[Token, int]:
        """A new token and its seconds to live."""
        for name in ("client_id", "client_secret", "grant_type"):
            if not form.get(name):
                raise Refused("invalid_request", f"Missing required parameter: {name}")
        if form["grant_type"] != "client_credentials":
            raise Refused("unsupported_grant_type", f"The grant type {form['grant_type']!r} is not supported.")
        if form["client_id"] != CLIENT_ID:
            raise Refused("application_cannot_be_found", "The application cannot be found.")
        if form["client_secret"] != CLIENT_SECRET:
            raise Refused("invalid_client", "Client authentication failed.", 401)
        if fault == "shop_not_permitted":
            raise Refused("shop_not_permitted", "Client credentials cannot be performed on this shop.")
        life = timedelta(seconds=60) if fault == "short_token" else LIFE
        digest = hashlib.sha256(f"{len(self._tokens)}|{now.isoformat()}|{CLIENT_SECRET}".encode()).hexdigest()
        token = Token(f"shpat_{digest[:32]}", scopes, now + life)
        self._tokens[token.text] = token
        return token, int(life.total_seconds()) - 1

    def check(self, text: str | None, now: datetime) -> Token | None:
        """The token if it is ours and still lives."""
        token = self._tokens.get(text or "")
        return token if token is not None and now < token.until else None

    def revoke(self) -> None:
        self._tokens.clear()


def served_version(asked: str) -> str | None:
    """The version a request is answered in: the one asked for, or the oldest supported when that one is past its
    time. None for what was never a version, and for one that is not out yet."""
    if asked in VERSIONS:
        return asked
    if _VERSION.fullmatch(asked) is None or asked > max(VERSIONS):
        return None
    return min(VERSIONS)

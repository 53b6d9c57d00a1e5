"""Login with Amazon: refresh tokens in, access tokens out.

Belongs here: which credentials exist, what each may do, which access tokens live. Does not belong here: the rate
limits, the operations.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from sandbox.hooks import Clock

CLIENT_ID = "amzn1.application-oa2-client.sandbox"
CLIENT_SECRET = "amzn1.oa2-cs.v1.sandbox"  # noqa: S105
REFRESH_TOKEN = "Atzr|sandbox"  # noqa: S105
LIFETIME = timedelta(hours=1)

_ALL = frozenset({"orders", "metrics", "inventory", "listings", "reports"})
# Refresh tokens and the roles their authorisation has. Any other token is refused as Amazon refuses it.
GRANTS: dict[str, frozenset[str]] = {
    REFRESH_TOKEN: _ALL,
    "Atzr|sandbox-no-listings": _ALL - {"listings"},
    "Atzr|sandbox-no-reports": _ALL - {"reports"},
    "Atzr|sandbox-orders-only": frozenset({"orders", "metrics"}),
    "Atzr|sandbox-with-buyers": _ALL | {"buyers"},
}


class Logins:
    """The access tokens given out. Not thread-safe: the server calls it from its event loop alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued = 0
        self._tokens: dict[str, tuple[datetime, frozenset[str]]] = {}

    def token(self, body: bytes, content_type: str) -> tuple[int, dict[str, Any]]:
        """The answer of `POST /auth/o2/token`: status and body."""
        if not content_type.startswith("application/x-www-form-urlencoded"):
            return _refusal(400, "invalid_request", "The request is missing a required parameter : grant_type")
        form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
        for name in ("grant_type", "refresh_token", "client_id", "client_secret"):
            if name not in form:
                return _refusal(400, "invalid_request", f"The request is missing a required parameter : {name}")
        if form["grant_type"] != "refresh_token":
            return _refusal(400, "unsupported_grant_type", "The authorization grant type is not supported")
        if form["client_id"] != CLIENT_ID or form["client_secret"] != CLIENT_SECRET:
            return _refusal(401, "invalid_client", "Client authentication failed")
        roles = GRANTS.get(form["refresh_token"])
        if roles is None:
            return _refusal(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
        self._issued += 1
        name = hashlib.sha256(f"{form['refresh_token']}|{self._issued}".encode()).hexdigest()[:40]
        token = f"Atza|{name}"
        self._tokens[token] = (self._clock.now() + LIFETIME, roles)
        return 200, {
            "access_token": token,
            "refresh_token": form["refresh_token"],
            "token_type": "bearer",
            "expires_in": int(LIFETIME.total_seconds()),
        }

    def roles(self, token: str) -> frozenset[str] | str:
        """What a token may do, or the reason why it may do nothing."""
        found = self._tokens.get(token)
        if found is None:
            return "The access token you provided is revoked, malformed or invalid."
        ends, roles = found
        return roles if self._clock.now() < ends else "The access token you provided has expired."

    def end_all(self) -> int:
        """Every access token ends now; how many there were."""
        count = len(self._tokens)
        self._tokens = {token: (datetime.min.replace(tzinfo=ends.tzinfo), roles)
                        for token, (ends, roles) in self._tokens.items()}  # fmt: skip
        return count


def _refusal(status: int, error: str, description: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": error, "error_description": description}

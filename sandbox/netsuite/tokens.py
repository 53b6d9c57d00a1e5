"""OAuth 2.0 client credentials with a signed JWT, and the access tokens it gives.

Belongs here: the key pair, checking an assertion, tokens and their age. Does not belong here: HTTP.

An assertion is timely when it is so by the sandbox clock or by the machine's: a client that signs with the
real time must get in although the sandbox shows another day.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sandbox.hooks import Clock

ACCOUNT = "1234567_SB1"
CLIENT_ID = "sandbox-netsuite"
CERTIFICATE_ID = "sandbox-cert"
TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"  # noqa: S105
HOST = "1234567-sb1.suitetalk.api.netsuite.com"
ALGORITHMS = ("PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
SCOPES = frozenset({"restlets", "rest_webservices", "suite_analytics"})
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME = timedelta(minutes=60)
LEEWAY = timedelta(minutes=5)


class OAuthError(Exception):
    """A refused token request: `error` and `error_description`."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


class Tokens:
    """The account's key and the tokens given out. `path` is where the private key is, for the client."""

    def __init__(self, directory: Path, clock: Clock, key_type: str = "rsa") -> None:
        self.path = directory / "netsuite_private_key.pem"
        self._clock = clock
        self._given: dict[str, datetime] = {}
        self._key = _key(self.path, key_type).public_key()

    def grant(self, form: dict[str, str], audiences: Collection[str]) -> str:
        """A new access token for a token request. Raises `OAuthError`."""
        if form.get("grant_type") != "client_credentials":
            raise OAuthError("unsupported_grant_type", "The grant_type must be client_credentials.")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError("invalid_request", "The client_assertion_type is missing or not supported.")
        assertion = form.get("client_assertion")
        if not assertion:
            raise OAuthError("invalid_request", "The client_assertion is missing.")
        self._check(assertion, audiences)
        token = f"sandbox-{secrets.token_urlsafe(32)}"
        self._given[token] = self._clock.now() + LIFETIME
        return token

    def valid(self, token: str) -> bool:
        expires = self._given.get(token)
        return expires is not None and self._clock.now() < expires

    def _check(self, assertion: str, audiences: Collection[str]) -> None:
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.InvalidTokenError as error:
            raise OAuthError("invalid_request", f"The client_assertion is not a JWT: {error}") from None
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise OAuthError(
                "invalid_client", f"The algorithm {algorithm} is not supported; use {', '.join(ALGORITHMS)}."
            )
        if header.get("kid") != CERTIFICATE_ID:
            raise OAuthError("invalid_client", "No certificate matches the kid of the client_assertion.")
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False, "verify_nbf": False}
        try:
            claims = jwt.decode(assertion, self._key, algorithms=[algorithm], options=options)
        except (jwt.InvalidTokenError, TypeError, ValueError) as error:
            raise OAuthError("invalid_client", f"The client_assertion cannot be verified: {error}") from None
        if claims.get("iss") != CLIENT_ID:
            raise OAuthError("invalid_client", "The iss is not the client id of an integration.")
        if not _audience(claims.get("aud"), audiences):
            raise OAuthError("invalid_client", "The aud must be the URL of the token endpoint.")
        scope = claims.get("scope")
        wanted = scope if isinstance(scope, list) else str(scope or "").replace(",", " ").split()
        if not wanted or set(wanted) - SCOPES:
            raise OAuthError("invalid_scope", f"The scope must name some of {', '.join(sorted(SCOPES))}.")
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise OAuthError("invalid_request", "The client_assertion needs iat and exp.")
        if expires - issued > LIFETIME.total_seconds():
            raise OAuthError("invalid_request", "The client_assertion may be valid for 60 minutes at most.")
        moments = (self._clock.now(), datetime.now(UTC))
        start, end = datetime.fromtimestamp(issued, UTC), datetime.fromtimestamp(expires, UTC)
        if not any(start - LEEWAY <= at < end for at in moments):
            raise OAuthError("invalid_grant", "The client_assertion has expired or is not valid yet.")


def _audience(given: Any, allowed: Collection[str]) -> bool:
    named = given if isinstance(given, list) else [given]
    return any(name in allowed for name in named)


def _key(path: Path, key_type: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """The account's private key: the one in the file, or a new one written there for the client alone."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            return key
        raise ValueError(f"{path} holds neither an RSA nor an EC key.")
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if key_type == "ec":
        made = ec.generate_private_key(ec.SECP256R1())
    else:
        made = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return made

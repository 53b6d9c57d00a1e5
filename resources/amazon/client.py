"""Speaking with the Selling Partner API: token, pace, error bodies, the one download from elsewhere.

Belongs here: one call and what its answer means. Does not belong here: which records there are (`records.py`),
how a stream is walked (`source.py`, `orders.py`, `reports.py`).

An access token comes from Login with Amazon for a refresh token, lives an hour and is fetched anew before it
ends; requests carry it in `x-amz-access-token` and are not signed. Every request has a User-Agent, which Amazon
requires. A 429 has no Retry-After: what helps is one refill of the operation's bucket.
"""

from __future__ import annotations

import gzip
import io
import platform
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from ops_platform.failures import PermanentFailure, TransientFailure
from resources.amazon.pace import PLANS, RATE_HEADER, Bucket
from resources.http import MEGABYTE, USER_AGENT, Answer, HttpClient, RetryPolicy, parse_json, same_origin

TOKEN_PATH = "/auth/o2/token"  # noqa: S105
TOKEN_MARGIN_SECONDS = 300.0
CALL_RETRY = RetryPolicy(tries=6, budget_seconds=300.0, first_wait=1.0, longest_wait=30.0)
LARGEST_DOCUMENT = 64 * MEGABYTE
# Amazon asks for application, version, language and platform.
AGENT = f"{USER_AGENT.split()[0]} (Language=Python/{platform.python_version()})"

Accept = Callable[[Any], None]


class Unauthorised(PermanentFailure):
    """The access token was refused; a new one may be accepted."""


class Forbidden(PermanentFailure):
    """The application or the seller's authorisation lacks the role for this operation."""


class InvalidInput(PermanentFailure):
    """A parameter was refused: an expired page token, or a mistake of ours."""


class Throttled(TransientFailure):
    """The operation's allowance is used up."""


class Doubts:
    """What looks wrong and may yet be true (a page that became empty because its records changed meanwhile): it is
    asked for once more, and then believed. Pages are told apart by their token."""

    def __init__(self) -> None:
        self._raised: set[str] = set()

    def once(self, token: str, what: str) -> None:
        """Raise `TransientFailure` the first time."""
        if token not in self._raised:
            self._raised.add(token)
            raise TransientFailure(f"amazon: {what}")


@dataclass
class AmazonClient:
    """Calls on behalf of one seller. `http` leads to the API, `login` to Login with Amazon (in the sandbox the same
    address). Opens nothing until first used."""

    http: HttpClient
    login: HttpClient
    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr
    requests: int = 0
    buckets: dict[str, Bucket] = field(default_factory=lambda: {name: Bucket(plan) for name, plan in PLANS.items()})
    _token: SecretStr | None = None
    _token_ends: float = 0.0

    def __post_init__(self) -> None:
        for http in (self.http, self.login):
            http.keep_secret(self.client_secret.get_secret_value())
            http.keep_secret(self.refresh_token.get_secret_value())

    def close(self) -> None:
        self.http.close()
        self.login.close()

    # -- token ----------------------------------------------------------------------------------------------

    def access_token(self) -> str:
        """A token that lives for a while yet. Raises `PermanentFailure` where Login with Amazon refuses."""
        if self._token is None or self.http.clock() >= self._token_ends:
            self._token = self._fetch_token()
        return self._token.get_secret_value()

    def _fetch_token(self) -> SecretStr:
        def judge(answer: Answer) -> None:
            said = answer.data if isinstance(answer.data, dict) else {}
            error = str(said.get("error") or "")
            if error in _LOGIN_ADVICE:
                raise PermanentFailure(f"amazon: Login with Amazon refused: {error}: {_LOGIN_ADVICE[error]}")
            if answer.status in (400, 401, 403):
                why = said.get("error_description") or error or answer.excerpt or "no explanation"
                raise PermanentFailure(
                    f"amazon: Login with Amazon refused: {self.login.redact(str(why))}; check AMAZON_CLIENT_ID, "
                    "AMAZON_CLIENT_SECRET and AMAZON_REFRESH_TOKEN"
                )
            if answer.status < 400 and answer.data is not None and not _text(said.get("access_token")):
                raise TransientFailure("amazon: Login with Amazon answered without an access token")

        answer = self.login.call(
            "POST",
            TOKEN_PATH,
            form={
                "grant_type": "refresh_token",
                "refresh_token": self.refresh_token.get_secret_value(),
                "client_id": self.client_id,
                "client_secret": self.client_secret.get_secret_value(),
            },
            headers={"User-Agent": AGENT},
            judge=judge,
        )
        token = str(answer.data["access_token"])
        self.http.keep_secret(token)
        try:
            lifetime = float(answer.data.get("expires_in", 3600))
        except (TypeError, ValueError):
            lifetime = 3600.0
        self._token_ends = self.http.clock() + max(lifetime - TOKEN_MARGIN_SECONDS, lifetime / 2)
        return SecretStr(token)

    # -- one call -------------------------------------------------------------------------------------------

    def get(
        self,
        operation: str,
        path: str,
        params: Mapping[str, str | int],
        accept: Accept | None = None,
        *,
        budget_seconds: float | None = None,
    ) -> Any:
        """Ask `operation` and return the decoded answer. `accept` may refuse one with `TransientFailure`, which is
        then asked for again. Waits for the operation's bucket, refills included, within `budget_seconds` (by default
        that of the HTTP client's own policy).

        Raises `Throttled` when the budget does not hold the wait, `Forbidden`, `InvalidInput`, and the others."""
        return self._call(operation, "GET", path, params, None, accept, budget_seconds)

    def post(self, operation: str, path: str, body: Any, *, budget_seconds: float | None = None) -> Any:
        """As `get`, with a JSON body."""
        return self._call(operation, "POST", path, None, body, None, budget_seconds)

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: Any,
        accept: Accept | None,
        budget_seconds: float | None,
    ) -> Any:
        bucket = self.buckets[operation]
        clock = self.http.clock
        policy = self.http.retry
        if budget_seconds is not None:
            policy = replace(policy, budget_seconds=budget_seconds)
        deadline = clock() + policy.budget_seconds

        def headers() -> dict[str, str]:
            return {"x-amz-access-token": self.access_token(), "User-Agent": AGENT}

        def judge(answer: Answer) -> None:
            bucket.adopt(answer.headers.get(RATE_HEADER))
            self._judge(operation, answer, bucket)
            if answer.status < 400 and answer.data is not None:
                if not isinstance(answer.data, dict):
                    raise TransientFailure(f"amazon: {operation} answered without an object")
                if answer.data.get("errors"):
                    raise TransientFailure(f"amazon: {operation} answered with errors: {_errors(answer)[0]}")
                if accept is not None:
                    accept(answer.data)

        def attempt() -> Answer:
            self.access_token()
            wait = bucket.wait(clock())
            if wait > 0.0:
                if clock() + wait > deadline:
                    spent = Throttled(
                        f"amazon: {operation} is allowed again in {wait:.0f} s, longer than there is time for",
                        retry_after=wait,
                    )
                    spent.exhausted = True
                    raise spent
                self.http.sleep(wait)
            bucket.take(clock())
            self.requests += 1
            return self.http.call(
                method,
                path,
                params=params,
                json_body=body,
                headers=headers,
                judge=judge,
                retry=RetryPolicy(tries=1),
                # Money is text in the model and a number on the wire of more than one operation.
                exact_decimals=True,
            )

        try:
            answer: Answer = self.http.repeat(attempt, operation, policy)
        except Unauthorised:
            # Revoked or ended early: once, a new token is worth a try.
            self._token = None
            answer = self.http.repeat(attempt, operation, policy)
        return answer.data

    def _judge(self, operation: str, answer: Answer, bucket: Bucket) -> None:
        if answer.status < 400:
            return
        code, text = _errors(answer)
        text = self.http.redact(text)
        if answer.status == 429 or code == "QuotaExceeded":
            bucket.refused(self.http.clock())
            raise Throttled(f"amazon: {operation}: {text}", retry_after=bucket.refill_seconds)
        if answer.status in (401, 403):
            # Both mean either; only the words tell a token that ended from a role that is missing.
            if answer.status == 401 or _about_token(text):
                raise Unauthorised(
                    f"amazon: {operation}: the access token was refused: {text}; authorise the application again in "
                    "Seller Central and set AMAZON_REFRESH_TOKEN"
                )
            raise Forbidden(f"amazon: {operation}: not allowed: {text}")
        if answer.status == 400:
            raise InvalidInput(f"amazon: {operation} was refused: {text}")

    # -- the document of a report -----------------------------------------------------------------------------

    def document(self, url: str, compression: str | None) -> Any:
        """The JSON behind a pre-signed URL. It lies on another host: our token is not sent there, and only https or
        the API's own address is asked. Raises `PermanentFailure` when the URL has ended (after five minutes)."""
        parts = urlsplit(url)
        if not (parts.scheme == "https" and parts.hostname) and not same_origin(url, self.http.base_url):
            raise PermanentFailure(f"amazon: a report lies at {parts.scheme}://{parts.hostname}, which is not asked")
        with tempfile.TemporaryFile() as target:
            self.http.download(url, target, expected_size=None, largest=LARGEST_DOCUMENT)
            target.seek(0)
            content = target.read()
        if compression is not None:
            if compression != "GZIP":
                raise PermanentFailure(f"amazon: a report is compressed with {compression}, which is not known here")
            content = _unzipped(content)
        try:
            return parse_json(content, exact_decimals=True)
        except (ValueError, RecursionError):
            raise TransientFailure("amazon: a report is not whole JSON") from None


_LOGIN_ADVICE = {
    "invalid_grant": (
        "the refresh token is not valid (revoked, expired or of another application); authorise the application "
        "again in Seller Central and set AMAZON_REFRESH_TOKEN"
    ),
    "invalid_client": "AMAZON_CLIENT_ID or AMAZON_CLIENT_SECRET is wrong, or the secret was rotated",
    "unauthorized_client": "the application may not use refresh tokens; check its registration in Seller Central",
    "unsupported_grant_type": "Login with Amazon does not know the grant; this is a mistake of the connector",
    "invalid_request": "a credential is missing or malformed; check AMAZON_CLIENT_ID and AMAZON_REFRESH_TOKEN",
}


def _errors(answer: Answer) -> tuple[str, str]:
    """(code, words) of the first error."""
    errors = answer.data.get("errors") if isinstance(answer.data, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(first.get("code") or "")
    words = [str(first[key]) for key in ("code", "message", "details") if first.get(key)]
    return code, ": ".join(words) or answer.excerpt or f"status {answer.status}"


def _about_token(text: str) -> bool:
    lowered = text.lower()
    return "token" in lowered and any(word in lowered for word in ("expired", "revoked", "invalid", "malformed"))


def _unzipped(content: bytes) -> bytes:
    """Bounded: a small file must not become an enormous one."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            whole = file.read(LARGEST_DOCUMENT + 1)
    except (OSError, EOFError, zlib.error):
        raise TransientFailure("amazon: a report's compressed document is not whole") from None
    if len(whole) > LARGEST_DOCUMENT:
        raise PermanentFailure("amazon: a report is larger than can be read")
    return whole


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)

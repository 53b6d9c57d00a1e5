"""Speaking SuiteQL with NetSuite: token, concurrency, error bodies, pages by key.

Belongs here: one query and what its answer means; one table read to its end. Does not belong here: which
tables and columns are read (`tables.py`), what ties them out (`source.py`).

Paging. `offset` paging skips and repeats rows when data changes between pages, and ends at 100,000 rows;
here every page is asked for by the key after the last one seen, in a unique order, at offset 0.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from resources.http import Answer, HttpClient, RetryPolicy, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ops_platform.records import JsonObject

log = logging.getLogger(__name__)

TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"  # noqa: S105
QUERY_PATH = "/services/rest/query/v1/suiteql"
PAGE_ROWS = 1_000
# The vendor shares one small allowance of concurrent requests, five at the least, among all integrations of an account.
CONCURRENT_REQUESTS = 3
ASSERTION_SECONDS = 300
TOKEN_MARGIN_SECONDS = 120.0
QUERY_RETRY = RetryPolicy(tries=8, budget_seconds=900.0, first_wait=1.0, longest_wait=60.0)
BUSY_CODES = frozenset(
    {"SSS_REQUEST_LIMIT_EXCEEDED", "REQUEST_LIMIT_EXCEEDED", "CONCURRENCY_LIMIT_EXCEEDED", "WS_CONCUR_SESSION_DISALLWD"}
)

_slots: dict[str, threading.BoundedSemaphore] = {}
_slots_lock = threading.Lock()


class Unauthorised(PermanentFailure):
    """The token was refused; a new one may be accepted."""


class UnknownColumn(PermanentFailure):
    """The account does not show this column to this role."""

    def __init__(self, message: str, column: str) -> None:
        super().__init__(message)
        self.column = column


def account_slots(account: str, limit: int = CONCURRENT_REQUESTS) -> threading.BoundedSemaphore:
    """The one semaphore of an account in this process."""
    with _slots_lock:
        return _slots.setdefault(account, threading.BoundedSemaphore(limit))


@dataclass(slots=True)
class NetSuiteClient:
    """SuiteQL over `http`. Opens nothing until first used. `wall_clock` gives Unix seconds for the signed
    assertion, which the vendor holds against its own clock."""

    http: HttpClient
    account: str
    client_id: str
    certificate_id: str
    private_key: SecretStr
    wall_clock: Callable[[], float] = time.time
    _token: SecretStr | None = None
    _token_expires: float = 0.0
    _signer: tuple[Any, str] | None = field(default=None, repr=False)
    _signing_in: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _own: threading.local = field(default_factory=threading.local, repr=False)

    # -- token ------------------------------------------------------------------------------------------

    def _bearer(self) -> str:
        # Streams are read side by side: one of them signs in for all.
        with self._signing_in:
            if self._token is None or self.http.clock() >= self._token_expires:
                self._token = self._fetch_token()
            return self._token.get_secret_value()

    def _fetch_token(self) -> SecretStr:
        import jwt

        key, algorithm = self._signing_key()
        audience = self.http.base_url + TOKEN_PATH

        def judge(answer: Answer) -> None:
            if answer.status in (400, 401, 403):
                said = answer.data if isinstance(answer.data, dict) else {}
                why = " ".join(str(said[key]) for key in ("error", "error_description") if said.get(key))
                raise PermanentFailure(
                    f"netsuite: the certificate credentials were refused: {why or _error_text(answer)}; check "
                    "NETSUITE_CLIENT_ID, NETSUITE_CERTIFICATE_ID, NETSUITE_PRIVATE_KEY and the certificate's expiry"
                )

        def attempt() -> Answer:
            # Signed anew for every try: an assertion is short-lived and may be accepted only once.
            issued = int(self.wall_clock())
            claims = {
                "iss": self.client_id,
                "scope": "rest_webservices",
                "aud": audience,
                "iat": issued,
                "exp": issued + ASSERTION_SECONDS,
            }
            assertion = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": self.certificate_id, "typ": "JWT"})
            return self.http.call(
                "POST",
                TOKEN_PATH,
                form={
                    "grant_type": "client_credentials",
                    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    "client_assertion": assertion,
                },
                judge=judge,
                retry=RetryPolicy(tries=1),
            )

        answer: Answer = self.http.repeat(attempt, "token")
        token = answer.data.get("access_token") if isinstance(answer.data, dict) else None
        if not isinstance(token, str) or not token:
            raise PermanentFailure("netsuite: the token endpoint answered without an access token")
        self.http.keep_secret(token)
        try:
            lifetime = float(answer.data.get("expires_in", 3600))  # text on the wire
        except (TypeError, ValueError):
            lifetime = 3600.0
        self._token_expires = self.http.clock() + max(lifetime - TOKEN_MARGIN_SECONDS, lifetime / 2)
        return SecretStr(token)

    def sign_in(self) -> None:
        """Have an access token; asks for one where there is none. Raises what the token endpoint says."""
        self._bearer()

    def _signing_key(self) -> tuple[Any, str]:
        if self._signer is None:
            self._signer = load_signing_key(self.private_key)
        return self._signer

    # -- one query ----------------------------------------------------------------------------------------

    def page(self, query: str, accept: Callable[[JsonObject], None] | None = None) -> JsonObject:
        """Run one SuiteQL query for at most 1,000 rows and return the answer (`items`, `hasMore`, …).

        `accept` may refuse an answer with `TransientFailure`, which is then asked for again."""
        slots = account_slots(self.account)

        def headers() -> dict[str, str]:
            return {"Authorization": f"Bearer {self._bearer()}", "Prefer": "transient"}

        def judge(answer: Answer) -> None:
            self._judge(answer)
            if answer.status < 400:
                check_answer(answer.data)
                if accept is not None:
                    accept(answer.data)

        def attempt() -> Answer:
            self._bearer()
            with slots:
                self._own.requests = getattr(self._own, "requests", 0) + 1
                return self.http.call(
                    "POST",
                    QUERY_PATH,
                    params={"limit": PAGE_ROWS, "offset": 0},
                    json_body={"q": query},
                    headers=headers,
                    judge=judge,
                    retry=RetryPolicy(tries=1),
                )

        try:
            answer: Answer = self.http.repeat(attempt, "SuiteQL", QUERY_RETRY)
        except Unauthorised:
            # Tokens live an hour and cannot be refreshed; once, a new grant is worth a try.
            self._token = None
            answer = self.http.repeat(attempt, "SuiteQL", QUERY_RETRY)
        data: JsonObject = answer.data
        return data

    def _judge(self, answer: Answer) -> None:
        if answer.status < 400:
            return
        text = self.http.redact(_error_text(answer))
        codes = {str(detail.get("o:errorCode")) for detail in _details(answer)}
        if answer.status == 401 or "INVALID_LOGIN" in codes:
            raise Unauthorised(f"netsuite: the access token was refused: {text}")
        if answer.status == 429 or codes & BUSY_CODES:
            raise TransientFailure(
                f"netsuite: too many requests at once: {text}", retry_after=retry_after(answer.headers)
            )
        if answer.status == 403 or "INSUFFICIENT_PERMISSION" in codes:
            raise PermanentFailure(f"netsuite: the role may not do this: {text}")
        column = unknown_column(text)
        if column is not None:
            raise UnknownColumn(f"netsuite: {text}", column)
        if answer.status == 400:
            raise PermanentFailure(f"netsuite: the query was refused: {text}")

    # -- tables -------------------------------------------------------------------------------------------

    def rows(
        self,
        build: Callable[[str | None], str],
        key: Callable[[JsonObject], tuple[Any, ...]],
        after: Callable[[JsonObject], str],
    ) -> Iterator[list[JsonObject]]:
        """Yield pages of rows in ascending `key`. `build(condition)` makes the query, with the condition that
        leads past the last row (`after(row)`) or None at the start.

        Raises `TransientFailure` when a page repeats, runs backwards or is shorter than the vendor says."""
        condition: str | None = None
        last: tuple[Any, ...] | None = None
        while True:

            def accept(answer: JsonObject, last: tuple[Any, ...] | None = last) -> None:
                check_order(answer["items"], key, last)
                if answer["hasMore"] and not any(has_key(item, key) for item in answer["items"]):
                    raise TransientFailure("netsuite: no row of the page has a key to go on from")

            answer = self.page(build(condition), accept)
            items = answer["items"]
            if items:
                yield items
            if not answer.get("hasMore"):
                return
            last_row = next(item for item in reversed(items) if has_key(item, key))
            last, condition = key(last_row), after(last_row)

    @property
    def cost(self) -> Decimal:
        """Requests the calling thread made so far: the unit the vendor limits."""
        return Decimal(getattr(self._own, "requests", 0))


# -- answers ------------------------------------------------------------------------------------------------


def check_answer(data: Any) -> None:
    """Raise `TransientFailure` unless `data` is a whole answer of the query service."""
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        raise TransientFailure("netsuite: the answer has no rows")
    items, more = data["items"], data.get("hasMore")
    if not isinstance(more, bool):
        raise TransientFailure("netsuite: the answer does not say whether more rows follow")
    count, total, offset = data.get("count"), data.get("totalResults"), data.get("offset")
    if isinstance(count, int) and count != len(items):
        raise TransientFailure(f"netsuite: the answer announces {count} rows and has {len(items)}")
    if not more and isinstance(total, int) and total > (offset if isinstance(offset, int) else 0) + len(items):
        raise TransientFailure(f"netsuite: the answer ends at {len(items)} of {total} rows")
    if more and not items:
        raise TransientFailure("netsuite: an empty page announces more rows")


def check_order(
    items: Sequence[Any], key: Callable[[JsonObject], tuple[Any, ...]], last: tuple[Any, ...] | None
) -> None:
    """Raise `TransientFailure` unless the rows go strictly upward from `last`."""
    for item in items:
        if not isinstance(item, dict):
            raise TransientFailure("netsuite: a row is not an object")
        if not has_key(item, key):
            continue  # the row will be set aside; it must not block its neighbours
        here = key(item)
        if last is not None and here <= last:
            raise TransientFailure("netsuite: the rows repeat or are out of order")
        last = here


def has_key(item: JsonObject, key: Callable[[JsonObject], tuple[Any, ...]]) -> bool:
    """Whether the row has the values it is ordered by."""
    try:
        key(item)
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _details(answer: Answer) -> list[JsonObject]:
    details = answer.data.get("o:errorDetails") if isinstance(answer.data, dict) else None
    if isinstance(details, list):
        return [detail for detail in details if isinstance(detail, dict)]
    # RESTlet-style bodies: {"error": {"code": …, "message": …}}
    error = answer.data.get("error") if isinstance(answer.data, dict) else None
    if isinstance(error, dict):
        return [{"o:errorCode": error.get("code"), "detail": error.get("message")}]
    return []


def _error_text(answer: Answer) -> str:
    details = _details(answer)
    if details:
        return "; ".join(f"{detail.get('o:errorCode') or 'error'}: {detail.get('detail')}" for detail in details[:3])
    return answer.excerpt or f"status {answer.status}"


def unknown_column(text: str) -> str | None:
    """The column a SuiteQL error complains of, in lower case, or None when it complains of something else."""
    found = re.search(r"[Ff]ield '([\w.]+)' for record '\w+' was not found|[Uu]nknown identifier '([\w.]+)'", text)
    if found is None:
        return None
    return (found.group(1) or found.group(2)).rpartition(".")[2].lower()


# -- key ------------------------------------------------------------------------------------------------------


def load_signing_key(private_key: SecretStr) -> tuple[Any, str]:
    """The private key (PEM text, or the path of a PEM file) and the algorithm that goes with it.

    RSA signs PS256 (the vendor does not accept RS256), an elliptic curve ES256, ES384 or ES512 by its size."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = private_key.get_secret_value().strip()
    if "-----BEGIN" not in text:
        try:
            text = Path(text).expanduser().read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a PEM file"
            raise ConfigurationError(
                f"netsuite: NETSUITE_PRIVATE_KEY is neither PEM nor a readable file: {reason}"
            ) from None
    # An environment file cannot hold line breaks; people write them as \n.
    text = text.replace("\\n", "\n")
    try:
        key = load_pem_private_key(text.encode("ascii"), password=None)
    except (ValueError, TypeError, UnicodeEncodeError):
        raise ConfigurationError("netsuite: NETSUITE_PRIVATE_KEY is not an unencrypted PEM private key") from None
    if isinstance(key, RSAPrivateKey):
        return key, "PS256"
    if isinstance(key, EllipticCurvePrivateKey):
        algorithm = {256: "ES256", 384: "ES384", 521: "ES512"}.get(key.curve.key_size)
        if algorithm is not None:
            return key, algorithm
    raise ConfigurationError("netsuite: NETSUITE_PRIVATE_KEY must be an RSA key or one on P-256, P-384 or P-521")


# -- literals -------------------------------------------------------------------------------------------------


def text_literal(value: str) -> str:
    """`value` as a SuiteQL string literal. The service takes no parameters, so this is the only gate."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError("a SuiteQL literal must not hold control characters")
    return "'" + value.replace("'", "''") + "'"


def number_literal(value: Any) -> str:
    """`value` as an integer literal."""
    text = str(value)
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise ValueError(f"{text[:40]!r} is not a whole number")
    return text

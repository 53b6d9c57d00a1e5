"""One thin layer over `urllib3` for every vendor: timeouts, one bounded retry, honest decoding.

Belongs here: what is true of HTTP and JSON whoever answers. Does not belong here: a vendor's own error
bodies, tokens and paging (`resources/<vendor>.py` passes a `judge` for those), sockets (`http_transport.py`).

There is exactly one retry layer in the house (`retry.py`), and a call goes through it once. It ends in one of
three ways: an `Answer`, a `TransientFailure` after the tries or the time budget are used up, or a
`PermanentFailure` at once. Bodies and URLs never reach a log; registered secrets are cut out of every message.
"""

from __future__ import annotations

import json
import math
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

import orjson

from ops_platform.failpoints import failpoint
from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from resources.retry import RetryPolicy, Unreachable
from resources.retry import repeat as retrying

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from resources.http_transport import Transport

USER_AGENT = "ops-platform/0.1 (+operations reporting; python-urllib3)"
MEGABYTE = 1024 * 1024
# 430 is Shopify's "security rejection, slow down"; 520-530 are the answers of proxies in front of vendors.
TRANSIENT_STATUSES = frozenset({408, 425, 429, 430, 500, 502, 503, 504, 529, *range(520, 528), 530})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LARGEST_REDIRECT_CHAIN = 3
EXCERPT_CHARACTERS = 300
# A file that comes more slowly than this, in bytes a second over the time an answer may take, will not come to its end.
SLOWEST_DOWNLOAD = 1024

# vendor → the last `Date` header it sent and our time (seconds since the epoch) when it came, for `ops doctor`.
vendor_clocks: dict[str, tuple[str, float]] = {}

Judge = Callable[["Answer"], None]
HeaderMaker = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said. `data` is the decoded JSON (None where there was none); `size` in bytes;
    header names are in lower case. `broken` is JSON that did not arrive whole."""

    status: int
    headers: Mapping[str, str]
    data: Any
    size: int
    excerpt: str = ""
    broken: bool = False


# -- JSON -----------------------------------------------------------------------------------------------

_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_NINETEEN_DIGITS = b"0" * 19
_LARGE_INTEGER = re.compile(rb"(?:[\[:,\s]|^)-?\d{19,}(?=[\],}\s]|$)")
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_LARGEST_EXPONENT = 400
_CONTROL = re.compile(r"[^\x20-\x7e\t]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# The only way by which one gets into a text: as UTF-8 it is none.
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def may_hold_large_integer(body: bytes) -> bool:
    """Whether `body` can hold an integer of 19 digits or more; two linear scans at memory speed."""
    return _NINETEEN_DIGITS in body.translate(_AS_ZERO) and _LARGE_INTEGER.search(body) is not None


def parse_json(body: bytes, *, exact_decimals: bool = False, checked: bool = False) -> Any:
    """Decode JSON without losing a digit. Raises `ValueError` when `body` is not JSON.

    orjson turns integers beyond 64 bits into floats; such bodies take the slow path, which keeps them as
    text, and so numbers beyond any range: they would be infinite, or a million digits long. `exact_decimals` makes
    fractions `Decimal` for vendors that send money as numbers. `checked` says that the caller has already looked for
    large integers and found none."""
    if body.startswith(b"\xef\xbb\xbf"):
        body = body[3:]
    if not exact_decimals and (checked or not may_hold_large_integer(body)):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            # An unpaired surrogate escape and a number without bounds are legal JSON that orjson refuses; anything
            # else fails below too.
            pass
    data = json.loads(
        body.decode("utf-8"),
        parse_int=_exact_integer,
        parse_float=_exact_decimal if exact_decimals else _finite_float,
        parse_constant=_refuse_constant,
    )
    return _without_lone_surrogates(data) if _SURROGATE_ESCAPE.search(body) else data


def _exact_integer(digits: str) -> int | str:
    # The length test comes first: int() of a very long numeral is quadratic and limited by Python itself.
    if len(digits) > 21:
        return digits
    number = int(digits)
    return number if _SMALLEST <= number <= _LARGEST else digits


def _exact_decimal(digits: str) -> Decimal | str:
    try:
        number = Decimal(digits)
    except InvalidOperation:  # an exponent beyond what a decimal has
        return digits
    return number if abs(number.adjusted()) <= _LARGEST_EXPONENT else digits


def _finite_float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_lone_surrogates(value: Any) -> Any:
    """Replace unpaired surrogates with U+FFFD: they are not characters and no database stores them."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value) if _SURROGATE.search(value) else value
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_lone_surrogates(key): _without_lone_surrogates(item) for key, item in value.items()}
    return value


# -- the client -----------------------------------------------------------------------------------------


class HttpClient:
    """A connection to one host of one vendor. Opens nothing until the first call; not for use by two threads
    at once beyond what `Transport` allows. `sleep`, `clock` (monotonic seconds) and `draw` (0 to 1) are
    given by tests."""

    def __init__(
        self,
        vendor: str,
        base_url: str,
        *,
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 60.0,
        largest_body: int = 256 * MEGABYTE,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.vendor = vendor
        self.base_url = checked_base_url(base_url, vendor)
        self.retry = retry or RetryPolicy()
        self.timeout_seconds = timeout_seconds
        self.largest_body = largest_body
        self.sleep = sleep
        self.clock = clock
        self._draw = draw
        self._secrets: list[str] = []
        self._opened: Transport | None = None
        self._opening = threading.Lock()  # streams read side by side share a client

    def keep_secret(self, value: str) -> None:
        """Cut `value` out of every message of this client from now on."""
        if len(value) >= 6 and value not in self._secrets:
            self._secrets.append(value)

    def redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        headers: HeaderMaker | Mapping[str, str] | None = None,
        judge: Judge | None = None,
        retry: RetryPolicy | None = None,
        exact_decimals: bool = False,
    ) -> Answer:
        """Send one request and return its answer, trying again while that can help.

        `path` is below the base URL. `headers` may be a function: it is asked anew for every try, so a
        refreshed token is used. `judge` sees every decoded answer first and may raise a failure of its own;
        what it lets pass with a status of 400 or more is classified here by its status."""
        content = orjson.dumps(json_body) if json_body is not None else None

        def attempt() -> Answer:
            made = dict(headers() if callable(headers) else headers or {})
            if content is not None:
                made.setdefault("Content-Type", "application/json; charset=utf-8")
            answer = self._send(method, path, params, content, form, made, exact_decimals)
            if answer.broken:
                # A refusal that did not arrive whole says nothing: not even that it is one.
                raise TransientFailure(f"{self.vendor}: {answer.excerpt}", retry_after=retry_after(answer.headers))
            if judge is not None:
                judge(answer)
            if answer.status >= 400:
                raise self._refusal(answer)
            if answer.data is None and answer.status != 204:
                raise TransientFailure(f"{self.vendor}: {answer.excerpt}")
            return answer

        return self.repeat(attempt, f"{method} {path}", retry)

    def repeat(self, attempt: Callable[[], Any], what: str, retry: RetryPolicy | None = None) -> Any:
        """Run `attempt` until it returns, raises something that is not a `TransientFailure`, or the policy's
        tries or time are used up; then raise the last `TransientFailure` with what was tried."""
        return retrying(
            attempt,
            what,
            retry or self.retry,
            vendor=self.vendor,
            sleep=self.sleep,
            clock=self.clock,
            draw=self._draw,
        )

    # -- one try --------------------------------------------------------------------------------------------

    def _transport(self) -> Transport:
        from resources.http_transport import Transport

        with self._opening:
            if self._opened is None:
                self._opened = Transport(self.base_url, self.timeout_seconds)
            return self._opened

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        content: bytes | None,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str],
        exact_decimals: bool,
    ) -> Answer:
        url = self.base_url + path
        for _ in range(LARGEST_REDIRECT_CHAIN + 1):
            status, answered, body = self._exchange(method, url, params, content, form, headers)
            if status not in REDIRECTS:
                return self._decode(status, answered, body, exact_decimals)
            try:
                target = urljoin(url, answered.get("location", ""))
                elsewhere = _origin(target) != _origin(self.base_url)
            except ValueError:
                raise PermanentFailure(f"{self.vendor}: {method} {path} was redirected to what is no address") from None
            if elsewhere or (method != "GET" and status not in (307, 308)):
                host = urlsplit(target).hostname or "nowhere"
                raise PermanentFailure(
                    f"{self.vendor}: {method} {path} was redirected to {host}, which is not followed: "
                    "check the account or shop name in the settings"
                )
            url, params = target, None
        raise PermanentFailure(f"{self.vendor}: {method} {path} is redirected in a circle")

    def _exchange(
        self,
        method: str,
        url: str,
        params: Mapping[str, str | int] | None,
        content: bytes | None,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> tuple[int, Mapping[str, str], bytes]:
        from urllib3.exceptions import HTTPError

        from resources.http_transport import TooSlow, Unusable, pieces, within

        if params:
            url += ("&" if "?" in url else "?") + urlencode(params)
        sent = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip, deflate", **headers}
        if form is not None:
            content = urlencode(form).encode("ascii")
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        self._check_headers(sent)
        try:
            with (
                within(5 * self.timeout_seconds, self.clock),
                self._transport().exchange(method, url, sent, content) as response,
            ):
                # Names in lower case, as everybody looks for them.
                answered = {name.lower(): value for name, value in response.headers.itermerged()}
                if "date" in answered:
                    vendor_clocks[self.vendor] = (answered["date"], time.time())
                declared = answered.get("content-length", "")
                if declared.isascii() and declared.isdigit() and _larger(declared, self.largest_body):
                    raise self._too_large()
                failpoint("http.answering")
                chunks: list[bytes] = []
                size = 0
                for chunk in pieces(response):
                    size += len(chunk)
                    if size > self.largest_body:
                        raise self._too_large()
                    chunks.append(chunk)
            return response.status, answered, b"".join(chunks) if len(chunks) != 1 else chunks[0]
        except TooSlow as error:
            raise TransientFailure(f"{self.vendor}: {error}") from None
        except Unusable as error:
            raise ConfigurationError(f"{self.vendor}: {error}") from None
        except HTTPError as error:
            raise self._transport_failure(error) from None

    def _check_headers(self, headers: Mapping[str, str]) -> None:
        for value in headers.values():
            if not value.isascii():
                raise ConfigurationError(f"{self.vendor}: a credential holds characters outside ASCII")
            if _CONTROL.search(value) or value != value.strip():
                raise ConfigurationError(
                    f"{self.vendor}: a credential cannot be sent in a header; look for line breaks and blanks around it"
                )

    def _too_large(self) -> PermanentFailure:
        limit = self.largest_body // MEGABYTE
        return PermanentFailure(f"{self.vendor}: the answer is larger than {limit} MB and was not read")

    def _transport_failure(self, error: Exception) -> OpsError:
        from urllib3 import exceptions

        text = self.redact(_innermost(error))
        host = urlsplit(self.base_url).netloc
        if isinstance(error, exceptions.LocationValueError):
            return ConfigurationError(f"{self.vendor}: {self.base_url!r} is not a usable address")
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return PermanentFailure(f"{self.vendor}: the certificate of {host} is not trusted: {text}")
        # What a proxy says may be of after the request; that it could not be reached is of before.
        below = error.original_error if isinstance(error, exceptions.ProxyError) else error
        if isinstance(below, exceptions.NewConnectionError):
            return Unreachable(f"{self.vendor}: cannot reach {host}: {text}")
        if isinstance(error, exceptions.TimeoutError):
            return TransientFailure(f"{self.vendor}: {host} did not answer in time ({type(error).__name__})")
        return TransientFailure(f"{self.vendor}: the connection to {host} broke: {text}")

    def _decode(self, status: int, headers: Mapping[str, str], body: bytes, exact_decimals: bool) -> Answer:
        if not body:
            return Answer(status, headers, None, 0, "" if status == 204 else f"empty answer (status {status})")
        head = body[:512].lstrip()
        if head.startswith(b"<") or "text/html" in headers.get("content-type", ""):
            return Answer(status, headers, None, len(body), self._describe_page(status, body))
        try:
            data = parse_json(body, exact_decimals=exact_decimals)
        except (ValueError, RecursionError) as error:
            problem = str(error)[:120]
            text = f"the answer (status {status}, {len(body)} bytes) is not whole JSON: {problem}"
            return Answer(status, headers, None, len(body), self.redact(text), broken=head.startswith((b"{", b"[")))
        excerpt = self.redact(body[:EXCERPT_CHARACTERS].decode("utf-8", "replace")) if status >= 400 else ""
        return Answer(status, headers, data, len(body), excerpt)

    def _describe_page(self, status: int, body: bytes) -> str:
        found = re.search(rb"<title[^>]*>([^<]{0,200})", body[:65536], re.IGNORECASE)
        title = found.group(1).decode("utf-8", "replace").strip() if found else "without a title"
        return self.redact(f"an HTML page instead of JSON (status {status}: {title})")

    def _refusal(self, answer: Answer) -> OpsError:
        text = f"{self.vendor}: refused with status {answer.status}: {answer.excerpt or 'no explanation'}"
        if answer.status in TRANSIENT_STATUSES:
            return TransientFailure(text, retry_after=retry_after(answer.headers))
        return PermanentFailure(text)

    # -- files ----------------------------------------------------------------------------------------------

    def download(
        self, url: str, target: IO[bytes], *, expected_size: int | None, largest: int, retry: RetryPolicy | None = None
    ) -> int:
        """Fetch `url` (a signed link on another host) into `target` and return its size in bytes.

        Sends none of the client's headers but the User-Agent. A cut is resumed with `Range` where the host
        honours it, else begun again. Raises `PermanentFailure` on 403, 404 and 410 (the link is spent)."""
        from urllib3.exceptions import HTTPError

        from resources.http_transport import TooSlow, Transport, Unusable, pieces, within

        try:
            transport = Transport(url, self.timeout_seconds)
        except Unusable as error:
            raise ConfigurationError(f"{self.vendor}: {error}") from None

        def attempt() -> int:
            have = target.seek(0, 2)
            if expected_size is not None and have == expected_size > 0:
                return have
            headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
            if have:
                headers["Range"] = f"bytes={have}-"
            try:
                with (
                    within(5 * self.timeout_seconds, self.clock) as lift,
                    transport.exchange("GET", url, headers) as response,
                ):
                    lift()  # a file may be long: only how fast it comes is bounded, below
                    self._accept_part(response, target, have)
                    size = begin = target.tell()
                    began = self.clock()
                    for chunk in pieces(response, decoded=False):
                        size += len(chunk)
                        elapsed = self.clock() - began
                        if elapsed > 5 * self.timeout_seconds and size - begin < elapsed * SLOWEST_DOWNLOAD:
                            raise TransientFailure(f"{self.vendor}: the file came too slowly to be read to its end")
                        if size > largest:
                            raise PermanentFailure(f"{self.vendor}: the file is larger than {largest // MEGABYTE} MB")
                        target.write(chunk)
            except (HTTPError, TooSlow) as error:
                why = str(error) if isinstance(error, TooSlow) else type(error).__name__
                raise TransientFailure(f"{self.vendor}: the download broke off: {why}") from None
            if expected_size is not None and size < expected_size:
                if response.headers.get("content-length") == str(size - have):
                    # Sent whole, and yet not the file: a page in its place. Nothing of it may be resumed from.
                    target.seek(0)
                    target.truncate(0)
                raise TransientFailure(f"{self.vendor}: the download ended at {size} of {expected_size} bytes")
            return size

        try:
            size: int = self.repeat(attempt, "download", retry)
            return size
        finally:
            transport.close()

    def _accept_part(self, response: BaseHTTPResponse, target: IO[bytes], have: int) -> None:
        """Place `target` where the body of `response` belongs, or raise."""
        status = response.status
        if status == 206:
            start = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
            if start is None or int(start.group(1)) != have:
                target.truncate(0)
                target.seek(0)
                raise TransientFailure(f"{self.vendor}: the host resumed the download at the wrong place")
            target.seek(have)
        elif status == 200:
            target.seek(0)
            target.truncate(0)
        elif status == 416:
            target.truncate(0)
            target.seek(0)
            raise TransientFailure(f"{self.vendor}: the host cannot resume the download")
        elif status in TRANSIENT_STATUSES:
            raise TransientFailure(
                f"{self.vendor}: the download was refused with status {status}",
                retry_after=retry_after(response.headers),
            )
        else:
            raise PermanentFailure(f"{self.vendor}: the download was refused with status {status}")


def _larger(digits: str, most: int) -> bool:
    # Python refuses to read very long numerals, and need not here.
    return len(digits) > 19 or int(digits) > most


def _innermost(error: BaseException) -> str:
    """What went wrong below, without what each layer wrapped around it."""
    while (
        below := error.__cause__ or next((each for each in error.args if isinstance(each, Exception)), None)
    ) is not None:
        error = below
    return str(error) or type(error).__name__


# -- addresses and headers --------------------------------------------------------------------------------


def checked_base_url(url: str, vendor: str) -> str:
    """`url` without a trailing slash. Raises `ConfigurationError` unless it is https, or http to this machine
    or to a host of the private network named without a dot: a token must not cross the internet in clear."""
    parts = urlsplit(url.strip())
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(f"{vendor}: {url!r} is not a base URL such as https://host")
    if parts.scheme == "http" and not (host.startswith("127.") or host == "::1" or "." not in host):
        raise ConfigurationError(f"{vendor}: refusing to send credentials over plain http to {host}; use https")
    return url.strip().rstrip("/")


def same_origin(first: str, second: str) -> bool:
    """Whether two URLs have the same scheme, host and port."""
    return _origin(first) == _origin(second)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by the `Retry-After` header (a number or an HTTP date), or None."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
        said = headers.get("date", "")
        # The sender's own clock, where it gives it: ours may differ.
        reference = parsedate_to_datetime(said) if said else datetime.now(UTC)
        return max(0.0, (moment - reference).total_seconds())
    except (ValueError, TypeError):
        return None

"""Klaviyo over HTTP: headers, refusals, JSON:API listings followed to their end, and reports.

Belongs here: what is true of every endpoint. Does not belong here: what is asked and why (`source.py`), which fields
a record has (`records.py`), the limits' table (`endpoints.py`).

`links.next` is followed as Klaviyo wrote it, path and query, on the configured host alone: its own public address
stands for the base URL, any other host is refused. A listing that leads back to a page already read, or shows one
again, fails instead of passing for whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

from ops_platform.failures import AmbiguousFailure, OpsError, PermanentFailure, TransientFailure
from ops_platform.records import JsonObject
from resources.http import Answer, HttpClient, RetryPolicy, Unreachable, retry_after, same_origin
from resources.klaviyo.endpoints import Endpoint, Pace, QuotaSpent

if TYPE_CHECKING:
    from pydantic import SecretStr

OFFICIAL = "https://a.klaviyo.com"
MEDIA_TYPE = "application/vnd.api+json"
KLAVIYO_RETRY = RetryPolicy(tries=8, budget_seconds=600.0, first_wait=0.5, longest_wait=60.0)
# A report is asked again for a passing fault, or when the minute's window is full; not through its daily quota.
REPORT_RETRY = RetryPolicy(tries=3, budget_seconds=150.0, first_wait=2.0, longest_wait=60.0)
# What makes something is never simply repeated.
WRITE_ONCE = RetryPolicy(tries=1, budget_seconds=60.0)
LONGEST_WINDOW_SECONDS = 61.0


class Refused(PermanentFailure):
    """Klaviyo refused and will again. `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class KlaviyoClient:
    """An account behind `http`, asked with a private key in one revision of the API. Opens nothing until first
    used."""

    def __init__(self, http: HttpClient, key: SecretStr, revision: str) -> None:
        self.http = http
        self._key = key
        self.revision = revision
        self.pace = Pace(http.clock, lambda seconds: http.sleep(seconds))
        self._own = threading.local()
        http.keep_secret(key.get_secret_value())

    def listing(
        self, endpoint: Endpoint, params: Mapping[str, str | int] | None = None, *, exact_decimals: bool = False
    ) -> Iterator[JsonObject]:
        """The documents of a listing, to its end; each has a list under `data`."""
        path, asked = endpoint.path, dict(params or {})
        if endpoint.page_size is not None:
            asked.setdefault("page[size]", endpoint.page_size)
        seen: set[str] = set()
        previous: frozenset[str] = frozenset()
        while True:
            check = _PageCheck(self, endpoint, seen, previous)
            document = self._send("GET", endpoint, path, params=asked or None, accept=check, exact=exact_decimals)
            yield document
            following = self.following(document, endpoint)
            if following is None:
                return
            seen.add(following)
            previous = _ids(document)
            path, asked = following, {}

    def report(self, endpoint: Endpoint, attributes: JsonObject) -> Iterator[JsonObject]:
        """The documents of a values report, to its end (`page_cursor` goes into the query)."""
        body = _body(endpoint.name.removesuffix("s"), attributes)
        path = endpoint.path
        seen: set[str] = set()
        while True:

            def accept(document: JsonObject) -> None:
                found = _attributes(document)
                if not isinstance(found.get("results"), list):
                    raise TransientFailure(f"klaviyo: {endpoint.name} answered without results")
                following = self.following(document, endpoint)
                if following is not None and following in seen:
                    raise TransientFailure(f"klaviyo: {endpoint.name} leads back to a page already read")

            document = self._send("POST", endpoint, path, body=body, accept=accept, exact=True, retry=REPORT_RETRY)
            yield document
            following = self.following(document, endpoint)
            if following is None:
                return
            seen.add(following)
            path = following

    def aggregates(self, endpoint: Endpoint, attributes: JsonObject) -> Iterator[JsonObject]:
        """The documents of a metric's aggregates, to their end (`page_cursor` goes into the body)."""
        asked = dict(attributes)
        seen: set[str] = set()
        while True:

            def accept(document: JsonObject) -> None:
                found = _attributes(document)
                if not isinstance(found.get("dates"), list) or not isinstance(found.get("data"), list):
                    raise TransientFailure(f"klaviyo: {endpoint.name} answered without dates and data")
                if self._page_cursor(document, endpoint) in seen:
                    raise TransientFailure(f"klaviyo: {endpoint.name} leads back to a page already read")

            document = self._send(
                "POST", endpoint, endpoint.path, body=_body("metric-aggregate", asked), accept=accept, exact=True
            )
            yield document
            cursor = self._page_cursor(document, endpoint)
            if not cursor:
                return
            seen.add(cursor)
            asked["page_cursor"] = cursor

    def write(self, method: str, endpoint: Endpoint, path: str, body: JsonObject) -> JsonObject:
        """One writing request below `path`, tried once: whether a broken one took effect, only a look can tell
        (`drafts.py`). Empty where the answer has no body. Raises `AmbiguousFailure` where no answer came."""
        try:
            return self._send(method, endpoint, path, body=body, accept=lambda _: None, retry=WRITE_ONCE) or {}
        except Unreachable:
            raise
        except TransientFailure as failure:
            if failure.retry_after is not None:
                raise  # it was refused, and so not done
            raise AmbiguousFailure(str(failure)) from failure

    def one(self, endpoint: Endpoint, path: str) -> JsonObject:
        """The document of one object."""
        return self._send("GET", endpoint, path, accept=lambda _: None)

    @property
    def requests(self) -> int:
        """How many the calling thread sent, retries too."""
        return getattr(self._own, "requests", 0)

    def close(self) -> None:
        self.http.close()

    # -- one request --------------------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        endpoint: Endpoint,
        path: str,
        *,
        accept: Callable[[JsonObject], None],
        params: Mapping[str, str | int] | None = None,
        body: JsonObject | None = None,
        exact: bool = False,
        retry: RetryPolicy = KLAVIYO_RETRY,
    ) -> JsonObject:
        def headers() -> dict[str, str]:
            self.pace.wait(endpoint)
            self._own.requests = self.requests + 1
            sent = {
                "Authorization": f"Klaviyo-API-Key {self._key.get_secret_value()}",
                "revision": self.revision,
                "Accept": MEDIA_TYPE,
            }
            return {**sent, "Content-Type": MEDIA_TYPE} if body is not None else sent

        def judge(answer: Answer) -> None:
            self.pace.heed(endpoint, answer.headers)
            failure = refusal(endpoint, answer, self.revision)
            if failure is not None:
                raise failure
            if answer.status < 400 and answer.data is not None:
                if not isinstance(answer.data, dict):
                    raise TransientFailure(f"klaviyo: {endpoint.name} answered something other than a document")
                accept(answer.data)

        answer = self.http.call(
            method, path, params=params, json_body=body, headers=headers, judge=judge, retry=retry,
            exact_decimals=exact,
        )  # fmt: skip
        document: JsonObject = answer.data
        return document

    # -- paging ---------------------------------------------------------------------------------------------

    def following(self, document: JsonObject, endpoint: Endpoint) -> str | None:
        """Path and query of the next page below the base URL, or None at the end."""
        links = document.get("links")
        link = links.get("next") if isinstance(links, dict) else None
        if link is None or link == "":
            return None
        if not isinstance(link, str):
            raise TransientFailure(f"klaviyo: {endpoint.name} names its next page by something other than text")
        base = self.http.base_url
        url = urljoin(f"{base}/", link)
        if not same_origin(url, base) and not same_origin(url, OFFICIAL):
            host = urlsplit(url).hostname or "nowhere"
            raise PermanentFailure(
                f"klaviyo: the next page of {endpoint.name} is said to be on {host}, which is not followed"
            )
        parts = urlsplit(url)
        path = parts.path
        prefix = urlsplit(base).path
        if prefix and path.startswith(f"{prefix}/"):
            path = path.removeprefix(prefix)
        if path.rstrip("/") != endpoint.path:
            raise PermanentFailure(f"klaviyo: the next page of {endpoint.name} is said to be at {path}: not followed")
        return f"{path}?{parts.query}" if parts.query else path

    def _page_cursor(self, document: JsonObject, endpoint: Endpoint) -> str:
        """The cursor of a further page of aggregates, wherever it stands: Klaviyo documents none of the places."""
        following = self.following(document, endpoint)
        query = parse_qs(urlsplit(following).query) if following else {}
        meta = document.get("meta")
        for place in (_attributes(document), meta if isinstance(meta, dict) else {}):
            if isinstance(place.get("page_cursor"), str):
                return str(place["page_cursor"])
        return (query.get("page_cursor") or query.get("page[cursor]") or [""])[0]


class _PageCheck:
    """Whether an answer may be the page that was asked for. One for each page: it remembers an empty first try."""

    def __init__(self, client: KlaviyoClient, endpoint: Endpoint, seen: set[str], previous: frozenset[str]) -> None:
        self._client = client
        self._endpoint = endpoint
        self._seen = seen
        self._previous = previous
        self._doubted = False

    def __call__(self, document: JsonObject) -> None:
        name = self._endpoint.name
        data = document.get("data")
        if not isinstance(data, list):
            raise TransientFailure(f"klaviyo: {name} answered without data")
        following = self._client.following(document, self._endpoint)
        if following is not None and following in self._seen:
            raise TransientFailure(f"klaviyo: {name} leads back to a page already read")
        ids = _ids(document)
        if ids and ids <= self._previous:
            raise TransientFailure(f"klaviyo: {name} showed a page again")
        if not data and self._seen and following is None and not self._doubted:
            # A page was announced and has nothing. It may be so, but one empty answer is not enough to end on.
            self._doubted = True
            raise TransientFailure(f"klaviyo: {name} announced a page and it is empty")


def _ids(document: JsonObject) -> frozenset[str]:
    return frozenset(str(item.get("id")) for item in document["data"] if isinstance(item, dict))


def _attributes(document: JsonObject) -> JsonObject:
    data = document.get("data")
    found = data.get("attributes") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _body(kind: str, attributes: JsonObject) -> JsonObject:
    return {"data": {"type": kind, "attributes": attributes}}


# -- refusals -------------------------------------------------------------------------------------------------


def refusal(endpoint: Endpoint, answer: Answer, revision: str) -> OpsError | None:
    """The failure that an answer of 400 or more stands for, where Klaviyo says more than its status."""
    if answer.status < 400 or answer.status >= 500:
        return None
    said = _explanation(answer)
    where = f"klaviyo: {endpoint.name}"
    if answer.status == 429:
        wait = retry_after(answer.headers)
        if endpoint.daily is not None and (wait is None or wait > LONGEST_WINDOW_SECONDS):
            when = "the next window" if wait is None else f"{wait / 3600:.1f} h"
            return QuotaSpent(
                f"{where}: its quota is used up ({said}); it is read again after {when}, by the next sync"
            )
        return TransientFailure(f"{where}: too many requests ({said})", retry_after=wait)
    if answer.status == 401:
        return Refused(f"{where}: the private key was refused ({said}); check KLAVIYO_API_KEY", 401)
    if answer.status == 403:
        advice = f"the key lacks the scope {endpoint.scope} ({said}); make a key that has it"
        return Refused(f"{where}: {advice}", 403)
    if answer.status == 410:
        advice = f"the API revision {revision} is retired ({said}); set KLAVIYO_REVISION to one that is served"
        return Refused(f"{where}: {advice}", 410)
    if answer.status == 400 and "revision" in said.lower():
        return Refused(f"{where}: the API revision {revision} is not accepted ({said}); check KLAVIYO_REVISION", 400)
    if answer.status in (408, 425):
        return None
    return Refused(f"{where}: refused with status {answer.status}: {said}", answer.status)


def _explanation(answer: Answer) -> str:
    """What the JSON:API errors say, in a line."""
    errors = answer.data.get("errors") if isinstance(answer.data, dict) else None
    told = []
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            text = str(error.get("detail") or error.get("title") or error.get("code") or "no explanation")
            source = error.get("source")
            place = (source.get("parameter") or source.get("pointer")) if isinstance(source, dict) else None
            told.append(f"{text} [{place}]" if place and place != "/data/" else text)
    return "; ".join(told)[:400] or answer.excerpt[:200] or "no explanation"

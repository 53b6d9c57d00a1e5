"""GitHub's REST API: headers, refusals, rate limits, conditional requests and pages.

Belongs here: what is true of every GitHub request, reading and writing. Does not belong here: which listings make a
stream (`source.py`), what is written (`writing.py`), the retry itself (`resources/http.py`).

Requests are made one after the other, as GitHub asks. A refusal for too many requests is obeyed in GitHub's own
order: `Retry-After`; else, with nothing remaining, until the reset; else a minute, and twice as long each time.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import SecretStr

from ops_platform.failures import AmbiguousFailure, OpsError, PermanentFailure, TransientFailure
from ops_platform.records import JsonObject
from resources.http import Answer, HttpClient, RetryPolicy, retry_after, same_origin
from resources.retry import Unreachable

log = logging.getLogger(__name__)

API = "https://api.github.com"
API_VERSION = "2026-03-10"
PAGE_SIZE = 100
# A primary limit may last an hour; a sync does not wait that long, and says until when.
GITHUB_RETRY = RetryPolicy(tries=8, budget_seconds=900.0, first_wait=1.0, longest_wait=60.0)
SECONDARY_WAIT = 60.0
WRITE_ONCE = RetryPolicy(tries=1)
# A listing that contradicts its own count is read again this often.
WHOLE_RETRY = RetryPolicy(tries=3, budget_seconds=900.0, first_wait=1.0, longest_wait=10.0)
_REPOSITORY = re.compile(r"/repos/([^/?]+/[^/?]+)")
_LIMITED = re.compile(r"rate limit|abuse detection", re.IGNORECASE)
_PAGINATION_LIMITED = re.compile(r"pagination is limited", re.IGNORECASE)

Query = Mapping[str, str | int]
Accept = Callable[[list[Any], Answer], None]


class NotModified(Exception):
    """304: nothing changed since the answer whose ETag was sent. Costs nothing of the rate limit."""


class Refused(PermanentFailure):
    """GitHub refused for good: `status`, and in `permission` what the token lacks, where GitHub says so."""

    def __init__(self, message: str, status: int, permission: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.permission = permission


class RateLimited(TransientFailure):
    """One request too many: it was not looked at, and so not done."""


class PaginationLimited(PermanentFailure):
    """GitHub shows no further pages of this listing, though there are more."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a listing. `following` is the path of the next page, None on the last; `last` the number of the
    last page where GitHub says it."""

    items: list[Any]
    following: str | None
    last: int | None
    etag: str | None


@dataclass(slots=True)
class GitHubClient:
    """GitHub behind `http`. Opens nothing until first used. `wall_clock` gives Unix seconds. `spent` counts the
    requests that the rate limit counted. `retry` is how long a reading request goes on."""

    http: HttpClient
    token: SecretStr
    spent: int = 0
    wall_clock: Callable[[], float] = time.time
    retry: RetryPolicy = GITHUB_RETRY
    # configured name → the repository as GitHub has it now
    _repositories: dict[str, JsonObject] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http.keep_secret(self.token.get_secret_value())

    # -- repositories -------------------------------------------------------------------------------------

    def repository(self, name: str) -> JsonObject:
        """The repository that `owner/name` leads to; a renamed one is found under its new name, and told.

        Listings are asked for by the name found here: a redirect of a listing might lose its query."""
        if name not in self._repositories:
            data = self.get(f"/repos/{name}").data
            full_name = data.get("full_name") if isinstance(data, dict) else None
            if not isinstance(full_name, str) or not isinstance(data.get("id"), int):
                raise TransientFailure(f"github: {name} was answered without its name and id")
            if full_name.casefold() != name.casefold():
                log.warning("github: %s is called %s now; change GITHUB_REPOSITORIES", name, full_name)
            self._repositories[name] = data
        return self._repositories[name]

    # -- one request --------------------------------------------------------------------------------------

    def get(
        self, path: str, query: Query | None = None, *, accept: Callable[[Answer], None] | None = None, etag: str = ""
    ) -> Answer:
        """GET `path` (below the base URL). With `etag`, raises `NotModified` where nothing changed."""
        refusals = 0

        def headers() -> dict[str, str]:
            sent = self._headers()
            return {**sent, "If-None-Match": etag} if etag else sent

        def judge(answer: Answer) -> None:
            nonlocal refusals
            if answer.status == 304:
                self.spent -= 1
                raise NotModified
            if answer.status >= 400:
                limited = self._limited(answer, refusals)
                if limited is not None:
                    refusals += 1
                    raise limited
                refused = self._refused(answer, path)
                if refused is not None:
                    raise refused
            elif accept is not None and answer.data is not None:
                accept(answer)

        return self.http.call("GET", path, params=query, headers=headers, judge=judge, retry=self.retry)

    def write(self, method: str, path: str, body: Any = None) -> Any:
        """One request that changes something, tried once; the decoded answer, None where there is none.

        Raises `RateLimited` or `Unreachable` where it was certainly not done, `Refused` where GitHub will not, and
        `AmbiguousFailure` where only a look can tell."""

        def judge(answer: Answer) -> None:
            if answer.status >= 500 or answer.status == 408:
                raise AmbiguousFailure(f"github: {method} {path}: {message_of(answer)}")
            if answer.status >= 400:
                failure = self._limited(answer, 0) or self._refused(answer, path)
                if failure is None:
                    failure = Refused(f"github: {path}: {self.http.redact(message_of(answer))}", answer.status)
                raise failure

        try:
            answer = self.http.call(
                method, path, json_body=body, headers=self._headers, judge=judge, retry=WRITE_ONCE
            )  # fmt: skip
        except (Unreachable, RateLimited, AmbiguousFailure):
            raise
        except TransientFailure as failure:
            raise AmbiguousFailure(str(failure)) from failure
        return answer.data

    def _headers(self) -> dict[str, str]:
        self.spent += 1
        return {
            "Authorization": f"Bearer {self.token.get_secret_value()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
        }

    def _limited(self, answer: Answer, refusals: int) -> RateLimited | None:
        """The failure of a request that was one too many, with the time to wait; None for any other refusal."""
        if answer.status not in (403, 429):
            return None
        said = message_of(answer)
        asked = retry_after(answer.headers)
        if asked is not None:
            return RateLimited(f"github: too many requests: {said}", retry_after=asked)
        if answer.headers.get("x-ratelimit-remaining") == "0" and (reset := _reset_of(answer)) is not None:
            until = datetime.fromtimestamp(reset, UTC).strftime("%H:%M:%S UTC")
            wait = max(1.0, reset - _their_time(answer, self.wall_clock()))
            return RateLimited(f"github: the rate limit is used up until {until}: {said}", retry_after=wait)
        if answer.status == 429 or _LIMITED.search(said):
            return RateLimited(f"github: too many requests: {said}", retry_after=SECONDARY_WAIT * 2**refusals)
        return None

    def _refused(self, answer: Answer, path: str) -> OpsError | None:
        said = self.http.redact(message_of(answer))
        what = path.partition("?")[0]
        if answer.status == 401:
            return Refused(f"github: the token was refused ({said}); check GITHUB_TOKEN and its expiry", 401)
        if answer.status == 403:
            permission = answer.headers.get("x-accepted-github-permissions", "").replace("=", ": ").replace(";", " or")
            lacking = f"; the token lacks {permission}" if permission else ""
            return Refused(f"github: {what}: {said}{lacking}", 403, permission)
        if answer.status == 404:
            text = "not found, or the token may not see it; check GITHUB_REPOSITORIES and the token's repositories"
            return Refused(f"github: {what}: {text}", 404)
        if answer.status == 410:
            return Refused(f"github: {what}: {said}", 410)
        if answer.status == 422 and _PAGINATION_LIMITED.search(said):
            return PaginationLimited(f"github: {what}: {said}")
        if answer.status in (400, 422, 451):
            return Refused(f"github: {what}: {said}", answer.status)
        return None

    # -- pages --------------------------------------------------------------------------------------------

    def page(
        self, path: str, query: Query | None = None, *, etag: str = "", accept: Accept | None = None, of: str = ""
    ) -> Listed:
        """One page of a listing of the repository `of` (by default the one in `path`; GitHub's own links name it by a
        number). `accept` may refuse it with `TransientFailure`, and it is asked for again."""
        of = (of or repository_in(path)).lower()

        def whole(answer: Answer) -> None:
            if not isinstance(answer.data, list):
                raise TransientFailure(f"github: {path.partition('?')[0]} answered with something that is no list")
            if of and any(repository_of(item).lower() not in ("", of) for item in answer.data):
                # Its times would move this repository's mark beyond what was read of it.
                raise TransientFailure(f"github: a page of {of} holds what is of another repository")
            if not answer.data and link_of(answer, "next") is not None:
                raise TransientFailure("github: an empty page announces more")
            if accept is not None:
                accept(answer.data, answer)

        answer = self.get(path, query, accept=whole, etag=etag)
        following, last = link_of(answer, "next"), link_of(answer, "last")
        number = parse_qs(urlsplit(last).query).get("page", [""])[0] if last else ""
        return Listed(
            answer.data,
            self.path_of(following) if following is not None else None,
            int(number) if number.isdigit() else None,
            answer.headers.get("etag"),
        )

    def path_of(self, url: str) -> str:
        """The path of a page that GitHub names, for a request to our own base URL.

        Raises `PermanentFailure` for a page elsewhere: the token goes to no other host."""
        parts = urlsplit(url)
        if not parts.netloc:
            return url
        base = self.http.base_url
        if not same_origin(url, base) and not same_origin(url, API):
            raise PermanentFailure(
                f"github: the next page is at {parts.hostname}, which is not followed: check GITHUB_BASE_URL"
            )
        path = parts.path
        prefix = urlsplit(base).path
        if prefix and same_origin(url, base) and path.startswith(prefix):
            path = path[len(prefix) :]
        return f"{path}?{parts.query}" if parts.query else path

    def walk(self, path: str, query: Query, *, etag: str = "") -> Iterator[Listed]:
        """The pages of a listing by GitHub's own links, to the end. With `etag`, raises `NotModified` at once where
        the first page is unchanged. A page of which everything was already seen is not believed."""
        address: str | None = f"{path}?{urlencode(query)}"
        of = repository_in(path)
        seen: set[str] = set()
        while address is not None:

            def accept(items: list[Any], answer: Answer) -> None:
                ids = {identity for identity in map(identity_of, items) if identity}
                if ids and ids <= seen:
                    raise TransientFailure("github: a page comes again")

            listed = self.page(address, etag=etag, accept=accept, of=of)
            seen.update(identity for identity in map(identity_of, listed.items) if identity)
            yield listed
            address, etag = listed.following, ""

    def count(self, path: str, query: Query) -> int:
        """How many records a listing has, by the number of its last page at one record a page; counted through
        where GitHub gives no such number."""
        first = self.page(path, {**query, "per_page": 1})
        if first.following is None:
            return len(first.items)
        if first.last is not None:
            return first.last
        ids: set[str] = set()
        for listed in self.walk(path, {**query, "per_page": PAGE_SIZE}):
            ids.update(identity for identity in map(identity_of, listed.items) if identity)
        return len(ids)

    def whole(self, path: str, query: Query) -> list[Any]:
        """All records of a short listing, once each. One that falls short of its own count is read again; raises
        `TransientFailure` when that does not help."""

        def attempt() -> list[Any]:
            found: dict[str, Any] = {}
            flawed: list[Any] = []
            for listed in self.walk(path, {**query, "per_page": PAGE_SIZE}):
                for item in listed.items:
                    identity = identity_of(item)
                    if identity:
                        found[identity] = item
                    else:
                        flawed.append(item)
            self.check_count(path, query, len(found) + len(flawed))
            return [*found.values(), *flawed]

        everything: list[Any] = self.http.repeat(attempt, f"all of {path}", WHOLE_RETRY)
        return everything

    def check_count(self, path: str, query: Query, read: int) -> None:
        """Raise `TransientFailure` unless as many records were read as GitHub counts."""
        counted = self.count(path, query)
        if read != counted:
            raise TransientFailure(f"github: {path} listed {read} records and counts {counted}")

    # -- search -------------------------------------------------------------------------------------------

    def search(self, text: str) -> tuple[int, list[Any]]:
        """How many issues or pull requests a search finds, and those found (at most 1,000), oldest first."""

        def accept(answer: Answer) -> None:
            data = answer.data
            if not isinstance(data, dict) or not isinstance(data.get("items"), list):
                raise TransientFailure("github: the search answered without items")
            if type(data.get("total_count")) is not int:
                raise TransientFailure("github: the search answered without a count")
            if data.get("incomplete_results") is not False:
                raise TransientFailure("github: the search says that its result is incomplete", retry_after=2.0)

        total, items = 0, list[Any]()
        query = {"q": text, "sort": "created", "order": "asc", "per_page": PAGE_SIZE}
        address: str | None = f"/search/issues?{urlencode(query)}"
        while address is not None:
            answer = self.get(address, accept=accept)
            total = max(total, answer.data["total_count"])
            items += answer.data["items"]
            following = link_of(answer, "next")
            address = self.path_of(following) if following is not None else None
        return total, items


# -- small parts ----------------------------------------------------------------------------------------------


def identity_of(item: Any) -> str | None:
    """The id of a record as text, None where it has none."""
    value = item.get("id") if isinstance(item, dict) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def repository_in(url: str) -> str:
    """The `owner/name` in an address, empty where there is none."""
    found = _REPOSITORY.search(url)
    return found.group(1) if found is not None else ""


def repository_of(item: Any) -> str:
    """The repository a record says it is of, empty where it does not say."""
    url = item.get("url") if isinstance(item, dict) else None
    return repository_in(url) if isinstance(url, str) else ""


def message_of(answer: Answer) -> str:
    """What GitHub says in a refusal, with the fields it complains of."""
    data = answer.data
    if not isinstance(data, dict):
        return answer.excerpt or f"status {answer.status}"
    listed = data.get("errors")
    errors: Sequence[Any] = listed if isinstance(listed, list) else []
    told = [
        str(each.get("message") or f"{each.get('field')}: {each.get('code')}")
        for each in errors
        if isinstance(each, dict)
    ]
    return "; ".join([str(data.get("message") or f"status {answer.status}"), *told])[:400]


def link_of(answer: Answer, relation: str) -> str | None:
    """The URL of the Link header with this relation."""
    for part in re.finditer(r"<([^>]*)>([^<]*)", answer.headers.get("link", "")):
        if re.search(rf'\brel="?[^"]*\b{relation}\b', part.group(2)):
            return part.group(1)
    return None


def _reset_of(answer: Answer) -> float | None:
    text = answer.headers.get("x-ratelimit-reset", "")
    return float(text) if text.isdigit() else None


def _their_time(answer: Answer, ours: float) -> float:
    """The answering machine's clock, where it says so: ours may differ."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return ours

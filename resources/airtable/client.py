"""Airtable's Web API: headers, pace, refusals and listings.

Belongs here: what is true of every Airtable request. Does not belong here: which tables are read (`source.py`), the
retry itself (`resources/http.py`).

Five requests a second for a base, fifty for a user: the pace stays a little below both, because whoever goes beyond
must be silent for thirty seconds, and a call within them begins the thirty anew.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from ops_platform.records import JsonObject
from resources.http import Answer, HttpClient, RetryPolicy, retry_after

log = logging.getLogger(__name__)

API = "https://api.airtable.com"
PAGE_SIZE = 100
PENALTY_SECONDS = 30.0
AIRTABLE_RETRY = RetryPolicy(tries=8, budget_seconds=300.0, first_wait=1.0, longest_wait=30.0)
# A listing that contradicts a second one is made again this often, and an expired one begun again.
WHOLE_RETRY = RetryPolicy(tries=3, budget_seconds=900.0, first_wait=1.0, longest_wait=10.0)
MOST_RESTARTS = 4
MOST_EMPTY_PAGES = 20
# Within the window that Airtable counts, with room for requests that reach it closer together than they left.
_WINDOW = 1.1
# What is left of a wait that rounding kept from ending.
_INSTANT = 1e-6
_PER_BASE = 5
_PER_USER = 48
_MONTHLY = re.compile(r"billing|monthly|per month|plan limit", re.IGNORECASE)
_EXPIRED = frozenset({"LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "INVALID_OFFSET_VALUE"})

Pairs = Sequence[tuple[str, str]]


class Refused(PermanentFailure):
    """Airtable refused for good: `status`, and `code`, its name for it."""

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class CredentialsRefused(PermanentFailure):
    """The token itself is not accepted."""


class MonthlyLimitReached(PermanentFailure):
    """The workspace has used up the month's calls: nothing helps but the next month or another plan."""


class IteratorExpired(PermanentFailure):
    """The place in a listing is no longer known to Airtable: the table is read from its first page again."""


@dataclass(slots=True)
class Pacer:
    """Holds requests back so that no window has more of them than Airtable allows."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    _sent: dict[str, deque[float]] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, base: str | None) -> None:
        """Wait for the turn of a request to a base (None: one that belongs to no base), and count it. Threads may wait
        at once: a turn is one request's."""
        lanes = [("", _PER_USER)] if base is None else [("", _PER_USER), (base, _PER_BASE)]
        while True:
            with self._turn:
                now = self.clock()
                wait = 0.0
                for name, most in lanes:
                    lane = self._sent.setdefault(name, deque(maxlen=most))
                    if len(lane) == most:
                        wait = max(wait, lane[0] + _WINDOW - now)
                if wait < _INSTANT:
                    for name, _ in lanes:
                        self._sent[name].append(now)
                    return
            self.sleep(wait)


class AirtableClient:
    """Airtable behind `http`, read with a personal access token. Opens nothing until first used. `spent` counts the
    requests and `server_time` is the server's own time of the last answer, each of the calling thread: streams are read
    side by side."""

    def __init__(self, http: HttpClient, token: SecretStr) -> None:
        self.http = http
        self._token = token
        self._own = threading.local()
        # The client's clock and sleep are looked up at every call: tests replace them.
        self.pacer = Pacer(lambda: http.clock(), lambda seconds: http.sleep(seconds))
        http.keep_secret(token.get_secret_value())

    @property
    def spent(self) -> int:
        count: int = getattr(self._own, "spent", 0)
        return count

    @property
    def server_time(self) -> datetime | None:
        said: datetime | None = getattr(self._own, "server_time", None)
        return said

    # -- one request --------------------------------------------------------------------------------------

    def get(
        self,
        path: str,
        pairs: Pairs = (),
        *,
        base: str | None = None,
        accept: Callable[[JsonObject], None] = lambda _: None,
    ) -> JsonObject:
        """GET `path` with a query. `accept` sees the decoded answer and may raise to have it asked again."""

        def headers() -> dict[str, str]:
            # Asked anew for every try: a repeated request keeps the pace, too.
            self.pacer.wait(base)
            self._own.spent = self.spent + 1
            return {"Authorization": f"Bearer {self._token.get_secret_value()}"}

        def judge(answer: Answer) -> None:
            self._note_time(answer)
            if answer.status >= 400:
                refused = refusal(answer, path)
                if refused is not None:
                    raise refused
            elif answer.data is not None:
                if not isinstance(answer.data, dict):
                    raise TransientFailure(f"airtable: {path} was answered with {type(answer.data).__name__}")
                accept(answer.data)

        target = f"{path}?{urlencode(pairs)}" if pairs else path
        answer = self.http.call("GET", target, headers=headers, judge=judge, retry=AIRTABLE_RETRY, exact_decimals=True)
        data: JsonObject = answer.data
        return data

    def _note_time(self, answer: Answer) -> None:
        try:
            said = parsedate_to_datetime(answer.headers.get("date", ""))
        except (ValueError, TypeError):
            self._own.server_time = None
        else:
            self._own.server_time = said if said.tzinfo is not None else None

    # -- what there is ------------------------------------------------------------------------------------

    def whoami(self) -> JsonObject:
        return self.get("/v0/meta/whoami")

    def bases(self) -> list[JsonObject]:
        """Every base the token may see."""
        found: dict[str, JsonObject] = {}
        for page in self._walk("/v0/meta/bases", (), "bases", None):
            for base in page:
                if not isinstance(base, dict) or not isinstance(base.get("id"), str) or "name" not in base:
                    raise TransientFailure("airtable: the list of bases holds one without id or name")
                found[base["id"]] = {**base, "name": str(base["name"])}
        return list(found.values())

    def tables(self, base: str) -> list[JsonObject]:
        """The tables of a base with their fields. Raises `Refused` where the token may not see it."""

        def accept(data: JsonObject) -> None:
            tables = data.get("tables")
            if not isinstance(tables, list) or not all(_is_table(table) for table in tables):
                raise TransientFailure(f"airtable: the schema of {base} was answered without tables and fields")

        data = self.get(f"/v0/meta/bases/{quote(base, safe='')}/tables", base=base, accept=accept)
        tables: list[JsonObject] = data["tables"]
        return tables

    # -- records ------------------------------------------------------------------------------------------

    def records(self, base: str, table: str, pairs: Pairs) -> Iterator[list[JsonObject]]:
        """The pages of a listing to its end, once. Raises `IteratorExpired` where Airtable forgot the place."""
        path = f"/v0/{quote(base, safe='')}/{quote(table, safe='')}"
        yield from self._walk(path, [("pageSize", str(PAGE_SIZE)), *pairs], "records", base)

    def record_ids(self, base: str, table: str, pairs: Pairs) -> dict[str, JsonObject]:
        """A listing read whole into memory: id → record. Begun again where Airtable forgot the place."""
        for _ in range(MOST_RESTARTS):
            try:
                return {
                    item["id"]: item
                    for page in self.records(base, table, pairs)
                    for item in page
                    if isinstance(item, dict) and isinstance(item.get("id"), str)
                }
            except IteratorExpired:
                log.info("airtable: the listing of %s expired and is begun again", table)
        raise TransientFailure(f"airtable: the listing of {base}/{table} expired {MOST_RESTARTS} times")

    def _walk(self, path: str, pairs: Pairs, key: str, base: str | None) -> Iterator[list[Any]]:
        """Pages by `offset`. An offset or a page that comes again fails instead of going round."""
        offset, empty = "", 0
        offsets: set[str] = set()
        pages: set[tuple[str, ...]] = set()
        while True:

            def accept(data: JsonObject) -> None:
                if not isinstance(data.get(key), list):
                    raise TransientFailure(f"airtable: {path} was answered without {key}")
                following = data.get("offset")
                if following is not None and not isinstance(following, str):
                    raise TransientFailure(f"airtable: {path} says no usable offset")
                if following and following in offsets:
                    raise TransientFailure(f"airtable: {path} leads back to a page already read")
                if data[key] and _ids(data[key]) in pages:
                    raise TransientFailure(f"airtable: {path} shows a page again instead of the next")

            data = self.get(path, [*pairs, *([("offset", offset)] if offset else [])], base=base, accept=accept)
            items: list[Any] = data[key]
            pages.add(_ids(items))
            empty = 0 if items else empty + 1
            offset = data.get("offset") or ""
            if offset and empty > MOST_EMPTY_PAGES:
                raise TransientFailure(f"airtable: {path} goes on with empty pages and does not end")
            yield items
            if not offset:
                return
            offsets.add(offset)


# -- small parts --------------------------------------------------------------------------------------------


def refusal(answer: Answer, path: str) -> OpsError | None:
    """What a status of 400 or more stands for; None where the status says it all."""
    code, message = error_of(answer.data)
    said = f"{code}: {message}" if code and message else code or message or answer.excerpt or "no explanation"
    if answer.status == 429:
        if _MONTHLY.search(f"{code} {message}"):
            return MonthlyLimitReached(
                "airtable: the workspace has used up its API calls of this month, and reading goes on next month: "
                "choose a plan with more calls, or sync less often"
            )
        wait = max(PENALTY_SECONDS, retry_after(answer.headers) or 0.0)
        return TransientFailure(f"airtable: too many requests ({said}); {wait:.0f} s of silence", retry_after=wait)
    if answer.status == 401:
        return CredentialsRefused(f"airtable: the token was refused ({said}); check AIRTABLE_TOKEN")
    if answer.status == 422 and code in _EXPIRED:
        return IteratorExpired(f"airtable: {path}: {said}")
    if answer.status in (400, 403, 404, 413, 422):
        return Refused(f"airtable: {path}: refused with status {answer.status}: {said}", answer.status, code)
    return None


def error_of(data: Any) -> tuple[str, str]:
    """(name, message) of an error body, in any of the shapes Airtable has for it."""
    if not isinstance(data, dict):
        return "", ""
    error = data.get("error")
    if error is None and isinstance(data.get("errors"), list) and data["errors"]:
        error = data["errors"][0]
    if isinstance(error, str):
        return error, str(data.get("message") or "")
    if isinstance(error, dict):
        return str(error.get("type") or error.get("error") or ""), str(error.get("message") or "")
    return "", ""


def _ids(items: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(item.get("id")) if isinstance(item, dict) else repr(item) for item in items)


def _is_table(table: Any) -> bool:
    return (
        isinstance(table, dict)
        and isinstance(table.get("id"), str)
        and isinstance(table.get("name"), str)
        and isinstance(table.get("fields"), list)
        and all(isinstance(f, dict) and isinstance(f.get("id"), str) and "name" in f for f in table["fields"])
    )

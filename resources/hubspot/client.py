"""HubSpot's CRM over HTTP: tokens, paces, refusals, and listings read to their end.

Belongs here: what is true of the API whatever is read. Does not belong here: which records are wanted and what becomes
of them (`source.py`), properties and checks (`objects.py`).

Paces. Requests of an app are limited by ten seconds, and answers say how many are left; searches have a limit of their
own, a few a second for the whole account, and say nothing. The daily limit stops everything until the account's
midnight: it is not waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from ops_platform.records import JsonObject
from resources.http import TRANSIENT_STATUSES, Answer, HttpClient, RetryPolicy, retry_after
from resources.hubspot.paths import Paths

if TYPE_CHECKING:
    from pydantic import SecretStr

log = logging.getLogger(__name__)

LIST_LIMIT = 100
# With the history of a property the vendor hands out fewer records at once.
HISTORY_LIMIT = 50
SEARCH_LIMIT = 200
BATCH_LIMIT = 100
OWNERS_LIMIT = 100
SECONDS_BETWEEN_SEARCHES = 0.25
HUBSPOT_RETRY = RetryPolicy(tries=8, budget_seconds=300.0, first_wait=1.0, longest_wait=30.0)
# Many changes at once, or the account is being moved to another data centre.
LOCKED = frozenset({423, 477})
NO_ASSOCIATIONS = "crm.associations.NO_ASSOCIATIONS_FOUND"
NOT_FOUND = "OBJECT_NOT_FOUND"

Accept = Callable[[JsonObject], None]


SCOPES_PATH = "/oauth/v2/private-apps/get/access-token-info"


class Refused(PermanentFailure):
    """HubSpot refused. `category` is its word for why; `scopes` are those that are missing, if that is the reason."""

    def __init__(self, message: str, status: int, category: str, scopes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.scopes = scopes


class DailyLimitReached(PermanentFailure):
    """The account's requests of the day are used up."""


@dataclass(slots=True)
class BatchAnswer:
    """What a batch read brought: records (by the id they have now), ids that are no longer there, and those the vendor
    could not read, with its words."""

    found: list[JsonObject] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


class HubSpotClient:
    """One account behind `http`. Opens nothing until the first call."""

    def __init__(self, http: HttpClient, token: SecretStr, paths: Paths | None = None) -> None:
        self.http = http
        self.paths = paths or Paths()
        self._token = token
        self.requests = 0
        self._next_search = 0.0
        self._spent: DailyLimitReached | None = None
        http.keep_secret(token.get_secret_value().strip())

    @property
    def cost(self) -> Decimal:
        """Requests sent so far."""
        return Decimal(self.requests)

    # -- one request ------------------------------------------------------------------------------------------

    def get(self, path: str, params: Mapping[str, str | int], accept: Accept) -> JsonObject:
        return self._call("GET", path, accept, params=params)

    def scopes(self) -> frozenset[str]:
        """What the private app's token may do, by HubSpot's own word."""
        found: JsonObject = {}
        self.post(SCOPES_PATH, {"tokenKey": self._token.get_secret_value().strip()}, found.update)
        scopes = found.get("scopes")
        return frozenset(str(scope) for scope in scopes) if isinstance(scopes, list) else frozenset()

    def post(self, path: str, body: JsonObject, accept: Accept, *, search: bool = False) -> JsonObject:
        return self._call("POST", path, accept, body=body, search=search)

    def _call(
        self,
        method: str,
        path: str,
        accept: Accept,
        *,
        params: Mapping[str, str | int] | None = None,
        body: JsonObject | None = None,
        search: bool = False,
    ) -> JsonObject:
        def headers() -> dict[str, str]:
            if self._spent is not None:
                raise self._spent
            if search:
                self._wait_for_search()
            self.requests += 1
            return {"Authorization": f"Bearer {self._token.get_secret_value().strip()}"}

        def judge(answer: Answer) -> None:
            if answer.status >= 400:
                failure = refusal(path, answer, search=search)
                if isinstance(failure, DailyLimitReached):
                    self._spent = failure
                if failure is not None:
                    raise failure
                return
            self._slow_down(answer.headers)
            if answer.data is None:
                return
            if not isinstance(answer.data, dict):
                raise TransientFailure(f"hubspot: {path} answered with something else than an object")
            accept(answer.data)

        answer = self.http.call(
            method, path, params=params, json_body=body, headers=headers, judge=judge, retry=HUBSPOT_RETRY
        )
        data: JsonObject = answer.data
        return data

    def _wait_for_search(self) -> None:
        now = self.http.clock()
        if now < self._next_search:
            self.http.sleep(self._next_search - now)
        self._next_search = max(now, self._next_search) + SECONDS_BETWEEN_SEARCHES

    def _slow_down(self, headers: Mapping[str, str]) -> None:
        """Near the end of what the interval allows go at half the permitted pace: others share the account."""
        most = _whole(headers.get("x-hubspot-ratelimit-max"))
        left = _whole(headers.get("x-hubspot-ratelimit-remaining"))
        interval = _whole(headers.get("x-hubspot-ratelimit-interval-milliseconds"))
        if most and left is not None and interval and left * 10 < most:
            self.http.sleep(min(2 * interval / most / 1000, 5.0))

    # -- lists --------------------------------------------------------------------------------------------------

    def property_names(self, kind: str) -> frozenset[str]:
        """The names of all properties the account has for this kind of record."""
        data = self.get(self.paths.properties(kind), {}, _has_results(f"the properties of {kind}"))
        return frozenset(item["name"] for item in data["results"] if isinstance(item, dict) and "name" in item)

    def listing(
        self, kind: str, properties: Sequence[str], *, history: str | None = None, archived: bool = False
    ) -> Iterator[list[Any]]:
        """The pages of all records of a kind, living or archived, to the end of the list."""
        params: dict[str, str | int] = {
            "limit": HISTORY_LIMIT if history else LIST_LIMIT,
            "properties": ",".join(properties),
            "archived": "true" if archived else "false",
        }
        if history:
            params["propertiesWithHistory"] = history
        yield from self._walk(self.paths.objects(kind), params)

    def owners(self, *, archived: bool) -> Iterator[list[Any]]:
        params: dict[str, str | int] = {"limit": OWNERS_LIMIT, "archived": "true" if archived else "false"}
        yield from self._walk(self.paths.owners(), params)

    def pipelines(self, kind: str) -> list[Any]:
        """The pipelines of a kind of record, with their stages; the vendor does not page them."""
        data = self.get(self.paths.pipelines(kind), {}, _has_results(f"the pipelines of {kind}"))
        if not data["results"]:
            raise TransientFailure(f"hubspot: no pipeline of {kind} was listed, and there is always one")
        results: list[Any] = data["results"]
        return results

    def _walk(self, path: str, params: Mapping[str, str | int]) -> Iterator[list[Any]]:
        after = ""
        used: set[str] = set()
        before: list[Any] = []
        while True:
            query: dict[str, str | int] = {**params, "after": after} if after else dict(params)

            def accept(
                data: JsonObject, used: frozenset[str] = frozenset(used), before: Sequence[Any] = before
            ) -> None:
                _has_results(path)(data)
                following = next_after(data)
                if following and following in used:
                    raise TransientFailure(f"hubspot: {path} leads back to a page already read")
                if following and not data["results"]:
                    raise TransientFailure(f"hubspot: {path} answered an empty page and announces more")
                if before and _ids(data["results"]) == before:
                    raise TransientFailure(f"hubspot: {path} answered the page before again")

            data = self.get(path, query, accept)
            before = _ids(data["results"])
            yield data["results"]
            after = next_after(data)
            if not after:
                return
            used.add(after)

    # -- search -------------------------------------------------------------------------------------------------

    def found(self, kind: str, filters: Sequence[JsonObject], properties: Sequence[str]) -> Iterator[list[JsonObject]]:
        """The pages of records that pass all filters, in ascending order of id.

        A search cannot be paged beyond its ten thousandth record, so every page is a search of its own for the ids
        above the last one. The vendor says how many there are in all: a page that holds fewer than it should, or
        ids that do not rise, is asked for again and fails at last."""
        last = 0
        while True:
            above = {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)}
            body: JsonObject = {
                "filterGroups": [{"filters": [*filters, above]}],
                "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
                "properties": list(properties),
                "limit": SEARCH_LIMIT,
            }

            def accept(data: JsonObject, last: int = last) -> None:
                _check_search(kind, data, last)

            data = self.post(self.paths.search(kind), body, accept, search=True)
            results: list[JsonObject] = data["results"]
            if results:
                yield results
                last = int(results[-1]["id"])
            if int(data["total"]) <= len(results):
                return

    def count(self, kind: str, filters: Sequence[JsonObject] = ()) -> int:
        """How many living records pass all filters, as the search counts them."""
        everything = {"propertyName": "hs_object_id", "operator": "GT", "value": "0"}
        body: JsonObject = {
            "filterGroups": [{"filters": [*filters, everything]}],
            "properties": ["hs_object_id"],
            "limit": 1,
        }

        def accept(data: JsonObject) -> None:
            if _whole(data.get("total")) is None:
                raise TransientFailure(f"hubspot: a search of {kind} did not say how many there are")

        return int(self.post(self.paths.search(kind), body, accept, search=True)["total"])

    # -- batches --------------------------------------------------------------------------------------------------

    def read(
        self, kind: str, ids: Collection[str], properties: Sequence[str], *, history: str | None = None
    ) -> BatchAnswer:
        """Records by id. An id that was merged into another record answers with that record.

        What the vendor leaves without a word, or refuses for a passing reason, is asked for a second time."""
        answer = BatchAnswer()
        waiting = list(dict.fromkeys(ids))
        for last_try in (False, True):
            again: list[str] = []
            size = HISTORY_LIMIT if history else BATCH_LIMIT
            for start in range(0, len(waiting), size):
                again += self._read_batch(kind, waiting[start : start + size], properties, history, answer)
            if not again:
                break
            if last_try:
                silent = [identity for identity in again if identity not in answer.failed]
                if silent:
                    raise TransientFailure(
                        f"hubspot: {len(silent)} of {len(ids)} {kind} were neither sent nor refused ({silent[0]})"
                    )
            waiting = again
        return answer

    def _read_batch(
        self, kind: str, ids: Sequence[str], properties: Sequence[str], history: str | None, answer: BatchAnswer
    ) -> list[str]:
        """One batch into `answer`; the ids that are to be asked for again."""
        body: JsonObject = {"inputs": [{"id": identity} for identity in ids], "properties": list(properties)}
        if history:
            body["propertiesWithHistory"] = [history]
        data = self.post(self.paths.batch_read(kind), body, _complete(f"a batch of {kind}"))
        told: set[str] = set()
        for item in data["results"]:
            if isinstance(item, dict):
                answer.found.append(item)
                told.add(str(item.get("id")))
                values = item.get("properties")
                merged = values.get("hs_merged_object_ids") if isinstance(values, dict) else None
                swallowed = set(str(merged or "").split(";")) & set(ids) - {str(item.get("id"))}
                told |= swallowed
                answer.gone |= swallowed
        failed: dict[str, str] = {}
        for error in _errors(data):
            concerned = _context_ids(error, "ids", "id") & set(ids)
            if error.get("category") == NOT_FOUND:
                answer.gone |= concerned - told
                told |= concerned
            else:
                words = f"{error.get('category')}: {error.get('message')}"
                failed.update(dict.fromkeys(concerned, words))
                if not concerned:
                    raise TransientFailure(f"hubspot: a batch of {kind} came with an error: {words}")
        for identity in told:
            answer.failed.pop(identity, None)
        answer.failed.update({identity: words for identity, words in failed.items() if identity not in told})
        return [identity for identity in ids if identity not in told]

    def associated(self, kind: str, to_kind: str, ids: Collection[str]) -> tuple[dict[str, list[JsonObject]], set[str]]:
        """What each record is associated with, whole, and the ids of records that are no longer there.

        An input with many associations is paged on its own: its `after` is sent again with its id."""
        found: dict[str, list[JsonObject]] = {}
        gone: set[str] = set()
        waiting: list[tuple[str, str]] = [(identity, "") for identity in dict.fromkeys(ids)]
        used: set[tuple[str, str]] = set()
        asked_again: set[tuple[str, str]] = set()
        while waiting:
            batch, waiting = waiting[:BATCH_LIMIT], waiting[BATCH_LIMIT:]
            used.update(batch)
            inputs = [{"id": identity, **({"after": after} if after else {})} for identity, after in batch]
            what = f"the associations of {kind} with {to_kind}"
            data = self.post(self.paths.associations(kind, to_kind), {"inputs": inputs}, _whole_associations(what))
            asked = dict(batch)
            told: set[str] = set()
            for result in data["results"]:
                source = result.get("from") if isinstance(result, dict) else None
                identity = str(source.get("id")) if isinstance(source, dict) else ""
                targets = result.get("to") if isinstance(result, dict) else None
                if identity not in asked or not isinstance(targets, list):
                    raise TransientFailure(f"hubspot: {what} came with a result that was not asked for")
                told.add(identity)
                found.setdefault(identity, []).extend(item for item in targets if isinstance(item, dict))
                following = next_after(result)
                if following:
                    if (identity, following) in used:
                        raise TransientFailure(f"hubspot: {what} of {identity} lead back to a page already read")
                    waiting.append((identity, following))
            for error in _errors(data):
                concerned = _context_ids(error, "fromObjectId", "ids", "id") & set(asked)
                if error.get("subCategory") == NO_ASSOCIATIONS:
                    for identity in concerned - told:
                        found.setdefault(identity, [])
                else:
                    gone |= concerned
                told |= concerned
            for pair in batch:
                if pair[0] in told:
                    continue
                if pair not in asked_again:
                    asked_again.add(pair)
                    waiting.append(pair)
                elif pair[1]:
                    raise TransientFailure(f"hubspot: {what} of {pair[0]} announced more, which never came")
                else:
                    # Twice without a word about it: it is associated with nothing.
                    found.setdefault(pair[0], [])
        return found, gone


# -- answers ------------------------------------------------------------------------------------------------------


def refusal(path: str, answer: Answer, *, search: bool = False) -> OpsError | None:
    """The failure that an error of HubSpot's stands for; None where its status alone says enough."""
    data = answer.data if isinstance(answer.data, dict) else {}
    category = str(data.get("category") or data.get("errorType") or "")
    said = str(data.get("message") or answer.excerpt or "no explanation")[:300]
    if answer.status == 429:
        policy = str(data.get("policyName") or "").upper()
        if policy == "DAILY" or (not policy and "daily" in said.lower()):
            return DailyLimitReached(
                "hubspot: the account's requests of the day are used up; they begin anew at midnight in the account's "
                "time zone. Find what else uses the account's API, or raise its limit"
            )
        wait = retry_after(answer.headers)
        if wait is None:
            # Searches are counted by the second, everything else by ten.
            wait = 1.0 if search or policy == "SECONDLY" else 10.0
        return TransientFailure(f"hubspot: {path}: too many requests ({policy or 'no policy named'})", retry_after=wait)
    if answer.status == 401:
        return Refused(
            f"hubspot: the token was refused ({category or 'INVALID_AUTHENTICATION'}); check HUBSPOT_TOKEN: it is the "
            "access token of a private app of this account",
            401,
            category,
        )
    if answer.status == 403:
        scopes = missing_scopes(data)
        wanted = f"the app lacks the scope {' or '.join(scopes)}; add it to the private app" if scopes else said
        return Refused(f"hubspot: {path}: {wanted}", 403, category, scopes)
    if answer.status in LOCKED:
        return TransientFailure(
            f"hubspot: {path}: locked for the moment ({answer.status})", retry_after=retry_after(answer.headers) or 2.0
        )
    if answer.status in TRANSIENT_STATUSES or not data:
        return None
    return Refused(f"hubspot: {path}: refused with status {answer.status}: {category}: {said}", answer.status, category)


def missing_scopes(data: JsonObject) -> tuple[str, ...]:
    """The scopes an error names as missing: any one of them would do."""
    found: list[str] = []
    for error in data.get("errors") or ():
        context = error.get("context") if isinstance(error, dict) else None
        for key in ("requiredGranularScopes", "requiredScopes"):
            named = context.get(key) if isinstance(context, dict) else None
            found += [str(scope) for scope in named] if isinstance(named, list) else []
    return tuple(dict.fromkeys(found))


def _ids(items: Sequence[Any]) -> list[Any]:
    return [item.get("id") for item in items if isinstance(item, dict)]


def next_after(data: JsonObject) -> str:
    """Where the next page begins; empty at the end. The `link` beside it is never followed."""
    paging = data.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    value = following.get("after") if isinstance(following, dict) else None
    return str(value) if value not in (None, "") else ""


def _has_results(what: str) -> Accept:
    def accept(data: JsonObject) -> None:
        if not isinstance(data.get("results"), list):
            raise TransientFailure(f"hubspot: {what} came without results")

    return accept


def _complete(what: str) -> Accept:
    def accept(data: JsonObject) -> None:
        _has_results(what)(data)
        if data.get("status", "COMPLETE") != "COMPLETE":
            raise TransientFailure(f"hubspot: {what} is {data['status']}, not complete")

    return accept


def _whole_associations(what: str) -> Accept:
    def accept(data: JsonObject) -> None:
        _complete(what)(data)
        for error in _errors(data):
            if error.get("subCategory") != NO_ASSOCIATIONS and error.get("category") != NOT_FOUND:
                words = f"{error.get('category')}: {error.get('message')}"
                raise TransientFailure(f"hubspot: {what} came with an error: {words}")

    return accept


def _check_search(kind: str, data: JsonObject, last: int) -> None:
    total, results = _whole(data.get("total")), data.get("results")
    if total is None or not isinstance(results, list):
        raise TransientFailure(f"hubspot: a search of {kind} came without results or their number")
    if len(results) < min(total, SEARCH_LIMIT):
        raise TransientFailure(f"hubspot: a search of {kind} announces {total} records and brings {len(results)}")
    for item in results:
        identity = _whole(item.get("id") if isinstance(item, dict) else None)
        if identity is None or identity <= last:
            raise TransientFailure(f"hubspot: a search of {kind} is not in the order of ids that was asked for")
        last = identity


def _errors(data: JsonObject) -> list[JsonObject]:
    errors = data.get("errors")
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    if not found and _whole(data.get("numErrors")):
        raise TransientFailure(f"hubspot: a batch counts {data['numErrors']} errors and names none")
    return found


def _context_ids(error: JsonObject, *keys: str) -> set[str]:
    context = error.get("context")
    found: set[str] = set()
    for key in keys:
        value = context.get(key) if isinstance(context, dict) else None
        found |= {str(each) for each in value} if isinstance(value, list) else ({str(value)} if value else set())
    return found


def _whole(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else None

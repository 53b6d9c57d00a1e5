"""Speaking GraphQL with Shopify: token, API version, cost-aware pacing, error bodies.

Belongs here: one request and what its answer means; one connection read to its end. Does not belong
here: which entities are read (`source.py`), bulk operations (`bulk.py`).

Cost. A query's *requested* cost is taken from a leaky bucket when it starts and the unused part given
back when it ends, so pacing waits until the bucket holds what the next query will ask for, learnt from
earlier queries of the same kind.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ops_platform.failures import PermanentFailure, TransientFailure
from ops_platform.records import JsonObject
from ops_platform.sealed import Sealed, Secret
from resources.http import Answer, HttpClient, RetryPolicy, retry_after
from resources.shopify.documents import operation

log = logging.getLogger(__name__)

LARGEST_PAGE = 250
# Of whole records: an answer and what is read out of it stand in memory together, and a page is what a fault repeats.
LARGEST_PAGE_OF_RECORDS = 40
# A connection shows at most 25,000 objects to one cursor walk; stop well before and start a new walk.
LONGEST_WALK = 20_000
# A single query may cost 1,000 points; a little room is left for rounding of the vendor's own estimate.
LARGEST_COST = 950.0
TOKEN_MARGIN_SECONDS = 300.0
SHORTEST_THROTTLE_WAIT = 0.5
GRAPHQL_RETRY = RetryPolicy(tries=10, budget_seconds=300.0)

Accept = Callable[[JsonObject], None]


class Unauthorised(PermanentFailure):
    """The token was refused; a new one may be accepted."""


class CostTooHigh(PermanentFailure):
    """The query asks for more than a single query may cost; a smaller page may pass."""


@dataclass(slots=True)
class Bucket:
    """What is known of the vendor's cost bucket, as of the last answer (`at` in clock seconds)."""

    available: float | None = None
    restore_rate: float = 0.0
    maximum: float = 0.0
    at: float = 0.0

    def wait_for(self, cost: float, now: float) -> float:
        """Seconds until `cost` points are there; 0 when nothing is known yet."""
        if self.available is None or self.restore_rate <= 0:
            return 0.0
        held = min(self.maximum or cost, self.available + (now - self.at) * self.restore_rate)
        return max(0.0, (min(cost, self.maximum or cost) - held) / self.restore_rate)


@dataclass(slots=True)
class Gauge:
    """The learnt requested cost of one operation: a fixed part is not worth telling apart."""

    cost_per_item: float = 0.0

    def learn(self, requested: float, items: int) -> None:
        if items > 0:
            self.cost_per_item = requested / items

    def largest(self, wanted: int) -> int:
        """The most items of `wanted` that fit into one query; a cautious start before anything is known."""
        if self.cost_per_item <= 0:
            return min(wanted, 5)
        return max(1, min(wanted, int(LARGEST_COST / self.cost_per_item)))


@dataclass(slots=True)
class Walk:
    """The state of one walk along a connection, for the caller to look at between pages."""

    nodes_read: int = 0
    next_wait: float = 0.0
    done: bool = False


@dataclass(slots=True)
class ShopifyClient:
    """GraphQL over `http`. `version` is `YYYY-MM`. Opens nothing until first used."""

    http: HttpClient
    client_id: str
    client_secret: Secret
    version: str
    bucket: Bucket = field(default_factory=Bucket)
    spent: Decimal = Decimal(0)
    # Bytes of the last answer.
    answered: int = 0
    scopes: frozenset[str] = frozenset()
    _gauges: dict[str, Gauge] = field(default_factory=dict)
    _token: Secret | None = None
    _token_expires: float = 0.0
    _last_requested: float = 0.0

    # -- one request ------------------------------------------------------------------------------------

    def run(
        self, name: str, variables: Mapping[str, Any] | None = None, *, items: int = 0, accept: Accept | None = None
    ) -> JsonObject:
        """Run the operation `name` of `queries/` and return its `data`. `items` is the page size, from which the
        cost of the next page is learnt; `accept` may refuse an answer (raising `TransientFailure`), which is
        then asked for again."""
        return self.run_text(operation(name), variables, label=name, items=items, accept=accept)

    def run_text(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        label: str,
        items: int = 0,
        accept: Accept | None = None,
    ) -> JsonObject:
        """Run any GraphQL text; see `run`."""
        gauge = self._gauges.setdefault(label, Gauge())
        expected = gauge.cost_per_item * max(items, 1)
        body = {"query": document, "variables": dict(variables or {})}

        def prepare() -> dict[str, str]:
            pause = self.bucket.wait_for(expected, self.http.clock())
            if pause > 0:
                log.debug("shopify: waiting %.1f s for %.0f points", pause, expected)
                self.http.sleep(pause)
            return {"X-Shopify-Access-Token": self._current_token().get_secret_value()}

        def judge(answer: Answer) -> None:
            self._judge(answer, label)
            if self._last_requested:
                gauge.learn(self._last_requested, max(items, 1))
            if accept is not None and answer.status < 400:
                accept(answer.data["data"])

        path = f"/admin/api/{self.version}/graphql.json"
        try:
            answer = self.http.call("POST", path, json_body=body, headers=prepare, judge=judge, retry=GRAPHQL_RETRY)
        except Unauthorised:
            # Tokens live 24 hours and can be revoked earlier; once, a fresh one is worth a try.
            self._token = None
            answer = self.http.call("POST", path, json_body=body, headers=prepare, judge=judge, retry=GRAPHQL_RETRY)
        self.answered = answer.size
        data: JsonObject = answer.data["data"]
        return data

    def _judge(self, answer: Answer, label: str) -> None:
        status, data = answer.status, answer.data
        if status == 401:
            raise Unauthorised(f"shopify: the access token was refused: {_plain_error(data) or answer.excerpt}")
        if status == 404:
            raise PermanentFailure(
                f"shopify: {self.http.base_url} has no Admin API {self.version}: check SHOPIFY_SHOP and "
                "SHOPIFY_API_VERSION"
            )
        if status in (402, 423):
            raise PermanentFailure(f"shopify: the shop is closed to the API (status {status})")
        if not isinstance(data, dict):
            if status < 400:
                raise TransientFailure(f"shopify: {label}: {answer.excerpt or 'the answer is not an object'}")
            return
        self._note_cost(answer, data)
        if data.get("errors"):
            self._raise_errors(answer, data["errors"], label)
        if status >= 400:
            return
        served = answer.headers.get("x-shopify-api-version")
        if served is not None and served != self.version:
            raise PermanentFailure(
                f"shopify: version {self.version} is not supported, the shop answered with {served}; set "
                "SHOPIFY_API_VERSION to a version it supports"
            )
        for entry in _as_list((data.get("extensions") or {}).get("search")):
            warnings = entry.get("warnings") if isinstance(entry, dict) else None
            if warnings:
                said = "; ".join(
                    str(item.get("message", item)) if isinstance(item, dict) else str(item) for item in warnings
                )
                raise PermanentFailure(f"shopify: {label}: the search filter was ignored in part: {said}")
        if not isinstance(data.get("data"), dict):
            raise TransientFailure(f"shopify: {label}: the answer has neither data nor errors")

    def _note_cost(self, answer: Answer, data: JsonObject) -> None:
        self._last_requested = 0.0
        cost = (data.get("extensions") or {}).get("cost")
        if not isinstance(cost, dict):
            return
        self._last_requested = _number(cost.get("requestedQueryCost"))
        actual = cost.get("actualQueryCost")
        if actual is not None:
            self.spent += Decimal(str(actual))
        throttle = cost.get("throttleStatus")
        if isinstance(throttle, dict):
            self.bucket.available = _number(throttle.get("currentlyAvailable"))
            self.bucket.restore_rate = _number(throttle.get("restoreRate"))
            self.bucket.maximum = _number(throttle.get("maximumAvailable"))
            self.bucket.at = self.http.clock()

    def _raise_errors(self, answer: Answer, errors: Any, label: str) -> None:
        if isinstance(errors, str):
            if answer.status == 429 or answer.status >= 500:
                raise TransientFailure(f"shopify: {errors}", retry_after=self._throttle_wait(answer))
            raise PermanentFailure(f"shopify: {label}: {self.http.redact(errors)}")
        entries = [item if isinstance(item, dict) else {"message": str(item)} for item in _as_list(errors)]
        codes = {str((item.get("extensions") or {}).get("code", "")) for item in entries}
        text = self.http.redact("; ".join(str(item.get("message", "no message")) for item in entries[:3]))
        if "THROTTLED" in codes or answer.status == 429:
            raise TransientFailure(f"shopify: {label}: throttled", retry_after=self._throttle_wait(answer))
        if "MAX_COST_EXCEEDED" in codes:
            raise CostTooHigh(f"shopify: {label}: {text}")
        if "ACCESS_DENIED" in codes:
            raise PermanentFailure(f"shopify: {label}: access denied; grant the app {_missing_scope(entries)}: {text}")
        if answer.status >= 500 or codes & {"INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"}:
            raise TransientFailure(f"shopify: {label}: {text}", retry_after=retry_after(answer.headers))
        raise PermanentFailure(f"shopify: {label}: {text}")

    def _throttle_wait(self, answer: Answer) -> float:
        asked = retry_after(answer.headers)
        if asked is not None:
            return asked
        needed = self._last_requested or self.bucket.maximum / 2
        return max(SHORTEST_THROTTLE_WAIT, self.bucket.wait_for(needed, self.http.clock()))

    # -- token ------------------------------------------------------------------------------------------

    def _current_token(self) -> Secret:
        if self._token is None or self.http.clock() >= self._token_expires:
            self._token = self._fetch_token()
        return self._token

    def _fetch_token(self) -> Secret:
        secret = self.client_secret.get_secret_value()
        self.http.keep_secret(secret)

        def judge(answer: Answer) -> None:
            if answer.status in (400, 401, 403):
                why = _plain_error(answer.data) or answer.excerpt
                raise PermanentFailure(
                    f"shopify: the client credentials were refused: {self.http.redact(why)}; check SHOPIFY_CLIENT_ID, "
                    "SHOPIFY_CLIENT_SECRET and that the app is installed in this shop"
                )
            if answer.status == 404:
                raise PermanentFailure(f"shopify: there is no shop at {self.http.base_url}; check SHOPIFY_SHOP")

        answer = self.http.call(
            "POST",
            "/admin/oauth/access_token",
            form={"client_id": self.client_id, "client_secret": secret, "grant_type": "client_credentials"},
            judge=judge,
        )
        token = answer.data.get("access_token") if isinstance(answer.data, dict) else None
        if not isinstance(token, str) or not token:
            raise PermanentFailure("shopify: the token endpoint answered without an access token")
        self.http.keep_secret(token)
        lifetime = _number(answer.data.get("expires_in")) or 86_399.0
        self._token_expires = self.http.clock() + max(lifetime - TOKEN_MARGIN_SECONDS, lifetime / 2)
        self.scopes = frozenset(
            part for part in str(answer.data.get("scope") or "").replace(" ", ",").split(",") if part
        )
        return Sealed(token)

    # -- connections ------------------------------------------------------------------------------------

    def walk(
        self,
        name: str,
        root: str,
        variables: Mapping[str, Any],
        *,
        largest_page: int = LARGEST_PAGE,
        resume: Callable[[JsonObject], str | None] | None = None,
        state: Walk | None = None,
    ) -> Iterator[list[JsonObject]]:
        """Yield the nodes of the root connection `root`, page by page, to its end.

        The page size follows the cost. `resume` makes, from the last node seen, the search filter that begins
        a new walk there, for connections longer than one cursor may go. A page that repeats is asked for
        again and then fails: it would otherwise be a silent hole or an endless loop."""
        state = state or Walk()
        gauge = self._gauges.setdefault(name, Gauge())
        after: str | None = None
        search = variables.get("query")
        seen: set[str] = set()
        previous: tuple[Any, ...] = ()
        walked = 0
        while True:
            size = gauge.largest(largest_page)
            if resume is not None:
                size = min(size, LONGEST_WALK - walked)

            def accept(data: JsonObject, after: str | None = after, previous: tuple[Any, ...] = previous) -> None:
                check_page(data.get(root), name, after, seen, previous)

            try:
                data = self.run(
                    name, {**variables, "query": search, "first": size, "after": after}, items=size, accept=accept
                )
            except CostTooHigh:
                if size == 1:
                    raise
                gauge.learn(2 * LARGEST_COST, size)
                continue
            connection = data[root]
            nodes: list[JsonObject] = connection["nodes"]
            state.nodes_read += len(nodes)
            walked += len(nodes)
            previous = page_identity(nodes)
            info = connection["pageInfo"]
            state.done = not info["hasNextPage"]
            state.next_wait = self.bucket.wait_for(gauge.cost_per_item * gauge.largest(largest_page), self.http.clock())
            anew = resume is not None and walked >= LONGEST_WALK and bool(nodes)
            following = resume(nodes[-1]) if resume is not None and anew else None
            yield nodes
            # One page at a time: while the next one is fetched and read, this one is gone.
            del data, connection, nodes
            if state.done:
                return
            after = info["endCursor"]
            seen.add(str(after))
            if anew:
                walked = 0
                if following is not None and following != search:
                    search, after = following, None
                    seen.clear()
                    previous = ()

    def rest(self, name: str, owner: str, after: str, path: Sequence[str] = ("node",)) -> Iterator[JsonObject]:
        """Yield the nodes of a nested connection that follow the cursor `after`; `path` leads to their owner."""
        seen = {after}
        cursor = after
        previous: tuple[Any, ...] = ()
        gauge = self._gauges.setdefault(name, Gauge())
        while True:
            size = gauge.largest(LARGEST_PAGE) if gauge.cost_per_item else 50

            def accept(data: JsonObject, after: str = cursor, previous: tuple[Any, ...] = previous) -> None:
                check_page(_below(data, path, name).get("more"), name, after, seen, previous)

            try:
                data = self.run(name, {"id": owner, "first": size, "after": cursor}, items=size, accept=accept)
            except CostTooHigh:
                if size == 1:
                    raise
                gauge.learn(2 * LARGEST_COST, size)
                continue
            connection = _below(data, path, name)["more"]
            yield from connection["nodes"]
            if not connection["pageInfo"]["hasNextPage"]:
                return
            previous = page_identity(connection["nodes"])
            cursor = connection["pageInfo"]["endCursor"]
            seen.add(cursor)

    def batches(
        self, name: str, ids: Sequence[str], variables: Mapping[str, Any]
    ) -> Iterator[tuple[Sequence[str], list[Any]]]:
        """Run `name` over `ids` in batches as large as the cost allows; yields (ids asked, nodes answered)."""
        gauge = self._gauges.setdefault(name, Gauge())
        position = 0
        while position < len(ids):
            batch = ids[position : position + gauge.largest(LARGEST_PAGE)]
            wanted = len(batch)

            def accept(data: JsonObject, wanted: int = wanted) -> None:
                answered = data.get("nodes")
                if not isinstance(answered, list) or len(answered) != wanted:
                    raise TransientFailure(f"shopify: {name}: asked for {wanted} nodes, got another number")

            try:
                data = self.run(name, {**variables, "ids": list(batch)}, items=wanted, accept=accept)
            except CostTooHigh:
                if wanted == 1:
                    raise
                gauge.learn(2 * LARGEST_COST, wanted)
                continue
            yield batch, data["nodes"]
            position += wanted


def page_identity(nodes: Sequence[Any]) -> tuple[Any, ...]:
    """What tells one page from another: the ids on it, in order."""
    return tuple(node.get("id") if isinstance(node, dict) else None for node in nodes)


def check_page(connection: Any, name: str, after: str | None, seen: set[str], previous: tuple[Any, ...]) -> None:
    """Raise `TransientFailure` unless `connection` is a page that leads onward (or ends)."""
    if not isinstance(connection, dict) or not isinstance(connection.get("nodes"), list):
        raise TransientFailure(f"shopify: {name}: the page has no nodes")
    info = connection.get("pageInfo")
    if not isinstance(info, dict) or not isinstance(info.get("hasNextPage"), bool):
        raise TransientFailure(f"shopify: {name}: the page does not say whether another follows")
    nodes = connection["nodes"]
    if nodes and page_identity(nodes) == previous:
        raise TransientFailure(f"shopify: {name}: the same page came twice")
    if info["hasNextPage"]:
        cursor = info.get("endCursor")
        if not isinstance(cursor, str) or not cursor:
            raise TransientFailure(f"shopify: {name}: another page follows but there is no cursor to it")
        if cursor == after or cursor in seen:
            raise TransientFailure(f"shopify: {name}: the cursor leads back to a page already read")


def _below(data: JsonObject, path: Sequence[str], name: str) -> JsonObject:
    value: Any = data
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise TransientFailure(f"shopify: {name}: the record vanished while its list was being read")
    return value


def _missing_scope(entries: Sequence[JsonObject]) -> str:
    for entry in entries:
        required = (
            str((entry.get("extensions") or {}).get("requiredAccess") or "") + " " + str(entry.get("message", ""))
        )
        scopes = re.findall(r"\b(?:read|write)_[a-z_]+", required)
        if scopes:
            return "the scope " + " or ".join(dict.fromkeys(scopes))
    return "the missing scope"


def _plain_error(data: Any) -> str:
    if not isinstance(data, dict):
        return ""
    errors = data.get("errors") or data.get("error_description") or data.get("error") or ""
    if isinstance(errors, list):
        return "; ".join(str(item.get("message", item)) if isinstance(item, dict) else str(item) for item in errors[:3])
    code = data.get("error")
    return f"{code}: {errors}" if code and code != errors else str(errors)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0

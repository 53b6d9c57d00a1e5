"""Klaviyo over HTTP: keys, scopes, revisions, query parameters, paging, limits, JSON:API documents.

Belongs here: what Klaviyo answers to whom. Does not belong here: state (`account.py`), totals and reports
(`reports.py`), the filter language (`filters.py`).

The account is built at the first request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.company import Company
from sandbox.exchange import note
from sandbox.faults import FaultPlan
from sandbox.hooks import Clock
from sandbox.klaviyo import reports
from sandbox.klaviyo.account import Account, Happening, Json, Resource
from sandbox.klaviyo.drafts import OPERATIONS, Drafts, NotMade, Operation
from sandbox.klaviyo.filters import BadFilter, Condition, holds, moment, parse
from sandbox.klaviyo.limits import RateLimits
from sandbox.klaviyo.reports import BadBody
from sandbox.refusals import refusal
from sandbox.vendor_side import MadeOnce, Side

if TYPE_CHECKING:
    from sandbox.ledger import SqliteLedger

KEY = "pk_sandbox"
DRAFTS_KEY = "pk_sandbox_drafts"
REVISION = "2026-07-15"
MEDIA_TYPE = "application/vnd.api+json"
_ALL = frozenset(
    "accounts:read campaigns:read events:read flows:read lists:read segments:read metrics:read".split()
)  # fmt: skip
# Keys and their scopes. Any other key is refused.
KEYS: dict[str, frozenset[str]] = {
    KEY: _ALL,
    "pk_sandbox_campaigns": frozenset({"accounts:read", "campaigns:read", "metrics:read"}),
    "pk_sandbox_no_account": _ALL - {"accounts:read"},
    DRAFTS_KEY: frozenset(
        "accounts:read campaigns:read campaigns:write events:read lists:read lists:write metrics:read profiles:write"
        " templates:read templates:write".split()
    ),
    # As people often make it: what can be seen can be made, but not the texts on profiles.
    "pk_sandbox_no_profiles": frozenset(
        "accounts:read campaigns:read campaigns:write events:read lists:read lists:write metrics:read templates:read"
        " templates:write".split()
    ),
}
_PAGE_FAULTS = frozenset({"repeat_page", "empty_page", "short_page", "duplicate_rows", "foreign_next"})
_REFUSALS = frozenset({"daily_quota", "throttled", "revision_retired"})
SEMANTIC_FAULTS = _PAGE_FAULTS | _REFUSALS | {"null_value", "null_id"}

_RANGE = frozenset({"greater-or-equal", "greater-than", "less-or-equal", "less-than"})
_ANY = frozenset({"any"})
_EQUALS = frozenset({"equals"})


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing endpoint takes. `page_size` is (default, largest), None where there is no `page[size]`."""

    kind: str
    scope: str
    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sorts: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()
    page_size: tuple[int, int] | None = None
    fields: frozenset[str] = frozenset()


LISTINGS: dict[str, Listing] = {
    "accounts": Listing("account", "accounts:read", fields=frozenset({"account"})),
    "campaigns": Listing(
        "campaign",
        "campaigns:read",
        {
            "id": _ANY, "messages.channel": _EQUALS, "name": frozenset({"contains"}), "status": _ANY | _EQUALS,
            "archived": _EQUALS, "created_at": _RANGE, "scheduled_at": _RANGE, "updated_at": _RANGE,
        },
        frozenset({"created_at", "id", "name", "scheduled_at", "updated_at"}),
        frozenset({"campaign-messages", "tags"}),
        (100, 100),
        frozenset({"campaign", "campaign-message", "tag"}),
    ),
    "events": Listing(
        "event",
        "events:read",
        {
            "metric_id": _EQUALS, "profile_id": _EQUALS, "metric": frozenset({"has"}),
            "profile": frozenset({"has"}), "datetime": _RANGE, "timestamp": _RANGE,
        },
        frozenset({"datetime", "timestamp"}),
        frozenset({"attributions", "metric", "profile"}),
        (200, 1000),
        frozenset({"event", "attribution", "metric", "profile"}),
    ),
    "flows": Listing(
        "flow",
        "flows:read",
        {
            "id": _ANY, "name": frozenset({"contains", "ends-with", "equals", "starts-with"}), "status": _EQUALS,
            "archived": _EQUALS, "created": _RANGE | _EQUALS, "updated": _RANGE | _EQUALS, "trigger_type": _EQUALS,
        },
        frozenset({"created", "id", "name", "status", "trigger_type", "updated"}),
        frozenset({"flow-actions", "tags"}),
        (50, 50),
        frozenset({"flow", "flow-action", "tag"}),
    ),
    "lists": Listing(
        "list",
        "lists:read",
        {
            "name": _ANY | _EQUALS, "id": _ANY | _EQUALS, "created": frozenset({"greater-than"}),
            "updated": frozenset({"greater-than"}),
        },
        frozenset({"created", "id", "name", "updated"}),
        frozenset({"flow-triggers", "tags"}),
        (10, 10),
        frozenset({"list", "flow", "tag"}),
    ),
    "segments": Listing(
        "segment",
        "segments:read",
        {
            "name": _ANY | _EQUALS, "id": _ANY | _EQUALS, "created": frozenset({"greater-than"}),
            "updated": frozenset({"greater-than"}), "is_active": _ANY | _EQUALS, "is_starred": _EQUALS,
        },
        frozenset({"created", "id", "name", "updated"}),
        frozenset({"flow-triggers", "tags"}),
        (10, 10),
        frozenset({"segment", "flow", "tag"}),
    ),
    "metrics": Listing(
        "metric",
        "metrics:read",
        {"integration.name": _EQUALS, "integration.category": _EQUALS},
        includes=frozenset({"flow-triggers"}),
        fields=frozenset({"metric", "flow"}),
    ),
}  # fmt: skip
# Listed only where something is made.
MADE_LISTINGS: dict[str, Listing] = {
    "templates": Listing(
        "template",
        "templates:read",
        {
            "id": _ANY | _EQUALS,
            "name": _ANY | _EQUALS,
            "created": _RANGE | _EQUALS,
            "updated": _RANGE | _EQUALS,
        },
        frozenset({"created", "id", "name", "updated"}),
        page_size=(10, 10),
        fields=frozenset({"template"}),
    ),
}
EVERY_LISTING = {**LISTINGS, **MADE_LISTINGS}
REPORTS = {
    "metric-aggregates": "metrics:read",
    "campaign-values-reports": "campaigns:read",
    "flow-values-reports": "flows:read",
}
PATHS = tuple(f"/api/{name}" for name in (*EVERY_LISTING, *REPORTS))
# Below these paths nothing is Slack's, whose one route takes the rest of /api/.
MORE_PATHS = tuple({path.partition("{")[0].rstrip("/") for _, path in OPERATIONS} - set(PATHS))
METRICS_A_PAGE = 200
_CODES = {
    400: "invalid", 401: "not_authenticated", 403: "permission_denied", 404: "not_found", 405: "method_not_allowed",
    409: "conflict", 410: "gone", 415: "unsupported_media_type", 429: "throttled",
}  # fmt: skip


class Refused(Exception):
    """An answer of 400 or more."""

    def __init__(self, status: int, title: str, detail: str, **source: str) -> None:
        super().__init__(detail)
        self.status = status
        self.error = {
            "id": hashlib.sha256(detail.encode()).hexdigest()[:32],
            "status": status,
            "code": _CODES.get(status, "error"),
            "title": title,
            "detail": detail,
            "source": source or {"pointer": "/data/"},
        }


def invalid(detail: str, **source: str) -> Refused:
    return Refused(400, "Invalid input.", detail, **source)


class KlaviyoSide(Side):
    """The Klaviyo side of the sandbox."""

    vendor = "klaviyo"

    def __init__(
        self,
        company: Company,
        *,
        clock: Clock,
        faults: FaultPlan,
        profile: str = "generous",
        ledger: SqliteLedger | None = None,
    ) -> None:
        self._company = company
        self._drafts = Drafts(ledger, clock)
        self._clock = clock
        self._faults = faults
        self.limits = RateLimits(profile)
        self._account = MadeOnce(self._open_account)
        # The last answer to a listing, for the fault that shows it again.
        self._last: dict[str, Json] = {}
        self._shown: dict[str, Happening] = {}

    @property
    def account(self) -> Account:
        return self._account()

    def _open_account(self) -> Account:
        account = Account(self._company, self._clock)
        self._drafts.enter(account)
        return account

    def load(self, company: Company) -> None:
        """Serve another company (the clock moved); changes from outside are made again by the sandbox."""
        self._company = company
        self._account.forget()

    def warm(self) -> None:
        self._account()

    @property
    def profile(self) -> str:
        return self.limits.profile

    @profile.setter
    def profile(self, name: str) -> None:
        self.limits.profile = name

    def environment(self, url: str) -> dict[str, str]:
        if self._company.source == "csv":
            return {}
        return {
            "KLAVIYO_BASE_URL": url, "KLAVIYO_API_KEY": KEY, "KLAVIYO_REVISION": REVISION,
            "KLAVIYO_DRAFTS_API_KEY": DRAFTS_KEY,
        }  # fmt: skip

    def mutate(self, op: str, data: Mapping[str, Any]) -> Any:
        return self.account.change(op, data)

    def routes(self) -> list[Route]:
        methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        found = [
            Route(f"{path}{slash}", partial(self._make, operation), methods=[method])
            for (method, path), operation in OPERATIONS.items() for slash in ("", "/")
        ]  # fmt: skip
        found += [Route("/api/campaigns/{identity}", self._serve, methods=["GET"])]
        return [
            *found,
            *(Route(f"{path}{slash}", self._serve, methods=methods) for path in PATHS for slash in ("", "/")),
        ]

    # HTTP -------------------------------------------------------------------------------------------------

    async def _make(self, operation: Operation, request: Request) -> Response:
        """A writing request: admitted, counted, done, and only then answered."""
        note(operation=f"{request.method} {operation.name}")
        identity = str(request.path_params.get("identity", ""))
        body = await request.body()
        headers: dict[str, str] = {}
        try:
            self._admit(request, operation.scopes)
            wait, headers = self.limits.take(operation.limit)
            if wait is None:
                status, answer = self._made(operation, request, body, identity)
            else:
                refused, content = refusal("klaviyo", 429, {"retry_after": wait})
                return Response(content, 429, headers=dict(refused))
        except Refused as refused_:
            status, answer = refused_.status, {"errors": [refused_.error]}
        content = b"" if answer is None else orjson.dumps(answer)
        return Response(content, status, headers=headers, media_type=None if answer is None else MEDIA_TYPE)

    def _made(self, operation: Operation, request: Request, body: bytes, identity: str) -> tuple[int, Json | None]:
        media = request.headers.get("content-type", "").partition(";")[0].strip()
        if media not in (MEDIA_TYPE, "application/json"):
            raise Refused(415, "Unsupported media type.", f"Unsupported media type '{media}' in request.")
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict):
            raise invalid("The payload provided in the request is invalid.", pointer="/data")
        _ = self.account  # what was made is in it
        try:
            return operation.make(self._drafts, asked, identity)
        except NotMade as not_made:
            title = "Invalid input." if not_made.status == 400 else "Not done."
            raise Refused(not_made.status, title, str(not_made), pointer=not_made.pointer) from None

    async def _serve(self, request: Request) -> Response:
        name = request.url.path.removeprefix("/api/").rstrip("/").partition("/")[0]
        note(operation=name)
        headers: dict[str, str] = {}
        status = 200
        body = await request.body()
        try:
            self._admit(request, (EVERY_LISTING[name].scope if name in EVERY_LISTING else REPORTS[name],))
            # Reports alone have a day's quota.
            known = _REFUSALS if name.endswith("values-reports") else _REFUSALS - {"daily_quota"}
            armed = self._faults.take_fault("klaviyo", name, known)
            if armed is not None and armed.name == "revision_retired":
                raise Refused(410, "Gone.", f"The revision {request.headers.get('revision')} has been retired.")
            wait, headers = self.limits.take(name)
            if armed is not None:
                default = 36_000 if armed.name == "daily_quota" else 1
                wait = int(armed.options.get("retry_after", default))
            if wait is not None:
                refused, content = refusal("klaviyo", 429, {"retry_after": wait})
                return Response(content, 429, headers=dict(refused))
            base = str(request.base_url).rstrip("/")
            if name in REPORTS:
                answer = self._report(name, request, body, base)
            elif "identity" in request.path_params:
                answer = self._one(name, str(request.path_params["identity"]), request.query_params, base)
            else:
                if request.method != "GET":
                    raise Refused(405, "Method not allowed.", f'Method "{request.method}" not allowed.')
                answer = self._listing(name, request.query_params.multi_items(), base)
        except Refused as refused_:
            status, answer = refused_.status, {"errors": [refused_.error]}
        return Response(orjson.dumps(answer), status, headers=headers, media_type=MEDIA_TYPE)

    def _admit(self, request: Request, scopes: Sequence[str]) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if not key:
            raise Refused(401, "Authentication credentials were not provided.", "Missing or invalid authorization.")
        if scheme != "Klaviyo-API-Key" or key not in KEYS:
            raise Refused(401, "Incorrect authentication credentials.", "Missing or invalid private key.")
        revision = request.headers.get("revision", "")
        if not revision:
            raise Refused(400, "Invalid input.", "A revision header is required.", pointer="/headers/revision")
        try:
            dated = date.fromisoformat(revision.partition(".")[0])
        except ValueError:
            raise Refused(400, "Invalid input.", f"The revision '{revision}' is not a date.") from None
        if dated < self.account.retired_before:
            raise Refused(410, "Gone.", f"The revision {revision} has been retired.")
        missing = [scope for scope in scopes if scope not in KEYS[key]]
        if missing:
            detail = f"The API key is missing the following required scopes: {', '.join(missing)}"
            raise Refused(403, "You do not have permission to perform this action.", detail)

    # Listings -----------------------------------------------------------------------------------------------

    def _listing(self, name: str, items: Sequence[tuple[str, str]], base: str) -> Json:
        listing, query = EVERY_LISTING[name], dict(items)
        self._check_parameters(listing, query)
        size = self._page_size(listing, query)
        include = [each for each in query.get("include", "").split(",") if each]
        try:
            conditions = parse(query["filter"], listing.filters) if query.get("filter") else []
            if name == "campaigns" and not any(each.field == "messages.channel" for each in conditions):
                raise BadFilter("A channel filter is required to list campaigns.")
            rows, following = self._rows(name, conditions, query, size)
        except BadFilter as bad:
            raise invalid(str(bad), parameter="filter") from None
        armed = self._faults.take_fault("klaviyo", name, _PAGE_FAULTS | {"null_value", "null_id"})
        fault = armed.name if armed is not None else None
        here = {key: value for key, value in query.items() if key != "page[cursor]"}
        # A repeated page is one of the same question: the same fields of the same records.
        question = f"{name}?{urlencode(sorted(here.items()))}"
        if fault == "repeat_page" and question in self._last:
            return self._last[question]
        if fault == "empty_page":
            rows, following = [], None
        elif fault == "short_page":
            rows, following = rows[: len(rows) // 2], None
        elif fault == "duplicate_rows":
            rows = [*rows, *rows]
        note(records=len(rows))
        answer = self._document(name, rows, include, _sparse(query), base)
        if fault == "null_id" and answer["data"]:
            answer["data"][0]["id"] = None
        if fault == "null_value" and answer["data"] and name == "events":
            answer["data"][0]["attributes"]["event_properties"] = {"$value": "a lot"}
        links = {"self": f"{base}/api/{name}?{urlencode(query)}" if query else f"{base}/api/{name}"}
        if following is not None:
            host = "https://elsewhere.example" if fault == "foreign_next" else base
            links["next"] = f"{host}/api/{name}?{urlencode({**here, 'page[cursor]': following})}"
        answer["links"] = links
        if fault is None:
            self._last[question] = answer
        return answer

    def _one(self, name: str, identity: str, query: Mapping[str, str], base: str) -> Json:
        found = self.account.objects[EVERY_LISTING[name].kind].get(identity)
        if found is None:
            raise Refused(404, "Not found.", f"A {EVERY_LISTING[name].kind} with id {identity} does not exist.")
        include = [each for each in query.get("include", "").split(",") if each]
        if set(include) - EVERY_LISTING[name].includes:
            raise invalid(f"'{query['include']}' cannot be included.", parameter="include")
        answer = self._document(name, [found], include, _sparse(query), base)
        return {**answer, "data": answer["data"][0]}

    def _check_parameters(self, listing: Listing, query: Mapping[str, str]) -> None:
        for name, value in query.items():
            if name.startswith("fields["):
                if name[7:-1] not in listing.fields:
                    raise invalid(f"'{name}' is not a valid fieldset for this resource.", parameter=name)
            elif name == "filter":
                if not listing.filters:
                    raise invalid("This resource cannot be filtered.", parameter="filter")
            elif name == "sort":
                if value.removeprefix("-") not in listing.sorts:
                    raise invalid(f"'{value}' is not a valid sort key for this resource.", parameter="sort")
            elif name == "include":
                unknown = {each for each in value.split(",") if each} - listing.includes
                if unknown:
                    raise invalid(f"'{', '.join(sorted(unknown))}' cannot be included.", parameter="include")
            elif name == "page[size]":
                if listing.page_size is None:
                    raise invalid("'page[size]' is not a valid parameter for this resource.", parameter=name)
            elif name != "page[cursor]" or listing.kind == "account":
                raise invalid(f"'{name}' is not a valid parameter for this resource.", parameter=name)

    def _page_size(self, listing: Listing, query: Mapping[str, str]) -> int:
        if listing.page_size is None:
            return METRICS_A_PAGE
        default, largest = listing.page_size
        text = query.get("page[size]", str(default))
        if not text.isdigit() or not 1 <= int(text) <= largest:
            raise invalid(f"Page size must be an integer between 1 and {largest}.", parameter="page[size]")
        return int(text)

    def _rows(
        self, name: str, conditions: Sequence[Condition], query: Mapping[str, str], size: int
    ) -> tuple[list[Resource], str | None]:
        mark = hashlib.sha256(f"{query.get('filter')}|{query.get('sort')}".encode()).hexdigest()[:8]
        after = _read_cursor(query["page[cursor]"], mark) if query.get("page[cursor]") else None
        if name == "events":
            return self._event_rows(conditions, query.get("sort", "-datetime"), after, size, mark)
        if name == "accounts":
            return [self.account.account()], None
        found = [
            each
            for each in self.account.objects[EVERY_LISTING[name].kind].values()
            if all(holds(condition, _of(each, condition.field)) for condition in conditions)
        ]
        default = {"campaigns": "-created_at", "metrics": "id"}.get(name, "id")
        sort = query.get("sort", default)
        down, key = sort.startswith("-"), sort.removeprefix("-")

        def place(each: Resource) -> tuple[str, str]:
            value = each.value(key)
            return (value.isoformat() if isinstance(value, datetime) else str(value or "")), each.id

        found.sort(key=place, reverse=down)
        if after is not None:
            found = [each for each in found if (place(each) < after if down else place(each) > after)]
        page = found[:size]
        return page, _cursor(place(page[-1]), mark) if len(found) > size else None

    def _event_rows(
        self, conditions: Sequence[Condition], sort: str, after: tuple[str, str] | None, size: int, mark: str
    ) -> tuple[list[Resource], str | None]:
        """Events by day, from the day of the cursor on, until the page is full."""
        account = self.account
        down = sort.startswith("-")
        metrics: frozenset[str] | None = None
        lowest, highest = date.min, date.max
        for condition in conditions:
            if condition.field in ("metric_id", "metric"):
                metrics = frozenset({str(condition.value)}) & (metrics or frozenset({str(condition.value)}))
            elif condition.field in ("datetime", "timestamp"):
                at = _event_moment(condition)
                if condition.operator.startswith("greater"):
                    lowest = max(lowest, at.date())
                else:
                    highest = min(highest, at.date())
        if after is not None:
            day = datetime.fromisoformat(after[0]).date()
            lowest, highest = (lowest, min(highest, day)) if down else (max(lowest, day), highest)
        found: list[Happening] = []
        for day in sorted((day for day in account.days() if lowest <= day <= highest), reverse=down):
            events = account.events(metrics, day)
            for event in reversed(events) if down else events:
                place = (event.at.astimezone(UTC).isoformat(), event.id)
                if after is not None and not (place < after if down else place > after):
                    continue
                if all(_event_holds(condition, event) for condition in conditions):
                    found.append(event)
            if len(found) > size:
                break
        page = found[:size]
        last = (page[-1].at.astimezone(UTC).isoformat(), page[-1].id) if page else ("", "")
        self._shown = {each.id: each for each in page}
        return [account.event_json(each) for each in page], _cursor(last, mark) if len(found) > size else None

    # Documents ----------------------------------------------------------------------------------------------

    def _document(
        self,
        name: str,
        rows: Iterable[Resource],
        include: Sequence[str],
        sparse: Mapping[str, frozenset[str]],
        base: str,
    ) -> Json:
        account = self.account
        data, included = [], {}
        for row in rows:
            data.append(_json(row, include, sparse, base))
            for relation in include:
                for kind, ids in [row.related[relation]] if relation in row.related else []:
                    for identity in ids:
                        if kind == "attribution":
                            found: Resource | None = account.attribution(self._shown[row.id])
                        else:
                            found = account.objects.get(kind, {}).get(identity)
                        if found is not None:
                            included[found.kind, found.id] = _json(found, tuple(found.related), sparse, base)
        answer: Json = {"data": data}
        if include:
            answer["included"] = list(included.values())
        return answer

    # Reports ------------------------------------------------------------------------------------------------

    def _report(self, name: str, request: Request, body: bytes, base: str) -> Json:
        if request.method != "POST":
            raise Refused(405, "Method not allowed.", f'Method "{request.method}" not allowed.')
        media = request.headers.get("content-type", "").partition(";")[0].strip()
        if media not in (MEDIA_TYPE, "application/json"):
            raise Refused(415, "Unsupported media type.", f"Unsupported media type '{media}' in request.")
        allowed = {"metric-aggregates": "fields[metric-aggregate]"}.get(name, "page_cursor")
        for parameter in request.query_params:
            if parameter not in (allowed, f"fields[{name.removesuffix('s')}]"):
                raise invalid(f"'{parameter}' is not a valid parameter for this resource.", parameter=parameter)
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise invalid("The payload provided in the request is invalid.", pointer="/data") from None
        kind = name.removesuffix("s")
        try:
            if name == "metric-aggregates":
                attributes: Json = reports.aggregates(self.account, asked)
                note(records=len(attributes["dates"]))
            else:
                attributes = {"results": reports.values(self.account, name.partition("-")[0], asked)}
                note(records=len(attributes["results"]))
        except BadBody as bad:
            raise invalid(str(bad), pointer=bad.pointer) from None
        identity = hashlib.sha256(body).hexdigest()[:24]
        url = f"{base}/api/{name}"
        if name == "metric-aggregates":
            data = {"type": kind, "id": identity, "attributes": attributes, "links": {"self": url}}
        else:
            data = {"type": kind, "attributes": attributes}
        return {"data": data, "links": {"self": url}}


# Small parts ------------------------------------------------------------------------------------------------------


def _json(row: Resource, include: Sequence[str], sparse: Mapping[str, frozenset[str]], base: str) -> Json:
    """An object; the ids of a relationship are shown where it is included."""
    wanted = sparse.get(row.kind)
    attributes = {key: value for key, value in row.attributes.items() if wanted is None or key in wanted}
    path = {"campaign-message": "campaign-messages"}.get(row.kind, f"{row.kind}s")
    found: Json = {"type": row.kind, "id": row.id}
    if row.kind != "attribution":
        found["attributes"] = attributes
    if row.related:
        found["relationships"] = {}
        for name, (kind, ids) in row.related.items():
            relation: Json = {}
            one = name not in ("campaign-messages", "attributions")
            if name in include or one:
                entries = [{"type": kind, "id": identity} for identity in ids]
                relation["data"] = entries[0] if one else entries
            url = f"{base}/api/{path}/{row.id}"
            relation["links"] = {"self": f"{url}/relationships/{name}", "related": f"{url}/{name}"}
            found["relationships"][name] = relation
    found["links"] = {"self": f"{base}/api/{path}/{row.id}"}
    return found


def _sparse(query: Mapping[str, str]) -> dict[str, frozenset[str]]:
    return {
        name[7:-1]: frozenset(value.split(","))
        for name, value in query.items()
        if name.startswith("fields[") and name.endswith("]")
    }


def _of(row: Resource, name: str) -> Any:
    first, _, rest = name.partition(".")
    if name in row.more or not rest:
        return row.value(name)
    found = row.attributes.get(first)
    return found.get(rest) if isinstance(found, dict) else None


def _event_moment(condition: Condition) -> datetime:
    if condition.field == "timestamp":
        try:
            return datetime.fromtimestamp(int(condition.value), UTC)
        except ValueError:
            raise BadFilter(f"'{condition.value}' is not a timestamp") from None
    return moment(condition.value).astimezone(UTC)


def _event_holds(condition: Condition, event: Happening) -> bool:
    match condition.field:
        case "metric_id" | "metric":
            return event.metric == condition.value
        case "profile_id" | "profile":
            return event.profile == condition.value
    wanted = Condition(condition.operator, condition.field, _event_moment(condition).isoformat())
    return holds(wanted, event.at.replace(microsecond=0) if event.at.microsecond else event.at)


def _cursor(place: tuple[str, str], mark: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([mark, *place])).decode().rstrip("=")


def _read_cursor(text: str, mark: str) -> tuple[str, str]:
    try:
        said, value, identity = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError):
        raise invalid("Invalid cursor.", parameter="page[cursor]") from None
    if said != mark:
        raise invalid("The cursor belongs to another query.", parameter="page[cursor]")
    return str(value), str(identity)

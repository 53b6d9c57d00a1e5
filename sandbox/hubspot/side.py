"""HubSpot over HTTP: paths of all versions, tokens, scopes, rate limits, and the shape of every answer.

Belongs here: requests and answers. Does not belong here: what the account holds (`world.py`), searching (`search.py`).
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.clock import parse_instant
from sandbox.company import Company
from sandbox.exchange import note
from sandbox.faults import FaultPlan
from sandbox.hooks import Clock
from sandbox.hubspot.properties import CREATED, CUSTOM, KINDS, MODIFIED, REDACTED, STAGE, SURVEYS, TYPE_IDS, UNASKED
from sandbox.hubspot.search import MOST_RESULTS, SearchRefused, search
from sandbox.hubspot.world import ASSOCIATION_TYPES, Item, World, stamp
from sandbox.mutation import MutationRefused, required
from sandbox.vendor_side import MadeOnce, Side

TOKEN = "pat-na1-sandbox"  # noqa: S105
_READ = {
    "contacts": "crm.objects.contacts.read",
    "companies": "crm.objects.companies.read",
    "deals": "crm.objects.deals.read",
    "tickets": "tickets",
    # Activities come with the people they were had with.
    "emails": "crm.objects.contacts.read",
    "calls": "crm.objects.contacts.read",
    SURVEYS: "crm.objects.feedback_submissions.read",
}
_OWNERS = "crm.objects.owners.read"
_EMAIL_CONTENT = "sales-email-read"
_ALL = frozenset({*_READ.values(), _OWNERS, _EMAIL_CONTENT})
# Tokens and what they may do. Any other token is refused.
TOKENS: dict[str, frozenset[str]] = {
    TOKEN: _ALL,
    "pat-na1-sandbox-no-tickets": _ALL - {"tickets"},
    "pat-na1-sandbox-no-owners": _ALL - {_OWNERS},
    "pat-na1-sandbox-no-emails": _ALL - {_EMAIL_CONTENT},
    "pat-na1-sandbox-no-surveys": _ALL - {_READ[SURVEYS]},
    "pat-na1-sandbox-nothing": frozenset(),
    "pat-na1-sandbox-writes": _ALL | {"crm.objects.deals.write", "content"},
}
_EXPIRED = "pat-na1-sandbox-expired"
_TOKEN_INFO: dict[str, Any] = {"userId": 1, "hubId": 1, "appId": 1}
VERSIONS = ("2026-03", "2026-09")
LIST_LIMIT, LIST_WITH_HISTORY = 100, 50
BATCH_LIMIT, BATCH_WITH_HISTORY, ASSOCIATIONS_LIMIT = 100, 50, 1000
ASSOCIATIONS_A_PAGE = 500
_PAGE_FAULTS = frozenset({"repeat_page", "empty_page", "short_page", "duplicate_rows"})
SEMANTIC_FAULTS = _PAGE_FAULTS | {"daily_limit", "batch_errors"}
# profile → requests in ten seconds, searches in one second
_PACES = {"standard": (190, 5), "restricted": (100, 4)}
DAILY = 500_000
Answered = tuple[int, Any]


class HubSpotError(Exception):
    """An error as HubSpot words it."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"status": "error", "message": message, "correlationId": str(uuid.uuid4()), "category": category}
        self.body.update(more)


class HubSpotSide(Side):
    """The HubSpot side of the sandbox; its world is made at the first request."""

    vendor = "hubspot"

    def __init__(self, company: Company, *, clock: Clock, faults: FaultPlan, profile: str = "generous") -> None:
        self._company = company
        self._clock = clock
        self._faults = faults
        self.profile = profile
        self._world = MadeOnce(lambda: World(self._company))
        # Limits run on the machine's own clock: the client waits in real time.
        self.limits_clock: Callable[[], float] = time.monotonic
        self._recent: deque[float] = deque()
        self._searches: deque[float] = deque()
        self._today = 0
        self._reads_emails = True
        self.associations_a_page = ASSOCIATIONS_A_PAGE

    @property
    def world(self) -> World:
        return self._world()

    def load(self, company: Company) -> None:
        self._company = company
        self._world.forget()

    def warm(self) -> None:
        self._world()

    def environment(self, url: str) -> dict[str, str]:
        if self._company.source == "csv":
            return {}
        return {"HUBSPOT_BASE_URL": url, "HUBSPOT_TOKEN": TOKEN, "HUBSPOT_SURVEYS": "true"}

    def routes(self) -> list[Route]:
        found = []
        for api, rest, method, handler in (
            ("objects", "/{kind}", "GET", self._list),
            ("objects", "/{kind}/search", "POST", self._search),
            ("objects", "/{kind}/batch/read", "POST", self._batch),
            ("properties", "/{kind}", "GET", self._properties),
            ("pipelines", "/{kind}", "GET", self._pipelines),
            ("owners", "", "GET", self._list_owners),
            ("associations", "/{kind}/{to_kind}/batch/read", "POST", self._associations),
        ):
            first = "/crm/v4" if api == "associations" else "/crm/v3"
            for path in (f"{first}/{api}{rest}", f"/crm/{api}/{{version}}{rest}"):
                found.append(Route(path, self._answering(api, rest, handler), methods=[method]))
            if api == "owners":
                found.append(Route(f"{first}/{api}/", self._answering(api, rest, handler), methods=[method]))
        found.append(Route("/oauth/v2/private-apps/get/access-token-info", self._token_info, methods=["POST"]))
        return found

    async def _token_info(self, request: Request) -> Response:
        """What a private app's token may do; asked with the token itself in the body."""
        note(operation="token info")
        try:
            self._authorise(request)
            granted = TOKENS.get(str((await _body(request) or {}).get("tokenKey")))
            if granted is None:
                raise HubSpotError(404, "OBJECT_NOT_FOUND", "No private app has this token")
            status, answer = 200, _TOKEN_INFO | {"scopes": sorted(granted)}
        except HubSpotError as error:
            status, answer = error.status, error.body
        return Response(orjson.dumps(answer), status, media_type="application/json;charset=utf-8")

    # Every request ----------------------------------------------------------------------------------------

    def _answering(self, api: str, rest: str, handler: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            searching = rest.endswith("/search")
            headers: dict[str, str] = {}
            try:
                version = request.path_params.get("version")
                if version is not None and version not in VERSIONS:
                    raise HubSpotError(404, "OBJECT_NOT_FOUND", f"There is no version {version}")
                granted = self._authorise(request)
                kind = _kind(request.path_params.get("kind"))
                to_kind = _kind(request.path_params.get("to_kind"))
                note(operation=f"{api} {kind or ''}{' search' if searching else ''}".strip())
                self._permit(granted, api, kind, to_kind)
                self._reads_emails = _EMAIL_CONTENT in granted
                headers = self._pace(searching)
                status, answer = handler(request, kind, await _body(request))
            except HubSpotError as error:
                status, answer = error.status, error.body
            return Response(orjson.dumps(answer), status, headers=headers, media_type="application/json;charset=utf-8")

        return endpoint

    def _authorise(self, request: Request) -> frozenset[str]:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise HubSpotError(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        if token == _EXPIRED:
            raise HubSpotError(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired.")
        if token not in TOKENS:
            raise HubSpotError(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        return TOKENS[token]

    def _permit(self, granted: frozenset[str], api: str, kind: str | None, to_kind: str | None) -> None:
        for needed in (_OWNERS if api == "owners" else None, _READ.get(kind or ""), _READ.get(to_kind or "")):
            if needed is not None and needed not in granted:
                raise HubSpotError(
                    403,
                    "MISSING_SCOPES",
                    "This app hasn't been granted all required scopes to make this call. Read more about required "
                    "scopes here: https://developers.hubspot.com/scopes.",
                    errors=[
                        {
                            "message": "One or more of the following scopes are required.",
                            "context": {"requiredGranularScopes": [needed]},
                        }
                    ],
                    links={"scopes": "https://developers.hubspot.com/scopes"},
                )

    def _pace(self, searching: bool) -> dict[str, str]:
        """The headers of the limits, or the refusal of a request too many. Searches have a limit of their own and no
        headers."""
        if self._faults.take_fault("hubspot", "limits", frozenset({"daily_limit"})) is not None:
            raise _too_many("You have reached your daily limit.", "DAILY")
        if self.profile not in _PACES:
            return {}
        now = self.limits_clock()
        in_ten, in_one = _PACES[self.profile]
        window, length, most = (self._searches, 1.0, in_one) if searching else (self._recent, 10.0, in_ten)
        while window and now - window[0] > length:
            window.popleft()
        if len(window) >= most:
            policy = "SECONDLY" if searching else "TEN_SECONDLY_ROLLING"
            raise _too_many(f"You have reached your {policy.lower()} limit.", policy)
        window.append(now)
        self._today += 1
        if searching:
            return {}
        return {
            "X-HubSpot-RateLimit-Daily": str(DAILY),
            "X-HubSpot-RateLimit-Daily-Remaining": str(DAILY - self._today),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Max": str(most),
            "X-HubSpot-RateLimit-Remaining": str(most - len(window)),
        }

    def _fault(self, point: str) -> str | None:
        armed = self._faults.take_fault("hubspot", point, _PAGE_FAULTS)
        return armed.name if armed is not None else None

    # Reading ----------------------------------------------------------------------------------------------

    def _list(self, request: Request, kind: str, body: Any) -> Answered:
        query = request.query_params
        history = _names(query.get("propertiesWithHistory"))
        most = LIST_WITH_HISTORY if history else LIST_LIMIT
        limit = _limit(query.get("limit"), 10, most)
        archived = query.get("archived") == "true"
        items = self.world.archived(kind) if archived else self.world.living(kind)
        return self._page(
            items, limit, query.get("after"), "list",
            lambda item: self._shown(item, _names(query.get("properties")), history),
        )  # fmt: skip

    def _list_owners(self, request: Request, kind: str | None, body: Any) -> Answered:
        query = request.query_params
        limit = _limit(query.get("limit"), 100, 500)
        wanted = query.get("archived") == "true"
        owners = [owner for owner in self.world.owners if owner["archived"] == wanted]
        return self._page(owners, limit, query.get("after"), "owners", lambda owner: owner)

    def _page(self, items: list[Any], limit: int, after: str | None, point: str, show: Any) -> Answered:
        start = 0
        if after:
            if not after.isdigit():
                raise HubSpotError(400, "VALIDATION_ERROR", f"Invalid input: after {after!r} is not a cursor")
            # A cursor is the last id that was handed out, so that archiving shifts nothing.
            start = sum(1 for item in items if int(_id(item)) <= int(after))
        fault = self._fault(point)
        if fault == "repeat_page":
            start = max(0, start - limit)
        page = items[start : start + limit]
        following = _id(page[-1]) if page and start + limit < len(items) else None
        if fault == "empty_page":
            page = []
        elif fault == "short_page":
            page, following = page[: len(page) // 2], None
        elif fault == "duplicate_rows":
            page = [*page, *page[: max(1, len(page) // 3)]]
        answer: dict[str, Any] = {"results": [show(item) for item in page]}
        if following is not None:
            answer["paging"] = {"next": {"after": following, "link": f"https://api.hubapi.com/?after={following}"}}
        note(records=len(page))
        return 200, answer

    def _search(self, request: Request, kind: str, body: Any) -> Answered:
        types = self.world.definitions[kind]
        items = [item for item in self.world.living(kind) if item.indexed]
        fault = self._fault("search")
        if fault == "repeat_page" and isinstance(body, dict):
            # The page before: as if the condition on ids had been overheard.
            body = {**body, "filterGroups": [_without_ids(group) for group in body.get("filterGroups") or []]}
        try:
            page, total, following = search(items, body, types)
        except SearchRefused as refused:
            raise HubSpotError(400, "VALIDATION_ERROR", str(refused)) from None
        if fault == "empty_page":
            page = []
        elif fault == "short_page":
            page = page[: len(page) // 2]
        elif fault == "duplicate_rows":
            page = [*page, *page[:2]]
        wanted = body.get("properties") or []
        answer: dict[str, Any] = {"total": total, "results": [self._shown(item, wanted, []) for item in page]}
        if following is not None and int(following) < MOST_RESULTS:
            answer["paging"] = {"next": {"after": following}}
        note(records=len(page))
        return 200, answer

    def _batch(self, request: Request, kind: str, body: Any) -> Answered:
        history = body.get("propertiesWithHistory") or [] if isinstance(body, dict) else []
        ids = _inputs(body, BATCH_WITH_HISTORY if history else BATCH_LIMIT)
        fault = self._fault("batch")
        if fault == "empty_page":
            ids = []
        elif fault == "short_page":
            ids = ids[: len(ids) // 2]
        errors: list[dict[str, Any]] = []
        if ids and self._faults.take_fault("hubspot", "batch", frozenset({"batch_errors"})) is not None:
            failed, ids = ids[:1], ids[1:]
            errors.append(_batch_error("INTERNAL_ERROR", "There was a problem with the request.", {"ids": failed}))
        found: dict[str, Item] = {}
        missing: list[str] = []
        for identity in ids:
            item = self.world.get(kind, identity)
            if item is None:
                missing.append(identity)
            else:
                found[item.id] = item
        if missing:
            message = f"Could not get some {kind.upper()} objects, they may be deleted or not exist."
            errors.append(_batch_error("OBJECT_NOT_FOUND", message, {"ids": missing}))
        shown = [self._shown(item, body.get("properties") or [], history) for item in found.values()]
        if fault == "duplicate_rows":
            shown = [*shown, *shown[:2]]
        note(records=len(shown))
        return self._batch_answer(shown, errors)

    def _associations(self, request: Request, kind: str, body: Any) -> Answered:
        to_kind = _kind(request.path_params["to_kind"])
        assert to_kind is not None
        ids = _inputs(body, ASSOCIATIONS_LIMIT)
        afters = {str(each["id"]): str(each["after"]) for each in body["inputs"] if each.get("after")}
        fault = self._fault("associations")
        if fault == "empty_page":
            ids = []
        elif fault == "short_page":
            ids = ids[: len(ids) // 2]
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for identity in ids:
            if self.world.get(kind, identity) is None:
                errors.append(_batch_error("OBJECT_NOT_FOUND", f"{kind} {identity} does not exist", {"id": [identity]}))
                continue
            targets = self.world.associated(kind, identity, to_kind)
            if not targets:
                errors.append(
                    _batch_error(
                        "OBJECT_NOT_FOUND",
                        f"No {to_kind} is associated with {kind} {identity}.",
                        {"fromObjectId": [identity], "fromObjectType": [kind], "toObjectType": [to_kind]},
                        subCategory="crm.associations.NO_ASSOCIATIONS_FOUND",
                    )
                )
                continue
            start = int(afters.get(identity, "0"))
            end = start + self.associations_a_page
            result: dict[str, Any] = {
                "from": {"id": identity},
                "to": [
                    {"toObjectId": int(each), "associationTypes": _types(kind, to_kind, start + place)}
                    for place, each in enumerate(targets[start:end])
                ],
            }
            if end < len(targets):
                result["paging"] = {"next": {"after": str(end), "link": "https://api.hubapi.com/deprecated"}}
            results.append(result)
        if fault == "duplicate_rows":
            results = [*results, *results[:1]]
        note(records=len(results))
        return self._batch_answer(results, errors)

    def _batch_answer(self, results: list[Any], errors: list[Any]) -> Answered:
        now = stamp(self._clock.now())
        answer = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
        if not errors:
            return 200, answer
        return 207, {**answer, "numErrors": len(errors), "errors": errors}

    def _properties(self, request: Request, kind: str, body: Any) -> Answered:
        results = [
            {
                "name": name,
                "label": name.replace("_", " ").capitalize(),
                "type": of_type,
                "fieldType": "text",
                "groupName": f"{kind}information",
                "hubspotDefined": name not in CUSTOM,
                "archived": False,
            }
            for name, of_type in self.world.definitions[kind].items()
        ]
        return 200, {"results": results}

    def _pipelines(self, request: Request, kind: str, body: Any) -> Answered:
        return 200, {"results": self.world.pipelines(kind)}

    def _shown(self, item: Item, wanted: list[str], history: list[str]) -> dict[str, Any]:
        known = self.world.definitions[item.kind]
        always = ("hs_object_id", CREATED[item.kind], MODIFIED[item.kind])
        hidden = frozenset() if self._reads_emails or item.kind != "emails" else REDACTED
        # A property that does not exist is left out without a word.
        names = [name for name in dict.fromkeys((*(wanted or UNASKED[item.kind]), *history, *always)) if name in known]
        told: dict[str, Any] = {
            "id": item.id,
            "properties": {name: None if name in hidden else item.properties.get(name) for name in names},
            "createdAt": stamp(item.created),
            "updatedAt": stamp(item.updated),
            "archived": item.archived is not None,
            "url": f"https://app.hubspot.com/contacts/1/record/{item.kind}/{item.id}",
        }
        if item.archived is not None:
            told["archivedAt"] = stamp(item.archived)
        if history:
            told["propertiesWithHistory"] = {name: item.histories.get(name, []) for name in history if name in known}
        return told

    # Changes made by tests --------------------------------------------------------------------------------

    def mutate(self, op: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Change the account from outside. Every operation but the last two takes `kind` and `id`; `at` is when.

        `upsert` (properties; indexed=false keeps the record out of searches), `index` (the search learns of it),
        `archive`, `restore`, `delete` (for good), `merge` (loser: swallowed by `id`), `associate` and `dissociate`
        (to_kind, to_id: modifies neither record), `rename_property` and `remove_property` (kind, name; to)."""
        world = self.world
        kind = _kind(required(data, "kind"))
        if kind is None:
            raise MutationRefused(f'"kind" must be one of {", ".join(KINDS)}.')
        if op in ("rename_property", "remove_property"):
            return self._redefine(op, kind, data)
        at = parse_instant(str(data["at"])) if data.get("at") else self._clock.now()
        if op == "upsert":
            identity = str(data.get("id") or world.free_id(kind))
            values = {
                str(key): None if value is None else str(value)
                for key, value in dict(data.get("properties", {})).items()
            }
            if kind in STAGE and identity not in world.records[kind]:
                values.setdefault(STAGE[kind], "appointmentscheduled" if kind == "deals" else "1")
            item = world.upsert(kind, identity, values, at, bool(data.get("indexed", True)))
            return {"id": item.id, "properties": item.properties}
        identity = required(data, "id")
        found = world.records[kind].get(identity)
        if found is None:
            raise MutationRefused(f"There is no {kind} {identity}.")
        if op == "index":
            found.indexed = True
        elif op == "archive":
            found.archived = at
        elif op == "restore":
            found.archived = None
            world.upsert(kind, identity, {}, at)
        elif op == "delete":
            del world.records[kind][identity]
        elif op == "merge":
            loser = world.records[kind].get(required(data, "loser"))
            if loser is None or loser is found:
                raise MutationRefused(f"There is no {kind} {data['loser']} to merge into {identity}.")
            world.merge(kind, found, loser, at)
        elif op in ("associate", "dissociate"):
            to_kind = _kind(required(data, "to_kind"))
            if to_kind is None or (kind, to_kind) not in ASSOCIATION_TYPES:
                raise MutationRefused(f"{kind} are not associated with {data['to_kind']}.")
            change = world.associate if op == "associate" else world.dissociate
            change(kind, identity, to_kind, required(data, "to_id"))
        else:
            raise MutationRefused(f"HubSpot knows no operation {op!r}.")
        return {"id": identity}

    def _redefine(self, op: str, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        name = required(data, "name")
        names = self.world.definitions[kind]
        if name not in names:
            raise MutationRefused(f"{kind} have no property {name!r}.")
        of_type = names.pop(name)
        if op == "rename_property":
            names[required(data, "to")] = of_type
            for item in self.world.records[kind].values():
                item.properties[str(data["to"])] = item.properties.pop(name, None)
        return {"name": name}


# -- small parts --------------------------------------------------------------------------------------------------


def _kind(name: str | None) -> str | None:
    """The kind of record under any of its names."""
    if name is None:
        return None
    name = TYPE_IDS.get(name, name)
    singular = {"company": "companies", **{kind[:-1]: kind for kind in KINDS if kind != "companies"}}
    plural = singular.get(name, name)
    if plural not in KINDS:
        raise HubSpotError(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
    return plural


async def _body(request: Request) -> Any:
    if request.method != "POST":
        return None
    if "application/json" not in request.headers.get("content-type", ""):
        raise HubSpotError(415, "VALIDATION_ERROR", "Unsupported media type")
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise HubSpotError(400, "VALIDATION_ERROR", f"Invalid input JSON: {error}") from None


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _limit(text: str | None, default: int, most: int) -> int:
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise HubSpotError(400, "VALIDATION_ERROR", f"Invalid input: limit must be between 1 and {most}")
    return int(text)


def _inputs(body: Any, most: int) -> list[str]:
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(each, dict) and each.get("id") for each in inputs):
        raise HubSpotError(400, "VALIDATION_ERROR", 'Invalid input JSON: "inputs" must be objects with an id')
    if not 1 <= len(inputs) <= most:
        raise HubSpotError(400, "VALIDATION_ERROR", f"The number of inputs must be between 1 and {most}")
    return [str(each["id"]) for each in inputs]


def _id(item: Any) -> str:
    return str(item["id"]) if isinstance(item, dict) else str(item.id)


def _without_ids(group: Any) -> Any:
    if not isinstance(group, dict):
        return group
    kept = [each for each in group.get("filters", []) if each.get("propertyName") != "hs_object_id"]
    return {**group, "filters": kept}


def _types(kind: str, to_kind: str, place: int) -> list[dict[str, Any]]:
    known = ASSOCIATION_TYPES[(kind, to_kind)]
    # Only one company is the primary one.
    told = known if place == 0 else known[-1:]
    return [{"category": "HUBSPOT_DEFINED", "typeId": number, "label": label} for number, label in told]


def _batch_error(category: str, message: str, context: dict[str, list[str]], **more: str) -> dict[str, Any]:
    return {"status": "error", "category": category, "message": message, "context": context, **more}


def _too_many(message: str, policy: str) -> HubSpotError:
    error = HubSpotError(429, "RATE_LIMITS", message, errorType="RATE_LIMIT", policyName=policy)
    error.body["requestId"] = str(uuid.uuid4())
    return error

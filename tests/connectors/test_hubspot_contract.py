"""Every request to HubSpot and every answer of the sandbox, held against the facts of its documentation.

HubSpot's own specifications are not at hand and known to be wrong in places (values said never to be null, every field
of a search said to be required), so the shapes are written down here: what a request may hold and what an answer does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import orjson
import pytest

from resources import hubspot
from resources.hubspot import HubSpotSource
from tests.connectors.conftest import NOW, World, read

_ID = {"type": "string", "pattern": r"^\d{1,19}$"}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}


def closed(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def open_(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_PAGING = open_({"next": open_({"after": {"type": "string", "minLength": 1}}, "after")}, "next")
_NAMES = {"type": "array", "items": {"type": "string", "pattern": "^[a-z0-9_]+$"}, "minItems": 1, "uniqueItems": True}
_FILTER = closed(
    {
        "propertyName": {"type": "string"},
        "operator": {"enum": ["EQ", "NEQ", "GT", "GTE", "LT", "LTE", "BETWEEN", "IN", "HAS_PROPERTY"]},
        # Times are milliseconds since 1970, ids whole numbers: text in either case.
        "value": {"type": "string", "pattern": r"^\d+$"},
    },
    "propertyName", "operator", "value",
)  # fmt: skip
_GROUP = closed({"filters": {"type": "array", "items": _FILTER, "minItems": 1, "maxItems": 6}}, "filters")
_SORT = closed({"propertyName": {"const": "hs_object_id"}, "direction": {"const": "ASCENDING"}}, "propertyName")
_INPUTS = {"type": "array", "items": closed({"id": _ID}, "id"), "minItems": 1, "maxItems": 100}
REQUESTS = {
    "search": closed(
        {
            "filterGroups": {"type": "array", "items": _GROUP, "minItems": 1, "maxItems": 6},
            "sorts": {"type": "array", "items": _SORT, "maxItems": 1},
            "properties": _NAMES,
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
        },
        "filterGroups", "properties", "limit",
    ),
    "batch": {
        **closed({"inputs": _INPUTS, "properties": _NAMES, "propertiesWithHistory": _NAMES}, "inputs", "properties"),
        "if": {"required": ["propertiesWithHistory"]},
        "then": {"properties": {"inputs": {"maxItems": 50}}},
    },
    "associations": closed(
        {
            "inputs": {
                "type": "array",
                "items": closed({"id": _ID, "after": {"type": "string"}}, "id"),
                "minItems": 1,
                "maxItems": 1000,
            }
        },
        "inputs",
    ),
}  # fmt: skip
_RECORD = open_(
    {
        "id": _ID,
        "properties": {"type": "object", "additionalProperties": _TEXT_OR_NULL},
        "createdAt": _TIME,
        "updatedAt": _TIME,
        "archived": {"type": "boolean"},
        "archivedAt": _TIME,
        "propertiesWithHistory": {
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "items": open_(
                    {"value": _TEXT_OR_NULL, "timestamp": _TIME, "sourceType": {"type": "string"}},
                    "value", "timestamp", "sourceType",
                ),
            },
        },
    },
    "id", "properties", "createdAt", "updatedAt", "archived",
)  # fmt: skip
_ERROR = open_(
    {"status": {"type": "string"}, "category": {"type": "string"}, "message": {"type": "string"},
     "context": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}},
    "category", "message", "context",
)  # fmt: skip


def _batch_of(item: Mapping[str, Any]) -> dict[str, Any]:
    return open_(
        {
            "status": {"enum": ["PENDING", "PROCESSING", "CANCELED", "COMPLETE"]},
            "results": {"type": "array", "items": item},
            "startedAt": _TIME,
            "completedAt": _TIME,
            "numErrors": {"type": "integer"},
            "errors": {"type": "array", "items": _ERROR},
        },
        "status", "results", "startedAt", "completedAt",
    )  # fmt: skip


_STAGE = open_(
    {
        "id": {"type": "string"}, "label": {"type": "string"}, "displayOrder": {"type": "integer"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}}, "createdAt": _TIME,
        "updatedAt": _TIME, "archived": {"type": "boolean"},
    },
    "id", "label", "displayOrder", "metadata", "createdAt", "updatedAt", "archived",
)  # fmt: skip
_LINK = open_(
    {
        "toObjectId": {"type": ["integer", "string"]},
        "associationTypes": {
            "type": "array",
            "items": open_(
                {
                    "category": {"enum": ["HUBSPOT_DEFINED", "USER_DEFINED", "INTEGRATOR_DEFINED"]},
                    "typeId": {"type": "integer"},
                    "label": _TEXT_OR_NULL,
                },
                "category", "typeId",
            ),
        },
    },
    "toObjectId", "associationTypes",
)  # fmt: skip
ANSWERS = {
    "token": open_(
        {
            "userId": {"type": "integer"}, "hubId": {"type": "integer"}, "appId": {"type": "integer"},
            "scopes": {"type": "array", "items": _TEXT},
        },
        "userId", "hubId", "appId", "scopes",
    ),
    "list": open_({"results": {"type": "array", "items": _RECORD}, "paging": _PAGING}, "results"),
    "search": open_(
        {"total": {"type": "integer"}, "results": {"type": "array", "items": _RECORD}, "paging": _PAGING},
        "total", "results",
    ),
    "batch": _batch_of(_RECORD),
    "associations": _batch_of(
        open_(
            {"from": open_({"id": _ID}, "id"), "to": {"type": "array", "items": _LINK}, "paging": _PAGING}, "from", "to"
        )
    ),
    "properties": open_(
        {"results": {"type": "array", "items": open_({"name": _TEXT, "type": _TEXT}, "name")}},
        "results",
    ),
    "pipelines": open_(
        {
            "results": {
                "type": "array",
                "items": open_({"id": _TEXT, "stages": {"type": "array", "items": _STAGE}}, "id", "stages"),
            }
        },
        "results",
    ),
    "owners": open_(
        {
            "results": {
                "type": "array",
                "items": open_(
                    {"id": _ID, "archived": {"type": "boolean"}, "createdAt": _TIME, "updatedAt": _TIME},
                    "id", "archived", "createdAt", "updatedAt",
                ),
            },
            "paging": _PAGING,
        },
        "results",
    ),
}  # fmt: skip
_VERSION = r"(2026-09|2026-03)"
_KIND = r"(contacts|companies|deals|tickets|emails|calls|feedback_submissions)"
# path, with a dated version or as v3 → what it is
PATHS = {
    rf"/crm/(objects/{_VERSION}|v3/objects)/{_KIND}": ("GET", "list"),
    rf"/crm/(objects/{_VERSION}|v3/objects)/{_KIND}/search": ("POST", "search"),
    rf"/crm/(objects/{_VERSION}|v3/objects)/{_KIND}/batch/read": ("POST", "batch"),
    rf"/crm/(properties/{_VERSION}|v3/properties)/{_KIND}": ("GET", "properties"),
    rf"/crm/(pipelines/{_VERSION}|v3/pipelines)/(deals|tickets)": ("GET", "pipelines"),
    rf"/crm/(owners/{_VERSION}|v3/owners)": ("GET", "owners"),
    "/oauth/v2/private-apps/get/access-token-info": ("POST", "token"),
    rf"/crm/(associations/{_VERSION}|v4/associations)/{_KIND}/{_KIND}/batch/read": ("POST", "associations"),
}
_LIST_PARAMETERS = {"limit", "after", "properties", "propertiesWithHistory", "archived"}


def what(path: str) -> tuple[str, str]:
    (found,) = [told for pattern, told in PATHS.items() if re.fullmatch(pattern, path)]
    return found


def check_request(method: str, path: str, params: Mapping[str, Any], content: bytes | None) -> None:
    wanted, name = what(path)
    assert method == wanted
    if name in REQUESTS:
        jsonschema.validate(orjson.loads(content or b"null"), REQUESTS[name])
        assert not params
    if name in ("list", "owners"):
        assert set(params) <= _LIST_PARAMETERS
        most = 50 if "propertiesWithHistory" in params else 100
        assert 1 <= int(params["limit"]) <= most
        assert params.get("archived", "false") in ("true", "false")


@pytest.fixture
def watched(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a source whose every exchange is checked; counts what was exchanged by kind."""
    from resources.http import HttpClient

    exchange = HttpClient._exchange
    seen: dict[str, int] = {}

    def checked(self: HttpClient, method: str, url: str, params: Any, content: Any, form: Any, headers: Any) -> Any:
        path = urlsplit(url).path
        if self.vendor != "hubspot":
            return exchange(self, method, url, params, content, form, headers)
        check_request(method, path, params or {}, content)
        assert re.fullmatch(r"Bearer \S+", headers["Authorization"])
        status, answered, body = exchange(self, method, url, params, content, form, headers)
        assert status in (200, 207)
        name = what(path)[1]
        jsonschema.validate(orjson.loads(body), ANSWERS[name])
        seen[name] = seen.get(name, 0) + 1
        return status, answered, body

    monkeypatch.setattr(HttpClient, "_exchange", checked)

    def make(version: str) -> tuple[HubSpotSource, dict[str, int]]:
        source = hubspot.connect(world.settings.model_copy(update={"hubspot_api_version": version}))
        assert source is not None
        source.http.sleep = lambda _: None
        return source, seen

    return make


@pytest.mark.parametrize("version", ["2026-09", "2026-03", "v3"])
def test_every_request_and_every_answer(watched: Any, version: str) -> None:
    source, seen = watched(version)
    for name, stream in source.streams.items():
        whole = read(source, name)
        assert whole.payloads and not whole.rejected
        read(source, name, "2024-12-01T00:00:00Z")
        if stream.ties_out:
            totals = source.control_totals(stream, None)
            days = [total.day for total in totals][-3:]
            assert source.control_totals(stream, days) == totals[-3:]
            if None not in days:
                again = [record.id for page in source.day_pages(stream, days, now=NOW) for record in page.records]
                assert len(set(again)) == sum(total.count for total in totals[-3:])
            # A stream that is read whole each time, or whose records stay, is not swept.
            if not stream.full_refresh and name not in source.unswept:
                assert list(source.living_ids(stream))
    assert all(probe.ok for probe in source.probe())
    assert set(seen) == set(ANSWERS)


def test_an_error_is_as_documented(world: World) -> None:
    import httpx

    error = open_(
        {"status": {"const": "error"}, "message": {"type": "string"}, "correlationId": {"type": "string"},
         "category": {"type": "string"}},
        "message", "correlationId", "category",
    )  # fmt: skip
    with httpx.Client(base_url=world.url, trust_env=False, verify=False) as http:
        bodies = [http.get("/crm/v3/objects/deals").json()]
        good = {"Authorization": "Bearer pat-na1-sandbox"}
        bodies.append(http.get("/crm/v3/objects/deals?limit=500", headers=good).json())
        world.fault("hubspot", "http_429")
        limited = http.get("/crm/v3/objects/deals", headers=good)
        world.fault("hubspot", "daily_limit")
        bodies += [limited.json(), http.get("/crm/v3/objects/deals", headers=good).json()]
        world.fault("hubspot", "http_500")
        bodies.append(http.get("/crm/v3/objects/deals", headers=good).json())
    for body in bodies:
        jsonschema.validate(body, error)
    assert "retry-after" not in limited.headers
    assert [body.get("policyName") for body in bodies[2:4]] == ["TEN_SECONDLY_ROLLING", "DAILY"]

"""Klaviyo's own OpenAPI documents judge every request the client sends and every answer of the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import httpx
import pytest

from sandbox.klaviyo.side import LISTINGS, REPORTS
from tests.conftest import SCHEMAS
from tests.connectors.conftest import NOW, World, read
from tests.connectors.wire import noted

FOLDER = SCHEMAS / "klaviyo" / "categories"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"Klaviyo's schemas are not at {FOLDER}")
CATEGORY = {
    "accounts": "accounts", "campaigns": "campaigns", "events": "events", "flows": "flows", "lists": "lists",
    "segments": "segments", "metrics": "metrics", "metric-aggregates": "metrics",
    "campaign-values-reports": "reporting", "flow-values-reports": "reporting",
}  # fmt: skip


def _loosened(node: Any, sparse: bool) -> Any:
    """`oneOf` of alternatives that are word for word the same (send options of each channel) can never hold: any of
    them does. An answer to a request with a sparse fieldset lacks fields that the schema requires of whole ones.
    Nothing else is changed."""
    if isinstance(node, dict):
        return {
            ("anyOf" if key == "oneOf" else key): _loosened(value, sparse)
            for key, value in node.items()
            if not (sparse and key == "required" and isinstance(value, list))
        }
    return [_loosened(each, sparse) for each in node] if isinstance(node, list) else node


@pytest.fixture(scope="module")
def apis() -> dict[tuple[str, bool], Any]:
    """By category, and whether a sparse fieldset was asked for."""
    from openapi_core import OpenAPI

    found: dict[tuple[str, bool], Any] = {}
    for category in set(CATEGORY.values()):
        text = (FOLDER / f"{category}.json").read_text(encoding="utf-8")
        for sparse in (False, True):
            document = _loosened(json.loads(text), sparse)
            wanted = {f"/api/{name}" for name, of in CATEGORY.items() if of == category}
            document["paths"] = {path: item for path, item in document["paths"].items() if path in wanted}
            found[category, sparse] = OpenAPI.from_dict(document)
    return found


class Exchanged:
    """What went over the wire, as openapi-core reads it."""

    def __init__(self, method: str, url: str, headers: dict[str, str], body: bytes, status: int, answer: bytes) -> None:
        from urllib.parse import parse_qsl, urlsplit

        from openapi_core.datatypes import RequestParameters
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        parts = urlsplit(url)
        self.method, self.path, self.host_url = method.lower(), parts.path, "https://a.klaviyo.com"
        self.body, self.content_type = body or None, headers.get("content-type", "application/vnd.api+json")
        query = ImmutableMultiDict(parse_qsl(parts.query, keep_blank_values=True))
        self.names = set(query)
        self.parameters = RequestParameters(query=query, header=Headers(headers))
        self.status_code, self.data, self.answer = status, answer, self

    @property
    def endpoint(self) -> str:
        return self.path.removeprefix("/api/")


class Answered:
    def __init__(self, exchanged: Exchanged) -> None:
        self.status_code, self.data = exchanged.status_code, exchanged.data
        self.content_type = "application/vnd.api+json"
        self.headers: dict[str, str] = {}


@pytest.fixture
def wire() -> Iterator[Callable[[], list[Exchanged]]]:
    """Everything the client has sent so far, with what it was answered."""
    with noted() as seen:
        yield lambda: [exchanged(each) for each in seen if each.request.url.path.startswith("/api/")]


def exchanged(answer: httpx.Response) -> Exchanged:
    request = answer.request
    headers = {key.lower(): value for key, value in request.headers.items()}
    return Exchanged(request.method, str(request.url), headers, request.content, answer.status_code, answer.content)


def judge(apis: dict[tuple[str, bool], Any], seen: list[Exchanged]) -> set[str]:
    """Hold all of it against the schema; the endpoints that were met."""
    documents = {each: json.loads((FOLDER / f"{each}.json").read_text()) for each in set(CATEGORY.values())}
    for each in seen:
        category = CATEGORY[each.endpoint]
        apis[category, False].validate_request(each)
        sparse = any(name.startswith("fields[") for name in each.names)
        apis[category, sparse].validate_response(each, Answered(each))
        operation = documents[category]["paths"][each.path][each.method]
        known = {parameter["name"] for parameter in operation["parameters"]}
        # An unknown query parameter is no failure to openapi-core; to Klaviyo it is.
        assert each.names <= known, each.names - known
        for parameter in operation["parameters"]:
            if parameter["name"] == "page[size]" and "page[size]" in each.names:
                assert int(each.parameters.query["page[size]"]) <= parameter["schema"]["maximum"]
    return {each.endpoint for each in seen}


def test_every_request_and_every_answer_conforms(
    world: World, apis: dict[tuple[str, bool], Any], wire: Callable[[], list[Exchanged]]
) -> None:
    source = world.klaviyo()
    for name, stream in source.streams.items():
        cursor = read(source, name).cursor
        if name in ("lists", "segments", "campaigns", "flows", "events"):
            read(source, name, cursor)
        source.control_totals(stream, None)
        if name not in source.unswept and not stream.full_refresh:
            list(source.living_ids(stream))
    assert any(page.records for page in source.day_pages(source.streams["events"], [date(2024, 11, 29)], now=NOW))
    assert all(probe.ok for probe in source.probe())
    seen = wire()
    assert judge(apis, seen) == {*LISTINGS, *REPORTS}
    assert len(seen) > 60


def test_refusals_conform(world: World, apis: dict[tuple[str, bool], Any]) -> None:
    headers = {"authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}
    for name in LISTINGS:
        answer = world.control_client.get(f"/api/{name}", params={"colour": "red"}, headers=headers)
        url = f"/api/{name}?filter=x" if name == "campaigns" else f"/api/{name}"
        exchanged = Exchanged("GET", url, headers, b"", answer.status_code, answer.content)
        assert answer.status_code == 400
        apis[CATEGORY[name], False].validate_response(exchanged, Answered(exchanged))


def test_limits_scopes_and_page_sizes_are_the_schemas() -> None:
    from resources.klaviyo import endpoints

    known = {each.name: each for each in vars(endpoints).values() if isinstance(each, endpoints.Endpoint)}
    assert set(known) == set(CATEGORY)
    for name, endpoint in known.items():
        item = json.loads((FOLDER / f"{CATEGORY[name]}.json").read_text())["paths"][endpoint.path]
        operation = item["post" if name in REPORTS else "get"]
        limit = {key: int(value.split("/")[0]) for key, value in operation["x-klaviyo-ratelimit"].items()}
        assert (endpoint.burst, endpoint.steady, endpoint.daily) == (
            limit["burst"],
            limit["steady"],
            limit.get("daily"),
        )
        assert [endpoint.scope] == operation["x-klaviyo-scopes"]
        sizes = [each["schema"]["maximum"] for each in operation["parameters"] if each["name"] == "page[size]"]
        assert sizes == ([endpoint.page_size] if endpoint.page_size is not None else [])

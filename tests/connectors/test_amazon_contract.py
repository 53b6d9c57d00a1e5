"""Amazon's own OpenAPI models as the judge: of every request the client sends and of every answer of the sandbox."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import jsonschema
import pytest
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from resources.amazon import AmazonSource
from resources.http import HttpClient
from sandbox.amazon.login import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN
from sandbox.amazon.world import SELLER
from tests.conftest import SCHEMAS
from tests.connectors.conftest import NOW, World, read

FOLDER = SCHEMAS / "amazon"
HOST = "https://sellingpartnerapi-na.amazon.com"
MODELS = {
    "/orders/2026-01-01/": "orders_2026-01-01",
    "/fba/inventory/": "fbaInventory",
    "/listings/2021-08-01/": "listingsItems_2021-08-01",
    "/reports/2021-06-30/": "reports_2021-06-30",
    "/sales/v1/": "sales",
}
_loaded: dict[str, OpenAPI] = {}


def model_of(path: str) -> OpenAPI:
    name = next(name for prefix, name in MODELS.items() if path.startswith(prefix))
    if name not in _loaded:
        file = FOLDER / "oas3" / f"{name}.json"
        if not file.exists():
            pytest.skip(f"the vendor's model {file} is not here (OPS_SCHEMAS says where)")
        _loaded[name] = OpenAPI.from_dict(json.loads(file.read_text()))
    return _loaded[name]


def judge(method: str, url: str, params: Any, content: bytes | None, status: int, headers: Any, body: bytes) -> str:
    """Hold one exchange against the model; the path."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **{key: str(value) for key, value in (params or {}).items()}}
    request = MockRequest(HOST, method.lower(), parts.path, args=query, data=content, content_type="application/json")
    model = model_of(parts.path)
    if status < 400:
        model.validate_request(request)
    kind = headers.get("content-type", "").split(";")[0]
    model.validate_response(
        request, MockResponse(data=body, status_code=status, content_type=kind, headers=dict(headers))
    )
    return parts.path


@pytest.fixture
def watched(world: World) -> Iterator[tuple[AmazonSource, list[str]]]:
    """A source whose every exchange with the API is judged, and the paths that were."""
    source = world.amazon()
    judged: list[str] = []

    class Judged(HttpClient):
        def _exchange(self, method: str, url: str, params: Any, content: Any, form: Any, headers: Any) -> Any:
            status, answered, body = super()._exchange(method, url, params, content, form, headers)
            assert headers["User-Agent"] and headers["x-amz-access-token"].startswith("Atza|")
            judged.append(judge(method, url, params, content, status, answered, body))
            return status, answered, body

    source.client.http.__class__ = Judged
    yield source, judged
    source.close()


def test_every_exchange_of_every_stream_is_as_the_models_say(watched: tuple[AmazonSource, list[str]]) -> None:
    source, judged = watched
    source.orders_page_size = 50
    for name, stream in source.streams.items():
        first = read(source, name)
        assert first.payloads and not first.rejected
        source.control_totals(stream, None)
        read(source, name, first.cursor, NOW + timedelta(0))
    days = [date(2024, 11, 29), date(2024, 11, 30), date(2024, 12, 2)]
    assert any(page.records for page in source.day_pages(source.streams["orders"], days, now=NOW))
    assert len(list(source.probe())) == 6
    paths = set(judged)
    assert len([path for path in judged if path == "/orders/2026-01-01/orders"]) >= 5
    assert {"/sales/v1/orderMetrics", "/fba/inventory/v1/summaries", f"/listings/2021-08-01/items/{SELLER}"} <= paths
    assert any(path.startswith("/reports/2021-06-30/documents/") for path in paths)


def headers_of(world: World) -> dict[str, str]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH_TOKEN,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    token = world.control_client.post("/auth/o2/token", data=form).json()["access_token"]
    return {"x-amz-access-token": token}


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/orders/2026-01-01/orders", {}, 400),
        ("/orders/2026-01-01/orders", {"createdAfter": "2024-11-01T00:00:00Z", "includedData": "BUYER"}, 403),
        ("/orders/2026-01-01/orders/1-2-3", {}, 404),
        ("/fba/inventory/v1/summaries", {"granularityType": "Marketplace"}, 400),
        (f"/listings/2021-08-01/items/{SELLER}", {"marketplaceIds": "ATVPDKIKX0DER", "pageSize": "21"}, 400),
        ("/reports/2021-06-30/reports/9", {}, 404),
        ("/sales/v1/orderMetrics", {"marketplaceIds": "ATVPDKIKX0DER"}, 400),
    ],
)
def test_refusals_have_the_models_error_body(world: World, path: str, query: dict[str, str], status: int) -> None:
    answer = world.control_client.get(path, params=query, headers=headers_of(world))
    assert answer.status_code == status, answer.text
    judge("GET", path, query, None, answer.status_code, answer.headers, answer.content)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_refusals_at_the_door_have_the_models_error_body(world: World, status: int) -> None:
    world.fault("amazon", f"http_{status}")
    answer = world.control_client.get("/orders/2026-01-01/orders", headers={})
    assert answer.status_code == status and "retry-after" not in answer.headers
    judge("GET", "/orders/2026-01-01/orders", {}, None, status, answer.headers, answer.content)


def test_every_whole_order_of_the_sandbox_fits_the_model(world: World) -> None:
    query = {"createdAfter": "2024-10-01T00:00:00Z", "includedData": "PROCEEDS,FULFILLMENT,PROMOTION,CANCELLATION"}
    answer = world.control_client.get("/orders/2026-01-01/orders", params=query, headers=headers_of(world))
    judge("GET", "/orders/2026-01-01/orders", query, None, 200, answer.headers, answer.content)
    assert len(answer.json()["orders"]) == 100


def test_the_report_is_an_account_health_report(world: World) -> None:
    file = FOLDER / "accountHealthReport-2020-11-18.json"
    if not file.exists():
        pytest.skip(f"the vendor's schema {file} is not here (OPS_SCHEMAS says where)")
    headers = headers_of(world)
    body = {"reportType": "GET_V2_SELLER_PERFORMANCE_REPORT", "marketplaceIds": ["ATVPDKIKX0DER"]}
    report = world.control_client.post("/reports/2021-06-30/reports", json=body, headers=headers).json()["reportId"]
    for _ in range(3):
        told = world.control_client.get(f"/reports/2021-06-30/reports/{report}", headers=headers).json()
    path = f"/reports/2021-06-30/documents/{told['reportDocumentId']}"
    link = world.control_client.get(path, headers=headers).json()
    assert link["compressionAlgorithm"] == "GZIP"
    document = json.loads(gzip.decompress(httpx.get(link["url"], trust_env=False, verify=False).content))
    jsonschema.Draft7Validator(json.loads(file.read_text())).validate(document)


def test_personal_data_is_not_asked_for(watched: tuple[AmazonSource, list[str]], world: World) -> None:
    source, _ = watched
    payloads = read(source, "orders").payloads
    text = json.dumps(list(payloads.values()))
    for word in ("buyer", "recipient", "Ines Example", "giftMessage", "Sample Street"):
        assert word not in text
    asked = [entry["query"] for entry in world.ledger(vendor="amazon") if entry["operation"] == "searchOrders"]
    assert asked and not any("BUYER" in query or "RECIPIENT" in query for query in asked[-3:])


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({"maxResultsPerPage": "many", "createdAfter": "2024-11-01T00:00:00Z"}, {"orders": []}),
        ({"includedData": "SECRETS", "createdAfter": "2024-11-01T00:00:00Z"}, {"orders": []}),
        ({"createdAfter": "2024-11-01T00:00:00Z"}, {"payload": {"orders": []}}),
        ({"createdAfter": "2024-11-01T00:00:00Z"}, {"orders": [{"orderId": "1"}]}),
    ],
)
def test_the_judge_notices(query: dict[str, str], body: Any) -> None:
    headers = {"content-type": "application/json"}
    with pytest.raises(OpenAPIError):
        judge("GET", "/orders/2026-01-01/orders", query, None, 200, headers, json.dumps(body).encode())

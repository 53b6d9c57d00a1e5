"""What we ask GitHub, and what the sandbox answers, held against GitHub's own OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from resources.github.client import API_VERSION
from tests.conftest import SCHEMAS
from tests.connectors.conftest import NOW, World, read
from tests.connectors.wire import noted

DOCUMENT = SCHEMAS / "github" / "github_issues_subset.json"
Json = dict[str, Any]


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch: null takes a key away."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def load() -> Json:
    """The description with the breaking changes of the version we speak applied to its schemas."""
    if not DOCUMENT.exists():
        pytest.skip(f"GitHub's description {DOCUMENT} is not here (OPS_SCHEMAS says where)")
    found: Json = json.loads(DOCUMENT.read_text())
    schemas = found["components"]["schemas"]
    for name, schema in list(schemas.items()):
        for change in schema.get("x-github-breaking-changes") or []:
            if change["version"] <= API_VERSION and change["changeset"] != "deprecate_beta_media_type":
                schemas[name] = merged(schemas[name], change["patch"])
    return found


@pytest.fixture(scope="module")
def description() -> Json:
    return load()


@pytest.fixture(scope="module")
def validator(description: Json) -> Any:
    return checker(description)


def located(schema: Any) -> Any:
    """The schema with its references leading into the description, wherever in it they stand."""
    if isinstance(schema, dict):
        return {
            key: f"urn:github{value}" if key == "$ref" and isinstance(value, str) else located(value)
            for key, value in schema.items()
        }
    return [located(each) for each in schema] if isinstance(schema, list) else schema


def checker(description: Json) -> Any:
    """A check of a document against a schema of the description."""
    from openapi_schema_validator import OAS30Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    registry = Registry().with_resource("urn:github", DRAFT202012.create_resource(description))

    def check(schema: Json, document: Any) -> None:
        absolute = located(schema)
        # GitHub means "or null" by nullable beside an enum that has no null.
        errors = [
            error
            for error in OAS30Validator(absolute, registry=registry).iter_errors(document)
            if not (error.instance is None and error.schema.get("nullable"))
        ]
        assert not errors, [f"{list(error.path)}: {error.message[:200]}" for error in errors[:5]]

    return check


@pytest.fixture(scope="module")
def exchanges(shared_world: World) -> list[httpx.Response]:
    """Every exchange of a full read, an incremental one, the sweeps, the tie-outs and the probe."""
    source = shared_world.github()
    with noted() as recorded:
        for name, stream in source.streams.items():
            first = read(source, name)
            read(source, name, read(source, name, first.cursor).cursor)
            list(source.living_ids(stream))
            source.control_totals(stream, None)
        days = [total.day for total in source.control_totals(source.streams["issues"], None) if total.day][-4:]
        source.control_totals(source.streams["issues"], days)
        assert any(page.records for page in source.day_pages(source.streams["issues"], days, now=NOW))
        list(source.probe())
    assert len(recorded) > 60
    return recorded


def operation(description: Json, path: str) -> tuple[str, Json]:
    parts = path.strip("/").split("/")
    for template, methods in description["paths"].items():
        wanted = template.strip("/").split("/")
        if len(wanted) == len(parts) and all(
            each == given or (each.startswith("{") and given not in ("comments", "events"))
            for each, given in zip(wanted, parts, strict=True)
        ):
            found: Json = methods["get"]
            return template, found
    raise AssertionError(f"GitHub describes no path {path}")


def parameters(description: Json, described: Json) -> Iterator[Json]:
    for each in described.get("parameters", []):
        if "$ref" in each:
            yield description["components"]["parameters"][each["$ref"].rpartition("/")[2]]
        else:
            yield each


def test_every_request_is_described(description: Json, validator: Any, exchanges: list[httpx.Response]) -> None:
    seen = set()
    for response in exchanges:
        request = response.request
        template, described = operation(description, request.url.path)
        seen.add(template)
        known = {each["name"]: each for each in parameters(description, described) if each["in"] == "query"}
        for key, value in parse_qsl(urlsplit(str(request.url)).query):
            assert key in known, (template, key)
            kind = known[key]["schema"].get("type")
            validator(known[key]["schema"], int(value) if kind == "integer" else value)
        assert request.headers["x-github-api-version"] == "2026-03-10"
        assert request.headers["accept"] == "application/vnd.github+json"
    assert {template.rpartition("/")[2] for template in seen} == {
        "{repo}", "rate_limit", "issues", "comments", "events", "milestones", "labels",
    }  # fmt: skip


def test_every_answer_conforms(description: Json, validator: Any, exchanges: list[httpx.Response]) -> None:
    checked: dict[str, int] = {}
    for response in exchanges:
        template, described = operation(description, response.request.url.path)
        if checked.get(template, 0) >= 6:
            continue
        checked[template] = checked.get(template, 0) + 1
        answer = described["responses"].get(str(response.status_code))
        if response.status_code == 304:
            # Listings answer it as well, though the description names it for single records.
            assert response.content == b""
            continue
        assert answer is not None, (template, response.status_code)
        validator(answer["content"]["application/json"]["schema"], response.json())
    assert len(checked) == 8


def test_the_version_we_speak_has_no_single_assignee(world: World, exchanges: list[httpx.Response]) -> None:
    assert not any(b'"assignee":' in each.content for each in exchanges if each.request.url.path.endswith("/issues"))
    old = httpx.get(
        f"{world.url}/repos/northbeam/operations/issues",
        headers={"Authorization": "Bearer github_pat_sandbox", "X-GitHub-Api-Version": "2022-11-28"},
        trust_env=False,
        verify=False,
    )
    assert all("assignee" in each for each in old.json())

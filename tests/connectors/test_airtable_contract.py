"""What is said to Airtable and what the sandbox answers, held against pyairtable's published models."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import pytest

from sandbox.airtable.side import TOKEN
from tests.conftest import SCHEMAS
from tests.connectors.conftest import NOW, World, read

FOLDER = SCHEMAS / "airtable"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"Airtable's schemas are not at {FOLDER}")
# What the listing of records takes (Web API, "List records").
PARAMETERS = {
    "pageSize", "maxRecords", "offset", "fields[]", "filterByFormula", "view", "cellFormat", "timeZone", "userLocale",
    "returnFieldsByFieldId", "recordMetadata[]", "sort[0][field]", "sort[0][direction]",
}  # fmt: skip


def schema(name: str) -> Any:
    return json.loads((FOLDER / "generated" / f"{name}.schema.json").read_text(encoding="utf-8"))


def sample(name: str) -> Any:
    return json.loads((FOLDER / "sample_data" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def http(world: World) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=world.url, headers=headers, trust_env=False, verify=False, timeout=60) as opened:
        yield opened


def strict(found: Any) -> Any:
    """The same schema with nothing further allowed: a misspelt key of ours would pass otherwise."""
    if isinstance(found, dict):
        more = {key: strict(value) for key, value in found.items()}
        if found.get("type") == "object" and "properties" in found and "additionalProperties" not in found:
            more["additionalProperties"] = False
        return more
    return [strict(each) for each in found] if isinstance(found, list) else found


def test_the_sandboxes_bases_conform(http: httpx.Client) -> None:
    data = http.get("/v0/meta/bases").json()
    jsonschema.validate(data, strict(schema("Bases")))
    assert len(data["bases"]) == 42


def test_the_sandboxes_schemas_conform(http: httpx.Client) -> None:
    wanted = schema("BaseSchema")
    # Tables without the union of all field types, which takes an unknown type as well and minutes to try;
    # fields by the model of their own type.
    table = {**wanted["$defs"]["TableSchema"], "$defs": wanted["$defs"]}
    table["properties"] = {key: value for key, value in table["properties"].items() if key != "fields"}
    tables = jsonschema.Draft202012Validator(table)
    fields: dict[str, jsonschema.Draft202012Validator] = {}
    for base in http.get("/v0/meta/bases").json()["bases"]:
        data = http.get(f"/v0/meta/bases/{base['id']}/tables").json()
        assert set(data) == {"tables"}
        for one in data["tables"]:
            tables.validate(one)
            for field in one["fields"]:
                kind = field["type"][0].upper() + field["type"][1:]
                if kind not in fields:
                    model = {"$ref": f"#/$defs/{kind}FieldSchema", "$defs": wanted["$defs"]}
                    fields[kind] = jsonschema.Draft202012Validator(model)
                    fields[kind].validate(field)
                elif "result" in (field.get("options") or {}):
                    continue
                else:
                    fields[kind].validate(field)
    assert {"Currency", "Percent", "Formula", "MultipleLookupValues", "SingleCollaborator", "DateTime"} <= set(fields)


def test_every_request_is_one_that_airtable_knows(world: World, http: httpx.Client) -> None:
    world.control_client.get("/_sandbox/ledger")
    source = world.airtable()
    asked: list[tuple[str, str]] = []
    ask = source.client.http.call

    def noted(method: str, path: str, **more: Any) -> Any:
        asked.append((method, path))
        return ask(method, path, **more)

    source.client.http.call = noted  # type: ignore[method-assign]
    for name, stream in source.streams.items():
        cursor = read(source, name).cursor
        read(source, name, cursor)
        source.control_totals(stream, None)
    spend = source.streams["paid_media_spend"]
    days = [total.day for total in source.control_totals(spend, None) if total.day is not None][-2:]
    assert sum(len(page.records) for page in source.day_pages(spend, days, now=NOW))
    list(source.probe())
    list(source.living_ids(source.streams["projects"]))
    assert len(asked) > 300
    for method, path in asked:
        url = httpx.URL(f"http://x{path}")
        assert method == "GET" and len(path) < 16_000
        if url.path.startswith("/v0/meta/"):
            assert set(url.params) <= {"offset"}
            continue
        assert set(url.params) <= PARAMETERS, path
        assert url.params["returnFieldsByFieldId"] == "true" and int(url.params["pageSize"]) <= 100
        assert all(value.startswith("fld") for value in url.params.get_list("fields[]"))


@pytest.mark.parametrize("kind", ["Bases", "BaseSchema"])
def test_airtables_own_samples_are_understood(kind: str) -> None:
    """The published answers go through the client as the sandbox's do."""
    from pydantic import SecretStr

    from resources.airtable.client import AirtableClient
    from tests.connectors.fake import StillClock, client_of, fake_vendor, said

    with fake_vendor(lambda _: said(sample(kind))) as vendor:
        client = AirtableClient(client_of(vendor, StillClock(), "airtable"), SecretStr("pat.secret"))
        if kind == "Bases":
            assert [base["name"] for base in client.bases()] == ["Apartment Hunting", "Project Tracker"]
        else:
            assert [table["name"] for table in client.tables("appX")] == ["Apartments", "Districts"]


def test_every_published_field_type_has_a_family() -> None:
    from resources.airtable.entities import family

    for path in sorted((FOLDER / "sample_data" / "field_schema").glob("*.json")):
        field = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(family(field), str), path.name

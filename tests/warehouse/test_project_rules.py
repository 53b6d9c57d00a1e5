"""The rules every model of the dbt project keeps, read from dbt's own manifest and from the files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from resources.vendors import all_streams
from tests.warehouse.dbt_warehouse import DBT_PROJECT

LAYERS = ["staging", "intermediate", "metrics", "marts"]
# The clock is a row of ops.company: a model that asks the server for the time cannot be replayed.
SERVER_CLOCK = re.compile(
    r"\b(now\(\)|current_date|current_timestamp|clock_timestamp|localtimestamp|statement_timestamp)"
)
FLOATS = re.compile(r"::\s*(float|real|double)|\b(float8|float4)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from dbt.cli.main import dbtRunner

    scratch = tmp_path_factory.mktemp("parse")
    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--log-path", str(scratch)]
    done = dbtRunner().invoke(["parse", "--quiet", "--target-path", str(scratch), *folders])
    assert done.success, done.exception
    content: dict[str, Any] = json.loads((scratch / "manifest.json").read_text(encoding="utf-8"))
    return content


def nodes(manifest: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] in kinds]


def layer(node: dict[str, Any]) -> str:
    """The layer of a model: marts and metrics are built as candidates of what is published."""
    return str(node["schema"]).removeprefix("candidate_")


def sql_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (DBT_PROJECT / folder).rglob("*.sql"))


def test_everything_is_described(manifest: dict[str, Any]) -> None:
    things = [*nodes(manifest, "model", "seed"), *manifest["sources"].values(), *manifest["exposures"].values()]
    assert [thing["unique_id"] for thing in things if not thing["description"].strip()] == []
    columns = [
        f"{node['name']}.{name}"
        for node in nodes(manifest, "model", "seed")
        for name, column in node["columns"].items()
        if not column["description"].strip()
    ]
    assert columns == []


def test_marts_have_enforced_contracts_with_types_and_a_key_that_is_tested(manifest: dict[str, Any]) -> None:
    tested: dict[str, set[str]] = {}
    for test in nodes(manifest, "test"):
        for parent in test["depends_on"]["nodes"]:
            tested.setdefault(parent, set()).add((test.get("test_metadata") or {}).get("name", test["name"]))
    marts = [node for node in nodes(manifest, "model") if layer(node) == "marts"]
    assert len(marts) >= 15
    for node in [*marts, *(n for n in nodes(manifest, "model") if n["name"] in ("dim_metric", "fct_metric_daily"))]:
        assert node["config"]["contract"]["enforced"], node["name"]
        assert all(column["data_type"] for column in node["columns"].values()), node["name"]
        assert tested[node["unique_id"]] & {"unique", "unique_combination"}, node["name"]


def test_schemas_are_the_layers_and_folders_say_them(manifest: dict[str, Any]) -> None:
    for node in nodes(manifest, "model"):
        assert layer(node) in LAYERS, node["name"]
        assert node["original_file_path"].split("/")[1] == layer(node), node["name"]
        assert (node["schema"] != layer(node)) == (layer(node) in ("marts", "metrics")), node["name"]
    assert {node["schema"] for node in nodes(manifest, "seed")} == {"reference"}


def test_what_is_computed_in_parts_can_be(manifest: dict[str, Any]) -> None:
    """A scope is a column with an index, marked in the SQL; `changed_by` names tables the model reads, with scope."""
    tables = [node for node in nodes(manifest, "model") if node["config"]["materialized"] == "lasting_table"]
    names = {node["name"] for node in tables} | {source["name"] for source in manifest["sources"].values()}
    assert len(tables) > 50
    for node in tables:
        config = node["config"]
        assert config["unique_key"], node["name"]
        scope, changed_by = config.get("scope"), config.get("changed_by") or {}
        assert set(changed_by) <= names, node["name"]
        if scope is None:
            assert not changed_by, f"{node['name']} names changes but no scope"
            continue
        assert any(index["columns"][0] == scope for index in config["indexes"]), f"{node['name']}: no index on {scope}"
        if not config.get("only_recent"):
            assert "in_scope" in node["raw_code"] or "live_rows" in node["raw_code"], node["name"]


def test_layers_read_downwards(manifest: dict[str, Any]) -> None:
    """Raw is read by staging alone (a test may compare with it); staging reads nothing above it."""
    models = {node["unique_id"]: node for node in nodes(manifest, "model")}
    for node in models.values():
        for parent in node["depends_on"]["nodes"]:
            if parent.startswith("source.") and manifest["sources"][parent]["source_name"].startswith("raw_"):
                assert layer(node) == "staging", f"{node['name']} reads {parent}"
            if layer(node) == "staging" and parent in models:
                assert layer(models[parent]) == "staging", f"{node['name']} reads {parent}"


def test_names_and_owners(manifest: dict[str, Any]) -> None:
    for node in nodes(manifest, "model"):
        prefix = {"staging": r"stg_\w+__\w+", "intermediate": r"int_\w+", "marts": r"(fct|dim)_\w+"}.get(layer(node))
        assert prefix is None or re.fullmatch(prefix, node["name"]), node["name"]
        assert node["config"]["meta"]["dagster"]["owners"], node["name"]


def test_no_model_asks_the_server_for_the_time() -> None:
    found = [file.name for file in sql_files("models", "macros", "tests") if SERVER_CLOCK.search(file.read_text())]
    assert found == []


def test_no_amount_passes_through_a_float() -> None:
    # Two intervals and one timestamp are made from doubles; none of them is an amount.
    allowed = {"fct_factory_messages.sql", "stg_slack__messages.sql"}
    found = {file.name for file in sql_files("models", "macros") if FLOATS.search(file.read_text())}
    assert found <= allowed


def test_every_source_knows_how_fresh_it_is(manifest: dict[str, Any]) -> None:
    raw = [source for source in manifest["sources"].values() if source["source_name"].startswith("raw_")]
    assert len(raw) == len(list(all_streams()))
    for source in raw:
        assert source["freshness"]["warn_after"]["count"], source["unique_id"]
        assert source["loaded_at_query"], source["unique_id"]


def test_the_pulse_is_an_exposure(manifest: dict[str, Any]) -> None:
    (pulse,) = [entry for entry in manifest["exposures"].values() if entry["name"] == "ops_pulse"]
    assert "model.ops_warehouse.fct_metric_daily" in pulse["depends_on"]["nodes"]

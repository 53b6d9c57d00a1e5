"""The rules every model of the dbt project keeps, read from dbt's own manifest and from the files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ops_platform.fleet import get_fleet
from ops_platform.warehouse.dbt import prepare_manifest
from ops_platform.warehouse.rules import (
    entry_problems,
    is_public,
    layer,
    metric_problems,
    model_problems,
    personal_columns,
)
from resources.vendors import all_streams
from tests.warehouse.dbt_warehouse import DBT_PROJECT

LAYERS = ["staging", "intermediate", "metrics", "marts"]
# The clock is a row of ops.company: a model that asks the server for the time cannot be replayed.
SERVER_CLOCK = re.compile(
    r"\b(now\(\)|current_date|current_timestamp|clock_timestamp|localtimestamp|statement_timestamp)"
)
FLOATS = re.compile(r"::\s*(float|real|double)|\b(float8|float4)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """dbt's manifest of the project as it is, which Dagster's graph is made of, too."""
    content: dict[str, Any] = json.loads(prepare_manifest().read_text(encoding="utf-8"))
    return content


def nodes(manifest: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] in kinds]


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


def test_every_public_model_is_described_owned_contracted_and_has_a_proven_key(manifest: dict[str, Any]) -> None:
    assert sum(is_public(node) for node in nodes(manifest, "model")) >= 17
    assert model_problems(manifest) == []


def test_every_metric_is_complete_and_its_sources_are_streams(manifest: dict[str, Any]) -> None:
    fleet = get_fleet()
    streams = [f"{stream.vendor}.{stream.name}" for stream in all_streams()]
    assert metric_problems(manifest, streams, fleet.divisions, fleet.bots) == []


def test_nothing_personal_is_above_staging(manifest: dict[str, Any]) -> None:
    """By name, and by what staging marks; what the rows hold is looked at where a whole company is built."""
    marked = [
        f"{node['name']}.{name}"
        for node in nodes(manifest, "model")
        if layer(node) == "staging"
        for name, column in node["columns"].items()
        if (column.get("config") or {}).get("meta", {}).get("personal")
    ]
    assert len(marked) >= 20
    assert personal_columns(manifest) == []


def test_the_rules_find_what_they_are_for(manifest: dict[str, Any]) -> None:
    """Each rule, on a project in which one thing is wrong."""

    def broken(change: Callable[[dict[str, Any]], None], name: str = "fct_orders") -> dict[str, Any]:
        copy = deepcopy(manifest)
        change(next(node for node in copy["nodes"].values() if node["name"] == name))
        return copy

    for change, said in (
        (lambda node: node.update(description=" "), "no description"),
        (lambda node: node["config"].update(group=None), "no group"),
        (lambda node: node["config"]["meta"]["dagster"].update(owners=[]), "no owner"),
        (lambda node: node["config"]["contract"].update(enforced=False), "not enforced"),
        (lambda node: node["columns"]["order_name"].update(data_type=None), "no data_type"),
        (lambda node: node["config"].update(unique_key="order_name"), "no uniqueness test of order_name"),
        (lambda node: node["config"].update(unique_key="order_name"), "may be NULL"),
    ):
        assert any(said in problem for problem in model_problems(broken(change))), said
    somebody = {"description": "Somebody's.", "data_type": "text"}
    # By its own name, and because a model below marks a column of that name.
    assert personal_columns(broken(lambda node: node["columns"].update(email=somebody))) == ["fct_orders.email"]
    titled = broken(lambda node: node["columns"].update(user_title=somebody), "fct_factory_messages")
    assert personal_columns(titled) == ["fct_factory_messages.user_title"]
    assert personal_columns(broken(lambda node: node["columns"].update(user_title=somebody))) == []
    good = {
        "label": "L", "unit": "count", "direction": "neutral", "aggregation": "sum", "kind": "flow", "owner": "sales",
        "division": "sales", "sources": ["shopify.orders"],
    }  # fmt: skip
    known = ({"shopify.orders"}, {"sales"}, {"sales"})
    assert entry_problems(good, *known) == []
    for wrong, said in (
        ({"unit": "dollars"}, "unit is 'dollars'"), ({"sources": ["shopify.nothing"]}, "is no stream"),
        ({"sources": []}, "no sources"), ({"label": ""}, "no label"), ({"target": "high"}, "not a number"),
        ({"division": "mars"}, "division is 'mars'"), ({"in_pulse": "yes"}, "neither true nor false"),
        ({"sources": ["shopify.orders", "shopify.orders"]}, "named twice"),
    ):  # fmt: skip
        assert any(said in problem for problem in entry_problems({**good, **wrong}, *known)), said


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


def test_a_metric_hands_on_the_changes_of_what_it_reads(manifest: dict[str, Any]) -> None:
    """Else every change below it would have the whole history of all metrics computed anew."""
    models = {node["unique_id"]: node for node in nodes(manifest, "model")}
    metrics = [node for node in models.values() if layer(node) == "metrics" and "metric" in node["config"]["meta"]]
    (observed,) = (node for node in models.values() if node["name"] == "int_metric_observed")
    seen_to = set(observed["config"]["changed_by"])
    assert len(metrics) > 150
    for node in metrics:
        said = set(node["config"].get("changed_by") or {})
        read = {models[parent]["name"] for parent in node["depends_on"]["nodes"] if parent in models}
        assert said <= read, f"{node['name']} waits for {said - read}, which it does not read"
        assert read <= said | seen_to, f"{node['name']} does not say by which column {read - said - seen_to} changes it"


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


def test_what_reads_the_numbers_is_an_exposure(manifest: dict[str, Any]) -> None:
    """A consumer that is only designed says so: low maturity, and the word in its description."""
    exposures = {entry["name"]: entry for entry in manifest["exposures"].values()}
    assert {"ops_pulse", "narratives", "board_pack", "console"} <= exposures.keys()
    for entry in exposures.values():
        designed = entry["config"]["meta"].get("consumer") == "designed"
        assert designed == ("not built yet" in entry["description"]) == (entry["maturity"] == "low"), entry["name"]
        assert entry["owner"]["name"] in get_fleet().bots


def test_the_pulse_is_an_exposure(manifest: dict[str, Any]) -> None:
    (pulse,) = [entry for entry in manifest["exposures"].values() if entry["name"] == "ops_pulse"]
    assert "model.ops_warehouse.fct_metric_daily" in pulse["depends_on"]["nodes"]

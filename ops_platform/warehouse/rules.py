"""The rules that every model and metric of the dbt project keeps, as checks on dbt's manifest.

Belongs here: what a manifest can tell, each finding with the file to mend. Does not belong here: what needs data (dbt's
own tests), how SQL is laid out (sqlfluff).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from ops_platform.watch.tree import tree_problems

UNITS = ("money", "count", "ratio", "percent", "days", "hours", "score")
DIRECTIONS = ("up_is_good", "down_is_good", "neutral")
AGGREGATIONS = ("sum", "ratio", "last", "average")
KINDS = ("flow", "level", "snapshot")
# What a mart may not have a column for: who somebody is, where they live, how to reach them, what they wrote.
_PERSONAL = re.compile(
    r"(^|_)(e_?mail|phone|mobile|fax|first_?name|last_?name|full_?name|surname|given_?name|middle_?name|birth\w*|"
    r"street|address\d*|postal_code|postcode|zip|zip_code|ip|ip_address|user_agent|latitude|longitude|passport|ssn|"
    r"iban|card_number|note|notes|note_text|comment_text|body|message_text|real_name|display_name|username|"
    r"user_name|customer_name|contact_name|owner_name|person_name|author|author_name|agent_name|assignee|assignee_name|"
    r"ticket_text)$|^(text|message)$"
)
# Divisions that are no team of the fleet: the company as a whole, and its books.
COMPANY_DIVISIONS = ("all", "finance")
_PUBLIC_TABLES = ("dim_metric", "fct_metric_daily")


def layer(node: dict[str, Any]) -> str:
    """The layer of a model: marts and metrics are built as candidates of what is published."""
    return str(node["schema"]).removeprefix("candidate_")


def is_metric(node: dict[str, Any]) -> bool:
    return node["resource_type"] == "model" and bool((node["config"].get("meta") or {}).get("metric"))


def is_public(node: dict[str, Any]) -> bool:
    """A table that people read: a mart, or one of the two tables of metrics."""
    return node["resource_type"] == "model" and (layer(node) == "marts" or node["name"] in _PUBLIC_TABLES)


def model_problems(manifest: dict[str, Any]) -> list[str]:
    """What public models lack: description, owner, group, enforced contract with types, key tested and present."""
    tests: dict[str, list[dict[str, Any]]] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test":
            for parent in node["depends_on"]["nodes"]:
                tests.setdefault(parent, []).append(node)
    found: list[str] = []
    for unique_id, node in sorted(manifest["nodes"].items()):
        if not is_public(node):
            continue
        config, name = node["config"], f"{node['name']} ({node['original_file_path']})"
        if not node["description"].strip():
            found.append(f"{name}: no description")
        if not (config.get("meta") or {}).get("dagster", {}).get("owners"):
            found.append(f"{name}: no owner (meta.dagster.owners)")
        if not config.get("group"):
            found.append(f"{name}: no group")
        if not config["contract"]["enforced"]:
            found.append(f"{name}: its contract is not enforced")
        found += [
            f"{name}: {column} has no data_type" for column, said in node["columns"].items() if not said["data_type"]
        ]
        found += [
            f"{name}: {column} is not described"
            for column, said in node["columns"].items()
            if not said["description"].strip()
        ]
        key = config.get("unique_key") or []
        keys = [key] if isinstance(key, str) else list(key)
        if not keys:
            found.append(f"{name}: no unique_key")
        elif not any(_proves(test, keys) for test in tests.get(unique_id, [])):
            found.append(f"{name}: no uniqueness test of {', '.join(keys)}")
        for column in keys:
            if not _is_never_null(node, column, tests.get(unique_id, [])):
                found.append(f"{name}: {column} is part of the key and may be NULL (constraint or test not_null)")
    return found


def _proves(test: dict[str, Any], keys: list[str]) -> bool:
    metadata = test.get("test_metadata") or {}
    said = metadata.get("kwargs") or {}
    if metadata.get("name") == "unique_combination":
        return set(said.get("columns") or []) <= set(keys)
    return metadata.get("name") in ("unique", "primary_key") and [said.get("column_name")] == keys


def _is_never_null(node: dict[str, Any], column: str, tests: list[dict[str, Any]]) -> bool:
    said = node["columns"].get(column) or {}
    if any(constraint.get("type") in ("not_null", "primary_key") for constraint in said.get("constraints") or []):
        return True
    return any(
        (test.get("test_metadata") or {}).get("name") in ("not_null", "primary_key")
        and (test["test_metadata"].get("kwargs") or {}).get("column_name") == column
        for test in tests
    )


def metric_problems(
    manifest: dict[str, Any], streams: Iterable[str], divisions: Iterable[str], owners: Iterable[str]
) -> list[str]:
    """What metrics lack or say wrongly. `streams` are the known ones as `vendor.stream`."""
    known, allowed_divisions, allowed_owners = set(streams), {*divisions, *COMPANY_DIVISIONS}, set(owners)
    metrics = [str(node["name"]) for node in manifest["nodes"].values() if is_metric(node)]
    found: list[str] = []
    for node in sorted(manifest["nodes"].values(), key=lambda item: str(item["name"])):
        if not is_metric(node):
            continue
        metric, where = node["config"]["meta"]["metric"], str(node["original_file_path"])
        problems = entry_problems(metric, known, allowed_divisions, allowed_owners)
        problems += tree_problems(str(node["name"]), metric, metrics)
        if len(node["description"].strip()) < 20:
            problems.append("its description says nothing")
        if metric.get("owner") != node["config"]["meta"].get("owner"):
            problems.append("meta.owner and meta.metric.owner differ")
        if not node["config"].get("group"):
            problems.append("no group")
        found += [f"{node['name']} ({where}): {problem}" for problem in problems]
    return found


def entry_problems(metric: dict[str, Any], streams: set[str], divisions: set[str], owners: set[str]) -> list[str]:
    """What is wrong with one metric's `meta.metric`."""
    found = [
        f"no {key}"
        for key in ("label", "unit", "direction", "aggregation", "kind", "owner", "division")
        if not metric.get(key)
    ]
    if not metric.get("sources") and not metric.get("optional_sources"):
        found.append("no sources")
    found += [
        f"{key} is {metric[key]!r}, not one of {', '.join(sorted(allowed))}"
        for key, allowed in (
            ("unit", UNITS), ("direction", DIRECTIONS), ("aggregation", AGGREGATIONS), ("kind", KINDS),
            ("owner", owners), ("division", divisions),
        )
        if metric.get(key) and metric[key] not in allowed
    ]  # fmt: skip
    for key in ("target", "minimum_effect"):
        value = metric.get(key)
        if value is not None:
            try:
                Decimal(str(value))
            except InvalidOperation:
                found.append(f"{key} is {value!r}, not a number")
    if "in_pulse" in metric and not isinstance(metric["in_pulse"], bool):
        found.append("in_pulse is neither true nor false")
    found += _watch_problems(metric.get("watch"))
    named = [*(metric.get("sources") or []), *(metric.get("optional_sources") or [])]
    found += [f"its source {stream} is no stream (vendor.stream)" for stream in named if stream not in streams]
    found += [f"its source {stream} is named twice" for stream in sorted({s for s in named if named.count(s) > 1})]
    return found


def _watch_problems(watch: Any) -> list[str]:
    """What is wrong with `watch`: `persistence: 2 of 3`, `judged: false` or `usual: 0.9`."""
    if watch is None:
        return []
    if not isinstance(watch, dict):
        return ["watch is not a mapping (persistence, judged, usual)"]
    keys = ("persistence", "judged", "usual")
    found = [f"watch.{key} is unknown ({', '.join(keys)})" for key in watch if key not in keys]
    if "judged" in watch and not isinstance(watch["judged"], bool):
        found.append("watch.judged is neither true nor false")
    usual = watch.get("usual", 1)
    if isinstance(usual, bool) or not isinstance(usual, int | float) or not 0.5 <= usual <= 1:
        found.append(f"watch.usual is {usual!r}, not the share of usual days (0.5 to 1)")
    said = re.fullmatch(r"(\d+) of (\d+)", str(watch.get("persistence", "1 of 1")))
    if said is None or not 1 <= int(said[1]) <= int(said[2]) <= 31:
        found.append(f"watch.persistence is {watch['persistence']!r}, not as `2 of 3` (at most 31 days)")
    return found


def personal_columns(manifest: dict[str, Any]) -> list[str]:
    """Columns of what is published that look personal by name, or have the name of a column that a model below marks
    `meta: {personal: true}`; unless the column itself says `meta: {personal: false}`."""
    nodes = manifest["nodes"]
    marked: dict[str, set[str]] = {
        unique_id: {column for column, said in node["columns"].items() if _personal_mark(said) is True}
        for unique_id, node in nodes.items()
        if node["resource_type"] == "model"
    }
    found = []
    for unique_id, node in nodes.items():
        if node["resource_type"] != "model" or layer(node) not in ("marts", "metrics"):
            continue
        below = {column for parent in _models_below(nodes, unique_id) for column in marked[parent]}
        for column, said in node["columns"].items():
            if _personal_mark(said) is not False and (column in below or _PERSONAL.search(column)):
                found.append(f"{node['name']}.{column}")
    return sorted(found)


def _models_below(nodes: dict[str, Any], unique_id: str) -> set[str]:
    waiting, seen = [unique_id], set[str]()
    while waiting:
        for parent in nodes[waiting.pop()]["depends_on"]["nodes"]:
            if parent in nodes and nodes[parent]["resource_type"] == "model" and parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return seen


def _personal_mark(column: dict[str, Any]) -> bool | None:
    meta = (column.get("config") or {}).get("meta") or column.get("meta") or {}
    mark = meta.get("personal")
    return mark if isinstance(mark, bool) else None

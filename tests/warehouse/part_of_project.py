"""A part of the dbt project that stands alone: some models, all they are computed from, and what is tested of them.

Belongs here: cutting a copy of the project down, for tests of what surrounds dbt (publishing, comparing, refusing),
which would learn nothing from the other four fifths. Does not belong here: changing a model; every file that stays is
the product's own, a YAML file less what it says of models that went.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ops_platform.warehouse.dbt import DBT_PROJECT, prepare_manifest
from ops_platform.warehouse.metric_union import BASE_MODEL, DERIVED_MODEL, write_metric_union

_REFERENCE = re.compile(r"""ref\(\s*\\?['"]([a-z_0-9]+)\\?['"]\s*\)""")
# What every part has: the metric table, its definitions, and the one metric that is made of others.
_ALWAYS = ("fct_metric_daily", "dim_metric", "business_health")


def copy_part(roots: Iterable[str], project: Path) -> Path:
    """Copy the product's project to `project` with only the models and metrics in `roots` and those above them."""
    ignored = shutil.ignore_patterns("target", "logs")
    shutil.copytree(DBT_PROJECT, project, ignore=ignored)
    cut_down(project, roots)
    return project


def cut_down(project: Path, roots: Iterable[str]) -> None:
    """Take out of a copy of the product's project all that `roots` are not computed from."""
    manifest = json.loads(prepare_manifest().read_text(encoding="utf-8"))
    nodes = {
        unique_id: node for unique_id, node in manifest["nodes"].items() if node["resource_type"] in ("model", "seed")
    }
    kept = _with_parents(nodes, set(roots))
    for node in nodes.values():
        if node["name"] not in kept:
            (project / node["original_file_path"]).unlink(missing_ok=True)
    for file in (project / "tests").rglob("*.sql"):
        if file.parent.name != "generic" and not set(_REFERENCE.findall(file.read_text(encoding="utf-8"))) <= kept:
            file.unlink()
    for file in sorted(project.rglob("*.yml")):
        if file.parent != project:
            _cut_description(file, kept)
    write_metric_union(project / "models")


def _with_parents(nodes: dict[str, Any], roots: set[str]) -> set[str]:
    """The names of the roots and of all above them. The union of metrics is above nothing but the chosen ones."""
    unions = {BASE_MODEL.stem, DERIVED_MODEL.stem}
    metrics = {unique_id for unique_id, node in nodes.items() if "metric" in node["config"].get("meta", {})}
    known = {node["name"] for node in nodes.values()}
    assert roots <= known, f"the project has no {sorted(roots - known)}"
    queue = [unique_id for unique_id, node in nodes.items() if node["name"] in roots | set(_ALWAYS)]
    found: set[str] = set()
    while queue:
        unique_id = queue.pop()
        if unique_id in found or unique_id not in nodes:
            continue
        found.add(unique_id)
        union = nodes[unique_id]["name"] in unions
        queue += [
            parent for parent in nodes[unique_id]["depends_on"].get("nodes", []) if not (union and parent in metrics)
        ]
    return {nodes[unique_id]["name"] for unique_id in found}


def _cut_description(file: Path, kept: set[str]) -> None:
    # The loader dbt reads with.
    content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
    for kind, name_of in (("models", "name"), ("seeds", "name"), ("unit_tests", "model")):
        if kind in content:
            content[kind] = [_without_others(entry, kept) for entry in content[kind] if entry[name_of] in kept]
    for exposure in content.get("exposures", []):
        exposure["depends_on"] = [on for on in exposure["depends_on"] if set(_REFERENCE.findall(on)) <= kept]
    if any(content.get(kind) for kind in content if kind != "version"):
        file.write_text(
            yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
    else:
        file.unlink()


def _without_others(entry: dict[str, Any], kept: set[str]) -> dict[str, Any]:
    """A model's description less the tests that compare it with models that went, as some metrics did."""
    whole = kept - {"dim_metric"}
    for described in (entry, *entry.get("columns", [])):
        if "data_tests" in described:
            described["data_tests"] = [
                test
                for test in described["data_tests"]
                if set(_REFERENCE.findall(str(test).replace('"', "'"))) <= whole
            ]
    return entry

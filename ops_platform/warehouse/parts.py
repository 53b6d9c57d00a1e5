"""The part of the warehouse that a report stands on: which models, seeds and raw tables.

Belongs here: walking dbt's manifest up from marts. Does not belong here: running dbt (`dbt.py`), Dagster's names for
what is found (`jobs/`).

The daily metric table is never of a part. It gathers every metric and says how fresh each is by the streams below it;
built over marts that were left as they were, it would call old numbers fresh. It changes with a build of the whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ops_platform.failures import ConfigurationError, TransientFailure

#: What changes only with the whole.
METRIC_TABLES = ("fct_metric_daily", "dim_metric")
_PATIENCE = 20
_MOMENT = 15.0
_latest: list[tuple[float, dict[str, Any]]] = []
_BUILT = ("model", "seed", "snapshot")


@dataclass(frozen=True, slots=True)
class Part:
    """dbt's unique ids: `nodes` are models and seeds, `sources` raw and operations tables."""

    nodes: frozenset[str]
    sources: frozenset[str]


def part_of(manifest: Mapping[str, Any], views: Iterable[str]) -> Part:
    """What `views` (`marts.x`) stand on; `metrics.x` is left as it is. Raises `ConfigurationError` naming what the
    project does not have."""
    nodes = manifest["nodes"]
    names = {str(node["name"]): key for key, node in nodes.items() if node["resource_type"] in _BUILT}
    wanted = list(views)
    missing = sorted({view for view in wanted if view.partition(".")[2] not in names})
    if missing:
        raise ConfigurationError(f"the warehouse has no {', '.join(missing)}: see dbt_project/models")
    waiting = [names[view.partition(".")[2]] for view in wanted if view.startswith("marts.")]
    seen: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting += nodes[key]["depends_on"].get("nodes", ()) if key in nodes else ()
    built = frozenset(key for key in seen if key in nodes)
    return Part(built, frozenset(seen - built))


def manifest() -> dict[str, Any]:
    """dbt's manifest, brought up to date with the project's files. Whether it is takes reading them all, so what was
    up to date a moment ago counts as it: a fleet asks for each of its jobs."""
    now = time.monotonic()
    if _latest and now - _latest[0][0] < _MOMENT:
        return _latest[0][1]
    found = _prepared()
    _latest[:] = [(time.monotonic(), found)]
    return found


def _prepared() -> dict[str, Any]:
    import orjson

    from ops_platform.warehouse.dbt import prepare_manifest

    for _ in range(_PATIENCE):
        path = prepare_manifest()
        try:
            return _read(str(path), path.stat().st_mtime_ns)
        except orjson.JSONDecodeError:
            # Somebody's dbt is writing it: the next look waits for the right to prepare it.
            time.sleep(0.5)
    raise TransientFailure(f"{path} is being written by somebody else: try again")


@lru_cache(maxsize=1)
def _read(path: str, changed: int) -> dict[str, Any]:
    from pathlib import Path

    import orjson

    found: dict[str, Any] = orjson.loads(Path(path).read_bytes())
    # Macros and documentation are most of it, and nothing here asks for them.
    return {"nodes": {key: _brief(node) for key, node in found["nodes"].items()}, "sources": found["sources"]}


def _brief(node: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "resource_type", "depends_on", "original_file_path", "unique_id", "column_name", "config")
    return {name: node.get(name) for name in names}

"""What stands on what in the warehouse: source stream → staging model → … → metric, read from the project's files.

Belongs here: which models read a stream, which of its fields they name, which metrics are lost without it. Does not
belong here: running dbt (`dbt.py`), judging payloads (`ops_platform.ingestion.schema_drift`).

The files are read, not dbt's manifest: they are always there and always current, and a metric's YAML says which
streams it needs. A field counts as read when every key of its path stands as a word in a model that reads the stream
directly; that errs towards reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ops_platform.warehouse.dbt import DBT_PROJECT
from ops_platform.yaml_text import read_text

_COMMENT = re.compile(r"\{#.*?#\}|--[^\n]*", re.DOTALL)
_SOURCE = re.compile(r"source\(\s*['\"]raw_(\w+)['\"]\s*,\s*['\"](\w+)['\"]\s*\)")
_REF = re.compile(r"\bref\(\s*['\"](\w+)['\"]\s*\)")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MACRO = re.compile(r"\{%-?\s*macro\s+(\w+)\s*\(.*?\)\s*-?%\}(.*?)\{%-?\s*endmacro\s*-?%\}", re.DOTALL)
# The keys of what is put in a payload's place, not of a payload.
_PATH_KEY = re.compile(r"[^.\[\]]+")


@dataclass(frozen=True, slots=True)
class Model:
    """One model: what it reads directly, every word of its SQL and of the macros it calls."""

    name: str
    refs: frozenset[str]
    streams: frozenset[str]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as its YAML has it; `streams` it cannot do without, as `vendor.stream`."""

    id: str
    label: str
    streams: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lineage:
    """The project's models and metrics by name."""

    models: dict[str, Model] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)

    def readers(self, vendor: str, stream: str) -> list[str]:
        """The models that read the stream's raw table themselves."""
        wanted = f"{vendor}.{stream}"
        return sorted(model.name for model in self.models.values() if wanted in model.streams)

    def field_readers(self, vendor: str, stream: str, path: str) -> list[str]:
        """Those of them that name every key of `path` (`customer.id`, `lineItems[].sku`)."""
        keys = set(_PATH_KEY.findall(path))
        return [name for name in self.readers(vendor, stream) if keys <= self.models[name].words]

    def streams_above(self, model: str) -> frozenset[str]:
        """Every stream the model stands on."""
        return _ancestors(model, self.models)

    def lost_metrics(self, streams: Iterable[str]) -> list[Metric]:
        """The metrics that are unknown without any one of the streams (`vendor.stream`)."""
        gone = set(streams)
        return [metric for metric in self.metrics.values() if metric.streams & gone]


@lru_cache(maxsize=4)
def lineage(project: Path = DBT_PROJECT) -> Lineage:
    """The lineage of the project; an empty one where there is no project."""
    macros = _macros(project)
    models: dict[str, Model] = {}
    for file in sorted((project / "models").rglob("*.sql")):
        text = _COMMENT.sub(" ", file.read_text(encoding="utf-8"))
        words = set(_WORD.findall(text))
        for name in words & macros.keys():
            words |= macros[name]
        streams = frozenset(f"{vendor}.{stream}" for vendor, stream in _SOURCE.findall(text))
        models[file.stem] = Model(file.stem, frozenset(_REF.findall(text)), streams, frozenset(words))
    return Lineage(models, _metrics(project, models))


def _macros(project: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in (project / "macros").rglob("*.sql"):
        text = _COMMENT.sub(" ", file.read_text(encoding="utf-8"))
        for name, body in _MACRO.findall(text):
            found[name] = set(_WORD.findall(body))
    return found


def _metrics(project: Path, models: dict[str, Model]) -> dict[str, Metric]:
    found: dict[str, Metric] = {}
    for file in sorted((project / "models" / "metrics").glob("*/*.yml")):
        content: Any = read_text(file.read_text(encoding="utf-8")) or {}
        for entry in content.get("models", []):
            name = str(entry.get("name"))
            config = entry.get("config", {}).get("meta", {}).get("metric")
            if not config:
                continue
            streams = frozenset(config.get("sources") or ()) or _ancestors(name, models)
            found[name] = Metric(name, str(config.get("label") or name), streams)
    return found


def _ancestors(name: str, models: dict[str, Model]) -> frozenset[str]:
    """Every stream above a model, for a metric that does not say what it needs."""
    waiting = [name]
    seen: set[str] = set()
    streams: set[str] = set()
    while waiting:
        model = models.get(waiting.pop())
        if model is None or model.name in seen:
            continue
        seen.add(model.name)
        streams |= model.streams
        waiting.extend(model.refs)
    return frozenset(streams)

"""A new metric's two files, made so that they pass lint and the rule check as they are.

Belongs here: naming rules, the SQL of the three shapes a metric has, its YAML. Does not belong here: what a metric
means; the analyst writes that over the first draft.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_platform.failures import ConfigurationError
from ops_platform.warehouse.rules import COMPANY_DIVISIONS, is_metric, layer

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 50
# Names that a reader or PostgreSQL would take for something else.
_RESERVED = frozenset(
    """
    all analyse analyze and any array as asc both case cast check column constraint create current date default desc
    dimension dimension_value distinct do else end except false fetch for foreign from grant group having in initially
    intersect into lateral limit metric not null numerator denominator offset on only or order primary references
    returning select some table then to trailing true union unique user using value values when where window with
    """.split()
)
_LAYER_PREFIXES = ("stg_", "int_", "fct_", "dim_")
_NUMBERS = ("numeric", "bigint", "integer", "int", "smallint", "decimal")


@dataclass(frozen=True, slots=True)
class NewMetric:
    """What is written: two files, and what was chosen for the analyst."""

    name: str
    sql: Path
    yml: Path
    choices: tuple[str, ...]


def check_name(name: str, manifest: dict[str, Any]) -> None:
    """Raise `ConfigurationError` for a name that is no good: what is wrong, and what is right."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be a metric's name: lower case letters and digits in words joined by single underscores,"
            " the first a letter, e.g. return_rate"
        )
    if len(name) > _LONGEST_NAME:
        raise ConfigurationError(f"{name!r} is too long: at most {_LONGEST_NAME} characters")
    if name in _RESERVED:
        raise ConfigurationError(
            f"{name!r} is a word of SQL or of the metric table: say what is counted, e.g. {name}_count"
        )
    if name.startswith(_LAYER_PREFIXES):
        raise ConfigurationError(f"{name!r} begins as models of other layers do ({', '.join(_LAYER_PREFIXES)})")
    for node in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        if node["name"] == name and node["resource_type"] in ("model", "seed", "source"):
            raise ConfigurationError(f"{name!r} exists already: {node['original_file_path']}")


def new_metric(
    project: Path,
    manifest: dict[str, Any],
    name: str,
    *,
    division: str,
    mart: str,
    divisions: dict[str, str],
    streams_of: dict[str, frozenset[str]],
    measure: str | None = None,
    ratio: tuple[str, str] | None = None,
    count_by: str | None = None,
    dimensions: Sequence[str] = (),
    label: str | None = None,
    unit: str | None = None,
    direction: str | None = None,
) -> NewMetric:
    """Write the metric's SQL and YAML. `divisions` gives each division's bot, `streams_of` the streams above a model.

    Raises `ConfigurationError` for a bad name, division, mart or column; nothing is written then."""
    check_name(name, manifest)
    if division not in divisions and division not in COMPANY_DIVISIONS:
        known = ", ".join([*divisions, *COMPANY_DIVISIONS])
        raise ConfigurationError(f"there is no division {division!r}: choose among {known}")
    node = _mart(manifest, mart)
    columns = {column: str(said["data_type"] or "") for column, said in node["columns"].items()}
    choices: list[str] = []
    for dimension in dimensions:
        _known(columns, {"country": "country_name"}.get(dimension, dimension), mart)
    listed = f", dimensions=[{', '.join(repr(dimension) for dimension in dimensions)}]" if dimensions else ""
    if ratio is not None:
        for column in ratio:
            _known(columns, column, mart, numbers=True)
        _dated(columns, mart)
        body = f"daily_ratio('{mart}', 'daily.{ratio[0]}', 'daily.{ratio[1]}'{listed})"
        aggregation, of = "ratio", f"{_words(ratio[0])} divided by {_words(ratio[1])}"
        unit = unit or ("money" if _is_money(ratio[0]) else "ratio")
    elif count_by is not None:
        _known(columns, count_by, mart)
        body = f"daily_count('{mart}', '{count_by}'{listed})"
        aggregation, of = "sum", f"Rows of {mart} on the day in {count_by}"
        unit = unit or "count"
    else:
        _dated(columns, mart)
        if measure is None:
            measure = next((c for c, kind in columns.items() if _is_number(kind) and not c.endswith("_id")), None)
            if measure is None:
                raise ConfigurationError(f"{mart} has no number to sum: count its rows with --count-by COLUMN")
            others = [c for c, kind in columns.items() if _is_number(kind) and c != measure]
            choices.append(
                f"sums {measure}, the first number of {mart}; others: {', '.join(others) or 'none'} (--measure)"
            )
        _known(columns, measure, mart, numbers=True)
        body = f"daily_sum('{mart}', '{measure}'{listed})"
        aggregation, of = "sum", f"The sum of {_words(measure)}"
        unit = unit or ("money" if _is_money(measure) else "count")
    sources, why = _sources(manifest, node, streams_of)
    choices.append(f"sources {', '.join(sources)} ({why}): the metric is unknown on days one of them does not cover")
    if direction is None:
        direction = "up_is_good"
        choices.append("direction up_is_good (--direction)")
    owner = divisions.get(division, "coordinator")
    folder = project / "models" / "metrics" / Path(node["original_file_path"]).parent.name
    sql, yml = folder / f"{name}.sql", folder / f"{name}.yml"
    for file in (sql, yml):
        if file.exists():
            raise ConfigurationError(f"{file} exists already")
    said = f"{of} by day, from {mart}. Say here what is counted, on which day, and what is left out."
    entry = _YAML.format(
        name=name, description=said[0].upper() + said[1:], owner=owner, division=division,
        label=json.dumps(label or _words(name).capitalize()), unit=unit, direction=direction, aggregation=aggregation,
        sources=", ".join(sources),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    sql.write_text("{{ " + body + " }}\n", encoding="utf-8")
    yml.write_text(entry, encoding="utf-8")
    return NewMetric(name, sql, yml, tuple(choices))


_YAML = """version: 2

models:
  - name: {name}
    description: >-
      {description}
    config:
      group: {owner}
      meta:
        owner: {owner}
        division: {division}
        dagster: {{ group: metrics, owners: ["team:{owner}"] }}
        metric:
          label: {label}
          unit: {unit}
          direction: {direction}
          aggregation: {aggregation}
          kind: flow
          target: null
          minimum_effect: null
          owner: {owner}
          division: {division}
          sources: [{sources}]
          in_pulse: false
"""


def _mart(manifest: dict[str, Any], mart: str) -> dict[str, Any]:
    marts = {
        str(node["name"]): node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and layer(node) == "marts"
    }
    if mart not in marts:
        daily = sorted(name for name, node in marts.items() if "date" in node["columns"])
        raise ConfigurationError(f"there is no mart {mart!r}: with a row per day there are {', '.join(daily)}")
    return marts[mart]


def _known(columns: dict[str, str], column: str, mart: str, *, numbers: bool = False) -> None:
    fit = {name: kind for name, kind in columns.items() if not numbers or _is_number(kind)}
    if column not in fit:
        what = "number" if numbers else "column"
        raise ConfigurationError(f"{mart} has no {what} {column!r}: choose among {', '.join(fit)}")


def _dated(columns: dict[str, str], mart: str) -> None:
    if columns.get("date") != "date":
        days = [name for name, kind in columns.items() if kind == "date"]
        raise ConfigurationError(
            f"{mart} has no column date to sum by: count its rows on one of its days with --count-by"
            f" ({', '.join(days) or 'it has none'})"
        )


def _is_number(kind: str) -> bool:
    return kind.split("(")[0].strip().lower() in _NUMBERS


def _is_money(column: str) -> bool:
    return bool(re.search(r"(amount|revenue|price|cost|spend|value|budget|plan)", column))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _sources(
    manifest: dict[str, Any], mart: dict[str, Any], streams_of: dict[str, frozenset[str]]
) -> tuple[list[str], str]:
    """What the metrics over the same mart need, else every stream above it."""
    counted: Counter[tuple[str, ...]] = Counter()
    for node in manifest["nodes"].values():
        if is_metric(node) and mart["unique_id"] in node["depends_on"]["nodes"]:
            counted[tuple(node["config"]["meta"]["metric"].get("sources") or ())] += 1
    common: Iterable[str] = next((streams for streams, _ in counted.most_common() if streams), ())
    if common:
        return list(common), "as most metrics of this mart"
    every = sorted(streams_of.get(str(mart["name"]), frozenset()))
    if not every:
        raise ConfigurationError(f"{mart['name']} stands on no stream: write the metric by hand, with its sources")
    return every, "every stream above the mart: keep those it cannot do without, move the rest to optional_sources"

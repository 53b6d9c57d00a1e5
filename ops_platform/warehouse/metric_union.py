"""Keeps the list of metrics in the dbt project equal to the files in its metrics folder.

Belongs here: writing that list, so that a metric is one SQL file with its YAML and nothing else to edit. Does
not belong here: what a metric means (its own files) and running dbt (`dbt.py`).

dbt needs every reference to be visible when it parses, so the names stand in the two models that bring the
metrics together: `int_metric_observed` for base metrics, `fct_metric_daily` for those whose YAML says
`derived: true` because they are computed from other metrics. The files are committed, and a plain `dbt build`
works without this module.

Run: `python -m ops_platform.warehouse.metric_union [--check]`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ops_platform.failures import ConfigurationError
from ops_platform.settings import PROJECT_ROOT
from ops_platform.yaml_text import read_text

MODELS = PROJECT_ROOT / "dbt_project" / "models"
BASE_MODEL = Path("intermediate") / "metrics" / "int_metric_observed.sql"
DERIVED_MODEL = Path("metrics") / "fct_metric_daily.sql"

_METRIC_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_BASE_LIST = re.compile(r"(\{% set metric_models = \[\n)(.*?)(\] %\})", re.DOTALL)
_DERIVED_LIST = re.compile(r"(\{% set derived_metric_models = \[\n)(.*?)(\] %\})", re.DOTALL)


def find_metrics(models: Path = MODELS) -> tuple[list[str], list[str]]:
    """The ids of the base and of the derived metrics, each sorted.

    Raises `ConfigurationError` for a metric without its YAML, with an unfit or doubled name, or whose YAML
    does not describe it."""
    import yaml

    base: list[str] = []
    derived: list[str] = []
    seen: dict[str, Path] = {}
    for file in sorted((models / "metrics").glob("*/*.sql")):
        name = file.stem
        where = file.relative_to(models)
        if not _METRIC_ID.fullmatch(name):
            raise ConfigurationError(f"{where}: a metric is named in lower case letters, digits and underscores")
        if name in seen:
            raise ConfigurationError(f"the metric {name} is defined twice: {seen[name]} and {where}")
        seen[name] = where
        description = file.with_suffix(".yml")
        if not description.is_file():
            raise ConfigurationError(f"{where}: put its {description.name} beside it (label, unit, direction, …)")
        try:
            content = read_text(description.read_text(encoding="utf-8")) or {}
            entry = next(model for model in content.get("models", []) if model.get("name") == name)
            metric = entry["config"]["meta"]["metric"]
        except (yaml.YAMLError, StopIteration, KeyError, TypeError, AttributeError):
            raise ConfigurationError(
                f"{where.with_suffix('.yml')}: expected a model named {name} with config.meta.metric"
            ) from None
        (derived if metric.get("derived") else base).append(name)
    return sorted(base), sorted(derived)


def metric_union(models: Path = MODELS) -> dict[Path, str]:
    """What the two files must contain, by path."""
    base, derived = find_metrics(models)
    wanted: dict[Path, str] = {}
    for relative, pattern, names in ((BASE_MODEL, _BASE_LIST, base), (DERIVED_MODEL, _DERIVED_LIST, derived)):
        file = models / relative
        text = file.read_text(encoding="utf-8")
        lines = "".join(f"    '{name}',\n" for name in names)
        replaced, count = pattern.subn(lambda match, lines=lines: match[1] + lines + match[3], text)  # type: ignore[misc]
        if count != 1:
            raise ConfigurationError(f"{file}: the list of metrics was not found")
        wanted[file] = replaced
    return wanted


def write_metric_union(models: Path = MODELS) -> list[Path]:
    """Bring the two files up to date; a file that already is stays untouched. Returns those written."""
    written = []
    for file, text in metric_union(models).items():
        if file.read_text(encoding="utf-8") != text:
            temporary = file.with_suffix(".sql.new")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(file)
            written.append(file)
    return written


def main(arguments: list[str]) -> int:
    """Write the lists, or with `--check` say whether they are current (exit code 1 when not)."""
    try:
        if arguments == ["--check"]:
            stale = [file for file, text in metric_union().items() if file.read_text(encoding="utf-8") != text]
        elif not arguments:
            stale = []
            for file in write_metric_union():
                print(f"written: {file.relative_to(PROJECT_ROOT)}")
        else:
            print("usage: python -m ops_platform.warehouse.metric_union [--check]", file=sys.stderr)
            return 2
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    for file in stale:
        print(f"not current: {file.relative_to(PROJECT_ROOT)}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""dbt as a Dagster resource, and dagster-dbt itself.

Belongs here: how a run of Dagster starts dbt, how dagster-dbt is imported. Does not belong here: dbt's own process
(`ops_platform.warehouse.dbt_process`), what of it is built (`assets/warehouse.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

# What dagster-dbt imports and nobody here uses, by what of it must not be there already: dbt Cloud with its client, and
# the parser for the lineage of columns.
_UNUSED = {
    "requests": ("dagster_dbt.cloud", "dagster_dbt.cloud_v2", "dagster_dbt.cloud_v2.component"),
    "sqlglot": ("sqlglot", "sqlglot.expressions", "sqlglot.lineage", "sqlglot.optimizer"),
}


class _Unused(ModuleType):
    """Stands for a module while others import names from it; whoever used one would be told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []  # it has modules below it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": _refuse, "__module__": self.__name__})


def _refuse(self: object, *_: Any, **__: Any) -> None:
    raise ImportError(f"{type(self).__module__}.{type(self).__name__} is left out here (resources/dbt.py)")


@contextmanager
def _unused_stays_out() -> Iterator[None]:
    """dagster-dbt imports dbt's own library where it finds it, 550 modules, 40 MB and 1.5 s of processor time in every
    process, and works without (as it does for dbt Fusion). dbt runs in a process of its own here: nobody else needs it.
    What else it imports and is not used here is 50 MB more. What somebody has imported already stays."""
    left_out: dict[str, Any] = {
        name: _Unused(name) for first, names in _UNUSED.items() if first not in sys.modules for name in names
    }
    left_out["dbt.version"] = None  # how Python is told that a module is not there
    left_out = {name: stand_in for name, stand_in in left_out.items() if name not in sys.modules}
    sys.modules.update(left_out)
    try:
        yield
    finally:
        for name in left_out:
            del sys.modules[name]


with _unused_stays_out():
    from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

__all__ = ["DagsterDbtTranslator", "DbtCliResource", "DbtProject", "WarehouseDbt", "dbt_assets"]

if TYPE_CHECKING:
    from dbt.adapters.base.impl import BaseAdapter
    from packaging.version import Version


class WarehouseDbt(DbtCliResource):
    """dagster-dbt's resource without what it does beside the build, 5 s of processor time and 90 MB in the run's own
    process: asking dbt for its version in a process of its own, and dbt's adapter, which only fetches columns of
    tables and counts their rows, and nobody asks it to."""

    @cached_property
    def _cli_version(self) -> Version:
        from importlib.metadata import version

        from packaging.version import parse

        return parse(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> BaseAdapter:
        nothing: Any = None
        return nothing

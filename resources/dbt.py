"""dbt as a Dagster resource, and dagster-dbt itself.

Belongs here: how a run of Dagster starts dbt, how dagster-dbt is imported. Does not belong here: dbt's own process
(`ops_platform.warehouse.dbt_process`), what of it is built (`assets/warehouse.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any


@contextmanager
def _dbt_stays_out() -> Iterator[None]:
    """dagster-dbt imports dbt's own library where it finds it, 550 modules, 40 MB and 1.5 s of processor time in every
    process, and works without (as it does for dbt Fusion). dbt runs in a process of its own here: nobody else needs it.
    """
    absent = "dbt.version"
    if absent in sys.modules:  # somebody has loaded it already: nothing is saved
        yield
        return
    sys.modules[absent] = None  # type: ignore[assignment]  # how Python is told that a module is not there
    try:
        yield
    finally:
        del sys.modules[absent]


with _dbt_stays_out():
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

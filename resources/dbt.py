"""dbt as a Dagster resource.

Belongs here: how a run of Dagster starts dbt. Does not belong here: dbt's own process
(`ops_platform.warehouse.dbt_process`), what of it is built (`assets/warehouse.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dagster_dbt import DbtCliResource

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

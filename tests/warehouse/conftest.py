"""Warehouses for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.warehouse.dbt_warehouse import DBT_PROJECT, DbtWarehouse

MakeWarehouse = Callable[..., DbtWarehouse]


@pytest.fixture(scope="module")
def make_warehouse(server_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeWarehouse]:
    """Makes an empty warehouse, on the product's dbt project or on another."""
    from ops_platform.database.server import running_server

    made: list[DbtWarehouse] = []

    def make(project: Path = DBT_PROJECT) -> DbtWarehouse:
        scratch = tmp_path_factory.mktemp("dbt")
        # The same names in every module: dbt reads the project once for each.
        made.append(DbtWarehouse(running_server(server_home), f"dbt_{len(made)}", scratch, project))
        return made[-1]

    yield make
    for warehouse in made:
        warehouse.close()

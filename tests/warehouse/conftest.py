"""Warehouses for the tests of this folder, and the company whose records most of them hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources import hubspot
from resources.http import HttpClient
from sandbox.company import Company, generate
from sandbox.company.crm import Crm, build_crm
from sandbox.server import running
from tests.connectors.conftest import NOW
from tests.warehouse.dbt_warehouse import DBT_PROJECT, DbtWarehouse
from tests.warehouse.landing import land_streams

MakeWarehouse = Callable[..., DbtWarehouse]


@pytest.fixture(scope="module")
def make_warehouse(
    server_home: Path, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeWarehouse]:
    """Makes an empty warehouse, on the product's dbt project or on another."""
    from ops_platform.database.server import running_server

    made: list[DbtWarehouse] = []

    def make(project: Path = DBT_PROJECT) -> DbtWarehouse:
        scratch = tmp_path_factory.mktemp("dbt")
        # The same names in every module: dbt reads the project once for each.
        made.append(DbtWarehouse(running_server(server_home), f"dbt_{len(made)}", scratch, project, migrated))
        return made[-1]

    yield make
    for warehouse in made:
        warehouse.close()


@pytest.fixture(scope="module")
def company() -> Company:
    """The company the sandbox tells of; a module with another clock makes its own."""
    return generate(7, NOW)


@pytest.fixture(scope="module")
def crm(company: Company) -> Crm:
    return company.part(build_crm)


@pytest.fixture(scope="module")
def crm_landed(make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory) -> DbtWarehouse:
    """A warehouse with every record of the company's CRM, and nothing built."""
    from pydantic import SecretStr

    made = make_warehouse()
    made.clock(NOW)
    with running(seed=7, clock=NOW, state=tmp_path_factory.mktemp("sandbox"), netsuite_key="ec") as sandbox:
        http = HttpClient("hubspot", sandbox.url, sleep=lambda _: None)
        source = hubspot.HubSpotSource(hubspot.HubSpotClient(http, SecretStr("pat-na1-sandbox")), surveys=True)
        land_streams(made, "hubspot", source, source.streams, NOW)
        source.close()
    return made

"""The app's staging models over what the connector lands from the sandbox: built, changed, built again."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.connectors.conftest import NOW, World, read, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse

MODELS = "staging.app"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def landed(own: World) -> dict[str, dict[str, Any]]:
    return {name: read(own.app(), name).payloads for name in own.app().streams}


@pytest.fixture(scope="module")
def warehouse(landed: dict[str, dict[str, Any]], make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(NOW)
    for name, payloads in landed.items():
        made.land("app", name, payloads.values(), NOW, ids=payloads)
    # With the unit tests of these models.
    made.dbt("build", "--select", MODELS)
    return made


def test_every_row_is_there_with_its_values(warehouse: DbtWarehouse, landed: dict[str, dict[str, Any]]) -> None:
    for name, payloads in landed.items():
        assert warehouse.one(f"select count(*) from staging.stg_app__{name}") == len(payloads) > 0
    total = sum(Decimal(each["amount"]) for each in landed["subscriptions"].values())
    assert warehouse.one("select sum(amount) from staging.stg_app__subscriptions") == total
    still_open = sum(each["ended_at"] is None for each in landed["sessions"].values())
    assert warehouse.one("select count(*) from staging.stg_app__sessions where duration_seconds is null") == still_open
    subjects = {each["subject"] for each in landed["tickets"].values()}
    assert {subject for (subject,) in warehouse.rows("select subject from staging.stg_app__tickets")} == subjects


def test_rows_belong_together(warehouse: DbtWarehouse) -> None:
    for child in ("sessions", "subscriptions", "tickets"):
        assert (
            warehouse.one(
                f"select count(*) from staging.stg_app__{child} as child"
                " left join staging.stg_app__users as users using (user_id) where users.user_id is null"
            )
            == 0
        )
    assert (
        warehouse.one(
            "select count(*) from staging.stg_app__users as users"
            " left join staging.stg_app__roles as roles on users.role = roles.role_name where roles.role_id is null"
        )
        == 0
    )


@pytest.mark.slow  # by default that of the CRM, of GitHub, Klaviyo and Amazon
def test_a_second_build_parses_only_what_changed(warehouse: DbtWarehouse, landed: dict[str, dict[str, Any]]) -> None:
    before = dict(warehouse.rows("select user_id, xmin::text from staging.stg_app__users"))
    changed, gone = "12", "13"
    warehouse.land("app", "users", [landed["users"][changed] | {"role": "owner"}], NOW, deleted=[gone])
    warehouse.run("--select", MODELS)
    after = dict(warehouse.rows("select user_id, xmin::text from staging.stg_app__users"))
    assert set(before) - set(after) == {gone}
    assert [user for user, version in after.items() if before[user] != version] == [changed]
    assert warehouse.one("select role from staging.stg_app__users where user_id = %s", changed) == "owner"

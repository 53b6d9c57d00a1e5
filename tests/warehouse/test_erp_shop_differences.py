"""The reconciliation of shop and ERP finds the orders that were planted as wrong in the ERP, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

import psycopg
import pytest

from sandbox.company.generate import generate
from tests.connectors.conftest import World, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.landing import land_streams

# After an order posted twice, a day with orders never posted and a day posted late; seven days before them are quiet.
CLOCK = datetime(2025, 3, 20, 11, tzinfo=UTC)
SEED = 7
DIFFERENCES = "fct_erp_shop_order_differences"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"), clock=CLOCK, seed=SEED)


@pytest.fixture(scope="module")
def warehouse(world: World, make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(CLOCK)
    for vendor, source, names in (
        ("shopify", world.shopify(), ("shop", "orders")),
        ("netsuite", world.netsuite(), ("transactions", "transaction_lines")),
    ):
        land_streams(made, vendor, source, names, CLOCK)
    made.build("--select", f"+{DIFFERENCES}", "--indirect-selection", "cautious")
    return made


def planted(kind: str) -> set[str]:
    incidents = generate(SEED, CLOCK).incidents
    return {name for each in incidents if each.kind == kind for name in each.expected["orders"].split(",")}


def found(warehouse: DbtWarehouse, finding: str) -> set[str]:
    rows = warehouse.rows(f"select order_name from marts.{DIFFERENCES} where finding = %s and state = 'open'", finding)
    return {name for (name,) in rows}


def test_exactly_the_planted_orders_are_found(warehouse: DbtWarehouse) -> None:
    assert planted("erp_gap") and planted("erp_double") and planted("erp_late")
    assert found(warehouse, "missing_in_erp") == planted("erp_gap")
    assert found(warehouse, "doubled_in_erp") == planted("erp_double")
    assert found(warehouse, "other_day") == planted("erp_late")
    others = warehouse.rows(
        f"select order_name, finding, state from marts.{DIFFERENCES}"
        " where state <> 'not_yet_due' and finding not in ('missing_in_erp', 'doubled_in_erp', 'other_day')"
    )
    assert others == []


def test_the_days_name_the_same_money(warehouse: DbtWarehouse) -> None:
    gap = warehouse.one("select sum(gap_amount) from marts.fct_erp_shop_reconciliation")
    named = warehouse.one(f"select sum(difference_amount) from marts.{DIFFERENCES}")
    assert gap == named
    assert (
        warehouse.one(f"select count(*) from marts.{DIFFERENCES} where finding = 'other_day' and days_late <> 3") == 0
    )


def test_the_command_prints_the_summary_and_the_orders(
    warehouse: DbtWarehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ops_platform.commands.reconcile import reconcile

    url = warehouse.address.url(warehouse.name)
    monkeypatch.setattr("ops_platform.database.connect", lambda: psycopg.connect(url))
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    assert reconcile(None, None, limit=3, as_json=False) == 1
    printed = capsys.readouterr().out
    assert "8  in the shop, not in the ERP" in printed
    assert "3  posted more than once" in printed
    assert "more (--limit" in printed
    assert reconcile(date(2025, 1, 8), date(2025, 1, 8), limit=50, as_json=True) == 1
    answer = json.loads(capsys.readouterr().out)
    assert {order["order_name"] for order in answer["orders"]} == planted("erp_gap")
    assert answer["summary"]["days"] == 1
    assert reconcile(date(2025, 1, 20), date(2025, 1, 25), limit=50, as_json=False) == 0
    assert "every order agrees" in capsys.readouterr().out

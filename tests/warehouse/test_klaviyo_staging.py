"""Klaviyo's staging models over what the connector lands from the sandbox: built, changed, built again."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from sandbox.company import generate
from sandbox.company.campaigns import build_campaigns, mailed_orders
from tests.connectors.conftest import NOW, World, read, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def landed(own: World) -> dict[str, dict[str, Any]]:
    source = own.klaviyo()
    return {name: read(source, name).payloads for name in source.streams}


@pytest.fixture(scope="module")
def warehouse(landed: dict[str, dict[str, Any]], make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(NOW)
    for name, payloads in landed.items():
        made.land("klaviyo", name, payloads.values(), NOW, ids=payloads)
    made.dbt("build", "--select", "staging.klaviyo")
    return made


def test_every_record_is_in_one_model(warehouse: DbtWarehouse, landed: dict[str, dict[str, Any]]) -> None:
    for name, payloads in landed.items():
        model = "metric_days" if name == "metric_aggregates" else name
        assert warehouse.one(f"select count(*) from staging.stg_klaviyo__{model}") == len(payloads), name
    messages = sum(len(row["messages"]) for row in landed["campaigns"].values())
    assert warehouse.one("select count(*) from staging.stg_klaviyo__campaign_messages where subject <> ''") == messages


def test_orders_agree_with_the_company_but_on_the_planted_days(warehouse: DbtWarehouse) -> None:
    company = generate(7, NOW)
    story = company.part(build_campaigns)
    orders = {order.name: order for order in mailed_orders(company)}
    rows = warehouse.rows(
        "select order_name, order_id, count(*), min(value_amount), min(currency) from staging.stg_klaviyo__events"
        " where metric_name = 'Placed Order' group by 1, 2"
    )
    for name, identity, count, value, currency in rows:
        order = orders[name]
        assert (identity, value, currency) == (str(order.id), order.total, "USD")
        assert count == (2 if order.id in story.doubled else 1)
    absent = {order.id for name, order in orders.items()} - {int(row[1]) for row in rows}
    assert story.missing <= absent and len(absent - story.missing) <= 10


def test_money_of_campaigns_is_that_of_their_events(warehouse: DbtWarehouse) -> None:
    rows = warehouse.rows(
        "select v.conversion_amount, coalesce(sum(e.value_amount), 0) from staging.stg_klaviyo__campaign_values as v"
        " left join staging.stg_klaviyo__events as e on e.campaign_id = v.campaign_id"
        " and e.metric_name = 'Placed Order' group by v.campaign_value_id, v.conversion_amount"
    )
    assert all(said == summed for said, summed in rows) and sum(said for said, _ in rows) > Decimal(10_000)
    assert warehouse.one("select count(distinct day) from staging.stg_klaviyo__metric_days") >= 30


def test_a_second_build_parses_only_what_changed(warehouse: DbtWarehouse, landed: dict[str, dict[str, Any]]) -> None:
    before = dict(warehouse.rows("select event_id, xmin::text from staging.stg_klaviyo__events"))
    first, second, *_ = landed["events"]
    changed = {**landed["events"][first], "properties": {**landed["events"][first]["properties"], "$value": "1.234"}}
    warehouse.land("klaviyo", "events", [changed], NOW, ids=[first], deleted=[second])
    warehouse.run("--select", "staging.klaviyo")
    after = dict(warehouse.rows("select event_id, xmin::text from staging.stg_klaviyo__events"))
    assert second not in after and {each for each in after if after[each] != before[each]} == {first}
    assert warehouse.one("select value_amount from staging.stg_klaviyo__events where event_id = %s", first) == Decimal(
        "1.234"
    )

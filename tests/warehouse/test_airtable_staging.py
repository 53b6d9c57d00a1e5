"""Airtable's staging models over what the connector lands from the sandbox: built, changed, built again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.company import generate
from sandbox.company.worktables import worktables_of
from tests.connectors.conftest import NOW, World, read, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse

MODELS = ("staging.operations", "staging.airtable")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def landed(own: World) -> dict[str, dict[str, Any]]:
    source = own.airtable()
    return {name: read(source, name).payloads for name in source.streams}


@pytest.fixture(scope="module")
def warehouse(landed: dict[str, dict[str, Any]], make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(NOW)
    for name, payloads in landed.items():
        made.land("airtable", name, payloads.values(), NOW, ids=payloads)
    # With the unit tests.
    made.dbt("build", "--select", *MODELS, "--indirect-selection", "cautious")
    return made


def test_every_record_is_there(warehouse: DbtWarehouse, landed: dict[str, dict[str, Any]]) -> None:
    for name, payloads in landed.items():
        assert warehouse.one(f"select count(*) from staging.stg_airtable__{name}") == len(payloads) > 0, name


def test_it_is_what_the_company_tracks(warehouse: DbtWarehouse) -> None:
    told = worktables_of(generate(7, NOW))
    rows = warehouse.rows(
        "select project_name, rag, start_on, due_on, completed_on, is_blocked from staging.stg_airtable__projects"
        " where project_name is not null order by 1"
    )
    wanted = sorted(
        (
            p.name,
            # A formula that divides by the days until a deadline says nothing without one.
            None if p.due_on is None and p.base % 3 == 1 else p.health,
            p.start_on,
            p.due_on,
            p.completed_on,
            p.blocked,
        )
        for p in told.projects
    )
    assert sorted(rows) == wanted
    assert warehouse.one("select sum(spend) from staging.stg_airtable__paid_media_spend") == sum(
        (day.spend for day in told.media), Decimal(0)
    )
    assert set(warehouse.rows("select order_number, sku, rating from staging.stg_airtable__product_reviews")) == {
        (each.order_name, each.sku, each.rating) for each in told.reviews
    }
    assert warehouse.rows(
        "select keyword, search_position from staging.stg_airtable__search_rankings where checked_on = '2024-12-02'"
        " and search_position is null"
    ) == [(r.keyword, None) for r in told.rankings if r.position is None and r.checked_on.isoformat() == "2024-12-02"]
    unmapped = {name for (name,) in warehouse.rows(
        "select table_name from staging.stg_airtable__tables where not is_mapped"
    )}  # fmt: skip
    assert unmapped == {"Meeting notes", "Ideas 💡", "Companies", "Orders"}


@pytest.mark.slow  # by default that of the CRM, of GitHub, Klaviyo and Amazon
def test_a_second_build_parses_only_what_changed(warehouse: DbtWarehouse, own: World) -> None:
    query = "select paid_media_spend_id, xmin::text from staging.stg_airtable__paid_media_spend order by 1"
    before = warehouse.rows(query)
    own.control("/clock", {"now": (NOW + timedelta(hours=3)).isoformat(), "company": "keep"})
    where = {"base": "Paid media", "table": "Daily spend"}
    one = own.mutate("airtable", "find", **where, field="Channel", value="Meta Ads")["ids"][0]
    own.mutate("airtable", "put_record", **where, id=one, fields={"Spend": 0.07})
    payloads = read(own.airtable(), "paid_media_spend").payloads
    key = next(each for each in payloads if each.endswith(one))
    warehouse.land("airtable", "paid_media_spend", [payloads[key]], NOW, ids=[key])
    warehouse.run("--select", *MODELS)
    after = warehouse.rows(query)
    assert [row[0] for row in before if row not in after] == [key]
    assert warehouse.one(
        "select spend from staging.stg_airtable__paid_media_spend where paid_media_spend_id = %s", key
    ) == Decimal("0.07")
    warehouse.land("airtable", "paid_media_spend", [], NOW, deleted=[key])
    warehouse.run("--select", *MODELS)
    assert len(warehouse.rows(query)) == len(before) - 1

"""What waits for an answer in the partners' channels, over what the connector lands from the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.conftest import NOW, World, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.landing import land_streams


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def warehouse(own: World, make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(NOW)
    land_streams(made, "slack", own.slack(), own.slack().streams, NOW)
    made.dbt(
        "build", "--select", "+int_slack_awaiting_answer", "int_partner_questions", "--indirect-selection", "cautious"
    )
    return made


def test_what_waits_is_what_the_company_has_not_answered(warehouse: DbtWarehouse) -> None:
    from sandbox.company import generate

    company = generate(7, NOW)
    window = {key for (key,) in warehouse.rows("select message_id from staging.stg_slack__messages")}
    asked = {
        f"{each.channel_id}:{each.ts}" for each in company.factory_messages if each.needs_answer and not each.answered
    }
    waiting = {key for (key,) in warehouse.rows("select message_id from intermediate.int_slack_awaiting_answer")}
    assert waiting and waiting == asked & window


def test_people_of_a_connected_workspace_are_partners(warehouse: DbtWarehouse) -> None:
    assert warehouse.rows("select is_guest, user_title from staging.stg_slack__users where user_id = 'U0LIN'") == [
        (True, "Jing Yi")
    ]
    partners = {
        name for (name,) in warehouse.rows("select distinct partner from intermediate.int_slack_awaiting_answer")
    }
    assert partners <= {"Lumitek", "Haoyu", "Qianhe", "Jing Yi", "Portline"}


def test_what_came_overnight_is_told_apart(warehouse: DbtWarehouse) -> None:
    rows = warehouse.rows(
        "select asked_since_last_close, posted_at at time zone 'America/New_York' >= '2024-12-04 18:00'"
        " from intermediate.int_slack_awaiting_answer"
    )
    assert rows and all(said == right for said, right in rows)

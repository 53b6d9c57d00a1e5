"""GitHub's staging models over what the connector lands from the sandbox: built, changed, built again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.connectors.conftest import NOW, World, read, started
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse

MODELS = "staging.github"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def landed(own: World, make_warehouse: MakeWarehouse) -> dict[str, dict[str, Any]]:
    return {name: read(own.github(), name).payloads for name in own.github().streams}


@pytest.fixture(scope="module")
def warehouse(landed: dict[str, dict[str, Any]], make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(NOW)
    for name, payloads in landed.items():
        made.land("github", name, payloads.values(), NOW, ids=payloads)
    made.dbt("build", "--select", MODELS)
    return made


def test_every_record_is_in_one_model(warehouse: DbtWarehouse, landed: dict[str, dict[str, Any]]) -> None:
    pulls = sum("pull_request" in each for each in landed["issues"].values())
    assert pulls > 0
    assert warehouse.one("select count(*) from staging.stg_github__pull_requests") == pulls
    assert warehouse.one("select count(*) from staging.stg_github__issues") == len(landed["issues"]) - pulls
    for name in ("labels", "milestones", "comments", "events"):
        assert warehouse.one(f"select count(*) from staging.stg_github__{name}") == len(landed[name])


def test_what_the_company_did_can_be_read(warehouse: DbtWarehouse) -> None:
    # A merged pull request closed what it names, at that instant.
    rows = warehouse.rows(
        "select pulls.merged_at, issues.closed_at from staging.stg_github__pull_requests as pulls"
        " join staging.stg_github__closing_references as closes using (pull_request_id)"
        " join staging.stg_github__issues as issues"
        " on issues.repository = pulls.repository and issues.issue_number = closes.issue_number"
        " where pulls.merged_at is not null"
    )
    assert len(rows) > 20 and all(merged == closed for merged, closed in rows)
    # The planted one: an issue open in a milestone that is closed.
    assert warehouse.rows(
        "select issues.title from staging.stg_github__issues as issues"
        " join staging.stg_github__milestones as milestones using (milestone_id)"
        " where issues.state = 'open' and milestones.state = 'closed'"
    ) == [("Release notes in Hebrew are missing",)]
    assert (
        warehouse.one(
            "select count(*) from staging.stg_github__milestones"
            " where due_on <> (due_at at time zone 'America/New_York')::date"
        )
        == 0
    )


def test_a_rename_shows_and_a_second_build_parses_only_what_changed(warehouse: DbtWarehouse, own: World) -> None:
    before = warehouse.rows("select issue_id, xmin::text from staging.stg_github__issues order by 1")
    own.control("/clock", {"now": (NOW + timedelta(hours=3)).isoformat(), "company": "keep"})
    repository = "northbeam/companion-app"
    own.mutate("github", "rename_label", repository=repository, name="bug", to="defect 🐞")
    changed = own.mutate("github", "close_issue", repository=repository, number=1)
    labels = read(own.github(), "labels").payloads
    issue = read(own.github(), "issues").payloads[str(changed["id"])]
    warehouse.land("github", "labels", labels.values(), NOW, ids=labels)
    warehouse.land("github", "issues", [issue], NOW, ids=[str(changed["id"])])
    warehouse.run("--select", MODELS)
    after = warehouse.rows("select issue_id, xmin::text from staging.stg_github__issues order by 1")
    assert [row for row in before if row not in after] == [row for row in before if row[0] == str(changed["id"])]
    named = {name for (name,) in warehouse.rows("select distinct label_name from staging.stg_github__issue_labels")}
    assert "defect 🐞" in named and "bug" not in named
    assert warehouse.rows(
        "select state, state_reason from staging.stg_github__issues where issue_id = %s", str(changed["id"])
    ) == [("closed", "completed")]
    warehouse.land("github", "issues", [], NOW, deleted=[str(changed["id"])])
    warehouse.run("--select", MODELS)
    assert warehouse.one("select count(*) from staging.stg_github__issues where issue_id = %s", str(changed["id"])) == 0

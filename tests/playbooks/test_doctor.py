"""What `ops doctor` says of playbooks before anything runs: files, store, whom they tell, who may start them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops_platform.commands.doctor_playbooks import (
    addressee_findings,
    file_findings,
    playbook_findings,
    store_finding,
    trigger_finding,
)
from ops_platform.commands.trigger import listener_of
from ops_platform.fleet import Fleet, get_fleet
from ops_platform.playbooks.addressees import unknown_addressees
from ops_platform.playbooks.catalogue import catalogue
from ops_platform.playbooks.source import read
from ops_platform.settings import PROJECT_ROOT, Settings, get_settings
from tests.conftest import Connect
from tests.playbooks.conftest import Ops
from tests.playbooks.shop import house

TELLS = """\
id: demo
name: A demo
version: 1
owner: operations_lead
variables:
  to: {type: list, default: [leadership, nobody, a@b.example], choices: [[leadership], [empty]]}
  owner: {type: text, default: stranger}
experiment:
  name: who
  arms:
    one: {variables: {owner: dana}}
    two: {variables: {owner: another}}
steps:
  - {id: tell, type: notify, to: [{email: "${{ vars.to }}"}, {slack: team}], title: T, text: T}
  - {id: ask, type: create_thread, thread: incident, title: T, text: T, assignee: "${{ vars.owner }}"}
  - {id: other, type: create_thread, thread: incident, title: T, text: T, assignee: "${{ run.id }}"}
"""


def company() -> Fleet:
    fleet = get_fleet()
    lists = {**fleet.delivery.lists, "empty": ()}
    return fleet.model_copy(update={"delivery": fleet.delivery.model_copy(update={"lists": lists})})


def test_whom_a_playbook_tells_by_itself_is_held_against_the_lists() -> None:
    assert unknown_addressees(read(TELLS, "demo.yaml").playbook, company()) == [
        "tell: variable to: 'nobody' is neither an address nor a list of fleet.yaml",
        "tell: variable to: the list 'empty' of fleet.yaml has no address",
        "ask: variable owner: there is no 'stranger' under approvals.people",
        "ask: variable owner: there is no 'another' under approvals.people",
    ]


def test_the_shipped_playbooks_tell_people_who_are_there() -> None:
    for file in sorted((PROJECT_ROOT / "playbooks").glob("*.yaml")):
        assert unknown_addressees(read(file.read_text(), file.name).playbook, get_fleet()) == [], file


def test_files_that_are_wrong_and_a_store_that_can_be_written(warehouse: Connect, folder: Path) -> None:
    found = catalogue(house(), folder)
    (wrong,) = file_findings(found)
    assert (wrong.state, wrong.check) == ("failed", "broken.yaml") and "line 2, column 8" in wrong.detail
    assert store_finding(found, warehouse).state == "ok"
    with warehouse() as connection:  # and nothing is left of it
        kept = connection.execute(
            "select (select count(*) from ops.playbook_executions) + (select count(*) from ops.playbook_versions)"
        ).fetchone()
    assert kept == (0,)


def test_a_store_that_cannot_be_written_is_said_before_a_run_fails(warehouse: Connect, folder: Path) -> None:
    def read_only() -> Any:
        connection = warehouse()
        connection.read_only = True
        return connection

    found = store_finding(catalogue(house(), folder), read_only)
    assert found.state == "failed" and "read-only" in found.detail


def test_without_a_secret_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listener_of(Settings(cron_secret=None), port=0) is None
    assert trigger_finding(Settings(cron_secret=None)).state == "not connected"
    assert trigger_finding(Settings(cron_secret="a-secret-of-enough-length")).state == "ok"


def test_all_of_it_is_in_the_doctors_findings(ops: Ops) -> None:
    found = {finding.check: finding.state for finding in playbook_findings(get_settings())}
    assert found == {"broken.yaml": "failed", "store": "ok", "triggers": "not connected"}
    assert addressee_findings(catalogue(house(), PROJECT_ROOT / "nowhere"), get_fleet()) == []

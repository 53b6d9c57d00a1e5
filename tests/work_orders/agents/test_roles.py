"""Role files: what is refused on paper, and that a new agent is one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pydantic import ValidationError

from ops_platform.failures import ConfigurationError
from ops_platform.fleet import get_fleet
from ops_platform.settings import PROJECT_ROOT, reset_settings
from ops_platform.work_orders.agents import Agent, answer, find, roster
from ops_platform.work_orders.agents.role import OWN_ISSUE
from ops_platform.work_orders.agents.roster import load_roster, reset_roster
from ops_platform.work_orders.policy import get_work_policy
from tests.work_orders.agents.company import NAMES, moment, order

LEAST: dict[str, Any] = {
    "name": "stock", "id": "ai-stock", "label": "Stock", "team": "business", "description": "S.", "bot": "logistics",
}  # fmt: skip
LIST: dict[str, Any] = {
    "name": "late", "view": "marts.fct_late_orders", "key": "order_id", "columns": [{"column": "order_name"}],
    "many": "orders late now", "sources": ["shopify.orders"],
}  # fmt: skip


def read(**more: Any) -> Agent:
    return Agent.model_validate(LEAST | more)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"scope": {"divisions": "sales"}, "effects": {"kinds": ["comment", "branch"]}}, "may not also propose branch"),
        ({"scope": {"marts": ["marts.fct_orders"]}, "effects": {"kinds": ["issue"]}}, "may not also propose issue"),
        ({"scope": {"documents": ["pulse"]}, "effects": {"kinds": ["pull_request"]}}, "may not also propose"),
        ({"effects": {"kinds": ["file", "branch"]}}, "effects.paths says where"),
        ({"effects": {"kinds": ["comment"], "paths": ["docs/*.md"]}}, "effects.paths says where"),
        ({"tools": ["propose_files"]}, "propose_files needs"),
        ({"tools": ["run_sql"]}, "metric_lookup"),
        ({"id": "ai-other"}, "the id of agents/stock.yaml is ai-stock"),
        ({"more_lists": [LIST]}, "which its scope does not have"),
        ({"scope": {"marts": ["raw_shopify.orders"]}}, "pattern"),
        ({"output": {"artefacts": ["late"]}}, "there is no list late"),
        ({"checks": [{"label": "More than 3", "figure": "orders", "at_most": 3}]}, "writes a digit"),
        ({"checks": [{"label": "Late", "figure": "orders"}]}, "exactly one of"),
        ({"checks": [{"label": "A", "figure": "orders", "above": 1}, {"label": "B", "figure": "orders", "below": 9}]},
         "two checks"),
        ({"secret": "x"}, "Extra inputs"),
        ({"tokens": 50_000}, "less than or equal to 20000"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        read(**more)


def test_all_three_powers_only_behind_a_manager() -> None:
    both = {"scope": {"divisions": "sales"}, "effects": {"kinds": ["comment", "branch"]}}
    assert read(**both, needs_manager=True).needs_manager
    for agent in roster().values():
        beyond = {str(kind) for kind in agent.effects.kinds} - OWN_ISSUE
        assert not (agent.scope.business_data and beyond and not agent.needs_manager), agent.name


def test_no_agent_may_touch_what_runs_in_the_repository_itself() -> None:
    from ops_platform.work_orders.limits import path_refused

    for agent in roster().values():
        for path in (".github/workflows/x.yml", "pyproject.toml", "conftest.py", "deploy/x.sh", "agents/finance.yaml",
                     "fleet.yaml", "work_orders.yaml"):  # fmt: skip
            assert path_refused(path, agent.effects) is not None, (agent.name, path)


def test_every_agent_of_the_policy_has_its_file_and_the_other_way_round() -> None:
    assert set(get_work_policy().agents) == {agent.id for agent in roster().values()}


def test_every_metric_and_gate_a_file_names_is_there() -> None:
    from tests.fleet.job_scene import metrics

    gates = get_work_policy().gates
    for agent in roster().values():
        named = {*agent.scope.metrics, *(agent.report.metrics() if agent.report is not None else ())}
        assert named <= set(metrics()), agent.name
        for metric in agent.report.metrics() if agent.report is not None else ():
            assert metric in agent.scope.metrics or metrics()[metric]["division"] in agent.scope.divisions or (
                "all" in agent.scope.divisions
            ), f"{agent.name} shows {metric}, which it may not read"  # fmt: skip
        for check in agent.checks:
            if check.figure.startswith("gate_"):
                assert check.limit == ("at_least", gates[check.figure.removeprefix("gate_")].minimum)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A roster of one's own."""
    (tmp_path / "finance.yaml").write_text((PROJECT_ROOT / "agents" / "finance.yaml").read_text(encoding="utf-8"))
    monkeypatch.setenv("OPS_AGENTS", str(tmp_path))
    reset_settings()
    reset_roster()
    yield tmp_path
    monkeypatch.delenv("OPS_AGENTS")
    reset_settings()
    reset_roster()


def test_a_new_agent_is_one_file(folder: Path, desk: psycopg.Connection[Any]) -> None:
    (folder / "stock.yaml").write_text(
        yaml.safe_dump({
            **{key: value for key, value in LEAST.items() if key != "name"},
            "scope": {"divisions": "supply_chain", "marts": ["marts.fct_late_orders"]},
            "report": {"title": "Stock", "over": "week", "sections": [{"title": "Late", "list": LIST},
                                                                     {"metrics": ["orders_shipped"]}]},
            "output": {"must": ["lead", "figures", "lists"]},
        })
    )  # fmt: skip
    reset_roster()
    assert list(roster()) == ["finance", "stock"]
    made = answer(order("How many orders shipped?"), find("ai-stock"), desk, None, as_of=moment(), keep=False)
    assert made.complete, made.reason
    assert "Stock: answer to" in made.text
    assert made.bundle.fact("late_count").value == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- 1\n", "is not a role file"),
        ("id: [", "is not YAML"),
        ("id: ai-stock\n", "stock.yaml: label"),
        (yaml.safe_dump({**LEAST, "bot": "nobody"}), "there is no bot 'nobody'"),
        (yaml.safe_dump({**LEAST, "scope": {"readings": ["weather"]}}), "there is no reading 'weather'"),
        (yaml.safe_dump({**LEAST, "checks": [{"label": "Late", "figure": "x", "at_most": "no_such"}]}),
         "there is no threshold 'no_such'"),
        (yaml.safe_dump({**LEAST, "scope": {"marts": ["marts.fct_late_orders"]},
                         "more_lists": [{**LIST, "sources": ["moon.rocks"]}]}), "there is no source 'moon.rocks'"),
        ("x" * 200_000, "larger than"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_what_is_wrong(folder: Path, text: str, why: str) -> None:
    (folder / "stock.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=why):
        load_roster(folder, get_fleet())


def test_an_unknown_agent_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="there is no agent 'nobody'; there are analytics"):
        find("nobody")
    assert find("ai-qa") is find("qa")
    assert len(roster()) == len(NAMES)

"""A job's task decides its tier, the tier its model, and all of it is data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops_platform.failures import ConfigurationError
from ops_platform.fleet import load_fleet
from ops_platform.settings import Settings
from ops_platform.writing.budget import Allowance
from ops_platform.writing.routing import Route, route
from tests.platform.test_fleet import FILE, changed

HAIKU = "claude-haiku-5-5"


def test_the_large_model_only_brings_sources_together() -> None:
    fleet = load_fleet(FILE, Settings())
    large = {name for name, job in fleet.jobs.items() if job.token_budget and route(fleet, name, "c").model != HAIKU}
    assert large == {"narrative_weekly", "narrative_monthly", "board_pack"}
    # What the large model writes can wait for a batch.
    assert all(route(fleet, name, "c").batch_seconds for name in large)
    assert dict(fleet.models.tasks) == {
        "extract": "small", "classify": "small", "write": "small", "synthesise": "large",
    }  # fmt: skip


def test_a_route_is_an_entry(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["models"]["tasks"]["write"] = "large"
        data["jobs"]["ops_pulse"]["token_budget"] = 5000

    fleet = load_fleet(changed(tmp_path, change), Settings())
    expected = Allowance("coordinator", "2026-11-20", "ops_pulse", tier="large", limit=5000, task="write")
    assert route(fleet, "ops_pulse", "2026-11-20") == Route("claude-opus-5-5", expected)
    with pytest.raises(ConfigurationError, match="no job 'nothing'"):
        route(fleet, "nothing", "c")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data["models"]["tasks"].pop("extract"), "no tier for the task extract"),
        (lambda data: data["models"]["tasks"].update(write="middle"), "models.tasks.write"),
        (lambda data: data["models"]["tiers"].pop("large"), "no model for the tier large"),
        (lambda data: data["models"]["prices"]["claude-opus-5-5"].update(batch=1.5), "batch"),
        (lambda data: data["models"]["prices"]["claude-opus-5-5"].update(input=-1), "input"),
        (lambda data: data["jobs"]["ops_pulse"].update(task="guess"), "jobs.ops_pulse.task"),
    ],
)
def test_a_wrong_route_is_named(tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_fleet(changed(tmp_path, change), Settings())

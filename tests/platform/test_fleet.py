"""fleet.yaml is data: wrong entries are named, a new bot, division or job is an entry."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops_platform.failures import ConfigurationError
from ops_platform.fleet import load_fleet
from ops_platform.fleet.publish import publish
from ops_platform.settings import Settings
from tests.conftest import Connect

FILE = Path(__file__).resolve().parents[2] / "fleet.yaml"


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    data = yaml.load(FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    change(data)
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")
    return path


def test_the_shipped_file_is_the_mission() -> None:
    fleet = load_fleet(FILE, Settings())
    assert [label for _, label in fleet.division_labels()] == [
        "Customer Support", "Sales", "Marketing", "Design", "Product Design", "Supply Chain", "App Development",
    ]  # fmt: skip
    assert set(fleet.bots) == {"coordinator", "logistics", "marketing", "sales"}
    assert set(fleet.channels) == {"executive", "team", "alerts"}
    assert fleet.budget.tokens_per_cycle == 20_000
    assert fleet.jobs["ops_pulse"].cron == "0 6 * * *"
    assert fleet.thresholds["channel_balance_share"].value == Decimal("0.2")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data["company"].update(timezone="Mars/Olympus"), "company.timezone"),
        (lambda data: data["company"].update(currency="dollars"), "company.currency"),
        (lambda data: data["jobs"]["ops_pulse"].update(bot="nobody"), "there is no bot 'nobody'"),
        (lambda data: data["jobs"]["ops_pulse"].update(cron="6am"), "five-field cron"),
        (lambda data: data["jobs"]["ops_pulse"].update(colour="red"), "jobs.ops_pulse.colour"),
        (lambda data: data["channels"].update(ops="X"), "channels"),
        (lambda data: data["models"]["tiers"].update(large="claude-unpriced"), "no price for claude-unpriced"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_fleet(changed(tmp_path, change), Settings())


def test_a_new_division_and_bot_are_entries(tmp_path: Path) -> None:
    def add(data: dict[str, Any]) -> None:
        data["bots"]["retail"] = {"label": "Retail", "channel": "team", "token_budget": 1000}
        data["divisions"]["stores"] = {"label": "Stores", "bot": "retail"}

    fleet = load_fleet(changed(tmp_path, add), Settings())
    assert fleet.division_labels()[-1] == ("stores", "Stores")


def test_company_and_thresholds_reach_sql_and_follow_the_file(tmp_path: Path, warehouse: Connect) -> None:
    from datetime import UTC, datetime

    moment = datetime(2026, 11, 20, 11, tzinfo=UTC)
    with warehouse() as connection:
        publish(connection, load_fleet(FILE, Settings()), moment)
        shorter = changed(tmp_path, lambda data: data["thresholds"].pop("late_high_value"))
        publish(connection, load_fleet(shorter, Settings(ops_currency="EUR", ops_timezone="Europe/Paris")), moment)
        company = connection.execute("select timezone, currency, as_of from ops.company").fetchall()
        names = {name for (name,) in connection.execute("select name from ops.thresholds")}
    assert company == [("Europe/Paris", "EUR", moment)]
    assert "late_high_value" not in names
    assert "stock_critical_days" in names

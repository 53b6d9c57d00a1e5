"""The definitions load with no network, no database and no secret, and read as documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import AssetKey, DefaultScheduleStatus, Definitions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    from ops_platform.build import build_definitions

    return build_definitions()


def test_load_needs_no_network_database_or_secret(tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('the network was used')\n"
        "socket.socket.connect = refuse\n"
        "from ops_platform.definitions import defs\n"
        "print(len(list(defs.resolve_all_asset_specs())))\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPS_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60
    assert not (tmp_path / "home").exists()


def test_every_asset_is_described_owned_and_of_a_kind(definitions: Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        assert spec.description and len(spec.description) > 15, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.group_name not in (None, "default"), name


def test_lineage_runs_from_raw_orders_to_the_delivered_pulse(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    seen, waiting = set(), [AssetKey(["delivery", "ops_pulse"])]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting.extend(graph.get(key).parent_keys)
    for path in (["raw", "shopify", "orders"], ["raw", "netsuite", "transactions"], ["metrics", "fct_metric_daily"]):
        assert AssetKey(path) in seen, path


def test_dbt_tests_are_asset_checks(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checked = {key.asset_key.path[0] for key in graph.asset_check_keys}
    assert {"raw", "marts", "metrics", "staging"} <= checked


def test_the_pulse_is_scheduled_before_seven_in_company_time(definitions: Definitions) -> None:
    schedule = definitions.get_schedule_def("ops_pulse_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * *", "America/New_York")
    assert schedule.default_status is DefaultScheduleStatus.STOPPED


def test_every_job_has_a_bounded_runtime(definitions: Definitions) -> None:
    for job in definitions.jobs or []:
        assert int((job.tags or {})["dagster/max_runtime"]) <= 3600

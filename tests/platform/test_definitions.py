"""The definitions load with no network, no database and no secret, and read as documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import AssetKey, DefaultScheduleStatus, Definitions

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("seeds", "staging", "intermediate", "marts", "metrics")


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


def test_what_nobody_uses_is_not_imported() -> None:
    """50 MB of every process that knows the definitions; who needs one of them imports it all the same."""
    code = (
        "import sys\n"
        "from ops_platform.definitions import defs\n"
        "print(sorted({'sqlglot', 'requests', 'dbt.cli', 'pandas', 'numpy'} & sys.modules.keys()))\n"
        "from sqlglot.lineage import lineage\n"
        "import requests, dagster_dbt.cloud_v2.client\n"
        "print(callable(lineage), hasattr(dagster_dbt.cloud_v2.client, 'DbtCloudWorkspaceClient'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["[]", "True True"], done.stderr


def test_every_asset_is_described_owned_and_of_a_kind(definitions: Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        assert spec.description and len(spec.description) > 15, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.group_name not in (None, "default"), name


def test_a_job_holds_no_more_than_it_makes(definitions: Definitions) -> None:
    """Its ops' outputs are what it makes, and its snapshot is of that size: of the whole there are hundreds."""
    repository = definitions.get_repository_def()
    parts = 0
    for job in repository.get_all_jobs():
        made = set(job.asset_layer.executable_asset_keys)
        if not made or job.name == "__ASSET_JOB" or len(made) > 200:
            continue
        checks = job.asset_layer.asset_graph.asset_check_keys
        outputs = [output for node in job.all_node_defs for output in node.output_defs]
        assert len(outputs) <= len(made) + len([check for check in checks if check.asset_key in made]), job.name
        for node in job.all_node_defs:
            if node.name.startswith("warehouse_"):
                parts += 1
                models = {key.path[-1] for key in made if key.path[0] in LAYERS}
                assert {each.rpartition(".")[2] for each in node.tags["dagster_dbt/select"].split()} == models, job.name
    assert parts > 20


def test_a_part_of_a_part_is_one(definitions: Definitions) -> None:
    """Chosen by hand in a job's lineage: what dbt is told is what was chosen, nothing that the job has beside it."""
    job = definitions.resolve_job_def("late_orders")
    (chosen,) = [key for key in job.asset_layer.executable_asset_keys if key.path[-1] == "fct_late_orders"]
    (node,) = job.get_subset(asset_selection={chosen}).all_node_defs
    assert {output.name for output in node.output_defs} >= {"marts__fct_late_orders"}
    assert node.tags["dagster_dbt/select"].split() == ["ops_warehouse.marts.fulfilment.fct_late_orders"]


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

"""What an idle stack costs: connections that are kept, and a daemon at the pace of this fleet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml
from dagster import DagsterInstance, RunsFilter
from dagster._core.test_utils import create_run_for_test

from ops_platform.instance.pace import CONSTANTS, ENVIRONMENT
from ops_platform.instance.pool import KEPT
from tests.conftest import Connect
from tests.fleet.test_retention import dagster

__all__ = ["dagster"]
ROOT = Path(__file__).resolve().parents[2]


def sessions(connect: Connect) -> int:
    """How many connections the database was asked for so far, this one included."""
    with connect() as connection:
        connection.execute("select pg_stat_clear_snapshot()")
        row = connection.execute("select sessions from pg_stat_database where datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def test_looks_share_a_few_connections(dagster: tuple[DagsterInstance, Connect]) -> None:
    instance, connect = dagster
    before = sessions(connect)
    for number in range(50):
        run = create_run_for_test(instance, job_name=f"job{number}")
        instance.report_engine_event("something", run)
        instance.get_run_records(RunsFilter(job_name="job1"))
        instance.all_instigator_state()
    assert sessions(connect) - before <= KEPT + 1


def test_a_server_that_was_started_anew_is_met_again(dagster: tuple[DagsterInstance, Connect]) -> None:
    instance, connect = dagster
    instance.get_runs()
    with connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert list(instance.get_runs()) == []


def test_this_dagster_has_the_numbers_that_are_set() -> None:
    """In a process of its own: the numbers are of the whole process."""
    code = (
        "from ops_platform.instance.pace import slow_down, CONSTANTS\n"
        "assert slow_down() == []\n"
        "from importlib import import_module\n"
        "for (module, name), seconds in CONSTANTS.items():\n"
        "    assert getattr(import_module(module), name) == seconds\n"
        "from dagster._daemon import freshness\n"
        "from dagster._daemon.auto_run_reexecution import event_log_consumer\n"
        "print(freshness._INTERVAL_SECONDS, event_log_consumer._INTERVAL_SECONDS)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["300", "60"]
    assert len(CONSTANTS) == 3


def test_the_instance_is_set_up_as_the_house_wants_it() -> None:
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    # What is missing here leaks slots, keeps dead runs for ever, or looks every five seconds for nothing.
    assert settings["run_monitoring"]["max_runtime_seconds"] > 0
    assert settings["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    assert settings["run_monitoring"]["max_resume_run_attempts"] == 0
    assert settings["auto_materialize"] == {"enabled": False, "use_sensors": False}
    assert settings["telemetry"] == {"enabled": False}
    assert set(settings["retention"]) == {"schedule", "sensor"}
    for store in ("run_storage", "schedule_storage", "event_log_storage"):
        assert settings[store]["module"].startswith("ops_platform.instance.")

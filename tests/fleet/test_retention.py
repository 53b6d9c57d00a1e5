"""What the machine forgets: old runs, events, checks, logs and its own traces; and what it keeps however old."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    RunsFilter,
    asset,
    asset_check,
    materialize,
)
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.test_utils import create_run_for_test, instance_for_test

from ops_platform.fleet.forgetting import forget_traces
from ops_platform.fleet.health import Reading, score_of, weights_on
from ops_platform.fleet.health_history import newest, store
from ops_platform.fleet.health_policy import Retention
from ops_platform.instance.retention import delete_old
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.fleet.scenes import receipt, tick

NOW = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def dagster(server_home: Path, migrated: str, tmp_path: Path) -> Iterator[tuple[DagsterInstance, Connect]]:
    """An instance on a database of its own, by the storages the platform runs on."""
    with fresh_database(server_home, "template0", "dagster") as connect:
        with connect() as connection:
            info = connection.info
            url = f"postgresql://{info.user}@/{info.dbname}?host={info.host}&port={info.port}"
        store_of = {"config": {"postgres_url": url}}
        overrides = {
            "run_storage": {"module": "ops_platform.instance.pool", "class": "PooledRunStorage", **store_of},
            "schedule_storage": {"module": "ops_platform.instance.pool", "class": "PooledScheduleStorage", **store_of},
            "event_log_storage": {
                "module": "ops_platform.instance.events", "class": "RedactingEventLogStorage", **store_of,
            },
        }  # fmt: skip
        with instance_for_test(overrides=overrides, temp_dir=str(tmp_path)) as instance:
            yield instance, connect
        from ops_platform.instance.pool import engine_of

        engine_of(url).dispose()


def made(instance: DagsterInstance, connect: Connect, job: str, days: float, status: DagsterRunStatus) -> str:
    """A run of `job` that ended so many days ago, with an event and a tag."""
    run = create_run_for_test(instance, job_name=job, status=status, tags={"bot": "sales"})
    instance.report_engine_event("something", run)
    with connect() as connection:
        at = datetime.now(UTC).replace(tzinfo=None) - days * DAY
        connection.execute(
            "update runs set create_timestamp = %s, update_timestamp = %s where run_id = %s", (at, at, run.run_id)
        )
        connection.execute("update event_logs set timestamp = %s where run_id = %s", (at, run.run_id))
    return str(run.run_id)


def rows(connect: Connect, table: str) -> set[str]:
    with connect() as connection:
        return {row[0] for row in connection.execute(f"select distinct run_id from {table}".encode())}


def test_old_runs_go_with_all_that_is_theirs(dagster: tuple[DagsterInstance, Connect], tmp_path: Path) -> None:
    instance, connect = dagster
    good, bad = DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE
    gone = {made(instance, connect, "daily", days, good) for days in (90, 80, 70)}
    gone.add(made(instance, connect, "daily", 65, bad))
    kept = {made(instance, connect, "daily", 5, good), made(instance, connect, "daily", 3, bad)}
    # The newest of a rare job and its newest success stay, however old; what never ended is no business of ours.
    kept |= {made(instance, connect, "rare", 200, good), made(instance, connect, "rare", 100, bad)}
    kept.add(made(instance, connect, "daily", 75, DagsterRunStatus.STARTED))
    logs = tmp_path / "logs"
    for name, days in (("old", 70), ("new", 1)):
        (logs / name / "compute_logs").mkdir(parents=True)
        file = logs / name / "compute_logs" / "step.out"
        file.write_text("x")
        for path in (file, file.parent, file.parent.parent):
            os.utime(path, (datetime.now().timestamp() - days * 86400,) * 2)
    with connect() as connection:
        deleted = delete_old(instance, connection, logs, datetime.now(UTC) - 60 * DAY)
    assert deleted.runs == 4 and deleted.logs == 1
    assert rows(connect, "runs") == rows(connect, "event_logs") == rows(connect, "run_tags") == kept
    assert not gone & kept and {path.name for path in logs.iterdir()} == {"new"}
    with connect() as connection:
        assert delete_old(instance, connection, logs, datetime.now(UTC) - 60 * DAY).runs == 0


def test_the_newest_event_and_check_of_an_asset_stay(dagster: tuple[DagsterInstance, Connect], tmp_path: Path) -> None:
    instance, connect = dagster

    @asset
    def sales() -> int:
        return 1

    @asset_check(asset=sales)
    def is_one() -> Any:
        from dagster import AssetCheckResult

        return AssetCheckResult(passed=True)

    for _number in range(3):
        assert materialize([sales, is_one], instance=instance).success
        instance._report_runless_asset_event(
            FreshnessStateChange(
                key=AssetKey("sales"), new_state=FreshnessState.PASS, previous_state=FreshnessState.FAIL,
                state_change_timestamp=datetime.now().timestamp(),
            )
        )  # fmt: skip
    before = datetime.now(UTC) + timedelta(minutes=1)
    with connect() as connection:
        deleted = delete_old(instance, connection, tmp_path / "none", before)
    assert (deleted.checks, deleted.events) == (2, 2)
    assert len(instance.get_run_records(RunsFilter())) == 1
    state = instance.get_freshness_state_records([AssetKey("sales")])
    assert state[AssetKey("sales")].freshness_state == FreshnessState.PASS
    event = instance.get_latest_materialization_event(AssetKey("sales"))
    assert event is not None


def test_deleting_stops_when_its_time_is_over(dagster: tuple[DagsterInstance, Connect], tmp_path: Path) -> None:
    instance, connect = dagster
    for days in (90, 80, 70):
        made(instance, connect, "daily", days, DagsterRunStatus.SUCCESS)
    with connect() as connection:
        before = datetime.now(UTC) - 60 * DAY
        assert delete_old(instance, connection, tmp_path, before, stop_at=datetime.now(UTC)).runs == 0
        assert delete_old(instance, connection, tmp_path, before).runs == 2


def test_traces_of_the_platform(warehouse: Connect) -> None:
    retention = Retention()
    with warehouse() as connection:
        scores = [NOW - 100 * DAY, NOW - 100 * DAY + timedelta(hours=1), NOW - 99 * DAY, NOW - DAY, NOW]
        for at in scores:
            store(connection, score_of({"uptime": Reading.exact(Decimal(1), "")}, weights_on(at.date()), at))
        for days in (40, 30):
            tick(connection, "hourly", NOW - days * DAY, NOW - days * DAY + timedelta(hours=1))
            connection.execute(
                "insert into ops.service_observations (observer, at) values ('watchdog', %s)", (NOW - days * DAY,)
            )
        for job, days, status in (
            ("daily", 500, "succeeded"), ("daily", 450, "failed"), ("daily", 10, "succeeded"),
            ("rare", 600, "succeeded"),
        ):  # fmt: skip
            receipt(connection, job, NOW - days * DAY, status)
        for stream, days, status in (
            ("a", 500, "succeeded"), ("a", 450, "failed"), ("a", 1, "succeeded"), ("b", 500, "failed"),
        ):  # fmt: skip
            connection.execute(
                "insert into ops.sync_runs (vendor, stream, status, started_at) values ('v', %s, %s, %s)",
                (stream, status, NOW - days * DAY),
            )
        for record, settled in (("settled long ago", 500), ("settled lately", 5), ("waits", None)):
            connection.execute(
                "insert into ops.quarantine (vendor, stream, record_id, reason, detail, raw, raw_hash, first_seen_at,"
                " last_seen_at, resolved_at) values ('v', 'a', %s, 'r', 'd', '{}', '', %s, %s, %s)",
                (record, NOW - 600 * DAY, NOW - 600 * DAY, None if settled is None else NOW - settled * DAY),
            )
        for delivery, state, days in (("old", "processed", 50), ("waits", "received", 50), ("new", "processed", 5)):
            connection.execute(
                "insert into ops.work_deliveries (delivery_id, event, payload, payload_hash, received_at, state,"
                " processed_at) values (%s, 'issues', '{}', '', %s, %s, %s)",
                (delivery, NOW - days * DAY, state, None if state == "received" else NOW - days * DAY),
            )
        gone = forget_traces(connection, retention, NOW)
        deliveries = connection.execute("select delivery_id from ops.work_deliveries order by 1").fetchall()
        assert deliveries == [("new",), ("waits",)]
        set_aside = connection.execute("select record_id from ops.quarantine order by 1").fetchall()
        assert set_aside == [("settled lately",), ("waits",)]
        left = [score.at for score in newest(connection, NOW, 10)]
        jobs = connection.execute("select job, count(*) from ops.receipts group by 1 order by 1").fetchall()
        syncs = connection.execute("select stream, count(*) from ops.sync_runs group by 1 order by 1").fetchall()
    assert gone == {
        "fleet_health": 1, "service_observations": 1, "expected_ticks": 1, "sync_runs": 2, "receipts": 2,
        "work_deliveries": 1, "quarantine": 1,
    }  # fmt: skip
    assert left == [scores[4], scores[3], scores[2], scores[1]]
    assert jobs == [("daily", 1), ("rare", 1)] and syncs == [("a", 1), ("b", 1)]
